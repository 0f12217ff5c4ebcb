//! What proves, where jobs come from, and the loop between the two.
//!
//! [`ProverPlugin`] makes a proof of one job. [`JobSource`] is a board in the same process
//! (`LocalSource`) or across the network (`ProverClient`). [`work`] polls, proves, sends heartbeats
//! meanwhile, submits, and repeats what failed for reasons that pass. Called by
//! `carillon-node run`, `carillon-node prover` and other provers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use carillon_runtime::groth16::Proof;
use carillon_runtime::progress::ProgressSink;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::{KeyHash, LeasedJob};

/// How long the source may take over an answer after the prover was told to stop.
const LAST_ANSWER: Duration = Duration::from_secs(3);

/// Why a plug-in made no proof.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// The job's input is not what its circuit takes: no prover can prove it.
    #[error("the job's input cannot be proved: {0}")]
    Input(String),
    /// The prover failed; another may not.
    #[error("the prover failed: {0}")]
    Engine(String),
}

/// Why a source of jobs did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// It does not accept who asks.
    #[error("the node does not accept this prover: {0}")]
    Unauthorised(String),
    /// The lease is over.
    #[error("{0}")]
    Stale(String),
    /// It refuses what was sent.
    #[error("{0}")]
    Refused(String),
    /// It cannot be reached, or cannot answer now.
    #[error("the node does not answer: {0}")]
    Unreachable(String),
}

impl SourceError {
    /// Whether the same question may be answered later.
    pub fn passes(&self) -> bool {
        matches!(self, SourceError::Unreachable(_))
    }
}

/// Makes proofs.
#[async_trait]
pub trait ProverPlugin: Send + Sync + 'static {
    /// The keys that it can prove for.
    fn keys(&self) -> Vec<KeyHash>;

    /// Whether a job would be proved now. While it would not, none is leased.
    ///
    /// # Errors
    /// [`PluginError::Engine`] with the reason; it is asked again later.
    async fn ready(&self) -> Result<(), PluginError> {
        Ok(())
    }

    /// Proves one job. Dropping the future gives the work up.
    async fn prove(
        &self,
        leased: &LeasedJob,
        progress: &dyn ProgressSink,
    ) -> Result<Proof, PluginError>;
}

/// Gives out jobs and takes proofs.
#[async_trait]
pub trait JobSource: Send + Sync {
    /// Leases the next job for one of these keys, if there is one.
    async fn pick(&self, keys: &[KeyHash]) -> Result<Option<LeasedJob>, SourceError>;

    /// Renews a lease; returns how long it holds now.
    async fn heartbeat(&self, job: u64, generation: u64) -> Result<Duration, SourceError>;

    /// Delivers a proof.
    async fn submit(&self, leased: &LeasedJob, proof: &Proof) -> Result<(), SourceError>;

    /// Gives a lease back.
    async fn fail(&self, job: u64, generation: u64, reason: &str) -> Result<(), SourceError>;
}

/// How [`work`] waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkOptions {
    /// Between two questions when there is no job.
    pub poll: Duration,
    /// After the first failure; doubled with each further one.
    pub backoff: Duration,
    /// The longest wait after failures.
    pub longest_backoff: Duration,
    /// Stop after this many proofs.
    pub limit: Option<u64>,
}

impl Default for WorkOptions {
    fn default() -> Self {
        Self {
            poll: Duration::from_millis(500),
            backoff: Duration::from_millis(250),
            longest_backoff: Duration::from_secs(30),
            limit: None,
        }
    }
}

/// What happens while [`work`] runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkEvent {
    /// A job was leased.
    Leased {
        /// The job.
        job: u64,
        /// Its lease.
        generation: u64,
    },
    /// Its proof was accepted.
    Proved {
        /// The job.
        job: u64,
        /// From lease to acceptance.
        wall: Duration,
    },
    /// It ended without an accepted proof.
    Lost {
        /// The job.
        job: u64,
        /// Why.
        reason: String,
    },
    /// The source did not answer, or the plug-in cannot prove now; asked again after a while.
    Waiting {
        /// Why.
        reason: String,
        /// How long.
        pause: Duration,
    },
}

/// What [`work`] did until it was stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkSummary {
    /// Jobs whose proof was accepted.
    pub proved: u64,
    /// Jobs that ended without.
    pub lost: u64,
}

/// Doubling waits.
struct Backoff {
    options: WorkOptions,
    next: Duration,
}

impl Backoff {
    fn new(options: WorkOptions) -> Self {
        Self {
            options,
            next: options.backoff,
        }
    }

    fn step(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.options.longest_backoff);
        pause
    }

    fn reset(&mut self) {
        self.next = self.options.backoff;
    }
}

