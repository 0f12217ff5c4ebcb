//! Engines beside each other, proofs beside bellman and arkworks, key files, and cards that fail. One program, because
//! compiling the provers is most of what a test program of them costs.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers fail the test that calls them

mod card_chains;
mod card_faults;
mod card_g2;
mod card_overlap;
mod card_rows;
mod common;
mod engines;
mod groth16;
mod keys;
