//! The model's arithmetic against blstrs, by the shared vectors.

use blstrs::{G1Projective, Scalar};
use carillon_driver::command::{MsmMode, NttKind};
use ff::Field;
use group::Curve;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use super::arith::{self, BadData};
use super::msm::MsmSum;
use crate::split::split;
use carillon_workload::vectors::{self, ScalarPattern};

#[test]
fn msm_equals_blstrs_for_every_pattern_and_size() {
    for n in vectors::sizes(10) {
        for case in vectors::msm_cases(n, 11) {
            let (bases, scalars) = (
                vectors::base_images(&case.bases),
                vectors::scalar_images(&case.scalars),
            );
            assert_eq!(arith::check_msm(&bases, &scalars), Ok(()), "{}", case.name);
            for mode in [MsmMode::Split, MsmMode::Full] {
                let mut sum = MsmSum::new(mode);
                // In two pieces, as a long MSM is summed.
                let half = n / 2;
                sum.add(&bases[..96 * half], &scalars[..32 * half]);
                sum.add(&bases[96 * half..], &scalars[32 * half..]);
                assert_eq!(
                    vectors::read_result(&sum.result()),
                    Some(case.expected),
                    "{}, {mode:?}",
                    case.name
                );
            }
        }
    }
}

/// The sum of one piece.
fn sum(mode: MsmMode, bases: &[u8], scalars: &[Scalar]) -> G1Projective {
    let mut sum = MsmSum::new(mode);
    sum.add(bases, &vectors::scalar_images(scalars));
    vectors::read_point(&sum.result()).unwrap()
}

#[test]
fn whole_scalars_are_right_on_every_point_of_the_curve() {
    // blst changes its algorithm around 32 points.
    for n in [1, 2, 31, 32, 33, 200] {
        for pattern in ScalarPattern::ALL {
            let case = vectors::msm_case_outside(n, pattern, 5);
            let bases = vectors::base_images(&case.bases);
            let found = sum(MsmMode::Full, &bases, &case.scalars);
            assert_eq!(found, case.expected, "{}", case.name);
        }
    }
}

#[test]
fn split_scalars_go_by_the_endomorphism_wherever_the_points_are() {
    let case = vectors::msm_case_outside(5, ScalarPattern::Random, 6);
    let z_squared = Scalar::from(0xd201_0000_0001_0000).square();
    for (base, scalar) in case.bases.iter().zip(&case.scalars) {
        let of = |point: &G1Projective, k: Scalar| {
            let image = vectors::base_images(&[point.to_affine()]);
            sum(MsmMode::Split, &image, &[k])
        };
        let point = G1Projective::from(*base);
        // The image is a sixth root of one, and outside the subgroup not z^2.
        let image = of(&point, z_squared);
        assert_eq!(of(&image, z_squared), image - point);
        assert_ne!(image, vectors::times(point, &z_squared));
        // Every scalar is made up of the two.
        let part = |point: G1Projective, k: i128| {
            let word = |value: u128| Scalar::from(value as u64);
            let (high, low) = (word(k.unsigned_abs() >> 64), word(k.unsigned_abs()));
            let magnitude = high * Scalar::from(1 << 32).square() + low;
            vectors::times(if k < 0 { -point } else { point }, &magnitude)
        };
        let halves = split(scalar);
        assert_eq!(
            of(&point, *scalar),
            part(point, halves.k1) + part(image, halves.k2)
        );
    }
}

#[test]
fn a_point_under_a_zero_scalar_is_not_examined() {
    let case = vectors::msm_case(3, vectors::BasePattern::Distinct, ScalarPattern::Random, 8);
    let (mut bases, mut scalars) = (vectors::base_images(&case.bases), case.scalars);
    scalars[1] = Scalar::ZERO;
    bases[96..192].fill(0xff);
    let images = vectors::scalar_images(&scalars);
    assert_eq!(arith::check_msm(&bases, &images), Ok(()));
    let expected = case.bases[0] * scalars[0] + case.bases[2] * scalars[2];
    for mode in [MsmMode::Split, MsmMode::Full] {
        assert_eq!(sum(mode, &bases, &scalars), expected);
    }
}

#[test]
fn transforms_equal_their_definition_and_undo_each_other() {
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    for log2n in 0..=11u8 {
        for pattern in ScalarPattern::ALL {
            let input = pattern.draw(1 << log2n, &mut rng);
            for forward in NttKind::ALL.into_iter().filter(|kind| !kind.inverse) {
                let inverse = NttKind {
                    inverse: true,
                    ..forward
                };
                let mut values = arith::scalars(&vectors::scalar_images(&input)).unwrap();
                assert!(arith::ntt(&mut values, log2n, forward, |_| true));
                let output = vectors::read_scalars(&arith::images(&values)).unwrap();
                assert_eq!(
                    vectors::check_ntt(&input, &output, forward),
                    Ok(()),
                    "{log2n}"
                );
                assert!(arith::ntt(&mut values, log2n, inverse, |_| true));
                let back = vectors::read_scalars(&arith::images(&values)).unwrap();
                assert_eq!(back, input, "2^{log2n} {pattern:?} {forward:?}");
            }
        }
    }
}

#[test]
fn quotients_equal_blstrs() {
    let mut rng = ChaCha20Rng::seed_from_u64(6);
    for n in vectors::sizes(6) {
        for pattern in ScalarPattern::ALL {
            let [a, b, c] = [(); 3].map(|()| pattern.draw(n, &mut rng));
            let z = Scalar::random(&mut rng);
            let fr = |v: &[Scalar]| arith::scalars(&vectors::scalar_images(v)).unwrap();
            let got = arith::quotient(&fr(&a), &fr(&b), &fr(&c), fr(&[z])[0]);
            let got = vectors::read_scalars(&arith::images(&got)).unwrap();
            assert_eq!(got, vectors::quotient(&a, &b, &c, z));
        }
    }
}

#[test]
fn the_lowest_faulty_index_is_reported_scalar_before_point() {
    let case = vectors::msm_case(9, vectors::BasePattern::Distinct, ScalarPattern::Random, 7);
    let good = (
        vectors::base_images(&case.bases),
        vectors::scalar_images(&case.scalars),
    );
    let (mut bases, mut scalars) = good.clone();
    bases[96 * 4 + 48..96 * 5].fill(0xff);
    assert_eq!(arith::check_msm(&bases, &scalars), Err(BadData::Point(4)));
    scalars[32 * 4..32 * 5].fill(0xff);
    assert_eq!(arith::check_msm(&bases, &scalars), Err(BadData::Scalar(4)));
    bases[96 * 3..96 * 3 + 48].fill(0xff);
    assert_eq!(arith::check_msm(&bases, &scalars), Err(BadData::Point(3)));
    // r and p themselves are the smallest images that are refused.
    let r: Vec<u8> = [
        0xffff_ffff_0000_0001u64,
        0x53bd_a402_fffe_5bfe,
        0x3339_d808_09a1_d805,
        0x73ed_a753_299d_7d48,
    ]
    .into_iter()
    .flat_map(u64::to_le_bytes)
    .collect();
    assert!(matches!(arith::scalars(&r), Err(BadData::Scalar(0))));
    let mut below = r.clone();
    below[0] = 0;
    assert!(arith::scalars(&below).is_ok());
}
