//! The L1 queue and the lanes from other chains as the node may use them: read from L1 when their time
//! has come, handed out from disk in between. Uses `carillon_settlement::watch`.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use alloy::primitives::Address;
use async_trait::async_trait;
use tokio::sync::{Mutex, MutexGuard};

use super::super::feed::take;
use super::super::ports::{L1Inbox, LaneEntries, PortError, QueueEntry};
use super::super::status::blocks;
use carillon_settlement::sender::Policy;
use carillon_settlement::watch::{
    Arrival, Arrivals, ArrivalsError, NodeSource, Queue, QueueError, Watcher,
};
use carillon_settlement::{Backoff, L1Part, L1Reporter, jittered};

const DAY: u64 = 24 * 60 * 60;
/// Older entries are not taken: anyone may send them back after 7 days (`LaneBook.BOUNCE_AFTER`), and a
/// batch with them takes its time to be sealed, proved and settled, over a pause if need be.
const TAKEN_WITHIN: u64 = 4 * DAY;

/// Queue and lanes. L1 is read when its time has come; in between, what is on disk is handed out.
pub(super) struct Inbox {
    reader: Mutex<Reader>,
    poll: Duration,
    confirmations: u64,
    status: L1Reporter,
}

struct Reader {
    watcher: Watcher<NodeSource>,
    queue: Queue,
    arrivals: Arrivals,
    /// Slots of tokens on this chain, as far as they were asked for.
    slots: HashMap<Address, u8>,
    /// The next look at L1.
    next: Instant,
    backoff: Backoff,
    /// Whether it was told that events are not compared with the contract.
    unverified: bool,
}

impl Inbox {
    /// Reads with `watcher` into `queue` and `arrivals`, between two looks as the sender's settings say.
    pub(super) fn new(
        watcher: Watcher<NodeSource>,
        (queue, arrivals): (Queue, Arrivals),
        confirmations: u64,
        policy: &Policy,
        status: L1Reporter,
    ) -> Self {
        Self {
            reader: Mutex::new(Reader {
                watcher,
                queue,
                arrivals,
                slots: HashMap::new(),
                next: Instant::now(),
                backoff: Backoff::new(policy.retry_after),
                unverified: false,
            }),
            poll: policy.poll,
            confirmations,
            status,
        }
    }

    /// Reads what is new on L1.
    async fn read(&self, reader: &mut Reader) -> Result<(), PortError> {
        let mut sink = (reader.queue.clone(), reader.arrivals.clone());
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
        self.status.waits(
            L1Part::Queue,
            open.then(|| {
                let (head, wanted) = (progress.head, blocks(self.confirmations));
                let read = read.map_or("none yet".into(), |read| format!("up to {read}"));
                format!(
                    "{wanted} on top of a deposit's: blocks are read {read}, the newest is {head}"
                )
            }),
        );
        if progress.unverified && !reader.unverified {
            tracing::warn!(
                "the Ethereum node does not keep states: events are not compared with the contract's counters"
            );
        }
        reader.unverified = progress.unverified;
        Ok(())
    }

    /// What is on disk, after a look at L1 if its time has come.
    async fn reader(&self) -> Result<MutexGuard<'_, Reader>, PortError> {
        let mut reader = self.reader.lock().await;
        if Instant::now() >= reader.next {
            self.read(&mut reader).await?;
        }
        Ok(reader)
    }

    /// Why nothing is handed out, if it is nothing that contradicts the node.
    fn held_back(&self, error: &dyn std::fmt::Display) -> PortError {
        // Rolled back: told when it happened, read again when the time has come.
        if self.status.status().queue.failing_since.is_some() {
            return PortError::Later;
        }
        PortError::Unreachable(error.to_string())
    }
}

impl Reader {
    /// The take that executes an entry on this chain, or why there can be none now; `now` is L1's time.
    async fn take(&mut self, arrival: Arrival, now: u64) -> Result<QueueEntry, String> {
        let index = arrival.index;
        if now >= arrival.time.saturating_add(TAKEN_WITHIN) {
            return Err(format!(
                "entry {index} was sent more than {} days ago and may go back before a batch with it is executed; it waits until somebody sends it back (`bounce`)",
                TAKEN_WITHIN / DAY
            ));
        }
        let token = arrival.entry.token;
        let slot = match self.slots.get(&token) {
            Some(slot) => *slot,
            None => {
                let found = self.watcher.source().token_slot(token).await;
                let found = found.map_err(|error| error.to_string())?;
                let found = found.ok_or_else(|| {
                    format!("entry {index} is of a token {token} that the bridge does not list for this chain")
                })?;
                *self.slots.entry(token).or_insert(found)
            }
        };
        Ok(take(arrival.from, index, &arrival.entry, slot))
    }
}

#[async_trait]
impl L1Inbox for Inbox {
    async fn entries(&self, from: u64, most: usize) -> Result<Vec<QueueEntry>, PortError> {
        let reader = self.reader().await?;
        let entries = match reader.queue.entries(from, most) {
            Ok(entries) => entries,
            Err(error @ QueueError::Exchanged { .. }) => {
                return Err(PortError::contradiction(&error));
            }
            Err(other) => return Err(self.held_back(&other)),
        };
        Ok(entries
            .into_iter()
            .map(|entry| QueueEntry {
                index: entry.index,
                words: entry.words.map(|word| word.to_be_bytes()),
            })
            .collect())
    }

    async fn arrivals(
        &self,
        taken: &BTreeMap<u64, u64>,
        most: usize,
    ) -> Result<LaneEntries, PortError> {
        let mut reader = self.reader().await?;
        let waiting = match reader.arrivals.entries(taken, most) {
            Ok(waiting) => waiting,
            Err(error @ (ArrivalsError::Exchanged { .. } | ArrivalsError::WentBack { .. })) => {
                return Err(PortError::contradiction(&error));
            }
            Err(other) => return Err(self.held_back(&other)),
        };
        let mut lanes = LaneEntries {
            entries: Vec::with_capacity(waiting.entries.len()),
            held: waiting.held,
        };
        if waiting.entries.is_empty() {
            return Ok(lanes);
        }
        let now = reader.watcher.source().time().await;
        let now = now.map_err(|error| PortError::Unreachable(error.to_string()))?;
        for arrival in waiting.entries {
            let from = arrival.from;
            if lanes.held.contains_key(&from) {
                continue;
            }
            match reader.take(arrival, now).await {
                Ok(entry) => lanes.entries.push(entry),
                Err(reason) => {
                    lanes.held.insert(from, reason);
                }
            }
        }
        Ok(lanes)
    }
}
