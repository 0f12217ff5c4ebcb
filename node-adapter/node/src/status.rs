//! What a node knows of itself: how far its batches are, what it waits for, what keeps it from its
//! work. Answered from memory, so that asking costs Ethereum and the writer nothing.
//!
//! Read by `rpc` (and so by `carillon-node status`), `metrics` and `probe`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::feed::Feeds;
use super::in_flight::Proving;
use super::local_prover::HOLDER;
use super::ports::Line;
use super::rollup::Rollup;
use super::writer::{Progress, Writer};
use carillon_prover_api::{JobBoard, JobStatus};
use carillon_serving::{Connections, Counts, Unready};
use carillon_settlement::{L1Reporter, L1Status, PartStatus};

/// A chain on which no block appears for so long is slow, or its node is.
const NO_BLOCK: Duration = Duration::from_secs(30);
/// A part of Ethereum that fails for so long, in milliseconds, keeps the node from its work.
const FAILING: u64 = 60_000;
/// So does a chain on which no block appears for so long, where blocks are waited for.
const STILL: Duration = Duration::from_secs(300);

/// How far batches are, as the driver sees them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reached {
    /// The last batch up to which all are proved.
    pub proved: u64,
    /// The last batch up to which all are executed on Ethereum.
    pub settled: u64,
    /// The last batch up to which all are final.
    #[serde(rename = "final")]
    pub finalized: u64,
}

/// What the driver remembers for others.
#[derive(Debug)]
struct Seen {
    reached: Reached,
    head: Option<(u64, Instant)>,
    failure: Option<String>,
    /// What was being proved when the board was last asked without waiting.
    proving: Proving,
}

/// Where a node's parts tell how they are.
#[derive(Debug)]
pub struct NodeStatus {
    writer: Writer<Rollup>,
    board: Option<Arc<JobBoard>>,
    places: Option<usize>,
    l1: Option<L1Reporter>,
    settles: bool,
    feeds: Arc<Feeds>,
    rpc: Arc<Connections>,
    api: Option<Arc<Connections>>,
    seen: Mutex<Seen>,
}

/// Something that the node waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wait {
    /// `seal`, `proof`, `settlement`, `queue`, `lane` or `feed`.
    pub part: &'static str,
    /// In words.
    pub reason: String,
}

/// How a node's L1 side is known.
pub struct Parts {
    /// The writer.
    pub writer: Writer<Rollup>,
    /// Jobs and proofs, if batches are proved.
    pub board: Option<Arc<JobBoard>>,
    /// Proofs that the prover in this process has under way at most, if there is one.
    pub places: Option<usize>,
    /// How the node stands with Ethereum, if it is connected.
    pub l1: Option<L1Reporter>,
    /// Whether batches are settled.
    pub settles: bool,
    /// The feeds of other chains.
    pub feeds: Arc<Feeds>,
    /// The users' connections.
    pub rpc: Arc<Connections>,
    /// The provers' connections.
    pub api: Option<Arc<Connections>>,
}

