//! The L1 queue as the node may use it: read from L1 when its time has come, handed out from disk in
//! between. Uses `carillon_settlement::watch`.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::super::ports::{L1Inbox, PortError, QueueEntry};
use super::super::status::blocks;
use carillon_settlement::sender::Policy;
use carillon_settlement::watch::{NodeSource, Queue, QueueError, Watcher};
use carillon_settlement::{Backoff, L1Part, L1Reporter, jittered};

/// The queue. L1 is read when its time has come; in between, what is on disk is handed out.
pub(super) struct Inbox {
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
    /// Reads with `watcher` into `queue`, between two looks as the sender's settings say.
    pub(super) fn new(
        watcher: Watcher<NodeSource>,
        queue: Queue,
        confirmations: u64,
        policy: &Policy,
        status: L1Reporter,
    ) -> Self {
        Self {
            reader: Mutex::new(Reader {
                watcher,
                queue,
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
            Err(error @ QueueError::Exchanged { .. }) => {
                return Err(PortError::contradiction(&error));
            }
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
