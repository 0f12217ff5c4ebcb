//! The node's database (`redb`): the log of accepted operations, the accounts as of the last sealed
//! batch, and the batches.
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | name | `format`, `chain`, `l1` and `sealed`, JSON |
//! | `log` | sequence number | an accepted operation, bytes |
//! | `ids` | operation's id | its sequence number |
//! | `accounts` | index | an account, bytes |
//! | `names` | a name | indices of the accounts that bear it |
//! | `batches` | number | [`BatchRow`], JSON |
//! | `parts` | number and part | public data and prover input, bytes; see [`Part`] |
//! | `undo` | batch and account | the account before the batch, bytes, none if it was not used |
//! | `lanes_out` | chain | what was signed last of the lane to it, JSON |
//! | `soft` | chain and index | an entry that was taken before its send was settled, JSON |
//! | `fallen` | operation's id | the notice for its receipt, which was taken back, JSON |
//! | `again` | sequence number | an operation that is to be executed again, bytes |
//!
//! Two transactions matter. [`Store::append`] makes a group of operations durable before any of them
//! is acknowledged. [`Store::seal`] moves the point that a restart begins from: batch, changed
//! accounts and position in the log change together or not at all. The state of the node is always
//! the accounts plus the log behind that position. Knows nothing of what the bytes mean. redb locks
//! [`Store::take_apart`] is the way back, for batches that took what another chain did not settle. redb locks
//! its file, so that two nodes on one folder are impossible. Called by `writer` and `service`.

mod apart;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use redb::{
    Database, MultimapTableDefinition, ReadableDatabase, ReadableTable, ReadableTableMetadata,
    TableDefinition,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::outbox::LaneMark;

pub use apart::{Apart, Fallen, SoftRow};

/// The file in the node's folder.
pub const FILE: &str = "node.redb";
/// Version of the layout.
const FORMAT: u32 = 1;

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
const IDS: TableDefinition<'_, &[u8], u64> = TableDefinition::new("ids");
const ACCOUNTS: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("accounts");
const NAMES: MultimapTableDefinition<'_, &[u8], u32> = MultimapTableDefinition::new("names");
const BATCHES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("batches");
const PARTS: TableDefinition<'_, (u64, u8), &[u8]> = TableDefinition::new("parts");
const UNDO: TableDefinition<'_, (u64, u32), &[u8]> = TableDefinition::new("undo");
const LANES_OUT: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("lanes_out");
const SOFT: TableDefinition<'_, (u64, u64), &[u8]> = TableDefinition::new("soft");
const FALLEN: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("fallen");
const AGAIN: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("again");
const RESERVED: TableDefinition<'_, &[u8], u32> = TableDefinition::new("reserved");

/// Why the database did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it.
    #[error("{} is in use by another node; stop it, or give this one a folder of its own with --data-dir", .path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The folder cannot be made or the file not be opened.
    #[error("cannot open {}: {reason}; check the folder, its permissions and the space on its disk", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// It belongs to another chain.
    #[error("{} belongs to another chain: expected is {expected}, found is {found}; start the node with {remedy}, or give it a folder of its own with --data-dir", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is for, as far as it differs.
        found: String,
        /// What was asked for, as far as it differs.
        expected: String,
        /// The options that fit the file.
        remedy: String,
    },
    /// It has another layout.
    #[error("{} has layout {found}, this program reads layout {expected}; use the version of carillon-node that made it, or make a new folder with `carillon-node resync --out FOLDER`", .path.display())]
    Layout {
        /// The file.
        path: PathBuf,
        /// Of the file.
        found: u32,
        /// Of this program.
        expected: u32,
    },
    /// Reading or writing failed.
    #[error(
        "the node's database failed: {source}; nothing that is not stored was acknowledged, restart the node when the disk is well"
    )]
    Access {
        /// The reason.
        source: Box<redb::Error>,
    },
    /// What was read is not what was written.
    #[error(
        "the node's database holds a damaged record ({what}); restore the folder, or rebuild it with `carillon-node resync`"
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

