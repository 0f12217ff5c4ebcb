//! The chains of a hub: by its events, and by what each chain's contract says of itself.

use std::collections::BTreeSet;

use alloy::primitives::{Address, B256, Log, U256};
use alloy::rpc::types::Filter;
use alloy::sol_types::SolEvent;

use crate::abi::IRollupChain::Progress;
use crate::abi::{ChainHub, Groth16Verifier, RollupChain, SharedBridge};
use crate::watch::{NodeSource, Place, Source};
use crate::{DataMode, SettlementError};
use carillon_protocol::TOKENS;

/// A hub with its bridge, read from a block on.
#[derive(Clone, Debug)]
pub struct Network {
    /// The Ethereum node.
    pub source: NodeSource,
    /// The `ChainHub`.
    pub hub: Address,
    /// The `SharedBridge`.
    pub bridge: Address,
    /// The first block that is read.
    pub start: u64,
    /// Blocks asked for at a time.
    pub range: u64,
}

/// A chain that the hub knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Its id.
    pub chain_id: u64,
    /// Its contract.
    pub contract: Address,
}

/// A token of a chain and what the bridge has of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenHeld {
    /// The slot; 0 is ETH.
    pub slot: u8,
    /// The token; zero for ETH.
    pub token: Address,
    /// Units in the chain's escrow.
    pub escrow: U256,
    /// Units that are on their way to it.
    pub reserved: U256,
}

/// What a chain's contracts say of it.
#[derive(Clone, Debug)]
pub struct ChainFacts {
    /// Id and contract.
    pub chain: Registered,
    /// Where its batches' data are.
    pub mode: DataMode,
    /// Who commits batches.
    pub operator: Address,
    /// Who governs it.
    pub governor: Address,
    /// Who may pause it.
    pub guardian: Address,
    /// The state root after the last executed batch.
    pub state_root: U256,
    /// Batches and queue entries.
    pub progress: Progress,
    /// Until when it is paused, in Unix time; 0 if it is not.
    pub paused_until: u64,
    /// Verifiers by shape, with the hashes of their keys.
    pub verifiers: Vec<(u32, Address, B256)>,
    /// Its tokens, ETH first.
    pub tokens: Vec<TokenHeld>,
}

impl Network {
    /// The logs of a contract, from the first block to the newest.
    pub(super) async fn logs(&self, filter: Filter) -> Result<Vec<(Place, Log)>, SettlementError> {
        let head = self.source.head().await?;
        let mut all = Vec::new();
        let mut from = self.start;
        while from <= head {
            let to = head.min(from.saturating_add(self.range.max(1) - 1));
            all.extend(self.source.logs(filter.clone(), from, to).await?);
            from = to + 1;
        }
        Ok(all)
    }

    /// Every chain of the hub, by id.
    ///
    /// # Errors
    /// Errors of the node.
    pub async fn chains(&self) -> Result<Vec<Registered>, SettlementError> {
        let filter = Filter::new()
            .address(self.hub)
            .event_signature(ChainHub::ChainRegistered::SIGNATURE_HASH);
        let mut chains = Vec::new();
        for (_, log) in self.logs(filter).await? {
            let event = ChainHub::ChainRegistered::decode_log(&log).map_err(undecoded)?;
            chains.push(Registered {
                chain_id: event.chainId,
                contract: event.chain,
            });
        }
        chains.sort_unstable_by_key(|chain| chain.chain_id);
        Ok(chains)
    }

    /// The chain with an id; none if the hub has none.
    ///
    /// # Errors
    /// Errors of the node.
    pub async fn chain(&self, chain_id: u64) -> Result<Option<Registered>, SettlementError> {
        let call = ChainHub::chainCall { chainId: chain_id };
        let contract: Address = self.source.read(self.hub, call).await?;
        Ok((!contract.is_zero()).then_some(Registered { chain_id, contract }))
    }

