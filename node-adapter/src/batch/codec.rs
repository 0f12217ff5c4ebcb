//! Wire encodings of transfers: a compact fixed-size one, and serde for JSON.
//!
//! Compact, big-endian, 105 bytes: version (1), chain id (8), from (4), to (4),
//! amount (8), fee (8), nonce (8), R compressed (32), s little-endian (32). In
//! JSON 64-bit numbers are decimal strings, since JavaScript would round them, and
//! the signature is hex. Called by whoever receives transfers from users.

use thiserror::Error;

use super::{SignedTransfer, Transfer};
use crate::crypto::schnorr::{KeyError, Signature};

/// Length of the compact encoding of a [`SignedTransfer`] in bytes.
pub const TRANSFER_BYTES: usize = ORDER_BYTES + 64;

const ORDER_BYTES: usize = 41;
const VERSION: u8 = 1;

/// Why bytes are not a signed transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CodecError {
    /// Wrong length.
    #[error("a signed transfer is {TRANSFER_BYTES} bytes, got {got}")]
    Length {
        /// Bytes received.
        got: usize,
    },
    /// Written by another version of the format.
    #[error("unknown transfer format {got}: this node reads format {VERSION}")]
    Version {
        /// The first byte received.
        got: u8,
    },
    /// The signature does not decode.
    #[error("signature: {0}")]
    Signature(#[from] KeyError),
}

impl Transfer {
    /// Encodes the order without its signature.
    pub fn to_bytes(&self) -> [u8; ORDER_BYTES] {
        let mut bytes = [0; ORDER_BYTES];
        bytes[0] = VERSION;
        bytes[1..9].copy_from_slice(&self.chain_id.to_be_bytes());
        bytes[9..13].copy_from_slice(&self.from.to_be_bytes());
        bytes[13..17].copy_from_slice(&self.to.to_be_bytes());
        bytes[17..25].copy_from_slice(&self.amount.to_be_bytes());
        bytes[25..33].copy_from_slice(&self.fee.to_be_bytes());
        bytes[33..41].copy_from_slice(&self.nonce.to_be_bytes());
        bytes
    }
}

impl SignedTransfer {
    /// The compact encoding.
    pub fn to_bytes(&self) -> [u8; TRANSFER_BYTES] {
        let mut bytes = [0; TRANSFER_BYTES];
        bytes[..ORDER_BYTES].copy_from_slice(&self.transfer.to_bytes());
        bytes[ORDER_BYTES..].copy_from_slice(&self.signature.to_bytes());
        bytes
    }

    /// Decodes the compact encoding; every value has exactly one encoding.
    ///
    /// # Errors
    /// [`CodecError`], which names the part that is wrong. The signature's
    /// validity is not checked here.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        let bytes: &[u8; TRANSFER_BYTES] = bytes
            .try_into()
            .map_err(|_| CodecError::Length { got: bytes.len() })?;
        if bytes[0] != VERSION {
            return Err(CodecError::Version { got: bytes[0] });
        }
        let transfer = Transfer {
            chain_id: u64::from_be_bytes(part(bytes, 1)),
            from: u32::from_be_bytes(part(bytes, 9)),
            to: u32::from_be_bytes(part(bytes, 13)),
            amount: u64::from_be_bytes(part(bytes, 17)),
            fee: u64::from_be_bytes(part(bytes, 25)),
            nonce: u64::from_be_bytes(part(bytes, 33)),
        };
        let signature = Signature::from_bytes(&part(bytes, ORDER_BYTES))?;
        Ok(Self {
            transfer,
            signature,
        })
    }
}

/// The `N` bytes at `offset`, which the callers keep inside the array.
fn part<const N: usize>(bytes: &[u8; TRANSFER_BYTES], offset: usize) -> [u8; N] {
    std::array::from_fn(|i| bytes[offset + i])
}

/// serde: 64-bit numbers as decimal strings.
pub(super) mod decimal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map_err(|_| D::Error::custom(format!("`{text}` is not a decimal number below 2^64")))
    }
}

