//! The blob as a polynomial, natively: EIP-4844's domain and evaluation.
//!
//! A blob is a polynomial of degree below 4,096 by its values at the 4,096-th roots of
//! unity, in bit-reversed order (<https://eips.ethereum.org/EIPS/eip-4844>, consensus
//! specification "polynomial-commitments"). Called by `data`, its twin in the circuit,
//! and by `public`.

use std::sync::LazyLock;

use blstrs::Scalar;
use ff::{Field, PrimeField};

use crate::protocol::BLOB_ELEMENTS;

/// Elements of a blob.
pub(super) const ELEMENTS: usize = BLOB_ELEMENTS;

/// The point of each element.
pub(super) static POINTS: LazyLock<Vec<Scalar>> = LazyLock::new(|| {
    let bits = ELEMENTS.ilog2();
    // The field's root of unity has order 2^S.
    let root = Scalar::ROOT_OF_UNITY.pow_vartime([1u64 << (Scalar::S - bits)]);
    let reversed = |i: usize| i.reverse_bits() >> (usize::BITS - bits);
    (0..ELEMENTS)
        .map(|i| root.pow_vartime([reversed(i) as u64]))
        .collect()
});

/// The value at `z` of the blob that starts with `elements` and goes on with zeros.
pub(super) fn evaluate(elements: &[Scalar], z: Scalar) -> Scalar {
    if let Some(i) = POINTS.iter().position(|point| *point == z) {
        return elements.get(i).copied().unwrap_or(Scalar::ZERO);
    }
    let share = |(element, point): (&Scalar, &Scalar)| {
        let inverse: Option<Scalar> = (z - point).invert().into();
        element * point * inverse.unwrap_or(Scalar::ZERO)
    };
    let shares = elements.iter().zip(POINTS.iter()).map(share);
    let sum = shares.fold(Scalar::ZERO, |sum, share| sum + share);
    let size: Option<Scalar> = Scalar::from(ELEMENTS as u64).invert().into();
    sum * (z.pow_vartime([ELEMENTS as u64]) - Scalar::ONE) * size.unwrap_or(Scalar::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_the_roots_of_unity_bit_reversed() {
        assert_eq!(POINTS.len(), ELEMENTS);
        let primitive = POINTS[1 << 11];
        assert_eq!(primitive.pow_vartime([4096u64]), Scalar::ONE);
        assert_eq!(primitive.pow_vartime([2048u64]), -Scalar::ONE);
        assert_eq!((POINTS[0], POINTS[1]), (Scalar::ONE, -Scalar::ONE));
        // The consensus specification's root: 7^((r - 1) / 4096).
        let exponent = (-Scalar::ONE).to_bytes_le();
        let mut words = [0u64; 4];
        for (word, bytes) in words.iter_mut().zip(exponent.chunks(8)) {
            *word = u64::from_le_bytes(bytes.try_into().unwrap());
        }
        let shifted: [u64; 4] =
            std::array::from_fn(|i| words[i] >> 12 | words.get(i + 1).map_or(0, |next| next << 52));
        assert_eq!(Scalar::from(7).pow_vartime(shifted), primitive);
    }

    #[test]
    fn values_are_those_of_the_polynomial() {
        // X^5 by its values: known everywhere.
        let elements: Vec<Scalar> = POINTS
            .iter()
            .map(|point| point.pow_vartime([5u64]))
            .collect();
        for z in [Scalar::from(12_345), Scalar::ZERO, -Scalar::from(3)] {
            assert_eq!(evaluate(&elements, z), z.pow_vartime([5u64]));
        }
        assert_eq!(evaluate(&elements, POINTS[77]), elements[77]);
        assert_eq!(evaluate(&elements[..3], POINTS[77]), Scalar::ZERO);
    }
}
