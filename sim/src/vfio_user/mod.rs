//! Simulated cards in another process: vfio-user over a Unix socket.
//!
//! [`Server`] serves any simulated card, to a [`ClientCard`] or to QEMU, which
//! shows it to a virtual machine as a PCI device (`scripts/vm`). Client and
//! server are written here on one codec; the crate `vfio_user` was tried and
//! left: its client waits for ever when an access is refused, and takes a
//! refused mapping or reset for done.
//!
//! ```text
//!  driver -> ClientCard --\                      /-- Session -> ModelCard or RtlCard
//!                          Unix socket: wire, socket -> Server
//!  driver -> VfioCard -> Linux -> QEMU ---------/     config_space, vectors, side_channel
//! ```

mod client;
pub mod config_space;
mod connection;
mod server;
mod session;
pub mod side_channel;
mod socket;
mod vectors;
pub mod wire;

pub use client::ClientCard;
pub use connection::ClientError;
pub use server::{ServeError, Server};
