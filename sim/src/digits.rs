//! How a card cuts the scalars of an MSM into signed digits, one per window
//! (`hdl/doc/msm.md`, "Digits"), written again from the definition.
//!
//! What is cut is the magnitude of each part of a split scalar (two in G1, four in G2), whose sign
//! turns its digits, or a whole scalar as it is. A window of c bits gives digits from -2^(c-1)
//! to 2^(c-1) - 1: those that adding 2^(c-1) in every window and taking it off again
//! leaves. A digit of zero costs nothing, so the number of others is what an MSM's
//! cycles are measured by. Pure; for reports and tests, not part of a card.

use blstrs::Scalar;
use carillon_driver::command::{Group, MsmMode};
use carillon_driver::windows::Window;
use ff::Field;

use crate::split::{self, Halves, LARGEST_HALF, LARGEST_QUARTER, Limbs};

/// r - 1, the largest whole scalar.
const LARGEST_WHOLE: Limbs = [
    0xffff_ffff_0000_0000,
    0x53bd_a402_fffe_5bfe,
    0x3339_d808_09a1_d805,
    0x73ed_a753_299d_7d48,
];

/// The digits that scalars have under one choice of window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digits {
    group: Group,
    bits: u32,
    mode: MsmMode,
    windows: u32,
}

impl Digits {
    /// One bit has no digits of both signs: a card runs it as two.
    const LEAST_BITS: u32 = 2;

    /// Digits for a window size of at most 32 bits; more are taken as 32.
    pub fn new(group: Group, window: Window) -> Self {
        let bits = u32::from(window.bits).clamp(Self::LEAST_BITS, 32);
        let largest = match (window.mode, group) {
            (MsmMode::Split, Group::G1) => magnitude(LARGEST_HALF),
            (MsmMode::Split, Group::G2) => magnitude(LARGEST_QUARTER.into()),
            (MsmMode::Full, _) => LARGEST_WHOLE,
        };
        // The largest value decides: as many windows as it needs without a carry.
        let windows = (1..).find(|windows| rest(&largest, bits, *windows) == 0);
        Self {
            group,
            bits,
            mode: window.mode,
            windows: windows.unwrap_or_default(),
        }
    }

    /// Bits of a window.
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// Whether scalars are split first.
    pub fn mode(&self) -> MsmMode {
        self.mode
    }

    /// The group of the sum.
    pub fn group(&self) -> Group {
        self.group
    }

    /// In how many parts a scalar is taken.
    pub fn parts(&self) -> u32 {
        self.group.parts(self.mode)
    }

    /// Windows of a scalar, or of each of its parts.
    pub fn windows(&self) -> u32 {
        self.windows
    }

    /// Buckets of a window.
    pub fn buckets(&self) -> u64 {
        1 << (self.bits - 1)
    }

    /// The digits of a scalar from the lowest window, part after part.
    pub fn of(&self, scalar: &Scalar) -> impl Iterator<Item = i64> {
        let part = |k: i128| (magnitude(k.unsigned_abs()), k < 0);
        let none = (magnitude(0), false);
        let parts = match (self.mode, self.group) {
            (MsmMode::Full, _) => [(split::limbs(scalar), false), none, none, none],
            (MsmMode::Split, Group::G1) => {
                let Halves { k1, k2 } = split::split(scalar);
                [part(k1), part(k2), none, none]
            }
            (MsmMode::Split, Group::G2) => split::split_in_four(scalar)
                .multiples
                .map(|multiple| part(multiple.into())),
        };
        let Self { bits, windows, .. } = *self;
        parts
            .into_iter()
            .take(self.parts() as usize)
            .flat_map(move |(magnitude, negative)| {
                let digits = digits(magnitude, bits).take(windows as usize);
                digits.map(move |(digit, _)| if negative { -digit } else { digit })
            })
    }

    /// How many of them are not zero.
    pub fn non_zero(&self, scalar: &Scalar) -> u64 {
        self.of(scalar).filter(|digit| *digit != 0).count() as u64
    }
}

impl Digits {
    /// The scalar with these digits, in the order of [`Digits::of`]; missing ones are zero.
    pub fn compose(&self, digits: &[i64]) -> Scalar {
        let shift = Scalar::from(1u64 << self.bits);
        let sum = |part: &[i64]| {
            part.iter().rev().fold(Scalar::ZERO, |sum, digit| {
                let magnitude = Scalar::from(digit.unsigned_abs());
                sum * shift + if *digit < 0 { -magnitude } else { magnitude }
            })
        };
        // What each part but the first is a multiple of, as one of the part before.
        let step = match self.group {
            Group::G1 => Scalar::from(split::Z).square(),
            Group::G2 => Scalar::from(split::Z),
        };
        let parts = digits.chunks(self.windows as usize).rev().map(sum);
        parts.fold(Scalar::ZERO, |sum, part| sum * step + part)
    }

    /// The largest magnitude that every digit of a scalar can have at once, whatever the signs (the
    /// uppermost digit of a whole scalar is positive, since it has no sign of its own),
    /// and in how many windows from the lowest: in some sizes the top ones are too small for any.
    pub fn hottest(&self) -> (u32, i64) {
        // Positive digits make the largest number, so they answer for all signs. Parts must stay
        // clear of where rounding could give others.
        let holds = |windows: u32, magnitude: i64| {
            let digits: Vec<i64> = (0..self.parts() * self.windows)
                .map(|at| match at % self.windows {
                    window if window < windows => magnitude,
                    _ => 0,
                })
                .collect();
            let scalar = self.compose(&digits);
            let clear = match (self.mode, self.group) {
                (MsmMode::Split, Group::G1) => split::is_clear(&scalar),
                (MsmMode::Split, Group::G2) => split::is_clear_in_four(&scalar),
                (MsmMode::Full, _) => true,
            };
            clear && self.of(&scalar).eq(digits)
        };
        let fitting = (1..=self.windows).rev().find(|windows| holds(*windows, 1));
        let windows = fitting.unwrap_or_default();
        // The magnitudes that fit are those up to the one sought.
        let (mut fits, mut beyond) = (1, self.buckets() as i64);
        while beyond - fits > 1 {
            let middle = (fits + beyond) / 2;
            if holds(windows, middle) {
                fits = middle;
            } else {
                beyond = middle;
            }
        }
        (windows, fits)
    }
}

