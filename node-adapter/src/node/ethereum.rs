//! The node's Ethereum: the L1 queue through the watcher, settlement through the L1 sender, each
//! settled batch in the archive first.
//!
//! Called by `carillon-node run --l1` and the tests. Uses `settlement` and `archive`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address, B256};
use alloy::signers::local::PrivateKeySigner;
use async_trait::async_trait;
use blstrs::Scalar;
use carillon_runtime::groth16::Proof;
use redb::Database;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::fees::L1Prices;
use super::ports::{L1Inbox, PortError, ProvedBatch, QueueEntry, Settler};
use super::prices::NodePrices;
use super::publish::public_inputs;
use super::store::BatchStatus;
use crate::archive::{self, Archive, ArchiveError, ChainId, chain_of};
use crate::ledger::Budget;
use crate::protocol::Header;
use crate::settlement::calls::PublishedBatch;
use crate::settlement::sender::{
    Handle, Intent, Journal, JournalError, NodePort, Policy, Sender, SenderError, Status,
};
use crate::settlement::watch::{NodeSource, Queue, QueueError, WatchError, WatchOptions, Watcher};
use crate::settlement::{
    BatchBlob, Deadlines, Executed, L1Client, L1Reporter, SettlementError, progress, settle_intent,
};

/// Files in the node's folder.
const QUEUE: &str = "l1-queue.redb";
const JOURNAL: &str = "l1-sender.redb";

/// How long one answer of the Ethereum node may take.
const ANSWER: Duration = Duration::from_secs(15);

/// Where and how a chain lives on Ethereum.
pub struct EthereumOptions {
    /// The Ethereum node.
    pub url: String,
    /// The `RollupChain`.
    pub chain: Address,
    /// The operator's key.
    pub operator: PrivateKeySigner,
    /// The circuit's number on L1.
    pub shape: u32,
    /// Its room.
    pub budget: Budget,
    /// URL or folder of the archive.
    pub archive: String,
    /// The watcher's settings.
    pub watch: WatchOptions,
    /// The sender's settings.
    pub policy: Policy,
}

/// Why the node's Ethereum side did not start.
#[derive(Debug, thiserror::Error)]
pub enum EthereumError {
    /// The node or the contract.
    #[error(transparent)]
    Settlement(#[from] SettlementError),
    /// The watcher.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// The queue on disk.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// A database file.
    #[error("{file}: {reason}; is another node on this folder?")]
    Database {
        /// Which.
        file: &'static str,
        /// Why.
        reason: String,
    },
    /// The sender's journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The sender.
    #[error(transparent)]
    Sender(#[from] SenderError),
    /// The archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The contract is another chain's.
    #[error(
        "the contract is of chain {contract}, this node is of chain {node}: give the right --chain"
    )]
    WrongChain {
        /// On L1.
        contract: u64,
        /// Of the node.
        node: u64,
    },
}

/// Both ports, and the work behind them.
pub struct Ethereum {
    /// The L1 queue.
    pub inbox: Arc<dyn L1Inbox>,
    /// Settlement.
    pub settler: Arc<dyn Settler>,
    /// Ethereum's fees.
    pub prices: Option<Arc<dyn L1Prices>>,
    /// The L1 sender at work; it ends with an error only if waiting cannot help.
    pub sender: tokio::task::JoinHandle<Result<(), SenderError>>,
    /// What stands between the node and Ethereum, from memory: for RPC, `status` and metrics.
    pub status: L1Reporter,
}

impl Ethereum {
    /// Connects, checks that the contract is this chain's, and goes on where the folder's files end.
    ///
    /// # Errors
    /// [`EthereumError`].
    pub async fn start(
        folder: &Path,
        chain_id: u64,
        options: EthereumOptions,
        stop: CancellationToken,
    ) -> Result<Self, EthereumError> {
        let source = NodeSource::new(&options.url, options.chain, ANSWER)?;
        let chain = chain_of(&source).await?;
        if chain.chain != chain_id {
            return Err(EthereumError::WrongChain {
                contract: chain.chain,
                node: chain_id,
            });
        }
        let database =
            Database::create(folder.join(QUEUE)).map_err(|error| EthereumError::Database {
                file: QUEUE,
                reason: error.to_string(),
            })?;
        let database = Arc::new(database);
        let inbox = Inbox {
            reader: Mutex::new((
                Watcher::new(source, Arc::clone(&database), options.watch)?,
                Queue::new(database)?,
            )),
        };

        let deadlines = Deadlines {
            answer: ANSWER,
            ..Deadlines::default()
        };
        let client = L1Client::new(&options.url, options.operator.clone(), deadlines)?;
        let journal = Journal::open(&folder.join(JOURNAL))?;
        let port = NodePort::new(&options.url, ANSWER)?;
        let outcome = Executed {
            client: client.clone(),
        };
        let sender = Sender::open(port, outcome, options.operator, journal, options.policy).await?;
        let (handle, work) = sender.start(stop);
        let settler = EthereumSettler {
            client,
            chain,
            shape: options.shape,
            budget: options.budget,
            archive: Archive::create(&options.archive, chain).await?,
            sender: handle,
        };
        Ok(Self {
            inbox: Arc::new(inbox),
            settler: Arc::new(settler),
            prices: NodePrices::new(&options.url, ANSWER)
                .map(|prices| Arc::new(prices) as Arc<dyn L1Prices>),
            sender: tokio::spawn(work),
            status: L1Reporter::default(),
        })
    }
}

