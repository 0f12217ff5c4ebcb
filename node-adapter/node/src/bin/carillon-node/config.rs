//! The configuration file. Options and environment variables win over it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use alloy::primitives::Address;
use carillon_runtime::EngineKind;
use serde::Deserialize;

use crate::exit::Failure;

/// What the file may set; the keys are those of the options of `demo`.
#[derive(Debug, Default, PartialEq, Deserialize)]
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
    /// The section of `run`.
    #[serde(default)]
    pub run: RunConfig,
    /// The section of least fees.
    #[serde(default)]
    pub fees: FeeConfig,
    /// The section of `prover`.
    #[serde(default)]
    pub prover: ProverConfig,
    /// The section of `gateway`.
    #[serde(default)]
    pub gateway: GatewayConfig,
}

/// What the section `[run]` may set; the keys are those of the options of `run`.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// The node's folder.
    pub data_dir: Option<PathBuf>,
    /// Where users are served.
    pub rpc: Option<SocketAddr>,
    /// Where provers are served.
    pub prover_api: Option<SocketAddr>,
    /// Tokens of the provers.
    pub prover_tokens: Option<PathBuf>,
    /// The chain.
    pub chain_id: Option<u64>,
    /// Account of the operator.
    pub operator: Option<u32>,
    /// Owner of the operator's account.
    pub operator_owner: Option<String>,
    /// The sequencer's key.
    pub sequencer_key: Option<PathBuf>,
    /// Slots of a batch.
    pub slots: Option<usize>,
    /// Cells of a batch.
    pub cells: Option<usize>,
    /// Records of a batch.
    pub records: Option<usize>,
    /// Levels of the account tree.
    pub depth: Option<usize>,
    /// Operations after which a batch is sealed.
    pub seal_count: Option<u64>,
    /// Milliseconds after which a batch is sealed.
    pub seal_after_ms: Option<u64>,
    /// Seconds of a prover's lease.
    pub lease_seconds: Option<u64>,
    /// Seconds of a lease with heartbeats.
    pub lease_max_seconds: Option<u64>,
    /// Leases of one token.
    pub leases_per_token: Option<usize>,
    /// Proofs under way in the process at the same time.
    pub proofs_at_once: Option<usize>,
    /// Connections of users.
    pub connections: Option<usize>,
    /// Connections of one address.
    pub connections_per_address: Option<usize>,
    /// Reverse proxies.
    #[serde(default)]
    pub proxy: Vec<IpAddr>,
    /// Origins whose pages may ask.
    #[serde(default)]
    pub origin: Vec<String>,
    /// What bundles may do.
    pub bundle_policy: Option<PathBuf>,
    /// Queue entries for development.
    pub dev_queue: Option<PathBuf>,
    /// Engine that proves in the process.
    pub engine: Option<EngineKind>,
    /// Where the chain's proving key is.
    pub key_dir: Option<PathBuf>,
    /// The Ethereum node.
    pub l1: Option<String>,
    /// The chain's contract.
    pub chain: Option<Address>,
    /// The operator's key.
    pub operator_key: Option<PathBuf>,
    /// Number of the batches' circuit.
    pub shape_number: Option<u32>,
    /// Where settled batches go.
    pub archive: Option<String>,
    /// Blocks until something counts.
    pub confirmations: Option<u64>,
    /// The block of the contract's creation.
    pub from_block: Option<u64>,
    /// Where other chains are told what this one sends.
    pub lane_api: Option<SocketAddr>,
    /// Feeds of other chains, `CHAIN=URL`.
    #[serde(default)]
    pub lane_feed: Vec<String>,
    /// Units of account that may be unsettled.
    pub lane_feed_most: Option<u64>,
    /// Wei of a unit of account.
    pub lane_feed_unit: Option<u64>,
    /// Seconds in which a chain must have settled.
    pub lane_feed_age: Option<u64>,
    /// Milliseconds between two looks at Ethereum.
    pub l1_poll_ms: Option<u64>,
    /// The gateway.
    pub gateway: Option<String>,
}

/// What the section `[fees]` may set.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeeConfig {
    /// Added to the cost.
    pub margin_percent: Option<u64>,
    /// How full batches are expected to be.
    pub fill_percent: Option<u64>,
    /// Wei a unit of gas, instead of Ethereum's base fee.
    pub base_fee: Option<u64>,
    /// Wei a unit of blob gas, beside `base_fee`.
    pub blob_base_fee: Option<u64>,
    /// Units of a token that are worth a wei, by the token's slot.
    #[serde(default)]
    pub tokens: BTreeMap<String, f64>,
}

/// What the section `[prover]` may set; the keys are those of the options of `prover`.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProverConfig {
    /// The node.
    pub url: Option<String>,
    /// The token.
    pub token_file: Option<PathBuf>,
    /// The prover's name.
    pub id: Option<String>,
    /// Proofs under way at the same time.
    pub proofs_at_once: Option<usize>,
}

/// What the section `[gateway]` may set; the keys are those of the options of `gateway`.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayConfig {
    /// The gateway's folder.
    pub data_dir: Option<PathBuf>,
    /// Where nodes are served.
    pub listen: Option<SocketAddr>,
    /// The Ethereum node.
    pub l1: Option<String>,
    /// The contract.
    pub contract: Option<Address>,
    /// The key that pays.
    pub key: Option<PathBuf>,
    /// Blocks until a transaction is forgotten.
    pub confirmations: Option<u64>,
    /// Milliseconds between two looks at Ethereum.
    pub l1_poll_ms: Option<u64>,
    /// Seconds that a batch waits for others.
    pub linger: Option<u64>,
    /// Batches of a transaction.
    pub batches: Option<usize>,
}

impl Config {
    /// Reads the file given, or the user's own (`$XDG_CONFIG_HOME/carillon/node.toml`) if there is
    /// one.
    pub fn read(given: Option<&Path>) -> Result<Self, Failure> {
        Ok(carillon_cli::read_config(given, "node.toml")?)
    }
}
