//! The `carillon` binary as the tests run it: without what the user has configured.
#![allow(clippy::unwrap_used)]

use std::process::{Command, Output};

/// The binary with these arguments; nothing of the environment chooses a card, a file or a
/// recording.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_carillon"));
    let empty = std::env::temp_dir().join("carillon-no-such-folder");
    command.args(args).env("XDG_CONFIG_HOME", empty);
    for name in [
        "CARILLON_ENGINE",
        "CARILLON_CONFIG",
        "CARILLON_TRACE",
        "CARILLON_TRACE_LIMIT",
    ] {
        command.env_remove(name);
    }
    command
}

/// Runs it to its end.
#[allow(dead_code)] // each test binary uses its own part
pub fn carillon(args: &[&str]) -> Output {
    command(args).output().unwrap()
}
