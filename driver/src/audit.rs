//! A view of the ledger of ownership, for audits and metrics.
//!
//! Got from [`Card::audit`](crate::Card::audit); asked by tests at every
//! access of a simulated card, and by whoever watches a card's memory.

use crate::dma::{DmaPool, MemoryUse};
use crate::ledger::Owner;

/// Who owns the host memory of one card, byte by byte. Callable from any
/// thread, also while the card is being repaired and after it was closed.
#[derive(Clone, Debug)]
pub struct Audit {
    to_card: DmaPool,
    from_card: DmaPool,
}

impl Audit {
    pub(crate) fn new(to_card: &DmaPool, from_card: &DmaPool) -> Self {
        Self {
            to_card: to_card.clone(),
            from_card: from_card.clone(),
        }
    }

    /// Who may touch the I/O addresses `range` at this moment. A card that
    /// touches [`Owner::Cpu`] breaks the contract, or the driver does.
    pub fn owner(&self, range: std::ops::Range<u64>) -> Owner {
        // The pool that does not map it says nobody.
        self.to_card
            .owner(range.clone())
            .max(self.from_card.owner(range))
    }

    /// Bytes lent, quarantined and mapped at this moment.
    pub fn memory_use(&self) -> MemoryUse {
        self.to_card.usage() + self.from_card.usage()
    }
}
