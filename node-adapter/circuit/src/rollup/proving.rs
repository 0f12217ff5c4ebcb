//! What Groth16 does with the circuit, compiled here once. A circuit is generic over its constraint
//! system, so that every crate that names one of its own compiles the whole circuit again; callers of
//! these functions do not.

use std::sync::Arc;

use carillon_runtime::groth16::{self, Assignment, Constraints, Groth16Error, ProvingKey};
use rand::rngs::{OsRng, StdRng};

use super::{RollupCircuit, Shape};

/// A development key for a shape, as [`groth16::setup`] makes it: INSECURE.
///
/// # Errors
/// A circuit with more rows than the field has roots of unity for.
pub fn setup(shape: Shape) -> Result<ProvingKey, Groth16Error> {
    groth16::setup(RollupCircuit::blank(shape), &mut OsRng)
}

/// A development key as [`setup`] makes it, from a stream that can be repeated: the same seed of `rng` gives the same
/// key, and whoever knows the seed can forge proofs.
///
/// # Errors
/// As [`setup`].
pub fn setup_from(shape: Shape, rng: &mut StdRng) -> Result<ProvingKey, Groth16Error> {
    groth16::setup(RollupCircuit::blank(shape), rng)
}

/// Runs the circuit with its witness and checks every constraint, as [`groth16::synthesize`].
///
/// # Errors
/// The first constraint that is violated.
pub fn synthesize(circuit: RollupCircuit) -> Result<Assignment, Groth16Error> {
    groth16::synthesize(circuit)
}

/// Records the constraints of a shape, which all its batches share. Takes as long as running the circuit once.
///
/// # Errors
/// A circuit with more terms than can be numbered.
pub fn constraints(shape: Shape) -> Result<Arc<Constraints>, Groth16Error> {
    Constraints::record(move || RollupCircuit::blank(shape)).map(Arc::new)
}

/// Runs the circuit for the values of its variables, as [`groth16::witness`]: whether the recorded constraints hold
/// is found out by the engine that proves.
///
/// # Errors
/// Constraints of another shape.
pub fn witness(
    constraints: &Arc<Constraints>,
    circuit: RollupCircuit,
) -> Result<Assignment, Groth16Error> {
    groth16::witness(constraints, circuit)
}
