//! Jobs, keys and leases in an embedded database (`redb`): what is answered has been written.
//!
//! | table | key | value |
//! |---|---|---|
//! | `jobs` | number | key's hash and public inputs, JSON |
//! | `inputs` | number | the input's bytes |
//! | `leases` | number | the [`Entry`], JSON |
//! | `keys` | hash | the verifying key's bytes |
//!
//! Inputs have a table of their own so that a heartbeat writes only some bytes. Called by `board`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use blstrs::Scalar;
use carillon_runtime::groth16::VerifyingKey;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};

use super::job::scalars;
use super::{Entry, Job, KeyHash};

const JOBS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("jobs");
const INPUTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("inputs");
const LEASES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("leases");
const KEYS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("keys");

/// Why the database did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process has it.
    #[error("{} is in use by another process; stop that node, or give this one a folder of its own", .path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be opened.
    #[error("cannot open {}: {source}; check the folder and its permissions", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: Box<redb::Error>,
    },
    /// Reading or writing failed.
    #[error(
        "the job database failed: {source}; nothing was answered that is not stored, restart when the disk is well"
    )]
    Access {
        /// The reason.
        source: Box<redb::Error>,
    },
    /// What was read is not what was written.
    #[error(
        "the job database holds a damaged record ({what}); move the file away, open jobs are made again from the batches"
    )]
    Damaged {
        /// Which record.
        what: String,
    },
}

/// Any of redb's errors.
fn access(error: impl Into<redb::Error>) -> StoreError {
    StoreError::Access {
        source: Box::new(error.into()),
    }
}

#[derive(Serialize, Deserialize)]
struct Header {
    key: KeyHash,
    #[serde(with = "scalars")]
    public_inputs: Vec<Scalar>,
}

/// The database.
#[derive(Debug)]
pub(super) struct JobStore {
    db: Database,
}

impl JobStore {
    /// Opens or makes it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let db = Database::create(path).map_err(|error| match error {
            redb::DatabaseError::DatabaseAlreadyOpen => StoreError::InUse {
                path: path.to_owned(),
            },
            other => StoreError::Open {
                path: path.to_owned(),
                source: Box::new(other.into()),
            },
        })?;
        let write = db.begin_write().map_err(access)?;
        for table in [JOBS, INPUTS, LEASES] {
            write.open_table(table).map_err(access)?;
        }
        write.open_table(KEYS).map_err(access)?;
        write.commit().map_err(access)?;
        Ok(Self { db })
    }

    /// All leases.
    pub fn leases(&self) -> Result<BTreeMap<u64, Entry>, StoreError> {
        let read = self.db.begin_read().map_err(access)?;
        let table = read.open_table(LEASES).map_err(access)?;
        let mut entries = BTreeMap::new();
        for row in table.iter().map_err(access)? {
            let (job, value) = row.map_err(access)?;
            let entry = decode(value.value(), || format!("lease of job {}", job.value()))?;
            entries.insert(job.value(), entry);
        }
        Ok(entries)
    }

    /// All keys.
    pub fn keys(&self) -> Result<Vec<VerifyingKey>, StoreError> {
        let read = self.db.begin_read().map_err(access)?;
        let table = read.open_table(KEYS).map_err(access)?;
        let mut keys = Vec::new();
        for row in table.iter().map_err(access)? {
            let (_, value) = row.map_err(access)?;
            let key = VerifyingKey::from_bytes(value.value());
            keys.push(key.map_err(|error| StoreError::Damaged {
                what: error.to_string(),
            })?);
        }
        Ok(keys)
    }

    /// Keeps a key.
    pub fn put_key(&self, hash: &KeyHash, key: &VerifyingKey) -> Result<(), StoreError> {
        let write = self.db.begin_write().map_err(access)?;
        {
            let mut table = write.open_table(KEYS).map_err(access)?;
            table
                .insert(&hash.0[..], key.to_bytes().as_slice())
                .map_err(access)?;
        }
        write.commit().map_err(access)
    }

    /// Keeps a job and its first entry, in one transaction.
    pub fn put_job(&self, job: &Job, entry: &Entry) -> Result<(), StoreError> {
        let header = encode(&Header {
            key: job.key,
            public_inputs: job.public_inputs.clone(),
        })?;
        let entry = encode(entry)?;
        let write = self.db.begin_write().map_err(access)?;
        for (table, value) in [
            (JOBS, header.as_slice()),
            (INPUTS, job.input.as_slice()),
            (LEASES, entry.as_slice()),
        ] {
            let mut table = write.open_table(table).map_err(access)?;
            table.insert(job.number, value).map_err(access)?;
        }
        write.commit().map_err(access)
    }

    /// Keeps the entry of a job.
    pub fn put_entry(&self, job: u64, entry: &Entry) -> Result<(), StoreError> {
        let entry = encode(entry)?;
        let write = self.db.begin_write().map_err(access)?;
        {
            let mut table = write.open_table(LEASES).map_err(access)?;
            table.insert(job, entry.as_slice()).map_err(access)?;
        }
        write.commit().map_err(access)
    }

    /// A job with its input.
    pub fn job(&self, number: u64) -> Result<Option<Job>, StoreError> {
        let read = self.db.begin_read().map_err(access)?;
        let header = read.open_table(JOBS).map_err(access)?;
        let Some(header) = header.get(number).map_err(access)? else {
            return Ok(None);
        };
        let header: Header = decode(header.value(), || format!("job {number}"))?;
        let inputs = read.open_table(INPUTS).map_err(access)?;
        let input = inputs.get(number).map_err(access)?;
        let input = input.ok_or_else(|| StoreError::Damaged {
            what: format!("input of job {number}"),
        })?;
        Ok(Some(Job {
            number,
            key: header.key,
            public_inputs: header.public_inputs,
            input: input.value().to_vec(),
        }))
    }

    /// Forgets jobs.
    pub fn remove(&self, jobs: &[u64]) -> Result<(), StoreError> {
        let write = self.db.begin_write().map_err(access)?;
        for table in [JOBS, INPUTS, LEASES] {
            let mut table = write.open_table(table).map_err(access)?;
            for job in jobs {
                table.remove(*job).map_err(access)?;
            }
        }
        write.commit().map_err(access)
    }
}

fn encode(value: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|error| StoreError::Damaged {
        what: error.to_string(),
    })
}

fn decode<T: for<'a> Deserialize<'a>>(
    bytes: &[u8],
    what: impl Fn() -> String,
) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|error| StoreError::Damaged {
        what: format!("{}: {error}", what()),
    })
}
