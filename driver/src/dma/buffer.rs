//! A buffer: DMA memory that the CPU owns.
#![allow(unsafe_code)]

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::DmaPool;
use super::chunk::Chunk;
use crate::granules::GRANULE;
use crate::ledger::Owner;
use crate::memory::{HostMemory, MemoryError};
use crate::transport::Direction;

/// A range of DMA memory that the CPU owns: `Deref`s to its bytes. See the page of
/// [`crate::dma`] for when it is the card's.
///
/// # What is promised
/// A slice of the bytes is sound because of two things: the card never reaches
/// memory that it may only read for writing ([`Direction::ToDevice`], enforced by
/// the IOMMU), and it writes to the rest only between submission and completion.
/// The second is the card's contract, not a law of nature: a defective or hostile
/// card can write to any [`Direction::FromDevice`] memory as long as that is
/// mapped, and the bytes behind a slice then change under its reader. So whoever
/// *decides* anything by what the card wrote takes a copy first
/// ([`HostBuf::read`], [`HostBuf::snapshot`]: accesses that may race with DMA),
/// checks the copy, and uses the copy. The driver and the runtime do so
/// everywhere; slices of such buffers are for tests and tools.
pub struct HostBuf {
    pool: DmaPool,
    chunk: Arc<Chunk>,
    offset: usize,
    len: usize,
    capacity: usize,
}

impl HostBuf {
    /// Takes a range of zeros from the chunk, if it has one.
    pub(super) fn cut(
        pool: &DmaPool,
        chunk: &Arc<Chunk>,
        len: usize,
        capacity: u64,
    ) -> Option<Self> {
        let offset = chunk.accounting().space.take(capacity)?;
        Some(Self {
            pool: pool.clone(),
            chunk: Arc::clone(chunk),
            offset: offset as usize,
            len,
            capacity: capacity as usize,
        })
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

    /// Makes two buffers of one: this one keeps the bytes before `at`, the returned one
    /// has the rest. Memory for several transfers is so taken at once, and given back
    /// transfer by transfer. `None`, and nothing is changed, unless `at` is a multiple of
    /// 64 with bytes on both sides.
    pub fn split_off(&mut self, at: usize) -> Option<Self> {
        if at == 0 || at >= self.len || !(at as u64).is_multiple_of(GRANULE) {
            return None;
        }
        let rest = Self {
            pool: self.pool.clone(),
            chunk: Arc::clone(&self.chunk),
            offset: self.offset + at,
            len: self.len - at,
            capacity: self.capacity - at,
        };
        (self.len, self.capacity) = (at, at);
        Some(rest)
    }

    /// What the card may do with it once submitted.
    pub fn direction(&self) -> Direction {
        self.pool.direction()
    }

    /// Copies the bytes from `at` on to `out`, each read once, by accesses that
    /// may race with a card that breaks its contract.
    ///
    /// # Errors
    /// [`MemoryError::Range`] beyond the buffer's length.
    pub fn read(&self, at: usize, out: &mut [u8]) -> Result<(), MemoryError> {
        if at.checked_add(out.len()).is_none_or(|end| end > self.len) {
            return Err(MemoryError::Range {
                offset: at,
                bytes: out.len(),
                len: self.len,
            });
        }
        self.chunk.memory.read(self.offset + at, out)
    }

    /// All bytes, copied as by [`HostBuf::read`].
    pub fn snapshot(&self) -> Vec<u8> {
        let mut out = vec![0; self.len];
        // In range by construction.
        if let Err(error) = self.chunk.memory.read(self.offset, &mut out) {
            tracing::error!(%error, "a buffer lies outside its chunk");
        }
        out
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

    /// Notes in the ledger who has it from now on. A range that is not mapped
    /// is the CPU's whatever is asked.
    pub(crate) fn set_owner(&self, owner: Owner) {
        let mut accounting = self.chunk.accounting();
        let owner = if self.chunk.is_mapped() {
            owner
        } else {
            Owner::Cpu
        };
        accounting
            .ledger
            .set(self.offset as u64, self.capacity as u64, owner);
    }
}

impl Deref for HostBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `offset + capacity`, and so `offset + len`, lies within the
        // mapping (cut by the chunk's allocator), which `chunk` keeps alive. The
        // allocator gave the range to this value alone, and it is not lent to
        // the card while somebody can call this: submitting moves it. What a
        // card outside its contract could do is said at the type.
        unsafe {
            std::slice::from_raw_parts(self.chunk.memory.base().as_ptr().add(self.offset), self.len)
        }
    }
}

impl DerefMut for HostBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; `&mut self` makes it the only slice.
        unsafe {
            std::slice::from_raw_parts_mut(
                self.chunk.memory.base().as_ptr().add(self.offset),
                self.len,
            )
        }
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
        // Before anybody else gets it. In range by construction.
        if let Err(error) = self.chunk.memory.clear(self.offset, self.capacity) {
            tracing::error!(%error, "a buffer lies outside its chunk");
        }
        let mut accounting = self.chunk.accounting();
        let (start, bytes) = (self.offset as u64, self.capacity as u64);
        accounting.ledger.set(start, bytes, Owner::Cpu);
        accounting.space.give(start, bytes);
        let unused = accounting.space.free_bytes() == self.chunk.bytes();
        drop(accounting);
        self.pool.returned(unused);
    }
}
