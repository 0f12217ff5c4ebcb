//! The sender: reads facts from L1, lets `decide` choose, writes the record, acts.
//!
//! One value owns journal and key; [`Sender::tick`] is one look at everything that is open. Used by
//! `task`, which calls it at the right times, and by tests, which call it at times of their own.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use alloy::primitives::{Address, B256, U256};
use alloy::signers::local::PrivateKeySigner;

use super::decide::Pool;
use super::event::{Enqueued, Event, News, Policy, Status};
use super::journal::{Owner, digest};
use super::look::Look;
use super::sign::Sidecar;
use super::{
    Action, BlockRef, CrashPoint, Entry, Faults, Intent, Journal, NoFaults, Outcome, Place, Port,
    Record, SendAnswer, SenderError, SignError, Step, Variant, Watch, decide,
};
use crate::{L1Part, L1Reporter, Meaning, Refusal, RpcFailure};

/// Steps of one entry in one tick; the rest waits for the next.
const STEPS: usize = 8;

/// Sends intents with one key, in their order.
#[derive(Debug)]
pub struct Sender<P, O, F = NoFaults> {
    pub(super) port: P,
    pub(super) outcome: O,
    faults: F,
    pub(super) signer: PrivateKeySigner,
    pub(super) journal: Journal,
    pub(super) policy: Policy,
    pub(super) chain_id: u64,
    pub(super) entries: BTreeMap<u64, Tracked>,
    next_number: u64,
    events: Vec<Event>,
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
    next_step: u32,
    pub watch: Watch,
    pub sidecar: Option<Sidecar>,
    /// Why the contract refuses the call, and how often in a row.
    pub refusal: Option<(Refusal, u32)>,
    /// Whether the call cannot succeed as things are.
    pub doomed: bool,
}

impl Tracked {
    fn new(entry: Entry, next_step: u32) -> Self {
        Self {
            entry,
            next_step,
            watch: Watch::default(),
            sidecar: None,
            refusal: None,
            doomed: false,
        }
    }

