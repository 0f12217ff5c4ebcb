//! The configuration file. Options and environment variables win over it.

use std::path::Path;

use carillon_cli::Failure;
use carillon_runtime::EngineKind;
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
        carillon_cli::read_config(given, "config.toml")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn help_names_every_key_of_the_file() {
        let error = toml::from_str::<Config>("no_such_key = 1").unwrap_err();
        let text = error.message().to_owned();
        let keys: Vec<&str> = text.split('`').skip(3).step_by(2).collect();
        assert_eq!(keys, ["engine", "dma_memory"], "{text}");
        let cli = crate::Cli::command();
        let mut all = cli.get_arguments();
        let config = all.find(|arg| arg.get_id() == "config").unwrap();
        let help = config.get_help().unwrap().to_string();
        assert!(keys.iter().all(|key| help.contains(key)), "{help}");
    }
}
