//! A block under test. The only module that calls the Verilated C++ (through the shims that
//! `carillon-verilate` generates for `build.rs`).
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_void};
use std::marker::PhantomData;

/// Which implementation of the arithmetic a model contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// DPI on blst, `hdl/sim`.
    Fast,
    /// The gateware, `hdl/rtl`.
    Structural,
}

impl View {
    /// Both, for tests that run on each.
    pub const BOTH: [Self; 2] = [Self::Fast, Self::Structural];

    fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Structural => "structural",
        }
    }
}

/// `struct carillon_port` of the generated shim.
#[repr(C)]
struct RawPort {
    name: *const c_char,
    data: *mut c_void,
    bytes: usize,
    output: bool,
}

/// One model's entry points.
struct Functions {
    top: &'static str,
    view: &'static str,
    create: unsafe extern "C" fn() -> *mut c_void,
    destroy: unsafe extern "C" fn(*mut c_void),
    eval: unsafe extern "C" fn(*mut c_void),
    port: unsafe extern "C" fn(*mut c_void, usize, *mut RawPort) -> bool,
}

// Declares the models' C functions and lists them in `MODELS`.
include!(concat!(env!("OUT_DIR"), "/models.rs"));

struct Port {
    data: *mut u8,
    bytes: usize,
    output: bool,
}

/// A block under test with a clock `clk_i` and a reset `rst_ni`.
pub struct Dut {
    handle: *mut c_void,
    functions: &'static Functions,
    ports: BTreeMap<String, Port>,
    cycle: u64,
    // A model may only be used by one thread at a time, and nothing needs to move one.
    _not_send: PhantomData<*mut c_void>,
}

impl Dut {
    /// A fresh instance of `top`, reset. Panics if `build.rs` does not list it.
    #[must_use]
    pub fn new(top: &str, view: View) -> Self {
        let Some(functions) = MODELS
            .iter()
            .find(|model| model.top == top && model.view == view.name())
        else {
            panic!(
                "no model of {top} in the {} view; add it to hdl/tests/build.rs",
                view.name()
            );
        };
        // SAFETY: `create` takes nothing and returns an owned instance, freed in `drop`.
        let handle = unsafe { (functions.create)() };
        let mut ports = BTreeMap::new();
        for index in 0.. {
            let mut raw = RawPort {
                name: std::ptr::null(),
                data: std::ptr::null_mut(),
                bytes: 0,
                output: false,
            };
            // SAFETY: `handle` came from this model's `create`; `raw` is valid for writes and matches
            // the shim's struct.
            if !unsafe { (functions.port)(handle, index, &raw mut raw) } {
                break;
            }
            // SAFETY: the shim returned true, so `name` is one of its string literals.
            let name = unsafe { CStr::from_ptr(raw.name) };
            ports.insert(
                name.to_string_lossy().into_owned(),
                Port {
                    data: raw.data.cast(),
                    bytes: raw.bytes,
                    output: raw.output,
                },
            );
        }
        let mut dut = Self {
            handle,
            functions,
            ports,
            cycle: 0,
            _not_send: PhantomData,
        };
        dut.reset();
        dut
    }

    /// Holds the reset for two cycles and restarts the cycle count.
    pub fn reset(&mut self) {
        self.set_u64("rst_ni", 0);
        self.step();
        self.step();
        self.set_u64("rst_ni", 1);
        self.eval();
        self.cycle = 0;
    }

    /// Rising edges since the reset.
    #[must_use]
    pub fn cycle(&self) -> u64 {
        self.cycle
    }

    /// One clock cycle: what was set before is sampled at the rising edge, and outputs afterwards are
    /// those of the next cycle. Outputs that depend on inputs in the same cycle need [`Self::eval`].
    pub fn step(&mut self) {
        self.set_u64("clk_i", 0);
        self.eval();
        self.set_u64("clk_i", 1);
        self.eval();
        self.cycle += 1;
    }

    /// Settles combinational logic without a clock edge.
    pub fn eval(&mut self) {
        // SAFETY: `handle` came from this model's `create` and is not freed before `drop`.
        unsafe { (self.functions.eval)(self.handle) }
    }

    /// Sets an input from little-endian bytes; missing high bytes are zero.
    pub fn set(&mut self, name: &str, value: &[u8]) {
        let port = self.find(name);
        assert!(!port.output, "{name} is an output");
        assert!(
            value.len() <= port.bytes,
            "{name} holds {} bytes, not {}",
            port.bytes,
            value.len()
        );
        // SAFETY: the port is `bytes` long, lives as long as the model, and no reference to it exists
        // while the model is not being evaluated.
        let place = unsafe { std::slice::from_raw_parts_mut(port.data, port.bytes) };
        place.fill(0);
        place[..value.len()].copy_from_slice(value);
    }

    /// Sets an input of at most 64 bits.
    pub fn set_u64(&mut self, name: &str, value: u64) {
        let bytes = value.to_le_bytes();
        let width = self.find(name).bytes.min(bytes.len());
        assert!(
            bytes[width..].iter().all(|byte| *byte == 0),
            "{value:#x} does not fit in {name}"
        );
        self.set(name, &bytes[..width]);
    }

    /// A port's value, little-endian.
    #[must_use]
    pub fn get(&self, name: &str) -> Vec<u8> {
        let port = self.find(name);
        // SAFETY: as in `set`.
        unsafe { std::slice::from_raw_parts(port.data, port.bytes) }.to_vec()
    }

    /// The low 64 bits of a port.
    #[must_use]
    pub fn get_u64(&self, name: &str) -> u64 {
        self.get(name)
            .iter()
            .take(8)
            .rev()
            .fold(0, |value, byte| value << 8 | u64::from(*byte))
    }

    fn find(&self, name: &str) -> &Port {
        let Some(port) = self.ports.get(name) else {
            let names: Vec<_> = self.ports.keys().collect();
            panic!(
                "{} has no port {name}; it has {names:?}",
                self.functions.top
            );
        };
        port
    }
}

impl Drop for Dut {
    fn drop(&mut self) {
        // SAFETY: `handle` came from this model's `create` and is freed once.
        unsafe { (self.functions.destroy)(self.handle) }
    }
}
