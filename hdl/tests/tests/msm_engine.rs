//! Block test of `msm_engine` behind an AXI memory with latency, back-pressure, reordering and faults,
//! against the sum computed point by point with blstrs.
#![cfg(feature = "rtl")]

use std::ops::Range;

use blstrs::{G1Affine, G1Projective, Scalar};
use carillon_hdl_tests::axi_memory::Timing;
use carillon_hdl_tests::field::Fp;
use carillon_hdl_tests::point::Point;
use carillon_hdl_tests::scalars::{self, MODULUS};
use carillon_hdl_tests::unit::{Command, Outcome, Unit, status};
use ff::Field;
use group::prime::PrimeCurveAffine;
use group::{Curve, Group};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const OPCODE: u8 = 0x20;
const MAX_WINDOW_BITS: u8 = 13;
const POINT_BYTES: usize = 96;
const SCALAR_BYTES: usize = 32;
const COORDINATE_BYTES: usize = 48;
const RESULT_BYTES: usize = 192;

/// Not on 4 KiB boundaries, so that bursts are cut.
const BASES: usize = 0x40;
const SCALARS: usize = 0x8_0fc0;
const RESULT: usize = 0xb_0f80;
const SIZE: usize = 0xc_0000;

/// What the adder, the largest burst and the streams hold when a command is stopped, plus the memory's
/// latency.
const STOP_CYCLES: u64 = 1_000;

#[derive(Clone, Copy, Debug)]
enum Scalars {
    Zero,
    One,
    MinusOne,
    Equal,
    ZeroOne,
    /// 95 % zeros and ones, the rest uniform: a Groth16 witness.
    Witness,
    /// 0, 1, 2, ...
    Ascending,
    /// Powers of two and their neighbours, both signs: carries through windows.
    Edges,
    Uniform,
}

impl Scalars {
    const ALL: [Self; 9] = [
        Self::Zero,
        Self::One,
        Self::MinusOne,
        Self::Equal,
        Self::ZeroOne,
        Self::Witness,
        Self::Ascending,
        Self::Edges,
        Self::Uniform,
    ];

