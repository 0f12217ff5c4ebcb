//! `carillon completions SHELL`: a completion script on standard output.

use std::io::Write;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Prints the script.
pub fn run(args: &CompletionsArgs) {
    let mut command = crate::Cli::command();
    // Into memory first: generating straight into a closed pipe would panic.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "carillon", &mut script);
    let _ = std::io::stdout().write_all(&script);
}
