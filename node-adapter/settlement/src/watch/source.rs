//! Where events come from: an L1 node, as a trait and over JSON-RPC. Every request has a deadline.
//!
//! Called by `watcher`.

use std::future::{Future, IntoFuture};
use std::time::Duration;

use alloy::eips::{BlockId, BlockNumberOrTag};
use alloy::network::Ethereum;
use alloy::primitives::{Address, B256, Bytes, TxKind};
use alloy::providers::{Provider, RootProvider};
use alloy::rpc::types::{Filter, TransactionRequest};
use alloy::sol_types::SolCall;
use alloy::transports::{RpcError, TransportErrorKind};
use async_trait::async_trait;

use super::{ChainEvent, Cursor, Located};
use crate::abi::RollupChain;
use crate::sender::BlockRef;
use crate::{EthNode, Meaning, Refusal, SettlementError};

/// A node that tells blocks and one chain's events.
#[async_trait]
pub trait Source: Send + Sync {
    /// Number of the newest block.
    async fn head(&self) -> Result<u64, SettlementError>;
    /// A block of the chain that the node follows; `None` above its head.
    async fn block(&self, number: u64) -> Result<Option<BlockRef>, SettlementError>;
    /// The contract's events in blocks `from` to `to`, both included, in order.
    async fn events(&self, from: u64, to: u64) -> Result<Vec<Located>, SettlementError>;
    /// The contract's own counters after a block, with the queue's hash after `length` entries; `None`
    /// if the node does not keep the state of that block any more.
    async fn counters(
        &self,
        block: BlockRef,
        length: u64,
    ) -> Result<Option<Cursor>, SettlementError>;
}

/// A contract on an Ethereum node behind a URL.
#[derive(Clone, Debug)]
pub struct NodeSource {
    node: EthNode,
    contract: Address,
}

impl NodeSource {
    /// The `RollupChain` at `contract`; each answer may take `deadline`. Does not connect yet.
    pub fn new(url: &str, contract: Address, deadline: Duration) -> Result<Self, SettlementError> {
        Ok(Self {
            node: EthNode::new(url, deadline)?,
            contract,
        })
    }

    /// The contract.
    pub fn contract(&self) -> Address {
        self.contract
    }

    /// The node, for requests that are not the watcher's.
    pub(crate) async fn ask<T>(
        &self,
        request: &'static str,
        answer: impl IntoFuture<IntoFuture: Future<Output = Result<T, RpcError<TransportErrorKind>>>>,
    ) -> Result<T, SettlementError> {
        Ok(self.node.ask(request, answer).await?)
    }

    /// As [`NodeSource::ask`]; a contract's refusal is the inner error.
    pub(crate) async fn ask_contract<T>(
        &self,
        request: &'static str,
        answer: impl IntoFuture<IntoFuture: Future<Output = Result<T, RpcError<TransportErrorKind>>>>,
    ) -> Result<Result<T, Refusal>, SettlementError> {
        match self.node.ask(request, answer).await {
            Ok(value) => Ok(Ok(value)),
            Err(mut failure) => match failure.refusal.take() {
                Some(refusal) => Ok(Err(refusal)),
                None => Err(failure.into()),
            },
        }
    }

    pub(crate) fn provider(&self) -> &RootProvider<Ethereum> {
        self.node.provider()
    }

    /// Reads the contract after a block; `None` if the node does not have the state of that block, or
    /// not the block. Every other refusal is an error: it says nothing about the contract.
    async fn view<C: SolCall>(
        &self,
        call: C,
        block: B256,
    ) -> Result<Option<C::Return>, SettlementError> {
        let request = TransactionRequest {
            to: Some(TxKind::Call(self.contract)),
            input: Bytes::from(call.abi_encode()).into(),
            ..Default::default()
        };
        let answer = self.provider().call(request).block(BlockId::hash(block));
        match self.ask("eth_call", answer).await {
            Ok(answer) => C::abi_decode_returns(&answer).map(Some).map_err(|error| {
                SettlementError::NotOurContract {
                    address: self.contract,
                    request: "progress",
                    reason: error.to_string(),
                }
            }),
            Err(error) => match error.meaning() {
                Some(Meaning::StateMissing | Meaning::Behind | Meaning::Unsupported) => Ok(None),
                _ => Err(error),
            },
        }
    }
}

#[async_trait]
impl Source for NodeSource {
    async fn head(&self) -> Result<u64, SettlementError> {
        self.ask("eth_blockNumber", self.provider().get_block_number())
            .await
    }

    async fn block(&self, number: u64) -> Result<Option<BlockRef>, SettlementError> {
        let look = self
            .provider()
            .get_block_by_number(BlockNumberOrTag::Number(number))
            .into_future();
        let block = self.ask("eth_getBlockByNumber", look).await?;
        Ok(block.map(|block| BlockRef {
            number: block.header.number,
            hash: block.header.hash,
        }))
    }

    async fn events(&self, from: u64, to: u64) -> Result<Vec<Located>, SettlementError> {
        let filter = Filter::new()
            .address(self.contract)
            .event_signature(ChainEvent::topics())
            .from_block(from)
            .to_block(to);
        let request = "eth_getLogs";
        let logs = self.ask(request, self.provider().get_logs(&filter)).await?;
        let wrong = |reason: String| SettlementError::Rpc { request, reason };
        let mut events = Vec::with_capacity(logs.len());
        for log in logs {
            let place = (!log.removed)
                .then_some((log.block_number, log.block_hash))
                .and_then(|(number, hash)| Some((number?, hash?)))
                .zip(log.transaction_hash.zip(log.log_index));
            let Some(((number, hash), (transaction, index))) = place else {
                return Err(wrong("a log has no place in a block".into()));
            };
            events.push(Located {
                block: BlockRef { number, hash },
                transaction,
                log: index,
                event: ChainEvent::decode(&log.inner).map_err(wrong)?,
            });
        }
        events.sort_by_key(|event| (event.block.number, event.log));
        Ok(events)
    }

    async fn counters(
        &self,
        block: BlockRef,
        length: u64,
    ) -> Result<Option<Cursor>, SettlementError> {
        let progress = RollupChain::progressCall {};
        let hash = RollupChain::queueHashCall { index: length };
        let (Some(progress), Some(hash)) = (
            self.view(progress, block.hash).await?,
            self.view(hash, block.hash).await?,
        ) else {
            return Ok(None);
        };
        Ok(Some(Cursor {
            queue_length: progress.queueLength,
            queue_hash: hash,
            committed: progress.committed,
            proved: progress.proved,
            executed: progress.executed,
            halted: progress.halted,
        }))
    }
}