    fn status(&self) -> Status {
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

impl<P: Port, O: Outcome> Sender<P, O> {
    /// A sender that goes on where `journal` ends. Asks the node for its chain id, to refuse a
    /// journal of another chain; the contract's counters are read before anything is sent.
    pub async fn open(
        port: P,
        outcome: O,
        signer: PrivateKeySigner,
        journal: Journal,
        policy: Policy,
    ) -> Result<Self, SenderError> {
        Self::open_with(port, outcome, signer, journal, policy, NoFaults).await
    }
}

impl<P: Port, O: Outcome, F: Faults> Sender<P, O, F> {
    /// [`Sender::open`] with a fault injector.
    pub async fn open_with(
        port: P,
        outcome: O,
        signer: PrivateKeySigner,
        journal: Journal,
        policy: Policy,
        faults: F,
    ) -> Result<Self, SenderError> {
        let own = Owner {
            address: signer.address(),
            chain: port.chain_id().await?,
        };
        let owner = journal.owner(own)?;
        if owner != own {
            return Err(SenderError::ForeignJournal {
                address: owner.address,
                chain: owner.chain,
                own: own.address,
                own_chain: own.chain,
            });
        }
        let mut next_number = journal.next_number()?;
        let mut entries = BTreeMap::new();
        for stored in journal.load()? {
            next_number = next_number.max(stored.number.saturating_add(1));
            let tracked = Tracked::new(stored.entry, stored.next_step);
            entries.insert(stored.number, tracked);
        }
        let board = entries.values().map(|tracked| {
            let id = tracked.entry.intent().id.clone();
            (id, tracked.status())
        });
        let board = Arc::new(RwLock::new(board.collect()));
        Ok(Self {
            seen: None,
            nonce: None,
            board,
            reporter: L1Reporter::default(),
            port,
            outcome,
            faults,
            signer,
            journal,
            policy,
            chain_id: own.chain,
            entries,
            next_number,
            events: Vec::new(),
        })
    }

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

    /// Takes an intent in. When this returns, it is on disk and will be sent after those before it.
    pub fn enqueue(&mut self, intent: Intent) -> Result<Enqueued, SenderError> {
        let other = |id: &str| SenderError::OtherContent { id: id.into() };
        if let Some(done) = self.journal.done(&intent.id)? {
            return if done.digest == digest(&intent)? {
                Ok(Enqueued::Done(done))
            } else {
                Err(other(&intent.id))
            };
        }
        if let Some(open) = self.open_intents().find(|e| e.intent().id == intent.id) {
            return if *open.intent() == intent {
                Ok(Enqueued::Open)
            } else {
                Err(other(&intent.id))
            };
        }
        if let Some(index) = (intent.blobs.iter()).position(|b| b.len() != super::BLOB_BYTES) {
            let found = intent.blobs.get(index).map_or(0, |blob| blob.len());
            return Err(SignError::BlobSize { index, found }.into());
        }
        self.pass(CrashPoint::Before(Step::Intent))?;
        let number = self.next_number;
        let record = Record::Intent(intent.clone());
        self.journal.append(number, 0, &record)?;
        self.next_number += 1;
        self.entries
            .insert(number, Tracked::new(Entry::new(intent), 1));
        self.publish(number);
        self.pass(CrashPoint::After(Step::Intent))?;
        Ok(Enqueued::New)
    }

    /// Gives an intent up: what is not sent is not sent any more, what is on its way is replaced by a
    /// blank. It may still take effect, if it is mined before.
    pub fn withdraw(&mut self, id: &str) -> Result<(), SenderError> {
        let found = self.entries.iter().find(|(_, t)| t.entry.intent().id == id);
        match found.map(|(number, tracked)| (*number, tracked.entry.abandoned())) {
            Some((_, true)) => Ok(()),
            Some((number, false)) => self.write(number, &Record::Abandoned),
            None => Err(SenderError::NoSuchIntent { id: id.into() }),
        }
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

    /// Looks at every open entry once and does what is due at `now`, a time that only grows. Returns
    /// when to look again. After an error that is not transient the sender must be dropped: its
    /// journal may be ahead of it.
    pub async fn tick(&mut self, now: Duration) -> Result<Duration, SenderError> {
        let mut wake = now + self.policy.poll;
        if self.entries.is_empty() {
            return Ok(wake);
        }
        let mut look = self.look().await?;
        let numbers: Vec<u64> = self.entries.keys().copied().collect();
        for number in numbers {
            for _ in 0..STEPS {
                match self.step(number, &mut look, now).await? {
                    Then::Again => {}
                    Then::Wait(until) => {
                        wake = wake.min(until);
                        break;
                    }
                }
            }
        }
        self.seen = Some(look.head);
        Ok(wake.max(now))
    }

    async fn step(
        &mut self,
        number: u64,
        look: &mut Look,
        now: Duration,
    ) -> Result<Then, SenderError> {
        let later = Then::Wait(now + self.policy.poll);
        let Some(facts) = self.facts(number, look).await? else {
            return Ok(later);
        };
        let Some(tracked) = self.entries.get_mut(&number) else {
            return Ok(later);
        };
        let action = decide(&tracked.entry, &facts, &tracked.watch, &self.policy, now);
        if action != Action::Doubt {
            tracked.watch.doubts = 0;
        }
        match action {
            Action::Write(record) => {
                self.write(number, &record)?;
                Ok(Then::Again)
            }
            Action::Doubt => {
                tracked.watch.doubts += 1;
                Ok(later)
            }
            Action::Plan => self.plan(number, now).await,
            Action::Replace { blank } => self.replace(number, &facts, blank, now).await,
            Action::Renew { blank, raise } => self.renew(number, &facts, (blank, raise), now).await,
            Action::Send => self.send(number, now).await,
            Action::Wait(until) => Ok(Then::Wait(until)),
            Action::Done => Ok(later),
        }
    }

    /// Hands the newest variant to the node, and keeps what its pool says.
    pub(super) async fn send(&mut self, number: u64, now: Duration) -> Result<Then, SenderError> {
        let Some(variant) = (self.entries.get(&number)).and_then(|t| t.entry.newest().cloned())
        else {
            return Ok(Then::Again);
        };
        self.pass(CrashPoint::Before(Step::Send))?;
        let answer = self.port.send(&variant.raw).await?;
        self.pass(CrashPoint::After(Step::Send))?;
        let Some(tracked) = self.entries.get_mut(&number) else {
            return Ok(Then::Again);
        };
        tracked.watch.sent = Some(now);
        match answer {
            SendAnswer::Taken => self.pool_took(number, variant.hash)?,
            // The receipts and the nonce tell whose transaction it was.
            SendAnswer::NonceUsed => {}
            SendAnswer::Underpriced => {
                tracked.watch.pool = Pool::Contested;
                self.tell(number, News::Contested, self.policy.bump_after);
            }
            SendAnswer::Refused(failure) => {
                self.pool_refused(number, &variant, failure, now).await?;
            }
        }
        Ok(Then::Wait(now + self.policy.poll))
    }

    fn pool_took(&mut self, number: u64, hash: B256) -> Result<(), SenderError> {
        let Some(tracked) = self.entries.get_mut(&number) else {
            return Ok(());
        };
        tracked.watch.pool = Pool::Holds;
        let known = matches!(
            tracked.entry.place(),
            Place::Sent {
                broadcast: true,
                ..
            }
        );
        if known {
            self.reporter.worked(L1Part::Settlement);
            return Ok(());
        }
        self.write(number, &Record::Broadcast(hash))
    }

    async fn pool_refused(
        &mut self,
        number: u64,
        variant: &Variant,
        failure: RpcFailure,
        now: Duration,
    ) -> Result<(), SenderError> {
        let Some(tracked) = self.entries.get_mut(&number) else {
            return Ok(());
        };
        let raise = failure.meaning == Meaning::FeeTooLow;
        // What a pool took it may still hold, though it would not take it again at these fees.
        let kept = raise && tracked.entry.pooled(&variant.hash);
        tracked.watch.pool = if kept {
            Pool::Holds
        } else {
            Pool::Refuses { raise }
        };
        if failure.meaning != Meaning::Funds {
            self.later(number, now, News::NotTaken(failure));
            return Ok(());
        }
        let intent = tracked.entry.intent();
        let value = if variant.blank {
            U256::ZERO
        } else {
            intent.value
        };
        let fees = variant.fees.cost(variant.gas, intent.blobs.len());
        let own = fees.saturating_add(value);
        let need = self.pending_cost(number).saturating_add(own);
        self.shortage(number, need, true, &failure, now).await
    }

    /// Writes a record: on disk first, in memory after it.
    pub(super) fn write(&mut self, number: u64, record: &Record) -> Result<(), SenderError> {
        let (step, news) = describe(record);
        self.pass(CrashPoint::Before(step))?;
        let Some(tracked) = self.entries.get_mut(&number) else {
            return Ok(());
        };
        let mut next = tracked.entry.clone();
        next.apply(record).map_err(super::JournalError::from)?;
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
    fn publish(&self, number: u64) {
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

    fn pass(&self, point: CrashPoint) -> Result<(), SenderError> {
        if self.faults.dies(point) {
            return Err(SenderError::Killed);
        }
        Ok(())
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
