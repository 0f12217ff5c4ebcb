//! Memory images of field elements and points.
//!
//! A Carillon card and blst use the same images: Montgomery form, little-endian limbs, affine
//! points as x then y with all zeros for infinity (`hdl/doc/contract.md`). This module views
//! typed slices as bytes and back without a copy; `check` says whether an image is an element,
//! and `homogeneous` reads the form in which a card returns a sum.
//! It is the only place of this crate that uses `unsafe`.
#![allow(unsafe_code)]

use blst::{
    blst_fp, blst_fp_mul, blst_fp2, blst_fp2_mul, blst_p1, blst_p1_affine, blst_p2, blst_p2_affine,
};
use blstrs::{G1Affine, G1Projective, G2Affine, G2Projective, Scalar};
use group::Group;

mod check;
mod error;
mod homogeneous;
mod subgroup;

pub use check::{PointImage, check_coordinates, check_points, check_scalars};
#[cfg(test)]
pub(crate) use check::{outside_subgroup, outside_subgroup_g2};
pub use error::ImageError;
pub use homogeneous::{CardSum, from_homogeneous};
pub use subgroup::all_in_subgroup;

/// Bytes of a scalar's image.
pub const SCALAR_BYTES: usize = 32;
/// Bytes of an affine G1 point's image.
pub const G1_BYTES: usize = 96;
/// Bytes of an affine G2 point's image.
pub const G2_BYTES: usize = 192;

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

/// The memory of `values` as limbs, to be overwritten.
pub(crate) fn limbs_mut<T: Image>(values: &mut [T]) -> &mut [u64] {
    let limbs = size_of_val(values) / size_of::<u64>();
    // SAFETY: `Image` is sealed to types made of u64 limbs without padding, aligned for them
    // (asserted above); every bit pattern is a valid value of an `Image` type.
    unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast(), limbs) }
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

/// [`view`] of raw memory that is to be filled.
pub fn view_mut<T: Image>(raw: &mut [u8]) -> Result<&mut [T], ImageError> {
    view::<T>(raw)?;
    // SAFETY: `view` has checked alignment and length; every bit pattern is a valid value of an
    // `Image` type; the lifetime is that of `raw`, which is borrowed exclusively.
    Ok(unsafe { std::slice::from_raw_parts_mut(raw.as_mut_ptr().cast(), raw.len() / T::BYTES) })
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

/// The product of two elements of the base field.
fn product(a: &blst_fp, b: &blst_fp) -> blst_fp {
    let mut out = blst_fp::default();
    // SAFETY: three valid, initialised `blst_fp`; the output does not alias the inputs.
    unsafe { blst_fp_mul(&mut out, a, b) };
    out
}

/// The product of two elements of its quadratic extension.
fn product2(a: &blst_fp2, b: &blst_fp2) -> blst_fp2 {
    let mut out = blst_fp2::default();
    // SAFETY: three valid, initialised `blst_fp2`; the output does not alias the inputs.
    unsafe { blst_fp2_mul(&mut out, a, b) };
    out
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
        let raw = bytes_mut(&mut copy);
        view_mut::<Scalar>(raw).unwrap()[1] = Scalar::from(9);
        assert_eq!(
            view_mut::<Scalar>(&mut raw[1..33]),
            Err(ImageError::Alignment)
        );
        assert!(view_mut::<Scalar>(&mut raw[..33]).is_err());
        assert_eq!(copy, [scalars[0], Scalar::from(9), scalars[2]]);
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
}
