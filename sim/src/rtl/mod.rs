//! The Verilated card: the gateware itself behind the driver's [`Transport`].
//!
//! [`RtlCard`] runs the translated SystemVerilog on a thread of its own, which
//! sleeps while the card has nothing to do. Host memory is the transport's
//! [`DmaSpace`], reached burst by burst with latency,
//! stalls and bus errors; card memory lies beside the model. `shim/` is the C++
//! that steps the clock, `model.rs` calls it, `thread.rs` owns it, and `shared.rs`
//! is how everybody else reaches that thread.
//!
//! Features: `rtl` builds it, `rtl-structural` adds the structural arithmetic
//! view (equal in value and in cycles, hundreds of times slower), `rtl-trace`
//! allows a VCD file.

mod faults;
mod model;
mod shared;
mod thread;

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use carillon_driver::claim::{Claim, ClaimSlot};
use carillon_driver::memory::HostMemory;
use carillon_driver::registers;
use carillon_driver::transport::{
    Direction, InterruptLine, Transport, TransportError, TransportEvent,
};
use tokio::sync::broadcast;

use self::model::Model;
use self::shared::{Request, Shared};
pub use crate::faults::{Bus, MemoryFault};
use crate::memory::DmaSpace;

/// Interrupt vectors: the admin queue, two I/O queues, asynchronous events.
const VECTORS: u16 = 4;
/// Longest wait for the card's thread. A register access takes a few cycles;
/// only a machine that stands still reaches this.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which implementation of the arithmetic the card is built from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// One call of blst per operation: for whole proofs.
    #[default]
    Fast,
    /// The gateware's own multipliers: for small runs.
    Structural,
}

/// How to build a [`RtlCard`].
#[derive(Clone, Debug)]
pub struct RtlOptions {
    /// Arithmetic view.
    pub view: View,
    /// Card clock cycles from a request on the host bus to its answer.
    pub host_latency: u32,
    /// Card clock cycles from a request to card memory to its answer.
    pub memory_latency: u32,
    /// Percent of cycles in which a bus stalls, 0 to 90. Above 0, answers of
    /// different IDs also come out of order.
    pub backpressure: u8,
    /// Seed of the stalls.
    pub seed: u64,
    /// VCD file to write (feature `rtl-trace`). Grows by kilobytes a cycle.
    pub trace: Option<PathBuf>,
    /// The VCD file begins only with [`RtlCard::trace`].
    pub trace_waits: bool,
}

impl Default for RtlOptions {
    /// Fast view; latencies of a PCIe slot and of DDR4 at 250 MHz; no stalls.
    fn default() -> Self {
        Self {
            view: View::Fast,
            host_latency: 200,
            memory_latency: 48,
            backpressure: 0,
            seed: 1,
            trace: None,
            trace_waits: false,
        }
    }
}

/// Why a Verilated card could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RtlError {
    /// Something that this program was built without.
    #[error("{what} was not built in: build with the feature `{feature}`")]
    NotBuilt {
        /// What is missing.
        what: &'static str,
        /// The Cargo feature that adds it.
        feature: &'static str,
    },
    /// The trace file cannot be written.
    #[error("cannot write the trace {path}: choose a path in a writable folder")]
    Trace {
        /// The file.
        path: PathBuf,
    },
    /// The system refused a thread.
    #[error("cannot start the simulation's thread: {0}; free memory and try again")]
    Thread(#[from] std::io::Error),
    /// The model is another card than this program knows.
    #[error(
        "the Verilated card reports {found} bytes of memory, this program gives it {given}; build the sim crate anew"
    )]
    Memory {
        /// What the card reports.
        found: u64,
        /// What it was given.
        given: u64,
    },
    /// The thread ended before the card was ready.
    #[error("the simulation ended while it started; this is a defect, run it with a debugger")]
    Ended,
}

/// How much was simulated, and how fast.
#[derive(Clone, Copy, Debug, Default)]
pub struct Simulated {
    /// Card clock cycles.
    pub cycles: u64,
    /// Time that the clock ran; the rest of the time the card slept.
    pub running: Duration,
}

