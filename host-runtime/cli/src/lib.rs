//! What the command lines of Carillon have in common: options for printing, exit codes, tables and
//! JSON, progress, configuration files, completion scripts, manual pages.
//!
//! `carillon` and `carillon-node` are built from it and add their own commands; no other program
//! uses it.

mod config;
mod cost;
mod failure;
mod input;
mod output;
mod style;
mod threads;
mod usage;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clap_complete::Shell;

pub use config::{read_config, user_folder};
pub use cost::{NOT_MODELLED, cost_json, timed};
pub use failure::{DOCTOR, EXIT_CODES, ExitStatus, Failure, INTERRUPTED, explain_codes};
pub use input::read_small;
pub use output::{Output, Phases, Step, duration, grouped};
pub use style::Tone;
pub use threads::runtime;
pub use usage::parse;

/// Options of every command: how to print.
#[derive(Clone, Copy, Debug, Args)]
pub struct PrintArgs {
    /// Print one JSON object with a versioned `schema` to standard output instead of text
    #[arg(long, global = true)]
    json: bool,
    /// Print no progress
    #[arg(long, short, global = true)]
    quiet: bool,
}

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

impl CompletionsArgs {
    /// Prints the completion script of `command` on standard output.
    pub fn print(&self, output: &Output, mut command: clap::Command) {
        let name = command.get_name().to_owned();
        // Into memory first: generating straight into a closed pipe would panic.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, name, &mut script);
        output.raw(&script);
    }
}

/// Arguments of `man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Folder for the pages; made if it is not there
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

impl ManArgs {
    /// Writes the manual pages of `command`, one a command, and says where.
    ///
    /// # Errors
    /// [`Failure::Input`] if the folder cannot be written.
    pub fn write(&self, output: &Output, command: clap::Command) -> Result<(), Failure> {
        let written = std::fs::create_dir_all(&self.out)
            .and_then(|()| clap_mangen::generate_to(command, &self.out));
        written.map_err(|error| {
            Failure::Input(format!("cannot write {}: {error}", self.out.display()))
        })?;
        let rows = [("manual pages", self.out.display().to_string())];
        let fields = serde_json::json!({ "folder": self.out });
        output.result("carillon.man/1", fields, &rows);
        Ok(())
    }
}

/// Sets up logging, by `RUST_LOG` to standard error, and printing under the program's name.
pub fn start(program: &'static str, print: PrintArgs) -> Output {
    start_with(program, print, "error")
}

/// [`start`] with what is logged where `RUST_LOG` does not say. Colours are for terminals only.
pub fn start_with(program: &'static str, print: PrintArgs, level: &str) -> Output {
    let given = std::env::var("RUST_LOG")
        .ok()
        .filter(|given| !given.is_empty());
    let filter = tracing_subscriber::EnvFilter::new(given.as_deref().unwrap_or(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(style::colours_in_logs())
        .init();
    Output::new(program, print.json, print.quiet)
}

/// Prints what went wrong, if anything did, and says how the process ends.
pub fn finish<E: ExitStatus>(output: &Output, result: Result<(), E>) -> ExitCode {
    let code = match result {
        Ok(()) => None,
        Err(failure) => {
            output.failure(&failure);
            Some(failure.code())
        }
    };
    // Whatever ended the command counts first.
    match (code, output.lost()) {
        (Some(code), _) => ExitCode::from(code),
        (None, Some(lost)) => {
            output.note(&lost.to_string());
            ExitCode::from(lost.code())
        }
        (None, None) => ExitCode::SUCCESS,
    }
}
