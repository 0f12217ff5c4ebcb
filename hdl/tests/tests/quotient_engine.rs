//! Block test of `quotient_engine` behind an AXI memory with latency, back-pressure, reordering and
//! faults, against blstrs.
#![cfg(feature = "rtl")]

use blstrs::Scalar;
use carillon_hdl_tests::axi_memory::Timing;
use carillon_hdl_tests::scalars::{self, BYTES, MODULUS};
use carillon_hdl_tests::unit::{Command, Outcome, Unit, status};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const OPCODE: u8 = 0x38;

/// a, b, c; not on 4 KiB boundaries, so that bursts are cut.
const SOURCES: [usize; 3] = [0x40, 0x4_0080, 0x8_0fc0];
const DESTINATION: usize = 0xc_0000;
const Z: usize = 0x10_0fc0;
const SIZE: usize = 0x10_1000;

fn command(count: usize, destination: usize) -> Command {
    let [a, b, c] = SOURCES.map(|address| address as u64);
    Command {
        opcode: OPCODE,
        operands: [a, b, c, destination as u64, count as u64, Z as u64, 0],
        ..Command::default()
    }
}

/// a b alone: c and z lie nowhere.
fn product(count: usize, destination: usize) -> Command {
    let mut command = Command {
        flags: 0x10,
        ..command(count, destination)
    };
    command.operands[2] = u64::MAX;
    command.operands[5] = u64::MAX;
    command
}

fn engine() -> Unit {
    Unit::new("quotient_engine", SIZE)
}

/// Random operands into memory, followed by bytes that are no element; what the command makes of them.
fn load(unit: &mut Unit, rng: &mut ChaCha8Rng, count: usize) -> Vec<Scalar> {
    let memory = &mut unit.memory.bytes;
    let mut put = |at: usize, scalars: &[Scalar]| {
        let image = scalars::to_image(scalars);
        memory[at..at + image.len()].copy_from_slice(&image);
        memory[at + image.len()..][..BYTES].fill(0xff);
    };
    let z = scalars::random(rng, 1);
    put(Z, &z);
    let vectors = SOURCES.map(|at| {
        let vector = scalars::random(rng, count);
        put(at, &vector);
        vector
    });
    let [a, b, c] = &vectors;
    (0..count).map(|i| (a[i] * b[i] - c[i]) * z[0]).collect()
}

/// Runs one command and compares all it may and may not write.
fn check(unit: &mut Unit, rng: &mut ChaCha8Rng, count: usize, destination: usize) -> Outcome {
    let expected = load(unit, rng, count);
    let bytes = count * BYTES;
    let beats = bytes.next_multiple_of(64);
    let before = unit.memory.bytes.clone();

    let outcome = unit.run(&command(count, destination));
    let context = format!("n = {count} to {destination:#x}, {:?}", unit.memory.timing);
    assert_eq!(outcome.status, status::SUCCESS, "{context}");
    assert_eq!(outcome.ops, count as u64, "{context}");
    let (after, end) = (&unit.memory.bytes, destination + beats);
    let result = &after[destination..end];
    assert_eq!(scalars::from_image(&result[..bytes]), expected, "{context}");
    assert!(
        result[bytes..].iter().all(|byte| *byte == 0),
        "the last beat is padded with zeros"
    );
    assert!(
        after[..destination] == before[..destination],
        "{context}: nothing else changes"
    );
    assert!(
        after[end..] == before[end..],
        "{context}: nothing else changes"
    );
    outcome
}

#[test]
fn every_size_in_place_and_not() {
    let mut rng = ChaCha8Rng::seed_from_u64(10);
    let mut unit = engine();
    let mut counts = vec![1, 2, 3];
    for log2 in 2..=10 {
        counts.extend([(1 << log2) - 1, 1 << log2, (1 << log2) + 1]);
    }
    for count in counts {
        for destination in [DESTINATION, SOURCES[0], SOURCES[1], SOURCES[2]] {
            check(&mut unit, &mut rng, count, destination);
        }
    }
}

#[test]
fn any_memory_timing() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let mut unit = engine();
    for timing in Timing::ALL {
        unit.memory.timing = timing;
        for count in [1, 2, 5, 64, 333] {
            for destination in [DESTINATION, SOURCES[0]] {
                check(&mut unit, &mut rng, count, destination);
            }
        }
    }
}

