//! Takes batches in, plans, hands calls to the L1 sender, and says of each batch where it is and why it waits.
//!
//! One call at a time: what a call settles decides what the next one can. Every call is simulated before it is handed on;
//! what is refused is found, put aside for a while and named, and the others go without it. Called by `http` and by
//! `carillon-node`.

use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alloy::primitives::{Address, B256, Bytes, Signature, U256};
use alloy::sol_types::SolCall;
use async_trait::async_trait;
use carillon_protocol::Party;
use carillon_settlement::gateway::{settle_digest, settle_many};
use carillon_settlement::lanes::Fold;
use carillon_settlement::sender::{
    Event, Freed, Handle, Intent, News, Outcome, SenderError, Status,
};
use carillon_settlement::{
    L1Client, L1Part, L1Reporter, MAX_TRANSACTION_GAS, Meaning, Refusal, SettlementError, progress,
};
use serde::Serialize;
use tokio::sync::{Semaphore, broadcast};
use tokio_util::sync::CancellationToken;

use super::l1::{ChainFacts, Chains, LaneFacts};
use super::plan::{Lane, Pending, Room, alone, plan};
use super::store::{Call, Row, Store, StoreError};
use super::submission::{Batch, Submission, SubmissionError, Way, word};
use super::tails::{Entry, Taken, tails};

/// Batches of a chain that may wait at the same time.
const MOST_WAITING: u64 = 64;
/// Batches that are checked at the same time.
const PLACES: usize = 4;
/// Entries of all tails of a batch.
const MOST_TAIL: usize = 4_096;
/// A signature that counts for less than this is not worth a transaction.
const LEAST_TIME: u64 = 60;
/// Gas that a batch is counted with while sets are put together; the simulation has the last word.
const BASE_GAS: u64 = 330_000;
const RECORD_GAS: u64 = 5_000;
const CROSSING_GAS: u64 = 60_000;

/// How the service works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Between two looks.
    pub poll: Duration,
    /// How long the oldest batch waits for others, which make each cheaper.
    pub linger: Duration,
    /// Most batches of a transaction.
    pub batches: usize,
    /// What is refused is tried again after this, then ever later, up to a hundred times as long.
    pub retry: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(2),
            linger: Duration::from_secs(12),
            batches: 32,
            retry: Duration::from_secs(12),
        }
    }
}

/// Why the service does not take a batch, or does not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The batch has no form.
    #[error(transparent)]
    Form(#[from] SubmissionError),
    /// The hub has no such chain.
    #[error("the hub of this gateway has no chain {0}; is this the gateway of another deployment?")]
    UnknownChain(u64),
    /// It does not fit what L1 says.
    #[error("batch {number} of chain {chain}: {reason}")]
    Refused {
        /// The chain.
        chain: u64,
        /// The batch.
        number: u64,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The disk.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Ethereum.
    #[error(transparent)]
    L1(#[from] SettlementError),
    /// The L1 sender.
    #[error(transparent)]
    Sender(#[from] SenderError),
}

/// Where a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// It is here.
    Waiting,
    /// It is in the call on its way.
    Sent,
    /// L1 has executed it.
    Executed,
}

/// A batch as others see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BatchView {
    /// The chain.
    pub chain: u64,
    /// Its number.
    pub number: u64,
    /// Its name: of the chain and the public inputs.
    pub digest: Option<B256>,
    /// Where it is.
    pub place: Place,
    /// Why it waits, if it is known.
    pub reason: Option<String>,
    /// When it came, Unix time.
    pub since: Option<u64>,
}

/// What goes at once, and what waits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SetView {
    /// The name of the call on its way, if there is one.
    pub call: Option<String>,
    /// Every batch that is here.
    pub batches: Vec<BatchView>,
    /// What stands in the way of all: Ethereum does not answer, the account is empty.
    pub trouble: Option<String>,
}

#[derive(Clone, Debug)]
struct Held {
    batch: Arc<Batch>,
    since: u64,
    /// Why it waits.
    reason: Option<String>,
    /// Refused: not before this time, after so many refusals.
    not_before: u64,
    refusals: u32,
}

