//! Block test of `msm_engine`: bad input, bus errors and aborts. Whatever goes wrong, it ends in bounded time with
//! the right status, writes no result, and the next command is right.
#![cfg(feature = "rtl")]
#![allow(clippy::panic, reason = "a test fails by panicking")]

use std::ops::Range;

use blstrs::{G1Affine, G2Affine};
use carillon_hdl_tests::axi_memory::Timing;
use carillon_hdl_tests::curve::{ELEMENT_BYTES, MsmCurve};
use carillon_hdl_tests::field::Fp;
use carillon_hdl_tests::msm::{Job, Msm, SCALAR_BYTES};
use carillon_hdl_tests::scalars::MODULUS;
use carillon_hdl_tests::unit::{Outcome, status};
use carillon_hdl_tests::workload::{Points, Scalars};
use ff::Field;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const CAPACITY: usize = 700;
const BEAT: usize = 64;

/// What the adder, the largest bursts and the streams hold when a command is stopped, if the memory
/// never stalls.
const STOP_CYCLES: u64 = 1_000;

/// The same with a memory that does.
fn stop_cycles(timing: &Timing) -> u64 {
    (STOP_CYCLES as f64 / (1.0 - timing.stall)) as u64 + timing.latency
}

/// The smallest image that is no coordinate.
fn fp_modulus() -> [u8; ELEMENT_BYTES] {
    // p - 1 ends in an even byte, so the sum has no carry.
    let mut image = [0; ELEMENT_BYTES];
    let minus_one = Fp::from_image([0; 6]) - Fp::from_image([1, 0, 0, 0, 0, 0]);
    image.copy_from_slice(&minus_one.to_port());
    image[0] += 1;
    image
}

/// Makes an element no element: a scalar (`in_point` is false), or a coordinate of a point.
fn corrupt<C: MsmCurve>(msm: &mut Msm<C>, rng: &mut ChaCha8Rng, index: usize, in_point: bool) {
    let (at, bad) = if in_point {
        let bad = if rng.r#gen() {
            [0xff; ELEMENT_BYTES]
        } else {
            fp_modulus()
        };
        let coordinate = ELEMENT_BYTES * rng.gen_range(0..2 * C::DEGREE);
        (msm.base_at(index) + coordinate, bad.to_vec())
    } else {
        (msm.scalar_at(index), MODULUS.to_vec())
    };
    msm.unit.memory.bytes[at..at + bad.len()].copy_from_slice(&bad);
}

/// Random operands of any kind, small enough to run a thousand of.
fn any_job<C: MsmCurve>(rng: &mut ChaCha8Rng) -> Job<C> {
    let mode = C::MODES[rng.gen_range(0..2)];
    let count = match rng.gen_range(0..10) {
        0 => rng.gen_range(300..CAPACITY),
        1..4 => rng.gen_range(40..300),
        _ => rng.gen_range(1..40),
    };
    let factors = match rng.gen_range(0..8) {
        0 => Scalars::Uniform,
        1 => Scalars::Edges,
        2 => Scalars::Witness,
        3 => Scalars::ZeroOne,
        _ => Scalars::Small(16),
    };
    let window_bits = rng.gen_range(2..8);
    Job::<C>::draw(rng, count, (Points::Mixed, factors), window_bits, mode)
}

