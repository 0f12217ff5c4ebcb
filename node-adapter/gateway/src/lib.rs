//! Settles proved batches of several chains in one transaction on Ethereum.
//!
//! | file | idea | I/O |
//! |---|---|---|
//! | `submission` | a proved batch as a node brings it, and what is computed of it | none |
//! | `plan` | which batches go together: the smallest sets that owe nothing, oldest first | none |
//! | `tails` | what follows in lanes of which a set does not take everything | none |
//! | `store` | the batches that wait, on disk | disk |
//! | `l1` | what is asked of Ethereum: how far chains are, who operates them, whether a proof is right | network |
//! | `service` | takes batches in, plans, hands calls to the L1 sender, and says why one waits | all of it |
//! | `http` | the routes | network |
//! | `metrics` | figures in Prometheus' text format | none |
//! | `client` | how a node brings its batches here | network |
//!
//! A gateway can delay and never forge: chains ask their verifiers and look for their operators' signatures
//! (`Gateway.sol`). Two of them over the same chains do no harm. Called by `carillon-node`.

mod client;
mod http;
mod l1;
mod metrics;
mod plan;
mod service;
mod store;
mod submission;
mod tails;

pub use client::{Client, ClientError};
pub use http::{Routes, router, serve};
pub use l1::Chains;
pub use plan::{Blocked, Lane, Pending, Plan, plan};
pub use service::{AllExecuted, BatchView, Counts, Options, Place, Service, ServiceError, SetView};
pub use store::{Store, StoreError};
pub use submission::{KnownTail, Submission, SubmissionError, Way};
pub use tails::{Entry, Taken, tails};
