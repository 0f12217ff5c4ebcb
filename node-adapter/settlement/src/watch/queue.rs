//! [`Queue`]: the L1 queue on disk, as far as it is deep enough, for the node that executes it.
//!
//! A [`Sink`] of the watcher. Remembers up to which hash it has handed entries out: an entry that L1
//! has exchanged afterwards is found, because nothing that was executed with it can settle.

use std::sync::Arc;

use alloy::primitives::{B256, U256};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};

use super::{ChainEvent, Cursor, Located, Sink, SinkError};
use crate::sender::BlockRef;

/// Index -> words, 160 bytes, and the queue's hash after the entry, 32 bytes.
const ENTRIES: TableDefinition<u64, &[u8]> = TableDefinition::new("watch_queue");
/// Number of entries handed out -> the queue's hash after them.
const HANDED: TableDefinition<u64, &[u8]> = TableDefinition::new("watch_queue_handed");

/// An entry of the L1 queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its index, from 0.
    pub index: u64,
    /// The record's words, masked as the contract hashes them.
    pub words: [U256; 5],
}

/// Why entries are not handed out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// The database.
    #[error("the queue's database failed ({0}); free disk space or restore the file, then restart")]
    Storage(String),
    /// L1 dropped entries that were handed out, and has no others yet.
    #[error(
        "the queue has {length} entries on L1, {handed} were handed out: L1 was reorganised deeper than the watcher's depth; wait for them to come back"
    )]
    Missing {
        /// On L1.
        length: u64,
        /// Handed out.
        handed: u64,
    },
    /// L1 has other entries than those handed out.
    #[error(
        "L1 has other entries below {handed} than those handed out: what was executed with them cannot settle; rebuild with `carillon-node resync`"
    )]
    Exchanged {
        /// Entries handed out.
        handed: u64,
    },
}

/// The queue of one chain.
#[derive(Clone, Debug)]
pub struct Queue {
    database: Arc<Database>,
}

impl Queue {
    /// The queue in a database, which should be the watcher's.
    pub fn new(database: Arc<Database>) -> Result<Self, QueueError> {
        let write = database.begin_write().map_err(storage)?;
        write.open_table(ENTRIES).map_err(storage)?;
        write.open_table(HANDED).map_err(storage)?;
        write.commit().map_err(storage)?;
        Ok(Self { database })
    }

    /// Entries from `from` on, at most `most`, and remembers them as handed out.
    pub fn entries(&self, from: u64, most: usize) -> Result<Vec<Entry>, QueueError> {
        let write = self.database.begin_write().map_err(storage)?;
        let mut found = Vec::new();
        {
            let entries = write.open_table(ENTRIES).map_err(storage)?;
            let mut handed = write.open_table(HANDED).map_err(storage)?;
            let last = handed.last().map_err(storage)?;
            let last = last.map(|(count, hash)| (count.value(), hash.value().to_vec()));
            if let Some((count, hash)) = last {
                let length = entries.last().map_err(storage)?;
                let length = length.map_or(0, |(index, _)| index.value() + 1);
                if length < count {
                    let handed = count;
                    return Err(QueueError::Missing { length, handed });
                }
                let now = entries.get(count - 1).map_err(storage)?;
                if now.and_then(|bytes| hash_of(bytes.value())) != B256::try_from(&hash[..]).ok() {
                    return Err(QueueError::Exchanged { handed: count });
                }
            }
            for item in entries.range(from..).map_err(storage)?.take(most) {
                let (index, bytes) = item.map_err(storage)?;
                let words = words_of(bytes.value())
                    .ok_or_else(|| storage("an entry has the wrong length"))?;
                let index = index.value();
                found.push(Entry { index, words });
            }
            if let Some(last) = found.last() {
                let known = handed
                    .last()
                    .map_err(storage)?
                    .map(|(count, _)| count.value());
                let hash = entries.get(last.index).map_err(storage)?;
                let hash = hash.and_then(|bytes| hash_of(bytes.value()));
                if let Some(hash) = hash.filter(|_| known.is_none_or(|k| k <= last.index)) {
                    handed.retain(|_, _| false).map_err(storage)?;
                    handed
                        .insert(last.index + 1, hash.as_slice())
                        .map_err(storage)?;
                }
            }
        }
        write.commit().map_err(storage)?;
        Ok(found)
    }

    /// Number of entries read.
    pub fn length(&self) -> Result<u64, QueueError> {
        let read = self.database.begin_read().map_err(storage)?;
        let entries = read.open_table(ENTRIES).map_err(storage)?;
        let last = entries.last().map_err(storage)?;
        Ok(last.map_or(0, |(index, _)| index.value() + 1))
    }
}

impl Sink for Queue {
    fn rollback(
        &mut self,
        transaction: &WriteTransaction,
        _from: u64,
        cursor: &Cursor,
    ) -> Result<(), SinkError> {
        let mut entries = transaction.open_table(ENTRIES).map_err(SinkError::failed)?;
        entries
            .retain_in(cursor.queue_length.., |_, _| false)
            .map_err(SinkError::failed)
    }

    fn apply(
        &mut self,
        transaction: &WriteTransaction,
        _to: BlockRef,
        events: &[Located],
    ) -> Result<(), SinkError> {
        let mut entries = transaction.open_table(ENTRIES).map_err(SinkError::failed)?;
        for event in events {
            if let ChainEvent::Queued { index, words, hash } = &event.event {
                let mut bytes: Vec<u8> = Vec::with_capacity(192);
                for word in words {
                    bytes.extend_from_slice(&word.to_be_bytes::<32>());
                }
                bytes.extend_from_slice(hash.as_slice());
                entries
                    .insert(*index, bytes.as_slice())
                    .map_err(SinkError::failed)?;
            }
        }
        Ok(())
    }
}

fn words_of(bytes: &[u8]) -> Option<[U256; 5]> {
    let (words, _) = bytes.split_at_checked(160)?;
    let mut parts = words.chunks_exact(32).map(U256::from_be_slice);
    Some([
        parts.next()?,
        parts.next()?,
        parts.next()?,
        parts.next()?,
        parts.next()?,
    ])
}

fn hash_of(bytes: &[u8]) -> Option<B256> {
    B256::try_from(bytes.get(160..)?).ok()
}

fn storage(error: impl std::fmt::Display) -> QueueError {
    QueueError::Storage(error.to_string())
}
