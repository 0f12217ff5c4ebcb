//! The configuration file. Options and environment variables win over it.

use std::path::{Path, PathBuf};

use carillon_runtime::EngineKind;
use carillon_runtime::cli;
use serde::Deserialize;

use crate::exit::Failure;

/// What the file may set; the keys are those of the options of `demo`.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Engine that proves.
    pub engine: Option<EngineKind>,
    /// Transfers in the batch.
    pub txs: Option<usize>,
    /// Slots of the batch.
    pub batch_capacity: Option<usize>,
    /// Seed of accounts and transfers.
    pub seed: Option<u64>,
    /// Where development keys are kept.
    pub key_dir: Option<PathBuf>,
    /// The anvil program.
    pub anvil: Option<PathBuf>,
}

impl Config {
    /// Reads the file given, or the user's own (`$XDG_CONFIG_HOME/carillon/node.toml`) if there is
    /// one.
    pub fn read(given: Option<&Path>) -> Result<Self, Failure> {
        Ok(cli::read_config(given, "node.toml")?)
    }
}
