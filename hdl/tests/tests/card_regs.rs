//! Unit test of the register block (`hdl/rtl/regs` behind `hdl/rtl/top/card_control.sv`) on its AXI4-Lite
//! port, against the register table of `hdl/doc/contract.md`, written out again here.
#![cfg(feature = "rtl")]

use carillon_hdl_tests::axi_lite::{AxiLite, Write};
use carillon_hdl_tests::{Dut, View, concat, extract};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const QUEUES: usize = 3;
const COUNTERS: usize = 13;
const CTRL: u16 = 0x100;
const STATUS: u16 = 0x104;
/// Queue registers, from `queue(q)`.
const QUEUE_CTRL: u16 = 0x14;
const QUEUE_STATUS: u16 = 0x18;
const SQ_HEAD: u16 = 0x1c;
/// All 64 KiB of BAR0.
const BAR: std::ops::Range<u32> = 0..0x1_0000;
/// What the card is after reset: the `sim` configuration. All other offsets read 0.
const IDENTITY: [(u16, u32); 8] = [
    (0x00, u32::from_le_bytes(*b"CARL")),
    (0x04, 1),
    (0x10, 0),
    (0x20, 10 << 8 | 2),
    (0x24, 0x1000_0000),
    (0x28, 0),
    (0x2c, 1 << 16 | 16 << 8 | 13),
    (0x30, 10 << 8 | 20),
];

fn queue(q: usize) -> u16 {
    0x1000 + 0x40 * q as u16
}

/// The hash that the generator wrote next to the registers; `scripts/check-generated.sh` compares that
/// with the RDL.
fn rdl_hash() -> u64 {
    let package = include_str!("../../rtl/regs/card_rdl_pkg.sv");
    let digits = package.split_once("64'h").map_or("", |(_, digits)| digits);
    digits
        .chars()
        .map_while(|digit| digit.to_digit(16))
        .fold(0, |hash, digit| hash << 4 | u64::from(digit))
}

/// What a read returns after reset while the hardware drives zeros.
fn reset_value(offset: u16) -> u32 {
    match offset {
        0x08 => rdl_hash() as u32,
        0x0c => (rdl_hash() >> 32) as u32,
        _ => IDENTITY
            .iter()
            .find_map(|(at, value)| (*at == offset).then_some(*value))
            .unwrap_or(0),
    }
}

/// A little-endian number.
fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// Every register that can be read back as written, with the bits that it has.
fn writable() -> Vec<(u16, u32)> {
    let mut registers = vec![(CTRL, 1)];
    for q in 0..QUEUES {
        let bits = [0xffff_ffc0, u32::MAX, 0xffff_ffc0, u32::MAX, 0xff, 1];
        registers.extend((0..).map(|index| queue(q) + 4 * index).zip(bits));
    }
    registers
}

/// A doorbell as the queue engine sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ring {
    SqTail(usize, u32),
    CqHead(usize, u32),
}

/// The doorbells that ring in this cycle.
fn rung(dut: &Dut) -> Vec<Ring> {
    let mut rings = Vec::new();
    for (name, ring) in [
        ("sq_tail", Ring::SqTail as fn(usize, u32) -> Ring),
        ("cq_head", Ring::CqHead),
    ] {
        let valid = dut.get_u64(&format!("{name}_valid_o"));
        let values = dut.get(&format!("{name}_o"));
        for (q, value) in values
            .chunks(4)
            .enumerate()
            .filter(|(q, _)| valid >> q & 1 == 1)
        {
            rings.push(ring(q, number(value) as u32));
        }
    }
    rings
}

struct Bench {
    dut: Dut,
    bus: AxiLite,
    rng: ChaCha8Rng,
    /// Doorbells that reached the hardware side, in order.
    rings: Vec<Ring>,
}

impl Bench {
    fn new() -> Self {
        Self {
            dut: Dut::new("card_registers", View::Fast),
            bus: AxiLite::default(),
            rng: ChaCha8Rng::seed_from_u64(1),
            rings: Vec::new(),
        }
    }

