//! Plays the host and the execution units around the queue engine (`tops/queue_host.sv`): rings in an
//! AXI memory, doorbells by hand, and units that take the time a test gives them.

use crate::axi_memory::{AxiMemory, Timing};
use crate::{Dut, View, concat};

/// Queues of the card; 0 is the admin queue.
pub const QUEUES: usize = 3;
/// Units by index: IDENTIFY, ABORT (inside the engine), DMA, MSM, NTT, QUOTIENT.
const UNITS: usize = 6;
const ABORT: usize = 1;
/// The index of the unit that runs `WRITE` and `READ`.
pub const DMA: usize = 2;
/// The index of the unit that runs `MSM_G1`.
pub const MSM: usize = 3;
/// The index of the unit that runs `NTT`.
pub const NTT: usize = 4;
/// Each queue has this much host memory: submissions in the first half, completions in the second.
pub const AREA: usize = 1 << 17;
/// Longer than anything the engine does while no unit is held.
const PATIENCE: u64 = 5_000;

/// The eight words of a command: opcode, flags, id and so on in word 0, then the operands.
pub type Command = [u64; 8];

/// A command without flags.
#[must_use]
pub fn command(opcode: u64, cid: u16, operands: &[u64]) -> Command {
    let mut words = [0; 8];
    words[0] = opcode | u64::from(cid) << 16;
    words[1..=operands.len()].copy_from_slice(operands);
    words
}

/// A valid `IDENTIFY`.
#[must_use]
pub fn identify(cid: u16) -> Command {
    command(0x01, cid, &[0])
}

/// `ABORT` of the command `target` of `queue`.
#[must_use]
pub fn abort(cid: u16, queue: u64, target: u16) -> Command {
    command(0x02, cid, &[queue | u64::from(target) << 16])
}

/// A valid `WRITE`.
#[must_use]
pub fn write(cid: u16) -> Command {
    command(0x10, cid, &[0, 0, 64])
}

/// The same command, linked to the next one.
#[must_use]
pub fn linked(mut command: Command) -> Command {
    command[0] |= 0x40 << 8;
    command
}

/// A valid `MSM_G1`.
#[must_use]
pub fn msm(cid: u16) -> Command {
    command(0x20, cid, &[0, 0x1000, 4, 0x2000])
}

/// A valid `NTT`.
#[must_use]
pub fn ntt(cid: u16) -> Command {
    command(0x30, cid, &[0, 64, 128])
}

/// Statuses of the contract without the phase bit.
pub mod status {
    pub use crate::unit::status::{ABORTED, BAD_POINT, SUCCESS};
    /// Not run, because a command before it in its chain failed.
    pub const LINK_BROKEN: u64 = 1 << 14 | 2 << 3 | 4;
    /// Unknown, reserved, or not for this queue.
    pub const INVALID_OPCODE: u64 = 1 << 3 | 1;
    /// Flags, reserved bits, or a size beyond the capability.
    pub const INVALID_FIELD: u64 = 2 << 3 | 1;
    /// Zero, not whole beats, or too many elements.
    pub const INVALID_LENGTH: u64 = 3 << 3 | 1;
    /// An address that is not a multiple of 64.
    pub const MISALIGNED: u64 = 4 << 3 | 1;
    /// Beyond card memory.
    pub const OUT_OF_RANGE: u64 = 5 << 3 | 1;
    /// NTT buffers that overlap.
    pub const OVERLAP: u64 = 6 << 3 | 1;
}

/// A completion as it lies in the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// cycles, ops, bubbles hazard, memory, other, detail
    pub figures: [u32; 6],
    /// Index of the command after this one.
    pub sq_head: u16,
    /// Queue number.
    pub queue: u16,
    /// Command id.
    pub cid: u16,
    /// One of [`status`].
    pub status: u64,
    /// Flips on each lap.
    pub phase: bool,
}

/// [`Completion::figures`] of a command that a unit ran: all different, and different for each id.
#[must_use]
pub fn figures(cid: u16) -> [u32; 6] {
    [1, 2, 3, 4, 5, 6].map(|field| field << 20 | u32::from(cid))
}

/// The host's side of one queue.
#[derive(Clone, Copy, Default)]
struct Ring {
    log2_depth: u64,
    depth: u16,
    tail: u16,
    head: u16,
    lap: u32,
}

