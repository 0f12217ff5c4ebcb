//! The sequencer's service: what users talk to, what survives a crash, what feeds the provers.
//!
//! | file | idea | I/O |
//! |---|---|---|
//! | `machine` | what the writer drives, as a trait, and why something is refused | none |
//! | `writer` | the single writer: check, execute, group commit, acknowledge, seal | thread |
//! | `store` | log, accounts and batches in an embedded database | disk |
//! | `receipt` | soft confirmations: one signature a group, a path for each operation | none |
//! | `ports` | what the node asks of Ethereum, as traits | – |
//! | `driver` | offers sealed batches to provers, keeps proofs, settles, reads the L1 queue | network |
//! | `operation` | operations as users send them and as the log keeps them | none |
//! | `rollup` | the machine on the ledger | none |
//! | `proving` | the batch circuit's inputs, keys and plug-in | disk |
//! | `rpc` | JSON-RPC over HTTP and WebSocket | network |
//! | `service` | all of it put together | all of it |
//! | `dev_queue` | an L1 queue from a file, for development | disk |
//!
//! Called by `carillon-node run` and the tests.

mod dev_queue;
mod driver;
mod machine;
mod operation;
mod ports;
mod receipt;
mod store;
#[cfg(test)]
mod toy;
mod writer;

pub use dev_queue::{DevQueue, DevQueueError};
pub use driver::{Driver, DriverError};
pub use machine::{Machine, Refusal, Sealed, SubmitError, WriterError};
pub use operation::{Kind, OPERATION_BYTES, Operation, OperationJson};
pub use ports::{L1Inbox, PortError, ProvedBatch, QueueEntry, Settler};
pub use receipt::{Finality, Receipt, ReceiptError};
pub use store::{BatchRow, BatchStatus, ChainMark, Part, SealedPoint, Store, StoreError};
pub use writer::{Progress, Writer, WriterOptions};
