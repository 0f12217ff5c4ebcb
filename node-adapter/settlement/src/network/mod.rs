//! Every chain of a hub, the lanes between them, and what their governor has to do.
//!
//! | file | what it is | I/O |
//! |---|---|---|
//! | `register` | the chains by the hub's events, and what their contracts say | network |
//! | `lanes` | each lane: sides, counts, what is on its way | network |
//! | `bounce` | which entries of a lane can go back now | none |
//! | `govern` | calls for a governor: a key, or a timelock | network |
//!
//! Called by `carillon-node chain`. Reads contracts as of the newest block, and events from a block on.

mod bounce;
mod govern;
mod lanes;
mod register;

pub use bounce::{BOUNCE_AFTER, Bounce, NoBounce, plan_bounce};
pub use govern::{Call, Governor, Proposal, ProposalState};
pub use lanes::{LaneOnL1, OnItsWay};
pub use register::{ChainFacts, Network, Registered, TokenHeld};
