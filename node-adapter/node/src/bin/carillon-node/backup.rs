//! `carillon-node backup`: a copy of what a node cannot make again.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use carillon_cli::{Output, grouped};
use carillon_node::{BackupError, backup};
use clap::Args;
use serde_json::json;

use crate::config::Config;
use crate::exit::Failure;
use crate::{keys, secret};

/// The sequencer's key in the node's folder.
const SEQUENCER: &str = "sequencer.key";

/// Arguments of `backup`. Those without a value come from the section [run] of the configuration file.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The node's folder
    #[arg(long, env = "CARILLON_DATA_DIR", value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Where the chain's proving keys are [default: keys in the node's folder]
    #[arg(long, env = "CARILLON_KEY_DIR", value_name = "FOLDER")]
    key_dir: Option<PathBuf>,
    /// The sequencer's key [default: sequencer.key in the node's folder]
    #[arg(long, value_name = "FILE")]
    sequencer_key: Option<PathBuf>,
    /// The copy: a folder without a node's database
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

/// Copies.
pub async fn run(output: &Output, args: BackupArgs, config: Config) -> Result<(), Failure> {
    let file = config.run;
    let data_dir = args
        .data_dir
        .or(file.data_dir)
        .ok_or_else(|| Failure::input("--data-dir is needed: the folder of the node".into()))?;
    let key_dir = args.key_dir.or(file.key_dir).or(config.key_dir);
    let key_dir = keys::home(key_dir, Some(&data_dir))?;
    let sequencer = args.sequencer_key.or(file.sequencer_key);
    let sequencer = sequencer.unwrap_or_else(|| data_dir.join(SEQUENCER));

    let step = output.step("database");
    let saved = backup(&data_dir, &args.out).await.map_err(failure)?;
    step.done(&format!("{} bytes", grouped(saved.bytes)));
    let step = output.step("keys");
    let copied = copy_keys(&key_dir, &args.out.join("keys"))?;
    let kept = copy_secret(&sequencer, &args.out.join(SEQUENCER))?;
    step.done(&format!("{} proving keys", copied.len()));
    if copied.is_empty() {
        output.note(&format!(
            "no proving key in {}: a chain without its key cannot prove; name its folder with --key-dir",
            key_dir.display()
        ));
    }
    let fields = json!({
        "out": args.out,
        "running": saved.running,
        "operations": saved.operations,
        "batch": saved.batch,
        "bytes": saved.bytes,
        "keys": copied,
        "sequencer_key": kept,
    });
    let rows = [
        ("database", saved.path.display().to_string()),
        (
            "as of",
            format!(
                "{} operations, {} batches{}",
                grouped(saved.operations),
                grouped(saved.batch),
                if saved.running {
                    ", of the running node"
                } else {
                    ""
                }
            ),
        ),
        ("proving keys", copied.len().to_string()),
        (
            "sequencer's key",
            if kept { "copied" } else { "none there" }.to_owned(),
        ),
        (
            "not in it",
            "the archive, the operator's key, and what the node makes again".to_owned(),
        ),
    ];
    output.result("carillon.backup/1", fields, &rows);
    Ok(())
}

/// Copies the keys of a folder into another.
fn copy_keys(from: &Path, to: &Path) -> Result<Vec<PathBuf>, Failure> {
    let fault = |path: &Path, error: std::io::Error| {
        Failure::input(format!("cannot copy {}: {error}", path.display()))
    };
    let entries = match std::fs::read_dir(from) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fault(from, error)),
    };
    let mut copied = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| fault(from, error))?.path();
        let name = path.file_name().unwrap_or_default();
        if path.extension().is_none_or(|extension| extension != "ckey") {
            continue;
        }
        std::fs::create_dir_all(to).map_err(|error| fault(to, error))?;
        let target = to.join(name);
        let mut source = std::fs::File::open(&path).map_err(|error| fault(&path, error))?;
        let mut staged = tempfile::NamedTempFile::new_in(to).map_err(|error| fault(to, error))?;
        std::io::copy(&mut source, staged.as_file_mut()).map_err(|error| fault(&target, error))?;
        staged
            .as_file()
            .sync_all()
            .map_err(|error| fault(&target, error))?;
        match staged.persist_noclobber(&target) {
            Ok(file) => {
                let mode = source.metadata().map_err(|error| fault(&path, error))?;
                let mode = mode.permissions();
                file.set_permissions(mode)
                    .map_err(|error| fault(&target, error))?;
            }
            Err(error) => return Err(fault(&target, error.error)),
        }
        copied.push(target);
    }
    Ok(copied)
}

/// Copies a secret file, if there is one, for its owner's eyes.
fn copy_secret(from: &Path, to: &Path) -> Result<bool, Failure> {
    match from.try_exists() {
        Ok(false) => return Ok(false),
        Ok(true) => {}
        Err(error) => {
            return Err(Failure::input(format!(
                "cannot read {}: {error}",
                from.display()
            )));
        }
    }
    let text = secret::read(from, "the sequencer's key")?;
    secret::create(to, &text)
        .map_err(|error| Failure::input(format!("cannot write {}: {error}", to.display())))?;
    Ok(true)
}

fn failure(error: BackupError) -> Failure {
    match error {
        BackupError::NoNode { .. } | BackupError::Exists { .. } | BackupError::Write { .. } => {
            Failure::input(error.to_string())
        }
        BackupError::Store(error) => error.into(),
        BackupError::Node(_) => Failure::unavailable(error.to_string()),
    }
}
