//! The batch circuit: R1CS that proves a batch of operations over BLS12-381's scalar field.
//!
//! `rollup` is the circuit; the other files are the gadgets it is made of. What each check stops is
//! in `CIRCUIT.md`, the encodings in `PROTOCOL.md`.
//!
//! Generic over bellpepper's `ConstraintSystem`; no I/O. May use `carillon-protocol` (its
//! `ledger` for the witness alone) and `carillon-runtime` for the digest. Called by `carillon-node`
//! and the tests.

mod edwards;
mod merkle;
mod num;
mod poseidon;
pub mod rollup;
mod rounds;
