//! The demo's chain: funded accounts, signed transfers, one sealed batch. Follows from the seed
//! alone, so that two runs with the same options make the same batch.

use carillon_node::batch::Owner;
use carillon_node::circuit::Shape;
use carillon_node::crypto::schnorr::SecretKey;
use carillon_node::sequencer::{SealedBatch, Sequencer};
use carillon_node::state::Account;
use sha2::{Digest, Sha256};

use crate::exit::Failure;

/// The demo's rollup chain.
pub const CHAIN_ID: u64 = 271_828;
/// What every account holds at the start.
const BALANCE: u64 = 1_000_000_000_000;
/// Fee of every transfer.
const FEE: u64 = 10;
/// Largest amount of a transfer: no account runs dry in the largest batch.
const LARGEST_AMOUNT: u64 = 1_000_000;

/// A batch, and the number of accounts behind it.
pub struct Ledger {
    /// The sequencer after sealing.
    pub sequencer: Sequencer,
    /// The batch.
    pub batch: SealedBatch,
    /// Accounts on the chain.
    pub accounts: usize,
}

impl Ledger {
    /// Creates the accounts, signs and submits `transfers`, and seals them.
    pub fn create(shape: Shape, transfers: usize, seed: u64) -> Result<Self, Failure> {
        let accounts = transfers.clamp(2, 32);
        let keys: Vec<SecretKey> = (0..accounts)
            .map(|i| SecretKey::from_seed(&draw(seed, b"key", i)))
            .collect();
        let genesis = keys.iter().enumerate().map(|(i, key)| {
            let digest = draw(seed, b"owner", i);
            let owner = std::array::from_fn(|byte| digest[byte]);
            Account::new(*key.public(), Owner(owner), BALANCE)
        });
        let mut sequencer = Sequencer::new(CHAIN_ID, shape, genesis.collect())?;
        for i in 0..transfers {
            let digest = draw(seed, b"transfer", i);
            let from = i % accounts;
            let step = 1 + usize::from(digest[0]) % (accounts - 1);
            let to = (from + step) % accounts;
            let number = digest[1..9].iter().fold(0, |n, b| n << 8 | u64::from(*b));
            let amount = 1 + number % LARGEST_AMOUNT;
            let order = sequencer.draft_transfer(from as u32, to as u32, amount, FEE)?;
            let Some(key) = keys.get(from) else { continue };
            sequencer.submit(order.sign(key))?;
        }
        let batch = sequencer.seal()?;
        Ok(Self {
            sequencer,
            batch,
            accounts,
        })
    }
}

/// 32 bytes that depend on the seed, a purpose and a number.
fn draw(seed: u64, purpose: &[u8], number: usize) -> [u8; 32] {
    Sha256::new()
        .chain_update(b"carillon/demo/1/")
        .chain_update(purpose)
        .chain_update(seed.to_be_bytes())
        .chain_update((number as u64).to_be_bytes())
        .finalize()
        .into()
}
