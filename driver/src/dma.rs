//! Pools of DMA memory and the buffers cut from them.
//!
//! [`HostBuf`] is the ownership type of the driver: whoever holds one owns its
//! bytes, and the card does not touch them. Submitting moves it into the
//! queue's slot table, and it comes back through the
//! [`Ticket`](crate::ticket::Ticket). It is dropped, and its bytes reused, only
//! when the card can no longer reach them: after the matching completion, a
//! proven queue stop, a reset, or an unmap. Where none of these can be proven
//! the bytes are *quarantined* ([`crate::quarantine`]) until one is.
//!
//! A pool serves one [`Direction`]; it maps a few large chunks, each once, with
//! that direction's rights, so a card that writes to its operands meets a bus
//! error. While a card is out of service its pools are detached: nothing is
//! mapped, buffers are plain memory. Put back in service, the chunks are mapped
//! anew, and the same buffers have new addresses.
#![allow(unsafe_code)]

mod chunk;

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::chunk::Chunk;
use crate::claim::Leftovers;
use crate::granules::round_up;
use crate::ledger::Owner;
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

/// Host memory of a card, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryUse {
    /// Lent to the card: commands under way, their lists, rings.
    pub lent: u64,
    /// Given up by a job, but perhaps still in the card's reach.
    pub quarantined: u64,
    /// Mapped for the card, whoever owns it at present.
    pub mapped: u64,
}

impl std::ops::Add for MemoryUse {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            lent: self.lent + other.lent,
            quarantined: self.quarantined + other.quarantined,
            mapped: self.mapped + other.mapped,
        }
    }
}

#[derive(Debug)]
struct Chunks {
    list: Vec<Arc<Chunk>>,
    attached: bool,
}

#[derive(Debug)]
struct PoolInner {
    transport: Arc<dyn Transport>,
    direction: Direction,
    limit: u64,
    chunks: Mutex<Chunks>,
    leftovers: Leftovers,
}

impl PoolInner {
    fn chunks(&self) -> MutexGuard<'_, Chunks> {
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A growing set of mapped chunks of one direction. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DmaPool {
    inner: Arc<PoolInner>,
}

impl DmaPool {
    /// An empty pool that maps through `transport` at most `limit` bytes.
    pub fn new(transport: Arc<dyn Transport>, direction: Direction, limit: u64) -> Self {
        Self::with_leftovers(transport, direction, limit, Leftovers::default())
    }

