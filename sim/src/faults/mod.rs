//! Faults on demand: of the card, and of what lies between card and driver.
//!
//! ```text
//!   driver -> FaultyTransport -> bus -> simulated card -> DmaSpace
//!             transport.rs              card.rs, injector.rs
//! ```
//!
//! [`FaultyTransport`] wraps any [`Transport`](carillon_driver::transport::Transport)
//! and corrupts what passes through it: registers, doorbells, interrupts, mappings,
//! resets. A [`CardFault`] is what the *card* does wrong: plain data, so that it
//! can be sent to a card in another process; a `SimCard` takes them. The driver's
//! tests use both, and are the same on every transport.

mod card;
mod injector;
mod posted;
mod rings;
mod transport;

pub use card::{Bus, CardFault, CompletionFault, FOR_EVER, Hang, InterruptFault, MemoryFault};
pub(crate) use injector::{Injector, Outcome};
pub use posted::{PostedCounts, PostedWrites};
pub use transport::FaultyTransport;