    /// As [`AxiLite::exchange`], listening to the doorbells.
    fn exchange(&mut self, writes: &[Write], reads: &[u16]) -> Vec<u32> {
        let rings = &mut self.rings;
        let step = |dut: &mut Dut| {
            rings.extend(rung(dut));
            dut.step();
        };
        self.bus.exchange(&mut self.dut, writes, reads, step)
    }

    fn write(&mut self, offset: u16, value: u32) {
        self.exchange(&[Write::word(offset, value)], &[]);
    }

    fn read(&mut self, offset: u16) -> u32 {
        self.exchange(&[], &[offset])[0]
    }

    /// `{sq_base, cq_base, log2_depth}` of a queue as the queue engine gets it.
    fn config(&self, q: usize) -> (u64, u64, u8) {
        let image = extract(&self.dut.get("config_o"), 136 * q, 136);
        (number(&image[9..]), number(&image[1..9]), image[0])
    }
}

#[test]
fn every_offset_reads_its_reset_value_and_ignores_what_it_cannot_hold() {
    let mut bench = Bench::new();
    let offsets: Vec<u16> = BAR.step_by(4).map(|offset| offset as u16).collect();
    let expect = |bench: &mut Bench, when: &str, value: &dyn Fn(u16) -> u32| {
        let values = bench.exchange(&[], &offsets);
        for (offset, got) in offsets.iter().zip(values) {
            assert_eq!(got, value(*offset), "{offset:#06x} {when}");
        }
    };
    expect(&mut bench, "after reset", &reset_value);

    // All ones everywhere: writable bits stick, the controller gets ready, nothing else moves.
    let ones: Vec<_> = offsets
        .iter()
        .map(|at| Write::word(*at, u32::MAX))
        .collect();
    bench.exchange(&ones, &[]);
    let held = writable();
    expect(&mut bench, "after writing ones", &|offset| {
        let bits = held.iter().find(|(at, _)| *at == offset);
        let ready = u32::from(offset == STATUS);
        bits.map_or(reset_value(offset) | ready, |(_, bits)| *bits)
    });

    let zeros: Vec<_> = offsets.iter().map(|at| Write::word(*at, 0)).collect();
    bench.exchange(&zeros, &[]);
    expect(&mut bench, "after writing zeros", &reset_value);

    bench.exchange(&ones, &[]);
    bench.dut.reset();
    expect(&mut bench, "after another reset", &reset_value);
}

#[test]
fn byte_strobes_choose_what_is_written() {
    let mut bench = Bench::new();
    for (offset, bits) in writable() {
        let mut expected = 0;
        for strobes in 0..16 {
            let value = bench.rng.r#gen();
            let mask = (0..4)
                .filter(|byte| strobes >> byte & 1 == 1)
                .fold(0, |mask, byte| mask | 0xff_u32 << (8 * byte));
            expected = (expected & !mask | value & mask) & bits;
            // A queue cannot be enabled without the controller, but its bit is held all the same.
            bench.exchange(
                &[Write {
                    offset,
                    value,
                    strobes,
                }],
                &[],
            );
            assert_eq!(bench.read(offset), expected, "{offset:#x} {strobes:#x}");
        }
        bench.write(CTRL, 0);
    }
    // A doorbell whose strobes are all off was not rung; otherwise the bytes merge.
    bench.rings.clear();
    for (value, strobes) in [(0x0403_0201, 0xf), (u32::MAX, 0), (u32::MAX, 0b0010)] {
        bench.exchange(
            &[Write {
                offset: 0x2008,
                value,
                strobes,
            }],
            &[],
        );
    }
    let expected = [Ring::SqTail(1, 0x0403_0201), Ring::SqTail(1, 0x0403_ff01)];
    assert_eq!(bench.rings, expected);
}

