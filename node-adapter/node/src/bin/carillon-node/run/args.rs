//! What `run` is told, on the command line and by the configuration file, and the plan that follows.
//! No I/O.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use alloy::primitives::Address;
use carillon_node::{
    FeeBook, FeeOptions, Prices, PromisePolicy, RollupOptions, RpcOptions, WriterOptions,
};
use carillon_prover_api::{ApiOptions, BoardOptions};
use carillon_runtime::EngineKind;
use carillon_runtime::engine::ENGINES;
use carillon_serving::Limits;
use carillon_settlement::limits::check_records;
use clap::Args;

use crate::config::{Config, FeeConfig};
use crate::exit::Failure;
use crate::keys;
use crate::node_url::DEFAULT_RPC;
use crate::prover::at_once;
use crate::send::address;

/// Arguments of `run`. Those without a value come from the section [run] of the configuration file or
/// the defaults.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The node's folder: log, state, batches and jobs; one node at a time
    #[arg(long, env = "CARILLON_DATA_DIR", value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Where users are served (JSON-RPC over HTTP and WebSocket) [default: 127.0.0.1:3060]
    #[arg(long, value_name = "ADDRESS")]
    rpc: Option<SocketAddr>,
    /// Where provers are served [default: nowhere]
    #[arg(long, value_name = "ADDRESS")]
    prover_api: Option<SocketAddr>,
    /// Tokens of the provers, a line `name token` each, readable by nobody else
    #[arg(long, env = "CARILLON_PROVER_TOKENS", value_name = "FILE")]
    prover_tokens: Option<PathBuf>,
    #[arg(long, value_name = "ENGINE", help = format!(
        "Prove in this process, on {ENGINES}. A node proves only where it is told to: CARILLON_ENGINE is not read [default: only provers prove]"
    ))]
    engine: Option<EngineKind>,
    /// Where the chain's proving key is; `keys make` and `deploy` put it there, `run` never does
    /// [default: keys in the node's folder]
    #[arg(long, env = "CARILLON_KEY_DIR", value_name = "FOLDER")]
    key_dir: Option<PathBuf>,
    /// The chain's id [default: 270]
    #[arg(long, value_name = "ID")]
    chain_id: Option<u64>,
    /// Account that fees are credited to [default: 0]
    #[arg(long, value_name = "INDEX")]
    operator: Option<u32>,
    /// Owner on L1 whose deposits open the operator's account [default: nobody]
    #[arg(long, value_name = "ADDRESS")]
    operator_owner: Option<String>,
    /// The sequencer's secret key, 32 bytes in hex; made if it does not exist [default: sequencer.key
    /// in the node's folder]
    #[arg(long, value_name = "FILE")]
    sequencer_key: Option<PathBuf>,
    /// Most operations of a batch [default: 64]
    #[arg(long, value_name = "N")]
    slots: Option<usize>,
    /// Most distinct balances of a batch [default: as many as slots]
    #[arg(long, value_name = "N")]
    cells: Option<usize>,
    /// Most records of a batch [default: a quarter of the slots]
    #[arg(long, value_name = "N")]
    records: Option<usize>,
    /// Levels of the account tree, 4 children each [default: 12]
    #[arg(long, value_name = "N")]
    depth: Option<usize>,
    /// Seal after so many operations, though more would fit
    #[arg(long, value_name = "N")]
    seal_count: Option<u64>,
    /// Seal when an operation has waited so long [default: 10000]
    #[arg(long, value_name = "MS")]
    seal_after_ms: Option<u64>,
    /// How long a prover's lease holds without a heartbeat [default: 60]
    #[arg(long, value_name = "SECONDS")]
    lease_seconds: Option<u64>,
    /// How long it can hold with heartbeats: longer than the slowest proof takes [default: 3600]
    #[arg(long, value_name = "SECONDS")]
    lease_max_seconds: Option<u64>,
    /// Leases that the provers of one token may hold at the same time [default: 16]
    #[arg(long, value_name = "N")]
    leases_per_token: Option<usize>,
    /// Proofs under way in this process at the same time, with --engine; each takes memory, and none
    /// may be without a lease (--leases-per-token) [default: as many as the engine works on at once:
    /// 1 on cpu, 2 on a card]
    #[arg(long, env = "CARILLON_PROOFS_AT_ONCE", value_name = "N")]
    proofs_at_once: Option<usize>,
    /// Most connections of users; fewer if the limit of open files is low [default: 512]
    #[arg(long, value_name = "N")]
    connections: Option<usize>,
    /// Most connections from one address, 0 for no such limit; this machine's own addresses have none
    /// [default: 64]
    #[arg(long, value_name = "N")]
    connections_per_address: Option<usize>,
    /// Address of a reverse proxy, which has no limit of its own; repeatable
    #[arg(long, value_name = "ADDRESS")]
    proxy: Vec<IpAddr>,
    /// Origin whose pages may ask (CORS), * for all, none for none; repeatable [default: *]
    #[arg(long, value_name = "ORIGIN")]
    origin: Vec<String>,
    /// Price of gas that least fees are computed from, 0 for none [default: Ethereum's with --l1, else 0]
    #[arg(long, value_name = "WEI")]
    base_fee: Option<u128>,
    /// What bundles may do on Ethereum, a TOML file; each bundle must then be shown to the node, and what
    /// the file does not name is refused [default: everything is allowed]
    #[arg(long, env = "CARILLON_BUNDLE_POLICY", value_name = "FILE")]
    bundle_policy: Option<PathBuf>,
    /// INSECURE, for development: entries of this file are executed as if the L1 queue held them
    #[arg(long, value_name = "FILE")]
    dev_queue: Option<PathBuf>,
    /// Ethereum node to read the queue from and to settle on; needs --chain and --operator-key
    /// [default: none]
    #[arg(long, env = "CARILLON_L1", hide_env_values = true, value_name = "URL")]
    l1: Option<String>,
    /// The chain's contract (RollupChain) on Ethereum
    #[arg(long, env = "CARILLON_CHAIN", value_name = "ADDRESS")]
    chain: Option<Address>,
    /// The operator's key on Ethereum: a file of 32 bytes in hex, readable by nobody else
    #[arg(long, env = "CARILLON_OPERATOR_KEY", value_name = "FILE")]
    operator_key: Option<PathBuf>,
    /// Number of the batches' circuit on Ethereum [default: 1]
    #[arg(long, value_name = "N")]
    shape_number: Option<u32>,
    /// Where each proved batch is kept before it is settled, with --l1: a folder, or a URL like
    /// file:///var/lib/carillon/archive. It is made at the first start. Blobs expire on Ethereum:
    /// without the archive nobody can rebuild the state or leave a halted chain. Without this option
    /// it is lost with the node's folder [default: archive in the node's folder]
    #[arg(
        long,
        env = "CARILLON_ARCHIVE",
        hide_env_values = true,
        value_name = "URL"
    )]
    archive: Option<String>,
    /// Blocks on top of one until a deposit in it is executed, and a batch in it is final
    /// [default: 32]
    #[arg(long, value_name = "N")]
    confirmations: Option<u64>,
    /// The block that created the contract, or one before it: events are read from there [default: 0]
    #[arg(long, value_name = "BLOCK")]
    from_block: Option<u64>,
    /// Where other chains are told what this one sends, before it is settled (HTTP and WebSocket); needs
    /// --l1 [default: nowhere]
    #[arg(long, value_name = "ADDRESS")]
    lane_api: Option<SocketAddr>,
    /// Take what another chain sends before it is settled, as the feed there tells it: a chain's id and the
    /// URL of its node's --lane-api, or of a relay; repeatable; needs --l1 [default: none]
    #[arg(
        long,
        env = "CARILLON_LANE_FEED",
        value_delimiter = ',',
        value_name = "CHAIN=URL"
    )]
    lane_feed: Vec<String>,
    /// What may be taken of each chain that it has not settled, in units of account; more waits for
    /// Ethereum [default: 100000]
    #[arg(long, value_name = "UNITS")]
    lane_feed_most: Option<u64>,
    /// Wei that a unit of account is worth [default: 400000000000000, 2,500 units an ether]
    #[arg(long, value_name = "WEI")]
    lane_feed_unit: Option<u64>,
    /// Seconds in which a chain must have settled what was taken; what it has not is taken back
    /// [default: 600]
    #[arg(long, value_name = "SECONDS")]
    lane_feed_age: Option<u64>,
    /// Milliseconds between two looks at Ethereum; after an error at least three times as long
    /// [default: 4000]
    #[arg(long, env = "CARILLON_L1_POLL_MS", value_name = "MS")]
    l1_poll_ms: Option<u64>,
    /// Gateway that settles batches together with those of other chains: they are committed from here, the gateway
    /// has them proved and executed [default: each settles alone]
    #[arg(long, env = "CARILLON_GATEWAY", value_name = "URL")]
    gateway: Option<String>,
}

