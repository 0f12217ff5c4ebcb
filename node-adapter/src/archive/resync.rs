//! [`resync`]: the state rebuilt from nothing but L1 and the archive.
//!
//! L1 says which batches count and what binds their data; the archive has the data; replay says what
//! they do. Nothing in the archive is believed. Called by `carillon-node resync`, and by a node that
//! has lost its disk.

use blstrs::Scalar;

use super::check::{CheckError, check};
use super::history::{History, HistoryError, chain_of, published};
use super::{Archive, ArchiveError, ChainId};
use crate::ledger::{MAX_DEPTH, State};
use crate::settlement::SettlementError;
use crate::settlement::sender::BlockRef;
use crate::settlement::watch::{NodeSource, WatchOptions};

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
    /// The state root, the same on L1.
    pub root: Scalar,
    /// Archived batches that L1 has not executed, or not deep enough; they are not looked at.
    pub pending: u64,
}

/// The archive of the chain behind `source`, opened by its URL.
pub async fn open_archive(source: &NodeSource, url: &str) -> Result<Archive, ResyncError> {
    let chain = chain_of(source).await?;
    Ok(Archive::open(url, chain).await?)
}

/// Rebuilds the state after the last executed batch. The first mismatch ends it.
pub async fn resync(
    source: &NodeSource,
    archive: &Archive,
    options: ResyncOptions,
    mut progress: impl FnMut(ResyncStep) + Send,
) -> Result<(State, ResyncReport), ResyncError> {
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
    let total = history.executed.len() as u64;
    let archived = archive.list().await?.last().copied().unwrap_or(0);
    let mut state = State::genesis(options.depth);
    let mut operations = 0;
    for executed in &history.executed {
        let batch = match archive.get(executed.number).await {
            Err(ArchiveError::Missing { number }) if number > archived => {
                return Err(ResyncError::ArchiveBehind {
                    executed: total,
                    archived,
                });
            }
            other => other?,
        };
        let (time, data) = published(source, executed).await?;
        let queue = &history.queue;
        operations += check(&batch, executed, time, data.as_ref(), queue, &mut state)? as u64;
        progress(ResyncStep::Replayed(executed.number, total));
    }
    let report = ResyncReport {
        chain,
        batches: total,
        operations,
        queue: history.queue.len() as u64,
        block: history.read,
        root: state.root(),
        pending: archived.saturating_sub(total),
    };
    Ok((state, report))
}