/// The queue, read when it is asked for.
struct Inbox {
    reader: Mutex<(Watcher<NodeSource>, Queue)>,
}

#[async_trait]
impl L1Inbox for Inbox {
    async fn entries(&self, from: u64, most: usize) -> Result<Vec<QueueEntry>, PortError> {
        let mut reader = self.reader.lock().await;
        let (watcher, queue) = &mut *reader;
        let mut sink = queue.clone();
        watcher
            .sync(&mut sink, |_| {})
            .await
            .map_err(|error| PortError::Unreachable(error.to_string()))?;
        let entries = queue.entries(from, most).map_err(|error| match error {
            QueueError::Exchanged { .. } => PortError::Contradiction(error.to_string()),
            other => PortError::Unreachable(other.to_string()),
        })?;
        Ok(entries
            .into_iter()
            .map(|entry| QueueEntry {
                index: entry.index,
                words: entry.words.map(|word| word.to_be_bytes()),
            })
            .collect())
    }
}

/// Archives a batch, then settles it through the sender.
struct EthereumSettler {
    client: L1Client,
    chain: ChainId,
    shape: u32,
    budget: Budget,
    archive: Archive,
    sender: Handle,
}

impl EthereumSettler {
    /// The batch as an intent, after it is in the archive: whoever sees it on L1 can find its data.
    async fn intent(&self, batch: &ProvedBatch) -> Result<Intent, PortError> {
        let words = scalars(&batch.header)?;
        let elements = scalars(&batch.blob)?;
        let header = Header::from_words(&words).map_err(|error| contradiction(&error))?;
        let Budget { slots, records, .. } = self.budget;
        let [header_commitment, blob_commitment, ..] =
            public_inputs(&words, &elements, slots, records)
                .map_err(|error| contradiction(&error))?;
        let proof = Proof::from_bytes(&batch.proof).map_err(|error| contradiction(&error))?;
        let blob = BatchBlob::new(&elements).map_err(|error| contradiction(&error))?;
        let published = PublishedBatch {
            shape: self.shape,
            header,
            header_commitment,
            blob_commitment,
            versioned_hash: blob.versioned_hash(),
        };
        let archived = archive::Batch {
            chain: self.chain,
            number: batch.number,
            shape: archive::Shape {
                number: self.shape,
                slots: slots as u32,
                records: records as u32,
            },
            header: words,
            blob: elements,
            // Replay needs no signatures; they are in the node's log.
            operations: Vec::new(),
            proof: proof.to_eip2537().to_vec(),
        };
        match self.archive.put(&archived).await {
            Ok(_) => {}
            Err(error @ ArchiveError::Conflict { .. }) => return Err(contradiction(&error)),
            Err(error) => return Err(PortError::Unreachable(error.to_string())),
        }
        settle_intent(self.chain.contract, &published, &blob, &proof)
            .map_err(|error| contradiction(&error))
    }

    /// L1 counts the batch as executed: it must be this one and no other.
    async fn check(&self, batch: &ProvedBatch) -> Result<(), PortError> {
        let unreachable = |error: SettlementError| PortError::Unreachable(error.to_string());
        let contract = self.chain.contract;
        let executed = progress(&self.client, contract)
            .await
            .map_err(unreachable)?;
        let root = crate::settlement::state_root(&self.client, contract)
            .await
            .map_err(unreachable)?;
        let ours = batch.header.get(2).copied().unwrap_or_default();
        if executed.executed == batch.number && B256::from(root) != B256::from(ours) {
            return Err(PortError::Contradiction(format!(
                "batch {} was executed on L1 with another root than this node's",
                batch.number
            )));
        }
        Ok(())
    }
}

#[async_trait]
impl Settler for EthereumSettler {
    async fn settle(&self, batch: &ProvedBatch) -> Result<BatchStatus, PortError> {
        let failed = |error: SenderError| match error {
            SenderError::Stopped => PortError::Contradiction("the L1 sender stopped".into()),
            other => PortError::Unreachable(other.to_string()),
        };
        let id = format!("settle/{}/{}", self.chain.chain, batch.number);
        let status = self.sender.status(&id).await.map_err(failed)?;
        let shown = |transaction: Option<B256>| transaction.map(|hash| hash.to_string());
        match status {
            None => {
                let intent = self.intent(batch).await?;
                self.sender.enqueue(intent).await.map_err(failed)?;
                Ok(BatchStatus::Proved)
            }
            Some(Status::Waiting | Status::Sent { .. }) => Ok(BatchStatus::Proved),
            Some(Status::InEffect(transaction, _)) => {
                self.check(batch).await?;
                Ok(BatchStatus::Settled {
                    transaction: shown(transaction),
                })
            }
            Some(Status::Closed(done)) => {
                self.check(batch).await?;
                Ok(BatchStatus::Final {
                    transaction: shown(done.transaction),
                })
            }
        }
    }
}

fn scalars(words: &[[u8; 32]]) -> Result<Vec<Scalar>, PortError> {
    let scalar = |word: &[u8; 32]| Option::from(Scalar::from_bytes_be(word));
    let scalars: Option<Vec<Scalar>> = words.iter().map(scalar).collect();
    scalars
        .ok_or_else(|| PortError::Contradiction("a batch on disk holds no field elements".into()))
}

/// What waiting cannot mend: the batch on disk is not what it should be.
fn contradiction(error: &dyn std::fmt::Display) -> PortError {
    PortError::Contradiction(error.to_string())
}
