//! `carillon man`: manual pages, one a command.

use std::path::PathBuf;

use carillon_runtime::cli::Failure;
use clap::{Args, CommandFactory};
use serde_json::json;

use crate::{Cli, Context};

/// Arguments of `man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Folder for the pages; made if it is not there
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

/// Writes the pages.
pub fn run(context: &Context, args: &ManArgs) -> Result<(), Failure> {
    let written = std::fs::create_dir_all(&args.out)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), &args.out));
    written
        .map_err(|error| Failure::Input(format!("cannot write {}: {error}", args.out.display())))?;
    let rows = [("manual pages", args.out.display().to_string())];
    let fields = json!({ "folder": args.out });
    context.output.result("carillon.man/1", fields, &rows);
    Ok(())
}
