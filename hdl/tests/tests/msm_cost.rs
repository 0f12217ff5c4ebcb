//! Block test of `msm_engine`: the cost model and the choice of the window size, against the RTL. Larger
//! sizes: the example `msm_cost`.
#![cfg(feature = "rtl")]

use carillon_hdl_tests::cost::compare;

fn check(adders: usize, logs: std::ops::RangeInclusive<u32>) {
    let mut wrong = Vec::new();
    for log2 in logs {
        for count in [1_usize << log2, 3 << (log2 - 1)] {
            let run = compare(adders, count);
            println!("{adders} adders, n = {count}: {run:?}");
            if run.chosen as f64 > 1.05 * run.best as f64 || run.worst_error > 0.15 {
                wrong.push((count, run));
            }
        }
    }
    assert!(wrong.is_empty(), "{adders} adders: {wrong:?}");
}

#[test]
fn the_choice_is_near_the_best_and_the_model_near_the_truth() {
    check(1, 4..=12);
}

#[test]
fn so_they_are_with_two_adders() {
    check(2, 4..=11);
}

#[test]
fn so_they_are_with_four_adders() {
    check(4, 4..=11);
}
