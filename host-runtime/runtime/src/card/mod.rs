//! The card engine: Groth16's heavy operations as commands to one Carillon card.
//!
//! Everything goes through `carillon-driver`; which card it is (on PCIe, behind a vfio-user socket,
//! or a simulated one of `carillon-sim`) is decided in `connect`. Opened by `engine::open`.
//!
//! | file | idea |
//! |---|---|
//! | `connect` | from an address to an open card |
//! | `simulated` | cards that are not on this machine's bus (feature `sim`) |
//! | `transfer` | slices to card memory and back |
//! | `fault` | what went wrong with a command |
//! | `tally` | completions to statistics |
//! | `jobs` | single operations |
//! | `chain` | one proof as one command list |
//! | `rows` | its polynomials A and B, sent while their rows are computed |
//! | `clock` | its phases |
//! | `sums` | what it returns |
//! | `beside` | its sum in G2 on the CPU, for cards without `MSM_G2` |
//! | `keys` | proving keys that stay in card memory |
//! | `stop` | how work on other threads ends with its future |
//! | `lanes` | which queue a proof has, and what overlaps |
//! | `residue` | memory of proofs that were given up |
//! | `admission` | who gets card memory, and who waits for it |
//!
//! A job that a restart of the card cut short is run once more.

mod admission;
mod beside;
mod chain;
mod clock;
mod connect;
mod fault;
mod jobs;
mod keys;
mod lanes;
mod residue;
mod rows;
#[cfg(feature = "sim")]
pub(crate) mod simulated;
mod stop;
mod sums;
mod tally;
mod transfer;

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use blstrs::{G1Affine, G2Affine, Scalar};
use carillon_driver::identity::configuration_name;
use carillon_driver::{Card, CardError, RecoveryAction};

pub use connect::{open, open_card, open_on, transport};
#[cfg(feature = "sim")]
pub use simulated::simulated;

pub use crate::engine::address::{CardAddress, UnknownCard};

use beside::G2Task;
use fault::{CardResult, Fault};

use crate::cpu::CpuEngine;
use crate::engine::{
    Bases, Engine, EngineError, EngineInfo, Groth16Points, Groth16Stats, MsmOptions, NttKind,
    ResidentKey, check,
};
use crate::groth16::{Assignment, ProvingKey};
use crate::image::CardSum;
use crate::progress::ProgressSink;
use crate::stats::JobStats;

/// Computes on one card. Where that has no `MSM_G2`, sums in G2 run on the CPU beside it.
#[derive(Debug)]
pub struct CardEngine {
    name: String,
    card: Card,
    /// Where sums in G2 run that the card has no command for.
    cpu: CpuEngine,
    admission: admission::Admission,
    lanes: lanes::Lanes,
}

impl CardEngine {
    /// An engine over an open card.
    pub fn new(name: impl Into<String>, card: Card) -> Self {
        Self {
            name: name.into(),
            lanes: lanes::Lanes::new(card.queues().len()),
            card,
            cpu: CpuEngine::new(),
            admission: admission::Admission::default(),
        }
    }

    /// The card below, for its counters and health.
    pub fn card(&self) -> &Card {
        &self.card
    }

    fn fault(&self, operation: &'static str, fault: Fault) -> EngineError {
        let engine = self.name.clone();
        let card = |step, error| EngineError::Card {
            engine: self.name.clone(),
            operation,
            step,
            source: Box::new(error),
        };
        match fault {
            Fault::Card(CardError::CardMemory { bytes, free, .. }) => EngineError::CardMemory {
                operation,
                needed: bytes,
                available: free,
                total: self.card.info().memory_bytes,
            },
            Fault::Card(error) => card(None, error),
            Fault::At(step, error) => card(Some(step), error),
            Fault::Unsatisfied(index) => EngineError::Unsatisfied { index },
            Fault::Worker(reason) => EngineError::Worker { operation, reason },
            Fault::Implausible(reason) => EngineError::Implausible {
                engine,
                operation,
                reason,
            },
        }
    }

