//! `carillon-node completions SHELL`: a completion script on standard output.

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
    let mut out = std::io::stdout();
    clap_complete::generate(args.shell, &mut command, "carillon-node", &mut out);
}
