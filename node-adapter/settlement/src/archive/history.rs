//! What L1 says of a chain: its queue, its executed batches, and what was published of each.
//!
//! Reads the contract's events from its creation on, by the watcher, and the calldata of the
//! transactions that committed the batches. Called by `resync`.

use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use alloy::consensus::Transaction;
use alloy::eips::BlockNumberOrTag;
use alloy::primitives::{Address, B256, TxHash, U256};
use alloy::providers::Provider;
use alloy::sol_types::SolCall;
use redb::{Database, WriteTransaction};

use super::ChainId;
use crate::abi::ISharedBridge::LaneEntry;
use crate::abi::RollupChain;
use crate::lanes::LaneEvent;
use crate::sender::BlockRef;
use crate::watch::{
    ChainEvent, Cursor, Located, NodeSource, Sink, SinkError, WatchError, WatchOptions, Watcher,
};
use crate::{DataMode, SettlementError};
use carillon_protocol::{Domain, Home};

/// How often a chain that turns while it is read is read again, and one of which the node does not tell all events yet.
const TURNS: usize = 5;
/// Until a node that has answered for a block has its events, too.
const PAUSE: Duration = Duration::from_millis(300);

/// Why L1 could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// The events.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// A request.
    #[error(transparent)]
    Node(#[from] SettlementError),
    /// A temporary database.
    #[error("no memory for the chain's events: {0}")]
    Memory(String),
    /// An executed batch that was never committed.
    #[error(
        "L1 executed batch {number}, but announced no commitment of it: the node left events out; ask another node"
    )]
    NotCommitted {
        /// The batch.
        number: u64,
    },
}

/// What the committing transaction published, if it was a plain call of the chain's contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The circuit's number.
    pub shape: u32,
    /// Commitment to H.
    pub c_h: U256,
    /// Commitment to B.
    pub c_b: U256,
    /// The words of H.
    pub h: Vec<U256>,
}

/// An executed batch, as L1 knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    /// Its number.
    pub number: u64,
    /// keccak of what the contract stored.
    pub hash: B256,
    /// Of the blob that holds B; zero for a validium.
    pub versioned_hash: B256,
    /// The state root after it.
    pub new_root: U256,
    /// Root of its messages.
    pub message_root: B256,
    /// Queue entries executed before it.
    pub queue_start: u64,
    /// Queue entries executed with it and before it.
    pub queue_end: u64,
    /// The transaction that committed it.
    pub transaction: TxHash,
    /// The block of that transaction.
    pub block: BlockRef,
    /// Behind the last entry of the lane from each chain that went back before it was executed.
    pub bounced: BTreeMap<u64, u64>,
}

/// A chain's history.
#[derive(Clone, Debug)]
pub struct History {
    /// Words of the queue's entries.
    pub queue: Vec<[U256; 5]>,
    /// Executed batches, from 1.
    pub executed: Vec<Executed>,
    /// Batches that are committed and not executed: the blobs' versioned hashes by number.
    pub open: BTreeMap<u64, B256>,
    /// Batches that are committed and not executed, from the oldest on. What an execution would say
    /// (root, messages, queue) is zero.
    pub pending: Vec<Executed>,
    /// What each other chain sent.
    pub arrived: BTreeMap<u64, Vec<LaneEntry>>,
    /// Behind the last entry of the lane from each chain that went back.
    pub bounced: BTreeMap<u64, u64>,
    /// Whether the chain has ended.
    pub halted: bool,
    /// The last block read; `None` if the chain is not that deep.
    pub read: Option<BlockRef>,
}

