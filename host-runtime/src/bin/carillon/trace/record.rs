//! `carillon trace record`: runs this program again with recording switched on.

use std::path::PathBuf;
use std::process::Command;

use carillon_runtime::cli::Failure;
use carillon_runtime::trace::{TRACE, TRACE_LIMIT};
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
    if let Err(error) = std::fs::remove_file(&args.out)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        let out = args.out.display();
        return Err(Failure::Input(format!("cannot replace {out}: {error}")));
    }
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
    if args.out.exists() {
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
        Some(0) => Ok(()),
        // The command has said why; its code is passed on.
        Some(code) => std::process::exit(code),
        None => Err(Failure::Unexpected(format!(
            "the recorded command was killed ({status}); the recording ends there"
        ))),
    }
}
