//! The images that go to a card and come back from it: scalars, points of either group, sums.
#![allow(unsafe_code)]

use blst::{blst_fp, blst_fp2, blst_fr, blst_p1, blst_p2};
use blstrs::{G1Affine, G1Projective, G2Affine, G2Projective, Scalar};
use carillon_driver::command::{FP_BYTES, Group};
use ff::Field;
use group::prime::{PrimeCurve, PrimeCurveAffine};
use rand::Rng;
use rand_chacha::ChaCha20Rng;

/// Bytes of an element of the base field.
const FP: usize = FP_BYTES as usize;

/// A group of BLS12-381 that cases are made in.
pub trait Curve: PrimeCurve<Scalar = Scalar> {
    /// Which one it is.
    const GROUP: Group;

    /// Coordinates of a point as elements of the base field, all 0 for infinity.
    fn coordinates(point: &Self::Affine) -> Vec<[u64; 6]>;

    /// The point X/Z, Y/Z of such coordinates; `None` if it is not on the curve.
    fn from_homogeneous(coordinates: &[[u64; 6]]) -> Option<Self>;

    /// A random point of the curve, mostly outside the subgroup of order r; `None` if the
    /// coordinate drawn is none of the curve's.
    fn draw(rng: &mut ChaCha20Rng) -> Option<Self::Affine>;

    /// Whether the point has order r.
    fn in_subgroup(point: &Self::Affine) -> bool;
}

