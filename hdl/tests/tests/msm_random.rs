//! Block test of `msm_engine`: ten thousand small sums of every size, kind and window size against blst. Most have short
//! scalars: a run with few windows is quick, and small sums spend most of their cycles in the last doublings.
#![cfg(feature = "rtl")]

use carillon_hdl_tests::axi_memory::Timing;
use carillon_hdl_tests::msm::{Job, MAX_WINDOW_BITS, Msm};
use carillon_hdl_tests::recode::Mode;
use carillon_hdl_tests::workload::{Points, Scalars};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const CAPACITY: usize = 320;

fn any_job(rng: &mut ChaCha8Rng) -> Job {
    let mode = Mode::ALL[rng.gen_range(0..2)];
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
    Job::draw(rng, count, (points, factors), window_bits, mode)
}

fn many(seed: u64, adders: usize, count: usize) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut msm = Msm::with_adders(adders, CAPACITY);
    for _ in 0..count {
        msm.unit.memory.timing = if rng.gen_bool(0.8) {
            Timing::STEADY
        } else {
            Timing::ALL[rng.gen_range(0..Timing::ALL.len())]
        };
        msm.check(&any_job(&mut rng));
    }
}

// Several tests, so that several cores can work.
#[test]
fn small_sums_are_right_first_part() {
    many(1, 1, 4_000);
}

#[test]
fn small_sums_are_right_second_part() {
    many(2, 1, 3_000);
}

#[test]
fn small_sums_are_right_with_two_adders() {
    many(3, 2, 1_500);
}

#[test]
fn small_sums_are_right_with_four_adders() {
    many(4, 4, 1_500);
}
