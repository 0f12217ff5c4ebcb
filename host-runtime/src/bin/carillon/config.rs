//! The configuration file. Options and environment variables win over it.

use std::path::{Path, PathBuf};

use carillon_runtime::EngineKind;
use serde::Deserialize;

use crate::exit::Failure;

/// What the file may set.
#[derive(Debug, Default)]
pub struct Config {
    /// The default engine.
    pub engine: Option<EngineKind>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    engine: Option<String>,
}

impl Config {
    /// Reads the file given, or the user's own (`$XDG_CONFIG_HOME/carillon/config.toml`) if there
    /// is one.
    pub fn read(given: Option<&Path>) -> Result<Self, Failure> {
        let default = default_path().filter(|path| path.exists());
        let Some(path) = given.or(default.as_deref()) else {
            return Ok(Self::default());
        };
        let fault = |reason: String| {
            Failure::Input(format!("configuration file {}: {reason}", path.display()))
        };
        let text = std::fs::read_to_string(path).map_err(|error| fault(error.to_string()))?;
        let raw: Raw = toml::from_str(&text).map_err(|error| fault(error.to_string()))?;
        let engine = raw
            .engine
            .map(|name| name.parse::<EngineKind>())
            .transpose();
        Ok(Self {
            engine: engine.map_err(|error| fault(error.to_string()))?,
        })
    }
}

fn default_path() -> Option<PathBuf> {
    let base = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config")))?;
    Some(base.join("carillon").join("config.toml"))
}
