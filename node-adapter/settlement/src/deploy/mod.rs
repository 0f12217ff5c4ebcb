//! Deployment of the rollup protocol's contracts. Called by the demo, the node and the tests.
//!
//! One [`Deployment`] is a timelock, a hub, a bridge, an interop handler, a gateway, and one chain with its verifiers. The
//! deploying key governs while the parts are put together; at the end hub, bridge and chain are
//! handed over to the timelock, unless [`DeployOptions::hand_over`] is off.

mod add;
mod check;
mod journal;
mod key;
mod options;
mod verifier;

use alloy::primitives::{Address, Bytes, U256, Uint};
use alloy::sol_types::{SolCall, SolConstructor};
use carillon_runtime::groth16::{VerifyingKey, eip2537};

use crate::abi::interop::InteropHandler;
use crate::abi::state::StateVerifier;
use crate::abi::{
    ChainHub, ChainTimelock, Gateway, Groth16Verifier, IRollupChain, RollupChain, SharedBridge,
    UpgradeableProxy,
};
use crate::{GasLimit, L1Client, SettlementError};
use carillon_protocol::Home;

use journal::Done;
use options::PROBE;

pub use add::{Added, Site};
pub use check::Preflight;
pub use journal::DeployJournal;
pub use key::{PUBLIC_INPUTS, key_hash, verifying_key_bytes};
pub use options::DeployOptions;
pub use verifier::is_verifier_of;

/// The factory of an interop handler: the handler creates it as its first contract, and the nonce
/// of a new contract is 1 (EIP-161).
pub fn factory_address(handler: Address) -> Address {
    handler.create(1)
}

alloy::sol! {
    /// The one function of a token that a deployment calls.
    function approve(address spender, uint256 amount);
}

/// Where everything stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// The `ChainTimelock`.
    pub timelock: Address,
    /// The `ChainHub`.
    pub hub: Address,
    /// The `StateVerifier`.
    pub state_verifier: Address,
    /// The `SharedBridge`, behind its proxy.
    pub bridge: Address,
    /// The `RollupChain`, behind its proxy.
    pub chain: Address,
    /// The `InteropHandler`, which the bridge obeys for bundles.
    pub handler: Address,
    /// The `AliasFactory`, created by the handler.
    pub alias_factory: Address,
    /// The `Gateway`, which settles batches of many chains at once.
    pub gateway: Address,
    /// The `Groth16Verifier`s by shape.
    pub verifiers: Vec<(u32, Address)>,
    /// Gas of all transactions together.
    pub gas: u64,
    /// The block of the first transaction: no event of the chain is older.
    pub from_block: u64,
}

impl Deployment {
    /// Where the chains of this deployment are, on the L1 with that chain id.
    pub fn home(&self, l1_chain_id: u64) -> Home {
        Home {
            l1_chain_id,
            hub: self.hub.into(),
            bridge: self.bridge.into(),
        }
    }

    /// Deploys everything and wires it up, with the client's key.
    ///
    /// # Errors
    /// [`SettlementError::Refused`] with the contract's reason when the options are not sound;
    /// [`SettlementError::WrongKey`] for a key of another circuit; errors of the node.
    pub async fn deploy(
        client: &L1Client,
        options: DeployOptions,
    ) -> Result<Self, SettlementError> {
        Self::run(Deployer::new(client, None), options).await
    }

    /// [`Deployment::deploy`] with a journal of its transactions: what it has is not sent again, so
    /// that a deployment that was cut off goes on where it ended.
    ///
    /// # Errors
    /// As [`Deployment::deploy`]; [`SettlementError::DeployJournal`] if the journal cannot be written,
    /// or was begun with other options.
    pub async fn resume(
        client: &L1Client,
        options: DeployOptions,
        journal: &mut DeployJournal,
    ) -> Result<Self, SettlementError> {
        Self::run(Deployer::new(client, Some(journal)), options).await
    }

