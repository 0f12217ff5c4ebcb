//! [`resync`]: the state rebuilt from nothing but L1 and the archive.
//!
//! L1 says which batches count and what binds their data; the archive has the data; replay says what
//! they do. Nothing in the archive is believed. Called by `carillon-node resync`, and by a node that
//! has lost its disk.

use alloy::primitives::keccak256;
use alloy::sol_types::SolValue;
use blstrs::Scalar;

use super::check::{CheckError, Checked, Field, Terms, check, check_ahead};
use super::history::{History, HistoryError, chain_of, domain_of, mode_of, published};
use super::places::{Place, Places, is_of};
use super::{Archive, ArchiveError, Batch, ChainId, Executed};
use crate::calls::PublishedBatch;
use crate::sender::BlockRef;
use crate::watch::{NodeSource, WatchOptions};
use crate::{SettlementError, verify_on_l1};
use carillon_protocol::ledger::{MAX_DEPTH, State};
use carillon_protocol::{Header, Kind, Operation};

/// Settings of a resync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResyncOptions {
    /// How L1 is read.
    pub watch: WatchOptions,
    /// Levels of the account tree.
    pub depth: usize,
}

impl Default for ResyncOptions {
    fn default() -> Self {
        Self {
            watch: WatchOptions::default(),
            depth: MAX_DEPTH,
        }
    }
}

/// Why the state was not rebuilt.
#[derive(Debug, thiserror::Error)]
pub enum ResyncError {
    /// L1.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// A request to L1.
    #[error(transparent)]
    Node(#[from] SettlementError),
    /// The archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// L1 has executed batches that the archive does not have yet.
    #[error(
        "L1 has executed {executed} batches, the archive ends with batch {archived}: L1 is ahead of it; wait for the node to archive, or copy the missing batches"
    )]
    ArchiveBehind {
        /// On L1.
        executed: u64,
        /// In the archive.
        archived: u64,
    },
    /// Archive, L1 and replay differ.
    #[error(transparent)]
    Mismatch(#[from] CheckError),
    /// A batch that the archive has, and that cannot follow what L1 has executed.
    #[error(
        "the archive has batch {number}, which Ethereum has not executed and would not: {reason}; take its object, and those after it, out of the archive"
    )]
    Ahead {
        /// The batch.
        number: u64,
        /// What is wrong.
        reason: String,
    },
    /// A batch that the archive has is ahead of what was read of the queue.
    #[error(
        "batch {number} of the archive executes entry {index} of the L1 queue, which is not there or not deep enough yet: wait, or give the --confirmations that the node ran with"
    )]
    Queue {
        /// The batch.
        number: u64,
        /// The entry.
        index: u64,
    },
    /// L1 has the batch as committed, the archive does not have it.
    #[error(
        "batch {number} is committed on Ethereum and not executed, and the archive does not have it: copy it from another archive, or take it back there with `carillon-node revert`"
    )]
    Open {
        /// The batch.
        number: u64,
    },
    /// What was made of the batches could not be kept.
    #[error("{0}")]
    Keep(String),
    /// L1 has not executed the batch that was asked for, or the node does not know of it yet.
    #[error(
        "the Ethereum node tells of {executed} executed batches, batch {number} is none of them: the node is behind; ask it again in a moment, or another one"
    )]
    NotExecuted {
        /// The batch.
        number: u64,
        /// By the node's events.
        executed: u64,
    },
}

/// How far a resync is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResyncStep {
    /// L1 is read up to this block.
    Read(u64),
    /// So many batches of so many are replayed.
    Replayed(u64, u64),
}

/// A rebuilt state.
#[derive(Clone, Debug)]
pub struct ResyncReport {
    /// The chain.
    pub chain: ChainId,
    /// Batches replayed.
    pub batches: u64,
    /// Operations in them.
    pub operations: u64,
    /// Queue entries on L1.
    pub queue: u64,
    /// The last L1 block read.
    pub block: Option<BlockRef>,
    /// The state root; after [`resync`] the same on L1, after [`resync_until`] that of its batch.
    pub root: Scalar,
    /// Archived batches that L1 has not executed, or not deep enough; [`resync`] does not look at
    /// them, [`resync_ahead`] replays them, too.
    pub pending: u64,
}

/// The archive of the chain behind `source`, opened by its URL.
pub async fn open_archive(source: &NodeSource, url: &str) -> Result<Archive, ResyncError> {
    let chain = chain_of(source).await?;
    Ok(Archive::open(url, chain).await?)
}

