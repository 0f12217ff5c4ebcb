//! Contracts of the demo and the tests around a lending pool: a token with facilitators, the one that
//! supplies it to the pool, and prices set by hand.
#![allow(missing_docs)]

use alloy::sol;

sol!(
    #[sol(all_derives)]
    GhoLikeToken,
    "artifacts/demo/GhoLikeToken.json"
);
sol!(
    #[sol(all_derives)]
    DirectMinter,
    "artifacts/demo/DirectMinter.json"
);
sol!(
    #[sol(all_derives)]
    PriceSource,
    "artifacts/demo/PriceSource.json"
);
