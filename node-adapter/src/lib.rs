//! The rollup node of Carillon: transfers are signed, executed, sealed into a
//! batch, proved by the batch circuit, and settled on Ethereum.
//!
//! Data travel one way: user's transfer -> [`sequencer`] -> batch and witness
//! ([`batch`], [`state`], [`circuit`]) -> proof -> [`settlement`].

pub mod archive;
pub mod batch;
pub mod circuit;
pub mod crypto;
pub mod interop;
pub mod ledger;
pub mod node;
pub mod protocol;
pub mod prover_api;
pub mod sequencer;
pub mod settlement;
pub mod state;