#[derive(Debug, Default)]
struct Board {
    chains: BTreeMap<u64, BTreeMap<u64, Held>>,
    facts: BTreeMap<u64, ChainFacts>,
    /// Handed to the sender and not closed there; the last may be on its way, the others have had their effect.
    calls: Vec<Call>,
    /// Were in a call that was refused for no single chain: tried a smallest set at a time.
    suspects: BTreeSet<(u64, u64)>,
    /// The one of them whose set was tried last.
    trying: Option<(u64, u64)>,
    trouble: Option<String>,
    counts: Counts,
}

/// What has happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Batches that were taken in.
    pub taken: u64,
    /// Batches that were turned away.
    pub turned_away: u64,
    /// Calls that were handed to the sender.
    pub calls: u64,
    /// Batches that were executed on L1.
    pub executed: u64,
    /// Simulations that were refused.
    pub refused: u64,
}

/// The service. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

struct Inner {
    chains: Chains,
    client: L1Client,
    store: Store,
    sender: Handle,
    /// What stands between the sender and Ethereum.
    reporter: L1Reporter,
    options: Options,
    /// Calls of ours whose transaction was mined and reverted.
    reverted: Mutex<broadcast::Receiver<Event>>,
    /// Batches that are checked at the same time: each asks Ethereum a few times.
    places: Semaphore,
    board: Mutex<Board>,
}

/// Sees on L1 that a call took effect: every chain has executed as many batches.
#[derive(Clone, Debug)]
pub struct AllExecuted {
    /// Reads the chains.
    pub client: L1Client,
}

