//! The sender: reads facts from L1, lets `decide` choose, writes the record, acts.
//!
//! One value owns journal and key; [`Sender::tick`] is one look at everything that is open. Used by
//! `task`, which calls it at the right times, and by tests, which call it at times of their own.

use std::collections::BTreeMap;
use std::time::Duration;

use alloy::primitives::Address;
use alloy::signers::local::PrivateKeySigner;

use super::event::{Enqueued, Event, News, Policy, Status};
use super::journal::{Owner, digest};
use super::sign::{Sidecar, Terms, sign};
use super::{
    Action, CrashPoint, Entry, Facts, Faults, Fees, FreeNonces, Head, Intent, Journal, NoFaults,
    Outcome, Place, Port, PortError, Record, SendAnswer, SenderError, SignError, Step, Watch,
    decide,
};
use crate::settlement::MAX_TRANSACTION_GAS;

/// Steps of one entry in one tick; the rest waits for the next.
const STEPS: usize = 8;

/// Sends intents with one key, in their order.
#[derive(Debug)]
pub struct Sender<P, O, F = NoFaults> {
    port: P,
    outcome: O,
    faults: F,
    signer: PrivateKeySigner,
    journal: Journal,
    policy: Policy,
    chain_id: u64,
    entries: BTreeMap<u64, Tracked>,
    next_number: u64,
    events: Vec<Event>,
}

/// An open entry and what is not in the journal.
#[derive(Debug)]
struct Tracked {
    entry: Entry,
    next_step: u32,
    watch: Watch,
    sidecar: Option<Sidecar>,
}

