//! How a card splits the scalars of an MSM over the curve's endomorphism
//! (contract, "Scalars of an MSM").
//!
//! On the subgroup of order r, z^2 P = (beta x, -y), with z the parameter of
//! BLS12-381. So k P = k1 P + k2 (beta x, -y) for k = k1 + k2 z^2 mod r, and k1
//! and k2 are half as long as k. In G2 z itself is an endomorphism, too, and each
//! half is halved again: h = a + b z. The formulas are the gateware's, so that cards
//! agree even on points outside the subgroup, where other parts would give
//! another point. Pure; used by the functional card and by reports that count
//! digits (`digits.rs`).

use blstrs::Scalar;

/// z without its sign, which z^2 does not have.
pub(crate) const Z: u64 = 0xd201_0000_0001_0000;
/// z^2.
const Z_SQUARED: u128 = Z as u128 * Z as u128;
/// z^2, by which a scalar is halved.
const BY_Z_SQUARED: Divisor = Divisor {
    reciprocal: [0xfdb9_48bd_b3fb_8b80, 0x1afb_3c78_07ea_b758, 0x5f],
    bits: 262,
    dropped: 120,
};
/// z, by which a half is halved in G2.
const BY_Z: Divisor = Divisor {
    reciprocal: [0x0481_3295_b355_ad4c, 0x4e, 0],
    bits: 134,
    dropped: 56,
};
/// r, little-endian limbs.
pub(crate) const R: Limbs = [
    0xffff_ffff_0000_0001,
    0x53bd_a402_fffe_5bfe,
    0x3339_d808_09a1_d805,
    0x73ed_a753_299d_7d48,
];

/// No half is larger: 0.35 * 2^128, rounded down.
pub const LARGEST_HALF: u128 = 0x5999_9999_9999_9999_9999_9999_9999_9999;
/// No part of a half is larger: 0.43 * 2^64, rounded down.
pub const LARGEST_QUARTER: u64 = 0x6e14_7ae1_47ae_147a;

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

/// The four parts of a scalar in G2: k = a1 + b1 z + (a2 + b2 z) z^2 mod r.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quarters {
    /// The multiples of P, z P, z^2 P and z^3 P.
    pub multiples: [i64; 4],
}

/// What a card divides by: a multiplication with the reciprocal, of the bits that matter.
struct Divisor {
    /// floor(2^bits / divisor), little-endian limbs.
    reciprocal: [u64; 3],
    bits: u32,
    /// Low bits of the dividend that the product with the reciprocal leaves out.
    dropped: u32,
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

/// round(k / divisor), or in rare cases close to a half the neighbour.
fn quotient(k: &Limbs, by: &Divisor) -> u128 {
    // Bits below the quotient in the product.
    let fraction = by.bits - by.dropped;
    let (limb, bit) = ((by.dropped / 64) as usize, by.dropped % 64);
    let limbs: [u64; 3] = std::array::from_fn(|i| {
        let high = k.get(limb + i + 1).copied().unwrap_or_default();
        k.get(limb + i).copied().unwrap_or_default() >> bit | high << (64 - bit)
    });
    let mut product = [0u64; 6];
    // The half that rounds.
    product[(fraction as usize - 1) / 64] = 1 << ((fraction - 1) % 64);
    for (i, a) in limbs.iter().enumerate() {
        let mut carry = 0;
        for (j, b) in by.reciprocal.iter().enumerate() {
            let sum = u128::from(*a) * u128::from(*b) + u128::from(product[i + j]) + carry;
            product[i + j] = sum as u64;
            carry = sum >> 64;
        }
        let mut at = i + by.reciprocal.len();
        while carry != 0 && at < product.len() {
            let sum = u128::from(product[at]) + carry;
            product[at] = sum as u64;
            carry = sum >> 64;
            at += 1;
        }
    }
    let (limb, bit) = ((fraction / 64) as usize, fraction % 64);
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
    let k2 = quotient(&k, &BY_Z_SQUARED);
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

/// The parts a, b of a half: h = a + b z, both with the sign that h gives them.
fn split_half(half: i128) -> [i64; 2] {
    let h = half.unsigned_abs();
    let b = quotient(&[h as u64, (h >> 64) as u64, 0, 0], &BY_Z) as u64;
    // The remainder is below 2^63 in magnitude, so its low word says it all.
    let a = (h as u64).wrapping_sub(b.wrapping_mul(Z)) as i64;
    let b = b as i64;
    if half < 0 { [-a, -b] } else { [a, b] }
}

/// Splits a scalar in four, for G2.
pub fn split_in_four(scalar: &Scalar) -> Quarters {
    let Halves { k1, k2 } = split(scalar);
    let ([a1, b1], [a2, b2]) = (split_half(k1), split_half(k2));
    Quarters {
        multiples: [a1, b1, a2, b2],
    }
}

/// Whether both halves are so far below z^2 / 2 that no error of the quotient, which is below
/// 2^-6, can give others.
pub(crate) fn is_clear(scalar: &Scalar) -> bool {
    let Halves { k1, k2 } = split(scalar);
    let limit = Z_SQUARED / 2 - (Z_SQUARED >> 6);
    k1.unsigned_abs() < limit && k2.unsigned_abs() < limit
}

/// The same for parts in G2, against z / 2.
pub(crate) fn is_clear_in_four(scalar: &Scalar) -> bool {
    let limit = Z / 2 - (Z >> 6);
    let parts = split_in_four(scalar).multiples;
    is_clear(scalar) && parts.iter().all(|part| part.unsigned_abs() < limit)
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
        let Quarters { multiples } = split_in_four(&k);
        let z = Scalar::from(Z);
        let sum = multiples.iter().rev().fold(Scalar::ZERO, |sum, part| {
            sum * z + signed(i128::from(*part))
        });
        assert_eq!(sum, k, "{k:?}");
        let largest = multiples.iter().map(|part| part.unsigned_abs()).max();
        assert!(largest <= Some(LARGEST_QUARTER), "{k:?}");
        // The same halves as in G1.
        let z = i128::from(Z);
        let [a1, b1, a2, b2] = multiples.map(i128::from);
        assert_eq!((a1 + b1 * z, a2 + b2 * z), (k1, k2));
    }

    #[test]
    fn small_scalars_stay_small() {
        for k in [0i128, 1, -1, 2, -2, 1 << 64, -(1 << 100)] {
            assert_eq!(split(&signed(k)), Halves { k1: k, k2: 0 });
        }
        for k in [0i64, 1, -1, 2, -2, 1 << 62, -(1 << 50)] {
            let multiples = [k, 0, 0, 0];
            assert_eq!(split_in_four(&signed(k.into())), Quarters { multiples });
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
            // Of the second halving, in the low half and in the high one.
            let z = Scalar::from(Z);
            let low = z * Scalar::from(i << 50) + Scalar::from(Z / 2) + near;
            check(low);
            check(low * z2 + low);
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
