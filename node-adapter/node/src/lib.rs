//! The sequencer's service: what users talk to, what survives a crash, what feeds the provers.
//!
//! | file | idea | I/O |
//! |---|---|---|
//! | `machine` | what the writer drives, as a trait, and why something is refused | none |
//! | `writer` | the single writer: check, execute, group commit, acknowledge, seal | thread |
//! | `store` | log, accounts and batches in an embedded database | disk |
//! | `accounts` | accounts as of the last group commit, for readers | disk |
//! | `receipt` | soft confirmations: one signature a group, a path for each operation | none |
//! | `ports` | what the node asks of Ethereum, as traits | – |
//! | `feed` | follows what other chains promise, and has it taken | network |
//! | `outbox` | lanes to other chains as L1 will have them, signed, and served | none |
//! | `driver` | offers sealed batches to provers, keeps proofs, settles, reads the L1 queue | network |
//! | `operation` | operations as users send them and as the log keeps them | none |
//! | `account_forms` | accounts as users read them and as the store keeps them | none |
//! | `rollup_options` | what the machine is made for | none |
//! | `rollup` | the machine on the ledger | none |
//! | `publish` | versioned hash, challenge and public inputs of a batch | none |
//! | `proving` | the input that a prover gets with a batch | none |
//! | `batch_circuit` | from that input to circuit, assignment and keys | disk |
//! | `message_proof` | proofs of withdrawals, exits and bundles, for Ethereum | none |
//! | `fees` | the least fee by kind and token, following Ethereum's | none |
//! | `prices` | Ethereum's fees, asked of a node | network |
//! | `bundle_policy` | what bundles may do, looked at on admission | none |
//! | `event` | what happens in a node, step by step | none |
//! | `local_prover` | the prover in the node's process | – |
//! | `in_flight` | what is being proved now | none |
//! | `status`, `metrics`, `probe` | what a node knows of itself, what it waits for, what its servers say of it | none |
//! | `rpc` | the methods of JSON-RPC | – |
//! | `rpc_server` | JSON-RPC over HTTP and WebSocket, for browsers too | network |
//! | `service` | all of it put together | all of it |
//! | `agreement` | whether node and Ethereum speak of the same chain, before anything is done | none |
//! | `ethereum` | queue, archive and settlement over `carillon-settlement` | network, disk |
//! | `rebuild` | a node's folder from Ethereum and the archive alone | network, disk |
//! | `backup` | copies of a node's folder, also of one in use | disk |
//! | `dev_queue` | an L1 queue from a file, for development | disk |
//!
//! May use all other crates of `node-adapter`. Called by the program `carillon-node` and the tests.

mod account_forms;
mod accounts;
pub mod agreement;
mod backup;
mod batch_circuit;
mod bundle_policy;
mod dev_queue;
mod driver;
mod ethereum;
mod event;
mod feed;
mod fees;
mod in_flight;
mod local_prover;
mod machine;
mod message_proof;
mod metrics;
mod operation;
mod outbox;
mod ports;
mod prices;
mod probe;
mod proving;
mod publish;
mod rebuild;
mod receipt;
mod rollup;
mod rollup_options;
mod rpc;
mod rpc_server;
mod service;
mod status;
mod store;
#[cfg(test)]
mod test_machine;
mod turns;
mod writer;

pub use account_forms::AccountJson;
pub use accounts::Accounts;
pub use backup::{BackupError, Saved, backup};
pub use batch_circuit::{CircuitsError, ProverCircuit, circuit, circuits, prepare, shape_of};
pub use bundle_policy::{BundlePolicy, PolicyError};
pub use dev_queue::{DevQueue, DevQueueError};
pub use driver::{Driver, DriverError};
pub use ethereum::{Ethereum, EthereumError, EthereumOptions};
pub use event::NodeEvent;
pub use feed::Feeds;
pub use fees::{FeeBook, FeeOptions, FeeOptionsError, L1Prices, Prices};
pub use in_flight::{InFlight, Prover, Proving};
pub use local_prover::LocalProver;
pub use machine::{Machine, Refusal, Sealed, SubmitError, WriterError};
pub use message_proof::{MessageProofJson, message_proof};
pub use operation::{OPERATION_BYTES, OperationJson};
pub use outbox::{LaneMark, LanesOut, Outbox, Outgoing, Wanted};
pub use ports::{
    L1Inbox, LaneAuthority, LaneEntries, Line, PortError, Promised, PromisedEntry, ProvedBatch,
    QueueEntry, Settler,
};
pub use prices::NodePrices;
pub use proving::{BatchInput, StatePart};
pub use publish::public_inputs;
pub use rebuild::{RebuildError, Rebuilt, rebuild};
pub use receipt::{Condition, Finality, Receipt, ReceiptError, is_taken_back};
pub use rollup::{ChainFacts, Rollup, Ticket};
pub use rollup_options::{OptionsError, RollupOptions};
pub use rpc::{OperationStatus, code};
pub use rpc_server::{OriginError, RpcOptions};
pub use service::{LaneOptions, Node, NodeError, NodeOptions, ProvingOptions};
pub use status::{NodeStatus, Reached, Wait};
pub use store::FILE as STORE_FILE;
pub use store::{
    Apart, BatchRow, BatchStatus, ChainMark, Fallen, Group, L1Mark, LogLine, Names, Part,
    SealedPoint, SoftRow, Store, StoreError,
};
pub use writer::{Progress, PromisePolicy, Unsettled, Writer, WriterOptions};
