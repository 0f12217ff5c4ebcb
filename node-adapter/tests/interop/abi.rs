//! Rust types of the contracts that only these tests deploy.

use alloy::sol;

sol!(ShareVault, "contracts/artifacts/test/ShareVault.json");
sol!(Counter, "contracts/artifacts/test/Counter.json");
sol!(
    #[sol(extra_derives(Debug))]
    BundleAttacker,
    "contracts/artifacts/test/BundleAttacker.json"
);
sol!(PlainToken, "contracts/artifacts/test/PlainToken.json");
