//! Recording a circuit's constraint system as sparse matrices, without a witness.
//!
//! Used by set-up, for the circuit digest, and by `constraints`, which computes rows from a witness. Variables
//! are numbered public inputs first (the constant ONE is 0), then private ones.

use std::collections::HashMap;

use bellpepper_core::{
    Circuit, ConstraintSystem, Index, LinearCombination, SynthesisError, Variable,
};
use blstrs::Scalar;
use ff::Field;
use sha2::{Digest, Sha256};

use super::{CircuitDigest, CircuitShape, Groth16Error};
use crate::image::{self, SCALAR_BYTES};

/// Marks a private variable among the numbers of a matrix; the others are public inputs.
const AUX: u32 = 1 << 31;
/// The coefficients that most terms have come first in the table.
const PLUS_ONE: u32 = 0;
const MINUS_ONE: u32 = 1;

/// A sparse matrix in compressed rows, one per constraint. Coefficients are places in the system's table.
#[derive(Debug, Default)]
struct Matrix {
    /// End of each row among the terms.
    ends: Vec<u32>,
    variables: Vec<u32>,
    coefficients: Vec<u32>,
}

impl Matrix {
    /// The terms of a row: variables, and places of their coefficients.
    fn row(&self, row: usize) -> (&[u32], &[u32]) {
        let start = match row {
            0 => 0,
            row => self.ends[row - 1] as usize,
        };
        let terms = start..self.ends[row] as usize;
        (&self.variables[terms.clone()], &self.coefficients[terms])
    }
}

/// One of the three matrices of a system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Left factors.
    A,
    /// Right factors.
    B,
    /// Products.
    C,
}

impl Side {
    /// All three.
    pub const ALL: [Self; 3] = [Self::A, Self::B, Self::C];
}

/// A recorded rank-1 constraint system: rows a * b = c. Eight bytes a term, and each coefficient once.
#[derive(Debug)]
pub struct R1cs {
    matrices: [Matrix; 3],
    /// Coefficients by place; +1 and -1 first.
    table: Vec<Scalar>,
    /// Where coefficients are in the table, by their image.
    places: HashMap<[u8; SCALAR_BYTES], u32>,
    inputs: usize,
    aux: usize,
    /// A number has not fitted into its 32 bits.
    too_large: bool,
}

impl R1cs {
    /// Records the constraints of `circuit`. Values are not computed, so a circuit without a
    /// witness will do.
    ///
    /// # Errors
    /// The circuit's own, and [`Groth16Error::TooManyTerms`].
    pub fn record<C: Circuit<Scalar>>(circuit: C) -> Result<Self, Groth16Error> {
        let mut system = <R1cs as ConstraintSystem<Scalar>>::new();
        circuit.synthesize(&mut system)?;
        system.finish()
    }

    /// Without what only recording needs.
    pub(super) fn finish(mut self) -> Result<Self, Groth16Error> {
        if self.too_large {
            return Err(Groth16Error::TooManyTerms);
        }
        self.places = HashMap::new();
        self.table.shrink_to_fit();
        for matrix in &mut self.matrices {
            for numbers in [
                &mut matrix.ends,
                &mut matrix.variables,
                &mut matrix.coefficients,
            ] {
                numbers.shrink_to_fit();
            }
        }
        Ok(self)
    }

    /// Sizes of the system.
    pub fn shape(&self) -> CircuitShape {
        CircuitShape {
            constraints: self.matrices[0].ends.len(),
            inputs: self.inputs,
            aux: self.aux,
        }
    }

    /// The rows of a matrix in order, each its terms.
    pub fn rows(
        &self,
        side: Side,
    ) -> impl ExactSizeIterator<Item = impl Iterator<Item = (Index, Scalar)>> {
        let matrix = &self.matrices[side as usize];
        (0..matrix.ends.len()).map(move |row| {
            let (variables, places) = matrix.row(row);
            let terms = variables.iter().zip(places);
            terms.map(|(variable, place)| (index(*variable), self.table[*place as usize]))
        })
    }

