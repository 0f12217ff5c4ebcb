//! `carillon trace`: record what passes between driver and card, list it, replay it.

mod record;
mod replay;
mod show;

use std::path::Path;

use carillon_cli::Failure;
use carillon_runtime::trace::{Recording, RecordingError};
use clap::Subcommand;

use crate::Context;

/// The sub-commands of `trace`.
#[derive(Debug, Subcommand)]
pub enum TraceCommand {
    /// Run a command of carillon and record its cards
    Record(record::RecordArgs),
    /// List a recording and mark the first command that failed
    Show(show::ShowArgs),
    /// Repeat a recording on a simulated card and compare what it answers
    Replay(replay::ReplayArgs),
}

/// Runs a sub-command.
pub fn run(context: &Context, command: TraceCommand) -> Result<(), Failure> {
    match command {
        TraceCommand::Record(args) => record::run(context, &args),
        TraceCommand::Show(args) => show::run(context, &args),
        TraceCommand::Replay(args) => replay::run(context, &args),
    }
}

/// Opens a recording; of a damaged one, what comes before the damage.
fn open(path: &Path) -> Result<Recording, Failure> {
    Recording::open(path).map_err(failure)
}

/// How a command ends that has used what can be read of a recording.
fn verdict(recording: &Recording, path: &Path) -> Result<(), Failure> {
    match &recording.damage {
        None => Ok(()),
        // It says itself that what comes before it is intact.
        Some(damage) => Err(Failure::Damaged(format!("{}: {damage}", path.display()))),
    }
}

/// A file that is no recording, or cannot be read.
fn failure(error: RecordingError) -> Failure {
    match &error {
        RecordingError::Open { path, source } => Failure::reading(path, source),
        _ => Failure::Input(error.to_string()),
    }
}
