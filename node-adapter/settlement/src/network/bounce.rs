//! Which entries of a lane can go back to their senders now, and the call that does it. Pure, no I/O.
//!
//! PROTOCOL.md, "Lanes". Called by `carillon-node chain bounce`.

use super::OnItsWay;
use crate::abi::SharedBridge;
use crate::lanes::Fold;

/// Seconds after the block that sent an entry from which anyone may give it back
/// (`LaneBook.BOUNCE_AFTER`). Entries of a lane to a halted chain need not wait.
pub const BOUNCE_AFTER: u64 = 7 * 24 * 60 * 60;

/// Why nothing of a lane can go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoBounce {
    /// All was taken.
    #[error("all that was sent is taken, or went back")]
    Nothing,
    /// The oldest entry has to wait.
    #[error("the oldest entry that is not taken can go back from {from} (Unix time) on")]
    TooEarly {
        /// From when on, in Unix time.
        from: u64,
    },
}

/// A call of `bounce`.
#[derive(Clone, Debug)]
pub struct Bounce {
    /// The call.
    pub call: SharedBridge::bounceCall,
    /// Entries that go back.
    pub count: usize,
    /// Entries that could, and have to wait for another call.
    pub more: usize,
}

/// The call that gives back what is due of the lane between the chains `(from, to)`: at most `most`
/// entries of `waiting`, which is all that is not taken, in order. `taken` is the lane as far as it is
/// taken, `now` the time of Ethereum's newest block, `halted` whether chain `to` has ended.
///
/// # Errors
/// [`NoBounce`].
pub fn plan_bounce(
    lane: (u64, u64),
    taken: Fold,
    waiting: &[OnItsWay],
    (now, halted): (u64, bool),
    most: usize,
) -> Result<Bounce, NoBounce> {
    let due = |entry: &OnItsWay| halted || entry.time.saturating_add(BOUNCE_AFTER) <= now;
    let all = waiting.iter().take_while(|entry| due(entry)).count();
    let count = all.min(most.max(1));
    let Some(last) = count.checked_sub(1).and_then(|last| waiting.get(last)) else {
        return Err(waiting.first().map_or(NoBounce::Nothing, |oldest| {
            let from = oldest.time.saturating_add(BOUNCE_AFTER);
            NoBounce::TooEarly { from }
        }));
    };
    let (going, staying) = waiting.split_at(count);
    let mut fold = taken;
    going.iter().for_each(|entry| fold.push(&entry.entry));
    // The last entry of a block has a checkpoint: nothing of a later block has the same time for sure.
    let following: Vec<_> = staying
        .iter()
        .take_while(|entry| entry.block == last.block)
        .map(|entry| entry.entry.clone())
        .collect();
    Ok(Bounce {
        call: SharedBridge::bounceCall {
            from: lane.0,
            to: lane.1,
            entries: going.iter().map(|entry| entry.entry.clone()).collect(),
            tail: fold.tail(lane, last.time, &following).into(),
        },
        count,
        more: all - count,
    })
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, U256};

    use super::*;
    use crate::abi::ISharedBridge::LaneEntry;

    fn on_its_way(index: u64, block: u64, time: u64) -> OnItsWay {
        OnItsWay {
            index,
            block,
            time,
            entry: LaneEntry {
                token: Address::ZERO,
                amount: U256::from(index + 1),
                sender: Address::repeat_byte(1),
                recipient: Address::repeat_byte(2),
                memo: U256::ZERO,
            },
        }
    }

    #[test]
    fn what_is_due_goes_back_with_the_checkpoint_of_its_block() {
        let waiting = [(4, 10, 100), (5, 10, 100), (6, 10, 100), (7, 11, 200)];
        let waiting = waiting.map(|(index, block, time)| on_its_way(index, block, time));
        let taken = Fold::default();
        let plan = |now, halted, most| plan_bounce((1, 2), taken, &waiting, (now, halted), most);
        let early = plan(100 + BOUNCE_AFTER - 1, false, 9).unwrap_err();
        let from = 100 + BOUNCE_AFTER;
        assert_eq!(early, NoBounce::TooEarly { from });
        assert_eq!(
            plan_bounce((1, 2), taken, &[], (from, true), 9).unwrap_err(),
            NoBounce::Nothing
        );
        // A block at a time; the rest of it is the tail.
        let bounce = plan(from, false, 2).unwrap();
        assert_eq!((bounce.count, bounce.more), (2, 1));
        assert_eq!(bounce.call.tail.entries.len(), 1);
        assert_eq!((bounce.call.tail.count, bounce.call.tail.time), (3, 100));
        let bounce = plan(from, false, 9).unwrap();
        assert_eq!((bounce.count, bounce.more), (3, 0));
        assert!(bounce.call.tail.entries.is_empty());
        let bounce = plan(0, true, 9).unwrap();
        assert_eq!((bounce.count, bounce.call.tail.time), (4, 200));
    }
}
