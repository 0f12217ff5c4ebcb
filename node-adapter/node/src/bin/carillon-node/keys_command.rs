//! `carillon-node keys`: makes, checks and shows the proving keys of chains; `receipt_key` registers that of
//! receipts.

use std::path::{Path, PathBuf};
use std::time::Duration;

use alloy::primitives::{Address, B256};
use carillon_circuit::rollup::Shape;
use carillon_cli::{Output, duration, grouped};
use carillon_runtime::groth16::{KeyOrigin, ProvingKey};
use carillon_runtime::keys as key_files;
use carillon_settlement::ChainOnL1;
use carillon_settlement::deploy::key_hash;
use carillon_settlement::watch::NodeSource;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::config::Config;
use crate::exit::Failure;
use crate::keys;
use crate::receipt_key::{self, RegisterArgs};
use crate::user::ethereum_failure;

/// Commands about proving keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make the INSECURE development key of a chain's circuit; one that is there stays
    Make(MakeArgs),
    /// Check every byte and every point of keys, and with --l1 that the chain's verifier takes one
    Verify(VerifyArgs),
    /// Say what a key is
    Show(ShowArgs),
    /// For the operator: tell Ethereum by which key the chain signs its receipts
    ///
    /// Other chains take what this one sends before it is settled only by that key's word. The same command
    /// changes it: what the old key has signed is refused from then on.
    Register(RegisterArgs),
}

/// Where keys are.
#[derive(Debug, Args)]
struct HomeArgs {
    /// The node's folder; keys are in its folder `keys`
    #[arg(long, env = "CARILLON_DATA_DIR", value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// The folder of the keys, instead
    #[arg(long, env = "CARILLON_KEY_DIR", value_name = "FOLDER")]
    key_dir: Option<PathBuf>,
}

impl HomeArgs {
    /// Options first, then the configuration file.
    fn folder(self, config: Config) -> Result<PathBuf, Failure> {
        let data_dir = self.data_dir.or(config.run.data_dir);
        let key_dir = self.key_dir.or(config.run.key_dir).or(config.key_dir);
        keys::home(key_dir, data_dir.as_deref())
    }
}

/// Arguments of `keys make`.
#[derive(Debug, Args)]
pub struct MakeArgs {
    #[command(flatten)]
    home: HomeArgs,
    /// Most operations of a batch, as in `run` [default: 64]
    #[arg(long, value_name = "N")]
    slots: Option<usize>,
    /// Most distinct balances of a batch [default: as many as slots]
    #[arg(long, value_name = "N")]
    cells: Option<usize>,
    /// Most records of a batch [default: a quarter of the slots]
    #[arg(long, value_name = "N")]
    records: Option<usize>,
    /// Levels of the account tree, 4 children each; chains on Ethereum have 12 [default: 12]
    #[arg(long, value_name = "N")]
    depth: Option<usize>,
}

/// Arguments of `keys verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Key files [default: all of the chain's folder]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    home: HomeArgs,
    /// URL of an Ethereum node: the verifier of --chain must have one of the keys
    #[arg(long, env = "CARILLON_L1", hide_env_values = true, value_name = "URL")]
    l1: Option<String>,
    /// The chain's contract (RollupChain) on Ethereum, for --l1
    #[arg(long, env = "CARILLON_CHAIN", value_name = "ADDRESS")]
    chain: Option<Address>,
    /// Number of the batches' circuit on Ethereum
    #[arg(long, value_name = "N", default_value_t = 1)]
    shape_number: u32,
}

/// Arguments of `keys show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// A key file
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Runs a command.
pub async fn run(output: &Output, command: KeysCommand, config: Config) -> Result<(), Failure> {
    match command {
        KeysCommand::Make(args) => make(output, args, config).await,
        KeysCommand::Register(args) => receipt_key::register(output, args, config).await,
        KeysCommand::Verify(args) => verify(output, args, config).await,
        KeysCommand::Show(args) => {
            let facts = Facts::read(args.file).await?;
            let rows = [
                ("file", facts.path.display().to_string()),
                ("bytes", grouped(facts.bytes)),
                ("origin", facts.origin.to_string()),
                ("circuit digest", facts.circuit.clone()),
                ("constraints", grouped(facts.constraints)),
                ("hash on Ethereum", facts.hash_text()),
            ];
            output.result("carillon.keys.show/1", facts.json(), &rows);
            Ok(())
        }
    }
}

