//! One account and its leaf hash.

use blstrs::Scalar;

use crate::batch::Owner;
use crate::crypto::poseidon;
use crate::crypto::schnorr::PublicKey;

/// An account of the rollup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// Key that signs the account's transfers; in the prime-order subgroup by its type.
    pub public_key: PublicKey,
    /// Transfers sent so far; the next transfer carries this number.
    pub nonce: u64,
    /// Balance in the smallest unit of the token.
    pub balance: u64,
    /// The owner's address on L1.
    pub owner: Owner,
}

impl Account {
    /// An account that has not sent anything yet.
    pub fn new(public_key: PublicKey, owner: Owner, balance: u64) -> Self {
        Self {
            public_key,
            nonce: 0,
            balance,
            owner,
        }
    }

    /// The leaf: Poseidon of key x, key y, nonce, balance, owner. An unused index
    /// has leaf zero, which no account can have without inverting Poseidon.
    pub fn leaf(&self) -> Scalar {
        let key = self.public_key.coordinates();
        poseidon::hash_leaf(&[
            key.x,
            key.y,
            Scalar::from(self.nonce),
            Scalar::from(self.balance),
            self.owner.to_scalar(),
        ])
    }
}
