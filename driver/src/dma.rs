//! Pools of DMA memory and the buffers cut from them.
//!
//! [`HostBuf`] is the ownership type of the driver: whoever holds one owns its
//! bytes, and the card does not touch them. Submitting moves it into the
//! queue's slot table, and it comes back through the
//! [`Ticket`](crate::Ticket). It is dropped, and its bytes reused, only
//! when the card can no longer reach them: after the matching completion, a
//! proven queue stop, a reset, or an unmap. Where none of these can be proven
//! the bytes are *quarantined* (`quarantine.rs`) until one is. Dropped
//! bytes are overwritten with zeros: they may have held a witness.
//!
//! A pool serves one [`Direction`]; it maps a few large chunks, each once, with
//! that direction's rights, so a card that writes to its operands meets a bus
//! error. It grows up to its limit; beyond that, whoever can wait waits for
//! others' buffers ([`DmaPool::allocate_in_turn`]). Chunks that nobody uses are
//! kept up to 256 MiB, the rest goes back to the system. Maps and unmaps
//! take time, so they are made without the pool's lock and off async threads
//! (`growth.rs`). While a card is out of service its pools are detached: nothing is
//! mapped, buffers are plain memory. Put back in service, the chunks are mapped
//! anew, and the same buffers have new addresses.

mod buffer;
mod chunk;
mod growth;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

pub use self::buffer::HostBuf;
use self::chunk::Chunk;
use self::growth::Growth;
use crate::claim::Leftovers;
use crate::granules::round_up;
use crate::ledger::Owner;
use crate::memory::MemoryError;
use crate::transport::{Direction, Transport, TransportError};

/// Why a buffer could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
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
    /// The tokio runtime ended while a chunk was being mapped.
    #[error("the runtime ended while DMA memory was mapped; open the card on one that runs")]
    Ended,
    /// The system refused memory.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The mapping was refused.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// Bytes of a chunk unless a buffer needs more.
const CHUNK: usize = 8 << 20;
/// Bytes of unused chunks that a pool keeps: what a stream of pieces has under
/// way on a queue of usual depth, so that it does not map them again and again.
const KEPT: u64 = 256 << 20;

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
    /// Bytes of the list, and of chunks that are being made or given back.
    bytes: u64,
    attached: bool,
}

impl Chunks {
    fn unused_bytes(&self) -> u64 {
        let unused = self.list.iter().filter(|chunk| chunk.is_unused());
        unused.map(|chunk| chunk.bytes()).sum()
    }

    /// Counts a chunk for a buffer of `capacity` bytes in; returns its size, and
    /// the unused chunks that have to go for it. `None` changes nothing: there
    /// is no place for it below `limit`.
    fn reserve(&mut self, capacity: u64, limit: u64) -> Option<(usize, Vec<Arc<Chunk>>)> {
        let left = limit.saturating_sub(self.bytes);
        // Unused chunks that are too small go for it.
        if capacity > left.saturating_add(self.unused_bytes()) {
            return None;
        }
        let given = self.unused(|bytes| capacity <= left.saturating_add(bytes));
        let freed: u64 = given.iter().map(|chunk| chunk.bytes()).sum();
        let left = usize::try_from(left + freed).unwrap_or(usize::MAX);
        let size = (capacity as usize).max(CHUNK.min(left));
        self.bytes += size as u64;
        Some((size, given))
    }

    /// Takes unused chunks out of the list until `enough` says so of their bytes
    /// so far.
    fn unused(&mut self, mut enough: impl FnMut(u64) -> bool) -> Vec<Arc<Chunk>> {
        let mut taken = Vec::new();
        let mut bytes = 0;
        self.list.retain(|chunk| {
            let take = !enough(bytes) && chunk.is_unused();
            if take {
                bytes += chunk.bytes();
                taken.push(Arc::clone(chunk));
            }
            !take
        });
        taken
    }
}

#[derive(Debug)]
struct PoolInner {
    transport: Arc<dyn Transport>,
    direction: Direction,
    limit: u64,
    chunks: Mutex<Chunks>,
    leftovers: Leftovers,
    /// Told of every buffer that comes back.
    freed: Notify,
}

impl PoolInner {
    fn chunks(&self) -> MutexGuard<'_, Chunks> {
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What it takes to get a buffer.
enum Cut {
    /// Nothing: here it is.
    Buffer(HostBuf),
    /// A chunk has to be mapped first.
    Growth(Growth),
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
            bytes: 0,
            attached: true,
        };
        let inner = PoolInner {
            transport,
            direction,
            limit,
            chunks: Mutex::new(chunks),
            leftovers,
            freed: Notify::new(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// What the card may do with buffers of this pool.
    pub fn direction(&self) -> Direction {
        self.inner.direction
    }

    /// Bytes that it maps at most.
    pub fn limit(&self) -> u64 {
        self.inner.limit
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
                .accounting()
                .ledger
                .owner(range.start - start, range.end.max(range.start) - start)
        })
    }

