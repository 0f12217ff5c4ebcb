//! Errors of engines: wrong inputs, missing engines, failures of the card.

use std::time::Duration;

use carillon_driver::vfio::VfioError;
use carillon_driver::{CardError, RecoveryAction};
#[cfg(feature = "sim")]
use carillon_sim::vfio_user::ClientError;
use thiserror::Error;

use super::address::CardAddress;
use crate::image::ImageError;
use crate::progress::Phase;

/// The names of engines, as errors and help list them.
pub const ENGINES: &str =
    "cpu, sim:rtl, sim:rtl-structural, sim:model, vfio-user:PATH or the PCI address of a card";

/// Why an engine could not be opened or refused or failed a job.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EngineError {
    /// No engine has this name.
    #[error("unknown engine `{given}`; use {ENGINES}")]
    Unknown {
        /// What was asked for.
        given: String,
    },
    /// The engine exists but is not part of this build.
    #[error(
        "engine {engine} is not part of this build; install Verilator with scripts/setup.sh and \
         build with `--features {feature}`, or use sim:model or cpu"
    )]
    NotBuilt {
        /// The engine's name.
        engine: String,
        /// The Cargo feature that adds it.
        feature: &'static str,
    },
    /// A size of DMA memory that cannot be.
    #[error("`{given}` is no size of DMA memory: give it in MiB, from 1 to 1048576")]
    DmaMemory {
        /// What was given.
        given: String,
    },
    /// The engine computes without a card, but a card was asked for.
    #[error("engine {engine} has no card; use a sim: engine or the address of a card")]
    NotACard {
        /// The engine's name.
        engine: String,
    },
    /// The simulated card could not be started.
    #[error("engine {engine}: {reason}")]
    Simulation {
        /// The engine's name.
        engine: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The card on PCIe cannot be had.
    #[error(transparent)]
    Vfio {
        /// What the driver reports.
        source: Box<VfioError>,
    },
    /// The card behind a vfio-user socket cannot be had.
    #[cfg(feature = "sim")]
    #[error(transparent)]
    VfioUser {
        /// What the client reports.
        source: Box<ClientError>,
    },
    /// The card has failed, and cannot be opened again yet.
    #[error("engine {engine} is out of service: {reason}; it is opened again in {retry:.1?}")]
    Down {
        /// The engine's name.
        engine: String,
        /// Why it went, or why it does not come back.
        reason: String,
        /// When the next attempt is due.
        retry: Duration,
    },
    /// The card or its driver failed.
    #[error("{operation} on {engine}{}: {source}", at(*step))]
    Card {
        /// The engine's name.
        engine: String,
        /// The operation.
        operation: &'static str,
        /// The step of the job whose command failed, where it has several. What comes after it was not
        /// computed.
        step: Option<Phase>,
        /// What the driver reports.
        source: Box<CardError>,
    },
    /// The card answered with something that cannot be a result.
    #[error(
        "{operation} on {engine}: the card returned an impossible result ({reason}); take the card out of service and check it with `carillon bench`"
    )]
    Implausible {
        /// The engine's name.
        engine: String,
        /// The operation.
        operation: &'static str,
        /// What was wrong.
        reason: String,
    },
    /// Two inputs that belong together differ in length.
    #[error(
        "{operation}: {left_name} has {left} elements but {right_name} has {right}; pass equal lengths"
    )]
    LengthMismatch {
        /// The operation refused.
        operation: &'static str,
        /// First input.
        left_name: &'static str,
        /// Its length.
        left: usize,
        /// Second input.
        right_name: &'static str,
        /// Its length.
        right: usize,
    },
    /// An input has no elements.
    #[error("{operation}: the input is empty; pass at least one element")]
    Empty {
        /// The operation refused.
        operation: &'static str,
    },
    /// The length of a transform is not a power of two.
    #[error("ntt: length {length} is not a power of two; pad the polynomial with zeros")]
    NotPowerOfTwo {
        /// Length given.
        length: usize,
    },
    /// A transform larger than the engine supports.
    #[error("ntt: 2^{log2} elements exceed what {engine} supports (2^{max}); use another engine")]
    TransformTooLarge {
        /// The engine's name.
        engine: String,
        /// Size asked for.
        log2: u32,
        /// Largest size.
        max: u32,
    },
    /// Window bits outside the engine's range.
    #[error(
        "msm: {bits} window bits are outside what {engine} supports (1 to {max}); leave the choice to the engine"
    )]
    WindowBits {
        /// The engine's name.
        engine: String,
        /// Bits asked for.
        bits: u8,
        /// Largest window.
        max: u8,
    },
    /// The job does not fit into card memory.
    #[error(
        "{operation}: needs {needed} bytes of card memory but only {available} of {total} are \
         free; use a smaller job, unload keys, or use the cpu engine"
    )]
    CardMemory {
        /// The operation refused.
        operation: &'static str,
        /// Bytes needed at once.
        needed: u64,
        /// Bytes free.
        available: u64,
        /// Bytes of card memory in all.
        total: u64,
    },
    /// An input element that is not what it claims to be.
    #[error("{operation}: {source}")]
    Input {
        /// The operation refused.
        operation: &'static str,
        /// Which element, and what is wrong with it.
        source: ImageError,
    },
    /// The key and the assignment are of different circuits.
    #[error(
        "groth16: the {what} has {found} elements but the key expects {expected}; use the key of this circuit"
    )]
    KeyMismatch {
        /// Which part differs.
        what: &'static str,
        /// Elements found.
        found: usize,
        /// Elements expected.
        expected: usize,
    },
    /// The witness violates a constraint of the circuit, which was found when its row was computed. `groth16` knows its name.
    #[error(
        "groth16: the witness does not satisfy constraint {index}; the statement is false or the witness is wrong"
    )]
    Unsatisfied {
        /// The first violated constraint, in the order of synthesis.
        index: usize,
    },
    /// A helper thread of the runtime ended without a result.
    #[error("{operation}: a worker thread of the runtime stopped: {reason}; repeat the job")]
    Worker {
        /// The operation.
        operation: &'static str,
        /// Why it stopped.
        reason: String,
    },
    /// The card was to be recorded, and cannot be.
    #[error("cannot record to {}: {reason}", path.display())]
    Trace {
        /// The file.
        path: std::path::PathBuf,
        /// Why, and what to do.
        reason: String,
    },
}

/// The step, as the message has it.
fn at(step: Option<Phase>) -> String {
    step.map_or_else(String::new, |step| format!(", at {}", step.name()))
}

impl EngineError {
    /// Whether the card must be opened again before it takes another job.
    pub fn needs_reopening(&self) -> bool {
        match self {
            EngineError::Card { source, .. } => source.recovery_action() == RecoveryAction::Reopen,
            _ => false,
        }
    }

    /// [`EngineError::NotBuilt`] with the feature that adds the engine.
    pub(crate) fn not_built(card: &CardAddress) -> Self {
        let feature = match card {
            CardAddress::SimRtlStructural => "rtl-structural",
            CardAddress::SimRtl => "rtl",
            _ => "sim",
        };
        Self::NotBuilt {
            engine: card.to_string(),
            feature,
        }
    }
}
