//! The configuration file. Options and environment variables win over it.

use std::path::Path;

use carillon_runtime::EngineKind;
use carillon_runtime::cli::{self, Failure};
use carillon_runtime::engine::DmaMemory;
use serde::Deserialize;

/// What the file may set.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The default engine.
    #[serde(default)]
    pub engine: Option<EngineKind>,
    /// DMA memory of a card each way, in MiB.
    #[serde(default)]
    pub dma_memory: Option<DmaMemory>,
}

impl Config {
    /// Reads the file given, or the user's own (`$XDG_CONFIG_HOME/carillon/config.toml`) if there
    /// is one.
    pub fn read(given: Option<&Path>) -> Result<Self, Failure> {
        cli::read_config(given, "config.toml")
    }
}
