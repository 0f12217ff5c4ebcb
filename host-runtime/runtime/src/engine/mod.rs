//! The `Engine` trait: what the prover needs computed, wherever it is computed.
//!
//! Implemented by `cpu` and `card`; called by `groth16`, the CLIs and
//! the benches. All engines return identical bytes for identical input and refuse the same wrong
//! inputs (`check`). Jobs are futures over borrowed memory.

pub(crate) mod address;
pub(crate) mod bases;
pub(crate) mod check;
mod error;
mod group;
mod kind;
mod open;
mod options;
mod reopen;

use std::ops::AddAssign;
use std::sync::Arc;

use async_trait::async_trait;
use blstrs::{G1Affine, G2Affine, Scalar};
use carillon_driver::windows::WindowChoice;
use serde::Serialize;

pub use bases::Bases;
pub use error::{ENGINES, EngineError};
pub use group::SumPoint;
pub use kind::EngineKind;
pub use open::{open, open_with};
pub use options::{DMA_MEMORY, DmaMemory, EngineOptions};
pub use reopen::{ReopeningEngine, open_lasting};

use crate::groth16::{Assignment, ProvingKey};
use crate::progress::ProgressSink;
use crate::stats::JobStats;

/// Which transform [`Engine::ntt`] computes, in natural order on both sides, with
/// omega = blstrs' `ROOT_OF_UNITY` raised to 2^(32 - log2 n), the coset generator 7, and psi the root
/// of order 2n whose square is omega.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NttKind {
    /// Coefficients to evaluations: out_k = sum in_j omega^(jk).
    Forward,
    /// Undoes `Forward`, including the factor 1/n.
    Inverse,
    /// Coefficients to evaluations on the coset: out_k = sum in_j (7 omega^k)^j.
    CosetForward,
    /// Undoes `CosetForward`.
    CosetInverse,
    /// Coefficients to evaluations at the odd powers: out_k = sum in_j psi^((2k + 1) j).
    OddForward,
    /// Undoes `OddForward`.
    OddInverse,
}

impl NttKind {
    /// All transforms.
    pub const ALL: [NttKind; 6] = [
        NttKind::Forward,
        NttKind::Inverse,
        NttKind::CosetForward,
        NttKind::CosetInverse,
        NttKind::OddForward,
        NttKind::OddInverse,
    ];

    /// True for the transforms from evaluations to coefficients.
    pub fn is_inverse(self) -> bool {
        matches!(
            self,
            NttKind::Inverse | NttKind::CosetInverse | NttKind::OddInverse
        )
    }

    /// True for the transforms over the coset of 7.
    pub fn is_coset(self) -> bool {
        matches!(self, NttKind::CosetForward | NttKind::CosetInverse)
    }

    /// True for the transforms over the odd powers.
    pub fn is_odd(self) -> bool {
        matches!(self, NttKind::OddForward | NttKind::OddInverse)
    }
}

/// How to run a multi-scalar multiplication. The result does not depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MsmOptions {
    /// Bits of a signed window on a card; `None` lets the engine choose. The CPU ignores it.
    pub window_bits: Option<u8>,
}

/// What an engine is and what it can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EngineInfo {
    /// The engine's name, as accepted by [`EngineKind`].
    pub name: String,
    /// One line for humans: which hardware or simulation, which configuration.
    pub description: String,
    /// Bytes of card memory; `None` for the CPU.
    pub card_memory: Option<u64>,
    /// Proofs that it works on at the same time, if their memory allows; more wait for their turn.
    pub proofs_at_once: usize,
    /// Largest transform, as a power of two.
    pub max_ntt_log2: u32,
    /// Largest signed window of an MSM in bits; `None` where windows cannot be chosen.
    pub max_window_bits: Option<u8>,
    /// Point adders of the card; `None` for the CPU.
    pub msm_adders: Option<u8>,
    /// Whether sums in G2 run on a card; false on the CPU, and on a card without `MSM_G2`.
    pub msm_g2: bool,
    /// The windows that the card chooses in G1 where it is left the choice; `None` if it does not
    /// say.
    #[serde(skip)]
    pub window_choice: Option<WindowChoice>,
    /// The same in G2.
    #[serde(skip)]
    pub g2_window_choice: Option<WindowChoice>,
}