#[async_trait]
impl Outcome for AllExecuted {
    async fn taken(&self, intent: &Intent) -> Result<bool, SettlementError> {
        let members: Vec<(Address, u64)> =
            serde_json::from_slice(&intent.check).unwrap_or_default();
        for (chain, number) in &members {
            if progress(&self.client, *chain).await?.executed < *number {
                return Ok(false);
            }
        }
        Ok(!members.is_empty())
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

impl Service {
    /// Goes on with what is on disk.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub fn open(
        chains: Chains,
        client: L1Client,
        store: Store,
        (sender, reporter): (Handle, L1Reporter),
        options: Options,
    ) -> Result<Self, ServiceError> {
        let mut board = Board {
            calls: store.calls()?,
            ..Board::default()
        };
        for row in store.rows()? {
            match row.submission.batch() {
                Ok(batch) => board.hold(batch, row.since),
                Err(error) => {
                    tracing::warn!(%error, "a batch on disk is none; its node brings it again")
                }
            }
        }
        let reverted = Mutex::new(sender.events());
        Ok(Self {
            inner: Arc::new(Inner {
                chains,
                client,
                store,
                sender,
                reporter,
                options,
                reverted,
                places: Semaphore::new(PLACES),
                board: Mutex::new(board),
            }),
        })
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.inner
            .board
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a batch in, after everything that can be known of it by itself was checked. The same batch again is no
    /// other; another one of its number takes its place.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub async fn submit(&self, submission: Submission) -> Result<BatchView, ServiceError> {
        let taken = self.take(submission).await;
        let mut board = self.board();
        match taken.is_ok() {
            true => board.counts.taken += 1,
            false => board.counts.turned_away += 1,
        }
        taken
    }

    async fn take(&self, mut submission: Submission) -> Result<BatchView, ServiceError> {
        let inner = &self.inner;
        let batch = submission.clone().batch()?;
        let _place = inner.places.acquire().await;
        let (chain, number) = (batch.published.chain_id, batch.number());
        let refused = |reason: String| ServiceError::Refused {
            chain,
            number,
            reason,
        };
        let facts = inner.chains.chain(chain).await?;
        let facts = facts.ok_or(ServiceError::UnknownChain(chain))?;
        if number <= facts.executed {
            return Ok(BatchView {
                chain,
                number,
                digest: Some(batch.digest()),
                place: Place::Executed,
                reason: None,
                since: None,
            });
        }
        if facts.halted {
            return Err(refused(
                "the chain is halted for good; nothing of it is settled any more".into(),
            ));
        }
        if number > facts.executed.saturating_add(MOST_WAITING) {
            return Err(refused(format!(
                "chain {chain} has executed {}, and at most {MOST_WAITING} batches wait here; come back later",
                facts.executed
            )));
        }
        match (&submission.way, facts.validium) {
            (
                Way::Signed {
                    deadline,
                    signature,
                },
                true,
            ) => {
                if *deadline < now() + LEAST_TIME {
                    return Err(refused(format!(
                        "the operator's signature counts until {deadline}, too short from now; sign for longer"
                    )));
                }
                let z = word(&batch.published.challenge());
                let l1 = inner.chains.l1_chain_id;
                let digest =
                    settle_digest(l1, facts.contract, number, submission.shape, z, *deadline);
                let signer = Signature::try_from(signature.as_ref())
                    .ok()
                    .and_then(|signature| signature.recover_address_from_prehash(&digest).ok());
                if signer != Some(facts.operator) {
                    return Err(refused(format!(
                        "it is not signed by the chain's operator {}; sign with that key, for this batch and deadline",
                        facts.operator
                    )));
                }
            }
            (
                Way::Committed {
                    queue_start,
                    committed_at,
                    ..
                },
                false,
            ) => {
                let stored = batch.published.stored(*queue_start, *committed_at);
                if !inner.chains.is_committed(facts.contract, &stored).await? {
                    return Err(refused(
                        "L1 holds no such batch as committed; commit it first, and send what was committed".into(),
                    ));
                }
            }
            (Way::Signed { .. }, false) => {
                return Err(refused(
                    "the chain has blobs: commit the batch with its blob first".into(),
                ));
            }
            (Way::Committed { .. }, true) => {
                return Err(refused(
                    "the chain is a validium: sign the batch instead of committing it".into(),
                ));
            }
        }
        let verifier = inner
            .chains
            .verifier(facts.contract, submission.shape)
            .await?;
        if verifier.is_zero() {
            return Err(refused(format!(
                "the chain has no verifier for shape {}",
                submission.shape
            )));
        }
        // Of a batch that is here nothing is replaced that anybody could have made: its proof was checked, its
        // tails may be bad ones that somebody else sent before its node did.
        let held = self.board().known(&batch);
        let (batch, since) = match held {
            Some(held) => {
                let mut kept = held.batch.submission.clone();
                kept.way = submission.way;
                if held.refusals > 0 {
                    kept.tails = submission.tails;
                }
                submission = kept;
                (submission.clone().batch()?, held.since)
            }
            None => {
                let entries = submission.tails.iter().map(|tail| tail.entries.len());
                if entries.sum::<usize>() > MOST_TAIL {
                    return Err(refused(format!(
                        "its tails have more than {MOST_TAIL} entries; give the nearest checkpoints"
                    )));
                }
                self.check(&batch, verifier, &refused).await?;
                (batch, now())
            }
        };
        inner.store.put(number, &Row { since, submission })?;
        let mut board = self.board();
        board.facts.insert(chain, facts);
        board.hold(batch, since);
        board
            .view(chain, number)
            .ok_or_else(|| refused("it went meanwhile".into()))
    }

    /// What a chain would look at: the proof, and where there is a blob, that it is y_B at the challenge.
    async fn check(
        &self,
        batch: &Batch,
        verifier: Address,
        refused: &(dyn Fn(String) -> ServiceError + Sync),
    ) -> Result<(), ServiceError> {
        let chains = &self.inner.chains;
        let proof = batch.submission.proof.clone();
        match chains.verify(verifier, proof, batch.inputs).await {
            Err(SettlementError::Refused { reason, .. }) => {
                return Err(refused(format!("the verifier refuses the proof: {reason}")));
            }
            other => other?,
        }
        if let Way::Committed {
            versioned_hash,
            kzg_commitment,
            kzg_proof,
            ..
        } = &batch.submission.way
        {
            let [_, _, z, _, y] = batch.inputs;
            let opened = chains.opens(*versioned_hash, [z, y], kzg_commitment, kzg_proof);
            if !opened.await? {
                return Err(refused(
                    "the blob is not y_B at the challenge, or the commitment is another blob's"
                        .into(),
                ));
            }
        }
        Ok(())
    }

    /// A batch; none if it is not here and not executed.
    ///
    /// # Errors
    /// Errors of Ethereum.
    pub async fn batch(&self, chain: u64, number: u64) -> Result<Option<BatchView>, ServiceError> {
        if let Some(view) = self.board().view(chain, number) {
            return Ok(Some(view));
        }
        let facts = self.inner.chains.chain(chain).await?;
        let executed = facts.is_some_and(|facts| number != 0 && facts.executed >= number);
        Ok(executed.then_some(BatchView {
            chain,
            number,
            digest: None,
            place: Place::Executed,
            reason: None,
            since: None,
        }))
    }

    /// Everything that is here.
    pub fn sets(&self) -> SetView {
        let board = self.board();
        let views = board
            .chains
            .iter()
            .flat_map(|(chain, held)| held.keys().filter_map(|number| board.view(*chain, *number)));
        SetView {
            call: board.calls.last().map(|call| call.id.clone()),
            batches: views.collect(),
            trouble: board.trouble.clone().or_else(|| self.sending()),
        }
    }

    /// What keeps the sender from its work: an empty account, fees above the cap, a node that does not answer.
    fn sending(&self) -> Option<String> {
        let status = self.inner.reporter.status();
        let part = status.part(L1Part::Settlement);
        part.failing_since?;
        let failure = part.last_failure.as_ref()?;
        Some(format!("{}; {}", failure.reason, failure.next_step))
    }

    /// What has happened since the start.
    pub fn counts(&self) -> Counts {
        self.board().counts
    }

    /// Works until `stop`.
    ///
    /// # Errors
    /// The disk, or the sender, when waiting cannot help.
    pub async fn run(&self, stop: CancellationToken) -> Result<(), ServiceError> {
        loop {
            match self.tick().await {
                Ok(()) => self.board().trouble = None,
                Err(error @ (ServiceError::Store(_) | ServiceError::Sender(_))) => {
                    return Err(error);
                }
                Err(error) => {
                    let told = error.to_string();
                    let mut board = self.board();
                    if board.trouble.as_ref() != Some(&told) {
                        tracing::warn!(%error, "nothing can be settled now; it is tried again");
                    }
                    board.trouble = Some(told);
                }
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(self.inner.options.poll) => {}
            }
        }
    }

    /// One look at L1 and what follows from it.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub async fn tick(&self) -> Result<(), ServiceError> {
        let chains: Vec<u64> = self.board().chains.keys().copied().collect();
        for chain in chains {
            match self.inner.chains.chain(chain).await {
                Ok(Some(facts)) => self.drop_executed(chain, facts)?,
                Ok(None) => {}
                // A chain is its governor's, who may make of it what does not answer. The others go on.
                Err(error) if of_chain(&error) => self.board().lose(chain, &error.to_string()),
                Err(error) => return Err(error.into()),
            }
        }
        if self.is_under_way().await? {
            return Ok(());
        }
        let waiting = self.board().waiting(now());
        let lanes = self.lanes(&waiting).await?;
        let Some((set, members)) = self.choose(&waiting, &lanes) else {
            return Ok(());
        };
        self.send(&set, members, &lanes).await
    }

