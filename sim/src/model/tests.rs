//! The model's arithmetic against blstrs, by the shared vectors.

use blstrs::{G1Projective, G2Projective, Scalar};
use carillon_driver::command::{MsmMode, NttKind};
use ff::Field;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use super::arith::{self, BadData};
use super::msm::{G1, G2, MsmSum, SumGroup};
use crate::split::{split, split_in_four};
use carillon_workload::vectors::{self, BasePattern, Curve, ScalarPattern};

const MODES: [MsmMode; 2] = [MsmMode::Split, MsmMode::Full];

#[test]
fn msm_equals_blstrs_for_every_pattern_and_size() {
    every_pattern_and_size::<G1, G1Projective>(10);
}

#[test]
fn msm_in_g2_equals_blstrs_for_every_pattern_and_size() {
    every_pattern_and_size::<G2, G2Projective>(8);
}

fn every_pattern_and_size<G: SumGroup, C: Curve>(max_log2: u32) {
    let point = G::GROUP.point_bytes() as usize;
    for n in vectors::sizes(max_log2) {
        for case in vectors::msm_cases_in::<C>(n, 11) {
            let (bases, scalars) = (
                vectors::base_images(&case.bases),
                vectors::scalar_images(&case.scalars),
            );
            let checked = arith::check_msm(G::GROUP, &bases, &scalars);
            assert_eq!(checked, Ok(()), "{}", case.name);
            for mode in MODES {
                let mut sum = MsmSum::<G>::new(mode);
                // In two pieces, as a long MSM is summed.
                let half = n / 2;
                sum.add(&bases[..point * half], &scalars[..32 * half]);
                sum.add(&bases[point * half..], &scalars[32 * half..]);
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
fn sum<G: SumGroup, C: Curve>(mode: MsmMode, bases: &[u8], scalars: &[Scalar]) -> C {
    let mut sum = MsmSum::<G>::new(mode);
    sum.add(bases, &vectors::scalar_images(scalars));
    vectors::read_point(&sum.result()).unwrap()
}

#[test]
fn whole_scalars_are_right_on_every_point_of_the_curve() {
    whole_scalars_are_right::<G1, G1Projective>();
    whole_scalars_are_right::<G2, G2Projective>();
}

fn whole_scalars_are_right<G: SumGroup, C: Curve>() {
    // blst changes its algorithm around 32 points.
    for n in [1, 2, 31, 32, 33, 200] {
        for pattern in ScalarPattern::ALL {
            let case = vectors::msm_case_outside_in::<C>(n, pattern, 5);
            let bases = vectors::base_images(&case.bases);
            let found: C = sum::<G, C>(MsmMode::Full, &bases, &case.scalars);
            assert_eq!(found, case.expected, "{}", case.name);
        }
    }
}

/// A multiple by doubling and adding, wherever the point is.
fn times<C: Curve>(point: C, k: i128) -> C {
    let word = |value: u128| Scalar::from(value as u64);
    let (high, low) = (word(k.unsigned_abs() >> 64), word(k.unsigned_abs()));
    let magnitude = high * Scalar::from(1 << 32).square() + low;
    vectors::times(if k < 0 { -point } else { point }, &magnitude)
}

/// One scalar split, on one point.
fn split_product<G: SumGroup, C: Curve>(point: &C, k: Scalar) -> C {
    let image = vectors::base_images(&[point.to_affine()]);
    sum::<G, C>(MsmMode::Split, &image, &[k])
}

#[test]
fn split_scalars_go_by_the_endomorphism_wherever_the_points_are() {
    let case = vectors::msm_case_outside(5, ScalarPattern::Random, 6);
    let z_squared = Scalar::from(0xd201_0000_0001_0000).square();
    for (base, scalar) in case.bases.iter().zip(&case.scalars) {
        let of = split_product::<G1, G1Projective>;
        let point = G1Projective::from(*base);
        // The image is a sixth root of one, and outside the subgroup not z^2.
        let image = of(&point, z_squared);
        assert_eq!(of(&image, z_squared), image - point);
        assert_ne!(image, vectors::times(point, &z_squared));
        // Every scalar is made up of the two.
        let halves = split(scalar);
        assert_eq!(
            of(&point, *scalar),
            times(point, halves.k1) + times(image, halves.k2)
        );
    }
}

#[test]
fn in_g2_split_scalars_go_by_psi_wherever_the_points_are() {
    let case = vectors::msm_case_outside_in::<G2Projective>(5, ScalarPattern::Random, 6);
    let z = Scalar::from(0xd201_0000_0001_0000);
    for (base, scalar) in case.bases.iter().zip(&case.scalars) {
        let of = split_product::<G2, G2Projective>;
        let point = G2Projective::from(*base);
        // Twice the image is a sixth root of one, and outside the subgroup nothing is z.
        let images = [0, 1, 2, 3].map(|power| of(&point, z.pow_vartime([power])));
        assert_eq!(of(&images[1], z), images[2]);
        assert_eq!(of(&images[2], z.square()), images[2] - point);
        assert_ne!(images[1], vectors::times(point, &z));
        // Every scalar is made up of the four.
        let parts = split_in_four(scalar).multiples;
        let terms = images.iter().zip(parts);
        let expected: G2Projective = terms.map(|(image, k)| times(*image, k.into())).sum();
        assert_eq!(of(&point, *scalar), expected);
    }
}

#[test]
fn a_point_under_a_zero_scalar_is_not_examined() {
    under_a_zero_scalar::<G1, G1Projective>();
    under_a_zero_scalar::<G2, G2Projective>();
}

fn under_a_zero_scalar<G: SumGroup, C: Curve>() {
    let point = G::GROUP.point_bytes() as usize;
    let case = vectors::msm_case_in::<C>(3, BasePattern::Distinct, ScalarPattern::Random, 8);
    let (mut bases, mut scalars) = (vectors::base_images(&case.bases), case.scalars);
    scalars[1] = Scalar::ZERO;
    bases[point..2 * point].fill(0xff);
    let images = vectors::scalar_images(&scalars);
    assert_eq!(arith::check_msm(G::GROUP, &bases, &images), Ok(()));
    let expected: C = case.bases[0] * scalars[0] + case.bases[2] * scalars[2];
    for mode in MODES {
        assert_eq!(sum::<G, C>(mode, &bases, &scalars), expected);
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
    lowest_faulty_index::<G1, G1Projective>();
    lowest_faulty_index::<G2, G2Projective>();
}

fn lowest_faulty_index<G: SumGroup, C: Curve>() {
    let point = G::GROUP.point_bytes() as usize;
    let case = vectors::msm_case_in::<C>(9, BasePattern::Distinct, ScalarPattern::Random, 7);
    let mut bases = vectors::base_images(&case.bases);
    let mut scalars = vectors::scalar_images(&case.scalars);
    let check = |bases: &[u8], scalars: &[u8]| arith::check_msm(G::GROUP, bases, scalars);
    for start in (0..point).step_by(48) {
        let mut wrong = bases.clone();
        wrong[5 * point + start..][..48].fill(0xff);
        assert_eq!(check(&wrong, &scalars), Err(BadData::Point(5)), "{start}");
    }
    bases[point * 5 - 48..point * 5].fill(0xff);
    assert_eq!(check(&bases, &scalars), Err(BadData::Point(4)));
    scalars[32 * 4..32 * 5].fill(0xff);
    assert_eq!(check(&bases, &scalars), Err(BadData::Scalar(4)));
    bases[point * 3..point * 3 + 48].fill(0xff);
    assert_eq!(check(&bases, &scalars), Err(BadData::Point(3)));
}

#[test]
fn elements_at_and_above_r_are_refused() {
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