/// What a node does, with every choice made.
#[derive(Debug)]
pub struct Plan {
    pub data_dir: PathBuf,
    pub rpc: SocketAddr,
    pub prover_api: Option<(SocketAddr, PathBuf)>,
    pub engine: Option<EngineKind>,
    pub at_once: Option<usize>,
    pub key_dir: PathBuf,
    pub rollup: RollupOptions,
    pub writer: WriterOptions,
    pub sequencer_key: PathBuf,
    pub board: BoardOptions,
    pub rpc_options: RpcOptions,
    pub fees: FeeOptions,
    pub bundle_policy: Option<PathBuf>,
    pub api_options: ApiOptions,
    pub dev_queue: Option<PathBuf>,
    pub lane_api: Option<SocketAddr>,
    pub lane_feeds: Vec<(u64, String)>,
    pub l1: Option<L1Plan>,
}

/// Where the chain's contracts are on Ethereum.
#[derive(Debug)]
pub struct L1Plan {
    /// The Ethereum node.
    pub url: String,
    /// The chain's contract.
    pub chain: Address,
    /// The operator's key.
    pub operator_key: PathBuf,
    /// The number of the batches' circuit.
    pub shape: u32,
    /// Where settled batches go.
    pub archive: String,
    /// Blocks until something counts.
    pub confirmations: u64,
    /// Where events begin.
    pub from_block: u64,
    /// Between two looks.
    pub poll: Duration,
    /// The gateway.
    pub gateway: Option<carillon_gateway::Client>,
}

