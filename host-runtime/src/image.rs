//! Memory images of field elements and points.
//!
//! A Carillon card and blst use the same images: Montgomery form, little-endian limbs, affine
//! points as x then y with all zeros for infinity (`hdl/doc/contract.md`). This module views
//! typed slices as bytes and back without a copy, and checks raw images that come from outside.
//! It is the only place of this room, beside the file mapping in `keys`, that uses `unsafe`.
#![allow(unsafe_code)]

use blst::{blst_fp, blst_fp_mul, blst_p1, blst_p1_affine, blst_p2, blst_p2_affine};
use blstrs::{G1Affine, G1Projective, G2Affine, G2Projective, Scalar};
use group::{Curve, Group};
use thiserror::Error;

/// Bytes of a scalar's image.
pub const SCALAR_BYTES: usize = 32;
/// Bytes of an affine G1 point's image.
pub const G1_BYTES: usize = 96;
/// Bytes of an affine G2 point's image.
pub const G2_BYTES: usize = 192;

/// The order r of the scalar field, little-endian limbs.
const R: [u64; 4] = [
    0xffff_ffff_0000_0001,
    0x53bd_a402_fffe_5bfe,
    0x3339_d808_09a1_d805,
    0x73ed_a753_299d_7d48,
];
/// The modulus p of the base field, little-endian limbs.
const P: [u64; 6] = [
    0xb9fe_ffff_ffff_aaab,
    0x1eab_fffe_b153_ffff,
    0x6730_d2a0_f6b0_f624,
    0x6477_4b84_f385_12bf,
    0x4b1b_a7b6_434b_acd7,
    0x1a01_11ea_397f_e69a,
];

/// A raw image that is not what it claims to be.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ImageError {
    /// The byte length is not a whole number of elements.
    #[error(
        "{bytes} bytes are not a whole number of {element}-byte elements; the input is cut off"
    )]
    Length {
        /// Length given.
        bytes: usize,
        /// Bytes per element.
        element: usize,
    },
    /// The memory is not aligned for 64-bit limbs.
    #[error(
        "the image must start at a multiple of 8 bytes in memory; copy it to an aligned buffer"
    )]
    Alignment,
    /// A scalar is not reduced.
    #[error("scalar {index} is >= r; reduce it modulo the BLS12-381 group order first")]
    ScalarRange {
        /// Index of the first such scalar.
        index: usize,
    },
    /// A coordinate is not reduced.
    #[error("point {index} has a coordinate >= p; it is not a BLS12-381 point image")]
    CoordinateRange {
        /// Index of the first such point.
        index: usize,
    },
    /// A point does not satisfy the curve equation.
    #[error("point {index} is not on the curve; the data is corrupt or of another curve")]
    OffCurve {
        /// Index of the first such point.
        index: usize,
    },
    /// A point is outside the subgroup of order r.
    #[error(
        "point {index} is on the curve but not in the subgroup of order r; do not use this data"
    )]
    Subgroup {
        /// Index of the first such point.
        index: usize,
    },
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for blstrs::Scalar {}
    impl Sealed for blstrs::G1Affine {}
    impl Sealed for blstrs::G2Affine {}
}

/// Types that are transparent wrappers of arrays of `u64` limbs: [`Scalar`], [`G1Affine`],
/// [`G2Affine`]. Every bit pattern is a valid value for Rust (though not a valid element).
pub trait Image: sealed::Sealed + Copy + Send + Sync + 'static {
    /// Size of one element in bytes.
    const BYTES: usize;
}
impl Image for Scalar {
    const BYTES: usize = SCALAR_BYTES;
}
impl Image for G1Affine {
    const BYTES: usize = G1_BYTES;
}
impl Image for G2Affine {
    const BYTES: usize = G2_BYTES;
}

const _: () = assert!(size_of::<Scalar>() == SCALAR_BYTES && align_of::<Scalar>() == 8);
const _: () = assert!(size_of::<G1Affine>() == G1_BYTES && align_of::<G1Affine>() == 8);
const _: () = assert!(size_of::<G2Affine>() == G2_BYTES && align_of::<G2Affine>() == 8);

/// The memory of `values` as it goes to a card or a file.
pub fn bytes<T: Image>(values: &[T]) -> &[u8] {
    // SAFETY: `Image` is sealed to types made of u64 limbs without padding (sizes asserted
    // above), so all bytes are initialised; the lifetime is that of `values`.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

/// The memory of `values`, to be overwritten with images that come back from a card.
pub fn bytes_mut<T: Image>(values: &mut [T]) -> &mut [u8] {
    // SAFETY: as in `bytes`; every bit pattern is a valid value of an `Image` type.
    unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast(), size_of_val(values)) }
}

/// Views raw memory as elements without checking their values.
pub fn view<T: Image>(raw: &[u8]) -> Result<&[T], ImageError> {
    if !raw.len().is_multiple_of(T::BYTES) {
        return Err(ImageError::Length {
            bytes: raw.len(),
            element: T::BYTES,
        });
    }
    if !raw.as_ptr().addr().is_multiple_of(align_of::<T>()) {
        return Err(ImageError::Alignment);
    }
    // SAFETY: alignment and length were checked; every bit pattern is a valid value of an
    // `Image` type; the lifetime is that of `raw`.
    Ok(unsafe { std::slice::from_raw_parts(raw.as_ptr().cast(), raw.len() / T::BYTES) })
}

