//! A set of addresses, as ranges: which card memory holds something that must
//! not be found there later. Pure.

use std::collections::BTreeMap;
use std::ops::Range;

/// Disjoint ranges that do not touch: start to end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    /// Adds `range`.
    pub fn insert(&mut self, range: Range<u64>) {
        let Range { mut start, mut end } = range;
        if start >= end {
            return;
        }
        // The one before may reach into it, or up to it.
        if let Some((&before, &before_end)) = self.0.range(..=start).next_back()
            && before_end >= start
        {
            start = before;
            end = end.max(before_end);
        }
        while let Some((&next, &next_end)) = self.0.range(start..=end).next() {
            self.0.remove(&next);
            end = end.max(next_end);
        }
        self.0.insert(start, end);
    }

    /// Takes `range` out.
    pub fn remove(&mut self, range: Range<u64>) {
        let Range { start, end } = range;
        if start >= end {
            return;
        }
        if let Some((&before, &before_end)) = self.0.range(..start).next_back()
            && before_end > start
        {
            self.0.insert(before, start);
            if before_end > end {
                self.0.insert(end, before_end);
            }
        }
        while let Some((&next, &next_end)) = self.0.range(start..end).next() {
            self.0.remove(&next);
            if next_end > end {
                self.0.insert(end, next_end);
            }
        }
    }

    /// The ranges, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.0.iter().map(|(&start, &end)| start..end)
    }

    /// Addresses in all.
    pub fn bytes(&self) -> u64 {
        self.iter().map(|range| range.end - range.start).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against one flag per address.
        #[test]
        fn equals_a_table_of_addresses(
            steps in prop::collection::vec((any::<bool>(), 0u64..64, 0u64..20), 1..60),
        ) {
            let mut ranges = Ranges::default();
            let mut table = [false; 96];
            for (insert, start, bytes) in steps {
                let range = start..start + bytes;
                for at in range.clone() {
                    table[at as usize] = insert;
                }
                if insert {
                    ranges.insert(range);
                } else {
                    ranges.remove(range);
                }
                let mut last = None;
                for range in ranges.iter() {
                    prop_assert!(range.start < range.end && last.is_none_or(|l| l < range.start));
                    last = Some(range.end);
                }
                for (at, &set) in table.iter().enumerate() {
                    let found = ranges.iter().any(|range| range.contains(&(at as u64)));
                    prop_assert_eq!(found, set, "{}", at);
                }
                prop_assert_eq!(ranges.bytes(), table.iter().filter(|&&set| set).count() as u64);
            }
        }
    }
}
