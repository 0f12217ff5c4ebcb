//! Interop: what a user of the rollup has done on Ethereum with one L2 signature.
//!
//! A [`Bundle`] is signed on L2 by its hash ([`Bundle::record`]), becomes a message of an executed
//! batch, and is run by the contract `InteropHandler` through the owner's alias account
//! ([`alias_address`]). [`InteropContract`] brings message and bundle to L1. The page is
//! `node-adapter/contracts/src/interop/README.md`.
//!
//! May use the rest of the crate for talking to L1. Called by the node and by wallets.

mod alias;
mod bundle;
mod executor;
mod message;

pub use crate::abi::interop as contracts;
pub use crate::deploy::factory_address;
pub use alias::{alias_address, alias_salt};
pub use bundle::{Bundle, BundleError, Call, MAX_BUNDLE_GAS, Place, Return};
pub use executor::{InteropContract, Outcome, Ran, ran, tip_paid};
