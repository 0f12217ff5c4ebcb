//! A BAR mapped into this process, and what becomes of it when the card is gone.
//!
//! Registers are reached through volatile accesses of 32 bits, never through
//! references. When the kernel takes the BAR away under us (unplugged card,
//! memory space off), an access raises SIGBUS; the handler in [`super::sigbus`]
//! marks the mapping as lost, and from then on it reads all ones, as the bus
//! would answer.
#![allow(unsafe_code)]

use std::os::fd::AsFd;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Result;
use rustix::mm::{MapFlags, ProtFlags};

use super::sigbus;

/// One mapped BAR.
#[derive(Debug)]
pub struct Mmio {
    base: NonNull<u8>,
    bytes: usize,
    lost: Arc<AtomicBool>,
    guard: Option<sigbus::Guard>,
}

// SAFETY: the mapping belongs to this value until drop; registers may be
// accessed from any thread, as volatile accesses of the bus's own width.
unsafe impl Send for Mmio {}
// SAFETY: as above.
unsafe impl Sync for Mmio {}

impl Mmio {
    /// Maps `bytes` bytes at `offset` of a device's file.
    pub fn map(device: impl AsFd, offset: u64, bytes: usize) -> Result<Self> {
        // SAFETY: a fresh mapping at an address of the kernel's choice.
        let base = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                bytes,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                device,
                offset,
            )
        }?;
        let base = NonNull::new(base.cast()).ok_or(rustix::io::Errno::NOMEM)?;
        let lost = Arc::new(AtomicBool::new(false));
        let guard = sigbus::guard(base.as_ptr() as usize, bytes, &lost);
        Ok(Self {
            base,
            bytes,
            lost,
            guard,
        })
    }

    /// Whether the card's registers are out of reach.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    fn at(&self, offset: u32) -> Option<*mut u32> {
        let offset = offset as usize;
        let inside = offset.is_multiple_of(4) && offset + 4 <= self.bytes;
        // SAFETY: inside the mapping, which is page-aligned.
        inside.then(|| unsafe { self.base.as_ptr().add(offset).cast() })
    }

    /// The register at byte `offset`; all ones outside the BAR and of a card
    /// that is gone.
    pub fn read(&self, offset: u32) -> u32 {
        let Some(at) = self.at(offset).filter(|_| !self.is_lost()) else {
            return u32::MAX;
        };
        // SAFETY: `at` lies in the mapping. If the card has gone, the handler
        // puts other memory there.
        let value = unsafe { at.read_volatile() };
        if self.is_lost() { u32::MAX } else { value }
    }

    /// Writes the register at byte `offset`; nothing happens outside the BAR and
    /// on a card that is gone.
    pub fn write(&self, offset: u32, value: u32) {
        if let Some(at) = self.at(offset).filter(|_| !self.is_lost()) {
            // SAFETY: as in `read`.
            unsafe { at.write_volatile(value) };
        }
    }

    /// Lets go of the card's registers, without invalidating the address for
    /// those who are just using it: other memory takes their place.
    pub fn detach(&self) {
        self.lost.store(true, Ordering::Release);
        if let Err(error) = sigbus::replace(self.base.as_ptr() as usize, self.bytes) {
            tracing::error!(%error, "cannot unmap the registers of a card that is gone");
        }
    }
}

impl Drop for Mmio {
    fn drop(&mut self) {
        // The handler must not touch the range once it is somebody else's.
        self.guard = None;
        // SAFETY: mapped in `map`, unmapped once; nobody else has the address.
        if let Err(error) = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.bytes) } {
            tracing::warn!(%error, "munmap of a BAR failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: u64) -> std::os::fd::OwnedFd {
        let fd = rustix::fs::memfd_create(c"bar", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        rustix::fs::ftruncate(&fd, bytes).unwrap();
        fd
    }

    #[test]
    fn registers_are_words_within_the_bar() {
        let mmio = Mmio::map(file(8192), 0, 8192).unwrap();
        mmio.write(8188, 7);
        assert_eq!(mmio.read(8188), 7);
        assert_eq!(
            [mmio.read(8192), mmio.read(2), mmio.read(u32::MAX - 3)],
            [u32::MAX; 3]
        );
        mmio.detach();
        assert_eq!(mmio.read(8188), u32::MAX);
        mmio.write(8188, 9);
        assert!(mmio.is_lost());
    }

    /// A file that became shorter raises the same signal as a BAR that is gone.
    #[test]
    fn a_bar_taken_away_reads_all_ones() {
        let fd = file(8192);
        let mmio = Mmio::map(&fd, 0, 8192).unwrap();
        let other = Mmio::map(file(4096), 0, 4096).unwrap();
        other.write(0, 3);
        mmio.write(4096, 5);
        rustix::fs::ftruncate(&fd, 0).unwrap();
        assert_eq!(mmio.read(4096), u32::MAX);
        assert!(mmio.is_lost());
        mmio.write(0, 1);
        assert_eq!(mmio.read(0), u32::MAX);
        assert_eq!(other.read(0), 3, "the other card is as it was");
        assert!(!other.is_lost());
    }
}
