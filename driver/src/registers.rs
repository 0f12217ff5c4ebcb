//! Offsets and fields of the card's registers (BAR0).
//!
//! Generated from hdl/regs/card.rdl by scripts/generate-registers.sh; do not edit.
//!
//! One module per register, named as in `hdl/doc/contract.md`. Registers that exist once have a
//! constant `OFFSET`; those that exist once per queue have a function `offset`.

/// First eight bytes of the SHA-256 of `card.rdl`, first byte lowest: the identity of this map.
pub const RDL_HASH: u64 = 0x4051_a8f1_61e8_2ba8;

/// Some adjacent bits of a 32-bit register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Position of the lowest bit.
    pub lsb: u32,
    /// Number of bits, 1 to 32.
    pub width: u32,
}

impl Field {
    /// The field's bits in the register.
    #[must_use]
    pub const fn mask(self) -> u32 {
        (u32::MAX >> (32 - self.width)) << self.lsb
    }

    /// The field's value in a register that was read.
    #[must_use]
    pub const fn get(self, register: u32) -> u32 {
        (register & self.mask()) >> self.lsb
    }

    /// `register` with this field replaced; bits of `value` beyond the field are dropped.
    #[must_use]
    pub const fn set(self, register: u32, value: u32) -> u32 {
        (register & !self.mask()) | ((value << self.lsb) & self.mask())
    }
}

/// Magic. Tells a Carillon card from anything else, and from a bus that answers all ones.
pub mod magic {
    use super::Field;

    /// Byte offset in BAR0.
    pub const OFFSET: u32 = 0x0000;
    /// Value after reset.
    pub const RESET: u32 = 0x4c524143;
    /// The characters CARL, first in the lowest byte.
    pub const VALUE: Field = Field { lsb: 0, width: 32 };
}

/// Contract version. Version of hdl/doc/contract.md that the card implements.
pub mod version {
    use super::Field;

    /// Byte offset in BAR0.
    pub const OFFSET: u32 = 0x0004;
    /// Value after reset.
    pub const RESET: u32 = 0x00000001;
    /// Contract version.
    pub const VALUE: Field = Field { lsb: 0, width: 32 };
}

/// Register map hash, low. Bytes 0 to 3 of the SHA-256 of card.rdl, first byte lowest.
pub mod rdl_hash_lo {
    use super::Field;

    /// Byte offset in BAR0.
    pub const OFFSET: u32 = 0x0008;
    /// Hash bytes 0 to 3.
    pub const VALUE: Field = Field { lsb: 0, width: 32 };
}

/// Register map hash, high. Bytes 4 to 7 of the SHA-256 of card.rdl, first byte lowest.
pub mod rdl_hash_hi {
    use super::Field;

    /// Byte offset in BAR0.
    pub const OFFSET: u32 = 0x000c;
    /// Hash bytes 4 to 7.
    pub const VALUE: Field = Field { lsb: 0, width: 32 };
}

/// Configuration. Named build of the card.
pub mod config {
    use super::Field;

    /// Byte offset in BAR0.
    pub const OFFSET: u32 = 0x0010;
    /// 0 sim, 1 u250.
    pub const VALUE: Field = Field { lsb: 0, width: 32 };
}

/// Queue capabilities. How many queues there are and how deep they may be.
pub mod cap_queues {
    use super::Field;

    /// Byte offset in BAR0.
    pub const OFFSET: u32 = 0x0020;
    /// I/O queues; the admin queue is not counted.
    pub const IO_QUEUES: Field = Field { lsb: 0, width: 8 };
    /// Largest LOG2_DEPTH a queue accepts.
    pub const MAX_LOG2_DEPTH: Field = Field { lsb: 8, width: 8 };
}

/// Card memory, low. Bytes of card memory, bits 31:0.
pub mod cap_mem_lo {
    use super::Field;

    /// Byte offset in BAR0.
    pub const OFFSET: u32 = 0x0024;
    /// Bits 31:0.
    pub const VALUE: Field = Field { lsb: 0, width: 32 };
}

/// Card memory, high. Bytes of card memory, bits 63:32.
pub mod cap_mem_hi {
    use super::Field;

    /// Byte offset in BAR0.
    pub const OFFSET: u32 = 0x0028;
    /// Bits 63:32.
    pub const VALUE: Field = Field { lsb: 0, width: 32 };
}

/// MSM capabilities. Size of the multi-scalar multiplication engine.
pub mod cap_msm {
    use super::Field;

