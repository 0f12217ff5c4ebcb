//! Where the contracts of a devnet are, as its folder keeps it. Plain data.

use alloy::primitives::Address;
use serde::{Deserialize, Serialize};

/// Where the contracts are; a file of the folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Deployed {
    /// The rollup chain.
    pub chain_id: u64,
    /// `RollupChain`.
    pub chain: Address,
    /// `SharedBridge`.
    pub bridge: Address,
    /// `ChainHub`.
    pub hub: Address,
    /// `InteropHandler`.
    pub handler: Address,
    /// The circuit's capacity.
    pub shape: Capacity,
}

/// A circuit's capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    /// Operations.
    pub slots: usize,
    /// Balances.
    pub cells: usize,
    /// Records.
    pub records: usize,
}
