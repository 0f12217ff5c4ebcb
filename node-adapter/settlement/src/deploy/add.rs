//! One more chain under a hub and a bridge that stand already. Called by `carillon-node chain create`.
//!
//! Whoever governs the hub registers chains. If that is the deploying key, everything is done at once;
//! otherwise the chain is put up, handed to the hub's governor, and what only that one may do is returned
//! as calls. Until it is registered, nothing can be deposited into the chain or sent to it.

use alloy::primitives::{Address, U256};
use alloy::sol_types::SolCall;
use carillon_runtime::groth16::VerifyingKey;

use super::check::{chain_gas, verifier_gas};
use super::options::PROBE;
use super::verifier::is_verifier_of;
use super::{DeployJournal, DeployOptions, Deployer, Preflight, approveCall};
use crate::abi::{ChainHub, RollupChain, SharedBridge};
use crate::network::Call;
use crate::{L1Client, SettlementError};

/// What a new chain finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The `ChainHub`.
    pub hub: Address,
    /// The `SharedBridge`.
    pub bridge: Address,
    /// Who governs both.
    pub governor: Address,
    /// Verifiers of other chains, which are taken if they have the chain's key.
    pub verifiers: Vec<Address>,
}

/// A chain that was put up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// The `RollupChain`, behind its proxy.
    pub chain: Address,
    /// Its verifiers by shape.
    pub verifiers: Vec<(u32, Address)>,
    /// What the governor has still to do; empty if it was the deploying key.
    pub calls: Vec<Call>,
    /// Gas of all transactions together.
    pub gas: u64,
    /// The block of the first one.
    pub from_block: u64,
}

impl Site {
    /// Looks at everything before the first transaction. `begun`: an earlier run of the same command may
    /// have registered the chain. The verifiers that are not those of a key are left out from here on.
    ///
    /// # Errors
    /// [`SettlementError::Setup`] with what the contracts, or users, would refuse; errors of the node.
    pub async fn check(
        &mut self,
        client: &L1Client,
        options: &DeployOptions,
        lanes: &[u64],
        begun: bool,
    ) -> Result<Preflight, SettlementError> {
        let setup = |reason: String| SettlementError::Setup { reason };
        options.check()?;
        let id = options.chain_id;
        if id == client.chain_id().await? {
            return Err(setup(format!(
                "{id} is the id of Ethereum itself there; give the chain another"
            )));
        }
        let registered = self.registered(client, id).await?;
        if !registered.is_zero() && !begun {
            return Err(setup(format!(
                "the hub has chain {id} already, at {registered}; an id belongs to one contract for good, give another"
            )));
        }
        let mut others = lanes.to_vec();
        others.sort_unstable();
        if others.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(setup("a lane is named twice".into()));
        }
        for other in lanes {
            if *other == id {
                return Err(setup(format!(
                    "a lane of chain {id} to itself is always open"
                )));
            }
            if self.registered(client, *other).await?.is_zero() {
                return Err(setup(format!(
                    "the hub has no chain {other}, to which a lane is to be opened"
                )));
            }
        }
        let mut sound = Vec::new();
        let mut missing = 0;
        for (_, key) in &options.verifiers {
            match self.verifier_of(client, key).await? {
                Some(found) => sound.push(found),
                None => missing += 1,
            }
        }
        self.verifiers = sound;
        let calls = 3 + options.verifiers.len() + 2 * options.tokens.len() + lanes.len();
        let gas = chain_gas(calls) + missing * verifier_gas();
        options.preflight_of(client, self.governor, gas).await
    }

    async fn registered(&self, client: &L1Client, id: u64) -> Result<Address, SettlementError> {
        let call = ChainHub::chainCall { chainId: id }.abi_encode();
        let answer = client.call("chain", self.hub, call.into()).await?;
        ChainHub::chainCall::abi_decode_returns(&answer).map_err(|error| {
            SettlementError::NotOurContract {
                address: self.hub,
                request: "chain",
                reason: error.to_string(),
            }
        })
    }

    async fn verifier_of(
        &self,
        client: &L1Client,
        key: &VerifyingKey,
    ) -> Result<Option<Address>, SettlementError> {
        for at in &self.verifiers {
            if is_verifier_of(client, *at, key).await?.is_ok() {
                return Ok(Some(*at));
            }
        }
        Ok(None)
    }

    /// Puts the chain up after [`Site::check`], each transaction in the journal before it is sent.
    ///
    /// # Errors
    /// [`SettlementError::Refused`], [`SettlementError::DeployJournal`]; errors of the node.
    pub async fn add(
        &self,
        client: &L1Client,
        options: &DeployOptions,
        lanes: &[u64],
        journal: &mut DeployJournal,
    ) -> Result<Added, SettlementError> {
        let mut deployer = Deployer::new(client, Some(journal));
        let there: Vec<(u32, Address)> = self.verifiers.iter().map(|at| (0, *at)).collect();
        let guardian = options.guardian.unwrap_or(client.address());
        let (hub, bridge) = (self.hub, self.bridge);
        let (chain, verifiers, calls) = if self.governor == client.address() {
            let (chain, verifiers) = deployer
                .chain_with_verifiers(hub, bridge, guardian, options, &there)
                .await?;
            for other in lanes {
                let open = open_lane(options.chain_id, *other);
                deployer.call("setLane", bridge, open).await?;
            }
            (chain, verifiers, Vec::new())
        } else {
            let chain = deployer.chain(hub, bridge, guardian, options).await?;
            let verifiers = deployer.verifiers(chain, options, &there).await?;
            let governor_ = self.governor;
            let call = RollupChain::setGovernorCall { governor_ };
            deployer.call("setGovernor", chain, call).await?;
            (chain, verifiers, self.calls(chain, options, lanes))
        };
        Ok(Added {
            chain,
            verifiers,
            calls,
            gas: deployer.gas,
            from_block: deployer.first,
        })
    }

    /// What the governor does for a chain: registers it, lists its tokens, opens its side of lanes.
    fn calls(&self, chain: Address, options: &DeployOptions, lanes: &[u64]) -> Vec<Call> {
        let id = options.chain_id;
        let register = ChainHub::registerCall {
            chainId: id,
            chain_: chain,
        };
        let mut calls = vec![Call::new(
            self.hub,
            &register,
            format!("register chain {id} at {chain}"),
        )];
        let least = |slot: u8| U256::from(options.least_deposit(slot));
        for (slot, token) in &options.tokens {
            let (spender, amount) = (self.bridge, U256::from(PROBE));
            let approve = approveCall { spender, amount };
            let text = format!("approve the bridge's trial of the token of slot {slot}");
            calls.push(Call::new(*token, &approve, text));
            let set = SharedBridge::setTokenCall {
                chainId: id,
                slot: U256::from(*slot),
                token: *token,
                least: least(*slot),
            };
            let text = format!("list {token} in slot {slot} of chain {id}");
            calls.push(Call::new(self.bridge, &set, text));
        }
        if !least(0).is_zero() {
            let set = SharedBridge::setLeastDepositCall {
                chainId: id,
                slot: U256::ZERO,
                least: least(0),
            };
            let text = format!("least deposit of ETH into chain {id}");
            calls.push(Call::new(self.bridge, &set, text));
        }
        for other in lanes {
            let text = format!("open chain {id}'s side of its lanes with chain {other}");
            calls.push(Call::new(self.bridge, &open_lane(id, *other), text));
        }
        calls
    }
}

fn open_lane(id: u64, other: u64) -> SharedBridge::setLaneCall {
    SharedBridge::setLaneCall {
        chainId: id,
        other,
        open: true,
    }
}