/// Byte strings of a batch that are too long for its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Part {
    /// The words of H, 32 bytes each.
    Header = 0,
    /// The elements of B, 32 bytes each.
    Blob = 1,
    /// What a prover needs to make the witness.
    Input = 2,
    /// The proof, once there is one.
    Proof = 3,
}

/// How far a batch is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum BatchStatus {
    /// Executed and sealed; a proof is wanted.
    Sealed,
    /// Proved; not yet on L1.
    Proved,
    /// Executed on L1, but not yet so deep that it is final.
    Settled {
        /// The transaction, as far as known.
        transaction: Option<String>,
    },
    /// Executed on L1 for good.
    Final {
        /// The transaction, as far as known.
        transaction: Option<String>,
    },
}

/// A batch without its long parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchRow {
    /// Its number, from 1.
    pub number: u64,
    /// Sequence number of its first operation.
    pub first: u64,
    /// Sequence number behind its last operation.
    pub end: u64,
    /// Operations without padding.
    pub operations: u64,
    /// Records.
    pub records: u64,
    /// State root before, 32 bytes in hex.
    pub old_root: String,
    /// State root after, 32 bytes in hex.
    pub new_root: String,
    /// C_H, C_B, z, y_H, y_B in hex.
    pub public_inputs: Vec<String>,
    /// L1 queue entries executed up to and with this batch.
    pub queue: u64,
    /// Entries taken of the lane from each chain, up to and with this batch.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lanes: BTreeMap<u64, u64>,
    /// When it was sealed, in milliseconds since the Unix epoch.
    pub sealed_at: u64,
    /// How far it is.
    #[serde(flatten)]
    pub status: BatchStatus,
}

impl Part {
    /// What it is, in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Header => "words of H",
            Self::Blob => "elements of B",
            Self::Input => "input for provers",
            Self::Proof => "proof",
        }
    }
}

impl BatchRow {
    /// The transaction that executed it on L1, as far as known.
    pub fn transaction(&self) -> Option<&String> {
        match &self.status {
            BatchStatus::Sealed | BatchStatus::Proved => None,
            BatchStatus::Settled { transaction } | BatchStatus::Final { transaction } => {
                transaction.as_ref()
            }
        }
    }

    /// How far the batch is, in one word.
    pub fn status_name(&self) -> &'static str {
        match self.status {
            BatchStatus::Sealed => "sealed",
            BatchStatus::Proved => "proved",
            BatchStatus::Settled { .. } => "settled",
            BatchStatus::Final { .. } => "final",
        }
    }
}

/// The point that a restart begins from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedPoint {
    /// The last sealed batch; 0 before the first.
    pub batch: u64,
    /// Sequence number of the first operation that is in no batch.
    pub next: u64,
    /// L1 queue entries executed by sealed batches.
    pub queue: u64,
    /// Entries taken of the lane from each chain by sealed batches.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lanes: BTreeMap<u64, u64>,
    /// State root, 32 bytes in hex.
    pub root: String,
}

/// What a chain is: a folder belongs to one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainMark {
    /// The chain's id.
    pub chain_id: u64,
    /// The L1's chain id; 0 without Ethereum.
    #[serde(default)]
    pub l1_chain_id: u64,
    /// The register of chains there, in hex; what was signed for another hub is nothing here.
    #[serde(default)]
    pub hub: String,
    /// Levels of the account tree.
    pub depth: usize,
    /// The account that fees go to.
    pub operator: u32,
}

impl ChainMark {
    /// Each part in words.
    fn facts(&self) -> [String; 4] {
        let home = match (self.l1_chain_id, self.hub.as_str()) {
            // Such a folder does not know the field.
            (_, "") => {
                "a chain of an earlier version, whose signatures name no deployment".to_owned()
            }
            (0, _) => "a chain without Ethereum".to_owned(),
            (l1, hub) => format!("a chain on Ethereum chain {l1} with the hub {hub}"),
        };
        [
            format!("chain id {}", self.chain_id),
            home,
            format!("an account tree of depth {}", self.depth),
            format!("operator's account {}", self.operator),
        ]
    }

