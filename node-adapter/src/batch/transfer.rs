//! A transfer between two accounts, the message its sender signs, and its identifier.
//!
//! Pure data; the sequencer checks it against the state, the circuit proves it.

use std::fmt;

use blstrs::Scalar;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::crypto::schnorr::{Message, SecretKey, Signature};

/// The Ethereum address that owns an account on L1, 20 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Owner(pub [u8; 20]);

impl Owner {
    /// The address as a field element, as it enters the account leaf (big-endian, below 2^160).
    pub fn to_scalar(self) -> Scalar {
        let mut bytes = [0; 32];
        bytes[12..].copy_from_slice(&self.0);
        // 160 bits are always below the modulus.
        Option::from(Scalar::from_bytes_be(&bytes)).unwrap_or_default()
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

/// An order to move `amount` from one account to another and to pay `fee` to the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Transfer {
    /// Chain for which the order is valid; stops a replay on another chain.
    #[serde(with = "super::codec::decimal")]
    pub chain_id: u64,
    /// Index of the sender's account in the account tree.
    pub from: u32,
    /// Index of the receiver's account.
    pub to: u32,
    /// Amount received, in the smallest unit of the chain's token.
    #[serde(with = "super::codec::decimal")]
    pub amount: u64,
    /// Fee paid by the sender on top of the amount, in the same unit.
    #[serde(with = "super::codec::decimal")]
    pub fee: u64,
    /// Number of transfers that the sender has made before; stops a replay on this chain.
    #[serde(with = "super::codec::decimal")]
    pub nonce: u64,
}

impl Transfer {
    /// The transfer as one field element, the unit of the batch's public data:
    /// `from + 2^32 to + 2^64 amount + 2^128 fee + 2^192`.
    ///
    /// The last bit tells a transfer from an empty slot, which packs to zero.
    pub fn pack(&self) -> Scalar {
        let parties = u64::from(self.from) | u64::from(self.to) << 32;
        // 193 bits are always below the modulus.
        Option::from(Scalar::from_u64s_le(&[parties, self.amount, self.fee, 1])).unwrap_or_default()
    }

    /// What the sender signs: packed transfer, nonce, chain id.
    pub fn message(&self) -> Message {
        [
            self.pack(),
            Scalar::from(self.nonce),
            Scalar::from(self.chain_id),
        ]
    }

    /// Signs the transfer.
    pub fn sign(self, key: &SecretKey) -> SignedTransfer {
        SignedTransfer {
            transfer: self,
            signature: key.sign(&self.message()),
        }
    }

    /// Identifier shown to users: SHA-256 over the encoded order, without the
    /// signature, so that nobody can change it.
    pub fn id(&self) -> [u8; 32] {
        Sha256::new()
            .chain_update(b"carillon/transfer/1")
            .chain_update(self.to_bytes())
            .finalize()
            .into()
    }
}

/// A transfer with its sender's signature; the signature is not yet checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedTransfer {
    /// The order.
    #[serde(flatten)]
    pub transfer: Transfer,
    /// Signature on [`Transfer::message`].
    #[serde(with = "super::codec::signature")]
    pub signature: Signature,
}

#[cfg(test)]
mod tests {
    use ff::Field;

    use super::*;

    #[test]
    fn pack_keeps_every_field_apart() {
        let transfer = Transfer {
            chain_id: 9,
            from: 1,
            to: 2,
            amount: 3,
            fee: 4,
            nonce: 5,
        };
        let two = Scalar::from(2);
        let expected = Scalar::ONE
            + Scalar::from(2) * two.pow_vartime([32])
            + Scalar::from(3) * two.pow_vartime([64])
            + Scalar::from(4) * two.pow_vartime([128])
            + two.pow_vartime([192]);
        assert_eq!(transfer.pack(), expected);

        let full = Transfer {
            from: u32::MAX,
            to: u32::MAX,
            amount: u64::MAX,
            fee: u64::MAX,
            ..transfer
        };
        assert_eq!(full.pack() + Scalar::ONE, two.pow_vartime([193]));
    }

    #[test]
    fn identifier_covers_every_field() {
        let base = Transfer {
            chain_id: 9,
            from: 1,
            to: 2,
            amount: 3,
            fee: 4,
            nonce: 5,
        };
        let changed = [
            Transfer {
                chain_id: 8,
                ..base
            },
            Transfer { from: 0, ..base },
            Transfer { to: 0, ..base },
            Transfer { amount: 0, ..base },
            Transfer { fee: 0, ..base },
            Transfer { nonce: 0, ..base },
        ];
        for other in changed {
            assert_ne!(base.id(), other.id());
        }
    }

    #[test]
    fn owner_is_a_big_endian_number() {
        let mut address = [0; 20];
        address[19] = 7;
        assert_eq!(Owner(address).to_scalar(), Scalar::from(7));
        assert_eq!(Owner(address).to_string(), format!("0x{}7", "0".repeat(39)));
    }
}
