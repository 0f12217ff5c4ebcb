//! Scalars as they lie in card memory: Montgomery form, 32 bytes, little-endian.

use blst::blst_fr;
use blstrs::Scalar;
use ff::{Field, PrimeField};
use rand::{Rng, RngCore};

/// Bytes of an element.
pub const BYTES: usize = 32;

/// r, little-endian: the smallest image that is no element.
pub const MODULUS: [u8; BYTES] = [
    0x01, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xfe, 0x5b, 0xfe, 0xff, 0x02, 0xa4, 0xbd, 0x53,
    0x05, 0xd8, 0xa1, 0x09, 0x08, 0xd8, 0x39, 0x33, 0x48, 0x7d, 0x9d, 0x29, 0x53, 0xa7, 0xed, 0x73,
];

/// The images of `scalars`, one after another.
#[must_use]
pub fn to_image(scalars: &[Scalar]) -> Vec<u8> {
    scalars
        .iter()
        .flat_map(|scalar| blst_fr::from(*scalar).l)
        .flat_map(u64::to_le_bytes)
        .collect()
}

/// The scalars in `image`; panics if one is not below r.
#[must_use]
pub fn from_image(image: &[u8]) -> Vec<Scalar> {
    image
        .chunks_exact(BYTES)
        .map(|bytes| Scalar::from(crate::field::Fr::from_port(bytes).0))
        .collect()
}

/// `count` scalars, with 0, 1 and -1 among the random ones.
pub fn random(rng: &mut impl RngCore, count: usize) -> Vec<Scalar> {
    (0..count)
        .map(|_| match rng.gen_range(0..8) {
            0 => Scalar::ZERO,
            1 => Scalar::ONE,
            2 => -Scalar::ONE,
            _ => Scalar::random(&mut *rng),
        })
        .collect()
}

/// out_k = sum of in_j (g w^k)^j by Horner's rule, w = blstrs' root of unity of order n, g = 7 on the
/// coset: the contract's definition and nothing faster.
#[must_use]
pub fn naive_ntt(coefficients: &[Scalar], coset: bool) -> Vec<Scalar> {
    let log2n = coefficients.len().trailing_zeros();
    let root = (log2n..Scalar::S).fold(Scalar::ROOT_OF_UNITY, |root, _| root.square());
    let mut point = if coset {
        Scalar::MULTIPLICATIVE_GENERATOR
    } else {
        Scalar::ONE
    };
    coefficients
        .iter()
        .map(|_| {
            let value = coefficients
                .iter()
                .rev()
                .fold(Scalar::ZERO, |sum, coefficient| sum * point + coefficient);
            point *= root;
            value
        })
        .collect()
}
