//! Groth16 over BLS12-381: development set-up, proving through an [`Engine`](crate::Engine),
//! verification.
//!
//! J. Groth, "On the Size of Pairing-based Non-interactive Arguments", EUROCRYPT 2016, with
//! bellman's conventions: the constraint system is extended by one row `x_i * 0 = 0` per public
//! input (the constant ONE included) so that the input polynomials are independent. Proofs and
//! verifying keys are therefore interchangeable with bellman and arkworks; proving keys are, if their H query
//! is in the basis of powers ([`HBasis`]).
//!
//! Circuits are `bellpepper_core::Circuit<Scalar>`. Everything here but [`prove`] is free of I/O.
//! Called by the crates of `node-adapter`, by `carillon-cli` and by whoever embeds the prover.

mod assignment;
mod batch;
mod constraints;
pub mod eip2537;
mod error;
mod fixed_base;
mod key;
mod names;
mod proof;
mod prover;
mod r1cs;
mod setup;
mod verifier;
mod witness;

pub use assignment::{Assignment, Polynomials, synthesize};
pub use batch::{Proved, prove_each, prove_each_with};
pub use constraints::Constraints;
pub(crate) use constraints::RowFault;
pub use error::Groth16Error;
pub use key::{CircuitDigest, CircuitShape, HBasis, KeyOrigin, ProvingKey, VerifyingKey};
pub use proof::{PROOF_BYTES, Proof};
pub use prover::{PhaseTimes, ProveReport, prove, prove_assignment, prove_with};
pub use r1cs::{R1cs, Side, circuit_digest};
pub use setup::{setup, setup_in};
pub use verifier::{verify, verify_batch};
pub use witness::witness;