    /// Says in what a file of this chain differs from what was asked for.
    fn foreign(&self, asked: &Self, path: &Path) -> StoreError {
        let home = match (self.l1_chain_id, asked.l1_chain_id) {
            _ if self.hub.is_empty() => "the version of carillon-node that made it".to_owned(),
            (0, _) => "no --l1".to_owned(),
            (_, 0) => "--l1 and --chain".to_owned(),
            _ => "the --l1 and --chain of its contracts".to_owned(),
        };
        let options = [
            format!("--chain-id {}", self.chain_id),
            home,
            format!("--depth {}", self.depth),
            format!("--operator {}", self.operator),
        ];
        let (found, expected) = (self.facts(), asked.facts());
        let differ: Vec<usize> = (0..found.len())
            .filter(|part| found[*part] != expected[*part])
            .collect();
        let those = |all: &[String; 4]| {
            let parts: Vec<&str> = differ.iter().map(|part| all[*part].as_str()).collect();
            parts.join(", ")
        };
        StoreError::Foreign {
            path: path.to_owned(),
            found: those(&found),
            expected: those(&expected),
            remedy: those(&options),
        }
    }
}

/// Where the contracts of a folder's chain are on Ethereum, if there are any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct L1Mark {
    /// Id of the Ethereum chain.
    pub l1: u64,
    /// The `RollupChain`.
    pub contract: String,
}

impl std::fmt::Display for L1Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} on Ethereum chain {}", self.contract, self.l1)
    }
}

/// One operation for [`Store::append`].
#[derive(Clone, Copy, Debug)]
pub struct LogLine<'a> {
    /// Its sequence number.
    pub sequence: u64,
    /// Its id.
    pub id: &'a [u8; 32],
    /// The operation.
    pub bytes: &'a [u8],
}

/// A group of operations for [`Store::append_group`], and what changes with them.
#[derive(Clone, Debug, Default)]
pub struct Group<'a> {
    /// The operations.
    pub lines: &'a [LogLine<'a>],
    /// What will be signed of lanes to other chains.
    pub marks: BTreeMap<u64, LaneMark>,
    /// Entries of other chains' lanes that were taken before they are settled, by chain and index.
    pub soft: Vec<((u64, u64), SoftRow)>,
    /// Operations that were to be executed again, and were, or cannot be: up to this one.
    pub again: Option<u64>,
}

/// The names that an account can be found by, from its bytes.
pub type Names = fn(&[u8]) -> Vec<Vec<u8>>;

/// A sealed batch for [`Store::seal`].
#[derive(Clone, Copy, Debug)]
pub struct SealLine<'a> {
    /// The batch.
    pub row: &'a BatchRow,
    /// Its parts.
    pub parts: &'a [(Part, Vec<u8>)],
    /// Accounts that it changed, as they are now.
    pub accounts: &'a [(u32, Vec<u8>)],
    /// Names that they can be found by.
    pub names: Names,
    /// The point that a restart begins from now on.
    pub point: &'a SealedPoint,
}

/// The database.
#[derive(Debug)]
pub struct Store {
    db: Database,
    path: PathBuf,
}

