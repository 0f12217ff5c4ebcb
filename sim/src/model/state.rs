//! Registers and queue states of the functional card.
//!
//! Pure state under one lock: what a register access changes, and what the
//! queues' threads may do next. The rules are those of the contract's "Queues".

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use carillon_driver::registers as reg;

use super::{ModelOptions, QUEUES};

/// Why a queue stopped itself (`QUEUE_STATUS.error`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueueError {
    Doorbell = 1,
    Fetch = 2,
    Post = 3,
}

/// The command that a queue's thread is working on.
#[derive(Debug)]
pub(super) struct Current {
    pub cid: u16,
    pub abort: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    // Registers.
    pub sq_base: u64,
    pub cq_base: u64,
    pub log2_depth: u32,
    pub enable: bool,
    pub error: u32,
    pub active: bool,
    /// Stopped by an error; waits for enable to fall.
    dead: bool,
    /// Has to end what it does; nothing more is posted until it starts again.
    stopping: bool,
    /// The thread works on a command or an access.
    pub busy: bool,
    // The current session (from enable to stop), taken over when it starts.
    pub rings: Rings,
    pub current: Option<Current>,
    /// The chain broke at the command with this id: the next command is not run.
    pub broken: Option<u16>,
    /// Command that `ABORT` named while it was next to run.
    pub abort_next: Option<u16>,
}

/// Indices and addresses of a running queue.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rings {
    pub sq_base: u64,
    pub cq_base: u64,
    pub depth: u32,
    pub sq_head: u32,
    pub sq_tail: u32,
    pub cq_head: u32,
    pub cq_tail: u32,
    pub phase: bool,
}

impl Rings {
    pub fn next(&self, index: u32) -> u32 {
        (index + 1) % self.depth.max(1)
    }

    /// Whether a completion entry is free: the card never overwrites one that
    /// was not consumed.
    pub fn has_free_entry(&self) -> bool {
        self.next(self.cq_tail) != self.cq_head
    }
}

impl Queue {
    /// Whether it may go on in its current session.
    pub fn running(&self) -> bool {
        self.active && !self.stopping
    }

    /// Ends the current session; the thread's current command is aborted.
    fn stop(&mut self) {
        if self.active {
            self.stopping = true;
            if let Some(current) = &self.current {
                current.abort.store(true, Ordering::Release);
            }
        }
    }

    pub fn fail(&mut self, error: QueueError) {
        self.error = error as u32;
        self.dead = true;
        self.stop();
    }

    /// Ends a session that has nothing under way, and starts the next if enabled.
    /// Returns whether the queue failed to start.
    pub fn settle(&mut self, max_log2_depth: u32) -> bool {
        if self.busy {
            return false;
        }
        if self.stopping {
            self.stopping = false;
            self.active = false;
            self.current = None;
            self.abort_next = None;
        }
        if !self.enable {
            self.dead = false;
        }
        if !self.enable || self.active || self.dead {
            return false;
        }
        self.error = 0;
        if !(1..=max_log2_depth).contains(&self.log2_depth) {
            self.fail(QueueError::Doorbell);
            return true;
        }
        self.active = true;
        self.broken = None;
        self.rings = Rings {
            sq_base: self.sq_base,
            cq_base: self.cq_base,
            depth: 1 << self.log2_depth,
            phase: true,
            ..Rings::default()
        };
        false
    }
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub enable: bool,
    pub queues: [Queue; QUEUES],
    /// A function-level reset is under way.
    pub resetting: bool,
    /// The card is being dropped.
    pub shutdown: bool,
}

/// Asynchronous events that a register write caused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Effects {
    /// A queue stopped itself.
    pub queue_failed: bool,
}

impl State {
    /// Clears every enable: controller disable and reset.
    pub fn disable(&mut self, max_log2_depth: u32) {
        self.enable = false;
        for queue in &mut self.queues {
            queue.enable = false;
            queue.stop();
            queue.settle(max_log2_depth);
        }
    }

    /// Ready until every queue has stopped.
    fn ready(&self) -> bool {
        self.enable || self.queues.iter().any(|q| q.active)
    }

    /// A register, except the counters.
    pub fn read(&self, offset: u32, options: &ModelOptions) -> u32 {
        let low = |v: u64| v as u32;
        let high = |v: u64| (v >> 32) as u32;
        let bytes = |parts: [u8; 4]| u32::from_le_bytes(parts);
        match offset {
            reg::magic::OFFSET => reg::magic::RESET,
            reg::version::OFFSET => reg::version::RESET,
            reg::rdl_hash_lo::OFFSET => low(options.rdl_hash),
            reg::rdl_hash_hi::OFFSET => high(options.rdl_hash),
            reg::config::OFFSET => options.configuration,
            reg::cap_queues::OFFSET => bytes([super::IO_QUEUES, options.max_log2_depth, 0, 0]),
            reg::cap_mem_lo::OFFSET => low(options.memory_bytes),
            reg::cap_mem_hi::OFFSET => high(options.memory_bytes),
            reg::cap_msm::OFFSET => bytes([
                options.msm_max_window_bits,
                options.msm_windows,
                options.msm_adders,
                0,
            ]),
            reg::cap_ntt::OFFSET => bytes([options.ntt_max_log2n, options.ntt_butterflies, 0, 0]),
            reg::ctrl::OFFSET => u32::from(self.enable),
            reg::status::OFFSET => {
                let busy = self.queues.iter().any(|q| q.busy);
                let ready = reg::status::READY.set(0, self.ready().into());
                reg::status::BUSY.set(ready, busy.into())
            }
            _ => self.read_queue(offset),
        }
    }