/// G1 points as blst's own type, for its multi-scalar multiplication.
pub(crate) fn blst_g1(points: &[G1Affine]) -> &[blst_p1_affine] {
    // SAFETY: `G1Affine` is `repr(transparent)` over `blst_p1_affine`.
    unsafe { std::slice::from_raw_parts(points.as_ptr().cast(), points.len()) }
}

/// G2 points as blst's own type, for its multi-scalar multiplication.
pub(crate) fn blst_g2(points: &[G2Affine]) -> &[blst_p2_affine] {
    // SAFETY: `G2Affine` is `repr(transparent)` over `blst_p2_affine`.
    unsafe { std::slice::from_raw_parts(points.as_ptr().cast(), points.len()) }
}

/// A Jacobian blst G1 point as blstrs' type.
pub(crate) fn from_blst_g1(point: blst_p1) -> G1Projective {
    let mut out = G1Projective::identity();
    *out.as_mut() = point;
    out
}

/// A Jacobian blst G2 point as blstrs' type.
pub(crate) fn from_blst_g2(point: blst_p2) -> G2Projective {
    let mut out = G2Projective::identity();
    *out.as_mut() = point;
    out
}

/// The limbs of a scalar's Montgomery image.
fn limbs(scalar: &Scalar) -> [u64; 4] {
    blst::blst_fr::from(*scalar).l
}

/// `a < b` for little-endian limbs of equal count.
fn less(a: &[u64], b: &[u64]) -> bool {
    for (x, y) in a.iter().rev().zip(b.iter().rev()) {
        if x != y {
            return x < y;
        }
    }
    false
}

/// Refuses images of scalars >= r. (Safe Rust can build one with `Scalar::from(blst_fr)`.)
pub fn check_scalars(scalars: &[Scalar]) -> Result<(), ImageError> {
    match scalars.iter().position(|scalar| !less(&limbs(scalar), &R)) {
        Some(index) => Err(ImageError::ScalarRange { index }),
        None => Ok(()),
    }
}

/// Curve groups whose raw images can be checked.
pub trait PointImage: Image {
    /// Both coordinates are reduced.
    fn in_range(&self) -> bool;
    /// The curve equation holds; true for infinity.
    fn on_curve(&self) -> bool;
    /// The point is in the subgroup of order r; assumes it is on the curve.
    fn in_subgroup(&self) -> bool;
}

impl PointImage for G1Affine {
    fn in_range(&self) -> bool {
        let raw: &blst_p1_affine = self.as_ref();
        less(&raw.x.l, &P) && less(&raw.y.l, &P)
    }
    fn on_curve(&self) -> bool {
        self.is_on_curve().into()
    }
    fn in_subgroup(&self) -> bool {
        self.is_torsion_free().into()
    }
}

impl PointImage for G2Affine {
    fn in_range(&self) -> bool {
        let raw: &blst_p2_affine = self.as_ref();
        raw.x
            .fp
            .iter()
            .chain(&raw.y.fp)
            .all(|limb| less(&limb.l, &P))
    }
    fn on_curve(&self) -> bool {
        self.is_on_curve().into()
    }
    fn in_subgroup(&self) -> bool {
        self.is_torsion_free().into()
    }
}

/// Refuses images of points with a coordinate >= p. Cheap; says nothing about the curve.
pub fn check_coordinates<T: PointImage>(points: &[T]) -> Result<(), ImageError> {
    match points.iter().position(|point| !point.in_range()) {
        Some(index) => Err(ImageError::CoordinateRange { index }),
        None => Ok(()),
    }
}

/// Checks range, curve equation and, on request, the subgroup of every point, on all cores.
/// The lowest faulty index is reported.
pub fn check_points<T: PointImage>(points: &[T], subgroup: bool) -> Result<(), ImageError> {
    use rayon::prelude::*;
    let fault = points
        .par_iter()
        .enumerate()
        .find_map_first(|(index, point)| {
            if !point.in_range() {
                Some(ImageError::CoordinateRange { index })
            } else if !point.on_curve() {
                Some(ImageError::OffCurve { index })
            } else if subgroup && !point.in_subgroup() {
                Some(ImageError::Subgroup { index })
            } else {
                None
            }
        });
    fault.map_or(Ok(()), Err)
}

