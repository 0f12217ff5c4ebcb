//! `carillon-sim`: simulated Carillon cards behind the driver's `Transport`.

pub mod memory;
pub mod model;
#[cfg(feature = "rtl")]
pub mod rtl;
