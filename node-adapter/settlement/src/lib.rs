//! Settlement: from a proved batch to a transaction that Ethereum accepts.
//!
//! The way of a batch through this crate:
//!
//! 1. [`BatchBlob`] commits to B; `calls` encodes H and the proof as the contract takes them.
//! 2. [`settle_intent`] makes of both what is to be done on L1, as plain data.
//! 3. `sender` writes it to its journal and brings it to effect exactly once; [`Executed`] is how it
//!    sees that on L1.
//! 4. `watch` reads the queue and the executed batches back, through reorgs.
//!
//! Every request goes through one [`EthNode`]; `answer` says what an error means, whichever client gave
//! it. [`L1Reporter`] holds what stands between the node and Ethereum, for RPC, `status` and metrics.
//!
//! [`L1Client`] is for everything else: one key, one transaction, one receipt. `deploy` puts the
//! contracts up; [`Anvil`] is the Ethereum node of the demo and the tests.
//!
//! [`network`] reads all chains of a hub and their lanes, and speaks to their governor.
//!
//! [`archive`] keeps batches as objects and rebuilds the state from them and L1; [`interop`] has
//! bundles and alias accounts. [`aave`] puts a lending market up for the demo and the tests.
//!
//! May use `carillon-protocol`, `carillon-redact` and `carillon-runtime` (proofs and keys). Called by
//! `carillon-node` and the tests. The Solidity sources and their compiled artifacts are in `node-adapter/contracts`.

pub mod aave;
pub mod abi;
pub mod answer;
mod anvil;
pub mod archive;
mod blob;
pub mod calls;
mod client;
mod contracts;
mod data_mode;
pub mod deploy;
mod error;
pub mod gateway;
pub mod interop;
mod l1;
pub mod lanes;
pub mod limits;
pub mod network;
mod on_l1;
mod refusal;
mod retry;
pub mod sender;
mod settle;
mod status;
mod transport;
pub mod watch;

pub use answer::{Meaning, RpcFailure};
pub use anvil::{Anvil, AnvilError, AnvilOptions};
pub use blob::BatchBlob;
pub use client::EthNode;
pub use contracts::Contracts;
pub use data_mode::DataMode;
pub use error::SettlementError;
pub use l1::{Deadlines, GasLimit, L1Client, Mined};
pub use limits::MAX_TRANSACTION_GAS;
pub use on_l1::{ChainOnL1, SentLanes, receipt_key, verify_on_l1};
pub use refusal::Refusal;
pub use retry::{Backoff, jittered};
pub use settle::{
    Executed, commit_id, commit_intent, progress, settle_intent, settle_with_tails,
    settle_without_blob, state_root,
};
pub use status::{L1Failure, L1Part, L1Reporter, L1Status, PartStatus, Trouble};
