//! First-fit allocator of ranges in 64-byte granules, without memory of its own.
//!
//! Used twice: for card memory (`region.rs`) and inside the pools of host
//! memory (`dma.rs`). Free ranges are kept by start and coalesced when
//! they meet, so the map's size is the number of holes.

use std::collections::BTreeMap;

/// Granule in bytes: the card's bus width, which every address is a multiple of.
pub const GRANULE: u64 = 64;

/// Free ranges of an address space that starts at 0.
#[derive(Debug)]
pub struct Granules {
    /// Start to length, both multiples of [`GRANULE`], never adjacent.
    free: BTreeMap<u64, u64>,
    free_bytes: u64,
}

/// Rounds `bytes` up to granules; `None` on overflow.
pub fn round_up(bytes: u64) -> Option<u64> {
    bytes.checked_next_multiple_of(GRANULE)
}

impl Granules {
    /// All of `bytes` (rounded down to granules) free.
    pub fn new(bytes: u64) -> Self {
        let bytes = bytes & !(GRANULE - 1);
        let free = (bytes > 0).then_some((0, bytes)).into_iter().collect();
        Self {
            free,
            free_bytes: bytes,
        }
    }

    /// Bytes free in all holes.
    pub fn free_bytes(&self) -> u64 {
        self.free_bytes
    }

    /// Bytes of the largest hole.
    pub fn largest(&self) -> u64 {
        self.free.values().copied().max().unwrap_or(0)
    }

    /// Takes `bytes` (rounded up to granules, at least one) from the lowest
    /// hole that fits and returns their start; `None` if no hole does.
    pub fn take(&mut self, bytes: u64) -> Option<u64> {
        let bytes = round_up(bytes.max(1))?;
        let (&start, &len) = self.free.iter().find(|&(_, &len)| len >= bytes)?;
        self.free.remove(&start);
        if len > bytes {
            self.free.insert(start + bytes, len - bytes);
        }
        self.free_bytes -= bytes;
        Some(start)
    }

    /// Gives back what [`Granules::take`] returned for the same `bytes`.
    pub fn give(&mut self, mut start: u64, bytes: u64) {
        let Some(bytes) = round_up(bytes.max(1)) else {
            return;
        };
        let mut len = bytes;
        if let Some((&before, &before_len)) = self.free.range(..start).next_back()
            && before + before_len == start
        {
            self.free.remove(&before);
            (start, len) = (before, len + before_len);
        }
        if let Some(after_len) = self.free.remove(&(start + len)) {
            len += after_len;
        }
        self.free.insert(start, len);
        self.free_bytes += bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn exhaustion_is_an_answer() {
        let mut space = Granules::new(64 * 3 + 63);
        assert_eq!(
            (space.take(64), space.take(65), space.take(1)),
            (Some(0), Some(64), None)
        );
        space.give(64, 65);
        assert_eq!(
            (space.largest(), space.take(u64::MAX), space.take(128)),
            (128, None, Some(64))
        );
        assert_eq!(Granules::new(63).take(1), None);
    }

    proptest! {
        #[test]
        fn ranges_never_overlap_and_all_comes_back(
            steps in prop::collection::vec((any::<bool>(), 1u64..2000), 1..200),
        ) {
            let total = 64 * 200;
            let mut space = Granules::new(total);
            let mut held: Vec<(u64, u64)> = Vec::new();
            for (take, n) in steps {
                if take || held.is_empty() {
                    if let Some(start) = space.take(n) {
                        let end = start + round_up(n).unwrap_or(0);
                        prop_assert!(start % GRANULE == 0 && end <= total);
                        for &(s, l) in &held {
                            prop_assert!(end <= s || s + round_up(l).unwrap_or(0) <= start);
                        }
                        held.push((start, n));
                    }
                } else {
                    let (start, len) = held.swap_remove(n as usize % held.len());
                    space.give(start, len);
                }
                let used: u64 = held.iter().map(|&(_, l)| round_up(l).unwrap_or(0)).sum();
                prop_assert_eq!(space.free_bytes(), total - used);
            }
            for (start, len) in held {
                space.give(start, len);
            }
            prop_assert_eq!((space.largest(), space.free.len()), (total, 1));
        }
    }
}
