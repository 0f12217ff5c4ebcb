//! Where events come from: an L1 node, as a trait and over JSON-RPC. Every request has a deadline.
//!
//! Called by `watcher`.

use std::collections::BTreeMap;
use std::future::{Future, IntoFuture};
use std::time::Duration;

use alloy::eips::{BlockId, BlockNumberOrTag};
use alloy::network::Ethereum;
use alloy::primitives::{Address, B256, Bytes, Log, TxKind, U256};
use alloy::providers::{Provider, RootProvider};
use alloy::rpc::types::{Filter, TransactionRequest};
use alloy::sol_types::SolCall;
use alloy::transports::{RpcError, TransportErrorKind};
use async_trait::async_trait;

use carillon_protocol::TOKENS;

use super::{ChainEvent, Cursor, Located};
use crate::abi::{RollupChain, SharedBridge};
use crate::answer::LOGS;
use crate::lanes::LaneEvent;
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
    lanes: Option<Lanes>,
}

/// Where lanes are announced, and the chain whose are read.
#[derive(Clone, Copy, Debug)]
struct Lanes {
    bridge: Address,
    to: u64,
}

impl NodeSource {
    /// The `RollupChain` at `contract`; each answer may take `deadline`. Does not connect yet.
    pub fn new(url: &str, contract: Address, deadline: Duration) -> Result<Self, SettlementError> {
        Ok(Self {
            node: EthNode::new(url, deadline)?,
            contract,
            lanes: None,
        })
    }

    /// The same, which also tells what the bridge announces of the lanes to the chain with this id.
    #[must_use]
    pub fn with_lanes(mut self, bridge: Address, to: u64) -> Self {
        self.lanes = Some(Lanes { bridge, to });
        self
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
        self.view_at(self.contract, call, block).await
    }

    /// [`NodeSource::view`] of another contract.
    async fn view_at<C: SolCall>(
        &self,
        contract: Address,
        call: C,
        block: B256,
    ) -> Result<Option<C::Return>, SettlementError> {
        let request = TransactionRequest {
            to: Some(TxKind::Call(contract)),
            input: Bytes::from(call.abi_encode()).into(),
            ..Default::default()
        };
        let answer = self.provider().call(request).block(BlockId::hash(block));
        match self.ask("eth_call", answer).await {
            Ok(answer) => C::abi_decode_returns(&answer).map(Some).map_err(|error| {
                SettlementError::NotOurContract {
                    address: contract,
                    request: C::SIGNATURE,
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

impl NodeSource {
    /// The slot of a token on the chain whose lanes are read, zero for ETH; none if it has none there
    /// now. Slots are for good.
    ///
    /// # Errors
    /// [`SettlementError`].
    pub async fn token_slot(&self, token: Address) -> Result<Option<u8>, SettlementError> {
        let Some(lanes) = self.lanes.filter(|_| !token.is_zero()) else {
            return Ok(token.is_zero().then_some(0));
        };
        for slot in 1..TOKENS {
            let call = SharedBridge::tokenAtCall {
                chainId: lanes.to,
                slot: U256::from(slot),
            };
            if self.read(lanes.bridge, call).await? == token {
                return Ok(Some(slot));
            }
        }
        Ok(None)
    }

    /// The logs of some blocks, each with its place.
    pub(crate) async fn logs(
        &self,
        filter: Filter,
        from: u64,
        to: u64,
    ) -> Result<Vec<(Place, Log)>, SettlementError> {
        let filter = filter.from_block(from).to_block(to);
        let logs = self.ask(LOGS, self.provider().get_logs(&filter)).await?;
        let place = |log: &alloy::rpc::types::Log| {
            let block = BlockRef {
                number: log.block_number?,
                hash: log.block_hash?,
            };
            let place = Place {
                block,
                transaction: log.transaction_hash?,
                log: log.log_index?,
                time: log.block_timestamp,
            };
            (!log.removed).then_some(place)
        };
        logs.into_iter()
            .map(|log| {
                let place = place(&log);
                let nowhere = || wrong("a log has no place in a block".into());
                Ok((place.ok_or_else(nowhere)?, log.inner))
            })
            .collect()
    }

    /// The time of a block, in seconds.
    pub(crate) async fn block_time(&self, block: BlockRef) -> Result<u64, SettlementError> {
        let look = self.provider().get_block_by_hash(block.hash).into_future();
        let found = self.ask("eth_getBlockByHash", look).await?;
        let gone = || wrong(format!("block {} is gone while it is read", block.number));
        found.map(|block| block.header.timestamp).ok_or_else(gone)
    }
}

/// Where a log is.
pub(crate) struct Place {
    pub block: BlockRef,
    transaction: B256,
    log: u64,
    /// Of the block, if the node says it.
    pub time: Option<u64>,
}

impl Place {
    fn of(self, event: ChainEvent) -> Located {
        Located {
            block: self.block,
            transaction: self.transaction,
            log: self.log,
            event,
        }
    }
}

/// An answer to the question for logs that cannot be.
fn wrong(reason: String) -> SettlementError {
    let request = LOGS;
    SettlementError::Rpc { request, reason }
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
            .event_signature(ChainEvent::topics());
        let mut events = Vec::new();
        for (place, log) in self.logs(filter, from, to).await? {
            events.push(place.of(ChainEvent::decode(&log).map_err(wrong)?));
        }
        if let Some(lanes) = self.lanes {
            // `to` is the second indexed field.
            let filter = Filter::new()
                .address(lanes.bridge)
                .event_signature(LaneEvent::arriving())
                .topic2(U256::from(lanes.to));
            let mut times = BTreeMap::new();
            for (place, log) in self.logs(filter, from, to).await? {
                let Some(event) = LaneEvent::decode(&log).map_err(wrong)? else {
                    continue;
                };
                if event.to() != lanes.to || log.address != lanes.bridge {
                    let asked = format!("a log of another chain's lane than {}", lanes.to);
                    return Err(wrong(asked));
                }
                let time = match (place.time, times.get(&place.block.hash)) {
                    (Some(time), _) => time,
                    (None, Some(time)) => *time,
                    // Not every node says it with the log.
                    (None, None) => self.block_time(place.block).await?,
                };
                times.insert(place.block.hash, time);
                events.push(place.of(ChainEvent::Lane { event, time }));
            }
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
        let lanes = match self.lanes {
            None => None,
            Some(Lanes { bridge, to }) => {
                let call = SharedBridge::arrivalsCall { to };
                let Some(arrivals) = self.view_at(bridge, call, block.hash).await? else {
                    return Ok(None);
                };
                Some((arrivals.sent, arrivals.bounced))
            }
        };
        let (arrived, went_back) = lanes.unwrap_or_default();
        Ok(Some(Cursor {
            arrived,
            went_back,
            queue_length: progress.queueLength,
            queue_hash: hash,
            committed: progress.committed,
            proved: progress.proved,
            executed: progress.executed,
            halted: progress.halted,
        }))
    }
}
