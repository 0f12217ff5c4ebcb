//! What can go wrong, each with the next step.

use std::path::PathBuf;

/// Failure of a Verilator build. A build script returns it from `main`, so Cargo prints it.
#[derive(thiserror::Error)]
pub enum Error {
    /// No Verilator in any of the places that are searched.
    #[error(
        "Verilator was not found (searched {searched}); run `make setup`, or set \
         CARILLON_VERILATOR_ROOT to a folder that holds bin/verilator_bin and include/verilated.h"
    )]
    NotFound {
        /// The places that were searched.
        searched: String,
    },
    /// `CARILLON_VERILATOR_ROOT` is set, but there is no Verilator there.
    #[error(
        "CARILLON_VERILATOR_ROOT is {root}, but {missing} is missing there; point it to a Verilator \
         installation, or unset it and run `make setup`"
    )]
    BadRoot {
        /// The variable's value.
        root: PathBuf,
        /// The file that is not there.
        missing: PathBuf,
    },
    /// The Verilator that was found is too old.
    #[error(
        "{bin} is `{version}`, but Verilator {needed} or newer is needed; run `make setup`, which \
         installs a suitable one into the project"
    )]
    TooOld {
        /// The executable.
        bin: PathBuf,
        /// What it says its version is.
        version: String,
        /// The oldest version that works.
        needed: &'static str,
    },
    /// Verilator rejected the design.
    #[error("Verilator failed on {top} ({status}):\n{output}")]
    Verilation {
        /// Top module.
        top: String,
        /// Exit status.
        status: String,
        /// What it printed.
        output: String,
    },
    /// Verilator's build description could not be understood.
    #[error("{path} is not a build description of Verilator 5: {source}")]
    Description {
        /// The JSON file.
        path: PathBuf,
        /// The parser's error.
        source: serde_json::Error,
    },
    /// Two models of one library hold different modules under one name.
    #[error(
        "hierarchical block {block} differs between two models of this library, and its C++ names \
         can exist only once; build one of the models without `hierarchical`, or in another package"
    )]
    BlocksDiffer {
        /// The block's class name.
        block: String,
    },
    /// The C++ compiler failed.
    #[error("compiling the Verilated model failed; is a C++17 compiler installed? {0}")]
    Compile(#[from] cc::Error),
    /// A file could not be read or written, or a program not be started.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// Called outside a build script.
    #[error("OUT_DIR is not set; carillon-verilate is for Cargo build scripts only")]
    NoOutDir,
}

// A build script's `main` prints the error with `Debug`; make that the readable message.
impl std::fmt::Debug for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl Error {
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}
