//! Running a circuit with its witness: the values of all variables and of the polynomials A and B
//! on the domain; C is their product there.
//!
//! In two forms. [`synthesize`] builds every linear combination, evaluates it and checks every constraint as it is
//! enforced, so a false statement is refused by the name of its first violated constraint before any proving work.
//! [`witness`](super::witness()) computes the variables alone, for a circuit whose constraints are recorded ([`Constraints`]); the rows are
//! computed and checked by the engine, block by block.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bellpepper_core::{
    Circuit, ConstraintSystem, Index, LinearCombination, SynthesisError, Variable,
};
use blstrs::Scalar;
use ff::Field;

use super::constraints::RowFault;
use super::names::Path;
use super::{CircuitShape, Constraints, Groth16Error};
use crate::secret::SecretVec;

/// Rows that [`Assignment::check`] has in memory, a power of two.
const CHECKED_AT_ONCE: usize = 1 << 16;

/// What the engine needs beside the key. Its values are secret: they are not
/// printed, and wiped when it is dropped.
pub struct Assignment {
    shape: CircuitShape,
    witness: SecretVec<Scalar>,
    rows: Rows,
}

/// Where the values of A and B on the domain come from, zero beyond the rows.
enum Rows {
    /// They are there, of a satisfied circuit.
    Values([SecretVec<Scalar>; 2]),
    /// They are computed from the witness, which is yet to be checked.
    Recorded(Arc<Constraints>),
}

/// The values of A and B on the domain, as an [`Assignment`] has them. Where every constraint holds, C is their product in
/// each place.
#[derive(Debug)]
pub enum Polynomials<'a> {
    /// They are there, and every constraint holds.
    Values([&'a [Scalar]; 2]),
    /// They are computed from these, which also checks the witness.
    Recorded(&'a Arc<Constraints>),
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

    /// The values of all variables of a circuit whose constraints are recorded, as many as those say.
    pub(super) fn recorded(witness: SecretVec<Scalar>, constraints: &Arc<Constraints>) -> Self {
        Self {
            shape: constraints.shape(),
            witness,
            rows: Rows::Recorded(Arc::clone(constraints)),
        }
    }

    /// A and B, or what they are computed from.
    pub fn polynomials(&self) -> Polynomials<'_> {
        match &self.rows {
            Rows::Values([a, b]) => Polynomials::Values([a, b]),
            Rows::Recorded(constraints) => Polynomials::Recorded(constraints),
        }
    }

    /// Puts the rows from `first` on of A and B into two slices of one length, on all cores. Where they are not there
    /// they are computed and checked; `stop` ends that soon after it is set.
    pub(crate) fn rows(
        &self,
        first: usize,
        (a, b): (&mut [Scalar], &mut [Scalar]),
        stop: &AtomicBool,
    ) -> Result<(), RowFault> {
        match &self.rows {
            Rows::Values([all_a, all_b]) => {
                for (rows, all) in [(a, all_a), (b, all_b)] {
                    rows.copy_from_slice(&all[first..first + rows.len()]);
                }
                Ok(())
            }
            Rows::Recorded(constraints) => constraints.rows(&self.witness, first, (a, b), stop),
        }
    }

    /// Checks every constraint, on all cores, as each engine does before it proves.
    ///
    /// # Errors
    /// [`Groth16Error::Unsatisfied`].
    pub fn check(&self) -> Result<(), Groth16Error> {
        let domain = self.shape.domain();
        let zeros = || SecretVec::from(vec![Scalar::ZERO; domain.min(CHECKED_AT_ONCE)]);
        let [mut a, mut b] = [zeros(), zeros()];
        for first in (0..domain).step_by(CHECKED_AT_ONCE) {
            let computed = self.rows(first, (&mut a, &mut b), &AtomicBool::new(false));
            if let Err(RowFault::Violated(index)) = computed {
                return Err(self.unsatisfied(index));
            }
        }
        Ok(())
    }

    /// The error of a violated constraint, with its name.
    pub(super) fn unsatisfied(&self, index: usize) -> Groth16Error {
        let constraint = match &self.rows {
            // Every constraint was checked, so nobody can find one.
            Rows::Values(_) => "of unknown name".to_owned(),
            Rows::Recorded(constraints) => constraints.name(index),
        };
        Groth16Error::Unsatisfied { constraint, index }
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
    path: Path,
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
            rows: Rows::Values([self.a, self.b]),
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
            path: Path::default(),
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
            self.violation = Some(Violation {
                constraint: self.path.name(&name().into()),
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
