//! Rust types of the contracts that these tests speak to directly.
#![allow(clippy::too_many_arguments)]

use alloy::sol;

/// Modules of their own: the artifacts share structs, and `sol!` generates those each time.
pub mod hub {
    alloy::sol!(
        #[sol(extra_derives(Debug))]
        ChainHub,
        "contracts/artifacts/rollup/ChainHub.json"
    );
}
pub mod bridge {
    alloy::sol!(
        #[sol(extra_derives(Debug))]
        SharedBridge,
        "contracts/artifacts/bridge/SharedBridge.json"
    );
}
pub mod state {
    alloy::sol!(StateVerifier, "contracts/artifacts/bridge/StateVerifier.json");
}
pub mod chain {
    alloy::sol!(RollupChain, "contracts/artifacts/rollup/RollupChain.json");
}
sol!(
    Groth16Verifier,
    "contracts/artifacts/verifier/Groth16Verifier.json"
);
sol!(
    UpgradeableProxy,
    "contracts/artifacts/rollup/UpgradeableProxy.json"
);
sol!(ShareVault, "contracts/artifacts/test/ShareVault.json");
sol!(Counter, "contracts/artifacts/test/Counter.json");
sol!(
    #[sol(extra_derives(Debug))]
    BundleAttacker,
    "contracts/artifacts/test/BundleAttacker.json"
);
sol!(PlainToken, "contracts/artifacts/test/PlainToken.json");
