//! The batches that wait, on disk: one row a chain and number, as JSON. Called by `service`.

use std::path::Path;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};

use super::Submission;

/// By chain and number of the batch.
const WAITING: TableDefinition<'_, (u64, u64), &[u8]> = TableDefinition::new("waiting");
/// Calls that the sender has not closed, by their names.
const OPEN: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("open");
/// How many calls were made: each has a name of its own.
const CALLS: TableDefinition<'_, (), u64> = TableDefinition::new("calls");

/// Why the file does not serve.
#[derive(Debug, thiserror::Error)]
#[error("the gateway's database {reason}; check the disk and the folder's rights")]
pub struct StoreError {
    reason: String,
}

fn failed(error: impl Into<redb::Error>) -> StoreError {
    let reason = format!("failed: {}", error.into());
    StoreError { reason }
}

/// A batch and when it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Unix time.
    pub since: u64,
    /// As it came.
    pub submission: Submission,
}

/// A call that was handed to the sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Its name there.
    pub id: String,
    /// Chain and number of each batch.
    pub members: Vec<(u64, u64)>,
    /// Whether it was given up. Not kept: it is found again.
    #[serde(skip)]
    pub withdrawn: bool,
}

/// The file.
#[derive(Debug)]
pub struct Store {
    database: Database,
}

impl Store {
    /// Opens or creates it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(file: &Path) -> Result<Self, StoreError> {
        let database = Database::create(file).map_err(failed)?;
        let write = database.begin_write().map_err(failed)?;
        write.open_table(WAITING).map_err(failed)?;
        write.open_table(CALLS).map_err(failed)?;
        write.open_table(OPEN).map_err(failed)?;
        write.commit().map_err(failed)?;
        Ok(Self { database })
    }

    /// All rows, by chain and number.
    ///
    /// # Errors
    /// [`StoreError`]; a row that cannot be read is one.
    pub fn rows(&self) -> Result<Vec<Row>, StoreError> {
        let read = self.database.begin_read().map_err(failed)?;
        let table = read.open_table(WAITING).map_err(failed)?;
        let mut rows = Vec::new();
        for item in table.iter().map_err(failed)? {
            let (_, bytes) = item.map_err(failed)?;
            let row = serde_json::from_slice(bytes.value()).map_err(|error| StoreError {
                reason: format!("holds a batch that cannot be read: {error}"),
            })?;
            rows.push(row);
        }
        Ok(rows)
    }

    /// Keeps a batch, in the place of another of its number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put(&self, number: u64, row: &Row) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(row).map_err(|error| StoreError {
            reason: format!("cannot hold the batch: {error}"),
        })?;
        let write = self.database.begin_write().map_err(failed)?;
        {
            let mut table = write.open_table(WAITING).map_err(failed)?;
            let place = (row.submission.chain_id, number);
            table.insert(place, bytes.as_slice()).map_err(failed)?;
        }
        write.commit().map_err(failed)
    }

    /// Drops a batch.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn remove(&self, chain: u64, number: u64) -> Result<(), StoreError> {
        let write = self.database.begin_write().map_err(failed)?;
        {
            let mut table = write.open_table(WAITING).map_err(failed)?;
            table.remove((chain, number)).map_err(failed)?;
        }
        write.commit().map_err(failed)
    }

    /// The calls that are open.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn calls(&self) -> Result<Vec<Call>, StoreError> {
        let read = self.database.begin_read().map_err(failed)?;
        let table = read.open_table(OPEN).map_err(failed)?;
        let mut calls = Vec::new();
        for item in table.iter().map_err(failed)? {
            let (_, bytes) = item.map_err(failed)?;
            let call = serde_json::from_slice(bytes.value()).map_err(|error| StoreError {
                reason: format!("holds a call that cannot be read: {error}"),
            })?;
            calls.push(call);
        }
        Ok(calls)
    }

    /// Keeps a call.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn remember(&self, call: &Call) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(call).map_err(|error| StoreError {
            reason: format!("cannot hold the call: {error}"),
        })?;
        let write = self.database.begin_write().map_err(failed)?;
        {
            let mut table = write.open_table(OPEN).map_err(failed)?;
            let (id, bytes) = (call.id.as_str(), bytes.as_slice());
            table.insert(id, bytes).map_err(failed)?;
        }
        write.commit().map_err(failed)
    }

    /// Drops a call that is closed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn forget(&self, id: &str) -> Result<(), StoreError> {
        let write = self.database.begin_write().map_err(failed)?;
        {
            let mut table = write.open_table(OPEN).map_err(failed)?;
            table.remove(id).map_err(failed)?;
        }
        write.commit().map_err(failed)
    }

    /// The number of the next call.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn next_call(&self) -> Result<u64, StoreError> {
        let write = self.database.begin_write().map_err(failed)?;
        let next;
        {
            let mut table = write.open_table(CALLS).map_err(failed)?;
            let last = table
                .get(())
                .map_err(failed)?
                .map_or(0, |guard| guard.value());
            next = last + 1;
            table.insert((), next).map_err(failed)?;
        }
        write.commit().map_err(failed)?;
        Ok(next)
    }
}
