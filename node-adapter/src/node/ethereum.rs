//! The node's Ethereum: the L1 queue through the watcher, settlement through the L1 sender, each
//! settled batch in the archive first.
//!
//! Called by `carillon-node run --l1` and the tests. Uses `settlement` and `archive`.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

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
    Backoff, BatchBlob, Deadlines, Executed, L1Client, L1Part, L1Reporter, Refusal,
    SettlementError, Trouble, jittered, progress, settle_intent,
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
        let status = L1Reporter::default();
        let inbox = Inbox {
            reader: Mutex::new(Reader {
                watcher: Watcher::new(source, Arc::clone(&database), options.watch)?,
                queue: Queue::new(database)?,
                next: Instant::now(),
                backoff: Backoff::new(options.policy.retry_after),
                unverified: false,
            }),
            poll: options.policy.poll,
            confirmations: options.watch.confirmations,
            status: status.clone(),
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
        let retry = options.policy.retry_after;
        let sender = Sender::open(port, outcome, options.operator, journal, options.policy).await?;
        let (handle, work) = sender.reporting(status.clone()).start(stop);
        let settler = EthereumSettler {
            client,
            chain,
            shape: options.shape,
            budget: options.budget,
            archive: Archive::create(&options.archive, chain).await?,
            sender: handle,
            status: status.clone(),
            retry: Mutex::new(Retry {
                backoff: Backoff::new(retry),
                until: None,
            }),
            checked: Mutex::new(BTreeSet::new()),
        };
        let failed = status.clone();
        let work = async move {
            let ended = work.await;
            if let Err(error) = &ended {
                // Nobody tries again: the settler's next call ends the node.
                failed.failed(L1Part::Settlement, error.trouble(), Duration::ZERO);
                tracing::error!(%error, "the L1 sender stopped");
            }
            ended
        };
        Ok(Self {
            inbox: Arc::new(inbox),
            settler: Arc::new(settler),
            prices: NodePrices::new(&options.url, ANSWER)
                .map(|prices| Arc::new(prices) as Arc<dyn L1Prices>),
            sender: tokio::spawn(work),
            status,
        })
    }
}

/// The queue. L1 is read when its time has come; in between, what is on disk is handed out.
struct Inbox {
    reader: Mutex<Reader>,
    poll: Duration,
    confirmations: u64,
    status: L1Reporter,
}

struct Reader {
    watcher: Watcher<NodeSource>,
    queue: Queue,
    /// The next look at L1.
    next: Instant,
    backoff: Backoff,
    /// Whether it was told that events are not compared with the contract.
    unverified: bool,
}

impl Inbox {
    /// Reads what is new on L1.
    async fn read(&self, reader: &mut Reader) -> Result<(), PortError> {
        let mut sink = reader.queue.clone();
        let progress = match reader.watcher.sync(&mut sink, |_| {}).await {
            Ok(progress) => progress,
            Err(error) => {
                let pause = reader.backoff.next(error.retry_after());
                reader.next = Instant::now() + pause;
                self.status.failed(L1Part::Queue, error.trouble(), pause);
                return Err(PortError::Later);
            }
        };
        reader.backoff.reset();
        reader.next = Instant::now() + jittered(self.poll, 10);
        self.status.worked(L1Part::Queue);
        let read = progress.read.map(|block| block.number);
        self.status.reads(progress.head, read, self.confirmations);
        let open = progress.head > read.unwrap_or(0);
        self.status.waits(L1Part::Queue, open.then(|| {
            let (head, wanted) = (progress.head, self.confirmations);
            let read = read.map_or("none yet".into(), |read| format!("up to {read}"));
            format!("{wanted} blocks on top of a deposit's: blocks are read {read}, the newest is {head}")
        }));
        if progress.unverified && !reader.unverified {
            tracing::warn!(
                "the Ethereum node does not keep states: events are not compared with the contract's counters"
            );
        }
        reader.unverified = progress.unverified;
        Ok(())
    }
}

#[async_trait]
impl L1Inbox for Inbox {
    async fn entries(&self, from: u64, most: usize) -> Result<Vec<QueueEntry>, PortError> {
        let mut reader = self.reader.lock().await;
        if Instant::now() >= reader.next {
            self.read(&mut reader).await?;
        }
        let entries = match reader.queue.entries(from, most) {
            Ok(entries) => entries,
            Err(error @ QueueError::Exchanged { .. }) => return Err(contradiction(&error)),
            // Rolled back: told when it happened, read again when the time has come.
            Err(_) if self.status.status().queue.failing_since.is_some() => {
                return Err(PortError::Later);
            }
            Err(other) => return Err(PortError::Unreachable(other.to_string())),
        };
        Ok(entries
            .into_iter()
            .map(|entry| QueueEntry {
                index: entry.index,
                words: entry.words.map(|word| word.to_be_bytes()),
            })
            .collect())
    }
}

/// Simulations in a row, ever farther apart, that the contract may refuse before the node ends: three
/// minutes with the default settings.
const REFUSALS: u32 = 5;

