//! Settlement of the node's batches: the archive first, then the L1 sender, whose statuses say how far
//! each batch is. Uses `carillon-settlement` and its archive.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use alloy::primitives::B256;
use async_trait::async_trait;
use blstrs::Scalar;
use carillon_runtime::groth16::Proof;
use tokio::sync::Mutex;

use super::super::ports::{PortError, ProvedBatch, Settler};
use super::super::publish::public_inputs;
use super::super::store::BatchStatus;
use carillon_protocol::ledger::Budget;
use carillon_protocol::{Header, Kind, Party};
use carillon_settlement::archive::{self, Archive, ArchiveError, ChainId};
use carillon_settlement::calls::PublishedBatch;
use carillon_settlement::lanes::Tail;
use carillon_settlement::sender::{Handle, Intent, SenderError, Status};
use carillon_settlement::watch::Arrivals;
use carillon_settlement::{
    Backoff, BatchBlob, DataMode, L1Client, L1Part, L1Reporter, Refusal, SettlementError, Trouble,
    commit_id, progress, settle_with_tails, settle_without_blob, state_root,
};

/// Simulations in a row, ever farther apart, that the contract may refuse before the node ends: three
/// minutes with the default settings.
pub(super) const REFUSALS: u32 = 5;

/// Archives a batch, then settles it through the sender.
pub(super) struct EthereumSettler {
    pub client: L1Client,
    pub chain: ChainId,
    pub shape: u32,
    pub budget: Budget,
    pub mode: DataMode,
    pub archive: Archive,
    pub sender: Handle,
    /// What other chains sent, as far as it was read.
    pub arrivals: Arrivals,
    pub status: L1Reporter,
    pub retry: Mutex<Retry>,
    /// Batches that others settled, and that were found to be this node's.
    pub checked: Mutex<BTreeSet<u64>>,
}

/// When the archive or L1 is asked again after a failure.
pub(super) struct Retry {
    backoff: Backoff,
    until: Option<Instant>,
}

impl Retry {
    /// Pauses from `base` on.
    pub(super) fn new(base: Duration) -> Self {
        Self {
            backoff: Backoff::new(base),
            until: None,
        }
    }
}

/// A proved batch as L1 gets it.
pub(super) struct Prepared {
    pub published: PublishedBatch,
    /// None of a validium.
    pub blob: Option<BatchBlob>,
    /// B at the challenge.
    pub blob_value: Scalar,
    pub proof: Proof,
    pub tails: Vec<Tail>,
}

impl EthereumSettler {
    async fn intent(&self, batch: &ProvedBatch) -> Result<Intent, PortError> {
        let Prepared {
            published,
            blob,
            blob_value,
            proof,
            tails,
        } = self.prepare(batch).await?;
        let contract = self.chain.contract;
        let Some(blob) = blob else {
            let intent = settle_without_blob(contract, &published, &blob_value, &proof, tails);
            return Ok(intent);
        };
        settle_with_tails(contract, &published, &blob, &proof, tails)
            .map_err(|error| PortError::contradiction(&error))
    }

    /// The batch as L1 gets it, after it is in the archive: whoever sees it on L1 can find its data.
    pub(super) async fn prepare(&self, batch: &ProvedBatch) -> Result<Prepared, PortError> {
        let words = scalars(&batch.header)?;
        let elements = scalars(&batch.blob)?;
        let header =
            Header::from_words(&words).map_err(|error| PortError::contradiction(&error))?;
        let Budget { slots, records, .. } = self.budget;
        let [header_commitment, blob_commitment, .., blob_value] =
            public_inputs(&words, &elements, slots, records, self.mode)
                .map_err(|error| PortError::contradiction(&error))?;
        let proof =
            Proof::from_bytes(&batch.proof).map_err(|error| PortError::contradiction(&error))?;
        let blob = match self.mode {
            DataMode::Validium => None,
            DataMode::Rollup => Some(BatchBlob::new(&elements)),
        };
        let blob = blob
            .transpose()
            .map_err(|error| PortError::contradiction(&error))?;
        let published = PublishedBatch {
            chain_id: self.chain.chain,
            shape: self.shape,
            header,
            header_commitment,
            blob_commitment,
            versioned_hash: blob.as_ref().map_or(B256::ZERO, BatchBlob::versioned_hash),
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
            Err(error @ ArchiveError::Conflict { .. }) => {
                return Err(PortError::contradiction(&error));
            }
            Err(error) => return Err(PortError::Unreachable(error.to_string())),
        }
        let tails = self.tails(&published.header, &batch.lanes)?;
        Ok(Prepared {
            published,
            blob,
            blob_value,
            proof,
            tails,
        })
    }

