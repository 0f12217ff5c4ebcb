//! Scalars and points for MSM tests: distributions that operators meet, and some that were made to hurt.

use blstrs::Scalar;
use ff::Field;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::curve::MsmCurve;
use crate::recode::{self, Mode};

/// Banks of buckets: `carillon_pkg::MsmBanks`.
const BANKS: usize = 8;

/// How scalars are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalars {
    /// All 0.
    Zero,
    /// All 1.
    One,
    /// All r - 1.
    MinusOne,
    /// One random scalar, again and again.
    Equal,
    /// 0 or 1, even odds.
    ZeroOne,
    /// 95 % zeros and ones, the rest uniform: a Groth16 witness.
    Witness,
    /// Small numbers, the number k as often as 1/k (Zipf's law, exponent 1, below 2^16).
    Zipf,
    /// 0, 1, 2, ...
    Ascending,
    /// Every digit of every window is 1 or -1 where windows have this many bits: one bucket a window.
    Hot(u8),
    /// The same with digits that cycle through 1, 2, 3, 4.
    Cycled(u8),
    /// Different digits, but all in the same bank of buckets where windows have this many bits: the worst case.
    OneBank(u8),
    /// Powers of two and their neighbours, both signs: carries through windows.
    Edges,
    /// Below 2^bits, both signs.
    Small(u8),
    /// Any.
    Uniform,
}

impl Scalars {
    /// One of each kind.
    pub const ALL: [Self; 13] = [
        Self::Zero,
        Self::One,
        Self::MinusOne,
        Self::Equal,
        Self::ZeroOne,
        Self::Witness,
        Self::Zipf,
        Self::Ascending,
        Self::Hot(8),
        Self::Cycled(8),
        Self::Edges,
        Self::Small(20),
        Self::Uniform,
    ];

    /// `count` of them, for a run in `mode`.
    pub fn draw(self, rng: &mut ChaCha8Rng, count: usize, mode: Mode) -> Vec<Scalar> {
        let equal = Scalar::random(&mut *rng);
        let digits: Vec<Scalar> = match self {
            Self::Hot(bits) | Self::Cycled(bits) => (1..=4)
                .map(|digit| recode::uniform_digits(digit, mode, bits.into()))
                .collect(),
            _ => Vec::new(),
        };
        let one = |index: usize, rng: &mut ChaCha8Rng| match self {
            Self::Zero => Scalar::ZERO,
            Self::One => Scalar::ONE,
            Self::MinusOne => -Scalar::ONE,
            Self::Equal => equal,
            Self::ZeroOne => Scalar::from(u64::from(rng.r#gen::<bool>())),
            Self::Witness if rng.gen_bool(0.95) => Scalar::from(u64::from(rng.r#gen::<bool>())),
            Self::Zipf => Scalar::from(65_536_f64.powf(rng.r#gen()) as u64),
            Self::Ascending => Scalar::from(index as u64),
            Self::Hot(_) => signed(rng, digits[0]),
            Self::Cycled(_) => digits[index % digits.len()],
            Self::OneBank(bits) => {
                let rows = (1 << (bits - 1)) / BANKS - 1;
                // Bucket b of window w, digit b + 1, lies in bank (b + w) mod BANKS.
                let digit =
                    |window| (index % rows * BANKS + (BANKS - window % BANKS) % BANKS + 1) as u64;
                recode::scalar_of_digits(digit, mode, bits.into())
            }
            Self::Edges => {
                let power = Scalar::from(2).pow_vartime([rng.gen_range(0..255)]);
                let near = power + Scalar::from(rng.gen_range(0..3)) - Scalar::ONE;
                signed(rng, near)
            }
            Self::Small(bits) => {
                let small = Scalar::from(rng.gen_range(0..1_u64 << bits));
                signed(rng, small)
            }
            Self::Witness | Self::Uniform => Scalar::random(rng),
        };
        (0..count).map(|index| one(index, rng)).collect()
    }
}

fn signed(rng: &mut ChaCha8Rng, scalar: Scalar) -> Scalar {
    if rng.r#gen() { scalar } else { -scalar }
}

/// How points are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Points {
    /// All different.
    Distinct,
    /// One, again and again.
    Equal,
    /// Each second point is the negative of the one before it.
    Opposite,
    /// Infinity, repeated and negated points among the others.
    Mixed,
    /// On the curve, but not of order r: only for runs without the endomorphism.
    AnyOrder,
}

impl Points {
    /// Kinds that every run can have.
    pub const OF_ORDER_R: [Self; 4] = [Self::Distinct, Self::Equal, Self::Opposite, Self::Mixed];

    /// Kinds for a run in `mode`.
    #[must_use]
    pub fn of(mode: Mode) -> Vec<Self> {
        let mut kinds = Self::OF_ORDER_R.to_vec();
        if mode == Mode::Full {
            kinds.push(Self::AnyOrder);
        }
        kinds
    }

    /// `count` of them.
    pub fn draw<C: MsmCurve>(self, rng: &mut ChaCha8Rng, count: usize) -> Vec<C> {
        let distinct: Vec<C> = match self {
            Self::AnyOrder => (0..count).map(|_| C::any_order(rng)).collect(),
            _ => chain(rng, count),
        };
        let one = |index: usize| match self {
            Self::Equal => distinct[0],
            Self::Opposite if index % 2 == 1 => -distinct[index - 1],
            Self::Distinct | Self::Opposite => distinct[index],
            Self::Mixed | Self::AnyOrder => match rng.gen_range(0..6) {
                0 => C::identity(),
                1 => distinct[index / 2],
                2 => -distinct[index / 2],
                _ => distinct[index],
            },
        };
        (0..count).map(one).collect()
    }
}

/// Different points of order r.
fn chain<C: MsmCurve>(rng: &mut ChaCha8Rng, count: usize) -> Vec<C> {
    let step = C::generator() * Scalar::random(&mut *rng);
    let first = C::generator() * Scalar::random(&mut *rng);
    let chain: Vec<_> = std::iter::successors(Some(first), |point| Some(*point + step))
        .take(count)
        .collect();
    C::normalize(&chain)
}
