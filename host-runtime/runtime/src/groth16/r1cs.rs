//! Recording a circuit's constraint system as sparse matrices, without a witness.
//!
//! Used by set-up and for the circuit digest. Variables are numbered public inputs first (the
//! constant ONE is 0), then private ones.

use bellpepper_core::{
    Circuit, ConstraintSystem, Index, LinearCombination, SynthesisError, Variable,
};
use blstrs::Scalar;
use sha2::{Digest, Sha256};

use super::{CircuitDigest, CircuitShape, Groth16Error};

/// A sparse matrix, one row per constraint, rows stored one after the other.
#[derive(Debug, Default)]
pub struct Matrix {
    /// End of each row in `terms`.
    ends: Vec<usize>,
    terms: Vec<(Index, Scalar)>,
}

impl Matrix {
    fn push(&mut self, row: &LinearCombination<Scalar>) {
        self.terms.extend(
            row.iter()
                .map(|(variable, value)| (variable.get_unchecked(), *value)),
        );
        self.ends.push(self.terms.len());
    }

    /// The rows in order, each a list of (variable, coefficient).
    pub fn rows(&self) -> impl Iterator<Item = &[(Index, Scalar)]> {
        let mut start = 0;
        self.ends
            .iter()
            .map(move |end| &self.terms[std::mem::replace(&mut start, *end)..*end])
    }
}

/// A recorded rank-1 constraint system: rows a * b = c.
#[derive(Debug)]
pub struct R1cs {
    /// Left factors.
    pub a: Matrix,
    /// Right factors.
    pub b: Matrix,
    /// Products.
    pub c: Matrix,
    inputs: usize,
    aux: usize,
}

impl R1cs {
    /// Records the constraints of `circuit`. Values are not computed, so a circuit without a
    /// witness will do.
    pub fn record<C: Circuit<Scalar>>(circuit: C) -> Result<Self, Groth16Error> {
        let mut system = <R1cs as ConstraintSystem<Scalar>>::new();
        circuit.synthesize(&mut system)?;
        Ok(system)
    }

    /// Sizes of the system.
    pub fn shape(&self) -> CircuitShape {
        CircuitShape {
            constraints: self.a.ends.len(),
            inputs: self.inputs,
            aux: self.aux,
        }
    }

    /// SHA-256 over sizes and all rows: per row and matrix the number of terms, then the terms in
    /// the order of variables, each as variable number (8 bytes) and canonical coefficient (32
    /// bytes), little-endian.
    pub fn digest(&self) -> CircuitDigest {
        let mut hash = Sha256::new();
        hash.update(b"carillon-r1cs-1");
        for size in [self.a.ends.len(), self.inputs, self.aux] {
            hash.update((size as u64).to_le_bytes());
        }
        for matrix in [&self.a, &self.b, &self.c] {
            for row in matrix.rows() {
                let mut terms: Vec<(u64, [u8; 32])> = row
                    .iter()
                    .map(|(index, value)| (self.number(*index) as u64, value.to_bytes_le()))
                    .collect();
                terms.sort_unstable();
                hash.update((terms.len() as u64).to_le_bytes());
                for (variable, coefficient) in terms {
                    hash.update(variable.to_le_bytes());
                    hash.update(coefficient);
                }
            }
        }
        CircuitDigest(hash.finalize().into())
    }

    /// The number of a variable: public inputs first.
    pub fn number(&self, index: Index) -> usize {
        match index {
            Index::Input(i) => i,
            Index::Aux(i) => self.inputs + i,
        }
    }
}

/// The digest that keys of `circuit` carry (see [`R1cs::digest`]).
pub fn circuit_digest<C: Circuit<Scalar>>(circuit: C) -> Result<CircuitDigest, Groth16Error> {
    Ok(R1cs::record(circuit)?.digest())
}

impl ConstraintSystem<Scalar> for R1cs {
    type Root = Self;

    fn new() -> Self {
        Self {
            a: Matrix::default(),
            b: Matrix::default(),
            c: Matrix::default(),
            inputs: 1,
            aux: 0,
        }
    }

    fn alloc<F, A, AR>(&mut self, _: A, _: F) -> Result<Variable, SynthesisError>
    where
        F: FnOnce() -> Result<Scalar, SynthesisError>,
        A: FnOnce() -> AR,
        AR: Into<String>,
    {
        self.aux += 1;
        Ok(Variable::new_unchecked(Index::Aux(self.aux - 1)))
    }

    fn alloc_input<F, A, AR>(&mut self, _: A, _: F) -> Result<Variable, SynthesisError>
    where
        F: FnOnce() -> Result<Scalar, SynthesisError>,
        A: FnOnce() -> AR,
        AR: Into<String>,
    {
        self.inputs += 1;
        Ok(Variable::new_unchecked(Index::Input(self.inputs - 1)))
    }

    fn enforce<A, AR, LA, LB, LC>(&mut self, _: A, a: LA, b: LB, c: LC)
    where
        A: FnOnce() -> AR,
        AR: Into<String>,
        LA: FnOnce(LinearCombination<Scalar>) -> LinearCombination<Scalar>,
        LB: FnOnce(LinearCombination<Scalar>) -> LinearCombination<Scalar>,
        LC: FnOnce(LinearCombination<Scalar>) -> LinearCombination<Scalar>,
    {
        self.a.push(&a(LinearCombination::zero()));
        self.b.push(&b(LinearCombination::zero()));
        self.c.push(&c(LinearCombination::zero()));
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