impl History {
    /// Reads the events up to the depth that `options` ask for. `seen` is told each block number
    /// reached.
    pub async fn read(
        source: &NodeSource,
        options: WatchOptions,
        mut seen: impl FnMut(u64) + Send,
    ) -> Result<Self, HistoryError> {
        let mut again = 0;
        loop {
            match Self::read_once(source, options, &mut seen).await {
                // At the head of a chain that goes on: a node, or one of several behind an address, may know a block
                // before it has its events.
                Err(HistoryError::Watch(WatchError::Counters(_) | WatchError::Events { .. }))
                    if again < TURNS =>
                {
                    again += 1;
                    tracing::info!(
                        again,
                        "the node's events do not add up yet: it is read again"
                    );
                }
                read => return read,
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn read_once(
        source: &NodeSource,
        options: WatchOptions,
        mut seen: impl FnMut(u64) + Send,
    ) -> Result<Self, HistoryError> {
        let memory = |error: redb::Error| HistoryError::Memory(error.to_string());
        let database = Database::builder()
            .create_with_backend(redb::backends::InMemoryBackend::new())
            .map_err(|error| memory(error.into()))?;
        let source = source.clone().reading_lanes().await?;
        let watcher = Watcher::new(source, Arc::new(database), options)?;
        let mut events = Events::default();
        let mut turns = 0;
        let progress = loop {
            match watcher.sync(&mut events, &mut seen).await {
                Err(WatchError::Turned) if turns < TURNS => turns += 1,
                other => break other?,
            }
        };
        Self::from_events(&events.0, progress.read)
    }

    fn from_events(events: &[Located], read: Option<BlockRef>) -> Result<Self, HistoryError> {
        let mut history = Self {
            queue: Vec::new(),
            executed: Vec::new(),
            open: BTreeMap::new(),
            pending: Vec::new(),
            arrived: BTreeMap::new(),
            bounced: BTreeMap::new(),
            halted: false,
            read,
        };
        let mut committed = BTreeMap::new();
        let mut queue_start = 0;
        for located in events {
            match &located.event {
                ChainEvent::Queued { words, .. } => history.queue.push(*words),
                ChainEvent::Committed {
                    number,
                    hash,
                    versioned_hash,
                } => {
                    // A batch that was taken back may be committed again: the last one counts.
                    committed.insert(*number, (*hash, *versioned_hash, located));
                }
                ChainEvent::Executed {
                    number,
                    new_root,
                    message_root,
                    queue_end,
                } => {
                    let number = *number;
                    let (hash, versioned_hash, at) = committed
                        .remove(&number)
                        .ok_or(HistoryError::NotCommitted { number })?;
                    history.executed.push(Executed {
                        number,
                        hash,
                        versioned_hash,
                        new_root: *new_root,
                        message_root: *message_root,
                        queue_start,
                        queue_end: *queue_end,
                        transaction: at.transaction,
                        block: at.block,
                        bounced: history.bounced.clone(),
                    });
                    queue_start = *queue_end;
                }
                ChainEvent::Reverted { last_kept, .. } => {
                    committed.retain(|number, _| number <= last_kept);
                }
                ChainEvent::Halted { .. } => history.halted = true,
                ChainEvent::Lane { event, .. } => match event {
                    LaneEvent::Sent { from, entry, .. } => {
                        history
                            .arrived
                            .entry(*from)
                            .or_default()
                            .push(entry.clone());
                    }
                    LaneEvent::Bounced { from, index, .. } => {
                        history.bounced.insert(*from, index + 1);
                    }
                    LaneEvent::Returned { .. } => {}
                },
                ChainEvent::Proved { .. } => {}
            }
        }
        let pending = committed.into_iter();
        let pending = pending.map(|(number, (hash, versioned_hash, at))| Executed {
            number,
            hash,
            versioned_hash,
            new_root: U256::ZERO,
            message_root: B256::ZERO,
            queue_start: 0,
            queue_end: 0,
            transaction: at.transaction,
            block: at.block,
            bounced: history.bounced.clone(),
        });
        history.pending = pending.collect();
        let open = history.pending.iter();
        history.open = open
            .map(|batch| (batch.number, batch.versioned_hash))
            .collect();
        Ok(history)
    }
}

/// The chain of a contract.
pub async fn chain_of(source: &NodeSource) -> Result<ChainId, SettlementError> {
    let contract = source.contract();
    let l1 = source
        .ask("eth_chainId", source.provider().get_chain_id())
        .await?;
    let chain = source.read(contract, RollupChain::chainIdCall {}).await?;
    Ok(ChainId {
        l1,
        contract,
        chain,
    })
}

/// What the chain's operations are signed for, by the hub that its contract names.
pub async fn domain_of(source: &NodeSource, chain: &ChainId) -> Result<Domain, SettlementError> {
    let hub: Address = source.read(chain.contract, RollupChain::hubCall {}).await?;
    let home = Home {
        l1_chain_id: chain.l1,
        hub: hub.into(),
        ..Home::default()
    };
    Ok(Domain::new(&home, chain.chain))
}

/// Where the chain's batches have their data.
pub async fn mode_of(source: &NodeSource) -> Result<DataMode, SettlementError> {
    let validium = source.read(source.contract(), RollupChain::validiumCall {});
    Ok(DataMode::of(validium.await?))
}

/// Time of the block that committed a batch, and what its transaction published. A batch that came
/// through another contract has no plain calldata; its stored hash is still there to check.
pub async fn published(
    source: &NodeSource,
    batch: &Executed,
) -> Result<(u64, Option<Published>), SettlementError> {
    let request = "eth_getBlockByNumber";
    let number = BlockNumberOrTag::Number(batch.block.number);
    let look = source.provider().get_block_by_number(number).into_future();
    let block = source.ask(request, look).await?;
    let block = block.filter(|block| block.header.hash == batch.block.hash);
    let block = block.ok_or_else(|| SettlementError::Rpc {
        request,
        reason: format!(
            "block {} was reorganised while it was read",
            batch.block.number
        ),
    })?;
    let look = source
        .provider()
        .get_transaction_by_hash(batch.transaction)
        .into_future();
    let transaction = source.ask("eth_getTransactionByHash", look).await?;
    let data = transaction
        .filter(|transaction| transaction.inner.to() == Some(source.contract()))
        .and_then(|transaction| {
            let input = transaction.inner.input();
            let settle = RollupChain::settleCall::abi_decode(input).map(|call| call.batch);
            settle
                .or_else(|_| RollupChain::commitCall::abi_decode(input).map(|call| call.batch))
                .ok()
        });
    let published = data.map(|data| Published {
        shape: data.shape,
        c_h: data.cH,
        c_b: data.cB,
        h: data.h,
    });
    Ok((block.header.timestamp, published))
}

/// Collects events.
#[derive(Default)]
struct Events(Vec<Located>);

impl Sink for Events {
    fn rollback(&mut self, _: &WriteTransaction, from: u64, _: &Cursor) -> Result<(), SinkError> {
        self.0.retain(|event| event.block.number < from);
        Ok(())
    }

    fn apply(
        &mut self,
        _: &WriteTransaction,
        _: BlockRef,
        events: &[Located],
    ) -> Result<(), SinkError> {
        self.0.extend_from_slice(events);
        Ok(())
    }
}