    /// The value of a row. `inputs` and `aux` are as long as the system's shape says.
    pub(super) fn value(
        &self,
        side: Side,
        row: usize,
        inputs: &[Scalar],
        aux: &[Scalar],
    ) -> Scalar {
        let (variables, places) = self.matrices[side as usize].row(row);
        let mut sum = Scalar::ZERO;
        for (variable, place) in variables.iter().zip(places) {
            let value = match variable & AUX {
                0 => &inputs[*variable as usize],
                _ => &aux[(variable & !AUX) as usize],
            };
            match *place {
                PLUS_ONE => sum += value,
                MINUS_ONE => sum -= value,
                place => sum += self.table[place as usize] * value,
            }
        }
        sum
    }

    /// SHA-256 over sizes and all rows: per row and matrix the number of terms, then the terms in
    /// the order of variables, each as variable number (8 bytes) and canonical coefficient (32
    /// bytes), little-endian.
    pub fn digest(&self) -> CircuitDigest {
        let mut hash = Sha256::new();
        hash.update(b"carillon-r1cs-1");
        let CircuitShape {
            constraints,
            inputs,
            aux,
        } = self.shape();
        for size in [constraints, inputs, aux] {
            hash.update((size as u64).to_le_bytes());
        }
        let mut terms: Vec<(u64, [u8; 32])> = Vec::new();
        for side in Side::ALL {
            for row in self.rows(side) {
                terms.clear();
                terms.extend(
                    row.map(|(index, value)| (self.number(index) as u64, value.to_bytes_le())),
                );
                terms.sort_unstable();
                hash.update((terms.len() as u64).to_le_bytes());
                for (variable, coefficient) in &terms {
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

    fn push(&mut self, side: Side, row: &LinearCombination<Scalar>) {
        for (variable, coefficient) in row.iter() {
            let place = self.place(coefficient);
            let variable = match variable.get_unchecked() {
                Index::Input(i) => number(i).filter(|i| i & AUX == 0),
                Index::Aux(i) => number(i).filter(|i| i & AUX == 0).map(|i| i | AUX),
            };
            let (Some(variable), Some(place)) = (variable, place) else {
                self.too_large = true;
                return;
            };
            let matrix = &mut self.matrices[side as usize];
            matrix.variables.push(variable);
            matrix.coefficients.push(place);
        }
        let matrix = &mut self.matrices[side as usize];
        match number(matrix.variables.len()) {
            Some(end) => matrix.ends.push(end),
            None => self.too_large = true,
        }
    }

    /// The place of a coefficient in the table, where it is put if it is new.
    fn place(&mut self, coefficient: &Scalar) -> Option<u32> {
        let mut image = [0; SCALAR_BYTES];
        image.copy_from_slice(image::bytes(std::slice::from_ref(coefficient)));
        if let Some(place) = self.places.get(&image) {
            return Some(*place);
        }
        let place = number(self.table.len())?;
        self.table.push(*coefficient);
        self.places.insert(image, place);
        Some(place)
    }
}

/// A number in its 32 bits, if it fits.
fn number(number: usize) -> Option<u32> {
    u32::try_from(number).ok()
}

/// The variable of a number in a matrix.
fn index(variable: u32) -> Index {
    match variable & AUX {
        0 => Index::Input(variable as usize),
        _ => Index::Aux((variable & !AUX) as usize),
    }
}

/// The digest that keys of `circuit` carry (see [`R1cs::digest`]).
pub fn circuit_digest<C: Circuit<Scalar>>(circuit: C) -> Result<CircuitDigest, Groth16Error> {
    Ok(R1cs::record(circuit)?.digest())
}

impl ConstraintSystem<Scalar> for R1cs {
    type Root = Self;

    fn new() -> Self {
        let mut system = Self {
            matrices: Default::default(),
            table: Vec::new(),
            places: HashMap::new(),
            inputs: 1,
            aux: 0,
            too_large: false,
        };
        // In the order of `PLUS_ONE` and `MINUS_ONE`.
        for known in [Scalar::ONE, -Scalar::ONE] {
            system.place(&known);
        }
        system
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
        self.push(Side::A, &a(LinearCombination::zero()));
        self.push(Side::B, &b(LinearCombination::zero()));
        self.push(Side::C, &c(LinearCombination::zero()));
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
