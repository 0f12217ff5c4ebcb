//! Why the sequencer refuses.

use std::fmt;

use blstrs::Scalar;
use thiserror::Error;

use crate::circuit::BuildError;
use crate::state::{StateError, TreeError};

/// Why a chain cannot be started.
#[derive(Debug, Error)]
#[error("genesis: {0}")]
pub struct NewError(#[from] StateError);

/// A side of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// Who pays.
    Sender,
    /// Who receives.
    Receiver,
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sender => "sender",
            Self::Receiver => "receiver",
        })
    }
}

/// Why a transfer is refused. The state has not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SubmitError {
    /// Signed for another chain.
    #[error("the transfer is for chain {got}, this is chain {expected}: sign it for this chain")]
    WrongChain {
        /// This chain.
        expected: u64,
        /// The transfer's chain.
        got: u64,
    },
    /// Moves nothing.
    #[error("the amount is zero: a transfer moves at least one unit")]
    ZeroAmount,
    /// Amount and fee exceed 64 bits.
    #[error("amount {amount} and fee {fee} together exceed 64 bits: no account can hold that much")]
    Overflow {
        /// Amount.
        amount: u64,
        /// Fee.
        fee: u64,
    },
    /// No such account.
    #[error("the {party}'s account {index} is not registered: register it or correct the index")]
    UnknownAccount {
        /// Index given.
        index: u32,
        /// Whose account.
        party: Party,
    },
    /// Not signed by the sender's key.
    #[error(
        "the signature is not account {account}'s on this transfer: sign exactly these fields with its registered key"
    )]
    BadSignature {
        /// The sender.
        account: u32,
    },
    /// Replayed, reordered or skipped.
    #[error("the nonce is {got}, the account's next one is {expected}: sign again with that one")]
    WrongNonce {
        /// The sender's next nonce.
        expected: u64,
        /// The transfer's nonce.
        got: u64,
    },
    /// The sender cannot pay.
    #[error(
        "account {account} has {balance}, amount and fee need {needed}: lower the amount or fund it"
    )]
    Overspend {
        /// The sender.
        account: u32,
        /// Its balance.
        balance: u64,
        /// Amount plus fee.
        needed: u64,
    },
    /// The receiver's balance would exceed 64 bits.
    #[error("account {account} has {balance} and cannot hold that much more: lower the amount")]
    ReceiverOverflow {
        /// The receiver.
        account: u32,
        /// Its balance.
        balance: u64,
    },
    /// The sender has used all its nonces.
    #[error("account {account} has used all nonces: move its funds from another account")]
    NonceExhausted {
        /// The sender.
        account: u32,
    },
    /// No slot left.
    #[error("the batch has all its {slots} transfers: seal it, then submit again")]
    BatchFull {
        /// Slots of the batch.
        slots: usize,
    },
}

/// Why a batch cannot be sealed. The state has not changed.
#[derive(Debug, Error)]
pub enum SealError {
    /// No transfers.
    #[error("there is nothing to seal: submit a transfer first")]
    Empty,
    /// Execution and witness disagree.
    #[error(
        "the witness ends in account root {witness}, the executed accounts in {executed}: a fault of this node; keep the pending transfers and report it"
    )]
    RootMismatch {
        /// Root by the witness.
        witness: Scalar,
        /// Root by the executed accounts.
        executed: Scalar,
    },
    /// The witness could not be made.
    #[error("witness: {0}")]
    Build(#[from] BuildError),
    /// The tree refused.
    #[error(transparent)]
    Tree(#[from] TreeError),
}
