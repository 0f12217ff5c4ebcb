//! The four public inputs of a batch proof, in the order of the circuit and the contract.

use blstrs::Scalar;
use serde::{Deserialize, Serialize};

/// Public inputs of a batch proof. The contract supplies the first three from its
/// own storage and constants, so a proof holds for one chain, one batch number and
/// one previous state only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicInputs {
    /// State root before the batch.
    pub old_root: Scalar,
    /// State root after the batch.
    pub new_root: Scalar,
    /// `chain_id * 2^64 + batch_number`, see [`PublicInputs::header`].
    pub header: Scalar,
    /// Commitment to the packed transfers, see [`super::commit`].
    pub data_commitment: Scalar,
}

impl PublicInputs {
    /// The header element: chain id in bits 64..128, batch number in bits 0..64.
    pub fn header(chain_id: u64, batch_number: u64) -> Scalar {
        // 128 bits are always below the modulus.
        Option::from(Scalar::from_u64s_le(&[batch_number, chain_id, 0, 0])).unwrap_or_default()
    }

    /// The inputs in circuit order: old root, new root, header, data commitment.
    pub fn to_array(&self) -> [Scalar; 4] {
        [
            self.old_root,
            self.new_root,
            self.header,
            self.data_commitment,
        ]
    }

    /// The inputs as big-endian 256-bit words, as the contract takes them.
    pub fn to_words(&self) -> [[u8; 32]; 4] {
        self.to_array().map(|input| input.to_bytes_be())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_big_endian_and_in_order() {
        let inputs = PublicInputs {
            old_root: Scalar::from(1),
            new_root: Scalar::from(2),
            header: PublicInputs::header(3, 4),
            data_commitment: Scalar::from(5),
        };
        let words = inputs.to_words();
        assert_eq!([words[0][31], words[1][31], words[3][31]], [1, 2, 5]);
        assert_eq!((words[2][23], words[2][31]), (3, 4));
        assert_eq!(words[2].iter().map(|b| u32::from(*b)).sum::<u32>(), 7);
    }
}
