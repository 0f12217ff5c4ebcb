//! The watcher: reads what a chain's contract announced on L1, and keeps up with reorganisations.
//!
//! | file | what it is | I/O |
//! |---|---|---|
//! | `event` | the events of `RollupChain` and of its lanes that the node needs, decoded | none |
//! | `cursor` | how far queue and batches are; finds missed and forged events | none |
//! | `source` | an L1 node as a trait, and over JSON-RPC | network |
//! | `watcher` | [`Watcher`]: common ancestor, ranges, checkpoints | disk, network |
//! | `queue` | [`Queue`]: the L1 queue on disk, for the node | disk |
//! | `arrivals` | [`Arrivals`]: what other chains sent, on disk, for the node | disk |
//!
//! The watcher keeps (number, hash) of blocks it has read. When one of them has left the chain, its
//! [`Sink`] is rolled back to the newest one that has not, and reads on from there. Position and sink
//! are written in one transaction of one database: each event is applied once, and each rollback
//! happens once, also over a crash.
//!
//! Called by the node's service and by `resync`. May use the crate's client.

mod arrivals;
mod cursor;
mod event;
mod queue;
mod source;
mod watcher;

pub use arrivals::{Arrival, Arrivals, ArrivalsError, Waiting};
pub use cursor::{Cursor, CursorError, next_queue_hash};
pub use event::{ChainEvent, Located};
pub use queue::{Entry, Queue, QueueError};
pub(crate) use source::Place;
pub use source::{NodeSource, Source};
pub use watcher::{Mismatch, Progress, Sink, SinkError, WatchError, WatchOptions, Watcher};