impl Simulated {
    /// Cycles a second while the clock ran.
    #[must_use]
    pub fn cycles_per_second(self) -> f64 {
        self.cycles as f64 / self.running.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// A Verilated card. Dropping it stops the simulation.
#[derive(Debug)]
pub struct RtlCard {
    options: RtlOptions,
    shared: Arc<Shared>,
    events: broadcast::Sender<TransportEvent>,
    claims: ClaimSlot,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl RtlCard {
    /// Builds a card and starts its thread. The card is as after power-on.
    ///
    /// # Errors
    /// [`RtlError`]: view or trace not built in, trace not writable, no thread.
    pub fn new(options: RtlOptions) -> Result<Self, RtlError> {
        let shared = Arc::new(Shared::new(VECTORS));
        let thread = Self::start(options.clone(), &shared)?;
        Ok(Self {
            options,
            shared,
            events: broadcast::channel(16).0,
            claims: ClaimSlot::default(),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Builds the model on a thread of its own, as after power-on.
    fn start(options: RtlOptions, shared: &Arc<Shared>) -> Result<JoinHandle<()>, RtlError> {
        let theirs = Arc::clone(shared);
        let (ready, started) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("carillon-rtl".into())
            .spawn(move || match checked(&options, &theirs) {
                Ok(model) => {
                    drop(ready.send(Ok(())));
                    thread::run(model, &theirs);
                }
                Err(e) => drop(ready.send(Err(e))),
            })?;
        started.recv().unwrap_or(Err(RtlError::Ended))?;
        Ok(thread)
    }

    /// Cycles simulated so far and the time they took. Brought up to date every
    /// few milliseconds while the card works, and whenever it falls asleep.
    #[must_use]
    pub fn simulated(&self) -> Simulated {
        Simulated {
            cycles: self.shared.cycles.load(Ordering::Relaxed),
            running: Duration::from_nanos(self.shared.nanos.load(Ordering::Relaxed)),
        }
    }

    /// The host memory that it reaches; for fault injection.
    #[must_use]
    pub fn dma(&self) -> &DmaSpace {
        &self.shared.dma
    }

    /// Makes accesses to some card memory fail from now on; `None` heals it.
    pub fn fault_memory(&self, fault: Option<MemoryFault>) {
        self.call(|reply| Request::Fault { fault, reply });
    }

    /// Sends the card an answer on `bus` that it never asked for. The card must be idle.
    pub fn stray_response(&self, bus: Bus) {
        self.call(|reply| Request::Stray { bus, reply });
    }

    /// Switches the trace on or off, in order with the register accesses around
    /// it. Returns the clock cycle: cycle n is at the times 2n and 2n + 1 of the
    /// VCD file. `None` from a card that is gone; without a file only the cycle.
    pub fn trace(&self, on: bool) -> Option<u64> {
        self.call(|reply| Request::Trace { on, reply })
    }

    /// Takes the card off the bus, as if it had been unplugged: registers read
    /// all ones, nothing it began reaches memory any more. Returns whether it
    /// was there.
    pub fn unplug(&self) -> bool {
        let was_there = !self.shared.gone.swap(true, Ordering::AcqRel);
        if was_there {
            self.stop();
            // An error only means that there is no receiver.
            drop(self.events.send(TransportEvent::Removed));
        }
        was_there
    }

    /// Sends a request and waits for the answer; none from a card that is gone.
    fn call<T>(&self, request: impl FnOnce(SyncSender<T>) -> Request) -> Option<T> {
        if self.is_gone() {
            return None;
        }
        let (reply, answer) = sync_channel(1);
        self.shared.send(request(reply));
        answer.recv_timeout(PATIENCE).ok()
    }

    fn is_gone(&self) -> bool {
        self.shared.gone.load(Ordering::Acquire)
    }

    fn present(&self) -> Result<(), TransportError> {
        if self.is_gone() {
            return Err(TransportError::Gone {
                transport: self.describe(),
            });
        }
        Ok(())
    }

    fn stop(&self) {
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            self.shared.send(Request::Stop);
            if thread.join().is_err() {
                tracing::error!("the simulation's thread panicked");
            }
        }
    }
}

/// A model that has the memory this program gives it.
fn checked(options: &RtlOptions, shared: &Arc<Shared>) -> Result<Model, RtlError> {
    let mut model = Model::new(options, Arc::clone(shared))?;
    let low = model.read(registers::cap_mem_lo::OFFSET);
    let high = model.read(registers::cap_mem_hi::OFFSET);
    let found = u64::from(high) << 32 | u64::from(low);
    let given = model::MEMORY_BYTES as u64;
    if found != given {
        return Err(RtlError::Memory { found, given });
    }
    Ok(model)
}

impl Transport for RtlCard {
    fn describe(&self) -> String {
        "sim:rtl".into()
    }

    fn read32(&self, offset: u32) -> u32 {
        let value = self.call(|reply| Request::Read { offset, reply });
        value.map_or(u32::MAX, |v| self.dma().faults().register(offset, v))
    }

    fn write32(&self, offset: u32, value: u32) {
        if !self.is_gone() {
            self.dma().faults().written(offset, value);
            self.shared.send(Request::Write { offset, value });
        }
    }

    fn map(&self, memory: Arc<HostMemory>, direction: Direction) -> Result<u64, TransportError> {
        self.present()?;
        self.shared.dma.map(memory, direction)
    }

    fn unmap(&self, iova: u64) -> Result<(), TransportError> {
        self.shared.dma.unmap(iova)
    }

    fn interrupt(&self, vector: u16) -> Result<Arc<InterruptLine>, TransportError> {
        self.shared
            .lines
            .get(usize::from(vector))
            .map(Arc::clone)
            .ok_or(TransportError::Vector {
                vector,
                count: VECTORS,
            })
    }

    fn reset(&self) -> Result<(), TransportError> {
        self.present()?;
        self.dma().faults().reset()?;
        self.call(|reply| Request::Reset { reply })
            .ok_or_else(|| TransportError::Reset {
                cause: "the simulation did not answer".into(),
            })
    }

    fn claim(&self) -> Result<Claim, TransportError> {
        Ok(self.claims.take(&self.describe())?)
    }

    fn events(&self) -> broadcast::Receiver<TransportEvent> {
        self.events.subscribe()
    }
}

impl Drop for RtlCard {
    fn drop(&mut self) {
        self.stop();
    }
}