impl RunArgs {
    /// Options first, then the configuration file, then the defaults.
    pub fn merge(self, config: Config) -> Result<Plan, Failure> {
        let file = config.run;
        let data_dir = self.data_dir.or(file.data_dir).ok_or_else(|| {
            Failure::input(
                "--data-dir is needed: the folder that holds the node's log and state".into(),
            )
        })?;
        let tokens = self.prover_tokens.or(file.prover_tokens);
        let prover_api = match (self.prover_api.or(file.prover_api), tokens) {
            (Some(address), Some(tokens)) => Some((address, tokens)),
            (Some(_), None) => {
                return Err(Failure::input(
                    "--prover-api needs --prover-tokens: provers are told apart by their tokens"
                        .into(),
                ));
            }
            (None, _) => None,
        };
        let operator_owner = match self.operator_owner.or(file.operator_owner) {
            None => [0; 20],
            Some(text) => address(&text)?,
        };
        let slots = self.slots.or(file.slots).unwrap_or(64);
        let rollup = RollupOptions::new(
            self.chain_id.or(file.chain_id).unwrap_or(270),
            self.operator.or(file.operator).unwrap_or(0),
            slots,
            self.cells.or(file.cells).unwrap_or(slots.max(3)),
            self.records.or(file.records).unwrap_or(slots.div_ceil(4)),
            self.depth.or(file.depth).unwrap_or(12),
        )
        .map_err(|error| Failure::input(error.to_string()))?;
        let rollup = RollupOptions {
            operator_owner,
            ..rollup
        };
        if self.l1.is_some() || file.l1.is_some() {
            check_records(rollup.budget.records)
                .map_err(|error| Failure::input(error.to_string()))?;
        }
        let defaults = WriterOptions::new(rollup.chain_id);
        let seal_after = self.seal_after_ms.or(file.seal_after_ms);
        let writer = WriterOptions {
            seal_count: self
                .seal_count
                .or(file.seal_count)
                .unwrap_or(defaults.seal_count)
                .max(1),
            seal_after: seal_after.map_or(defaults.seal_after, Duration::from_millis),
            promises: promises(
                self.lane_feed_most.or(file.lane_feed_most),
                self.lane_feed_unit.or(file.lane_feed_unit),
                self.lane_feed_age.or(file.lane_feed_age),
            ),
            ..defaults
        };
        let lane_api = self.lane_api.or(file.lane_api);
        let feeds = if self.lane_feed.is_empty() {
            file.lane_feed
        } else {
            self.lane_feed
        };
        let lane_feeds = feeds.iter().map(|text| lane_feed(text, rollup.chain_id));
        let lane_feeds = lane_feeds.collect::<Result<Vec<_>, Failure>>()?;
        let dev_queue = self.dev_queue.or(file.dev_queue);
        let url = self.l1.or(file.l1);
        if url.is_some() && dev_queue.is_some() {
            return Err(Failure::input(
                "--l1 and --dev-queue exclude each other: a chain has one queue".into(),
            ));
        }
        if url.is_none() && (lane_api.is_some() || !lane_feeds.is_empty()) {
            return Err(Failure::input(
                "--lane-api and --lane-feed need --l1: Ethereum has the lanes, and the keys of those who speak for them".into(),
            ));
        }
        let board = board_options(
            self.lease_seconds.or(file.lease_seconds),
            self.lease_max_seconds.or(file.lease_max_seconds),
            self.leases_per_token.or(file.leases_per_token),
        )?;
        let at_once = at_once(self.proofs_at_once.or(file.proofs_at_once))?;
        if let Some(wanted) = at_once.filter(|wanted| *wanted > board.per_token) {
            return Err(Failure::input(format!(
                "--proofs-at-once {wanted} is more than the {} leases that a prover may hold: raise --leases-per-token, or lower it",
                board.per_token
            )));
        }
        let mut limits = Limits::default();
        limits.connections = self
            .connections
            .or(file.connections)
            .unwrap_or(limits.connections);
        let per_address = self
            .connections_per_address
            .or(file.connections_per_address);
        limits.per_address = per_address.unwrap_or(limits.per_address);
        limits.proxies = if self.proxy.is_empty() {
            file.proxy
        } else {
            self.proxy
        };
        let origins = if self.origin.is_empty() {
            file.origin
        } else {
            self.origin
        };
        let api_options = ApiOptions::default();
        let api_options = ApiOptions {
            limits: Limits {
                proxies: limits.proxies.clone(),
                ..api_options.limits.clone()
            },
            ..api_options
        };
        let defaults = RpcOptions::default();
        let rpc_options = RpcOptions {
            origins: match origins.as_slice() {
                [] => defaults.origins.clone(),
                [none] if none == "none" => Vec::new(),
                _ => origins,
            },
            limits,
            ..defaults
        };
        rpc_options
            .cors()
            .map_err(|error| Failure::input(error.to_string()))?;
        let fees = fee_options(self.base_fee, config.fees)?;
        // Checked here, before anything is opened.
        FeeBook::new(fees.clone(), rollup.budget, false)
            .map_err(|error| Failure::input(error.to_string()))?;
        let archive = data_dir.join("archive").display().to_string();
        let chain = self.chain.or(file.chain);
        let operator_key = self.operator_key.or(file.operator_key);
        let gateway = self.gateway.or(file.gateway);
        let gateway = gateway.map(|url| carillon_gateway::Client::new(&url));
        let gateway = gateway
            .transpose()
            .map_err(|error| Failure::input(error.to_string()))?;
        let l1 = match (url, chain, operator_key) {
            (Some(url), Some(chain), Some(operator_key)) => Some(L1Plan {
                url,
                chain,
                operator_key,
                shape: self.shape_number.or(file.shape_number).unwrap_or(1),
                archive: self.archive.or(file.archive).unwrap_or(archive),
                confirmations: self.confirmations.or(file.confirmations).unwrap_or(32),
                from_block: self.from_block.or(file.from_block).unwrap_or(0),
                poll: Duration::from_millis(
                    self.l1_poll_ms.or(file.l1_poll_ms).unwrap_or(4_000).max(50),
                ),
                gateway,
            }),
            (Some(_), chain, _) => {
                let missing = match chain {
                    None => "--chain, the address of the RollupChain",
                    Some(_) => "--operator-key, the file of the operator's key",
                };
                return Err(Failure::input(format!(
                    "--l1 needs {missing}, as an option or in the section [run] of the configuration file"
                )));
            }
            // An operator's key may be in the environment for other commands.
            (None, None, _) => None,
            (None, Some(_), _) => {
                return Err(Failure::input(
                    "--chain (or CARILLON_CHAIN) needs --l1, the URL of an Ethereum node".into(),
                ));
            }
        };
        Ok(Plan {
            rpc: self.rpc.or(file.rpc).unwrap_or(DEFAULT_RPC),
            prover_api,
            engine: self.engine.or(file.engine),
            at_once,
            key_dir: keys::home(
                self.key_dir.or(file.key_dir).or(config.key_dir),
                Some(&data_dir),
            )?,
            rollup,
            writer,
            sequencer_key: self
                .sequencer_key
                .or(file.sequencer_key)
                .unwrap_or_else(|| data_dir.join("sequencer.key")),
            board,
            rpc_options,
            fees,
            bundle_policy: self.bundle_policy.or(file.bundle_policy),
            api_options,
            dev_queue,
            lane_api,
            lane_feeds,
            l1,
            data_dir,
        })
    }
}

