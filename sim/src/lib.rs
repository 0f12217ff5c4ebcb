//! `carillon-sim`: simulated Carillon cards behind the driver's `Transport`.

pub mod memory;
#[cfg(feature = "rtl")]
pub mod rtl;
