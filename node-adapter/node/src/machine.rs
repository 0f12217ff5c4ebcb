//! What the writer drives: a state machine that executes operations and seals batches.
//!
//! The trait keeps apart what must survive a crash (`writer`, `store`: order, durability, restart)
//! from what operations mean (`rollup`: the ledger). Called by `writer`; tests drive `test_machine`.

use std::collections::BTreeMap;

use super::outbox::Outgoing;
use super::ports::{Line, QueueEntry};
use super::store::{Part, Store, StoreError};
use carillon_protocol::Domain;

/// Why an operation was refused. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// A short stable name, for programs.
    pub code: &'static str,
    /// What is wrong and what to do, for people.
    pub reason: String,
}

impl Refusal {
    /// A refusal.
    pub fn new(code: &'static str, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
        }
    }
}

/// A batch that left the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Its number.
    pub number: u64,
    /// Operations without padding.
    pub operations: u64,
    /// Records.
    pub records: u64,
    /// State root before, in hex.
    pub old_root: String,
    /// State root after, in hex.
    pub new_root: String,
    /// C_H, C_B, z, y_H, y_B in hex.
    pub public_inputs: Vec<String>,
    /// Long parts.
    pub parts: Vec<(Part, Vec<u8>)>,
    /// Accounts that it changed, as they are now.
    pub accounts: Vec<(u32, Vec<u8>)>,
}

/// Executes operations and seals batches. Deterministic: the same operations in the same order give
/// the same roots, or a restart would not find what was acknowledged.
pub trait Machine: Send + Sync + 'static {
    /// An operation whose form was checked.
    type Operation: Send + Sync + 'static;
    /// What a signature was checked against; see [`Machine::execute`].
    type Ticket: Send + 'static;

    /// The bytes of an operation, as the log keeps them.
    fn encode(&self, operation: &Self::Operation) -> Vec<u8>;

    /// Reads them again.
    ///
    /// # Errors
    /// [`Refusal`] for bytes that are none.
    fn decode(&self, bytes: &[u8]) -> Result<Self::Operation, Refusal>;

    /// Names an operation for good. Another signature on the same operation is the same operation.
    fn id(&self, operation: &Self::Operation) -> [u8; 32];

    /// Checks a signature against the present state. Called for many operations in parallel.
    ///
    /// # Errors
    /// [`Refusal`].
    fn check(&self, operation: &Self::Operation) -> Result<Self::Ticket, Refusal>;

    /// The accounts that an executed operation may have changed.
    fn touches(&self, operation: &Self::Operation) -> Vec<u32>;

    /// The bytes of an account as it is now, as the store keeps them.
    fn account(&self, index: u32) -> Vec<u8>;

    /// Names that an account can be found by, from those bytes.
    fn names(account: &[u8]) -> Vec<Vec<u8>>;

    /// Whether it fits into the open batch.
    fn fits(&self, operation: &Self::Operation) -> bool;

    /// Executes an operation. If the state has moved on so that the ticket no longer speaks for it,
    /// checks the signature again. One without a ticket (from the log, from L1) was accepted before:
    /// neither its signature nor rules that only decide what is accepted are looked at, or a rule
    /// that became stricter would end the next start.
    ///
    /// # Errors
    /// [`Refusal`]; then nothing has changed.
    fn execute(
        &mut self,
        operation: &Self::Operation,
        ticket: Option<Self::Ticket>,
    ) -> Result<(), Refusal>;

    /// The operation that executes an entry of the L1 queue or of a lane on the present state.
    ///
    /// # Errors
    /// [`Refusal`] for an entry that no state can take.
    #[allow(clippy::wrong_self_convention)] // From an entry, on the present state.
    fn from_queue(&self, entry: &QueueEntry) -> Result<Self::Operation, Refusal>;

    /// What an executed operation sends to another chain.
    fn outgoing(&self, _operation: &Self::Operation) -> Option<Outgoing> {
        None
    }

    /// What the chain's statements are signed for.
    fn domain(&self) -> Domain;

    /// The line that an operation stands in, and its place there, if it comes from one.
    fn place(&self, operation: &Self::Operation) -> Option<(Line, u64)>;

    /// The machine as of the store's sealed point, after that was moved back.
    ///
    /// # Errors
    /// [`StoreError`].
    fn rewound(&self, store: &Store) -> Result<Self, StoreError>
    where
        Self: Sized;

    /// The account of each owner, which stays the owner's also when the state is taken back: operations name accounts
    /// by their index alone.
    fn owners(&self) -> Vec<([u8; 20], u32)> {
        Vec::new()
    }

    /// An operation of the log as it is executed on another state than before: an exit takes what is
    /// there.
    #[must_use]
    fn again(&self, operation: Self::Operation) -> Self::Operation {
        operation
    }

    /// Entries of the L1 queue executed so far.
    fn queue(&self) -> u64;

    /// Entries taken of the lane from each chain so far; of a chain that is not there, none.
    fn lanes(&self) -> &BTreeMap<u64, u64>;

    /// Entries of a line executed so far.
    fn executed(&self, line: Line) -> u64 {
        match line {
            Line::Queue => self.queue(),
            Line::Lane(chain) => self.lanes().get(&chain).copied().unwrap_or_default(),
        }
    }

    /// Operations in the open batch.
    fn open(&self) -> u64;

    /// State root, in hex, of a machine whose open batch is empty.
    fn root(&self) -> String;

    /// Seals the open batch.
    ///
    /// # Errors
    /// [`Refusal`] if the batch cannot be sealed; then the node must stop.
    fn seal(&mut self) -> Result<Sealed, Refusal>;
}

/// Why the writer does not accept an operation.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The operation is wrong.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It was accepted before.
    #[error("this operation was accepted before, with sequence number {sequence}")]
    Known {
        /// Its place in the log.
        sequence: u64,
    },
    /// Too much waits.
    #[error("the sequencer has more to do than it can take; send the operation again in a moment")]
    Busy,
    /// The node has stopped accepting.
    #[error("the node does not accept operations: {0}")]
    Stopped(String),
}

/// What ends the writer.
#[derive(Debug, thiserror::Error)]
pub enum WriterError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An operation of the log is refused when it is executed again.
    #[error(
        "operation {sequence} of the log is refused on replay: {reason}; the log and the accounts do not belong together"
    )]
    Replay {
        /// Its place.
        sequence: u64,
        /// The refusal.
        reason: Refusal,
    },
    /// A batch could not be sealed.
    #[error("the open batch cannot be sealed: {0}")]
    Seal(Refusal),
    /// No thread.
    #[error("the sequencer's thread cannot be started: {0}")]
    Thread(std::io::Error),
}