/// How much is taken before it is settled.
fn promises(most: Option<u64>, unit: Option<u64>, age: Option<u64>) -> PromisePolicy {
    let defaults = PromisePolicy::default();
    let most = u128::from(most.unwrap_or(100_000));
    PromisePolicy {
        most_wei: most.saturating_mul(unit.unwrap_or(400_000_000_000_000).into()),
        age: age.map_or(defaults.age, Duration::from_secs),
    }
}

/// A chain and its feed.
fn lane_feed(text: &str, own: u64) -> Result<(u64, String), Failure> {
    let wrong = |reason: &str| {
        let text = carillon_redact::text(text);
        Failure::input(format!(
            "--lane-feed `{text}`: {reason}; write CHAIN=URL, as in 271=http://127.0.0.1:3062"
        ))
    };
    let (chain, url) = text.split_once('=').ok_or_else(|| wrong("there is no ="))?;
    let chain = chain
        .parse()
        .map_err(|_| wrong("a chain's id is a number"))?;
    if chain == own || chain == 0 {
        return Err(wrong("it names another chain than this one"));
    }
    carillon_lane_feed::Client::new(url, chain, own).map_err(|error| wrong(&error.to_string()))?;
    Ok((chain, url.to_owned()))
}

/// Fees by the section [fees], with another price of gas if one is given.
fn fee_options(base_fee: Option<u128>, file: FeeConfig) -> Result<FeeOptions, Failure> {
    let defaults = FeeOptions::default();
    let base = base_fee.or(file.base_fee.map(u128::from));
    let tokens = file
        .tokens
        .into_iter()
        .map(|(slot, units)| match slot.parse() {
            Ok(slot) => Ok((slot, units)),
            Err(_) => Err(Failure::input(format!(
                "[fees.tokens]: `{slot}` is not a token's slot, 1 to 63"
            ))),
        });
    Ok(FeeOptions {
        margin_percent: file.margin_percent.unwrap_or(defaults.margin_percent),
        fill_percent: file.fill_percent.unwrap_or(defaults.fill_percent),
        tokens: tokens.collect::<Result<_, _>>()?,
        fixed: base.map(|base| Prices {
            base,
            blob: file.blob_base_fee.unwrap_or(0).into(),
        }),
    })
}

/// How leases are given, with numbers that make sense together.
fn board_options(
    lease: Option<u64>,
    longest: Option<u64>,
    per_token: Option<usize>,
) -> Result<BoardOptions, Failure> {
    let defaults = BoardOptions::default();
    let lease = lease.map_or(defaults.lease, Duration::from_secs);
    let longest = longest.map_or(defaults.longest.max(lease), Duration::from_secs);
    let per_token = per_token.unwrap_or(defaults.per_token);
    if lease.is_zero() || longest < lease || per_token == 0 {
        return Err(Failure::input(
            "a lease holds for a second at least, with heartbeats at least as long as without, and a token may hold one at least"
                .into(),
        ));
    }
    Ok(BoardOptions {
        lease,
        longest,
        per_token,
    })
}
