//! Bundles on a real Ethereum node: the drill, every check with the attack that it stops, failed
//! runs, and alias accounts of a halted chain. Proofs are simulated; hub, bridge, chain, handler
//! and alias accounts are the real ones.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod abi;
mod checks;
mod commands;
#[path = "../rollup_common/mod.rs"]
mod common;
mod drill;
mod failures;
mod halted;
mod signed;
#[path = "../rollup_common/terminal.rs"]
mod terminal;
mod world;