/// Proves jobs of `source` until `stop` is cancelled or the limit is reached. A lease that is held
/// when it stops is given back.
///
/// # Errors
/// [`SourceError::Unauthorised`]: nothing else ends it.
pub async fn work(
    source: &dyn JobSource,
    plugin: &Arc<dyn ProverPlugin>,
    progress: &Arc<dyn ProgressSink>,
    options: &WorkOptions,
    stop: &CancellationToken,
    observe: &(dyn Fn(WorkEvent) + Send + Sync),
) -> Result<WorkSummary, SourceError> {
    let keys = plugin.keys();
    let mut summary = WorkSummary::default();
    let mut backoff = Backoff::new(*options);
    while !stop.is_cancelled() && options.limit.is_none_or(|limit| summary.proved < limit) {
        // A job that is leased and failed is lost time for everybody.
        let ready = tokio::select! {
            ready = plugin.ready() => ready,
            () = stop.cancelled() => break,
        };
        if let Err(error) = ready {
            let (reason, pause) = (error.to_string(), backoff.step());
            observe(WorkEvent::Waiting { reason, pause });
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(pause) => continue,
            }
        }
        // A lease that was given must be known here to be given back: an answer under way is
        // waited for, though not for long.
        let picked = tokio::select! {
            picked = source.pick(&keys) => picked,
            () = stopped_for(stop, LAST_ANSWER) => break,
        };
        let pause = match picked {
            Ok(Some(leased)) => {
                let (job, started) = (leased.job.number, Instant::now());
                observe(WorkEvent::Leased {
                    job,
                    generation: leased.generation,
                });
                match prove_leased(source, plugin, progress, &leased, options, stop).await {
                    Ok(()) => {
                        summary.proved += 1;
                        backoff.reset();
                        let wall = started.elapsed();
                        observe(WorkEvent::Proved { job, wall });
                        continue;
                    }
                    Err(reason) => {
                        summary.lost += 1;
                        observe(WorkEvent::Lost { job, reason });
                        backoff.step()
                    }
                }
            }
            Ok(None) => {
                backoff.reset();
                options.poll
            }
            Err(error @ SourceError::Unauthorised(_)) => return Err(error),
            Err(error) => {
                let (reason, pause) = (error.to_string(), backoff.step());
                observe(WorkEvent::Waiting { reason, pause });
                pause
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    Ok(summary)
}

/// Proves and delivers one leased job; says why if it could not.
async fn prove_leased(
    source: &dyn JobSource,
    plugin: &Arc<dyn ProverPlugin>,
    progress: &Arc<dyn ProgressSink>,
    leased: &LeasedJob,
    options: &WorkOptions,
    stop: &CancellationToken,
) -> Result<(), String> {
    let (job, generation) = (leased.job.number, leased.generation);
    // A task of its own: an engine may keep its thread busy, and heartbeats must go out meanwhile.
    let mut proving = {
        let (plugin, progress, leased) = (Arc::clone(plugin), Arc::clone(progress), leased.clone());
        tokio::spawn(async move { plugin.prove(&leased, &*progress).await })
    };
    let beat = (leased.valid / 3).max(Duration::from_millis(10));
    let mut beats = tokio::time::interval_at(Instant::now() + beat, beat);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let proof = loop {
        tokio::select! {
            result = &mut proving => break result,
            () = stop.cancelled() => {
                proving.abort();
                give_back(source, job, generation, "the prover was told to stop").await;
                return Err("the prover was told to stop".into());
            }
            _ = beats.tick() => match source.heartbeat(job, generation).await {
                Ok(_) => {}
                // The lease may outlive the pause; a stale one shows at the next beat or at the end.
                Err(error) if error.passes() => {}
                Err(error) => {
                    proving.abort();
                    return Err(error.to_string());
                }
            },
        }
    };
    let proof = match proof {
        Ok(Ok(proof)) => proof,
        Ok(Err(error)) => {
            let reason = error.to_string();
            give_back(source, job, generation, &reason).await;
            return Err(reason);
        }
        Err(error) => {
            let reason = format!("the proving task stopped: {error}");
            give_back(source, job, generation, &reason).await;
            return Err(reason);
        }
    };
    // The answer may be lost after the proof was taken: submission can be repeated safely.
    let mut backoff = Backoff::new(*options);
    loop {
        match source.submit(leased, &proof).await {
            Ok(()) => return Ok(()),
            Err(error) if error.passes() => {
                let pause = backoff.step();
                tokio::select! {
                    () = stop.cancelled() => return Err(error.to_string()),
                    () = tokio::time::sleep(pause) => {}
                }
                let _ = source.heartbeat(job, generation).await;
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Ends some time after `stop` was cancelled.
async fn stopped_for(stop: &CancellationToken, time: Duration) {
    stop.cancelled().await;
    tokio::time::sleep(time).await;
}

/// Tells the source; if it does not hear it, the lease ends by itself.
async fn give_back(source: &dyn JobSource, job: u64, generation: u64, reason: &str) {
    let told = tokio::time::timeout(LAST_ANSWER, source.fail(job, generation, reason));
    if !matches!(told.await, Ok(Ok(()))) {
        tracing::warn!(job, "the lease could not be given back; it will expire");
    }
}
