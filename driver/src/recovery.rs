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
//! done with it. Where even unmapping fails, it is quarantined until a later
//! reset or unmap succeeds. A card that is out of service comes back by a
//! function-level reset ([`Recovery::revive`]).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::{CardError, JobError};
use crate::queue_pair::QueuePair;
use crate::request::ResetLevel;
use crate::ring::RingError;
use crate::shared::{Health, Shared};
use crate::transport::TransportError;

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

/// Repairs one card. Only the card's task has it, and each of its methods takes
/// it for itself, so that one repair ends before the next begins.
pub(crate) struct Recovery {
    shared: Arc<Shared>,
}

impl Recovery {
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Repairs after `cause` on queue `index`. Returns whether the card is in
    /// service again.
    pub async fn recover(&mut self, index: usize, cause: Cause) -> bool {
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
        let shared = &*self.shared;
        let queue = &shared.queues[index];
        let Some(cid) = queue.mark_overdue(waited) else {
            return true;
        };
        if !shared.abort(queue.number(), cid) {
            return false;
        }
        let end = Instant::now() + shared.deadlines.abort_grace;
        let step = shared.deadlines.poll.min(Duration::from_millis(10));
        loop {
            let late = Instant::now() >= end;
            // The admin queue is looked at by the main loop afterwards.
            if queue.poll(&shared.counters.completions).is_err() {
                return false;
            }
            if !queue.is_outstanding(cid) {
                return true;
            }
            if late {
                return false;
            }
            // Either will do; both may be missed.
            let _ = tokio::time::timeout(step, shared.wake.notified()).await;
        }
    }

    /// Stops one queue, ends its jobs and starts it again.
    async fn queue_restart(&mut self, index: usize, cause: &Cause) -> Result<(), CardError> {
        let shared = &*self.shared;
        let queue = &shared.queues[index];
        queue.pause();
        queue.stop(shared.deadlines.control).await?;
        self.end_jobs(&[index], index, cause, "stopping its queue", false);
        Shared::count(&shared.counters.queue_restarts);
        queue.start(shared.deadlines.control).await
    }

    /// Stops the controller, ends all jobs and starts everything again.
    async fn controller_reset(&mut self, index: usize, cause: &Cause) -> Result<(), CardError> {
        let shared = &*self.shared;
        shared.pause();
        shared.disable().await?;
        self.end_jobs(&self.all(), index, cause, "a controller reset", false);
        Shared::count(&shared.counters.controller_resets);
        shared.enable().await
    }

    /// Resets the function, ends all jobs and starts everything again. Card
    /// memory is lost.
    async fn function_reset(&mut self, cause: &Cause) -> Result<(), CardError> {
        let shared = &*self.shared;
        shared.pause();
        let transport = Arc::clone(shared.bar.transport());
        let reset = tokio::task::spawn_blocking(move || transport.reset()).await;
        reset.map_err(|e| TransportError::Reset {
            cause: e.to_string(),
        })??;
        // Only a card that was out of service has something to map. Before its
        // epoch changes: whoever sees the new epoch sees the new addresses.
        shared.to_card.attach()?;
        shared.from_card.attach()?;
        shared.memory.lose_content();
        // No access from before the reset is under way, so nothing is the
        // card's any more.
        shared.quarantine.release();
        self.end_jobs(
            &self.all(),
            usize::MAX,
            cause,
            "a function-level reset",
            true,
        );
        Shared::count(&shared.counters.function_resets);
        shared.queues.iter().for_each(QueuePair::revive);
        shared.enable().await
    }

    /// Puts a card that is out of service back in: a function-level reset, DMA
    /// memory mapped anew, queues started anew.
    pub async fn revive(&mut self, level: ResetLevel) -> Result<(), CardError> {
        let why = match &*self.shared.health.borrow() {
            Health::Offline(why) => why.clone(),
            _ => return Err(CardError::Closed),
        };
        if level != ResetLevel::Function {
            return Err(CardError::Offline {
                why: format!("{why}; only a function-level reset can put it back in service"),
                gone: self.shared.bar.has_left(),
            });
        }
        // Somebody else may have opened the card since.
        self.shared.renew_claim()?;
        self.shared.health.send_replace(Health::Repairing);
        match self.function_reset(&Cause::ForeignReset).await {
            Ok(()) => {
                tracing::info!("card is back in service");
                self.shared.health.send_replace(Health::Ready);
                Ok(())
            }
            Err(e) => {
                self.shared.offline(why.clone());
                Err(CardError::Offline {
                    why: format!("{why}; the function-level reset failed: {e}"),
                    gone: self.shared.bar.has_left(),
                })
            }
        }
    }

    /// A reset that a caller asked for.
    pub async fn reset(&mut self, level: ResetLevel) -> Result<(), CardError> {
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

    /// Every queue.
    fn all(&self) -> Vec<usize> {
        (0..self.shared.queues.len()).collect()
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
            let queue = &self.shared.queues[index];
            // The queue is stopped already, whatever is wrong with it.
            let _ = queue.poll(&self.shared.counters.completions);
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
}