    fn read_queue(&self, offset: u32) -> u32 {
        let find = |first: u32, stride: u32| {
            let queue = offset.checked_sub(first)? / stride;
            let queue = usize::try_from(queue).ok()?;
            self.queues
                .get(queue)
                .map(|q| (q, (offset - first) % stride))
        };
        // Doorbells read back what the card last took over.
        match find(reg::sq_tail::FIRST, reg::sq_tail::STRIDE) {
            Some((q, 0)) => return q.rings.sq_tail,
            Some((q, 4)) => return q.rings.cq_head,
            _ => {}
        }
        let Some((q, at)) = find(reg::queue_sq_base_lo::FIRST, reg::queue_sq_base_lo::STRIDE)
        else {
            return 0;
        };
        let base = reg::queue_sq_base_lo::FIRST;
        match at + base {
            reg::queue_sq_base_lo::FIRST => q.sq_base as u32,
            reg::queue_sq_base_hi::FIRST => (q.sq_base >> 32) as u32,
            reg::queue_cq_base_lo::FIRST => q.cq_base as u32,
            reg::queue_cq_base_hi::FIRST => (q.cq_base >> 32) as u32,
            reg::queue_log2_depth::FIRST => q.log2_depth,
            reg::queue_ctrl::FIRST => u32::from(q.enable),
            reg::queue_status::FIRST => {
                let active = reg::queue_status::ACTIVE.set(0, q.active.into());
                reg::queue_status::ERROR.set(active, q.error)
            }
            reg::queue_sq_head::FIRST => q.rings.sq_head,
            _ => 0,
        }
    }

    /// A write to a register.
    pub fn write(&mut self, offset: u32, value: u32, options: &ModelOptions) -> Effects {
        let max = u32::from(options.max_log2_depth);
        if offset == reg::ctrl::OFFSET {
            let enable = reg::ctrl::ENABLE.get(value) != 0;
            if self.enable && !enable {
                self.disable(max);
            }
            self.enable = enable;
            return Effects::default();
        }
        let doorbells =
            reg::sq_tail::FIRST..reg::sq_tail::FIRST + reg::sq_tail::STRIDE * QUEUES as u32;
        if doorbells.contains(&offset) {
            return self.doorbell(offset - reg::sq_tail::FIRST, value, max);
        }
        let Some(at) = offset.checked_sub(reg::queue_sq_base_lo::FIRST) else {
            return Effects::default();
        };
        let number = (at / reg::queue_sq_base_lo::STRIDE) as usize;
        let allowed = self.enable;
        let Some(q) = self.queues.get_mut(number) else {
            return Effects::default();
        };
        let set_low = |base: &mut u64| *base = *base & !0xffff_ffff | u64::from(value & !63);
        let set_high = |base: &mut u64| *base = *base & 0xffff_ffff | u64::from(value) << 32;
        match at % reg::queue_sq_base_lo::STRIDE + reg::queue_sq_base_lo::FIRST {
            reg::queue_sq_base_lo::FIRST => set_low(&mut q.sq_base),
            reg::queue_sq_base_hi::FIRST => set_high(&mut q.sq_base),
            reg::queue_cq_base_lo::FIRST => set_low(&mut q.cq_base),
            reg::queue_cq_base_hi::FIRST => set_high(&mut q.cq_base),
            reg::queue_log2_depth::FIRST => {
                q.log2_depth = reg::queue_log2_depth::LOG2_DEPTH.get(value);
            }
            reg::queue_ctrl::FIRST => {
                let enable = allowed && reg::queue_ctrl::ENABLE.get(value) != 0;
                if q.enable && !enable {
                    q.stop();
                }
                q.enable = enable;
                return Effects {
                    queue_failed: q.settle(max),
                };
            }
            _ => {}
        }
        Effects::default()
    }

    fn doorbell(&mut self, at: u32, value: u32, max_log2_depth: u32) -> Effects {
        let number = (at / reg::sq_tail::STRIDE) as usize;
        let Some(q) = self.queues.get_mut(number).filter(|q| q.running()) else {
            return Effects::default();
        };
        if value >= q.rings.depth {
            q.fail(QueueError::Doorbell);
            q.settle(max_log2_depth);
            return Effects { queue_failed: true };
        }
        match at % reg::sq_tail::STRIDE {
            0 => q.rings.sq_tail = value,
            4 => q.rings.cq_head = value,
            _ => {}
        }
        Effects::default()
    }
}
