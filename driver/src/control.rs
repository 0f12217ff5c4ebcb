//! The card as a whole: taken over, started, stopped, taken out of service.
//!
//! Called by `card.rs` when a card is opened, by `recovery.rs` for the deeper
//! steps of a repair, and by `worker.rs` when the card is closed.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::bar::{Bar, Gone};
use crate::claim::Leftovers;
use crate::error::{CardError, JobError};
use crate::registers as reg;
use crate::shared::{Health, Shared};
use crate::transport::{Transport, TransportError};

/// Clears `CTRL.enable` and waits until all queues have stopped, which a queue
/// has only when nothing that it began is under way (contract, Queues 6).
async fn disable(bar: &Bar, limit: Duration) -> Result<(), CardError> {
    bar.write_flushed(reg::ctrl::OFFSET, 0)
        .map_err(|Gone| bar.gone())?;
    bar.wait_field(reg::status::OFFSET, reg::status::READY, 0, "stop", limit)
        .await
}

/// Stops a card that somebody may have left running, by a function-level reset
/// if it must be. Comes before the first mapping: addresses that the card was
/// given by others may be those that this driver will get.
pub(crate) async fn take_over(bar: &Bar, limit: Duration) -> Result<(), CardError> {
    let stubborn = match disable(bar, limit).await {
        Err(error @ CardError::Unresponsive { .. }) => error,
        other => return other,
    };
    tracing::warn!(%stubborn, "resetting the function of a card that was left running");
    let transport = Arc::clone(bar.transport());
    match tokio::task::spawn_blocking(move || transport.reset()).await {
        Ok(Ok(())) => disable(bar, limit).await,
        // The first failure says more.
        Ok(Err(_)) | Err(_) => Err(stubborn),
    }
}

/// Ends mappings that the holder before could not end. The card is stopped.
pub(crate) fn clear_leftovers(transport: &dyn Transport, leftovers: &Leftovers) {
    for iova in leftovers.take() {
        match transport.unmap(iova) {
            Ok(()) | Err(TransportError::Gone { .. }) => {}
            Err(e) => {
                tracing::warn!(error = %e, iova, "cannot unmap what an earlier handle left");
                leftovers.leave(iova);
            }
        }
    }
}

impl Shared {
    /// No queue takes commands until started again.
    pub(crate) fn pause(&self) {
        for queue in &self.queues {
            queue.pause();
        }
    }

    /// Stops the controller, and with it all queues.
    pub(crate) async fn disable(&self) -> Result<(), CardError> {
        disable(&self.bar, self.deadlines.control).await
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
    pub(crate) fn offline(&self, why: String) {
        tracing::error!(%why, "card is out of service");
        let gone = self.bar.has_left();
        let reason = JobError::Offline {
            why: why.clone(),
            gone,
        };
        for queue in &self.queues {
            queue.end(reason.clone());
        }
        self.release_unreachable();
        self.health.send_replace(Health::Offline(why));
        for entry in self.queues.iter().flat_map(|q| q.take_all()) {
            entry.give_up(reason.clone(), &self.quarantine);
        }
    }

    /// Unmaps what is still mapped and lets go of what the card cannot reach
    /// any more; when that is all, others may open the card.
    pub(crate) fn release_unreachable(&self) {
        let unmapped = self.detach();
        self.quarantine.release_unmapped();
        if unmapped {
            self.release_claim();
        }
    }

    /// Takes all DMA memory from the card; whether that succeeded.
    fn detach(&self) -> bool {
        // Both pools, even if the first fails.
        [self.to_card.detach(), self.from_card.detach()] == [true, true]
    }

    /// Stops the card without a runtime: controller, then function reset; and
    /// unmaps all memory. Does nothing to a card that is out of service and
    /// unmapped: it may be somebody else's by now.
    pub(crate) fn close_blocking(&self, reason: JobError) {
        let offline = matches!(&*self.health.borrow(), Health::Offline(_));
        if offline && self.to_card.usage().mapped + self.from_card.usage().mapped == 0 {
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
        let done = stopped || self.bar.transport().reset().is_ok();
        let unmapped = self.detach();
        for queue in &self.queues {
            if done || unmapped {
                // What ended before the stop has ended well.
                let _ = queue.poll(&self.counters.completions);
            }
            for entry in queue.take_all() {
                if done {
                    entry.fail(reason.clone());
                } else {
                    entry.give_up(reason.clone(), &self.quarantine);
                }
            }
        }
        if done {
            self.quarantine.release();
        } else {
            self.quarantine.release_unmapped();
        }
        // Otherwise it ends with the last handle; whoever comes next stops the
        // card before anything else.
        if done || unmapped {
            self.release_claim();
        }
    }

    /// Claims the card again after [`Shared::release_claim`].
    pub(crate) fn renew_claim(&self) -> Result<(), TransportError> {
        let mut held = self.claim.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_none() {
            *held = Some(self.bar.transport().claim()?);
        }
        Ok(())
    }

    /// Lets others open the card: this handle does not touch it any more.
    fn release_claim(&self) {
        self.claim
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }
}
