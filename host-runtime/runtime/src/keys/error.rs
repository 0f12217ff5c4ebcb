//! Errors of key files.

use std::path::PathBuf;

use thiserror::Error;

use super::header::PAGE;
use crate::groth16::{CircuitDigest, Groth16Error};
use crate::image::ImageError;
use crate::memory::MemoryShortage;

/// Why a key file could not be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file cannot be opened.
    #[error("cannot open key file {path}: {source}; {}", opening(source))]
    Open {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The file cannot be read to its end.
    #[error("cannot read key file {path}: {source}; copy it to another disk")]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// There is not enough memory for the key.
    #[error(transparent)]
    Memory(#[from] MemoryShortage),
    /// The file is something else.
    #[error("{path} is not a Carillon key file; give the path of a file made by set-up")]
    NotAKey {
        /// The file.
        path: PathBuf,
    },
    /// The file is of another version.
    #[error(
        "key file {path} has format version {found}, this program reads 1 to {newest}; make the key again"
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Version found.
        found: u32,
        /// The newest version that this program reads.
        newest: u32,
    },
    /// The file is shorter than its header says.
    #[error("key file {path} is cut off: {found} bytes of {expected}; copy or make it again")]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Bytes found.
        found: u64,
        /// Bytes announced.
        expected: u64,
    },
    /// The file begins as a key file, and ends within its header.
    #[error(
        "key file {path} is cut off: it has {found} bytes, the header alone has {PAGE}; copy or make it again"
    )]
    HeaderCutOff {
        /// The file.
        path: PathBuf,
        /// Bytes found.
        found: u64,
    },
    /// The header contradicts its own hash or itself.
    #[error("the header of key file {path} is corrupt: {reason}; copy or make the file again")]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A section does not match its hash.
    #[error(
        "section `{section}` of key file {path} is corrupt (SHA-256 differs); copy or make the file again"
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Name of the section.
        section: &'static str,
    },
    /// A section matches its hash but holds something that is no point of the curve.
    #[error(
        "section `{section}` of key file {path} holds a wrong point: {source}; do not use this key"
    )]
    Point {
        /// The file.
        path: PathBuf,
        /// Name of the section.
        section: &'static str,
        /// Which point, and what is wrong.
        source: ImageError,
    },
    /// The verifying key inside is wrong.
    #[error("key file {path}: {source}; do not use this key")]
    VerifyingKey {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Groth16Error,
    },
    /// The key belongs to another circuit.
    #[error(
        "key file {path} belongs to circuit {found}, but circuit {expected} is to be proved; make the key of this circuit"
    )]
    WrongCircuit {
        /// The file.
        path: PathBuf,
        /// The circuit to be proved.
        expected: CircuitDigest,
        /// The circuit of the key.
        found: CircuitDigest,
    },
    /// Another key has this name.
    #[error(
        "key file {path} is there already: it is not replaced, since a key that is lost cannot be made again"
    )]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The disk is full.
    #[error(
        "no space left to write key file {path}; {needed} bytes are needed, nothing was left behind"
    )]
    DiskFull {
        /// The file.
        path: PathBuf,
        /// Size of the file.
        needed: u64,
    },
    /// Writing failed.
    #[error("cannot write key file {path}: {source}; nothing was left behind")]
    Write {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
}

/// The next step for a file that cannot be opened.
fn opening(source: &std::io::Error) -> &'static str {
    match source.kind() {
        std::io::ErrorKind::PermissionDenied => {
            "let its owner give this user the right to read it (`ls -l` shows whose it is)"
        }
        _ => "make it with set-up or correct the path",
    }
}
