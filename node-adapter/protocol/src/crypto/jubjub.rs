//! The Jubjub curve beside `blstrs`: affine points, encodings, the base point.
//!
//! Jubjub is the twisted Edwards curve `-x^2 + y^2 = 1 + d x^2 y^2` over the
//! BLS12-381 scalar field, `d = -10240/10241`, cofactor 8 (Zcash protocol
//! specification, section 5.4.9.3). Group arithmetic comes from the `jubjub`
//! crate; this module moves coordinates between its field type and
//! `blstrs::Scalar`, which has the same modulus. Called by `schnorr` and by the
//! circuit's Edwards gadgets.

use std::sync::LazyLock;

use blstrs::Scalar;
use ff::Field;
use group::{Curve, Group};
use jubjub::{AffinePoint, ExtendedPoint, Fq, SubgroupPoint};

/// Bits of a Jubjub scalar: the order of the prime subgroup is just below 2^252.
pub const SCALAR_BITS: usize = 252;

/// Width of a fixed-base window in bits.
pub const WINDOW_BITS: usize = 3;

/// The curve coefficient `d = -10240/10241`.
pub static EDWARDS_D: LazyLock<Scalar> = LazyLock::new(|| {
    // 10241 is prime to the modulus, so the inverse always exists.
    let inverse = Scalar::from(10241).invert().unwrap_or(Scalar::ZERO);
    -Scalar::from(10240) * inverse
});

/// Windows of the base point: entry `[i][j]` is `j * 8^i * G`, i < 84, j < 8.
pub static GENERATOR_WINDOWS: LazyLock<Vec<[Point; 8]>> = LazyLock::new(|| {
    let mut base = ExtendedPoint::from(SubgroupPoint::generator());
    let mut multiples = Vec::with_capacity(8 * SCALAR_BITS / WINDOW_BITS);
    for _ in 0..SCALAR_BITS / WINDOW_BITS {
        let mut multiple = ExtendedPoint::identity();
        for _ in 0..8 {
            multiples.push(multiple);
            multiple += base;
        }
        base = multiple;
    }
    let mut affine = vec![AffinePoint::identity(); multiples.len()];
    ExtendedPoint::batch_normalize(&multiples, &mut affine);
    let (windows, _) = affine.as_chunks::<8>();
    windows
        .iter()
        .map(|window| window.map(|p| Point::from_affine(&p)))
        .collect()
});

/// An affine point; the constructors of this module only make points on the curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// The x coordinate (`u` in the Zcash specification).
    pub x: Scalar,
    /// The y coordinate (`v` in the Zcash specification).
    pub y: Scalar,
}

impl Point {
    /// The neutral element (0, 1).
    pub const IDENTITY: Self = Self {
        x: Scalar::ZERO,
        y: Scalar::ONE,
    };

    /// Coordinates of a point of the `jubjub` crate.
    pub fn from_affine(point: &AffinePoint) -> Self {
        Self {
            x: to_blst(&point.get_u()),
            y: to_blst(&point.get_v()),
        }
    }

    /// Coordinates of a projective point (one field inversion).
    pub fn from_extended(point: &ExtendedPoint) -> Self {
        Self::from_affine(&point.to_affine())
    }

    /// Whether the coordinates satisfy the curve equation.
    pub fn is_on_curve(&self) -> bool {
        let (xx, yy) = (self.x * self.x, self.y * self.y);
        yy - xx == Scalar::ONE + *EDWARDS_D * xx * yy
    }
}

/// `blstrs` form of an element. Total: both types hold canonical residues of one modulus.
fn to_blst(element: &Fq) -> Scalar {
    Option::from(Scalar::from_bytes_le(&element.to_bytes())).unwrap_or(Scalar::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_point_and_windows_are_on_the_curve_and_of_prime_order() {
        assert_eq!(GENERATOR_WINDOWS.len(), 84);
        let g = SubgroupPoint::generator();
        assert_eq!(GENERATOR_WINDOWS[0][1], Point::from_extended(&g.into()));
        assert!(bool::from(ExtendedPoint::from(g).is_torsion_free()));
        for point in GENERATOR_WINDOWS.iter().flatten() {
            assert!(point.is_on_curve());
        }
        // The last entry, by an independent path: 7 * 8^83 through the scalar field.
        let scalar = jubjub::Fr::from(7) * jubjub::Fr::from(8).pow_vartime(&[83, 0, 0, 0]);
        assert_eq!(
            GENERATOR_WINDOWS[83][7],
            Point::from_extended(&(g * scalar).into())
        );
    }

    #[test]
    fn the_addition_law_is_complete() {
        // Twisted Edwards with a = -1 has no exceptions if a is a square and d is not.
        assert!(bool::from((-Scalar::ONE).sqrt().is_some()));
        assert!(bool::from(EDWARDS_D.sqrt().is_none()));
        assert_eq!(*EDWARDS_D * Scalar::from(10241), -Scalar::from(10240));
    }

    #[test]
    fn coordinates_off_the_curve_are_seen() {
        assert!(Point::IDENTITY.is_on_curve());
        assert!(
            !Point {
                x: Scalar::ONE,
                y: Scalar::ONE
            }
            .is_on_curve()
        );
    }
}
