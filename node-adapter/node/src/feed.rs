//! Takes what other chains promise: follows their feeds, checks every page against their keys on Ethereum
//! and against where this chain is in the lane, and hands the entries to the writer.
//!
//! Believes nobody: a feed that lies is left for a while and told. What was revoked is left to `driver`,
//! which takes it back between two looks at batches. Started by `service`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy::primitives::U256;
use tokio_util::sync::CancellationToken;

use super::fees::FeeOptions;
use super::machine::{Machine, SubmitError};
use super::ports::{LaneAuthority, PortError, Promised, PromisedEntry, QueueEntry};
use super::writer::Writer;
use carillon_lane_feed::{Client, Cursor, Lane, Place, Told, Verified};
use carillon_protocol::{Domain, Home, Kind, Party, layout};
use carillon_settlement::abi::ISharedBridge::LaneEntry;
use carillon_settlement::lanes::Fold;

/// Between two looks at what keeps a feed from going on.
const PAUSE: Duration = Duration::from_millis(250);

/// What is known of the feeds, for those who ask, and what they have revoked.
#[derive(Debug, Default)]
pub struct Feeds {
    states: Mutex<BTreeMap<u64, Option<String>>>,
    revoked: Mutex<BTreeMap<u64, u64>>,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is one assignment.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Feeds {
    /// The chains whose feeds are read, and what each waits for.
    pub fn states(&self) -> BTreeMap<u64, Option<String>> {
        lock(&self.states).clone()
    }

    /// The first void entry of each lane that was revoked and not taken back yet.
    pub(super) fn revoked(&self) -> BTreeMap<u64, u64> {
        lock(&self.revoked).clone()
    }

    /// It was taken back.
    pub(super) fn taken_back(&self, chain: u64) {
        lock(&self.revoked).remove(&chain);
    }

    fn revoke(&self, chain: u64, from: u64) {
        let mut revoked = lock(&self.revoked);
        let first = revoked.entry(chain).or_insert(from);
        *first = from.min(*first);
    }

    /// Says what a feed waits for; news are logged.
    fn tell(&self, chain: u64, state: Option<String>) {
        let mut states = lock(&self.states);
        if let Some(reason) = state
            .as_ref()
            .filter(|_| states.get(&chain) != Some(&state))
        {
            tracing::warn!(
                chain,
                reason,
                "a lane is not followed now; what is sent comes from Ethereum when it is settled"
            );
        }
        states.insert(chain, state);
    }
}

/// The take of an entry, as L1 has it and the writer executes it.
pub(super) fn take(from: u64, index: u64, entry: &LaneEntry, slot: u8) -> QueueEntry {
    let word0 = layout::record::word0(Kind::Take as u8, 0, slot);
    let sender = Party::new(entry.sender.into(), from).to_word();
    let words = [
        U256::from(word0),
        entry.amount,
        U256::from_be_bytes(entry.recipient.into_word().0),
        U256::from_be_bytes(sender.to_bytes_be()),
        entry.memo,
    ];
    QueueEntry {
        index,
        words: words.map(|word| word.to_be_bytes()),
    }
}

/// One chain's feed.
pub(super) struct Follower<M: Machine> {
    /// The chain that sends.
    pub chain: u64,
    /// This one.
    pub to: u64,
    /// Where its contracts are, which are those of both.
    pub home: Home,
    pub client: Client,
    pub writer: Writer<M>,
    pub authority: Arc<dyn LaneAuthority>,
    pub feeds: Arc<Feeds>,
    /// What tokens are worth.
    pub prices: FeeOptions,
}

/// Why a feed does not go on now.
enum Held {
    /// In words.
    Waits(String),
    /// Only a restart helps.
    Ends,
}

impl From<PortError> for Held {
    fn from(error: PortError) -> Self {
        Self::Waits(error.to_string())
    }
}

impl<M: Machine> Follower<M> {
    /// Follows until `stop` is cancelled, or the writer ends.
    pub async fn run(mut self, stop: CancellationToken) {
        let unsettled = self
            .writer
            .progress()
            .borrow()
            .unsettled
            .get(&self.chain)
            .cloned();
        let mut epoch = unsettled.map_or(0, |unsettled| unsettled.epoch);
        self.feeds.tell(self.chain, None);
        loop {
            let held = tokio::select! {
                () = stop.cancelled() => return,
                step = self.step(&mut epoch) => step,
            };
            let reason = match held {
                Ok(()) => {
                    self.feeds.tell(self.chain, None);
                    continue;
                }
                Err(Held::Ends) => return,
                Err(Held::Waits(reason)) => reason,
            };
            self.feeds.tell(self.chain, Some(reason));
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    /// Where this chain is in the lane.
    fn fold(&self) -> Result<Fold, Held> {
        let progress = self.writer.progress();
        let progress = progress.borrow();
        let count = progress.lanes.get(&self.chain).copied().unwrap_or_default();
        let unsettled = progress.unsettled.get(&self.chain);
        let hash = match unsettled.filter(|unsettled| unsettled.next == count) {
            Some(unsettled) => Some(unsettled.hash),
            None => self.authority.hash(self.chain, count)?,
        };
        let missing = || {
            Held::Waits(format!(
                "entry {count} of its lane is not read from Ethereum yet"
            ))
        };
        let hash = hash.ok_or_else(missing)?.into();
        Ok(Fold { count, hash })
    }

    /// One page.
    async fn step(&mut self, epoch: &mut u64) -> Result<(), Held> {
        let chain = self.chain;
        if self.feeds.revoked().contains_key(&chain) {
            return Err(Held::Waits(
                "what it has revoked is taken back first".into(),
            ));
        }
        let fold = self.fold()?;
        let place = Place {
            after: fold.count,
            epoch: *epoch,
        };
        let mut progress = self.writer.progress();
        let moved = progress.wait_for(|progress| {
            progress.lanes.get(&chain).copied().unwrap_or_default() != fold.count
        });
        let page = tokio::select! {
            page = self.client.next(place) => page,
            // Ethereum brought what was waited for, or what was taken was taken back.
            moved = moved => return moved.map(drop).map_err(|_| Held::Ends),
        };
        let page = page.map_err(|error| Held::Waits(error.to_string()))?;
        // Meanwhile Ethereum may have brought what the page holds.
        if self.fold()? != fold {
            return Ok(());
        }
        let key = self.authority.key(chain).await?;
        let no_key = || {
            Held::Waits(format!(
                "chain {chain} has no key for its statements on Ethereum; its operator sets one with `carillon-node keys register`"
            ))
        };
        let lane = Lane {
            from: chain,
            to: self.to,
            domain: Domain::new(&self.home, chain),
            key: key.ok_or_else(no_key)?,
        };
        let mut cursor = Cursor {
            epoch: *epoch,
            fold,
        };
        let told = cursor.accept(&lane, &page).map_err(|error| {
            self.client.distrust();
            Held::Waits(error.to_string())
        })?;
        *epoch = cursor.epoch;
        match told {
            Told::Nothing => Ok(()),
            Told::Revoked { from } => {
                self.feeds.revoke(chain, from);
                Ok(())
            }
            Told::Entries(entries) => self.take(*epoch, entries).await,
        }
    }

    /// Hands entries to the writer, as far as it takes them; waits until it has them all, or they have come
    /// from Ethereum.
    async fn take(&self, epoch: u64, entries: Vec<Verified>) -> Result<(), Held> {
        let (chain, mut waiting) = (self.chain, Vec::with_capacity(entries.len()));
        let mut unknown = None;
        for verified in entries {
            match self.promise(&verified).await? {
                Ok(promise) => waiting.push(promise),
                Err(reason) => {
                    unknown = Some(reason);
                    break;
                }
            }
        }
        loop {
            let taken = self.writer.progress().borrow().lanes.get(&chain).copied();
            let taken = taken.unwrap_or_default();
            waiting.retain(|promise| promise.entry.index >= taken);
            if waiting
                .first()
                .is_some_and(|first| first.entry.index > taken)
            {
                // What came before was taken back.
                return Ok(());
            }
            if waiting.is_empty() {
                return unknown.map_or(Ok(()), |reason| Err(Held::Waits(reason)));
            }
            let promised = Promised {
                chain,
                epoch,
                entries: waiting.clone(),
            };
            let waits = match self.writer.promised(promised).await {
                Ok(None) => continue,
                Ok(Some(reason)) => reason,
                Err(SubmitError::Busy) => "the writer has much to do".to_owned(),
                Err(_) => return Err(Held::Ends),
            };
            self.feeds.tell(chain, Some(waits));
            tokio::time::sleep(PAUSE).await;
            if self.feeds.revoked().contains_key(&chain) {
                return Ok(());
            }
        }
    }

    /// An entry as the writer takes it, or why it waits for Ethereum.
    async fn promise(&self, verified: &Verified) -> Result<Result<PromisedEntry, String>, Held> {
        let Verified { index, entry, hash } = verified;
        let Some(slot) = self.authority.slot(entry.token.into()).await? else {
            return Ok(Err(format!(
                "entry {index} is of a token {} that the bridge does not list for this chain",
                entry.token
            )));
        };
        let Some(wei) = self.prices.wei(slot, entry.amount.saturating_to()) else {
            return Ok(Err(format!(
                "entry {index} is of the token in slot {slot}, which has no price here ([fees.tokens]): it is taken when it is settled"
            )));
        };
        Ok(Ok(PromisedEntry {
            entry: take(self.chain, *index, entry, slot),
            hash: hash.0,
            wei,
        }))
    }
}