    fn draw(self, rng: &mut ChaCha8Rng, count: usize) -> Vec<Scalar> {
        let equal = Scalar::random(&mut *rng);
        let one = |index: usize, rng: &mut ChaCha8Rng| match self {
            Self::Zero => Scalar::ZERO,
            Self::One => Scalar::ONE,
            Self::MinusOne => -Scalar::ONE,
            Self::Equal => equal,
            Self::ZeroOne => Scalar::from(u64::from(rng.r#gen::<bool>())),
            Self::Witness if rng.gen_bool(0.95) => Scalar::from(u64::from(rng.r#gen::<bool>())),
            Self::Ascending => Scalar::from(index as u64),
            Self::Edges => {
                let power = Scalar::from(2).pow_vartime([rng.gen_range(0..255)]);
                let near = power + Scalar::from(rng.gen_range(0..3)) - Scalar::ONE;
                if rng.r#gen() { near } else { -near }
            }
            Self::Witness | Self::Uniform => Scalar::random(rng),
        };
        (0..count).map(|index| one(index, rng)).collect()
    }
}

#[derive(Clone, Copy, Debug)]
enum Points {
    Distinct,
    Equal,
    /// Each second point is the negative of the one before it.
    Opposite,
    /// Infinity, repeated and negated points among the others.
    Mixed,
}

impl Points {
    const ALL: [Self; 4] = [Self::Distinct, Self::Equal, Self::Opposite, Self::Mixed];

    fn draw(self, rng: &mut ChaCha8Rng, count: usize) -> Vec<G1Affine> {
        let step = G1Projective::generator() * Scalar::random(&mut *rng);
        let mut chain = vec![G1Projective::generator() * Scalar::random(&mut *rng)];
        while chain.len() < count {
            chain.push(chain[chain.len() - 1] + step);
        }
        let mut distinct = vec![G1Affine::identity(); count];
        G1Projective::batch_normalize(&chain[..count], &mut distinct);
        let one = |index: usize| match self {
            Self::Distinct => distinct[index],
            Self::Equal => distinct[0],
            Self::Opposite if index % 2 == 1 => -distinct[index - 1],
            Self::Opposite => distinct[index],
            Self::Mixed => match rng.gen_range(0..6) {
                0 => G1Affine::identity(),
                1 => distinct[index / 2],
                2 => -distinct[index / 2],
                _ => distinct[index],
            },
        };
        (0..count).map(one).collect()
    }
}

fn engine() -> Unit {
    Unit::new("msm_engine", SIZE)
}

fn command(count: usize, window_bits: u8) -> Command {
    Command {
        opcode: OPCODE,
        window_bits,
        operands: [
            BASES as u64,
            SCALARS as u64,
            count as u64,
            RESULT as u64,
            0,
            0,
            0,
        ],
        ..Command::default()
    }
}

fn base_bytes(count: usize) -> Range<usize> {
    BASES..BASES + count * POINT_BYTES
}

/// Operands into memory, followed by bytes that are no element.
fn load(unit: &mut Unit, bases: &[G1Affine], factors: &[Scalar]) {
    let memory = &mut unit.memory.bytes;
    for (base, place) in bases
        .iter()
        .zip(memory[BASES..].chunks_exact_mut(POINT_BYTES))
    {
        let raw = base.as_ref();
        let limbs = raw.x.l.iter().chain(&raw.y.l);
        for (limb, bytes) in limbs.zip(place.chunks_exact_mut(8)) {
            bytes.copy_from_slice(&limb.to_le_bytes());
        }
    }
    memory[base_bytes(bases.len()).end..][..64].fill(0xff);
    let image = scalars::to_image(factors);
    memory[SCALARS..SCALARS + image.len()].copy_from_slice(&image);
    memory[SCALARS + image.len()..][..64].fill(0xff);
    memory[RESULT..RESULT + RESULT_BYTES].fill(0xaa);
}

fn result(memory: &[u8]) -> G1Affine {
    let coordinate = |index: usize| {
        Fp::from_port(&memory[RESULT + index * COORDINATE_BYTES..][..COORDINATE_BYTES])
    };
    let point = Point {
        x: coordinate(0),
        y: coordinate(1),
        z: coordinate(2),
    };
    point.to_affine()
}

/// Runs one MSM and compares all it may and may not write.
fn check(unit: &mut Unit, bases: &[G1Affine], factors: &[Scalar], window_bits: u8) -> Outcome {
    load(unit, bases, factors);
    let before = unit.memory.bytes.clone();
    let outcome = unit.run(&command(bases.len(), window_bits));
    let context = format!(
        "n = {}, c = {window_bits}, {:?}",
        bases.len(),
        unit.memory.timing
    );
    assert_eq!(outcome.status, status::SUCCESS, "{context}");
    let memory = &unit.memory.bytes;
    let expected = bases
        .iter()
        .zip(factors)
        .map(|(base, factor)| *base * factor);
    assert_eq!(
        result(memory),
        expected.sum::<G1Projective>().to_affine(),
        "{context}"
    );
    assert!(
        memory[RESULT + 3 * COORDINATE_BYTES..RESULT + RESULT_BYTES]
            .iter()
            .all(|byte| *byte == 0),
        "padded with zeros"
    );
    let end = RESULT + RESULT_BYTES;
    assert!(
        memory[..RESULT] == before[..RESULT] && memory[end..] == before[end..],
        "nothing else is written: {context}"
    );
    outcome
}

fn check_drawn(
    unit: &mut Unit,
    rng: &mut ChaCha8Rng,
    count: usize,
    kinds: (Points, Scalars),
    window_bits: u8,
) -> Outcome {
    let bases = kinds.0.draw(rng, count);
    let factors = kinds.1.draw(rng, count);
    check(unit, &bases, &factors, window_bits)
}

/// A small command that must be right whatever came before.
fn check_usable(unit: &mut Unit, rng: &mut ChaCha8Rng) {
    let timing = std::mem::replace(&mut unit.memory.timing, Timing::STEADY);
    let count = rng.gen_range(1..6);
    check_drawn(unit, rng, count, (Points::Distinct, Scalars::Ascending), 4);
    unit.memory.timing = timing;
}

fn assert_untouched(unit: &Unit) {
    let written = &unit.memory.bytes[RESULT..RESULT + RESULT_BYTES];
    assert!(
        written.iter().all(|byte| *byte == 0xaa),
        "no result is written"
    );
}

#[test]
fn every_size() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut unit = engine();
    let mut sizes: Vec<usize> = (0..=10)
        .flat_map(|log| [(1 << log) - 1, 1 << log, (1 << log) + 1])
        .collect();
    sizes.retain(|size| *size > 0);
    sizes.dedup();
    for size in sizes {
        check_drawn(
            &mut unit,
            &mut rng,
            size,
            (Points::Mixed, Scalars::Edges),
            0,
        );
    }
}

#[test]
fn every_window_size() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut unit = engine();
    for window_bits in 0..=MAX_WINDOW_BITS {
        check_drawn(
            &mut unit,
            &mut rng,
            33,
            (Points::Mixed, Scalars::Edges),
            window_bits,
        );
    }
}

#[test]
fn every_kind_of_points_and_scalars() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut unit = engine();
    for points in Points::ALL {
        for factors in Scalars::ALL {
            let window_bits = rng.gen_range(2..=9);
            check_drawn(&mut unit, &mut rng, 40, (points, factors), window_bits);
        }
    }
}

#[test]
fn any_memory_timing() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut unit = engine();
    for timing in Timing::ALL {
        unit.memory.timing = timing;
        for size in [1, 2, 77] {
            check_drawn(
                &mut unit,
                &mut rng,
                size,
                (Points::Mixed, Scalars::Edges),
                0,
            );
        }
        check_drawn(
            &mut unit,
            &mut rng,
            500,
            (Points::Mixed, Scalars::ZeroOne),
            0,
        );
    }
}

