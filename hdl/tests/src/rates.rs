//! What an MSM costs beside the least it could cost: shared by `tests/msm_rates.rs` and `examples/msm_rates.rs`.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::curve::MsmCurve;
use crate::msm::{Job, Msm};
use crate::recode::ideal_cycles;
use crate::unit::Outcome;
use crate::workload::{Points, Scalars};

/// The distributions of the rate table. Two of them are made for windows of `window_bits` bits.
#[must_use]
pub fn distributions(window_bits: u8) -> [(&'static str, Scalars); 9] {
    [
        ("uniform", Scalars::Uniform),
        ("all equal", Scalars::Equal),
        ("all one", Scalars::One),
        ("zeros and ones", Scalars::ZeroOne),
        ("witness", Scalars::Witness),
        ("Zipf", Scalars::Zipf),
        ("ascending", Scalars::Ascending),
        ("one bucket a window", Scalars::Hot(window_bits)),
        ("four buckets a window", Scalars::Cycled(window_bits)),
    ]
}

/// A run and the least it could cost.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// What the engine reports.
    pub outcome: Outcome,
    /// (digits that are not zero + 2 x buckets) / adders, in G2 three times that.
    pub ideal: f64,
    /// Elements.
    pub count: usize,
}

impl Rate {
    /// Runs `count` pairs with distinct points, checks the sum and counts the digits. The window size is a
    /// given one: a completion does not tell the card's choice.
    pub fn measure<C: MsmCurve>(
        msm: &mut Msm<C>,
        count: usize,
        factors: Scalars,
        window_bits: u8,
        adders: usize,
    ) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let kinds = (Points::Distinct, factors);
        let job = Job::draw(&mut rng, count, kinds, window_bits, C::MODES[0]);
        let outcome = msm.run(&job);
        assert_eq!(msm.result(), job.golden_large(), "{factors:?}");
        // An addition in Fp2 takes three multiplications, and as many cycles.
        let pace = if C::DEGREE == 1 { 1.0 } else { 3.0 };
        Self {
            outcome,
            ideal: pace * ideal_cycles(&job.factors, job.mode, window_bits.into(), adders as u64),
            count,
        }
    }

    /// Cycles over the least.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.outcome.cycles as f64 / self.ideal
    }

    /// Cycles for each element.
    #[must_use]
    pub fn per_point(&self) -> f64 {
        self.outcome.cycles as f64 / self.count as f64
    }

    /// Additions of the bucket phase over the adders' cycles in it.
    #[must_use]
    pub fn occupancy(&self) -> f64 {
        let bubbles: u64 = self.outcome.bubbles.iter().sum();
        self.outcome.ops as f64 / (self.outcome.ops + bubbles) as f64
    }
}