/// A batch on the way, after it was replayed.
#[derive(Clone, Copy, Debug)]
pub struct Replayed<'a> {
    /// The batch.
    pub batch: &'a Batch,
    /// What L1 says of it; none if it is not executed there, or not deep enough.
    pub executed: Option<&'a Executed>,
    /// Time of the block that committed it, in seconds; 0 if it is not executed.
    pub time: u64,
    /// The places of its takes in their lanes, in order.
    pub places: &'a [Place],
    /// What it does.
    pub checked: &'a Checked,
}

/// Rebuilds the state after the last executed batch. The first mismatch ends it.
pub async fn resync(
    source: &NodeSource,
    archive: &Archive,
    options: ResyncOptions,
    progress: impl FnMut(ResyncStep) + Send,
) -> Result<(State, ResyncReport), ResyncError> {
    let mut walk = Walk::begin(source, archive, options, progress).await?;
    walk.executed(|_| Ok(())).await?;
    Ok(walk.end())
}

/// Rebuilds the state after batch `last`, which L1 has executed, whatever it has executed since.
pub async fn resync_until(
    source: &NodeSource,
    archive: &Archive,
    options: ResyncOptions,
    last: u64,
    progress: impl FnMut(ResyncStep) + Send,
) -> Result<(State, ResyncReport), ResyncError> {
    let mut walk = Walk::begin(source, archive, options, progress).await?;
    let executed = walk.report.batches;
    if last > executed {
        return Err(ResyncError::NotExecuted {
            number: last,
            executed,
        });
    }
    walk.report.batches = last;
    walk.executed(|_| Ok(())).await?;
    Ok(walk.end())
}

/// Rebuilds the state after the last batch that the archive has, though L1 has not executed it yet, or
/// not deep enough: as [`resync`], then each further batch, which must follow from the state and the
/// queue, and whose proof the chain's verifier on L1 must accept. `keep` is told each batch.
pub async fn resync_ahead(
    source: &NodeSource,
    archive: &Archive,
    options: ResyncOptions,
    progress: impl FnMut(ResyncStep) + Send,
    mut keep: impl FnMut(Replayed<'_>) -> Result<(), String> + Send,
) -> Result<(State, ResyncReport), ResyncError> {
    let mut walk = Walk::begin(source, archive, options, progress).await?;
    walk.executed(&mut keep).await?;
    walk.ahead(&mut keep).await?;
    Ok(walk.end())
}

/// A resync on its way.
struct Walk<'a, P> {
    source: &'a NodeSource,
    archive: &'a Archive,
    terms: Terms,
    history: History,
    places: Places,
    progress: P,
    state: State,
    archived: u64,
    report: ResyncReport,
}

impl<'a, P: FnMut(ResyncStep) + Send> Walk<'a, P> {
    async fn begin(
        source: &'a NodeSource,
        archive: &'a Archive,
        options: ResyncOptions,
        mut progress: P,
    ) -> Result<Self, ResyncError> {
        let chain = chain_of(source).await?;
        if chain != archive.chain() {
            let found = archive.chain();
            let wanted = chain;
            return Err(ArchiveError::OtherChain { found, wanted }.into());
        }
        let history = History::read(source, options.watch, |block| {
            progress(ResyncStep::Read(block));
        })
        .await?;
        let terms = Terms {
            domain: domain_of(source, &chain).await?,
            mode: mode_of(source).await?,
        };
        let state = State::genesis(options.depth);
        let archived = archive.list().await?.last().copied().unwrap_or(0);
        let total = history.executed.len() as u64;
        let report = ResyncReport {
            chain,
            batches: total,
            operations: 0,
            queue: history.queue.len() as u64,
            block: history.read,
            root: state.root(),
            pending: archived.saturating_sub(total),
        };
        Ok(Self {
            source,
            archive,
            terms,
            history,
            places: Places::default(),
            progress,
            state,
            archived,
            report,
        })
    }

