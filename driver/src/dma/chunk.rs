//! One mapping of a pool, and the accounting of its parts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::MemoryUse;
use crate::granules::Granules;
use crate::ledger::Ledger;
use crate::memory::HostMemory;
use crate::transport::{Direction, Transport, TransportError};

/// Address of a chunk that is not mapped: no card reaches so far.
const UNMAPPED: u64 = 1 << 63;

/// Which parts are free, and who owns the others.
#[derive(Debug)]
pub(super) struct Accounting {
    pub space: Granules,
    pub ledger: Ledger,
}

/// One mapping, and who owns its parts. What is free holds zeros.
#[derive(Debug)]
pub(super) struct Chunk {
    pub memory: Arc<HostMemory>,
    /// I/O address of the first byte; [`UNMAPPED`] without a mapping.
    iova: AtomicU64,
    accounting: Mutex<Accounting>,
}

impl Chunk {
    pub(super) fn new(memory: HostMemory) -> Self {
        let accounting = Accounting {
            space: Granules::new(memory.len() as u64),
            ledger: Ledger::default(),
        };
        Self {
            memory: Arc::new(memory),
            iova: AtomicU64::new(UNMAPPED),
            accounting: Mutex::new(accounting),
        }
    }

    pub(super) fn accounting(&self) -> MutexGuard<'_, Accounting> {
        self.accounting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Its size.
    pub(super) fn bytes(&self) -> u64 {
        self.memory.len() as u64
    }

    /// Whether no buffer is cut from it.
    pub(super) fn is_unused(&self) -> bool {
        self.accounting().space.free_bytes() == self.bytes()
    }

    pub(super) fn iova(&self) -> u64 {
        self.iova.load(Ordering::Acquire)
    }

    pub(super) fn is_mapped(&self) -> bool {
        self.iova() != UNMAPPED
    }

    pub(super) fn map(
        &self,
        transport: &dyn Transport,
        direction: Direction,
    ) -> Result<(), TransportError> {
        let iova = transport.map(Arc::clone(&self.memory), direction)?;
        self.iova.store(iova, Ordering::Release);
        Ok(())
    }

    /// Ends the mapping; on success everything in it is the CPU's.
    pub(super) fn unmap(&self, transport: &dyn Transport) -> bool {
        let iova = self.iova();
        if iova == UNMAPPED {
            return true;
        }
        match transport.unmap(iova) {
            // A card that has left the bus reaches nothing either.
            Ok(()) | Err(TransportError::Gone { .. }) => {
                let mut accounting = self.accounting();
                accounting.ledger.clear();
                // Under the lock, so that nothing is lent after it.
                self.iova.store(UNMAPPED, Ordering::Release);
                drop(accounting);
                true
            }
            Err(e) => {
                tracing::error!(error = %e, iova, "cannot unmap DMA memory");
                false
            }
        }
    }

    pub(super) fn usage(&self) -> MemoryUse {
        let mapped = if self.is_mapped() {
            self.memory.len() as u64
        } else {
            0
        };
        let accounting = self.accounting();
        MemoryUse {
            lent: accounting.ledger.lent(),
            quarantined: accounting.ledger.quarantined(),
            mapped,
        }
    }
}
