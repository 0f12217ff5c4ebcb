//! An AXI4 memory for block tests: latency, back-pressure, reordering between IDs, and faults.
//!
//! Follows the payload structs of `carillon_pkg` (`axi_ax_t`, `axi_w_t`, `axi_r_t`, `axi_b_t`) on ports
//! named `<prefix>_ar_o`, `<prefix>_ar_valid_o` and so on. It checks the rules a master must keep: bursts
//! inside 4 KiB, whole beats, `last` where the burst ends, no access beyond the memory.

use std::collections::{BTreeMap, VecDeque};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::Dut;
use crate::bits::{concat, extract};

const BEAT: u64 = 64;
const PAGE: u64 = 4096;
const SLVERR: u64 = 2;

/// How the memory answers.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Cycles from a request to the first beat or the response.
    pub latency: u64,
    /// Share of the cycles in which each channel refuses or holds back, 0 to 1.
    pub stall: f64,
    /// Bursts of different IDs may overtake each other.
    pub reorder: bool,
}

impl Timing {
    /// A quick memory that always answers in order.
    pub const STEADY: Self = Self {
        latency: 40,
        stall: 0.0,
        reorder: false,
    };

    /// Corners worth testing: no latency, back-pressure everywhere, long and out of order.
    pub const ALL: [Self; 4] = [
        Self::STEADY,
        Self {
            latency: 0,
            stall: 0.0,
            reorder: false,
        },
        Self {
            latency: 5,
            stall: 0.6,
            reorder: true,
        },
        Self {
            latency: 200,
            stall: 0.2,
            reorder: true,
        },
    ];
}

struct Burst {
    id: u64,
    address: u64,
    beats: u64,
    since: u64,
    faulty: bool,
}

/// The slave behind one AXI4 master of a block.
pub struct AxiMemory {
    /// The memory itself.
    pub bytes: Vec<u8>,
    /// How it answers from now on.
    pub timing: Timing,
    /// A beat address whose read is answered with SLVERR.
    pub read_fault: Option<u64>,
    /// A beat address whose write is answered with SLVERR.
    pub write_fault: Option<u64>,
    prefix: &'static str,
    rng: ChaCha8Rng,
    cycle: u64,
    reads: BTreeMap<u64, VecDeque<Burst>>,
    serving: Option<u64>,
    offered: bool,
    writes: VecDeque<Burst>,
    responses: VecDeque<Burst>,
}

impl AxiMemory {
    /// `size` bytes of a pattern that is no field element, behind the ports of `prefix`.
    #[must_use]
    pub fn new(prefix: &'static str, size: usize) -> Self {
        Self {
            bytes: vec![0xee; size],
            timing: Timing::STEADY,
            read_fault: None,
            write_fault: None,
            prefix,
            rng: ChaCha8Rng::seed_from_u64(0),
            cycle: 0,
            reads: BTreeMap::new(),
            serving: None,
            offered: false,
            writes: VecDeque::new(),
            responses: VecDeque::new(),
        }
    }

    /// No transaction is under way.
    #[must_use]
    pub fn idle(&self) -> bool {
        self.reads.values().all(VecDeque::is_empty)
            && self.writes.is_empty()
            && self.responses.is_empty()
    }

    /// One clock cycle of the block and the memory.
    pub fn step(&mut self, dut: &mut Dut) {
        let prefix = self.prefix;
        let port = |name: &str| format!("{prefix}_{name}");
        let (ar_ready, aw_ready, w_ready) = (self.go(), self.go(), self.go());
        // A master may offer data together with its request; the memory takes it no earlier.
        let w_ready = w_ready && (aw_ready || !self.writes.is_empty());
        dut.set_u64(&port("ar_ready_i"), ar_ready.into());
        dut.set_u64(&port("aw_ready_i"), aw_ready.into());
        dut.set_u64(&port("w_ready_i"), w_ready.into());
        self.offer_read(dut);
        let response = self.offer_response(dut);
        dut.eval();

        let high = |name: &str| dut.get_u64(&port(name)) == 1;
        let ar = (ar_ready && high("ar_valid_o")).then(|| self.request(dut, "ar_o"));
        let aw = (aw_ready && high("aw_valid_o")).then(|| self.request(dut, "aw_o"));
        let w = (w_ready && high("w_valid_o")).then(|| dut.get(&port("w_o")));
        let r = self.offered && high("r_ready_o");
        let b = response && high("b_ready_o");

        if let Some(burst) = ar {
            self.reads.entry(burst.id).or_default().push_back(burst);
        }
        self.writes.extend(aw);
        if let Some(beat) = w {
            self.write(&beat);
        }
        if r {
            self.beat_read();
        }
        if b {
            self.responses.pop_front();
        }
        dut.step();
        self.cycle += 1;
    }

