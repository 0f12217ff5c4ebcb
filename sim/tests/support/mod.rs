//! A host reduced to the contract: registers, rings and doorbells by hand, so
//! that tests can send what the driver never would. Works over any transport;
//! every wait has a deadline.
#![allow(dead_code, reason = "each test program uses a part")]
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code reports a failure by panicking"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use blstrs::{G1Affine, Scalar};
use carillon_driver::command::{COMMAND_BYTES, Command, FLAG_SGL, RawCommand};
use carillon_driver::completion::{COMPLETION_BYTES, Completion};
use carillon_driver::memory::HostMemory;
use carillon_driver::registers as reg;
use carillon_driver::status::StatusCode;
use carillon_driver::transport::{Direction, Transport};

/// Longest wait for anything the card owes.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `done` gives a value.
pub fn wait_for<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = done() {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "no {what} within {PATIENCE:?}");
        std::thread::sleep(Duration::from_micros(50));
    }
}

/// A host with one block of memory that the card may read and write.
pub struct RawHost {
    pub transport: Arc<dyn Transport>,
    pub memory: Arc<HostMemory>,
    pub iova: u64,
    used: AtomicU64,
}

impl RawHost {
    /// Maps `bytes` of memory and enables the controller.
    pub fn new(transport: Arc<dyn Transport>, bytes: usize) -> Self {
        let memory = Arc::new(HostMemory::allocate(bytes).unwrap());
        let iova = transport
            .map(Arc::clone(&memory), Direction::Bidirectional)
            .unwrap();
        let host = Self {
            transport,
            memory,
            iova,
            used: AtomicU64::new(0),
        };
        host.enable();
        host
    }

    /// Sets `CTRL.enable` and waits for `STATUS.ready`.
    pub fn enable(&self) {
        self.transport.write32(reg::ctrl::OFFSET, 1);
        self.wait_ready(true);
    }

    /// Waits for `STATUS.ready`.
    pub fn wait_ready(&self, ready: bool) {
        wait_for("STATUS.ready", || {
            let status = self.transport.read32(reg::status::OFFSET);
            (reg::status::READY.get(status) == u32::from(ready)).then_some(())
        });
    }

    /// Offset in the memory of `bytes` unused bytes, page-aligned.
    pub fn allocate(&self, bytes: usize) -> usize {
        let at = self
            .used
            .fetch_add(bytes.next_multiple_of(4096) as u64, Ordering::Relaxed);
        assert!(
            at as usize + bytes <= self.memory.len(),
            "test memory is full"
        );
        at as usize
    }

    /// I/O address of an offset.
    pub fn address(&self, offset: usize) -> u64 {
        self.iova + offset as u64
    }

    /// `bytes` bytes from `offset`.
    pub fn bytes(&self, offset: usize, bytes: usize) -> Vec<u8> {
        let mut out = vec![0; bytes];
        self.memory.read(offset, &mut out).unwrap();
        out
    }

    /// A 64-bit register pair.
    pub fn read64(&self, low: u32, high: u32) -> u64 {
        u64::from(self.transport.read32(high)) << 32 | u64::from(self.transport.read32(low))
    }
}

/// One queue pair, driven by hand.
pub struct RawQueue<'a> {
    pub host: &'a RawHost,
    pub number: u16,
    pub depth: usize,
    pub sq: usize,
    pub cq: usize,
    pub tail: usize,
    pub head: usize,
    pub phase: bool,
    /// Report consumed completions to the card at once.
    pub report: bool,
}

impl<'a> RawQueue<'a> {
    /// Sets up queue `number` with `2^log2_depth` entries and enables it.
    pub fn new(host: &'a RawHost, number: u16, log2_depth: u32) -> Self {
        let depth = 1usize << log2_depth;
        let sq = host.allocate(depth * COMMAND_BYTES);
        let cq = host.allocate(depth * COMPLETION_BYTES);
        let mut queue = Self {
            host,
            number,
            depth,
            sq,
            cq,
            tail: 0,
            head: 0,
            phase: true,
            report: true,
        };
        queue.program(host.address(sq), host.address(cq));
        queue.enable();
        queue
    }

    /// Writes the bases and the depth.
    pub fn program(&self, sq: u64, cq: u64) {
        let write = |offset, value| self.host.transport.write32(offset, value);
        let q = self.number;
        write(reg::queue_sq_base_lo::offset(q), sq as u32);
        write(reg::queue_sq_base_hi::offset(q), (sq >> 32) as u32);
        write(reg::queue_cq_base_lo::offset(q), cq as u32);
        write(reg::queue_cq_base_hi::offset(q), (cq >> 32) as u32);
        write(reg::queue_log2_depth::offset(q), self.depth.ilog2());
    }

    /// Clears the completion ring and enables the queue.
    pub fn enable(&mut self) {
        let zeros = vec![0; self.depth * COMPLETION_BYTES];
        self.host.memory.write(self.cq, &zeros).unwrap();
        (self.tail, self.head, self.phase) = (0, 0, true);
        self.control(1);
        wait_for("QUEUE_STATUS.active", || self.active().then_some(()));
    }

