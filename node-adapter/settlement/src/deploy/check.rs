//! What can be known to be wrong with a deployment before anything is sent: the relations of its
//! times, which the contracts fix for good, and what there is on Ethereum of what it names.

use alloy::primitives::{Address, Bytes, U256};
use alloy::sol_types::{SolCall, SolConstructor};

use super::key::verifying_key_bytes;
use super::options::{DeployOptions, PROBE};
use crate::abi::interop::InteropHandler;
use crate::abi::state::StateVerifier;
use crate::abi::{
    ChainHub, ChainTimelock, Gateway, Groth16Verifier, RollupChain, SharedBridge, UpgradeableProxy,
};
use crate::{L1Client, SettlementError};

/// A year: no time of the contracts is longer.
const LONGEST: u64 = 365 * 24 * 60 * 60;
/// Gas of a byte of code: 200 to store it, 16 to send it.
const GAS_PER_BYTE: u64 = 216;
/// Gas of a transaction that is not the code's: itself, creation, what it stores.
const GAS_PER_STEP: u64 = 300_000;

mod erc20 {
    #![allow(missing_docs)]
    alloy::sol! {
        function balanceOf(address holder) external view returns (uint256);
        function totalSupply() external view returns (uint256);
    }
}

/// What a deployment costs and has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preflight {
    /// Gas that it takes at most, by estimate.
    pub gas: u64,
    /// What that costs at most now, in wei.
    pub cost: U256,
    /// What the deploying key has, in wei.
    pub balance: U256,
}

impl DeployOptions {
    /// Whether the contracts will take the numbers.
    ///
    /// # Errors
    /// [`SettlementError::Setup`] with the first that they would refuse.
    pub fn check(&self) -> Result<(), SettlementError> {
        let needed = self.queue_delay.saturating_add(self.exit_window);
        let mut slots: Vec<u8> = self.tokens.iter().map(|(slot, _)| *slot).collect();
        let mut tokens: Vec<Address> = self.tokens.iter().map(|(_, token)| *token).collect();
        slots.sort_unstable();
        tokens.sort_unstable();
        let twice = |same: bool, what: &str| same.then(|| format!("{what} is named twice"));
        let zero = self
            .proposers
            .iter()
            .chain(&self.guardian)
            .any(|address| address.is_zero());
        let wrong = [
            (self.chain_id == 0).then(|| "the chain's id is 0; give another".to_owned()),
            (self.queue_delay == 0).then(|| "the queue delay is 0 seconds".to_owned()),
            (self.max_pause > self.queue_delay / 2).then(|| {
                format!(
                    "the longest pause, {} s, is more than half of the queue delay, {} s",
                    self.max_pause, self.queue_delay
                )
            }),
            (self.entry_interval == 0 || self.entry_interval > self.queue_delay / 2).then(|| {
                format!(
                    "the time of a queue entry, {} s, is 0 or more than half of the queue delay, {} s",
                    self.entry_interval, self.queue_delay
                )
            }),
            (!(2..=1 << 24).contains(&self.accounts)).then(|| {
                format!("a tree of {} accounts: give 2 to 2^24", self.accounts)
            }),
            (self.pause_cooldown < self.queue_delay).then(|| {
                format!(
                    "the cooldown of pauses, {} s, is shorter than the queue delay, {} s",
                    self.pause_cooldown, self.queue_delay
                )
            }),
            [self.queue_delay, self.pause_cooldown, self.revert_delay]
                .into_iter()
                .find(|time| *time > LONGEST)
                .map(|time| format!("{time} s is more than a year, {LONGEST} s")),
            (self.governance_delay <= needed).then(|| {
                format!(
                    "the governance delay, {} s, must be longer than queue delay and exit window together, {needed} s",
                    self.governance_delay
                )
            }),
            (self.operator_account >= self.accounts).then(|| {
                format!(
                    "the operator's account {} does not exist; give one below {}",
                    self.operator_account, self.accounts
                )
            }),
            zero.then(|| "guardian and proposers cannot be the zero address".to_owned()),
            (self.operator == Some(Address::ZERO))
                .then(|| "the operator cannot be the zero address".to_owned()),
            slots
                .iter()
                .find(|slot| !(1..64).contains(*slot))
                .map(|slot| format!("there is no token slot {slot}: give 1 to 63; 0 is ETH")),
            twice(slots.windows(2).any(|pair| pair[0] == pair[1]), "a token slot"),
            twice(tokens.windows(2).any(|pair| pair[0] == pair[1]), "a token"),
        ];
        match wrong.into_iter().flatten().next() {
            Some(reason) => Err(SettlementError::Setup { reason }),
            None => Ok(()),
        }
    }

    /// Looks at everything that the deployment names on Ethereum, and at the deploying key's balance.
    ///
    /// # Errors
    /// [`SettlementError::Setup`]; errors of the node; as [`DeployOptions::check`].
    pub async fn preflight(&self, client: &L1Client) -> Result<Preflight, SettlementError> {
        self.check()?;
        self.preflight_of(client, client.address(), self.gas())
            .await
    }

