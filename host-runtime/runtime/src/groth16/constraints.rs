//! A circuit's constraints, recorded once and shared by its proofs.
//!
//! The structure of a circuit is the same for every witness, so its linear combinations need not be built anew for
//! each: a proof computes the values of its variables alone ([`witness`](super::witness())), and the rows of A and B from these, on all
//! cores, where and when they are wanted. An engine asks for blocks of rows, and each row is checked as it is computed.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use bellpepper_core::Circuit;
use blstrs::Scalar;
use ff::Field;
use rayon::prelude::*;

use super::names::name_of;
use super::r1cs::{R1cs, Side};
use super::{CircuitDigest, CircuitShape, Groth16Error};

/// Rows that one core computes at a time.
const STEP: usize = 256;

/// Finds the name of a constraint.
type Names = Box<dyn Fn(usize) -> Option<String> + Send + Sync>;

/// The recorded constraints of a circuit.
pub struct Constraints {
    r1cs: R1cs,
    names: Names,
}

/// Why rows were not computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowFault {
    /// The first constraint among them that the witness violates.
    Violated(usize),
    /// Nobody wants them any more.
    Stopped,
}

impl fmt::Debug for Constraints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Constraints")
            .field("shape", &self.shape())
            .finish_non_exhaustive()
    }
}

impl Constraints {
    /// Records the circuit that `circuit` makes. It needs no witness. The function is kept, and called again when
    /// the name of a violated constraint is wanted.
    ///
    /// # Errors
    /// The circuit's own, and [`Groth16Error::TooManyTerms`].
    pub fn record<C: Circuit<Scalar>>(
        circuit: impl Fn() -> C + Send + Sync + 'static,
    ) -> Result<Self, Groth16Error> {
        Ok(Self {
            r1cs: R1cs::record(circuit())?,
            names: Box::new(move |index| name_of(circuit(), index)),
        })
    }

    /// Sizes of the circuit.
    pub fn shape(&self) -> CircuitShape {
        self.r1cs.shape()
    }

    /// The digest that keys of the circuit carry.
    pub fn digest(&self) -> CircuitDigest {
        self.r1cs.digest()
    }

    /// Namespace path and name of a constraint. Runs the circuit for it.
    pub fn name(&self, index: usize) -> String {
        (self.names)(index).unwrap_or_else(|| "of unknown name".to_owned())
    }

    /// Computes the rows `first..first + a.len()` of A and B on the domain, on all cores: those of the constraints,
    /// one for each public input, and zeros. Constraints are checked: a violated one ends it. `stop` ends it soon
    /// after it is set. `a` and `b` are of one length, and `witness` is as long as the shape says.
    pub(super) fn rows(
        &self,
        witness: &[Scalar],
        first: usize,
        (a, b): (&mut [Scalar], &mut [Scalar]),
        stop: &AtomicBool,
    ) -> Result<(), RowFault> {
        let variables = witness.split_at(self.shape().inputs);
        let steps = a.par_chunks_mut(STEP).zip(b.par_chunks_mut(STEP));
        // Violated rows are looked for to the end, so that it is the first of them that is named.
        let faults = steps.enumerate().filter_map(|(step, rows)| {
            if stop.load(Ordering::Relaxed) {
                return Some(RowFault::Stopped);
            }
            let first = first + step * STEP;
            let violated = self.step(variables, first, rows);
            violated.map(RowFault::Violated)
        });
        // A row that was not looked at may have been the first.
        let fault = faults.reduce_with(|one, other| match (one, other) {
            (RowFault::Violated(one), RowFault::Violated(other)) => {
                RowFault::Violated(one.min(other))
            }
            _ => RowFault::Stopped,
        });
        fault.map_or(Ok(()), Err)
    }

    /// Rows on one core; the first violated one.
    fn step(
        &self,
        (inputs, aux): (&[Scalar], &[Scalar]),
        first: usize,
        (a, b): (&mut [Scalar], &mut [Scalar]),
    ) -> Option<usize> {
        let constraints = self.shape().constraints;
        let value = |side, row| self.r1cs.value(side, row, inputs, aux);
        let mut violated = None;
        for (row, (a, b)) in (first..).zip(a.iter_mut().zip(b)) {
            if row < constraints {
                (*a, *b) = (value(Side::A, row), value(Side::B, row));
                if *a * *b != value(Side::C, row) {
                    violated.get_or_insert(row);
                }
            } else {
                // One row x_i * 0 = 0 per public input.
                let input = inputs.get(row - constraints);
                (*a, *b) = (input.copied().unwrap_or(Scalar::ZERO), Scalar::ZERO);
            }
        }
        violated
    }
}

#[cfg(test)]
mod tests;