    /// Disables the queue and waits until it has stopped.
    pub fn disable(&self) {
        self.control(0);
        self.wait_stopped();
    }

    /// Disable, program, enable.
    pub fn revive(&mut self) {
        self.disable();
        self.program(self.host.address(self.sq), self.host.address(self.cq));
        self.enable();
    }

    pub fn control(&self, value: u32) {
        let offset = reg::queue_ctrl::offset(self.number);
        self.host.transport.write32(offset, value);
    }

    pub fn status(&self) -> u32 {
        self.host
            .transport
            .read32(reg::queue_status::offset(self.number))
    }

    pub fn active(&self) -> bool {
        reg::queue_status::ACTIVE.get(self.status()) == 1
    }

    pub fn error(&self) -> u32 {
        reg::queue_status::ERROR.get(self.status())
    }

    pub fn wait_stopped(&self) {
        wait_for("end of QUEUE_STATUS.active", || {
            (!self.active()).then_some(())
        });
    }

    /// Waits until the queue has stopped itself with `error`.
    pub fn wait_error(&self, error: u32) {
        wait_for("QUEUE_STATUS.error", || {
            (self.error() == error && !self.active()).then_some(())
        });
    }

    pub fn ring_tail(&self, value: u32) {
        let offset = reg::sq_tail::offset(self.number);
        self.host.transport.write32(offset, value);
    }

    pub fn ring_head(&self, value: u32) {
        let offset = reg::cq_head::offset(self.number);
        self.host.transport.write32(offset, value);
    }

    /// Writes a command into the ring without the doorbell.
    pub fn place(&mut self, command: &RawCommand) {
        let at = self.sq + self.tail * COMMAND_BYTES;
        self.host.memory.write(at, &command.to_bytes()).unwrap();
        self.tail = (self.tail + 1) % self.depth;
    }

    /// Submits one command.
    pub fn submit(&mut self, command: &RawCommand) {
        self.place(command);
        self.ring_tail(self.tail as u32);
    }

    /// The next completion if it is there.
    pub fn poll(&mut self) -> Option<Completion> {
        let at = self.cq + self.head * COMPLETION_BYTES;
        // The word with the phase first, then the rest.
        let last = self.host.memory.load(at + 24, Ordering::Acquire).unwrap();
        if (last >> 48 & 1 == 1) != self.phase {
            return None;
        }
        let word = |i: usize| {
            self.host
                .memory
                .load(at + 8 * i, Ordering::Relaxed)
                .unwrap()
        };
        let (completion, _) =
            Completion::from_words([word(0), word(1), word(2), last]).expect("reserved bits zero");
        self.head = (self.head + 1) % self.depth;
        if self.head == 0 {
            self.phase = !self.phase;
        }
        if self.report {
            self.ring_head(self.head as u32);
        }
        assert_eq!(completion.queue, self.number, "queue number");
        Some(completion)
    }

    /// The next completion.
    pub fn wait(&mut self) -> Completion {
        wait_for("completion", || self.poll())
    }

    /// Submits a command and waits for its completion.
    pub fn run(&mut self, command: &RawCommand) -> Completion {
        self.submit(command);
        let completion = self.wait();
        assert_eq!(completion.cid, command.cid, "command id");
        assert_eq!(completion.sq_head as usize, self.tail, "submission head");
        completion
    }

    /// As [`RawQueue::run`], and checks the status.
    pub fn expect(&mut self, command: &RawCommand, status: StatusCode) -> Completion {
        let completion = self.run(command);
        assert_eq!(completion.status, status.into(), "{command:x?}");
        completion
    }
}

/// `WRITE` as it lies in the ring.
pub fn write(cid: u16, host: u64, card: u64, bytes: u64) -> RawCommand {
    Command::Write {
        host,
        card,
        bytes,
        list: false,
    }
    .encode(cid)
}

/// `READ` as it lies in the ring.
pub fn read(cid: u16, host: u64, card: u64, bytes: u64) -> RawCommand {
    Command::Read {
        host,
        card,
        bytes,
        list: false,
    }
    .encode(cid)
}

/// The same with a scatter list.
pub fn with_list(mut command: RawCommand) -> RawCommand {
    command.flags |= FLAG_SGL;
    command
}

/// Bytes that depend on a seed.
pub fn pattern(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed | 1;
    (0..bytes)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .collect()
}

fn words(limbs: &[u64]) -> impl Iterator<Item = u8> {
    limbs.iter().flat_map(|l| l.to_le_bytes())
}

/// A scalar as it lies in card memory.
pub fn scalar_image(scalar: &Scalar) -> Vec<u8> {
    let fr: blst::blst_fr = (*scalar).into();
    words(&fr.l).collect()
}

/// A point as it lies in card memory.
pub fn point_image(point: &G1Affine) -> Vec<u8> {
    let raw: &blst::blst_p1_affine = point.as_ref();
    words(&raw.x.l).chain(words(&raw.y.l)).collect()
}
