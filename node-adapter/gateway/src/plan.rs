//! Which batches go together: the smallest sets that owe nothing, the oldest first. Pure, no I/O.
//!
//! A batch that takes entries which L1's lane does not have yet needs the batches that send them, these need what
//! they take, and so on, in circles, too. The least set that holds a batch and all that it needs is a fixed point:
//! of each chain a beginning of its waiting batches. Called by `service`.

use std::collections::BTreeMap;

/// A waiting batch, as far as planning goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Entries that it sends, by the chain that they are for.
    pub sends: BTreeMap<u64, u64>,
    /// Entries that it takes, by the chain that sent them.
    pub takes: BTreeMap<u64, u64>,
    /// When it came; the smaller, the earlier.
    pub since: u64,
    /// Gas that it needs at most.
    pub gas: u64,
}

/// A lane on L1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lane {
    /// Entries that executed batches sent.
    pub sent: u64,
    /// Entries that executed batches took.
    pub taken: u64,
}

/// Why a batch waits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Blocked {
    /// What it takes is in no batch that is here.
    #[error(
        "chain {to} takes {count} entries of the lane from chain {from}, and only {sent} are sent by batches that are executed or here"
    )]
    NotSent {
        /// The chain that should send.
        from: u64,
        /// The chain that takes.
        to: u64,
        /// As many would be taken.
        count: u64,
        /// As many are sent.
        sent: u64,
    },
    /// The set that it needs does not fit a transaction.
    #[error(
        "what has to go at once needs up to {gas} gas in {batches} batches, more than a transaction takes"
    )]
    TooMuch {
        /// Gas at most.
        gas: u64,
        /// Batches.
        batches: usize,
    },
    /// There was no room beside older ones.
    #[error("it goes with the next transaction: this one is full")]
    Full,
}

/// What goes now, and why the rest does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Of each chain so many of its waiting batches, from the first.
    pub take: BTreeMap<u64, usize>,
    /// Why the others wait, by chain and place among its waiting batches.
    pub blocked: BTreeMap<(u64, usize), Blocked>,
}

/// The limits of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Gas.
    pub gas: u64,
    /// Batches.
    pub batches: usize,
}

/// Plans the next transaction. `waiting` has of each chain the batches that follow its last executed one, without a
/// gap; `lanes` the lanes by their two ends, those that are missing are empty.
pub fn plan(
    waiting: &BTreeMap<u64, Vec<Pending>>,
    lanes: &BTreeMap<(u64, u64), Lane>,
    room: Room,
) -> Plan {
    let mut plan = Plan::default();
    let mut starts: Vec<(u64, u64, usize)> = waiting
        .iter()
        .flat_map(|(chain, list)| {
            let each = list.iter().enumerate();
            each.map(|(at, batch)| (batch.since, *chain, at))
        })
        .collect();
    starts.sort_unstable();
    for (_, chain, at) in starts {
        if plan.take.get(&chain).copied().unwrap_or_default() > at {
            continue;
        }
        let alone = closed(waiting, lanes, BTreeMap::from([(chain, at + 1)]));
        let alone = match alone {
            Ok(set) => set,
            Err(blocked) => {
                plan.blocked.insert((chain, at), blocked);
                continue;
            }
        };
        let (gas, batches) = size(waiting, &alone);
        // By itself a batch is tried whatever it is counted with: the simulation knows better.
        if batches > 1 && (gas > room.gas || batches > room.batches) {
            let blocked = Blocked::TooMuch { gas, batches };
            plan.blocked.insert((chain, at), blocked);
            continue;
        }
        // Both are closed, so what holds both is: a beginning of each chain's.
        let mut both = plan.take.clone();
        for (chain, count) in alone {
            let place = both.entry(chain).or_default();
            *place = count.max(*place);
        }
        let (gas, batches) = size(waiting, &both);
        match batches == 1 || gas <= room.gas && batches <= room.batches {
            true => plan.take = both,
            false => {
                plan.blocked.insert((chain, at), Blocked::Full);
            }
        }
    }
    plan.blocked
        .retain(|(chain, at), _| plan.take.get(chain).copied().unwrap_or_default() <= *at);
    plan
}

/// The smallest set that holds one batch and owes nothing, by itself: for finding out which of many is refused.
///
/// # Errors
/// Why the batch waits.
pub fn alone(
    waiting: &BTreeMap<u64, Vec<Pending>>,
    lanes: &BTreeMap<(u64, u64), Lane>,
    (chain, at): (u64, usize),
) -> Result<BTreeMap<u64, usize>, Blocked> {
    closed(waiting, lanes, BTreeMap::from([(chain, at + 1)]))
}

/// The least set that holds `set` and owes nothing.
fn closed(
    waiting: &BTreeMap<u64, Vec<Pending>>,
    lanes: &BTreeMap<(u64, u64), Lane>,
    mut set: BTreeMap<u64, usize>,
) -> Result<BTreeMap<u64, usize>, Blocked> {
    loop {
        let mut grown = set.clone();
        for (to, count) in &set {
            let mut takes: BTreeMap<u64, u64> = BTreeMap::new();
            for batch in first(waiting, *to, *count) {
                for (from, takes_of) in &batch.takes {
                    *takes.entry(*from).or_default() += takes_of;
                }
            }
            for (from, takes_of) in takes {
                let lane = lanes.get(&(from, *to)).copied().unwrap_or_default();
                let wanted = lane.taken + takes_of;
                let mut sent = lane.sent;
                let mut needed = 0;
                let all = waiting.get(&from).map_or(&[][..], Vec::as_slice);
                while sent < wanted {
                    let Some(batch) = all.get(needed) else {
                        return Err(Blocked::NotSent {
                            from,
                            to: *to,
                            count: wanted,
                            sent,
                        });
                    };
                    sent += batch.sends.get(to).copied().unwrap_or_default();
                    needed += 1;
                }
                if needed > 0 {
                    let place = grown.entry(from).or_default();
                    *place = needed.max(*place);
                }
            }
        }
        if grown == set {
            return Ok(set);
        }
        set = grown;
    }
}

