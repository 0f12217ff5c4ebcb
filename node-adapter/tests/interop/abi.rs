//! Rust types of the contracts that only these tests deploy.

use alloy::sol;

sol!(ShareVault, "contracts/artifacts/test/ShareVault.json");
sol!(Counter, "contracts/artifacts/test/Counter.json");
sol!(
    #[sol(extra_derives(Debug))]
    BundleAttacker,
    "contracts/artifacts/test/BundleAttacker.json"
);
sol!(SilentToken, "contracts/artifacts/test/SilentToken.json");
sol!(SwitchedToken, "contracts/artifacts/test/SwitchedToken.json");
sol!(RebasingToken, "contracts/artifacts/test/RebasingToken.json");
sol!(
    ReentrantToken,
    "contracts/artifacts/test/ReentrantToken.json"
);
sol!(PlainToken, "contracts/artifacts/test/PlainToken.json");
