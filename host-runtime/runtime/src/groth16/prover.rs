//! Making a proof: synthesis, the engine's heavy part, blinding, and the check before release.

use std::ops::AddAssign;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bellpepper_core::Circuit;
use blstrs::{G1Affine, G2Affine, Scalar};
use ff::Field;
use group::Curve;
use group::prime::PrimeCurveAffine;
use rand::rngs::OsRng;
use rand::{CryptoRng, RngCore};
use serde::Serialize;

use super::{Assignment, CircuitShape, Groth16Error, Proof, ProvingKey, synthesize, verify};
use crate::cpu::blocking;
use crate::engine::{Engine, EngineError, Groth16Points, Groth16Stats};
use crate::progress::{Phase, ProgressEvent, ProgressSink};
use crate::secret::Secret;
use crate::stats::{CardStats, JobStats, seconds};

/// What making a proof cost.
#[derive(Clone, Debug, Serialize)]
pub struct ProveReport {
    /// The engine that computed it.
    pub engine: String,
    /// Sizes of the circuit.
    pub circuit: CircuitShape,
    /// log2 of the evaluation domain.
    pub domain_log2: u32,
    /// Elapsed time from the call to the checked proof.
    #[serde(rename = "wall_seconds", serialize_with = "seconds")]
    pub wall: Duration,
    /// Elapsed time by phase.
    pub phases: PhaseTimes,
    /// The engine's cost by stage.
    pub stages: Groth16Stats,
    /// The card's counters over all stages; `None` when no card took part.
    pub card: Option<CardStats>,
}

/// Elapsed time by phase, in seconds when serialised. Phases of one proof may overlap: on a card
/// engine `b2` runs on the CPU beside the rest.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PhaseTimes {
    /// Running the circuit; checking every constraint where they are not recorded.
    #[serde(serialize_with = "seconds")]
    pub synthesis: Duration,
    /// Moving key and witness; computing and checking the rows of recorded constraints meanwhile.
    #[serde(serialize_with = "seconds")]
    pub load: Duration,
    /// Six transforms, or seven.
    #[serde(serialize_with = "seconds")]
    pub ntt: Duration,
    /// The pointwise quotient.
    #[serde(serialize_with = "seconds")]
    pub quotient: Duration,
    /// The H multi-scalar multiplication.
    #[serde(serialize_with = "seconds")]
    pub h: Duration,
    /// The L multi-scalar multiplication.
    #[serde(serialize_with = "seconds")]
    pub l: Duration,
    /// The A multi-scalar multiplication.
    #[serde(serialize_with = "seconds")]
    pub a: Duration,
    /// The B multi-scalar multiplication in G1.
    #[serde(serialize_with = "seconds")]
    pub b1: Duration,
    /// The B multi-scalar multiplication in G2.
    #[serde(serialize_with = "seconds")]
    pub b2: Duration,
    /// Checking the finished proof.
    #[serde(serialize_with = "seconds")]
    pub verify: Duration,
}

impl AddAssign<&PhaseTimes> for PhaseTimes {
    fn add_assign(&mut self, other: &PhaseTimes) {
        self.synthesis += other.synthesis;
        self.load += other.load;
        self.ntt += other.ntt;
        self.quotient += other.quotient;
        self.h += other.h;
        self.l += other.l;
        self.a += other.a;
        self.b1 += other.b1;
        self.b2 += other.b2;
        self.verify += other.verify;
    }
}

/// The cost of another proof on top. Times are added although they may be the same time.
impl AddAssign<&ProveReport> for ProveReport {
    fn add_assign(&mut self, other: &ProveReport) {
        self.wall += other.wall;
        self.phases += &other.phases;
        self.stages += &other.stages;
        if let Some(card) = &other.card {
            *self.card.get_or_insert_default() += card;
        }
    }
}

impl PhaseTimes {
    /// The time of one phase.
    pub fn get(&self, phase: Phase) -> Duration {
        match phase {
            Phase::Synthesis => self.synthesis,
            Phase::Load => self.load,
            Phase::Ntt => self.ntt,
            Phase::Quotient => self.quotient,
            Phase::H => self.h,
            Phase::L => self.l,
            Phase::A => self.a,
            Phase::B1 => self.b1,
            Phase::B2 => self.b2,
            Phase::Verify => self.verify,
        }
    }
}

