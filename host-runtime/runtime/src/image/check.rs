//! Checks of images that come from outside or from a card: reduced, on the curve, in the subgroup.
#![deny(unsafe_code)]

use blst::{blst_fp, blst_p1_affine, blst_p2_affine};
use blstrs::{G1Affine, G2Affine, Scalar};
use carillon_driver::command::Group;
use group::prime::PrimeCurveAffine;
use rayon::prelude::*;

use super::{Image, ImageError};

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
pub trait PointImage: Image + PrimeCurveAffine<Scalar = Scalar> {
    /// Which group it is.
    const GROUP: Group;
    /// Both coordinates are reduced.
    fn in_range(&self) -> bool;
    /// The curve equation holds; true for infinity.
    fn on_curve(&self) -> bool;
    /// The point is in the subgroup of order r; assumes it is on the curve.
    fn in_subgroup(&self) -> bool;
}

impl PointImage for G1Affine {
    const GROUP: Group = Group::G1;

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
    const GROUP: Group = Group::G2;

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

/// Whether a base field image is reduced.
pub(super) fn fp_in_range(element: &blst_fp) -> bool {
    less(&element.l, &P)
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

/// The same for G2.
#[cfg(test)]
pub(crate) fn outside_subgroup_g2() -> G2Affine {
    let mut encoded = [0; 96];
    encoded[0] = 0x80;
    let candidates = (1..=u8::MAX).filter_map(|x| {
        encoded[95] = x;
        Option::<G2Affine>::from(G2Affine::from_compressed_unchecked(&encoded))
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
    use group::{Curve, Group};

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
}