    fn drop_executed(&self, chain: u64, facts: ChainFacts) -> Result<(), ServiceError> {
        let gone: Vec<u64> = {
            let board = self.board();
            let held = board.chains.get(&chain);
            held.map(|held| {
                held.range(..=facts.executed)
                    .map(|(number, _)| *number)
                    .collect()
            })
            .unwrap_or_default()
        };
        for number in &gone {
            self.inner.store.remove(chain, *number)?;
        }
        let mut board = self.board();
        board.facts.insert(chain, facts);
        for number in &gone {
            tracing::info!(chain, batch = number, "executed");
            board.remove(chain, *number);
            board.counts.executed += 1;
        }
        Ok(())
    }

    /// Whether a call is on its way. Each is watched until the sender has closed it: one that the contract has
    /// come to refuse, that reverted, or that no transaction can hold is withdrawn, or nothing after it would
    /// ever go.
    async fn is_under_way(&self) -> Result<bool, ServiceError> {
        let reverted = self.reverted();
        let calls = self.board().calls.clone();
        let mut under_way = false;
        for call in calls {
            let status = self.inner.sender.status(&call.id)?;
            let given_up = match &status {
                None | Some(Status::Closed(_)) => {
                    self.inner.store.forget(&call.id)?;
                    self.board().calls.retain(|other| other.id != call.id);
                    continue;
                }
                Some(Status::InEffect(..)) => continue,
                Some(Status::Refused { reason, .. }) => Some(reason.clone()),
                Some(Status::Waiting | Status::Sent { .. }) if reverted.contains(&call.id) => None,
                Some(Status::Waiting) if self.is_too_large() => None,
                Some(Status::Waiting | Status::Sent { .. }) => {
                    under_way |= !call.withdrawn;
                    continue;
                }
            };
            if call.withdrawn {
                continue;
            }
            self.inner.sender.withdraw(&call.id).await?;
            self.board().withdrawn(&call.id);
            match given_up {
                Some(reason) => self.put_aside(&reason, &call.members),
                None => self.suspect(
                    &call.members,
                    "its transaction reverted, or needs more gas than there may be, after its simulation went well",
                ),
            }
        }
        Ok(under_way)
    }