    /// The batches that L1 has executed, as many as the report says.
    async fn executed(
        &mut self,
        mut keep: impl FnMut(Replayed<'_>) -> Result<(), String> + Send,
    ) -> Result<(), ResyncError> {
        let total = self.report.batches;
        let wanted = self.history.executed.iter();
        for executed in wanted.take_while(|executed| executed.number <= total) {
            let batch = match self.archive.get(executed.number).await {
                Err(ArchiveError::Missing { number }) if number > self.archived => {
                    return Err(ResyncError::ArchiveBehind {
                        executed: total,
                        archived: self.archived,
                    });
                }
                other => other?,
            };
            let (time, data) = published(self.source, executed).await?;
            let bounced = executed.bounced.clone();
            let (queue, state) = (&self.history.queue, &mut self.state);
            let checked = check(
                &batch,
                executed,
                self.terms,
                time,
                data.as_ref(),
                queue,
                state,
            )?;
            self.report.operations += checked.operations.len() as u64;
            keep(Replayed {
                batch: &batch,
                executed: Some(executed),
                time,
                places: &self.places.of(&checked.operations, &bounced),
                checked: &checked,
            })
            .map_err(ResyncError::Keep)?;
            (self.progress)(ResyncStep::Replayed(executed.number, total));
        }
        Ok(())
    }

    /// The batches behind them that the archive has.
    async fn ahead(
        &mut self,
        mut keep: impl FnMut(Replayed<'_>) -> Result<(), String> + Send,
    ) -> Result<(), ResyncError> {
        let last = self.history.executed.last();
        let mut queue_start = last.map_or(0, |last| last.queue_end);
        let open = self.history.open.keys().last().copied().unwrap_or(0);
        for number in self.report.batches + 1..=self.archived.max(open) {
            let refused = |reason: String| ResyncError::Ahead { number, reason };
            let batch = match self.archive.get(number).await {
                Err(ArchiveError::Missing { .. }) if number <= open => {
                    return Err(ResyncError::Open { number });
                }
                other => other?,
            };
            let queue = &self.history.queue;
            let checked = check_ahead(
                &batch,
                number,
                self.terms,
                queue_start,
                queue,
                &mut self.state,
            )
            .map_err(|error| match error.field {
                Field::QueueEntry(index) if index >= queue.len() as u64 => {
                    ResyncError::Queue { number, index }
                }
                _ => refused(error.to_string()),
            })?;
            self.committed(&batch, &checked, queue_start).await?;
            let shape = batch.shape.number;
            let verified = verify_on_l1(self.source, shape, &batch.proof, &checked.inputs);
            verified.await?.map_err(refused)?;
            queue_start = checked.queue_end;
            self.report.operations += checked.operations.len() as u64;
            let places = self.places.of(&checked.operations, &self.history.bounced);
            self.taken(&checked.operations, &places)
                .await
                .map_err(refused)?;
            keep(Replayed {
                batch: &batch,
                executed: None,
                time: 0,
                places: &places,
                checked: &checked,
            })
            .map_err(ResyncError::Keep)?;
        }
        Ok(())
    }

    /// What L1 has as committed must be this batch: its blob, and where there is none, all that the
    /// contract stored of it.
    async fn committed(
        &self,
        batch: &Batch,
        checked: &Checked,
        queue_start: u64,
    ) -> Result<(), ResyncError> {
        let open = self.history.pending.iter();
        let Some(open) = { open }.find(|open| open.number == batch.number) else {
            return Ok(());
        };
        let refused = |what: String| ResyncError::Ahead {
            number: batch.number,
            reason: format!("another batch with that number is committed there, with {what}"),
        };
        let versioned_hash = self.terms.mode.versioned_hash(&batch.blob)?;
        if versioned_hash != open.versioned_hash {
            return Err(refused(format!("the blob {}", open.versioned_hash)));
        }
        if !self.terms.mode.is_validium() {
            return Ok(());
        }
        let (time, _) = published(self.source, open).await?;
        let [header_commitment, blob_commitment, ..] = checked.inputs;
        let header = Header::from_words(&batch.header);
        let public = PublishedBatch {
            chain_id: batch.chain.chain,
            shape: batch.shape.number,
            header: header.map_err(|error| refused(error.to_string()))?,
            header_commitment,
            blob_commitment,
            versioned_hash,
        };
        let stored = public.stored(queue_start, time);
        if keccak256(stored.abi_encode()) != open.hash {
            return Err(refused(format!("the hash {}", open.hash)));
        }
        Ok(())
    }

    /// Whether takes that L1 has not checked yet are of what was sent.
    async fn taken(&self, operations: &[Operation], places: &[Place]) -> Result<(), String> {
        let takes = operations.iter().filter(|op| op.kind == Kind::Take);
        let mut source = None;
        for (take, Place { from, index }) in takes.zip(places) {
            let lane = self.history.arrived.get(from);
            let entry = lane.and_then(|lane| lane.get(usize::try_from(*index).ok()?));
            let Some(entry) = entry.filter(|entry| is_of(take, entry)) else {
                return Err(format!(
                    "a take is not entry {index} of the lane from chain {from}, which is the next one"
                ));
            };
            let source = match &source {
                Some(source) => source,
                None => {
                    let lanes = self.source.clone().reading_lanes().await;
                    source.insert(lanes.map_err(|error| error.to_string())?)
                }
            };
            let slot = source.token_slot(entry.token).await;
            if slot.map_err(|error| error.to_string())? != Some(take.token) {
                return Err(format!(
                    "the take of entry {index} of the lane from chain {from} is in another token"
                ));
            }
        }
        Ok(())
    }

    fn end(mut self) -> (State, ResyncReport) {
        self.report.root = self.state.root();
        (self.state, self.report)
    }
}
