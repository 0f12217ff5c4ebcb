//! What `devnet` is told on the command line.

use std::path::PathBuf;

use carillon_runtime::EngineKind;
use carillon_runtime::engine::ENGINES;
use clap::Args;

/// Arguments of `devnet`.
#[derive(Debug, Args)]
pub struct DevnetArgs {
    /// Folder that keeps the chain between runs: Ethereum's state, keys, the node's folder, the
    /// archive [default: a temporary one, gone at the end]
    #[arg(long, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Port of Ethereum's JSON-RPC on 127.0.0.1
    #[arg(long, env = "CARILLON_DEVNET_L1_PORT", value_name = "PORT", default_value_t = 8545,
          value_parser = clap::value_parser!(u16).range(1..))]
    pub l1_port: u16,
    /// Port of the node's JSON-RPC on 127.0.0.1
    #[arg(long, env = "CARILLON_DEVNET_RPC_PORT", value_name = "PORT", default_value_t = 3060,
          value_parser = clap::value_parser!(u16).range(1..))]
    pub rpc_port: u16,
    /// Seconds from block to block on Ethereum
    #[arg(long, value_name = "S", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub block_time: u64,
    /// Blocks on top of one until a deposit in it is executed, and a batch in it is final
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub confirmations: u64,
    /// Most operations of a batch; of a new chain
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub slots: usize,
    /// Most distinct balances of a batch; of a new chain
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub cells: usize,
    /// Most records of a batch; of a new chain
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub records: usize,
    /// Seconds that an entry of the queue may wait before anyone may halt the chain; of a new chain
    /// [default: a week]
    #[arg(long, value_name = "S")]
    pub queue_delay: Option<u64>,
    #[arg(
        long,
        env = "CARILLON_ENGINE",
        value_name = "ENGINE",
        default_value = "cpu",
        help = format!("What proves: {ENGINES}")
    )]
    pub engine: EngineKind,
    /// Where the INSECURE development key is kept [default: keys in the data folder]
    #[arg(long, env = "CARILLON_KEY_DIR", value_name = "FOLDER")]
    pub key_dir: Option<PathBuf>,
    /// The anvil program [default: from the tools folder (CARILLON_TOOLS or .tools), else from PATH]
    #[arg(long, env = "CARILLON_ANVIL", value_name = "FILE")]
    pub anvil: Option<PathBuf>,
    /// Only Ethereum, without node and prover: the operator is gone
    #[arg(long, requires = "data_dir")]
    pub l1_only: bool,
}
