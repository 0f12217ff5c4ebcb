//! Pools of DMA memory and the buffers cut from them.
//!
//! [`HostBuf`] is the ownership type of the driver: whoever holds one owns its
//! bytes, and the card does not touch them. Submitting moves it into the
//! queue's slot table, and it comes back through the
//! [`Ticket`](crate::ticket::Ticket). It is dropped, and its bytes reused, only
//! when the card can no longer reach them: after the matching completion, a
//! proven queue stop, a reset, or an unmap. Where none of these can be proven
//! the bytes are *quarantined*: never reused, and counted.
//!
//! A pool serves one [`Direction`]; it maps a few large chunks, each once, with
//! that direction's rights, so a card that writes to its operands meets a bus
//! error.
#![allow(unsafe_code)]

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::granules::{Granules, round_up};
use crate::memory::{HostMemory, MemoryError};
use crate::transport::{Direction, Transport, TransportError};

/// Why a buffer could not be had.
#[derive(Debug, thiserror::Error)]
pub enum DmaError {
    /// Zero bytes, or more than the address space.
    #[error(
        "a DMA buffer of {bytes} bytes was asked for; ask for at least 1 and at most the pool's limit"
    )]
    Size {
        /// Bytes asked for.
        bytes: usize,
    },
    /// The pool has reached its limit.
    #[error(
        "DMA pool exhausted: {bytes} bytes asked for, {in_use} in use, limit {limit}; wait for jobs to finish, drop buffers, or raise `host_memory_limit`"
    )]
    Exhausted {
        /// Bytes asked for.
        bytes: usize,
        /// Bytes mapped already.
        in_use: u64,
        /// The pool's limit.
        limit: u64,
    },
    /// The system refused memory.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The mapping was refused.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// Bytes of a chunk unless a buffer needs more.
const CHUNK: usize = 8 << 20;

#[derive(Debug)]
struct Chunk {
    memory: Arc<HostMemory>,
    iova: u64,
    space: Granules,
}

#[derive(Debug)]
struct PoolInner {
    transport: Arc<dyn Transport>,
    direction: Direction,
    limit: u64,
    chunks: Mutex<Vec<Chunk>>,
    quarantined: AtomicU64,
}

/// A growing set of mapped chunks of one direction. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DmaPool {
    inner: Arc<PoolInner>,
}

