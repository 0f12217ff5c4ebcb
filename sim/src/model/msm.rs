//! The sum of an MSM, by blst: in one of the two ways of the contract ("Scalars
//! of an MSM"), which differ only on points outside the subgroup of order r.
//!
//! Called by `execute.rs`, on operands that passed `arith::check_msm`.
#![allow(unsafe_code)]

use blst::{MultiPoint, blst_fp, blst_fr, blst_p1, blst_p1_affine};
use blstrs::Scalar;
use carillon_driver::command::MsmMode;

use super::arith::{FP, FR, G1, limbs, put};
use crate::split::{Halves, split};

/// 2^384 mod p: one, as an image.
const FP_ONE: blst_fp = blst_fp {
    l: [
        0x7609_0000_0002_fffd,
        0xebf4_000b_c40c_0002,
        0x5f48_9857_53c7_58ba,
        0x77ce_5853_7052_5745,
        0x5c07_1a97_a256_ec6d,
        0x15f6_5ec3_fa80_e493,
    ],
};
/// The cube root of one with z^2 (x, y) = (beta x, -y), as an image.
const BETA: blst_fp = blst_fp {
    l: [
        0x30f1_361b_798a_64e8,
        0xf3b8_ddab_7ece_5a2a,
        0x16a8_ca3a_c615_77f7,
        0xc26a_2ff8_74fd_029b,
        0x3636_b766_6070_1c6e,
        0x051b_a4ab_241b_6160,
    ],
};
/// Bits and bytes of a half's magnitude.
const HALF_BITS: usize = 128;
const HALF_BYTES: usize = HALF_BITS / 8;
/// Bits that scalars are said to have where they are taken whole. From 257 on,
/// blst multiplies without the endomorphism, which it otherwise uses for few
/// points and which is wrong outside the subgroup.
const WHOLE_BITS: usize = 257;

/// A running sum of scalar_i * base_i.
pub(super) struct MsmSum {
    mode: MsmMode,
    total: blst_p1,
}

/// Operands as blst wants them: finite points, magnitudes one after the other.
#[derive(Default)]
struct Terms {
    points: Vec<blst_p1_affine>,
    magnitudes: Vec<u8>,
}

impl Terms {
    fn half(&mut self, point: blst_p1_affine, multiple: i128) {
        if multiple == 0 {
            return;
        }
        self.points
            .push(if multiple < 0 { negative(point) } else { point });
        let magnitude: [u8; HALF_BYTES] = multiple.unsigned_abs().to_le_bytes();
        self.magnitudes.extend(magnitude);
    }

    fn whole(&mut self, point: blst_p1_affine, scalar: &Scalar) {
        self.points.push(point);
        self.magnitudes.extend(scalar.to_bytes_le());
        self.magnitudes.push(0);
    }
}

fn negative(point: blst_p1_affine) -> blst_p1_affine {
    let mut y = blst_fp::default();
    // SAFETY: two valid field elements; blst writes only `y`.
    unsafe { blst::blst_fp_cneg(&mut y, &point.y, true) };
    blst_p1_affine { x: point.x, y }
}

/// (beta x, -y), which is z^2 times the point if it lies in the subgroup.
fn endomorphism(point: blst_p1_affine) -> blst_p1_affine {
    let mut x = blst_fp::default();
    // SAFETY: three valid field elements; blst writes only `x`.
    unsafe { blst::blst_fp_mul(&mut x, &point.x, &BETA) };
    negative(blst_p1_affine { x, y: point.y })
}

impl MsmSum {
    pub fn new(mode: MsmMode) -> Self {
        Self {
            mode,
            total: blst_p1::default(),
        }
    }

    /// Adds the terms, which passed `arith::check_msm`.
    pub fn add(&mut self, bases: &[u8], scalars: &[u8]) {
        let mut terms = Terms::default();
        for (point, scalar) in bases.chunks_exact(G1).zip(scalars.chunks_exact(FR)) {
            let scalar = Scalar::from(blst_fr { l: limbs(scalar) });
            let (x, y) = point.split_at(FP);
            let point = blst_p1_affine {
                x: blst_fp { l: limbs(x) },
                y: blst_fp { l: limbs(y) },
            };
            // blst's bucket code wants no point at infinity; it adds nothing. Under a
            // zero scalar there may be anything.
            if scalar == Scalar::default() || point == blst_p1_affine::default() {
                continue;
            }
            match self.mode {
                MsmMode::Full => terms.whole(point, &scalar),
                MsmMode::Split => {
                    let Halves { k1, k2 } = split(&scalar);
                    terms.half(point, k1);
                    terms.half(endomorphism(point), k2);
                }
            }
        }
        if terms.points.is_empty() {
            return;
        }
        let bits = match self.mode {
            MsmMode::Full => WHOLE_BITS,
            MsmMode::Split => HALF_BITS,
        };
        debug_assert_eq!(
            terms.magnitudes.len(),
            terms.points.len() * bits.div_ceil(8)
        );
        let sum = terms.points.as_slice().mult(&terms.magnitudes, bits);
        let mut total = blst_p1::default();
        // SAFETY: all three are valid points; blst writes only `total`.
        unsafe { blst::blst_p1_add_or_double(&mut total, &self.total, &sum) };
        self.total = total;
    }

    /// X, Y, Z homogeneous, then zeros: 192 bytes. The representative is the
    /// one with Z = 1, and (0, 1, 0) for infinity.
    pub fn result(&self) -> [u8; 192] {
        let mut out = [0; 192];
        let mut affine = blst_p1_affine::default();
        // SAFETY: a valid point; blst writes only `affine`.
        let infinite = unsafe {
            blst::blst_p1_to_affine(&mut affine, &self.total);
            blst::blst_p1_is_inf(&self.total)
        };
        if infinite {
            put(&FP_ONE.l, &mut out[FP..2 * FP]);
        } else {
            put(&affine.x.l, &mut out[..FP]);
            put(&affine.y.l, &mut out[FP..2 * FP]);
            put(&FP_ONE.l, &mut out[2 * FP..3 * FP]);
        }
        out
    }
}
