//! Harness for block tests of the gateware: drives one Verilated block from Rust and compares it with
//! blst. It holds no tests itself; they stand in `tests/`, one file a block.
//!
//! - [`Dut`]: a block under test, its ports reached by name.
//! - [`pipeline`]: feeds a free-running pipeline, one operation a cycle, and records when each result
//!   appears.
//! - [`unit`](mod@unit): runs commands on an execution unit, with an [`axi_memory`] as its card memory (its read side is
//!   `read_lanes`, its write side `axi_write`).
//! - [`msm`]: MSMs on `msm_engine`, operands from [`workload`], digits counted by [`recode`], costs compared by
//!   [`rates`] and [`cost`].
//! - [`mutants`]: gateware with a fault in it, which the tests have to notice.
//! - [`axi_lite`]: a master for a register port.
//! - [`queue_host`]: the host and the units around the queue engine.
//! - [`field`], [`point`], [`scalars`]: golden values from blst, and conversions to port and memory images.
//!
//! All of it needs the feature `rtl`, which Verilates the blocks listed in `build.rs`; without it this
//! crate is empty, so that the workspace builds where Verilator is missing.
#![cfg(feature = "rtl")]
#![allow(
    clippy::panic,
    reason = "a test harness reports a failed test by panicking"
)]

mod axi;
pub mod axi_lite;
pub mod axi_memory;
mod axi_write;
mod bits;
pub mod cost;
pub mod curve;
mod dut;
pub mod field;
pub mod msm;
pub mod mutants;
pub mod pipeline;
pub mod point;
pub mod queue_host;
pub mod rates;
mod read_lanes;
pub mod recode;
pub mod scalars;
pub mod twist;
pub mod unit;
pub mod workload;

pub use bits::{concat, extract};
pub use dut::{Dut, Port, View};
