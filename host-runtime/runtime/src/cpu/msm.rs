//! Multi-scalar multiplication through blst's Pippenger, on all cores.
//!
//! Infinity bases and zero scalars are dropped first: they add nothing, proving keys hold many of
//! them, and blst asks for non-empty input.

use std::sync::atomic::{AtomicBool, Ordering};

use blst::MultiPoint;
use blstrs::{G1Affine, G2Affine, G2Projective, Scalar};
use ff::Field;
use group::prime::PrimeCurveAffine;
use group::{Curve, Group};
use rayon::prelude::*;
use zeroize::Zeroizing;

use super::work;
use crate::image::{self, SCALAR_BYTES};

/// Bits of a canonical scalar.
const SCALAR_BITS: usize = 255;
/// Below so many terms (32, or the number of its threads) blst multiplies one by one, and by the
/// curve's endomorphism, which is wrong outside the subgroup of order r.
const FEW: usize = 1024;
/// Scalars announced with so many bits are multiplied without it.
const PLAIN_BITS: usize = 257;

/// The pairs that contribute: bases, and canonical little-endian scalars as blst wants them, with
/// how many bits each is announced. The scalars are wiped when they are dropped.
fn compact<P: PrimeCurveAffine + Send + Sync>(
    bases: &[P],
    scalars: &[Scalar],
) -> (Vec<P>, usize, Zeroizing<Vec<u8>>) {
    work::counted(work::Kind::Sum);
    let kept: Vec<(P, &Scalar)> = bases
        .par_iter()
        .zip(scalars)
        .with_min_len(1 << 10)
        .filter(|(base, scalar)| !bool::from(base.is_identity() | scalar.is_zero()))
        .map(|(base, scalar)| (*base, scalar))
        .collect();
    let (bits, stride) = match kept.len() {
        FEW.. => (SCALAR_BITS, SCALAR_BYTES),
        _ => (PLAIN_BITS, SCALAR_BYTES + 1),
    };
    // At their full length from the start: a list that grows would leave copies behind.
    let mut digits = Zeroizing::new(vec![0; kept.len() * stride]);
    digits
        .par_chunks_exact_mut(stride)
        .zip(&kept)
        .with_min_len(1 << 10)
        .for_each(|(digits, (_, scalar))| {
            digits[..SCALAR_BYTES].copy_from_slice(&scalar.to_bytes_le());
        });
    let bases = kept.into_iter().map(|(base, _)| base).collect();
    (bases, bits, digits)
}

/// The sum of `scalars[i] * bases[i]`, for any points of the curve; infinity for no terms. Lengths
/// must be equal.
pub fn msm_g1(bases: &[G1Affine], scalars: &[Scalar]) -> G1Affine {
    let (bases, bits, scalars) = compact(bases, scalars);
    if bases.is_empty() {
        return G1Affine::identity();
    }
    image::from_blst_g1(image::blst_g1(&bases).mult(&scalars, bits)).to_affine()
}

/// The sum of `scalars[i] * bases[i]`, for any points of the curve; infinity for no terms. Lengths
/// must be equal.
pub fn msm_g2(bases: &[G2Affine], scalars: &[Scalar]) -> G2Affine {
    let (bases, bits, scalars) = compact(bases, scalars);
    if bases.is_empty() {
        return G2Affine::identity();
    }
    image::from_blst_g2(image::blst_g2(&bases).mult(&scalars, bits)).to_affine()
}

/// Pairs between two looks at whether the sum is still wanted.
const STEP: usize = 1 << 16;

/// [`msm_g2`] that ends without a result soon after `stop` is set.
pub fn msm_g2_until(bases: &[G2Affine], scalars: &[Scalar], stop: &AtomicBool) -> Option<G2Affine> {
    let mut sum = G2Projective::identity();
    for (bases, scalars) in bases.chunks(STEP).zip(scalars.chunks(STEP)) {
        if stop.load(Ordering::Relaxed) {
            return None;
        }
        sum += msm_g2(bases, scalars);
    }
    Some(sum.to_affine())
}

#[cfg(test)]
mod tests {
    use super::*;
    use blstrs::G1Projective;
    use carillon_workload::vectors::{self, ScalarPattern};
    use rand::{Rng, SeedableRng};

    /// Sums with double-and-add, whatever the points and scalars.
    fn naive<C: group::prime::PrimeCurve<Scalar = Scalar>>(
        bases: &[C::Affine],
        scalars: &[Scalar],
    ) -> C::Affine {
        let sum: C = bases
            .iter()
            .zip(scalars)
            .map(|(base, scalar)| base.to_curve() * scalar)
            .sum();
        sum.to_affine()
    }

    #[test]
    fn steps_add_up_and_end_when_told() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(2);
        let size = 2 * STEP + 3;
        let g2 = G2Projective::random(&mut rng).to_affine();
        let bases = vec![g2; size];
        // Mostly zeros, so that it is quick.
        let mut scalars = vec![Scalar::ZERO; size];
        for at in [0, STEP - 1, STEP, 2 * STEP, size - 1] {
            scalars[at] = Scalar::random(&mut rng);
        }
        let stop = AtomicBool::new(false);
        let expected = (g2 * scalars.iter().sum::<Scalar>()).to_affine();
        assert_eq!(msm_g2_until(&bases, &scalars, &stop), Some(expected));
        stop.store(true, Ordering::Relaxed);
        assert_eq!(msm_g2_until(&bases, &scalars, &stop), None);
    }

    #[test]
    fn points_outside_the_subgroup_are_multiplied_by_the_whole_scalar() {
        for size in [1, 2, 31, 32, 33, FEW - 1, FEW] {
            let case = vectors::msm_case_outside(size, ScalarPattern::Random, 3);
            let sum = msm_g1(&case.bases, &case.scalars);
            assert_eq!(sum, case.expected.to_affine(), "{size}");
            let case = vectors::msm_case_outside_in::<G2Projective>(size, ScalarPattern::Random, 3);
            let sum = msm_g2(&case.bases, &case.scalars);
            assert_eq!(sum, case.expected.to_affine(), "{size}");
        }
    }

    #[test]
    fn equals_double_and_add_on_every_kind_of_input() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        // Around 32 points blst changes its algorithm.
        for size in [1, 2, 3, 31, 32, 33, 100, 1000] {
            let g1 = G1Projective::random(&mut rng);
            let g2 = G2Projective::random(&mut rng);
            let multiples: Vec<Scalar> = (0..size)
                .map(|_| {
                    [Scalar::ZERO, Scalar::ONE, -Scalar::ONE, Scalar::from(5)][rng.gen_range(0..4)]
                })
                .collect();
            let bases1: Vec<_> = multiples.iter().map(|k| (g1 * k).to_affine()).collect();
            let bases2: Vec<_> = multiples.iter().map(|k| (g2 * k).to_affine()).collect();
            let random: Vec<_> = (0..size).map(|_| Scalar::random(&mut rng)).collect();
            for scalars in [
                vec![Scalar::ZERO; size],
                vec![Scalar::ONE; size],
                vec![-Scalar::ONE; size],
                vec![random[0]; size],
                random,
            ] {
                assert_eq!(
                    msm_g1(&bases1, &scalars),
                    naive::<G1Projective>(&bases1, &scalars)
                );
                assert_eq!(
                    msm_g2(&bases2, &scalars),
                    naive::<G2Projective>(&bases2, &scalars)
                );
            }
        }
    }
}
