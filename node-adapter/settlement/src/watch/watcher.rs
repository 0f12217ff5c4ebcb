//! [`Watcher`]: follows one contract, block range by block range, and back when the chain turns.
//!
//! Called by the service in a loop, and by `resync` once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alloy::primitives::B256;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::{Cursor, CursorError, Located, Source};
use crate::answer::LOGS;
use crate::sender::BlockRef;
use crate::{Meaning, SettlementError, Trouble};

/// Block number -> [`Checkpoint`] as JSON.
const CHECKPOINTS: TableDefinition<u64, &[u8]> = TableDefinition::new("watch_checkpoints");

/// Where events go. Both calls get the database transaction in which the watcher writes its position:
/// what is written there is in step with it for ever.
pub trait Sink: Send {
    /// Nothing in block `from` or after it has happened; `cursor` is how far the chain was before.
    fn rollback(
        &mut self,
        transaction: &WriteTransaction,
        from: u64,
        cursor: &Cursor,
    ) -> Result<(), SinkError>;
    /// All events after the last call up to block `to`, in order.
    fn apply(
        &mut self,
        transaction: &WriteTransaction,
        to: BlockRef,
        events: &[Located],
    ) -> Result<(), SinkError>;
}

/// Why a sink does not take events.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// It could not keep them; it is tried again.
    #[error("{0}")]
    Failed(String),
    /// They do not follow those before: the node left some out, now or before. Everything is read again.
    #[error("{0}")]
    Missed(String),
}

impl SinkError {
    /// A failure of whatever keeps the events.
    pub fn failed(error: impl std::fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Both get everything.
impl<A: Sink, B: Sink> Sink for (A, B) {
    fn rollback(
        &mut self,
        transaction: &WriteTransaction,
        from: u64,
        cursor: &Cursor,
    ) -> Result<(), SinkError> {
        self.0.rollback(transaction, from, cursor)?;
        self.1.rollback(transaction, from, cursor)
    }

    fn apply(
        &mut self,
        transaction: &WriteTransaction,
        to: BlockRef,
        events: &[Located],
    ) -> Result<(), SinkError> {
        self.0.apply(transaction, to, events)?;
        self.1.apply(transaction, to, events)
    }
}

/// Settings of a watcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchOptions {
    /// The first block that can hold an event: that of the contract's creation.
    pub start: u64,
    /// Blocks on top of one until it is read. 0 reads at once and rolls back often.
    pub confirmations: u64,
    /// Blocks asked for at a time; nodes limit it.
    pub range: u64,
    /// Blocks below the newest one whose hashes are kept. A deeper reorganisation is followed, too,
    /// by reading everything again.
    pub keep: u64,
}

impl Default for WatchOptions {
    /// For Ethereum's mainnet.
    fn default() -> Self {
        Self {
            start: 0,
            confirmations: 32,
            range: 2_000,
            keep: 512,
        }
    }
}

/// What one call of [`Watcher::sync`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The newest block that the node knows.
    pub head: u64,
    /// The last block read, if any.
    pub read: Option<BlockRef>,
    /// If the chain had turned: the first block that was taken back.
    pub rolled_back: Option<u64>,
    /// Events applied.
    pub events: usize,
    /// Counters of the chain after it.
    pub cursor: Cursor,
    /// Whether the events of this call could not be compared with the contract's counters, because the
    /// node does not have the state.
    pub unverified: bool,
}

