//! `carillon-node deploy`: the contracts of a chain on an Ethereum node.

use std::path::{Path, PathBuf};

use alloy::primitives::Address;
use alloy::signers::local::PrivateKeySigner;
use carillon_node::circuit::rollup::Shape;
use carillon_node::ledger::State;
use carillon_node::settlement::deploy::{DeployOptions, Deployment};
use carillon_node::settlement::{Deadlines, L1Client};
use carillon_runtime::cli::{Output, grouped};
use clap::Args;
use serde_json::json;
use zeroize::Zeroizing;

use crate::exit::Failure;
use crate::keys;

/// Arguments of `deploy`.
#[derive(Debug, Args)]
pub struct DeployArgs {
    /// URL of an Ethereum node
    #[arg(long, env = "CARILLON_L1", value_name = "URL")]
    l1: String,
    /// The key that deploys and then operates the chain: a file of 32 bytes in hex
    #[arg(long, env = "CARILLON_OPERATOR_KEY", value_name = "FILE")]
    operator_key: PathBuf,
    /// The chain's id
    #[arg(long, value_name = "ID", default_value_t = 270)]
    chain_id: u64,
    /// Account that fees are credited to
    #[arg(long, value_name = "INDEX", default_value_t = 0)]
    operator: u32,
    /// Slots of a batch, as in `run`
    #[arg(long, value_name = "N", default_value_t = 64)]
    slots: usize,
    /// Distinct balances of a batch [default: as many as slots]
    #[arg(long, value_name = "N")]
    cells: Option<usize>,
    /// Records of a batch [default: a quarter of the slots]
    #[arg(long, value_name = "N")]
    records: Option<usize>,
    /// Number of the batches' circuit on Ethereum
    #[arg(long, value_name = "N", default_value_t = 1)]
    shape_number: u32,
    /// Tokens of the chain, as SLOT=ADDRESS; slot 0 is ETH
    #[arg(long = "token", value_name = "SLOT=ADDRESS", value_parser = token)]
    tokens: Vec<(u8, Address)>,
    /// Seconds that an entry of the queue may wait before anyone may halt the chain [default: a week]
    #[arg(long, value_name = "SECONDS")]
    queue_delay: Option<u64>,
    /// Where INSECURE development keys are kept [default: carillon/keys in the user's cache folder]
    #[arg(long, env = "CARILLON_KEY_DIR", value_name = "FOLDER")]
    key_dir: Option<PathBuf>,
}

fn token(text: &str) -> Result<(u8, Address), String> {
    let (slot, address) = text.split_once('=').ok_or("write SLOT=ADDRESS")?;
    let slot = slot.parse().map_err(|_| "a slot is 1 to 63")?;
    let address = address.parse().map_err(|_| "not an address")?;
    Ok((slot, address))
}

/// Deploys and prints the addresses.
pub async fn run(output: &Output, args: DeployArgs) -> Result<(), Failure> {
    let cells = args.cells.unwrap_or(args.slots.max(3));
    let records = args.records.unwrap_or(args.slots.div_ceil(4));
    let shape = Shape::production(args.slots, cells, records)?;
    let operator = operator_key(&args.operator_key)?;

    let step = output.step("proving key");
    let folder = args.key_dir.unwrap_or_else(keys::default_folder);
    let made = tokio::task::spawn_blocking(move || keys::obtain_rollup(&folder, shape));
    let key = made
        .await
        .map_err(|error| Failure::unexpected(format!("a worker thread stopped: {error}")))??;
    step.done(&format!("INSECURE development key {}", key.path.display()));

    let step = output.step("contracts");
    let client = L1Client::new(&args.l1, operator, Deadlines::default())?;
    let genesis = State::genesis(shape.depth()).root();
    let mut options =
        DeployOptions::new(args.chain_id, &genesis).verifier(args.shape_number, key.key.vk.clone());
    options.operator_account = args.operator;
    options.tokens = args.tokens;
    if let Some(delay) = args.queue_delay {
        options.queue_delay = delay;
        options.max_pause = options.max_pause.min(delay / 2);
        options.governance_delay = options
            .governance_delay
            .max(delay + options.exit_window + 1);
    }
    let l1 = Deployment::deploy(&client, options).await?;
    step.done(&format!("{} gas", grouped(l1.gas)));
    let fields = json!({
        "chain_id": args.chain_id,
        "shape": shape.id(),
        "shape_number": args.shape_number,
        "chain": l1.chain,
        "bridge": l1.bridge,
        "hub": l1.hub,
        "handler": l1.handler,
        "timelock": l1.timelock,
        "gas": l1.gas,
    });
    let row = |name: &str, address: Address| (name.to_owned(), address.to_string());
    let rows = [
        row("chain", l1.chain),
        row("bridge", l1.bridge),
        row("hub", l1.hub),
        row("interop handler", l1.handler),
        row("timelock", l1.timelock),
    ];
    output.result("carillon.deploy/1", fields, &rows);
    Ok(())
}

/// Reads the operator's key.
pub fn operator_key(path: &Path) -> Result<PrivateKeySigner, Failure> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::input(format!("the operator's key {shown}: {error}")))?;
    let text = Zeroizing::new(text);
    text.trim()
        .parse()
        .map_err(|_| Failure::input(format!("the operator's key {shown} is not 32 bytes in hex")))
}
