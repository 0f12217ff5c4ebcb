//! Host memory that a card can reach: shared, page-aligned, backed by a memfd.
//!
//! A [`HostMemory`] is one mapping of one memfd. The driver makes a few large
//! ones (the pools of `dma.rs`), hands each to `Transport::map` once, and carves
//! buffers and rings out of them. A file descriptor stands behind every byte
//! so that an out-of-process card (VFIO, vfio-user) can be given the same
//! memory; an in-process card keeps the `Arc` and uses [`HostMemory::read`]
//! and [`HostMemory::write`].
//!
//! Both sides may touch the memory at the same time, so everything here goes
//! through atomics; plain slices exist only in [`HostBuf`](crate::HostBuf), which
//! proves by ownership that the card is not using the bytes.
#![allow(unsafe_code)]

mod bulk;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering, fence};

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};

/// Granule of an allocation, in bytes: what an IOMMU maps.
pub const PAGE: usize = 4096;
/// Size of a huge page on the machines Carillon runs on, in bytes.
const HUGE_PAGE: usize = 2 << 20;

/// Why host memory could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// A length of zero, or one that overflows when rounded to pages.
    #[error("cannot allocate {bytes} bytes of DMA memory: ask for 1 byte to {} GiB", usize::MAX >> 30)]
    Size {
        /// Bytes asked for.
        bytes: usize,
    },
    /// The operating system refused.
    #[error(
        "the system refused {bytes} bytes of DMA memory at {step}: {cause}; free memory or raise RLIMIT_MEMLOCK (`ulimit -l`) and open the card again"
    )]
    System {
        /// Bytes asked for.
        bytes: usize,
        /// The call that failed.
        step: &'static str,
        /// The system's reason.
        cause: std::io::Error,
    },
    /// Shared memory that its maker could take away.
    #[error(
        "shared memory of {bytes} bytes is not sealed against shrinking: share a memfd with F_SEAL_SHRINK (QEMU: memory-backend-memfd with seal=on)"
    )]
    Unsealed {
        /// Its size.
        bytes: usize,
    },
    /// An access beyond the end.
    #[error(
        "access to bytes {offset}..{} of DMA memory of {len} bytes; this is a defect of the caller",
        offset.saturating_add(*bytes)
    )]
    Range {
        /// First byte of the access.
        offset: usize,
        /// Bytes of the access.
        bytes: usize,
        /// Size of the memory.
        len: usize,
    },
}

/// One shared memory mapping, zeroed at birth, alive as long as its last `Arc`.
#[derive(Debug)]
pub struct HostMemory {
    base: NonNull<u8>,
    len: usize,
    fd: OwnedFd,
}

// SAFETY: the mapping belongs to this value until drop, is never moved or
// resized (the memfd is sealed), and is accessed through atomics only, except
// by `HostBuf`, whose ownership keeps those bytes exclusive.
unsafe impl Send for HostMemory {}
// SAFETY: as above; all shared accesses are atomic.
unsafe impl Sync for HostMemory {}

impl HostMemory {
    /// Allocates at least `bytes` bytes (rounded up to pages), zeroed. Uses
    /// huge pages when the size calls for them and the system has them free.
    ///
    /// # Errors
    /// [`MemoryError::Size`] for zero or absurd sizes, [`MemoryError::System`]
    /// when the system refuses.
    pub fn allocate(bytes: usize) -> Result<Self, MemoryError> {
        let size = || MemoryError::Size { bytes };
        if bytes == 0 || bytes > isize::MAX as usize / 2 {
            return Err(size());
        }
        if bytes >= HUGE_PAGE {
            let len = bytes.checked_next_multiple_of(HUGE_PAGE).ok_or_else(size)?;
            if let Ok(memory) = Self::map(len, MemfdFlags::HUGETLB) {
                return Ok(memory);
            }
        }
        let len = bytes.checked_next_multiple_of(PAGE).ok_or_else(size)?;
        Self::map(len, MemfdFlags::empty())
    }

