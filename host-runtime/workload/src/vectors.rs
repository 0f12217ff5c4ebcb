//! Test vectors for MSM, NTT and quotient, with results that no card computed.
//!
//! For the tests of every crate that computes or has computed: the same
//! cases hit the functional model, the Verilated card and the runtime's
//! engines. Expected values come from blstrs by other ways than an engine's:
//! every base is a known multiple of the generator, so the expected MSM is one
//! scalar product and one multiplication; transforms are evaluated term by
//! term. Images are those of `hdl/doc/contract.md`.

mod images;

use blstrs::{G1Projective, Scalar};
use carillon_driver::command::NttKind;
use ff::{Field, PrimeField};
use group::prime::PrimeCurveAffine;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

pub use images::{Curve, base_images, read_point, read_result, read_scalars, scalar_images};

/// 1, 2, 3, and 2^k - 1, 2^k, 2^k + 1 for every k up to `max_log2`; ascending,
/// each once.
pub fn sizes(max_log2: u32) -> Vec<usize> {
    let mut sizes: Vec<usize> = vec![1, 2, 3];
    sizes.extend((1..=max_log2).flat_map(|k| [(1 << k) - 1, 1 << k, (1 << k) + 1]));
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

/// What the scalars of a case look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalarPattern {
    /// All 0.
    Zero,
    /// All 1.
    One,
    /// All r - 1.
    MinusOne,
    /// All the same random value.
    Equal,
    /// Uniform.
    Random,
    /// 0, 1, r - 1, small and uniform values mixed, as in a witness.
    Witness,
}

impl ScalarPattern {
    /// Every pattern.
    pub const ALL: [Self; 6] = [
        Self::Zero,
        Self::One,
        Self::MinusOne,
        Self::Equal,
        Self::Random,
        Self::Witness,
    ];

