//! Which entry of its lane each take is: batches do not say it, L1 counts it. Pure.
//!
//! Called by `resync`.

use std::collections::BTreeMap;

use alloy::primitives::U256;
use carillon_protocol::{Kind, Operation, Party, owner_word};

use crate::abi::ISharedBridge::LaneEntry;

/// The place of a take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The chain that sent it.
    pub from: u64,
    /// Its place in the lane, from 0.
    pub index: u64,
}

/// How far lanes are taken, batch after batch.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    next: BTreeMap<u64, u64>,
}

impl Places {
    /// The places of a batch's takes, in order. `bounced` is behind the last entry of each lane that went
    /// back before.
    pub(super) fn of(
        &mut self,
        operations: &[Operation],
        bounced: &BTreeMap<u64, u64>,
    ) -> Vec<Place> {
        let takes = operations.iter().filter(|op| op.kind == Kind::Take);
        let ends = takes.filter_map(|take| take.other_end().ok());
        ends.map(|Party { chain: from, .. }| {
            let next = self.next.entry(from).or_default();
            let index = bounced.get(&from).copied().unwrap_or_default().max(*next);
            *next = index + 1;
            Place { from, index }
        })
        .collect()
    }
}

/// Whether a take is of an entry, but for the token, whose slot is not in it.
pub(super) fn is_of(take: &Operation, entry: &LaneEntry) -> bool {
    let [recipient, _, memo] = take.words;
    let sender = take.other_end().map(|end| end.owner);
    recipient == owner_word(&entry.recipient.into())
        && sender == Ok(entry.sender.into())
        && U256::from_be_bytes(memo.to_bytes_be()) == entry.memo
        && U256::from(take.amount) == entry.amount
}

#[cfg(test)]
mod tests {
    use alloy::primitives::Address;
    use blstrs::Scalar;

    use super::*;

    fn take(chain: u64, amount: u128) -> Operation {
        let sender = Party::new([2; 20], chain);
        Operation {
            words: [owner_word(&[3; 20]), sender.to_word(), Scalar::from(77)],
            ..Operation::new(Kind::Take, 1, 0, amount, 0, 0)
        }
    }

    #[test]
    fn places_follow_each_other_and_pass_over_what_went_back() {
        let mut places = Places::default();
        let place = |from, index| Place { from, index };
        let other = Operation::transfer(1, 2, 0, 1, 0, 0);
        let first = [take(5, 1), other, take(6, 1), take(5, 1)];
        assert_eq!(
            places.of(&first, &BTreeMap::new()),
            [place(5, 0), place(6, 0), place(5, 1)]
        );
        let bounced = BTreeMap::from([(5, 4), (6, 1)]);
        let second = [take(5, 1), take(6, 1), take(5, 1)];
        assert_eq!(
            places.of(&second, &bounced),
            [place(5, 4), place(6, 1), place(5, 5)]
        );
        assert_eq!(places.of(&[take(5, 1)], &bounced), [place(5, 6)]);
    }

    #[test]
    fn a_take_of_another_entry_is_seen() {
        let entry = LaneEntry {
            token: Address::ZERO,
            amount: U256::from(9),
            sender: Address::repeat_byte(2),
            recipient: Address::repeat_byte(3),
            memo: U256::from(77),
        };
        assert!(is_of(&take(5, 9), &entry));
        assert!(!is_of(&take(5, 8), &entry));
        let changes: [fn(&mut LaneEntry); 3] = [
            |entry| entry.sender = Address::ZERO,
            |entry| entry.recipient = Address::ZERO,
            |entry| entry.memo = U256::ZERO,
        ];
        for change in changes {
            let mut other = entry.clone();
            change(&mut other);
            assert!(!is_of(&take(5, 9), &other));
        }
    }
}
