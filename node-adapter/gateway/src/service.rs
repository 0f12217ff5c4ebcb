//! Takes batches in, plans, hands calls to the L1 sender, and says of each batch where it is and why it waits.
//!
//! One call at a time: what a call settles decides what the next one can. Every call is simulated before it is handed on;
//! what is refused is found, put aside for a while and named, and the others go without it. Called by `http` and by
//! `carillon-node`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alloy::primitives::{Address, B256, Bytes, Signature, U256};
use alloy::sol_types::SolCall;
use async_trait::async_trait;
use carillon_protocol::Party;
use carillon_settlement::gateway::{settle_digest, settle_many};
use carillon_settlement::lanes::Fold;
use carillon_settlement::sender::{Handle, Intent, Outcome, SenderError, Status};
use carillon_settlement::{L1Client, MAX_TRANSACTION_GAS, Refusal, SettlementError, progress};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::l1::{ChainFacts, Chains, LaneFacts};
use super::plan::{Lane, Pending, Room, alone, plan};
use super::store::{Row, Store, StoreError};
use super::submission::{Batch, Submission, SubmissionError, Way, word};
use super::tails::{Entry, Taken, tails};

/// Batches of a chain that may wait at the same time.
const MOST_WAITING: u64 = 64;
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

#[derive(Clone, Debug)]
struct Call {
    id: String,
    members: Vec<(u64, u64)>,
}

