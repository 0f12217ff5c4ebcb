//! The rollup node of Carillon: operations are signed, executed, sealed into a batch, proved by the
//! batch circuit, and settled on Ethereum.
//!
//! Data travel one way: user's operation -> [`node`] ([`protocol`], [`ledger`]) -> witness
//! ([`circuit`]) -> prover ([`prover_api`]) -> [`settlement`] -> Ethereum; [`archive`] keeps what L1
//! forgets, [`interop`] is what users do on Ethereum with one L2 signature. [`serving`] is below both
//! servers, of users and of provers; [`redact`] keeps secrets of URLs out of what is shown.

pub mod archive;
pub mod circuit;
pub mod crypto;
pub mod interop;
pub mod ledger;
pub mod node;
pub mod protocol;
pub mod prover_api;
pub mod redact;
pub mod serving;
pub mod settlement;
