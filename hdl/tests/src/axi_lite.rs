//! An AXI4-Lite master for block tests: reads and writes at once, with pauses on every channel.
//!
//! Drives ports named `s_axil_awvalid` and so on. It checks what a slave must keep: one OKAY response
//! for each request, and an offered response stays as it is until it is taken.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::Dut;

/// One write.
#[derive(Clone, Copy, Debug)]
pub struct Write {
    /// Byte offset of the register.
    pub offset: u16,
    /// The word on the bus.
    pub value: u32,
    /// One bit for each byte to write.
    pub strobes: u8,
}

impl Write {
    /// Of a whole word.
    #[must_use]
    pub fn word(offset: u16, value: u32) -> Self {
        Self {
            offset,
            value,
            strobes: 0xf,
        }
    }
}

/// A request channel: valid stays up until it is taken.
#[derive(Default)]
struct Sender {
    sent: usize,
    valid: bool,
}

impl Sender {
    fn offer(&mut self, length: usize, go: bool) -> u64 {
        self.valid |= go && self.sent < length;
        self.valid.into()
    }

    fn taken(&mut self, ready: u64) {
        if self.valid && ready == 1 {
            self.valid = false;
            self.sent += 1;
        }
    }
}

/// The master.
pub struct AxiLite {
    /// Share of the cycles in which each channel pauses, 0 to 1.
    pub stall: f64,
    rng: ChaCha8Rng,
}

impl Default for AxiLite {
    fn default() -> Self {
        Self {
            stall: 0.0,
            rng: ChaCha8Rng::seed_from_u64(0),
        }
    }
}

impl AxiLite {
    /// Does all writes in order and, at the same time, all reads in order; what the reads returned.
    /// Calls `step` for each clock cycle, which it must give to the block.
    pub fn exchange(
        &mut self,
        dut: &mut Dut,
        writes: &[Write],
        reads: &[u16],
        mut step: impl FnMut(&mut Dut),
    ) -> Vec<u32> {
        let (mut aw, mut w, mut ar) = (Sender::default(), Sender::default(), Sender::default());
        let (mut responses, mut values) = (0, Vec::with_capacity(reads.len()));
        // Responses that were offered and not taken.
        let (mut b_held, mut r_held) = (false, None);
        let patience = dut.cycle() + 1000 + 100 * (writes.len() + reads.len()) as u64;
        while responses < writes.len() || values.len() < reads.len() {
            assert!(dut.cycle() < patience, "the bus hangs");
            let [go_aw, go_w, go_ar, b_ready, r_ready] =
                [(); 5].map(|()| self.stall == 0.0 || !self.rng.gen_bool(self.stall));
            dut.set_u64("s_axil_awvalid", aw.offer(writes.len(), go_aw));
            dut.set_u64("s_axil_wvalid", w.offer(writes.len(), go_w));
            dut.set_u64("s_axil_arvalid", ar.offer(reads.len(), go_ar));
            dut.set_u64("s_axil_bready", b_ready.into());
            dut.set_u64("s_axil_rready", r_ready.into());
            if let Some(write) = writes.get(aw.sent) {
                dut.set_u64("s_axil_awaddr", write.offset.into());
            }
            if let Some(write) = writes.get(w.sent) {
                dut.set_u64("s_axil_wdata", write.value.into());
                dut.set_u64("s_axil_wstrb", write.strobes.into());
            }
            if let Some(offset) = reads.get(ar.sent) {
                dut.set_u64("s_axil_araddr", (*offset).into());
            }
            dut.settle();
            aw.taken(dut.get_u64("s_axil_awready"));
            w.taken(dut.get_u64("s_axil_wready"));
            ar.taken(dut.get_u64("s_axil_arready"));

            let b = dut.get_u64("s_axil_bvalid") == 1;
            let r = (dut.get_u64("s_axil_rvalid") == 1).then(|| dut.get_u64("s_axil_rdata") as u32);
            assert!(b || !b_held, "a write response was withdrawn");
            assert!(r_held.is_none() || r == r_held, "read data changed");
            if b {
                assert_eq!(dut.get_u64("s_axil_bresp"), 0, "OKAY");
                responses += usize::from(b_ready);
            }
            if let Some(value) = r {
                assert_eq!(dut.get_u64("s_axil_rresp"), 0, "OKAY");
                values.extend(r_ready.then_some(value));
            }
            (b_held, r_held) = (b && !b_ready, r.filter(|_| !r_ready));
            step(dut);
        }
        for name in ["s_axil_awvalid", "s_axil_wvalid", "s_axil_arvalid"] {
            dut.set_u64(name, 0);
        }
        for _ in 0..3 {
            step(dut);
            for name in ["s_axil_bvalid", "s_axil_rvalid"] {
                assert_eq!(dut.get_u64(name), 0, "one response each");
            }
        }
        values
    }
}
