//! How far the queue and the batches of a chain are, as its events tell it.
//!
//! Pure. Indices and numbers must follow each other, and the queue's hash is computed again: an event
//! that a node left out or made up is found here, not in a batch that L1 refuses later. Called by
//! `watcher`.

use alloy::primitives::{B256, U256, keccak256};
use alloy::sol_types::SolValue;
use serde::{Deserialize, Serialize};

use super::ChainEvent;
use crate::lanes::LaneEvent;

/// Counters of a chain after some block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Entries of the queue.
    pub queue_length: u64,
    /// The hash over them; zero for none.
    pub queue_hash: B256,
    /// The last committed batch.
    pub committed: u64,
    /// The last proved batch.
    pub proved: u64,
    /// The last executed batch.
    pub executed: u64,
    /// Whether the chain has ended.
    pub halted: bool,
    /// Entries that went into all lanes to the chain; 0 where lanes are not read.
    #[serde(default)]
    pub arrived: u64,
    /// Those of them that went back.
    #[serde(default)]
    pub went_back: u64,
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} committed, {} proved, {} executed, {} queued ({}), {} arrived, {} of them went back{}",
            self.committed,
            self.proved,
            self.executed,
            self.queue_length,
            self.queue_hash,
            self.arrived,
            self.went_back,
            if self.halted { ", halted" } else { "" }
        )
    }
}

/// An event that cannot follow the ones before it: the node left one out, or is not of this chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CursorError {
    /// Numbers do not follow each other.
    #[error(
        "{what} {found} was announced where {expected} comes next: the node left events out; ask another node"
    )]
    OutOfOrder {
        /// What is counted.
        what: &'static str,
        /// The number announced.
        found: u64,
        /// The number that comes next.
        expected: u64,
    },
    /// The queue's hash is not that of its entries.
    #[error(
        "the queue's hash after entry {index} is {found}, its entries give {expected}: the node made an entry up; ask \
         another node"
    )]
    QueueHash {
        /// The entry.
        index: u64,
        /// As announced.
        found: B256,
        /// As computed.
        expected: B256,
    },
}

/// `queueHash[i + 1] = keccak(abi.encode(queueHash[i], w0, w1, w2, w3, w4))`.
pub fn next_queue_hash(hash: B256, words: &[U256; 5]) -> B256 {
    let [w0, w1, w2, w3, w4] = *words;
    keccak256((hash, w0, w1, w2, w3, w4).abi_encode())
}

impl Cursor {
    /// Moves on by one event.
    pub fn advance(&mut self, event: &ChainEvent) -> Result<(), CursorError> {
        let follows = |what, found, expected| {
            if found == expected {
                return Ok(());
            }
            Err(CursorError::OutOfOrder {
                what,
                found,
                expected,
            })
        };
        match event {
            ChainEvent::Queued { index, words, hash } => {
                follows("queue entry", *index, self.queue_length)?;
                let expected = next_queue_hash(self.queue_hash, words);
                if *hash != expected {
                    return Err(CursorError::QueueHash {
                        index: *index,
                        found: *hash,
                        expected,
                    });
                }
                self.queue_length += 1;
                self.queue_hash = expected;
            }
            ChainEvent::Committed { number, .. } => {
                follows("committed batch", *number, self.committed + 1)?;
                self.committed += 1;
            }
            ChainEvent::Proved { number } => {
                follows("proved batch", *number, self.proved + 1)?;
                self.proved += 1;
            }
            ChainEvent::Executed { number, .. } => {
                follows("executed batch", *number, self.executed + 1)?;
                self.executed += 1;
            }
            ChainEvent::Reverted {
                last_kept,
                last_reverted,
            } => {
                follows("reverted batch", *last_reverted, self.committed)?;
                self.committed = *last_kept;
                self.proved = self.proved.min(*last_kept);
            }
            ChainEvent::Halted { .. } => self.halted = true,
            // Which entry of which lane it is, is for who keeps them.
            ChainEvent::Lane { event, .. } => match event {
                LaneEvent::Sent { .. } => self.arrived += 1,
                LaneEvent::Bounced { .. } => self.went_back += 1,
                LaneEvent::Returned { .. } => {}
            },
        }
        Ok(())
    }
}
