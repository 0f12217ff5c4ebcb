//! Unit test of the AXI streams and muxes (`hdl/rtl/mem`): two lanes copy blocks through one memory.
//! The memory checks the rules of the bus; here it is the data, the rate, errors and flushing.
#![cfg(feature = "rtl")]

use carillon_hdl_tests::axi_memory::{AxiMemory, Timing};
use carillon_hdl_tests::{Dut, View, mutants};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const BEAT: usize = 64;
/// Each lane has a quarter of the memory to read from and one to write to.
const AREA: usize = 1 << 18;
/// More cycles than any of these copies takes.
const PATIENCE: u64 = 200_000;

/// What one lane copies, in beats; addresses within its areas.
#[derive(Clone, Copy, Debug, Default)]
struct Copy {
    source: usize,
    destination: usize,
    block: usize,
    source_stride: usize,
    destination_stride: usize,
    blocks: usize,
}

impl Copy {
    fn random(rng: &mut ChaCha8Rng) -> Self {
        let block = rng.gen_range(1..40);
        Self {
            source: rng.gen_range(0..500),
            destination: rng.gen_range(0..500),
            block,
            source_stride: block + rng.gen_range(0..9),
            destination_stride: block + rng.gen_range(0..9),
            blocks: rng.gen_range(1..20),
        }
    }

    fn beats(&self) -> usize {
        self.block * self.blocks
    }

    /// The beats of memory that it writes.
    fn destinations(&self, lane: usize) -> impl Iterator<Item = usize> {
        let base = (2 * lane + 1) * AREA / BEAT + self.destination;
        let Self {
            block,
            blocks,
            destination_stride,
            ..
        } = *self;
        (0..blocks).flat_map(move |index| {
            (0..block).map(move |beat| base + index * destination_stride + beat)
        })
    }

    /// The same on bytes.
    fn apply(&self, lane: usize, memory: &mut [u8]) {
        for block in 0..self.blocks {
            let from = 2 * lane * AREA + (self.source + block * self.source_stride) * BEAT;
            let to =
                (2 * lane + 1) * AREA + (self.destination + block * self.destination_stride) * BEAT;
            memory.copy_within(from..from + self.block * BEAT, to);
        }
    }
}

struct Bench {
    dut: Dut,
    memory: AxiMemory,
}

impl Bench {
    fn new(timing: Timing) -> Self {
        let dut = Dut::new(&mutants::model("stream_copy"), View::Fast);
        let mut memory = AxiMemory::new(&dut, &["mem"], 4 * AREA);
        memory.timing = timing;
        ChaCha8Rng::seed_from_u64(2).fill(&mut memory.bytes[..]);
        Self { dut, memory }
    }

    /// Starts the lanes that have something to do.
    fn start(&mut self, copies: [Option<Copy>; 2]) {
        let all = copies.map(Option::unwrap_or_default);
        let mut set = |name: &str, width: usize, value: fn(usize, &Copy) -> usize| {
            let image: Vec<u8> = (0..2)
                .flat_map(|lane| value(lane, &all[lane]).to_le_bytes()[..width].to_vec())
                .collect();
            self.dut.set(name, &image);
        };
        set("source_i", 8, |lane, c| 2 * lane * AREA + c.source * BEAT);
        set("destination_i", 8, |lane, c| {
            (2 * lane + 1) * AREA + c.destination * BEAT
        });
        set("block_beats_i", 4, |_, c| c.block);
        set("source_stride_i", 4, |_, c| c.source_stride);
        set("destination_stride_i", 4, |_, c| c.destination_stride);
        set("blocks_i", 4, |_, c| c.blocks);
        let lanes = u64::from(copies[0].is_some()) | u64::from(copies[1].is_some()) << 1;
        self.dut.set_u64("start_i", lanes);
        self.memory.step(&mut self.dut);
        self.dut.set_u64("start_i", 0);
    }

