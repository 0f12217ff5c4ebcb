//! One account: key, nonce, owner, balances; its token tree and its leaf.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use blstrs::Scalar;
use ff::Field;

use crate::crypto::jubjub::Point;
use crate::crypto::poseidon::{hash_node, hash_rollup_leaf};
use crate::crypto::schnorr::PublicKey;
use crate::owner_word;

/// Levels of the token tree: 4^3 = 64 slots.
pub const TOKEN_LEVELS: usize = 3;

/// Hashes of empty token subtrees by level.
static EMPTY: LazyLock<[Scalar; TOKEN_LEVELS + 1]> = LazyLock::new(|| {
    let mut empty = [Scalar::ZERO; TOKEN_LEVELS + 1];
    for level in 0..TOKEN_LEVELS {
        empty[level + 1] = hash_node(&[empty[level]; 4]);
    }
    empty
});

/// The leaf of an account that nobody has used.
pub(super) static UNUSED_LEAF: LazyLock<Scalar> = LazyLock::new(|| Account::default().leaf());

/// An account. The default is one that nobody has used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Key that signs the account's operations, if one was set.
    pub key: Option<PublicKey>,
    /// Signed operations so far, below 2^32.
    pub nonce: u32,
    /// The owner's address on L1, zeros for none.
    pub owner: [u8; 20],
    /// Balances that are not zero, by token slot.
    pub balances: BTreeMap<u8, u128>,
}

impl Account {
    /// The balance of a token.
    pub fn balance(&self, token: u8) -> u128 {
        self.balances.get(&token).copied().unwrap_or(0)
    }

    /// Sets a balance; zeros are not kept.
    pub(super) fn set_balance(&mut self, token: u8, balance: u128) {
        if balance == 0 {
            self.balances.remove(&token);
        } else {
            self.balances.insert(token, balance);
        }
    }

    /// The key's coordinates, (0, 0) without a key.
    pub fn key_point(&self) -> Point {
        let none = Point {
            x: Scalar::ZERO,
            y: Scalar::ZERO,
        };
        self.key.map_or(none, |key| key.coordinates())
    }

    /// A node of the token tree: level 0 is the balances, level 3 the root.
    pub fn token_node(&self, level: usize, index: u32) -> Scalar {
        if level == 0 {
            return crate::scalar(self.balance(index as u8));
        }
        let width = 2 * level as u32;
        let slots = (index << width) as u8..=((index << width) + ((1 << width) - 1)) as u8;
        if self.balances.range(slots).next().is_none() {
            return EMPTY.get(level).copied().unwrap_or_default();
        }
        hash_node(&[0, 1, 2, 3].map(|child| self.token_node(level - 1, index << 2 | child)))
    }

    /// The leaf: `LEAF(key x, key y, nonce + 2^32 owner, token root)`.
    pub fn leaf(&self) -> Scalar {
        let key = self.key_point();
        let word =
            Scalar::from(u64::from(self.nonce)) + owner_word(&self.owner) * Scalar::from(1 << 32);
        hash_rollup_leaf(&[key.x, key.y, word, self.token_node(TOKEN_LEVELS, 0)])
    }
}