/// Proves that `circuit` is satisfied by the witness it carries.
///
/// The witness is checked constraint by constraint first; the finished proof is verified before
/// it is returned. Blinding factors come from the operating system's random generator.
pub async fn prove<C: Circuit<Scalar>>(
    engine: &dyn Engine,
    key: &Arc<ProvingKey>,
    circuit: C,
    progress: &dyn ProgressSink,
) -> Result<(Proof, ProveReport), Groth16Error> {
    prove_with(engine, key, || synthesize(circuit), progress).await
}

/// [`prove`], with the assignment from a function that makes it as [`synthesize`] or, for a circuit whose constraints
/// are recorded, as [`witness`](super::witness()) does. Then each constraint is checked when its row is computed: before the
/// engine's transforms and sums, with the same error.
pub async fn prove_with(
    engine: &dyn Engine,
    key: &Arc<ProvingKey>,
    make: impl FnOnce() -> Result<Assignment, Groth16Error>,
    progress: &dyn ProgressSink,
) -> Result<(Proof, ProveReport), Groth16Error> {
    let started = Instant::now();
    progress.event(ProgressEvent::Started {
        phase: Phase::Synthesis,
        steps: 1,
    });
    let assignment = Arc::new(blocking(make)?);
    let synthesis = started.elapsed();
    progress.event(ProgressEvent::Finished {
        phase: Phase::Synthesis,
        wall: synthesis,
    });
    let (proof, mut report) =
        prove_assignment(engine, key, &assignment, &mut OsRng, progress).await?;
    report.phases.synthesis = synthesis;
    report.wall += synthesis;
    Ok((proof, report))
}

/// Proves from an assignment made by [`synthesize`] or [`witness`](super::witness()), with blinding factors from `rng`. The proof
/// hides the witness only as well as `rng` hides them.
pub async fn prove_assignment(
    engine: &dyn Engine,
    key: &Arc<ProvingKey>,
    assignment: &Arc<Assignment>,
    rng: &mut (impl RngCore + CryptoRng + Send),
    progress: &dyn ProgressSink,
) -> Result<(Proof, ProveReport), Groth16Error> {
    let started = Instant::now();
    assignment.shape().must_be(key.shape)?;
    let sums = engine.groth16(key, assignment, progress).await;
    let (points, stages) = sums.map_err(|error| match error {
        // The engine knows its place, the circuit its name.
        EngineError::Unsatisfied { index } => blocking(|| assignment.unsatisfied(index)),
        other => other.into(),
    })?;
    let proof = blind(key, &points, rng);

    let verification = Instant::now();
    progress.event(ProgressEvent::Started {
        phase: Phase::Verify,
        steps: 1,
    });
    let verdict = blocking(|| verify(&key.vk, assignment.public_inputs(), &proof));
    verdict.map_err(|error| match error {
        Groth16Error::InvalidProof => Groth16Error::FaultyProof {
            engine: engine.name().to_owned(),
        },
        other => other,
    })?;
    let verify = verification.elapsed();
    progress.event(ProgressEvent::Finished {
        phase: Phase::Verify,
        wall: verify,
    });

    let JobStats { card, .. } = stages.total();
    let report = ProveReport {
        engine: engine.name().to_owned(),
        circuit: assignment.shape(),
        domain_log2: assignment.shape().domain_log2(),
        wall: started.elapsed(),
        phases: PhaseTimes {
            synthesis: Duration::ZERO,
            load: stages.load.wall,
            ntt: stages.ntt.wall,
            quotient: stages.quotient.wall,
            h: stages.h.wall,
            l: stages.l.wall,
            a: stages.a.wall,
            b1: stages.b1.wall,
            b2: stages.b2.wall,
            verify,
        },
        stages,
        card,
    };
    Ok((proof, report))
}

/// A = alpha + a + r delta, B = beta + b + s delta, C = h + l + s A + r B - r s delta.
/// r and s are wiped before it returns.
fn blind(key: &ProvingKey, points: &Groth16Points, rng: &mut (impl RngCore + CryptoRng)) -> Proof {
    let vk = &key.vk;
    let r = Secret::new(Scalar::random(&mut *rng));
    let s = Secret::new(Scalar::random(&mut *rng));
    let product = Secret::new(*r * *s);
    let a = vk.delta_g1 * *r + vk.alpha_g1.to_curve() + points.a;
    let b1 = vk.delta_g1 * *s + vk.beta_g1.to_curve() + points.b1;
    let b2 = vk.delta_g2 * *s + vk.beta_g2.to_curve() + points.b2;
    let c = points.h.to_curve() + points.l + a * *s + b1 * *r - vk.delta_g1 * *product;
    Proof {
        a: G1Affine::from(a),
        b: G2Affine::from(b2),
        c: c.to_affine(),
    }
}
