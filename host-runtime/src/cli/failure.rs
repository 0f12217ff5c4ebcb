//! Exit codes, and which error leads to which.

use std::fmt;

use crate::engine::EngineError;
use crate::groth16::Groth16Error;
use crate::keys::KeyError;

/// The shared codes from 1 to 6 as `--help` explains them; programs put their own beside them.
pub const EXIT_CODES: [(u8, &str); 6] = [
    (1, "unexpected failure"),
    (2, "wrong usage"),
    (
        3,
        "something needed is not available: not in this build, not installed, or cannot be opened",
    ),
    (4, "wrong input: key, proof, witness, size or configuration"),
    (
        5,
        "a result is wrong: it differs from another computation, or a proof does not verify",
    ),
    (6, "the engine failed while computing"),
];

/// An error that ends a command.
pub trait ExitStatus: fmt::Display {
    /// The process's exit code.
    fn code(&self) -> u8;
}

/// A command's end without success. (Wrong usage, code 2, is clap's.)
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Code 1.
    #[error("{0}")]
    Unexpected(String),
    /// Code 3.
    #[error("{0}")]
    Unavailable(String),
    /// Code 4.
    #[error("{0}")]
    Input(String),
    /// Code 5.
    #[error("{0}")]
    WrongResult(String),
    /// Code 6.
    #[error("{0}")]
    Engine(String),
}

impl ExitStatus for Failure {
    fn code(&self) -> u8 {
        match self {
            Failure::Unexpected(_) => 1,
            Failure::Unavailable(_) => 3,
            Failure::Input(_) => 4,
            Failure::WrongResult(_) => 5,
            Failure::Engine(_) => 6,
        }
    }
}

impl Failure {
    /// An engine that could not be opened.
    pub fn opening(error: EngineError) -> Self {
        Failure::Unavailable(error.to_string())
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let text = error.to_string();
        match error {
            EngineError::NotBuilt { .. }
            | EngineError::NotACard { .. }
            | EngineError::Simulation { .. }
            | EngineError::Trace { .. } => Failure::Unavailable(text),
            EngineError::Card { .. }
            | EngineError::Implausible { .. }
            | EngineError::Worker { .. } => Failure::Engine(text),
            EngineError::Unknown { .. }
            | EngineError::LengthMismatch { .. }
            | EngineError::Empty { .. }
            | EngineError::NotPowerOfTwo { .. }
            | EngineError::TransformTooLarge { .. }
            | EngineError::WindowBits { .. }
            | EngineError::CardMemory { .. }
            | EngineError::Input { .. }
            | EngineError::KeyMismatch { .. } => Failure::Input(text),
        }
    }
}

impl From<Groth16Error> for Failure {
    fn from(error: Groth16Error) -> Self {
        match error {
            Groth16Error::Engine(error) => error.into(),
            Groth16Error::FaultyProof { .. } | Groth16Error::InvalidProof => {
                Failure::WrongResult(error.to_string())
            }
            _ => Failure::Input(error.to_string()),
        }
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        Failure::Input(error.to_string())
    }
}