/// What a step leaves to do for an entry.
enum Then {
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
            entries.insert(
                stored.number,
                Tracked {
                    entry: stored.entry,
                    next_step: stored.next_step,
                    watch: Watch::default(),
                    sidecar: None,
                },
            );
        }
        Ok(Self {
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
        let tracked = Tracked {
            entry: Entry::new(intent),
            next_step: 1,
            watch: Watch::default(),
            sidecar: None,
        };
        self.entries.insert(number, tracked);
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
        let Some(entry) = self.open_intents().find(|e| e.intent().id == id) else {
            return Ok(self.journal.done(id)?.map(Status::Closed));
        };
        Ok(Some(match entry.place() {
            Place::Mined { hash, block } => Status::InEffect(Some(hash), block),
            Place::Taken(block) => Status::InEffect(None, block),
            _ => match entry.current().zip(entry.newest()) {
                Some((attempt, newest)) => Status::Sent {
                    nonce: attempt.nonce,
                    transaction: newest.hash,
                },
                None => Status::Waiting,
            },
        }))
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
        let head = self.port.head().await?;
        let nonce = self.port.nonce(self.address()).await?;
        let numbers: Vec<u64> = self.entries.keys().copied().collect();
        for number in numbers {
            for _ in 0..STEPS {
                match self.step(number, head, nonce, now).await? {
                    Then::Again => {}
                    Then::Wait(until) => {
                        wake = wake.min(until);
                        break;
                    }
                }
            }
        }
        Ok(wake.max(now))
    }

    async fn step(
        &mut self,
        number: u64,
        head: Head,
        nonce: u64,
        now: Duration,
    ) -> Result<Then, SenderError> {
        let later = Then::Wait(now + self.policy.poll);
        let Some(facts) = self.facts(number, head, nonce).await? else {
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
            Action::Plan => self.plan(number, head, now).await,
            Action::Replace { blank } => self.replace(number, head, &facts, blank, now).await,
            Action::Send => self.send(number, now).await,
            Action::Wait(until) => Ok(Then::Wait(until)),
            Action::Done => Ok(later),
        }
    }

    /// What L1 says of an entry; receipts are asked for only where there can be one.
    async fn facts(
        &self,
        number: u64,
        head: Head,
        nonce: u64,
    ) -> Result<Option<Facts>, SenderError> {
        let Some(Tracked { entry, .. }) = self.entries.get(&number) else {
            return Ok(None);
        };
        let canonical = match entry.place() {
            Place::Mined { block, .. } | Place::Taken(block) => {
                self.port.block_hash(block.number).await? == Some(block.hash)
            }
            _ => false,
        };
        let mut receipts = Vec::new();
        let used = entry.attempts().iter().filter(|a| a.nonce < nonce);
        for variant in used.flat_map(|attempt| &attempt.variants) {
            if canonical {
                break;
            }
            receipts.extend(self.port.receipt(variant.hash).await?);
        }
        let nonces = FreeNonces::new(nonce, self.open_intents());
        Ok(Some(Facts {
            head: head.block.number,
            nonce,
            receipts,
            canonical,
            first: self.entries.range(..number).all(|(_, t)| t.entry.settled()),
            gap: entry.current().is_some_and(|a| nonces.gap(a.nonce)),
        }))
    }

    /// Reads the counters, simulates and signs with a free nonce.
    async fn plan(&mut self, number: u64, head: Head, now: Duration) -> Result<Then, SenderError> {
        let Some(Tracked { entry, .. }) = self.entries.get(&number) else {
            return Ok(Then::Again);
        };
        if self.outcome.taken(entry.intent()).await? {
            // Read after the counters: the effect is in this block or before it.
            let seen = self.port.head().await?;
            self.write(number, &Record::Taken(seen.block))?;
            return Ok(Then::Again);
        }
        let Some(gas) = self.simulate(number, now).await? else {
            return Ok(Then::Again);
        };
        let mined = self.port.nonce(self.address()).await?;
        let nonce = FreeNonces::new(mined, self.open_intents()).next();
        let floor = self.fees_at(nonce);
        self.sign(number, head, nonce, gas, floor, false, now)
    }

    /// Signs the present nonce again. The first in line is checked as if it were new: what the
    /// contract would refuse by now gives way to a blank. Those behind it cannot be simulated yet.
    async fn replace(
        &mut self,
        number: u64,
        head: Head,
        facts: &Facts,
        blank: bool,
        now: Duration,
    ) -> Result<Then, SenderError> {
        let Some(Tracked { entry, .. }) = self.entries.get(&number) else {
            return Ok(Then::Again);
        };
        let Some((nonce, mut gas)) = entry
            .current()
            .zip(entry.newest())
            .map(|(a, v)| (a.nonce, v.gas))
        else {
            return Ok(Then::Again);
        };
        let mut blank = blank;
        if !blank && facts.first {
            if self.outcome.taken(entry.intent()).await? {
                blank = true;
            } else {
                match self.simulate(number, now).await? {
                    Some(needed) => gas = needed,
                    None => blank = true,
                }
            }
        }
        let floor = self.fees_at(nonce);
        self.sign(number, head, nonce, gas, floor, blank, now)
    }

    /// The highest fees of any of our transactions with this nonce.
    fn fees_at(&self, nonce: u64) -> Option<Fees> {
        self.open_intents()
            .filter_map(|entry| entry.fees_at(nonce))
            .reduce(Fees::max)
    }

    /// Simulates the call. `None`, with an event and a time to try again, if it must not be sent.
    async fn simulate(&mut self, number: u64, now: Duration) -> Result<Option<u64>, SenderError> {
        let hashes = self.sidecar(number)?.hashes().to_vec();
        let Some(Tracked { entry, .. }) = self.entries.get(&number) else {
            return Ok(None);
        };
        let simulated = self
            .port
            .simulate(self.address(), entry.intent(), &hashes)
            .await;
        let news = match simulated {
            Ok(gas) if gas > MAX_TRANSACTION_GAS => News::TooMuchGas(gas),
            Ok(gas) => {
                let margin = gas.saturating_mul(self.policy.gas_margin) / 100;
                return Ok(Some(gas.saturating_add(margin).min(MAX_TRANSACTION_GAS)));
            }
            Err(PortError::Refused(reason)) => News::Refused(reason),
            Err(error) => return Err(error.into()),
        };
        self.later(number, now);
        self.tell(number, news);
        Ok(None)
    }

    #[allow(clippy::too_many_arguments)]
    fn sign(
        &mut self,
        number: u64,
        head: Head,
        nonce: u64,
        gas: u64,
        replaced: Option<Fees>,
        blank: bool,
        now: Duration,
    ) -> Result<Then, SenderError> {
        let sidecar = self.sidecar(number)?;
        let blobs = !sidecar.hashes().is_empty();
        let floor = replaced.map(|fees| fees.bumped(blobs));
        let fees = match self.policy.fees.offer(head.market, floor, blobs) {
            Ok(fees) => fees,
            Err(error) => {
                self.later(number, now);
                self.tell(number, News::FeeCap(error));
                return Ok(Then::Again);
            }
        };
        let Some(Tracked { entry, .. }) = self.entries.get(&number) else {
            return Ok(Then::Again);
        };
        let terms = Terms {
            chain_id: self.chain_id,
            nonce,
            gas,
            fees,
            blank,
        };
        let variant = sign(&self.signer, entry.intent(), &sidecar, terms)?;
        self.write(number, &Record::Signed { nonce, variant })?;
        if let Some(tracked) = self.entries.get_mut(&number) {
            tracked.watch = Watch {
                signed: now,
                ..Watch::default()
            };
        }
        Ok(Then::Again)
    }

    /// Hands the newest variant to the node.
    async fn send(&mut self, number: u64, now: Duration) -> Result<Then, SenderError> {
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
        let known = matches!(
            tracked.entry.place(),
            Place::Sent {
                broadcast: true,
                ..
            }
        );
        match answer {
            SendAnswer::Taken if !known => {
                self.write(number, &Record::Broadcast(variant.hash))?;
            }
            // The receipts and the nonce tell whose transaction it was.
            SendAnswer::Taken | SendAnswer::NonceUsed => {}
            SendAnswer::Underpriced => self.tell(number, News::Contested),
            SendAnswer::Refused(reason) => self.tell(number, News::NotTaken(reason)),
        }
        Ok(Then::Wait(now + self.policy.poll))
    }

    fn sidecar(&mut self, number: u64) -> Result<Sidecar, SenderError> {
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

    /// Writes a record: on disk first, in memory after it.
    fn write(&mut self, number: u64, record: &Record) -> Result<(), SenderError> {
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
            tracked.watch.sent = None;
        }
        if let Some(news) = news {
            self.tell(number, news);
        }
        if self.entries.get(&number).is_some_and(|t| t.entry.closed()) {
            self.entries.remove(&number);
        }
        self.pass(CrashPoint::After(step))
    }

    fn later(&mut self, number: u64, now: Duration) {
        if let Some(tracked) = self.entries.get_mut(&number) {
            tracked.watch.not_before = now + self.policy.retry_after;
        }
    }

    fn tell(&mut self, number: u64, news: News) {
        if let Some(tracked) = self.entries.get(&number) {
            let id = tracked.entry.intent().id.clone();
            tracing::info!(intent = %id, ?news, "L1 sender");
            self.events.push(Event { id, news });
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
