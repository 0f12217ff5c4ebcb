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

    /// Decodes [`Proof::to_eip2537`], as strictly as [`Proof::from_bytes`].
    ///
    /// # Errors
    /// [`Groth16Error::ProofEncoding`].
    pub fn from_eip2537(bytes: &[u8]) -> Result<Self, Groth16Error> {
        let wrong = |reason: &str| Groth16Error::ProofEncoding {
            reason: reason.to_owned(),
        };
        let (words, rest) = bytes.as_chunks::<64>();
        let &[ax, ay, b0, b1, b2, b3, cx, cy] = words else {
            return Err(wrong("a proof has 512 bytes in this encoding"));
        };
        if !rest.is_empty() {
            return Err(wrong("a proof has 512 bytes in this encoding"));
        }
        // Each coordinate is 48 bytes behind 16 zeros; blst takes c1 of a coordinate in Fp2 first.
        let g1 = |x: &[u8; 64], y: &[u8; 64]| {
            let bytes = coordinates::<96>(&[x, y])?;
            Option::<G1Affine>::from(G1Affine::from_uncompressed(&bytes))
        };
        let g2 = |c: [&[u8; 64]; 4]| {
            let bytes = coordinates::<192>(&[c[1], c[0], c[3], c[2]])?;
            Option::<G2Affine>::from(G2Affine::from_uncompressed(&bytes))
        };
        let proof = (|| {
            Some(Self {
                a: g1(&ax, &ay)?,
                b: g2([&b0, &b1, &b2, &b3])?,
                c: g1(&cx, &cy)?,
            })
        })();
        let proof = proof.ok_or_else(|| {
            wrong("a coordinate is not canonical, or a point is not in the group")
        })?;
        // The other encoding refuses infinity, too.
        Self::from_bytes(&proof.to_bytes())
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

/// Coordinates without their 16 zeros; none if there is something else.
fn coordinates<const N: usize>(words: &[&[u8; 64]]) -> Option<[u8; N]> {
    let mut out = [0; N];
    for (place, word) in out.chunks_exact_mut(48).zip(words) {
        let (zeros, coordinate) = word.split_first_chunk::<16>()?;
        if *zeros != [0; 16] {
            return None;
        }
        place.copy_from_slice(coordinate);
    }
    // The encoding's flags are in bits that a coordinate below the modulus leaves zero.
    (out.first()? & 0xe0 == 0).then_some(out)
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
            prop_assert_eq!(&Proof::from_eip2537(&proof.to_eip2537()).unwrap(), &proof);
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

        let good = proof(3, 5, 7).to_eip2537();
        assert!(Proof::from_eip2537(&good[..511]).is_err());
        assert!(Proof::from_eip2537(&[good.as_slice(), &[0; 64]].concat()).is_err());
        for wrong in [0, 16, 127, 128, 144, 511] {
            let mut changed = good;
            changed[wrong] ^= 0x80;
            assert!(Proof::from_eip2537(&changed).is_err(), "{wrong}");
        }
        let mut infinity = good;
        infinity[384..].fill(0);
        assert!(Proof::from_eip2537(&infinity).is_err());
    }
}