#[test]
fn queue_registers_reach_their_queue() {
    let mut bench = Bench::new();
    bench.write(CTRL, 1);
    let mut expected = Vec::new();
    for q in 0..QUEUES {
        let (sq, cq, depth): (u64, u64, u8) = bench.rng.r#gen();
        let words = [sq as u32, (sq >> 32) as u32, cq as u32, (cq >> 32) as u32];
        for (index, word) in (0..).zip(words) {
            bench.write(queue(q) + 4 * index, word);
        }
        bench.write(queue(q) + 0x10, depth.into());
        expected.push((sq & !63, cq & !63, depth));
    }
    for (q, config) in expected.iter().enumerate() {
        assert_eq!(bench.config(q), *config, "queue {q}");
        assert_eq!(bench.dut.get_u64("enable_o"), 0);
        bench.write(queue(q) + QUEUE_CTRL, 1);
        assert_eq!(bench.dut.get_u64("enable_o"), 1 << q);
        bench.write(queue(q) + QUEUE_CTRL, 0);
    }
    assert_eq!(bench.rings, []);
}

#[test]
fn the_controller_stops_all_queues_and_is_ready_until_they_have() {
    let mut bench = Bench::new();
    for q in 0..QUEUES {
        bench.write(queue(q) + QUEUE_CTRL, 1);
    }
    assert_eq!(
        bench.dut.get_u64("enable_o"),
        0,
        "not without the controller"
    );
    bench.write(CTRL, 1);
    assert_eq!(bench.dut.get_u64("enable_o"), 0b111);
    assert_eq!(bench.read(STATUS), 1);

    bench.dut.set_u64("active_i", 0b100);
    bench.write(CTRL, 0);
    assert_eq!(bench.dut.get_u64("enable_o"), 0);
    for q in 0..QUEUES {
        assert_eq!(bench.read(queue(q) + QUEUE_CTRL), 0, "cleared by the card");
    }
    assert_eq!(bench.read(STATUS), 1, "queue 2 still ends its command");
    bench.dut.set_u64("active_i", 0);
    assert_eq!(bench.read(STATUS), 0);
    bench.write(CTRL, 1);
    assert_eq!(bench.dut.get_u64("enable_o"), 0, "no queue comes back");
}

#[test]
fn status_and_counters_are_what_the_hardware_says() {
    let mut bench = Bench::new();
    let counts: [u64; COUNTERS] = bench.rng.r#gen();
    let image: Vec<u8> = counts
        .iter()
        .flat_map(|count| count.to_le_bytes())
        .collect();
    bench.dut.set("count_i", &image);
    for (index, count) in (0..).zip(counts) {
        let pair = bench.exchange(&[], &[0x200 + 8 * index, 0x204 + 8 * index]);
        assert_eq!(pair, [count as u32, (count >> 32) as u32], "{index}");
    }
    for q in 0..QUEUES {
        bench.dut.set_u64("active_i", 1 << q);
        bench.dut.set_u64("error_i", 3 << (8 * q));
        bench.dut.set_u64("sq_head_i", 0x2a5 << (10 * q));
        for other in 0..QUEUES {
            let expected = if other == q { [0x301, 0x2a5] } else { [0, 0] };
            let at = [queue(other) + QUEUE_STATUS, queue(other) + SQ_HEAD];
            assert_eq!(bench.exchange(&[], &at), expected, "{other} while {q}");
        }
    }
    for (port, status) in [
        ("busy_i", 0b010),
        ("host_violated_i", 1 << 8 | 0b100),
        ("mem_violated_i", 2 << 8 | 0b100),
    ] {
        bench.dut.set_u64(port, 1);
        assert_eq!(bench.read(STATUS), status, "{port}");
        assert_eq!(bench.dut.get_u64("fatal_o"), u64::from(port != "busy_i"));
        bench.dut.set_u64(port, 0);
    }
}