/// The engine with its host and units.
pub struct QueueHost {
    /// The engine; doorbells and enables are driven by the methods.
    pub dut: Dut,
    /// Host memory, [`AREA`] bytes for each queue.
    pub host: AxiMemory,
    /// Cycles that a unit takes to run a command.
    pub unit_cycles: u64,
    /// Cycles that a unit takes to end a command that is aborted.
    pub drain_cycles: u64,
    /// Status that units report.
    pub unit_status: u64,
    /// The command id that each unit runs, and the cycle at which it ends.
    pub running: [Option<(u16, u64)>; UNITS],
    /// Units and command ids in the order of their starts.
    pub started: Vec<(usize, u16)>,
    /// Interrupts of each queue.
    pub irqs: [usize; QUEUES],
    /// Completions counted by the engine.
    pub posted: usize,
    /// Of these, the unsuccessful ones.
    pub errors: usize,
    /// How often a queue stopped itself.
    pub stops: usize,
    rings: [Ring; QUEUES],
    enabled: u64,
}

impl QueueHost {
    /// A fresh engine with all queues disabled.
    #[must_use]
    pub fn new(timing: Timing) -> Self {
        let dut = Dut::new("queue_host", View::Fast);
        let mut host = AxiMemory::new(&dut, &["host"], QUEUES * AREA);
        host.timing = timing;
        Self {
            dut,
            host,
            unit_cycles: 20,
            drain_cycles: 5,
            unit_status: status::SUCCESS,
            running: [None; UNITS],
            started: Vec::new(),
            irqs: [0; QUEUES],
            posted: 0,
            errors: 0,
            stops: 0,
            rings: [Ring::default(); QUEUES],
            enabled: 0,
        }
    }

    /// With all queues enabled at the same depth.
    #[must_use]
    pub fn enabled(timing: Timing, log2_depth: u64) -> Self {
        let mut host = Self::new(timing);
        for q in 0..QUEUES {
            host.enable(q, log2_depth);
        }
        host
    }

    /// Enables a queue with fresh rings.
    pub fn enable(&mut self, q: usize, log2_depth: u64) {
        self.rings[q] = Ring {
            log2_depth,
            depth: 1 << log2_depth,
            ..Ring::default()
        };
        self.host.bytes[q * AREA..(q + 1) * AREA].fill(0);
        let fields: Vec<([u8; 8], usize)> = (0..QUEUES)
            .flat_map(|q| {
                let base = (q * AREA) as u64;
                let cq_base = base + AREA as u64 / 2;
                [(self.rings[q].log2_depth, 8), (cq_base, 64), (base, 64)]
            })
            .map(|(value, width)| (value.to_le_bytes(), width))
            .collect();
        let fields: Vec<_> = fields
            .iter()
            .map(|(bytes, width)| (&bytes[..], *width))
            .collect();
        self.dut.set("config_i", &concat(&fields));
        self.enabled |= 1 << q;
        self.dut.set_u64("enable_i", self.enabled);
        self.run(2);
    }

    /// Clears enable; the cycles until the queue is not active.
    pub fn disable(&mut self, q: usize) -> u64 {
        self.enabled &= !(1 << q);
        self.dut.set_u64("enable_i", self.enabled);
        let start = self.dut.cycle();
        self.run(1);
        self.until("a disabled queue ends", |host| !host.active(q));
        self.dut.cycle() - start
    }

    /// `QUEUE_STATUS.active`
    #[must_use]
    pub fn active(&self, q: usize) -> bool {
        self.dut.get_u64("active_o") >> q & 1 == 1
    }

    /// `QUEUE_STATUS.error`
    #[must_use]
    pub fn error(&self, q: usize) -> u64 {
        self.dut.get_u64("error_o") >> (8 * q) & 0xff
    }

