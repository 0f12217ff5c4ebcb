//! Running a circuit with its witness: the values of all variables and of the polynomials A and B
//! on the domain; C is their product there. Every constraint is checked as it is enforced, so a false statement is refused
//! by the name of its first violated constraint, before any proving work.

use std::fmt;

use bellpepper_core::{
    Circuit, ConstraintSystem, Index, LinearCombination, SynthesisError, Variable,
};
use blstrs::Scalar;
use ff::Field;

use super::{CircuitShape, Groth16Error};
use crate::secret::SecretVec;

/// A satisfied circuit: what the engine needs beside the key. Its values are secret: they are not
/// printed, and wiped when it is dropped.
pub struct Assignment {
    shape: CircuitShape,
    witness: SecretVec<Scalar>,
    a: SecretVec<Scalar>,
    b: SecretVec<Scalar>,
}

impl fmt::Debug for Assignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assignment")
            .field("shape", &self.shape)
            .finish_non_exhaustive()
    }
}

impl Assignment {
    /// Sizes of the circuit.
    pub fn shape(&self) -> CircuitShape {
        self.shape
    }

    /// Values of all variables: public inputs (the constant ONE first), then private ones.
    pub fn witness(&self) -> &[Scalar] {
        &self.witness
    }

    /// The public inputs without the constant ONE.
    pub fn public_inputs(&self) -> &[Scalar] {
        &self.witness[1..self.shape.inputs]
    }

    /// Values of A and B on the domain, zero beyond the rows. Since every constraint holds, C is their product in each place.
    pub fn polynomials(&self) -> [&[Scalar]; 2] {
        [&self.a, &self.b]
    }
}

/// Runs `circuit` with its witness and checks every constraint.
pub fn synthesize<C: Circuit<Scalar>>(circuit: C) -> Result<Assignment, Groth16Error> {
    let mut system = <WitnessSystem as ConstraintSystem<Scalar>>::new();
    circuit.synthesize(&mut system)?;
    system.finish()
}

/// The first violated constraint.
struct Violation {
    constraint: String,
    index: usize,
}

/// The constraint system that keeps values and forgets constraints.
struct WitnessSystem {
    inputs: SecretVec<Scalar>,
    aux: SecretVec<Scalar>,
    a: SecretVec<Scalar>,
    b: SecretVec<Scalar>,
    /// Names of the namespaces that are open.
    path: Vec<String>,
    violation: Option<Violation>,
}

impl WitnessSystem {
    fn finish(mut self) -> Result<Assignment, Groth16Error> {
        if let Some(Violation { constraint, index }) = self.violation {
            return Err(Groth16Error::Unsatisfied { constraint, index });
        }
        let shape = CircuitShape {
            constraints: self.a.len(),
            inputs: self.inputs.len(),
            aux: self.aux.len(),
        };
        // One row x_i * 0 = 0 per public input.
        self.a.extend_from_slice(&self.inputs);
        for values in [&mut self.a, &mut self.b] {
            values.resize(shape.domain(), Scalar::ZERO);
        }
        let mut witness = self.inputs;
        witness.extend_from_slice(&self.aux);
        Ok(Assignment {
            shape,
            witness,
            a: self.a,
            b: self.b,
        })
    }
}

impl ConstraintSystem<Scalar> for WitnessSystem {
    type Root = Self;

    fn new() -> Self {
        Self {
            inputs: vec![Scalar::ONE].into(),
            aux: SecretVec::new(),
            a: SecretVec::new(),
            b: SecretVec::new(),
            path: Vec::new(),
            violation: None,
        }
    }

    fn alloc<F, A, AR>(&mut self, _: A, value: F) -> Result<Variable, SynthesisError>
    where
        F: FnOnce() -> Result<Scalar, SynthesisError>,
        A: FnOnce() -> AR,
        AR: Into<String>,
    {
        self.aux.push(value()?);
        Ok(Variable::new_unchecked(Index::Aux(self.aux.len() - 1)))
    }

    fn alloc_input<F, A, AR>(&mut self, _: A, value: F) -> Result<Variable, SynthesisError>
    where
        F: FnOnce() -> Result<Scalar, SynthesisError>,
        A: FnOnce() -> AR,
        AR: Into<String>,
    {
        self.inputs.push(value()?);
        Ok(Variable::new_unchecked(Index::Input(self.inputs.len() - 1)))
    }

    fn enforce<A, AR, LA, LB, LC>(&mut self, name: A, a: LA, b: LB, c: LC)
    where
        A: FnOnce() -> AR,
        AR: Into<String>,
        LA: FnOnce(LinearCombination<Scalar>) -> LinearCombination<Scalar>,
        LB: FnOnce(LinearCombination<Scalar>) -> LinearCombination<Scalar>,
        LC: FnOnce(LinearCombination<Scalar>) -> LinearCombination<Scalar>,
    {
        let a = a(LinearCombination::zero()).eval(&self.inputs, &self.aux);
        let b = b(LinearCombination::zero()).eval(&self.inputs, &self.aux);
        let c = c(LinearCombination::zero()).eval(&self.inputs, &self.aux);
        if self.violation.is_none() && a * b != c {
            let mut constraint = self.path.join("/");
            if !constraint.is_empty() {
                constraint.push('/');
            }
            constraint.push_str(&name().into());
            self.violation = Some(Violation {
                constraint,
                index: self.a.len(),
            });
        }
        self.a.push(a);
        self.b.push(b);
    }

    fn push_namespace<NR, N>(&mut self, name: N)
    where
        NR: Into<String>,
        N: FnOnce() -> NR,
    {
        self.path.push(name().into());
    }

    fn pop_namespace(&mut self) {
        self.path.pop();
    }

    fn get_root(&mut self) -> &mut Self {
        self
    }
}
