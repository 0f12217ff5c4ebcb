//! What a pool does to the system's memory: chunks are made and mapped, and
//! given back. It takes time, so it happens without the pool's lock.

use std::sync::Arc;

use super::chunk::Chunk;
use super::{DmaError, DmaPool, HostBuf};
use crate::granules::round_up;
use crate::memory::HostMemory;

/// Chunks taken out of a pool to be given back, and bytes reserved in it for one
/// to be made. Dropped, it gives the chunks back and the reservation up.
pub(super) struct Growth {
    pool: DmaPool,
    given: Vec<Arc<Chunk>>,
    /// Bytes of the chunk to be made.
    size: Option<usize>,
}

impl Growth {
    /// The chunks are still counted in the pool, and so are the bytes of `size`.
    pub fn new(pool: DmaPool, given: Vec<Arc<Chunk>>, size: Option<usize>) -> Self {
        Self { pool, given, size }
    }

    /// Makes and maps the chunk, and cuts a buffer of `bytes` bytes from it
    /// before others can.
    pub fn finish(mut self, bytes: usize) -> Result<HostBuf, DmaError> {
        // First, since the system may refuse more than the limit.
        self.give_back();
        let inner = Arc::clone(&self.pool.inner);
        let capacity = round_up(bytes as u64).ok_or(DmaError::Size { bytes })?;
        let size = self.size.unwrap_or(bytes);
        let chunk = Arc::new(Chunk::new(HostMemory::allocate(size)?));
        let attached = inner.chunks().attached;
        if attached {
            chunk.map(&*inner.transport, inner.direction)?;
        }
        let buffer = HostBuf::cut(&self.pool, &chunk, bytes, capacity);
        let mut chunks = inner.chunks();
        // The card went out of service, or came back, in the meantime.
        if chunks.attached && !attached {
            chunk.map(&*inner.transport, inner.direction)?;
        } else if !chunks.attached && attached {
            chunk.unmap(&*inner.transport);
        }
        // The system rounds up to its pages.
        chunks.bytes += chunk.bytes();
        chunks.bytes -= self.size.take().unwrap_or(0) as u64;
        chunks.list.push(chunk);
        drop(chunks);
        buffer.ok_or(DmaError::Size { bytes })
    }

    /// Unmaps the chunks; one that stays mapped stays in the pool.
    fn give_back(&mut self) {
        let inner = &self.pool.inner;
        for chunk in self.given.drain(..) {
            let unmapped = chunk.unmap(&*inner.transport);
            let mut chunks = inner.chunks();
            if unmapped {
                chunks.bytes -= chunk.bytes();
            } else {
                chunks.list.push(chunk);
            }
        }
    }
}

impl Drop for Growth {
    fn drop(&mut self) {
        let gives = !self.given.is_empty();
        self.give_back();
        let reserved = self.size.take().unwrap_or(0) as u64;
        self.pool.inner.chunks().bytes -= reserved;
        // There is capacity for others.
        if gives || reserved > 0 {
            self.pool.inner.freed.notify_waiters();
        }
    }
}
