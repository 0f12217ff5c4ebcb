//! Harness for block tests of the gateware: drives one Verilated block from Rust and compares it with
//! blst. It holds no tests itself; they stand in `tests/`, one file a block.
//!
//! - [`Dut`]: a block under test, its ports reached by name.
//! - [`pipeline`]: feeds a free-running pipeline, one operation a cycle, and records when each result
//!   appears.
//! - [`field`], [`point`]: golden values from blst, and conversions to port images.
//!
//! All of it needs the feature `rtl`, which Verilates the blocks listed in `build.rs`; without it this
//! crate is empty, so that the workspace builds where Verilator is missing.
#![cfg(feature = "rtl")]
#![allow(
    clippy::panic,
    reason = "a test harness reports a failed test by panicking"
)]

mod bits;
mod dut;
pub mod field;
pub mod pipeline;
pub mod point;

pub use bits::{concat, extract};
pub use dut::{Dut, View};