#[test]
fn zeros_and_infinity_cost_no_addition() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut unit = engine();
    let outcome = check_drawn(
        &mut unit,
        &mut rng,
        50,
        (Points::Distinct, Scalars::Zero),
        0,
    );
    assert_eq!((outcome.ops, outcome.detail), (0, 0));
    let outcome = check(
        &mut unit,
        &[G1Affine::identity(); 50],
        &Scalars::Uniform.draw(&mut rng, 50),
        0,
    );
    assert_eq!(outcome.ops, 0);
    // Equal scalars, one bucket in each window with a digit, n - 1 additions in each.
    let outcome = check_drawn(&mut unit, &mut rng, 50, (Points::Distinct, Scalars::One), 8);
    assert_eq!(outcome.ops, 49);
}

#[test]
fn the_adder_is_kept_busy_when_every_window_has_digits() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let mut unit = engine();
    let count = 4096;
    for factors in [Scalars::Uniform, Scalars::Equal] {
        let outcome = check_drawn(&mut unit, &mut rng, count, (Points::Distinct, factors), 8);
        let bubbles: u64 = outcome.bubbles.iter().sum();
        let occupancy = outcome.ops as f64 / (outcome.ops + bubbles) as f64;
        assert!(occupancy > 0.9, "{factors:?}: {occupancy}, {outcome:?}");
        // 32 windows; aggregation, combination and tails come on top.
        let digits = 32 * count as u64;
        assert!(outcome.cycles < digits * 7 / 5, "{factors:?}: {outcome:?}");
    }
}