/// serde: a signature as 128 hex digits with the prefix `0x`.
pub(super) mod signature {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::crypto::schnorr::Signature;

    pub fn serialize<S: Serializer>(value: &Signature, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("0x{}", hex::encode(value.to_bytes())))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Signature, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text
            .strip_prefix("0x")
            .ok_or_else(|| D::Error::custom("a signature starts with `0x`"))?;
        let mut bytes = [0; 64];
        hex::decode_to_slice(digits, &mut bytes)
            .map_err(|e| D::Error::custom(format!("a signature is 64 bytes in hex: {e}")))?;
        Signature::from_bytes(&bytes).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::crypto::schnorr::SecretKey;

    fn transfers() -> impl Strategy<Value = SignedTransfer> {
        (any::<[u64; 4]>(), any::<[u32; 2]>(), any::<[u8; 32]>()).prop_map(
            |([chain_id, amount, fee, nonce], [from, to], seed)| {
                Transfer {
                    chain_id,
                    from,
                    to,
                    amount,
                    fee,
                    nonce,
                }
                .sign(&SecretKey::from_seed(&seed))
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn compact_and_json_round_trip(signed in transfers()) {
            let bytes = signed.to_bytes();
            prop_assert_eq!(SignedTransfer::from_bytes(&bytes), Ok(signed));
            let json = serde_json::to_string(&signed).unwrap();
            prop_assert_eq!(serde_json::from_str::<SignedTransfer>(&json).unwrap(), signed);
        }

        #[test]
        fn arbitrary_bytes_decode_to_themselves_or_to_an_error(
            bytes in prop::collection::vec(any::<u8>(), 0..2 * TRANSFER_BYTES)
        ) {
            if let Ok(signed) = SignedTransfer::from_bytes(&bytes) {
                prop_assert_eq!(&signed.to_bytes()[..], &bytes[..]);
            }
        }

        #[test]
        fn a_flipped_bit_never_decodes_to_the_same_transfer(
            signed in transfers(), bit in 0..8 * TRANSFER_BYTES
        ) {
            let mut bytes = signed.to_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_ne!(SignedTransfer::from_bytes(&bytes), Ok(signed));
        }
    }

    #[test]
    fn each_error_names_its_cause() {
        let order = Transfer {
            chain_id: 1,
            from: 2,
            to: 3,
            amount: 4,
            fee: 5,
            nonce: 6,
        };
        let good = order.sign(&SecretKey::from_seed(&[9; 32])).to_bytes();
        assert_eq!(
            SignedTransfer::from_bytes(&good[1..]),
            Err(CodecError::Length { got: 104 })
        );
        let mut other_version = good;
        other_version[0] = 2;
        assert_eq!(
            SignedTransfer::from_bytes(&other_version),
            Err(CodecError::Version { got: 2 })
        );
        let mut bad_scalar = good;
        bad_scalar[TRANSFER_BYTES - 1] = 0xff;
        assert_eq!(
            SignedTransfer::from_bytes(&bad_scalar),
            Err(CodecError::Signature(KeyError::ScalarNotReduced))
        );
    }

    #[test]
    fn json_refuses_numbers_and_malformed_signatures() {
        let order = Transfer {
            chain_id: 1,
            from: 2,
            to: 3,
            amount: 4,
            fee: 5,
            nonce: 6,
        };
        let signed = order.sign(&SecretKey::from_seed(&[9; 32]));
        let json = serde_json::to_value(signed).unwrap();
        assert_eq!(json["amount"], "4");
        for (field, value) in [
            ("amount", "-1"),
            ("fee", "18446744073709551616"),
            ("signature", "0x00"),
            ("signature", "00"),
        ] {
            let mut broken = json.clone();
            broken[field] = value.into();
            assert!(
                serde_json::from_value::<SignedTransfer>(broken).is_err(),
                "{field}={value}"
            );
        }
    }
}
