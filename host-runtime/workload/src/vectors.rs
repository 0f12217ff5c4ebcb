//! Test vectors for MSM, NTT and quotient, with results that no card computed.
//!
//! For the tests of every crate that computes or has computed: the same
//! cases hit the functional model, the Verilated card and the runtime's
//! engines. Expected values come from blstrs by other ways than an engine's:
//! every base is a known multiple of the generator, so the expected MSM is one
//! scalar product and one multiplication; transforms are evaluated term by
//! term. Images are those of `hdl/doc/contract.md`.
#![allow(unsafe_code)]

use blst::{blst_fp, blst_fr, blst_p1};
use blstrs::{G1Affine, G1Projective, Scalar};
use carillon_driver::command::NttKind;
use ff::{Field, PrimeField};
use group::prime::PrimeCurveAffine;
use group::{Curve, Group};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

/// Bytes of a coordinate.
const FP: usize = 48;

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

/// An MSM and its result.
#[derive(Clone, Debug)]
pub struct MsmCase {
    /// For messages: size and patterns.
    pub name: String,
    /// The points.
    pub bases: Vec<G1Affine>,
    /// The scalars.
    pub scalars: Vec<Scalar>,
    /// Their sum of products.
    pub expected: G1Projective,
}

/// One case of `n` terms.
pub fn msm_case(n: usize, bases: BasePattern, scalars: ScalarPattern, seed: u64) -> MsmCase {
    let mut rng = ChaCha20Rng::seed_from_u64(seed ^ (n as u64) << 32);
    let (first, step) = (Scalar::random(&mut rng), Scalar::random(&mut rng));
    let (mut log, mut point) = (first, G1Projective::generator() * first);
    let difference = G1Projective::generator() * step;
    let mut logs = Vec::with_capacity(n);
    let mut points = Vec::with_capacity(n);
    for i in 0..n {
        let (l, p) = match bases {
            BasePattern::AllInfinity => (Scalar::ZERO, G1Projective::identity()),
            BasePattern::SomeInfinity if i % 3 == 1 => (Scalar::ZERO, G1Projective::identity()),
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
    let mut affine = vec![G1Affine::identity(); n];
    for (a, p) in affine.iter_mut().zip(&points) {
        *a = p.to_affine();
    }
    MsmCase {
        name: format!("{n} terms, bases {bases:?}, scalars {scalars:?}"),
        bases: affine,
        scalars: drawn,
        expected: G1Projective::generator() * product,
    }
}

/// k times the point by doubling and adding. (`*` goes by the endomorphism, which
/// is wrong outside the subgroup.)
pub fn times(point: G1Projective, k: &Scalar) -> G1Projective {
    let bits = k.to_bytes_le();
    (0..256).rev().fold(G1Projective::identity(), |sum, bit| {
        let doubled = sum.double();
        if bits[bit / 8] >> (bit % 8) & 1 == 1 {
            doubled + point
        } else {
            doubled
        }
    })
}

/// One case of `n` terms on different points of the curve outside the subgroup
/// of order r: right only with `FULL_SCALARS`.
pub fn msm_case_outside(n: usize, scalars: ScalarPattern, seed: u64) -> MsmCase {
    let mut rng = ChaCha20Rng::seed_from_u64(seed ^ (n as u64) << 32);
    let mut bases = Vec::with_capacity(n);
    while bases.len() < n {
        let mut compressed: [u8; FP] = std::array::from_fn(|_| rng.r#gen());
        compressed[0] = 0x80 | compressed[0] & 0x2f;
        let point = Option::<G1Affine>::from(G1Affine::from_compressed_unchecked(&compressed));
        bases.extend(point.filter(|p| !bool::from(p.is_torsion_free())));
    }
    let scalars_drawn = scalars.draw(n, &mut rng);
    let terms = bases.iter().zip(&scalars_drawn);
    let expected = terms.map(|(p, k)| times(p.to_curve(), k)).sum();
    MsmCase {
        name: format!("{n} terms outside the subgroup, scalars {scalars:?}"),
        bases,
        scalars: scalars_drawn,
        expected,
    }
}

/// All cases of `n` terms that the patterns give: every scalar pattern on
/// distinct and on repeated bases, every base pattern with uniform scalars.
pub fn msm_cases(n: usize, seed: u64) -> Vec<MsmCase> {
    let mut cases = Vec::new();
    for scalars in ScalarPattern::ALL {
        cases.push(msm_case(n, BasePattern::Distinct, scalars, seed));
        cases.push(msm_case(n, BasePattern::Repeated, scalars, seed));
    }
    for bases in [
        BasePattern::Negated,
        BasePattern::SomeInfinity,
        BasePattern::AllInfinity,
    ] {
        cases.push(msm_case(n, bases, ScalarPattern::Random, seed));
        cases.push(msm_case(n, bases, ScalarPattern::Equal, seed));
    }
    cases
}

/// The card's images of scalars: 32 bytes each.
pub fn scalar_images(scalars: &[Scalar]) -> Vec<u8> {
    let image = |s: &Scalar| blst_fr::from(*s).l.map(u64::to_le_bytes);
    scalars.iter().flat_map(image).flatten().collect()
}

/// The scalars of images; `None` if one is not below r.
pub fn read_scalars(images: &[u8]) -> Option<Vec<Scalar>> {
    let modulus = limbs::<4>(&(-Scalar::ONE).to_bytes_le());
    let read = |image: &[u8]| {
        let l: [u64; 4] = limbs(image);
        // At most r - 1.
        let canonical = l.iter().rev().le(modulus.iter().rev());
        canonical.then(|| Scalar::from(blst_fr { l }))
    };
    images.chunks_exact(32).map(read).collect()
}

/// The card's images of affine points: 96 bytes each, zeros for infinity.
pub fn base_images(bases: &[G1Affine]) -> Vec<u8> {
    let image = |p: &G1Affine| {
        let raw = p.as_ref();
        [raw.x.l, raw.y.l]
            .concat()
            .into_iter()
            .flat_map(u64::to_le_bytes)
            .collect::<Vec<_>>()
    };
    bases.iter().flat_map(image).collect()
}

fn limbs<const N: usize>(image: &[u8]) -> [u64; N] {
    let mut out = [0; N];
    for (limb, chunk) in out.iter_mut().zip(image.chunks_exact(8)) {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(chunk);
        *limb = u64::from_le_bytes(bytes);
    }
    out
}

/// The point of an MSM's result: homogeneous X, Y, Z images. `None` if it is no
/// point of the subgroup, or the padding is not zero.
pub fn read_result(result: &[u8]) -> Option<G1Projective> {
    read_point(result).filter(|p| p.to_affine().is_torsion_free().into())
}

/// The same for any point of the curve.
pub fn read_point(result: &[u8]) -> Option<G1Projective> {
    if result.len() != 192 || result[3 * FP..].iter().any(|&b| b != 0) {
        return None;
    }
    let mut c = result
        .chunks_exact(FP)
        .map(|image| blst_fp { l: limbs(image) });
    let (x, y, z) = (c.next()?, c.next()?, c.next()?);
    let mul = |a: &blst_fp, b: &blst_fp| {
        let mut out = blst_fp::default();
        // SAFETY: valid references; blst writes only `out`.
        unsafe { blst::blst_fp_mul(&mut out, a, b) };
        out
    };
    // x = X/Z = XZ/Z^2, y = Y/Z = YZ^2/Z^3: Jacobian coordinates.
    let point = blst_p1 {
        x: mul(&x, &z),
        y: mul(&y, &mul(&z, &z)),
        z,
    };
    let mut bytes = [0; 96];
    // SAFETY: a valid point value; blst writes 96 bytes.
    unsafe { blst::blst_p1_serialize(bytes.as_mut_ptr(), &point) };
    Option::<G1Affine>::from(G1Affine::from_uncompressed_unchecked(&bytes))
        .filter(|p| p.is_on_curve().into())
        .map(|p| p.to_curve())
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
        for case in msm_cases(7, 1) {
            let sum: G1Projective = case
                .bases
                .iter()
                .zip(&case.scalars)
                .map(|(b, s)| b.to_curve() * s)
                .sum();
            assert_eq!(sum, case.expected, "{}", case.name);
        }
    }

    #[test]
    fn images_survive_the_trip() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let scalars = ScalarPattern::Witness.draw(50, &mut rng);
        assert_eq!(read_scalars(&scalar_images(&scalars)).unwrap(), scalars);
        assert_eq!(read_scalars(&[0xff; 32]), None);
        // One in Montgomery form is 2^256 mod r.
        assert_eq!(
            scalar_images(&[Scalar::ONE])[..8],
            0x1_ffff_fffe_u64.to_le_bytes()
        );
        let case = msm_case(3, BasePattern::SomeInfinity, ScalarPattern::Random, 3);
        assert_eq!(base_images(&case.bases)[96..192], [0; 96]);
    }

    #[test]
    fn results_are_read_as_points_whatever_their_representative() {
        let p = (G1Projective::generator() * Scalar::from(5)).to_affine();
        let one = limbs::<6>(&base_images(&[p])[..48]); // any factor: x itself
        let factor = blst_fp { l: one };
        let times = |l: [u64; 6]| {
            let mut out = blst_fp::default();
            // SAFETY: valid references.
            unsafe { blst::blst_fp_mul(&mut out, &blst_fp { l }, &factor) };
            out.l
        };
        let raw = p.as_ref();
        let mut result = Vec::new();
        for l in [times(raw.x.l), times(raw.y.l), one] {
            result.extend(l.into_iter().flat_map(u64::to_le_bytes));
        }
        result.resize(192, 0);
        assert_eq!(read_result(&result), Some(p.to_curve()));
        let mut bad = result.clone();
        bad[0] ^= 1;
        assert_eq!(read_result(&bad), None, "off the curve");
        result[191] = 1;
        assert_eq!(read_result(&result), None, "padding");
        let mut infinity = vec![0; 192];
        infinity[48] = 1;
        assert_eq!(read_result(&infinity), Some(G1Projective::identity()));
    }

    #[test]
    fn the_transform_check_finds_a_wrong_element() {
        let input = [Scalar::from(3), Scalar::from(4)];
        let output = [Scalar::from(7), -Scalar::ONE];
        assert_eq!(check_ntt(&input, &output, NttKind::default()), Ok(()));
        assert_eq!(check_ntt(&input, &input, NttKind::default()), Err(0));
    }
}
