//! `carillon-driver`: the card contract in Rust and the driver that speaks it.
//!
//! The room between the gateware (`hdl/`, which defines the contract) and
//! everything that uses a card. It may use no other room. It reaches a card
//! only through [`transport::Transport`].

pub mod memory;
pub mod registers;
pub mod transport;
