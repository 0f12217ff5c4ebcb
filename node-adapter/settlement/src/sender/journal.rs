//! The write-ahead journal: records of open intents and a line for each closed one, in redb.
//!
//! Every write is one transaction, synced to disk before it returns. The file is locked: a second
//! sender on the same journal is refused. Records are JSON, so that an operator can read them with
//! any redb tool. Called by `run`.

use std::path::Path;
use std::sync::{Arc, Weak};

use alloy::primitives::{Address, B256, TxHash, keccak256};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};

use super::entry::{Entry, IllegalRecord, Intent, Record};
use super::{BlockRef, Place};

/// Written into a new journal; another value is refused.
const FORMAT: &str = "carillon.sender/1";

const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
/// (entry, step) -> record.
const RECORDS: TableDefinition<(u64, u32), &[u8]> = TableDefinition::new("records");
/// Id -> closed intent.
const DONE: TableDefinition<&str, &[u8]> = TableDefinition::new("done");

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The database or the disk.
    #[error(
        "the sender's journal failed ({0}); nothing more is sent. Free disk space or repair the disk, then restart"
    )]
    Storage(String),
    /// Another process has it open.
    #[error("the sender's journal is in use by another process: only one sender may use it")]
    InUse,
    /// Written by something else.
    #[error("the file is not a journal of the format {FORMAT} but {0:?}")]
    Format(String),
    /// A record that is not one, or does not fit.
    #[error(
        "record {step} of entry {entry} in the sender's journal is damaged ({reason}); restore the file from a copy"
    )]
    Damaged {
        /// Entry.
        entry: u64,
        /// Record.
        step: u32,
        /// What is wrong.
        reason: String,
    },
    /// The sender tried an impossible step.
    #[error("a step of the sender was refused by its own rules: {0}")]
    Illegal(#[from] IllegalRecord),
}

/// Which key and chain a journal belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The sender's address.
    pub address: Address,
    /// The L1 chain.
    pub chain: u64,
}

/// What is kept of a closed intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// keccak of the intent's record: tells a repeated intent from a changed one.
    pub digest: B256,
    /// The transaction that had the effect, if it was ours.
    pub transaction: Option<TxHash>,
    /// Its block, or the block at which the effect was seen; `None` when it was withdrawn.
    pub block: Option<BlockRef>,
}

/// The journal of one sender.
#[derive(Debug)]
pub struct Journal {
    database: Arc<Database>,
}

/// Reads closed intents as long as the journal is open elsewhere.
#[derive(Clone, Debug)]
pub(super) struct JournalReader(Weak<Database>);

impl JournalReader {
    /// [`Journal::done`]; none of it once the journal is closed.
    pub fn done(&self, id: &str) -> Option<Result<Option<Done>, JournalError>> {
        let database = self.0.upgrade()?;
        Some(Journal { database }.done(id))
    }
}

/// An entry as read back.
pub(super) struct Stored {
    pub number: u64,
    pub next_step: u32,
    pub entry: Entry,
}

