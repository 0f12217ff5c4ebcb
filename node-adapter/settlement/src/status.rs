//! What stands between a node and Ethereum now: the last failure of each part, when it is tried again,
//! and what is waited for.
//!
//! Written by whoever speaks with L1 (the sender's task, the settler, the queue's reader), read from
//! memory by RPC, `status`, metrics and logs. No I/O besides log lines.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tokio::sync::watch;

/// A failure that goes on is logged again after this time, not at each retry.
const LOG_AGAIN: Duration = Duration::from_secs(60);

/// The parts of a node that speak with Ethereum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum L1Part {
    /// Reading the chain's queue.
    Queue,
    /// Settling batches: archive, transactions, checks of what was settled.
    Settlement,
}

impl L1Part {
    /// Its name in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Settlement => "settlement",
        }
    }
}

/// Something that went wrong. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct L1Failure {
    /// A short name for programs, like `funds`, `refused` or `rate_limited`.
    pub kind: &'static str,
    /// What happened.
    pub reason: String,
    /// What the operator can do.
    pub next_step: String,
    /// When it happened last.
    pub at: u64,
    /// How often in a row.
    pub times: u64,
}

/// How one part stands. Times are milliseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PartStatus {
    /// The last failure; it stays after things went well again, see `failing_since`.
    pub last_failure: Option<L1Failure>,
    /// Since when nothing has gone well; none while all is well.
    pub failing_since: Option<u64>,
    /// When it is tried again; none while all is well.
    pub next_retry: Option<u64>,
    /// When it worked last.
    pub last_success: Option<u64>,
    /// What is waited for, in words; none if nothing is.
    pub waiting_for: Option<String>,
}

/// How a node stands with Ethereum.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct L1Status {
    /// Reading the queue.
    pub queue: PartStatus,
    /// Settling.
    pub settlement: PartStatus,
    /// The newest block that the queue's reader has heard of.
    pub head: Option<u64>,
    /// The last block whose events were read.
    pub read: Option<u64>,
    /// Blocks on top of one until it is read.
    pub confirmations: u64,
}

impl L1Status {
    /// One part.
    pub fn part(&self, part: L1Part) -> &PartStatus {
        match part {
            L1Part::Queue => &self.queue,
            L1Part::Settlement => &self.settlement,
        }
    }

    fn part_mut(&mut self, part: L1Part) -> &mut PartStatus {
        match part {
            L1Part::Queue => &mut self.queue,
            L1Part::Settlement => &mut self.settlement,
        }
    }
}

/// A failure as it is reported: [`L1Failure`] without the counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// A short name for programs.
    pub kind: &'static str,
    /// What happened.
    pub reason: String,
    /// What the operator can do.
    pub next_step: String,
}

/// Writes and reads one [`L1Status`]; clones share it.
#[derive(Clone, Debug)]
pub struct L1Reporter {
    status: Arc<watch::Sender<L1Status>>,
}

impl Default for L1Reporter {
    fn default() -> Self {
        Self {
            status: Arc::new(watch::Sender::new(L1Status::default())),
        }
    }
}

impl L1Reporter {
    /// The status now.
    pub fn status(&self) -> L1Status {
        self.status.borrow().clone()
    }

    /// Told at each change.
    pub fn subscribe(&self) -> watch::Receiver<L1Status> {
        self.status.subscribe()
    }

    /// Something went wrong and is tried again after `retry`. Logged as a warning when it is new, and
    /// once a minute while it goes on.
    pub fn failed(&self, part: L1Part, trouble: Trouble, retry: Duration) {
        let now = now();
        let mut log = true;
        let mut times = 1;
        self.status.send_modify(|status| {
            let part = status.part_mut(part);
            if let (Some(last), Some(_)) = (&part.last_failure, part.failing_since) {
                times = last.times.saturating_add(1);
                let again = LOG_AGAIN.as_millis() as u64;
                let since = part.failing_since.unwrap_or(now);
                log = last.kind != trouble.kind
                    || (now.saturating_sub(since)) / again
                        != (last.at.saturating_sub(since)) / again;
            }
            part.last_failure = Some(L1Failure {
                kind: trouble.kind,
                reason: trouble.reason.clone(),
                next_step: trouble.next_step.clone(),
                at: now,
                times,
            });
            part.failing_since.get_or_insert(now);
            part.next_retry = Some(now.saturating_add(retry.as_millis() as u64));
        });
        if log {
            let Trouble {
                kind,
                reason,
                next_step,
            } = trouble;
            let (part, retry_s) = (part.name(), retry.as_secs());
            tracing::warn!(part, kind, reason, next_step, times, retry_s, "Ethereum");
        }
    }

    /// It worked.
    pub fn worked(&self, part: L1Part) {
        let now = now();
        let mut since = None;
        self.status.send_modify(|status| {
            let part = status.part_mut(part);
            since = part.failing_since.take();
            part.next_retry = None;
            part.last_success = Some(now);
        });
        if let Some(since) = since {
            let after_s = now.saturating_sub(since) / 1000;
            tracing::info!(part = part.name(), after_s, "Ethereum: works again");
        }
    }

    /// What is waited for although nothing is wrong.
    pub fn waits(&self, part: L1Part, what: Option<String>) {
        self.status.send_if_modified(|status| {
            let part = status.part_mut(part);
            let changed = part.waiting_for != what;
            part.waiting_for = what;
            changed
        });
    }

    /// How far the queue's reader is.
    pub fn reads(&self, head: u64, read: Option<u64>, confirmations: u64) {
        self.status.send_if_modified(|status| {
            let changed = (status.head, status.read, status.confirmations)
                != (Some(head), read, confirmations);
            status.head = Some(head);
            status.read = read;
            status.confirmations = confirmations;
            changed
        });
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_counted_until_it_works_again() {
        let reporter = L1Reporter::default();
        let trouble = |kind| Trouble {
            kind,
            reason: "no".into(),
            next_step: "wait".into(),
        };
        for kind in ["funds", "funds", "down"] {
            reporter.failed(L1Part::Settlement, trouble(kind), Duration::from_secs(12));
        }
        let part = reporter.status().settlement;
        let failure = part.last_failure.unwrap();
        assert_eq!((failure.kind, failure.times), ("down", 3));
        assert!(part.failing_since.unwrap() <= failure.at);
        assert_eq!(part.next_retry, Some(failure.at + 12_000));
        assert_eq!(reporter.status().queue, PartStatus::default());

        reporter.worked(L1Part::Settlement);
        let part = reporter.status().settlement;
        assert_eq!((part.failing_since, part.next_retry), (None, None));
        assert!(part.last_failure.is_some() && part.last_success.is_some());
        // A new failure begins to count anew.
        reporter.failed(L1Part::Settlement, trouble("down"), Duration::ZERO);
        let failure = reporter.status().settlement.last_failure.unwrap();
        assert_eq!(failure.times, 1);
    }
}
