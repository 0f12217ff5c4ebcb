//! The prover API: batches that wait for a proof are offered as jobs, provers lease them.
//!
//! | file | idea |
//! |---|---|
//! | [`job`](Job) | what a job is and how its parts look on the wire |
//! | [`lease`](LeaseBook) | who may prove which job until when: a pure state machine, time is an argument |
//! | `store` | the book and the jobs in an embedded database |
//! | [`board`](JobBoard) | the two together, and the check of every proof |
//! | `auth` | who a bearer token belongs to |
//! | `http` | the routes |
//! | `client` | the same from the other side of the wire |
//! | `plugin` | what proves ([`ProverPlugin`]), and where jobs come from ([`JobSource`]) |
//! | [`work`](work()) | the loop between the two, with as many jobs under way as the plug-in works on at once |
//!
//! The routes are those that ZKsync OS offers its provers (`pick`, `submit`, `peek`, `status` below
//! `/prover-jobs/v1/{lane}`), with `heartbeat` and `fail` beside them. The page of this crate is
//! `PROVER_API.md` in `node-adapter`.
//!
//! May use `carillon-runtime`, `carillon-serving` and `carillon-redact`. Called by `carillon-node`,
//! its command `prover`, and other provers. Knows nothing of batches and of Ethereum: a job's input
//! is an opaque byte string.

mod auth;
mod board;
mod client;
mod engine;
mod http;
mod job;
mod lease;
mod plugin;
mod store;
mod work;

pub use auth::{TokenError, Tokens};
pub use board::{BoardError, BoardOptions, JobBoard, JobStatus, LocalSource, Verdict};
pub use client::{ClientError, ProverClient};
pub use engine::{EnginePlugin, Prepare};
pub use http::{ApiOptions, Routes, router, serve};
pub use job::{Job, KeyHash, LANE, LeasedJob, ParseHashError};
pub use lease::{Acceptance, Entry, LeaseBook, LeaseError, LeaseState, Overrun, Terms};
pub use plugin::{JobSource, PluginError, ProverPlugin, SourceError};
pub use store::StoreError;
pub use work::{ProgressOf, WorkEvent, WorkOptions, WorkSummary, work};
