//! Running a circuit for the values of its variables alone.

use std::sync::Arc;

use bellpepper_core::{
    Circuit, ConstraintSystem, Index, LinearCombination, SynthesisError, Variable,
};
use blstrs::Scalar;
use ff::Field;

use super::{Assignment, CircuitShape, Constraints, Groth16Error};
use crate::secret::SecretVec;

/// Runs `circuit` with its witness for the values of its variables: no linear combination is built or evaluated.
/// The constraints are those recorded of the same circuit; whether they hold is found out when their rows are
/// computed, on all cores, while a proof is made.
///
/// # Errors
/// The circuit's own; [`Groth16Error::CircuitMismatch`] if it has not as many variables and constraints as were
/// recorded, because it is another, or because its structure depends on its witness.
pub fn witness<C: Circuit<Scalar>>(
    constraints: &Arc<Constraints>,
    circuit: C,
) -> Result<Assignment, Groth16Error> {
    let expected = constraints.shape();
    let mut system = Values {
        // At their full length and in their places from the start: a list that grows is copied.
        values: vec![Scalar::ZERO; expected.variables()].into(),
        expected,
        found: CircuitShape {
            constraints: 0,
            inputs: 0,
            aux: 0,
        },
    };
    system.input(Scalar::ONE);
    circuit.synthesize(&mut system)?;
    system.found.must_be(expected)?;
    Ok(Assignment::recorded(system.values, constraints))
}

/// The constraint system that keeps values and counts constraints.
struct Values {
    /// Public inputs, then private variables, as far as they were expected.
    values: SecretVec<Scalar>,
    expected: CircuitShape,
    found: CircuitShape,
}

impl Values {
    fn input(&mut self, value: Scalar) -> Index {
        let index = self.found.inputs;
        if index < self.expected.inputs {
            self.values[index] = value;
        }
        self.found.inputs += 1;
        Index::Input(index)
    }

    fn aux(&mut self, value: Scalar) -> Index {
        let index = self.found.aux;
        if index < self.expected.aux {
            self.values[self.expected.inputs + index] = value;
        }
        self.found.aux += 1;
        Index::Aux(index)
    }
}

impl ConstraintSystem<Scalar> for Values {
    type Root = Self;

    fn alloc<F, A, AR>(&mut self, _: A, value: F) -> Result<Variable, SynthesisError>
    where
        F: FnOnce() -> Result<Scalar, SynthesisError>,
        A: FnOnce() -> AR,
        AR: Into<String>,
    {
        let value = value()?;
        Ok(Variable::new_unchecked(self.aux(value)))
    }

    fn alloc_input<F, A, AR>(&mut self, _: A, value: F) -> Result<Variable, SynthesisError>
    where
        F: FnOnce() -> Result<Scalar, SynthesisError>,
        A: FnOnce() -> AR,
        AR: Into<String>,
    {
        let value = value()?;
        Ok(Variable::new_unchecked(self.input(value)))
    }

    fn enforce<A, AR, LA, LB, LC>(&mut self, _: A, _: LA, _: LB, _: LC)
    where
        A: FnOnce() -> AR,
        AR: Into<String>,
        LA: FnOnce(LinearCombination<Scalar>) -> LinearCombination<Scalar>,
        LB: FnOnce(LinearCombination<Scalar>) -> LinearCombination<Scalar>,
        LC: FnOnce(LinearCombination<Scalar>) -> LinearCombination<Scalar>,
    {
        self.found.constraints += 1;
    }

    fn push_namespace<NR, N>(&mut self, _: N)
    where
        NR: Into<String>,
        N: FnOnce() -> NR,
    {
    }

    fn pop_namespace(&mut self) {}

    fn get_root(&mut self) -> &mut Self {
        self
    }
}