    async fn run(
        mut deployer: Deployer<'_>,
        options: DeployOptions,
    ) -> Result<Self, SettlementError> {
        let this = deployer.client.address();
        let guardian = options.guardian.unwrap_or(this);
        let timelock = deployer
            .create(
                "the deployment of ChainTimelock",
                &ChainTimelock::BYTECODE,
                &ChainTimelock::constructorCall {
                    delay: U256::from(options.governance_delay),
                    queueDelay: U256::from(options.queue_delay),
                    exitWindow: U256::from(options.exit_window),
                    proposers: match options.proposers.is_empty() {
                        true => vec![guardian],
                        false => options.proposers.clone(),
                    },
                },
            )
            .await?;
        let hub = deployer
            .create(
                "the deployment of ChainHub",
                &ChainHub::BYTECODE,
                &ChainHub::constructorCall { governor_: this },
            )
            .await?;
        let (state_verifier, bridge) = deployer.bridge(hub).await?;
        let (chain, verifiers) = deployer
            .chain_with_verifiers(hub, bridge, guardian, &options, &[])
            .await?;
        // The bridge's governor sets the handler, so before the timelock governs.
        let handler = deployer.handler(hub, bridge, state_verifier).await?;
        let gateway = deployer.gateway(hub, bridge).await?;
        let mut deployment = Self {
            timelock,
            hub,
            state_verifier,
            bridge,
            chain,
            handler,
            alias_factory: factory_address(handler),
            gateway,
            verifiers,
            gas: 0,
            from_block: deployer.first,
        };
        if options.hand_over {
            deployment.hand_over_with(&mut deployer).await?;
        }
        deployment.gas = deployer.gas;
        Ok(deployment)
    }

    /// Deploys one more chain under this hub and bridge, which the client's key must still govern
    /// (`hand_over` off). The result is the same deployment with the new chain and its verifiers;
    /// its gas is that of this chain alone. A verifier of this deployment that has the chain's key is its own, too.
    ///
    /// # Errors
    /// `NotGovernor` after the hand-over; as [`Deployment::deploy`].
    pub async fn add_chain(
        &self,
        client: &L1Client,
        options: &DeployOptions,
    ) -> Result<Self, SettlementError> {
        let mut deployer = Deployer::new(client, None);
        let guardian = options.guardian.unwrap_or(client.address());
        let (chain, verifiers) = deployer
            .chain_with_verifiers(self.hub, self.bridge, guardian, options, &self.verifiers)
            .await?;
        Ok(Self {
            chain,
            verifiers,
            gas: deployer.gas,
            ..self.clone()
        })
    }

    /// Makes the timelock the governor of hub, bridge and chain; returns the gas.
    ///
    /// # Errors
    /// `NotGovernor` when the client's key does not govern; errors of the node.
    pub async fn hand_over(&self, client: &L1Client) -> Result<u64, SettlementError> {
        let mut deployer = Deployer::new(client, None);
        self.hand_over_with(&mut deployer).await?;
        Ok(deployer.gas)
    }

    async fn hand_over_with(&self, deployer: &mut Deployer<'_>) -> Result<(), SettlementError> {
        let governor_ = self.timelock;
        deployer
            .call(
                "setGovernor",
                self.hub,
                ChainHub::setGovernorCall { governor_ },
            )
            .await?;
        let call = SharedBridge::setGovernorCall { governor_ };
        deployer.call("setGovernor", self.bridge, call).await?;
        let call = RollupChain::setGovernorCall { governor_ };
        deployer.call("setGovernor", self.chain, call).await
    }
}

/// Sends the transactions of a deployment and counts their gas.
struct Deployer<'a> {
    client: &'a L1Client,
    journal: Option<&'a mut DeployJournal>,
    gas: u64,
    /// The block of the first transaction.
    first: u64,
}

impl<'a> Deployer<'a> {
    fn new(client: &'a L1Client, journal: Option<&'a mut DeployJournal>) -> Self {
        Self {
            client,
            journal,
            gas: 0,
            first: u64::MAX,
        }
    }