fn the_lowest_faulty_element_is_reported<C: MsmCurve>() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut msm = Msm::<C>::of_curve(1, CAPACITY);
    for round in 0..120 {
        msm.unit.memory.timing = Timing::ALL[round % Timing::ALL.len()];
        let mut job = any_job::<C>(&mut rng);
        let count = job.factors.len();
        let faults: Vec<(usize, bool)> = (0..rng.gen_range(1..4))
            .map(|_| (rng.gen_range(0..count), rng.r#gen()))
            .collect();
        // Points under a zero scalar are not examined.
        for (index, in_point) in &faults {
            if *in_point && rng.gen_bool(0.7) {
                job.factors[*index] = 5.into();
            }
        }
        msm.load(&job);
        for (index, in_point) in &faults {
            corrupt(&mut msm, &mut rng, *index, *in_point);
        }
        let corrupted_scalar = |index| faults.contains(&(index, false));
        let examined = |(index, in_point): &&(usize, bool)| {
            !in_point || corrupted_scalar(*index) || !bool::from(job.factors[*index].is_zero())
        };
        // Scalar (false) before point (true) at one index.
        let first = faults.iter().filter(examined).min().copied();
        let outcome = msm.unit.run(&msm.command(&job));
        assert_eq!(reported(&outcome), first, "{faults:?} {outcome:?}");
        if first.is_some() {
            msm.assert_untouched();
            msm.check_usable(&mut rng);
        } else {
            assert_eq!(outcome.status, status::SUCCESS);
            assert_eq!(msm.result(), job.golden());
        }
    }
}

/// The faulty element that a completion names.
fn reported(outcome: &Outcome) -> Option<(usize, bool)> {
    match outcome.status {
        status::BAD_SCALAR => Some((outcome.detail as usize, false)),
        status::BAD_POINT => Some((outcome.detail as usize, true)),
        _ => None,
    }
}

fn abort_ends_in_bounded_time_and_leaves_the_engine_usable<C: MsmCurve>() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for mode in C::MODES {
        let mut msm = Msm::<C>::of_curve(1, CAPACITY);
        let job = Job::<C>::draw(&mut rng, 300, (Points::Mixed, Scalars::Uniform), 0, mode);
        let whole = msm.check(&job).cycles;
        for round in 0..24 {
            // While points stream, anywhere, and in the last steps.
            let after = match round % 3 {
                0 => rng.gen_range(0..1_500),
                1 => rng.gen_range(0..whole),
                _ => rng.gen_range(whole - 200..whole),
            };
            msm.load(&job);
            let outcome = msm.unit.run_aborted(&msm.command(&job), after);
            if outcome.status == status::SUCCESS {
                // The end was nearer than the abort.
                assert!(outcome.cycles < after + 100, "{outcome:?} after {after}");
                continue;
            }
            assert_eq!(outcome.status, status::ABORTED, "after {after} of {whole}");
            assert!(
                outcome.cycles < after + STOP_CYCLES,
                "{outcome:?} after {after}"
            );
            msm.check_usable(&mut rng);
        }
    }
}

/// What can go wrong in one run.
#[derive(Clone, Copy, Debug)]
struct Trouble {
    read_fault: Option<u64>,
    write_fault: Option<u64>,
    bad: Option<(usize, bool)>,
    abort_after: Option<u64>,
}

