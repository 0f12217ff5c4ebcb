//! Scalars as multi-scalar multiplications meet them, and as an adversary would choose them.

use std::fmt;
use std::str::FromStr;

use blstrs::Scalar;
use carillon_driver::command::{Group, MsmMode};
use carillon_driver::windows::Window;
use carillon_sim::digits::Digits;
use ff::Field;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

/// How scalars are distributed. Bucket methods differ most on these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// Uniform below r.
    Uniform,
    /// One uniform scalar, repeated: every addition of a window goes to one bucket.
    Equal,
    /// All one.
    One,
    /// Zeros and ones in equal shares.
    ZerosOnes,
    /// As the witness of a circuit: 95 % zeros and ones in equal shares, 5 % uniform.
    Witness,
    /// 1 to 65536 with probabilities that go by 1/v (Zipf's law with exponent 1).
    Zipf,
    /// 1, 2, 3, ...
    Ascending,
    /// One bucket per window: every digit of every window has the same magnitude, as large as fits,
    /// under random signs.
    Hot,
    /// The same with eight magnitudes in turn, so that each bucket is wanted again before an
    /// addition into it can have ended.
    Cycled,
    /// Nine of ten r - 1, the rest uniform.
    MinusOne,
}

/// Largest value of [`Distribution::Zipf`].
const ZIPF_VALUES: u64 = 1 << 16;
/// Magnitudes that [`Distribution::Cycled`] takes in turn.
const CYCLE: i64 = 8;
/// Window for which [`scalars`] makes the scalars that are made against windows.
const WINDOW: Window = Window {
    bits: 13,
    mode: MsmMode::Split,
};

impl Distribution {
    /// All distributions.
    pub const ALL: [Distribution; 10] = [
        Self::Uniform,
        Self::Equal,
        Self::One,
        Self::ZerosOnes,
        Self::Witness,
        Self::Zipf,
        Self::Ascending,
        Self::Hot,
        Self::Cycled,
        Self::MinusOne,
    ];

    /// The name as users write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Equal => "equal",
            Self::One => "one",
            Self::ZerosOnes => "zeros-ones",
            Self::Witness => "witness",
            Self::Zipf => "zipf",
            Self::Ascending => "ascending",
            Self::Hot => "hot",
            Self::Cycled => "cycled",
            Self::MinusOne => "minus-one",
        }
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Distribution {
    type Err = String;

    fn from_str(given: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == given)
            .ok_or_else(|| {
                let names = Self::ALL.map(Self::name).join(", ");
                format!("unknown distribution `{given}`; use one of {names}")
            })
    }
}

/// `count` scalars. Those that are made against windows are made against scalars split for G1 and windows
/// of 13 bits.
pub fn scalars(count: usize, distribution: Distribution, seed: u64) -> Vec<Scalar> {
    scalars_against(&Digits::new(Group::G1, WINDOW), count, distribution, seed)
}

