//! The Verilated model behind its C functions (`shim/card.h`). The only unsafe
//! code of the Verilated card; called by `thread.rs` on the card's own thread.
#![allow(unsafe_code)]

// The fast arithmetic view calls blst from C++ (hdl/sim/dpi).
use blst as _;
use std::ffi::{CString, c_char, c_void};
use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;

use super::shared::Shared;
use super::{RtlError, RtlOptions, View};
use crate::faults::{Bus, MemoryFault};

/// Bytes of card memory: `CardMemBytes` of the `sim` configuration.
pub(super) const MEMORY_BYTES: usize = 0x1000_0000;

/// `carillon_rtl_options` of the shim.
#[repr(C)]
struct RawOptions {
    backpressure: u8,
    host_latency: u32,
    memory_latency: u32,
    seed: u64,
    memory: *mut u8,
    memory_bytes: u64,
    attention: *const u8,
    trace: *const c_char,
    trace_waits: u8,
    context: *mut c_void,
    host_read: extern "C" fn(*mut c_void, u64, *mut u8, usize) -> bool,
    host_write: extern "C" fn(*mut c_void, u64, *const u8, usize) -> bool,
    interrupt: extern "C" fn(*mut c_void, u32),
}

/// `carillon_rtl_fault` of the shim.
#[repr(C)]
struct RawFault {
    address: u64,
    bytes: u64,
    reads: u8,
    writes: u8,
}

unsafe extern "C" {
    fn carillon_rtl_create_fast(options: *const RawOptions) -> *mut c_void;
    #[cfg(feature = "rtl-structural")]
    fn carillon_rtl_create_structural(options: *const RawOptions) -> *mut c_void;
    fn carillon_rtl_destroy(card: *mut c_void);
    fn carillon_rtl_reset(card: *mut c_void);
    fn carillon_rtl_read(card: *mut c_void, offset: u32) -> u32;
    fn carillon_rtl_write(card: *mut c_void, offset: u32, value: u32);
    fn carillon_rtl_run(card: *mut c_void, cycles: u64) -> bool;
    fn carillon_rtl_fault_memory(card: *mut c_void, fault: *const RawFault);
    fn carillon_rtl_stray_response(card: *mut c_void, bus: u8);
    fn carillon_rtl_trace(card: *mut c_void, on: bool);
    fn carillon_rtl_cycles(card: *const c_void) -> u64;
}

/// The card reads host memory.
extern "C" fn host_read(context: *mut c_void, address: u64, out: *mut u8, bytes: usize) -> bool {
    // SAFETY: `context` is the `Shared` that `Model` keeps alive; `out` is the
    // shim's buffer of `bytes` bytes, used by nobody else during the call.
    let (shared, out) = unsafe {
        (
            &*context.cast::<Shared>(),
            std::slice::from_raw_parts_mut(out, bytes),
        )
    };
    shared.dma.read(address, out).is_ok()
}

/// The card writes host memory.
extern "C" fn host_write(
    context: *mut c_void,
    address: u64,
    data: *const u8,
    bytes: usize,
) -> bool {
    // SAFETY: as in `host_read`; `data` is a port of the model, not written
    // during the call.
    let (shared, data) = unsafe {
        (
            &*context.cast::<Shared>(),
            std::slice::from_raw_parts(data, bytes),
        )
    };
    shared.dma.write(address, data).is_ok()
}

/// The card requests interrupts.
extern "C" fn interrupt(context: *mut c_void, vectors: u32) {
    // SAFETY: as in `host_read`.
    let shared = unsafe { &*context.cast::<Shared>() };
    for (vector, line) in shared.lines.iter().enumerate() {
        if vectors >> vector & 1 == 1 {
            shared.dma.faults().raise(vector as u16, line);
        }
    }
}

/// A Verilated card with its memory.
pub(super) struct Model {
    handle: *mut c_void,
    // Freed after `handle`, which holds pointers into both.
    memory: *mut [u8],
    _shared: Arc<Shared>,
    // Stays on the thread that made it.
    _not_send: PhantomData<*mut c_void>,
}