    /// A zeroed buffer of `bytes` bytes; its capacity is the next multiple
    /// of 64. Blocks while a chunk is mapped, if one must be.
    ///
    /// # Errors
    /// [`DmaError`].
    pub fn allocate(&self, bytes: usize) -> Result<HostBuf, DmaError> {
        match self.cut(bytes)? {
            Cut::Buffer(buffer) => Ok(buffer),
            Cut::Growth(growth) => growth.finish(bytes),
        }
    }

    /// A buffer that holds `data`, padded with zeros.
    ///
    /// # Errors
    /// [`DmaError`].
    pub fn allocate_filled(&self, data: &[u8]) -> Result<HostBuf, DmaError> {
        let mut buffer = self.allocate(data.len())?;
        buffer.copy_from_slice(data);
        Ok(buffer)
    }

    /// As [`DmaPool::allocate`]; while the pool is exhausted it waits for
    /// others' buffers to come back. Whoever waits should hold none of this pool
    /// itself, so that nobody waits for one who waits.
    ///
    /// # Errors
    /// [`DmaError`]; [`DmaError::Exhausted`] at once if more than a quarter of
    /// the limit is asked for, since that might never come together.
    pub async fn allocate_in_turn(&self, bytes: usize) -> Result<HostBuf, DmaError> {
        loop {
            // Heard from before the pool is looked at, so that no return is missed.
            let mut freed = std::pin::pin!(self.inner.freed.notified());
            freed.as_mut().enable();
            match self.cut(bytes) {
                Ok(Cut::Buffer(buffer)) => return Ok(buffer),
                Ok(Cut::Growth(growth)) => {
                    let growing = tokio::task::spawn_blocking(move || growth.finish(bytes));
                    return growing.await.unwrap_or(Err(DmaError::Ended));
                }
                Err(DmaError::Exhausted { .. }) if bytes as u64 <= self.inner.limit / 4 => {
                    freed.await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// A zeroed buffer from the chunks that there are, else what must be done
    /// for one.
    fn cut(&self, bytes: usize) -> Result<Cut, DmaError> {
        let capacity = round_up(bytes as u64)
            .filter(|&c| c > 0 && c <= isize::MAX as u64)
            .ok_or(DmaError::Size { bytes })?;
        let limit = self.inner.limit;
        let mut chunks = self.inner.chunks();
        for chunk in &chunks.list {
            if let Some(buffer) = HostBuf::cut(self, chunk, bytes, capacity) {
                return Ok(Cut::Buffer(buffer));
            }
        }
        let reserved = chunks.reserve(capacity, limit);
        let (size, given) = reserved.ok_or(DmaError::Exhausted {
            bytes,
            in_use: chunks.bytes,
            limit,
        })?;
        drop(chunks);
        Ok(Cut::Growth(Growth::new(self.clone(), given, Some(size))))
    }

    /// A buffer came back, and perhaps the last one of its chunk.
    fn returned(&self, unused: bool) {
        if unused {
            self.trim();
        }
        self.inner.freed.notify_waiters();
    }

    /// Gives unused chunks beyond [`KEPT`] back to the system.
    fn trim(&self) {
        let given = {
            let mut chunks = self.inner.chunks();
            let unused = chunks.unused_bytes();
            chunks.unused(|taken| unused - taken <= KEPT)
        };
        if given.is_empty() {
            return;
        }
        let growth = Growth::new(self.clone(), given, None);
        // Its drop does the work.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || drop(growth))),
            Err(_) => drop(growth),
        }
    }

    /// Unmaps every chunk, so that the card reaches nothing of this pool any
    /// more, and maps none until [`DmaPool::attach`]; buffers stay valid for
    /// the CPU. Returns whether all unmaps succeeded; what succeeded is the
    /// CPU's.
    pub(crate) fn detach(&self) -> bool {
        let mut chunks = self.inner.chunks();
        chunks.attached = false;
        let before: u64 = chunks.list.iter().map(|chunk| chunk.bytes()).sum();
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
            .retain(|chunk| chunk.is_mapped() || !chunk.is_unused());
        chunks.bytes -= before - chunks.list.iter().map(|chunk| chunk.bytes()).sum::<u64>();
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

#[cfg(test)]
mod tests;
