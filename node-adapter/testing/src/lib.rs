//! What the tests of several crates share: a deployed world of the rollup's contracts, batches built by
//! hand with proofs from a known trapdoor, blobs, messages, a state tree, and an Ethereum node that
//! answers as other clients do.
//!
//! Everything here is computed independently of the contracts and of the circuit. A development
//! dependency only: no library or program carries any of it.

// Helpers of tests stop at the first thing that is not as it should be.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod batch;
pub mod blob;
pub mod contracts;
pub mod lane;
pub mod proxy;
pub mod published;
pub mod state;
pub mod trapdoor;
pub mod world;
