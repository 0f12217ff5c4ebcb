//! Ranges of card memory, given out and taken back by the host.
//!
//! The card knows nothing of allocation; this is bookkeeping in the driver. A
//! [`CardRegion`] is reference-counted and every command keeps its operands'
//! regions until it ends, so a range is never reused while the card may still
//! work on it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::CardError;
use crate::granules::{GRANULE, Granules, round_up};
use crate::ranges::Ranges;

#[derive(Debug)]
struct Space {
    granules: Mutex<Granules>,
    /// What commands have touched since it was last overwritten, without what
    /// everybody may know.
    dirty: Mutex<Ranges>,
    /// The epoch of card memory: how often its content was lost.
    epoch: AtomicU64,
}

/// The allocator of one card's memory. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct CardSpace {
    space: Arc<Space>,
}

impl CardSpace {
    pub fn new(bytes: u64) -> Self {
        let space = Space {
            granules: Mutex::new(Granules::new(bytes)),
            dirty: Mutex::default(),
            epoch: AtomicU64::new(0),
        };
        Self {
            space: Arc::new(space),
        }
    }

    /// A region; `public` if everybody may know what will be in it.
    pub fn allocate(&self, bytes: u64, public: bool) -> Result<CardRegion, CardError> {
        let mut granules = self
            .space
            .granules
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let none = CardError::CardMemory {
            bytes,
            free: granules.free_bytes(),
            largest: granules.largest(),
        };
        let Some(len) = round_up(bytes).filter(|&l| l > 0) else {
            return Err(none);
        };
        let start = granules.take(len).ok_or(none)?;
        let held = Held {
            space: Arc::clone(&self.space),
            epoch: self.space.epoch.load(Ordering::Acquire),
            start,
            len,
            public,
        };
        Ok(CardRegion {
            held: Arc::new(held),
            start,
            len,
        })
    }

    fn dirty(&self) -> MutexGuard<'_, Ranges> {
        self.space
            .dirty
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a command touches the region.
    pub fn touch(&self, region: &CardRegion) {
        if !region.held.public && Arc::ptr_eq(&self.space, &region.held.space) {
            self.dirty().insert(region.start..region.start + region.len);
        }
    }

    /// Notes that `range` has been overwritten with zeros.
    pub fn cleared(&self, range: std::ops::Range<u64>) {
        self.dirty().remove(range);
    }

    /// What was touched and not overwritten since.
    pub fn touched(&self) -> Ranges {
        self.dirty().clone()
    }

    /// Bytes free and bytes of the largest hole.
    pub fn free(&self) -> (u64, u64) {
        let granules = self
            .space
            .granules
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        (granules.free_bytes(), granules.largest())
    }

    /// Notes that the memory's content is gone: regions given out before are
    /// stale from now on.
    pub fn lose_content(&self) {
        self.space.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// The current epoch of card memory: commands made in another are stale.
    pub fn epoch(&self) -> u64 {
        self.space.epoch.load(Ordering::Acquire)
    }

    /// Whether a command may use the region.
    pub fn is_current(&self, region: &CardRegion) -> bool {
        Arc::ptr_eq(&self.space, &region.held.space)
            && region.held.epoch == self.space.epoch.load(Ordering::Acquire)
    }
}

#[derive(Debug)]
struct Held {
    space: Arc<Space>,
    epoch: u64,
    start: u64,
    len: u64,
    public: bool,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut granules = self
            .space
            .granules
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        granules.give(self.start, self.len);
    }
}

/// A range of card memory, or a part of one. Clones and parts share the range;
/// it is free again when the last of them is dropped and no command uses it.
/// Its content is undefined until written.
#[derive(Clone, Debug)]
pub struct CardRegion {
    held: Arc<Held>,
    start: u64,
    len: u64,
}

impl CardRegion {
    /// Card address of the first byte, a multiple of 64.
    pub fn address(&self) -> u64 {
        self.start
    }

    /// Bytes, a multiple of 64.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Never true: an empty region is not given out.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The part `offset..offset + bytes`; `offset` is a multiple of 64, `bytes`
    /// is rounded up to one.
    ///
    /// # Errors
    /// [`CardError::Slice`] when it is not inside, empty or misaligned.
    pub fn part(&self, offset: u64, bytes: u64) -> Result<Self, CardError> {
        let bad = CardError::Slice {
            offset,
            bytes,
            len: self.len,
        };
        if !offset.is_multiple_of(GRANULE) || bytes == 0 {
            return Err(bad);
        }
        match round_up(bytes).and_then(|len| Some((len, offset.checked_add(len)?))) {
            Some((len, end)) if end <= self.len => Ok(Self {
                held: Arc::clone(&self.held),
                start: self.start + offset,
                len,
            }),
            _ => Err(bad),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_free_when_its_last_part_is() {
        let space = CardSpace::new(256);
        let region = space.allocate(200, false).unwrap();
        assert_eq!((region.address(), region.len()), (0, 256));
        let part = region.part(64, 100).unwrap();
        assert_eq!((part.address(), part.len()), (64, 128));
        drop(region);
        assert!(matches!(
            space.allocate(1, false),
            Err(CardError::CardMemory { free: 0, .. })
        ));
        assert!(part.part(64, 65).is_err() && part.part(1, 8).is_err() && part.part(0, 0).is_err());
        assert!(part.part(u64::MAX - 63, 64).is_err());
        drop(part);
        assert_eq!(space.free(), (256, 256));
        assert!(space.allocate(0, false).is_err() && space.allocate(u64::MAX, false).is_err());
    }

    #[test]
    fn lost_content_makes_regions_stale() {
        let space = CardSpace::new(256);
        let other = CardSpace::new(256);
        let region = space.allocate(64, false).unwrap();
        assert!(space.is_current(&region) && !other.is_current(&region));
        space.lose_content();
        assert!(!space.is_current(&region));
        assert!(space.is_current(&space.allocate(64, false).unwrap()));
    }

    #[test]
    fn what_commands_touch_is_known_until_it_is_overwritten() {
        let space = CardSpace::new(4096);
        let secret = space.allocate(256, false).unwrap();
        let public = space.allocate(256, true).unwrap();
        assert_eq!(space.touched().bytes(), 0, "given out is not touched");
        space.touch(&secret.part(64, 128).unwrap());
        space.touch(&public);
        let ends = |range: std::ops::Range<u64>| (range.start, range.end);
        let touched = || space.touched().iter().map(ends).collect::<Vec<_>>();
        assert_eq!(touched(), [(64, 192)]);
        // Free again, but not forgotten.
        drop(secret);
        assert_eq!(space.touched().bytes(), 128);
        space.cleared(0..128);
        assert_eq!(touched(), [(128, 192)]);
    }
}
