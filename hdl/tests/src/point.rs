//! Points of G1 as the adder's ports hold them, and their meaning according to blstrs.
#![allow(unsafe_code)]

use blstrs::{G1Affine, G1Projective};
use group::prime::PrimeCurveAffine;
use rand::RngCore;

use crate::bits::{concat, extract};
use crate::field::{FP_BITS, Fp};

/// Homogeneous projective coordinates: x = X/Z, y = Y/Z; infinity is (0, Y, 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// X.
    pub x: Fp,
    /// Y.
    pub y: Fp,
    /// Z.
    pub z: Fp,
}

impl Point {
    /// Z = 1 (Montgomery image), or infinity as (0, 1, 0).
    #[must_use]
    pub fn from_affine(point: &G1Affine) -> Self {
        let zero = Fp::from_image([0; 6]);
        if bool::from(point.is_identity()) {
            return Self {
                x: zero,
                y: Self::one(),
                z: zero,
            };
        }
        let raw = point.as_ref();
        Self {
            x: Fp(raw.x),
            y: Fp(raw.y),
            z: Self::one(),
        }
    }

    /// The same point with coordinates multiplied by a random factor.
    #[must_use]
    pub fn scaled(self, rng: &mut impl RngCore) -> Self {
        let factor = Fp::random(rng);
        assert_ne!(factor, Fp::from_image([0; 6]), "p is large");
        Self {
            x: self.x * factor,
            y: self.y * factor,
            z: self.z * factor,
        }
    }

    /// The point's meaning. Panics if it is neither on the curve nor a proper infinity.
    #[must_use]
    pub fn to_affine(self) -> G1Affine {
        let zero = Fp::from_image([0; 6]);
        if self.z == zero {
            assert_eq!(self.x, zero, "infinity has X = 0");
            assert_ne!(self.y, zero, "(0, 0, 0) is not a point");
            return G1Affine::identity();
        }
        let inverse = self.z.inverse();
        let raw = blst::blst_p1_affine {
            x: (self.x * inverse).0,
            y: (self.y * inverse).0,
        };
        // SAFETY: a valid, aligned point.
        let on_curve = unsafe { blst::blst_p1_affine_on_curve(&raw) };
        assert!(on_curve, "the sum is on the curve");
        let mut point = G1Affine::default();
        *point.as_mut() = raw;
        point
    }

    /// Adds with blstrs: the independent truth.
    #[must_use]
    pub fn golden_sum(self, other: Self) -> G1Affine {
        let sum = G1Projective::from(self.to_affine()) + G1Projective::from(other.to_affine());
        G1Affine::from(sum)
    }

    /// The image of `xyz_t`: x is the first member of the packed struct and lies on top.
    #[must_use]
    pub fn to_port(self) -> Vec<u8> {
        concat(&[
            (&self.z.to_port(), FP_BITS),
            (&self.y.to_port(), FP_BITS),
            (&self.x.to_port(), FP_BITS),
        ])
    }

    /// The point in the image of `xyz_t`.
    #[must_use]
    pub fn from_port(image: &[u8]) -> Self {
        let coordinate = |index: usize| Fp::from_port(&extract(image, index * FP_BITS, FP_BITS));
        Self {
            x: coordinate(2),
            y: coordinate(1),
            z: coordinate(0),
        }
    }

    /// R = 2^384 mod p, the Montgomery image of 1, from the affine generator's own conversion.
    #[must_use]
    pub fn one() -> Fp {
        let mut one = blst::blst_fp::default();
        // SAFETY: `one` is valid for writes; the array holds the 6 limbs that are read.
        unsafe { blst::blst_fp_from_uint64(&mut one, [1, 0, 0, 0, 0, 0].as_ptr()) };
        Fp(one)
    }
}