/// A part's magnitude.
fn magnitude(value: u128) -> Limbs {
    [value as u64, (value >> 64) as u64, 0, 0]
}

/// Bits [at, at + count) of the value.
fn field(value: &Limbs, at: u32, count: u32) -> u64 {
    let limb = |index: u32| value.get(index as usize).copied().unwrap_or_default();
    let pair = u128::from(limb(at / 64)) | u128::from(limb(at / 64 + 1)) << 64;
    (pair >> (at % 64)) as u64 & ((1 << count) - 1)
}

/// The digits from the lowest window on, without end, each with its carry.
fn digits(value: Limbs, bits: u32) -> impl Iterator<Item = (i64, i64)> {
    let mut carry = 0;
    (0..).map(move |window| {
        let sum = field(&value, window * bits, bits) as i64 + carry;
        carry = i64::from(sum >= 1 << (bits - 1));
        (sum - (carry << bits), carry)
    })
}

/// What the first `windows` digits leave of a value, 0 if nothing.
fn rest(value: &Limbs, bits: u32, windows: u32) -> u64 {
    let beyond = (windows * bits..256)
        .step_by(32)
        .map(|at| field(value, at, 32));
    let above: u64 = beyond.fold(0, |any, bits| any | bits);
    let last = digits(*value, bits).take(windows as usize).last();
    above | last.map_or(0, |(_, carry)| carry as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn every() -> impl Iterator<Item = Digits> {
        let kinds =
            Group::ALL.map(|group| [MsmMode::Split, MsmMode::Full].map(|mode| (group, mode)));
        (1..=17).flat_map(move |bits| {
            kinds
                .into_iter()
                .flatten()
                .map(move |(group, mode)| Digits::new(group, Window { bits, mode }))
        })
    }

    fn check(k: Scalar) {
        for kind in every() {
            let digits: Vec<i64> = kind.of(&k).collect();
            let limit = kind.buckets() as i64;
            assert!(digits.iter().all(|digit| (-limit..=limit).contains(digit)));
            assert_eq!(digits.len() as u32, kind.parts() * kind.windows());
            assert_eq!(kind.compose(&digits), k, "{kind:?}");
            let non_zero = digits.iter().filter(|digit| **digit != 0).count() as u64;
            assert_eq!(kind.non_zero(&k), non_zero);
        }
    }

    #[test]
    fn the_number_of_windows_is_the_least_that_holds_every_scalar() {
        let of = |group, bits, mode| Digits::new(group, Window { bits, mode }).windows();
        let windows = |bits, mode| of(Group::G1, bits, mode);
        let split = [
            (1, 65),
            (2, 65),
            (4, 32),
            (8, 16),
            (13, 10),
            (15, 9),
            (16, 8),
        ];
        let full = [
            (1, 129),
            (2, 129),
            (7, 37),
            (8, 32),
            (13, 20),
            (16, 16),
            (17, 16),
        ];
        for (bits, expected) in split {
            assert_eq!(windows(bits, MsmMode::Split), expected, "{bits} bits");
        }
        for (bits, expected) in full {
            assert_eq!(windows(bits, MsmMode::Full), expected, "{bits} bits");
            assert_eq!(of(Group::G2, bits, MsmMode::Full), expected);
        }
        let in_four = [(1, 33), (2, 33), (4, 16), (8, 8), (13, 5), (16, 4)];
        for (bits, expected) in in_four {
            let found = of(Group::G2, bits, MsmMode::Split);
            assert_eq!(found, expected, "{bits} bits");
        }
    }

    #[test]
    fn the_hottest_digits_leave_out_at_most_two_windows() {
        for kind in every() {
            let (windows, magnitude) = kind.hottest();
            assert!((kind.windows() - 2..=kind.windows()).contains(&windows));
            // Signs in a pattern that the search did not try.
            let digits: Vec<i64> = (0..)
                .map(|at: u32| match at % kind.windows() {
                    window if window >= windows => 0,
                    window if window % 3 == 1 && window + 1 != windows => -magnitude,
                    _ => magnitude,
                })
                .take(kind.of(&Scalar::ZERO).count())
                .collect();
            assert!(kind.of(&kind.compose(&digits)).eq(digits), "{kind:?}");
        }
    }

    #[test]
    fn extreme_scalars_are_held() {
        let half = -Scalar::from(2).invert().unwrap();
        for k in [Scalar::ZERO, Scalar::ONE, -Scalar::ONE, half, -half] {
            check(k);
        }
        let one = |mode| Digits::new(Group::G1, Window { bits: 13, mode });
        assert_eq!(one(MsmMode::Split).non_zero(&-Scalar::ONE), 1);
        assert_eq!(one(MsmMode::Full).non_zero(&Scalar::ONE), 1);
        assert_eq!(one(MsmMode::Full).non_zero(&Scalar::ZERO), 0);
    }

    proptest! {
        #[test]
        fn digits_make_up_the_scalar(wide: [u64; 8]) {
            let shift = Scalar::from(1 << 32).square();
            let k = wide.iter().fold(Scalar::ZERO, |k, limb| k * shift + Scalar::from(*limb));
            check(k);
            check(Scalar::from(wide[0]));
        }
    }
}
