//! Memory that jobs gave up before the card was proven to be done with it.
//!
//! One list per open card, filled by `control.rs` when neither a stop nor a
//! reset nor an unmap could be had, and emptied by whichever of them succeeds
//! later. What is still here when the card's handles are dropped loses its
//! buffers, but not its mappings: the transport keeps those, and the next
//! opener ends them ([`crate::claim`]).

use std::sync::{Mutex, PoisonError};

use crate::dma::HostBuf;
use crate::ledger::Owner;
use crate::region::CardRegion;

/// Everything that one command borrowed.
#[derive(Debug, Default)]
pub(crate) struct Borrowed {
    /// Operands, results, lists.
    pub buffers: Vec<HostBuf>,
    /// Operands in card memory, kept from being given out again.
    pub _regions: Vec<CardRegion>,
}

impl Borrowed {
    /// Whether a mapping still reaches some of its host memory.
    pub fn is_mapped(&self) -> bool {
        self.buffers.iter().any(HostBuf::is_mapped)
    }
}

/// The quarantine of one card.
#[derive(Debug, Default)]
pub(crate) struct Quarantine {
    held: Mutex<Vec<Borrowed>>,
}

impl Quarantine {
    /// Keeps what a job borrowed from being used again.
    pub fn keep(&self, borrowed: Borrowed) {
        for buffer in &borrowed.buffers {
            buffer.set_owner(Owner::Quarantine);
        }
        self.lock().push(borrowed);
    }

    /// Lets everything go: the card is proven to be done with it.
    pub fn release(&self) {
        let held = std::mem::take(&mut *self.lock());
        if !held.is_empty() {
            tracing::info!(jobs = held.len(), "quarantined memory is free again");
        }
        drop(held);
    }

    /// Lets go of what no mapping reaches any more.
    pub fn release_unmapped(&self) {
        self.lock().retain(Borrowed::is_mapped);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Borrowed>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
