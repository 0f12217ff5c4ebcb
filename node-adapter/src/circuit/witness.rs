//! Witness of one slot, as plain values.
//!
//! Account fields are field elements rather than `u64`, so that tests can put
//! values there that no honest state holds. Made by [`super::BatchBuilder`], read
//! by the gadgets.

use blstrs::Scalar;
use ff::Field;

use crate::crypto::jubjub::Point;
use crate::crypto::poseidon;
use crate::state::{Account, Path};

/// An account's fields as they enter the leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountWitness {
    /// Public key.
    pub key: Point,
    /// Nonce.
    pub nonce: Scalar,
    /// Balance.
    pub balance: Scalar,
    /// Owner's address on L1.
    pub owner: Scalar,
}

impl AccountWitness {
    /// The leaf hash of these fields.
    pub fn leaf(&self) -> Scalar {
        poseidon::hash_leaf(&[self.key.x, self.key.y, self.nonce, self.balance, self.owner])
    }

    /// The fields of an empty slot: the identity as key, so that a zero signature holds.
    fn empty() -> Self {
        Self {
            key: Point::IDENTITY,
            nonce: Scalar::ZERO,
            balance: Scalar::ZERO,
            owner: Scalar::ZERO,
        }
    }
}

impl From<&Account> for AccountWitness {
    fn from(account: &Account) -> Self {
        Self {
            key: account.public_key.coordinates(),
            nonce: Scalar::from(account.nonce),
            balance: Scalar::from(account.balance),
            owner: account.owner.to_scalar(),
        }
    }
}

/// Everything the prover knows about one slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferWitness {
    /// Whether the slot holds a transfer.
    pub enabled: bool,
    /// Sender's index.
    pub from: u32,
    /// Receiver's index.
    pub to: u32,
    /// Amount.
    pub amount: u64,
    /// Fee.
    pub fee: u64,
    /// Sender's account before the transfer.
    pub sender: AccountWitness,
    /// Path of the sender's leaf before the transfer.
    pub sender_path: Path,
    /// Receiver's account after the sender was charged.
    pub receiver: AccountWitness,
    /// Path of the receiver's leaf after the sender was charged.
    pub receiver_path: Path,
    /// Signature: R.
    pub r: Point,
    /// Signature: s, little-endian.
    pub s: [u8; 32],
}

impl TransferWitness {
    /// The empty slot of a tree of the given depth. The paths are consistent with
    /// the empty accounts, since only the comparison with the root is switched off.
    pub fn empty(depth: usize) -> Self {
        let receiver = AccountWitness::empty();
        let leaf = receiver.leaf();
        let path = (0..depth)
            .scan(leaf, |node, _| {
                let children = [*node, Scalar::ZERO, Scalar::ZERO, Scalar::ZERO];
                *node = poseidon::hash_node(&children);
                Some(children)
            })
            .collect::<Path>();
        Self {
            enabled: false,
            from: 0,
            to: 0,
            amount: 0,
            fee: 0,
            sender: receiver,
            sender_path: path.clone(),
            receiver,
            receiver_path: path,
            r: Point::IDENTITY,
            s: [0; 32],
        }
    }

    /// Whether both paths have `depth` levels.
    pub(super) fn has_depth(&self, depth: usize) -> bool {
        self.sender_path.len() == depth && self.receiver_path.len() == depth
    }
}
