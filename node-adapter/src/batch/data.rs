//! The public data of a batch: 24 bytes a transfer, and the commitment that the
//! proof carries.
//!
//! The commitment is a Poseidon chain over the packed transfers, three to a link,
//! that starts at the number of slots: `h_0 = slots`,
//! `h_(i+1) = Poseidon(h_i, p_3i, p_(3i+1), p_(3i+2))`; empty slots pack to zero.
//! With the data and the previous state anyone can compute the new state. Called
//! by `sequencer`; the circuit computes the same chain.

use blstrs::Scalar;
use ff::Field;
use thiserror::Error;

use super::Transfer;
use crate::crypto::poseidon;

/// Bytes of public data per transfer: fee (8), amount (8), to (4), from (4), big-endian.
///
/// Read as one 192-bit number this is [`Transfer::pack`] without its top bit.
pub const DATA_BYTES: usize = 24;

/// Transfers absorbed by one link of the chain.
pub(crate) const LINK: usize = 3;

/// Why public data do not describe a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DataError {
    /// Not a whole number of transfers.
    #[error("public data are {DATA_BYTES} bytes a transfer: {got} bytes are truncated or padded")]
    Length {
        /// Bytes received.
        got: usize,
    },
    /// More transfers than the batch has slots.
    #[error(
        "{got} transfers do not fit a batch of {slots}: use the circuit the batch was made for"
    )]
    TooMany {
        /// Transfers given.
        got: usize,
        /// Slots of the batch.
        slots: usize,
    },
}

/// Encodes the public data of a batch.
pub fn encode_data<'a>(transfers: impl IntoIterator<Item = &'a Transfer>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for transfer in transfers {
        bytes.extend_from_slice(&transfer.fee.to_be_bytes());
        bytes.extend_from_slice(&transfer.amount.to_be_bytes());
        bytes.extend_from_slice(&transfer.to.to_be_bytes());
        bytes.extend_from_slice(&transfer.from.to_be_bytes());
    }
    bytes
}

/// Decodes public data into packed transfers, one field element each.
///
/// # Errors
/// [`DataError::Length`] if the bytes are not a whole number of transfers.
pub fn decode_data(bytes: &[u8]) -> Result<Vec<Scalar>, DataError> {
    let (records, rest) = bytes.as_chunks::<DATA_BYTES>();
    if !rest.is_empty() {
        return Err(DataError::Length { got: bytes.len() });
    }
    let pack = |record: &[u8; DATA_BYTES]| {
        let mut word = [0; 32];
        word[8..].copy_from_slice(record);
        word[7] = 1;
        // 193 bits are always below the modulus.
        Option::from(Scalar::from_bytes_be(&word)).unwrap_or_default()
    };
    Ok(records.iter().map(pack).collect())
}

/// Commitment to packed transfers in a batch of `slots`.
///
/// # Errors
/// [`DataError::TooMany`] if they do not fit.
pub fn commit(packed: &[Scalar], slots: usize) -> Result<Scalar, DataError> {
    if packed.len() > slots {
        return Err(DataError::TooMany {
            got: packed.len(),
            slots,
        });
    }
    let slot = |i: usize| packed.get(i).copied().unwrap_or(Scalar::ZERO);
    Ok((0..slots)
        .step_by(LINK)
        .fold(Scalar::from(slots as u64), |link, i| {
            poseidon::hash_data(&[link, slot(i), slot(i + 1), slot(i + 2)])
        }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn transfer(seed: u64) -> Transfer {
        Transfer {
            chain_id: 1,
            from: seed as u32,
            to: !(seed as u32),
            amount: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            fee: seed.rotate_left(17),
            nonce: seed,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn data_round_trip_through_the_packing(seeds in prop::collection::vec(any::<u64>(), 0..9)) {
            let transfers: Vec<_> = seeds.iter().map(|s| transfer(*s)).collect();
            let packed: Vec<_> = transfers.iter().map(Transfer::pack).collect();
            prop_assert_eq!(decode_data(&encode_data(&transfers)), Ok(packed));
        }
    }

    #[test]
    fn commitment_depends_on_order_count_and_slots() {
        let (a, b) = (transfer(1).pack(), transfer(2).pack());
        let commitments = [
            commit(&[a, b], 2).unwrap(),
            commit(&[b, a], 2).unwrap(),
            commit(&[a, b], 3).unwrap(),
            commit(&[a, b], 4).unwrap(),
            commit(&[a], 2).unwrap(),
            commit(&[], 2).unwrap(),
        ];
        for (i, x) in commitments.iter().enumerate() {
            assert!(!commitments[..i].contains(x));
        }
    }

    #[test]
    fn truncated_and_oversized_data_are_refused() {
        let data = encode_data(&[transfer(1), transfer(2)]);
        assert_eq!(decode_data(&data[1..]), Err(DataError::Length { got: 47 }));
        let packed = decode_data(&data).unwrap();
        assert_eq!(
            commit(&packed, 1),
            Err(DataError::TooMany { got: 2, slots: 1 })
        );
    }
}
