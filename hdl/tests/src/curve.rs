//! The two groups whose sums the MSM engine computes, as the contract lays their points out.

use std::fmt::Debug;

use blst::blst_fp;
use blstrs::{G1Affine, G1Projective, G2Affine, G2Projective, Scalar};
use group::Curve as _;
use group::prime::PrimeCurveAffine;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::field::Fp;
use crate::point::Point;
use crate::recode::Mode;
use crate::twist::TwistPoint;

/// Bytes of a base field element in memory.
pub const ELEMENT_BYTES: usize = 48;

/// A group with the layout of its points in card memory.
pub trait MsmCurve: PrimeCurveAffine<Scalar = Scalar> + Debug {
    /// Of the command.
    const OPCODE: u8;
    /// Base field elements of a coordinate.
    const DEGREE: usize;
    /// Bytes of a base.
    const POINT_BYTES: usize = 2 * Self::DEGREE * ELEMENT_BYTES;
    /// Bytes of a result: three coordinates, padded to beats of 64.
    const RESULT_BYTES: usize = (3 * Self::DEGREE * ELEMENT_BYTES).next_multiple_of(64);
    /// How scalars are taken without the flag `FULL_SCALARS`, and with it.
    const MODES: [Mode; 2];

    /// x and y as they lie in memory.
    fn elements(&self) -> Vec<blst_fp>;

    /// The point with X, Y, Z as they lie in memory; panics if there is none.
    fn from_result(elements: &[Fp]) -> Self;

    /// Whether it has order r.
    fn has_order_r(&self) -> bool;

    /// The point with this compressed image of `DEGREE * ELEMENT_BYTES`, if there is one.
    fn decompress(image: &[u8]) -> Option<Self>;

    /// Points in affine coordinates.
    fn normalize(points: &[Self::Curve]) -> Vec<Self>;

    /// The sum by blst's own bucket method: for points of order r.
    fn sum_of_products(bases: &[Self], factors: &[Scalar]) -> Self;

    /// A point of the curve that is not of order r: of random coordinates hardly any is.
    fn any_order(rng: &mut ChaCha8Rng) -> Self {
        /// The flag of a compressed point that is not infinity.
        const COMPRESSED: u8 = 0x80;
        loop {
            let mut image = vec![0; Self::DEGREE * ELEMENT_BYTES];
            rng.fill(&mut image[..]);
            // Below p in every component: its top byte is 0x1a.
            for element in image.chunks_mut(ELEMENT_BYTES) {
                element[0] &= 0x0f;
            }
            image[0] |= COMPRESSED;
            let point = Self::decompress(&image);
            if let Some(point) = point.filter(|point| !point.has_order_r()) {
                return point;
            }
        }
    }
}

impl MsmCurve for G1Affine {
    const OPCODE: u8 = 0x20;
    const DEGREE: usize = 1;
    const MODES: [Mode; 2] = [Mode::Glv, Mode::Full];

    fn elements(&self) -> Vec<blst_fp> {
        let raw = self.as_ref();
        vec![raw.x, raw.y]
    }

    fn from_result(elements: &[Fp]) -> Self {
        let [x, y, z] = std::array::from_fn(|index| elements[index]);
        Point { x, y, z }.to_affine()
    }

    fn has_order_r(&self) -> bool {
        self.is_torsion_free().into()
    }

    fn decompress(image: &[u8]) -> Option<Self> {
        Self::from_compressed_unchecked(image.try_into().ok()?).into()
    }

    fn normalize(points: &[G1Projective]) -> Vec<Self> {
        let mut affine = vec![Self::identity(); points.len()];
        G1Projective::batch_normalize(points, &mut affine);
        affine
    }

    fn sum_of_products(bases: &[Self], factors: &[Scalar]) -> Self {
        let bases: Vec<_> = bases.iter().map(G1Projective::from).collect();
        G1Projective::multi_exp(&bases, factors).to_affine()
    }
}

impl MsmCurve for G2Affine {
    const OPCODE: u8 = 0x21;
    const DEGREE: usize = 2;
    const MODES: [Mode; 2] = [Mode::Psi, Mode::Full];

    fn elements(&self) -> Vec<blst_fp> {
        let raw = self.as_ref();
        [raw.x.fp, raw.y.fp].concat()
    }

    fn from_result(elements: &[Fp]) -> Self {
        let word = |index: usize| Point {
            x: elements[index],
            y: elements[index + 2],
            z: elements[index + 4],
        };
        let words = [word(0), word(1)];
        TwistPoint { words }.to_affine()
    }

    fn has_order_r(&self) -> bool {
        self.is_torsion_free().into()
    }

    fn decompress(image: &[u8]) -> Option<Self> {
        Self::from_compressed_unchecked(image.try_into().ok()?).into()
    }

    fn normalize(points: &[G2Projective]) -> Vec<Self> {
        let mut affine = vec![Self::identity(); points.len()];
        G2Projective::batch_normalize(points, &mut affine);
        affine
    }

    fn sum_of_products(bases: &[Self], factors: &[Scalar]) -> Self {
        let bases: Vec<_> = bases.iter().map(G2Projective::from).collect();
        G2Projective::multi_exp(&bases, factors).to_affine()
    }
}
