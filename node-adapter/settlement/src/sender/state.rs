//! What the sender holds, and how it changes: every record goes to disk first, and whoever asks sees
//! where an entry stands. Used by every step: `look`, `funds`, `plan`, `broadcast` and `run`.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use alloy::primitives::Address;
use alloy::signers::local::PrivateKeySigner;

use super::decide::{Pool, Watch};
use super::entry::{BlockRef, Entry, Place, Record};
use super::error::SenderError;
use super::event::{Event, News, Policy, Status};
use super::fault::{CrashPoint, Faults, NoFaults, Step};
use super::journal::{Journal, JournalError};
use super::port::{Outcome, Port};
use super::sign::Sidecar;
use crate::{L1Part, L1Reporter, Refusal, jittered};

/// Doublings of `retry_after` while the contract refuses.
const DOUBLINGS: u32 = 6;

/// Sends intents with one key, in their order. One value owns journal and key.
#[derive(Debug)]
pub struct Sender<P, O, F = NoFaults> {
    pub(super) port: P,
    pub(super) outcome: O,
    pub(super) faults: F,
    pub(super) signer: PrivateKeySigner,
    pub(super) journal: Journal,
    pub(super) policy: Policy,
    pub(super) chain_id: u64,
    pub(super) entries: BTreeMap<u64, Tracked>,
    pub(super) next_number: u64,
    pub(super) events: Vec<Event>,
    /// The newest block of the last look that went through.
    pub(super) seen: Option<BlockRef>,
    /// Transactions mined from our address, as last read.
    pub(super) nonce: Option<u64>,
    /// Where open intents stand, for whoever asks while the sender works.
    pub(super) board: Board,
    pub(super) reporter: L1Reporter,
}

/// Where open intents stand.
pub(super) type Board = Arc<RwLock<BTreeMap<String, Status>>>;

/// An open entry and what is not in the journal.
#[derive(Debug)]
pub(super) struct Tracked {
    pub entry: Entry,
    pub next_step: u32,
    pub watch: Watch,
    pub sidecar: Option<Sidecar>,
    /// Why the contract refuses the call, and how often in a row.
    pub refusal: Option<(Refusal, u32)>,
    /// Whether the call cannot succeed as things are.
    pub doomed: bool,
}

impl Tracked {
    /// An entry as the journal has it, of which nothing is known beside.
    pub(super) fn new(entry: Entry, next_step: u32) -> Self {
        Self {
            entry,
            next_step,
            watch: Watch::default(),
            sidecar: None,
            refusal: None,
            doomed: false,
        }
    }

    /// Where the entry stands, for whoever asks.
    pub(super) fn status(&self) -> Status {
        let entry = &self.entry;
        match entry.place() {
            Place::Mined { hash, block } => Status::InEffect(Some(hash), block),
            Place::Taken(block) => Status::InEffect(None, block),
            _ => match (entry.current().zip(entry.newest()), &self.refusal) {
                (Some((attempt, newest)), _) => Status::Sent {
                    nonce: attempt.nonce,
                    transaction: newest.hash,
                },
                (None, Some((reason, times))) => Status::Refused {
                    reason: reason.clone(),
                    times: *times,
                },
                (None, None) => Status::Waiting,
            },
        }
    }
}

/// What a step leaves to do for an entry.
pub(super) enum Then {
    Again,
    Wait(Duration),
}

impl<P: Port, O: Outcome, F: Faults> Sender<P, O, F> {
    /// Tells `reporter` what is in the way of its intents.
    #[must_use]
    pub fn reporting(mut self, reporter: L1Reporter) -> Self {
        self.reporter = reporter;
        self
    }

    /// The address that signs.
    pub fn address(&self) -> Address {
        self.signer.address()
    }

    /// Its settings.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The open intents, in their order.
    pub fn open_intents(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values().map(|tracked| &tracked.entry)
    }

    /// Gives the journal back, as a restart would find it.
    pub fn into_journal(self) -> Journal {
        self.journal
    }

    /// Where an intent stands; `None` if it was never handed in.
    pub fn status(&self, id: &str) -> Result<Option<Status>, SenderError> {
        let mut open = self.entries.values();
        match open.find(|tracked| tracked.entry.intent().id == id) {
            Some(tracked) => Ok(Some(tracked.status())),
            None => Ok(self.journal.done(id)?.map(Status::Closed)),
        }
    }

