//! The CPU engine: blst's multi-scalar multiplication and a radix-2 transform on all cores.
//!
//! The fallback without a card, the yardstick for card engines, and where the engine of a card
//! without `MSM_G2` computes in G2. What it has computed is counted ([`work`]). Opened by `engine::open`; `card` calls its functions directly.

mod msm;
mod ntt;
mod work;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use async_trait::async_trait;
use blstrs::{G1Affine, G2Affine, Scalar};
use ff::Field;
use rayon::prelude::*;
use tokio::task::yield_now;

pub(crate) use msm::{msm_g1, msm_g2, msm_g2_until};
pub(crate) use ntt::{Domains, root_of_unity};
pub use work::{CpuWork, work};

use crate::engine::{
    Bases, Engine, EngineError, EngineInfo, Groth16Points, Groth16Stats, MsmOptions, NttKind, check,
};
use crate::groth16::{Assignment, HBasis, Polynomials, ProvingKey, RowFault};
use crate::progress::{Phase, ProgressEvent, ProgressSink};
use crate::secret::SecretVec;
use crate::stats::JobStats;

/// Computes everything on the CPU.
#[derive(Debug, Default)]
pub struct CpuEngine {
    domains: Domains,
}

impl CpuEngine {
    /// An engine that uses all cores (rayon's and blst's thread pools).
    pub fn new() -> Self {
        Self::default()
    }
}

