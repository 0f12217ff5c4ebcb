//! Block test of `ntt_engine` behind an AXI memory with latency, back-pressure, reordering and faults,
//! against arkworks, small transforms against their definition as well.
#![cfg(feature = "rtl")]
#![allow(
    clippy::unwrap_used,
    reason = "test code reports a failure by panicking"
)]

use ark_bls12_381::Fr;
use ark_ff::{BigInteger, PrimeField as _};
use ark_poly::{EvaluationDomain, Radix2EvaluationDomain};
use blstrs::Scalar;
use carillon_hdl_tests::axi_memory::Timing;
use carillon_hdl_tests::scalars::{self, BYTES, MODULUS};
use carillon_hdl_tests::unit::{Command, Outcome, Unit, status};
use ff::PrimeField as _;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const OPCODE: u8 = 0x30;
const INVERSE: u8 = 0x02;
const COSET: u8 = 0x04;
const ODD: u8 = 0x20;
const KINDS: [u8; 6] = [0, INVERSE, COSET, INVERSE | COSET, ODD, INVERSE | ODD];

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

/// What the contract says, evaluated by arkworks.
fn evaluate(input: &[Scalar], flags: u8) -> Vec<Scalar> {
    let values: Vec<Fr> = input
        .iter()
        .map(|value| Fr::from_le_bytes_mod_order(&value.to_repr()))
        .collect();
    // A root of order 2n, whose square is the domain's generator.
    let odd = Radix2EvaluationDomain::<Fr>::new(2 * input.len()).unwrap();
    let shift = match flags & (COSET | ODD) {
        0 => Fr::from(1),
        COSET => Fr::from(7),
        _ => odd.group_gen(),
    };
    let domain = Radix2EvaluationDomain::new(input.len())
        .and_then(|domain| domain.get_coset(shift))
        .unwrap();
    let result = match flags & INVERSE {
        0 => domain.fft(&values),
        _ => domain.ifft(&values),
    };
    let scalar = |value: &Fr| {
        let bytes = value.into_bigint().to_bytes_le();
        Scalar::from_repr(bytes.try_into().unwrap()).unwrap()
    };
    result.iter().map(scalar).collect()
}

/// Runs one transform and compares all it may and may not write.
fn check(unit: &mut Unit, input: &[Scalar], flags: u8) -> Outcome {
    let n = input.len();
    let place = Place {
        source: SOURCE,
        destination: DESTINATION,
        scratch: SCRATCH,
    };
    let output = evaluate(input, flags);
    // Small ones by the definition as well.
    if n <= 64 && flags & ODD == 0 {
        let (from, to) = match flags & INVERSE {
            0 => (input, output.as_slice()),
            _ => (output.as_slice(), input),
        };
        assert_eq!(scalars::naive_ntt(from, flags & COSET != 0), to);
    }
    place.check(unit, input, &output, flags)
}

/// Where a transform's buffers lie.
struct Place {
    source: usize,
    destination: usize,
    scratch: usize,
}

impl Place {
    fn check(&self, unit: &mut Unit, input: &[Scalar], output: &[Scalar], flags: u8) -> Outcome {
        let n = input.len();
        let log2n = n.trailing_zeros() as u8;
        let bytes = n * BYTES;
        let beats = bytes.next_multiple_of(64);
        let memory = &mut unit.memory.bytes;
        memory[self.source..self.source + bytes].copy_from_slice(&scalars::to_image(input));
        memory[self.destination..self.destination + bytes + 128].fill(0xaa);
        let source = memory[self.source..self.source + beats].to_vec();

        let outcome = unit.run(&Command {
            operands: [
                self.source as u64,
                self.destination as u64,
                self.scratch as u64,
                0,
                0,
                0,
                0,
            ],
            ..command(log2n, flags)
        });
        let context = format!("n = 2^{log2n}, flags {flags:#x}, {:?}", unit.memory.timing);
        assert_eq!(outcome.status, status::SUCCESS, "{context}");
        assert_eq!(outcome.ops, u64::from(log2n) * n as u64 / 2, "{context}");
        let memory = &unit.memory.bytes;
        let result = &memory[self.destination..];
        assert!(
            scalars::from_image(&result[..bytes]) == output,
            "{context}: the result"
        );
        assert!(
            result[bytes..beats].iter().all(|byte| *byte == 0),
            "the last beat is padded with zeros"
        );
        assert!(
            result[beats..beats + 64].iter().all(|byte| *byte == 0xaa),
            "nothing is written beyond"
        );
        assert!(
            memory[self.source..self.source + beats] == source,
            "the source is preserved"
        );
        outcome
    }
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
            for flags in [COSET, INVERSE | COSET, ODD, INVERSE | ODD] {
                check(&mut unit, &coefficients, flags);
            }
        }
    }
}

/// With four stages three passes begin at 2^9: the pass between, and every split of the rows.
#[test]
fn three_passes() {
    let mut rng = ChaCha8Rng::seed_from_u64(10);
    let mut unit = Unit::new("ntt_engine_s4", SIZE);
    for log2n in 0..=12 {
        for flags in KINDS {
            unit.memory.timing = *Timing::ALL.choose(&mut rng).unwrap();
            check(&mut unit, &scalars::random(&mut rng, 1 << log2n), flags);
        }
    }
}

/// One transform of 2^log2n: its result, its cycles and its traffic. Buffers lie behind one another.
fn check_rate(unit: &mut Unit, log2n: usize, flags: u8, passes: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(log2n as u64);
    let bytes = (BYTES << log2n) + 0x1000;
    let place = Place {
        source: 0,
        destination: bytes,
        scratch: 2 * bytes,
    };
    let input = scalars::random(&mut rng, 1 << log2n);
    let before = unit.memory.beats_read;
    let outcome = place.check(unit, &input, &evaluate(&input, flags), flags);
    let pass = 1 << (log2n - 1);
    let cycles = outcome.cycles as f64 / (passes * pass) as f64;
    println!(
        "2^{log2n}, flags {flags:#x}: {} cycles, {cycles:.4} of {passes} passes of n/2",
        outcome.cycles
    );
    assert!(cycles <= 1.15, "{outcome:?}");
    assert_eq!(unit.memory.beats_read - before, passes * pass);
}

#[test]
fn two_elements_a_cycle_and_pass() {
    let mut unit = Unit::new("ntt_engine", 3 * ((BYTES << 16) + 0x1000));
    for flags in [0, INVERSE | COSET] {
        check_rate(&mut unit, 16, flags, 2);
    }
}

/// Every larger size in every kind (`make soak`).
#[test]
#[ignore = "minutes"]
fn soak_large_transforms() {
    let mut unit = Unit::new("ntt_engine", 3 * ((BYTES << 20) + 0x1000));
    for log2n in 11..=20 {
        for flags in KINDS {
            if log2n < 16 {
                check(
                    &mut unit,
                    &scalars::random(&mut ChaCha8Rng::seed_from_u64(11), 1 << log2n),
                    flags,
                );
            } else {
                check_rate(&mut unit, log2n, flags, 2);
            }
        }
    }
}

/// Three passes of ten stages (`make soak`, with the model that is built on request).
#[test]
#[ignore = "minutes; needs CARILLON_BLOCKS=ntt_engine_28"]
fn soak_a_transform_of_three_passes() {
    let mut unit = Unit::new("ntt_engine_28", 3 * ((BYTES << 22) + 0x1000));
    check_rate(&mut unit, 22, INVERSE | COSET, 3);
    check_rate(&mut unit, 22, 0, 3);
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
