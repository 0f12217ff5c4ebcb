//! What a trace consists of: one [`Record`] for everything that passed between
//! driver and card, with the time. Pure data: `format.rs` puts it into
//! files, `observer.rs` makes it, `history.rs` and `replay.rs` use it.

use std::time::Duration;

use carillon_driver::transport::Direction;
use serde::{Deserialize, Serialize};

/// A record and when it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Nanoseconds since the card was opened.
    pub nanos: u64,
    /// What happened.
    pub record: Record,
}

impl Entry {
    /// Time since the card was opened.
    #[must_use]
    pub fn time(&self) -> Duration {
        Duration::from_nanos(self.nanos)
    }
}

/// Something that happened between driver and card. New kinds are added at the
/// end only; anything else is a new `FORMAT_VERSION` (`format.rs`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// Always the first: which card, and what recorded it.
    Start {
        /// The transport's description.
        transport: String,
        /// Version of this crate.
        version: String,
        /// Identity of the register map of the recording program.
        rdl_hash: u64,
        /// Wall-clock time, milliseconds since 1970.
        unix_millis: u64,
    },
    /// Older records that a bounded recording has thrown away; before the oldest
    /// that is left.
    Dropped {
        /// How many.
        records: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// A register was read.
    Read {
        /// Byte offset in BAR0.
        offset: u32,
        /// What it read.
        value: u32,
    },
    /// A register is written. What the card reads because of a doorbell stands
    /// before it.
    Write {
        /// Byte offset in BAR0.
        offset: u32,
        /// The value.
        value: u32,
    },
    /// Memory was mapped for the card.
    Map {
        /// Address of its first byte for the card.
        iova: u64,
        /// Bytes.
        bytes: u64,
        /// What the card may do with it.
        rights: Rights,
    },
    /// Memory was to be mapped, and was not.
    MapFailed {
        /// Bytes.
        bytes: u64,
        /// What the card was to be allowed.
        rights: Rights,
        /// Why not.
        error: String,
    },
    /// A mapping is ended.
    Unmap {
        /// Its address.
        iova: u64,
        /// Why it was not ended after all.
        error: Option<String>,
    },
    /// Host memory that the next command makes the card read.
    Memory {
        /// Address of the first byte for the card.
        iova: u64,
        /// The bytes.
        #[serde(with = "serde_bytes")]
        data: Vec<u8>,
    },
    /// Host memory that the next command names, but the card cannot reach.
    Unreachable {
        /// Address of the first byte for the card.
        iova: u64,
        /// Bytes that are missing.
        bytes: u64,
    },
    /// A command, as the doorbell found it in the ring.
    Command {
        /// Queue number.
        queue: u16,
        /// Index in the ring.
        slot: u16,
        /// The 64 bytes.
        words: [u64; 8],
    },
    /// A completion, when it was first seen in the ring.
    Completion {
        /// Queue number.
        queue: u16,
        /// Index in the ring.
        slot: u16,
        /// The 32 bytes.
        words: [u64; 4],
        /// CRC-32 of what a `READ` brought to host memory.
        data: Option<u32>,
    },
    /// An interrupt vector was raised since the last access.
    Interrupt {
        /// The vector.
        vector: u16,
        /// How often it was raised since the card was opened.
        count: u64,
    },
    /// Function-level reset by the driver, after its end.
    Reset {
        /// Why it failed.
        error: Option<String>,
    },
    /// Something that was not the driver's doing.
    Event(Event),
    /// Always the last of a complete recording.
    End,
}

/// What the card may do with mapped memory; [`Direction`] in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rights {
    /// Read.
    Read,
    /// Write.
    Write,
    /// Both.
    ReadWrite,
}

impl From<Direction> for Rights {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::ToDevice => Self::Read,
            Direction::FromDevice => Self::Write,
            Direction::Bidirectional => Self::ReadWrite,
        }
    }
}

impl From<Rights> for Direction {
    fn from(rights: Rights) -> Self {
        match rights {
            Rights::Read => Self::ToDevice,
            Rights::Write => Self::FromDevice,
            Rights::ReadWrite => Self::Bidirectional,
        }
    }
}

/// What befell the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// It has left the bus.
    Removed,
    /// Somebody else reset it.
    Reset,
}