    /// What a chain's contracts say.
    ///
    /// # Errors
    /// [`SettlementError::NotOurContract`] for a chain that does not answer like one; errors of the node.
    pub async fn facts(&self, chain: Registered) -> Result<ChainFacts, SettlementError> {
        let (source, at) = (&self.source, chain.contract);
        let validium = source.read(at, RollupChain::validiumCall {}).await?;
        Ok(ChainFacts {
            chain,
            mode: DataMode::of(validium),
            operator: source.read(at, RollupChain::operatorCall {}).await?,
            governor: source.read(at, RollupChain::governorCall {}).await?,
            guardian: source.read(at, RollupChain::guardianCall {}).await?,
            state_root: source.read(at, RollupChain::stateRootCall {}).await?,
            progress: source.read(at, RollupChain::progressCall {}).await?,
            paused_until: source.read(at, RollupChain::pausedUntilCall {}).await?,
            verifiers: self.verifiers(chain).await?,
            tokens: self.tokens(chain.chain_id).await?,
        })
    }

    /// The verifiers of a chain by shape, with the hashes that they say of their keys.
    ///
    /// # Errors
    /// As [`Network::facts`].
    pub async fn verifiers(
        &self,
        chain: Registered,
    ) -> Result<Vec<(u32, Address, B256)>, SettlementError> {
        let filter = Filter::new()
            .address(chain.contract)
            .event_signature(RollupChain::VerifierSet::SIGNATURE_HASH);
        let mut shapes = BTreeSet::new();
        for (_, log) in self.logs(filter).await? {
            let event = RollupChain::VerifierSet::decode_log(&log).map_err(undecoded)?;
            shapes.insert(event.shape);
        }
        let mut verifiers = Vec::new();
        for shape in shapes {
            let call = RollupChain::verifierCall { shape };
            let verifier: Address = self.source.read(chain.contract, call).await?;
            if !verifier.is_zero() {
                let hash = Groth16Verifier::keyHashCall {};
                let hash = self.source.read(verifier, hash).await?;
                verifiers.push((shape, verifier, hash));
            }
        }
        Ok(verifiers)
    }

    /// The tokens of a chain.
    ///
    /// # Errors
    /// Errors of the node.
    pub async fn tokens(&self, chain_id: u64) -> Result<Vec<TokenHeld>, SettlementError> {
        // Asked slot by slot: events may be older than what is read of them.
        let mut slots = vec![(0, Address::ZERO)];
        for slot in 1..TOKENS {
            let call = SharedBridge::tokenAtCall {
                chainId: chain_id,
                slot: U256::from(slot),
            };
            let token: Address = self.source.read(self.bridge, call).await?;
            if !token.is_zero() {
                slots.push((slot, token));
            }
        }
        let mut tokens = Vec::new();
        for (slot, token) in slots {
            let (id, number) = (chain_id, U256::from(slot));
            let escrow = SharedBridge::escrowCall {
                chainId: id,
                token: number,
            };
            let reserved = SharedBridge::reservedCall {
                chainId: id,
                slot: number,
            };
            tokens.push(TokenHeld {
                slot,
                token,
                escrow: self.source.read(self.bridge, escrow).await?,
                reserved: self.source.read(self.bridge, reserved).await?,
            });
        }
        Ok(tokens)
    }

    /// What an address can collect of sends that went back, by token.
    ///
    /// # Errors
    /// Errors of the node.
    pub async fn collectable(
        &self,
        owner: Address,
    ) -> Result<Vec<(Address, U256)>, SettlementError> {
        let filter = Filter::new()
            .address(self.bridge)
            .event_signature(SharedBridge::Bounced::SIGNATURE_HASH);
        let mut tokens = BTreeSet::new();
        for (_, log) in self.logs(filter).await? {
            let event = SharedBridge::Bounced::decode_log(&log).map_err(undecoded)?;
            if event.sender == owner && !event.home {
                tokens.insert(event.token);
            }
        }
        let mut found = Vec::new();
        for token in tokens {
            let call = SharedBridge::bouncedCall { owner, token };
            let amount: U256 = self.source.read(self.bridge, call).await?;
            if !amount.is_zero() {
                found.push((token, amount));
            }
        }
        Ok(found)
    }
}

pub(super) fn undecoded(error: alloy::sol_types::Error) -> SettlementError {
    SettlementError::Rpc {
        request: "eth_getLogs",
        reason: error.to_string(),
    }
}