    fn map(len: usize, extra: MemfdFlags) -> Result<Self, MemoryError> {
        let refused = |step: &'static str| {
            move |e: Errno| MemoryError::System {
                bytes: len,
                step,
                cause: e.into(),
            }
        };
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING | extra;
        let fd =
            rustix::fs::memfd_create(c"carillon-dma", flags).map_err(refused("memfd_create"))?;
        rustix::fs::ftruncate(&fd, len as u64).map_err(refused("ftruncate"))?;
        // Without this seal a peer that holds the fd could shrink it, and an
        // access here would raise SIGBUS.
        rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW)
            .map_err(refused("fcntl"))?;
        Self::over(fd, len, refused("mmap"))
    }

    /// Maps the first `len` bytes of `fd`.
    fn over(
        fd: OwnedFd,
        len: usize,
        refused: impl Fn(Errno) -> MemoryError,
    ) -> Result<Self, MemoryError> {
        // SAFETY: a fresh shared mapping at an address of the kernel's choice;
        // no existing memory is affected.
        let base = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                len,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                &fd,
                0,
            )
        }
        .map_err(&refused)?;
        let base = NonNull::new(base.cast::<u8>()).ok_or_else(|| refused(Errno::NOMEM))?;
        Ok(Self { base, len, fd })
    }

    /// Maps memory that another process made and shares with this one: all of
    /// `fd`, which must be sealed against shrinking, so that no access here can
    /// fail because the other side took it away. For simulated cards that serve
    /// another process.
    ///
    /// # Errors
    /// [`MemoryError::Unsealed`], [`MemoryError::System`].
    pub fn import(fd: OwnedFd) -> Result<Self, MemoryError> {
        let refused = |step: &'static str, bytes: usize| {
            move |e: Errno| MemoryError::System {
                bytes,
                step,
                cause: e.into(),
            }
        };
        let stat = rustix::fs::fstat(&fd).map_err(refused("fstat", 0))?;
        let len = usize::try_from(stat.st_size).unwrap_or(0);
        let seals = rustix::fs::fcntl_get_seals(&fd).unwrap_or(SealFlags::empty());
        if !seals.contains(SealFlags::SHRINK) {
            return Err(MemoryError::Unsealed { bytes: len });
        }
        if len == 0 || !len.is_multiple_of(PAGE) {
            return Err(MemoryError::Size { bytes: len });
        }
        Self::over(fd, len, refused("mmap", len))
    }

    /// Size in bytes, a multiple of [`PAGE`].
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it lies in huge pages.
    pub fn is_huge(&self) -> bool {
        // What hugetlbfs reports as its block size.
        rustix::fs::fstat(&self.fd).is_ok_and(|s| s.st_blksize as usize >= HUGE_PAGE)
    }

    /// Never true: an empty mapping cannot be made.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The memfd behind the mapping, at offset 0, for an out-of-process card.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Address of the first byte in this process (what VFIO pins). Reading or
    /// writing through it is up to the caller's `unsafe`.
    pub fn base(&self) -> NonNull<u8> {
        self.base
    }

    fn check(&self, offset: usize, bytes: usize) -> Result<(), MemoryError> {
        match offset.checked_add(bytes) {
            Some(end) if end <= self.len => Ok(()),
            _ => Err(MemoryError::Range {
                offset,
                bytes,
                len: self.len,
            }),
        }
    }

    fn word(&self, offset: usize) -> Result<&AtomicU64, MemoryError> {
        self.check(offset, 8)?;
        if !offset.is_multiple_of(8) {
            return Err(MemoryError::Range {
                offset,
                bytes: 8,
                len: self.len,
            });
        }
        // SAFETY: in range and aligned (the mapping is page-aligned); valid as
        // long as `self`; shared accesses of this memory are atomic.
        Ok(unsafe { AtomicU64::from_ptr(self.base.as_ptr().add(offset).cast::<u64>()) })
    }

    fn byte(&self, offset: usize) -> Result<&AtomicU8, MemoryError> {
        self.check(offset, 1)?;
        // SAFETY: in range; see `word`.
        Ok(unsafe { AtomicU8::from_ptr(self.base.as_ptr().add(offset)) })
    }

    /// Loads the little-endian word at `offset` (a multiple of 8). With
    /// `Acquire`, everything the other side wrote before its last word is
    /// visible afterwards (ring rule 2).
    ///
    /// # Errors
    /// [`MemoryError::Range`] beyond the end or misaligned.
    pub fn load(&self, offset: usize, order: Ordering) -> Result<u64, MemoryError> {
        // An ordering that a load cannot have would panic inside `load`.
        let order = if order == Ordering::Relaxed {
            order
        } else {
            Ordering::Acquire
        };
        Ok(u64::from_le(self.word(offset)?.load(order)))
    }

    /// Stores the little-endian word at `offset` (a multiple of 8).
    ///
    /// # Errors
    /// [`MemoryError::Range`] beyond the end or misaligned.
    pub fn store(&self, offset: usize, value: u64, order: Ordering) -> Result<(), MemoryError> {
        let order = if order == Ordering::Relaxed {
            order
        } else {
            Ordering::Release
        };
        self.word(offset)?.store(value.to_le(), order);
        Ok(())
    }

    /// Copies bytes out. Tears, at any byte, when the other side writes at the
    /// same moment, as DMA does.
    ///
    /// # Errors
    /// [`MemoryError::Range`] beyond the end.
    pub fn read(&self, offset: usize, out: &mut [u8]) -> Result<(), MemoryError> {
        self.check(offset, out.len())?;
        let mut at = offset;
        let bulk = bulk::bytes_of(out.len());
        let (many, out) = out.split_at_mut(bulk);
        // SAFETY: in range; `many` is exclusive, so the two do not overlap; the
        // memory is valid as long as `self`.
        unsafe { bulk::copy(self.base.as_ptr().add(at), many.as_mut_ptr(), bulk) };
        at += bulk;
        let (head, rest) = out.split_at_mut(out.len().min(at.wrapping_neg() % 8));
        for b in head {
            *b = self.byte(at)?.load(Ordering::Relaxed);
            at += 1;
        }
        let mut words = rest.chunks_exact_mut(8);
        for w in &mut words {
            w.copy_from_slice(&self.word(at)?.load(Ordering::Relaxed).to_ne_bytes());
            at += 8;
        }
        for b in words.into_remainder() {
            *b = self.byte(at)?.load(Ordering::Relaxed);
            at += 1;
        }
        fence(Ordering::Acquire);
        Ok(())
    }

    /// Overwrites bytes with zeros, in a way that no compiler leaves out.
    ///
    /// # Errors
    /// [`MemoryError::Range`] beyond the end.
    pub fn clear(&self, offset: usize, bytes: usize) -> Result<(), MemoryError> {
        self.check(offset, bytes)?;
        let bulk = bulk::bytes_of(bytes);
        // SAFETY: in range; the memory is valid as long as `self`.
        unsafe { bulk::clear(self.base.as_ptr().add(offset), bulk) };
        let (mut at, end) = (offset + bulk, offset + bytes);
        while at < end {
            if at.is_multiple_of(8) && end - at >= 8 {
                self.word(at)?.store(0, Ordering::Relaxed);
                at += 8;
            } else {
                self.byte(at)?.store(0, Ordering::Relaxed);
                at += 1;
            }
        }
        fence(Ordering::Release);
        Ok(())
    }

    /// Copies bytes in, ascending; the last word (of an aligned write) becomes
    /// visible last, as the contract demands of the word with the phase bit.
    ///
    /// # Errors
    /// [`MemoryError::Range`] beyond the end.
    pub fn write(&self, offset: usize, data: &[u8]) -> Result<(), MemoryError> {
        self.check(offset, data.len())?;
        let mut at = offset;
        let bulk = bulk::bytes_of(data.len());
        let (many, data) = data.split_at(bulk);
        // SAFETY: in range; `many` is borrowed and therefore no part of this
        // memory that somebody writes; the memory is valid as long as `self`.
        unsafe { bulk::copy(many.as_ptr(), self.base.as_ptr().add(at), bulk) };
        at += bulk;
        let (head, rest) = data.split_at(data.len().min(at.wrapping_neg() % 8));
        for b in head {
            self.byte(at)?.store(*b, Ordering::Relaxed);
            at += 1;
        }
        let words = rest.chunks_exact(8);
        let tail = words.remainder();
        let last = at + words_bytes(rest.len());
        for w in words {
            let mut word = [0; 8];
            word.copy_from_slice(w);
            let order = if at + 8 == last {
                Ordering::Release
            } else {
                Ordering::Relaxed
            };
            self.word(at)?.store(u64::from_ne_bytes(word), order);
            at += 8;
        }
        for b in tail {
            self.byte(at)?.store(*b, Ordering::Release);
            at += 1;
        }
        Ok(())
    }
}

impl Drop for HostMemory {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `map`, unmapped once; whoever could still
        // use it (a mapping at the card, a buffer) would hold an `Arc` of self.
        if let Err(e) = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.len) } {
            tracing::warn!(error = %e, bytes = self.len, "munmap of DMA memory failed");
        }
    }
}

/// Bytes of the whole words in `bytes`.
fn words_bytes(bytes: usize) -> usize {
    bytes & !7
}

#[cfg(test)]
mod tests;
