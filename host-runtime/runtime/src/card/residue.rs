//! What proofs that were given up leave in card memory.
//!
//! A proof overwrites its memory at its end. One whose future is dropped cannot wait for that, so it leaves its regions
//! here: nobody gets them before they are overwritten, on the queue of its commands, behind the last of them. That
//! happens when another job needs memory, or ends.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use carillon_driver::{Card, CardRegion};

use super::lanes::Lane;

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
    /// Where its commands were sent.
    queue: usize,
}

impl Residue {
    /// A proof's memory, left here unless [`Worked::settled`] is called.
    pub fn of<'a>(&'a self, lane: &Lane, regions: Vec<CardRegion>) -> Worked<'a> {
        let queue = lane.index();
        Worked {
            residue: self,
            left: Some(Left { regions, queue }),
        }
    }

    /// Overwrites what was left and frees it. Whether there was any.
    pub async fn overwrite(&self, card: &Card) -> bool {
        let _one = self.overwriting.lock().await;
        let mut found = false;
        loop {
            let Some(left) = self.lock().first().map(Arc::clone) else {
                return found;
            };
            for region in &left.regions {
                if let Err(error) = card.queue(left.queue).clear(region).await {
                    tracing::warn!(%error, "card memory is not overwritten before the card is closed");
                    break;
                }
            }
            // Only now: who is cancelled before leaves it to the next.
            self.lock().retain(|other| !Arc::ptr_eq(other, &left));
            found = true;
        }
    }

    /// Bytes of card memory that it takes.
    pub fn bytes(&self) -> u64 {
        let left = self.lock();
        let regions = left.iter().flat_map(|left| &left.regions);
        regions.map(CardRegion::len).sum()
    }

    /// Forgets it, after card memory was lost.
    pub fn forget_lost(&self) {
        self.lock().clear();
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
    /// The proof has overwritten it itself, or could not.
    pub fn settled(mut self) {
        self.left = None;
    }
}

impl Drop for Worked<'_> {
    fn drop(&mut self) {
        if let Some(left) = self.left.take() {
            self.residue.lock().push(Arc::new(left));
        }
    }
}