    /// Byte offset in BAR0.
    pub const OFFSET: u32 = 0x002c;
    /// Largest signed window, in bits.
    pub const MAX_WINDOW_BITS: Field = Field { lsb: 0, width: 8 };
    /// Windows in flight together.
    pub const WINDOWS: Field = Field { lsb: 8, width: 8 };
    /// Point adders.
    pub const ADDERS: Field = Field { lsb: 16, width: 8 };
}

/// NTT capabilities. Size of the number-theoretic transform engine.
pub mod cap_ntt {
    use super::Field;

    /// Byte offset in BAR0.
    pub const OFFSET: u32 = 0x0030;
    /// Largest log2 of the transform length.
    pub const MAX_LOG2N: Field = Field { lsb: 0, width: 8 };
    /// Butterflies a cycle.
    pub const BUTTERFLIES: Field = Field { lsb: 8, width: 8 };
}

/// Controller control. Clearing enable stops every queue, clears every QUEUE_CTRL.enable and drops STATUS.ready.
pub mod ctrl {
    use super::Field;

    /// Byte offset in BAR0.
    pub const OFFSET: u32 = 0x0100;
    /// Value after reset.
    pub const RESET: u32 = 0x00000000;
    /// Let the queues run.
    pub const ENABLE: Field = Field { lsb: 0, width: 1 };
}

/// Controller status. State of the controller.
pub mod status {
    use super::Field;

    /// Byte offset in BAR0.
    pub const OFFSET: u32 = 0x0104;
    /// The controller is enabled and accepts queues; stays set until every queue has stopped.
    pub const READY: Field = Field { lsb: 0, width: 1 };
    /// At least one command is running.
    pub const BUSY: Field = Field { lsb: 1, width: 1 };
    /// The card met a state it cannot explain; only a function reset clears it.
    pub const FATAL: Field = Field { lsb: 2, width: 1 };
    /// Cause of fatal: 1 host bus, 2 card memory bus answered a request that was never made, 3 a bus does not answer what was under way at the reset.
    pub const FATAL_CODE: Field = Field { lsb: 8, width: 8 };
}

/// Clock cycles since reset (low half). Bits 31:0 of the counter.
pub mod count_cycles_lo {
    use super::Field;

    /// Byte offset in BAR0.
    pub const OFFSET: u32 = 0x0200;
    /// Bits 31:0.
    pub const VALUE: Field = Field { lsb: 0, width: 32 };
}

/// Clock cycles since reset (high half). Bits 63:32 of the counter. Read high, low, high; repeat if the two highs differ.
pub mod count_cycles_hi {
    use super::Field;

    /// Byte offset in BAR0.
    pub const OFFSET: u32 = 0x0204;
    /// Bits 63:32.
    pub const VALUE: Field = Field { lsb: 0, width: 32 };
}

/// Cycles with at least one command running (low half). Bits 31:0 of the counter.
pub mod count_busy_lo {
    use super::Field;

    /// Byte offset in BAR0.
    pub const OFFSET: u32 = 0x0208;
    /// Bits 31:0.
    pub const VALUE: Field = Field { lsb: 0, width: 32 };
}

/// Cycles with at least one command running (high half). Bits 63:32 of the counter. Read high, low, high; repeat if the two highs differ.
pub mod count_busy_hi {
    use super::Field;

    /// Byte offset in BAR0.
    pub const OFFSET: u32 = 0x020c;
    /// Bits 63:32.
    pub const VALUE: Field = Field { lsb: 0, width: 32 };
}

/// Completions posted (low half). Bits 31:0 of the counter.
pub mod count_commands_lo {
    use super::Field;

    /// Byte offset in BAR0.
    pub const OFFSET: u32 = 0x0210;
    /// Bits 31:0.
    pub const VALUE: Field = Field { lsb: 0, width: 32 };
}

/// Completions posted (high half). Bits 63:32 of the counter. Read high, low, high; repeat if the two highs differ.
pub mod count_commands_hi {
    use super::Field;

    /// Byte offset in BAR0.
    pub const OFFSET: u32 = 0x0214;
    /// Bits 63:32.
    pub const VALUE: Field = Field { lsb: 0, width: 32 };
}

/// Completions posted with a status other than SUCCESS (low half). Bits 31:0 of the counter.
pub mod count_errors_lo {
    use super::Field;

    /// Byte offset in BAR0.
    pub const OFFSET: u32 = 0x0218;
    /// Bits 31:0.
    pub const VALUE: Field = Field { lsb: 0, width: 32 };
}

/// Completions posted with a status other than SUCCESS (high half). Bits 63:32 of the counter. Read high, low, high; repeat if the two highs differ.
pub mod count_errors_hi {
    use super::Field;