/// Why the watcher could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// The node did not answer, or not sensibly.
    #[error(transparent)]
    Node(#[from] SettlementError),
    /// The chain turned while it was read; the next call reads again.
    #[error("the chain was reorganised while it was read; it is read again")]
    Turned,
    /// Events that cannot be.
    #[error("the events up to block {block} do not fit: {reason}")]
    Events {
        /// End of the range.
        block: u64,
        /// What does not fit.
        reason: CursorError,
    },
    /// The contract's counters are not those of its events.
    #[error(
        "at block {} the contract says {}, its events say {}: the node left events out; everything is read again",
        .0.block, .0.contract, .0.events
    )]
    Counters(Box<Mismatch>),
    /// The database.
    #[error(
        "the watcher's database failed ({0}); free disk space or restore the file, then restart"
    )]
    Storage(String),
    /// The sink refused.
    #[error("events up to block {block} were refused: {reason}")]
    Sink {
        /// End of the range, or the first block that was to be taken back.
        block: u64,
        /// Its reason.
        reason: SinkError,
    },
}

impl WatchError {
    /// Whether trying again later can help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Node(_) | Self::Turned)
    }

    /// How long the node asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Node(error) => error.retry_after(),
            _ => None,
        }
    }

    /// As it is reported.
    pub fn trouble(&self) -> Trouble {
        let (kind, next_step) = match self {
            Self::Node(error) => return error.trouble(),
            Self::Turned => (
                "turned",
                "wait: the chain was reorganised while it was read",
            ),
            Self::Events { .. }
            | Self::Counters(_)
            | Self::Sink {
                reason: SinkError::Missed(_),
                ..
            } => (
                "events_missing",
                "use another Ethereum node: this one leaves events out",
            ),
            Self::Storage(_) => (
                "storage",
                "free disk space or restore the file, then restart",
            ),
            Self::Sink { .. } => ("queue", "see the reason; it is tried again"),
        };
        Trouble {
            kind,
            reason: self.to_string(),
            next_step: next_step.into(),
        }
    }
}

/// Counters that differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// After this block.
    pub block: u64,
    /// As the contract says.
    pub contract: Cursor,
    /// As its events add up.
    pub events: Cursor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Checkpoint {
    hash: B256,
    cursor: Cursor,
}

/// Follows one contract.
#[derive(Debug)]
pub struct Watcher<S> {
    source: S,
    database: Arc<Database>,
    options: WatchOptions,
    range: Mutex<Range>,
}

/// Blocks asked for at a time, as learned from the node.
#[derive(Clone, Copy, Debug)]
struct Range {
    now: u64,
    most: u64,
    /// Ranges of this size that were answered.
    answered: u32,
}

/// Answered ranges after which a larger one is tried.
const GROW_AFTER: u32 = 64;

impl Range {
    fn new(most: u64) -> Self {
        let most = most.max(1);
        Self {
            now: most,
            most,
            answered: 0,
        }
    }

    /// A smaller one; false if there is none.
    fn shrink(&mut self) -> bool {
        let smaller = self.now.div_ceil(4);
        let shrunk = smaller < self.now;
        (self.now, self.answered) = (smaller, 0);
        shrunk
    }

    fn answered(&mut self) {
        self.answered += 1;
        if self.answered >= GROW_AFTER {
            (self.now, self.answered) = (self.now.saturating_mul(2).min(self.most), 0);
        }
    }
}

impl<S: Source> Watcher<S> {
    /// A watcher that goes on where `database` says. The database may hold the sink's tables, too.
    pub fn new(
        source: S,
        database: Arc<Database>,
        options: WatchOptions,
    ) -> Result<Self, WatchError> {
        let write = database.begin_write().map_err(storage)?;
        write.open_table(CHECKPOINTS).map_err(storage)?;
        write.commit().map_err(storage)?;
        Ok(Self {
            range: Mutex::new(Range::new(options.range)),
            source,
            database,
            options,
        })
    }

