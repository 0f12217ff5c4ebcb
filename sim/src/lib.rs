//! `carillon-sim`: simulated Carillon cards behind the driver's `Transport`.

pub mod memory;
