//! What goes wrong with a command of a job, before it has the engine's name on it. Used by every file
//! that sends commands; `CardEngine` makes an `EngineError` of it.

use std::fmt;

use carillon_driver::completion::Completion;
use carillon_driver::{CardError, Finished, JobError, RecoveryAction};

use crate::progress::Phase;

/// What went wrong with a command or its preparation, before it has the engine's name on it.
#[derive(Debug)]
pub(super) enum Fault {
    /// The driver or the card says so.
    Card(CardError),
    /// The same of a command of this step of the job.
    At(Phase, CardError),
    /// The card answered, but not with a possible result.
    Implausible(String),
    /// The witness violates this constraint.
    Unsatisfied(usize),
    /// A thread of this process did not do its work.
    Worker(String),
}

/// A step of a job on the card.
pub(super) type CardResult<T> = Result<T, Fault>;

impl From<CardError> for Fault {
    fn from(error: CardError) -> Self {
        Fault::Card(error)
    }
}

impl From<JobError> for Fault {
    fn from(error: JobError) -> Self {
        Fault::Card(error.into())
    }
}

impl Fault {
    /// The card answered with what cannot be.
    pub(super) fn implausible(what: impl fmt::Display) -> Self {
        Fault::Implausible(what.to_string())
    }

    /// A thread of this process did not do its work.
    pub(super) fn worker(why: impl fmt::Display) -> Self {
        Fault::Worker(why.to_string())
    }

    /// The same with the step at which it happened.
    pub(super) fn at(self, step: Phase) -> Self {
        match self {
            Fault::Card(error) => Fault::At(step, error),
            other => other,
        }
    }

    /// What helps: the driver's word on a failure of the card; another card where a result is impossible; no card where
    /// none has failed.
    pub(super) fn recovery_action(&self) -> RecoveryAction {
        match self {
            Fault::Card(error) | Fault::At(_, error) => error.recovery_action(),
            Fault::Implausible(_) => RecoveryAction::Replace,
            Fault::Unsatisfied(_) | Fault::Worker(_) => RecoveryAction::FixRequest,
        }
    }
}

/// The end of a command whose memory is of no more interest.
pub(super) fn done<M>(finished: Finished<M>) -> Result<Completion, JobError> {
    finished.result
}
