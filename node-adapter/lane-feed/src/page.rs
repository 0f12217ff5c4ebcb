//! A page of a feed: the entries of a lane from a place on, and the head that covers them.
//!
//! Bounded: whatever is longer is refused before it is kept. Pure.

use alloy::primitives::{Address, U256};
use carillon_protocol::json;
use carillon_settlement::abi::ISharedBridge::LaneEntry;
use serde::{Deserialize, Serialize};

use super::statement::{Head, Revocation};

/// Most entries of a page: those of the largest group that a node makes durable at once.
pub const MOST_ENTRIES: usize = 4096;
/// Most revocations of a page.
pub const MOST_REVOCATIONS: usize = 64;
/// Most bytes of a page.
pub const MOST_BYTES: usize = 4 << 20;

/// An entry of a lane in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryJson {
    /// The token; zero for ETH.
    pub token: Address,
    /// Units of it, a decimal string.
    #[serde(with = "json::decimal")]
    pub amount: u128,
    /// The owner of the account that it was sent from.
    pub sender: Address,
    /// The owner of the account that it is for.
    pub recipient: Address,
    /// 31 bytes.
    #[serde(with = "json::hex_array")]
    pub memo: [u8; 31],
}

impl EntryJson {
    /// The JSON of an entry; none for an amount or a memo that no lane holds.
    pub fn new(entry: &LaneEntry) -> Option<Self> {
        let memo = entry.memo.to_be_bytes::<32>();
        let (first, memo) = memo.split_first()?;
        if *first != 0 {
            return None;
        }
        Some(Self {
            token: entry.token,
            amount: entry.amount.try_into().ok()?,
            sender: entry.sender,
            recipient: entry.recipient,
            memo: memo.try_into().ok()?,
        })
    }

    /// The entry.
    pub fn entry(&self) -> LaneEntry {
        LaneEntry {
            token: self.token,
            amount: U256::from(self.amount),
            sender: self.sender,
            recipient: self.recipient,
            memo: U256::from_be_slice(&self.memo),
        }
    }
}

/// What a feed tells at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// The chain that sends.
    #[serde(with = "json::decimal")]
    pub from: u64,
    /// The chain that it is for.
    #[serde(with = "json::decimal")]
    pub to: u64,
    /// The place of the first entry. Those before it, if they were asked for, are on Ethereum.
    #[serde(with = "json::decimal")]
    pub start: u64,
    /// Ends of epochs, from that of the reader on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revocations: Vec<Revocation>,
    /// The entries, in order.
    pub entries: Vec<EntryJson>,
    /// The head behind the last one; none without entries.
    pub head: Option<Head>,
}

impl Page {
    /// A page that says nothing new.
    pub fn empty(from: u64, to: u64, start: u64) -> Self {
        Self {
            from,
            to,
            start,
            revocations: Vec::new(),
            entries: Vec::new(),
            head: None,
        }
    }

    /// Whether there is something in it.
    pub fn is_news(&self) -> bool {
        !self.revocations.is_empty() || !self.entries.is_empty()
    }

    /// Reads a page.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        if text.len() > MOST_BYTES {
            return Err(format!("a page has at most {MOST_BYTES} bytes"));
        }
        let page: Self = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        if page.entries.len() > MOST_ENTRIES || page.revocations.len() > MOST_REVOCATIONS {
            return Err(format!(
                "a page has at most {MOST_ENTRIES} entries and {MOST_REVOCATIONS} revocations"
            ));
        }
        Ok(page)
    }
}
