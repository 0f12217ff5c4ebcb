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
    /// The gateware with leaves in vendor cells, `hdl/syn`; few blocks.
    Cells,
}

impl View {
    /// Both views of every arithmetic block, for tests that run on each.
    pub const BOTH: [Self; 2] = [Self::Fast, Self::Structural];
    /// All views of the Fp multiplier.
    pub const ALL: [Self; 3] = [Self::Fast, Self::Structural, Self::Cells];

    fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Structural => "structural",
            Self::Cells => "cells",
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
    model: &'static str,
    view: &'static str,
    create: unsafe extern "C" fn() -> *mut c_void,
    destroy: unsafe extern "C" fn(*mut c_void),
    eval: unsafe extern "C" fn(*mut c_void),
    port: unsafe extern "C" fn(*mut c_void, usize, *mut RawPort) -> bool,
}

// Declares the models' C functions and lists them in `MODELS`.
include!(concat!(env!("OUT_DIR"), "/models.rs"));

struct Place {
    name: String,
    data: *mut u8,
    bytes: usize,
    output: bool,
}

/// A port of one [`Dut`], looked up once: what runs every cycle reaches its ports by these.
#[derive(Clone, Copy, Debug)]
pub struct Port(usize);

/// A block under test with a clock `clk_i` and a reset `rst_ni`.
pub struct Dut {
    handle: *mut c_void,
    functions: &'static Functions,
    places: Vec<Place>,
    ports: BTreeMap<String, Port>,
    clock: Port,
    cycle: u64,
    // A model may only be used by one thread at a time, and nothing needs to move one.
    _not_send: PhantomData<*mut c_void>,
}

impl Dut {
    /// A fresh instance of `name`, reset. Panics if `build.rs` does not list it.
    #[must_use]
    pub fn new(name: &str, view: View) -> Self {
        let Some(functions) = MODELS
            .iter()
            .find(|model| model.model == name && model.view == view.name())
        else {
            panic!(
                "no model {name} in the {} view; add it to hdl/tests/build.rs",
                view.name()
            );
        };
        // SAFETY: `create` takes nothing and returns an owned instance, freed in `drop`.
        let handle = unsafe { (functions.create)() };
        let (mut places, mut ports) = (Vec::new(), BTreeMap::new());
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
            let name = name.to_string_lossy().into_owned();
            ports.insert(name.clone(), Port(places.len()));
            places.push(Place {
                name,
                data: raw.data.cast(),
                bytes: raw.bytes,
                output: raw.output,
            });
        }
        let mut dut = Self {
            handle,
            functions,
            places,
            ports,
            clock: Port(0),
            cycle: 0,
            _not_send: PhantomData,
        };
        dut.clock = dut.port("clk_i");
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
    /// those of the next cycle. Outputs that depend on inputs in the same cycle need [`Self::settle`].
    pub fn step(&mut self) {
        self.settle();
        self.rise();
    }

    /// The first half of [`Self::step`]: outputs show what they are right before the rising edge.
    pub fn settle(&mut self) {
        self.write(self.clock, 0);
        self.eval();
    }

    /// The second half of [`Self::step`]: the rising edge. Inputs may not change between the halves.
    pub fn rise(&mut self) {
        self.write(self.clock, 1);
        self.eval();
        self.cycle += 1;
    }

    fn eval(&mut self) {
        // SAFETY: `handle` came from this model's `create` and is not freed before `drop`.
        unsafe { (self.functions.eval)(self.handle) }
    }

    /// The port `name`. Panics if there is none.
    #[must_use]
    pub fn port(&self, name: &str) -> Port {
        let Some(port) = self.find(name) else {
            let names: Vec<_> = self.ports.keys().collect();
            panic!(
                "{} has no port {name}; it has {names:?}",
                self.functions.model
            );
        };
        port
    }

    /// The port `name`, if there is one.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Port> {
        self.ports.get(name).copied()
    }

    /// A port's value, little-endian: 1, 2, 4 or 8 bytes up to 64 bits, beyond that whole 32-bit words.
    #[must_use]
    pub fn bytes(&self, port: Port) -> &[u8] {
        let place = &self.places[port.0];
        // SAFETY: the port is `bytes` long and lives as long as the model, which writes it only in
        // `eval` and this struct only in `bytes_mut`, both through `&mut self`.
        unsafe { std::slice::from_raw_parts(place.data, place.bytes) }
    }

    /// An input's value, as in [`Self::bytes`]; bits above the port's width must stay zero.
    pub fn bytes_mut(&mut self, port: Port) -> &mut [u8] {
        let place = &self.places[port.0];
        assert!(!place.output, "{} is an output", place.name);
        // SAFETY: as in `bytes`; `&mut self` makes it the only reference.
        unsafe { std::slice::from_raw_parts_mut(place.data, place.bytes) }
    }

    /// Sets an input of at most 64 bits.
    pub fn write(&mut self, port: Port, value: u64) {
        let bytes = value.to_le_bytes();
        let place = self.bytes_mut(port);
        let width = place.len().min(bytes.len());
        place[..width].copy_from_slice(&bytes[..width]);
        place[width..].fill(0);
        if width < bytes.len() && value >> (8 * width) != 0 {
            panic!("{value:#x} does not fit in {}", self.places[port.0].name);
        }
    }

    /// The low 64 bits of a port.
    #[must_use]
    pub fn read(&self, port: Port) -> u64 {
        let bytes = self.bytes(port);
        let mut value = [0; 8];
        let width = bytes.len().min(value.len());
        value[..width].copy_from_slice(&bytes[..width]);
        u64::from_le_bytes(value)
    }

    /// Sets an input from little-endian bytes; missing high bytes are zero.
    pub fn set(&mut self, name: &str, value: &[u8]) {
        let place = self.bytes_mut(self.port(name));
        assert!(
            value.len() <= place.len(),
            "{name} holds {} bytes, not {}",
            place.len(),
            value.len()
        );
        place.fill(0);
        place[..value.len()].copy_from_slice(value);
    }

    /// Sets an input of at most 64 bits by its name.
    pub fn set_u64(&mut self, name: &str, value: u64) {
        self.write(self.port(name), value);
    }

    /// A port's value, little-endian.
    #[must_use]
    pub fn get(&self, name: &str) -> Vec<u8> {
        self.bytes(self.port(name)).to_vec()
    }

    /// The low 64 bits of a port by its name.
    #[must_use]
    pub fn get_u64(&self, name: &str) -> u64 {
        self.read(self.port(name))
    }
}

impl Drop for Dut {
    fn drop(&mut self) {
        // SAFETY: `handle` came from this model's `create` and is freed once.
        unsafe { (self.functions.destroy)(self.handle) }
    }
}
