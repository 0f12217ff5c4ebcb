//! What the worker does when a command, a queue or the card fails.
//!
//! Escalation, each step only when the one before did not help (design 02):
//!
//! ```text
//! look again -> ABORT -> stop the queue -> reset the controller
//!            -> reset the function -> offline (unmap all DMA memory)
//! ```
//!
//! Memory goes back to its owner after the step that proves that the card is
//! done with it. Where even unmapping fails, it is quarantined.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::bar::Gone;
use crate::error::{CardError, JobError};
use crate::registers as reg;
use crate::ring::RingError;
use crate::transport::TransportError;
use crate::worker::{Health, ResetLevel, Shared, Worker};

/// Why a repair is needed.
#[derive(Clone, Debug)]
pub(crate) enum Cause {
    /// The queue's oldest command has used up its time.
    Overdue { waited: Duration },
    /// The card broke the queue protocol.
    Protocol(RingError),
    /// The card stopped the queue.
    QueueError { code: u32 },
    /// The card reports a state it cannot explain.
    Fatal { code: u32 },
    /// Somebody else reset the card.
    ForeignReset,
    /// The card does not answer.
    Gone,
}

impl Cause {
    /// The error of the command that is to blame, ended by step `by`.
    fn culprit(&self, by: &'static str) -> Option<JobError> {
        match self {
            Self::Overdue { waited } => Some(JobError::TimedOut {
                waited: *waited,
                by,
            }),
            Self::Protocol(cause) => Some(JobError::Protocol { cause: *cause }),
            _ => None,
        }
    }

    fn why(&self) -> String {
        match self {
            Self::Overdue { .. } => "an earlier command did not end in time".into(),
            Self::Protocol(e) => format!("the card broke the queue protocol: {e}"),
            Self::QueueError { code } => {
                let name = match code {
                    1 => "a doorbell out of range",
                    2 => "a bus error reading a command",
                    3 => "a bus error writing a completion",
                    _ => "an unknown error",
                };
                format!("the card stopped the queue: {name} (code {code})")
            }
            Self::Fatal { code } => format!("the card reports a fatal error (code {code})"),
            Self::ForeignReset => "somebody else reset the card".into(),
            Self::Gone => "the card does not answer".into(),
        }
    }
}

impl Worker {
    /// Repairs after `cause` on queue `index`. Returns whether the card is in
    /// service again.
    pub(crate) async fn recover(&mut self, index: usize, cause: Cause) -> bool {
        tracing::warn!(queue = index, ?cause, "repairing");
        self.shared.health.send_replace(Health::Repairing);
        let repaired = match &cause {
            Cause::Gone => false,
            Cause::Fatal { .. } | Cause::ForeignReset => self.function_reset(&cause).await.is_ok(),
            Cause::Overdue { waited } => {
                self.abort_overdue(index, *waited).await || self.escalate(index, &cause).await
            }
            Cause::Protocol(_) | Cause::QueueError { .. } => self.escalate(index, &cause).await,
        };
        if repaired {
            self.shared.health.send_replace(Health::Ready);
        } else {
            self.shared.offline(cause.why());
        }
        repaired
    }

    async fn escalate(&mut self, index: usize, cause: &Cause) -> bool {
        self.queue_restart(index, cause).await.is_ok()
            || self.controller_reset(index, cause).await.is_ok()
            || self.function_reset(cause).await.is_ok()
    }

    /// Asks the card to end the overdue command and gives it time to.
    async fn abort_overdue(&mut self, index: usize, waited: Duration) -> bool {
        let shared = Arc::clone(&self.shared);
        let queue = &shared.queues[index];
        let Some(cid) = queue.mark_overdue(waited) else {
            return true;
        };
        if !self.abort(queue.number(), cid) {
            return false;
        }
        let end = Instant::now() + shared.deadlines.abort_grace;
        let step = shared.deadlines.poll.min(Duration::from_millis(10));
        loop {
            let late = Instant::now() >= end;
            // The admin queue is looked at by the main loop afterwards.
            if queue.poll().is_err() {
                return false;
            }
            if !queue.is_outstanding(cid) {
                return true;
            }
            if late {
                return false;
            }
            // Either will do; both may be missed.
            let _ = tokio::time::timeout(step, self.wake().notified()).await;
        }
    }

    /// Stops one queue, ends its jobs and starts it again.
    async fn queue_restart(&mut self, index: usize, cause: &Cause) -> Result<(), CardError> {
        let shared = Arc::clone(&self.shared);
        let queue = &shared.queues[index];
        queue.pause();
        queue.stop(shared.deadlines.control).await?;
        shared.end_jobs(&[index], index, cause, "stopping its queue", false);
        Shared::count(&shared.counters.queue_restarts);
        queue.start(shared.deadlines.control).await
    }

    /// Stops the controller, ends all jobs and starts everything again.
    async fn controller_reset(&mut self, index: usize, cause: &Cause) -> Result<(), CardError> {
        let shared = Arc::clone(&self.shared);
        shared.pause();
        shared.disable().await?;
        shared.end_jobs(&shared.all(), index, cause, "a controller reset", false);
        Shared::count(&shared.counters.controller_resets);
        shared.enable().await
    }

