//! Native cryptography of the rollup: Poseidon with its domains, the Jubjub
//! curve, and Schnorr keys and signatures.
//!
//! Pure computation without I/O. The root of this crate and `ledger` call it; every
//! function here has a twin in `carillon-circuit`, and the tests hold the two equal.

pub mod jubjub;
mod multiply;
pub mod poseidon;
pub mod schnorr;
