//! The digits that an MSM has to add up, worked out independently of the gateware from what `hdl/doc/msm.md`
//! says: the split by the endomorphism, the windows and the signed digits. Numbers here are plain, not in
//! Montgomery form, least significant limb first.

use blstrs::Scalar;
use ff::{Field, PrimeField};

/// A number below 2^512.
pub type Wide = [u64; 8];

/// r.
const R: Wide = [
    0xffff_ffff_0000_0001,
    0x53bd_a402_fffe_5bfe,
    0x3339_d808_09a1_d805,
    0x73ed_a753_299d_7d48,
    0,
    0,
    0,
    0,
];
/// z^2, the square of the curve's parameter.
const Z2: Wide = [
    0x0000_0001_0000_0000,
    0xac45_a401_0001_a402,
    0,
    0,
    0,
    0,
    0,
    0,
];
/// z.
const Z: Wide = [0xd201_0000_0001_0000, 0, 0, 0, 0, 0, 0, 0];
/// floor(2^134 / z)
const Z_RECIPROCAL: Wide = [0x0481_3295_b355_ad4c, 0x4e, 0, 0, 0, 0, 0, 0];
/// floor(2^262 / z^2)
const RECIPROCAL: Wide = [
    0xfdb9_48bd_b3fb_8b80,
    0x1afb_3c78_07ea_b758,
    0x5f,
    0,
    0,
    0,
    0,
    0,
];

const ONE: Wide = [1, 0, 0, 0, 0, 0, 0, 0];

/// Which numbers the windows are taken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The two parts of a scalar under the endomorphism: points have order r.
    Glv,
    /// In G2, the four parts under psi: points have order r.
    Psi,
    /// The scalar itself.
    Full,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Glv, Self::Psi, Self::Full];

    /// Numbers of a scalar.
    #[must_use]
    pub fn parts(self) -> usize {
        match self {
            Self::Glv => 2,
            Self::Psi => 4,
            Self::Full => 1,
        }
    }

    /// No number exceeds this in absolute value.
    pub(crate) fn bound(self) -> Wide {
        match self {
            // The quotient's estimate is off by less than 2^-6.
            Self::Glv => add(&shift_right(&Z2, 1), &shift_right(&Z2, 6)),
            Self::Psi => add(&add(&shift_right(&Z, 1), &shift_right(&Z, 6)), &ONE),
            Self::Full => subtract(&R, &ONE),
        }
    }

    /// Windows of `bits` bits that hold every number.
    #[must_use]
    pub fn windows(self, bits: usize) -> usize {
        let bound = self.bound();
        let mut windows = 1;
        while length(&add(&bound, &offset(bits, windows))) > bits * windows {
            windows += 1;
        }
        windows
    }
}

/// A signed number: its absolute value and whether it is negative.
pub type Signed = (Wide, bool);

/// The parts of `scalar`: one number k1, or k1 and k2 with scalar = k1 + k2 z^2 mod r, or four with
/// scalar = k1 + k2 z + k3 z^2 + k4 z^3 mod r.
#[must_use]
pub fn split(scalar: &Scalar, mode: Mode) -> Vec<Signed> {
    let mut whole = Wide::default();
    for (limb, bytes) in whole.iter_mut().zip(scalar.to_repr().as_ref().chunks(8)) {
        for (place, byte) in bytes.iter().enumerate() {
            *limb |= u64::from(*byte) << (8 * place);
        }
    }
    // -k P = (r - k) P only for points of order r.
    if mode == Mode::Full {
        return vec![(whole, false)];
    }
    let negative = greater(&whole, &shift_right(&R, 1));
    if negative {
        whole = subtract(&R, &whole);
    }
    let half = shift_left(&ONE, 141);
    let estimate = multiply(&shift_right(&whole, 120), &RECIPROCAL);
    let quotient = shift_right(&add(&estimate, &half), 142);
    let product = multiply(&quotient, &Z2);
    let rest = if greater(&product, &whole) {
        (subtract(&product, &whole), !negative)
    } else {
        (subtract(&whole, &product), negative)
    };
    let halves = vec![rest, (quotient, negative)];
    if mode == Mode::Glv {
        return halves;
    }
    halves.iter().flat_map(split_half).collect()
}

