//! Brings bundles to L1: runs or cancels them through the contract `InteropHandler`.
//!
//! Called by the node's L1 side and by anyone who wants a bundle run: the contract lets everybody.
//! What a bundle may do was signed by its owner; this module decides nothing.

use alloy::primitives::{Address, Bytes, TxHash, U256};
use alloy::sol_types::{SolCall, SolEvent};

use super::contracts::InteropHandler;
use super::{Bundle, Call};
use crate::abi::ISharedBridge::{Message, StateProof};
use crate::{GasLimit, L1Client, Mined, SettlementError};

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing yet.
    None,
    /// Withdrawal, calls and return happened.
    Executed,
    /// The run failed; the amount is back on L2.
    Failed,
    /// Not run in time, or never able to run; the amount is back on L2.
    Cancelled,
}

/// How a run ended. Both ends are final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ran {
    /// All of it happened.
    Executed {
        /// The alias account that acted.
        account: Address,
        /// What went back to L2, in the token's smallest unit.
        sent_back: U256,
    },
    /// The run was undone and the amount, without the tip, returned.
    Failed {
        /// Start of the revert data; empty most often means that the bundle's own gas limit was
        /// too small.
        reason: Bytes,
    },
}

/// An `InteropHandler` on L1.
#[derive(Clone, Debug)]
pub struct InteropContract {
    client: L1Client,
    handler: Address,
}

impl InteropContract {
    /// The handler at `handler`, called with the client's key. Nothing is sent yet.
    pub fn at(client: L1Client, handler: Address) -> Self {
        Self { client, handler }
    }

    /// Where it stands.
    pub fn address(&self) -> Address {
        self.handler
    }

    /// Runs a bundle; the gas of the transaction comes from a simulation.
    ///
    /// # Errors
    ///
    /// [`SettlementError::Refused`] with the contract's reason; then nothing was sent and the
    /// bundle keeps its chance. The others are the client's.
    pub async fn execute(
        &self,
        message: &Message,
        bundle: &Bundle,
    ) -> Result<Ran, SettlementError> {
        let mined = self
            .execute_with(message, bundle, GasLimit::Estimate)
            .await?;
        ran(self.handler, &mined)
    }

    /// The same with a gas limit for the transaction, and the transaction itself.
    ///
    /// # Errors
    ///
    /// As [`InteropContract::execute`]; with a fixed limit the refusal is seen in the block.
    pub async fn execute_with(
        &self,
        message: &Message,
        bundle: &Bundle,
        gas: GasLimit,
    ) -> Result<Mined, SettlementError> {
        let call = InteropHandler::executeCall {
            message: message.clone().into(),
            bundle: bundle.clone(),
        };
        let input = call.abi_encode().into();
        self.client
            .transact("run a bundle", Some(self.handler), input, gas)
            .await
    }

    /// Returns the amount of a bundle whose deadline has passed, or that can never run here.
    ///
    /// # Errors
    ///
    /// As [`InteropContract::execute`].
    pub async fn cancel(
        &self,
        message: &Message,
        bundle: &Bundle,
    ) -> Result<TxHash, SettlementError> {
        let call = InteropHandler::cancelCall {
            message: message.clone().into(),
            bundle: bundle.clone(),
        };
        self.send("cancel a bundle", &call).await
    }

    /// Announces, as the owner, that the amount of a bundle is wanted back that nobody can show.
    ///
    /// # Errors
    ///
    /// As [`InteropContract::execute`].
    pub async fn announce_cancel(&self, message: &Message) -> Result<TxHash, SettlementError> {
        let call = InteropHandler::announceCancelCall {
            message: message.clone().into(),
        };
        self.send("announce a cancellation", &call).await
    }

    /// Takes that amount back, `CANCEL_DELAY` after the announcement, without the bundle.
    ///
    /// # Errors
    ///
    /// As [`InteropContract::execute`].
    pub async fn cancel_unopened(&self, message: &Message) -> Result<TxHash, SettlementError> {
        let call = InteropHandler::cancelUnopenedCall {
            message: message.clone().into(),
        };
        self.send("cancel a bundle without it", &call).await
    }

