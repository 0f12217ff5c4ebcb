//! What the node asks of Ethereum, as traits: entries of the L1 queue in, sealed and proved batches
//! out. Implemented over `carillon-settlement`, and by tests. Called by `writer` and `driver`.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::outbox::{LanesOut, Wanted};
use super::receipt::Condition;
use super::store::BatchStatus;
use carillon_protocol::crypto::schnorr::PublicKey;
use carillon_protocol::{Kind, layout};

/// What nobody signs on this chain: an entry of its L1 queue (a deposit, an import or an exit request),
/// or of a lane (a take of what was sent on another chain).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueEntry {
    /// Its index in its line, from 0.
    pub index: u64,
    /// The record's five words, 32 bytes big-endian each, masked as the contract hashes them.
    pub words: [[u8; 32]; 5],
}

/// A line of entries that are executed in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Line {
    /// The L1 queue.
    Queue,
    /// The lane from a chain with this id.
    Lane(u64),
}

impl Line {
    /// The chain that a lane comes from.
    pub fn chain(self) -> Option<u64> {
        match self {
            Self::Queue => None,
            Self::Lane(chain) => Some(chain),
        }
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Queue => f.write_str("the L1 queue"),
            Self::Lane(chain) => write!(f, "the lane from chain {chain}"),
        }
    }
}

impl QueueEntry {
    /// The kind's number.
    pub fn kind(&self) -> u8 {
        layout::record::kind(self.words[0][31].into())
    }

    /// The line that it stands in.
    pub fn line(&self) -> Line {
        if self.kind() != Kind::Take as u8 {
            return Line::Queue;
        }
        // PROTOCOL.md, "Between chains": the chain has bits 160 to 223 of the other end.
        let chain = self.words[3][4..12].iter();
        Line::Lane(chain.fold(0, |id, byte| id << 8 | u64::from(*byte)))
    }
}

/// Why an L1 port gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// It may work later.
    #[error("Ethereum does not answer: {0}; it is asked again")]
    Unreachable(String),
    /// It failed a moment ago and is not tried again yet; the failure was told.
    #[error("Ethereum is asked again later")]
    Later,
    /// L1 refuses a batch again and again, for a reason that does not pass.
    #[error("{0}")]
    Refused(String),
    /// L1 contradicts what this node has executed. Nothing may go on.
    #[error("{0}")]
    Contradiction(String),
}

impl PortError {
    /// What waiting cannot fix: the batch on disk is not what it should be.
    pub(super) fn contradiction(error: &dyn std::fmt::Display) -> Self {
        Self::Contradiction(error.to_string())
    }
}

/// The L1 queue as the node may use it: entries so deep that no reorg is expected to remove them.
#[async_trait]
pub trait L1Inbox: Send + Sync + 'static {
    /// Entries from index `from` on, in order, `most` at a time.
    ///
    /// # Errors
    /// [`PortError::Contradiction`] if an entry below `from` is no longer what was delivered.
    async fn entries(&self, from: u64, most: usize) -> Result<Vec<QueueEntry>, PortError>;

    /// What other chains sent, as takes: those behind the first `taken` entries of their lane, in the
    /// order of each lane, `most` of each at a time. Entries that are left out went back to who sent
    /// them. Without lanes there are none.
    ///
    /// # Errors
    /// As [`L1Inbox::entries`]; what concerns one lane alone is among those that are held.
    async fn arrivals(
        &self,
        _taken: &BTreeMap<u64, u64>,
        _most: usize,
    ) -> Result<LaneEntries, PortError> {
        Ok(LaneEntries::default())
    }
}

/// What other chains sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneEntries {
    /// What can be taken.
    pub entries: Vec<QueueEntry>,
    /// Why nothing more of the lane from a chain can be taken now.
    pub held: BTreeMap<u64, String>,
}

/// An entry of another chain's lane that is not settled there, by that chain's signed word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromisedEntry {
    /// The take, as L1 will have it.
    pub entry: QueueEntry,
    /// The lane's hash with it.
    pub hash: [u8; 32],
    /// What it is worth, in wei.
    pub wei: u128,
}

/// What a chain has promised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promised {
    /// The chain that sends.
    pub chain: u64,
    /// The epoch of its lane.
    pub epoch: u64,
    /// Entries in the lane's order.
    pub entries: Vec<PromisedEntry>,
}

/// A batch as the settler gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvedBatch {
    /// Its number.
    pub number: u64,
    /// Entries taken of the lane from each chain, up to and with this batch.
    pub lanes: BTreeMap<u64, u64>,
    /// The words of H.
    pub header: Vec<[u8; 32]>,
    /// The elements of B.
    pub blob: Vec<[u8; 32]>,
    /// The proof.
    pub proof: Vec<u8>,
}

/// What Ethereum says of lanes, for whoever believes chains that have not settled.
#[async_trait]
pub trait LaneAuthority: Send + Sync + 'static {
    /// What it has of this chain's lanes to others, deep enough.
    ///
    /// # Errors
    /// [`PortError`]; [`PortError::Later`] if it was asked a moment ago.
    async fn sent(&self, wanted: &Wanted) -> Result<LanesOut, PortError>;

    /// Entries of the lane from a chain, as far as they are deep enough.
    ///
    /// # Errors
    /// [`PortError`].
    fn count(&self, chain: u64) -> Result<u64, PortError>;

    /// The hash of the lane from a chain with so many of them; none if there are fewer.
    ///
    /// # Errors
    /// [`PortError`].
    fn hash(&self, chain: u64, count: u64) -> Result<Option<[u8; 32]>, PortError>;

    /// The key of a chain's statements now; none if it has none.
    ///
    /// # Errors
    /// [`PortError`].
    async fn key(&self, chain: u64) -> Result<Option<PublicKey>, PortError>;

    /// The slot of a token on this chain; none if it has none.
    ///
    /// # Errors
    /// [`PortError`].
    async fn slot(&self, token: [u8; 20]) -> Result<Option<u8>, PortError>;
}

/// Brings proved batches to Ethereum.
#[async_trait]
pub trait Settler: Send + Sync + 'static {
    /// How far a batch is, if that is known without its data and without asking L1.
    ///
    /// # Errors
    /// [`PortError`].
    async fn known(&self, _number: u64) -> Result<Option<BatchStatus>, PortError> {
        Ok(None)
    }

    /// Settles a batch, or says how far it is. It is called again and again for every batch that is
    /// not final, in order; it must not settle twice.
    ///
    /// # Errors
    /// [`PortError`].
    async fn settle(&self, batch: &ProvedBatch) -> Result<BatchStatus, PortError>;

    /// Settles a batch that took what other chains have not settled, together with them, or says how far
    /// it is; none if that cannot be done here: then it waits until they have settled. The place for a
    /// gateway.
    ///
    /// # Errors
    /// [`PortError`].
    async fn settle_together(
        &self,
        _number: u64,
        _conditions: &[Condition],
    ) -> Result<Option<BatchStatus>, PortError> {
        Ok(None)
    }
}
