//! Exit codes, and which error leads to which. The first six are those of `carillon`.

use carillon_node::circuit::ShapeError;
use carillon_node::sequencer::{NewError, SealError, SubmitError};
use carillon_node::settlement::{AnvilError, SettlementError};
use carillon_runtime::EngineError;
use carillon_runtime::groth16::Groth16Error;
use carillon_runtime::keys::KeyError;

/// Printed below `--help`.
pub const HELP: &str = "\
Exit codes:
  0    success; of `demo`: the batch is settled and every forgery was refused
  1    unexpected failure
  2    wrong usage
  3    the engine or anvil is not available: not in this build, not installed, or cannot be opened
  4    wrong input: sizes, keys or configuration
  5    a result is wrong: a proof does not verify, or the contract took or holds what it must not
  6    the engine failed while computing
  7    settlement failed: the contract refused the batch, or the Ethereum node did
  130  interrupted";

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
    /// Code 7.
    #[error("{0}")]
    Settlement(String),
    /// Code 130, as shells report an interrupt.
    #[error("interrupted")]
    Interrupted,
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
            Failure::Settlement(_) => 7,
            Failure::Interrupted => 130,
        }
    }

    /// An engine that could not be opened.
    pub fn opening(error: EngineError) -> Self {
        Failure::Unavailable(error.to_string())
    }
}

impl From<Groth16Error> for Failure {
    fn from(error: Groth16Error) -> Self {
        let text = error.to_string();
        match error {
            Groth16Error::Engine(_) => Failure::Engine(text),
            Groth16Error::FaultyProof { .. } | Groth16Error::InvalidProof => {
                Failure::WrongResult(text)
            }
            _ => Failure::Input(text),
        }
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        Failure::Input(error.to_string())
    }
}

impl From<ShapeError> for Failure {
    fn from(error: ShapeError) -> Self {
        Failure::Input(error.to_string())
    }
}

impl From<AnvilError> for Failure {
    fn from(error: AnvilError) -> Self {
        Failure::Unavailable(error.to_string())
    }
}

impl From<SettlementError> for Failure {
    fn from(error: SettlementError) -> Self {
        match error {
            SettlementError::Anvil(error) => error.into(),
            other => Failure::Settlement(other.to_string()),
        }
    }
}

impl From<NewError> for Failure {
    fn from(error: NewError) -> Self {
        Failure::Input(error.to_string())
    }
}

impl From<SubmitError> for Failure {
    fn from(error: SubmitError) -> Self {
        Failure::Unexpected(format!("the sequencer refused a transfer: {error}"))
    }
}

impl From<SealError> for Failure {
    fn from(error: SealError) -> Self {
        Failure::Unexpected(format!("the batch was not sealed: {error}"))
    }
}
