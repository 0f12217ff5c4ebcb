//! The benchmark circuit, of any power-of-two size.

use bellpepper_core::{Circuit, ConstraintSystem, LinearCombination, SynthesisError};
use blstrs::Scalar;
use ff::Field;
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;

/// The benchmark circuit: knowledge of the start of a chain x -> x^2 + i whose end is public.
/// It has 2^log2 rows: 2^log2 - 2 constraints and two public inputs (ONE and the end).
#[derive(Clone, Debug)]
pub struct SquareChain {
    log2: u32,
    start: Option<Scalar>,
}

impl SquareChain {
    /// Smallest and largest supported size.
    pub const LOG2_RANGE: std::ops::RangeInclusive<u32> = 2..=26;

    /// The circuit without a witness, for set-up. `log2` outside the range is clamped to it.
    pub fn blank(log2: u32) -> Self {
        let (low, high) = (*Self::LOG2_RANGE.start(), *Self::LOG2_RANGE.end());
        Self {
            log2: log2.clamp(low, high),
            start: None,
        }
    }

    /// The circuit with a witness drawn from `seed`.
    pub fn with_witness(log2: u32, seed: u64) -> Self {
        let start = Scalar::random(ChaCha12Rng::seed_from_u64(seed));
        Self {
            start: Some(start),
            ..Self::blank(log2)
        }
    }

    /// Public inputs: ONE and the end.
    pub const INPUTS: usize = 2;
    /// Terms of a constraint: x, x, the next x and a constant.
    pub const TERMS: u64 = 4;

    /// Constraints of the circuit.
    pub fn constraints(&self) -> u64 {
        (1 << self.log2) - 2
    }

    /// The secret start of the chain; `None` without a witness.
    pub fn start(&self) -> Option<Scalar> {
        self.start
    }

    /// The public end of the chain; `None` without a witness.
    pub fn end(&self) -> Option<Scalar> {
        let start = self.start?;
        Some((0..self.constraints()).fold(start, |x, round| x.square() + Scalar::from(round)))
    }
}

impl Circuit<Scalar> for SquareChain {
    fn synthesize<CS: ConstraintSystem<Scalar>>(self, cs: &mut CS) -> Result<(), SynthesisError> {
        let rounds = self.constraints();
        let missing = SynthesisError::AssignmentMissing;
        let mut value = self.start;
        let mut current = cs.alloc(|| "start", || value.ok_or(missing))?;
        for round in 0..rounds {
            let mut cs = cs.namespace(|| format!("round {round}"));
            let constant = Scalar::from(round);
            value = value.map(|x| x.square() + constant);
            let assign = || value.ok_or(SynthesisError::AssignmentMissing);
            let next = if round + 1 == rounds {
                cs.alloc_input(|| "end", assign)?
            } else {
                cs.alloc(|| "x", assign)?
            };
            cs.enforce(
                || "square",
                |lc| lc + current,
                |lc| lc + current,
                |lc: LinearCombination<Scalar>| lc + next - (constant, CS::one()),
            );
            current = next;
        }
        Ok(())
    }
}