    /// Resets the function, ends all jobs and starts everything again. Card
    /// memory is lost.
    async fn function_reset(&mut self, cause: &Cause) -> Result<(), CardError> {
        let shared = Arc::clone(&self.shared);
        shared.pause();
        let transport = Arc::clone(shared.bar.transport());
        let reset = tokio::task::spawn_blocking(move || transport.reset()).await;
        reset.map_err(|e| TransportError::Reset {
            cause: e.to_string(),
        })??;
        shared.memory.lose_content();
        shared.end_jobs(
            &shared.all(),
            usize::MAX,
            cause,
            "a function-level reset",
            true,
        );
        Shared::count(&shared.counters.function_resets);
        shared.enable().await
    }

    /// A reset that a caller asked for.
    pub(crate) async fn reset(&mut self, level: ResetLevel) -> Result<(), CardError> {
        self.shared.health.send_replace(Health::Repairing);
        let asked = Cause::ForeignReset;
        let mut result = match level {
            ResetLevel::Controller => self.controller_reset(usize::MAX, &asked).await,
            ResetLevel::Function => self.function_reset(&asked).await,
        };
        if result.is_err() && level == ResetLevel::Controller {
            result = self.function_reset(&asked).await;
        }
        match &result {
            Ok(()) => {
                self.shared.health.send_replace(Health::Ready);
            }
            Err(e) => self.shared.offline(format!("a reset failed: {e}")),
        }
        result
    }
}

impl Shared {
    fn all(&self) -> Vec<usize> {
        (0..self.queues.len()).collect()
    }

    /// No queue takes commands until started again.
    fn pause(&self) {
        for queue in &self.queues {
            queue.pause();
        }
    }

    /// Takes the completions that arrived before the stop, then ends what is
    /// left in `queues`: the oldest of `culprit` for the cause, the others as
    /// restarted.
    fn end_jobs(
        &self,
        queues: &[usize],
        culprit: usize,
        cause: &Cause,
        by: &'static str,
        memory_lost: bool,
    ) {
        for &index in queues {
            let queue = &self.queues[index];
            if let Ok(n) = queue.poll() {
                self.counters
                    .completions
                    .fetch_add(n as u64, Ordering::Relaxed);
            }
            let mut blame = if index == culprit {
                cause.culprit(by)
            } else {
                None
            };
            for entry in queue.take_all() {
                let why = cause.why();
                entry.fail(
                    blame
                        .take()
                        .unwrap_or(JobError::Restarted { why, memory_lost }),
                );
            }
        }
    }

    /// Clears `CTRL.enable` and waits until all queues have stopped.
    pub(crate) async fn disable(&self) -> Result<(), CardError> {
        self.bar
            .write_flushed(reg::ctrl::OFFSET, 0)
            .map_err(|Gone| self.bar.gone())?;
        let limit = self.deadlines.control;
        self.bar
            .wait_field(reg::status::OFFSET, reg::status::READY, 0, "stop", limit)
            .await
    }

    /// Sets `CTRL.enable` and starts all queues.
    pub(crate) async fn enable(&self) -> Result<(), CardError> {
        let on = reg::ctrl::ENABLE.set(0, 1);
        self.bar
            .write_flushed(reg::ctrl::OFFSET, on)
            .map_err(|Gone| self.bar.gone())?;
        let limit = self.deadlines.control;
        self.bar
            .wait_field(reg::status::OFFSET, reg::status::READY, 1, "start", limit)
            .await?;
        for queue in &self.queues {
            queue.start(limit).await?;
        }
        Ok(())
    }

    /// Takes the card out of service: unmaps all DMA memory, so that jobs can
    /// have theirs back; where that fails, quarantines it.
    fn offline(&self, why: String) {
        tracing::error!(%why, "card is out of service");
        let reason = JobError::Offline { why: why.clone() };
        for queue in &self.queues {
            queue.end(reason.clone());
        }
        // Both pools, even if the first fails.
        let unmapped = [self.to_card.revoke(), self.from_card.revoke()] == [true, true];
        if unmapped {
            self.release_claim();
        }
        self.health.send_replace(Health::Offline(why));
        for entry in self.queues.iter().flat_map(|q| q.take_all()) {
            if unmapped {
                entry.fail(reason.clone());
            } else {
                entry.quarantine(reason.clone());
            }
        }
    }

    /// Stops the card without a runtime: controller, then function reset, then
    /// unmapping. Does nothing to a card that is out of service already.
    pub(crate) fn close_blocking(&self, reason: JobError) {
        if matches!(&*self.health.borrow(), Health::Offline(_)) {
            return;
        }
        for queue in &self.queues {
            queue.end(reason.clone());
        }
        let limit = self.deadlines.control;
        let stopped = self.bar.write_flushed(reg::ctrl::OFFSET, 0).is_ok()
            && self
                .bar
                .wait_field_blocking(reg::status::OFFSET, reg::status::READY, 0, limit);
        let done = stopped
            || self.bar.transport().reset().is_ok()
            || [self.to_card.revoke(), self.from_card.revoke()] == [true, true];
        for queue in &self.queues {
            if done {
                // What ended before the stop has ended well.
                let _ = queue.poll();
            }
            for entry in queue.take_all() {
                if done {
                    entry.fail(reason.clone());
                } else {
                    entry.quarantine(reason.clone());
                }
            }
        }
        if done {
            self.release_claim();
        }
    }

    /// Lets others open the card: this handle does not touch it any more.
    fn release_claim(&self) {
        self.claim
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }
}