    fn go(&mut self) -> bool {
        self.timing.stall == 0.0 || !self.rng.gen_bool(self.timing.stall)
    }

    fn request(&self, dut: &Dut, name: &str) -> Burst {
        let image = dut.get(&format!("{}_{name}", self.prefix));
        let field = |offset, width| {
            let mut bytes = extract(&image, offset, width);
            bytes.resize(8, 0);
            bytes
                .iter()
                .rev()
                .fold(0u64, |value, byte| value << 8 | u64::from(*byte))
        };
        let burst = Burst {
            beats: field(0, 8) + 1,
            address: field(8, 64),
            id: field(72, 8),
            since: self.cycle,
            faulty: false,
        };
        let bytes = burst.beats * BEAT;
        assert_eq!(burst.address % BEAT, 0, "{name}: whole beats");
        assert!(
            burst.address % PAGE + bytes <= PAGE,
            "{name}: a burst of {bytes} bytes at {:#x} crosses 4 KiB",
            burst.address
        );
        assert!(
            burst.address + bytes <= self.bytes.len() as u64,
            "{name}: {:#x} is beyond the memory",
            burst.address
        );
        burst
    }

    /// Puts a read beat on the bus unless one is waiting there already.
    fn offer_read(&mut self, dut: &mut Dut) {
        if !self.offered && self.go() {
            if self.serving.is_none() {
                self.serving = self.choose_read();
            }
            if let Some(burst) = self.serving.and_then(|id| self.reads.get(&id)?.front()) {
                let at = burst.address as usize;
                let fault = self.read_fault == Some(burst.address);
                let response = if fault { SLVERR } else { 0 };
                let last = u64::from(burst.beats == 1);
                let image = concat(&[
                    (&last.to_le_bytes(), 1),
                    (&response.to_le_bytes(), 2),
                    (&self.bytes[at..at + BEAT as usize], 512),
                    (&burst.id.to_le_bytes(), 8),
                ]);
                dut.set(&format!("{}_r_i", self.prefix), &image);
                self.offered = true;
            }
        }
        dut.set_u64(&format!("{}_r_valid_i", self.prefix), self.offered.into());
    }

    /// The ID whose oldest burst is served next.
    fn choose_read(&mut self) -> Option<u64> {
        let ripe = |burst: &Burst| burst.since + self.timing.latency <= self.cycle;
        let candidates: Vec<_> = self
            .reads
            .iter()
            .filter_map(|(id, bursts)| bursts.front().map(|burst| (burst.since, *id, ripe(burst))))
            .filter(|(_, _, ripe)| *ripe)
            .collect();
        if candidates.is_empty() {
            return None;
        }
        if self.timing.reorder {
            let index = self.rng.gen_range(0..candidates.len());
            return Some(candidates[index].1);
        }
        candidates.iter().min().map(|(_, id, _)| *id)
    }

    fn beat_read(&mut self) {
        self.offered = false;
        let Some(bursts) = self.serving.and_then(|id| self.reads.get_mut(&id)) else {
            panic!("a beat was offered, so a burst is being served");
        };
        if let Some(burst) = bursts.front_mut() {
            burst.address += BEAT;
            burst.beats -= 1;
            if burst.beats == 0 {
                bursts.pop_front();
                self.serving = None;
            }
        }
    }

    fn write(&mut self, image: &[u8]) {
        let Some(burst) = self.writes.front_mut() else {
            panic!("write data without a request");
        };
        let last = image[0] & 1 == 1;
        let strobes = extract(image, 1, 64);
        let data = extract(image, 65, 512);
        let at = burst.address as usize;
        for (index, byte) in data.iter().enumerate() {
            if strobes[index / 8] >> (index % 8) & 1 == 1 {
                self.bytes[at + index] = *byte;
            }
        }
        burst.faulty |= self.write_fault == Some(burst.address);
        burst.address += BEAT;
        burst.beats -= 1;
        assert_eq!(last, burst.beats == 0, "last is set where the burst ends");
        if let Some(mut burst) = last.then(|| self.writes.pop_front()).flatten() {
            burst.since = self.cycle;
            self.responses.push_back(burst);
        }
    }

    fn offer_response(&mut self, dut: &mut Dut) -> bool {
        // An offered response stays: time alone decides, never chance.
        let offered = self
            .responses
            .front()
            .is_some_and(|burst| burst.since + self.timing.latency <= self.cycle);
        if let (true, Some(burst)) = (offered, self.responses.front()) {
            let response = if burst.faulty { SLVERR } else { 0 };
            let image = burst.id << 2 | response;
            dut.set_u64(&format!("{}_b_i", self.prefix), image);
        }
        dut.set_u64(&format!("{}_b_valid_i", self.prefix), offered.into());
        offered
    }
}