/// A proving key in a card's memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ResidentKey {
    /// The circuit that it is of, in hexadecimal.
    pub circuit: String,
    /// Bytes of card memory that it takes.
    pub bytes: u64,
    /// Whether a job uses it now.
    pub in_use: bool,
}

/// The five sums of a Groth16 proof before they are blinded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groth16Points {
    /// Quotient polynomial over the H query.
    pub h: G1Affine,
    /// Witness over the L query.
    pub l: G1Affine,
    /// Witness over the A query.
    pub a: G1Affine,
    /// Witness over the B query in G1.
    pub b1: G1Affine,
    /// Witness over the B query in G2.
    pub b2: G2Affine,
}

/// Cycles of an adder for an addition in G2 (`hdl/doc/g2.md`).
pub const G2_ADDITION: u64 = 3;

/// Cost of the stages of [`Engine::groth16`]. Stages that run at the same time each report
/// their own wall time, so the sum may exceed the elapsed time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Groth16Stats {
    /// Moving the key (when it was not there yet) and the job's inputs; computing rows of recorded constraints meanwhile.
    pub load: JobStats,
    /// Six transforms, or seven.
    pub ntt: JobStats,
    /// The pointwise quotient.
    pub quotient: JobStats,
    /// The H multi-scalar multiplication.
    pub h: JobStats,
    /// The L multi-scalar multiplication.
    pub l: JobStats,
    /// The A multi-scalar multiplication.
    pub a: JobStats,
    /// The B multi-scalar multiplication in G1.
    pub b1: JobStats,
    /// The B multi-scalar multiplication in G2.
    pub b2: JobStats,
}

impl AddAssign<&Groth16Stats> for Groth16Stats {
    fn add_assign(&mut self, other: &Groth16Stats) {
        self.load += &other.load;
        self.ntt += &other.ntt;
        self.quotient += &other.quotient;
        self.h += &other.h;
        self.l += &other.l;
        self.a += &other.a;
        self.b1 += &other.b1;
        self.b2 += &other.b2;
    }
}

impl Groth16Stats {
    /// Cycles of an adder for all point additions that a card made in these stages: one in G1, [`G2_ADDITION`] in G2. What the
    /// CPU summed counts nothing.
    pub fn adder_cycles(&self) -> u64 {
        let made = |stage: &JobStats| {
            let card = stage.card.as_ref();
            card.map_or(0, |card| card.additions + card.aggregation_additions)
        };
        let in_g1: u64 = [&self.h, &self.l, &self.a, &self.b1].map(made).iter().sum();
        in_g1 + G2_ADDITION * made(&self.b2)
    }

    /// The sum of all stages.
    pub fn total(&self) -> JobStats {
        let mut sum = JobStats::default();
        for part in [
            &self.load,
            &self.ntt,
            &self.quotient,
            &self.h,
            &self.l,
            &self.a,
            &self.b1,
            &self.b2,
        ] {
            sum += part;
        }
        sum
    }
}

/// A place where the prover's heavy operations run.
///
/// Lengths are in elements. Every operation refuses length 0, mismatched lengths and scalars
/// that are not reduced; a failed job leaves the engine usable.
#[async_trait]
pub trait Engine: Send + Sync {
    /// Short name, e.g. `cpu` or `sim:rtl`; used in reports and errors.
    fn name(&self) -> &str;

    /// What the engine is and its limits.
    fn info(&self) -> EngineInfo;

    /// The sum of `scalars[i] * bases[i]` in G1. Bases may be infinity, repeated or negated, and
    /// any points of the curve; they need reduced coordinates, and are not checked to lie on the
    /// curve. What is known of them ([`Bases`]) decides the cost on a card, never the result.
    async fn msm_g1_with(
        &self,
        bases: Bases<'_>,
        scalars: &[Scalar],
        options: MsmOptions,
    ) -> Result<(G1Affine, JobStats), EngineError>;

