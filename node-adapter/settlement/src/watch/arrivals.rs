//! [`Arrivals`]: what other chains sent to this one, on disk, as far as it is deep enough, for the
//! node that takes it.
//!
//! A [`Sink`] of the watcher. Each entry has the lane's hash with it, so that what a batch took can be
//! shown to be the beginning of what was sent ([`Arrivals::tail`]), and an entry that L1 has exchanged
//! after it was handed out is found.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy::primitives::B256;
use alloy::sol_types::SolValue;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};

use super::{ChainEvent, Cursor, Located, Sink, SinkError};
use crate::abi::ISharedBridge::LaneEntry;
use crate::lanes::{Fold, LaneEvent, Tail};
use crate::sender::BlockRef;

/// (chain that sent, index) -> [`Row`].
const ENTRIES: TableDefinition<(u64, u64), &[u8]> = TableDefinition::new("watch_lanes");
/// (chain that sent, index) -> block in which the entry went back.
const BOUNCED: TableDefinition<(u64, u64), u64> = TableDefinition::new("watch_lanes_bounced");
/// Chain that sent -> the last entry that went back after it was handed out, and the block.
const RECALLED: TableDefinition<u64, (u64, u64)> = TableDefinition::new("watch_lanes_recalled");
/// (chain that sent, index) of each entry that was handed out -> the lane's hash with it.
const HANDED: TableDefinition<(u64, u64), &[u8]> = TableDefinition::new("watch_lanes_handed");

/// An entry of the lane from another chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The chain that sent it.
    pub from: u64,
    /// Its place in the lane, from 0.
    pub index: u64,
    /// What it is.
    pub entry: LaneEntry,
    /// Time of the block that executed its batch, in seconds.
    pub time: u64,
}

/// What lanes have for a chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Entries that can be taken, lane by lane in order.
    pub entries: Vec<Arrival>,
    /// Chains of whose lane nothing can be taken now, and why.
    pub held: BTreeMap<u64, String>,
}

/// Why entries of lanes are not handed out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArrivalsError {
    /// The database.
    #[error("the lanes' database failed ({0}); free disk space or restore the file, then restart")]
    Storage(String),
    /// L1 has other entries than those handed out.
    #[error(
        "L1 has other entries in the lane from chain {from} below {handed} than those handed out: what was executed with them cannot settle; rebuild with `carillon-node resync`"
    )]
    Exchanged {
        /// The chain that sent.
        from: u64,
        /// Entries handed out.
        handed: u64,
    },
    /// An entry that was taken went back: what was executed with it cannot settle.
    #[error(
        "entry {index} of the lane from chain {from} was taken here and went back to its sender on L1 before the batch with it was executed: that batch and those behind it cannot settle"
    )]
    WentBack {
        /// The chain that sent.
        from: u64,
        /// The entry.
        index: u64,
    },
}

/// An entry as it is kept.
struct Row {
    entry: LaneEntry,
    /// The lane's hash with the entry.
    hash: B256,
    /// Number and time of the block that executed the batch.
    block: u64,
    time: u64,
}

impl Row {
    fn to_bytes(&self) -> Vec<u8> {
        let fields = (self.entry.clone(), self.hash, self.block, self.time);
        fields.abi_encode()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let (entry, hash, block, time) =
            <(LaneEntry, B256, u64, u64)>::abi_decode(bytes).map_err(text)?;
        Ok(Self {
            entry,
            hash,
            block,
            time,
        })
    }
}

/// What other chains sent to one chain.
#[derive(Clone, Debug)]
pub struct Arrivals {
    database: Arc<Database>,
}

impl Arrivals {
    /// The lanes in a database, which should be the watcher's.
    ///
    /// # Errors
    /// [`ArrivalsError::Storage`].
    pub fn new(database: Arc<Database>) -> Result<Self, ArrivalsError> {
        let write = database.begin_write().map_err(storage)?;
        write.open_table(ENTRIES).map_err(storage)?;
        write.open_table(BOUNCED).map_err(storage)?;
        write.open_table(RECALLED).map_err(storage)?;
        write.open_table(HANDED).map_err(storage)?;
        write.commit().map_err(storage)?;
        Ok(Self { database })
    }