impl Store {
    /// Opens or makes the database in `folder`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(folder: &Path, mark: &ChainMark) -> Result<Self, StoreError> {
        let path = folder.join(FILE);
        let refuse = |reason: String| StoreError::Open {
            path: path.clone(),
            reason,
        };
        std::fs::create_dir_all(folder).map_err(|error| refuse(error.to_string()))?;
        let db = Database::create(&path).map_err(|error| match error {
            redb::DatabaseError::DatabaseAlreadyOpen => StoreError::InUse { path: path.clone() },
            other => refuse(other.to_string()),
        })?;
        Self::on(db, &path, mark)
    }

    /// Uses a database that is open already; `path` is for messages. For tests with a failing disk.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn on(db: Database, path: &Path, mark: &ChainMark) -> Result<Self, StoreError> {
        let write = db.begin_write().map_err(access)?;
        {
            let mut meta = write.open_table(META).map_err(access)?;
            let found: Option<u32> = read_json(&meta, "format")?;
            let chain: Option<ChainMark> = read_json(&meta, "chain")?;
            match (found, chain) {
                (None, _) => {
                    let format = encode(&FORMAT)?;
                    meta.insert("format", format.as_slice()).map_err(access)?;
                    let chain = encode(mark)?;
                    meta.insert("chain", chain.as_slice()).map_err(access)?;
                }
                (Some(FORMAT), Some(chain)) if chain == *mark => {}
                (Some(FORMAT), Some(chain)) => return Err(chain.foreign(mark, path)),
                (Some(FORMAT), None) => {
                    return Err(StoreError::Damaged {
                        what: "the chain that it is for".into(),
                    });
                }
                (Some(found), _) => {
                    return Err(StoreError::Layout {
                        path: path.to_owned(),
                        found,
                        expected: FORMAT,
                    });
                }
            }
            write.open_table(LOG).map_err(access)?;
            write.open_table(IDS).map_err(access)?;
            write.open_table(ACCOUNTS).map_err(access)?;
            write.open_multimap_table(NAMES).map_err(access)?;
            write.open_table(BATCHES).map_err(access)?;
            write.open_table(PARTS).map_err(access)?;
            write.open_table(UNDO).map_err(access)?;
            write.open_table(RESERVED).map_err(access)?;
            write.open_table(LANES_OUT).map_err(access)?;
            write.open_table(SOFT).map_err(access)?;
            write.open_table(FALLEN).map_err(access)?;
            write.open_table(AGAIN).map_err(access)?;
        }
        write.commit().map_err(access)?;
        Ok(Self {
            db,
            path: path.to_owned(),
        })
    }

    /// A database that is a node's already, whosever; for copies.
    pub(super) fn of(db: Database, path: &Path) -> Self {
        Self {
            db,
            path: path.to_owned(),
        }
    }

    /// Writes all accounts, for a database that is made anew.
    ///
    /// # Errors
    /// [`StoreError::Access`]; then none of them is kept.
    pub(super) fn put_accounts(&self, lines: &[(u32, Vec<u8>)]) -> Result<(), StoreError> {
        let write = self.db.begin_write().map_err(access)?;
        {
            let mut accounts = write.open_table(ACCOUNTS).map_err(access)?;
            for (index, bytes) in lines {
                accounts.insert(*index, bytes.as_slice()).map_err(access)?;
            }
        }
        write.commit().map_err(access)
    }

    /// Copies everything, as of one instant, into a new database. Returns the number of operations and
    /// the sealed point in it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) fn copy_to(&self, path: &Path) -> Result<(u64, SealedPoint), StoreError> {
        let read = self.db.begin_read().map_err(access)?;
        let copy = Database::create(path).map_err(|error| StoreError::Open {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        let write = copy.begin_write().map_err(access)?;
        let (operations, point);
        {
            let meta = read.open_table(META).map_err(access)?;
            point = read_json(&meta, "sealed")?;
            copy_table(&meta, &mut write.open_table(META).map_err(access)?)?;
            let log = read.open_table(LOG).map_err(access)?;
            let last = log.last().map_err(access)?;
            operations = last.map_or(0, |(last, _)| last.value() + 1);
            copy_table(&log, &mut write.open_table(LOG).map_err(access)?)?;
            let ids = read.open_table(IDS).map_err(access)?;
            copy_table(&ids, &mut write.open_table(IDS).map_err(access)?)?;
            let accounts = read.open_table(ACCOUNTS).map_err(access)?;
            copy_table(&accounts, &mut write.open_table(ACCOUNTS).map_err(access)?)?;
            let batches = read.open_table(BATCHES).map_err(access)?;
            copy_table(&batches, &mut write.open_table(BATCHES).map_err(access)?)?;
            let parts = read.open_table(PARTS).map_err(access)?;
            copy_table(&parts, &mut write.open_table(PARTS).map_err(access)?)?;
            apart::copy(&read, &write)?;
        }
        write.commit().map_err(access)?;
        Ok((operations, point.unwrap_or_default()))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a group of operations durable. When this returns, they survive a crash.
    ///
    /// # Errors
    /// [`StoreError::Access`]; then none of them is kept.
    pub fn append(&self, lines: &[LogLine<'_>]) -> Result<(), StoreError> {
        self.append_group(&Group {
            lines,
            ..Group::default()
        })
    }

    /// [`Store::append`] with what changes with the operations.
    ///
    /// # Errors
    /// [`StoreError::Access`]; then nothing of it is kept.
    pub fn append_group(&self, group: &Group<'_>) -> Result<(), StoreError> {
        let lines = group.lines;
        let write = self.db.begin_write().map_err(access)?;
        {
            group.write(&write)?;
            let mut log = write.open_table(LOG).map_err(access)?;
            let mut ids = write.open_table(IDS).map_err(access)?;
            for line in lines {
                log.insert(line.sequence, line.bytes).map_err(access)?;
                ids.insert(&line.id[..], line.sequence).map_err(access)?;
            }
        }
        write.commit().map_err(access)
    }

    /// Makes a sealed batch durable, with the accounts that it changed.
    ///
    /// # Errors
    /// [`StoreError::Access`]; then nothing of it is kept.
    pub fn seal(&self, line: &SealLine<'_>) -> Result<(), StoreError> {
        let (row, point) = (encode(line.row)?, encode(line.point)?);
        let write = self.db.begin_write().map_err(access)?;
        {
            let mut batches = write.open_table(BATCHES).map_err(access)?;
            batches
                .insert(line.row.number, row.as_slice())
                .map_err(access)?;
            let mut parts = write.open_table(PARTS).map_err(access)?;
            for (part, bytes) in line.parts {
                parts
                    .insert((line.row.number, *part as u8), bytes.as_slice())
                    .map_err(access)?;
            }
            let mut accounts = write.open_table(ACCOUNTS).map_err(access)?;
            let mut names = write.open_multimap_table(NAMES).map_err(access)?;
            let mut undo = write.open_table(UNDO).map_err(access)?;
            for (index, bytes) in line.accounts {
                let new = (line.names)(bytes);
                let before = accounts.insert(*index, bytes.as_slice()).map_err(access)?;
                let known = before
                    .as_ref()
                    .map(|bytes| bytes.value())
                    .unwrap_or_default();
                (undo.insert((line.row.number, *index), known)).map_err(access)?;
                let before = before.map(|bytes| (line.names)(bytes.value()));
                for name in before.iter().flatten().filter(|name| !new.contains(name)) {
                    names.remove(name.as_slice(), *index).map_err(access)?;
                }
                for name in &new {
                    names.insert(name.as_slice(), *index).map_err(access)?;
                }
            }
            let mut meta = write.open_table(META).map_err(access)?;
            meta.insert("sealed", point.as_slice()).map_err(access)?;
        }
        write.commit().map_err(access)
    }

    /// Changes how far a batch is, and keeps its proof if one is given. What a prover needed of a batch
    /// that is final is dropped: it is most of a batch's bytes, and nobody proves it again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn set_status(
        &self,
        number: u64,
        status: &BatchStatus,
        proof: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        let write = self.db.begin_write().map_err(access)?;
        {
            let mut batches = write.open_table(BATCHES).map_err(access)?;
            let row = batches.get(number).map_err(access)?;
            let row: Option<BatchRow> = row
                .map(|row| decode(row.value(), || format!("batch {number}")))
                .transpose()?;
            let mut row = row.ok_or_else(|| StoreError::Damaged {
                what: format!("batch {number} is missing"),
            })?;
            row.status = status.clone();
            let row = encode(&row)?;
            batches.insert(number, row.as_slice()).map_err(access)?;
            let mut parts = write.open_table(PARTS).map_err(access)?;
            if let Some(proof) = proof {
                parts
                    .insert((number, Part::Proof as u8), proof)
                    .map_err(access)?;
            }
            if matches!(status, BatchStatus::Final { .. }) {
                parts.remove((number, Part::Input as u8)).map_err(access)?;
                let mut undo = write.open_table(UNDO).map_err(access)?;
                undo.retain_in((number, 0)..=(number, u32::MAX), |_, _| false)
                    .map_err(access)?;
            }
        }
        write.commit().map_err(access)
    }

    /// Drops what provers needed of final batches, of folders that earlier versions filled. Returns of
    /// how many batches.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn prune(&self) -> Result<u64, StoreError> {
        let write = self.db.begin_write().map_err(access)?;
        let mut pruned = 0;
        {
            let batches = write.open_table(BATCHES).map_err(access)?;
            let mut parts = write.open_table(PARTS).map_err(access)?;
            for row in batches.iter().map_err(access)? {
                let (number, row) = row.map_err(access)?;
                let number = number.value();
                let row: BatchRow = decode(row.value(), || format!("batch {number}"))?;
                if matches!(row.status, BatchStatus::Final { .. }) {
                    let input = parts.remove((number, Part::Input as u8));
                    pruned += u64::from(input.map_err(access)?.is_some());
                }
            }
        }
        write.commit().map_err(access)?;
        Ok(pruned)
    }

    /// The point that a restart begins from; `None` before the first batch.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn sealed(&self) -> Result<Option<SealedPoint>, StoreError> {
        let read = self.db.begin_read().map_err(access)?;
        let meta = read.open_table(META).map_err(access)?;
        read_json(&meta, "sealed")
    }

    /// Where the chain's contracts are on Ethereum; `None` until [`Store::bind`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn l1(&self) -> Result<Option<L1Mark>, StoreError> {
        let read = self.db.begin_read().map_err(access)?;
        let meta = read.open_table(META).map_err(access)?;
        read_json(&meta, "l1")
    }

    /// Binds the folder to a chain on Ethereum.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn bind(&self, mark: &L1Mark) -> Result<(), StoreError> {
        let mark = encode(mark)?;
        let write = self.db.begin_write().map_err(access)?;
        {
            let mut meta = write.open_table(META).map_err(access)?;
            meta.insert("l1", mark.as_slice()).map_err(access)?;
        }
        write.commit().map_err(access)
    }

    /// Makes the names of all accounts findable, in a database that was written without them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn index(&self, names: Names) -> Result<(), StoreError> {
        let write = self.db.begin_write().map_err(access)?;
        {
            let accounts = write.open_table(ACCOUNTS).map_err(access)?;
            let mut table = write.open_multimap_table(NAMES).map_err(access)?;
            if !table.is_empty().map_err(access)? || accounts.is_empty().map_err(access)? {
                return Ok(());
            }
            for row in accounts.iter().map_err(access)? {
                let (index, bytes) = row.map_err(access)?;
                for name in names(bytes.value()) {
                    table
                        .insert(name.as_slice(), index.value())
                        .map_err(access)?;
                }
            }
        }
        write.commit().map_err(access)
    }

    /// Whether nothing was ever accepted.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn is_unused(&self) -> Result<bool, StoreError> {
        let read = self.db.begin_read().map_err(access)?;
        let log = read.open_table(LOG).map_err(access)?;
        let batches = read.open_table(BATCHES).map_err(access)?;
        Ok(log.is_empty().map_err(access)? && batches.is_empty().map_err(access)?)
    }

    /// An account as of that point; `None` if it was not used by then.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn account(&self, index: u32) -> Result<Option<Vec<u8>>, StoreError> {
        let read = self.db.begin_read().map_err(access)?;
        let accounts = read.open_table(ACCOUNTS).map_err(access)?;
        let bytes = accounts.get(index).map_err(access)?;
        Ok(bytes.map(|bytes| bytes.value().to_vec()))
    }

    /// Indices of the accounts that bear a name as of that point, in order, from `from` on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn named(&self, name: &[u8], from: u32, most: usize) -> Result<Vec<u32>, StoreError> {
        let read = self.db.begin_read().map_err(access)?;
        let names = read.open_multimap_table(NAMES).map_err(access)?;
        let mut found = Vec::new();
        for index in names.get(name).map_err(access)? {
            let index = index.map_err(access)?.value();
            if index >= from {
                found.push(index);
            }
            if found.len() == most {
                break;
            }
        }
        Ok(found)
    }

    /// All accounts as of that point.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn accounts(&self) -> Result<Vec<(u32, Vec<u8>)>, StoreError> {
        let read = self.db.begin_read().map_err(access)?;
        let table = read.open_table(ACCOUNTS).map_err(access)?;
        let mut accounts = Vec::new();
        for row in table.iter().map_err(access)? {
            let (index, bytes) = row.map_err(access)?;
            accounts.push((index.value(), bytes.value().to_vec()));
        }
        Ok(accounts)
    }

    /// The log from a sequence number on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn log(
        &self,
        range: impl std::ops::RangeBounds<u64>,
    ) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let read = self.db.begin_read().map_err(access)?;
        let table = read.open_table(LOG).map_err(access)?;
        let mut log = Vec::new();
        for row in table.range(range).map_err(access)? {
            let (sequence, bytes) = row.map_err(access)?;
            log.push((sequence.value(), bytes.value().to_vec()));
        }
        Ok(log)
    }

    /// The sequence number of an operation.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn sequence(&self, id: &[u8; 32]) -> Result<Option<u64>, StoreError> {
        let read = self.db.begin_read().map_err(access)?;
        let ids = read.open_table(IDS).map_err(access)?;
        let found = ids.get(&id[..]).map_err(access)?;
        Ok(found.map(|sequence| sequence.value()))
    }

    /// A batch.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn batch(&self, number: u64) -> Result<Option<BatchRow>, StoreError> {
        let read = self.db.begin_read().map_err(access)?;
        let batches = read.open_table(BATCHES).map_err(access)?;
        let row = batches.get(number).map_err(access)?;
        row.map(|row| decode(row.value(), || format!("batch {number}")))
            .transpose()
    }

    /// The batch that holds an operation, if it is sealed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn batch_of(&self, sequence: u64) -> Result<Option<BatchRow>, StoreError> {
        let Some(point) = self.sealed()?.filter(|point| sequence < point.next) else {
            return Ok(None);
        };
        // Batches follow one another in the log, so their ends are sorted.
        let (mut low, mut high) = (1, point.batch);
        while low < high {
            let middle = low + (high - low) / 2;
            let row = self.batch(middle)?.ok_or_else(|| StoreError::Damaged {
                what: format!("batch {middle} is missing"),
            })?;
            if sequence < row.end {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        self.batch(low)
    }

    /// All batches from a number on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn batches(&self, from: u64) -> Result<Vec<BatchRow>, StoreError> {
        let read = self.db.begin_read().map_err(access)?;
        let table = read.open_table(BATCHES).map_err(access)?;
        let mut rows = Vec::new();
        for row in table.range(from..).map_err(access)? {
            let (number, row) = row.map_err(access)?;
            rows.push(decode(row.value(), || format!("batch {}", number.value()))?);
        }
        Ok(rows)
    }

    /// A part of a batch.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn part(&self, number: u64, part: Part) -> Result<Option<Vec<u8>>, StoreError> {
        let read = self.db.begin_read().map_err(access)?;
        let parts = read.open_table(PARTS).map_err(access)?;
        let bytes = parts.get((number, part as u8)).map_err(access)?;
        Ok(bytes.map(|bytes| bytes.value().to_vec()))
    }
}

fn copy_table<K: redb::Key + 'static, V: redb::Value + 'static>(
    from: &impl ReadableTable<K, V>,
    to: &mut redb::Table<'_, K, V>,
) -> Result<(), StoreError> {
    for row in from.iter().map_err(access)? {
        let (key, value) = row.map_err(access)?;
        to.insert(key.value(), value.value()).map_err(access)?;
    }
    Ok(())
}

fn read_json<T: DeserializeOwned>(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
    name: &str,
) -> Result<Option<T>, StoreError> {
    let value = table.get(name).map_err(access)?;
    value
        .map(|value| decode(value.value(), || name.to_owned()))
        .transpose()
}

fn encode(value: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|error| StoreError::Damaged {
        what: error.to_string(),
    })
}

fn decode<T: DeserializeOwned>(bytes: &[u8], what: impl Fn() -> String) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|error| StoreError::Damaged {
        what: format!("{}: {error}", what()),
    })
}