async fn make(output: &Output, args: MakeArgs, config: Config) -> Result<(), Failure> {
    let file = &config.run;
    let slots = args.slots.or(file.slots).unwrap_or(64);
    let shape = Shape::new(
        slots,
        args.cells.or(file.cells).unwrap_or(slots.max(3)),
        args.records.or(file.records).unwrap_or(slots.div_ceil(4)),
        args.depth.or(file.depth).unwrap_or(12),
    )?;
    let folder = args.home.folder(config)?;
    let step = output.step(format!("proving key of {}", shape.id()));
    let key = blocking(move || keys::load_or_make(&folder, shape)).await??;
    let how = if key.made {
        "made"
    } else {
        "there already, checked"
    };
    step.done(how);
    let hash = key_hash(&key.key.vk).map_err(Failure::from)?;
    let fields = json!({
        "path": key.path,
        "circuit": shape.id(),
        "circuit_digest": key.key.circuit.to_string(),
        "key_hash": hash,
        "made": key.made,
        "seconds": key.wall.as_secs_f64(),
    });
    let rows = [
        ("INSECURE development key", key.path.display().to_string()),
        ("circuit", shape.id()),
        ("hash on Ethereum", hash.to_string()),
        ("it was", format!("{how}, in {}", duration(key.wall))),
        (
            "keep it",
            "a chain that is deployed with it takes proofs of no other key: back it up".to_owned(),
        ),
    ];
    output.result("carillon.keys.make/1", fields, &rows);
    Ok(())
}

async fn verify(output: &Output, args: VerifyArgs, config: Config) -> Result<(), Failure> {
    let chain = args.chain.or(config.run.chain);
    if args.l1.is_some() && chain.is_none() {
        return Err(Failure::input(
            "--l1 needs --chain, the address of the RollupChain, as an option, in CARILLON_CHAIN or in the section [run] of the configuration file".into(),
        ));
    }
    if args.l1.is_none() && args.chain.is_some() {
        output.note("no --l1: nothing is compared with the chain's contract");
    }
    let files = if args.files.is_empty() {
        key_files_in(&args.home.folder(config)?)?
    } else {
        args.files
    };
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for file in files {
        let step = output.step(format!("{}", file.display()));
        match Facts::read(file).await {
            Ok(facts) => {
                step.done("every byte and point is right");
                good.push(facts);
            }
            Err(error) => {
                step.done("cannot be used");
                bad.push(error.to_string());
            }
        }
    }
    if !bad.is_empty() {
        return Err(Failure::input(format!(
            "{} of {} keys cannot be used: {}. Put copies from a backup in their place",
            bad.len(),
            bad.len() + good.len(),
            bad.join("; ")
        )));
    }
    let on_l1 = match (&args.l1, chain) {
        (Some(url), Some(chain)) => {
            let source = NodeSource::new(url, chain, Duration::from_secs(30));
            let source = source.map_err(ethereum_failure)?;
            let found = ChainOnL1::read(&source, args.shape_number).await;
            let found = found.map_err(ethereum_failure)?.key_hash;
            if found.is_none() || !good.iter().any(|facts| facts.hash == found) {
                let shown = found.map_or("none".to_owned(), |hash| hash.to_string());
                return Err(Failure::Disagreement(format!(
                    "the chain's verifier of shape {} has the key with hash {shown}, which is none of these; take that key from a backup",
                    args.shape_number
                )));
            }
            found
        }
        _ => None,
    };
    let fields = json!({
        "keys": good.iter().map(Facts::json).collect::<Vec<_>>(),
        "on_ethereum": on_l1,
    });
    let mut rows: Vec<(String, String)> = good
        .iter()
        .map(|facts| (facts.path.display().to_string(), facts.hash_text()))
        .collect();
    if let Some(hash) = on_l1 {
        rows.push(("the chain's verifier on Ethereum".into(), hash.to_string()));
    }
    output.result("carillon.keys.verify/1", fields, &rows);
    Ok(())
}

fn key_files_in(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let fault = |error: std::io::Error| {
        Failure::input(format!(
            "cannot read the key folder {}: {error}",
            folder.display()
        ))
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "ckey")
        {
            files.push(path);
        }
    }
    if files.is_empty() {
        let folder = folder.display();
        return Err(Failure::input(format!(
            "the key folder {folder} has no key (*.ckey)"
        )));
    }
    files.sort();
    Ok(files)
}

/// What there is to say of a key.
struct Facts {
    path: PathBuf,
    bytes: u64,
    circuit: String,
    origin: KeyOrigin,
    constraints: u64,
    verifying_key: Vec<u8>,
    /// None for a key of a circuit with another number of public inputs than batches have.
    hash: Option<B256>,
}

impl Facts {
    /// Reads and checks a key file.
    async fn read(path: PathBuf) -> Result<Self, Failure> {
        let bytes = std::fs::metadata(&path).map_or(0, |facts| facts.len());
        let file = path.clone();
        let key: ProvingKey = blocking(move || key_files::load(&file)).await??;
        Ok(Self {
            bytes,
            circuit: key.circuit.to_string(),
            origin: key.origin,
            constraints: key.shape.constraints as u64,
            verifying_key: key.vk.to_bytes(),
            hash: key_hash(&key.vk).ok(),
            path,
        })
    }

    fn hash_text(&self) -> String {
        let none = "none: batches have another number of public inputs";
        self.hash.map_or(none.to_owned(), |hash| hash.to_string())
    }

    fn json(&self) -> Value {
        json!({
            "path": self.path,
            "bytes": self.bytes,
            "origin": self.origin,
            "circuit_digest": self.circuit,
            "constraints": self.constraints,
            "verifying_key": format!("0x{}", hex::encode(&self.verifying_key)),
            "key_hash": self.hash,
        })
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Failure::unexpected(format!("a worker thread stopped: {error}")))
}
