//! How a card splits the scalars of an MSM over the curve's endomorphism
//! (contract, "Scalars of an MSM").
//!
//! On the subgroup of order r, z^2 P = (beta x, -y), with z the parameter of
//! BLS12-381. So k P = k1 P + k2 (beta x, -y) for k = k1 + k2 z^2 mod r, and k1
//! and k2 are half as long as k. The formula is the gateware's, so that cards
//! agree even on points outside the subgroup, where other halves would give
//! another point. Pure; used by the functional card and by reports that count
//! digits (`digits.rs`).

use blstrs::Scalar;

/// z without its sign, which z^2 does not have.
pub(crate) const Z: u64 = 0xd201_0000_0001_0000;
/// z^2.
const Z_SQUARED: u128 = Z as u128 * Z as u128;
/// floor(2^262 / z^2), little-endian limbs.
const RECIPROCAL: [u64; 3] = [0xfdb9_48bd_b3fb_8b80, 0x1afb_3c78_07ea_b758, 0x5f];
/// Bits of k' that the product with the reciprocal leaves out.
const DROPPED: u32 = 120;
/// Bits below the quotient in that product.
const FRACTION: u32 = 262 - DROPPED;
/// r, little-endian limbs.
pub(crate) const R: Limbs = [
    0xffff_ffff_0000_0001,
    0x53bd_a402_fffe_5bfe,
    0x3339_d808_09a1_d805,
    0x73ed_a753_299d_7d48,
];

/// No half is larger: 0.35 * 2^128, rounded down.
pub const LARGEST_HALF: u128 = 0x5999_9999_9999_9999_9999_9999_9999_9999;

/// A number, little-endian limbs.
pub(crate) type Limbs = [u64; 4];

/// The halves of a scalar: k = k1 + k2 z^2 mod r.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Halves {
    /// The multiple of P.
    pub k1: i128,
    /// The multiple of (beta x, -y).
    pub k2: i128,
}

/// Little-endian limbs of a scalar, canonical.
pub(crate) fn limbs(scalar: &Scalar) -> Limbs {
    let mut out = [0; 4];
    for (limb, bytes) in out.iter_mut().zip(scalar.to_bytes_le().as_chunks().0) {
        *limb = u64::from_le_bytes(*bytes);
    }
    out
}

/// r - k, for k <= r.
fn negated(k: &Limbs) -> Limbs {
    let mut out = R;
    let mut borrow = false;
    for (limb, subtrahend) in out.iter_mut().zip(k) {
        let (difference, first) = limb.overflowing_sub(*subtrahend);
        let (difference, second) = difference.overflowing_sub(borrow.into());
        (*limb, borrow) = (difference, first || second);
    }
    out
}

/// round(k / z^2), or in rare cases close to a half the neighbour.
fn quotient(k: &Limbs) -> u128 {
    let (limb, bit) = ((DROPPED / 64) as usize, DROPPED % 64);
    let limbs: [u64; 3] = std::array::from_fn(|i| {
        let high = k.get(limb + i + 1).copied().unwrap_or_default();
        k.get(limb + i).copied().unwrap_or_default() >> bit | high << (64 - bit)
    });
    let mut product = [0u64; 6];
    // The half that rounds.
    product[(FRACTION as usize - 1) / 64] = 1 << ((FRACTION - 1) % 64);
    for (i, a) in limbs.iter().enumerate() {
        let mut carry = 0;
        for (j, b) in RECIPROCAL.iter().enumerate() {
            let sum = u128::from(*a) * u128::from(*b) + u128::from(product[i + j]) + carry;
            product[i + j] = sum as u64;
            carry = sum >> 64;
        }
        let mut at = i + RECIPROCAL.len();
        while carry != 0 && at < product.len() {
            let sum = u128::from(product[at]) + carry;
            product[at] = sum as u64;
            carry = sum >> 64;
            at += 1;
        }
    }
    let (limb, bit) = ((FRACTION / 64) as usize, FRACTION % 64);
    let word =
        |i: usize| u128::from(product[limb + i] >> bit | product[limb + i + 1] << (64 - bit));
    word(0) | word(1) << 64
}

/// k or r - k, whichever is smaller, and whether it is the latter.
fn magnitude(scalar: &Scalar) -> (Limbs, bool) {
    let k = limbs(scalar);
    let minus = negated(&k);
    let flipped = minus.iter().rev().lt(k.iter().rev());
    (if flipped { minus } else { k }, flipped)
}

/// Splits a scalar.
pub fn split(scalar: &Scalar) -> Halves {
    let (k, flipped) = magnitude(scalar);
    let k2 = quotient(&k);
    // The remainder is below 2^127 in magnitude, so its low half says it all.
    let low = u128::from(k[0]) | u128::from(k[1]) << 64;
    let k1 = low.wrapping_sub(k2.wrapping_mul(Z_SQUARED)) as i128;
    let k2 = k2 as i128;
    if flipped {
        Halves { k1: -k1, k2: -k2 }
    } else {
        Halves { k1, k2 }
    }
}

/// Whether both halves are so far below z^2 / 2 that no error of the quotient, which is below
/// 2^-6, can give others.
pub(crate) fn is_clear(scalar: &Scalar) -> bool {
    let Halves { k1, k2 } = split(scalar);
    let limit = Z_SQUARED / 2 - (Z_SQUARED >> 6);
    k1.unsigned_abs() < limit && k2.unsigned_abs() < limit
}

#[cfg(test)]
mod tests {
    use super::*;
    use ff::Field;
    use proptest::prelude::*;

    fn scalar(value: u128) -> Scalar {
        let word = |value: u128| Scalar::from(value as u64);
        word(value >> 64) * Scalar::from(1 << 32).square() + word(value)
    }

    fn signed(value: i128) -> Scalar {
        let magnitude = scalar(value.unsigned_abs());
        if value < 0 { -magnitude } else { magnitude }
    }

    fn check(k: Scalar) {
        let Halves { k1, k2 } = split(&k);
        assert_eq!(signed(k1) + signed(k2) * scalar(Z_SQUARED), k, "{k:?}");
        assert!(k1.unsigned_abs() <= LARGEST_HALF && k2.unsigned_abs() <= LARGEST_HALF);
    }

    #[test]
    fn small_scalars_stay_small() {
        for k in [0i128, 1, -1, 2, -2, 1 << 64, -(1 << 100)] {
            assert_eq!(split(&signed(k)), Halves { k1: k, k2: 0 });
        }
    }

    #[test]
    fn the_borders_of_rounding_and_of_negation_are_met() {
        let half = -Scalar::from(2).invert().unwrap();
        let z2 = scalar(Z_SQUARED);
        for i in 0..1000u64 {
            let near = Scalar::from(i) - Scalar::from(500);
            check(half + near);
            check(z2 * Scalar::from(i) + scalar(Z_SQUARED / 2) + near);
            check(z2 * (z2 - Scalar::from(i)) * half + near);
        }
    }

    proptest! {
        #[test]
        fn halves_make_up_the_scalar_and_are_short(wide: [u64; 8]) {
            // Enough bits for a uniform scalar, and for its parts alone.
            let shift = Scalar::from(1 << 32).square();
            let k = wide.iter().fold(Scalar::ZERO, |k, limb| k * shift + Scalar::from(*limb));
            check(k);
            check(wide[..2].iter().fold(Scalar::ZERO, |k, limb| k * shift + Scalar::from(*limb)));
            check(scalar(Z_SQUARED) * Scalar::from(wide[0]) + Scalar::from(wide[1]));
        }
    }
}
