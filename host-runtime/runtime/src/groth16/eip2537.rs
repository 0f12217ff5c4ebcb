//! Encodings of points and scalars for Ethereum's BLS12-381 precompiles (EIP-2537).
//!
//! A base field element is 64 bytes: 16 zero bytes, then 48 bytes big-endian. G1 is x, y; G2 is
//! x.c0, x.c1, y.c0, y.c1 (blst's own encoding has c1 first). Infinity is all zeros.

use blstrs::{G1Affine, G2Affine, Scalar};
use group::prime::PrimeCurveAffine;

/// Bytes of an encoded G1 point.
pub const G1_BYTES: usize = 128;
/// Bytes of an encoded G2 point.
pub const G2_BYTES: usize = 256;

/// Bytes of a base field element in the precompiles' encoding, and in the uncompressed one.
const PADDED: usize = 64;
const FP: usize = 48;

/// Copies base field elements of the uncompressed encoding, picked by position, with padding.
fn pad<const N: usize, const M: usize>(uncompressed: &[u8], order: [usize; M]) -> [u8; N] {
    let mut out = [0; N];
    for (out, position) in out.chunks_exact_mut(PADDED).zip(order) {
        out[PADDED - FP..].copy_from_slice(&uncompressed[position * FP..][..FP]);
    }
    out
}

/// A G1 point as the precompiles read it.
pub fn g1(point: &G1Affine) -> [u8; G1_BYTES] {
    if bool::from(point.is_identity()) {
        return [0; G1_BYTES];
    }
    pad(point.to_uncompressed().as_ref(), [0, 1])
}

/// A G2 point as the precompiles read it.
pub fn g2(point: &G2Affine) -> [u8; G2_BYTES] {
    if bool::from(point.is_identity()) {
        return [0; G2_BYTES];
    }
    // The uncompressed encoding is x.c1, x.c0, y.c1, y.c0.
    pad(point.to_uncompressed().as_ref(), [1, 0, 3, 2])
}

/// A scalar as a 32-byte big-endian word, the form of a Solidity `uint256`.
pub fn scalar(value: &Scalar) -> [u8; 32] {
    value.to_bytes_be()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generators_match_the_eip() {
        // Generators as listed in EIP-2537, "Curve parameters".
        let encoded = g1(&G1Affine::generator());
        assert_eq!(
            hex::encode(&encoded[..64]),
            "00000000000000000000000000000000\
             17f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac58\
             6c55e83ff97a1aeffb3af00adb22c6bb"
        );
        let encoded = g2(&G2Affine::generator());
        assert_eq!(
            hex::encode(&encoded[..64]),
            "00000000000000000000000000000000\
             024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d177\
             0bac0326a805bbefd48056c8c121bdb8"
        );
    }

    #[test]
    fn infinity_is_all_zeros() {
        assert_eq!(g1(&G1Affine::identity()), [0; G1_BYTES]);
        assert_eq!(g2(&G2Affine::identity()), [0; G2_BYTES]);
    }

    #[test]
    fn scalars_are_big_endian() {
        let mut one = [0; 32];
        one[31] = 1;
        assert_eq!(scalar(&Scalar::from(1)), one);
    }
}