/// a and b with half = a + b z.
fn split_half((half, negative): &Signed) -> [Signed; 2] {
    let middle = shift_left(&ONE, 77);
    let estimate = multiply(&shift_right(half, 56), &Z_RECIPROCAL);
    let quotient = shift_right(&add(&estimate, &middle), 78);
    let product = multiply(&quotient, &Z);
    let rest = if greater(&product, half) {
        (subtract(&product, half), !negative)
    } else {
        (subtract(half, &product), *negative)
    };
    [rest, (quotient, *negative)]
}

/// The digits of `number` in windows of `bits` bits, from the lowest, each from -2^(bits-1) to
/// 2^(bits-1) - 1, of the absolute value.
#[must_use]
pub fn digits(number: &Wide, bits: usize, windows: usize) -> Vec<i64> {
    let shifted = add(number, &offset(bits, windows));
    assert!(length(&shifted) <= bits * windows, "the windows hold it");
    (0..windows)
        .map(|window| {
            let field = shift_right(&shifted, bits * window)[0] & ((1 << bits) - 1);
            field as i64 - (1 << (bits - 1))
        })
        .collect()
}

/// What the buckets of a run with windows of `bits` bits have to add up.
#[must_use]
pub fn count_digits(scalars: &[Scalar], mode: Mode, bits: usize) -> u64 {
    let windows = mode.windows(bits);
    let count = |scalar: &Scalar| -> usize {
        let parts = split(scalar, mode);
        let nonzero = |(number, _): &Signed| {
            let digits = digits(number, bits, windows);
            digits.iter().filter(|digit| **digit != 0).count()
        };
        parts.iter().map(nonzero).sum()
    };
    scalars.iter().map(count).sum::<usize>() as u64
}

/// The least a card with `adders` adders can do: each digit is one addition, each bucket takes two in the
/// aggregation.
#[must_use]
pub fn ideal_cycles(scalars: &[Scalar], mode: Mode, bits: usize, adders: u64) -> f64 {
    let buckets = (mode.windows(bits) as u64) << (bits - 1);
    (count_digits(scalars, mode, bits) + 2 * buckets) as f64 / adders as f64
}

/// The scalar all of whose digits are `digit` in windows of `bits` bits, as far as they fit.
#[must_use]
pub fn uniform_digits(digit: u64, mode: Mode, bits: usize) -> Scalar {
    scalar_of_digits(|_| digit, mode, bits)
}

/// The scalar whose digit in window w is `digit(w)`, from 0 to 2^(bits-1) - 1, in each of its parts, as far as they fit.
#[must_use]
pub fn scalar_of_digits(digit: impl Fn(usize) -> u64, mode: Mode, bits: usize) -> Scalar {
    let base = Scalar::from(1 << bits);
    // The topmost window may hold a carry only; one window less is sure to fit.
    let windows = mode.windows(bits) - 1;
    let part = (0..windows).rev().fold(Scalar::from(0), |sum, window| {
        sum * base + Scalar::from(digit(window))
    });
    match mode {
        Mode::Full => part,
        Mode::Glv => part * (Scalar::ONE + power_of_z(2)),
        Mode::Psi => part * (0..4).map(power_of_z).sum::<Scalar>(),
    }
}

fn power_of_z(exponent: u64) -> Scalar {
    Scalar::from(Z[0]).pow_vartime([exponent])
}

/// 2^(bits-1) in each window: makes the windows' digits independent.
fn offset(bits: usize, windows: usize) -> Wide {
    let one = [1, 0, 0, 0, 0, 0, 0, 0];
    (0..windows).fold(Wide::default(), |sum, window| {
        add(&sum, &shift_left(&one, bits * window + bits - 1))
    })
}

fn length(number: &Wide) -> usize {
    let top = number.iter().rposition(|limb| *limb != 0);
    top.map_or(0, |top| {
        64 * top + 64 - number[top].leading_zeros() as usize
    })
}

fn greater(a: &Wide, b: &Wide) -> bool {
    a.iter().rev().gt(b.iter().rev())
}

fn add(a: &Wide, b: &Wide) -> Wide {
    let mut carry = false;
    std::array::from_fn(|limb| {
        let (sum, first) = a[limb].overflowing_add(b[limb]);
        let (sum, second) = sum.overflowing_add(carry.into());
        carry = first || second;
        sum
    })
}

