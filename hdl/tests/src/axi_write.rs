//! The write side of an AXI4 memory: one write channel on ports of one prefix. Its owner is
//! [`AxiMemory`](crate::axi_memory::AxiMemory).

use std::collections::VecDeque;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::axi::{BEAT, Contents, Request, SLVERR, WriteOrder};
use crate::bits::get_field;
use crate::dut::{Dut, Port};

/// Where the fields of `axi_w_t` begin.
const W_STROBES: usize = 1;
const W_DATA: usize = 65;
/// Where the ID begins in `axi_b_t`.
const B_ID: usize = 2;

struct Burst {
    request: Request,
    faulty: bool,
    /// The cycle in which the later of request and data was complete.
    since: u64,
}

/// One beat of data.
struct Beat {
    last: bool,
    strobes: u64,
    data: [u8; BEAT as usize],
}

impl Beat {
    fn from_port(image: &[u8]) -> Self {
        Self {
            last: get_field(image, 0, 1) == 1,
            strobes: get_field(image, W_STROBES, BEAT as usize),
            data: std::array::from_fn(|index| get_field(image, W_DATA + 8 * index, 8) as u8),
        }
    }
}

/// The channel's ports and what is under way on it.
pub(crate) struct WriteChannel {
    aw: Port,
    aw_valid: Port,
    aw_ready: Port,
    w: Port,
    w_valid: Port,
    w_ready: Port,
    b: Port,
    b_valid: Port,
    b_ready: Port,
    rng: ChaCha8Rng,
    /// Requests taken, not all of whose data was.
    writes: VecDeque<Burst>,
    /// Data taken, whose requests were not.
    early: VecDeque<Beat>,
    responses: VecDeque<Burst>,
    /// Data stood on the bus in the cycle before and was not taken.
    data_waits: bool,
    /// What is offered in this cycle.
    ready: [bool; 2],
    offered: bool,
}

impl WriteChannel {
    /// The write channel of `prefix`, if the block has one.
    pub(crate) fn find(dut: &Dut, prefix: &str) -> Option<Self> {
        let port = |name: &str| dut.port(&format!("{prefix}_{name}"));
        Some(Self {
            aw: dut.find(&format!("{prefix}_aw_o"))?,
            aw_valid: port("aw_valid_o"),
            aw_ready: port("aw_ready_i"),
            w: port("w_o"),
            w_valid: port("w_valid_o"),
            w_ready: port("w_ready_i"),
            b: port("b_i"),
            b_valid: port("b_valid_i"),
            b_ready: port("b_ready_o"),
            rng: ChaCha8Rng::seed_from_u64(0),
            writes: VecDeque::new(),
            early: VecDeque::new(),
            responses: VecDeque::new(),
            data_waits: false,
            ready: [false; 2],
            offered: false,
        })
    }

    pub(crate) fn idle(&self) -> bool {
        self.writes.is_empty() && self.early.is_empty() && self.responses.is_empty()
    }

    /// Inputs of this cycle.
    pub(crate) fn drive(&mut self, dut: &mut Dut, memory: &Contents) {
        let [aw, w] = [(); 2].map(|()| memory.timing.go(&mut self.rng));
        let requested = !self.writes.is_empty();
        self.ready = match memory.timing.writes {
            WriteOrder::RequestFirst => [aw, w && (aw || requested)],
            // Only data of this very request: that of all before it was taken.
            WriteOrder::DataOffered => [aw && self.data_waits && !requested, w && requested],
            WriteOrder::DataFirst => [aw && self.early.iter().any(|beat| beat.last), w],
        };
        dut.write(self.aw_ready, self.ready[0].into());
        dut.write(self.w_ready, self.ready[1].into());
        // An offered response stays: time alone decides, never chance.
        self.offered = false;
        if let Some(burst) = self.responses.front()
            && burst.since + memory.timing.latency <= memory.cycle
        {
            let response = if burst.faulty { SLVERR } else { 0 };
            dut.write(self.b, burst.request.id << B_ID | response);
            self.offered = true;
        }
        dut.write(self.b_valid, self.offered.into());
    }

    /// After the block has settled: what the coming edge transfers.
    pub(crate) fn sample(&mut self, dut: &Dut, memory: &mut Contents) {
        if self.ready[0] && dut.read(self.aw_valid) == 1 {
            let request = Request::from_port(dut.bytes(self.aw), 0);
            request.check("aw", memory.bytes.len());
            self.writes.push_back(Burst {
                request,
                faulty: false,
                since: memory.cycle,
            });
        }
        let data = dut.read(self.w_valid) == 1;
        self.data_waits = data && !self.ready[1];
        if self.ready[1] && data {
            self.early.push_back(Beat::from_port(dut.bytes(self.w)));
        }
        while let Some(burst) = self.writes.front_mut()
            && let Some(beat) = self.early.pop_front()
        {
            burst.write(&beat, memory);
            if beat.last {
                self.responses.extend(self.writes.pop_front());
            }
        }
        if self.offered && dut.read(self.b_ready) == 1 {
            self.responses.pop_front();
        }
    }
}

impl Burst {
    /// Its next beat arrives in the memory.
    fn write(&mut self, beat: &Beat, memory: &mut Contents) {
        let request = &mut self.request;
        let place = &mut memory.bytes[request.address as usize..][..BEAT as usize];
        for (index, byte) in place.iter_mut().enumerate() {
            if beat.strobes >> index & 1 == 1 {
                *byte = beat.data[index];
            }
        }
        if memory.write_fault == Some(request.address) {
            self.faulty = true;
            memory.write_faults_met += 1;
            memory.last_fault = Some(memory.cycle);
        }
        request.address += BEAT;
        request.beats -= 1;
        assert_eq!(
            beat.last,
            request.beats == 0,
            "last is set where the burst ends"
        );
        self.since = memory.cycle;
    }
}