    /// `n` scalars.
    pub fn draw(self, n: usize, rng: &mut ChaCha20Rng) -> Vec<Scalar> {
        let equal = Scalar::random(&mut *rng);
        let one = |rng: &mut ChaCha20Rng| match self {
            Self::Zero => Scalar::ZERO,
            Self::One => Scalar::ONE,
            Self::MinusOne => -Scalar::ONE,
            Self::Equal => equal,
            Self::Random => Scalar::random(rng),
            Self::Witness => match rng.gen_range(0..8) {
                0..3 => Scalar::ZERO,
                3..5 => Scalar::ONE,
                5 => -Scalar::ONE,
                6 => Scalar::from(u64::from(rng.r#gen::<u16>())),
                _ => Scalar::random(rng),
            },
        };
        (0..n).map(|_| one(rng)).collect()
    }
}

/// What the bases of a case look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BasePattern {
    /// All different.
    Distinct,
    /// One point again and again: every addition may be a doubling.
    Repeated,
    /// A point, its negative, the point, ...: additions to infinity.
    Negated,
    /// Every third one is the point at infinity.
    SomeInfinity,
    /// Nothing but infinity.
    AllInfinity,
}

impl BasePattern {
    /// Every pattern.
    pub const ALL: [Self; 5] = [
        Self::Distinct,
        Self::Repeated,
        Self::Negated,
        Self::SomeInfinity,
        Self::AllInfinity,
    ];
}

/// An MSM and its result, in G1 unless another group is named.
#[derive(Clone, Debug)]
pub struct MsmCase<C: Curve = G1Projective> {
    /// For messages: group, size and patterns.
    pub name: String,
    /// The points.
    pub bases: Vec<C::Affine>,
    /// The scalars.
    pub scalars: Vec<Scalar>,
    /// Their sum of products.
    pub expected: C,
}

/// One case of `n` terms in G1.
pub fn msm_case(n: usize, bases: BasePattern, scalars: ScalarPattern, seed: u64) -> MsmCase {
    msm_case_in(n, bases, scalars, seed)
}

/// One case of `n` terms in either group.
pub fn msm_case_in<C: Curve>(
    n: usize,
    bases: BasePattern,
    scalars: ScalarPattern,
    seed: u64,
) -> MsmCase<C> {
    let mut rng = ChaCha20Rng::seed_from_u64(seed ^ (n as u64) << 32);
    let (first, step) = (Scalar::random(&mut rng), Scalar::random(&mut rng));
    let (mut log, mut point) = (first, C::generator() * first);
    let difference = C::generator() * step;
    let mut logs = Vec::with_capacity(n);
    let mut points = Vec::with_capacity(n);
    for i in 0..n {
        let (l, p) = match bases {
            BasePattern::AllInfinity => (Scalar::ZERO, C::identity()),
            BasePattern::SomeInfinity if i % 3 == 1 => (Scalar::ZERO, C::identity()),
            BasePattern::Negated if i % 2 == 1 => (-log, -point),
            _ => (log, point),
        };
        logs.push(l);
        points.push(p);
        let moves = match bases {
            BasePattern::Repeated => false,
            BasePattern::Negated => i % 4 == 3,
            _ => true,
        };
        if moves {
            log += step;
            point += difference;
        }
    }
    let drawn = scalars.draw(n, &mut rng);
    let product: Scalar = drawn.iter().zip(&logs).map(|(s, l)| s * l).sum();
    let mut affine = vec![C::Affine::identity(); n];
    for (a, p) in affine.iter_mut().zip(&points) {
        *a = p.to_affine();
    }
    MsmCase {
        name: format!(
            "{:?}, {n} terms, bases {bases:?}, scalars {scalars:?}",
            C::GROUP
        ),
        bases: affine,
        scalars: drawn,
        expected: C::generator() * product,
    }
}

/// k times the point by doubling and adding. (`*` goes by the endomorphism, which
/// is wrong outside the subgroup.)
pub fn times<C: Curve>(point: C, k: &Scalar) -> C {
    let bits = k.to_bytes_le();
    (0..256).rev().fold(C::identity(), |sum, bit| {
        let doubled = sum.double();
        if bits[bit / 8] >> (bit % 8) & 1 == 1 {
            doubled + point
        } else {
            doubled
        }
    })
}

/// One case of `n` terms on different points of G1's curve outside the subgroup
/// of order r: right only with `FULL_SCALARS`.
pub fn msm_case_outside(n: usize, scalars: ScalarPattern, seed: u64) -> MsmCase {
    msm_case_outside_in(n, scalars, seed)
}

/// The same around either group.
pub fn msm_case_outside_in<C: Curve>(n: usize, scalars: ScalarPattern, seed: u64) -> MsmCase<C> {
    let mut rng = ChaCha20Rng::seed_from_u64(seed ^ (n as u64) << 32);
    let mut bases = Vec::with_capacity(n);
    while bases.len() < n {
        bases.extend(C::draw(&mut rng).filter(|p| !C::in_subgroup(p)));
    }
    let scalars_drawn = scalars.draw(n, &mut rng);
    let terms = bases.iter().zip(&scalars_drawn);
    let expected = terms.map(|(p, k)| times(p.to_curve(), k)).sum();
    MsmCase {
        name: format!(
            "{:?}, {n} terms outside the subgroup, scalars {scalars:?}",
            C::GROUP
        ),
        bases,
        scalars: scalars_drawn,
        expected,
    }
}

/// All cases of `n` terms in G1 that the patterns give: every scalar pattern on
/// distinct and on repeated bases, every base pattern with uniform scalars.
pub fn msm_cases(n: usize, seed: u64) -> Vec<MsmCase> {
    msm_cases_in(n, seed)
}

/// The same in either group.
pub fn msm_cases_in<C: Curve>(n: usize, seed: u64) -> Vec<MsmCase<C>> {
    let mut cases = Vec::new();
    for scalars in ScalarPattern::ALL {
        cases.push(msm_case_in(n, BasePattern::Distinct, scalars, seed));
        cases.push(msm_case_in(n, BasePattern::Repeated, scalars, seed));
    }
    for bases in [
        BasePattern::Negated,
        BasePattern::SomeInfinity,
        BasePattern::AllInfinity,
    ] {
        cases.push(msm_case_in(n, bases, ScalarPattern::Random, seed));
        cases.push(msm_case_in(n, bases, ScalarPattern::Equal, seed));
    }
    cases
}

/// A primitive 2^log2n-th root of unity, the contract's omega.
pub fn omega(log2n: u32) -> Scalar {
    (log2n..Scalar::S).fold(Scalar::ROOT_OF_UNITY, |w, _| w.square())
}

/// The transform's element k, term by term (Horner).
fn evaluate(coefficients: &[Scalar], at: Scalar) -> Scalar {
    coefficients
        .iter()
        .rev()
        .fold(Scalar::ZERO, |sum, c| sum * at + c)
}

/// Checks `output` against the definition of the transform of `input` (2^k
/// elements): all elements up to 256 of them, else a sample.
///
/// # Errors
/// The index of an element that is wrong.
pub fn check_ntt(input: &[Scalar], output: &[Scalar], kind: NttKind) -> Result<(), usize> {
    // The inverse is right if the definition leads from its output to its input.
    let (coefficients, values) = if kind.inverse {
        (output, input)
    } else {
        (input, output)
    };
    let n = coefficients.len();
    if values.len() != n {
        return Err(n.min(values.len()));
    }
    let shift = match (kind.coset, kind.odd) {
        (false, false) => Scalar::ONE,
        (true, _) => Scalar::from(7),
        (false, true) => omega(n.trailing_zeros() + 1),
    };
    let omega = omega(n.trailing_zeros());
    let indices: Vec<usize> = if n <= 256 {
        (0..n).collect()
    } else {
        let mut rng = ChaCha20Rng::seed_from_u64(n as u64);
        (0..24)
            .map(|_| rng.gen_range(0..n))
            .chain([0, 1, n / 2, n - 1])
            .collect()
    };
    let wrong =
        |&&k: &&usize| evaluate(coefficients, shift * omega.pow_vartime([k as u64])) != values[k];
    indices.iter().find(wrong).map_or(Ok(()), |&k| Err(k))
}

/// (a_i * b_i - c_i) * z.
pub fn quotient(a: &[Scalar], b: &[Scalar], c: &[Scalar], z: Scalar) -> Vec<Scalar> {
    a.iter()
        .zip(b)
        .zip(c)
        .map(|((a, b), c)| (a * b - c) * z)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_around_powers_of_two() {
        assert_eq!(sizes(3), [1, 2, 3, 4, 5, 7, 8, 9]);
        assert_eq!(sizes(10).last(), Some(&1025));
    }

    #[test]
    fn expected_results_agree_with_term_by_term_sums() {
        fn agree<C: Curve>() {
            for case in msm_cases_in::<C>(7, 1) {
                let terms = case.bases.iter().zip(&case.scalars);
                let sum: C = terms.map(|(b, s)| b.to_curve() * s).sum();
                assert_eq!(sum, case.expected, "{}", case.name);
            }
        }
        agree::<G1Projective>();
        agree::<blstrs::G2Projective>();
    }

    #[test]
    fn the_transform_check_finds_a_wrong_element() {
        let input = [Scalar::from(3), Scalar::from(4)];
        let output = [Scalar::from(7), -Scalar::ONE];
        assert_eq!(check_ntt(&input, &output, NttKind::default()), Ok(()));
        assert_eq!(check_ntt(&input, &input, NttKind::default()), Err(0));
    }
}
