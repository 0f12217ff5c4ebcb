//! Test of the harness's read lanes on `tops/lane_copy.sv`: four masters read at once, each at a beat a
//! cycle, and get what lies in the memory whatever its timing; errors reach the lane that met them.
#![cfg(feature = "rtl")]

use carillon_hdl_tests::axi_memory::{AxiMemory, Timing};
use carillon_hdl_tests::{Dut, View, mutants};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const BEAT: usize = 64;
const LANES: usize = 4;
/// Beats of memory for each lane to read from, and as many to write to.
const AREA: usize = 1 << 10;
/// More cycles than any of these copies takes.
const PATIENCE: u64 = 100_000;

struct Bench {
    dut: Dut,
    memory: AxiMemory,
    rng: ChaCha8Rng,
}

impl Bench {
    fn new(timing: Timing) -> Self {
        let dut = Dut::new(&mutants::model("lane_copy"), View::Fast);
        let mut memory = AxiMemory::new(&dut, &["mem", "lane"], (LANES + 1) * AREA * BEAT);
        memory.timing = timing;
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        rng.fill(&mut memory.bytes[..]);
        Self { dut, memory, rng }
    }

    /// Adds up `beats` from places of the lanes' areas, not on 4 KiB boundaries. Returns the places and
    /// the cycles it took.
    fn run(&mut self, beats: usize) -> ([usize; LANES], u64) {
        let sources =
            std::array::from_fn(|lane| (lane * AREA + self.rng.gen_range(0..=AREA - beats)) * BEAT);
        let image: Vec<u8> = sources.iter().flat_map(|at| at.to_le_bytes()).collect();
        self.dut.set("source_i", &image);
        self.dut
            .set_u64("destination_i", (LANES * AREA * BEAT) as u64);
        self.dut.set_u64("beats_i", beats as u64);
        self.dut.set_u64("start_i", 1);
        let start = self.dut.cycle();
        self.memory.step(&mut self.dut);
        self.dut.set_u64("start_i", 0);
        while self.dut.get_u64("busy_o") == 1 {
            self.memory.step(&mut self.dut);
            assert!(self.dut.cycle() - start < PATIENCE, "a lane hangs");
        }
        assert!(self.memory.idle());
        (sources, self.dut.cycle() - start)
    }
}

#[test]
fn every_lane_reads_the_same_memory() {
    for timing in Timing::ALL {
        let mut bench = Bench::new(timing);
        assert_eq!(bench.memory.lanes(), LANES);
        for beats in [1, 2, 63, 64, 200, AREA] {
            let (sources, _) = bench.run(beats);
            let bytes = &bench.memory.bytes;
            for (index, byte) in bytes[LANES * AREA * BEAT..][..beats * BEAT]
                .iter()
                .enumerate()
            {
                let sum = sources.iter().fold(0, |sum, at| sum ^ bytes[at + index]);
                assert_eq!(*byte, sum, "{timing:?}, byte {index} of {beats} beats");
            }
        }
    }
}

#[test]
fn every_lane_has_a_beat_a_cycle() {
    let mut bench = Bench::new(Timing::STEADY);
    let (_, cycles) = bench.run(AREA);
    assert_eq!(bench.memory.beats_read, (LANES * AREA) as u64);
    let bound = AREA as u64 + 2 * Timing::STEADY.latency + 60;
    assert!(cycles < bound, "{cycles} cycles, {bound} allowed");
}

#[test]
fn an_error_reaches_the_lane_that_met_it_and_is_counted() {
    for lane in 0..LANES {
        let mut bench = Bench::new(Timing::ALL[2]);
        bench.memory.read_fault = Some(((lane * AREA + AREA / 2) * BEAT) as u64);
        bench.run(AREA);
        assert_eq!(bench.dut.get_u64("read_error_o"), 1 << lane);
        assert_eq!(bench.memory.read_faults_met, 1);
        bench.memory.read_fault = None;
        bench.run(AREA);
        assert_eq!(bench.dut.get_u64("read_error_o"), 0);
        assert_eq!(bench.memory.read_faults_met, 1);
    }
}

#[test]
fn a_writer_that_waits_for_its_request_to_be_taken_is_noticed() {
    mutants::assert_noticed(
        "lane_copy_waits",
        "every_lane_reads_the_same_memory",
        "data is withheld until its request is taken",
    );
}
