//! What other chains have promised and not settled: taken within limits, remembered until it is settled;
//! and what this chain sends, compared with L1.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::{Core, now};
use crate::machine::{Machine, WriterError};
use crate::outbox::{LanesOut, Outgoing};
use crate::ports::{Line, Promised, PromisedEntry};
use crate::receipt::Condition;
use crate::store::{BatchStatus, SoftRow, Store};

/// How much may be taken of each chain that it has not settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PromisePolicy {
    /// What all of it may be worth, in wei.
    pub most_wei: u128,
    /// How old the oldest of it may be. What is older is taken back.
    pub age: Duration,
}

impl Default for PromisePolicy {
    /// 100,000 units of account at 2,500 an ether, ten minutes.
    fn default() -> Self {
        Self {
            most_wei: 40 * 1_000_000_000_000_000_000,
            age: Duration::from_secs(600),
        }
    }
}

/// What was taken of a chain's lane and is not settled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Unsettled {
    /// The first entry.
    pub first: u64,
    /// The one behind the last.
    pub next: u64,
    /// The operation that took the first one.
    pub sequence: u64,
    /// What they are worth, in wei.
    pub wei: u128,
    /// When the oldest was taken, in milliseconds since the Unix epoch.
    pub since: u64,
    /// The lane's hash behind the last.
    pub hash: [u8; 32],
    /// The epoch of the last.
    pub epoch: u64,
}

/// The sends of the log that L1 may not have executed, in order.
pub(super) fn sends<M: Machine>(
    machine: &M,
    store: &Store,
) -> Result<Vec<(u64, Outgoing)>, WriterError> {
    let rows = store.batches(1)?;
    let open = |status: &BatchStatus| !matches!(status, BatchStatus::Final { .. });
    let first = rows
        .iter()
        .position(|row| open(&row.status))
        .unwrap_or(rows.len());
    // What is final in this folder may be a block less deep for who asks next.
    let first = rows.get(first.saturating_sub(2)).map_or(0, |row| row.first);
    let mut sends = Vec::new();
    for (sequence, bytes) in store.log(first..)? {
        let operation = machine.decode(&bytes);
        let operation = operation.map_err(|reason| WriterError::Replay { sequence, reason })?;
        sends.extend(machine.outgoing(&operation).map(|send| (sequence, send)));
    }
    Ok(sends)
}

impl<M: Machine> Core<M> {
    /// What is on disk.
    pub(super) fn load_promised(&mut self) -> Result<(), WriterError> {
        self.soft = self.store.soft()?;
        self.barred = self.store.barred()?;
        self.held.clear();
        for ((chain, _), row) in &self.soft {
            *self.held.entry(*chain).or_default() += row.wei;
        }
        Ok(())
    }

    /// The unsettled entries of a lane.
    pub(super) fn of_lane(&self, chain: u64) -> impl DoubleEndedIterator<Item = (u64, &SoftRow)> {
        let rows = self.soft.range((chain, 0)..=(chain, u64::MAX));
        rows.map(|((_, index), row)| (*index, row))
    }

    /// What must be settled by others before what is accepted now can be.
    pub(super) fn conditions(&self) -> Vec<Condition> {
        let chains = self.held.keys();
        let last = |chain: &u64| {
            let (index, _) = self.of_lane(*chain).next_back()?;
            Some(Condition {
                chain: *chain,
                count: index + 1,
            })
        };
        chains.filter_map(last).collect()
    }

    pub(super) fn unsettled(&self) -> BTreeMap<u64, Unsettled> {
        let state = |(chain, wei): (&u64, &u128)| {
            let (first, oldest) = self.of_lane(*chain).next()?;
            let (last, row) = self.of_lane(*chain).next_back()?;
            let unsettled = Unsettled {
                first,
                next: last + 1,
                sequence: oldest.sequence,
                wei: *wei,
                since: oldest.time,
                hash: row.hash,
                epoch: row.epoch,
            };
            Some((*chain, unsettled))
        };
        self.held.iter().filter_map(state).collect()
    }

    /// Takes what a chain has promised, as far as the limits allow; says what the rest waits for.
    pub(super) fn take_promised(
        &mut self,
        promised: Promised,
    ) -> Result<Option<String>, WriterError> {
        let Promised {
            chain,
            epoch,
            entries,
        } = promised;
        let (line, time) = (Line::Lane(chain), now());
        let (mut accepted, mut waits) = (Vec::new(), None);
        for promise in entries {
            let next = self.machine.executed(line);
            let index = promise.entry.index;
            if index < next {
                continue;
            }
            if let Err(reason) = self.may_take(chain, next, &promise, time) {
                waits = Some(reason);
                break;
            }
            if let Err(reason) = self.execute_entry(&promise.entry, &mut accepted)? {
                waits = Some(format!("entry {index}: {reason}"));
                break;
            }
            *self.held.entry(chain).or_default() += promise.wei;
            if let Some(last) = accepted.last_mut() {
                let row = SoftRow {
                    sequence: 0,
                    hash: promise.hash,
                    epoch,
                    wei: promise.wei,
                    time,
                };
                last.soft = Some(((chain, index), row));
            }
        }
        self.commit(&mut accepted)?;
        if self.is_full() {
            self.seal()?;
        }
        Ok(waits)
    }

    /// Whether the limits allow to take an entry.
    fn may_take(
        &self,
        chain: u64,
        next: u64,
        promise: &PromisedEntry,
        time: u64,
    ) -> Result<(), String> {
        let (index, policy) = (promise.entry.index, self.options.promises);
        if index > next {
            return Err(format!("entry {next} comes first, from Ethereum"));
        }
        if self
            .barred
            .get(&chain)
            .is_some_and(|barred| index < *barred)
        {
            return Err(format!(
                "entry {index} was revoked before and is taken when Ethereum has it"
            ));
        }
        let oldest = self.of_lane(chain).next().map_or(time, |(_, row)| row.time);
        if u128::from(time.saturating_sub(oldest)) >= policy.age.as_millis() {
            return Err(format!(
                "chain {chain} has not settled for {} s",
                policy.age.as_secs()
            ));
        }
        let held = self.held.get(&chain).copied().unwrap_or_default();
        if held.saturating_add(promise.wei) > policy.most_wei {
            return Err(format!(
                "entry {index}: with it more than {} wei of chain {chain} would be unsettled; it is taken when chain {chain} has settled",
                policy.most_wei
            ));
        }
        Ok(())
    }

    /// Forgets what is settled.
    pub(super) fn settle_promised(
        &mut self,
        covered: &BTreeMap<u64, u64>,
    ) -> Result<(), WriterError> {
        self.store.settle_soft(covered)?;
        self.load_promised()
    }

    /// Compares the lanes to other chains with what L1 has.
    pub(super) fn compare_lanes(&mut self, on_l1: &LanesOut) -> Result<(), WriterError> {
        let end = match on_l1.executed {
            0 => 0,
            number => match self.store.batch(number)? {
                Some(row) => row.end,
                // L1 is ahead of what this node has: agreement at the start refuses that.
                None => return Ok(()),
            },
        };
        let marks = self.outbox.compare(on_l1, end);
        if !marks.is_empty() {
            self.store.mark_lanes(&marks)?;
            self.outbox.sign(&self.key);
        }
        Ok(())
    }
}
