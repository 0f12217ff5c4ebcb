//! Block test of `msm_engine`: values. Every size, window size, kind of operands and memory timing, with the
//! endomorphism and without, against the sum computed point by point with blstrs. Failures are
//! `msm_faults.rs`'s, cycles `msm_rates.rs`'s, many small sums `msm_random.rs`'s.
#![cfg(feature = "rtl")]

use carillon_hdl_tests::axi_memory::Timing;
use carillon_hdl_tests::msm::{Job, MAX_WINDOW_BITS, Msm};
use carillon_hdl_tests::recode::Mode;
use carillon_hdl_tests::workload::{Points, Scalars};
use group::prime::PrimeCurveAffine;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const CAPACITY: usize = 1 << 11;

/// Two blocks of pairs for each of four lanes, and more.
const SEVERAL_BLOCKS: usize = 1_100;

#[test]
fn every_size() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut msm = Msm::new(CAPACITY);
    let mut sizes: Vec<usize> = (0..=10)
        .flat_map(|log| [(1 << log) - 1, 1 << log, (1 << log) + 1])
        .collect();
    sizes.retain(|size| *size > 0);
    sizes.dedup();
    for size in sizes {
        for mode in Mode::ALL {
            let kinds = (Points::Mixed, Scalars::Edges);
            msm.check_drawn(&mut rng, size, kinds, 0, mode);
        }
    }
}

#[test]
fn every_window_size() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut msm = Msm::new(CAPACITY);
    for window_bits in 0..=MAX_WINDOW_BITS {
        for mode in Mode::ALL {
            let kinds = (Points::Mixed, Scalars::Edges);
            msm.check_drawn(&mut rng, 33, kinds, window_bits, mode);
        }
    }
}

#[test]
fn every_kind_of_points_and_scalars() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut msm = Msm::new(CAPACITY);
    for mode in Mode::ALL {
        for points in Points::of(mode) {
            for factors in Scalars::ALL {
                let window_bits = rng.gen_range(2..=9);
                msm.check_drawn(&mut rng, 40, (points, factors), window_bits, mode);
            }
        }
    }
}

#[test]
fn any_memory_timing() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut msm = Msm::new(CAPACITY);
    for timing in Timing::ALL {
        msm.unit.memory.timing = timing;
        for mode in Mode::ALL {
            for size in [1, 2, 77, 500] {
                let kinds = (Points::Mixed, Scalars::Edges);
                msm.check_drawn(&mut rng, size, kinds, 0, mode);
            }
            for factors in [Scalars::ZeroOne, Scalars::Witness, Scalars::Uniform] {
                let kinds = (Points::Mixed, factors);
                msm.check_drawn(&mut rng, SEVERAL_BLOCKS, kinds, 0, mode);
            }
        }
    }
}

#[test]
fn any_number_of_adders() {
    for adders in [2, 4] {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut msm = Msm::with_adders(adders, CAPACITY);
        for mode in Mode::ALL {
            for window_bits in 0..=MAX_WINDOW_BITS {
                let kinds = (Points::Mixed, Scalars::Edges);
                msm.check_drawn(&mut rng, 70, kinds, window_bits, mode);
            }
            for factors in Scalars::ALL {
                let window_bits = rng.gen_range(2..=9);
                msm.check_drawn(&mut rng, 40, (Points::Mixed, factors), window_bits, mode);
            }
            for timing in Timing::ALL {
                msm.unit.memory.timing = timing;
                let kinds = (Points::Mixed, Scalars::Uniform);
                msm.check_drawn(&mut rng, SEVERAL_BLOCKS, kinds, 0, mode);
            }
            msm.unit.memory.timing = Timing::STEADY;
        }
    }
}

#[test]
fn zeros_and_infinity_cost_no_addition() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let mut msm = Msm::new(CAPACITY);
    for mode in Mode::ALL {
        let kinds = (Points::Distinct, Scalars::Zero);
        let outcome = msm.check_drawn(&mut rng, 50, kinds, 0, mode);
        assert_eq!((outcome.ops, outcome.detail), (0, 0));
        let mut job = Job::draw(&mut rng, 50, (Points::Distinct, Scalars::Uniform), 0, mode);
        job.bases.fill(PrimeCurveAffine::identity());
        assert_eq!(msm.check(&job).ops, 0);
        // One bucket in one window, n - 1 additions.
        let kinds = (Points::Distinct, Scalars::One);
        assert_eq!(msm.check_drawn(&mut rng, 50, kinds, 8, mode).ops, 49);
    }
}

#[test]
fn points_of_zero_scalars_are_not_read() {
    const COUNT: usize = 1_024;
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut msm = Msm::new(CAPACITY);
    let beats = |msm: &mut Msm, job: &Job| {
        let before = msm.unit.memory.beats_read;
        msm.check(job);
        msm.unit.memory.beats_read - before
    };
    let kinds = (Points::Distinct, Scalars::Zero);
    let mut job = Job::draw(&mut rng, COUNT, kinds, 8, Mode::Glv);
    // Two scalars a beat.
    assert_eq!(beats(&mut msm, &job), COUNT as u64 / 2);
    // Two points share three beats.
    for index in [0, 7, 8, 130, 1_000] {
        job.factors[index] = 1.into();
    }
    assert_eq!(beats(&mut msm, &job), COUNT as u64 / 2 + 5 * 3);
}
