//! The functional card: the contract in Rust, without time.
//!
//! [`ModelCard`] behaves as `hdl/doc/contract.md` says, register by register
//! and command by command, and computes with blst. It is what the driver and
//! the runtime are developed and tested on when the gateware's cycles do not
//! matter; `sim/tests/model_vs_rtl.rs` holds it against the gateware.
//!
//! **It does not simulate time.** The cycle counter, `cycles`, the bubbles and
//! the number of MSM additions read 0, since they would be inventions.
//!
//! ```text
//!  Transport -> state.rs (registers, under one lock) <- queue.rs (a thread per queue)
//!                                                          |  validate.rs, execute.rs
//!                               DmaSpace, CardMemory  <----+->  arith.rs, msm.rs, group.rs (blst)
//! ```

mod arith;
mod counters;
mod execute;
mod faults;
mod group;
mod msm;
mod queue;
mod state;
mod validate;
mod windows;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use carillon_driver::claim::{Claim, ClaimSlot};
use carillon_driver::memory::HostMemory;
use carillon_driver::registers as reg;
use carillon_driver::transport::{
    Direction, InterruptLine, Transport, TransportError, TransportEvent,
};
use tokio::sync::broadcast;

use self::counters::Counters;
use self::state::State;
pub use crate::faults::Hang;
use crate::faults::MemoryFault;
use crate::memory::{CardMemory, DmaSpace};

/// I/O queues of the card.
const IO_QUEUES: u8 = 2;
/// Queues, the admin queue included.
const QUEUES: usize = IO_QUEUES as usize + 1;
/// How long a reset waits for the threads.
const RESET_LIMIT: Duration = Duration::from_secs(2);

/// What a functional card claims to be. The default has all commands and is
/// otherwise the gateware's configuration `sim`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelOptions {
    /// Register map identity that it reports.
    pub rdl_hash: u64,
    /// Number of the configuration that it reports.
    pub configuration: u32,
    /// Card memory in bytes, a multiple of 64.
    pub memory_bytes: u64,
    /// Largest log2 of a queue's depth.
    pub max_log2_depth: u8,
    /// Largest MSM window in bits.
    pub msm_max_window_bits: u8,
    /// MSM windows in flight that it reports.
    pub msm_windows: u8,
    /// Point adders that it reports.
    pub msm_adders: u8,
    /// Whether it has `MSM_G2`.
    pub msm_g2: bool,
    /// Whether it has `FILL`.
    pub fill: bool,
    /// Whether it has the flag `LINK`.
    pub link: bool,
    /// Largest log2 of a transform's length.
    pub ntt_max_log2n: u8,
    /// Butterflies a cycle that it reports.
    pub ntt_butterflies: u8,
}

impl Default for ModelOptions {
    fn default() -> Self {
        Self {
            rdl_hash: reg::RDL_HASH,
            configuration: 0,
            memory_bytes: 1 << 28,
            max_log2_depth: 10,
            msm_max_window_bits: 13,
            msm_windows: 16,
            msm_adders: 1,
            msm_g2: true,
            fill: true,
            link: true,
            ntt_max_log2n: 20,
            ntt_butterflies: 10,
        }
    }
}

#[derive(Debug)]
struct Memory {
    card: CardMemory,
    fault: Option<MemoryFault>,
}

impl Memory {
    fn faulty(&self, address: u64, bytes: u64, write: bool) -> bool {
        self.fault.is_some_and(|f| f.hits(address, bytes, write))
    }
}

#[derive(Debug)]
struct Core {
    options: ModelOptions,
    state: Mutex<State>,
    changed: Condvar,
    dma: DmaSpace,
    memory: RwLock<Memory>,
    counters: Counters,
    lines: Vec<Arc<InterruptLine>>,
    hang: Mutex<Option<(usize, Hang)>>,
    /// Times that the card was healed: a command that hangs goes on.
    healed: AtomicU64,
    gone: AtomicBool,
}

/// A functional card. Dropping it ends its threads.
#[derive(Debug)]
pub struct ModelCard {
    core: Arc<Core>,
    events: broadcast::Sender<TransportEvent>,
    claims: ClaimSlot,
    threads: Vec<JoinHandle<()>>,
}