#[test]
fn a_bus_that_never_answers_what_it_owes_is_fatal() {
    let mut bench = Bench::new();
    // The top's patience.
    const PATIENCE: u64 = 1 << 6;
    for (cycles, fatal) in [(PATIENCE - 1, false), (PATIENCE, true)] {
        bench.dut.reset();
        bench.dut.set_u64("buses_closed_i", 1);
        for _ in 0..cycles {
            bench.dut.step();
        }
        // What comes afterwards does not make good what was lost.
        bench.dut.set_u64("buses_closed_i", 0);
        let expected = if fatal { 3 << 8 | 0b100 } else { 0 };
        assert_eq!(bench.read(STATUS), expected, "after {cycles} cycles");
        assert_eq!(bench.dut.get_u64("fatal_o"), u64::from(fatal));
    }
}

#[test]
fn each_doorbell_rings_once_with_its_value() {
    let mut bench = Bench::new();
    for stall in [0.0, 0.6] {
        bench.bus.stall = stall;
        bench.rings.clear();
        let (mut writes, mut expected) = (Vec::new(), Vec::new());
        for _ in 0..200 {
            let q = bench.rng.gen_range(0..QUEUES);
            // Often the same value again: ringing counts, not the change.
            let value = *[0, 1, 0xffff_ffff].choose(&mut bench.rng).unwrap();
            let offset = 0x2000 + 8 * q as u16;
            if bench.rng.r#gen() {
                writes.push(Write::word(offset, value));
                expected.push(Ring::SqTail(q, value));
            } else {
                writes.push(Write::word(offset + 4, value));
                expected.push(Ring::CqHead(q, value));
            }
            // Between them, neighbours that are no doorbells.
            writes.push(Write::word(
                *[queue(0), 0x1ffc, 0x2018].choose(&mut bench.rng).unwrap(),
                value,
            ));
        }
        bench.exchange(&writes, &[0x2000, 0x2004, 0x2014]);
        assert_eq!(bench.rings, expected, "stall {stall}");
    }
}

#[test]
fn traffic_survives_back_pressure_in_order() {
    let mut bench = Bench::new();
    // What is read does not change while the writes run: identity, counters and nothing at all.
    let counts: Vec<(Vec<u8>, usize)> = (0..COUNTERS as u64)
        .map(|index| ((index * 0x0101_0000_0001 + 7).to_le_bytes().to_vec(), 64))
        .collect();
    let fields: Vec<_> = counts
        .iter()
        .map(|(bytes, width)| (&bytes[..], *width))
        .collect();
    bench.dut.set("count_i", &concat(&fields));
    let fixed: Vec<u16> = (0..0x34)
        .chain(0x200..0x270)
        .chain(0x1400..0x1410)
        .step_by(4)
        .collect();
    let truth = bench.exchange(&[], &fixed);
    for stall in [0.0, 0.3, 0.9] {
        bench.bus.stall = stall;
        let mut expected: Vec<u32> = writable().iter().map(|(at, _)| bench.read(*at)).collect();
        let writes: Vec<_> = (0..400)
            .map(|_| {
                let index = bench.rng.gen_range(0..expected.len());
                let ((offset, bits), value) = (writable()[index], bench.rng.r#gen::<u32>() | 1);
                expected[index] = value & bits;
                Write::word(offset, value)
            })
            .collect();
        let picks: Vec<_> = (0..400)
            .map(|_| bench.rng.gen_range(0..fixed.len()))
            .collect();
        let reads: Vec<_> = picks.iter().map(|pick| fixed[*pick]).collect();
        let values = bench.exchange(&writes, &reads);
        let wanted: Vec<_> = picks.iter().map(|pick| truth[*pick]).collect();
        assert_eq!(values, wanted, "stall {stall}");
        for ((offset, _), value) in writable().iter().zip(&expected) {
            assert_eq!(bench.read(*offset), *value, "stall {stall}: {offset:#x}");
        }
    }
}
