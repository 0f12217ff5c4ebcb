//! Block test of `msm_engine`: cycles, which do not depend on the machine. The table for larger runs is printed by
//! `cargo run -p carillon-hdl-tests --features rtl --release --example msm_rates`.
#![cfg(feature = "rtl")]

use blstrs::G1Affine;
use carillon_hdl_tests::axi_memory::Timing;
use carillon_hdl_tests::cost::Model;
use carillon_hdl_tests::msm::{Job, MAX_WINDOW_BITS, Msm};
use carillon_hdl_tests::rates::{Rate, distributions};
use carillon_hdl_tests::recode::Mode;
use carillon_hdl_tests::workload::{Points, Scalars};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

const COUNT: usize = 1 << 13;
/// Twelve windows, which any number of adders shares evenly, and more digits than buckets.
const WINDOW_BITS: u8 = 11;

/// What the last windows' sums, the last doublings and the first reads take, whatever the scalars.
const LATENCY: f64 = 22_000.0;

fn rates(adders: usize) -> Vec<(&'static str, Rate)> {
    let mut msm = Msm::with_adders(adders, COUNT);
    msm.warm_up();
    distributions(WINDOW_BITS)
        .map(|(name, factors)| {
            let rate = Rate::measure(&mut msm, COUNT, factors, WINDOW_BITS, adders);
            println!(
                "{adders} adders, {name}: {rate:?}, occupancy {:.3}",
                rate.occupancy()
            );
            (name, rate)
        })
        .to_vec()
}

/// The bound of the documentation, and an occupancy, for each distribution.
fn check(adders: usize, least_occupancy: f64) {
    for (name, rate) in rates(adders) {
        // The lanes bring two pairs a cycle, one with a point.
        let memory = COUNT as f64;
        let bound = 1.06 * rate.ideal.max(memory) + LATENCY;
        let cycles = rate.outcome.cycles as f64;
        assert!(cycles < bound, "{name}: {cycles} cycles, {bound} allowed");
        // Several adders have nothing to do where pairs with few digits come one a cycle.
        if adders > 1 && rate.outcome.ops < (4 * COUNT * adders) as u64 {
            continue;
        }
        // Few additions end in a tail: the last sums of a bucket meet one after the other.
        let occupancy = rate.occupancy();
        let tail = 8.0 * 100.0 * adders as f64;
        let allowed = least_occupancy * rate.outcome.ops as f64 / (rate.outcome.ops as f64 + tail);
        assert!(
            occupancy > allowed,
            "{name}: {occupancy}, {allowed} asked for"
        );
    }
}

#[test]
fn one_adder_is_busy_whatever_the_scalars() {
    check(1, 0.97);
}

#[test]
fn two_adders_are_busy_whatever_the_scalars() {
    // Two of the distributions use eleven windows of twelve: six for one adder, five for the other.
    check(2, 11.0 / 12.0 - 0.01);
}

#[test]
fn four_adders_are_busy_whatever_the_scalars() {
    check(4, 0.90);
}

#[test]
fn the_bound_of_the_documentation_holds_for_any_scalars() {
    let model = Model::new::<G1Affine>(1);
    let mut msm = Msm::new(COUNT);
    for window_bits in [8, WINDOW_BITS, MAX_WINDOW_BITS] {
        let worst = ("one bank", Scalars::OneBank(window_bits));
        for (name, factors) in distributions(window_bits).into_iter().chain([worst]) {
            let rate = Rate::measure(&mut msm, COUNT / 2, factors, window_bits, 1);
            let buckets = (Mode::Glv.windows(window_bits.into()) << (window_bits - 1)) as f64;
            let digits = rate.ideal - 2.0 * buckets;
            let link = model.link() as f64;
            let groups = model.groups(window_bits, Mode::Glv) as f64;
            let bound =
                2.0 * digits + rate.count as f64 + 2.1 * buckets + (130.0 + 20.0 * groups) * link;
            let cycles = rate.outcome.cycles as f64;
            println!("{name}, c = {window_bits}: {cycles} cycles, {bound} allowed");
            assert!(
                cycles <= bound,
                "{name}, c = {window_bits}: {cycles} cycles, {bound} allowed"
            );
        }
    }
}

/// An adder makes the twelve products in Fp2 of an addition in three cycles.
#[test]
fn an_addition_in_g2_takes_three_cycles_whatever_the_scalars() {
    const COUNT: usize = 1 << 12;
    const WINDOW_BITS: u8 = 9;
    let mut msm = Msm::in_g2(1, COUNT);
    msm.warm_up();
    for (name, factors) in distributions(WINDOW_BITS) {
        let rate = Rate::measure(&mut msm, COUNT, factors, WINDOW_BITS, 1);
        let outcome = &rate.outcome;
        let additions = outcome.ops + outcome.detail;
        let each = outcome.cycles as f64 / additions as f64;
        println!(
            "{name}: {rate:?}, {each:.3} cycles an addition, occupancy {:.3}",
            rate.occupancy()
        );
        if factors == Scalars::Uniform {
            assert!(each < 3.2, "{each} cycles an addition");
        }
        // At least 0.90 of that rate whatever the scalars, against three cycles an addition of the ideal.
        let ratio = rate.ratio();
        assert!(ratio < 3.2 / 3.0 / 0.9, "{name}: {ratio} of the ideal");
    }
}

#[test]
fn the_endomorphism_halves_the_latency_of_small_sums() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut msm = Msm::new(64);
    msm.warm_up();
    let mut cycles = |mode| {
        let kinds = (Points::Distinct, Scalars::Uniform);
        msm.check_drawn(&mut rng, 64, kinds, 8, mode).cycles as f64
    };
    let (halved, full) = (cycles(Mode::Glv), cycles(Mode::Full));
    assert!(halved < 0.6 * full, "{halved} cycles, {full} without");
}

#[test]
fn the_memory_s_latency_is_hidden() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut msm = Msm::new(COUNT);
    let kinds = (Points::Distinct, Scalars::Uniform);
    let job = Job::<G1Affine>::draw(&mut rng, COUNT, kinds, WINDOW_BITS, Mode::Glv);
    msm.warm_up();
    let quick = msm.run(&job).cycles;
    msm.unit.memory.timing = Timing {
        latency: 240,
        ..Timing::STEADY
    };
    let slow = msm.run(&job).cycles;
    // 200 cycles more for the first scalars, the first points and the result.
    assert!(
        slow < quick + 800,
        "{quick} cycles, {slow} with the slow memory"
    );
}