impl ModelCard {
    /// A card as after power-on.
    ///
    /// # Errors
    /// The system's, when it refuses a thread.
    pub fn new(options: ModelOptions) -> std::io::Result<Self> {
        let memory = CardMemory::new(usize::try_from(options.memory_bytes).unwrap_or(usize::MAX));
        let core = Arc::new(Core {
            options,
            state: Mutex::default(),
            changed: Condvar::new(),
            dma: DmaSpace::default(),
            memory: RwLock::new(Memory {
                card: memory,
                fault: None,
            }),
            counters: Counters::default(),
            lines: (0..=QUEUES).map(|_| Arc::default()).collect(),
            hang: Mutex::new(None),
            healed: AtomicU64::new(0),
            gone: AtomicBool::new(false),
        });
        let mut card = Self {
            core,
            events: broadcast::channel(16).0,
            claims: ClaimSlot::default(),
            threads: Vec::new(),
        };
        for number in 0..QUEUES {
            let core = Arc::clone(&card.core);
            let thread = std::thread::Builder::new()
                .name(format!("carillon-model-{number}"))
                .spawn(move || core.serve(number))?;
            card.threads.push(thread);
        }
        Ok(card)
    }

    /// The host memory that it reaches; for fault injection.
    pub fn dma(&self) -> &DmaSpace {
        &self.core.dma
    }

    /// Makes accesses to some card memory fail from now on; `None` heals it.
    pub fn fault_memory(&self, fault: Option<MemoryFault>) {
        self.core
            .memory
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .fault = fault;
    }

    /// Makes the next command of queue `number` stand still.
    pub fn hang(&self, number: usize, hang: Hang) {
        *self
            .core
            .hang
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some((number, hang));
    }

    /// Takes the card off the bus: registers read all ones, no access reaches
    /// memory any more. Returns whether it was there.
    pub fn unplug(&self) -> bool {
        if self.core.gone.swap(true, Ordering::AcqRel) {
            return false;
        }
        self.core
            .lock()
            .disable(self.core.options.max_log2_depth.into());
        self.core.changed.notify_all();
        // An error only means that there is no receiver.
        drop(self.events.send(TransportEvent::Removed));
        true
    }

    fn present(&self) -> Result<(), TransportError> {
        if self.core.gone.load(Ordering::Acquire) {
            return Err(TransportError::Gone {
                transport: self.describe(),
            });
        }
        Ok(())
    }
}

impl Transport for ModelCard {
    fn describe(&self) -> String {
        "sim:model".into()
    }

    fn read32(&self, offset: u32) -> u32 {
        if self.present().is_err() {
            return u32::MAX;
        }
        match self.core.counters.read(offset) {
            Some(half) => half,
            None => {
                let value = self.core.lock().read(offset, &self.core.options);
                self.core.dma.faults().register(offset, value)
            }
        }
    }

    fn write32(&self, offset: u32, value: u32) {
        if self.present().is_err() {
            return;
        }
        self.core.dma.faults().written(offset, value);
        let effects = self.core.lock().write(offset, value, &self.core.options);
        self.core.changed.notify_all();
        if effects.queue_failed {
            self.core.asynchronous();
        }
    }

    fn map(&self, memory: Arc<HostMemory>, direction: Direction) -> Result<u64, TransportError> {
        self.present()?;
        self.core.dma.map(memory, direction)
    }

    fn unmap(&self, iova: u64) -> Result<(), TransportError> {
        self.core.dma.unmap(iova)
    }

    fn interrupt(&self, vector: u16) -> Result<Arc<InterruptLine>, TransportError> {
        let count = self.core.lines.len() as u16;
        let line = self.core.lines.get(usize::from(vector));
        line.map(Arc::clone)
            .ok_or(TransportError::Vector { vector, count })
    }

    fn reset(&self) -> Result<(), TransportError> {
        self.present()?;
        self.core.dma.faults().reset()?;
        self.power_on()
    }

    fn claim(&self) -> Result<Claim, TransportError> {
        Ok(self.claims.take(&self.describe())?)
    }

    fn events(&self) -> broadcast::Receiver<TransportEvent> {
        self.events.subscribe()
    }
}

impl ModelCard {
    /// Ends what is under way; then everything is as after power-on.
    fn power_on(&self) -> Result<(), TransportError> {
        let core = &self.core;
        let max = u32::from(core.options.max_log2_depth);
        let end = Instant::now() + RESET_LIMIT;
        let mut state = core.lock();
        state.resetting = true;
        state.disable(max);
        core.changed.notify_all();
        while state.queues.iter().any(|q| q.active) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.resetting = false;
                return Err(TransportError::Reset {
                    cause: "a command does not end".into(),
                });
            }
            state = core
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        *state = State::default();
        core.counters.clear();
        let mut memory = core.memory.write().unwrap_or_else(PoisonError::into_inner);
        // Undefined by contract; zeros here.
        let bytes = memory.card.len();
        memory.card = CardMemory::new(usize::try_from(bytes).unwrap_or(usize::MAX));
        Ok(())
    }
}

impl Drop for ModelCard {
    fn drop(&mut self) {
        {
            let mut state = self.core.lock();
            state.disable(self.core.options.max_log2_depth.into());
            state.shutdown = true;
        }
        self.core.changed.notify_all();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the functional card panicked");
            }
        }
    }
}

#[cfg(test)]
mod tests;
