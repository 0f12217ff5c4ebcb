//! Events of `RollupChain`, and of the bridge's lanes to it, decoded. Pure. Called by `source`.

use alloy::primitives::{B256, TxHash, U256};
use alloy::sol_types::SolEvent;

use crate::abi::RollupChain;
use crate::lanes::LaneEvent;
use crate::sender::BlockRef;

/// What the contract announced. The fields are those of the Solidity events.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChainEvent {
    /// An entry came into the queue.
    Queued {
        /// Its index, from 0.
        index: u64,
        /// The record's words, masked as PROTOCOL.md says ("L1 queue").
        words: [U256; 5],
        /// The hash over the queue with it.
        hash: B256,
    },
    /// A batch's public data are fixed.
    Committed {
        /// The batch.
        number: u64,
        /// keccak of `StoredBatch`.
        hash: B256,
        /// Of the blob that holds B.
        versioned_hash: B256,
    },
    /// A batch is proved.
    Proved {
        /// The batch.
        number: u64,
    },
    /// A batch is final on L1.
    Executed {
        /// The batch.
        number: u64,
        /// The state root after it.
        new_root: U256,
        /// Root of its messages.
        message_root: B256,
        /// Queue entries executed with it and before it.
        queue_end: u64,
    },
    /// Committed batches were taken back.
    Reverted {
        /// The last one that stays.
        last_kept: u64,
        /// The last one that was taken back.
        last_reverted: u64,
    },
    /// The chain has ended.
    Halted {
        /// The overdue entry.
        oldest_entry: u64,
    },
    /// The bridge announced something of a lane to this chain.
    Lane {
        /// What.
        event: LaneEvent,
        /// Time of the block, in seconds.
        time: u64,
    },
}

/// An event and its place on L1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The block.
    pub block: BlockRef,
    /// The transaction.
    pub transaction: TxHash,
    /// Index of the log within the block.
    pub log: u64,
    /// The event.
    pub event: ChainEvent,
}

impl ChainEvent {
    /// Topics of the chain's own events above.
    pub fn topics() -> Vec<B256> {
        vec![
            RollupChain::QueueEntry::SIGNATURE_HASH,
            RollupChain::BatchCommitted::SIGNATURE_HASH,
            RollupChain::BatchProved::SIGNATURE_HASH,
            RollupChain::BatchExecuted::SIGNATURE_HASH,
            RollupChain::BatchesReverted::SIGNATURE_HASH,
            RollupChain::Halted::SIGNATURE_HASH,
        ]
    }

    /// Decodes a log; an error names what does not fit.
    pub fn decode(log: &alloy::primitives::Log) -> Result<Self, String> {
        let reason = |error: alloy::sol_types::Error| error.to_string();
        let topic = log.topics().first().copied().unwrap_or_default();
        Ok(match topic {
            RollupChain::QueueEntry::SIGNATURE_HASH => {
                let event = RollupChain::QueueEntry::decode_log(log).map_err(reason)?;
                Self::Queued {
                    index: event.index,
                    words: event.words,
                    hash: event.queueHash,
                }
            }
            RollupChain::BatchCommitted::SIGNATURE_HASH => {
                let event = RollupChain::BatchCommitted::decode_log(log).map_err(reason)?;
                Self::Committed {
                    number: event.number,
                    hash: event.batchHash,
                    versioned_hash: event.versionedHash,
                }
            }
            RollupChain::BatchProved::SIGNATURE_HASH => {
                let event = RollupChain::BatchProved::decode_log(log).map_err(reason)?;
                Self::Proved {
                    number: event.number,
                }
            }
            RollupChain::BatchExecuted::SIGNATURE_HASH => {
                let event = RollupChain::BatchExecuted::decode_log(log).map_err(reason)?;
                Self::Executed {
                    number: event.number,
                    new_root: event.newRoot,
                    message_root: event.messageRoot,
                    queue_end: event.queueEnd,
                }
            }
            RollupChain::BatchesReverted::SIGNATURE_HASH => {
                let event = RollupChain::BatchesReverted::decode_log(log).map_err(reason)?;
                Self::Reverted {
                    last_kept: event.lastKept,
                    last_reverted: event.lastReverted,
                }
            }
            RollupChain::Halted::SIGNATURE_HASH => {
                let event = RollupChain::Halted::decode_log(log).map_err(reason)?;
                Self::Halted {
                    oldest_entry: event.oldestEntry,
                }
            }
            other => return Err(format!("no event of the chain has the topic {other}")),
        })
    }
}