impl DmaPool {
    /// An empty pool that maps through `transport` at most `limit` bytes.
    pub fn new(transport: Arc<dyn Transport>, direction: Direction, limit: u64) -> Self {
        let inner = PoolInner {
            transport,
            direction,
            limit,
            chunks: Mutex::new(Vec::new()),
            quarantined: AtomicU64::new(0),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// What the card may do with buffers of this pool.
    pub fn direction(&self) -> Direction {
        self.inner.direction
    }

    /// Bytes that will never be used again because the card may still reach
    /// them.
    pub fn quarantined(&self) -> u64 {
        self.inner.quarantined.load(Ordering::Relaxed)
    }

    /// A zeroed buffer of `bytes` bytes; its capacity is the next multiple
    /// of 64.
    ///
    /// # Errors
    /// [`DmaError`].
    pub fn allocate(&self, bytes: usize) -> Result<HostBuf, DmaError> {
        let capacity = round_up(bytes as u64)
            .filter(|&c| c > 0 && c <= isize::MAX as u64)
            .ok_or(DmaError::Size { bytes })?;
        let inner = &self.inner;
        let mut chunks = inner.chunks.lock().unwrap_or_else(PoisonError::into_inner);
        for chunk in chunks.iter_mut() {
            if let Some(offset) = chunk.space.take(capacity) {
                return Ok(HostBuf::cut(self, chunk, offset, bytes, capacity));
            }
        }
        let in_use: u64 = chunks.iter().map(|c| c.memory.len() as u64).sum();
        let room = inner.limit.saturating_sub(in_use);
        if capacity > room {
            return Err(DmaError::Exhausted {
                bytes,
                in_use,
                limit: inner.limit,
            });
        }
        let size = (capacity as usize).max(CHUNK.min(room as usize));
        let memory = Arc::new(HostMemory::allocate(size)?);
        let iova = inner.transport.map(Arc::clone(&memory), inner.direction)?;
        let space = Granules::new(memory.len() as u64);
        let mut chunk = Chunk {
            memory,
            iova,
            space,
        };
        let offset = chunk.space.take(capacity).ok_or(DmaError::Size { bytes })?;
        let buffer = HostBuf::cut(self, &chunk, offset, bytes, capacity);
        chunks.push(chunk);
        Ok(buffer)
    }

    /// Unmaps every chunk, so that the card reaches nothing of this pool any
    /// more; buffers stay valid for the CPU, new ones come from new mappings.
    /// Returns whether all unmaps succeeded.
    pub(crate) fn revoke(&self) -> bool {
        let mut chunks = self
            .inner
            .chunks
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut all = true;
        chunks.retain(|chunk| match self.inner.transport.unmap(chunk.iova) {
            // A card that has left the bus reaches nothing either.
            Ok(()) | Err(TransportError::Gone { .. }) => false,
            Err(e) => {
                tracing::error!(error = %e, iova = chunk.iova, "cannot unmap DMA memory");
                all = false;
                true
            }
        });
        all
    }
}

impl Drop for PoolInner {
    fn drop(&mut self) {
        for chunk in self
            .chunks
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .drain(..)
        {
            match self.transport.unmap(chunk.iova) {
                Ok(()) | Err(TransportError::Gone { .. }) => {}
                Err(e) => {
                    tracing::warn!(error = %e, iova = chunk.iova, "cannot unmap DMA memory");
                }
            }
        }
    }
}

/// A range of DMA memory that the CPU owns: `Deref`s to its bytes. See the
/// module page for when it is the card's.
pub struct HostBuf {
    pool: DmaPool,
    memory: Arc<HostMemory>,
    iova: u64,
    offset: usize,
    len: usize,
    capacity: usize,
}

impl HostBuf {
    fn cut(pool: &DmaPool, chunk: &Chunk, offset: u64, len: usize, capacity: u64) -> Self {
        let mut buffer = Self {
            pool: pool.clone(),
            memory: Arc::clone(&chunk.memory),
            iova: chunk.iova + offset,
            offset: offset as usize,
            len,
            capacity: capacity as usize,
        };
        // Neither another job's data nor its padding may travel to the card.
        buffer.whole_mut().fill(0);
        buffer
    }

    /// I/O address of the first byte, a multiple of 64.
    pub fn iova(&self) -> u64 {
        self.iova
    }

    /// Bytes that travel: the length rounded up to 64. Those beyond the length
    /// are zero unless the card wrote them.
    pub fn padded_len(&self) -> usize {
        self.capacity
    }

    /// What the card may do with it once submitted.
    pub fn direction(&self) -> Direction {
        self.pool.direction()
    }

    /// Whether it was cut from `pool`. Its address means something else to any
    /// other card.
    pub(crate) fn belongs_to(&self, pool: &DmaPool) -> bool {
        Arc::ptr_eq(&self.pool.inner, &pool.inner)
    }

    /// The mapping behind it, and the offset of its first byte there: for rings,
    /// which both sides touch at once and which therefore must not be accessed
    /// as slices.
    pub(crate) fn shared(&self) -> (&Arc<HostMemory>, usize) {
        (&self.memory, self.offset)
    }

    fn whole_mut(&mut self) -> &mut [u8] {
        // SAFETY: `offset + capacity` lies within the mapping (cut by the
        // chunk's allocator), which `memory` keeps alive. The allocator gave
        // the range to this value alone, and it is not lent to the card while
        // somebody can call this: submitting moves it.
        unsafe {
            std::slice::from_raw_parts_mut(
                self.memory.base().as_ptr().add(self.offset),
                self.capacity,
            )
        }
    }

    /// Gives the bytes up for good: the card may still write there.
    pub(crate) fn quarantine(self) {
        self.pool
            .inner
            .quarantined
            .fetch_add(self.capacity as u64, Ordering::Relaxed);
        // Forgetting it also keeps the pool alive, and with it the mapping.
        std::mem::forget(self);
    }
}

impl Deref for HostBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: as in `whole_mut`; `len <= capacity`.
        unsafe {
            std::slice::from_raw_parts(self.memory.base().as_ptr().add(self.offset), self.len)
        }
    }
}

impl DerefMut for HostBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        let len = self.len;
        &mut self.whole_mut()[..len]
    }
}

impl fmt::Debug for HostBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostBuf")
            .field("iova", &format_args!("{:#x}", self.iova))
            .field("len", &self.len)
            .field("direction", &self.direction())
            .finish()
    }
}