    /// Tries, unless it failed a moment ago; tells what failed, and when it is tried again.
    pub(super) async fn paced(
        &self,
        work: impl Future<Output = Result<BatchStatus, Failed>> + Send,
    ) -> Result<BatchStatus, PortError> {
        let mut retry = self.retry.lock().await;
        if retry.until.is_some_and(|until| Instant::now() < until) {
            return Err(PortError::Later);
        }
        match work.await {
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

    /// What the other chains sent behind what the batch takes. Given for every lane, whether or not it is
    /// needed: more may be sent before the batch is executed.
    fn tails(&self, header: &Header, taken: &BTreeMap<u64, u64>) -> Result<Vec<Tail>, PortError> {
        let takes = (header.records.iter()).filter(|record| record.kind == Kind::Take);
        let ends = takes.filter_map(|record| Party::from_word(&record.words[1]));
        let lanes: BTreeSet<u64> = ends.map(|party| party.chain).collect();
        let tail = |from: u64| {
            let taken = taken.get(&from).copied().unwrap_or_default();
            let tail = self.arrivals.tail(from, self.chain.chain, taken);
            let tail = tail.map_err(|error| PortError::Unreachable(error.to_string()))?;
            tail.ok_or_else(|| {
                let reason = format!("entry {taken} of the lane from chain {from} is not read yet");
                PortError::Unreachable(reason)
            })
        };
        lanes.into_iter().map(tail).collect()
    }

    /// L1 counts the batch as executed by somebody else's transaction: it must be this one and no
    /// other. What our own transaction settled is ours.
    pub(super) async fn check(&self, batch: &ProvedBatch) -> Result<(), Failed> {
        let contract = self.chain.contract;
        let executed = progress(&self.client, contract).await?;
        let root = state_root(&self.client, contract).await?;
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

    pub(super) fn id(&self, number: u64) -> String {
        format!("settle/{}/{number}", self.chain.chain)
    }

    /// Gives up what the sender has not brought to effect, if it has it.
    pub(super) async fn give_up(&self, id: &str) -> Result<(), PortError> {
        let status = self.sender.status(id).map_err(stopped)?;
        match status {
            Some(Status::Waiting | Status::Sent { .. } | Status::Refused { .. }) => {
                self.sender.withdraw(id).await.map_err(stopped)
            }
            _ => Ok(()),
        }
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
                // A node that joined a gateway before may have a commitment on its way.
                let commit = commit_id(self.chain.chain, batch.number, 0);
                self.give_up(&commit).await?;
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
pub(super) enum Failed {
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
pub(super) fn lasts(reason: &Refusal) -> bool {
    !matches!(reason.name(), "ChainPaused" | "BatchesPending")
}

pub(super) fn stopped(error: SenderError) -> PortError {
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
        self.paced(self.try_settle(batch)).await
    }
}

fn scalars(words: &[[u8; 32]]) -> Result<Vec<Scalar>, PortError> {
    let scalar = |word: &[u8; 32]| Option::from(Scalar::from_bytes_be(word));
    let scalars: Option<Vec<Scalar>> = words.iter().map(scalar).collect();
    scalars
        .ok_or_else(|| PortError::Contradiction("a batch on disk holds no field elements".into()))
}
