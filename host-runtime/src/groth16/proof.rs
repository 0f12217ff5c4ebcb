//! A Groth16 proof and its encodings.

use blstrs::{G1Affine, G2Affine};
use group::GroupEncoding;
use group::prime::PrimeCurveAffine;

use super::{Groth16Error, eip2537};

/// Bytes of an encoded proof: A (48), B (96), C (48), compressed.
pub const PROOF_BYTES: usize = 192;

/// A Groth16 proof: three points, 192 bytes compressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The point A in G1.
    pub a: G1Affine,
    /// The point B in G2.
    pub b: G2Affine,
    /// The point C in G1.
    pub c: G1Affine,
}

impl Proof {
    /// The compressed encoding (the ZCash BLS12-381 point format, as bellman writes it).
    pub fn to_bytes(&self) -> [u8; PROOF_BYTES] {
        let mut out = [0; PROOF_BYTES];
        out[..48].copy_from_slice(self.a.to_bytes().as_ref());
        out[48..144].copy_from_slice(self.b.to_bytes().as_ref());
        out[144..].copy_from_slice(self.c.to_bytes().as_ref());
        out
    }

    /// Decodes [`Proof::to_bytes`]. Refuses wrong lengths, non-canonical encodings, points off
    /// the curve or outside the subgroup of order r, and infinity.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Groth16Error> {
        if bytes.len() != PROOF_BYTES {
            let reason = format!("{} bytes given, a proof has {PROOF_BYTES}", bytes.len());
            return Err(Groth16Error::ProofEncoding { reason });
        }
        Ok(Self {
            a: point("A", &bytes[..48])?,
            b: point("B", &bytes[48..144])?,
            c: point("C", &bytes[144..])?,
        })
    }

    /// A, B, C for the EIP-2537 precompiles: 128 + 256 + 128 bytes.
    pub fn to_eip2537(&self) -> [u8; 512] {
        let mut out = [0; 512];
        out[..128].copy_from_slice(&eip2537::g1(&self.a));
        out[128..384].copy_from_slice(&eip2537::g2(&self.b));
        out[384..].copy_from_slice(&eip2537::g1(&self.c));
        out
    }
}

fn point<P: GroupEncoding + PrimeCurveAffine>(name: &str, bytes: &[u8]) -> Result<P, Groth16Error> {
    let mut encoded = P::Repr::default();
    encoded.as_mut().copy_from_slice(bytes);
    match Option::<P>::from(P::from_bytes(&encoded)) {
        Some(point) if bool::from(point.is_identity()) => Err(Groth16Error::ProofEncoding {
            reason: format!("point {name} is the point at infinity"),
        }),
        Some(point) => Ok(point),
        None => Err(Groth16Error::ProofEncoding {
            reason: format!(
                "point {name} is not a canonical compressed point of the subgroup of order r"
            ),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use blstrs::{G1Projective, G2Projective, Scalar};
    use group::{Curve, Group};
    use proptest::prelude::*;

    fn proof(a: u64, b: u64, c: u64) -> Proof {
        let g1 = |k: u64| (G1Projective::generator() * Scalar::from(k)).to_affine();
        let b = (G2Projective::generator() * Scalar::from(b)).to_affine();
        Proof {
            a: g1(a),
            b,
            c: g1(c),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn bytes_round_trip(a in 1u64.., b in 1u64.., c in 1u64..) {
            let proof = proof(a, b, c);
            prop_assert_eq!(&Proof::from_bytes(&proof.to_bytes()).unwrap(), &proof);
        }

        #[test]
        fn changed_bytes_never_decode_to_the_same_proof(at in 0usize..PROOF_BYTES, flip in 1u8..) {
            let proof = proof(3, 5, 7);
            let mut bytes = proof.to_bytes();
            bytes[at] ^= flip;
            if let Ok(other) = Proof::from_bytes(&bytes) {
                prop_assert_ne!(other, proof);
            }
        }
    }

    #[test]
    fn wrong_proofs_are_refused() {
        let good = proof(3, 5, 7).to_bytes();
        let reason = |bytes: &[u8]| Proof::from_bytes(bytes).unwrap_err().to_string();
        assert!(reason(&good[..191]).contains("191 bytes"));
        let mut infinity = good;
        infinity[144..].fill(0);
        infinity[144] = 0xc0;
        assert!(reason(&infinity).contains("point C is the point at infinity"));
        let small = crate::image::outside_subgroup();
        let mut outside = good;
        outside[..48].copy_from_slice(small.to_bytes().as_ref());
        assert!(reason(&outside).contains("point A"));
    }
}
