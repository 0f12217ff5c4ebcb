//! Settlement: from a proved batch to a transaction that Ethereum accepts.
//!
//! The way of a batch through this module:
//!
//! 1. [`SettlementIntent`] says what is to be settled. It is plain data with a pure encoding, so
//!    that it can be written to a journal before anything is sent.
//! 2. [`RollupContract`] turns an intent into a call of the contract and the contract's answer into
//!    a [`Settled`] or a [`Refusal`] with its reason.
//! 3. [`L1Client`] signs, sends and waits; every wait has a deadline.
//! 4. [`Anvil`] is the Ethereum node of the demo and the tests.
//!
//! The contracts of the rollup protocol stand beside it: [`abi`] has their types, [`calls`] makes
//! their arguments from the rollup's own types, [`deploy`] puts them on the chain, and [`Refusal`]
//! knows their errors.
//!
//! May use `carillon-runtime` (proofs and keys). Called by `carillon-node` and the tests. The
//! Solidity sources and their compiled artifacts are in `node-adapter/contracts`.

pub mod abi;
mod anvil;
mod blob;
pub mod calls;
pub mod contracts;
pub mod deploy;
mod error;
mod intent;
mod l1;
mod refusal;
mod rollup;
pub mod sender;
mod settle;
pub mod watch;

pub use anvil::{Anvil, AnvilError, AnvilOptions};
pub use blob::BatchBlob;
pub use error::SettlementError;
pub use intent::{BatchHeader, SettlementIntent, verifying_key_bytes};
pub use l1::{Deadlines, GasLimit, L1Client, MAX_TRANSACTION_GAS, Mined};
pub use refusal::Refusal;
pub use rollup::{Deployment, RollupContract, RollupState, Settled};
pub use settle::{Executed, progress, settle_intent};