#[test]
fn the_lowest_faulty_element_is_reported() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut unit = engine();
    for round in 0..40 {
        unit.memory.timing = Timing::ALL[round % Timing::ALL.len()];
        let count = rng.gen_range(1..200);
        let bases = Points::Mixed.draw(&mut rng, count);
        let factors = Scalars::Edges.draw(&mut rng, count);
        load(&mut unit, &bases, &factors);
        let faults: Vec<(usize, bool)> = (0..rng.gen_range(1..4))
            .map(|_| (rng.gen_range(0..count), rng.r#gen()))
            .collect();
        for (index, in_point) in &faults {
            let bad = if rng.r#gen() {
                [0xff; COORDINATE_BYTES]
            } else {
                fp_modulus()
            };
            if *in_point {
                let at = BASES + index * POINT_BYTES + COORDINATE_BYTES * rng.gen_range(0..2);
                unit.memory.bytes[at..at + COORDINATE_BYTES].copy_from_slice(&bad);
            } else {
                let at = SCALARS + index * SCALAR_BYTES;
                unit.memory.bytes[at..at + SCALAR_BYTES].copy_from_slice(&MODULUS);
            }
        }
        // Scalar (false) before point (true) at one index.
        let first = faults.iter().min().copied();
        let outcome = unit.run(&command(count, 0));
        let reported = match outcome.status {
            status::BAD_SCALAR => Some((outcome.detail as usize, false)),
            status::BAD_POINT => Some((outcome.detail as usize, true)),
            _ => None,
        };
        assert_eq!(reported, first, "{faults:?} {outcome:?}");
        assert_untouched(&unit);
        check_usable(&mut unit, &mut rng);
    }
}

/// The smallest image that is no coordinate.
fn fp_modulus() -> [u8; COORDINATE_BYTES] {
    // p - 1 ends in an even byte, so the sum has no carry.
    let mut image = [0; COORDINATE_BYTES];
    let minus_one = Fp::from_image([0; 6]) - Fp::from_image([1, 0, 0, 0, 0, 0]);
    image.copy_from_slice(&minus_one.to_port());
    image[0] += 1;
    image
}

#[test]
fn abort_ends_in_bounded_time_and_leaves_the_engine_usable() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let mut unit = engine();
    let bases = Points::Mixed.draw(&mut rng, 300);
    let factors = Scalars::Uniform.draw(&mut rng, 300);
    let whole = check(&mut unit, &bases, &factors, 0).cycles;
    for round in 0..24 {
        // In the first pass, anywhere, and in the last steps.
        let after = match round % 3 {
            0 => rng.gen_range(0..1_500),
            1 => rng.gen_range(0..whole),
            _ => rng.gen_range(whole - 200..whole),
        };
        load(&mut unit, &bases, &factors);
        let outcome = unit.run_aborted(&command(300, 0), after);
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
        check_usable(&mut unit, &mut rng);
    }
}

#[test]
fn bus_errors_are_reported_and_leave_the_engine_usable() {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let mut unit = engine();
    for round in 0..24 {
        unit.memory.timing = *Timing::ALL.choose(&mut rng).unwrap_or(&Timing::STEADY);
        let count = rng.gen_range(1..200);
        let bases = Points::Mixed.draw(&mut rng, count);
        // Sparse enough that whole groups are skipped: the last steps come soon.
        load(&mut unit, &bases, &Scalars::Ascending.draw(&mut rng, count));
        if round % 4 == 0 {
            unit.memory.write_fault = Some((RESULT + 64 * rng.gen_range(0..3)) as u64);
            assert_eq!(unit.run(&command(count, 0)).status, status::CARD_WRITE);
            unit.memory.write_fault = None;
        } else {
            let (start, bytes) = *[
                (BASES, POINT_BYTES * count),
                (SCALARS, SCALAR_BYTES * count),
            ]
            .choose(&mut rng)
            .unwrap_or(&(BASES, POINT_BYTES));
            unit.memory.read_fault = Some((start + rng.gen_range(0..bytes) / 64 * 64) as u64);
            assert_eq!(unit.run(&command(count, 0)).status, status::CARD_READ);
            unit.memory.read_fault = None;
            assert_untouched(&unit);
        }
        check_usable(&mut unit, &mut rng);
    }
}