impl NodeStatus {
    /// A node that begins.
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            writer: parts.writer,
            board: parts.board,
            places: parts.places,
            l1: parts.l1,
            settles: parts.settles,
            feeds: parts.feeds,
            rpc: parts.rpc,
            api: parts.api,
            seen: Mutex::new(Seen {
                reached: Reached::default(),
                head: None,
                failure: None,
                proving: Proving {
                    places: parts.places,
                    ..Proving::default()
                },
            }),
        })
    }

    /// The driver's view of batches. It comes twice a second at least: a good time to see whether
    /// Ethereum has a new block.
    pub(super) fn reach(&self, reached: Reached) {
        self.seen().reached = reached;
        drop(self.l1());
    }

    /// The driver has stopped.
    pub(super) fn fail(&self, reason: String) {
        self.seen().failure.get_or_insert(reason);
    }

    /// A poisoned lock guards plain values.
    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far batches are.
    pub fn reached(&self) -> Reached {
        self.seen().reached
    }

    /// Where the writer is.
    pub fn progress(&self) -> Progress {
        self.writer.progress().borrow().clone()
    }

    /// How the node stands with Ethereum; also looks whether blocks appear there.
    pub fn l1(&self) -> Option<L1Status> {
        let status = self.l1.as_ref()?.status();
        if let Some(head) = status.head {
            let mut seen = self.seen();
            if seen.head.is_none_or(|(known, _)| known != head) {
                seen.head = Some((head, Instant::now()));
            }
        }
        Some(status)
    }

    /// How long the newest block of Ethereum has been the newest one.
    pub fn head_age(&self) -> Option<Duration> {
        self.seen().head.map(|(_, since)| since.elapsed())
    }

    /// Jobs of the board.
    pub fn jobs(&self) -> Vec<JobStatus> {
        self.board
            .as_ref()
            .map(|board| board.status())
            .unwrap_or_default()
    }

    /// What is being proved, if batches are proved.
    pub fn proving(&self) -> Option<Proving> {
        let board = self.board.as_ref()?;
        // Everybody may ask, at any rate: nobody waits here for the board's disk.
        let mut seen = self.seen();
        if let Some(jobs) = board.status_now() {
            seen.proving = Proving::of(jobs, self.places);
        }
        Some(seen.proving.clone())
    }

    /// Connections of users and of provers.
    pub fn connections(&self) -> (Counts, Option<Counts>) {
        let api = self.api.as_ref().map(|api| api.counts());
        (self.rpc.counts(), api)
    }

    /// What is waited for in the L1 queue.
    pub fn queue_wait(&self) -> Option<String> {
        if let Some(stuck) = self.progress().stuck.remove(&Line::Queue) {
            return Some(stuck);
        }
        let l1 = self.l1()?;
        let age = self.head_age().filter(|age| *age >= NO_BLOCK);
        let silent = age.map(|age| format!("no new block for {} s", age.as_secs()));
        let parts = [troubled(&l1.queue), l1.queue.waiting_for, silent];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    /// The feeds of other chains, and what each waits for.
    pub fn feeds(&self) -> std::collections::BTreeMap<u64, Option<String>> {
        self.feeds.states()
    }

    /// All that the node waits for, in the order of a batch's way.
    pub fn waits(&self) -> Vec<Wait> {
        let (progress, reached) = (self.progress(), self.reached());
        let mut waits = Vec::new();
        let mut wait = |part, reason: String| waits.push(Wait { part, reason });
        if let Some(reason) = self.queue_wait() {
            wait("queue", reason);
        }
        for (line, reason) in &progress.stuck {
            if *line != Line::Queue {
                wait("lane", reason.clone());
            }
        }
        for (chain, reason) in self.feeds.states() {
            if let Some(reason) = reason {
                wait(
                    "feed",
                    format!("chain {chain} is not believed now: {reason}"),
                );
            }
        }
        for (chain, unsettled) in &progress.unsettled {
            let (first, last) = (unsettled.first, unsettled.next - 1);
            wait(
                "lane",
                format!(
                    "chain {chain} has not settled entries {first} to {last} of its lane, which were taken on its word: what stands behind them is conditional, and no batch with them is settled before chain {chain} has; if it does not, they are taken back"
                ),
            );
        }
        if progress.open > 0 {
            let (open, next) = (progress.open, progress.batch + 1);
            wait(
                "seal",
                format!("{open} operations until batch {next} is full or old enough"),
            );
        }
        if reached.proved < progress.batch {
            wait("proof", self.proof_wait(reached.proved + 1));
        }
        if self.settles && reached.settled < reached.proved {
            let batch = reached.settled + 1;
            let settlement = self.l1().map(|l1| l1.settlement).unwrap_or_default();
            let reason = troubled(&settlement).or(settlement.waiting_for);
            let reason = reason.unwrap_or_else(|| "its transaction is under way".to_owned());
            wait(
                "settlement",
                format!("batch {batch} is proved and not settled: {reason}"),
            );
        } else if self.settles && reached.finalized < reached.settled {
            let (batch, depth) = (reached.finalized + 1, self.l1().map(|l1| l1.confirmations));
            let depth = depth.unwrap_or_default();
            wait(
                "settlement",
                format!(
                    "batch {batch} is settled and not yet {} deep",
                    blocks(depth)
                ),
            );
        }
        waits
    }

    /// Why only a restart helps, if that is so.
    pub(super) fn failure(&self) -> Option<String> {
        let driver = || self.seen().failure.clone();
        self.writer.failure().map(str::to_owned).or_else(driver)
    }

    /// All that keeps the node from its work now.
    pub(super) fn unready(&self) -> Vec<Unready> {
        self.unready_at(super::writer::now())
    }

    /// All that keeps the node from its work at a time.
    fn unready_at(&self, now: u64) -> Vec<Unready> {
        let mut reasons = Vec::new();
        if let Some(reason) = self.failure() {
            let code = "failed";
            reasons.push(Unready { code, reason });
        }
        // A lane that is stuck keeps nobody else from going on; it is among what is waited for.
        if let Some(reason) = self.progress().stuck.remove(&Line::Queue) {
            let code = "entry";
            reasons.push(Unready { code, reason });
        }
        let Some(l1) = self.l1() else {
            return reasons;
        };
        for (code, part) in [("queue", &l1.queue), ("settlement", &l1.settlement)] {
            let long = |since: &u64| now.saturating_sub(*since) >= FAILING;
            let stuck = part.failing_since.as_ref().is_some_and(long);
            if let Some(reason) = troubled(part).filter(|_| stuck) {
                reasons.push(Unready { code, reason });
            }
        }
        let age = self.head_age().unwrap_or_default();
        if l1.confirmations > 0 && age >= STILL {
            let (code, age) = ("blocks", age.as_secs());
            let reason = format!(
                "Ethereum has had no new block for {age} s, and nothing counts without {} on top of it; look after the Ethereum node",
                blocks(l1.confirmations)
            );
            reasons.push(Unready { code, reason });
        }
        reasons
    }

    fn proof_wait(&self, batch: u64) -> String {
        if self.board.is_none() {
            return format!(
                "batch {batch} is sealed and nobody can prove it: run with --engine, or with --prover-api and a prover"
            );
        }
        let job = self.jobs().into_iter().find(|job| job.job == batch);
        proof_words(batch, job)
    }
}