impl Trouble {
    /// One of these at least, more of them now and then.
    fn draw<C: MsmCurve>(rng: &mut ChaCha8Rng, msm: &Msm<C>, job: &Job<C>) -> Self {
        let kinds = [rng.gen_range(0..4), rng.gen_range(0..12)];
        let has = |kind| kinds.contains(&kind);
        let count = job.factors.len();
        let beat = |rng: &mut ChaCha8Rng, range: Range<usize>| rng.gen_range(range) / BEAT * BEAT;
        let points = msm.base_at(0)..msm.base_at(0) + count * C::POINT_BYTES;
        let factors = msm.scalar_at(0)..msm.scalar_at(0) + count * SCALAR_BYTES;
        let operand = [points, factors].choose(rng).cloned().unwrap_or(0..BEAT);
        // Often in the first cycles, or with a wide guess at the length of the run.
        let moment = 1 << rng.gen_range(1..17);
        Self {
            read_fault: has(0).then(|| beat(rng, operand) as u64),
            write_fault: has(1).then(|| {
                (msm.result_at() + BEAT * rng.gen_range(0..C::RESULT_BYTES / BEAT)) as u64
            }),
            bad: has(2).then(|| (rng.gen_range(0..count), rng.r#gen())),
            abort_after: has(3).then(|| rng.gen_range(0..moment)),
        }
    }

    /// Whether the bad element is one that the engine looks at.
    fn bad_examined<C>(&self, job: &Job<C>) -> Option<(usize, bool)> {
        let zero = |index: usize| bool::from(job.factors[index].is_zero());
        self.bad
            .filter(|(index, in_point)| !in_point || !zero(*index))
    }
}

/// Runs one job into trouble and checks all that it may say and do then.
fn run_into_trouble<C: MsmCurve>(msm: &mut Msm<C>, rng: &mut ChaCha8Rng) -> u64 {
    msm.unit.memory.timing = Timing::ALL[rng.gen_range(0..Timing::ALL.len())];
    let job = any_job(rng);
    msm.load(&job);
    let trouble = Trouble::draw(rng, msm, &job);
    if let Some((index, in_point)) = trouble.bad {
        corrupt(msm, rng, index, in_point);
    }
    let memory = &mut msm.unit.memory;
    memory.read_fault = trouble.read_fault;
    memory.write_fault = trouble.write_fault;
    (memory.read_faults_met, memory.write_faults_met) = (0, 0);
    let start = memory.cycle();
    let command = msm.command(&job);
    let after = trouble.abort_after.unwrap_or(u64::MAX);
    let outcome = msm.unit.run_aborted(&command, after);
    let memory = &mut msm.unit.memory;
    (memory.read_fault, memory.write_fault) = (None, None);

    let context = format!(
        "{trouble:?} {outcome:?} {:?} n = {}",
        memory.timing,
        job.factors.len()
    );
    let (read_met, write_met) = (memory.read_faults_met > 0, memory.write_faults_met > 0);
    // Nothing is hidden, and nothing is made up.
    match outcome.status {
        status::SUCCESS => {
            assert!(!read_met && !write_met, "{context}");
            assert_eq!(trouble.bad_examined(&job), None, "{context}");
            assert!(outcome.cycles < after.saturating_add(100), "{context}");
            assert_eq!(msm.result(), job.golden(), "{context}");
        }
        status::CARD_READ => assert!(read_met, "{context}"),
        status::CARD_WRITE => assert!(write_met, "{context}"),
        status::ABORTED => assert!(outcome.cycles > after, "{context}"),
        status::BAD_SCALAR | status::BAD_POINT => {
            assert_eq!(reported(&outcome), trouble.bad_examined(&job), "{context}");
        }
        _ => panic!("a status that nothing explains: {context}"),
    }
    // The end is near the first trouble.
    let memory = &msm.unit.memory;
    let met = memory.last_fault.filter(|cycle| *cycle > start);
    let near = stop_cycles(&memory.timing);
    let end = memory.cycle();
    if let (true, Some(cycle)) = (read_met, met) {
        assert!(end < cycle + near, "{context}");
    }
    assert!(
        end < start.saturating_add(after).saturating_add(near),
        "{context}"
    );
    if !matches!(
        outcome.status,
        status::SUCCESS | status::CARD_WRITE | status::ABORTED
    ) {
        msm.assert_untouched();
    }
    if outcome.status != status::SUCCESS {
        msm.check_usable(rng);
    }
    outcome.status
}

/// A part of the runs each, so that all cores work.
fn many_runs<C: MsmCurve>(seed: u64, adders: usize, count: usize) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut msm = Msm::<C>::of_curve(adders, CAPACITY);
    let mut statuses = std::collections::BTreeMap::new();
    for _ in 0..count {
        *statuses
            .entry(run_into_trouble(&mut msm, &mut rng))
            .or_insert(0) += 1;
    }
    for expected in [
        status::BAD_SCALAR,
        status::BAD_POINT,
        status::CARD_READ,
        status::CARD_WRITE,
        status::ABORTED,
    ] {
        assert!(
            statuses.get(&expected) > Some(&(count / 50)),
            "{statuses:?}"
        );
    }
}

#[test]
fn trouble_at_random_hangs_nothing_and_hides_nothing() {
    many_runs::<G1Affine>(3, 1, 500);
}

#[test]
fn trouble_at_random_hangs_nothing_and_hides_nothing_with_two_adders() {
    many_runs::<G1Affine>(4, 2, 500);
}

#[test]
fn trouble_at_random_hangs_nothing_and_hides_nothing_in_g2() {
    many_runs::<G2Affine>(5, 1, 150);
}

#[test]
fn trouble_at_random_hangs_nothing_and_hides_nothing_in_g2_with_two_adders() {
    many_runs::<G2Affine>(6, 2, 100);
}

#[test]
fn the_lowest_faulty_element_is_reported_in_g1() {
    the_lowest_faulty_element_is_reported::<G1Affine>();
}

#[test]
fn the_lowest_faulty_element_is_reported_in_g2() {
    the_lowest_faulty_element_is_reported::<G2Affine>();
}

#[test]
fn abort_ends_in_bounded_time_and_leaves_the_engine_usable_in_g1() {
    abort_ends_in_bounded_time_and_leaves_the_engine_usable::<G1Affine>();
}

#[test]
fn abort_ends_in_bounded_time_and_leaves_the_engine_usable_in_g2() {
    abort_ends_in_bounded_time_and_leaves_the_engine_usable::<G2Affine>();
}