    async fn bridge(&mut self, hub: Address) -> Result<(Address, Address), SettlementError> {
        let state_verifier = self
            .send(
                "the deployment of StateVerifier",
                None,
                StateVerifier::BYTECODE.clone(),
            )
            .await?;
        let logic = self
            .create(
                "the deployment of SharedBridge",
                &SharedBridge::BYTECODE,
                &SharedBridge::constructorCall {
                    stateVerifier_: state_verifier,
                },
            )
            .await?;
        let call = SharedBridge::initializeCall {
            hub_: hub,
            governor_: self.client.address(),
        };
        let bridge = self.proxy(logic, call).await?;
        Ok((state_verifier, bridge))
    }

    async fn chain(
        &mut self,
        hub: Address,
        bridge: Address,
        guardian: Address,
        options: &DeployOptions,
    ) -> Result<Address, SettlementError> {
        let logic = self
            .send(
                "the deployment of RollupChain",
                None,
                RollupChain::BYTECODE.clone(),
            )
            .await?;
        let setup = IRollupChain::Setup {
            chainId: options.chain_id,
            hub,
            bridge,
            operator: options.operator.unwrap_or(self.client.address()),
            operatorAccount: options.operator_account,
            governor: self.client.address(),
            guardian,
            genesisRoot: U256::from_be_bytes(eip2537::scalar(&options.genesis_root)),
            queueDelay: options.queue_delay,
            revertDelay: options.revert_delay,
            maxPause: options.max_pause,
            pauseCooldown: options.pause_cooldown,
            entryInterval: options.entry_interval,
            entryFee: Uint::saturating_from(options.entry_fee),
            accounts: options.accounts,
            validium: options.validium,
        };
        self.proxy(logic, RollupChain::initializeCall { setup })
            .await
    }

    async fn handler(
        &mut self,
        hub: Address,
        bridge: Address,
        state_verifier: Address,
    ) -> Result<Address, SettlementError> {
        let handler_ = self
            .create(
                "the deployment of InteropHandler",
                &InteropHandler::BYTECODE,
                &InteropHandler::constructorCall {
                    hub_: hub,
                    bridge_: bridge,
                    stateVerifier_: state_verifier,
                },
            )
            .await?;
        self.call(
            "setHandler",
            bridge,
            SharedBridge::setHandlerCall { handler_ },
        )
        .await?;
        Ok(handler_)
    }

    async fn gateway(
        &mut self,
        hub_: Address,
        bridge_: Address,
    ) -> Result<Address, SettlementError> {
        self.create(
            "the deployment of Gateway",
            &Gateway::BYTECODE,
            &Gateway::constructorCall { hub_, bridge_ },
        )
        .await
    }

    /// A chain, registered, with verifiers and tokens. Verifiers that are there already are taken where
    /// they have the key: what chains share is checked together.
    async fn chain_with_verifiers(
        &mut self,
        hub: Address,
        bridge: Address,
        guardian: Address,
        options: &DeployOptions,
        there: &[(u32, Address)],
    ) -> Result<(Address, Vec<(u32, Address)>), SettlementError> {
        let chain = self.chain(hub, bridge, guardian, options).await?;
        let register = ChainHub::registerCall {
            chainId: options.chain_id,
            chain_: chain,
        };
        self.call("the registration of the chain", hub, register)
            .await?;
        let operates = (options.operator).is_none_or(|operator| operator == self.client.address());
        if let Some(key) = options.receipt_key.filter(|_| operates) {
            let point = key.coordinates();
            let set = ChainHub::setReceiptKeyCall {
                chainId: options.chain_id,
                x: U256::from_be_bytes(eip2537::scalar(&point.x)),
                y: U256::from_be_bytes(eip2537::scalar(&point.y)),
            };
            self.call("setReceiptKey", hub, set).await?;
        }
        let verifiers = self.verifiers(chain, options, there).await?;
        let least = |slot: u8| U256::from(options.least_deposit(slot));
        for (slot, token) in &options.tokens {
            self.list(bridge, options.chain_id, *slot, *token, least(*slot))
                .await?;
        }
        if !least(0).is_zero() {
            let set = SharedBridge::setLeastDepositCall {
                chainId: options.chain_id,
                slot: U256::ZERO,
                least: least(0),
            };
            self.call("setLeastDeposit", bridge, set).await?;
        }
        Ok((chain, verifiers))
    }

