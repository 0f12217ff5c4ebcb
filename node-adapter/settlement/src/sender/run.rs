//! One round of the sender: facts from L1, what `decide` chooses, and the act. Intents are taken in and
//! given up here, too.
//!
//! [`Sender::tick`] is one look at everything that is open. Used by `task`, which calls it at the right times, and by tests, which call it at times of their own.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use alloy::signers::local::PrivateKeySigner;

use super::event::{Enqueued, Policy};
use super::journal::{Owner, digest};
use super::look::Look;
use super::state::{Sender, Then, Tracked};
use super::{
    Action, CrashPoint, Entry, Faults, Intent, Journal, NoFaults, Outcome, Port, Record,
    SenderError, SignError, Step, decide,
};
use crate::L1Reporter;

/// Steps of one entry in one tick; the rest waits for the next.
const STEPS: usize = 8;

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
}