    /// Byte offset in BAR0.
    pub const OFFSET: u32 = 0x021c;
    /// Bits 63:32.
    pub const VALUE: Field = Field { lsb: 0, width: 32 };
}

/// Bucket additions of MSMs (low half). Bits 31:0 of the counter.
pub mod count_msm_additions_lo {
    use super::Field;

    /// Byte offset in BAR0.
    pub const OFFSET: u32 = 0x0220;
    /// Bits 31:0.
    pub const VALUE: Field = Field { lsb: 0, width: 32 };
}

/// Bucket additions of MSMs (high half). Bits 63:32 of the counter. Read high, low, high; repeat if the two highs differ.
pub mod count_msm_additions_hi {
    use super::Field;

    /// Byte offset in BAR0.
    pub const OFFSET: u32 = 0x0224;
    /// Bits 63:32.
    pub const VALUE: Field = Field { lsb: 0, width: 32 };
}

/// MSM bubbles: every candidate's bucket was busy (low half). Bits 31:0 of the counter.
pub mod count_bubble_hazard_lo {
    use super::Field;

    /// Byte offset in BAR0.
    pub const OFFSET: u32 = 0x0228;
    /// Bits 31:0.
    pub const VALUE: Field = Field { lsb: 0, width: 32 };
}

/// MSM bubbles: every candidate's bucket was busy (high half). Bits 63:32 of the counter. Read high, low, high; repeat if the two highs differ.
pub mod count_bubble_hazard_hi {
    use super::Field;

    /// Byte offset in BAR0.
    pub const OFFSET: u32 = 0x022c;
    /// Bits 63:32.
    pub const VALUE: Field = Field { lsb: 0, width: 32 };
}

/// MSM bubbles: no point had arrived from memory (low half). Bits 31:0 of the counter.
pub mod count_bubble_memory_lo {
    use super::Field;

    /// Byte offset in BAR0.
    pub const OFFSET: u32 = 0x0230;
    /// Bits 31:0.
    pub const VALUE: Field = Field { lsb: 0, width: 32 };
}

/// MSM bubbles: no point had arrived from memory (high half). Bits 63:32 of the counter. Read high, low, high; repeat if the two highs differ.
pub mod count_bubble_memory_hi {
    use super::Field;

    /// Byte offset in BAR0.
    pub const OFFSET: u32 = 0x0234;
    /// Bits 63:32.
    pub const VALUE: Field = Field { lsb: 0, width: 32 };
}

/// MSM bubbles: all other causes (low half). Bits 31:0 of the counter.
pub mod count_bubble_other_lo {
    use super::Field;

    /// Byte offset in BAR0.
    pub const OFFSET: u32 = 0x0238;
    /// Bits 31:0.
    pub const VALUE: Field = Field { lsb: 0, width: 32 };
}

/// MSM bubbles: all other causes (high half). Bits 63:32 of the counter. Read high, low, high; repeat if the two highs differ.
pub mod count_bubble_other_hi {
    use super::Field;

    /// Byte offset in BAR0.
    pub const OFFSET: u32 = 0x023c;
    /// Bits 63:32.
    pub const VALUE: Field = Field { lsb: 0, width: 32 };
}

/// NTT butterflies (low half). Bits 31:0 of the counter.
pub mod count_butterflies_lo {
    use super::Field;

    /// Byte offset in BAR0.
    pub const OFFSET: u32 = 0x0240;
    /// Bits 31:0.
    pub const VALUE: Field = Field { lsb: 0, width: 32 };
}

/// NTT butterflies (high half). Bits 63:32 of the counter. Read high, low, high; repeat if the two highs differ.
pub mod count_butterflies_hi {
    use super::Field;

    /// Byte offset in BAR0.
    pub const OFFSET: u32 = 0x0244;
    /// Bits 63:32.
    pub const VALUE: Field = Field { lsb: 0, width: 32 };
}

/// Bytes read from host memory (low half). Bits 31:0 of the counter.
pub mod count_host_read_lo {
    use super::Field;

    /// Byte offset in BAR0.
    pub const OFFSET: u32 = 0x0248;
    /// Bits 31:0.
    pub const VALUE: Field = Field { lsb: 0, width: 32 };
}

/// Bytes read from host memory (high half). Bits 63:32 of the counter. Read high, low, high; repeat if the two highs differ.
pub mod count_host_read_hi {
    use super::Field;

    /// Byte offset in BAR0.
    pub const OFFSET: u32 = 0x024c;
    /// Bits 63:32.
    pub const VALUE: Field = Field { lsb: 0, width: 32 };
}

/// Bytes written to host memory (low half). Bits 31:0 of the counter.
pub mod count_host_written_lo {
    use super::Field;