/// Runs heavy work from async code. On a multi-threaded runtime the executor's other tasks move
/// to other threads meanwhile.
pub(crate) fn blocking<T>(work: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

/// Runs `work` off the async executor and says how long it took.
fn timed<T>(work: impl FnOnce() -> T) -> (T, JobStats) {
    blocking(|| {
        let started = Instant::now();
        let value = work();
        (value, JobStats::cpu(started.elapsed()))
    })
}

/// `a[i] * b[i]`.
fn products(a: &[Scalar], b: &[Scalar]) -> SecretVec<Scalar> {
    work::counted(work::Kind::Quotient);
    let mut products = vec![Scalar::ZERO; a.len()];
    products
        .par_iter_mut()
        .zip(a)
        .zip(b)
        .with_min_len(1 << 10)
        .for_each(|((product, a), b)| *product = *a * b);
    products.into()
}

/// `(a[i] * b[i] - c[i]) * z`, written to `a`.
fn quotient_in_place(a: &mut [Scalar], b: &[Scalar], c: &[Scalar], z: &Scalar) {
    work::counted(work::Kind::Quotient);
    a.par_iter_mut()
        .zip(b)
        .zip(c)
        .with_min_len(1 << 10)
        .for_each(|((a, b), c)| {
            *a = (*a * b - c) * z;
        });
}

/// Where A B - C is computed: off the domain, on which it is zero.
pub(crate) fn quotient_domain(basis: HBasis) -> NttKind {
    match basis {
        HBasis::Powers => NttKind::CosetForward,
        HBasis::Odd => NttKind::OddForward,
    }
}

/// What A B - C is multiplied by there: the inverse of the vanishing polynomial, or 1 when the key contains that.
pub(crate) fn quotient_factor(basis: HBasis, domain_log2: u32) -> Scalar {
    match basis {
        HBasis::Powers => coset_vanishing_inverse(domain_log2),
        HBasis::Odd => Scalar::ONE,
    }
}

/// The inverse of the vanishing polynomial x^m - 1 on the coset of 7, where it is constant.
fn coset_vanishing_inverse(domain_log2: u32) -> Scalar {
    let vanishing = Scalar::from(7).pow_vartime([1u64 << domain_log2]) - Scalar::ONE;
    // 7 generates the multiplicative group, so no power of it below r - 1 is 1.
    vanishing.invert().unwrap_or(Scalar::ZERO)
}

/// A and B to compute with: a copy, or computed and checked here.
fn polynomials(assignment: &Assignment) -> Result<[SecretVec<Scalar>; 2], EngineError> {
    let zeros = || SecretVec::from(vec![Scalar::ZERO; assignment.shape().domain()]);
    let [mut a, mut b] = [zeros(), zeros()];
    let never = AtomicBool::new(false);
    let computed = assignment.rows(0, (&mut a, &mut b), &never);
    computed.map_err(|fault| match fault {
        RowFault::Violated(index) => EngineError::Unsatisfied { index },
        RowFault::Stopped => EngineError::Worker {
            operation: "groth16",
            reason: "it was told to stop".to_owned(),
        },
    })?;
    Ok([a, b])
}

/// Runs one phase, reporting its start and end. What it cost is added to what a part of it cost that ran earlier.
fn phase<T>(
    phase: Phase,
    stats: &mut JobStats,
    progress: &dyn ProgressSink,
    work: impl FnOnce() -> T,
) -> T {
    progress.event(ProgressEvent::Started { phase, steps: 1 });
    let (value, cost) = timed(work);
    *stats += &cost;
    progress.event(ProgressEvent::Finished {
        phase,
        wall: stats.wall,
    });
    value
}

#[async_trait]
impl Engine for CpuEngine {
    fn name(&self) -> &str {
        "cpu"
    }

    fn info(&self) -> EngineInfo {
        EngineInfo {
            name: self.name().to_owned(),
            description: format!("blst on {} threads", rayon::current_num_threads()),
            card_memory: None,
            max_ntt_log2: check::FIELD_TWO_ADICITY,
            max_window_bits: None,
            msm_adders: None,
            msm_g2: false,
            proofs_at_once: 1,
            window_choice: None,
            g2_window_choice: None,
        }
    }

    async fn msm_g1_with(
        &self,
        bases: Bases<'_>,
        scalars: &[Scalar],
        _: MsmOptions,
    ) -> Result<(G1Affine, JobStats), EngineError> {
        let bases = bases.points();
        check::msm("msm_g1", bases, scalars)?;
        Ok(timed(|| msm_g1(bases, scalars)))
    }

    async fn msm_g2_with(
        &self,
        bases: Bases<'_, G2Affine>,
        scalars: &[Scalar],
        _: MsmOptions,
    ) -> Result<(G2Affine, JobStats), EngineError> {
        let bases = bases.points();
        check::msm("msm_g2", bases, scalars)?;
        Ok(timed(|| msm_g2(bases, scalars)))
    }

    async fn ntt(&self, values: &mut [Scalar], kind: NttKind) -> Result<JobStats, EngineError> {
        let log2 = check::ntt(self.name(), values, check::largest_ntt(kind))?;
        Ok(timed(|| self.domains.get(log2).transform(values, kind)).1)
    }

    async fn quotient(
        &self,
        a: &[Scalar],
        b: &[Scalar],
        c: &[Scalar],
        z: &Scalar,
    ) -> Result<(Vec<Scalar>, JobStats), EngineError> {
        check::quotient(a, b, c, z)?;
        Ok(timed(|| {
            let mut out = a.to_vec();
            quotient_in_place(&mut out, b, c, z);
            out
        }))
    }

    async fn load_key(&self, _: &Arc<ProvingKey>) -> Result<JobStats, EngineError> {
        Ok(JobStats::default())
    }

    async fn unload_key(&self, _: &Arc<ProvingKey>) -> Result<(), EngineError> {
        Ok(())
    }

    async fn groth16(
        &self,
        key: &Arc<ProvingKey>,
        assignment: &Arc<Assignment>,
        progress: &dyn ProgressSink,
    ) -> Result<(Groth16Points, Groth16Stats), EngineError> {
        // Between phases a proof whose future was dropped ends: a future is dropped only
        // where it waits.
        let max = check::largest_ntt(quotient_domain(key.basis));
        check::groth16(self.name(), key, assignment, max)?;
        let log2 = key.shape.domain_log2();
        let mut stats = Groth16Stats::default();
        let polynomials = match assignment.polynomials() {
            Polynomials::Values(_) => blocking(|| polynomials(assignment)),
            Polynomials::Recorded(_) => phase(Phase::Load, &mut stats.load, progress, || {
                polynomials(assignment)
            }),
        };
        let [mut a, mut b] = polynomials?;
        yield_now().await;
        let (mut c, product) = timed(|| products(&a, &b));
        let domain = phase(Phase::Ntt, &mut stats.ntt, progress, || {
            let domain = self.domains.get(log2);
            for values in [&mut a, &mut b, &mut c] {
                domain.transform(values, NttKind::Inverse);
                domain.transform(values, quotient_domain(key.basis));
            }
            domain
        });
        yield_now().await;
        stats.quotient = product;
        phase(Phase::Quotient, &mut stats.quotient, progress, || {
            quotient_in_place(&mut a, &b, &c, &quotient_factor(key.basis, log2));
        });
        if key.basis == HBasis::Powers {
            let (_, last) = timed(|| domain.transform(&mut a, NttKind::CosetInverse));
            stats.ntt += &last;
        }
        let witness = assignment.witness();
        yield_now().await;
        let h = phase(Phase::H, &mut stats.h, progress, || {
            msm_g1(&key.h, &a[..key.h.len()])
        });
        drop((a, b, c));
        yield_now().await;
        let l = phase(Phase::L, &mut stats.l, progress, || msm_g1(&key.l, witness));
        yield_now().await;
        let a = phase(Phase::A, &mut stats.a, progress, || msm_g1(&key.a, witness));
        yield_now().await;
        let b1 = phase(Phase::B1, &mut stats.b1, progress, || {
            msm_g1(&key.b1, witness)
        });
        yield_now().await;
        let b2 = phase(Phase::B2, &mut stats.b2, progress, || {
            msm_g2(&key.b2, witness)
        });
        Ok((Groth16Points { h, l, a, b1, b2 }, stats))
    }
}
