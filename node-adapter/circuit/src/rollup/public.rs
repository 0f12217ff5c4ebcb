//! Public inputs from a witness, natively: the vectors H and B, their commitments and
//! their values.
//!
//! Follows the witness, not the rules: a forged witness gets the inputs under which
//! only the rules stand in its way. Called by `builder` and by the soundness tests.

use blstrs::Scalar;
use ff::Field;

use super::witness::{OpWitness, Witness};
use carillon_protocol::crypto::poseidon::commit;
use carillon_protocol::layout::{
    AMOUNT_MANTISSA_BITS, EXPONENT_BITS, FEE_MANTISSA_BITS, KIND_BITS, TOKEN_BITS, slot,
};
use carillon_protocol::{ACCOUNT_BITS, evaluate_blob};

/// What the contract supplies, in its order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublicInputs {
    /// Commitment to H.
    pub header_commitment: Scalar,
    /// Commitment to B.
    pub blob_commitment: Scalar,
    /// The challenge point.
    pub z: Scalar,
    /// H at z.
    pub header_value: Scalar,
    /// The blob at z.
    pub blob_value: Scalar,
}

impl PublicInputs {
    /// The inputs that belong to a witness and a challenge point.
    pub fn of(witness: &Witness, z: Scalar) -> Self {
        let (header, blob) = (witness.header_vector(), witness.blob_vector());
        Self {
            header_commitment: commit(&header),
            blob_commitment: commit(&blob),
            z,
            header_value: header
                .iter()
                .rev()
                .fold(Scalar::ZERO, |sum, word| sum * z + word),
            blob_value: evaluate_blob(&blob, z),
        }
    }

    /// The five inputs in the contract's order.
    pub fn to_array(&self) -> [Scalar; 5] {
        [
            self.header_commitment,
            self.blob_commitment,
            self.z,
            self.header_value,
            self.blob_value,
        ]
    }
}

impl Witness {
    /// The header vector H, with space for all records of the shape.
    pub fn header_vector(&self) -> Vec<Scalar> {
        let count = self.ops.iter().filter(|op| op.kind >= 2).count();
        let mut words = vec![from_words([
            self.domain.number() as u64,
            (self.domain.number() >> 64) as u64,
            self.batch_number,
            u64::from(self.operator) | (count as u64) << 32,
        ])];
        words.extend(self.roots);
        words.extend(self.records.iter().flat_map(|record| record.words));
        words
    }

    /// The vector B: two slots a word.
    pub fn blob_vector(&self) -> Vec<Scalar> {
        let pair = |ops: &[OpWitness]| {
            let [low, high] = [0, 1].map(|i| ops.get(i).map_or(0, OpWitness::pack));
            from_words([
                low as u64,
                (low >> 64) as u64,
                high as u64,
                (high >> 64) as u64,
            ])
        };
        self.ops.chunks(2).map(pair).collect()
    }
}

impl OpWitness {
    /// The slot's bits. What does not fit its field is cut off, as in the circuit.
    pub fn pack(&self) -> u128 {
        [
            (u128::from(self.kind), 0, KIND_BITS),
            (u128::from(self.from), slot::FROM, ACCOUNT_BITS),
            (u128::from(self.to), slot::TO, ACCOUNT_BITS),
            (u128::from(self.token), slot::TOKEN, TOKEN_BITS),
            (
                u128::from(self.mantissa),
                slot::AMOUNT,
                AMOUNT_MANTISSA_BITS,
            ),
            (
                u128::from(self.exponent),
                slot::AMOUNT_EXPONENT,
                EXPONENT_BITS,
            ),
            (u128::from(self.fee_mantissa), slot::FEE, FEE_MANTISSA_BITS),
            (
                u128::from(self.fee_exponent),
                slot::FEE_EXPONENT,
                EXPONENT_BITS,
            ),
        ]
        .into_iter()
        .fold(0, |sum, (field, position, bits)| {
            sum | (field & ((1 << bits) - 1)) << position
        })
    }
}

/// A number below 2^254 from 64-bit words, least significant first.
fn from_words(words: [u64; 4]) -> Scalar {
    Option::from(Scalar::from_u64s_le(&words)).unwrap_or(Scalar::ZERO)
}
