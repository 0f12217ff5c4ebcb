//! Exit codes, and which error leads to which.

use std::fmt;
use std::io;
use std::path::Path;

use carillon_driver::dma::DmaError;
use carillon_driver::pci::PciError;
use carillon_driver::transport::TransportError;
use carillon_driver::vfio::VfioError;
use carillon_driver::{CardError, JobError};
use carillon_sim::vfio_user::ClientError;

use carillon_operator::OperateError;
use carillon_runtime::engine::EngineError;
use carillon_runtime::files::FileError;
use carillon_runtime::groth16::Groth16Error;
use carillon_runtime::keys::KeyError;
use carillon_runtime::memory::MemoryShortage;

/// The shared codes from 1 to 9 as `--help` explains them; programs put their own beside them, from 10 on.
pub const EXIT_CODES: [(u8, &str); 9] = [
    (1, "unexpected failure"),
    (2, "wrong usage"),
    (
        3,
        "something needed is not available: not in this build, not installed, cannot be opened, or cannot be written",
    ),
    (4, "wrong input: key, proof, witness, size or configuration"),
    (
        5,
        "a result is wrong: it differs from another computation, or a proof does not verify",
    ),
    (6, "the engine failed while computing"),
    (7, "the card is held by another process"),
    (8, "there is no such card, or it has left the bus"),
    (9, "no permission"),
];

/// What `carillon` has beside the shared codes.
pub const DOCTOR: (u8, &str) = (10, "`doctor` found something that must be fixed");

/// An interrupt, as shells report it.
pub const INTERRUPTED: (u8, &str) = (130, "interrupted (Ctrl-C)");

/// All codes of a program as `--help` explains them: success, the shared ones, `own`, and the interrupt.
pub fn explain_codes(success: &'static str, own: &[(u8, &'static str)]) -> String {
    let codes = [(0, success)].into_iter().chain(EXIT_CODES);
    let codes: Vec<_> = codes
        .chain(own.iter().copied())
        .chain([INTERRUPTED])
        .collect();
    let largest = codes.iter().map(|(code, _)| *code).max().unwrap_or(0);
    let width = largest.to_string().len();
    let lines: Vec<_> = codes
        .iter()
        .map(|(code, meaning)| format!("  {code:<width$}  {meaning}"))
        .collect();
    format!("Exit codes:\n{}", lines.join("\n"))
}

/// An error that ends a command.
pub trait ExitStatus: fmt::Display {
    /// The process's exit code.
    fn code(&self) -> u8;

    /// Whether standard output already has the result that this error sums up, so that no error
    /// object follows it.
    fn is_reported(&self) -> bool {
        false
    }
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
    /// Code 7.
    #[error("{0}")]
    Busy(String),
    /// Code 8.
    #[error("{0}")]
    Absent(String),
    /// Code 9.
    #[error("{0}")]
    Permission(String),
    /// Code 8, after the report of a validation that the card has left.
    #[error("{0}")]
    Left(String),
    /// Code 4, after the report on the part of the input that is sound.
    #[error("{0}")]
    Damaged(String),
    /// Code 5, after the report of a validation.
    #[error("{0}")]
    CheckFailed(String),
    /// Code 10, after the report of an examination of the machine.
    #[error("{0}")]
    Unfit(String),
}

impl ExitStatus for Failure {
    fn code(&self) -> u8 {
        match self {
            Failure::Unexpected(_) => 1,
            Failure::Unavailable(_) => 3,
            Failure::Input(_) | Failure::Damaged(_) => 4,
            Failure::WrongResult(_) | Failure::CheckFailed(_) => 5,
            Failure::Engine(_) => 6,
            Failure::Busy(_) => 7,
            Failure::Absent(_) | Failure::Left(_) => 8,
            Failure::Permission(_) => 9,
            Failure::Unfit(_) => DOCTOR.0,
        }
    }

    fn is_reported(&self) -> bool {
        matches!(
            self,
            Failure::Damaged(_) | Failure::CheckFailed(_) | Failure::Left(_) | Failure::Unfit(_)
        )
    }
}

impl Failure {
    /// An engine that could not be opened: a card that is held, absent or not permitted has a code
    /// of its own, all else is not available.
    pub fn opening(error: EngineError) -> Self {
        match Self::card(error) {
            Failure::Engine(text) => Failure::Unavailable(text),
            failure => failure,
        }
    }

    /// Standard output that does not take what is printed.
    pub fn output(error: &io::Error) -> Self {
        Failure::Unavailable(format!(
            "cannot write to standard output: {error}; what was printed is not complete"
        ))
    }

    /// A file that cannot be read.
    pub fn reading(path: &Path, error: &io::Error) -> Self {
        let text = format!("cannot read {}: {error}", path.display());
        match error.kind() {
            io::ErrorKind::PermissionDenied => Failure::Permission(format!(
                "{text}; its owner must let this user read it (`ls -l` shows whose it is)"
            )),
            _ => Failure::Input(text),
        }
    }

    /// A card that a command could not reach, open or use.
    pub fn card(error: EngineError) -> Self {
        let text = error.to_string();
        match &error {
            EngineError::Card { source, .. } => match &**source {
                CardError::NotACard { .. } => Failure::Absent(text),
                error if has_left(error) => Failure::Absent(text),
                CardError::Transport(TransportError::Busy { .. }) => Failure::Busy(text),
                CardError::UnknownContract { .. } => Failure::Unavailable(text),
                _ => Failure::Engine(text),
            },
            EngineError::Vfio { source } => match &**source {
                VfioError::Busy { .. } => Failure::Busy(text),
                VfioError::Permission { .. } => Failure::Permission(text),
                VfioError::Pci(PciError::Absent { .. }) => Failure::Absent(text),
                _ => Failure::Unavailable(text),
            },
            EngineError::VfioUser { source } => match &**source {
                ClientError::Busy { .. } => Failure::Busy(text),
                ClientError::Connect { cause, .. }
                    if cause.kind() == io::ErrorKind::PermissionDenied =>
                {
                    Failure::Permission(text)
                }
                ClientError::Connect { .. } => Failure::Absent(text),
                _ => Failure::Unavailable(text),
            },
            _ => error.into(),
        }
    }
}

