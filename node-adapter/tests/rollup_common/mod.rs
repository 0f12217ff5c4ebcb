//! Helpers of the tests that run the rollup protocol's contracts on anvil: a deployed world,
//! batches built by hand with proofs from a known trapdoor, blobs, messages, and a state tree.
//!
//! Everything here is computed independently of the contracts and of the circuit.
#![allow(dead_code)]

pub mod batch;
pub mod blob;
pub mod published;
pub mod state;
pub mod trapdoor;
pub mod world;
