//! Errors of the settlement module.

use std::path::PathBuf;
use std::time::Duration;

use alloy::primitives::{Address, TxHash};

use super::{AnvilError, MAX_TRANSACTION_GAS, Meaning, Refusal, RpcFailure, Trouble};

/// Why a settlement did not happen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettlementError {
    /// The local Ethereum node could not be started.
    #[error(transparent)]
    Anvil(#[from] AnvilError),
    /// The address of the Ethereum node is not a URL.
    #[error(
        "{:?} is not the URL of an Ethereum node ({reason}); give one like http://127.0.0.1:8545",
        carillon_redact::url(.url)
    )]
    Url {
        /// What was given; shown without what may be secret.
        url: String,
        /// The parser's reason.
        reason: String,
    },
    /// The verifying key belongs to another circuit.
    #[error(
        "the verifying key is for {found} public inputs, the contract takes {expected}: it belongs to another circuit"
    )]
    WrongKey {
        /// Inputs of the key.
        found: usize,
        /// Inputs of the contract.
        expected: usize,
    },
    /// A deployment that cannot end well. Nothing was sent.
    #[error("the deployment was not begun: {reason}")]
    Setup {
        /// What is wrong and what is right.
        reason: String,
    },
    /// The file that a deployment is kept in.
    #[error("the deployment's journal {}: {reason}", .path.display())]
    DeployJournal {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The KZG library refused the blob.
    #[error("the batch's blob cannot be made or opened: {reason}")]
    Blob {
        /// The library's reason.
        reason: String,
    },
    /// The contract refused the call.
    #[error("{action} was refused by the contract{}: {reason}", in_transaction(.transaction))]
    Refused {
        /// What was tried.
        action: &'static str,
        /// The contract's reason.
        reason: Refusal,
        /// The reverted transaction; `None` when the refusal was seen in simulation and nothing was
        /// sent.
        transaction: Option<TxHash>,
    },
    /// The node answered a request with an error, or not at all.
    #[error("the Ethereum node refused {0}; {next}", next = .0.meaning.next_step())]
    Node(Box<RpcFailure>),
    /// The node's answer is not what it must be.
    #[error("the Ethereum node refused {request}: {}", carillon_redact::text(.reason))]
    Rpc {
        /// The JSON-RPC method or step.
        request: &'static str,
        /// The node's reason; URLs in it are shown without what may be secret.
        reason: String,
    },
    /// The transaction was sent and not mined in time. It may still be mined.
    #[error(
        "transaction {transaction} ({action}) was sent but not mined within {}s; it may still be: look it up before sending again",
        .deadline.as_secs_f32()
    )]
    NotMined {
        /// What was sent.
        action: &'static str,
        /// The transaction.
        transaction: TxHash,
        /// The deadline.
        deadline: Duration,
    },
    /// The transaction needs more gas than Ethereum allows a transaction.
    #[error(
        "{action} needs {gas} gas, a transaction may use {MAX_TRANSACTION_GAS} (EIP-7825); settle a smaller batch"
    )]
    TooMuchGas {
        /// What was to be sent.
        action: &'static str,
        /// The estimate.
        gas: u64,
    },
    /// The transaction could not be signed.
    #[error("{action} could not be signed: {reason}")]
    Signing {
        /// What was to be sent.
        action: &'static str,
        /// The signer's reason.
        reason: String,
    },
    /// No contract of this project stands at the address.
    #[error(
        "the contract at {address} does not answer {request} as RollupChain does: {reason}; check the address"
    )]
    NotOurContract {
        /// The address.
        address: Address,
        /// The call.
        request: &'static str,
        /// What was wrong with the answer.
        reason: String,
    },
    /// A mined transaction did not have the effect it must have.
    #[error(
        "transaction {transaction} succeeded, but {reason}; the address is not RollupChain's or the chain was reorganised"
    )]
    WrongEffect {
        /// The transaction.
        transaction: TxHash,
        /// What is missing.
        reason: String,
    },
}

impl From<RpcFailure> for SettlementError {
    fn from(failure: RpcFailure) -> Self {
        Self::Node(Box::new(failure))
    }
}

impl SettlementError {
    /// What the node's error means, if it is one.
    pub fn meaning(&self) -> Option<Meaning> {
        self.failure().map(|failure| failure.meaning)
    }

    /// The request that failed, if the node's answer to one is the error.
    pub fn request(&self) -> Option<&'static str> {
        self.failure().map(|failure| failure.request)
    }

    /// How long the node asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        self.failure()?.retry_after
    }

    /// As it is reported in status, RPC and metrics.
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::Node(failure) => failure.trouble(),
            other => Trouble {
                kind: "settlement",
                reason: other.to_string(),
                next_step: "see the reason; it is tried again".into(),
            },
        }
    }

    fn failure(&self) -> Option<&RpcFailure> {
        match self {
            Self::Node(failure) => Some(failure),
            _ => None,
        }
    }
}

fn in_transaction(transaction: &Option<TxHash>) -> String {
    transaction.map_or_else(String::new, |hash| format!(" in transaction {hash}"))
}
