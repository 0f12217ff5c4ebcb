//! Block test of `msm_engine`: the cost model and the choice of the window size, against the RTL. Larger
//! sizes: the example `msm_cost`.
#![cfg(feature = "rtl")]

use blstrs::{G1Affine, G2Affine};
use carillon_hdl_tests::cost::compare;
use carillon_hdl_tests::curve::MsmCurve;

/// The card's choice costs at most `tolerance` times the best one.
fn check<C: MsmCurve>(tolerance: f64, adders: usize, sizes: impl IntoIterator<Item = usize>) {
    let mut wrong = Vec::new();
    for count in sizes {
        let run = compare::<C>(adders, count);
        println!("{adders} adders, n = {count}: {run:?}");
        if run.chosen as f64 > tolerance * run.best as f64 || run.worst_error > 0.15 {
            wrong.push((count, run));
        }
    }
    assert!(wrong.is_empty(), "{adders} adders: {wrong:?}");
}

/// Powers of two, where the card's table has its steps, and middles between them, in turn; at `steps` modulo 2 the
/// powers.
fn sizes(logs: std::ops::RangeInclusive<u32>, steps: u32) -> impl Iterator<Item = usize> {
    logs.map(move |log2| match (log2 + steps) % 2 {
        0 => 1 << log2,
        _ => 3 << (log2 - 1),
    })
}

#[test]
fn the_choice_is_near_the_best_and_the_model_near_the_truth() {
    check::<G1Affine>(1.05, 1, sizes(4..=12, 0));
}

#[test]
fn so_they_are_with_two_adders() {
    check::<G1Affine>(1.05, 2, sizes(4..=10, 1));
}

#[test]
fn so_they_are_with_four_adders() {
    check::<G1Affine>(1.05, 4, sizes(4..=10, 0));
}

#[test]
fn so_they_are_in_g2() {
    check::<G2Affine>(1.05, 1, [16, 128, 700, 1_024]);
}

#[test]
fn so_they_are_in_g2_with_several_adders() {
    // A topmost window of a few bits, which the model takes for a whole one, is much of a small sum.
    check::<G2Affine>(1.08, 2, [64, 384]);
    check::<G2Affine>(1.08, 4, [64, 384]);
}
