//! The interop contracts: alias accounts, their factory, the handler of bundles, the checks that bundles
//! call, and the forwarder of ERC-7786 messages. In a module of
//! its own because the types of the handler's messages repeat those of the bridge.
#![allow(missing_docs)]

use alloy::sol;

sol!(
    #[sol(all_derives)]
    AliasAccount,
    "artifacts/interop/AliasAccount.json"
);
sol!(
    #[sol(all_derives)]
    AliasFactory,
    "artifacts/interop/AliasFactory.json"
);
sol!(
    #[sol(all_derives)]
    InteropHandler,
    "artifacts/interop/InteropHandler.json"
);
sol!(
    #[sol(all_derives)]
    Checks,
    "artifacts/interop/Checks.json"
);
sol!(
    #[sol(all_derives)]
    Forwarder7786,
    "artifacts/interop/Forwarder7786.json"
);
