//! One lease from the moment it is given to its end: heartbeats, the proof, its delivery.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use carillon_runtime::groth16::Proof;
use carillon_runtime::progress::ProgressSink;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::{Backoff, WorkOptions};
use crate::{JobSource, LeasedJob, ProverPlugin, SourceError};

/// How long the source may take over an answer after the prover was told to stop, and a proof that
/// was given up over its end.
pub(super) const LAST_ANSWER: Duration = Duration::from_secs(3);
/// Why a lease is given back that nothing is wrong with.
const STOPPED: &str = "the prover was told to stop";

/// A lease that is held.
pub(super) struct Held<'a> {
    pub(super) source: &'a dyn JobSource,
    pub(super) leased: Arc<LeasedJob>,
    pub(super) options: WorkOptions,
    pub(super) stop: CancellationToken,
}

/// What ends the work on a proof.
enum End {
    Lease(SourceError),
    Stop,
}

impl Held<'_> {
    /// Proves and delivers the job; says why if it could not. The lease is over then, or given back
    /// as far as the source can be told.
    pub(super) async fn prove(
        &self,
        plugin: Arc<dyn ProverPlugin>,
        progress: Arc<dyn ProgressSink>,
    ) -> Result<(), String> {
        // A task of its own: an engine may keep its thread busy, and heartbeats must go out meanwhile.
        let mut proving = {
            let leased = Arc::clone(&self.leased);
            let task = async move { plugin.prove(&leased, &*progress).await };
            AbortOnDropHandle::new(tokio::spawn(task))
        };
        let end = tokio::select! {
            result = &mut proving => {
                let reason = match result {
                    Ok(Ok(proof)) => return self.deliver(&proof).await,
                    Ok(Err(error)) => error.to_string(),
                    Err(error) => format!("the proving task stopped: {error}"),
                };
                return self.give_back(reason).await;
            }
            error = self.beats() => End::Lease(error),
            () = self.stop.cancelled() => End::Stop,
        };
        // The engine's place is free only when the work on it has ended; a plug-in that does not end
        // must not hold the others.
        proving.abort();
        let gone = tokio::time::timeout(LAST_ANSWER, &mut proving);
        match end {
            End::Lease(error) => {
                let _ = gone.await;
                Err(error.to_string())
            }
            End::Stop => tokio::join!(gone, self.give_back(STOPPED.to_owned())).1,
        }
    }

    /// Renews the lease for as long as it can be; returns what ended it.
    async fn beats(&self) -> SourceError {
        let beat = (self.leased.valid / 3).max(Duration::from_millis(10));
        let mut beats = tokio::time::interval_at(Instant::now() + beat, beat);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (job, generation) = (self.leased.job.number, self.leased.generation);
        loop {
            beats.tick().await;
            match self.source.heartbeat(job, generation).await {
                Ok(_) => {}
                // The lease may outlive the pause; a stale one shows at the next beat or at the end.
                Err(error) if error.passes() => {}
                Err(error) => return error,
            }
        }
    }

    /// Delivers the proof, as often as it takes.
    async fn deliver(&self, proof: &Proof) -> Result<(), String> {
        // What becomes of the proof decides, not what becomes of the lease: it ends with the proof,
        // maybe before the answer is here.
        let renewed = async {
            self.beats().await;
            std::future::pending::<Infallible>().await
        };
        let reason = tokio::select! {
            delivered = self.submit(proof) => match delivered {
                Ok(()) => return Ok(()),
                Err(error) if error.passes() => error.to_string(),
                Err(error) => return Err(error.to_string()),
            },
            never = renewed => match never {},
            () = stopped_for(&self.stop, LAST_ANSWER) => STOPPED.to_owned(),
        };
        self.give_back(reason).await
    }

    /// Submits the proof until there is an answer that does not pass, or a stop.
    async fn submit(&self, proof: &Proof) -> Result<(), SourceError> {
        // The answer may be lost after the proof was taken: submission can be repeated safely.
        let mut backoff = Backoff::new(self.options);
        loop {
            match self.source.submit(&self.leased, proof).await {
                Err(error) if error.passes() => {
                    let pause = backoff.step();
                    tokio::select! {
                        () = self.stop.cancelled() => return Err(error),
                        () = tokio::time::sleep(pause) => {}
                    }
                }
                answer => return answer,
            }
        }
    }

    /// Tells the source that there will be no proof; if it does not hear it, the lease ends by
    /// itself. Returns the reason.
    async fn give_back(&self, reason: String) -> Result<(), String> {
        let (job, generation) = (self.leased.job.number, self.leased.generation);
        let told = self.source.fail(job, generation, &reason);
        let told = tokio::time::timeout(LAST_ANSWER, told).await;
        if !matches!(told, Ok(Ok(()))) {
            tracing::warn!(job, "the lease could not be given back; it will expire");
        }
        Err(reason)
    }
}

/// Ends some time after `stop` was cancelled.
pub(super) async fn stopped_for(stop: &CancellationToken, time: Duration) {
    stop.cancelled().await;
    tokio::time::sleep(time).await;
}
