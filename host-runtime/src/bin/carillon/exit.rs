//! Exit codes, and which error leads to which.

use carillon_runtime::EngineError;
use carillon_runtime::groth16::Groth16Error;
use carillon_runtime::keys::KeyError;

/// Printed below `--help`.
pub const HELP: &str = "\
Exit codes:
  0  success
  1  unexpected failure
  2  wrong usage
  3  the engine is not available: not in this build, or cannot be opened
  4  wrong input: key, proof, witness, size or configuration
  5  a result is wrong: it differs from the CPU's, or a proof does not verify
  6  the engine failed while computing";

/// A command's end without success.
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

impl Failure {
    /// The process's exit code.
    pub fn code(&self) -> u8 {
        match self {
            Failure::Unexpected(_) => 1,
            Failure::Unavailable(_) => 3,
            Failure::Input(_) => 4,
            Failure::WrongResult(_) => 5,
            Failure::Engine(_) => 6,
        }
    }

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
            | EngineError::Simulation { .. } => Failure::Unavailable(text),
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