    /// Gives a chain a verifier for each key.
    async fn verifiers(
        &mut self,
        chain: Address,
        options: &DeployOptions,
        there: &[(u32, Address)],
    ) -> Result<Vec<(u32, Address)>, SettlementError> {
        let mut verifiers = Vec::with_capacity(options.verifiers.len());
        for (shape, key) in &options.verifiers {
            let verifier = match self.verifier_of(key, there).await? {
                Some(verifier) => verifier,
                None => self.verifier(key).await?,
            };
            let set = RollupChain::setVerifierCall {
                shape: *shape,
                verifier_: verifier,
            };
            self.call("setVerifier", chain, set).await?;
            verifiers.push((*shape, verifier));
        }
        Ok(verifiers)
    }

    /// Lists a token. The bridge tries it out with units of the deploying key.
    async fn list(
        &mut self,
        bridge: Address,
        chain_id: u64,
        slot: u8,
        token: Address,
        least: U256,
    ) -> Result<(), SettlementError> {
        let approve = approveCall {
            spender: bridge,
            amount: U256::from(PROBE),
        };
        self.call("the approval of a token's trial", token, approve)
            .await?;
        let set = SharedBridge::setTokenCall {
            chainId: chain_id,
            slot: U256::from(slot),
            token,
            least,
        };
        self.call("setToken", bridge, set).await
    }

    /// The first of these verifiers that has the key.
    async fn verifier_of(
        &self,
        key: &VerifyingKey,
        there: &[(u32, Address)],
    ) -> Result<Option<Address>, SettlementError> {
        let wanted = key_hash(key)?;
        for (_, verifier) in there {
            let call = Groth16Verifier::keyHashCall {};
            let answer = self
                .client
                .call("keyHash", *verifier, call.abi_encode().into());
            if answer.await?.as_ref() == wanted.as_slice() {
                return Ok(Some(*verifier));
            }
        }
        Ok(None)
    }

    async fn verifier(&mut self, key: &VerifyingKey) -> Result<Address, SettlementError> {
        let arguments = Groth16Verifier::constructorCall {
            key: verifying_key_bytes(key)?.into(),
        };
        self.create(
            "the deployment of Groth16Verifier",
            &Groth16Verifier::BYTECODE,
            &arguments,
        )
        .await
    }

    async fn proxy(
        &mut self,
        logic: Address,
        call: impl SolCall,
    ) -> Result<Address, SettlementError> {
        let arguments = UpgradeableProxy::constructorCall {
            logic,
            call: call.abi_encode().into(),
        };
        self.create(
            "the deployment of a proxy",
            &UpgradeableProxy::BYTECODE,
            &arguments,
        )
        .await
    }

    async fn create(
        &mut self,
        action: &'static str,
        bytecode: &Bytes,
        arguments: &impl SolConstructor,
    ) -> Result<Address, SettlementError> {
        let code = [bytecode.as_ref(), &arguments.abi_encode()].concat();
        self.send(action, None, code.into()).await
    }

    async fn call(
        &mut self,
        action: &'static str,
        to: Address,
        call: impl SolCall,
    ) -> Result<(), SettlementError> {
        self.send(action, Some(to), call.abi_encode().into())
            .await
            .map(drop)
    }

    /// Returns the created contract, or the address that was called.
    async fn send(
        &mut self,
        action: &'static str,
        to: Option<Address>,
        input: Bytes,
    ) -> Result<Address, SettlementError> {
        let done = match &mut self.journal {
            Some(journal) => journal.send(self.client, action, to, input).await?,
            None => {
                let mined = self
                    .client
                    .transact(action, to, input, GasLimit::Estimate)
                    .await?;
                Done::of(&mined.receipt)
            }
        };
        self.gas += done.gas;
        self.first = self.first.min(done.block);
        to.or(done.created)
            .ok_or_else(|| SettlementError::WrongEffect {
                transaction: done.transaction,
                reason: "its receipt names no contract".into(),
            })
    }
}
