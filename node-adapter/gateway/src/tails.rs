//! What follows in the lanes of which a set of batches does not take everything. Pure, no I/O.
//!
//! L1 wants to see that what is taken is the beginning of what was sent. Where a set sends into a lane itself, all that
//! follows is known from the set, and the checkpoint is the one that the transaction will write. Where it only takes,
//! the node that takes has said what follows up to a checkpoint on L1. Called by `service`.

use std::collections::BTreeMap;

use alloy::primitives::B256;
use carillon_settlement::abi::ISharedBridge::LaneEntry;
use carillon_settlement::lanes::{Fold, Tail, entry_hash};

use super::submission::KnownTail;

/// An entry of a lane.
pub type Entry = LaneEntry;

/// A lane as it is on L1, and what a set of batches does to it.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    /// Entries that were sent, and the hash over them.
    pub sent: Fold,
    /// Entries that are taken with the set.
    pub taken: u64,
    /// What the set sends, in order.
    pub sends: Vec<Entry>,
    /// What the last batch that takes has said.
    pub known: Option<KnownTail>,
}

/// The tails that a set needs, by lane. Lanes that are taken to their end need none; of one that cannot be shown none
/// is given, and L1 says what is wrong.
pub fn tails(lanes: &BTreeMap<(u64, u64), Taken>) -> Vec<Tail> {
    let tail = |((from, to), lane): (&(u64, u64), &Taken)| {
        let end = lane.sent.count + lane.sends.len() as u64;
        if lane.taken >= end {
            return None;
        }
        let Some(skipped) = lane.taken.checked_sub(lane.sent.count) else {
            let known = lane.known.as_ref()?;
            return Some(Tail {
                from: *from,
                to: *to,
                count: known.count,
                time: known.time,
                laneHash: known.lane_hash,
                entries: known.entries.clone(),
            });
        };
        let mut fold = lane.sent;
        lane.sends.iter().for_each(|entry| fold.push(entry));
        let following = lane.sends.iter().skip(skipped as usize);
        let entries: Vec<B256> = following.map(entry_hash).collect();
        // The block that will have the transaction has a time that nobody knows.
        Some(Tail {
            from: *from,
            to: *to,
            count: fold.count,
            time: 0,
            laneHash: fold.hash,
            entries,
        })
    };
    lanes.iter().filter_map(tail).collect()
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, U256};

    use super::*;

    fn entry(amount: u64) -> Entry {
        Entry {
            token: Address::ZERO,
            amount: U256::from(amount),
            sender: Address::repeat_byte(1),
            recipient: Address::repeat_byte(2),
            memo: U256::ZERO,
        }
    }

    fn fold(amounts: std::ops::Range<u64>) -> Fold {
        let mut fold = Fold::default();
        amounts.for_each(|amount| fold.push(&entry(amount)));
        fold
    }

    fn lane(taken: u64) -> Vec<Tail> {
        let known = KnownTail {
            from: 1,
            count: 3,
            time: 77,
            lane_hash: fold(0..3).hash,
            entries: vec![entry_hash(&entry(2))],
        };
        let lane = Taken {
            sent: fold(0..4),
            taken,
            sends: (4..7).map(entry).collect(),
            known: Some(known),
        };
        tails(&BTreeMap::from([((1, 2), lane)]))
    }

    #[test]
    fn a_lane_taken_to_its_end_needs_none() {
        assert_eq!(lane(7), []);
    }

    #[test]
    fn what_the_set_sends_is_known_from_the_set() {
        for taken in 4..7 {
            let [tail] = &lane(taken)[..] else {
                panic!("one tail");
            };
            assert_eq!((tail.from, tail.to, tail.count, tail.time), (1, 2, 7, 0));
            assert_eq!(tail.laneHash, fold(0..7).hash);
            // By the rule of the contract.
            let mut end = fold(0..taken);
            (taken..7).for_each(|amount| end.push(&entry(amount)));
            assert_eq!(
                (end.hash, tail.entries.len() as u64),
                (tail.laneHash, 7 - taken)
            );
            assert_eq!(tail.entries[0], entry_hash(&entry(taken)));
        }
    }

    #[test]
    fn before_that_the_node_s_own_word_counts() {
        let [tail] = &lane(2)[..] else {
            panic!("one tail");
        };
        assert_eq!((tail.count, tail.time, tail.entries.len()), (3, 77, 1));
    }
}
