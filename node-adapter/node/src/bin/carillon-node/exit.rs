//! Exit codes, and which error leads to which: those of `carillon`, and three of this program's own.

use carillon_circuit::rollup::ShapeError;
use carillon_cli::{ExitStatus, INTERRUPTED};
use carillon_node::StoreError;
use carillon_runtime::EngineError;
use carillon_runtime::groth16::Groth16Error;
use carillon_runtime::keys::KeyError;
use carillon_settlement::{AnvilError, SettlementError};

const SETTLEMENT: (u8, &str) = (
    11,
    "settlement failed: the contract refused the batch, or the Ethereum node did",
);
const DISAGREEMENT: (u8, &str) = (
    12,
    "Ethereum and the node disagree: another operator, circuit, key, chain or state; nothing goes on",
);
const STUCK: (u8, &str) = (
    13,
    "`status`: something keeps the node from its work; the reasons are printed",
);

/// Printed below `--help`.
pub fn help() -> String {
    carillon_cli::explain_codes(
        "success; of `demo`: the batch is settled and every forgery was refused",
        &[SETTLEMENT, DISAGREEMENT, STUCK],
    )
}

/// A command's end without success.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Codes 1 to 9.
    #[error(transparent)]
    Common(#[from] carillon_cli::Failure),
    /// Code 11.
    #[error("{}", carillon_redact::text(.0))]
    Settlement(String),
    /// Code 12.
    #[error("{}", carillon_redact::text(.0))]
    Disagreement(String),
    /// Code 13, after the report of `status`.
    #[error("the node cannot make progress: {0}")]
    Stuck(String),
    /// Code 130.
    #[error("interrupted")]
    Interrupted,
}

impl ExitStatus for Failure {
    fn code(&self) -> u8 {
        match self {
            Failure::Common(failure) => failure.code(),
            Failure::Settlement(_) => SETTLEMENT.0,
            Failure::Disagreement(_) => DISAGREEMENT.0,
            Failure::Stuck(_) => STUCK.0,
            Failure::Interrupted => INTERRUPTED.0,
        }
    }

    fn is_reported(&self) -> bool {
        matches!(self, Failure::Stuck(_))
    }
}

/// Messages come from libraries, too: URLs in them are shown without what may be secret.
impl Failure {
    /// Code 1.
    pub fn unexpected(text: String) -> Self {
        carillon_cli::Failure::Unexpected(carillon_redact::text(&text)).into()
    }

    /// Code 3.
    pub fn unavailable(text: String) -> Self {
        carillon_cli::Failure::Unavailable(carillon_redact::text(&text)).into()
    }

    /// Code 4.
    pub fn input(text: String) -> Self {
        carillon_cli::Failure::Input(carillon_redact::text(&text)).into()
    }

    /// Code 5.
    pub fn wrong_result(text: String) -> Self {
        carillon_cli::Failure::WrongResult(carillon_redact::text(&text)).into()
    }

    /// An engine that could not be opened, with the codes of `carillon`.
    pub fn opening(error: EngineError) -> Self {
        carillon_cli::Failure::opening(error).into()
    }
}

impl From<Groth16Error> for Failure {
    fn from(error: Groth16Error) -> Self {
        carillon_cli::Failure::from(error).into()
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        carillon_cli::Failure::from(error).into()
    }
}

impl From<ShapeError> for Failure {
    fn from(error: ShapeError) -> Self {
        Failure::input(error.to_string())
    }
}

/// A folder of another chain is wrong input; everything else keeps the database from being used.
impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Foreign { .. } | StoreError::Layout { .. } => {
                Failure::input(error.to_string())
            }
            _ => Failure::unavailable(error.to_string()),
        }
    }
}

impl From<AnvilError> for Failure {
    fn from(error: AnvilError) -> Self {
        Failure::unavailable(error.to_string())
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

#[cfg(test)]
mod tests {
    use super::*;
    use carillon_runtime::engine::{EngineOptions, open_with};

    #[tokio::test]
    async fn engines_that_cannot_be_opened_have_the_codes_of_carillon() {
        for (engine, code) in [("vfio-user:/no/such/socket", 8), ("ffff:ff:1f.7", 8)] {
            let kind = engine.parse().unwrap();
            let opened = open_with(kind, EngineOptions::default()).await;
            let failure = Failure::opening(opened.err().unwrap());
            assert_eq!(failure.code(), code, "{engine}: {failure}");
        }
        let size = EngineError::DmaMemory { given: "0".into() };
        let engine = EngineError::NotACard {
            engine: "cpu".into(),
        };
        assert_eq!(Failure::opening(size).code(), 4);
        assert_eq!(Failure::opening(engine).code(), 3);
    }

    #[test]
    fn own_codes_are_no_shared_ones() {
        for own in [SETTLEMENT, DISAGREEMENT, STUCK] {
            let shared = carillon_cli::EXIT_CODES.iter();
            let mut shared = shared.chain([&INTERRUPTED, &carillon_cli::DOCTOR]);
            assert!(shared.all(|(code, _)| *code != own.0), "{own:?}");
        }
    }
}