    /// One cycle of the engine, the host memory and the units.
    pub fn step(&mut self) {
        let (starts, aborts) = (
            self.dut.get_u64("unit_start_o"),
            self.dut.get_u64("unit_abort_o"),
        );
        let now = self.dut.cycle();
        let (mut done, mut results) = (0, Vec::new());
        for unit in 0..UNITS {
            if starts >> unit & 1 == 1 {
                let word = &self.dut.get("unit_command_o")[64 * unit..];
                let cid = u16::from_le_bytes([word[2], word[3]]);
                assert!(self.running[unit].is_none(), "unit {unit} started twice");
                self.started.push((unit, cid));
                if unit != ABORT {
                    self.running[unit] = Some((cid, now + self.unit_cycles));
                }
            }
            if let (1, Some((_, end))) = (aborts >> unit & 1, &mut self.running[unit]) {
                *end = (*end).min(now + self.drain_cycles);
            }
            let finished = self.running[unit].take_if(|(_, end)| *end <= now);
            let fields = finished.map_or([0; 6], |(cid, _)| figures(cid));
            results.extend(fields.map(|field| (u64::from(field).to_le_bytes(), 32)));
            results.push((self.unit_status.to_le_bytes(), 15));
            done |= u64::from(finished.is_some()) << unit;
        }
        let fields: Vec<_> = results
            .iter()
            .map(|(bytes, width)| (&bytes[..], *width))
            .collect();
        self.dut.set("unit_result_i", &concat(&fields));
        self.dut.set_u64("unit_done_i", done);
        self.host.step(&mut self.dut);
        for (q, count) in self.irqs.iter_mut().enumerate() {
            *count += (self.dut.get_u64("irq_o") >> q & 1) as usize;
        }
        self.posted += self.dut.get_u64("posted_o") as usize;
        self.errors += self.dut.get_u64("posted_error_o") as usize;
        self.stops += self.dut.get_u64("stopped_o") as usize;
    }

    /// Some cycles.
    pub fn run(&mut self, cycles: u64) {
        for _ in 0..cycles {
            self.step();
        }
    }

    /// Runs until `reached`; panics if that takes too long.
    pub fn until(&mut self, what: &str, reached: impl Fn(&Self) -> bool) {
        let start = self.dut.cycle();
        while !reached(self) {
            assert!(
                self.dut.cycle() - start < PATIENCE,
                "it never comes that {what}"
            );
            self.step();
        }
    }

    /// Rings the doorbell `sq_tail` or `cq_head` of a queue.
    pub fn ring(&mut self, doorbell: &str, q: usize, value: u32) {
        let mut values = [0; 4 * QUEUES];
        values[4 * q..][..4].copy_from_slice(&value.to_le_bytes());
        self.dut.set(&format!("{doorbell}_i"), &values);
        self.dut.set_u64(&format!("{doorbell}_valid_i"), 1 << q);
        self.step();
        self.dut.set_u64(&format!("{doorbell}_valid_i"), 0);
    }

    /// Writes a command at the tail and rings.
    pub fn submit(&mut self, q: usize, command: &Command) {
        let Ring { depth, tail, .. } = self.rings[q];
        let at = q * AREA + usize::from(tail) * 64;
        for (place, word) in self.host.bytes[at..at + 64].chunks_mut(8).zip(command) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        self.rings[q].tail = (tail + 1) % depth;
        self.ring("sq_tail", q, self.rings[q].tail.into());
    }

    /// The completion at the host's head, if its phase says that it is new.
    #[must_use]
    pub fn peek(&self, q: usize) -> Option<Completion> {
        let Ring { head, lap, .. } = self.rings[q];
        let entry = &self.host.bytes[q * AREA + AREA / 2 + usize::from(head) * 32..][..32];
        let half = |at: usize| u16::from_le_bytes([entry[at], entry[at + 1]]);
        let word = |at: usize| u32::from(half(at)) | u32::from(half(at + 2)) << 16;
        let completion = Completion {
            figures: [0, 4, 8, 12, 16, 20].map(word),
            sq_head: half(24),
            queue: half(26),
            cid: half(28),
            status: u64::from(half(30) >> 1),
            phase: half(30) & 1 == 1,
        };
        (completion.phase == (lap % 2 == 0)).then_some(completion)
    }

    /// Waits for the next completion and takes it, without telling the card.
    pub fn take(&mut self, q: usize) -> Completion {
        self.until("a command completes", |host| host.peek(q).is_some());
        let Some(completion) = self.peek(q) else {
            panic!("it was there");
        };
        assert_eq!(usize::from(completion.queue), q);
        let Ring {
            depth, head, lap, ..
        } = &mut self.rings[q];
        *head = (*head + 1) % *depth;
        *lap += u32::from(*head == 0);
        completion
    }

    /// Takes the next completion and frees its place.
    pub fn consume(&mut self, q: usize) -> Completion {
        let completion = self.take(q);
        self.ring("cq_head", q, self.rings[q].head.into());
        completion
    }

    /// One good command from end to end.
    pub fn still_works(&mut self, q: usize) {
        const CID: u16 = 0x5a5a;
        let command = if q == 0 { identify(CID) } else { write(CID) };
        self.submit(q, &command);
        let completion = self.consume(q);
        assert_eq!((completion.cid, completion.status), (CID, status::SUCCESS));
    }
}