    /// What happened since the last call.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Writes a record: on disk first, in memory after it.
    pub(super) fn write(&mut self, number: u64, record: &Record) -> Result<(), SenderError> {
        let (step, news) = describe(record);
        self.pass(CrashPoint::Before(step))?;
        let Some(tracked) = self.entries.get_mut(&number) else {
            return Ok(());
        };
        let mut next = tracked.entry.clone();
        next.apply(record).map_err(JournalError::from)?;
        let news = if next.closed() {
            Some(News::Closed(self.journal.close(number, &next)?))
        } else {
            self.journal.append(number, tracked.next_step, record)?;
            news
        };
        tracked.next_step += 1;
        tracked.entry = next;
        if matches!(record, Record::Reorged | Record::Freed(_)) {
            (tracked.watch.sent, tracked.watch.pool) = (None, Pool::Unasked);
        }
        if tracked.entry.settled() {
            (tracked.refusal, tracked.doomed) = (None, false);
        }
        if let Some(news) = news {
            self.tell(number, news, self.policy.poll);
        }
        self.publish(number);
        if self.entries.get(&number).is_some_and(|t| t.entry.closed()) {
            self.entries.remove(&number);
        }
        self.pass(CrashPoint::After(step))
    }

    /// Tells what happened; what is in the way of the intent, and is tried again after `retry`, goes
    /// into the status, too.
    pub(super) fn tell(&mut self, number: u64, news: News, retry: Duration) {
        let Some(tracked) = self.entries.get(&number) else {
            return;
        };
        let id = tracked.entry.intent().id.clone();
        match (news.trouble(&id), &news) {
            (Some(trouble), _) => self.reporter.failed(L1Part::Settlement, trouble, retry),
            (None, News::Broadcast(_) | News::Mined(..) | News::Taken(_) | News::Closed(_)) => {
                self.reporter.worked(L1Part::Settlement);
            }
            _ => {}
        }
        tracing::info!(intent = %id, ?news, "L1 sender");
        self.events.push(Event { id, news });
        self.publish(number);
    }

    /// Puts where an entry stands on the board; closed ones are in the journal.
    pub(super) fn publish(&self, number: u64) {
        let Some(tracked) = self.entries.get(&number) else {
            return;
        };
        let id = &tracked.entry.intent().id;
        let mut board = self.board.write().unwrap_or_else(PoisonError::into_inner);
        if tracked.entry.closed() {
            board.remove(id);
        } else {
            board.insert(id.clone(), tracked.status());
        }
    }

    /// Ends the sender here, if a drill says so.
    pub(super) fn pass(&self, point: CrashPoint) -> Result<(), SenderError> {
        if self.faults.dies(point) {
            return Err(SenderError::Killed);
        }
        Ok(())
    }

    /// Proofs and commitments of an intent's blobs, computed once.
    pub(super) fn sidecar(&mut self, number: u64) -> Result<Sidecar, SenderError> {
        let Some(tracked) = self.entries.get_mut(&number) else {
            return Ok(Sidecar::default());
        };
        if let Some(sidecar) = &tracked.sidecar {
            return Ok(sidecar.clone());
        }
        let sidecar = Sidecar::new(tracked.entry.intent())?;
        tracked.sidecar = Some(sidecar.clone());
        Ok(sidecar)
    }

    /// Tells what is in the way, and puts the entry off: by `retry_after`, and longer each time that
    /// the contract refuses.
    pub(super) fn later(&mut self, number: u64, now: Duration, news: News) {
        let retry = self.policy.retry_after;
        let jitter = self.policy.jitter;
        let mut pause = retry;
        if let Some(tracked) = self.entries.get_mut(&number) {
            if let News::Refused(reason) = &news {
                let times = tracked.refusal.as_ref().map_or(0, |(_, times)| *times);
                pause = retry.saturating_mul(1 << times.min(DOUBLINGS));
                tracked.refusal = Some((reason.clone(), times.saturating_add(1)));
            }
            if let News::NotTaken(failure) = &news {
                pause = pause.max(failure.retry_after.unwrap_or_default());
            }
            tracked.doomed |= matches!(news, News::Refused(_) | News::TooMuchGas(_));
            pause = jittered(pause, jitter);
            tracked.watch.not_before = now + pause;
        }
        self.tell(number, news, pause);
    }
}

fn describe(record: &Record) -> (Step, Option<News>) {
    match record {
        Record::Intent(_) => (Step::Intent, None),
        Record::Signed { nonce, variant } => (
            Step::Signed,
            Some(News::Signed {
                nonce: *nonce,
                transaction: variant.hash,
                fees: variant.fees,
                blank: variant.blank,
            }),
        ),
        Record::Broadcast(hash) => (Step::Broadcast, Some(News::Broadcast(*hash))),
        Record::Mined { hash, block } => (Step::Mined, Some(News::Mined(*hash, *block))),
        Record::Taken(block) => (Step::Mined, Some(News::Taken(*block))),
        Record::Reorged => (Step::Reorged, Some(News::Reorged)),
        Record::Freed(why) => (Step::Freed, Some(News::Freed(*why))),
        Record::Abandoned | Record::Withdrawn => (Step::Withdrawn, None),
        Record::Final => (Step::Final, None),
    }
}