    fn busy(&self) -> bool {
        self.dut.get_u64("reading_o") | self.dut.get_u64("writing_o") != 0
    }

    /// Runs until both lanes are done; the cycles it took.
    fn finish(&mut self) -> u64 {
        let start = self.dut.cycle();
        while self.busy() {
            self.memory.step(&mut self.dut);
            assert!(self.dut.cycle() - start < PATIENCE, "a lane hangs");
        }
        assert!(self.memory.idle(), "done before the bus has answered");
        self.dut.cycle() - start
    }

    fn errors(&self) -> (u64, u64) {
        let get = |name| self.dut.get_u64(name);
        (get("read_error_o"), get("write_error_o"))
    }
}

#[test]
fn blocks_arrive_whatever_the_memory_does() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for timing in Timing::ALL {
        let mut bench = Bench::new(timing);
        for round in 0..12 {
            let copies = [Copy::random(&mut rng), Copy::random(&mut rng)];
            let mut expected = bench.memory.bytes.clone();
            for (lane, copy) in copies.iter().enumerate() {
                copy.apply(lane, &mut expected);
            }
            bench.start(copies.map(Some));
            bench.finish();
            assert!(
                bench.memory.bytes == expected,
                "{timing:?}, round {round}: {copies:?}"
            );
            assert_eq!(bench.errors(), (0, 0));
        }
    }
}

#[test]
fn one_beat_a_cycle_also_in_single_beats() {
    // (block, blocks): one long block, and scattered single beats.
    for (block, blocks) in [(400, 1), (1, 400)] {
        let copy = Copy {
            block,
            blocks,
            source_stride: 3,
            destination_stride: 5,
            ..Copy::default()
        };
        let mut bench = Bench::new(Timing::STEADY);
        bench.start([Some(copy), None]);
        let cycles = bench.finish();
        let bound = copy.beats() as u64 + 2 * Timing::STEADY.latency + 60;
        assert!(
            cycles < bound,
            "{block} x {blocks}: {cycles} cycles, {bound} allowed"
        );
    }
}

#[test]
fn nothing_to_do_is_done_at_once() {
    let mut bench = Bench::new(Timing::STEADY);
    for (block, blocks) in [(0, 7), (7, 0)] {
        let copy = Copy {
            block,
            blocks,
            ..Copy::default()
        };
        bench.start([Some(copy), Some(copy)]);
        assert!(!bench.busy());
    }
}

#[test]
fn errors_stick_until_the_next_start_and_lose_no_beat() {
    let copy = Copy {
        block: 10,
        blocks: 3,
        source_stride: 10,
        destination_stride: 10,
        ..Copy::default()
    };
    let mut bench = Bench::new(Timing::ALL[2]);
    for lane in 0..2 {
        for read in [true, false] {
            let at = Some(((2 * lane + usize::from(!read)) * AREA + 17 * BEAT) as u64);
            *(if read {
                &mut bench.memory.read_fault
            } else {
                &mut bench.memory.write_fault
            }) = at;
            bench.start([Some(copy), Some(copy)]);
            bench.finish();
            let expected = if read { (1 << lane, 0) } else { (0, 1 << lane) };
            assert_eq!(bench.errors(), expected);
            (bench.memory.read_fault, bench.memory.write_fault) = (None, None);
            bench.start([Some(copy), Some(copy)]);
            bench.finish();
            assert_eq!(bench.errors(), (0, 0));
        }
    }
}

