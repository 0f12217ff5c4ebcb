//! The loop of a prover: leases jobs, has them proved, delivers the proofs.
//!
//! As many jobs are under way as there are places; `held` looks after each from its lease to its
//! end, so that none waits for another. Here is decided when a further one is asked for. Called by
//! `carillon-node run`, `carillon-node prover` and other provers.

mod held;

use std::sync::Arc;
use std::time::Duration;

use carillon_runtime::progress::ProgressSink;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::held::{Held, LAST_ANSWER, stopped_for};
use super::{JobSource, KeyHash, LeasedJob, PluginError, ProverPlugin, SourceError};

/// Where the progress of a job's proof goes, by the job's number.
pub type ProgressOf = dyn Fn(u64) -> Arc<dyn ProgressSink> + Send + Sync;

/// How [`work`] waits, and how much it takes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkOptions {
    /// Between two questions when there is no job.
    pub poll: Duration,
    /// After the first failure; doubled with each further one.
    pub backoff: Duration,
    /// The longest wait after failures.
    pub longest_backoff: Duration,
    /// Stop after this many proofs. No job is leased whose proof could be one more.
    pub limit: Option<u64>,
    /// Jobs that are under way at the same time, at least one. Without a number it is as many as
    /// [`ProverPlugin::at_once`] says.
    pub at_once: Option<usize>,
}

impl Default for WorkOptions {
    fn default() -> Self {
        Self {
            poll: Duration::from_millis(500),
            backoff: Duration::from_millis(250),
            longest_backoff: Duration::from_secs(30),
            limit: None,
            at_once: None,
        }
    }
}

/// What happens while [`work`] runs. Events of several jobs come mixed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkEvent {
    /// A job was leased.
    Leased {
        /// The job.
        job: u64,
        /// Its lease.
        generation: u64,
        /// Jobs under way now, this one included.
        under_way: usize,
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
    /// The source did not answer, or the plug-in cannot prove now; asked again after a while. Jobs
    /// that are under way go on.
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

/// What the loop hears of.
enum Step {
    /// The source was asked for a job, or the plug-in was not ready.
    Asked(Result<Option<LeasedJob>, NotAsked>),
    /// A job has ended.
    Ended {
        job: u64,
        wall: Duration,
        result: Result<(), String>,
    },
}

/// Why no job was leased though one was wanted.
#[derive(Debug, thiserror::Error)]
enum NotAsked {
    #[error(transparent)]
    Plugin(#[from] PluginError),
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// Proves jobs of `source` until `stop` is cancelled or the limit is reached. Leases that are held
/// when it stops are given back.
///
/// A job's failure leaves the others as they are. The next question then waits, longer after each
/// failure; a proof that is accepted ends the waiting.
///
/// # Errors
/// [`SourceError::Unauthorised`]: nothing else ends it.
pub async fn work(
    source: &dyn JobSource,
    plugin: &Arc<dyn ProverPlugin>,
    progress: &ProgressOf,
    options: &WorkOptions,
    stop: &CancellationToken,
    observe: &(dyn Fn(WorkEvent) + Send + Sync),
) -> Result<WorkSummary, SourceError> {
    let keys = plugin.keys();
    let places = options.at_once.unwrap_or_else(|| plugin.at_once()).max(1);
    let mut summary = WorkSummary::default();
    let mut backoff = Backoff::new(*options);
    // Also cancelled when the source no longer knows the prover.
    let ending = stop.child_token();
    let mut refused = None;
    let mut steps: FuturesUnordered<BoxFuture<'_, Step>> = FuturesUnordered::new();
    let (mut under_way, mut asking, mut not_before) = (0usize, false, Instant::now());
    loop {
        // A job under way may still count: with it the limit may be reached.
        let counted = summary.proved.saturating_add(under_way as u64);
        let wanted = !ending.is_cancelled()
            && under_way < places
            && options.limit.is_none_or(|limit| counted < limit);
        if wanted && !asking && Instant::now() >= not_before {
            let asked = ask(source, plugin, &keys, &ending);
            steps.push(Box::pin(async move { Step::Asked(asked.await) }));
            asking = true;
        }
        let waiting = wanted && !asking;
        if steps.is_empty() && !waiting {
            break;
        }
        let step = tokio::select! {
            Some(step) = steps.next() => step,
            () = tokio::time::sleep_until(not_before), if waiting => continue,
            () = ending.cancelled(), if waiting => continue,
        };
        match step {
            Step::Asked(answer) => {
                asking = false;
                let pause = match answer {
                    Ok(Some(leased)) => {
                        under_way += 1;
                        let (job, generation) = (leased.job.number, leased.generation);
                        observe(WorkEvent::Leased {
                            job,
                            generation,
                            under_way,
                        });
                        let started = Instant::now();
                        let held = Held {
                            source,
                            leased: Arc::new(leased),
                            options: *options,
                            stop: ending.clone(),
                        };
                        let (plugin, progress) = (Arc::clone(plugin), progress(job));
                        steps.push(Box::pin(async move {
                            let result = held.prove(plugin, progress).await;
                            let wall = started.elapsed();
                            Step::Ended { job, wall, result }
                        }));
                        continue;
                    }
                    Ok(None) => {
                        // With jobs under way it says nothing of those that failed: the source may
                        // have no job but the one that is tried again.
                        if under_way == 0 {
                            backoff.reset();
                        }
                        options.poll
                    }
                    Err(NotAsked::Source(error @ SourceError::Unauthorised(_))) => {
                        refused = Some(error);
                        ending.cancel();
                        continue;
                    }
                    Err(error) => {
                        let (reason, pause) = (error.to_string(), backoff.step());
                        observe(WorkEvent::Waiting { reason, pause });
                        pause
                    }
                };
                not_before = not_before.max(Instant::now() + pause);
            }
            Step::Ended { job, wall, result } => {
                under_way -= 1;
                match result {
                    Ok(()) => {
                        summary.proved += 1;
                        backoff.reset();
                        not_before = Instant::now();
                        observe(WorkEvent::Proved { job, wall });
                    }
                    Err(reason) => {
                        summary.lost += 1;
                        // Later than any pause before: the pauses grow until a proof is accepted.
                        not_before = Instant::now() + backoff.step();
                        observe(WorkEvent::Lost { job, reason });
                    }
                }
            }
        }
    }
    refused.map_or(Ok(summary), Err)
}

/// Asks for a job, if the plug-in would prove one now.
async fn ask(
    source: &dyn JobSource,
    plugin: &Arc<dyn ProverPlugin>,
    keys: &[KeyHash],
    ending: &CancellationToken,
) -> Result<Option<LeasedJob>, NotAsked> {
    // A job that is leased and failed is lost time for everybody.
    tokio::select! {
        ready = plugin.ready() => ready?,
        () = ending.cancelled() => return Ok(None),
    }
    // A lease that was given must be known here to be given back: an answer under way is
    // waited for, though not for long.
    tokio::select! {
        picked = source.pick(keys) => Ok(picked?),
        () = stopped_for(ending, LAST_ANSWER) => Ok(None),
    }
}