#[derive(Debug, Default)]
struct Board {
    chains: BTreeMap<u64, BTreeMap<u64, Held>>,
    facts: BTreeMap<u64, ChainFacts>,
    call: Option<Call>,
    /// Were in a call that was refused for no single chain: tried a smallest set at a time.
    suspects: BTreeSet<(u64, u64)>,
    trouble: Option<String>,
    pub(crate) counts: Counts,
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
    options: Options,
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
        sender: Handle,
        options: Options,
    ) -> Result<Self, ServiceError> {
        let mut board = Board::default();
        for row in store.rows()? {
            let batch = row.submission.batch()?;
            board.hold(batch, row.since);
        }
        Ok(Self {
            inner: Arc::new(Inner {
                chains,
                client,
                store,
                sender,
                options,
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

    async fn take(&self, submission: Submission) -> Result<BatchView, ServiceError> {
        let inner = &self.inner;
        let batch = submission.clone().batch()?;
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
        if number > facts.executed + MOST_WAITING {
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
                let digest = settle_digest(l1, facts.contract, number, z, *deadline);
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
        let known = self.board().digest(chain, number);
        if known != Some(batch.digest()) {
            let checked = inner
                .chains
                .verify(verifier, submission.proof.clone(), batch.inputs)
                .await;
            match checked {
                Err(SettlementError::Refused { reason, .. }) => {
                    return Err(refused(format!("the verifier refuses the proof: {reason}")));
                }
                other => other?,
            }
        }
        let since = match known == Some(batch.digest()) {
            true => self.board().since(chain, number).unwrap_or_else(now),
            false => now(),
        };
        inner.store.put(number, &Row { since, submission })?;
        let mut board = self.board();
        board.facts.insert(chain, facts);
        board.hold(batch, since);
        board
            .view(chain, number)
            .ok_or_else(|| refused("it went meanwhile".into()))
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
            call: board.call.as_ref().map(|call| call.id.clone()),
            batches: views.collect(),
            trouble: board.trouble.clone(),
        }
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
            if let Some(facts) = self.inner.chains.chain(chain).await? {
                self.drop_executed(chain, facts)?;
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

    /// Whether a call is on its way; one that the contract has come to refuse is withdrawn.
    async fn is_under_way(&self) -> Result<bool, ServiceError> {
        let Some(call) = self.board().call.clone() else {
            return Ok(false);
        };
        match self.inner.sender.status(&call.id)? {
            Some(Status::Waiting | Status::Sent { .. }) => return Ok(true),
            Some(Status::Refused { reason, .. }) => {
                self.inner.sender.withdraw(&call.id).await?;
                self.put_aside(&reason, &call.members);
            }
            // In effect: what was executed is gone from the board already.
            None | Some(Status::InEffect(..) | Status::Closed(_)) => {}
        }
        self.board().call = None;
        Ok(false)
    }

    async fn lanes(
        &self,
        waiting: &Waiting,
    ) -> Result<BTreeMap<(u64, u64), LaneFacts>, ServiceError> {
        let mut lanes = BTreeMap::new();
        for (to, list) in waiting {
            for from in list.iter().flat_map(|held| held.batch.takes().into_keys()) {
                if !lanes.contains_key(&(from, *to)) {
                    lanes.insert((from, *to), self.inner.chains.lane(from, *to).await?);
                }
            }
        }
        Ok(lanes)
    }

    /// The next call's set, if it is time for one; says of the others why they wait.
    fn choose(
        &self,
        waiting: &Waiting,
        lanes: &BTreeMap<(u64, u64), LaneFacts>,
    ) -> Option<(Vec<Arc<Batch>>, Vec<(u64, u64)>)> {
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
        let suspect = waiting.iter().find_map(|(chain, list)| {
            let at = list
                .iter()
                .position(|held| board.suspects.contains(&(*chain, held.batch.number())))?;
            alone(&pending, &short, (*chain, at)).ok()
        });
        let lingered = suspect.is_some() || {
            let chosen = planned.take.iter();
            let chosen = chosen
                .flat_map(|(chain, count)| waiting.get(chain).into_iter().flatten().take(*count));
            let oldest = chosen.map(|held| held.since).min().unwrap_or(u64::MAX);
            oldest.saturating_add(self.inner.options.linger.as_secs()) <= now()
                || planned.take.values().sum::<usize>() >= room.batches
        };
        if let Some(set) = suspect {
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
                .await?;
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
            Err(error) => return Err(error.into()),
        }
        let id = format!("gateway/{}", inner.store.next_call()?);
        let check = serde_json::to_vec(&check).unwrap_or_default();
        let intent = Intent {
            id: id.clone(),
            to: inner.chains.gateway,
            value: U256::ZERO,
            input,
            blobs: Vec::new(),
            check: check.into(),
        };
        inner.sender.enqueue(intent).await?;
        tracing::info!(call = id, batches = members.len(), "handed to the sender");
        let mut board = self.board();
        board.counts.calls += 1;
        for (chain, number) in &members {
            if let Some(held) = board.held(*chain, *number) {
                held.reason = None;
            }
        }
        board.call = Some(Call { id, members });
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

    /// A refusal names a chain, and the first of its batches in the set waits; or it names none, and the members are
    /// tried a smallest set at a time, until one that is refused is such a set itself.
    fn put_aside(&self, reason: &Refusal, members: &[(u64, u64)]) {
        let told = format!("the simulation was refused: {reason}; {}", reason.advice());
        let mut board = self.board();
        board.counts.refused += 1;
        let base = self.inner.options.retry.as_secs().max(1);
        if let Refusal::Step { chain, .. } = reason
            && let Some((chain, number)) = members.iter().find(|(of, _)| of == chain)
        {
            tracing::warn!(chain, batch = number, reason = told, "put aside");
            board.refuse(*chain, *number, &told, base);
            return;
        }
        let small = board
            .suspects
            .iter()
            .any(|suspect| members.contains(suspect))
            || members.len() == 1;
        for (chain, number) in members {
            match small {
                true => board.refuse(*chain, *number, &told, base),
                false => {
                    board.suspects.insert((*chain, *number));
                }
            }
        }
        tracing::warn!(batches = members.len(), reason = told, "a set was refused");
    }

    fn suspect(&self, members: &[(u64, u64)], why: &str) {
        let mut board = self.board();
        let base = self.inner.options.retry.as_secs().max(1);
        let small = board
            .suspects
            .iter()
            .any(|suspect| members.contains(suspect))
            || members.len() == 1;
        for (chain, number) in members {
            match small {
                true => board.refuse(*chain, *number, why, base),
                false => {
                    board.suspects.insert((*chain, *number));
                }
            }
        }
    }
}

type Waiting = BTreeMap<u64, Vec<Held>>;

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
    fn hold(&mut self, batch: Batch, since: u64) {
        let (chain, number) = (batch.published.chain_id, batch.number());
        self.suspects.remove(&(chain, number));
        let held = Held {
            batch: Arc::new(batch),
            since,
            reason: None,
            not_before: 0,
            refusals: 0,
        };
        self.chains.entry(chain).or_default().insert(number, held);
    }

    fn held(&mut self, chain: u64, number: u64) -> Option<&mut Held> {
        self.chains.get_mut(&chain)?.get_mut(&number)
    }

    fn digest(&self, chain: u64, number: u64) -> Option<B256> {
        Some(self.chains.get(&chain)?.get(&number)?.batch.digest())
    }

    fn since(&self, chain: u64, number: u64) -> Option<u64> {
        Some(self.chains.get(&chain)?.get(&number)?.since)
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
            let mut next = facts.executed + 1;
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
                next += 1;
            }
        }
        waiting
    }

    fn view(&self, chain: u64, number: u64) -> Option<BatchView> {
        let held = self.chains.get(&chain)?.get(&number)?;
        let sent = self.call.as_ref();
        let sent = sent.is_some_and(|call| call.members.contains(&(chain, number)));
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
