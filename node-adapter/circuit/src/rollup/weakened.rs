//! The circuit with one part of its memory argument left out: for mutation runs.
//!
//! [`weakened`] leaves one [`Mutation`] out, so that tests can see that a forgery works then
//! (`tests/rollup/mutants.rs`). A weakened circuit has another digest: no key and no verifier takes
//! its proofs. Not part of the documented interface.

use bellpepper_core::{Circuit, ConstraintSystem, SynthesisError};
use blstrs::Scalar;

use super::circuit::RollupCircuit;
use super::mutation::Mutation;

/// A circuit without a part of its memory argument.
pub fn weakened(circuit: RollupCircuit, without: Mutation) -> impl Circuit<Scalar> {
    Weakened { circuit, without }
}

struct Weakened {
    circuit: RollupCircuit,
    without: Mutation,
}

impl Circuit<Scalar> for Weakened {
    fn synthesize<CS: ConstraintSystem<Scalar>>(self, cs: &mut CS) -> Result<(), SynthesisError> {
        self.circuit.synthesize_without(cs, Some(self.without))
    }
}
