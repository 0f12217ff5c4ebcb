//! The contracts around a chain, found from the address of its `RollupChain`, and reading them.
//!
//! A user knows one address; bridge, hub and handler follow from it. Called by whatever speaks to
//! Ethereum for a user: deposits, claims, exits, bundles.

use std::future::IntoFuture as _;

use alloy::eips::BlockNumberOrTag;
use alloy::primitives::{Address, Bytes, TxKind};
use alloy::providers::Provider;
use alloy::rpc::types::TransactionRequest;
use alloy::sol_types::SolCall;

use super::SettlementError;
use super::abi::{ChainHub, RollupChain, SharedBridge};
use super::watch::NodeSource;

/// Where the contracts of a chain are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contracts {
    /// Id of the Ethereum chain (EIP-155).
    pub l1_chain: u64,
    /// Id of the rollup chain.
    pub chain_id: u64,
    /// The `RollupChain`.
    pub chain: Address,
    /// The `ChainHub`.
    pub hub: Address,
    /// The `SharedBridge`.
    pub bridge: Address,
    /// The interop handler that the bridge obeys; zero if none is set.
    pub handler: Address,
}

impl Contracts {
    /// Asks the chain's contract, then the others. The hub must know the chain under its id: a
    /// contract that only calls itself a chain would take deposits that are worth nothing.
    ///
    /// # Errors
    /// Errors of the node; [`SettlementError::NotOurContract`] for another contract's address.
    pub async fn find(source: &NodeSource) -> Result<Self, SettlementError> {
        let chain = source.contract();
        let l1_chain = source.ask("eth_chainId", source.provider().get_chain_id());
        let l1_chain = l1_chain.await?;
        let chain_id = source.read(chain, RollupChain::chainIdCall {}).await?;
        let hub = source.read(chain, RollupChain::hubCall {}).await?;
        let bridge = source.read(chain, RollupChain::bridgeCall {}).await?;
        let registered = ChainHub::chainCall { chainId: chain_id };
        let registered = source.read(hub, registered).await?;
        if registered != chain {
            return Err(SettlementError::NotOurContract {
                address: chain,
                request: "chainId",
                reason: format!(
                    "its hub {hub} has chain {chain_id} at {registered}: this is another contract"
                ),
            });
        }
        let handler = source.read(bridge, SharedBridge::handlerCall {}).await?;
        Ok(Self {
            l1_chain,
            chain_id,
            chain,
            hub,
            bridge,
            handler,
        })
    }
}

impl NodeSource {
    /// Reads any contract, as of the newest block.
    ///
    /// # Errors
    /// Errors of the node; [`SettlementError::NotOurContract`] for an answer of another type.
    pub async fn read<C: SolCall>(
        &self,
        to: Address,
        call: C,
    ) -> Result<C::Return, SettlementError> {
        let request = TransactionRequest {
            to: Some(TxKind::Call(to)),
            input: Bytes::from(call.abi_encode()).into(),
            ..Default::default()
        };
        let wrong = |reason: String| SettlementError::NotOurContract {
            address: to,
            request: C::SIGNATURE,
            reason,
        };
        let answer = self.provider().call(request).latest();
        // What is read here never refuses; another contract does, as it does not know the call.
        let answer = self.ask_contract("eth_call", answer).await?;
        let answer = answer.map_err(|refusal| wrong(refusal.to_string()))?;
        C::abi_decode_returns(&answer).map_err(|error| wrong(error.to_string()))
    }

    /// The same, which also tells of the lanes to its chain, by the bridge that the contract names.
    ///
    /// # Errors
    /// As [`NodeSource::read`].
    pub async fn reading_lanes(self) -> Result<Self, SettlementError> {
        let contract = self.contract();
        let bridge = self.read(contract, RollupChain::bridgeCall {}).await?;
        let chain = self.read(contract, RollupChain::chainIdCall {}).await?;
        Ok(self.with_lanes(bridge, chain))
    }

    /// Time of the newest block, in seconds since the Unix epoch: the clock of every deadline on L1.
    ///
    /// # Errors
    /// Errors of the node.
    pub async fn time(&self) -> Result<u64, SettlementError> {
        let request = "eth_getBlockByNumber";
        let look = self
            .provider()
            .get_block_by_number(BlockNumberOrTag::Latest)
            .into_future();
        let block = self.ask(request, look).await?;
        let none = || SettlementError::Rpc {
            request,
            reason: "the node has no newest block".into(),
        };
        Ok(block.ok_or_else(none)?.header.timestamp)
    }

    /// An address's code, as of the newest block; empty if it has none.
    ///
    /// # Errors
    /// Errors of the node.
    pub async fn code(&self, address: Address) -> Result<Bytes, SettlementError> {
        let look = self.provider().get_code_at(address);
        self.ask("eth_getCode", look).await
    }

    /// An address's wei, as of the newest block.
    ///
    /// # Errors
    /// Errors of the node.
    pub async fn balance(
        &self,
        address: Address,
    ) -> Result<alloy::primitives::U256, SettlementError> {
        let look = self.provider().get_balance(address);
        self.ask("eth_getBalance", look).await
    }
}
