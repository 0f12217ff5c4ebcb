//! `carillon-sim`: simulated Carillon cards behind the driver's `Transport`.
//!
//! The layer between the driver, which it implements the transport of, and the
//! runtime, which opens its cards. It may use the driver and the gateware's
//! sources (`hdl/`), nothing above.
//!
//! | module | what |
//! |---|---|
//! | [`model`] | the functional card: the contract in Rust, computing with blst, without time |
//! | `rtl` | the Verilated card: the gateware, cycle by cycle (feature `rtl`) |
//! | [`card`] | what every simulated card can do: [`SimCard`](card::SimCard) |
//! | [`memory`] | host memory by I/O address, card memory; shared by both cards |
//! | [`faults`] | cards and a transport that misbehave on demand |
//! | [`split`], [`digits`] | how a card takes the scalars of an MSM apart |
//! | [`trace`] | recordings of what passes between driver and card, and their replay |
//! | [`vfio_user`] | a card in another process: server and client over a Unix socket |

pub mod card;
pub mod digits;
pub mod faults;
pub mod memory;
pub mod model;
#[cfg(feature = "rtl")]
pub mod rtl;
pub mod split;
pub mod trace;
pub mod vfio_user;
