//! A lane between two chains as PROTOCOL.md says, in plain lists: what was sent, how much of it is
//! taken, and the state after each batch.

use alloy::primitives::{Address, B256, U256, keccak256};
use alloy::sol_types::SolValue;
use carillon_settlement::abi::ISharedBridge::LaneEntry;
use carillon_settlement::lanes::Tail;

use super::batch::{Record, address_word, w0};

/// The word of a party outside any flow.
pub fn party(owner: Address, chain: u64) -> U256 {
    address_word(owner) + (U256::from(chain) << 160)
}

/// The record of a send: from an account of its sender to a recipient on another chain.
pub fn send(account: u32, token: u8, amount: u128, to: u64, entry: &LaneEntry) -> Record {
    [
        w0(8, account, token),
        U256::from(amount),
        party(entry.recipient, to),
        address_word(entry.sender),
        entry.memo,
    ]
}

/// The record of a take.
pub fn take(account: u32, token: u8, from: u64, entry: &LaneEntry) -> Record {
    [
        w0(9, account, token),
        entry.amount,
        address_word(entry.recipient),
        party(entry.sender, from),
        entry.memo,
    ]
}

/// A checkpoint: what a batch left a lane at.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    pub time: u64,
    pub count: usize,
}

/// One lane.
#[derive(Clone, Debug)]
pub struct Lane {
    pub from: u64,
    pub to: u64,
    pub entries: Vec<LaneEntry>,
    pub taken: usize,
    pub marks: Vec<Mark>,
}

impl Lane {
    pub fn new(from: u64, to: u64) -> Self {
        Self {
            from,
            to,
            entries: Vec::new(),
            taken: 0,
            marks: Vec::new(),
        }
    }

    pub fn entry_hash(entry: &LaneEntry) -> B256 {
        let owners = (entry.sender, entry.recipient);
        keccak256((entry.token, entry.amount, owners.0, owners.1, entry.memo).abi_encode())
    }

    /// The hash over the first `count` entries.
    pub fn hash(&self, count: usize) -> B256 {
        self.entries[..count]
            .iter()
            .fold(B256::ZERO, |hash, entry| {
                keccak256([hash.0, Self::entry_hash(entry).0].concat())
            })
    }

    /// A batch of the sending chain was executed, and its sends are in `entries`.
    pub fn mark(&mut self, time: u64) {
        let count = self.entries.len();
        self.marks.push(Mark { time, count });
    }

    /// The tail from `taken` to the first mark that is not before it.
    pub fn tail_from(&self, taken: usize) -> Tail {
        let mark = self.marks.iter().find(|mark| mark.count >= taken);
        self.tail(taken, mark.expect("the lane has a mark"))
    }

    /// The tail from `taken` to a mark.
    pub fn tail(&self, taken: usize, mark: &Mark) -> Tail {
        Tail {
            from: self.from,
            to: self.to,
            count: mark.count as u64,
            time: mark.time,
            laneHash: self.hash(mark.count),
            entries: self.entries[taken..mark.count]
                .iter()
                .map(Self::entry_hash)
                .collect(),
        }
    }
}
