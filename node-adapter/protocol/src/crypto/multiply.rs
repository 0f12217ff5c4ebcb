//! Multiplication of points by public scalars, as fast as verification of signatures needs it.
//!
//! Variable time: never for secrets. The base point has a table of 32 windows of 8 bits, built once;
//! other points are multiplied by 128 bits (a challenge) in windows of 4. Called by `schnorr`.

use std::sync::LazyLock;

use group::{Curve, Group};
use jubjub::{AffineNielsPoint, AffinePoint, ExtendedPoint, Fr, SubgroupPoint};

/// Entry `[i][j]` is `j * 256^i * G`.
static BASE: LazyLock<Vec<[AffineNielsPoint; 256]>> = LazyLock::new(|| {
    let mut base = ExtendedPoint::from(SubgroupPoint::generator());
    let mut multiples = Vec::with_capacity(32 * 256);
    for _ in 0..32 {
        let mut multiple = ExtendedPoint::identity();
        for _ in 0..256 {
            multiples.push(multiple);
            multiple += base;
        }
        base = multiple;
    }
    let mut affine = vec![AffinePoint::identity(); multiples.len()];
    ExtendedPoint::batch_normalize(&multiples, &mut affine);
    let (windows, _) = affine.as_chunks::<256>();
    windows
        .iter()
        .map(|window| window.map(|point| point.to_niels()))
        .collect()
});

/// `scalar * G`. Variable time.
pub fn base_times(scalar: &Fr) -> ExtendedPoint {
    let bytes = scalar.to_bytes();
    let windows = BASE.iter().zip(bytes);
    windows.fold(ExtendedPoint::identity(), |sum, (window, byte)| {
        sum + window[usize::from(byte)]
    })
}

/// `scalar * point`. Variable time.
pub fn times_128(point: &ExtendedPoint, scalar: u128) -> ExtendedPoint {
    let mut multiple = ExtendedPoint::identity();
    let table: [_; 16] = std::array::from_fn(|_| {
        let niels = multiple.to_niels();
        multiple += point;
        niels
    });
    let windows = (0..32).rev().map(|at| scalar >> (4 * at) & 15);
    windows.fold(ExtendedPoint::identity(), |sum, window| {
        let shifted = sum.double().double().double().double();
        shifted + table[window as usize]
    })
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn products_are_those_of_the_jubjub_crate() {
        let generator = ExtendedPoint::from(SubgroupPoint::generator());
        let mut scalar = Fr::from(3);
        for round in 0..40u64 {
            let point = generator * scalar;
            assert_eq!(base_times(&scalar), point);
            let small = u128::from(round) << 90 | u128::from(round.wrapping_mul(0x9e37_79b9));
            let as_field = Fr::from_raw([small as u64, (small >> 64) as u64, 0, 0]);
            assert_eq!(times_128(&point, small), point * as_field);
            scalar = scalar.square() + Fr::from(round);
        }
        for edge in [0, 1, u128::MAX] {
            let as_field = Fr::from_raw([edge as u64, (edge >> 64) as u64, 0, 0]);
            assert_eq!(times_128(&generator, edge), generator * as_field);
        }
        assert_eq!(base_times(&-Fr::from(1)), -generator);
        assert_eq!(base_times(&Fr::from(0)), ExtendedPoint::identity());
    }
}