#[test]
fn products_have_neither_c_nor_z() {
    let mut rng = ChaCha8Rng::seed_from_u64(15);
    let mut unit = engine();
    for timing in Timing::ALL {
        unit.memory.timing = timing;
        for count in [1, 2, 5, 64, 333] {
            for destination in [DESTINATION, SOURCES[0], SOURCES[1]] {
                load(&mut unit, &mut rng, count);
                let factor =
                    |at: usize| scalars::from_image(&unit.memory.bytes[at..at + count * BYTES]);
                let [a, b, _] = SOURCES.map(factor);
                let outcome = unit.run(&product(count, destination));
                assert_eq!(outcome.status, status::SUCCESS);
                assert_eq!(outcome.ops, count as u64);
                let result = &unit.memory.bytes[destination..];
                let expected: Vec<_> = a.iter().zip(&b).map(|(a, b)| a * b).collect();
                assert_eq!(scalars::from_image(&result[..count * BYTES]), expected);
            }
            // And the quotient after it is whole again, also after one that ended with an error of c.
            check(&mut unit, &mut rng, count, DESTINATION);
            unit.memory.read_fault = Some(SOURCES[2] as u64);
            assert_eq!(
                unit.run(&command(count, DESTINATION)).status,
                status::CARD_READ
            );
            assert_eq!(
                unit.run(&product(count, DESTINATION)).status,
                status::SUCCESS
            );
            unit.memory.read_fault = None;
        }
    }
    unit.memory.timing = Timing::STEADY;
    load(&mut unit, &mut rng, 1 << 12);
    let outcome = unit.run(&product(1 << 12, DESTINATION));
    // Two beats for two elements, and the latencies once.
    assert!(outcome.cycles < (1 << 12) + 350, "{outcome:?}");
}

#[test]
fn the_memory_bounds_the_rate() {
    let mut rng = ChaCha8Rng::seed_from_u64(12);
    let mut unit = engine();
    let outcome = check(&mut unit, &mut rng, 1 << 12, DESTINATION);
    // Three beats for two elements, and the latencies once.
    assert!(outcome.cycles < (1 << 12) * 3 / 2 + 350, "{outcome:?}");
}

#[test]
fn an_operand_not_below_r_is_refused() {
    let mut rng = ChaCha8Rng::seed_from_u64(14);
    let mut unit = engine();
    for count in [1, 2, 3, 101] {
        for bad in [MODULUS, [0xff; BYTES]] {
            let mut places = vec![Z];
            for index in [0, count / 2, count - 1] {
                places.extend(SOURCES.map(|at| at + index * BYTES));
            }
            for place in places {
                load(&mut unit, &mut rng, count);
                unit.memory.bytes[place..place + BYTES].copy_from_slice(&bad);
                let outcome = unit.run(&command(count, DESTINATION));
                assert_eq!(
                    outcome.status,
                    status::BAD_SCALAR,
                    "n = {count} at {place:#x}"
                );
                check(&mut unit, &mut rng, 3, DESTINATION);
            }
        }
    }
}

#[test]
fn abort_ends_in_bounded_time_and_leaves_the_engine_usable() {
    let mut rng = ChaCha8Rng::seed_from_u64(15);
    let mut unit = engine();
    for count in [1, 30, 1000] {
        let whole = check(&mut unit, &mut rng, count, DESTINATION).cycles;
        for _ in 0..30 {
            load(&mut unit, &mut rng, count);
            let after = rng.gen_range(0..whole - 20);
            let outcome = unit.run_aborted(&command(count, DESTINATION), after);
            assert_eq!(outcome.status, status::ABORTED, "after {after} of {whole}");
            assert!(outcome.cycles < after + 500, "{outcome:?} after {after}");
            unit.memory.timing = *Timing::ALL.choose(&mut rng).unwrap_or(&Timing::STEADY);
            check(&mut unit, &mut rng, 9, DESTINATION);
            unit.memory.timing = Timing::STEADY;
        }
    }
}

#[test]
fn bus_errors_are_reported_and_leave_the_engine_usable() {
    let mut rng = ChaCha8Rng::seed_from_u64(16);
    let mut unit = engine();
    for count in [1, 30, 300] {
        for _ in 0..10 {
            load(&mut unit, &mut rng, count);
            let at = rng.gen_range(0..count.div_ceil(2)) * 64;
            for place in SOURCES.map(|source| source + at).into_iter().chain([Z]) {
                unit.memory.read_fault = Some(place as u64);
                let outcome = unit.run(&command(count, DESTINATION));
                assert_eq!(
                    outcome.status,
                    status::CARD_READ,
                    "n = {count} at {place:#x}"
                );
                unit.memory.read_fault = None;
            }
            unit.memory.write_fault = Some((DESTINATION + at) as u64);
            let outcome = unit.run(&command(count, DESTINATION));
            assert_eq!(outcome.status, status::CARD_WRITE, "n = {count} at {at:#x}");
            unit.memory.write_fault = None;
            check(&mut unit, &mut rng, 7, DESTINATION);
        }
    }
}