/// The affine point of a homogeneous projective image X, Y, Z (x = X/Z, y = Y/Z; Z = 0 is
/// infinity), 144 bytes, the form in which a card returns an MSM. The point is checked to lie on
/// the curve, since a card is not trusted.
pub fn g1_from_homogeneous(raw: &[u8]) -> Result<G1Affine, ImageError> {
    let Some((words, _)) = raw.get(..144).map(|raw| raw.as_chunks::<8>()) else {
        return Err(ImageError::Length {
            bytes: raw.len(),
            element: 144,
        });
    };
    let coordinate = |index: usize| {
        let mut fp = blst_fp::default();
        for (limb, word) in fp.l.iter_mut().zip(&words[6 * index..]) {
            *limb = u64::from_le_bytes(*word);
        }
        if less(&fp.l, &P) {
            Ok(fp)
        } else {
            Err(ImageError::CoordinateRange { index: 0 })
        }
    };
    let (x, y, z) = (coordinate(0)?, coordinate(1)?, coordinate(2)?);
    // The Jacobian form of the same point is (X Z, Y Z^2, Z).
    let jacobian = blst_p1 {
        x: product(&x, &z),
        y: product(&product(&y, &z), &z),
        z,
    };
    let point = from_blst_g1(jacobian).to_affine();
    if point.on_curve() {
        Ok(point)
    } else {
        Err(ImageError::OffCurve { index: 0 })
    }
}

fn product(a: &blst_fp, b: &blst_fp) -> blst_fp {
    let mut out = blst_fp::default();
    // SAFETY: three valid, initialised `blst_fp`; the output does not alias the inputs.
    unsafe { blst_fp_mul(&mut out, a, b) };
    out
}

/// A point of the curve outside the subgroup of order r: the first with a small x coordinate.
#[cfg(test)]
pub(crate) fn outside_subgroup() -> G1Affine {
    let mut encoded = [0; 48];
    encoded[0] = 0x80;
    let candidates = (1..=u8::MAX).filter_map(|x| {
        encoded[47] = x;
        Option::<G1Affine>::from(G1Affine::from_compressed_unchecked(&encoded))
    });
    candidates
        .into_iter()
        .find(|point| !point.in_subgroup())
        .unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ff::Field;

    #[test]
    fn views_round_trip() {
        let scalars = [Scalar::ONE, -Scalar::ONE, Scalar::from(7)];
        assert_eq!(view::<Scalar>(bytes(&scalars)), Ok(&scalars[..]));
        let mut copy = [Scalar::ZERO; 3];
        bytes_mut(&mut copy).copy_from_slice(bytes(&scalars));
        assert_eq!(copy, scalars);
        assert_eq!(
            view::<Scalar>(&bytes(&scalars)[..33]),
            Err(ImageError::Length {
                bytes: 33,
                element: 32
            })
        );
        assert_eq!(
            view::<Scalar>(&bytes(&scalars)[1..33]),
            Err(ImageError::Alignment)
        );
    }

    #[test]
    fn scalars_at_and_above_r_are_refused() {
        let raw = |l| Scalar::from(blst::blst_fr { l });
        let mut below = R;
        below[0] -= 1;
        assert_eq!(check_scalars(&[Scalar::ZERO, raw(below)]), Ok(()));
        assert_eq!(
            check_scalars(&[Scalar::ONE, raw(R)]),
            Err(ImageError::ScalarRange { index: 1 })
        );
        assert_eq!(
            check_scalars(&[raw([u64::MAX; 4])]),
            Err(ImageError::ScalarRange { index: 0 })
        );
    }

    #[test]
    fn bad_points_are_told_apart() {
        let good = blstrs::G1Projective::generator().to_affine();
        let mut big = good;
        big.as_mut().x.l = P;
        let off = G1Affine::from_raw_unchecked(good.x(), good.x(), false);
        let small = outside_subgroup();
        let infinity = G1Affine::default();
        assert_eq!(check_points(&[good, infinity], true), Ok(()));
        assert_eq!(
            check_points(&[good, big, off], true),
            Err(ImageError::CoordinateRange { index: 1 })
        );
        assert_eq!(
            check_points(&[off, big], true),
            Err(ImageError::OffCurve { index: 0 })
        );
        assert_eq!(check_points(&[small], false), Ok(()));
        assert_eq!(
            check_points(&[good, small], true),
            Err(ImageError::Subgroup { index: 1 })
        );
        assert_eq!(
            check_coordinates(&[big]),
            Err(ImageError::CoordinateRange { index: 0 })
        );
    }

    #[test]
    fn homogeneous_images_become_affine() {
        let point = blstrs::G1Projective::generator().double().to_affine();
        // Any z will do; take the x coordinate of the point itself.
        let affine: &blst_p1_affine = point.as_ref();
        let z = affine.x;
        let mut raw = Vec::new();
        for coordinate in [product(&affine.x, &z), product(&affine.y, &z), z] {
            raw.extend(coordinate.l.iter().flat_map(|limb| limb.to_le_bytes()));
        }
        assert_eq!(g1_from_homogeneous(&raw), Ok(point));
        assert_eq!(g1_from_homogeneous(&[0; 144]), Ok(G1Affine::default()));
        raw[0] ^= 1;
        assert_eq!(
            g1_from_homogeneous(&raw),
            Err(ImageError::OffCurve { index: 0 })
        );
        assert!(matches!(
            g1_from_homogeneous(&raw[..100]),
            Err(ImageError::Length { .. })
        ));
    }
}
