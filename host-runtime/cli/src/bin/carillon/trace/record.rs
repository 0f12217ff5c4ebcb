//! `carillon trace record`: runs this program again with recording switched on.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use carillon_cli::Failure;
use carillon_runtime::trace::{Recording, TRACE, TRACE_LIMIT, file_of, is_begun};
use clap::Args;

use crate::Context;

/// Arguments of `trace record`.
#[derive(Debug, Args)]
pub struct RecordArgs {
    /// Where to write the recording; a second card's gets `.2` behind the name
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Keep only the latest records of this many MiB, in memory, until a command fails or the card
    /// is closed; such a recording can be listed, and replayed only if nothing was dropped
    #[arg(long, value_name = "MiB", value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    limit: Option<u32>,
    /// The command and its arguments, as after `carillon`
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Runs the command; ends as it ends.
pub fn run(context: &Context, args: &RecordArgs) -> Result<(), Failure> {
    make_way(&args.out)?;
    let unexpected = |error: std::io::Error| {
        Failure::Unexpected(format!("cannot start carillon again: {error}"))
    };
    let program = std::env::current_exe().map_err(unexpected)?;
    let mut command = Command::new(program);
    command.args(&args.command).env(TRACE, &args.out);
    match args.limit {
        Some(limit) => command.env(TRACE_LIMIT, limit.to_string()),
        None => command.env_remove(TRACE_LIMIT),
    };
    let status = command.status().map_err(unexpected)?;
    let recordings = recordings(&args.out);
    let incomplete = recordings.iter().find_map(|path| incomplete(path));
    if let Some(reason) = &incomplete {
        context.output.note(reason);
    } else if !recordings.is_empty() {
        let out = args.out.display();
        context.output.note(&format!(
            "recorded to {out}; list it with `carillon trace show {out}`"
        ));
    } else if status.success() {
        return Err(Failure::Input(
            "the command opened no card, so nothing was recorded; choose one with --engine sim:model or another card".into(),
        ));
    }
    match status.code() {
        Some(0) if incomplete.is_some() => Err(Failure::Unavailable(
            "the command succeeded, but its recording is not complete; free space or choose another folder, then record it again".into(),
        )),
        Some(0) => Ok(()),
        // The command has said why; its code is passed on.
        Some(code) => std::process::exit(code),
        None => Err(Failure::Unexpected(format!(
            "the recorded command was killed ({status}); the recording ends there"
        ))),
    }
}

/// Takes away older recordings of this name, and nothing else: all are looked at before one goes.
fn make_way(out: &Path) -> Result<(), Failure> {
    let mut older = Vec::new();
    for path in names(out) {
        match std::fs::symlink_metadata(&path) {
            Err(_) => break,
            Ok(data) if !data.is_file() => {
                return Err(Failure::Input(format!(
                    "{} is no file: name one for the recording",
                    path.display()
                )));
            }
            Ok(_) => {}
        }
        let begun = File::open(&path).and_then(|mut file| is_begun(&mut file));
        if !begun.map_err(|error| Failure::reading(&path, &error))? {
            return Err(Failure::Input(format!(
                "{} is there and is no recording, so it is not replaced: choose another name",
                path.display()
            )));
        }
        older.push(path);
    }
    for path in older {
        std::fs::remove_file(&path).map_err(|error| {
            Failure::Input(format!("cannot replace {}: {error}", path.display()))
        })?;
    }
    Ok(())
}

/// The recordings that are there: one a card.
fn recordings(out: &Path) -> Vec<PathBuf> {
    names(out).take_while(|path| path.exists()).collect()
}

fn names(out: &Path) -> impl Iterator<Item = PathBuf> + use<'_> {
    (1..).map(|card| file_of(out, card))
}

/// Why a recording does not have all that happened, if it does not.
fn incomplete(path: &Path) -> Option<String> {
    let shown = path.display();
    match Recording::open(path) {
        Ok(recording) => recording.damage.map(|damage| format!("{shown}: {damage}")),
        Err(error) => Some(error.to_string()),
    }
}