    /// The same; what it cannot unmap at its end it notes in `leftovers`.
    pub(crate) fn with_leftovers(
        transport: Arc<dyn Transport>,
        direction: Direction,
        limit: u64,
        leftovers: Leftovers,
    ) -> Self {
        let chunks = Chunks {
            list: Vec::new(),
            attached: true,
        };
        let inner = PoolInner {
            transport,
            direction,
            limit,
            chunks: Mutex::new(chunks),
            leftovers,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// What the card may do with buffers of this pool.
    pub fn direction(&self) -> Direction {
        self.inner.direction
    }

    /// Bytes lent, quarantined and mapped at present.
    pub fn usage(&self) -> MemoryUse {
        self.inner
            .chunks()
            .list
            .iter()
            .map(|chunk| chunk.usage())
            .fold(MemoryUse::default(), std::ops::Add::add)
    }

    /// Who may touch the I/O addresses `range` now.
    pub fn owner(&self, range: std::ops::Range<u64>) -> Owner {
        let chunks = self.inner.chunks();
        let holding = chunks.list.iter().find(|chunk| {
            let start = chunk.iova();
            chunk.is_mapped()
                && (start..start + chunk.memory.len() as u64).contains(&range.start)
                && range.end.saturating_sub(start) <= chunk.memory.len() as u64
        });
        holding.map_or(Owner::Nobody, |chunk| {
            let start = chunk.iova();
            chunk
                .books()
                .ledger
                .owner(range.start - start, range.end.max(range.start) - start)
        })
    }

    /// A zeroed buffer of `bytes` bytes; its capacity is the next multiple
    /// of 64.
    ///
    /// # Errors
    /// [`DmaError`].
    pub fn allocate(&self, bytes: usize) -> Result<HostBuf, DmaError> {
        let (mut buffer, fresh) = self.cut(bytes)?;
        // Neither another job's data nor its padding may travel to the card;
        // what was never given out holds zeros already.
        let used = buffer.capacity.min(fresh);
        buffer.whole_mut()[..used].fill(0);
        Ok(buffer)
    }

    /// A buffer that holds `data`, padded with zeros.
    ///
    /// # Errors
    /// [`DmaError`].
    pub fn allocate_filled(&self, data: &[u8]) -> Result<HostBuf, DmaError> {
        let (mut buffer, _) = self.cut(data.len())?;
        let (body, padding) = buffer.whole_mut().split_at_mut(data.len());
        body.copy_from_slice(data);
        padding.fill(0);
        Ok(buffer)
    }

    /// A buffer with whatever it last held, and how many of its first bytes
    /// were ever given out before.
    fn cut(&self, bytes: usize) -> Result<(HostBuf, usize), DmaError> {
        let capacity = round_up(bytes as u64)
            .filter(|&c| c > 0 && c <= isize::MAX as u64)
            .ok_or(DmaError::Size { bytes })?;
        let inner = &self.inner;
        let mut chunks = inner.chunks();
        for chunk in &chunks.list {
            if let Some(cut) = HostBuf::cut(self, chunk, bytes, capacity) {
                return Ok(cut);
            }
        }
        let in_use: u64 = chunks.list.iter().map(|c| c.memory.len() as u64).sum();
        let room = inner.limit.saturating_sub(in_use);
        if capacity > room {
            return Err(DmaError::Exhausted {
                bytes,
                in_use,
                limit: inner.limit,
            });
        }
        let size = (capacity as usize).max(CHUNK.min(room as usize));
        let chunk = Arc::new(Chunk::new(HostMemory::allocate(size)?));
        if chunks.attached {
            chunk.map(&*inner.transport, inner.direction)?;
        }
        let cut = HostBuf::cut(self, &chunk, bytes, capacity).ok_or(DmaError::Size { bytes })?;
        chunks.list.push(chunk);
        Ok(cut)
    }

    /// Unmaps every chunk, so that the card reaches nothing of this pool any
    /// more, and maps none until [`DmaPool::attach`]; buffers stay valid for
    /// the CPU. Returns whether all unmaps succeeded; what succeeded is the
    /// CPU's.
    pub(crate) fn detach(&self) -> bool {
        let mut chunks = self.inner.chunks();
        chunks.attached = false;
        let transport = &*self.inner.transport;
        // All of them, even if the first fails.
        let all = chunks
            .list
            .iter()
            .filter(|chunk| !chunk.unmap(transport))
            .count()
            == 0;
        // Memory that no buffer uses goes back to the system.
        chunks
            .list
            .retain(|chunk| chunk.is_mapped() || Arc::strong_count(chunk) > 1);
        all
    }

    /// Maps what [`DmaPool::detach`] has unmapped, at new addresses.
    ///
    /// # Errors
    /// [`DmaError::Transport`]; some chunks may be mapped then.
    pub(crate) fn attach(&self) -> Result<(), DmaError> {
        let mut chunks = self.inner.chunks();
        for chunk in &chunks.list {
            if !chunk.is_mapped() {
                chunk.map(&*self.inner.transport, self.inner.direction)?;
            }
        }
        chunks.attached = true;
        Ok(())
    }
}

impl Drop for PoolInner {
    fn drop(&mut self) {
        let chunks = self
            .chunks
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        for chunk in chunks.list.drain(..) {
            if !chunk.unmap(&*self.transport) {
                // The mapping keeps the memory; whoever opens the card next
                // ends it, once the card is proven to have stopped.
                self.leftovers.leave(chunk.iova());
            }
        }
    }
}

/// A range of DMA memory that the CPU owns: `Deref`s to its bytes. See the
/// module page for when it is the card's.
pub struct HostBuf {
    pool: DmaPool,
    chunk: Arc<Chunk>,
    offset: usize,
    len: usize,
    capacity: usize,
}

impl HostBuf {
    fn cut(pool: &DmaPool, chunk: &Arc<Chunk>, len: usize, capacity: u64) -> Option<(Self, usize)> {
        let mut books = chunk.books();
        let offset = books.space.take(capacity)?;
        let used = books.fresh.saturating_sub(offset);
        books.fresh = books.fresh.max(offset + capacity);
        drop(books);
        let buffer = Self {
            pool: pool.clone(),
            chunk: Arc::clone(chunk),
            offset: offset as usize,
            len,
            capacity: capacity as usize,
        };
        Some((buffer, used as usize))
    }

    /// I/O address of the first byte, a multiple of 64. It changes, and means
    /// nothing in between, when the card goes out of service and comes back.
    pub fn iova(&self) -> u64 {
        self.chunk.iova() + self.offset as u64
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

    /// Whether a mapping reaches it.
    pub(crate) fn is_mapped(&self) -> bool {
        self.chunk.is_mapped()
    }

    /// The mapping behind it, and the offset of its first byte there: for rings,
    /// which both sides touch at once and which therefore must not be accessed
    /// as slices.
    pub(crate) fn shared(&self) -> (&Arc<HostMemory>, usize) {
        (&self.chunk.memory, self.offset)
    }

    fn whole_mut(&mut self) -> &mut [u8] {
        // SAFETY: `offset + capacity` lies within the mapping (cut by the
        // chunk's allocator), which `chunk` keeps alive. The allocator gave
        // the range to this value alone, and it is not lent to the card while
        // somebody can call this: submitting moves it.
        unsafe {
            std::slice::from_raw_parts_mut(
                self.chunk.memory.base().as_ptr().add(self.offset),
                self.capacity,
            )
        }
    }

    /// Notes in the ledger who has it from now on. A range that is not mapped
    /// is the CPU's whatever is asked.
    pub(crate) fn set_owner(&self, owner: Owner) {
        let mut books = self.chunk.books();
        let owner = if self.chunk.is_mapped() {
            owner
        } else {
            Owner::Cpu
        };
        books
            .ledger
            .set(self.offset as u64, self.capacity as u64, owner);
    }
}

impl Deref for HostBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: as in `whole_mut`; `len <= capacity`.
        unsafe {
            std::slice::from_raw_parts(self.chunk.memory.base().as_ptr().add(self.offset), self.len)
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
            .field("iova", &format_args!("{:#x}", self.iova()))
            .field("len", &self.len)
            .field("direction", &self.direction())
            .finish()
    }
}

impl Drop for HostBuf {
    fn drop(&mut self) {
        let mut books = self.chunk.books();
        let (start, bytes) = (self.offset as u64, self.capacity as u64);
        books.ledger.set(start, bytes, Owner::Cpu);
        books.space.give(start, bytes);
    }
}

#[cfg(test)]
mod tests;