    /// Entries that are not among the first `taken` ones of their lane and did not go back, at most `most`
    /// of each lane; remembers them as handed out.
    ///
    /// # Errors
    /// [`ArrivalsError`].
    pub fn entries(
        &self,
        taken: &BTreeMap<u64, u64>,
        most: usize,
    ) -> Result<Waiting, ArrivalsError> {
        let mut waiting = Waiting::default();
        let mut news = Vec::new();
        let read = self.database.begin_read().map_err(storage)?;
        let entries = read.open_table(ENTRIES).map_err(storage)?;
        let bounced = read.open_table(BOUNCED).map_err(storage)?;
        let recalled = read.open_table(RECALLED).map_err(storage)?;
        let handed = read.open_table(HANDED).map_err(storage)?;
        for item in recalled.iter().map_err(storage)? {
            let (from, at) = item.map_err(storage)?;
            let (from, (index, _)) = (from.value(), at.value());
            if taken.get(&from).is_some_and(|taken| *taken > index) {
                return Err(ArrivalsError::WentBack { from, index });
            }
        }
        let mut chain = Some(0);
        while let Some(from) = chain
            && let Some(from) = lane_from(&handed, from).map_err(storage)?
        {
            chain = from.checked_add(1);
            let Some((index, hash)) = last_of(&handed, from).map_err(storage)? else {
                continue;
            };
            match row(&entries, from, index).map_err(storage)? {
                None => {
                    let reason = format!(
                        "entry {index} was handed out, and L1 does not have it now: it was reorganised deeper than the watcher's depth; wait for it to come back"
                    );
                    waiting.held.insert(from, reason);
                }
                Some(now) if now.hash.as_slice() != hash => {
                    let handed = index + 1;
                    return Err(ArrivalsError::Exchanged { from, handed });
                }
                Some(_) => {}
            }
        }
        let mut chain = Some(0);
        while let Some(from) = chain
            && let Some(from) = lane_from(&entries, from).map_err(storage)?
        {
            chain = from.checked_add(1);
            if waiting.held.contains_key(&from) {
                continue;
            }
            // Entries go back in their order, from the first one on that is not taken on L1.
            let last = bounced.range((from, 0)..=(from, u64::MAX));
            let last = last.map_err(storage)?.next_back().transpose();
            let behind = last
                .map_err(storage)?
                .map_or(0, |(key, _)| key.value().1 + 1);
            let first = taken.get(&from).copied().unwrap_or_default().max(behind);
            let rest = entries.range((from, first)..=(from, u64::MAX));
            for item in rest.map_err(storage)?.take(most) {
                let (key, bytes) = item.map_err(storage)?;
                let (_, index) = key.value();
                let row = Row::from_bytes(bytes.value()).map_err(storage)?;
                if handed.get((from, index)).map_err(storage)?.is_none() {
                    news.push(((from, index), row.hash));
                }
                waiting.entries.push(Arrival {
                    from,
                    index,
                    entry: row.entry,
                    time: row.time,
                });
            }
        }
        drop((entries, bounced, recalled, handed));
        if !news.is_empty() {
            let write = self.database.begin_write().map_err(storage)?;
            {
                let mut handed = write.open_table(HANDED).map_err(storage)?;
                for (place, hash) in news {
                    handed.insert(place, hash.as_slice()).map_err(storage)?;
                }
            }
            write.commit().map_err(storage)?;
        }
        Ok(waiting)
    }

    /// Entries of the lane from a chain, as far as it was read.
    ///
    /// # Errors
    /// [`ArrivalsError::Storage`].
    pub fn count(&self, from: u64) -> Result<u64, ArrivalsError> {
        let read = self.database.begin_read().map_err(storage)?;
        let entries = read.open_table(ENTRIES).map_err(storage)?;
        let last = last_of(&entries, from).map_err(storage)?;
        Ok(last.map_or(0, |(index, _)| index + 1))
    }

    /// The hash of a lane with so many entries; none if it was not read so far.
    ///
    /// # Errors
    /// [`ArrivalsError::Storage`].
    pub fn hash(&self, from: u64, count: u64) -> Result<Option<B256>, ArrivalsError> {
        let Some(index) = count.checked_sub(1) else {
            return Ok(Some(Fold::default().hash));
        };
        let read = self.database.begin_read().map_err(storage)?;
        let entries = read.open_table(ENTRIES).map_err(storage)?;
        let found = row(&entries, from, index).map_err(storage)?;
        Ok(found.map(|row| row.hash))
    }

