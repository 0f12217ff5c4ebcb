//! Block test of `ntt_engine` behind an AXI memory with latency, back-pressure, reordering and faults,
//! against the definition of the transform evaluated with blstrs.
#![cfg(feature = "rtl")]

use blstrs::Scalar;
use carillon_hdl_tests::axi_memory::Timing;
use carillon_hdl_tests::scalars::{self, BYTES, MODULUS};
use carillon_hdl_tests::unit::{Command, Outcome, Unit, status};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const OPCODE: u8 = 0x30;
const INVERSE: u8 = 0x02;
const COSET: u8 = 0x04;
const KINDS: [u8; 4] = [0, INVERSE, COSET, INVERSE | COSET];

/// Not on 4 KiB boundaries, so that bursts are cut.
const SOURCE: usize = 0x40;
const DESTINATION: usize = 0x40_0080;
const SCRATCH: usize = 0x80_0fc0;
const SIZE: usize = 0xc0_1000;

fn command(log2n: u8, flags: u8) -> Command {
    Command {
        opcode: OPCODE,
        flags,
        log2n,
        operands: [
            SOURCE as u64,
            DESTINATION as u64,
            SCRATCH as u64,
            0,
            0,
            0,
            0,
        ],
        ..Command::default()
    }
}

fn engine() -> Unit {
    Unit::new("ntt_engine", SIZE)
}

/// Runs one transform and compares all it may and may not write.
fn check(unit: &mut Unit, coefficients: &[Scalar], flags: u8) -> Outcome {
    let n = coefficients.len();
    let log2n = n.trailing_zeros() as u8;
    let values = scalars::naive_ntt(coefficients, flags & COSET != 0);
    let (input, output) = if flags & INVERSE == 0 {
        (coefficients, values.as_slice())
    } else {
        (values.as_slice(), coefficients)
    };
    let bytes = n * BYTES;
    let beats = bytes.next_multiple_of(64);
    let memory = &mut unit.memory.bytes;
    memory[SOURCE..SOURCE + bytes].copy_from_slice(&scalars::to_image(input));
    memory[DESTINATION..DESTINATION + bytes + 128].fill(0xaa);
    let source = memory[SOURCE..SOURCE + beats].to_vec();

    let outcome = unit.run(&command(log2n, flags));
    let context = format!("n = 2^{log2n}, flags {flags:#x}, {:?}", unit.memory.timing);
    assert_eq!(outcome.status, status::SUCCESS, "{context}");
    assert_eq!(outcome.ops, u64::from(log2n) * n as u64 / 2, "{context}");
    let memory = &unit.memory.bytes;
    let result = &memory[DESTINATION..];
    assert_eq!(scalars::from_image(&result[..bytes]), output, "{context}");
    assert!(
        result[bytes..beats].iter().all(|byte| *byte == 0),
        "the last beat is padded with zeros"
    );
    assert!(
        result[beats..beats + 64].iter().all(|byte| *byte == 0xaa),
        "nothing is written beyond"
    );
    assert_eq!(
        memory[SOURCE..SOURCE + beats],
        source,
        "the source is preserved"
    );
    outcome
}

#[test]
fn every_size_and_kind() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut unit = engine();
    for log2n in 0..=10 {
        for flags in KINDS {
            let coefficients = scalars::random(&mut rng, 1 << log2n);
            check(&mut unit, &coefficients, flags);
        }
    }
}

#[test]
fn any_memory_timing() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut unit = engine();
    for timing in Timing::ALL {
        unit.memory.timing = timing;
        for log2n in 0..=8 {
            let coefficients = scalars::random(&mut rng, 1 << log2n);
            for flags in [COSET, INVERSE | COSET] {
                check(&mut unit, &coefficients, flags);
            }
        }
    }
}

#[test]
fn one_butterfly_a_cycle() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut unit = engine();
    for flags in [0, INVERSE] {
        let coefficients = scalars::random(&mut rng, 1 << 12);
        let outcome = check(&mut unit, &coefficients, flags);
        // A pass costs the latency of memory and pipelines once, beyond its n/2 butterflies.
        assert!(outcome.cycles < outcome.ops + 12 * 250, "{outcome:?}");
    }
}

#[test]
fn an_operand_not_below_r_is_refused() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut unit = engine();
    for log2n in [0, 1, 2, 3, 7] {
        for index in [0, (1 << log2n) / 2, (1 << log2n) - 1] {
            for bad in [MODULUS, [0xff; BYTES]] {
                for flags in [0, INVERSE] {
                    let mut image = scalars::to_image(&scalars::random(&mut rng, 1 << log2n));
                    image[index * BYTES..][..BYTES].copy_from_slice(&bad);
                    unit.memory.bytes[SOURCE..SOURCE + image.len()].copy_from_slice(&image);
                    let outcome = unit.run(&command(log2n, flags));
                    assert_eq!(outcome.status, status::BAD_SCALAR, "2^{log2n} at {index}");
                    check(&mut unit, &scalars::random(&mut rng, 4), flags);
                }
            }
        }
    }
}

#[test]
fn abort_ends_in_bounded_time_and_leaves_the_engine_usable() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let mut unit = engine();
    for log2n in [0, 1, 4, 9] {
        let coefficients = scalars::random(&mut rng, 1 << log2n);
        for flags in [0, INVERSE] {
            let whole = check(&mut unit, &coefficients, flags).cycles;
            for _ in 0..20 {
                let after = rng.gen_range(0..whole - 20);
                let outcome = unit.run_aborted(&command(log2n, flags), after);
                assert_eq!(outcome.status, status::ABORTED, "after {after} of {whole}");
                assert!(outcome.cycles < after + 400, "{outcome:?} after {after}");
                unit.memory.timing = *Timing::ALL.choose(&mut rng).unwrap_or(&Timing::STEADY);
                check(&mut unit, &scalars::random(&mut rng, 8), INVERSE | COSET);
                unit.memory.timing = Timing::STEADY;
            }
        }
    }
}

#[test]
fn bus_errors_are_reported_and_leave_the_engine_usable() {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let mut unit = engine();
    for log2n in [1, 2, 5, 8] {
        let beats = (1usize << log2n) * BYTES / 64;
        for flags in [0, INVERSE] {
            for _ in 0..10 {
                let at = rng.gen_range(0..beats) * 64;
                let image = scalars::to_image(&scalars::random(&mut rng, 1 << log2n));
                unit.memory.bytes[SOURCE..SOURCE + image.len()].copy_from_slice(&image);

                unit.memory.read_fault = Some((SOURCE + at) as u64);
                assert_eq!(unit.run(&command(log2n, flags)).status, status::CARD_READ);
                unit.memory.read_fault = None;

                unit.memory.write_fault = Some((DESTINATION + at) as u64);
                assert_eq!(unit.run(&command(log2n, flags)).status, status::CARD_WRITE);
                unit.memory.write_fault = None;

                check(&mut unit, &scalars::random(&mut rng, 1), flags);
                check(&mut unit, &scalars::random(&mut rng, 16), flags);
            }
        }
    }
}