    /// Byte offset in BAR0.
    pub const OFFSET: u32 = 0x0250;
    /// Bits 31:0.
    pub const VALUE: Field = Field { lsb: 0, width: 32 };
}

/// Bytes written to host memory (high half). Bits 63:32 of the counter. Read high, low, high; repeat if the two highs differ.
pub mod count_host_written_hi {
    use super::Field;

    /// Byte offset in BAR0.
    pub const OFFSET: u32 = 0x0254;
    /// Bits 63:32.
    pub const VALUE: Field = Field { lsb: 0, width: 32 };
}

/// Bytes read from card memory (low half). Bits 31:0 of the counter.
pub mod count_card_read_lo {
    use super::Field;

    /// Byte offset in BAR0.
    pub const OFFSET: u32 = 0x0258;
    /// Bits 31:0.
    pub const VALUE: Field = Field { lsb: 0, width: 32 };
}

/// Bytes read from card memory (high half). Bits 63:32 of the counter. Read high, low, high; repeat if the two highs differ.
pub mod count_card_read_hi {
    use super::Field;

    /// Byte offset in BAR0.
    pub const OFFSET: u32 = 0x025c;
    /// Bits 63:32.
    pub const VALUE: Field = Field { lsb: 0, width: 32 };
}

/// Bytes written to card memory (low half). Bits 31:0 of the counter.
pub mod count_card_written_lo {
    use super::Field;

    /// Byte offset in BAR0.
    pub const OFFSET: u32 = 0x0260;
    /// Bits 31:0.
    pub const VALUE: Field = Field { lsb: 0, width: 32 };
}

/// Bytes written to card memory (high half). Bits 63:32 of the counter. Read high, low, high; repeat if the two highs differ.
pub mod count_card_written_hi {
    use super::Field;

    /// Byte offset in BAR0.
    pub const OFFSET: u32 = 0x0264;
    /// Bits 63:32.
    pub const VALUE: Field = Field { lsb: 0, width: 32 };
}

/// Submission ring base, low. Host address of the submission ring, a multiple of 64.
pub mod queue_sq_base_lo {
    use super::Field;

    /// Byte offset in BAR0 of queue 0's register.
    pub const FIRST: u32 = 0x1000;
    /// Bytes from one queue's register to the next.
    pub const STRIDE: u32 = 0x40;
    /// Byte offset in BAR0 of the register of `queue`.
    #[must_use]
    pub const fn offset(queue: u16) -> u32 {
        FIRST + queue as u32 * STRIDE
    }
    /// Value after reset.
    pub const RESET: u32 = 0x00000000;
    /// Address bits 31:6.
    pub const BASE: Field = Field { lsb: 6, width: 26 };
}

/// Submission ring base, high. Host address of the submission ring, upper half.
pub mod queue_sq_base_hi {
    use super::Field;

    /// Byte offset in BAR0 of queue 0's register.
    pub const FIRST: u32 = 0x1004;
    /// Bytes from one queue's register to the next.
    pub const STRIDE: u32 = 0x40;
    /// Byte offset in BAR0 of the register of `queue`.
    #[must_use]
    pub const fn offset(queue: u16) -> u32 {
        FIRST + queue as u32 * STRIDE
    }
    /// Value after reset.
    pub const RESET: u32 = 0x00000000;
    /// Address bits 63:32.
    pub const BASE: Field = Field { lsb: 0, width: 32 };
}

/// Completion ring base, low. Host address of the completion ring, a multiple of 64.
pub mod queue_cq_base_lo {
    use super::Field;

    /// Byte offset in BAR0 of queue 0's register.
    pub const FIRST: u32 = 0x1008;
    /// Bytes from one queue's register to the next.
    pub const STRIDE: u32 = 0x40;
    /// Byte offset in BAR0 of the register of `queue`.
    #[must_use]
    pub const fn offset(queue: u16) -> u32 {
        FIRST + queue as u32 * STRIDE
    }
    /// Value after reset.
    pub const RESET: u32 = 0x00000000;
    /// Address bits 31:6.
    pub const BASE: Field = Field { lsb: 6, width: 26 };
}

/// Completion ring base, high. Host address of the completion ring, upper half.
pub mod queue_cq_base_hi {
    use super::Field;

    /// Byte offset in BAR0 of queue 0's register.
    pub const FIRST: u32 = 0x100c;
    /// Bytes from one queue's register to the next.
    pub const STRIDE: u32 = 0x40;
    /// Byte offset in BAR0 of the register of `queue`.
    #[must_use]
    pub const fn offset(queue: u16) -> u32 {
        FIRST + queue as u32 * STRIDE
    }
    /// Value after reset.
    pub const RESET: u32 = 0x00000000;
    /// Address bits 63:32.
    pub const BASE: Field = Field { lsb: 0, width: 32 };
}