/// `count` scalars, those that are made against windows for these digits.
pub fn scalars_against(
    digits: &Digits,
    count: usize,
    distribution: Distribution,
    seed: u64,
) -> Vec<Scalar> {
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    let first = Scalar::random(&mut rng);
    let bit = |rng: &mut ChaCha12Rng| Scalar::from(u64::from(rng.r#gen::<bool>()));
    let rng = &mut rng;
    let drawn = 0..count;
    match distribution {
        Distribution::Uniform => drawn.map(|_| Scalar::random(&mut *rng)).collect(),
        Distribution::Equal => vec![first; count],
        Distribution::One => vec![Scalar::ONE; count],
        Distribution::ZerosOnes => drawn.map(|_| bit(rng)).collect(),
        Distribution::Witness => drawn
            .map(|_| match rng.gen_range(0..20) {
                0..19 => bit(rng),
                _ => Scalar::random(&mut *rng),
            })
            .collect(),
        Distribution::Zipf => {
            let cumulated = zipf();
            let total = cumulated.last().copied().unwrap_or_default();
            drawn
                .map(|_| {
                    let at = rng.gen_range(0..total);
                    Scalar::from(cumulated.partition_point(|sum| *sum <= at) as u64 + 1)
                })
                .collect()
        }
        Distribution::Ascending => drawn.map(|i| Scalar::from(i as u64 + 1)).collect(),
        Distribution::Hot => against(digits, count, 1, rng),
        Distribution::Cycled => against(digits, count, CYCLE, rng),
        Distribution::MinusOne => drawn
            .map(|_| match rng.gen_range(0..10) {
                0..9 => -Scalar::ONE,
                _ => Scalar::random(&mut *rng),
            })
            .collect(),
    }
}

/// Sums of the weights of 1, 2, ... up to each value; weights in units of 2^-32.
fn zipf() -> Vec<u64> {
    (1..=ZIPF_VALUES)
        .scan(0, |sum, value| {
            *sum += (1 << 32) / value;
            Some(*sum)
        })
        .collect()
}

/// Scalars whose digits all have the same magnitude, which goes through the `cycle` largest ones.
fn against(digits: &Digits, count: usize, cycle: i64, rng: &mut ChaCha12Rng) -> Vec<Scalar> {
    let (windows, largest) = digits.hottest();
    let places = digits.of(&Scalar::ZERO).count() as u32;
    (0..count)
        .map(|i| {
            let magnitude = largest - i as i64 % cycle.min(largest);
            let of_place = |place: u32| match (place % digits.windows(), rng.r#gen()) {
                (window, _) if window >= windows => 0,
                // A whole scalar has no sign of its own: its uppermost digit is positive.
                (window, true) if window + 1 != windows => -magnitude,
                _ => magnitude,
            };
            digits.compose(&(0..places).map(of_place).collect::<Vec<_>>())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const COUNT: usize = 4000;

    fn share(scalars: &[Scalar], wanted: impl Fn(&Scalar) -> bool) -> f64 {
        scalars.iter().filter(|k| wanted(k)).count() as f64 / scalars.len() as f64
    }

    #[test]
    fn names_are_read_back() {
        for kind in Distribution::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        let error = "odd".parse::<Distribution>().unwrap_err();
        assert!(error.contains("minus-one"), "{error}");
    }

    #[test]
    fn shares_are_those_announced() {
        let of = |kind| scalars(COUNT, kind, 5);
        let near = |found: f64, wanted: f64| (found - wanted).abs() < 0.03;
        let bit = |k: &Scalar| *k == Scalar::ZERO || *k == Scalar::ONE;
        assert!(near(share(&of(Distribution::Witness), bit), 0.95));
        let zeros = share(&of(Distribution::ZerosOnes), |k| *k == Scalar::ZERO);
        assert!(near(zeros, 0.5));
        let negative = share(&of(Distribution::MinusOne), |k| *k == -Scalar::ONE);
        assert!(near(negative, 0.9));
        // 1 / H(65536), and half of that.
        let value = |v: u64| share(&of(Distribution::Zipf), |k| *k == Scalar::from(v));
        assert!(near(value(1), 0.0857) && near(value(2), 0.0429));
        assert_eq!(
            of(Distribution::Ascending)[COUNT - 1],
            Scalar::from(COUNT as u64)
        );
    }

    #[test]
    fn scalars_against_windows_use_as_few_buckets_as_they_say() {
        for (group, bits, mode) in [
            (Group::G1, 13, MsmMode::Split),
            (Group::G1, 8, MsmMode::Full),
            (Group::G1, 2, MsmMode::Split),
            (Group::G2, 13, MsmMode::Split),
        ] {
            let digits = Digits::new(group, Window { bits, mode });
            for (kind, most) in [(Distribution::Hot, 1), (Distribution::Cycled, 8)] {
                let scalars = scalars_against(&digits, 100, kind, 1);
                let magnitudes: HashSet<i64> = scalars
                    .iter()
                    .flat_map(|k| digits.of(k))
                    .filter(|digit| *digit != 0)
                    .map(i64::abs)
                    .collect();
                assert_eq!(magnitudes.len(), most.min(digits.buckets() as usize / 2));
                // All windows take part but perhaps the top ones.
                let parts = digits.of(&Scalar::ZERO).count() / digits.windows() as usize;
                let least = parts * (digits.windows() as usize - 2);
                assert!(scalars.iter().all(|k| digits.non_zero(k) as usize >= least));
                let different: HashSet<_> = scalars.iter().map(Scalar::to_bytes_le).collect();
                assert!(different.len() > 90, "{kind} {bits}");
            }
        }
    }
}