    /// [`Engine::msm_g1_with`] for bases of which nothing is known, with the engine's own choice
    /// of options.
    async fn msm_g1(
        &self,
        bases: &[G1Affine],
        scalars: &[Scalar],
    ) -> Result<(G1Affine, JobStats), EngineError> {
        self.msm_g1_with(Bases::unknown(bases), scalars, MsmOptions::default())
            .await
    }

    /// The sum of `scalars[i] * bases[i]` in G2, with the rules of [`Engine::msm_g1_with`].
    /// Not every card offers it ([`EngineInfo::msm_g2`]): the engine of one that does not computes it
    /// on the CPU and says so in the statistics (`card` is `None`).
    async fn msm_g2_with(
        &self,
        bases: Bases<'_, G2Affine>,
        scalars: &[Scalar],
        options: MsmOptions,
    ) -> Result<(G2Affine, JobStats), EngineError>;

    /// [`Engine::msm_g2_with`] for bases of which nothing is known, with the engine's own choice
    /// of options.
    async fn msm_g2(
        &self,
        bases: &[G2Affine],
        scalars: &[Scalar],
    ) -> Result<(G2Affine, JobStats), EngineError> {
        self.msm_g2_with(Bases::unknown(bases), scalars, MsmOptions::default())
            .await
    }

    /// Transforms `values` in place. The length must be a power of two.
    async fn ntt(&self, values: &mut [Scalar], kind: NttKind) -> Result<JobStats, EngineError>;

    /// `(a[i] * b[i] - c[i]) * z` for every i.
    async fn quotient(
        &self,
        a: &[Scalar],
        b: &[Scalar],
        c: &[Scalar],
        z: &Scalar,
    ) -> Result<(Vec<Scalar>, JobStats), EngineError>;

    /// Brings a proving key to where the engine computes and keeps it there, so that later
    /// proofs with the same key need not move it. Loading a loaded key costs nothing.
    async fn load_key(&self, key: &Arc<ProvingKey>) -> Result<JobStats, EngineError>;

    /// The keys that lie in card memory now, the one used least recently first; none on the CPU. A key stays
    /// there after the job that brought it, until it is unloaded or others need the memory.
    async fn resident_keys(&self) -> Vec<ResidentKey> {
        Vec::new()
    }

    /// Forgets a key loaded with [`Engine::load_key`] and frees its memory, which is overwritten
    /// first. Unknown keys are ignored.
    async fn unload_key(&self, key: &Arc<ProvingKey>) -> Result<(), EngineError>;

    /// Whether a job would be taken now. A prover asks before it leases one.
    async fn ready(&self) -> Result<(), EngineError> {
        Ok(())
    }

    /// Everything heavy of one proof: six transforms (or seven), the quotient, and the five multi-scalar
    /// multiplications. On a card the chain stays in card memory: the witness and the polynomials A and B
    /// go down once and only points come back. Loads the key if need be.
    async fn groth16(
        &self,
        key: &Arc<ProvingKey>,
        assignment: &Arc<Assignment>,
        progress: &dyn ProgressSink,
    ) -> Result<(Groth16Points, Groth16Stats), EngineError>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::CardStats;

    #[test]
    fn an_addition_in_g2_takes_an_adder_three_cycles() {
        let made = |additions, aggregation_additions| JobStats {
            card: Some(CardStats {
                additions,
                aggregation_additions,
                ..CardStats::default()
            }),
            ..JobStats::default()
        };
        let mut stats = Groth16Stats {
            h: made(1, 2),
            l: made(10, 20),
            a: made(100, 200),
            b1: made(1_000, 2_000),
            b2: made(10_000, 20_000),
            ..Groth16Stats::default()
        };
        assert_eq!(stats.adder_cycles(), 3_333 + 3 * 30_000);
        stats.b2 = JobStats::default();
        assert_eq!(stats.adder_cycles(), 3_333);
    }
}
