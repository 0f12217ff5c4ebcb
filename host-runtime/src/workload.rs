//! Deterministic inputs for benches, tests and the `carillon` command: scalars of several
//! distributions, bases, and a circuit of any power-of-two size. Same seed, same input.

use std::fmt;
use std::str::FromStr;

use bellpepper_core::{Circuit, ConstraintSystem, LinearCombination, SynthesisError};
use blstrs::{G1Affine, G1Projective, G2Affine, G2Projective, Scalar};
use ff::Field;
use group::prime::PrimeCurve;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use rayon::prelude::*;

/// How scalars are distributed. Bucket methods differ most on these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// Uniform below r.
    Uniform,
    /// One uniform scalar, repeated: every addition of a window goes to one bucket.
    Equal,
    /// Zeros and ones in equal shares.
    ZerosOnes,
    /// A mixture as in circuits with bit decompositions: half bits, an eighth 64-bit values, the
    /// rest uniform.
    Witness,
}

impl Distribution {
    /// All distributions.
    pub const ALL: [Distribution; 4] = [Self::Uniform, Self::Equal, Self::ZerosOnes, Self::Witness];

    /// The name as users write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Equal => "equal",
            Self::ZerosOnes => "zeros-ones",
            Self::Witness => "witness",
        }
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Distribution {
    type Err = String;

    fn from_str(given: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == given)
            .ok_or_else(|| {
                format!("unknown distribution `{given}`; use uniform, equal, zeros-ones or witness")
            })
    }
}

/// `count` scalars.
pub fn scalars(count: usize, distribution: Distribution, seed: u64) -> Vec<Scalar> {
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    let first = Scalar::random(&mut rng);
    (0..count)
        .map(|_| match distribution {
            Distribution::Uniform => Scalar::random(&mut rng),
            Distribution::Equal => first,
            Distribution::ZerosOnes => Scalar::from(u64::from(rng.r#gen::<bool>())),
            Distribution::Witness => match rng.gen_range(0..8) {
                0..4 => Scalar::from(u64::from(rng.r#gen::<bool>())),
                4 => Scalar::from(rng.r#gen::<u64>()),
                _ => Scalar::random(&mut rng),
            },
        })
        .collect()
}

/// `count` distinct points of the subgroup: an arithmetic progression with random start and step.
fn progression<C: PrimeCurve>(count: usize, seed: u64) -> Vec<C::Affine>
where
    C::Affine: Send,
{
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    let (start, step) = (C::random(&mut rng), C::random(&mut rng));
    let sums: Vec<C> = std::iter::successors(Some(start), |sum| Some(*sum + step))
        .take(count)
        .collect();
    sums.par_iter().map(C::to_affine).collect()
}

/// `count` distinct G1 points.
pub fn g1_bases(count: usize, seed: u64) -> Vec<G1Affine> {
    progression::<G1Projective>(count, seed)
}

/// `count` distinct G2 points.
pub fn g2_bases(count: usize, seed: u64) -> Vec<G2Affine> {
    progression::<G2Projective>(count, seed)
}

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
