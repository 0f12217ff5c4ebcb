//! A node's folder from Ethereum and the archive alone, for a node that has lost its own.
//!
//! Batches that Ethereum has executed are taken as final; those that the archive has beyond them
//! (settled too lately to be deep, or on their way to Ethereum when the folder was lost) as proved, so
//! that the node settles them. Operations come back without their signatures, with their ids and
//! places in the log. What was acknowledged and is in no archived batch does not come back: its senders
//! send it again. Called by `carillon-node resync --out`.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};

use blstrs::Scalar;
use carillon_runtime::groth16::Proof;
use redb::Database;

use super::account_forms::account_to_bytes;
use super::operation::encode;
use super::store::{
    BatchRow, BatchStatus, ChainMark, FILE, L1Mark, LogLine, Part, SealLine, SealedPoint, Store,
    StoreError,
};
use carillon_protocol::ledger::State;
use carillon_protocol::{Domain, Header, Kind, blob_bytes};
use carillon_settlement::archive::{
    Archive, Place, Replayed, ResyncError, ResyncOptions, ResyncReport, ResyncStep, resync_ahead,
};
use carillon_settlement::watch::NodeSource;
use carillon_settlement::{ChainOnL1, SettlementError};

/// The database's name until it is complete.
const PART: &str = "node.redb.part";

/// Why no folder was made.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// There is a node's database already.
    #[error("{} is a node's database: name a folder without one with --out", .path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The folder.
    #[error("cannot write to {}: {source}", .path.display())]
    Folder {
        /// The file or folder.
        path: PathBuf,
        /// The reason of the operating system.
        source: std::io::Error,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// L1.
    #[error(transparent)]
    Node(#[from] SettlementError),
    /// Ethereum, archive, replay.
    #[error(transparent)]
    Resync(#[from] ResyncError),
}

/// A folder that was made.
#[derive(Clone, Debug)]
pub struct Rebuilt {
    /// What it was made of.
    pub report: ResyncReport,
    /// Accounts.
    pub accounts: u64,
    /// Batches that Ethereum has not executed, or not deep enough: the node will settle them.
    pub open: u64,
    /// The database.
    pub path: PathBuf,
}

/// Makes the database of a node in `folder`. It appears under its name when it is complete.
///
/// # Errors
/// [`RebuildError`]; then there is none.
pub async fn rebuild(
    source: &NodeSource,
    archive: &Archive,
    options: ResyncOptions,
    folder: &Path,
    progress: impl FnMut(ResyncStep) + Send,
) -> Result<Rebuilt, RebuildError> {
    let (path, part) = (folder.join(FILE), folder.join(PART));
    if path.exists() {
        return Err(RebuildError::InUse { path });
    }
    let fault = |path: &Path, source| RebuildError::Folder {
        path: path.to_owned(),
        source,
    };
    std::fs::create_dir_all(folder).map_err(|source| fault(folder, source))?;
    // Of an attempt that was cut off.
    match std::fs::remove_file(&part) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(fault(&part, error));
        }
        _ => {}
    }
    // The number of a circuit is not needed for what is read here.
    let chain = ChainOnL1::read(source, 0).await?;
    let mark = ChainMark {
        chain_id: chain.chain,
        l1_chain_id: chain.l1,
        hub: format!("0x{}", hex::encode(chain.hub)),
        depth: options.depth,
        operator: chain.operator_account,
    };
    let database = Database::create(&part).map_err(|error| StoreError::Open {
        path: part.clone(),
        reason: error.to_string(),
    })?;
    let mut keeper = Keeper {
        store: Store::on(database, &part, &mark)?,
        domain: Domain::new(&chain.home(), chain.chain),
        point: SealedPoint::default(),
        nonces: HashMap::new(),
        lanes: BTreeMap::new(),
        open: 0,
    };
    let rebuilt = resync_ahead(source, archive, options, progress, |batch| {
        keeper.keep(batch).map_err(|error| error.to_string())
    });
    let (state, report) = rebuilt.await?;
    let accounts = keeper.end(&state)?;
    keeper.store.bind(&L1Mark {
        l1: chain.l1,
        contract: chain.contract.to_string(),
    })?;
    let open = keeper.open;
    // Closes the database.
    drop(keeper);
    std::fs::rename(&part, &path).map_err(|source| fault(&path, source))?;
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| fault(folder, source))?;
    Ok(Rebuilt {
        report,
        accounts,
        open,
        path,
    })
}