    /// Refuses a job that does not fit into an empty card. Keys are evicted and other jobs waited for.
    fn fits(
        &self,
        operation: &'static str,
        regions: impl IntoIterator<Item = u64>,
    ) -> Result<(), EngineError> {
        let needed = regions.into_iter().fold(0u64, |sum, bytes| {
            sum.saturating_add(bytes.checked_next_multiple_of(64).unwrap_or(u64::MAX))
        });
        let total = self.card.info().memory_bytes;
        if needed <= total {
            return Ok(());
        }
        let (available, _) = self.card.free_memory();
        Err(EngineError::CardMemory {
            operation,
            needed,
            available,
            total,
        })
    }

    /// Runs `attempt`, and once more if the card was restarted under it or asks for a retry. Keys
    /// are forgotten when card memory was lost.
    async fn retrying<T, F>(
        &self,
        operation: &'static str,
        mut attempt: impl FnMut() -> F + Send,
    ) -> Result<T, EngineError>
    where
        F: Future<Output = CardResult<T>> + Send,
    {
        let first = match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        match first.recovery_action() {
            RecoveryAction::Retry => {}
            RecoveryAction::RewriteAndRetry => self.admission.forget_lost(&self.card),
            _ => return Err(self.fault(operation, first)),
        }
        tracing::warn!(engine = %self.name, operation, error = ?first, "repeating the job");
        attempt()
            .await
            .map_err(|second| self.fault(operation, second))
    }

    /// A sum on the card.
    async fn msm<P: CardSum>(
        &self,
        operation: &'static str,
        bases: Bases<'_, P>,
        scalars: &[Scalar],
        options: MsmOptions,
    ) -> Result<(P, JobStats), EngineError> {
        check::msm(operation, bases.points(), scalars)?;
        let window_bits = self.window_bits(options)?;
        self.fits(operation, jobs::msm_memory(P::GROUP, scalars.len()))?;
        let started = Instant::now();
        let (point, card) = self
            .retrying(operation, || {
                jobs::msm(&self.card, &self.admission, bases, scalars, window_bits)
            })
            .await?;
        Ok((
            point,
            JobStats {
                wall: started.elapsed(),
                card: Some(card),
            },
        ))
    }

    fn window_bits(&self, options: MsmOptions) -> Result<u8, EngineError> {
        let max = self.card.info().msm_max_window_bits;
        match options.window_bits {
            None => Ok(0),
            Some(bits) if (1..=max).contains(&bits) => Ok(bits),
            Some(bits) => Err(EngineError::WindowBits {
                engine: self.name.clone(),
                bits,
                max,
            }),
        }
    }
}

#[async_trait]
impl Engine for CardEngine {
    fn name(&self) -> &str {
        &self.name
    }

    fn info(&self) -> EngineInfo {
        let card = self.card.info();
        EngineInfo {
            name: self.name.clone(),
            description: format!(
                "card at {}: configuration {} ({}), {} point adder(s), {} butterfly unit(s); G2 on the {}",
                card.transport,
                configuration_name(card.configuration),
                card.configuration,
                card.msm_adders,
                card.ntt_butterflies,
                if card.msm_g2 { "card" } else { "CPU" }
            ),
            card_memory: Some(card.memory_bytes),
            proofs_at_once: self.lanes.count(),
            max_ntt_log2: u32::from(card.ntt_max_log2n),
            max_window_bits: Some(card.msm_max_window_bits),
            msm_adders: Some(card.msm_adders),
            msm_g2: card.msm_g2,
            window_choice: card.msm_choice,
            g2_window_choice: card.msm_g2_choice,
        }
    }

    async fn msm_g1_with(
        &self,
        bases: Bases<'_>,
        scalars: &[Scalar],
        options: MsmOptions,
    ) -> Result<(G1Affine, JobStats), EngineError> {
        self.msm("msm_g1", bases, scalars, options).await
    }