    /// Makes calls from the alias account of the client's own address when the bridge accepts this
    /// handler no more.
    ///
    /// # Errors
    ///
    /// As [`InteropContract::execute`].
    pub async fn run_retired(
        &self,
        chain_id: u64,
        calls: Vec<Call>,
    ) -> Result<TxHash, SettlementError> {
        let call = InteropHandler::runRetiredCall {
            chainId: chain_id,
            calls,
        };
        self.send("use an alias account of a removed handler", &call)
            .await
    }

    async fn send(
        &self,
        action: &'static str,
        call: &impl SolCall,
    ) -> Result<TxHash, SettlementError> {
        let input = call.abi_encode().into();
        let handler = Some(self.handler);
        let mined = self
            .client
            .transact(action, handler, input, GasLimit::Estimate)
            .await?;
        Ok(mined.receipt.transaction_hash)
    }

    /// Makes calls from the alias account of the client's own address after the chain was halted.
    /// `proof` opens any cell of an account of that owner against the last executed root.
    ///
    /// # Errors
    ///
    /// As [`InteropContract::execute`].
    pub async fn run_as_owner(
        &self,
        chain_id: u64,
        proof: StateProof,
        calls: Vec<Call>,
    ) -> Result<Mined, SettlementError> {
        let call = InteropHandler::runAsOwnerCall {
            chainId: chain_id,
            proof: proof.into(),
            calls,
        };
        let input = call.abi_encode().into();
        self.client
            .transact(
                "use an alias account as its owner",
                Some(self.handler),
                input,
                GasLimit::Estimate,
            )
            .await
    }

    /// What became of the message of record `k` of a batch.
    ///
    /// # Errors
    ///
    /// The client's, and [`SettlementError::NotOurContract`].
    pub async fn outcome(
        &self,
        chain_id: u64,
        batch: u64,
        k: u64,
    ) -> Result<Outcome, SettlementError> {
        let call = InteropHandler::outcomeCall {
            chainId: chain_id,
            batch,
            k: U256::from(k),
        };
        let request = "outcome";
        let answer = self
            .client
            .call(request, self.handler, call.abi_encode().into())
            .await?;
        let wrong = |reason: String| SettlementError::NotOurContract {
            address: self.handler,
            request,
            reason,
        };
        match InteropHandler::outcomeCall::abi_decode_returns(&answer) {
            Ok(0) => Ok(Outcome::None),
            Ok(1) => Ok(Outcome::Executed),
            Ok(2) => Ok(Outcome::Failed),
            Ok(3) => Ok(Outcome::Cancelled),
            Ok(other) => Err(wrong(format!("outcome {other} does not exist"))),
            Err(error) => Err(wrong(error.to_string())),
        }
    }
}

/// The tip that a mined transaction of [`InteropContract::execute_with`] paid, and to whom; `None`
/// without one.
pub fn tip_paid(handler: Address, mined: &Mined) -> Option<(Address, U256)> {
    let logs = mined.receipt.inner.logs().iter();
    logs.filter(|log| log.address() == handler)
        .find_map(|log| InteropHandler::TipPaid::decode_log(&log.inner).ok())
        .map(|event| (event.to, event.amount))
}

/// How the run in a mined transaction of [`InteropContract::execute_with`] ended, from its events.
///
/// # Errors
///
/// [`SettlementError::WrongEffect`] if `handler` announced no end of a run.
pub fn ran(handler: Address, mined: &Mined) -> Result<Ran, SettlementError> {
    for log in mined.receipt.inner.logs() {
        if log.address() != handler {
            continue;
        }
        if let Ok(event) = InteropHandler::BundleExecuted::decode_log(&log.inner) {
            return Ok(Ran::Executed {
                account: event.account,
                sent_back: event.sentBack,
            });
        }
        if let Ok(event) = InteropHandler::BundleFailed::decode_log(&log.inner) {
            return Ok(Ran::Failed {
                reason: event.reason.clone(),
            });
        }
    }
    Err(SettlementError::WrongEffect {
        transaction: mined.receipt.transaction_hash,
        reason: "the contract announced no end of a run".into(),
    })
}