#[test]
fn a_reset_with_transfers_under_way_is_harmless() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for timing in Timing::ALL {
        let mut bench = Bench::new(timing);
        for moment in (0..60).chain([100, 200, 400]) {
            let before = bench.memory.bytes.clone();
            let copies = [Copy::random(&mut rng), Copy::random(&mut rng)];
            bench.start(copies.map(Some));
            for _ in 0..moment {
                bench.memory.step(&mut bench.dut);
            }
            let mut written = before.clone();
            for (lane, copy) in copies.iter().enumerate() {
                copy.apply(lane, &mut written);
            }
            // Sometimes the reset ends while the memory still owes answers, sometimes it is long.
            bench.dut.set_u64("lane_reset_i", 1);
            for _ in 0..rng.gen_range(1..300) {
                bench.memory.step(&mut bench.dut);
            }
            bench.dut.set_u64("lane_reset_i", 0);
            // What begins then gets its own data, whatever still comes.
            let copies = [Copy::random(&mut rng), Copy::random(&mut rng)];
            bench.start(copies.map(Some));
            bench.finish();
            assert_eq!(bench.dut.get_u64("bus_idle_o"), 1);
            assert_eq!(bench.errors(), (0, 0), "{timing:?} after {moment}");
            // Each beat is as it was, as the copy that was cut off makes it, or as the new copy does.
            let now = &bench.memory.bytes;
            for (lane, copy) in copies.iter().enumerate() {
                let mut expected = now.clone();
                copy.apply(lane, &mut expected);
                assert!(*now == expected, "{timing:?} after {moment}: {copy:?}");
            }
            let mut copied = vec![false; 4 * AREA / BEAT];
            for (lane, copy) in copies.iter().enumerate() {
                copy.destinations(lane).for_each(|at| copied[at] = true);
            }
            for (at, beat) in now.chunks(BEAT).enumerate() {
                let range = at * BEAT..(at + 1) * BEAT;
                assert!(
                    copied[at] || beat == &before[range.clone()] || beat == &written[range],
                    "{timing:?} after {moment}: beat {at}"
                );
            }
        }
    }
}

#[test]
fn a_flushed_stream_ends_and_starts_again() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for timing in Timing::ALL {
        let mut bench = Bench::new(timing);
        for moment in [1, 2, 5, 20, 43, 100, 400] {
            let before = bench.memory.bytes.clone();
            let copies = [Copy::random(&mut rng), Copy::random(&mut rng)];
            let mut expected = before.clone();
            for (lane, copy) in copies.iter().enumerate() {
                copy.apply(lane, &mut expected);
            }
            bench.start(copies.map(Some));
            for _ in 0..moment {
                bench.memory.step(&mut bench.dut);
            }
            // One lane is flushed; the other must not notice.
            bench.dut.set_u64("flush_i", 1);
            bench.memory.step(&mut bench.dut);
            bench.dut.set_u64("flush_i", 0);
            bench.finish();
            let (first, second) = bench.memory.bytes.split_at(2 * AREA);
            assert!(
                second == &expected[2 * AREA..],
                "{timing:?} after {moment}: lane 1"
            );
            // What the flushed lane wrote is a part of what it was told to write.
            for (at, beat) in first.chunks(BEAT).enumerate() {
                let range = at * BEAT..(at + 1) * BEAT;
                assert!(
                    beat == &before[range.clone()] || beat == &expected[range],
                    "{timing:?} after {moment}: beat {at}"
                );
            }
        }
    }
}

/// Models with a fault, which test notices it, and what it says.
const MUTANTS: [(&str, &str, &str); 4] = [
    (
        "stream_copy_waits",
        "blocks_arrive_whatever_the_memory_does",
        "data is withheld until its request is taken",
    ),
    (
        "stream_copy_old_answers",
        "a_reset_with_transfers_under_way_is_harmless",
        "that nobody asked for",
    ),
    (
        "stream_copy_half_bursts",
        "a_reset_with_transfers_under_way_is_harmless",
        "a lane hangs",
    ),
    (
        "stream_copy_withdraws",
        "a_reset_with_transfers_under_way_is_harmless",
        "a lane hangs",
    ),
];

#[test]
fn faults_in_the_stages_at_the_edge_are_noticed() {
    for (model, test, says) in MUTANTS {
        mutants::assert_noticed(model, test, says);
    }
}
