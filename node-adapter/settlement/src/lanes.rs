//! Lanes between chains: what a batch moves through them, their hashes, the tails that a batch which
//! takes may need, and what the bridge announces of them. Pure, no I/O.
//!
//! PROTOCOL.md, "Lanes". Called by `calls` and `settle`, and by whoever follows lanes. The contracts
//! compute the same; `rollup_contracts`, a test of `carillon-node`, compares.

use alloy::primitives::{Address, B256, Log, U256, keccak256};
use alloy::sol_types::{SolEvent, SolValue};
use carillon_protocol::Header;
use carillon_runtime::groth16::eip2537;

use super::abi::ISharedBridge::LaneEntry;
use super::abi::{Gateway, SharedBridge};

/// The argument of `execute` for a batch, and what follows in a lane of which it does not take
/// everything.
pub use super::abi::RollupChain::{Crossings, Tail};

/// The bindings of each contract have a type of their own for it.
impl From<Tail> for SharedBridge::Tail {
    fn from(tail: Tail) -> Self {
        Self {
            from: tail.from,
            to: tail.to,
            count: tail.count,
            time: tail.time,
            laneHash: tail.laneHash,
            entries: tail.entries,
        }
    }
}

impl From<Tail> for Gateway::Tail {
    fn from(tail: Tail) -> Self {
        Self {
            from: tail.from,
            to: tail.to,
            count: tail.count,
            time: tail.time,
            laneHash: tail.laneHash,
            entries: tail.entries,
        }
    }
}

/// The words of the sends, takes and returns of a batch, in order.
pub fn crossing_words(header: &Header) -> Vec<U256> {
    let records = header.records.iter();
    let records = records.filter(|record| record.kind.is_between_chains());
    records
        .flat_map(|record| record.to_words())
        .map(|word| U256::from_be_bytes(eip2537::scalar(&word)))
        .collect()
}

/// What the chain keeps of them: the hash of the words; zero without any.
pub fn crossings_hash(words: &[U256]) -> B256 {
    if words.is_empty() {
        return B256::ZERO;
    }
    let bytes: Vec<u8> = words.iter().flat_map(U256::to_be_bytes::<32>).collect();
    keccak256(bytes)
}

/// The hash of an entry.
pub fn entry_hash(entry: &LaneEntry) -> B256 {
    keccak256(entry.abi_encode())
}

/// A lane, or how far it is taken: the entries that were counted, and the hash over them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Fold {
    /// How many.
    pub count: u64,
    /// Zero for none.
    pub hash: B256,
}

impl Fold {
    /// Goes on by one entry.
    pub fn push(&mut self, entry: &LaneEntry) {
        self.hash = keccak256((self.hash, entry_hash(entry)).abi_encode());
        self.count += 1;
    }

    /// What L1 keeps of a lane that had this state after sends which a block of this time executed.
    pub fn checkpoint(&self, time: u64) -> B256 {
        keccak256((self.hash, U256::from(self.count), U256::from(time)).abi_encode())
    }

    /// The tail for who has taken this much: what follows, up to a checkpoint of the lane between the
    /// chains `(from, to)`, which a block of this time wrote.
    pub fn tail(&self, (from, to): (u64, u64), time: u64, following: &[LaneEntry]) -> Tail {
        let mut end = *self;
        following.iter().for_each(|entry| end.push(entry));
        Tail {
            from,
            to,
            count: end.count,
            time,
            laneHash: end.hash,
            entries: following.iter().map(entry_hash).collect(),
        }
    }
}

/// What the bridge announced of a lane. The fields are those of the Solidity events.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LaneEvent {
    /// A send went into a lane.
    Sent {
        /// The chain that sent.
        from: u64,
        /// The chain that it is for.
        to: u64,
        /// Which entry of the lane it is, from 0.
        index: u64,
        /// What stands in the lane.
        entry: LaneEntry,
        /// The batch that sent.
        batch: u64,
    },
    /// A send could not go, and is an import for its sender.
    Returned {
        /// The chain that sent.
        from: u64,
        /// The chain that it was for.
        to: u64,
        /// The batch that sent.
        batch: u64,
        /// Why.
        reason: ReturnReason,
        /// Whose it is.
        sender: Address,
        /// Units of its token.
        amount: U256,
    },
    /// An entry was not taken and went back.
    Bounced {
        /// The chain that sent.
        from: u64,
        /// The chain that did not take it.
        to: u64,
        /// Which entry of the lane it was.
        index: u64,
        /// The token; zero for ETH.
        token: Address,
        /// Units of it.
        amount: U256,
        /// Whose it is.
        sender: Address,
        /// Whether it is an import; otherwise he collects it from the bridge. An amount of 0 is neither.
        home: bool,
    },
}

/// Why a send came back at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReturnReason {
    /// No chain has the id.
    NoChain,
    /// The lane is not open on both sides.
    LaneClosed,
    /// The chain is halted, or does not answer.
    Halted,
    /// The token has no slot there.
    NotListed,
    /// The chain would hold more than a cell can.
    NoRoom,
    /// The chain's account tree is full.
    AccountsFull,
    /// It is a leg of a flow, and flows are not served.
    Flow,
    /// The recipient is the bridge, which can sign nothing.
    ToBridge,
    /// No chain could take it: it has no recipient, no sender, or a memo of more than 248 bits.
    Malformed,
}

