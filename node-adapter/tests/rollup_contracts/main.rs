//! The rollup protocol's contracts on a real Ethereum node (anvil: real precompiles, real blob
//! transactions), with proofs from a known trapdoor: what they accept, what they refuse and why,
//! and what it costs. `twin` settles each kind of record with a real proof.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../rollup_common/mod.rs"]
mod common;

mod bridge;
mod chain;
mod commands;
mod encoding;
mod gas;
mod halt;
mod invariant;
mod published;
mod queue;
#[path = "../rollup_common/terminal.rs"]
mod terminal;
mod tokens;
mod twin;
mod verifier;

/// The contracts of `contracts/src/test`.
#[allow(clippy::too_many_arguments)]
mod test_contracts {
    use alloy::sol;
    sol!(PlainToken, "contracts/artifacts/test/PlainToken.json");
    sol!(FeeToken, "contracts/artifacts/test/FeeToken.json");
    sol!(FalseToken, "contracts/artifacts/test/FalseToken.json");
    sol!(SilentToken, "contracts/artifacts/test/SilentToken.json");
    sol!(
        ReentrantToken,
        "contracts/artifacts/test/ReentrantToken.json"
    );
    sol!(RebasingToken, "contracts/artifacts/test/RebasingToken.json");
    sol!(SwitchedToken, "contracts/artifacts/test/SwitchedToken.json");
    sol!(QueueFiller, "contracts/artifacts/test/QueueFiller.json");
    sol!(ContractOwner, "contracts/artifacts/test/ContractOwner.json");
    sol!(HookedOwner, "contracts/artifacts/test/HookedOwner.json");
    sol!(ChainV2, "contracts/artifacts/test/ChainV2.json");
}