/// Ring depth. Both rings have 2^log2_depth entries, 1 to CAP_QUEUES.max_log2_depth.
pub mod queue_log2_depth {
    use super::Field;

    /// Byte offset in BAR0 of queue 0's register.
    pub const FIRST: u32 = 0x1010;
    /// Bytes from one queue's register to the next.
    pub const STRIDE: u32 = 0x40;
    /// Byte offset in BAR0 of the register of `queue`.
    #[must_use]
    pub const fn offset(queue: u16) -> u32 {
        FIRST + queue as u32 * STRIDE
    }
    /// Value after reset.
    pub const RESET: u32 = 0x00000000;
    /// log2 of the number of entries.
    pub const LOG2_DEPTH: Field = Field { lsb: 0, width: 8 };
}

/// Queue control. Setting enable starts the queue at head = tail = 0, phase 1. Clearing it aborts the running command and posts nothing more.
pub mod queue_ctrl {
    use super::Field;

    /// Byte offset in BAR0 of queue 0's register.
    pub const FIRST: u32 = 0x1014;
    /// Bytes from one queue's register to the next.
    pub const STRIDE: u32 = 0x40;
    /// Byte offset in BAR0 of the register of `queue`.
    #[must_use]
    pub const fn offset(queue: u16) -> u32 {
        FIRST + queue as u32 * STRIDE
    }
    /// Value after reset.
    pub const RESET: u32 = 0x00000000;
    /// Run this queue. Cleared by the card when CTRL.enable is cleared.
    pub const ENABLE: Field = Field { lsb: 0, width: 1 };
}

/// Queue status. State of the queue.
pub mod queue_status {
    use super::Field;

    /// Byte offset in BAR0 of queue 0's register.
    pub const FIRST: u32 = 0x1018;
    /// Bytes from one queue's register to the next.
    pub const STRIDE: u32 = 0x40;
    /// Byte offset in BAR0 of the register of `queue`.
    #[must_use]
    pub const fn offset(queue: u16) -> u32 {
        FIRST + queue as u32 * STRIDE
    }
    /// The queue runs, or still ends its last command after being disabled.
    pub const ACTIVE: Field = Field { lsb: 0, width: 1 };
    /// Why the queue stopped: 0 it did not, 1 DOORBELL (doorbell or depth out of range), 2 FETCH, 3 POST. Cleared by enabling.
    pub const ERROR: Field = Field { lsb: 8, width: 8 };
}

/// Submission head. Index of the next command the card will fetch.
pub mod queue_sq_head {
    use super::Field;

    /// Byte offset in BAR0 of queue 0's register.
    pub const FIRST: u32 = 0x101c;
    /// Bytes from one queue's register to the next.
    pub const STRIDE: u32 = 0x40;
    /// Byte offset in BAR0 of the register of `queue`.
    #[must_use]
    pub const fn offset(queue: u16) -> u32 {
        FIRST + queue as u32 * STRIDE
    }
    /// Ring index.
    pub const INDEX: Field = Field { lsb: 0, width: 16 };
}

/// Submission tail. Index after the last command the host has written.
pub mod sq_tail {
    use super::Field;

    /// Byte offset in BAR0 of queue 0's register.
    pub const FIRST: u32 = 0x2000;
    /// Bytes from one queue's register to the next.
    pub const STRIDE: u32 = 0x08;
    /// Byte offset in BAR0 of the register of `queue`.
    #[must_use]
    pub const fn offset(queue: u16) -> u32 {
        FIRST + queue as u32 * STRIDE
    }
    /// Value after reset.
    pub const RESET: u32 = 0x00000000;
    /// Ring index.
    pub const INDEX: Field = Field { lsb: 0, width: 32 };
}

/// Completion head. Index of the first completion the host has not consumed.
pub mod cq_head {
    use super::Field;

    /// Byte offset in BAR0 of queue 0's register.
    pub const FIRST: u32 = 0x2004;
    /// Bytes from one queue's register to the next.
    pub const STRIDE: u32 = 0x08;
    /// Byte offset in BAR0 of the register of `queue`.
    #[must_use]
    pub const fn offset(queue: u16) -> u32 {
        FIRST + queue as u32 * STRIDE
    }
    /// Value after reset.
    pub const RESET: u32 = 0x00000000;
    /// Ring index.
    pub const INDEX: Field = Field { lsb: 0, width: 32 };
}