fn first(
    waiting: &BTreeMap<u64, Vec<Pending>>,
    chain: u64,
    count: usize,
) -> impl Iterator<Item = &Pending> {
    waiting.get(&chain).into_iter().flatten().take(count)
}

fn size(waiting: &BTreeMap<u64, Vec<Pending>>, set: &BTreeMap<u64, usize>) -> (u64, usize) {
    let gas = set
        .iter()
        .flat_map(|(chain, count)| first(waiting, *chain, *count))
        .map(|batch| batch.gas)
        .fold(0, u64::saturating_add);
    (gas, set.values().sum())
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    use super::*;

    const ROOM: Room = Room {
        gas: 1_000,
        batches: 32,
    };

    fn batch(since: u64, sends: &[(u64, u64)], takes: &[(u64, u64)]) -> Pending {
        Pending {
            sends: sends.iter().copied().collect(),
            takes: takes.iter().copied().collect(),
            since,
            gas: 100,
        }
    }

    fn take(plan: &Plan) -> Vec<(u64, usize)> {
        plan.take
            .iter()
            .map(|(chain, count)| (*chain, *count))
            .collect()
    }

    #[test]
    fn a_circle_goes_at_once_and_what_it_needs_not_stays_out_of_its_set() {
        let waiting = BTreeMap::from([
            (1, vec![batch(1, &[(2, 1)], &[(3, 1)]), batch(9, &[], &[])]),
            (2, vec![batch(2, &[(3, 1)], &[(1, 1)])]),
            (3, vec![batch(3, &[(1, 1)], &[(2, 1)])]),
        ]);
        let one = closed(&waiting, &BTreeMap::new(), BTreeMap::from([(2, 1)]));
        assert_eq!(one, Ok(BTreeMap::from([(1, 1), (2, 1), (3, 1)])));
        assert_eq!(
            take(&plan(&waiting, &BTreeMap::new(), ROOM)),
            [(1, 2), (2, 1), (3, 1)]
        );
    }

    #[test]
    fn what_is_not_sent_waits_with_its_reason_and_all_behind_it() {
        let waiting = BTreeMap::from([
            (1, vec![batch(1, &[], &[(2, 5)]), batch(2, &[(3, 1)], &[])]),
            (2, vec![batch(3, &[(1, 1)], &[])]),
            (3, vec![batch(4, &[], &[(1, 1)])]),
        ]);
        let lanes = BTreeMap::from([(
            (2, 1),
            Lane {
                sent: 13,
                taken: 10,
            },
        )]);
        let plan = plan(&waiting, &lanes, ROOM);
        assert_eq!(take(&plan), [(2, 1)]);
        let missing = Blocked::NotSent {
            from: 2,
            to: 1,
            count: 15,
            sent: 14,
        };
        for place in [(1, 0), (1, 1), (3, 0)] {
            assert_eq!(plan.blocked[&place], missing, "{place:?}");
        }
    }

    #[test]
    fn a_full_transaction_takes_the_oldest_and_a_set_too_large_takes_none() {
        let mut waiting =
            BTreeMap::from([(1, vec![batch(5, &[], &[])]), (2, vec![batch(4, &[], &[])])]);
        let small = Room {
            gas: 100,
            batches: 32,
        };
        let planned = plan(&waiting, &BTreeMap::new(), small);
        assert_eq!(take(&planned), [(2, 1)]);
        assert_eq!(planned.blocked[&(1, 0)], Blocked::Full);
        waiting = BTreeMap::from([
            (1, vec![batch(1, &[], &[(2, 1)])]),
            (2, vec![batch(2, &[(1, 1)], &[])]),
        ]);
        let planned = plan(&waiting, &BTreeMap::new(), small);
        assert_eq!(
            planned.blocked[&(1, 0)],
            Blocked::TooMuch {
                gas: 200,
                batches: 2
            }
        );
        assert_eq!(take(&planned), [(2, 1)]);
    }

    fn any_batch() -> impl Strategy<Value = Pending> {
        let counts = || btree_map(1u64..5, 1u64..3, 0..3);
        (counts(), counts(), 0u64..20).prop_map(|(sends, takes, since)| Pending {
            sends,
            takes,
            since,
            gas: 100,
        })
    }

    proptest! {
        /// What goes owes nothing; what stays could not have gone by itself; everything is one or the other.
        #[test]
        fn plans_are_closed_and_leave_nothing_out(
            waiting in btree_map(1u64..5, vec(any_batch(), 1..4), 1..5),
            sent in btree_map((1u64..5, 1u64..5), 0u64..4, 0..8),
        ) {
            let lanes = sent.into_iter().map(|(ends, sent)| (ends, Lane { sent, taken: 0 })).collect();
            let room = Room { gas: u64::MAX, batches: 100 };
            let plan = plan(&waiting, &lanes, room);
            prop_assert_eq!(closed(&waiting, &lanes, plan.take.clone()), Ok(plan.take.clone()));
            for (chain, list) in &waiting {
                let goes = plan.take.get(chain).copied().unwrap_or_default();
                for at in 0..list.len() {
                    prop_assert_eq!(at >= goes, plan.blocked.contains_key(&(*chain, at)));
                    let alone = closed(&waiting, &lanes, BTreeMap::from([(*chain, at + 1)]));
                    prop_assert_eq!(at < goes, alone.is_ok());
                }
            }
        }
    }
}