impl Drop for HostBuf {
    fn drop(&mut self) {
        let mut chunks = self
            .pool
            .inner
            .chunks
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // A revoked chunk is no longer in the list; its memory goes with the
        // last buffer.
        if let Some(chunk) = chunks
            .iter_mut()
            .find(|c| Arc::ptr_eq(&c.memory, &self.memory))
        {
            chunk.space.give(self.offset as u64, self.capacity as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tokio::sync::broadcast;

    use super::*;
    use crate::claim::{Claim, ClaimSlot};
    use crate::transport::{InterruptLine, TransportEvent};

    /// Maps, and nothing else.
    #[derive(Debug, Default)]
    struct Maps {
        mapped: AtomicUsize,
        made: AtomicUsize,
        claims: ClaimSlot,
    }

    impl Transport for Maps {
        fn describe(&self) -> String {
            "maps".into()
        }
        fn read32(&self, _: u32) -> u32 {
            u32::MAX
        }
        fn write32(&self, _: u32, _: u32) {}
        fn map(&self, memory: Arc<HostMemory>, _: Direction) -> Result<u64, TransportError> {
            assert!(memory.len() as u64 <= 1 << 32);
            self.mapped.fetch_add(1, Ordering::Relaxed);
            Ok((self.made.fetch_add(1, Ordering::Relaxed) as u64 + 1) << 32)
        }
        fn unmap(&self, _: u64) -> Result<(), TransportError> {
            self.mapped.fetch_sub(1, Ordering::Relaxed);
            Ok(())
        }
        fn interrupt(&self, vector: u16) -> Result<Arc<InterruptLine>, TransportError> {
            Err(TransportError::Vector { vector, count: 0 })
        }
        fn reset(&self) -> Result<(), TransportError> {
            Ok(())
        }
        fn claim(&self) -> Result<Claim, TransportError> {
            self.claims.take("maps")
        }
        fn events(&self) -> broadcast::Receiver<TransportEvent> {
            broadcast::channel(1).1
        }
    }

    fn pool(limit: u64) -> (Arc<Maps>, DmaPool) {
        let maps = Arc::new(Maps::default());
        let pool = DmaPool::new(Arc::clone(&maps) as _, Direction::ToDevice, limit);
        (maps, pool)
    }

    #[test]
    fn buffers_are_apart_aligned_and_never_show_what_was_there_before() {
        let (maps, pool) = pool(1 << 30);
        let mut held: Vec<HostBuf> = (1..60).map(|n| pool.allocate(n * 37).unwrap()).collect();
        for (i, buffer) in held.iter_mut().enumerate() {
            assert_eq!((buffer.iova() % 64, buffer.padded_len() % 64), (0, 0));
            assert!(buffer.iter().all(|&b| b == 0));
            buffer.fill(i as u8 + 1);
        }
        for (i, buffer) in held.iter().enumerate() {
            assert!(buffer.iter().all(|&b| b == i as u8 + 1), "buffers overlap");
        }
        let seen = held[7].iova();
        held.clear();
        let again: Vec<HostBuf> = (1..60).map(|n| pool.allocate(n * 37).unwrap()).collect();
        assert_eq!(again[7].iova(), seen, "memory is used again");
        assert!(again.iter().all(|b| b.iter().all(|&b| b == 0)));
        assert_eq!(maps.mapped.load(Ordering::Relaxed), 1, "one large mapping");
        drop((again, pool));
        assert_eq!(maps.mapped.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn limits_are_kept_and_large_buffers_have_their_own_mapping() {
        let (maps, pool) = pool(3 * CHUNK as u64);
        let small = pool.allocate(1).unwrap();
        let large = pool.allocate(2 * CHUNK).unwrap();
        assert_eq!(
            (large.len(), maps.mapped.load(Ordering::Relaxed)),
            (2 * CHUNK, 2)
        );
        assert!(matches!(
            pool.allocate(2 * CHUNK),
            Err(DmaError::Exhausted { .. })
        ));
        assert!(matches!(
            pool.allocate(usize::MAX),
            Err(DmaError::Size { .. })
        ));
        drop(large);
        assert!(pool.allocate(2 * CHUNK).is_ok());
        // After a revocation old buffers are the CPU's alone, new ones are mapped anew.
        assert!(pool.revoke());
        assert_eq!(maps.mapped.load(Ordering::Relaxed), 0);
        assert_eq!(small[..], [0]);
        let new = pool.allocate(64).unwrap();
        assert_ne!(new.iova(), small.iova());
        drop(small);
    }

    #[test]
    fn quarantined_bytes_are_counted_and_stay_mapped() {
        let (maps, pool) = pool(1 << 30);
        let first = pool.allocate(100).unwrap();
        let at = first.iova();
        first.quarantine();
        assert_eq!(pool.quarantined(), 128);
        assert_ne!(pool.allocate(100).unwrap().iova(), at, "never used again");
        drop(pool);
        assert_eq!(maps.mapped.load(Ordering::Relaxed), 1);
    }
}