/// Archives a batch, then settles it through the sender.
struct EthereumSettler {
    client: L1Client,
    chain: ChainId,
    shape: u32,
    budget: Budget,
    archive: Archive,
    sender: Handle,
    status: L1Reporter,
    retry: Mutex<Retry>,
    /// Batches that others settled, and that were found to be this node's.
    checked: Mutex<BTreeSet<u64>>,
}

/// When the archive or L1 is asked again after a failure.
struct Retry {
    backoff: Backoff,
    until: Option<Instant>,
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

    /// L1 counts the batch as executed by somebody else's transaction: it must be this one and no
    /// other. What our own transaction settled is ours.
    async fn check(&self, batch: &ProvedBatch) -> Result<(), Failed> {
        let contract = self.chain.contract;
        let executed = progress(&self.client, contract).await?;
        let root = crate::settlement::state_root(&self.client, contract).await?;
        let ours = batch.header.get(2).copied().unwrap_or_default();
        if executed.executed == batch.number && B256::from(root) != B256::from(ours) {
            return Err(Failed::For(PortError::Contradiction(format!(
                "batch {} was executed on L1 with another root than this node's",
                batch.number
            ))));
        }
        self.checked.lock().await.insert(batch.number);
        Ok(())
    }

    fn id(&self, number: u64) -> String {
        format!("settle/{}/{number}", self.chain.chain)
    }

    fn stand(&self, number: u64) -> Result<Option<Status>, PortError> {
        self.sender.status(&self.id(number)).map_err(stopped)
    }

    /// What a status says, as far as it needs no look at L1.
    async fn told(&self, number: u64) -> Result<Option<BatchStatus>, PortError> {
        let told = match self.stand(number)? {
            None => None,
            Some(Status::Waiting | Status::Sent { .. }) => Some(BatchStatus::Proved),
            Some(Status::Refused { reason, times }) => {
                if times >= REFUSALS && lasts(&reason) {
                    return Err(PortError::Refused(format!(
                        "{reason} ({times} times in a row); {}",
                        reason.advice()
                    )));
                }
                Some(BatchStatus::Proved)
            }
            Some(Status::InEffect(transaction, _)) => {
                let checked = transaction.is_some() || self.checked.lock().await.contains(&number);
                checked.then(|| BatchStatus::Settled {
                    transaction: transaction.map(|hash| hash.to_string()),
                })
            }
            Some(Status::Closed(done)) => {
                let checked =
                    done.transaction.is_some() || self.checked.lock().await.contains(&number);
                checked.then(|| BatchStatus::Final {
                    transaction: done.transaction.map(|hash| hash.to_string()),
                })
            }
        };
        Ok(told)
    }

    async fn try_settle(&self, batch: &ProvedBatch) -> Result<BatchStatus, Failed> {
        match self.stand(batch.number)? {
            None => {
                let intent = self.intent(batch).await?;
                self.sender.enqueue(intent).await.map_err(stopped)?;
                Ok(BatchStatus::Proved)
            }
            Some(_) => {
                self.check(batch).await?;
                Ok(self
                    .told(batch.number)
                    .await?
                    .unwrap_or(BatchStatus::Proved))
            }
        }
    }
}

/// Why a batch does not go on now.
enum Failed {
    /// L1 or the archive did not answer.
    Now(Trouble, Option<Duration>),
    /// For the driver.
    For(PortError),
}

impl From<SettlementError> for Failed {
    fn from(error: SettlementError) -> Self {
        Self::Now(error.trouble(), error.retry_after())
    }
}

impl From<PortError> for Failed {
    fn from(error: PortError) -> Self {
        match error {
            PortError::Unreachable(reason) => {
                let next_step = "check the archive's store; it is tried again".into();
                let kind = "archive";
                Self::Now(
                    Trouble {
                        kind,
                        reason,
                        next_step,
                    },
                    None,
                )
            }
            other => Self::For(other),
        }
    }
}

/// Whether waiting cannot help. What is not known counts as lasting: it ends the node with its reason,
/// instead of being tried for ever.
fn lasts(reason: &Refusal) -> bool {
    !matches!(reason.name(), "ChainPaused" | "BatchesPending")
}

fn stopped(error: SenderError) -> PortError {
    match error {
        SenderError::Stopped => {
            PortError::Contradiction("the L1 sender stopped, see the log".into())
        }
        other => PortError::Contradiction(other.to_string()),
    }
}

#[async_trait]
impl Settler for EthereumSettler {
    async fn known(&self, number: u64) -> Result<Option<BatchStatus>, PortError> {
        self.told(number).await
    }

    async fn settle(&self, batch: &ProvedBatch) -> Result<BatchStatus, PortError> {
        let mut retry = self.retry.lock().await;
        if retry.until.is_some_and(|until| Instant::now() < until) {
            return Err(PortError::Later);
        }
        match self.try_settle(batch).await {
            Ok(status) => {
                if retry.until.take().is_some() {
                    self.status.worked(L1Part::Settlement);
                }
                retry.backoff.reset();
                Ok(status)
            }
            Err(Failed::Now(trouble, asked)) => {
                let pause = retry.backoff.next(asked);
                retry.until = Some(Instant::now() + pause);
                self.status.failed(L1Part::Settlement, trouble, pause);
                Err(PortError::Later)
            }
            Err(Failed::For(error)) => Err(error),
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
