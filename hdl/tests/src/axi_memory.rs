//! An AXI4 memory for block tests: latency, back-pressure, reordering and interleaving between IDs, every order of request and
//! data that is legal, and faults.
//!
//! Follows the payload structs of `carillon_pkg` (`axi_ax_t`, `axi_w_t`, `axi_r_t`, `axi_b_t`) on ports
//! named `<prefix>_ar_o`, `<prefix>_ar_valid_o` and so on. It checks the rules a master must keep: bursts
//! inside 4 KiB, whole beats, `last` where the burst ends, no access beyond the memory.

use std::ops::{Deref, DerefMut};

use crate::Dut;
use crate::axi_write::WriteChannel;
use crate::read_lanes::ReadLanes;

pub use crate::axi::{Contents, Timing, WriteOrder};

/// The slave behind a block's AXI4 masters.
pub struct AxiMemory {
    contents: Contents,
    reads: Vec<ReadLanes>,
    writes: Vec<WriteChannel>,
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
