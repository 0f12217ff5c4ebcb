//! The model's arithmetic against blstrs, by the shared vectors.

use blstrs::Scalar;
use carillon_driver::command::NttKind;
use ff::Field;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use super::arith::{self, BadData, MsmSum};
use crate::vectors::{self, ScalarPattern};

#[test]
fn msm_equals_blstrs_for_every_pattern_and_size() {
    for n in vectors::sizes(10) {
        for case in vectors::msm_cases(n, 11) {
            let (bases, scalars) = (
                vectors::base_images(&case.bases),
                vectors::scalar_images(&case.scalars),
            );
            assert_eq!(arith::check_msm(&bases, &scalars), Ok(()), "{}", case.name);
            let mut sum = MsmSum::new();
            // In two pieces, as a long MSM is summed.
            let half = n / 2;
            sum.add(&bases[..96 * half], &scalars[..32 * half]);
            sum.add(&bases[96 * half..], &scalars[32 * half..]);
            assert_eq!(
                vectors::read_result(&sum.result()),
                Some(case.expected),
                "{}",
                case.name
            );
        }
    }
}

#[test]
fn transforms_equal_their_definition_and_undo_each_other() {
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    for log2n in 0..=11u8 {
        for pattern in ScalarPattern::ALL {
            let input = pattern.draw(1 << log2n, &mut rng);
            for coset in [false, true] {
                let forward = NttKind {
                    inverse: false,
                    coset,
                };
                let inverse = NttKind {
                    inverse: true,
                    coset,
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
                assert_eq!(back, input, "2^{log2n} {pattern:?} coset {coset}");
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