    /// The same for transactions of so much gas; `holder` lists the tokens.
    pub(super) async fn preflight_of(
        &self,
        client: &L1Client,
        holder: Address,
        gas: u64,
    ) -> Result<Preflight, SettlementError> {
        let setup = |reason: String| SettlementError::Setup { reason };
        for (slot, token) in &self.tokens {
            if client.code(*token).await?.is_empty() {
                return Err(setup(format!(
                    "there is no contract at {token}, the token of slot {slot}; check the address and the Ethereum node's chain"
                )));
            }
            let held = Bytes::from(erc20::balanceOfCall { holder }.abi_encode());
            let supply = Bytes::from(erc20::totalSupplyCall {}.abi_encode());
            for (name, call) in [("balanceOf", held), ("totalSupply", supply)] {
                let answer = client.call(name, *token, call).await;
                let refused = matches!(answer, Err(SettlementError::Refused { .. }));
                if refused || answer.as_ref().is_ok_and(|bytes| bytes.len() != 32) {
                    return Err(setup(format!(
                        "{token}, the token of slot {slot}, does not answer {name} as an ERC-20 token does"
                    )));
                }
                let units = U256::from_be_slice(&answer?);
                if name == "balanceOf" && units < U256::from(PROBE) {
                    return Err(setup(format!(
                        "{holder} has {units} units of {token}, the token of slot {slot}, and the bridge tries it out with {PROBE}; pay it so many, they come back"
                    )));
                }
            }
        }
        let cost = U256::from(gas) * U256::from(client.gas_price().await?);
        let balance = client.balance(client.address()).await?;
        if balance < cost {
            return Err(setup(format!(
                "{} has {balance} wei, the deployment may take {cost} (about {gas} gas at the present price); pay it more",
                client.address()
            )));
        }
        Ok(Preflight { gas, cost, balance })
    }

    /// Asks Ethereum whether it takes the verifying keys: it refuses them where the precompiles of
    /// EIP-2537 are missing.
    ///
    /// # Errors
    /// [`SettlementError::Refused`], [`SettlementError::WrongKey`], errors of the node.
    pub async fn try_verifiers(&self, client: &L1Client) -> Result<(), SettlementError> {
        for (_, key) in &self.verifiers {
            let key = verifying_key_bytes(key)?.into();
            let arguments = Groth16Verifier::constructorCall { key }.abi_encode();
            let code = [Groth16Verifier::BYTECODE.as_ref(), &arguments].concat();
            client
                .estimate("the deployment of Groth16Verifier", None, code.into())
                .await?;
        }
        Ok(())
    }

    /// Gas of everything, from the sizes of the codes.
    fn gas(&self) -> u64 {
        let fixed = [
            &ChainTimelock::BYTECODE,
            &ChainHub::BYTECODE,
            &StateVerifier::BYTECODE,
            &SharedBridge::BYTECODE,
            &UpgradeableProxy::BYTECODE,
            &RollupChain::BYTECODE,
            &UpgradeableProxy::BYTECODE,
            &InteropHandler::BYTECODE,
            &Gateway::BYTECODE,
        ];
        // A verifier is there before its key is known. Registrations, handler, hand-over; a verifier
        // and a token are set with a call each.
        let verifiers = self.verifiers.len().max(1);
        let calls = 7 + verifiers + 2 * self.tokens.len();
        let bytes: usize = fixed.iter().map(|code| code.len()).sum();
        let bytes = bytes + verifiers * Groth16Verifier::BYTECODE.len();
        bytes as u64 * GAS_PER_BYTE + (fixed.len() + verifiers + calls) as u64 * GAS_PER_STEP
    }
}

/// Gas of one more chain and so many calls, without verifiers.
pub(super) fn chain_gas(calls: usize) -> u64 {
    let bytes = RollupChain::BYTECODE.len() + UpgradeableProxy::BYTECODE.len();
    bytes as u64 * GAS_PER_BYTE + (2 + calls as u64) * GAS_PER_STEP
}

/// Gas of a verifier.
pub(super) fn verifier_gas() -> u64 {
    Groth16Verifier::BYTECODE.len() as u64 * GAS_PER_BYTE + GAS_PER_STEP
}

#[cfg(test)]
mod tests {
    use super::*;
    use blstrs::Scalar;

    #[test]
    fn what_the_contracts_would_refuse_is_refused_before() {
        let options = || DeployOptions::new(270, &Scalar::from(1));
        options().check().unwrap();
        // A shorter and a longer queue delay, with the times that follow.
        for delay in [2, 60, 3600, 30 * 86_400] {
            options().with_queue_delay(delay).check().unwrap();
        }
        type Change = fn(&mut DeployOptions);
        let cases: [(Change, &str); 13] = [
            (|o| o.entry_interval = 4 * 86_400, "time of a queue entry"),
            (|o| o.accounts = 1, "tree of 1 accounts"),
            (|o| o.chain_id = 0, "id is 0"),
            (|o| o.queue_delay = 0, "queue delay is 0"),
            (|o| o.max_pause = 6 * 86_400, "more than half"),
            (|o| o.pause_cooldown = 10, "cooldown"),
            (|o| o.revert_delay = 400 * 86_400, "more than a year"),
            (|o| o.governance_delay = 14 * 86_400, "must be longer"),
            (|o| o.operator_account = 1 << 24, "does not exist"),
            (|o| o.proposers = vec![Address::ZERO], "zero address"),
            (
                |o| o.tokens = vec![(64, Address::repeat_byte(1))],
                "1 to 63",
            ),
            (
                |o| o.tokens = vec![(1, Address::repeat_byte(1)), (1, Address::repeat_byte(2))],
                "slot is named twice",
            ),
            (
                |o| o.tokens = vec![(1, Address::repeat_byte(1)), (2, Address::repeat_byte(1))],
                "a token is named twice",
            ),
        ];
        for (change, reason) in cases {
            let mut wrong = options();
            change(&mut wrong);
            let error = wrong.check().unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