    /// What a batch of chain `to`, whose arrivals these are, needs that took the first `taken` entries of a lane: those behind them that were sent in
    /// the same block. None if the lane is not read so far.
    ///
    /// # Errors
    /// [`ArrivalsError::Storage`].
    pub fn tail(&self, from: u64, to: u64, taken: u64) -> Result<Option<Tail>, ArrivalsError> {
        let read = self.database.begin_read().map_err(storage)?;
        let entries = read.open_table(ENTRIES).map_err(storage)?;
        let Some(index) = taken.checked_sub(1) else {
            return Ok(None);
        };
        let Some(last) = row(&entries, from, index).map_err(storage)? else {
            return Ok(None);
        };
        let fold = Fold {
            count: taken,
            hash: last.hash,
        };
        let mut following = Vec::new();
        for item in (entries.range((from, taken)..=(from, u64::MAX))).map_err(storage)? {
            let (_, bytes) = item.map_err(storage)?;
            let row = Row::from_bytes(bytes.value()).map_err(storage)?;
            // The time of a checkpoint is its block's; numbers of batches are what the other chain says.
            if row.block != last.block {
                break;
            }
            following.push(row.entry);
        }
        Ok(Some(fold.tail((from, to), last.time, &following)))
    }
}

impl Sink for Arrivals {
    fn rollback(
        &mut self,
        transaction: &WriteTransaction,
        from: u64,
        _: &Cursor,
    ) -> Result<(), SinkError> {
        let mut entries = transaction.open_table(ENTRIES).map_err(SinkError::failed)?;
        // A row that cannot be read goes, too: it is read again.
        let before = |bytes: &[u8]| Row::from_bytes(bytes).is_ok_and(|row| row.block < from);
        entries
            .retain(|_, bytes| before(bytes))
            .map_err(SinkError::failed)?;
        let mut bounced = transaction.open_table(BOUNCED).map_err(SinkError::failed)?;
        bounced
            .retain(|_, block| block < from)
            .map_err(SinkError::failed)?;
        let mut recalled = transaction
            .open_table(RECALLED)
            .map_err(SinkError::failed)?;
        recalled
            .retain(|_, (_, block)| block < from)
            .map_err(SinkError::failed)
    }

    fn apply(
        &mut self,
        transaction: &WriteTransaction,
        _to: BlockRef,
        events: &[Located],
    ) -> Result<(), SinkError> {
        let mut entries = transaction.open_table(ENTRIES).map_err(SinkError::failed)?;
        let mut bounced = transaction.open_table(BOUNCED).map_err(SinkError::failed)?;
        let mut recalled = transaction
            .open_table(RECALLED)
            .map_err(SinkError::failed)?;
        let handed = transaction.open_table(HANDED).map_err(SinkError::failed)?;
        for located in events {
            let block = located.block.number;
            let ChainEvent::Lane { event, time } = &located.event else {
                continue;
            };
            match event {
                LaneEvent::Sent {
                    from, index, entry, ..
                } => {
                    let before = match index.checked_sub(1) {
                        None => Some(Fold::default().hash),
                        Some(before) => row(&entries, *from, before)
                            .map_err(SinkError::Failed)?
                            .map(|row| row.hash),
                    };
                    let missed = || {
                        SinkError::Missed(format!(
                            "entry {index} of the lane from chain {from} was announced before the one that it follows: the node left events out; ask another node"
                        ))
                    };
                    let mut fold = Fold {
                        count: *index,
                        hash: before.ok_or_else(missed)?,
                    };
                    fold.push(entry);
                    let row = Row {
                        entry: entry.clone(),
                        hash: fold.hash,
                        block,
                        time: *time,
                    };
                    entries
                        .insert((*from, *index), row.to_bytes().as_slice())
                        .map_err(SinkError::failed)?;
                }
                LaneEvent::Bounced { from, index, .. } => {
                    bounced
                        .insert((*from, *index), block)
                        .map_err(SinkError::failed)?;
                    let known = handed.get((*from, *index)).map_err(SinkError::failed)?;
                    if known.is_some() {
                        recalled
                            .insert(*from, (*index, block))
                            .map_err(SinkError::failed)?;
                    }
                }
                LaneEvent::Returned { .. } => {}
            }
        }
        Ok(())
    }
}

/// The entry at a place of a lane.
fn row(
    entries: &impl ReadableTable<(u64, u64), &'static [u8]>,
    from: u64,
    index: u64,
) -> Result<Option<Row>, String> {
    let bytes = entries.get((from, index)).map_err(text)?;
    bytes
        .map(|bytes| Row::from_bytes(bytes.value()))
        .transpose()
}

/// The last place of a lane in a table, and what stands there.
fn last_of(
    table: &impl ReadableTable<(u64, u64), &'static [u8]>,
    from: u64,
) -> Result<Option<(u64, Vec<u8>)>, String> {
    let mut lane = table.range((from, 0)..=(from, u64::MAX)).map_err(text)?;
    let last = lane.next_back().transpose().map_err(text)?;
    Ok(last.map(|(key, value)| (key.value().1, value.value().to_vec())))
}

