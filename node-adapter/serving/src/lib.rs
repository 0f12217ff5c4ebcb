//! HTTP servers that untrusted clients cannot exhaust: limits at accept, and deadlines for everything that a
//! client may take its time over.
//!
//! | file | idea | I/O |
//! |---|---|---|
//! | `limits` | how many connections there may be, in all and per address, and which one has to go | none |
//! | `line` | a TCP stream that is closed at once when its connection has to go | network |
//! | `backlog` | what a WebSocket's client has asked and not been sent yet | none |
//! | `frames` | counts the messages that are written on a WebSocket | none |
//! | `guarded` | the two together: ends when the peer reads nothing, does not read while much waits | network |
//! | `server` | accept loop, HTTP/1.1, deadlines for headers, bodies and answers | network |
//! | `pacing` | when requests begin: a connection's first at once, others in turn | none |
//! | `probe` | `/health`, `/ready` and `/metrics` | none |
//! | `descriptors` | the process's limit of descriptors, raised and shared out | – |
//!
//! A listener that is full does not turn new clients away: it drops the connection that has waited
//! longest without a complete request, of the address that holds most of them. Whoever asks and reads
//! the answer is never that one. Each listener has a budget of its own, so that one cannot take what
//! another needs. Knows nothing of what is asked and answered. Called by `carillon-node` and
//! `carillon-prover-api`.

mod backlog;
mod descriptors;
mod frames;
mod guarded;
mod limits;
mod line;
mod pacing;
mod probe;
mod server;

pub use backlog::{Backlog, Call};
pub use descriptors::{DescriptorError, raise, share};
pub use limits::{Connections, Counts, Limits};
pub use probe::{Probe, Unready, probed};
pub use server::{Answer, AnswerBody, Application, fixed, listen, serve};
