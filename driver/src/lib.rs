//! `carillon-driver`: the card contract in Rust and the driver that speaks it.
//!
//! The layer between the gateware (`hdl/`, which defines the contract) and
//! everything that uses a card. It uses no other crate of this workspace. It
//! reaches a card only through [`transport::Transport`].
//!
//! Modules use those that stand before them here, in their own row or above:
//!
//! | layer | modules |
//! |---|---|
//! | contract, pure | [`registers`] (generated), [`command`], [`status`], [`completion`], [`identity`], [`windows`] |
//! | logic, pure | [`ring`], [`granules`], `ranges`, [`ledger`], [`deadline`], [`announced`] |
//! | what a card is reached by | [`memory`], [`claim`], [`transport`] |
//! | Linux | [`pci`]: addresses, sysfs, device files; [`vfio`]: the transport of a real card |
//! | host memory | `handoff`, [`dma`], `audit` |
//! | a card's parts | [`error`], [`bar`], [`region`], `quarantine` |
//! | its queues | `request`, [`ticket`], `link`, `queue_pair` |
//! | the card | `shared`, `control`, `wipe`, `recovery`, `worker`, [`io`], [`card`] |
//!
//! `DESIGN.md` beside this crate explains rings and ownership.

#[cfg(target_endian = "big")]
compile_error!("the card's structures are little-endian, and are used as they lie in memory");

pub mod announced;
mod audit;
pub mod bar;
pub mod card;
pub mod claim;
pub mod command;
pub mod completion;
mod control;
pub mod deadline;
pub mod dma;
pub mod error;
pub mod granules;
mod handoff;
pub mod identity;
pub mod io;
pub mod ledger;
mod link;
pub mod memory;
pub mod pci;
mod quarantine;
mod queue_pair;
mod ranges;
mod recovery;
pub mod region;
pub mod registers;
mod request;
pub mod ring;
mod shared;
pub mod status;
pub mod ticket;
pub mod transport;
pub mod vfio;
pub mod windows;
mod wipe;
mod worker;

pub use audit::Audit;
pub use card::{Card, CardConfig, CardInfo};
pub use dma::{HostBuf, MemoryUse};
pub use error::{CardError, JobError, RecoveryAction};
pub use io::{Chain, IoQueue, Msm, Ntt, Product, Quotient};
pub use ledger::Owner;
pub use region::CardRegion;
pub use request::ResetLevel;
pub use shared::{DriverCounters, Health};
pub use ticket::{Finished, Ticket};
