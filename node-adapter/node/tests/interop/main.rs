//! Bundles on a real Ethereum node: the drill, every check with the attack that it stops, failed
//! runs, and alias accounts of a halted chain. Proofs are simulated; hub, bridge, chain, handler
//! and alias accounts are the real ones.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod aave;
mod aave_attacks;
mod aave_model;
mod aave_world;
mod attacks;
mod checks;
mod commands;
mod drill;
mod failures;
mod forwarder;
mod halted;
mod signed;
#[path = "../common/terminal.rs"]
mod terminal;
mod tips;
mod world;

use carillon_testing as common;