impl Model {
    /// Builds and resets a card.
    ///
    /// # Errors
    /// [`RtlError::NotBuilt`] for a view or a trace this program lacks,
    /// [`RtlError::Trace`] when the trace file cannot be written.
    pub(super) fn new(options: &RtlOptions, shared: Arc<Shared>) -> Result<Self, RtlError> {
        let create = match options.view {
            View::Fast => carillon_rtl_create_fast,
            #[cfg(feature = "rtl-structural")]
            View::Structural => carillon_rtl_create_structural,
            #[cfg(not(feature = "rtl-structural"))]
            View::Structural => {
                return Err(RtlError::NotBuilt {
                    what: "the structural view",
                    feature: "rtl-structural",
                });
            }
        };
        let trace = options.trace.as_deref().map(trace_path).transpose()?;
        // The system hands out zero pages on first touch: untouched memory costs nothing.
        let memory = Box::into_raw(vec![0_u8; MEMORY_BYTES].into_boxed_slice());
        let raw = RawOptions {
            backpressure: options.backpressure.min(90),
            host_latency: options.host_latency,
            memory_latency: options.memory_latency,
            seed: options.seed,
            memory: memory.cast(),
            memory_bytes: MEMORY_BYTES as u64,
            attention: shared.attention.as_ptr().cast_const(),
            trace: trace.as_ref().map_or(std::ptr::null(), |t| t.as_ptr()),
            trace_waits: options.trace_waits.into(),
            context: Arc::as_ptr(&shared).cast_mut().cast(),
            host_read,
            host_write,
            interrupt,
        };
        // SAFETY: `raw` and what it points to are valid: `memory` and `shared`
        // live until `drop`, after the card; the trace's name is only read here.
        let handle = unsafe { create(&raw const raw) };
        let model = Self {
            handle,
            memory,
            _shared: shared,
            _not_send: PhantomData,
        };
        if handle.is_null() {
            return Err(RtlError::Trace {
                path: options.trace.clone().unwrap_or_default(),
            });
        }
        Ok(model)
    }

    /// Back to power-on, nothing under way.
    pub(super) fn reset(&mut self) {
        // SAFETY: `handle` is a live card, used by this thread alone; so below.
        unsafe { carillon_rtl_reset(self.handle) }
    }

    /// Reads a register; all ones when the card does not answer.
    pub(super) fn read(&mut self, offset: u32) -> u32 {
        // SAFETY: see `reset`.
        unsafe { carillon_rtl_read(self.handle, offset) }
    }

    /// Writes a register.
    pub(super) fn write(&mut self, offset: u32, value: u32) {
        // SAFETY: see `reset`.
        unsafe { carillon_rtl_write(self.handle, offset, value) }
    }

    /// Runs until the card sleeps (true), for `cycles`, or until attention is
    /// asked for.
    pub(super) fn run(&mut self, cycles: u64) -> bool {
        // SAFETY: see `reset`; the callbacks only use `Shared`.
        unsafe { carillon_rtl_run(self.handle, cycles) }
    }

    /// Makes accesses to some card memory fail, or none.
    pub(super) fn fault_memory(&mut self, fault: Option<&MemoryFault>) {
        let raw = fault.map_or(
            RawFault {
                address: 0,
                bytes: 0,
                reads: 0,
                writes: 0,
            },
            |f| RawFault {
                address: f.address,
                bytes: f.bytes,
                reads: f.reads.into(),
                writes: f.writes.into(),
            },
        );
        // SAFETY: see `reset`; `raw` is copied during the call.
        unsafe { carillon_rtl_fault_memory(self.handle, &raw const raw) }
    }

    /// Sends the card a bus answer that it never asked for.
    pub(super) fn stray_response(&mut self, bus: Bus) {
        // SAFETY: see `reset`.
        unsafe { carillon_rtl_stray_response(self.handle, bus as u8) }
    }

    /// Switches the trace on or off.
    pub(super) fn trace(&mut self, on: bool) {
        // SAFETY: see `reset`.
        unsafe { carillon_rtl_trace(self.handle, on) }
    }

    /// Clock cycles since creation.
    pub(super) fn cycles(&self) -> u64 {
        // SAFETY: see `reset`.
        unsafe { carillon_rtl_cycles(self.handle) }
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        if !self.handle.is_null() {
            // SAFETY: made by `create`, destroyed once.
            unsafe { carillon_rtl_destroy(self.handle) }
        }
        // SAFETY: came from `Box::into_raw`; the card that used it is gone.
        drop(unsafe { Box::from_raw(self.memory) });
    }
}

/// The trace's path for the shim.
fn trace_path(path: &Path) -> Result<CString, RtlError> {
    if !cfg!(feature = "rtl-trace") {
        return Err(RtlError::NotBuilt {
            what: "tracing",
            feature: "rtl-trace",
        });
    }
    CString::new(path.as_os_str().as_encoded_bytes()).map_err(|_| RtlError::Trace {
        path: path.to_path_buf(),
    })
}
