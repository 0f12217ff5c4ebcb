//! What the sender asks of the world: an Ethereum node, and the contract's counters.
//!
//! Traits, so that the whole sender runs in tests against a model chain. [`super::NodePort`] is the
//! node over JSON-RPC. Called by `run`.

use alloy::primitives::{Address, B256, TxHash, U256};
use async_trait::async_trait;

use super::{BlockRef, Fees, Intent, Market, Receipt};
use crate::{Meaning, Refusal, RpcFailure, SettlementError};

/// What a node says to a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendAnswer {
    /// It is in the pool, now or already.
    Taken,
    /// Its nonce is used.
    NonceUsed,
    /// Another transaction with its nonce is in the pool and pays more than this one offers.
    Underpriced,
    /// It is not in the pool, for this reason.
    Refused(RpcFailure),
}

/// Why the port gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PortError {
    /// The contract refuses the call.
    #[error("the contract refuses the call: {0}")]
    Refused(Refusal),
    /// The node did not answer, or not sensibly; it may do so later.
    #[error(transparent)]
    Node(#[from] SettlementError),
}

impl PortError {
    /// What the node's error means, if it is one.
    pub fn meaning(&self) -> Option<Meaning> {
        match self {
            Self::Refused(_) => None,
            Self::Node(error) => error.meaning(),
        }
    }
}

impl From<RpcFailure> for PortError {
    fn from(failure: RpcFailure) -> Self {
        Self::Node(failure.into())
    }
}

/// An Ethereum node.
#[async_trait]
pub trait Port: Send + Sync {
    /// Its chain id.
    async fn chain_id(&self) -> Result<u64, PortError>;
    /// The newest block.
    async fn head(&self) -> Result<BlockRef, PortError>;
    /// Fees of the next block.
    async fn market(&self) -> Result<Market, PortError>;
    /// Transactions mined from `address`, as of the newest block.
    async fn nonce(&self, address: Address) -> Result<u64, PortError>;
    /// Wei of `address`, as of the newest block.
    async fn balance(&self, address: Address) -> Result<U256, PortError>;
    /// The hash of a block of the chain that the node follows.
    async fn block_hash(&self, number: u64) -> Result<Option<B256>, PortError>;
    /// A transaction's receipt, if it is mined.
    async fn receipt(&self, transaction: TxHash) -> Result<Option<Receipt>, PortError>;
    /// Runs the call on the newest state, offering `fees` as the transaction will, and returns the gas
    /// that it needs. Without fees, it does not matter whether the account can pay. `hashes` are the
    /// versioned hashes of the intent's blobs.
    async fn simulate(
        &self,
        from: Address,
        intent: &Intent,
        hashes: &[B256],
        fees: Option<Fees>,
    ) -> Result<u64, PortError>;
    /// Hands signed bytes to the node.
    async fn send(&self, raw: &[u8]) -> Result<SendAnswer, PortError>;
}

/// The contract's counters.
#[async_trait]
pub trait Outcome: Send + Sync {
    /// Whether the intent has taken effect, as of the newest block: for a batch, whether the chain's
    /// counter has reached its number. It must not matter by whose transaction.
    async fn taken(&self, intent: &Intent) -> Result<bool, SettlementError>;
}
