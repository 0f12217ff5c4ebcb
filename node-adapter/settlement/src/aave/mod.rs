//! A market of Aave v3 on a development chain, with the contracts that Aave published.
//!
//! The contracts are those of the npm package `@aave/core-v3` (licence BUSL-1.1). Nothing of them is in
//! this repository or in its programs: [`Package`] finds them on the disk, where `make setup` puts them,
//! and [`Market::deploy`] puts pool, configurator, oracle and tokens up from their bytecode. It lists
//! Wrapped Ether and a GHO-like token of ours ([`crate::abi::demo`]), both as ordinary reserves.
//!
//! Called by the demo and the tests. For development and non-production use alone.

mod abi;
mod builder;
mod market;
mod package;

pub use abi::{AccountData, IPool, IWrappedEther};
pub use market::{Market, MarketOptions};
pub use package::{AAVE_VERSION, AaveError, Package};