/// Writes what the node would have written.
struct Keeper {
    store: Store,
    domain: Domain,
    point: SealedPoint,
    /// Nonces of the accounts' next signed operations.
    nonces: HashMap<u32, u64>,
    /// Entries taken of the lane from each chain.
    lanes: BTreeMap<u64, u64>,
    open: u64,
}

impl Keeper {
    fn keep(&mut self, replayed: Replayed<'_>) -> Result<(), StoreError> {
        let Replayed {
            batch,
            executed,
            time,
            places,
            checked,
        } = replayed;
        let first = self.point.next;
        let (mut lines, mut queue) = (Vec::new(), self.point.queue);
        let mut places = places.iter();
        for (sequence, operation) in (first..).zip(&checked.operations) {
            let mut operation = operation.clone();
            // Nonces are not published: an account's are its signed operations, counted.
            operation.nonce = if operation.kind.is_signed() {
                let next = self.nonces.entry(operation.from).or_default();
                *next += 1;
                *next - 1
            } else if operation.kind == Kind::Take {
                let place = places.next().copied();
                let Place { from, index } = place.ok_or_else(|| StoreError::Damaged {
                    what: format!("the places of batch {}'s takes", batch.number),
                })?;
                self.lanes.insert(from, index + 1);
                index
            } else {
                queue += 1;
                queue - 1
            };
            lines.push((sequence, operation.id(self.domain), encode(&operation)));
        }
        let lines: Vec<LogLine<'_>> = lines
            .iter()
            .map(|(sequence, id, bytes)| LogLine {
                sequence: *sequence,
                id,
                bytes,
            })
            .collect();
        self.store.append(&lines)?;

        let word = |scalar: &Scalar| format!("0x{}", hex::encode(scalar.to_bytes_be()));
        let header = Header::from_words(&batch.header).map_err(|error| StoreError::Damaged {
            what: format!("the archived header of batch {}: {error}", batch.number),
        })?;
        let operations = lines.len() as u64;
        let row = BatchRow {
            number: batch.number,
            first,
            end: first + operations,
            operations,
            records: header.records.len() as u64,
            old_root: word(&header.old_root),
            new_root: word(&header.new_root),
            public_inputs: checked.inputs.iter().map(word).collect(),
            queue: checked.queue_end,
            lanes: self.lanes.clone(),
            sealed_at: time * 1000,
            status: match executed {
                Some(executed) => BatchStatus::Final {
                    transaction: Some(executed.transaction.to_string()),
                },
                None => BatchStatus::Proved,
            },
        };
        let mut parts = vec![
            (Part::Header, blob_bytes(&batch.header)),
            (Part::Blob, blob_bytes(&batch.blob)),
        ];
        // Of a batch that is executed nobody asks for the proof.
        if let Ok(proof) = Proof::from_eip2537(&batch.proof) {
            parts.push((Part::Proof, proof.to_bytes().to_vec()));
        } else if executed.is_none() {
            return Err(StoreError::Damaged {
                what: format!("the archived proof of batch {}", batch.number),
            });
        }
        self.open += u64::from(executed.is_none());
        self.point = SealedPoint {
            batch: batch.number,
            next: row.end,
            queue: row.queue,
            lanes: row.lanes.clone(),
            root: row.new_root.clone(),
        };
        self.store.seal(&SealLine {
            row: &row,
            parts: &parts,
            accounts: &[],
            // They come at the end, and their names when a node opens the folder.
            names: |_| Vec::new(),
            point: &self.point,
        })
    }

    /// The accounts after the last batch. Returns how many there are.
    fn end(&self, state: &State) -> Result<u64, StoreError> {
        for (index, account) in state.accounts() {
            let counted = self.nonces.get(&index).copied().unwrap_or_default();
            if counted != u64::from(account.nonce) {
                return Err(StoreError::Damaged {
                    what: format!(
                        "account {index} has signed {counted} operations, its nonce is {}",
                        account.nonce
                    ),
                });
            }
        }
        let accounts = state.accounts();
        let accounts: Vec<(u32, Vec<u8>)> = accounts
            .map(|(index, account)| (index, account_to_bytes(account)))
            .collect();
        if self.point.batch != 0 {
            self.store.put_accounts(&accounts)?;
        }
        Ok(accounts.len() as u64)
    }
}
