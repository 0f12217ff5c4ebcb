//! The way back: batches that took what another chain did not settle are taken apart, and their other
//! operations executed again.
//!
//! Numbers of the log are not used twice, so that no receipt contradicts another. What was confirmed
//! without a condition, before the first entry that falls, keeps its place.

use super::{Accepted, Core};
use crate::machine::{Machine, WriterError};
use crate::ports::Line;
use crate::receipt;
use crate::store::{Apart, Fallen, Group};

impl<M: Machine> Core<M> {
    /// Takes back what was taken of a lane from an index on and is not settled.
    pub(super) fn take_apart(&mut self, chain: u64, from: u64) -> Result<(), WriterError> {
        let rows = self.of_lane(chain).filter(|(index, _)| *index >= from);
        let Some(sequence) = rows.map(|(_, row)| row.sequence).min() else {
            return Ok(());
        };
        let row = self.store.batch_of(sequence)?;
        let first = row.map_or(self.batch + 1, |row| row.number);
        let mut fallen = Vec::new();
        for (sequence, bytes) in self.store.log(sequence..)? {
            let operation = self.machine.decode(&bytes);
            let operation = operation.map_err(|reason| WriterError::Replay { sequence, reason })?;
            let id = self.machine.id(&operation);
            let notice = receipt::take_back(&self.key, self.options.chain_id, &id, sequence);
            let notice = Fallen {
                sequence,
                signature: format!("0x{}", hex::encode(notice)),
                reason: None,
            };
            fallen.push((id, notice));
        }
        let owners = self.machine.owners();
        let apart = Apart {
            owners: &owners,
            first,
            lane: (chain, from),
            from: sequence,
            names: M::names,
            marks: self.outbox.truncate(sequence),
            fallen: &fallen,
        };
        self.store.take_apart(&apart, self.next)?;
        tracing::warn!(
            chain,
            entry = from,
            batch = first,
            receipts = fallen.len(),
            "what was taken of another chain is not settled there: batches are taken apart, their receipts are void, and what can be is executed again"
        );
        self.machine = self.machine.rewound(&self.store)?;
        let point = self.store.sealed()?.unwrap_or_default();
        (self.first, self.next, self.batch) = (point.next, point.next, point.batch);
        (self.sealed_queue, self.root) = (point.queue, self.machine.root());
        self.oldest = None;
        self.fresh.clear();
        self.accounts.sealed();
        self.load_promised()?;
        self.replay()?;
        self.next = self.next.max(self.store.floor()?);
        self.execute_again()?;
        self.publish();
        self.outbox.sign(&self.key);
        Ok(())
    }

    /// Executes what was taken apart, in its order, as far as it still can be.
    pub(super) fn execute_again(&mut self) -> Result<(), WriterError> {
        let waiting = self.store.again()?;
        let Some((last, _)) = waiting.last() else {
            return Ok(());
        };
        let (last, mut accepted) = (*last, Vec::new());
        for (old, bytes) in waiting {
            let operation = self.machine.decode(&bytes);
            let operation = operation.map_err(|reason| WriterError::Replay {
                sequence: old,
                reason,
            })?;
            let operation = self.machine.again(operation);
            let place = self.machine.place(&operation);
            if place.is_some_and(|place| !self.goes_again(place)) {
                // It comes again from L1.
                self.again = Some(old);
                continue;
            }
            if self.is_full() || !self.machine.fits(&operation) {
                self.commit(&mut accepted)?;
                self.seal()?;
            }
            let executed = match place {
                Some(_) => self.machine.execute(&operation, None),
                // A change of its key may have fallen.
                None => (self.machine.check(&operation))
                    .and_then(|ticket| self.machine.execute(&operation, Some(ticket))),
            };
            let id = self.machine.id(&operation);
            match executed {
                Ok(()) => {
                    self.fresh.extend(self.machine.touches(&operation));
                    let soft = match place {
                        Some((Line::Lane(chain), index)) => {
                            let row = self.soft.get(&(chain, index));
                            row.map(|row| ((chain, index), *row))
                        }
                        _ => None,
                    };
                    accepted.push(Accepted {
                        id,
                        bytes: self.machine.encode(&operation),
                        answer: None,
                        sent: self.machine.outgoing(&operation),
                        soft,
                    });
                }
                Err(refusal) => self.store.refuse_again(&id, refusal.to_string())?,
            }
            self.again = Some(old);
        }
        self.commit(&mut accepted)?;
        self.again = None;
        let done = Group {
            again: Some(last),
            ..Group::default()
        };
        self.store.append_group(&done)?;
        Ok(())
    }

    /// Whether an entry of a line has its place still. One that was revoked has not, nor those behind it.
    fn goes_again(&self, (line, index): (Line, u64)) -> bool {
        let revoked = |chain: u64| {
            let barred = self.barred.get(&chain).copied().unwrap_or_default();
            index < barred && !self.soft.contains_key(&(chain, index))
        };
        index == self.machine.executed(line) && !line.chain().is_some_and(revoked)
    }
}