impl Journal {
    /// Opens or creates the file.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let database = Database::create(path).map_err(|error| match error {
            redb::DatabaseError::DatabaseAlreadyOpen => JournalError::InUse,
            other => storage(other),
        })?;
        Self::prepare(database)
    }

    /// A journal in memory, for tests: it lives as long as the value.
    pub fn in_memory() -> Result<Self, JournalError> {
        let memory = redb::backends::InMemoryBackend::new();
        let database = Database::builder()
            .create_with_backend(memory)
            .map_err(storage)?;
        Self::prepare(database)
    }

    fn prepare(database: Database) -> Result<Self, JournalError> {
        let write = database.begin_write().map_err(storage)?;
        {
            let mut meta = write.open_table(META).map_err(storage)?;
            write.open_table(RECORDS).map_err(storage)?;
            write.open_table(DONE).map_err(storage)?;
            let format = meta.get("format").map_err(storage)?;
            let format = format.map(|text| String::from_utf8_lossy(text.value()).into_owned());
            match format {
                None => {
                    meta.insert("format", FORMAT.as_bytes()).map_err(storage)?;
                }
                Some(format) if format == FORMAT => {}
                Some(format) => return Err(JournalError::Format(format)),
            }
        }
        write.commit().map_err(storage)?;
        let database = Arc::new(database);
        Ok(Self { database })
    }

    /// For those who ask while the sender works.
    pub(super) fn reader(&self) -> JournalReader {
        JournalReader(Arc::downgrade(&self.database))
    }

    /// The owner; a new journal takes `owner`.
    pub fn owner(&self, owner: Owner) -> Result<Owner, JournalError> {
        let write = self.database.begin_write().map_err(storage)?;
        let found = {
            let mut meta = write.open_table(META).map_err(storage)?;
            let found = meta.get("owner").map_err(storage)?;
            let found = found.map(|bytes| serde_json::from_slice(bytes.value()));
            match found {
                Some(found) => {
                    found.map_err(|_| JournalError::Format("an unknown owner".into()))?
                }
                None => {
                    let bytes = encode(&owner)?;
                    meta.insert("owner", bytes.as_slice()).map_err(storage)?;
                    owner
                }
            }
        };
        write.commit().map_err(storage)?;
        Ok(found)
    }

    /// The open entries in their order, rebuilt from their records.
    pub(super) fn load(&self) -> Result<Vec<Stored>, JournalError> {
        let read = self.database.begin_read().map_err(storage)?;
        let records = read.open_table(RECORDS).map_err(storage)?;
        let mut entries: Vec<Stored> = Vec::new();
        for item in records.iter().map_err(storage)? {
            let (key, value) = item.map_err(storage)?;
            let (number, step) = key.value();
            let damaged = |reason: String| JournalError::Damaged {
                entry: number,
                step,
                reason,
            };
            let record: Record =
                serde_json::from_slice(value.value()).map_err(|e| damaged(e.to_string()))?;
            match (record, entries.last_mut()) {
                (Record::Intent(intent), _) if step == 0 => entries.push(Stored {
                    number,
                    next_step: 1,
                    entry: Entry::new(intent),
                }),
                (record, Some(last)) if last.number == number && last.next_step == step => {
                    last.entry
                        .apply(&record)
                        .map_err(|e| damaged(e.to_string()))?;
                    last.next_step += 1;
                }
                _ => return Err(damaged("a record before it is missing".into())),
            }
        }
        Ok(entries)
    }

    /// Adds a record. It is on disk when this returns.
    pub(super) fn append(
        &self,
        number: u64,
        step: u32,
        record: &Record,
    ) -> Result<(), JournalError> {
        let bytes = encode(record)?;
        let write = self.database.begin_write().map_err(storage)?;
        {
            let mut records = write.open_table(RECORDS).map_err(storage)?;
            records
                .insert((number, step), bytes.as_slice())
                .map_err(storage)?;
        }
        write.commit().map_err(storage)
    }

    /// Replaces a closed entry's records by one line.
    pub(super) fn close(&self, number: u64, entry: &Entry) -> Result<Done, JournalError> {
        let (transaction, block) = match entry.place() {
            Place::Final(hash, block) => (hash, Some(block)),
            _ => (None, None),
        };
        let done = Done {
            digest: digest(entry.intent())?,
            transaction,
            block,
        };
        let bytes = encode(&done)?;
        let write = self.database.begin_write().map_err(storage)?;
        {
            let mut records = write.open_table(RECORDS).map_err(storage)?;
            records
                .retain_in((number, 0)..=(number, u32::MAX), |_, _| false)
                .map_err(storage)?;
            let mut closed = write.open_table(DONE).map_err(storage)?;
            let id = entry.intent().id.as_str();
            closed.insert(id, bytes.as_slice()).map_err(storage)?;
            let mut meta = write.open_table(META).map_err(storage)?;
            let next = number.saturating_add(1).to_be_bytes();
            let last = meta.get("next").map_err(storage)?;
            let last = last.and_then(|bytes| <[u8; 8]>::try_from(bytes.value()).ok());
            if last.is_none_or(|last| last < next) {
                meta.insert("next", next.as_slice()).map_err(storage)?;
            }
        }
        write.commit().map_err(storage)?;
        Ok(done)
    }

    /// The first entry number above all that were closed.
    pub(super) fn next_number(&self) -> Result<u64, JournalError> {
        let read = self.database.begin_read().map_err(storage)?;
        let meta = read.open_table(META).map_err(storage)?;
        let next = meta.get("next").map_err(storage)?;
        Ok(next
            .and_then(|bytes| <[u8; 8]>::try_from(bytes.value()).ok())
            .map_or(0, u64::from_be_bytes))
    }

    /// What became of a closed intent.
    pub fn done(&self, id: &str) -> Result<Option<Done>, JournalError> {
        let read = self.database.begin_read().map_err(storage)?;
        let closed = read.open_table(DONE).map_err(storage)?;
        let line = closed.get(id).map_err(storage)?;
        line.map(|bytes| serde_json::from_slice(bytes.value()))
            .transpose()
            .map_err(|error| JournalError::Storage(format!("the line of {id:?}: {error}")))
    }
}

/// keccak of an intent's JSON.
pub(super) fn digest(intent: &Intent) -> Result<B256, JournalError> {
    Ok(keccak256(encode(intent)?))
}

fn encode(value: &impl Serialize) -> Result<Vec<u8>, JournalError> {
    serde_json::to_vec(value).map_err(storage)
}

fn storage(error: impl std::fmt::Display) -> JournalError {
    JournalError::Storage(error.to_string())
}