    /// Changes what was learned about ranges.
    fn learn<T>(&self, change: impl FnOnce(&mut Range) -> T) -> T {
        let mut range = self.range.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut range)
    }

    /// The node.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// The last block read and the counters after it.
    pub fn position(&self) -> Result<(Option<BlockRef>, Cursor), WatchError> {
        let checkpoints = self.checkpoints()?;
        Ok(match checkpoints.last_key_value() {
            Some((number, checkpoint)) => {
                let (number, hash) = (*number, checkpoint.hash);
                (Some(BlockRef { number, hash }), checkpoint.cursor)
            }
            None => (None, Cursor::default()),
        })
    }

    /// Reads up to the newest block that is deep enough; first goes back if the chain has turned.
    /// `seen` is told each block number reached.
    ///
    /// The counters that the events add up to are compared with the contract's own. When they differ,
    /// or events do not follow each other, the node has left some out, now or before: the sink is
    /// rolled back to the beginning, and the next call reads everything again. Only what left no trace
    /// in the contract can stay hidden: that a batch was proved before it was taken back.
    pub async fn sync(
        &self,
        sink: &mut impl Sink,
        seen: impl FnMut(u64) + Send,
    ) -> Result<Progress, WatchError> {
        let result = self.read(sink, seen).await;
        let missed = match &result {
            Err(WatchError::Events { .. } | WatchError::Counters(_)) => true,
            Err(WatchError::Sink { reason, .. }) => matches!(reason, SinkError::Missed(_)),
            _ => false,
        };
        if missed {
            self.roll_back(sink, None)?;
        }
        result
    }

    async fn read(
        &self,
        sink: &mut impl Sink,
        mut seen: impl FnMut(u64) + Send,
    ) -> Result<Progress, WatchError> {
        let head = self.source.head().await?;
        let rolled_back = self.turn_back(head, sink).await?;
        let (mut read, mut cursor) = self.position()?;
        let mut events = 0;
        let mut unverified = false;
        let target = head.checked_sub(self.options.confirmations);
        loop {
            let from = read.map_or(self.options.start, |block| block.number + 1);
            let Some(target) = target.filter(|target| *target >= from) else {
                break;
            };
            let range = self.learn(|range| range.now);
            let to = target.min(from.saturating_add(range - 1));
            let (block, found) = match self.range(read, from, to).await {
                Ok(found) => {
                    self.learn(Range::answered);
                    found
                }
                // Nodes limit the size of an answer, each in other words: smaller ranges help. Where it
                // cannot be told from a node that wants to be left alone, the next call asks for less.
                Err(WatchError::Node(error)) if error.request() == Some(LOGS) => {
                    let shrunk = self.learn(Range::shrink);
                    match error.meaning() {
                        Some(Meaning::TooLarge | Meaning::Unknown) if shrunk => continue,
                        _ => return Err(error.into()),
                    }
                }
                Err(other) => return Err(other),
            };
            for event in &found {
                cursor
                    .advance(&event.event)
                    .map_err(|reason| WatchError::Events { block: to, reason })?;
            }
            if to == target {
                unverified = !self.compare(block, cursor).await?;
            }
            self.commit(sink, block, &found, cursor)?;
            events += found.len();
            read = Some(block);
            seen(to);
        }
        Ok(Progress {
            head,
            read,
            rolled_back,
            events,
            cursor,
            unverified,
        })
    }

    /// Whether the comparison was possible; an error if it failed.
    async fn compare(&self, block: BlockRef, events: Cursor) -> Result<bool, WatchError> {
        let contract = self.source.counters(block, events.queue_length).await?;
        match contract {
            Some(contract) if contract != events => {
                // The node may have answered for another chain in the meantime.
                let now = self.source.block(block.number).await?;
                if now != Some(block) {
                    return Err(WatchError::Turned);
                }
                Err(WatchError::Counters(Box::new(Mismatch {
                    block: block.number,
                    contract,
                    events,
                })))
            }
            found => Ok(found.is_some()),
        }
    }

    /// The events of a range, and its last block. Blocks around it are looked at again after the
    /// events: a node, or several behind one address, may have changed its mind in between.
    async fn range(
        &self,
        before: Option<BlockRef>,
        from: u64,
        to: u64,
    ) -> Result<(BlockRef, Vec<Located>), WatchError> {
        let end = self.source.block(to).await?.ok_or(WatchError::Turned)?;
        let events = self.source.events(from, to).await?;
        let mut expected: BTreeMap<u64, B256> = [(to, end.hash)].into();
        expected.extend(before.map(|block| (block.number, block.hash)));
        for event in &events {
            let block = event.block;
            if !(from..=to).contains(&block.number)
                || *expected.entry(block.number).or_insert(block.hash) != block.hash
            {
                return Err(WatchError::Turned);
            }
        }
        for (number, hash) in expected {
            if self.source.block(number).await?.map(|block| block.hash) != Some(hash) {
                return Err(WatchError::Turned);
            }
        }
        Ok((end, events))
    }

    fn commit(
        &self,
        sink: &mut impl Sink,
        to: BlockRef,
        events: &[Located],
        cursor: Cursor,
    ) -> Result<(), WatchError> {
        let write = self.database.begin_write().map_err(storage)?;
        sink.apply(&write, to, events)
            .map_err(|reason| WatchError::Sink {
                block: to.number,
                reason,
            })?;
        {
            let mut table = write.open_table(CHECKPOINTS).map_err(storage)?;
            let hash = to.hash;
            let bytes = serde_json::to_vec(&Checkpoint { hash, cursor }).map_err(storage)?;
            table.insert(to.number, bytes.as_slice()).map_err(storage)?;
            let oldest = to.number.saturating_sub(self.options.keep);
            table.retain_in(..oldest, |_, _| false).map_err(storage)?;
        }
        write.commit().map_err(storage)
    }

    /// Finds the newest checkpoint that is still part of the chain and rolls the sink back to it. A
    /// node that has not seen the newest checkpoints yet is behind, and no reason to turn back.
    async fn turn_back(&self, head: u64, sink: &mut impl Sink) -> Result<Option<u64>, WatchError> {
        let checkpoints = self.checkpoints()?;
        let mut ancestor = None;
        let mut turned = false;
        for (number, checkpoint) in checkpoints.range(..=head).rev() {
            let block = self.source.block(*number).await?;
            if block.is_some_and(|block| block.hash == checkpoint.hash) {
                ancestor = Some((*number, checkpoint.cursor));
                break;
            }
            turned = true;
        }
        if !turned {
            return Ok(None);
        }
        self.roll_back(sink, ancestor).map(Some)
    }

    /// Rolls the sink back to a checkpoint, or to the beginning, and forgets those after it. Returns
    /// the first block taken back.
    fn roll_back(
        &self,
        sink: &mut impl Sink,
        ancestor: Option<(u64, Cursor)>,
    ) -> Result<u64, WatchError> {
        let (from, cursor) =
            ancestor.map_or((self.options.start, Cursor::default()), |a| (a.0 + 1, a.1));
        let write = self.database.begin_write().map_err(storage)?;
        sink.rollback(&write, from, &cursor)
            .map_err(|reason| WatchError::Sink {
                block: from,
                reason,
            })?;
        {
            let mut table = write.open_table(CHECKPOINTS).map_err(storage)?;
            table.retain_in(from.., |_, _| false).map_err(storage)?;
        }
        write.commit().map_err(storage)?;
        Ok(from)
    }

    fn checkpoints(&self) -> Result<BTreeMap<u64, Checkpoint>, WatchError> {
        let read = self.database.begin_read().map_err(storage)?;
        let table = read.open_table(CHECKPOINTS).map_err(storage)?;
        let mut checkpoints = BTreeMap::new();
        for item in table.iter().map_err(storage)? {
            let (number, bytes) = item.map_err(storage)?;
            let checkpoint = serde_json::from_slice(bytes.value()).map_err(storage)?;
            checkpoints.insert(number.value(), checkpoint);
        }
        Ok(checkpoints)
    }
}

fn storage(error: impl std::fmt::Display) -> WatchError {
    WatchError::Storage(error.to_string())
}