/// a - b, which must not be negative.
fn subtract(a: &Wide, b: &Wide) -> Wide {
    let complement = b.map(|limb| !limb);
    let one = [1, 0, 0, 0, 0, 0, 0, 0];
    add(&add(a, &complement), &one)
}

fn multiply(a: &Wide, b: &Wide) -> Wide {
    let mut product = Wide::default();
    for (i, x) in a.iter().enumerate() {
        let mut carry = 0;
        for (place, y) in product[i..].iter_mut().zip(b) {
            let sum = u128::from(*x) * u128::from(*y) + u128::from(*place) + carry;
            *place = sum as u64;
            carry = sum >> 64;
        }
    }
    product
}

/// number / 2^bits, rounded down.
pub(crate) fn shift_right(number: &Wide, bits: usize) -> Wide {
    let (limbs, bits) = (bits / 64, bits % 64);
    let limb = |index: usize| number.get(index).copied().unwrap_or(0);
    std::array::from_fn(|index| {
        let pair = u128::from(limb(index + limbs + 1)) << 64 | u128::from(limb(index + limbs));
        (pair >> bits) as u64
    })
}

fn shift_left(number: &Wide, bits: usize) -> Wide {
    (0..bits).fold(*number, |number, _| add(&number, &number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn value((number, negative): &Signed) -> Scalar {
        let limbs = [number[0], number[1], number[2], number[3]];
        let scalar = Scalar::from_u64s_le(&limbs).unwrap();
        if *negative { -scalar } else { scalar }
    }

    fn samples() -> Vec<Scalar> {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut scalars = crate::scalars::random(&mut rng, 500);
        let half = -Scalar::from(2).invert().unwrap();
        let z2 = value(&(Z2, false));
        for near in [half, z2, z2.square(), -z2, z2 * half] {
            scalars.extend([near, near + Scalar::ONE, near - Scalar::ONE]);
        }
        scalars
    }

    #[test]
    fn parts_make_up_the_scalar_and_stay_in_their_bound() {
        for scalar in samples() {
            let parts = split(&scalar, Mode::Glv);
            let z2 = value(&(Z2, false));
            assert_eq!(value(&parts[0]) + value(&parts[1]) * z2, scalar);
            assert!(
                parts
                    .iter()
                    .all(|part| !greater(&part.0, &Mode::Glv.bound()))
            );
            let parts = split(&scalar, Mode::Psi);
            let powers = (0..4).map(power_of_z);
            let sum: Scalar = parts
                .iter()
                .zip(powers)
                .map(|(part, power)| value(part) * power)
                .sum();
            assert_eq!(sum, scalar);
            assert!(
                parts
                    .iter()
                    .all(|part| !greater(&part.0, &Mode::Psi.bound()))
            );
            let whole = split(&scalar, Mode::Full);
            assert_eq!(value(&whole[0]), scalar);
            assert!(!greater(&whole[0].0, &Mode::Full.bound()));
        }
    }

    #[test]
    fn digits_make_up_the_number() {
        for (mode, bits) in Mode::ALL
            .into_iter()
            .zip([2, 13, 8])
            .chain([(Mode::Glv, 9)])
        {
            let windows = mode.windows(bits);
            for scalar in samples() {
                for (number, negative) in split(&scalar, mode) {
                    let base = Scalar::from(1 << bits);
                    let digits = digits(&number, bits, windows);
                    let sum = digits.iter().rev().fold(Scalar::ZERO, |sum, digit| {
                        assert!((-(1 << (bits - 1))..1 << (bits - 1)).contains(digit));
                        let magnitude = Scalar::from(digit.unsigned_abs());
                        sum * base + if *digit < 0 { -magnitude } else { magnitude }
                    });
                    assert_eq!(sum, value(&(number, false)), "{negative}");
                }
            }
        }
    }

    #[test]
    fn a_scalar_of_equal_digits_has_them_in_every_window() {
        for mode in Mode::ALL {
            for bits in [4, 8, 13] {
                let scalar = uniform_digits(3, mode, bits);
                let windows = mode.windows(bits);
                for (number, _) in split(&scalar, mode) {
                    let digits = digits(&number, bits, windows);
                    assert!(digits[..windows - 1].iter().all(|digit| *digit == 3));
                }
            }
        }
    }
}