/// What a batch waits for that is not proved: for whoever has its job, or for anyone to take it.
fn proof_words(batch: u64, job: Option<JobStatus>) -> String {
    match job {
        Some(JobStatus {
            state: "leased",
            holder: Some(holder),
            ..
        }) => match holder == HOLDER {
            true => format!("batch {batch} is being proved in this process"),
            false => format!("batch {batch} is being proved by {holder}"),
        },
        Some(JobStatus { failures, .. }) if failures > 0 => {
            let leases = match failures {
                1 => "one lease".to_owned(),
                failures => format!("{failures} leases"),
            };
            format!("batch {batch} waits for a prover; {leases} ended without a proof")
        }
        _ => format!("batch {batch} waits for a prover"),
    }
}

/// So many blocks, in words.
pub(super) fn blocks(count: u64) -> String {
    match count {
        1 => "1 block".to_owned(),
        count => format!("{count} blocks"),
    }
}

/// What is wrong with a part of Ethereum, if something is.
fn troubled(part: &PartStatus) -> Option<String> {
    let failure = part.last_failure.as_ref()?;
    part.failing_since?;
    let (reason, next) = (&failure.reason, &failure.next_step);
    let times = match failure.times {
        1 => "once".to_owned(),
        times => format!("{times} times"),
    };
    Some(format!("{reason} ({times}); {next}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RollupOptions, Store, WriterOptions};
    use carillon_protocol::crypto::schnorr::SecretKey;
    use carillon_prover_api::KeyHash;
    use carillon_serving::Limits;
    use carillon_settlement::{L1Part, Trouble};

    #[test]
    fn one_of_something_is_said_as_one() {
        assert_eq!([blocks(1), blocks(32)], ["1 block", "32 blocks"]);
        let job = |state, holder: Option<&str>, failures| JobStatus {
            job: 7,
            vk_hash: KeyHash([0; 32]),
            state,
            holder: holder.map(str::to_owned),
            generation: 1,
            failures,
        };
        for (job, words) in [
            (
                job("leased", Some(HOLDER), 0),
                "is being proved in this process",
            ),
            (
                job("leased", Some("rack/one"), 2),
                "is being proved by rack/one",
            ),
            (job("open", None, 0), "waits for a prover"),
            (
                job("open", None, 1),
                "waits for a prover; one lease ended without a proof",
            ),
            (
                job("open", None, 2),
                "waits for a prover; 2 leases ended without a proof",
            ),
        ] {
            assert_eq!(proof_words(7, Some(job)), format!("batch 7 {words}"));
        }
    }

    #[test]
    fn what_is_waited_for_is_said_and_what_lasts_makes_unready() {
        let folder = tempfile::tempdir().unwrap();
        let options = RollupOptions::new(270, 0, 4, 4, 4, 2).unwrap();
        let store = Arc::new(Store::open(folder.path(), &options.mark()).unwrap());
        let key = SecretKey::from_seed(&[1; 32]);
        let writer = WriterOptions::new(270);
        let (writer, _) = Writer::start(Rollup::new(&options), store, key, writer).unwrap();
        let l1 = L1Reporter::default();
        let status = NodeStatus::new(Parts {
            writer,
            board: None,
            places: None,
            l1: Some(l1.clone()),
            settles: true,
            feeds: Arc::default(),
            rpc: Connections::new(Limits::default()),
            api: None,
        });
        assert_eq!((status.waits(), status.unready()), (Vec::new(), Vec::new()));

        l1.reads(12, None, 32);
        l1.waits(L1Part::Queue, Some("block 12 of 32 confirmations".into()));
        let wait = || status.queue_wait().unwrap();
        assert_eq!(wait(), "block 12 of 32 confirmations");
        let long_ago = Instant::now().checked_sub(Duration::from_secs(40)).unwrap();
        status.seen().head = Some((12, long_ago));
        assert!(wait().ends_with("; no new block for 40 s"), "{}", wait());
        assert_eq!(status.unready(), []);
        let long_ago = Instant::now()
            .checked_sub(Duration::from_secs(400))
            .unwrap();
        status.seen().head = Some((12, long_ago));
        assert_eq!(status.unready()[0].code, "blocks");
        // A new block is seen when somebody looks.
        l1.reads(13, None, 32);
        assert_eq!(status.unready(), []);

        let trouble = Trouble {
            kind: "funds",
            reason: "the operator has 3 wei".into(),
            next_step: "top it up".into(),
        };
        l1.failed(L1Part::Settlement, trouble, Duration::from_secs(12));
        status.reach(Reached {
            proved: 2,
            settled: 1,
            finalized: 0,
        });
        let waits = status.waits();
        let last = waits.last().unwrap();
        assert_eq!(last.part, "settlement");
        let words = "batch 2 is proved and not settled: the operator has 3 wei (once); top it up";
        assert_eq!(last.reason, words);
        let now = crate::writer::now();
        assert_eq!(status.unready_at(now), []);
        let later = status.unready_at(now + FAILING + 5_000);
        assert_eq!((later.len(), later[0].code), (1, "settlement"));
        l1.worked(L1Part::Settlement);
        assert_eq!(status.unready_at(now + FAILING), []);

        // Every figure is there, and the last failure stays to be seen.
        let text = crate::metrics::text(&status);
        assert!(
            text.contains("carillon_batch{reached=\"settled\"} 1"),
            "{text}"
        );
        assert!(
            text.contains("carillon_l1_failures_in_a_row{part=\"settlement\"} 0"),
            "{text}"
        );
        let failed = text.lines().find(|line| {
            line.starts_with("carillon_l1_last_failure_timestamp_seconds{part=\"settlement\"}")
        });
        assert!(!failed.unwrap().ends_with(" 0"), "{text}");
    }
}
