//! Errors of the driver, and what to do about each.
//!
//! [`JobError`] is how one submitted command failed, [`CardError`] how the card
//! as a whole did. `recovery_action` is advice that a program can follow; the
//! fault tests of the suite prove that following it restores service.

use std::time::Duration;

use crate::completion::Completion;
use crate::dma::DmaError;
use crate::memory::MemoryError;
use crate::ring::RingError;
use crate::status::StatusCode;
use crate::transport::TransportError;

/// What restores service after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecoveryAction {
    /// Nothing is wrong with the card: the request must be changed.
    FixRequest,
    /// Send the same request again; the driver has already repaired the queue.
    Retry,
    /// Card memory was lost in a reset: write the operands again, then retry.
    RewriteAndRetry,
    /// The card is out of service. If it still answers,
    /// [`Card::reset`](crate::Card::reset) to the depth of the function
    /// puts it back on the same handle; else close it and open it again.
    Reopen,
    /// Take the card out of service: the hardware or its gateware is defective
    /// or not the one expected.
    Replace,
}

/// Why a submitted command did not succeed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// The card refused or failed it.
    #[error("the card answered {} (detail {}): {}", completion.status.code.name(), completion.detail, advice(completion.status.code))]
    Status {
        /// The completion.
        completion: Box<Completion>,
    },
    /// The card did not run it: a command before it in its chain did not succeed.
    #[error(
        "not run: command {failed:#06x} of its chain, before it, did not succeed; see that command's error, and send the chain again"
    )]
    LinkBroken {
        /// Id of the command that failed ([`Ticket::command_id`](crate::Ticket::command_id)).
        failed: u16,
    },
    /// It did not end in time and was ended by the driver.
    #[error(
        "no completion after {waited:?} without progress; ended by {by}; send it again, and examine the card if it happens twice"
    )]
    TimedOut {
        /// How long the card was given.
        waited: Duration,
        /// The step that ended it.
        by: &'static str,
    },
    /// Its queue was stopped because of another command or a reset.
    #[error("the queue was restarted before this command ended ({why}); send it again")]
    Restarted {
        /// Why.
        why: String,
        /// Whether card memory was lost (function-level reset).
        memory_lost: bool,
    },
    /// The card broke the queue protocol; its queue was stopped.
    #[error(
        "the card broke the queue protocol: {cause}; the queue was restarted, send the command again, and replace the card if it happens twice"
    )]
    Protocol {
        /// What it did.
        cause: RingError,
    },
    /// The buffer is smaller than the region, or the other way round.
    #[error("{what} takes {needed} bytes, but {given} are given; allocate the larger size")]
    Size {
        /// Which operand.
        what: &'static str,
        /// Bytes needed.
        needed: u64,
        /// Bytes given.
        given: u64,
    },
    /// The buffer's direction does not fit the transfer.
    #[error("a buffer for {needed} is needed; allocate it with that direction")]
    Direction {
        /// Which direction.
        needed: &'static str,
    },
    /// A buffer that another card's pool gave out.
    #[error("the buffer is another card's: allocate it from the card it is sent to")]
    ForeignBuffer,
    /// A list of buffers that the card cannot take.
    #[error("a scatter/gather list needs at least one buffer")]
    EmptyList,
    /// A region allocated before the card lost its memory, or on another card.
    #[error(
        "the card memory region is not of this card's current epoch (a reset lost its content, or it is another card's): allocate and write it again"
    )]
    StaleRegion,
    /// No host memory for the command's own needs.
    #[error("no host memory for the command: {cause}")]
    HostMemory {
        /// The reason.
        cause: String,
    },
    /// The card is out of service.
    #[error("the card is out of service: {why}; reset its function or open it again")]
    Offline {
        /// Why.
        why: String,
        /// It does not answer: it has left the bus.
        gone: bool,
    },
    /// The card was closed, or the tokio runtime that served it has ended.
    #[error("the card was closed before the command ended; open it again on a running runtime")]
    Closed,
}

impl JobError {
    /// What restores service.
    pub fn recovery_action(&self) -> RecoveryAction {
        match self {
            Self::Status { completion } => match completion.status.code {
                StatusCode::Internal | StatusCode::Unknown { .. } => RecoveryAction::Replace,
                code if code.retryable() => RecoveryAction::Retry,
                _ => RecoveryAction::FixRequest,
            },
            Self::TimedOut { .. } | Self::Protocol { .. } | Self::LinkBroken { .. } => {
                RecoveryAction::Retry
            }
            Self::Restarted {
                memory_lost: true, ..
            }
            | Self::StaleRegion => RecoveryAction::RewriteAndRetry,
            Self::Restarted { .. } => RecoveryAction::Retry,
            Self::Size { .. }
            | Self::Direction { .. }
            | Self::ForeignBuffer
            | Self::EmptyList
            | Self::HostMemory { .. } => RecoveryAction::FixRequest,
            Self::Offline { .. } | Self::Closed => RecoveryAction::Reopen,
        }
    }

    /// The card's status, if it gave one.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Status { completion } => Some(completion.status.code),
            Self::LinkBroken { .. } => Some(StatusCode::LinkBroken),
            _ => None,
        }
    }
}

