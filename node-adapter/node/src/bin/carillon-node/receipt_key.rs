//! `carillon-node keys register`: tells Ethereum by which key a chain signs its receipts, so that other
//! chains believe what it sends before it is settled. Also used by `deploy`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use alloy::primitives::{Address, U256};
use alloy::sol_types::SolCall;
use carillon_cli::Output;
use carillon_protocol::crypto::schnorr::{PublicKey, SecretKey};
use carillon_settlement::abi::{ChainHub, RollupChain};
use carillon_settlement::watch::NodeSource;
use carillon_settlement::{GasLimit, L1Client, receipt_key};
use clap::Args;
use rand::RngCore;
use rand::rngs::OsRng;
use serde_json::json;
use zeroize::Zeroizing;

use crate::config::Config;
use crate::deploy::{DEADLINES, operator_key};
use crate::exit::Failure;
use crate::secret;
use crate::user::ethereum_failure;

const WHAT: &str = "the sequencer's key";

/// Arguments of `keys register`.
#[derive(Debug, Args)]
pub struct RegisterArgs {
    /// URL of an Ethereum node
    #[arg(long, env = "CARILLON_L1", hide_env_values = true, value_name = "URL")]
    l1: Option<String>,
    /// The chain's contract (RollupChain) on Ethereum
    #[arg(long, env = "CARILLON_CHAIN", value_name = "ADDRESS")]
    chain: Option<Address>,
    /// The operator's key on Ethereum: a file of 32 bytes in hex, readable by nobody else
    #[arg(long, env = "CARILLON_OPERATOR_KEY", value_name = "FILE")]
    operator_key: Option<PathBuf>,
    /// The node's folder, with the sequencer's key
    #[arg(long, env = "CARILLON_DATA_DIR", value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// The sequencer's secret key; made if it does not exist [default: sequencer.key in the node's folder]
    #[arg(long, value_name = "FILE")]
    sequencer_key: Option<PathBuf>,
}

/// Registers the key, if it is not the one that is there.
pub async fn register(output: &Output, args: RegisterArgs, config: Config) -> Result<(), Failure> {
    let file = config.run;
    let needed = |what: &str| {
        Failure::input(format!(
            "{what} is needed, as an option or in the section [run] of the configuration file"
        ))
    };
    let url = args.l1.or(file.l1).ok_or_else(|| needed("--l1"))?;
    let chain = args.chain.or(file.chain).ok_or_else(|| needed("--chain"))?;
    let operator = args.operator_key.or(file.operator_key);
    let operator = operator_key(&operator.ok_or_else(|| needed("--operator-key"))?)?;
    let in_folder = args
        .data_dir
        .or(file.data_dir)
        .map(|folder| folder.join("sequencer.key"));
    let path = args.sequencer_key.or(file.sequencer_key).or(in_folder);
    let path = path.ok_or_else(|| needed("--data-dir or --sequencer-key"))?;
    let key = read_or_make(&path)?;
    let source = NodeSource::new(&url, chain, Duration::from_secs(30)).map_err(ethereum_failure)?;
    let id = source.read(chain, RollupChain::chainIdCall {}).await;
    let id = id.map_err(ethereum_failure)?;
    let hub = source.read(chain, RollupChain::hubCall {}).await;
    let hub = hub.map_err(ethereum_failure)?;
    let found = receipt_key(&source, hub, id)
        .await
        .map_err(ethereum_failure)?;
    let mut transaction = None;
    if found != Some(*key.public()) {
        let step = output.step("registration");
        let client = L1Client::new(&url, operator, DEADLINES).map_err(ethereum_failure)?;
        let input = call(id, key.public()).abi_encode().into();
        let sent = client.transact("setReceiptKey", Some(hub), input, GasLimit::Estimate);
        transaction = Some(
            sent.await
                .map_err(ethereum_failure)?
                .receipt
                .transaction_hash,
        );
        step.done("on Ethereum");
    }
    let public = format!("0x{}", hex::encode(key.public().to_bytes()));
    let fields = json!({ "chain_id": id, "key": public, "transaction": transaction });
    let said = transaction.map_or("there already".to_owned(), |hash| hash.to_string());
    let rows = [
        ("chain".to_owned(), id.to_string()),
        ("key of its receipts".to_owned(), public),
        ("transaction".to_owned(), said),
    ];
    output.result("carillon.keys.register/1", fields, &rows);
    Ok(())
}

/// The call that registers a key.
fn call(chain: u64, key: &PublicKey) -> ChainHub::setReceiptKeyCall {
    let point = key.coordinates();
    let word = |scalar: blstrs::Scalar| U256::from_be_bytes(scalar.to_bytes_be());
    ChainHub::setReceiptKeyCall {
        chainId: chain,
        x: word(point.x),
        y: word(point.y),
    }
}

/// Reads the sequencer's key, or makes one that nobody else can read.
pub fn read_or_make(path: &Path) -> Result<SecretKey, Failure> {
    let mut seed = Zeroizing::new([0; 32]);
    OsRng.fill_bytes(&mut *seed);
    let text = Zeroizing::new(hex::encode(*seed));
    match secret::create(path, &text) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => {
            let path = path.display();
            return Err(Failure::input(format!("{WHAT} {path}: {error}")));
        }
    }
    secret::read_key(path, WHAT)
}