/// A random x coordinate as the encodings of blst begin: compressed, any sign, below p.
fn random_x<const N: usize>(rng: &mut ChaCha20Rng) -> [u8; N] {
    let mut compressed: [u8; N] = std::array::from_fn(|_| rng.r#gen());
    compressed[0] = 0x80 | compressed[0] & 0x2f;
    // The second part of an x in Fp2.
    if let Some(first) = compressed.get_mut(FP) {
        *first &= 0x0f;
    }
    compressed
}

impl Curve for G1Projective {
    const GROUP: Group = Group::G1;

    fn coordinates(point: &G1Affine) -> Vec<[u64; 6]> {
        let raw = point.as_ref();
        vec![raw.x.l, raw.y.l]
    }

    fn from_homogeneous(coordinates: &[[u64; 6]]) -> Option<Self> {
        let [x, y, z] = *coordinates else { return None };
        let [x, y, z] = [x, y, z].map(|l| blst_fp { l });
        let mul = |a: &blst_fp, b: &blst_fp| {
            let mut out = blst_fp::default();
            // SAFETY: valid references; blst writes only `out`.
            unsafe { blst::blst_fp_mul(&mut out, a, b) };
            out
        };
        // x = X/Z = XZ/Z^2, y = Y/Z = YZ^2/Z^3: Jacobian coordinates.
        let point = blst_p1 {
            x: mul(&x, &z),
            y: mul(&y, &mul(&z, &z)),
            z,
        };
        let mut bytes = [0; 2 * FP];
        // SAFETY: a valid point value; blst writes 96 bytes.
        unsafe { blst::blst_p1_serialize(bytes.as_mut_ptr(), &point) };
        Option::<G1Affine>::from(G1Affine::from_uncompressed_unchecked(&bytes))
            .filter(|p| p.is_on_curve().into())
            .map(|p| p.to_curve())
    }

    fn draw(rng: &mut ChaCha20Rng) -> Option<G1Affine> {
        G1Affine::from_compressed_unchecked(&random_x::<FP>(rng)).into()
    }

    fn in_subgroup(point: &G1Affine) -> bool {
        point.is_torsion_free().into()
    }
}

impl Curve for G2Projective {
    const GROUP: Group = Group::G2;

    fn coordinates(point: &G2Affine) -> Vec<[u64; 6]> {
        let raw = point.as_ref();
        [raw.x.fp, raw.y.fp]
            .concat()
            .iter()
            .map(|fp| fp.l)
            .collect()
    }

    fn from_homogeneous(coordinates: &[[u64; 6]]) -> Option<Self> {
        let mut pairs = coordinates.chunks_exact(2).map(|pair| blst_fp2 {
            fp: [blst_fp { l: pair[0] }, blst_fp { l: pair[1] }],
        });
        let (x, y, z) = (pairs.next()?, pairs.next()?, pairs.next()?);
        let mul = |a: &blst_fp2, b: &blst_fp2| {
            let mut out = blst_fp2::default();
            // SAFETY: valid references; blst writes only `out`.
            unsafe { blst::blst_fp2_mul(&mut out, a, b) };
            out
        };
        let point = blst_p2 {
            x: mul(&x, &z),
            y: mul(&y, &mul(&z, &z)),
            z,
        };
        let mut bytes = [0; 4 * FP];
        // SAFETY: a valid point value; blst writes 192 bytes.
        unsafe { blst::blst_p2_serialize(bytes.as_mut_ptr(), &point) };
        Option::<G2Affine>::from(G2Affine::from_uncompressed_unchecked(&bytes))
            .filter(|p| p.is_on_curve().into())
            .map(|p| p.to_curve())
    }

    fn draw(rng: &mut ChaCha20Rng) -> Option<G2Affine> {
        G2Affine::from_compressed_unchecked(&random_x::<{ 2 * FP }>(rng)).into()
    }

    fn in_subgroup(point: &G2Affine) -> bool {
        point.is_torsion_free().into()
    }
}

/// The card's images of scalars: 32 bytes each.
pub fn scalar_images(scalars: &[Scalar]) -> Vec<u8> {
    let image = |s: &Scalar| blst_fr::from(*s).l.map(u64::to_le_bytes);
    scalars.iter().flat_map(image).flatten().collect()
}

/// The scalars of images; `None` if one is not below r.
pub fn read_scalars(images: &[u8]) -> Option<Vec<Scalar>> {
    let modulus = limbs::<4>(&(-Scalar::ONE).to_bytes_le());
    let read = |image: &[u8]| {
        let l: [u64; 4] = limbs(image);
        // At most r - 1.
        let canonical = l.iter().rev().le(modulus.iter().rev());
        canonical.then(|| Scalar::from(blst_fr { l }))
    };
    images.chunks_exact(32).map(read).collect()
}

/// The card's images of affine points: 96 bytes each in G1, 192 in G2, zeros for infinity.
pub fn base_images<P: PrimeCurveAffine>(bases: &[P]) -> Vec<u8>
where
    P::Curve: Curve + PrimeCurve<Affine = P>,
{
    let coordinates = bases.iter().flat_map(P::Curve::coordinates);
    coordinates.flatten().flat_map(u64::to_le_bytes).collect()
}

fn limbs<const N: usize>(image: &[u8]) -> [u64; N] {
    let mut out = [0; N];
    for (limb, chunk) in out.iter_mut().zip(image.chunks_exact(8)) {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(chunk);
        *limb = u64::from_le_bytes(bytes);
    }
    out
}

/// The point of an MSM's result: homogeneous X, Y, Z images. `None` if it is no
/// point of the subgroup, or the padding is not zero.
pub fn read_result<C: Curve>(result: &[u8]) -> Option<C> {
    read_point(result).filter(|p: &C| C::in_subgroup(&p.to_affine()))
}

/// The same for any point of the curve.
pub fn read_point<C: Curve>(result: &[u8]) -> Option<C> {
    let sum = C::GROUP.sum_bytes() as usize;
    if result.len() as u64 != C::GROUP.result_bytes() || result[sum..].iter().any(|&b| b != 0) {
        return None;
    }
    let coordinates: Vec<_> = result[..sum].chunks_exact(FP).map(limbs).collect();
    C::from_homogeneous(&coordinates)
}

#[cfg(test)]
mod tests {
    use super::super::{BasePattern, ScalarPattern, msm_case, msm_case_in};
    use super::*;
    use group::{Curve as _, Group as _};
    use rand::SeedableRng;

    #[test]
    fn images_survive_the_trip() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let scalars = ScalarPattern::Witness.draw(50, &mut rng);
        assert_eq!(read_scalars(&scalar_images(&scalars)).unwrap(), scalars);
        assert_eq!(read_scalars(&[0xff; 32]), None);
        // One in Montgomery form is 2^256 mod r.
        assert_eq!(
            scalar_images(&[Scalar::ONE])[..8],
            0x1_ffff_fffe_u64.to_le_bytes()
        );
        let case = msm_case(3, BasePattern::SomeInfinity, ScalarPattern::Random, 3);
        assert_eq!(base_images(&case.bases)[96..192], [0; 96]);
        let case =
            msm_case_in::<G2Projective>(3, BasePattern::SomeInfinity, ScalarPattern::Random, 3);
        assert_eq!(base_images(&case.bases)[192..384], [0; 192]);
    }

    #[test]
    fn results_are_read_as_points_whatever_their_representative() {
        let p = (G1Projective::generator() * Scalar::from(5)).to_affine();
        let one = limbs::<6>(&base_images(&[p])[..48]); // any factor: x itself
        let factor = blst_fp { l: one };
        let times = |l: [u64; 6]| {
            let mut out = blst_fp::default();
            // SAFETY: valid references.
            unsafe { blst::blst_fp_mul(&mut out, &blst_fp { l }, &factor) };
            out.l
        };
        let raw = p.as_ref();
        let mut result = Vec::new();
        for l in [times(raw.x.l), times(raw.y.l), one] {
            result.extend(l.into_iter().flat_map(u64::to_le_bytes));
        }
        result.resize(192, 0);
        assert_eq!(read_result(&result), Some(p.to_curve()));
        let mut bad = result.clone();
        bad[0] ^= 1;
        assert_eq!(read_result::<G1Projective>(&bad), None, "off the curve");
        result[191] = 1;
        assert_eq!(read_result::<G1Projective>(&result), None, "padding");
        let mut infinity = vec![0; 192];
        infinity[48] = 1;
        assert_eq!(read_result(&infinity), Some(G1Projective::identity()));
    }

    #[test]
    fn results_in_g2_are_read_as_points_whatever_their_representative() {
        let p = (G2Projective::generator() * Scalar::from(5)).to_affine();
        let coordinates = G2Projective::coordinates(&p);
        let of = |at: usize| blst_fp2 {
            fp: [0, 1].map(|part| blst_fp {
                l: coordinates[at + part],
            }),
        };
        let factor = of(0); // any factor: x itself
        let times = |value: blst_fp2| {
            let mut out = blst_fp2::default();
            // SAFETY: valid references.
            unsafe { blst::blst_fp2_mul(&mut out, &value, &factor) };
            out
        };
        let mut result: Vec<u8> = [times(of(0)), times(of(2)), factor]
            .iter()
            .flat_map(|value| value.fp)
            .flat_map(|fp| fp.l)
            .flat_map(u64::to_le_bytes)
            .collect();
        result.resize(320, 0);
        assert_eq!(read_result(&result), Some(p.to_curve()));
        let mut bad = result.clone();
        bad[0] ^= 1;
        assert_eq!(read_result::<G2Projective>(&bad), None, "off the curve");
        result[319] = 1;
        assert_eq!(read_result::<G2Projective>(&result), None, "padding");
        let mut infinity = vec![0; 320];
        infinity[96] = 1;
        assert_eq!(read_result(&infinity), Some(G2Projective::identity()));
        assert_eq!(read_result::<G2Projective>(&infinity[..192]), None);
    }
}