    /// The calls whose transaction was mined and reverted since the last look.
    fn reverted(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let events = self.inner.reverted.lock();
        let mut events = events.unwrap_or_else(PoisonError::into_inner);
        loop {
            match events.try_recv() {
                Ok(event) if matches!(event.news, News::Freed(Freed::Reverted(_))) => {
                    found.insert(event.id);
                }
                Ok(_) | Err(broadcast::error::TryRecvError::Lagged(_)) => {}
                Err(_) => return found,
            }
        }
    }

    fn is_too_large(&self) -> bool {
        let status = self.inner.reporter.status();
        let part = status.part(L1Part::Settlement);
        let kind = part.last_failure.as_ref().map(|failure| failure.kind);
        part.failing_since.is_some() && matches!(kind, Some("too_much_gas" | "gas_allowance"))
    }

    async fn lanes(
        &self,
        waiting: &Waiting,
    ) -> Result<BTreeMap<(u64, u64), LaneFacts>, ServiceError> {
        let mut lanes = BTreeMap::new();
        for (to, list) in waiting {
            for from in list.iter().flat_map(|held| held.batch.takes().into_keys()) {
                if let btree_map::Entry::Vacant(place) = lanes.entry((from, *to)) {
                    place.insert(self.inner.chains.lane(from, *to).await?);
                }
            }
        }
        Ok(lanes)
    }

    /// The next call's set, if it is time for one; says of the others why they wait.
    fn choose(&self, waiting: &Waiting, lanes: &BTreeMap<(u64, u64), LaneFacts>) -> Option<Chosen> {
        let pending: BTreeMap<u64, Vec<Pending>> = waiting
            .iter()
            .map(|(chain, list)| (*chain, list.iter().map(Held::pending).collect()))
            .collect();
        let short = |(ends, facts): (&(u64, u64), &LaneFacts)| {
            let LaneFacts { sent, taken, .. } = *facts;
            (*ends, Lane { sent, taken })
        };
        let short: BTreeMap<(u64, u64), Lane> = lanes.iter().map(short).collect();
        let room = Room {
            gas: MAX_TRANSACTION_GAS,
            batches: self.inner.options.batches,
        };
        let mut planned = plan(&pending, &short, room);
        let mut board = self.board();
        // The smallest set first: the one that is refused was then tried with nothing but what it needs.
        let suspects = waiting.iter().flat_map(|(chain, list)| {
            let name = |(at, held): (usize, &Held)| ((*chain, at), (*chain, held.batch.number()));
            list.iter().enumerate().map(name).collect::<Vec<_>>()
        });
        let suspect = suspects
            .filter(|(_, name)| board.suspects.contains(name))
            .filter_map(|(place, name)| Some((alone(&pending, &short, place).ok()?, name)))
            .min_by_key(|(set, _)| set.values().sum::<usize>());
        board.trying = suspect.as_ref().map(|(_, name)| *name);
        let lingered = suspect.is_some() || {
            let chosen = planned.take.iter();
            let chosen = chosen
                .flat_map(|(chain, count)| waiting.get(chain).into_iter().flatten().take(*count));
            let oldest = chosen.map(|held| held.since).min().unwrap_or(u64::MAX);
            oldest.saturating_add(self.inner.options.linger.as_secs()) <= now()
                || planned.take.values().sum::<usize>() >= room.batches
        };
        if let Some((set, _)) = suspect {
            planned.take = set;
        }
        for ((chain, at), blocked) in &planned.blocked {
            board.explain(waiting, *chain, *at, &blocked.to_string());
        }
        if planned.take.is_empty() {
            return None;
        }
        let mut set = Vec::new();
        for (chain, count) in &planned.take {
            for (at, held) in waiting
                .get(chain)
                .into_iter()
                .flatten()
                .take(*count)
                .enumerate()
            {
                if !lingered {
                    board.explain(
                        waiting,
                        *chain,
                        at,
                        "it goes soon: others may come that make it cheaper",
                    );
                }
                set.push(Arc::clone(&held.batch));
            }
        }
        let members = set
            .iter()
            .map(|batch| (batch.published.chain_id, batch.number()))
            .collect();
        lingered.then_some((set, members))
    }

