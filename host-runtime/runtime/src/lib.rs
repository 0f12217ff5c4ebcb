//! Carillon's host runtime: Groth16 proving over interchangeable engines.
//!
//! An [`Engine`] computes multi-scalar multiplications, number-theoretic transforms and
//! quotients on the CPU ([`cpu::CpuEngine`]) or on a Carillon card ([`card::CardEngine`], over
//! `carillon-driver`; on PCIe, or simulated by `carillon-sim`). [`groth16`] builds
//! keys, proves and verifies on top of it, and [`keys`] keeps proving keys in files that are
//! read as they are, not parsed. All engines give identical bytes for identical input.
//!
//! With the feature `sim` it opens simulated cards and cards behind a vfio-user socket, and records
//! what passes between driver and card (`trace`). Without it a program that embeds the prover gets
//! neither simulators nor a command line.
//!
//! May use `carillon-driver` and, with that feature, `carillon-sim`. Called by `carillon-cli`,
//! `carillon-operator`, the crates of `node-adapter`, and whoever embeds the prover.
//! `unsafe` is confined to [`image`] (memory images of field elements and points).

pub mod card;
pub mod cpu;
pub mod engine;
pub mod files;
pub mod groth16;
pub mod image;
pub mod keys;
pub mod memory;
pub mod progress;
mod secret;
pub mod stats;
#[cfg(feature = "sim")]
pub mod trace;

pub use engine::{Engine, EngineError, EngineKind};
pub use progress::{ProgressEvent, ProgressSink};
pub use stats::{CardStats, CommandCycles, JobStats, Overlap, RowStats};
