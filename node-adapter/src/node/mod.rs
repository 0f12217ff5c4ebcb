//! The sequencer's service: what users talk to, what survives a crash, what feeds the provers.
//!
//! | file | idea | I/O |
//! |---|---|---|
//! | `machine` | what the writer drives, as a trait, and why something is refused | none |
//! | `writer` | the single writer: check, execute, group commit, acknowledge, seal | thread |
//! | `store` | log, accounts and batches in an embedded database | disk |
//! | `receipt` | soft confirmations: one signature a group, a path for each operation | none |
//! | `ports` | what the node asks of Ethereum, as traits | – |
//!
//! Called by `carillon-node run` and the tests.

mod machine;
mod ports;
mod receipt;
mod store;
#[cfg(test)]
mod toy;
mod writer;

pub use machine::{Machine, Refusal, Sealed, SubmitError, WriterError};
pub use ports::{L1Inbox, PortError, ProvedBatch, QueueEntry, Settler};
pub use receipt::{Finality, Receipt, ReceiptError};
pub use store::{BatchRow, BatchStatus, ChainMark, Part, SealedPoint, Store, StoreError};
pub use writer::{Progress, Writer, WriterOptions};
