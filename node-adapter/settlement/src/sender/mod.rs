//! The L1 sender: one key, one queue of intents, each of which takes effect on Ethereum exactly once.
//!
//! | file | what it is | I/O |
//! |---|---|---|
//! | `entry` | an intent, the transactions signed for it, and the records that move it from step to step | none |
//! | `decide` | what to do next, from an entry and the facts read from L1 | none |
//! | `fees` | first fees, replacement fees, the cap | none |
//! | `sign` | type 2 and type 3 transactions with EIP-7594 sidecars | none |
//! | `journal` | records in redb; each is durable before the next step | disk |
//! | `port` | what the sender asks of a node and of the contract's counters, as traits | – |
//! | `node` | the port over JSON-RPC | network |
//! | `event` | settings, and what the sender tells | none |
//! | `fault` | named points at which a drill ends the sender | – |
//! | `state` | [`Sender`]: what it holds; a record is written before anything changes | disk |
//! | `look` | the facts of one look, with few requests | network |
//! | `plan` | counters, nonce, market and simulation before a signature | network |
//! | `funds` | what a call needs, and whether the account can pay | network |
//! | `broadcast` | a signed transaction to the node's pool, and what that says | network |
//! | `run` | one round: looks, decides, acts; intents taken in and given up | all of it |
//! | `task` | the sender as a task, and its [`Handle`] | all of it |
//!
//! What makes it safe:
//!
//! 1. A step is written before the next one begins: intent, signed bytes, broadcast, mined at a block
//!    hash, final. A restart reads the records and goes on; signed bytes are sent again as they are.
//! 2. A nonce carries one intent. A new nonce is taken only after the old one was used on L1 by
//!    something that had no effect (a revert, a blank, a foreign one), or cannot be reached (a gap), and
//!    after the contract's counters were read.
//! 3. The contract is the judge: [`Outcome`] asks it whether an intent took effect. An intent must be
//!    of a kind that the contract accepts once only, as a batch number is.
//! 4. What was mined is looked up again by block hash until it is deep enough.
//!
//! Called by the sequencer's service and the tests. May use the crate's client and refusals.

mod broadcast;
mod decide;
mod entry;
mod error;
mod event;
mod fault;
mod fees;
mod funds;
mod journal;
mod look;
mod node;
mod plan;
mod port;
mod run;
mod sign;
mod state;
mod task;

pub use decide::{Action, Facts, FreeNonces, Pool, Receipt, Watch, decide};
pub use entry::{Attempt, BlockRef, Entry, Freed, IllegalRecord, Intent, Place, Record, Variant};
pub use error::SenderError;
pub use event::{Enqueued, Event, News, Policy, Shortage, Status};
pub use fault::{CrashPoint, Faults, NoFaults, Step};
pub use fees::{FeeError, FeePolicy, Fees, Market};
pub use journal::{Done, Journal, JournalError};
pub use node::NodePort;
pub use port::{Outcome, Port, PortError, SendAnswer};
pub use sign::{BLOB_BYTES, SignError};
pub use state::Sender;
pub use task::Handle;
