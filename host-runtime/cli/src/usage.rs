//! The command line: read, or refused in the form that it asks for.

use std::ffi::OsStr;
use std::io::{ErrorKind, IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use serde_json::json;

use super::{ExitStatus, Failure};

/// Exit code of wrong usage.
const USAGE: u8 = 2;

/// Reads the command line. Help and version are printed here, and so is what is wrong with it: as an
/// error object if it has `--json`.
///
/// # Errors
/// How the process ends, when there is nothing left to do.
pub fn parse<C: Parser>(program: &str) -> Result<C, ExitCode> {
    let error = match C::try_parse() {
        Ok(cli) => return Ok(cli),
        Err(error) => error,
    };
    let mut stderr = std::io::stderr();
    if !error.use_stderr() {
        let printed = error.print().and_then(|()| std::io::stdout().flush());
        return Err(match printed {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                let failure = Failure::output(&error);
                let _ = writeln!(stderr, "{program}: {failure}");
                ExitCode::from(failure.code())
            }
            _ => ExitCode::SUCCESS,
        });
    }
    let mut stdout = std::io::stdout();
    if wants_json(std::env::args_os().skip(1)) {
        let text = error.render().to_string();
        let message = text.trim().trim_start_matches("error: ");
        let object = json!({ "schema": "carillon.error/1", "code": USAGE, "message": message });
        let _ = writeln!(stdout, "{object}");
        if stdout.is_terminal() {
            return Err(ExitCode::from(USAGE));
        }
    }
    let _ = error.print();
    Err(ExitCode::from(USAGE))
}

/// Whether JSON is asked for; what stands behind `--` belongs to somebody else.
fn wants_json(arguments: impl Iterator<Item = impl AsRef<OsStr>>) -> bool {
    let mut own = arguments.take_while(|argument| argument.as_ref() != "--");
    own.any(|argument| argument.as_ref() == "--json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_asked_for_before_the_arguments_of_others() {
        let asked = |line: &str| wants_json(line.split(' '));
        assert!(asked("list --json") && asked("--json frobnicate"));
        assert!(!asked("list") && !asked("trace record -- prove --json"));
    }
}
