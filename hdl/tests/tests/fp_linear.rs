//! Unit test of `fp_add`, `fp_sub` and `fp_times12` (structural view; the fast view has them inside its
//! point adder): edge values, values around the multiples of p/12, random ones.
#![cfg(feature = "rtl")]

use carillon_hdl_tests::field::{FP_BITS, Fp};
use carillon_hdl_tests::{Dut, View, extract, pipeline};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// `FpTimes12Latency` of `arith_pkg`, which the test top gives to all three.
const LATENCY: u64 = 7;

/// floor(p/12), least significant limb first.
const FLOOR_TWELFTH: [u64; 6] = [
    0xa4d5_3fff_ffff_f8e3,
    0x028e_5555_3971_aaaa,
    0xf344_118d_69e4_1483,
    0xf309_f0f5_bef5_c18f,
    0x8642_4df9_daf0_f911,
    0x022a_c17e_2f75_5337,
];

fn check(pairs: &[(Fp, Fp)]) {
    let mut dut = Dut::new("fp_linear", View::Structural);
    let items = pairs
        .iter()
        .map(|(a, b)| Some(vec![a.to_port(), b.to_port()]));
    let results = pipeline::run(&mut dut, &["a_i", "b_i"], "p_o", items);
    assert_eq!(results.len(), pairs.len());
    for ((a, b), result) in pairs.iter().zip(&results) {
        assert_eq!(result.latency, LATENCY);
        let value = |index| Fp::from_port(&extract(&result.value, index * FP_BITS, FP_BITS));
        assert_eq!(value(0), *a + *b, "{a:?} + {b:?}");
        assert_eq!(value(1), *a - *b, "{a:?} - {b:?}");
        let a3 = *a + *a + *a;
        let a6 = a3 + a3;
        assert_eq!(value(2), a6 + a6, "12 * {a:?}");
    }
}

#[test]
fn edge_values() {
    let edges = Fp::edges();
    let pairs: Vec<_> = edges
        .iter()
        .flat_map(|a| edges.iter().map(|b| (*a, *b)))
        .collect();
    check(&pairs);
}

/// The quotient of 12 a by p changes at the multiples of p/12: both sides of each, near and at a
/// distance of the estimate's step.
#[test]
fn around_the_multiples_of_a_twelfth() {
    let image = |limbs| Fp::from_image(limbs);
    let one = image([1, 0, 0, 0, 0, 0]);
    let zero = image([0; 6]);
    let twelfth = image(FLOOR_TWELFTH);
    let remainder = (0..12).fold(zero, |sum, _| sum + twelfth) + image([7, 0, 0, 0, 0, 0]);
    assert_eq!(remainder, zero, "p = 12 floor(p/12) + 7");
    let mut pairs = Vec::new();
    let mut multiple = zero;
    for _ in 0..12 {
        let mut near = multiple - one - one - one;
        for _ in 0..8 {
            pairs.push((near, multiple));
            near = near + one;
        }
        for bit in 360..376 {
            let mut limbs = [0; 6];
            limbs[bit / 64] = 1 << (bit % 64);
            pairs.push((multiple + image(limbs), near));
            pairs.push((multiple - image(limbs), near));
        }
        multiple = multiple + twelfth;
    }
    check(&pairs);
}

#[test]
fn random_values() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let pairs: Vec<_> = (0..5000)
        .map(|_| (Fp::random(&mut rng), Fp::random(&mut rng)))
        .collect();
    check(&pairs);
}
