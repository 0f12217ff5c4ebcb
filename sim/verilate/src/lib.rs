//! Verilator for build scripts: finds the tool, translates SystemVerilog to C++ and compiles
//! everything into one static library that Cargo links.
//!
//! Who calls it: `sim/build.rs` (the Verilated card) and `hdl/tests/build.rs` (block tests). It reads
//! the gateware and the Verilator installation, and writes only below `OUT_DIR`.
//!
//! ```no_run
//! use carillon_verilate::{Build, Model, Toolchain, hdl_dir};
//!
//! fn main() -> Result<(), carillon_verilate::Error> {
//!     let hdl = hdl_dir();
//!     Build::new(Toolchain::find()?, "carillon_card")
//!         .model(Model::new("VCard", "carillon_top").file_list(hdl.join("rtl/card_fast.f")))
//!         .source(hdl.join("sim/dpi/carillon_dpi.cpp"))
//!         .source("shim/card.cpp")
//!         .compile()
//! }
//! ```
//!
//! The shim is ordinary C++ that includes `VCard.h` and exports C functions for Rust. Block tests need
//! none: [`Model::expose_ports`] generates one that reaches every port by name.
//!
//! **Hierarchical models** ([`Model::hierarchical`]): modules marked `/*verilator hier_block*/` are
//! translated on their own, which is what makes the structural arithmetic view compile in reasonable
//! time. Their C++ names come from the module's name alone: within one [`Build`] a block that occurs in
//! several models is compiled once, and one binary must not link two libraries that hold the same block.

mod build;
mod bundle;
mod cache;
mod error;
mod model;
mod ports;
mod toolchain;

use std::path::{Path, PathBuf};

pub use build::Build;
pub use error::Error;
pub use model::Model;
pub use toolchain::Toolchain;

/// The repository's root folder.
#[must_use]
pub fn workspace_dir() -> PathBuf {
    // This crate is <root>/sim/verilate.
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// The gateware's folder, `<root>/hdl`.
#[must_use]
pub fn hdl_dir() -> PathBuf {
    workspace_dir().join("hdl")
}