impl From<OperateError> for Failure {
    fn from(error: OperateError) -> Self {
        let text = error.to_string();
        match error {
            OperateError::Pci(error) => error.into(),
            OperateError::NoCard => Failure::Absent(text),
            OperateError::Busy { .. } => Failure::Busy(text),
            OperateError::SeveralCards { .. }
            | OperateError::NotACard { .. }
            | OperateError::NotPci { .. }
            | OperateError::User { .. } => Failure::Input(text),
            OperateError::File { cause, .. }
                if cause.kind() == std::io::ErrorKind::PermissionDenied =>
            {
                Failure::Permission(text)
            }
            OperateError::Blocked { .. }
            | OperateError::NoIommu { .. }
            | OperateError::NoDriver { .. }
            | OperateError::NotTaken { .. }
            | OperateError::File { .. } => Failure::Unavailable(text),
        }
    }
}

/// Whether the card has left the bus.
fn has_left(error: &CardError) -> bool {
    matches!(
        error,
        CardError::Gone { .. }
            | CardError::Transport(TransportError::Gone { .. })
            | CardError::Dma(DmaError::Transport(TransportError::Gone { .. }))
            | CardError::Offline { gone: true, .. }
            | CardError::Job(JobError::Offline { gone: true, .. })
    )
}

impl From<PciError> for Failure {
    fn from(error: PciError) -> Self {
        let text = error.to_string();
        match error {
            PciError::Address { .. } => Failure::Input(text),
            PciError::Absent { .. } => Failure::Absent(text),
            PciError::Read { cause, .. } | PciError::Write { cause, .. } => match cause.kind() {
                std::io::ErrorKind::PermissionDenied => Failure::Permission(text),
                _ => Failure::Unavailable(text),
            },
        }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let text = error.to_string();
        match error {
            EngineError::NotBuilt { .. }
            | EngineError::NotACard { .. }
            | EngineError::Simulation { .. }
            | EngineError::Trace { .. }
            | EngineError::Vfio { .. }
            | EngineError::VfioUser { .. } => Failure::Unavailable(text),
            EngineError::Card { source, .. } if has_left(&source) => Failure::Absent(text),
            EngineError::Card { .. }
            | EngineError::Down { .. }
            | EngineError::Implausible { .. }
            | EngineError::Worker { .. } => Failure::Engine(text),
            EngineError::Unknown { .. }
            | EngineError::DmaMemory { .. }
            | EngineError::LengthMismatch { .. }
            | EngineError::Empty { .. }
            | EngineError::NotPowerOfTwo { .. }
            | EngineError::TransformTooLarge { .. }
            | EngineError::WindowBits { .. }
            | EngineError::CardMemory { .. }
            | EngineError::Input { .. }
            | EngineError::Unsatisfied { .. }
            | EngineError::KeyMismatch { .. } => Failure::Input(text),
            // A new kind gets its code above.
            _ => Failure::Unexpected(text),
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
        let text = error.to_string();
        match error {
            KeyError::Open { source, .. } | KeyError::Write { source, .. }
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                Failure::Permission(text)
            }
            KeyError::DiskFull { .. } => Failure::Unavailable(text),
            _ => Failure::Input(text),
        }
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        let text = error.to_string();
        match error {
            FileError::Write { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Failure::Permission(text)
            }
            FileError::Write { source, .. }
                if source.kind() == io::ErrorKind::ReadOnlyFilesystem =>
            {
                Failure::Unavailable(text)
            }
            FileError::Full { .. } => Failure::Unavailable(text),
            _ => Failure::Input(text),
        }
    }
}

impl From<MemoryShortage> for Failure {
    fn from(error: MemoryShortage) -> Self {
        Failure::Input(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied() -> io::Error {
        io::ErrorKind::PermissionDenied.into()
    }

    #[test]
    fn what_may_not_be_read_or_reached_has_the_code_of_permissions() {
        let path = || std::path::PathBuf::from("/some/file");
        let key = |source| {
            Failure::from(KeyError::Open {
                path: path(),
                source,
            })
        };
        let socket = |cause| {
            let source = Box::new(ClientError::Connect {
                path: path(),
                cause,
            });
            Failure::card(EngineError::VfioUser { source })
        };
        let file = |source| {
            Failure::from(FileError::Write {
                path: path(),
                source,
            })
        };
        for failure in [
            key(denied()),
            socket(denied()),
            file(denied()),
            Failure::reading(&path(), &denied()),
        ] {
            assert_eq!(failure.code(), 9, "{failure}");
            let text = failure.to_string();
            assert!(!text.contains("make it with set-up"), "{text}");
            assert!(!text.contains("start one with"), "{text}");
        }
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        assert_eq!((key(missing()).code(), socket(missing()).code()), (4, 8));
        let read_only = io::ErrorKind::ReadOnlyFilesystem.into();
        assert_eq!((file(missing()).code(), file(read_only).code()), (4, 3));
    }

    #[test]
    fn help_explains_every_code_once_and_in_order() {
        let help = explain_codes("success", &[DOCTOR]);
        let codes: Vec<u8> = help
            .lines()
            .filter_map(|line| line.split_whitespace().next()?.parse().ok())
            .collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 130]);
    }
}
