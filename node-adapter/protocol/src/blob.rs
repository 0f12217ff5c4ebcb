//! The blob as a polynomial, natively: EIP-4844's domain and evaluation.
//!
//! A blob is a polynomial of degree below 4,096 by its values at the 4,096-th roots of
//! unity, in bit-reversed order (<https://eips.ethereum.org/EIPS/eip-4844>, consensus
//! specification "polynomial-commitments"). Called by `carillon-circuit`, whose public
//! inputs hold the value, and by `carillon-node`.

use std::sync::LazyLock;

use blstrs::Scalar;
use ff::{BatchInvert, Field, PrimeField};

use super::BLOB_ELEMENTS as ELEMENTS;

/// The point of each element of a blob.
pub static BLOB_POINTS: LazyLock<Vec<Scalar>> = LazyLock::new(|| {
    let bits = ELEMENTS.ilog2();
    // The field's root of unity has order 2^S.
    let root = Scalar::ROOT_OF_UNITY.pow_vartime([1u64 << (Scalar::S - bits)]);
    let reversed = |i: usize| i.reverse_bits() >> (usize::BITS - bits);
    (0..ELEMENTS)
        .map(|i| root.pow_vartime([reversed(i) as u64]))
        .collect()
});

/// The value at `z` of the blob that starts with `elements` and goes on with zeros.
pub fn evaluate_blob(elements: &[Scalar], z: Scalar) -> Scalar {
    if let Some(i) = BLOB_POINTS.iter().position(|point| *point == z) {
        return elements.get(i).copied().unwrap_or(Scalar::ZERO);
    }
    let points = BLOB_POINTS.iter().take(elements.len());
    let mut inverses: Vec<Scalar> = points.map(|point| z - point).collect();
    inverses.iter_mut().batch_invert();
    let shares = elements.iter().zip(BLOB_POINTS.iter().zip(&inverses));
    let sum = shares.fold(Scalar::ZERO, |sum, (element, (point, inverse))| {
        sum + *element * point * inverse
    });
    let size: Option<Scalar> = Scalar::from(ELEMENTS as u64).invert().into();
    sum * (z.pow_vartime([ELEMENTS as u64]) - Scalar::ONE) * size.unwrap_or(Scalar::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_the_roots_of_unity_bit_reversed() {
        assert_eq!(BLOB_POINTS.len(), ELEMENTS);
        let primitive = BLOB_POINTS[1 << 11];
        assert_eq!(primitive.pow_vartime([4096u64]), Scalar::ONE);
        assert_eq!(primitive.pow_vartime([2048u64]), -Scalar::ONE);
        assert_eq!(
            (BLOB_POINTS[0], BLOB_POINTS[1]),
            (Scalar::ONE, -Scalar::ONE)
        );
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
        let elements: Vec<Scalar> = BLOB_POINTS
            .iter()
            .map(|point| point.pow_vartime([5u64]))
            .collect();
        for z in [Scalar::from(12_345), Scalar::ZERO, -Scalar::from(3)] {
            assert_eq!(evaluate_blob(&elements, z), z.pow_vartime([5u64]));
        }
        assert_eq!(evaluate_blob(&elements, BLOB_POINTS[77]), elements[77]);
        assert_eq!(evaluate_blob(&elements[..3], BLOB_POINTS[77]), Scalar::ZERO);
    }
}
