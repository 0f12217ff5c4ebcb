//! What the demo is told, on the command line and by the configuration file, and the plan that follows.
//! No I/O.

use std::path::PathBuf;

use carillon_circuit::rollup::Shape;
use carillon_runtime::EngineKind;
use carillon_runtime::engine::ENGINES;
use clap::Args;

use super::figures::{CELLS, OTHERS};
use crate::config::Config;
use crate::exit::Failure;
use crate::keys;

/// Neither Alice nor Bob runs dry in so many transfers, whatever the seed.
const MAX_TRANSFERS: usize = 2048;

/// Arguments of `demo`. Those without a value come from the configuration file or the defaults.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Transfers in the batch, beside two deposits, a withdrawal and a bundle [default: 4]
    #[arg(long, value_name = "N")]
    txs: Option<usize>,
    /// Slots of the batch, which the circuit is made for; free slots stay empty [default: as many as
    /// operations]
    #[arg(long, value_name = "N")]
    batch_capacity: Option<usize>,
    #[arg(long, env = "CARILLON_ENGINE", value_name = "ENGINE",
        help = format!("What proves: {ENGINES} [default: sim:rtl, the Verilated card]"))]
    engine: Option<EngineKind>,
    /// Seed of keys and amounts [default: 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Where INSECURE development keys are kept [default: carillon/keys in the user's cache folder]
    #[arg(long, env = "CARILLON_KEY_DIR", value_name = "FOLDER")]
    key_dir: Option<PathBuf>,
    /// The anvil program [default: from the tools folder (CARILLON_TOOLS or .tools), else from PATH]
    #[arg(long, env = "CARILLON_ANVIL", value_name = "FILE")]
    anvil: Option<PathBuf>,
}

/// What a demo does, with every choice made.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    pub transfers: usize,
    pub shape: Shape,
    pub engine: EngineKind,
    pub seed: u64,
    pub key_dir: PathBuf,
    pub anvil: Option<PathBuf>,
}

impl Plan {
    /// Operations of the batch.
    pub fn operations(&self) -> usize {
        self.transfers + OTHERS
    }
}

impl DemoArgs {
    /// Options first, then the configuration file, then the defaults.
    pub fn merge(self, config: Config) -> Result<Plan, Failure> {
        let transfers = self.txs.or(config.txs).unwrap_or(4);
        if transfers > MAX_TRANSFERS {
            return Err(Failure::input(format!(
                "{transfers} transfers are more than the demo's: give --txs {MAX_TRANSFERS} or less"
            )));
        }
        let operations = transfers + OTHERS;
        let capacity = self
            .batch_capacity
            .or(config.batch_capacity)
            .unwrap_or(operations);
        if capacity < operations {
            return Err(Failure::input(format!(
                "{transfers} transfers and {OTHERS} other operations do not fit a batch of {capacity}: raise --batch-capacity or lower --txs"
            )));
        }
        Ok(Plan {
            transfers,
            shape: Shape::production(capacity, CELLS, OTHERS)?,
            engine: self.engine.or(config.engine).unwrap_or(EngineKind::SimRtl),
            seed: self.seed.or(config.seed).unwrap_or(1),
            key_dir: match self.key_dir.or(config.key_dir) {
                Some(folder) => folder,
                None => keys::cache()?,
            },
            anvil: self.anvil.or(config.anvil),
        })
    }
}
