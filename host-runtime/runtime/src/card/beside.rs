//! The sum in G2 of a proof on the CPU, beside a card that has no `MSM_G2`.

use std::sync::Arc;
use std::time::Instant;

use blstrs::G2Affine;
use tokio::task::JoinHandle;

use super::stop::StopOnDrop;
use crate::cpu::msm_g2_until;
use crate::engine::EngineError;
use crate::groth16::{Assignment, ProvingKey};
use crate::progress::{Phase, ProgressEvent, ProgressSink};
use crate::stats::JobStats;

/// The sum in G2, under way on the CPU; dropped, it stops after its present step.
pub struct G2Task {
    handle: JoinHandle<Option<(G2Affine, JobStats)>>,
    stop: StopOnDrop,
    operation: &'static str,
}

impl G2Task {
    /// Starts the sum.
    pub fn spawn(
        key: &Arc<ProvingKey>,
        assignment: &Arc<Assignment>,
        operation: &'static str,
    ) -> Self {
        let (key, assignment) = (Arc::clone(key), Arc::clone(assignment));
        let stop = StopOnDrop::default();
        let theirs = stop.flag();
        let handle = tokio::task::spawn_blocking(move || {
            let started = Instant::now();
            let sum = msm_g2_until(&key.b2, assignment.witness(), &theirs)?;
            Some((sum, JobStats::cpu(started.elapsed())))
        });
        Self {
            handle,
            stop,
            operation,
        }
    }

    /// Waits for the sum.
    pub async fn finish(
        self,
        progress: &dyn ProgressSink,
    ) -> Result<(G2Affine, JobStats), EngineError> {
        progress.event(ProgressEvent::Started {
            phase: Phase::B2,
            steps: 1,
        });
        let Self {
            handle,
            stop,
            operation,
        } = self;
        let ended = |reason| EngineError::Worker { operation, reason };
        let sum = handle.await.map_err(|error| ended(error.to_string()))?;
        drop(stop);
        let (sum, cost) = sum.ok_or_else(|| ended("it was told to stop".to_owned()))?;
        progress.event(ProgressEvent::Finished {
            phase: Phase::B2,
            wall: cost.wall,
        });
        Ok((sum, cost))
    }
}
