//! `carillon trace`: record what passes between driver and card, list it, replay it.

mod record;
mod replay;
mod show;

use std::path::Path;

use carillon_runtime::cli::{Failure, Output};
use carillon_runtime::trace::Recording;
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

/// Opens a recording; damage behind its beginning is a remark, not an error.
fn open(output: &Output, path: &Path) -> Result<Recording, Failure> {
    let recording = Recording::open(path).map_err(|error| Failure::Input(error.to_string()))?;
    if let Some(damage) = &recording.damage {
        output.note(&format!("{}: {damage}", path.display()));
    }
    Ok(recording)
}