/// The first chain from this id on that has something in a table.
fn lane_from(
    entries: &impl ReadableTable<(u64, u64), &'static [u8]>,
    from: u64,
) -> Result<Option<u64>, String> {
    let mut rest = entries.range((from, 0)..).map_err(text)?;
    let first = rest.next().transpose().map_err(text)?;
    Ok(first.map(|(key, _)| key.value().0))
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn storage(error: impl std::fmt::Display) -> ArrivalsError {
    ArrivalsError::Storage(error.to_string())
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, TxHash, U256};

    use super::*;

    fn arrivals() -> Arrivals {
        let memory = redb::backends::InMemoryBackend::new();
        let database = Database::builder().create_with_backend(memory).unwrap();
        Arrivals::new(Arc::new(database)).unwrap()
    }

    fn entry(amount: u64) -> LaneEntry {
        LaneEntry {
            token: Address::repeat_byte(1),
            amount: U256::from(amount),
            sender: Address::repeat_byte(2),
            recipient: Address::repeat_byte(3),
            memo: U256::from(77),
        }
    }

    fn at(block: u64, event: LaneEvent) -> Located {
        let hash = B256::repeat_byte(block as u8);
        Located {
            block: BlockRef {
                number: block,
                hash,
            },
            transaction: TxHash::ZERO,
            log: 0,
            event: ChainEvent::Lane {
                event,
                time: 1_000 + block,
            },
        }
    }

    fn sent(block: u64, from: u64, index: u64, amount: u64) -> Located {
        let event = LaneEvent::Sent {
            from,
            to: 9,
            index,
            entry: entry(amount),
            batch: 10 * block,
        };
        at(block, event)
    }

    fn bounced(block: u64, from: u64, index: u64) -> Located {
        let event = LaneEvent::Bounced {
            from,
            to: 9,
            index,
            token: Address::ZERO,
            amount: U256::ZERO,
            sender: Address::ZERO,
            home: true,
        };
        at(block, event)
    }

    fn apply(arrivals: &Arrivals, events: &[Located]) -> Result<(), SinkError> {
        let write = arrivals.database.begin_write().unwrap();
        let end = events.last().unwrap().block;
        arrivals.clone().apply(&write, end, events)?;
        write.commit().unwrap();
        Ok(())
    }

    fn roll_back(arrivals: &Arrivals, block: u64) {
        let write = arrivals.database.begin_write().unwrap();
        let mut sink = arrivals.clone();
        sink.rollback(&write, block, &Cursor::default()).unwrap();
        write.commit().unwrap();
    }

    /// (chain, index, amount) of what is handed out.
    fn handed(arrivals: &Arrivals, taken: &[(u64, u64)]) -> Vec<(u64, u64, u64)> {
        let taken = taken.iter().copied().collect();
        let found = arrivals.entries(&taken, 100).unwrap();
        assert_eq!(found.held, BTreeMap::new());
        let short = |arrival: Arrival| (arrival.from, arrival.index, arrival.entry.amount.to());
        found.entries.into_iter().map(short).collect()
    }

    #[test]
    fn lanes_are_handed_out_in_order_without_what_went_back() {
        let arrivals = arrivals();
        assert_eq!(handed(&arrivals, &[]), []);
        let events = [
            sent(1, 5, 0, 100),
            sent(1, 5, 1, 101),
            sent(1, u64::MAX, 0, 7),
            sent(2, 5, 2, 102),
        ];
        apply(&arrivals, &events).unwrap();
        let last = (u64::MAX, 0, 7);
        let all = [(5, 0, 100), (5, 1, 101), (5, 2, 102), last];
        assert_eq!(handed(&arrivals, &[]), all);
        assert_eq!(handed(&arrivals, &[(5, 1)]), all[1..]);
        assert_eq!(handed(&arrivals, &[(5, 3), (u64::MAX, 1)]), []);
        // However many went back, what is behind them is found.
        apply(&arrivals, &[bounced(3, 5, 0), bounced(3, 5, 1)]).unwrap();
        assert_eq!(handed(&arrivals, &[]), all[2..]);
        let found = arrivals.entries(&BTreeMap::new(), 1).unwrap().entries;
        let places: Vec<_> = found.iter().map(|arrival| arrival.index).collect();
        assert_eq!(places, [2, 0], "one of each lane: {found:?}");
        assert_eq!(found[0].time, 1_002);
    }

    #[test]
    fn an_entry_that_was_taken_and_went_back_is_a_contradiction() {
        let arrivals = arrivals();
        apply(&arrivals, &[sent(1, 5, 0, 100), sent(1, 5, 1, 101)]).unwrap();
        assert_eq!(handed(&arrivals, &[]).len(), 2);
        apply(&arrivals, &[bounced(3, 5, 0)]).unwrap();
        let went_back = ArrivalsError::WentBack { from: 5, index: 0 };
        let taken = |count| BTreeMap::from([(5, count)]);
        assert_eq!(arrivals.entries(&taken(1), 9), Err(went_back));
        // It was handed out and not taken.
        assert_eq!(handed(&arrivals, &[]), [(5, 1, 101)]);
        roll_back(&arrivals, 3);
        assert_eq!(handed(&arrivals, &[(5, 1)]), [(5, 1, 101)]);
        // What went back before it was handed out is left out, and the next one is taken.
        apply(
            &arrivals,
            &[sent(4, 6, 0, 1), bounced(4, 6, 0), sent(5, 6, 1, 2)],
        )
        .unwrap();
        assert_eq!(handed(&arrivals, &[(5, 2)]), [(6, 1, 2)]);
        // Also when L1 is read again.
        roll_back(&arrivals, 4);
        apply(
            &arrivals,
            &[sent(4, 6, 0, 1), bounced(4, 6, 0), sent(5, 6, 1, 2)],
        )
        .unwrap();
        assert_eq!(handed(&arrivals, &[(5, 2), (6, 2)]), []);
    }

    #[test]
    fn a_tail_ends_with_the_block_that_sent_the_last_entry_taken() {
        let arrivals = arrivals();
        // Another chain may say the same number of a batch twice: another block has another time.
        let again = LaneEvent::Sent {
            from: 5,
            to: 9,
            index: 3,
            entry: entry(103),
            batch: 10,
        };
        let events = [
            sent(1, 5, 0, 100),
            sent(1, 5, 1, 101),
            sent(1, 5, 2, 102),
            at(2, again),
        ];
        apply(&arrivals, &events).unwrap();
        let mut fold = Fold::default();
        fold.push(&entry(100));
        let expected = fold.tail((5, 6), 1_001, &[entry(101), entry(102)]);
        assert_eq!(arrivals.tail(5, 6, 1), Ok(Some(expected.clone())));
        let whole = arrivals.tail(5, 6, 3).unwrap().unwrap();
        assert!(whole.entries.is_empty());
        assert_eq!((whole.count, whole.laneHash), (3, expected.laneHash));
        assert_eq!(arrivals.tail(5, 6, 4).unwrap().unwrap().time, 1_002);
        for unknown in [(5, 0), (5, 5), (6, 1)] {
            assert_eq!(arrivals.tail(unknown.0, 6, unknown.1), Ok(None));
        }
    }

    #[test]
    fn what_l1_takes_back_is_forgotten_and_what_was_handed_out_is_missed() {
        let arrivals = arrivals();
        apply(&arrivals, &[sent(1, 5, 0, 100), sent(2, 5, 1, 101)]).unwrap();
        apply(&arrivals, &[bounced(3, 5, 0)]).unwrap();
        roll_back(&arrivals, 3);
        assert_eq!(handed(&arrivals, &[]), [(5, 0, 100), (5, 1, 101)]);
        roll_back(&arrivals, 2);
        // Another lane goes on.
        apply(&arrivals, &[sent(2, 6, 0, 7)]).unwrap();
        let waiting = arrivals.entries(&BTreeMap::new(), 9).unwrap();
        assert!(
            waiting.held[&5].contains("entry 1 was handed out"),
            "{waiting:?}"
        );
        assert_eq!((waiting.held.len(), waiting.entries.len()), (1, 1));
        roll_back(&arrivals, 2);
        apply(&arrivals, &[sent(2, 5, 1, 999)]).unwrap();
        let exchanged = ArrivalsError::Exchanged { from: 5, handed: 2 };
        assert_eq!(arrivals.entries(&BTreeMap::new(), 9), Err(exchanged));
        roll_back(&arrivals, 2);
        apply(&arrivals, &[sent(2, 5, 1, 101), sent(2, 6, 0, 7)]).unwrap();
        assert_eq!(handed(&arrivals, &[(5, 1)]), [(5, 1, 101), (6, 0, 7)]);
    }

    #[test]
    fn an_entry_behind_one_that_was_left_out_is_refused() {
        let arrivals = arrivals();
        apply(&arrivals, &[sent(1, 5, 0, 100)]).unwrap();
        let error = apply(&arrivals, &[sent(2, 5, 2, 102)]).unwrap_err();
        assert!(matches!(error, SinkError::Missed(_)), "{error}");
        assert!(apply(&arrivals, &[sent(2, 6, 1, 102)]).is_err());
    }
}