    async fn send(
        &self,
        set: &[Arc<Batch>],
        members: Vec<(u64, u64)>,
        lanes: &BTreeMap<(u64, u64), LaneFacts>,
    ) -> Result<(), ServiceError> {
        let inner = &self.inner;
        let mut parts = Vec::new();
        let mut check = Vec::new();
        for batch in set {
            let chain = batch.published.chain_id;
            let contract = inner.chains.contract(chain).await?;
            let contract = contract.ok_or(ServiceError::UnknownChain(chain))?;
            let verifier = inner
                .chains
                .verifier(contract, batch.submission.shape)
                .await;
            let verifier = match verifier {
                Ok(verifier) => verifier,
                Err(error) if of_chain(&error) => {
                    self.board().lose(chain, &error.to_string());
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            };
            parts.push(batch.member(verifier));
            check.push((contract, batch.number()));
        }
        let tails = tails(&self.taken(set, lanes).await?);
        let input: Bytes = settle_many(&parts, tails).abi_encode().into();
        let simulated =
            inner
                .client
                .estimate("settleMany", Some(inner.chains.gateway), input.clone());
        match simulated.await {
            Ok(gas) if gas <= MAX_TRANSACTION_GAS => {}
            Ok(_) | Err(SettlementError::TooMuchGas { .. }) => {
                self.suspect(
                    &members,
                    "together with others it needs more gas than a transaction may have",
                );
                return Ok(());
            }
            Err(SettlementError::Refused { reason, .. }) => {
                self.put_aside(&reason, &members);
                return Ok(());
            }
            Err(error) if error.meaning() == Some(Meaning::GasAllowance) => {
                self.suspect(&members, "its simulation takes all the gas there is");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        let id = format!("gateway/{}/{}", now(), inner.store.next_call()?);
        let check = serde_json::to_vec(&check).unwrap_or_default();
        let intent = Intent {
            id: id.clone(),
            to: inner.chains.gateway,
            value: U256::ZERO,
            input,
            blobs: Vec::new(),
            check: check.into(),
        };
        // Kept before it is handed on: what is not known can never be withdrawn.
        let call = Call {
            id: id.clone(),
            members: members.clone(),
            withdrawn: false,
        };
        inner.store.remember(&call)?;
        self.board().calls.push(call);
        inner.sender.enqueue(intent).await?;
        tracing::info!(call = id, batches = members.len(), "handed to the sender");
        let mut board = self.board();
        board.counts.calls += 1;
        for (chain, number) in &members {
            if let Some(held) = board.held(*chain, *number) {
                held.reason = None;
            }
        }

        Ok(())
    }

    /// What a set does to the lanes that it takes from.
    async fn taken(
        &self,
        set: &[Arc<Batch>],
        lanes: &BTreeMap<(u64, u64), LaneFacts>,
    ) -> Result<BTreeMap<(u64, u64), Taken>, ServiceError> {
        let mut moved: BTreeMap<(u64, u64), Taken> = BTreeMap::new();
        for batch in set {
            let to = batch.published.chain_id;
            for (from, count) in batch.takes() {
                let facts = lanes.get(&(from, to)).copied().unwrap_or_default();
                let lane = moved.entry((from, to)).or_insert_with(|| Taken {
                    sent: Fold {
                        count: facts.sent,
                        hash: facts.sent_hash,
                    },
                    taken: facts.taken,
                    ..Taken::default()
                });
                lane.taken += count;
                let known = batch.submission.tails.iter().find(|tail| tail.from == from);
                lane.known = known.cloned();
            }
        }
        for batch in set {
            let from = batch.published.chain_id;
            for to in batch.sends().into_keys() {
                let Some(lane) = moved.get_mut(&(from, to)) else {
                    continue;
                };
                for record in batch.sends_to(to) {
                    let owner =
                        |word| Party::from_word(word).map(|party| Address::from(party.owner));
                    let [recipient, sender, memo] = &record.words;
                    lane.sends.push(Entry {
                        token: self.inner.chains.token(from, record.token).await?,
                        amount: U256::from(record.amount),
                        sender: Address::from_word(B256::from(word(sender))),
                        recipient: owner(recipient).unwrap_or_default(),
                        memo: word(memo),
                    });
                }
            }
        }
        Ok(moved)
    }

    /// A refusal names a chain and a step, and the batch of that step waits; or it names none, and the members are
    /// tried a smallest set at a time.
    fn put_aside(&self, reason: &Refusal, members: &[(u64, u64)]) {
        let told = format!("the simulation was refused: {reason}; {}", reason.advice());
        let base = self.inner.options.retry.as_secs().max(1);
        if let Refusal::Step { chain, step, .. } = reason {
            let mut board = self.board();
            if let Some(number) = board.of_step(members, *chain, *step) {
                tracing::warn!(chain, batch = number, reason = told, "put aside");
                board.counts.refused += 1;
                board.refuse(*chain, number, &told, base);
                return;
            }
        }
        self.suspect(members, &told);
    }

    /// None of the members is named: of a smallest set the one that it was made for waits, otherwise all are tried
    /// by themselves.
    fn suspect(&self, members: &[(u64, u64)], why: &str) {
        tracing::warn!(batches = members.len(), reason = why, "a set does not go");
        let base = self.inner.options.retry.as_secs().max(1);
        let mut board = self.board();
        board.counts.refused += 1;
        let tried = board.trying.take().filter(|tried| members.contains(tried));
        let tried = tried.or(match members {
            [one] => Some(*one),
            _ => None,
        });
        match tried {
            Some((chain, number)) => board.refuse(chain, number, why, base),
            None => board.suspects.extend(members),
        }
    }
}

/// Whether an error is one chain's own: its contract refuses a question, or answers something else.
fn of_chain(error: &SettlementError) -> bool {
    matches!(
        error,
        SettlementError::Refused { .. }
            | SettlementError::NotOurContract { .. }
            | SettlementError::Rpc { .. }
    )
}

type Waiting = BTreeMap<u64, Vec<Held>>;
/// The batches of the next call, and the chain and number of each.
type Chosen = (Vec<Arc<Batch>>, Vec<(u64, u64)>);

impl Held {
    fn pending(&self) -> Pending {
        let (sends, takes) = (self.batch.sends(), self.batch.takes());
        let crossings: u64 = sends.values().chain(takes.values()).sum();
        let records = self.batch.published.header.records.len() as u64;
        Pending {
            since: self.since,
            gas: BASE_GAS + RECORD_GAS * records + CROSSING_GAS * crossings,
            sends,
            takes,
        }
    }
}

impl Board {
    /// Another batch of its number is gone with what was said of it; of the same one that stays.
    fn hold(&mut self, batch: Batch, since: u64) {
        let (chain, number) = (batch.published.chain_id, batch.number());
        let known = self.known(&batch);
        if known.is_none() {
            self.suspects.remove(&(chain, number));
        }
        let batch = Arc::new(batch);
        let held = match known {
            Some(known) => Held { batch, ..known },
            None => Held {
                batch,
                since,
                reason: None,
                not_before: 0,
                refusals: 0,
            },
        };
        self.chains.entry(chain).or_default().insert(number, held);
    }

    /// The same batch, if it is here.
    fn known(&self, batch: &Batch) -> Option<Held> {
        let held = self.chains.get(&batch.published.chain_id)?;
        let held = held.get(&batch.number())?;
        (held.batch.digest() == batch.digest()).then(|| held.clone())
    }

    /// Nothing is known of a chain now: its batches wait.
    fn lose(&mut self, chain: u64, reason: &str) {
        self.facts.remove(&chain);
        let held = self.chains.get_mut(&chain).into_iter();
        for held in held.flat_map(BTreeMap::values_mut) {
            held.reason = Some(format!(
                "the chain's contract does not answer as it should: {reason}"
            ));
        }
    }

    fn withdrawn(&mut self, id: &str) {
        for call in self.calls.iter_mut().filter(|call| call.id == id) {
            call.withdrawn = true;
        }
    }

    /// The batch that a step of a chain belongs to.
    fn of_step(&self, members: &[(u64, u64)], chain: u64, step: u64) -> Option<u64> {
        let mut next = 0;
        for (_, number) in members.iter().filter(|(of, _)| *of == chain) {
            let held = self.chains.get(&chain)?.get(number)?;
            next += match held.batch.submission.way {
                Way::Signed { .. } => 1,
                Way::Committed { .. } => 2,
            };
            if step < next {
                return Some(*number);
            }
        }
        None
    }

    fn held(&mut self, chain: u64, number: u64) -> Option<&mut Held> {
        self.chains.get_mut(&chain)?.get_mut(&number)
    }

    fn remove(&mut self, chain: u64, number: u64) {
        self.suspects.remove(&(chain, number));
        if let Some(held) = self.chains.get_mut(&chain) {
            held.remove(&number);
            if held.is_empty() {
                self.chains.remove(&chain);
            }
        }
    }

    fn refuse(&mut self, chain: u64, number: u64, reason: &str, base: u64) {
        self.suspects.remove(&(chain, number));
        if let Some(held) = self.held(chain, number) {
            held.reason = Some(reason.to_owned());
            held.refusals += 1;
            let factor = 1u64 << held.refusals.min(7).saturating_sub(1);
            held.not_before = now() + base * factor.min(100);
        }
    }

    fn explain(&mut self, waiting: &Waiting, chain: u64, at: usize, reason: &str) {
        let number = waiting.get(&chain).and_then(|list| list.get(at));
        let number = number.map(|held| held.batch.number()).unwrap_or_default();
        if let Some(held) = self.held(chain, number) {
            held.reason = Some(reason.to_owned());
        }
    }

    /// Of each chain what follows its last executed batch without a gap, up to the first that cannot go now.
    fn waiting(&mut self, now: u64) -> Waiting {
        let mut waiting = Waiting::new();
        let facts = self.facts.clone();
        for (chain, held) in &mut self.chains {
            let Some(facts) = facts.get(chain) else {
                continue;
            };
            let mut next = facts.executed.saturating_add(1);
            let mut stopped = facts
                .halted
                .then(|| "the chain is halted for good".to_owned());
            for (number, held) in held {
                let expired = match held.batch.submission.way {
                    Way::Signed { deadline, .. } => deadline < now + LEAST_TIME,
                    Way::Committed { .. } => false,
                };
                if stopped.is_none() && *number != next {
                    stopped = Some(format!(
                        "batch {next} of the chain is not here; its node must bring it"
                    ));
                } else if stopped.is_none() && expired {
                    held.reason = Some(
                        "the operator's signature is about to expire; its node must sign anew"
                            .into(),
                    );
                    stopped = Some(format!("batch {number} cannot go"));
                    continue;
                } else if stopped.is_none() && now < held.not_before {
                    stopped = Some(format!("batch {number} before it was refused"));
                    continue;
                }
                if let Some(reason) = &stopped {
                    held.reason = Some(reason.clone());
                    continue;
                }
                waiting.entry(*chain).or_default().push(held.clone());
                next = next.saturating_add(1);
            }
        }
        waiting
    }

    fn view(&self, chain: u64, number: u64) -> Option<BatchView> {
        let held = self.chains.get(&chain)?.get(&number)?;
        let mut sent = self.calls.iter().filter(|call| !call.withdrawn);
        let sent = sent.any(|call| call.members.contains(&(chain, number)));
        Some(BatchView {
            chain,
            number,
            digest: Some(held.batch.digest()),
            place: if sent { Place::Sent } else { Place::Waiting },
            reason: held.reason.clone(),
            since: Some(held.since),
        })
    }
}
