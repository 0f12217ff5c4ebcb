//! The configuration file. Options and environment variables win over it.

use std::path::{Path, PathBuf};

use carillon_runtime::EngineKind;
use serde::Deserialize;

use crate::exit::Failure;

/// What the file may set; the keys are those of the options of `demo`.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Engine that proves.
    #[serde(default, deserialize_with = "engine")]
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
        let default = user_folder("XDG_CONFIG_HOME", ".config")
            .map(|folder| folder.join("node.toml"))
            .filter(|path| path.exists());
        let Some(path) = given.or(default.as_deref()) else {
            return Ok(Self::default());
        };
        let fault = |reason: String| {
            Failure::Input(format!("configuration file {}: {reason}", path.display()))
        };
        let text = std::fs::read_to_string(path).map_err(|error| fault(error.to_string()))?;
        toml::from_str(&text).map_err(|error| fault(error.to_string()))
    }
}

fn engine<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<EngineKind>, D::Error> {
    let name = String::deserialize(from)?;
    name.parse().map(Some).map_err(serde::de::Error::custom)
}

/// Carillon's folder below one of the user's base folders (XDG Base Directory Specification).
pub fn user_folder(variable: &str, below_home: &str) -> Option<PathBuf> {
    let base = std::env::var_os(variable)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(below_home)))?;
    Some(base.join("carillon"))
}
