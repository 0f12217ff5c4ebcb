//! Runs commands on an execution unit with its AXI masters to card memory (`hdl/doc/blocks.md`): ports
//! `mem_*`, and `lane_*` where a unit reads through several ports at once.

use crate::axi_memory::AxiMemory;
use crate::bits::get_field;
use crate::dut::Port;
use crate::{Dut, View};

/// Status codes of `carillon_pkg` (`St..`), without the phase bit.
pub mod status {
    /// The command did what it says.
    pub const SUCCESS: u64 = 0;
    /// An operand is not below r.
    pub const BAD_SCALAR: u64 = 1 << 3 | 2;
    /// A coordinate is not below p.
    pub const BAD_POINT: u64 = 2 << 3 | 2;
    /// Bus error reading card memory.
    pub const CARD_READ: u64 = 1 << 14 | 3 << 3 | 3;
    /// Bus error writing card memory.
    pub const CARD_WRITE: u64 = 1 << 14 | 4 << 3 | 3;
    /// Ended by `abort_i`.
    pub const ABORTED: u64 = 1 << 14 | 1 << 3 | 4;
}

/// The fields of a command that execution units look at; the rest is zero.
#[derive(Clone, Copy, Debug, Default)]
pub struct Command {
    /// Opcode; a unit is only given its own.
    pub opcode: u8,
    /// Flags of the contract.
    pub flags: u8,
    /// log2 of the elements (NTT).
    pub log2n: u8,
    /// Window size (MSM); 0 lets the card choose.
    pub window_bits: u8,
    /// `op0`..`op6`.
    pub operands: [u64; 7],
}

impl Command {
    fn image(&self) -> Vec<u8> {
        let word = u64::from(self.opcode)
            | u64::from(self.flags) << 8
            | u64::from(self.log2n) << 32
            | u64::from(self.window_bits) << 40;
        std::iter::once(word)
            .chain(self.operands)
            .flat_map(u64::to_le_bytes)
            .collect()
    }
}

/// What a unit reports (`unit_result_t`); vector units leave `bubbles` and `detail` at 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// One of [`status`].
    pub status: u64,
    /// Start to end.
    pub cycles: u64,
    /// Butterflies, elements, or additions of the bucket phase.
    pub ops: u64,
    /// Cycles of an MSM's bucket phase without an addition: hazard, memory, other.
    pub bubbles: [u64; 3],
    /// Other additions of an MSM, or the index of its faulty element.
    pub detail: u64,
}

/// An execution unit and its card memory.
pub struct Unit {
    /// Card memory; change it between commands.
    pub memory: AxiMemory,
    dut: Dut,
    abort: Port,
    done: Port,
}

impl Unit {
    /// The unit `model` of `build.rs` in the fast view with `size` bytes of card memory. (The structural view runs
    /// units as parts of the whole card, `sim/tests`.)
    #[must_use]
    pub fn new(model: &str, size: usize) -> Self {
        let dut = Dut::new(model, View::Fast);
        Self {
            memory: AxiMemory::new(&dut, &["mem", "lane"], size),
            abort: dut.port("abort_i"),
            done: dut.port("done_o"),
            dut,
        }
    }

    /// Runs `command` to its end.
    pub fn run(&mut self, command: &Command) -> Outcome {
        self.run_aborted(command, u64::MAX)
    }

    /// Runs `command` and raises `abort_i` after `abort_after` cycles until the end. Panics if the unit
    /// hangs, or if it leaves anything under way on its bus.
    pub fn run_aborted(&mut self, command: &Command, abort_after: u64) -> Outcome {
        /// Longer than any command of the tests takes.
        const PATIENCE: u64 = 10_000_000;

        let start = self.dut.cycle();
        self.dut.set("cmd_i", &command.image());
        self.dut.set_u64("start_i", 1);
        self.step(abort_after == 0);
        self.dut.set_u64("start_i", 0);
        loop {
            let elapsed = self.dut.cycle() - start;
            assert!(elapsed < PATIENCE, "{command:?} does not end");
            if self.dut.read(self.done) == 1 {
                break;
            }
            self.step(elapsed >= abort_after);
        }
        let result = self.dut.get("result_o");
        self.step(false);
        assert_eq!(self.dut.get_u64("busy_o"), 0, "done means free");
        assert!(self.memory.idle(), "nothing is left on the bus");

        let field = |offset, width| get_field(&result, offset, width);
        Outcome {
            cycles: field(0, 32),
            ops: field(32, 32),
            bubbles: [64, 96, 128].map(|offset| field(offset, 32)),
            detail: field(160, 32),
            status: field(192, 15),
        }
    }

    fn step(&mut self, abort: bool) {
        self.dut.write(self.abort, abort.into());
        self.memory.step(&mut self.dut);
    }
}
