//! Rust types of the interop contracts' calls, events, errors and structs, from the committed
//! artifacts; their documentation is the NatSpec of the Solidity sources. A module of its own,
//! because the generated types of the bridge's message would meet those of the bridge.
#![allow(missing_docs)]

use alloy::sol;

sol!(
    #[sol(extra_derives(Debug, PartialEq, Eq))]
    AliasAccount,
    "contracts/artifacts/interop/AliasAccount.json"
);
sol!(
    #[sol(extra_derives(Debug, PartialEq, Eq))]
    AliasFactory,
    "contracts/artifacts/interop/AliasFactory.json"
);
sol!(
    #[sol(extra_derives(Debug, PartialEq, Eq))]
    InteropHandler,
    "contracts/artifacts/interop/InteropHandler.json"
);
