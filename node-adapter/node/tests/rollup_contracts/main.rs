//! The rollup protocol's contracts on a real Ethereum node (anvil: real precompiles, real blob
//! transactions), with proofs from a known trapdoor: what they accept, what they refuse and why,
//! and what it costs. `twin` settles each kind of record with a real proof.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bridge;
mod chain;
mod chain_commands;
mod commands;
mod encoding;
mod gas;
mod gateway;
mod gateway_gas;
mod gateway_refused;
mod gateway_service;
mod halt;
mod hub;
mod invariant;
mod lanes;
mod lanes_bounce;
mod lanes_gas;
mod lanes_history;
mod lanes_hostile;
mod lanes_refused;
mod lanes_returned;
mod network;
mod published;
mod queue;
#[path = "../common/terminal.rs"]
mod terminal;
mod together;
mod tokens;
mod twin;
mod verifier;

use carillon_testing as common;
use carillon_testing::contracts as test_contracts;
