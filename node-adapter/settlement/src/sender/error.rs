//! Errors of the L1 sender.

use std::time::Duration;

use alloy::primitives::Address;

use super::journal::JournalError;
use super::{PortError, SignError};
use crate::{SettlementError, Trouble};

/// Why the sender stopped, or could not take a step.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SenderError {
    /// The journal cannot be read or written: nothing more is sent.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The node did not answer.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The journal belongs to another key or chain.
    #[error(
        "the journal belongs to {address} on chain {chain}, the sender is {own} on chain {own_chain}: name the right \
         journal, key or node"
    )]
    ForeignJournal {
        /// Address of the journal.
        address: Address,
        /// Its chain.
        chain: u64,
        /// The sender's address.
        own: Address,
        /// The node's chain.
        own_chain: u64,
    },
    /// An id is already used for something else.
    #[error(
        "the intent {id:?} is already in the journal with another content; ids name an intent for good"
    )]
    OtherContent {
        /// The id.
        id: String,
    },
    /// No such intent is open.
    #[error("no open intent has the id {id:?}")]
    NoSuchIntent {
        /// The id.
        id: String,
    },
    /// A transaction could not be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The sender's task has ended.
    #[error("the sender has stopped; its own error says why, and the journal keeps what it did")]
    Stopped,
    /// A drill ended the sender.
    #[error("ended by a fault injector")]
    Killed,
}

impl SenderError {
    /// Whether trying again later can help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Port(_))
    }
}

impl SenderError {
    /// How long the node asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Port(PortError::Node(error)) => error.retry_after(),
            _ => None,
        }
    }

    /// As it is reported.
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::Port(PortError::Node(error)) => error.trouble(),
            other => Trouble {
                kind: "sender",
                reason: other.to_string(),
                next_step: "see the reason, then restart the node".into(),
            },
        }
    }
}

impl From<SettlementError> for SenderError {
    fn from(error: SettlementError) -> Self {
        Self::Port(error.into())
    }
}
