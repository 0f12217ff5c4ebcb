//! Takes batches in, plans, hands calls to the L1 sender, and says of each batch where it is and why it waits.
//!
//! One call at a time: what a call settles decides what the next one can. Every call is simulated before it is handed on;
//! what is refused is found, put aside for a while and named, and the others go without it. Called by `http` and by
//! `carillon-node`.
//!
//! `intake` takes in, `board` knows what is here, `choose` makes the next call, `calls` watches what became of it.

mod board;
mod calls;
mod choose;
mod intake;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy::primitives::Address;
use async_trait::async_trait;
use carillon_settlement::sender::{Event, Handle, Intent, Outcome, SenderError};
use carillon_settlement::{L1Client, L1Part, L1Reporter, SettlementError, progress};
use serde::Serialize;
use tokio::sync::{Semaphore, broadcast};
use tokio_util::sync::CancellationToken;

use super::l1::{ChainFacts, Chains};
use super::store::{Store, StoreError};
use super::submission::SubmissionError;

pub use board::{BatchView, Counts, Place};
use board::{Board, now};

/// Batches that are checked at the same time: each asks Ethereum a few times.
const PLACES: usize = 4;

/// How the service works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Between two looks.
    pub poll: Duration,
    /// How long the oldest batch waits for others, which make each cheaper.
    pub linger: Duration,
    /// Most batches of a transaction.
    pub batches: usize,
    /// What is refused is tried again after this, then ever later, up to 64 times as long.
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
        // Before L1 is read: what had its effect by now is seen as executed below.
        let under_way = self.is_under_way().await?;
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
        if under_way {
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
