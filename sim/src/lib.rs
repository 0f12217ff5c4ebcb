//! `carillon-sim`: simulated Carillon cards behind the driver's `Transport`.

pub mod faults;
pub mod memory;
pub mod model;
#[cfg(feature = "rtl")]
pub mod rtl;
pub mod vectors;
