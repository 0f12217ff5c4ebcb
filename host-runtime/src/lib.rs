//! Carillon's host runtime: Groth16 proving over interchangeable engines.
//!
//! An [`Engine`] computes multi-scalar multiplications, number-theoretic transforms and
//! quotients on the CPU ([`cpu::CpuEngine`]) or on a Carillon card ([`card::CardEngine`], over
//! `carillon-driver`; on PCIe, or simulated by `carillon-sim`). [`groth16`] builds
//! keys, proves and verifies on top of it, and [`keys`] keeps proving keys in files that are
//! read as they are, not parsed. All engines give identical bytes for identical input.
//!
//! [`operate`] is what operators need: which cards a machine has, what is wrong with it, and
//! whether a card computes rightly.
//!
//! This room may use `driver` and `sim`. `node-adapter` and the `carillon` binary call it.
//! `unsafe` is confined to [`image`] (memory images of field elements and points).

pub mod card;
pub mod cli;
pub mod cpu;
pub mod engine;
pub mod files;
pub mod groth16;
pub mod image;
pub mod keys;
pub mod memory;
pub mod operate;
pub mod progress;
mod secret;
pub mod stats;
pub mod trace;
pub mod workload;

pub use engine::{Engine, EngineError, EngineKind};
pub use progress::{ProgressEvent, ProgressSink};
pub use stats::{CardStats, CommandCycles, JobStats};
