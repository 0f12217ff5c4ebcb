//! What a user does on Ethereum: deposits, claims, exits, bundles, and the way out of a chain whose
//! operator is gone.
//!
//! One file a command. `chain` finds the contracts and their past, `wallet` holds the key and sends
//! transactions, `units` reads amounts. None of these commands needs a node of the rollup unless it
//! says so: Ethereum and the archive are enough.

pub mod account;
mod alias;
pub mod bundle;
mod bundle_file;
pub mod chain;
pub mod claim;
pub mod deposit;
pub mod exit;
pub mod govern;
pub mod key;
pub mod message;
mod owner_proofs;
pub mod reclaim;
pub mod recover;
pub mod share;
mod units;
pub mod wait;
pub mod wallet;

pub use bundle_file::BundleFile;
pub use chain::failure as ethereum_failure;
pub use units::amount;