    async fn msm_g2_with(
        &self,
        bases: Bases<'_, G2Affine>,
        scalars: &[Scalar],
        options: MsmOptions,
    ) -> Result<(G2Affine, JobStats), EngineError> {
        match self.card.info().msm_g2 {
            true => self.msm("msm_g2", bases, scalars, options).await,
            false => self.cpu.msm_g2_with(bases, scalars, options).await,
        }
    }

    async fn ntt(&self, values: &mut [Scalar], kind: NttKind) -> Result<JobStats, EngineError> {
        const OPERATION: &str = "ntt";
        let log2 = check::ntt(
            &self.name,
            values,
            u32::from(self.card.info().ntt_max_log2n),
        )?;
        self.fits(OPERATION, jobs::ntt_memory(values.len()))?;
        let started = Instant::now();
        let source: &[Scalar] = values;
        let (output, card) = self
            .retrying(OPERATION, || {
                jobs::ntt(&self.card, &self.admission, source, log2, kind)
            })
            .await?;
        values.copy_from_slice(&output);
        Ok(JobStats {
            wall: started.elapsed(),
            card: Some(card),
        })
    }

    async fn quotient(
        &self,
        a: &[Scalar],
        b: &[Scalar],
        c: &[Scalar],
        z: &Scalar,
    ) -> Result<(Vec<Scalar>, JobStats), EngineError> {
        const OPERATION: &str = "quotient";
        check::quotient(a, b, c, z)?;
        self.fits(OPERATION, jobs::quotient_memory(a.len()))?;
        let started = Instant::now();
        let (output, card) = self
            .retrying(OPERATION, || {
                jobs::quotient(&self.card, &self.admission, [a, b, c], z)
            })
            .await?;
        Ok((
            output,
            JobStats {
                wall: started.elapsed(),
                card: Some(card),
            },
        ))
    }

    async fn load_key(&self, key: &Arc<ProvingKey>) -> Result<JobStats, EngineError> {
        const OPERATION: &str = "load_key";
        self.fits(OPERATION, keys::ResidentKeys::sizes(key, self.card.info()))?;
        let started = Instant::now();
        let card = self
            .retrying(OPERATION, || self.admission.load(&self.card, key))
            .await?;
        Ok(JobStats {
            wall: started.elapsed(),
            card: Some(card),
        })
    }

    async fn unload_key(&self, key: &Arc<ProvingKey>) -> Result<(), EngineError> {
        self.admission.give_up(&self.card, key).await;
        Ok(())
    }

    async fn resident_keys(&self) -> Vec<ResidentKey> {
        self.admission.resident_keys()
    }

    async fn ready(&self) -> Result<(), EngineError> {
        self.card
            .in_service()
            .map_err(|error| self.fault("open", Fault::Card(error)))
    }

    async fn groth16(
        &self,
        key: &Arc<ProvingKey>,
        assignment: &Arc<Assignment>,
        progress: &dyn ProgressSink,
    ) -> Result<(Groth16Points, Groth16Stats), EngineError> {
        const OPERATION: &str = "groth16";
        let info = self.card.info();
        let max = u32::from(info.ntt_max_log2n);
        check::groth16(&self.name, key, assignment, max)?;
        let regions = chain::memory(key, info).map(|region| region.bytes);
        let of_key = keys::ResidentKeys::sizes(key, info);
        self.fits(OPERATION, of_key.into_iter().chain(regions))?;
        let beside = (!info.msm_g2).then(|| G2Task::spawn(key, assignment, OPERATION));
        let (sums, mut stats) = self
            .retrying(OPERATION, || {
                let shared = (&self.admission, &self.lanes);
                chain::run(&self.card, shared, key, assignment, progress)
            })
            .await?;
        let sums::Sums { h, l, a, b1, b2 } = sums;
        let b2 = match (b2, beside) {
            (Some(b2), _) => b2,
            (None, Some(task)) => {
                let (b2, cost) = task.finish(progress).await?;
                stats.b2 = cost;
                b2
            }
            (None, None) => {
                let fault = Fault::implausible("the sum in G2 is missing");
                return Err(self.fault(OPERATION, fault));
            }
        };
        Ok((Groth16Points { h, l, a, b1, b2 }, stats))
    }
}