impl ReturnReason {
    /// Every reason, in the order of their codes, which begin with 1.
    pub const ALL: [Self; 9] = [
        Self::NoChain,
        Self::LaneClosed,
        Self::Halted,
        Self::NotListed,
        Self::NoRoom,
        Self::AccountsFull,
        Self::Flow,
        Self::ToBridge,
        Self::Malformed,
    ];

    /// The reason of a code; none for one that is not known.
    pub fn of(code: u8) -> Option<Self> {
        let index = usize::from(code).checked_sub(1)?;
        Self::ALL.get(index).copied()
    }
}

impl LaneEvent {
    /// The chain that it is, or was, for.
    pub fn to(&self) -> u64 {
        match self {
            Self::Sent { to, .. } | Self::Returned { to, .. } | Self::Bounced { to, .. } => *to,
        }
    }

    /// Topics of what tells a chain of its arrivals.
    pub fn arriving() -> Vec<B256> {
        vec![
            SharedBridge::Sent::SIGNATURE_HASH,
            SharedBridge::Bounced::SIGNATURE_HASH,
        ]
    }

    /// Decodes a log of the bridge; `None` for its other events.
    ///
    /// # Errors
    /// What is wrong with the log.
    pub fn decode(log: &Log) -> Result<Option<Self>, String> {
        let reason = |error: alloy::sol_types::Error| error.to_string();
        let topic = log.topics().first().copied().unwrap_or_default();
        Ok(Some(match topic {
            SharedBridge::Sent::SIGNATURE_HASH => {
                let event = SharedBridge::Sent::decode_log(log).map_err(reason)?.data;
                Self::Sent {
                    from: event.from,
                    to: event.to,
                    index: event.index,
                    entry: LaneEntry {
                        token: event.token,
                        amount: event.amount,
                        sender: event.sender,
                        recipient: event.recipient,
                        memo: event.memo,
                    },
                    batch: event.batch,
                }
            }
            SharedBridge::SendReturned::SIGNATURE_HASH => {
                let event = SharedBridge::SendReturned::decode_log(log).map_err(reason)?;
                let unknown = || format!("no send comes back for reason {}", event.reason);
                Self::Returned {
                    from: event.from,
                    to: event.to,
                    batch: event.batch,
                    reason: ReturnReason::of(event.reason).ok_or_else(unknown)?,
                    sender: event.sender,
                    amount: event.amount,
                }
            }
            SharedBridge::Bounced::SIGNATURE_HASH => {
                let event = SharedBridge::Bounced::decode_log(log).map_err(reason)?.data;
                Self::Bounced {
                    from: event.from,
                    to: event.to,
                    index: event.index,
                    token: event.token,
                    amount: event.amount,
                    sender: event.sender,
                    home: event.home,
                }
            }
            _ => return Ok(None),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn returned(reason: u8) -> Log {
        let event = SharedBridge::SendReturned {
            from: 1,
            to: 2,
            batch: 3,
            reason,
            sender: Address::repeat_byte(4),
            amount: U256::from(5),
        };
        Log {
            address: Address::ZERO,
            data: event.encode_log_data(),
        }
    }

    #[test]
    fn reasons_are_known_or_an_error() {
        for (code, expected) in (1..).zip(ReturnReason::ALL) {
            let event = LaneEvent::decode(&returned(code)).unwrap().unwrap();
            assert!(matches!(event, LaneEvent::Returned { reason, .. } if reason == expected));
        }
        for code in [0, 10, 255] {
            let error = LaneEvent::decode(&returned(code)).unwrap_err();
            assert!(error.contains(&code.to_string()), "{error}");
        }
    }

    #[test]
    fn other_events_are_none_and_cut_ones_errors() {
        let set = SharedBridge::LaneSet {
            chainId: 1,
            other: 2,
            open: true,
        };
        let other = Log {
            address: Address::ZERO,
            data: set.encode_log_data(),
        };
        assert_eq!(LaneEvent::decode(&other), Ok(None));
        let whole = returned(1);
        let mut cut = whole.clone();
        cut.data = alloy::primitives::LogData::new_unchecked(
            whole.topics().to_vec(),
            whole.data.data.slice(..40),
        );
        assert!(LaneEvent::decode(&cut).is_err());
        let bare = Log::new_unchecked(Address::ZERO, vec![], Default::default());
        assert_eq!(LaneEvent::decode(&bare), Ok(None));
    }

    #[test]
    fn a_tail_leads_from_what_is_taken_to_the_lane() {
        let entry = |amount| LaneEntry {
            token: Address::ZERO,
            amount: U256::from(amount),
            sender: Address::repeat_byte(1),
            recipient: Address::repeat_byte(2),
            memo: U256::from(3),
        };
        let (mut taken, mut sent) = (Fold::default(), Fold::default());
        taken.push(&entry(1));
        (1..4).for_each(|amount| sent.push(&entry(amount)));
        let tail = taken.tail((77, 78), 100, &[entry(2), entry(3)]);
        assert_eq!((tail.count, tail.laneHash), (3, sent.hash));
        assert_eq!(tail.entries, [entry_hash(&entry(2)), entry_hash(&entry(3))]);
        assert_ne!(sent.checkpoint(100), sent.checkpoint(101));
    }
}
