//! An AXI4 memory for block tests: latency, back-pressure, reordering between IDs, and faults.
//!
//! Follows the payload structs of `carillon_pkg` (`axi_ax_t`, `axi_w_t`, `axi_r_t`, `axi_b_t`) on ports
//! named `<prefix>_ar_o`, `<prefix>_ar_valid_o` and so on. It checks the rules a master must keep: bursts
//! inside 4 KiB, whole beats, `last` where the burst ends, no access beyond the memory.

use std::ops::{Deref, DerefMut};

use rand::Rng;

use crate::Dut;
use crate::axi_write::WriteChannel;
use crate::bits::get_field;
use crate::read_lanes::ReadLanes;

pub(crate) const BEAT: u64 = 64;
const PAGE: u64 = 4096;
/// The response to a beat at a faulty address.
pub(crate) const SLVERR: u64 = 2;

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

    /// A channel does not stall in this cycle.
    pub(crate) fn go(&self, rng: &mut impl Rng) -> bool {
        self.stall == 0.0 || !rng.gen_bool(self.stall)
    }
}

/// `axi_ax_t`
#[derive(Clone, Copy)]
pub(crate) struct Request {
    pub(crate) id: u64,
    pub(crate) address: u64,
    pub(crate) beats: u64,
}

impl Request {
    pub(crate) const BITS: usize = 80;

    /// The request of `lane` in a packed array of them.
    pub(crate) fn from_port(image: &[u8], lane: usize) -> Self {
        let base = lane * Self::BITS;
        Self {
            beats: get_field(image, base, 8) + 1,
            address: get_field(image, base + 8, 64),
            id: get_field(image, base + 72, 8),
        }
    }

    /// Panics if a master may not ask for this.
    pub(crate) fn check(&self, channel: &str, size: usize) {
        let bytes = self.beats * BEAT;
        let at = self.address;
        assert_eq!(at % BEAT, 0, "{channel}: whole beats");
        assert!(
            at % PAGE + bytes <= PAGE,
            "{channel}: a burst of {bytes} bytes at {at:#x} crosses 4 KiB"
        );
        assert!(
            at.saturating_add(bytes) <= size as u64,
            "{channel}: {at:#x} is beyond the memory"
        );
    }
}

/// What all channels of a memory share.
pub struct Contents {
    /// The memory itself.
    pub bytes: Vec<u8>,
    /// How it answers from now on.
    pub timing: Timing,
    /// A beat address whose read is answered with SLVERR.
    pub read_fault: Option<u64>,
    /// A beat address whose write is answered with SLVERR.
    pub write_fault: Option<u64>,
    /// Beats so far whose read was answered with SLVERR.
    pub read_faults_met: u64,
    /// Beats so far whose write was.
    pub write_faults_met: u64,
    /// The cycle of the last of all these.
    pub last_fault: Option<u64>,
    /// Beats so far that were read.
    pub beats_read: u64,
    pub(crate) cycle: u64,
}

/// The slave behind a block's AXI4 masters.
pub struct AxiMemory {
    contents: Contents,
    reads: Vec<ReadLanes>,
    writes: Vec<WriteChannel>,
}

impl Contents {
    /// Cycles so far.
    #[must_use]
    pub fn cycle(&self) -> u64 {
        self.cycle
    }
}

impl AxiMemory {
    /// `size` bytes of a pattern that is no field element, behind whichever channels the block has on
    /// ports of these prefixes.
    #[must_use]
    pub fn new(dut: &Dut, prefixes: &[&str], size: usize) -> Self {
        let find = |prefix: &&str| ReadLanes::find(dut, prefix);
        let reads: Vec<_> = prefixes.iter().filter_map(find).collect();
        let find = |prefix: &&str| WriteChannel::find(dut, prefix);
        let writes: Vec<_> = prefixes.iter().filter_map(find).collect();
        assert!(
            !reads.is_empty() || !writes.is_empty(),
            "the block has no AXI ports of {prefixes:?}"
        );
        Self {
            contents: Contents {
                bytes: vec![0xee; size],
                timing: Timing::STEADY,
                read_fault: None,
                write_fault: None,
                read_faults_met: 0,
                write_faults_met: 0,
                last_fault: None,
                beats_read: 0,
                cycle: 0,
            },
            reads,
            writes,
        }
    }

    /// No transaction is under way.
    #[must_use]
    pub fn idle(&self) -> bool {
        self.reads.iter().all(ReadLanes::idle) && self.writes.iter().all(WriteChannel::idle)
    }

    /// Read channels of the block.
    #[must_use]
    pub fn lanes(&self) -> usize {
        self.reads.iter().map(ReadLanes::lanes).sum()
    }

    /// One clock cycle of the block and the memory.
    pub fn step(&mut self, dut: &mut Dut) {
        for channel in &mut self.reads {
            channel.drive(dut, &self.contents);
        }
        for channel in &mut self.writes {
            channel.drive(dut, &self.contents);
        }
        dut.settle();
        for channel in &mut self.reads {
            channel.sample(dut, &mut self.contents);
        }
        for channel in &mut self.writes {
            channel.sample(dut, &mut self.contents);
        }
        dut.rise();
        self.contents.cycle += 1;
    }
}

impl Deref for AxiMemory {
    type Target = Contents;
    fn deref(&self) -> &Contents {
        &self.contents
    }
}

impl DerefMut for AxiMemory {
    fn deref_mut(&mut self) -> &mut Contents {
        &mut self.contents
    }
}
