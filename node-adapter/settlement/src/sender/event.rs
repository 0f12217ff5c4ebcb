//! What the sender tells its caller, and the settings it works by.
//!
//! Plain data. Used by `run` and `task`.

use std::time::Duration;

use alloy::primitives::{Address, TxHash, U256};

use super::{BlockRef, Done, FeeError, FeePolicy, Fees, Freed};
use crate::{Refusal, RpcFailure, Trouble};

/// Settings of a sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Blocks on top of the one with the effect until it is final; 0 trusts the first sight.
    pub confirmations: u64,
    /// Between two looks at L1.
    pub poll: Duration,
    /// Signed bytes are handed to the node again after this time, in case it dropped them.
    pub resend_after: Duration,
    /// A transaction that is not mined after this time is replaced by one with higher fees.
    pub bump_after: Duration,
    /// After an error, a refusal or a fee above the cap; longer when it goes on.
    pub retry_after: Duration,
    /// Added to `retry_after` at random, in percent of it: senders of one node do not ask all at once.
    pub jitter: u32,
    /// Looks that must agree before a nonce counts as lost.
    pub doubts: u32,
    /// Added to the simulated gas, in percent: the state may move before the call runs.
    pub gas_margin: u64,
    /// Limits of fees.
    pub fees: FeePolicy,
}

impl Default for Policy {
    /// For Ethereum's mainnet: slots of 12 seconds, finality after two epochs.
    fn default() -> Self {
        Self {
            confirmations: 64,
            poll: Duration::from_secs(4),
            resend_after: Duration::from_secs(24),
            bump_after: Duration::from_secs(60),
            retry_after: Duration::from_secs(12),
            jitter: 25,
            doubts: 2,
            gas_margin: 20,
            fees: FeePolicy::default(),
        }
    }
}

/// What became of an intent that was handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// It is new, and on disk.
    New,
    /// It is already on its way.
    Open,
    /// It is closed since long.
    Done(Done),
}

/// Where an intent stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nothing is on its way yet.
    Waiting,
    /// The contract refuses it; nothing is on its way. It is simulated again from time to time.
    Refused {
        /// The last reason.
        reason: Refusal,
        /// Simulations in a row that ended so.
        times: u32,
    },
    /// The newest transaction on its way.
    Sent {
        /// Its nonce.
        nonce: u64,
        /// Its hash.
        transaction: TxHash,
    },
    /// In effect, not yet final; by the transaction, if it is ours.
    InEffect(Option<TxHash>, BlockRef),
    /// Final or withdrawn.
    Closed(Done),
}

/// What the account lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{address} has {have} wei and needs {}{need} wei: send it at least {} wei",
    if *.exact { "" } else { "more than " },
    .need.saturating_sub(*.have)
)]
pub struct Shortage {
    /// The address that pays.
    pub address: Address,
    /// What it has, in wei.
    pub have: U256,
    /// What the transaction and those before it may cost at most, in wei.
    pub need: U256,
    /// Whether the gas of the call is part of it; a node that cannot tell it leaves it out.
    pub exact: bool,
}

/// Something that happened to an intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The intent.
    pub id: String,
    /// What happened.
    pub news: News,
}

/// What happened to an intent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum News {
    /// A transaction was signed.
    Signed {
        /// Its nonce.
        nonce: u64,
        /// Its hash.
        transaction: TxHash,
        /// Its fees.
        fees: Fees,
        /// Whether it only uses the nonce up.
        blank: bool,
    },
    /// The node took it.
    Broadcast(TxHash),
    /// It was mined and succeeded.
    Mined(TxHash, BlockRef),
    /// The contract says that the intent is in effect, not by a transaction that we see.
    Taken(BlockRef),
    /// The chain dropped the block of the effect.
    Reorged,
    /// A nonce was lost without effect; `Foreign` means that somebody else signs with our key.
    Freed(Freed),
    /// The contract refuses the call in simulation; nothing was sent. Tried again later.
    Refused(Refusal),
    /// The call needs more gas than a transaction may have (EIP-7825); nothing was sent.
    TooMuchGas(u64),
    /// Fees are above the cap. Tried again later.
    FeeCap(FeeError),
    /// Another transaction with the nonce is in the node's pool: somebody else signs with our key,
    /// or an older one of ours is there.
    Contested,
    /// The account cannot pay. Nothing was sent, and no pool holds anything of it. Tried again later.
    Shortage(Shortage),
    /// The node does not take the transaction, for this reason. Tried again later.
    NotTaken(RpcFailure),
    /// Closed.
    Closed(Done),
}

impl News {
    /// As it is reported if it stands in the way of an intent.
    pub fn trouble(&self, id: &str) -> Option<Trouble> {
        let trouble = |kind, reason: String, next_step: &str| {
            let reason = format!("{id}: {reason}");
            let next_step = next_step.into();
            Some(Trouble {
                kind,
                reason,
                next_step,
            })
        };
        match self {
            Self::Refused(reason) => trouble(
                "refused",
                format!("the contract refuses the call: {reason}"),
                reason.advice(),
            ),
            Self::TooMuchGas(gas) => trouble(
                "too_much_gas",
                format!("the call needs {gas} gas, more than a transaction may have (EIP-7825)"),
                "this batch cannot settle as it is; run smaller batches",
            ),
            Self::FeeCap(error) => trouble(
                "fee_cap",
                error.to_string(),
                "wait until fees fall, or raise the cap",
            ),
            Self::Contested => trouble(
                "outbid",
                "another transaction with the same nonce is in the pool and offers more".into(),
                "is somebody else using the operator's key? the fees are raised up to the cap",
            ),
            Self::Shortage(shortage) => trouble(
                "funds",
                shortage.to_string(),
                "send ETH to the operator's address",
            ),
            Self::NotTaken(failure) => trouble(
                failure.meaning.name(),
                format!("the Ethereum node does not take the transaction: {failure}"),
                failure.meaning.next_step(),
            ),
            Self::Freed(Freed::Foreign) => trouble(
                "foreign_nonce",
                "a transaction of somebody else used the nonce".into(),
                "use the operator's key in this node only",
            ),
            _ => None,
        }
    }
}
