//! What operators need: cards of this machine, binding them, finding faults, events, validation.
//!
//! The library behind `carillon list`, `examine`, `validate`, `reset`, `bind`, `unbind`, `doctor`
//! and `events`; the commands only parse and print. Reads `/sys`, `/proc` and `/dev/vfio` through
//! [`Host`], whose roots can be other folders, so that everything is tested on made-up machines.
//!
//! | module | idea |
//! |---|---|
//! | `host` | the three trees |
//! | `inventory` | which cards there are, and in which state |
//! | `reach` | a card that was let go a moment ago |
//! | `identity` | what a card's registers say of it, also those of an unknown gateware |
//! | `binding` | handing a card to processes and back: a plan first, then its writes |
//! | [`doctor`] | facts of the machine, and findings from them, each with what fixes it |
//! | [`events`] | what happens to cards: kernel messages, and differences of two looks |
//! | [`validate`] | checks of a card against the CPU, in four levels |

mod binding;
pub mod doctor;
mod error;
pub mod events;
mod host;
mod identity;
mod inventory;
mod reach;
pub mod validate;

pub use binding::{Applied, Plan, Step, apply, plan_bind, plan_unbind};
pub use error::OperateError;
pub use host::Host;
pub use identity::{Identity, QueueState, Verdict};
pub use inventory::{CardState, Found, choose};
pub use reach::reach;
