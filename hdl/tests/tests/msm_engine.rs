//! Block test of `msm_engine`: values. Every size, window size, kind of operands and memory timing, with the
//! endomorphism and without, in G1 and in G2, against the sum computed point by point with blstrs. Failures are
//! `msm_faults.rs`'s, cycles `msm_rates.rs`'s, many small sums `msm_random.rs`'s.
#![cfg(feature = "rtl")]

use blstrs::{G1Affine, G2Affine};
use carillon_hdl_tests::axi_memory::Timing;
use carillon_hdl_tests::curve::MsmCurve;
use carillon_hdl_tests::msm::{Job, MAX_WINDOW_BITS, Msm};
use carillon_hdl_tests::workload::{Points, Scalars};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const CAPACITY: usize = 1 << 11;

/// Two blocks of pairs for each of four lanes, and more.
const SEVERAL_BLOCKS: usize = 1_100;

fn every_size<C: MsmCurve>() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut msm = Msm::<C>::of_curve(1, CAPACITY);
    let mut sizes: Vec<usize> = (0..=10)
        .flat_map(|log| [(1 << log) - 1, 1 << log, (1 << log) + 1])
        .collect();
    sizes.retain(|size| *size > 0);
    sizes.dedup();
    for size in sizes {
        for mode in C::MODES {
            let kinds = (Points::Mixed, Scalars::Edges);
            msm.check_drawn(&mut rng, size, kinds, 0, mode);
        }
    }
}

fn every_window_size<C: MsmCurve>() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut msm = Msm::<C>::of_curve(1, CAPACITY);
    for window_bits in 0..=MAX_WINDOW_BITS {
        for mode in C::MODES {
            let kinds = (Points::Mixed, Scalars::Edges);
            msm.check_drawn(&mut rng, 33, kinds, window_bits, mode);
        }
    }
}

fn every_kind_of_points_and_scalars<C: MsmCurve>() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut msm = Msm::<C>::of_curve(1, CAPACITY);
    for mode in C::MODES {
        for points in Points::of(mode) {
            for factors in Scalars::ALL {
                let window_bits = rng.gen_range(2..=9);
                msm.check_drawn(&mut rng, 40, (points, factors), window_bits, mode);
            }
        }
    }
}

fn any_memory_timing<C: MsmCurve>() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut msm = Msm::<C>::of_curve(1, CAPACITY);
    for timing in Timing::ALL {
        msm.unit.memory.timing = timing;
        for mode in C::MODES {
            for size in [1, 2, 77, 500] {
                let kinds = (Points::Mixed, Scalars::Edges);
                msm.check_drawn(&mut rng, size, kinds, 0, mode);
            }
            // Whole scalars in G2 are four passes of three cycles an addition: long, and no other way through the lanes.
            if (C::DEGREE, mode) == (2, C::MODES[1]) {
                continue;
            }
            for factors in [Scalars::ZeroOne, Scalars::Witness, Scalars::Uniform] {
                let kinds = (Points::Mixed, factors);
                msm.check_drawn(&mut rng, SEVERAL_BLOCKS, kinds, 0, mode);
            }
        }
    }
}

fn any_number_of_adders<C: MsmCurve>() {
    for adders in [2, 4] {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut msm = Msm::<C>::of_curve(adders, CAPACITY);
        for mode in C::MODES {
            // Whole scalars in G2 are many windows of three cycles an addition, and windows are shared among the
            // units as in G1: a few sizes, among them the card's choice and the largest.
            let few = C::DEGREE == 2 && mode == C::MODES[1];
            for window_bits in 0..=MAX_WINDOW_BITS {
                if few && ![0, 5, MAX_WINDOW_BITS].contains(&window_bits) {
                    continue;
                }
                let kinds = (Points::Mixed, Scalars::Edges);
                msm.check_drawn(&mut rng, 70, kinds, window_bits, mode);
            }
            for factors in Scalars::ALL {
                let window_bits = rng.gen_range(2..=9);
                msm.check_drawn(&mut rng, 40, (Points::Mixed, factors), window_bits, mode);
            }
            for timing in Timing::ALL {
                if few && timing != Timing::STEADY {
                    continue;
                }
                msm.unit.memory.timing = timing;
                let kinds = (Points::Mixed, Scalars::Uniform);
                msm.check_drawn(&mut rng, SEVERAL_BLOCKS, kinds, 0, mode);
            }
            msm.unit.memory.timing = Timing::STEADY;
        }
    }
}

fn zeros_and_infinity_cost_no_addition<C: MsmCurve>() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let mut msm = Msm::<C>::of_curve(1, CAPACITY);
    for mode in C::MODES {
        let kinds = (Points::Distinct, Scalars::Zero);
        let outcome = msm.check_drawn(&mut rng, 50, kinds, 0, mode);
        assert_eq!((outcome.ops, outcome.detail), (0, 0));
        let mut job = Job::<C>::draw(&mut rng, 50, (Points::Distinct, Scalars::Uniform), 0, mode);
        job.bases.fill(C::identity());
        assert_eq!(msm.check(&job).ops, 0);
        // One bucket in one window, n - 1 additions.
        let kinds = (Points::Distinct, Scalars::One);
        assert_eq!(msm.check_drawn(&mut rng, 50, kinds, 8, mode).ops, 49);
    }
}

fn points_of_zero_scalars_are_not_read<C: MsmCurve>() {
    const COUNT: usize = 1_024;
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut msm = Msm::<C>::of_curve(1, CAPACITY);
    let beats = |msm: &mut Msm<C>, job: &Job<C>| {
        let before = msm.unit.memory.beats_read;
        msm.check(job);
        msm.unit.memory.beats_read - before
    };
    let kinds = (Points::Distinct, Scalars::Zero);
    let mut job = Job::<C>::draw(&mut rng, COUNT, kinds, 8, C::MODES[0]);
    // Two scalars a beat.
    assert_eq!(beats(&mut msm, &job), COUNT as u64 / 2);
    // A point and its neighbour are read together: three beats, in G2 six.
    let pair = (2 * C::POINT_BYTES / 64) as u64;
    for index in [0, 7, 8, 130, 1_000] {
        job.factors[index] = 1.into();
    }
    assert_eq!(beats(&mut msm, &job), COUNT as u64 / 2 + 5 * pair);
}

/// Every test in both groups.
macro_rules! in_both_groups {
    ($($name:ident,)*) => {
        mod g1 {
            $(#[test] fn $name() { super::$name::<super::G1Affine>(); })*
        }
        mod g2 {
            $(#[test] fn $name() { super::$name::<super::G2Affine>(); })*
        }
    };
}

in_both_groups! {
    every_size,
    every_window_size,
    every_kind_of_points_and_scalars,
    any_memory_timing,
    any_number_of_adders,
    zeros_and_infinity_cost_no_addition,
    points_of_zero_scalars_are_not_read,
}
