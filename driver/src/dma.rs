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

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::claim::Leftovers;
use crate::granules::{Granules, round_up};
use crate::ledger::{Ledger, Owner};
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
/// Address of a chunk that is not mapped: no card reaches so far.
const UNMAPPED: u64 = 1 << 63;

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
struct Books {
    space: Granules,
    ledger: Ledger,
    /// Nothing from here on was ever given out, so it still holds the zeros it
    /// was born with.
    fresh: u64,
}

/// One mapping, and who owns its parts.
#[derive(Debug)]
struct Chunk {
    memory: Arc<HostMemory>,
    /// I/O address of the first byte; [`UNMAPPED`] without a mapping.
    iova: AtomicU64,
    books: Mutex<Books>,
}

impl Chunk {
    fn new(memory: HostMemory) -> Self {
        let books = Books {
            space: Granules::new(memory.len() as u64),
            ledger: Ledger::default(),
            fresh: 0,
        };
        Self {
            memory: Arc::new(memory),
            iova: AtomicU64::new(UNMAPPED),
            books: Mutex::new(books),
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn iova(&self) -> u64 {
        self.iova.load(Ordering::Acquire)
    }

    fn is_mapped(&self) -> bool {
        self.iova() != UNMAPPED
    }

    fn map(&self, transport: &dyn Transport, direction: Direction) -> Result<(), TransportError> {
        let iova = transport.map(Arc::clone(&self.memory), direction)?;
        self.iova.store(iova, Ordering::Release);
        Ok(())
    }

    /// Ends the mapping; on success everything in it is the CPU's.
    fn unmap(&self, transport: &dyn Transport) -> bool {
        let iova = self.iova();
        if iova == UNMAPPED {
            return true;
        }
        match transport.unmap(iova) {
            // A card that has left the bus reaches nothing either.
            Ok(()) | Err(TransportError::Gone { .. }) => {
                let mut books = self.books();
                books.ledger.clear();
                // Under the lock, so that nothing is lent after it.
                self.iova.store(UNMAPPED, Ordering::Release);
                drop(books);
                true
            }
            Err(e) => {
                tracing::error!(error = %e, iova, "cannot unmap DMA memory");
                false
            }
        }
    }

    fn usage(&self) -> MemoryUse {
        let mapped = if self.is_mapped() {
            self.memory.len() as u64
        } else {
            0
        };
        let books = self.books();
        MemoryUse {
            lent: books.ledger.lent(),
            quarantined: books.ledger.quarantined(),
            mapped,
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
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize};

    use tokio::sync::broadcast;

    use super::*;
    use crate::claim::{Claim, ClaimSlot};
    use crate::transport::{InterruptLine, TransportEvent};

    /// Maps, and nothing else.
    #[derive(Debug, Default)]
    struct Maps {
        mapped: AtomicUsize,
        made: AtomicUsize,
        stuck: AtomicBool,
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
        fn unmap(&self, iova: u64) -> Result<(), TransportError> {
            if self.stuck.load(Ordering::Relaxed) {
                return Err(TransportError::NotMapped { iova });
            }
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
        // Detached, buffers are the CPU's alone and nothing is mapped;
        // attached again, the same buffers have other addresses.
        let before = small.iova();
        assert!(pool.detach());
        assert_eq!(maps.mapped.load(Ordering::Relaxed), 0);
        let new = pool.allocate(2 * CHUNK).unwrap();
        assert_eq!(maps.mapped.load(Ordering::Relaxed), 0);
        assert!(small[..] == [0] && new[2 * CHUNK - 1] == 0);
        pool.attach().unwrap();
        assert_eq!(maps.mapped.load(Ordering::Relaxed), 2);
        assert!(small.iova() != before && new.iova() != small.iova());
        drop(small);
    }

    #[test]
    fn a_filled_buffer_shows_nothing_of_what_was_there_before() {
        let (_, pool) = pool(1 << 30);
        pool.allocate(128).unwrap().fill(0xee);
        let filled = pool.allocate_filled(&[7; 65]).unwrap();
        assert_eq!((filled[..].len(), filled.padded_len()), (65, 128));
        assert!(filled.iter().all(|&b| b == 7));
        let (memory, at) = filled.shared();
        let mut padding = [1; 63];
        memory.read(at + 65, &mut padding).unwrap();
        assert_eq!(padding, [0; 63]);
        drop(filled);
        assert!(pool.allocate(300).unwrap().iter().all(|&b| b == 0));
    }

    #[test]
    fn the_ledger_knows_every_byte_by_its_address() {
        let (_, pool) = pool(1 << 30);
        let (a, b) = (pool.allocate(100).unwrap(), pool.allocate(64).unwrap());
        let range = |buf: &HostBuf| buf.iova()..buf.iova() + buf.padded_len() as u64;
        assert_eq!(pool.owner(range(&a)), Owner::Cpu);
        a.set_owner(Owner::Card);
        assert_eq!(pool.owner(range(&a)), Owner::Card);
        assert_eq!(pool.owner(a.iova()..b.iova() + 1), Owner::Cpu);
        b.set_owner(Owner::Quarantine);
        assert_eq!(
            (pool.usage().lent, pool.usage().quarantined),
            (128, 64),
            "padding included"
        );
        assert_eq!(pool.owner(0..64), Owner::Nobody);
        assert_eq!(pool.owner(range(&b).end - 1..u64::MAX), Owner::Nobody);
        // Without a mapping the card owns nothing, whatever was lent.
        let (at, mapped) = (range(&a), pool.usage().mapped);
        assert!(mapped >= CHUNK as u64 && pool.detach());
        assert_eq!(pool.owner(at), Owner::Nobody);
        a.set_owner(Owner::Card);
        assert_eq!(pool.usage(), MemoryUse::default());
        pool.attach().unwrap();
        assert_eq!(pool.owner(range(&a)), Owner::Cpu);
        assert_eq!(pool.usage().mapped, mapped);
    }

    #[test]
    fn what_cannot_be_unmapped_is_left_to_the_next_holder() {
        let (maps, _) = pool(1);
        let claim = maps.claim().unwrap();
        let transport = Arc::clone(&maps) as Arc<dyn Transport>;
        let pool =
            DmaPool::with_leftovers(transport, Direction::ToDevice, 1 << 30, claim.leftovers());
        let buffer = pool.allocate(64).unwrap();
        let at = buffer.iova();
        maps.stuck.store(true, Ordering::Relaxed);
        buffer.set_owner(Owner::Quarantine);
        assert!(!pool.detach());
        assert_eq!(pool.usage().quarantined, 64);
        drop((pool, buffer));
        assert_eq!(claim.leftovers().take(), [at]);
    }
}
