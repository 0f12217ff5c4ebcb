//! The read side of an AXI4 memory: one read channel, or several that stand side by side in packed arrays
//! (`<prefix>_ar_o` holds lane 0's `axi_ax_t` in its low bits, then lane 1's, and so on).
//!
//! Each lane answers on its own: one beat a cycle, bursts of one ID in order, and if the timing says so the
//! beats of bursts of different IDs mixed. What lies in the memory and how it answers is its owner's, [`AxiMemory`](crate::axi_memory::AxiMemory).

use std::collections::VecDeque;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::axi::{BEAT, Contents, Request, SLVERR, Timing};
use crate::bits::{copy_field, set_field};
use crate::dut::{Dut, Port};

/// Bits of `axi_r_t`, and where its fields begin.
const R_BITS: usize = 523;
const R_RESP: usize = 1;
const R_DATA: usize = 3;
const R_ID: usize = 515;

/// A burst, and from when on it may be answered.
struct Burst {
    request: Request,
    since: u64,
}

/// One lane's state.
struct Lane {
    rng: ChaCha8Rng,
    /// In the order of their arrival.
    waiting: VecDeque<Burst>,
    /// The bursts that are being answered, of different IDs; their addresses are those of the next beats.
    serving: Vec<Request>,
    /// Which of them has a beat on the bus.
    offered: Option<usize>,
}

/// Bursts whose beats are mixed, at most.
const MIXED: usize = 4;

impl Lane {
    fn new(seed: u64) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            waiting: VecDeque::new(),
            serving: Vec::new(),
            offered: None,
        }
    }

    fn idle(&self) -> bool {
        self.waiting.is_empty() && self.serving.is_empty()
    }

    /// The beat that is put on the bus in this cycle, unless one is there already.
    fn offer(&mut self, timing: &Timing, now: u64) -> Option<Request> {
        if self.offered.is_some() || self.idle() || !timing.go(&mut self.rng) {
            return None;
        }
        let places = if timing.interleave { MIXED } else { 1 };
        if self.serving.len() < places {
            let next = self.choose(timing, now);
            self.serving.extend(next);
        }
        let index = match self.serving.len() {
            0 => return None,
            bursts => self.rng.gen_range(0..bursts),
        };
        self.offered = Some(index);
        Some(self.serving[index])
    }

    /// The next burst: the oldest, or with reordering the oldest of any ID.
    fn choose(&mut self, timing: &Timing, now: u64) -> Option<Request> {
        let ripe = |burst: &Burst| burst.since + timing.latency <= now;
        if !ripe(self.waiting.front()?) {
            return None;
        }
        let mut index = 0;
        if timing.reorder {
            let ripe = self.waiting.iter().take_while(|burst| ripe(burst)).count();
            index = self.rng.gen_range(0..ripe);
            let id = self.waiting[index].request.id;
            index = self
                .waiting
                .iter()
                .position(|burst| burst.request.id == id)?;
        }
        // Bursts of one ID are answered one after the other.
        let id = self.waiting[index].request.id;
        if self.serving.iter().any(|burst| burst.id == id) {
            return None;
        }
        self.waiting.remove(index).map(|burst| burst.request)
    }

    /// The block has taken the beat; its address.
    fn taken(&mut self) -> u64 {
        let Some(index) = self.offered.take() else {
            panic!("a beat was offered, so a burst is being served");
        };
        let request = &mut self.serving[index];
        let address = request.address;
        request.address += BEAT;
        request.beats -= 1;
        if request.beats == 0 {
            self.serving.swap_remove(index);
        }
        address
    }
}

/// The lanes behind the ports of one prefix.
pub(crate) struct ReadLanes {
    ar: Port,
    ar_valid: Port,
    ar_ready: Port,
    r: Port,
    r_valid: Port,
    r_ready: Port,
    lanes: Vec<Lane>,
    /// Lanes that take a request in this cycle, and that offer a beat; bit 0 is lane 0.
    ready: u64,
    valid: u64,
}

impl ReadLanes {
    /// The read channels of `prefix`, if the block has any; as many as its ports are wide.
    pub(crate) fn find(dut: &Dut, prefix: &str) -> Option<Self> {
        let port = |name: &str| dut.port(&format!("{prefix}_{name}"));
        let ar = dut.find(&format!("{prefix}_ar_o"))?;
        // A port is rounded up by less than one lane's bits.
        let lanes = dut.bytes(ar).len() * 8 / Request::BITS;
        Some(Self {
            ar,
            ar_valid: port("ar_valid_o"),
            ar_ready: port("ar_ready_i"),
            r: port("r_i"),
            r_valid: port("r_valid_i"),
            r_ready: port("r_ready_o"),
            lanes: (0..lanes as u64).map(Lane::new).collect(),
            ready: 0,
            valid: 0,
        })
    }

    pub(crate) fn idle(&self) -> bool {
        self.lanes.iter().all(Lane::idle)
    }

    pub(crate) fn lanes(&self) -> usize {
        self.lanes.len()
    }

    /// Inputs of this cycle.
    pub(crate) fn drive(&mut self, dut: &mut Dut, memory: &Contents) {
        self.ready = 0;
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            self.ready |= u64::from(memory.timing.go(&mut lane.rng)) << index;
            if let Some(beat) = lane.offer(&memory.timing, memory.cycle) {
                self.valid |= 1 << index;
                let image = dut.bytes_mut(self.r);
                let base = index * R_BITS;
                let fault = memory.read_fault == Some(beat.address);
                set_field(image, base, 1, u64::from(beat.beats == 1));
                set_field(image, base + R_RESP, 2, if fault { SLVERR } else { 0 });
                let data = &memory.bytes[beat.address as usize..][..BEAT as usize];
                copy_field(image, base + R_DATA, data, data.len() * 8);
                set_field(image, base + R_ID, 8, beat.id);
            }
        }
        dut.write(self.ar_ready, self.ready);
        dut.write(self.r_valid, self.valid);
    }

    /// After the block has settled: what the coming edge transfers.
    pub(crate) fn sample(&mut self, dut: &Dut, memory: &mut Contents) {
        let requests = dut.read(self.ar_valid) & self.ready;
        let beats = dut.read(self.r_ready) & self.valid;
        if requests | beats == 0 {
            return;
        }
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            if requests >> index & 1 == 1 {
                let request = Request::from_port(dut.bytes(self.ar), index);
                request.check("ar", memory.bytes.len());
                lane.waiting.push_back(Burst {
                    request,
                    since: memory.cycle,
                });
            }
            if beats >> index & 1 == 1 {
                let address = lane.taken();
                memory.beats_read += 1;
                if memory.read_fault == Some(address) {
                    memory.read_faults_met += 1;
                    memory.last_fault = Some(memory.cycle);
                }
            }
        }
        self.valid &= !beats;
    }
}
