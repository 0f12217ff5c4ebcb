//! What Groth16 does with the circuit, compiled here once. A circuit is generic over its constraint
//! system, so that every crate that names one of its own compiles the whole circuit again; callers of
//! these functions do not.

use carillon_runtime::groth16::{self, Assignment, Groth16Error, ProvingKey};
use rand::rngs::OsRng;

use super::{RollupCircuit, Shape};

/// A development key for a shape, as [`groth16::setup`] makes it: INSECURE.
///
/// # Errors
/// A circuit with more rows than the field has roots of unity for.
pub fn setup(shape: Shape) -> Result<ProvingKey, Groth16Error> {
    groth16::setup(RollupCircuit::blank(shape), &mut OsRng)
}

/// Runs the circuit with its witness and checks every constraint, as [`groth16::synthesize`].
///
/// # Errors
/// The first constraint that is violated.
pub fn synthesize(circuit: RollupCircuit) -> Result<Assignment, Groth16Error> {
    groth16::synthesize(circuit)
}
