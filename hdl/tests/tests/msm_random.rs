//! Block test of `msm_engine`: small sums of every size, kind and window size against blst, ten thousand in `make soak` and the first
//! eighth of each part in `make test`. Most have short scalars: a run with few windows is quick, and small sums spend most of their
//! cycles in the last doublings.
#![cfg(feature = "rtl")]

use blstrs::{G1Affine, G2Affine};
use carillon_hdl_tests::axi_memory::Timing;
use carillon_hdl_tests::curve::MsmCurve;
use carillon_hdl_tests::msm::{Job, MAX_WINDOW_BITS, Msm};
use carillon_hdl_tests::workload::{Points, Scalars};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const CAPACITY: usize = 320;

fn any_job<C: MsmCurve>(rng: &mut ChaCha8Rng) -> Job<C> {
    let mode = C::MODES[rng.gen_range(0..2)];
    let count = match rng.gen_range(0..50) {
        0 => rng.gen_range(129..=CAPACITY),
        1..6 => rng.gen_range(41..129),
        _ => rng.gen_range(1..=40),
    };
    let short = rng.gen_range(1..=24);
    let factors = if rng.gen_bool(0.8) {
        let kinds = [
            Scalars::Small(short),
            Scalars::Ascending,
            Scalars::Zipf,
            Scalars::ZeroOne,
        ];
        *kinds.choose(rng).unwrap_or(&Scalars::One)
    } else {
        *Scalars::ALL.choose(rng).unwrap_or(&Scalars::Uniform)
    };
    let points = *Points::of(mode).choose(rng).unwrap_or(&Points::Mixed);
    let window_bits = match rng.gen_range(0..10) {
        0 => 0,
        1 => rng.gen_range(8..=MAX_WINDOW_BITS),
        _ => rng.gen_range(1..8),
    };
    Job::<C>::draw(rng, count, (points, factors), window_bits, mode)
}

fn many<C: MsmCurve>(seed: u64, adders: usize, count: usize) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut msm = Msm::<C>::of_curve(adders, CAPACITY);
    for _ in 0..count {
        msm.unit.memory.timing = if rng.gen_bool(0.8) {
            Timing::STEADY
        } else {
            Timing::ALL[rng.gen_range(0..Timing::ALL.len())]
        };
        msm.check(&any_job::<C>(&mut rng));
    }
}

/// A part of the run: the seed of its sums, adders of the engine, number of sums.
type Part = (u64, usize, usize);

// Several parts, so that several cores can work.
const ONE_ADDER: Part = (1, 1, 4_000);
const ONE_ADDER_MORE: Part = (2, 1, 3_000);
const TWO_ADDERS: Part = (3, 2, 1_500);
const FOUR_ADDERS: Part = (4, 4, 1_500);
const G2: Part = (5, 1, 3_000);
const G2_TWO_ADDERS: Part = (6, 2, 1_000);
const G2_FOUR_ADDERS: Part = (7, 4, 1_000);

fn sample<C: MsmCurve>((seed, adders, count): Part) {
    many::<C>(seed, adders, count / 8);
}

fn whole<C: MsmCurve>((seed, adders, count): Part) {
    many::<C>(seed, adders, count);
}

#[test]
fn small_sums_are_right_first_part() {
    sample::<G1Affine>(ONE_ADDER);
}

#[test]
fn small_sums_are_right_second_part() {
    sample::<G1Affine>(ONE_ADDER_MORE);
}

#[test]
fn small_sums_are_right_with_two_adders() {
    sample::<G1Affine>(TWO_ADDERS);
}

#[test]
fn small_sums_are_right_with_four_adders() {
    sample::<G1Affine>(FOUR_ADDERS);
}

#[test]
fn small_sums_in_g2_are_right() {
    sample::<G2Affine>(G2);
}

#[test]
fn small_sums_in_g2_are_right_with_several_adders() {
    sample::<G2Affine>(G2_TWO_ADDERS);
    sample::<G2Affine>(G2_FOUR_ADDERS);
}

#[test]
#[ignore = "minutes: make soak"]
fn soak_first_part() {
    whole::<G1Affine>(ONE_ADDER);
}

#[test]
#[ignore = "minutes: make soak"]
fn soak_second_part() {
    whole::<G1Affine>(ONE_ADDER_MORE);
}

#[test]
#[ignore = "minutes: make soak"]
fn soak_two_adders() {
    whole::<G1Affine>(TWO_ADDERS);
}

#[test]
#[ignore = "minutes: make soak"]
fn soak_four_adders() {
    whole::<G1Affine>(FOUR_ADDERS);
}

#[test]
#[ignore = "minutes: make soak"]
fn soak_g2() {
    whole::<G2Affine>(G2);
}

#[test]
#[ignore = "minutes: make soak"]
fn soak_g2_several_adders() {
    whole::<G2Affine>(G2_TWO_ADDERS);
    whole::<G2Affine>(G2_FOUR_ADDERS);
}
