//! What proofs that were given up leave in card memory.
//!
//! A proof overwrites its memory at its end. One whose future is dropped cannot wait for that, so it leaves its regions
//! here: nobody gets them before they are overwritten, on the queue of its commands, behind the last of them. That
//! happens when another job needs memory, or ends.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use carillon_driver::{Card, CardRegion, IoQueue, RecoveryAction};

use super::lanes::{Lane, quiet};

/// The memory of proofs that were given up.
#[derive(Debug, Default)]
pub struct Residue {
    left: Mutex<Vec<Arc<Left>>>,
    /// Held while it is overwritten.
    overwriting: tokio::sync::Mutex<()>,
}

/// What one proof left.
#[derive(Debug)]
struct Left {
    regions: Vec<CardRegion>,
    /// Where its commands were sent, if they were sent to one queue.
    queue: Option<usize>,
}

impl Residue {
    /// A proof's memory, left here unless [`Worked::settled`] is called.
    pub fn of<'a>(&'a self, lane: &Lane, regions: Vec<CardRegion>) -> Worked<'a> {
        self.on(Some(lane.index()), regions)
    }

    /// Memory that commands of this queue, or of any, fill: left here likewise.
    pub fn on(&self, queue: Option<usize>, regions: Vec<CardRegion>) -> Worked<'_> {
        Worked {
            residue: self,
            left: Some(Left { regions, queue }),
        }
    }

    /// Overwrites what was left and frees it. Whether there was any.
    pub async fn overwrite(&self, card: &Card) -> bool {
        let _one = self.overwriting.lock().await;
        let mut found = false;
        let all = self.lock().clone();
        for left in all {
            let queue = left
                .queue
                .map_or_else(|| quiet(card), |index| card.queue(index));
            let kept = clear_each(card, queue, &left.regions).await;
            // Only now: who is cancelled before leaves it to the next.
            let mut all = self.lock();
            all.retain(|other| !Arc::ptr_eq(other, &left));
            found |= kept.len() < left.regions.len();
            if !kept.is_empty() {
                let queue = left.queue;
                all.push(Arc::new(Left {
                    regions: kept,
                    queue,
                }));
            }
        }
        found
    }

    /// Bytes of card memory that it takes.
    pub fn bytes(&self) -> u64 {
        let left = self.lock();
        let regions = left.iter().flat_map(|left| &left.regions);
        regions.map(CardRegion::len).sum()
    }

    /// Forgets what was left in memory that has been lost since.
    pub fn forget_lost(&self, card: &Card) {
        self.lock()
            .retain(|left| left.regions.iter().any(|region| card.is_current(region)));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Left>>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Memory that a proof works on.
#[derive(Debug)]
pub struct Worked<'a> {
    residue: &'a Residue,
    left: Option<Left>,
}

impl Worked<'_> {
    /// Nothing is left.
    pub fn settled(mut self) {
        self.left = None;
    }

    /// All is overwritten but these regions, which stay here.
    pub fn kept(mut self, regions: Vec<CardRegion>) {
        match &mut self.left {
            Some(left) if !regions.is_empty() => left.regions = regions,
            left => *left = None,
        }
    }
}

impl Drop for Worked<'_> {
    fn drop(&mut self) {
        if let Some(left) = self.left.take() {
            self.residue.lock().push(Arc::new(left));
        }
    }
}

/// Overwrites regions, each by itself and once more if the card asks for a repetition. Those that could not be
/// overwritten and whose content is not lost.
pub async fn clear_each(card: &Card, queue: &IoQueue, regions: &[CardRegion]) -> Vec<CardRegion> {
    let mut kept = Vec::new();
    for region in regions {
        let mut result = queue.clear(region).await;
        if matches!(&result, Err(error) if error.recovery_action() == RecoveryAction::Retry) {
            result = queue.clear(region).await;
        }
        if let Err(error) = result
            && card.is_current(region)
        {
            let bytes = region.len();
            tracing::warn!(%error, bytes, "card memory could not be overwritten: nobody else gets it");
            kept.push(region.clone());
        }
    }
    kept
}
