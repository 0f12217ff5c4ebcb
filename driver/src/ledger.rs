//! Who owns which bytes of one mapping: the ledger of ownership.
//!
//! Pure bookkeeping, one ledger per chunk of `dma.rs`; offsets are those
//! within the chunk. A range that is not noted is the CPU's. Commands lend
//! their buffers when they are placed, rings are lent when their queue starts,
//! and every way back (completion, proven stop, reset, unmap) is noted here at
//! the moment it is proven, so that an audit can ask about any byte at any time.

use std::collections::BTreeMap;

/// Who may touch memory at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    /// No mapping: nobody reaches it by this address.
    Nobody,
    /// The CPU: free, or a buffer that the program holds.
    Cpu,
    /// Nobody may use it: a job gave it up, but the card may still reach it.
    Quarantine,
    /// The card: lent to a command or a ring.
    Card,
}

#[derive(Clone, Copy, Debug)]
struct Range {
    bytes: u64,
    owner: Owner,
}

/// The ranges of one mapping that are not the CPU's.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    ranges: BTreeMap<u64, Range>,
    lent: u64,
    quarantined: u64,
}

impl Ledger {
    fn total(&mut self, owner: Owner) -> Option<&mut u64> {
        match owner {
            Owner::Card => Some(&mut self.lent),
            Owner::Quarantine => Some(&mut self.quarantined),
            Owner::Nobody | Owner::Cpu => None,
        }
    }

    /// Notes `bytes` bytes from `start`, a whole buffer, as `owner`'s from now
    /// on. The same buffer always comes with the same range.
    pub fn set(&mut self, start: u64, bytes: u64, owner: Owner) {
        if let Some(old) = self.ranges.remove(&start)
            && let Some(total) = self.total(old.owner)
        {
            *total -= old.bytes;
        }
        if let Some(total) = self.total(owner) {
            *total += bytes;
            self.ranges.insert(start, Range { bytes, owner });
        }
    }

    /// Notes that everything is the CPU's again: the mapping has ended.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Bytes lent to the card.
    pub fn lent(&self) -> u64 {
        self.lent
    }

    /// Bytes in quarantine.
    pub fn quarantined(&self) -> u64 {
        self.quarantined
    }

    /// The owner of `start..end`: the card only if every byte is the card's,
    /// quarantine if every byte is one or the other, else the CPU.
    pub fn owner(&self, start: u64, end: u64) -> Owner {
        let mut owner = Owner::Card;
        let mut at = start;
        while at < end {
            // Ranges never overlap, so the last that starts here or before is
            // the only one that can hold `at`.
            let Some((first, range)) = self.ranges.range(..=at).next_back() else {
                return Owner::Cpu;
            };
            let range_end = first + range.bytes;
            if range_end <= at {
                return Owner::Cpu;
            }
            owner = owner.min(range.owner);
            at = range_end;
        }
        owner
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn neighbours_make_one_range_and_gaps_are_the_cpus() {
        let mut ledger = Ledger::default();
        ledger.set(64, 64, Owner::Card);
        ledger.set(128, 64, Owner::Card);
        ledger.set(256, 64, Owner::Quarantine);
        assert_eq!((ledger.lent(), ledger.quarantined()), (128, 64));
        assert_eq!(ledger.owner(64, 192), Owner::Card);
        assert_eq!(ledger.owner(100, 101), Owner::Card);
        assert_eq!(ledger.owner(63, 65), Owner::Cpu);
        assert_eq!(ledger.owner(190, 193), Owner::Cpu);
        assert_eq!(ledger.owner(300, 310), Owner::Quarantine);
        ledger.set(192, 64, Owner::Card);
        assert_eq!(ledger.owner(64, 320), Owner::Quarantine);
        ledger.set(192, 64, Owner::Cpu);
        assert_eq!(ledger.owner(64, 320), Owner::Cpu);
        ledger.clear();
        assert_eq!((ledger.lent(), ledger.quarantined()), (0, 0));
        assert_eq!(ledger.owner(64, 65), Owner::Cpu);
    }

    proptest! {
        /// Against one owner per granule.
        #[test]
        fn equals_a_table_of_granules(
            steps in prop::collection::vec((0usize..16, 0u8..3), 1..60),
            asks in prop::collection::vec((0u64..1024, 1u64..300), 20),
        ) {
            let mut ledger = Ledger::default();
            let mut table = [Owner::Cpu; 16];
            for (slot, owner) in steps {
                let owner = [Owner::Cpu, Owner::Card, Owner::Quarantine][usize::from(owner)];
                ledger.set(slot as u64 * 64, 64, owner);
                table[slot] = owner;
            }
            let sum = |owner| 64 * table.iter().filter(|&&o| o == owner).count() as u64;
            prop_assert_eq!(ledger.lent(), sum(Owner::Card));
            prop_assert_eq!(ledger.quarantined(), sum(Owner::Quarantine));
            for (start, bytes) in asks {
                let expected = (start..start + bytes)
                    .map(|at| table.get(at as usize / 64).copied().unwrap_or(Owner::Cpu))
                    .min()
                    .unwrap_or(Owner::Card);
                prop_assert_eq!(ledger.owner(start, start + bytes), expected);
            }
        }
    }
}
