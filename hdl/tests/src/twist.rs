//! Points of G2 as the adder's ports hold them, and their meaning according to blstrs.
#![allow(unsafe_code)]

use blst::blst_fp2;
use blstrs::{G2Affine, G2Projective};
use group::prime::PrimeCurveAffine;
use rand::RngCore;

use crate::field::Fp;
use crate::point::Point;

/// Homogeneous projective coordinates c0 + c1 u of a point of the twist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TwistPoint {
    /// The c0 of X, Y and Z, then the c1: the two words that the adder takes.
    pub words: [Point; 2],
}

fn join(c0: Fp, c1: Fp) -> blst_fp2 {
    blst_fp2 { fp: [c0.0, c1.0] }
}

fn multiply(a: &blst_fp2, b: &blst_fp2) -> blst_fp2 {
    let mut product = blst_fp2::default();
    // SAFETY: three valid, aligned elements; blst only reads the last two.
    unsafe { blst::blst_fp2_mul(&mut product, a, b) };
    product
}

impl TwistPoint {
    /// Of the three coordinates.
    #[must_use]
    pub fn new(x: &blst_fp2, y: &blst_fp2, z: &blst_fp2) -> Self {
        let word = |index: usize| Point {
            x: Fp(x.fp[index]),
            y: Fp(y.fp[index]),
            z: Fp(z.fp[index]),
        };
        Self {
            words: [word(0), word(1)],
        }
    }

    /// Z = 1, or infinity as (0, 1, 0).
    #[must_use]
    pub fn from_affine(point: &G2Affine) -> Self {
        let zero = blst_fp2::default();
        let one = join(Point::one(), Fp::from_image([0; 6]));
        if bool::from(point.is_identity()) {
            return Self::new(&zero, &one, &zero);
        }
        let raw = point.as_ref();
        Self::new(&raw.x, &raw.y, &one)
    }

    /// X, Y, Z.
    #[must_use]
    pub fn coordinates(&self) -> [blst_fp2; 3] {
        let [c0, c1] = &self.words;
        [join(c0.x, c1.x), join(c0.y, c1.y), join(c0.z, c1.z)]
    }

    /// The same point with coordinates multiplied by a random factor.
    #[must_use]
    pub fn scaled(self, rng: &mut impl RngCore) -> Self {
        let factor = join(Fp::random(rng), Fp::random(rng));
        let [x, y, z] = self.coordinates().map(|value| multiply(&value, &factor));
        Self::new(&x, &y, &z)
    }

    /// The point's meaning. Panics if it is neither on the curve nor a proper infinity.
    #[must_use]
    pub fn to_affine(self) -> G2Affine {
        let zero = blst_fp2::default();
        let [x, y, z] = self.coordinates();
        if z == zero {
            assert_eq!(x, zero, "infinity has X = 0");
            assert_ne!(y, zero, "(0, 0, 0) is not a point");
            return G2Affine::identity();
        }
        let mut inverse = blst_fp2::default();
        // SAFETY: two valid, aligned elements.
        unsafe { blst::blst_fp2_inverse(&mut inverse, &z) };
        let raw = blst::blst_p2_affine {
            x: multiply(&x, &inverse),
            y: multiply(&y, &inverse),
        };
        // SAFETY: a valid, aligned point.
        let on_curve = unsafe { blst::blst_p2_affine_on_curve(&raw) };
        assert!(on_curve, "the sum is on the curve");
        let mut point = G2Affine::default();
        *point.as_mut() = raw;
        point
    }

    /// Adds with blstrs: the independent truth.
    #[must_use]
    pub fn golden_sum(self, other: Self) -> G2Affine {
        let sum = G2Projective::from(self.to_affine()) + G2Projective::from(other.to_affine());
        G2Affine::from(sum)
    }
}
