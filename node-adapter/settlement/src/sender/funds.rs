//! What a call needs, and whether the account can pay for it.
//!
//! A call is simulated with the fees that will be signed, so that a node that weighs them against the
//! balance weighs the right ones. Nothing is signed for an account that cannot pay. Used by `plan`.

use std::time::Duration;

use alloy::primitives::U256;

use super::event::{News, Shortage};
use super::state::Tracked;
use super::{Faults, Fees, Outcome, Place, Port, PortError, Sender, SenderError};
use crate::{MAX_TRANSACTION_GAS, Meaning, Refusal, RpcFailure, SettlementError};

impl<P: Port, O: Outcome, F: Faults> Sender<P, O, F> {
    /// Simulates the call with the fees that will be signed. `None`, with an event and a time to try
    /// again, if it must not be sent.
    pub(super) async fn simulate(
        &mut self,
        number: u64,
        fees: Fees,
        now: Duration,
    ) -> Result<Option<u64>, SenderError> {
        let simulated = self.ask_gas(number, Some(fees)).await?;
        let failure = match simulated {
            Ok(gas) => {
                let Some(gas) = self.gas_limit(number, gas, now) else {
                    return Ok(None);
                };
                let paid = self.affords(number, gas, fees, now).await?;
                return Ok(paid.then_some(gas));
            }
            Err(PortError::Refused(reason)) => {
                self.refusal(number, fees, reason, now).await?;
                return Ok(None);
            }
            Err(PortError::Node(SettlementError::Node(failure))) => *failure,
            Err(error) => return Err(error.into()),
        };
        match failure.meaning {
            Meaning::Funds | Meaning::GasAllowance => {
                self.short(number, fees, &failure, now).await?;
                Ok(None)
            }
            Meaning::FeeTooLow | Meaning::Invalid => {
                self.later(number, now, News::NotTaken(failure));
                Ok(None)
            }
            _ => Err(SettlementError::from(failure).into()),
        }
    }

    /// The contract refuses the call; or it does so only because the node gave it no more gas than the
    /// account can pay, and calls within it ran out.
    async fn refusal(
        &mut self,
        number: u64,
        fees: Fees,
        reason: Refusal,
        now: Duration,
    ) -> Result<(), SenderError> {
        match self.ask_gas(number, None).await? {
            Ok(_) => {
                let failure = RpcFailure {
                    request: "eth_estimateGas",
                    meaning: Meaning::GasAllowance,
                    code: None,
                    message: reason.to_string(),
                    refusal: None,
                    retry_after: None,
                };
                self.short(number, fees, &failure, now).await
            }
            again => {
                let reason = match again {
                    Err(PortError::Refused(again)) => again,
                    _ => reason,
                };
                self.later(number, now, News::Refused(reason));
                Ok(())
            }
        }
    }

    async fn ask_gas(
        &mut self,
        number: u64,
        fees: Option<Fees>,
    ) -> Result<Result<u64, PortError>, SenderError> {
        let hashes = self.sidecar(number)?.hashes().to_vec();
        let Some(Tracked { entry, .. }) = self.entries.get(&number) else {
            return Err(SenderError::Stopped);
        };
        let from = self.address();
        Ok(self
            .port
            .simulate(from, entry.intent(), &hashes, fees)
            .await)
    }

    /// The gas limit for a call that needs `gas`; `None` and an event above EIP-7825's.
    fn gas_limit(&mut self, number: u64, gas: u64, now: Duration) -> Option<u64> {
        if gas > MAX_TRANSACTION_GAS {
            self.later(number, now, News::TooMuchGas(gas));
            return None;
        }
        if let Some(tracked) = self.entries.get_mut(&number) {
            (tracked.refusal, tracked.doomed) = (None, false);
        }
        let margin = gas.saturating_mul(self.policy.gas_margin) / 100;
        Some(gas.saturating_add(margin).min(MAX_TRANSACTION_GAS))
    }

    /// The node says that the account cannot pay: how much it has, and how much is needed.
    async fn short(
        &mut self,
        number: u64,
        fees: Fees,
        failure: &RpcFailure,
        now: Duration,
    ) -> Result<(), SenderError> {
        // Simulated without fees, the call tells its gas whatever the account has.
        let gas = match self.ask_gas(number, None).await? {
            Ok(gas) => match self.gas_limit(number, gas, now) {
                Some(gas) => Some(gas),
                None => return Ok(()),
            },
            Err(PortError::Refused(reason)) => {
                self.later(number, now, News::Refused(reason));
                return Ok(());
            }
            Err(_) => None,
        };
        let need = self.need(number, gas.unwrap_or(0), fees);
        self.shortage(number, need, gas.is_some(), failure, now)
            .await
    }

    /// Whether the account can pay; an event and a time to try again if not. Not every client asks when
    /// it simulates, and none asks for the margin.
    async fn affords(
        &mut self,
        number: u64,
        gas: u64,
        fees: Fees,
        now: Duration,
    ) -> Result<bool, SenderError> {
        let address = self.address();
        let have = self.port.balance(address).await?;
        let need = self.need(number, gas, fees);
        if have < need {
            let exact = true;
            let shortage = Shortage {
                address,
                have,
                need,
                exact,
            };
            self.later(number, now, News::Shortage(shortage));
        }
        Ok(have >= need)
    }

    /// What this entry's transaction and ours before it may cost.
    fn need(&self, number: u64, gas: u64, fees: Fees) -> U256 {
        let Some(Tracked { entry, .. }) = self.entries.get(&number) else {
            return U256::ZERO;
        };
        let own = fees.cost(gas, entry.intent().blobs.len());
        let before = self.pending_cost(number);
        before
            .saturating_add(own)
            .saturating_add(entry.intent().value)
    }

    /// Tells what the account lacks; or that the node finds it short although it is not.
    pub(super) async fn shortage(
        &mut self,
        number: u64,
        need: U256,
        exact: bool,
        failure: &RpcFailure,
        now: Duration,
    ) -> Result<(), SenderError> {
        let address = self.address();
        let have = self.port.balance(address).await?;
        let news = if have < need || !exact {
            let need = need.max(have);
            News::Shortage(Shortage {
                address,
                have,
                need,
                exact,
            })
        } else {
            News::NotTaken(failure.clone())
        };
        self.later(number, now, news);
        Ok(())
    }

    /// What our transactions before this entry's may still cost.
    pub(super) fn pending_cost(&self, number: u64) -> U256 {
        let before = self.entries.range(..number).map(|(_, t)| &t.entry);
        let waiting = before.filter(|entry| matches!(entry.place(), Place::Sent { .. }));
        let costs = waiting.filter_map(|entry| {
            let newest = entry.newest()?;
            let blobs = entry.intent().blobs.len();
            let value = if newest.blank {
                U256::ZERO
            } else {
                entry.intent().value
            };
            Some(newest.fees.cost(newest.gas, blobs).saturating_add(value))
        });
        costs.fold(U256::ZERO, U256::saturating_add)
    }
}
