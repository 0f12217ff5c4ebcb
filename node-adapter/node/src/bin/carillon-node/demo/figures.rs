//! The demo's chain and amounts, and what follows from its seed. Pure; used by every file of this
//! folder.

use sha2::{Digest, Sha256};

/// The demo's rollup chain.
pub const CHAIN_ID: u64 = 271_828;
/// Levels of the account tree: 2^24 accounts.
pub const DEPTH: usize = 12;
/// The account that takes the fees.
pub const OPERATOR: u32 = 0;
/// What each user brings in, in wei: one ether.
pub const DEPOSIT: u128 = 1_000_000_000_000_000_000;
/// A milli-ether.
pub const MILLI: u128 = 1_000_000_000_000_000;
/// Fee of every operation: a thousandth of that.
pub const FEE: u128 = 1_000_000_000_000;
/// What Bob withdraws.
pub const WITHDRAWN: u128 = 250 * MILLI;
/// What Alice's bundle takes to Ethereum.
pub const BUNDLED: u128 = 300 * MILLI;
/// What the bundle deposits for a friend and pays to a third party; the rest goes back.
pub const GIVEN: u128 = 100 * MILLI;
/// Operations beside the transfers: two deposits, a withdrawal, a bundle.
pub const OTHERS: usize = 4;
/// Balances that the batch touches: the operator's, Alice's and Bob's.
pub const CELLS: usize = 3;

/// 32 bytes that depend on the seed, a purpose and a number.
pub fn draw(seed: u64, purpose: &[u8], number: usize) -> [u8; 32] {
    Sha256::new()
        .chain_update(b"carillon/demo/2/")
        .chain_update(purpose)
        .chain_update(seed.to_be_bytes())
        .chain_update((number as u64).to_be_bytes())
        .finalize()
        .into()
}