/// The next step for each status code.
fn advice(code: StatusCode) -> &'static str {
    match code {
        StatusCode::Success => "nothing to do",
        StatusCode::InvalidOpcode => {
            "this card or queue does not know the command; check the capabilities"
        }
        StatusCode::InvalidField => {
            "a flag, log2n or window size beyond the card's capability; see `CardInfo`"
        }
        StatusCode::InvalidLength => "give a length above zero that fits the command",
        StatusCode::Misaligned => "align every address to 64 bytes",
        StatusCode::OutOfRange => {
            "the operands reach beyond card memory; use smaller or other regions"
        }
        StatusCode::Overlap => "give the transform three regions that do not overlap",
        StatusCode::BadScalar => {
            "an element is not below the scalar field's modulus; detail is its index in an MSM"
        }
        StatusCode::BadPoint => {
            "a coordinate is not below the base field's modulus; detail is its index"
        }
        StatusCode::HostRead => {
            "the card could not read host memory; send it again, then check the mapping"
        }
        StatusCode::HostWrite => {
            "the card could not write host memory; send it again, then check the mapping"
        }
        StatusCode::CardRead => {
            "the card could not read its memory; send it again, then test the memory"
        }
        StatusCode::CardWrite => {
            "the card could not write its memory; send it again, then test the memory"
        }
        StatusCode::Aborted => "it was aborted; send it again if it is still wanted",
        StatusCode::LinkBroken => {
            "a command before it in its chain failed; send the chain again when that is mended"
        }
        StatusCode::Internal => "a defect of the card; take it out of service and report it",
        StatusCode::Unknown { .. } => {
            "a status this driver does not know; update the driver or the gateware"
        }
    }
}

/// Why a card cannot be opened or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CardError {
    /// All ones from the identity register.
    #[error(
        "the card at {transport} does not answer (all ones): check that it is plugged, powered and its memory space enabled"
    )]
    Gone {
        /// Where.
        transport: String,
    },
    /// Some other device.
    #[error(
        "no Carillon card at {transport}: the identity register reads {magic:#010x}; check the address"
    )]
    NotACard {
        /// Where.
        transport: String,
        /// What the register reads.
        magic: u32,
    },
    /// Another version of the contract or of the register map.
    #[error(
        "the card at {transport} has contract version {version} and register map {hash:#018x}, this driver knows version {expected_version} and map {expected_hash:#018x}; update the driver or the gateware"
    )]
    UnknownContract {
        /// Where.
        transport: String,
        /// Version it reports.
        version: u32,
        /// Register map hash it reports.
        hash: u64,
        /// Version of this driver.
        expected_version: u32,
        /// Register map hash of this driver.
        expected_hash: u64,
    },
    /// The identity page contradicts the registers.
    #[error(
        "the identity page disagrees with the registers ({what}): the card or its host bridge is defective"
    )]
    Identity {
        /// Which item.
        what: &'static str,
    },
    /// The card did not follow a control register in time.
    #[error("the card did not {what} within {limit:?}; reset it, and power-cycle it if that fails")]
    Unresponsive {
        /// What it was told to do.
        what: &'static str,
        /// How long it was given.
        limit: Duration,
    },
    /// A configuration that the card does not allow.
    #[error("the configuration does not fit the card: {what}")]
    Config {
        /// What does not fit.
        what: String,
    },
    /// Not enough free card memory.
    #[error(
        "card memory exhausted: {bytes} bytes asked for, {free} free, the largest hole has {largest}; drop regions or use a smaller job"
    )]
    CardMemory {
        /// Bytes asked for.
        bytes: u64,
        /// Bytes free.
        free: u64,
        /// Largest hole.
        largest: u64,
    },
    /// A range outside its region, or not aligned to 64 bytes.
    #[error("bytes {offset}..{} are not a 64-byte aligned part of a region of {len} bytes", offset.saturating_add(*bytes))]
    Slice {
        /// First byte.
        offset: u64,
        /// Bytes.
        bytes: u64,
        /// Size of the region.
        len: u64,
    },
    /// The card is out of service.
    #[error("the card is out of service: {why}; reset its function, open it again, or replace it")]
    Offline {
        /// Why.
        why: String,
        /// It does not answer: it has left the bus.
        gone: bool,
    },
    /// It was closed.
    #[error("the card was closed; open it again")]
    Closed,
    /// Host memory.
    #[error(transparent)]
    Dma(#[from] DmaError),
    /// A command that opening or closing the card needs failed.
    #[error("{0}")]
    Job(#[from] JobError),
    /// The transport.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

impl From<MemoryError> for CardError {
    fn from(e: MemoryError) -> Self {
        Self::Dma(e.into())
    }
}

impl CardError {
    /// What restores service.
    pub fn recovery_action(&self) -> RecoveryAction {
        match self {
            // Refused because the card has left the bus, not because of the request.
            Self::Dma(DmaError::Transport(TransportError::Gone { .. })) => RecoveryAction::Reopen,
            Self::Config { .. }
            | Self::CardMemory { .. }
            | Self::Slice { .. }
            | Self::Dma(_)
            | Self::Transport(TransportError::Busy { .. }) => RecoveryAction::FixRequest,
            Self::Gone { .. }
            | Self::Unresponsive { .. }
            | Self::Offline { .. }
            | Self::Closed
            | Self::Transport(_) => RecoveryAction::Reopen,
            Self::NotACard { .. } | Self::UnknownContract { .. } | Self::Identity { .. } => {
                RecoveryAction::Replace
            }
            Self::Job(job) => job.recovery_action(),
        }
    }
}
