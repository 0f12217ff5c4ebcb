//! Rust types of the contracts that only tests deploy (`node-adapter/contracts/src/test`).
#![allow(clippy::too_many_arguments)]

use alloy::sol;

sol!(PlainToken, "artifacts/test/PlainToken.json");
sol!(FeeToken, "artifacts/test/FeeToken.json");
sol!(FalseToken, "artifacts/test/FalseToken.json");
sol!(SilentToken, "artifacts/test/SilentToken.json");
sol!(ReentrantToken, "artifacts/test/ReentrantToken.json");
sol!(RebasingToken, "artifacts/test/RebasingToken.json");
sol!(SwitchedToken, "artifacts/test/SwitchedToken.json");
sol!(QueueFiller, "artifacts/test/QueueFiller.json");
sol!(ContractOwner, "artifacts/test/ContractOwner.json");
sol!(HookedOwner, "artifacts/test/HookedOwner.json");
sol!(ChainV2, "artifacts/test/ChainV2.json");
sol!(ShareVault, "artifacts/test/ShareVault.json");
sol!(HostileChain, "artifacts/test/HostileChain.json");
sol!(Crosser, "artifacts/test/Crosser.json");
sol!(Counter, "artifacts/test/Counter.json");
sol!(
    #[sol(extra_derives(Debug))]
    BundleAttacker,
    "artifacts/test/BundleAttacker.json"
);
sol!(Ledger, "artifacts/test/Ledger.json");
sol!(
    #[sol(extra_derives(Debug))]
    TipTaker,
    "artifacts/test/TipTaker.json"
);
sol!(
    #[sol(extra_derives(Debug))]
    FlashBorrower,
    "artifacts/test/FlashBorrower.json"
);
sol!(
    #[sol(extra_derives(Debug))]
    RemoteExecutor,
    "artifacts/test/RemoteExecutor.json"
);
sol!(
    #[sol(extra_derives(Debug))]
    MessageBook,
    "artifacts/test/MessageBook.json"
);
sol!(
    #[sol(extra_derives(Debug))]
    Impostor7786,
    "artifacts/test/Impostor7786.json"
);
