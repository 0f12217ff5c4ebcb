//! `carillon-node deploy`: the contracts of a chain on an Ethereum node.
//!
//! Everything that can be wrong is looked for before the first transaction, what is quick first and
//! the making of a key last. Each transaction is in a journal before it is sent: the same command
//! given again goes on where the last one ended.

use std::path::{Path, PathBuf};
use std::time::Duration;

use alloy::primitives::Address;
use alloy::signers::local::PrivateKeySigner;
use carillon_circuit::rollup::Shape;
use carillon_cli::{Output, grouped};
use carillon_protocol::ledger::State;
use carillon_settlement::deploy::{DeployJournal, DeployOptions, Deployment, key_hash};
use carillon_settlement::limits::check_records;
use carillon_settlement::{DataMode, Deadlines, L1Client, SettlementError};
use clap::Args;
use serde_json::json;

use crate::config::Config;
use crate::exit::Failure;
use crate::{keys, receipt_key, secret};

/// How long Ethereum may take: blocks every twelve seconds, some of them full.
pub const DEADLINES: Deadlines = Deadlines {
    answer: Duration::from_secs(15),
    receipt: Duration::from_secs(600),
    poll: Duration::from_millis(500),
};

/// Arguments of `deploy`. Those without a value come from the section [run] of the configuration file
/// or the defaults.
#[derive(Debug, Args)]
pub struct DeployArgs {
    /// URL of an Ethereum node
    #[arg(long, env = "CARILLON_L1", hide_env_values = true, value_name = "URL")]
    l1: Option<String>,
    /// The key that deploys, and operates the chain unless --operator-address names another: a file of
    /// 32 bytes in hex, readable by nobody else
    #[arg(long, env = "CARILLON_OPERATOR_KEY", value_name = "FILE")]
    operator_key: Option<PathBuf>,
    /// The node's folder; the chain's proving key goes to its folder keys, the deployment's journal
    /// to deployment.jsonl
    #[arg(long, env = "CARILLON_DATA_DIR", value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Where the chain's proving key is kept, instead; an INSECURE development key is made if there is
    /// none
    #[arg(long, env = "CARILLON_KEY_DIR", value_name = "FOLDER")]
    key_dir: Option<PathBuf>,
    /// The deployment's journal: the same command with it goes on where the last one ended
    /// [default: deployment.jsonl in the node's folder, else deployment-ID.jsonl in that of the key]
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// The chain's id [default: 270]
    #[arg(long, value_name = "ID")]
    chain_id: Option<u64>,
    /// Account that fees are credited to [default: 0]
    #[arg(long, value_name = "INDEX")]
    operator: Option<u32>,
    /// Slots of a batch, as in `run` [default: 64]
    #[arg(long, value_name = "N")]
    slots: Option<usize>,
    /// Distinct balances of a batch [default: as many as slots]
    #[arg(long, value_name = "N")]
    cells: Option<usize>,
    /// Records of a batch [default: a quarter of the slots]
    #[arg(long, value_name = "N")]
    records: Option<usize>,
    /// Number of the batches' circuit on Ethereum [default: 1]
    #[arg(long, value_name = "N")]
    shape_number: Option<u32>,
    /// Where the batches' data are, for good: `rollup` puts them into a blob of each batch, `validium`
    /// leaves them with the operator, who blocks exits by giving them to nobody
    #[arg(long, value_name = "MODE", default_value_t = DataMode::Rollup)]
    data_mode: DataMode,
    /// Tokens of the chain, as SLOT=ADDRESS; slot 0 is ETH
    #[arg(long = "token", value_name = "SLOT=ADDRESS", value_parser = token)]
    tokens: Vec<(u8, Address)>,
    #[command(flatten)]
    powers: PowerArgs,
}

/// Who may do what, and after which time.
#[derive(Debug, Args)]
struct PowerArgs {
    /// Who commits batches: the address of the key that `run` is given [default: the deploying key]
    #[arg(long, value_name = "ADDRESS")]
    operator_address: Option<Address>,
    /// Who may pause the chain [default: the deploying key]
    #[arg(long, value_name = "ADDRESS")]
    guardian: Option<Address>,
    /// Who announces changes to the timelock; may be given more than once [default: the guardian]
    #[arg(long = "proposer", value_name = "ADDRESS")]
    proposers: Vec<Address>,
    /// Seconds that an entry of the queue may wait before anyone may halt the chain [default: 604800,
    /// a week]
    #[arg(long, value_name = "SECONDS")]
    queue_delay: Option<u64>,
    /// Seconds that users have for leaving a halted chain before a change that the governor has
    /// announced can take effect. Nothing else depends on it: the timelock's delay must be longer than
    /// queue delay and exit window together [default: 604800, a week]
    #[arg(long, value_name = "SECONDS")]
    exit_window: Option<u64>,
    /// Seconds after its commitment from which anyone, not only the operator, may take back a batch
    /// that is not executed [default: 86400, a day]
    #[arg(long, value_name = "SECONDS")]
    revert_delay: Option<u64>,
    /// The longest pause in seconds, at most half of the queue delay [default: two days, or that half]
    #[arg(long, value_name = "SECONDS")]
    max_pause: Option<u64>,
    /// Seconds between pauses, at least the queue delay [default: a week, or the queue delay]
    #[arg(long, value_name = "SECONDS")]
    pause_cooldown: Option<u64>,
    /// Seconds in which the operator executes one entry of the queue, at least, while any waits; at most
    /// half of the queue delay [default: 30, or that half]
    #[arg(long, value_name = "SECONDS")]
    entry_interval: Option<u64>,
    /// Wei of a request for an exit while the queue is short [default: 200000 gwei]
    #[arg(long, value_name = "WEI")]
    entry_fee: Option<u128>,
    /// Least deposit of a slot's token, as SLOT=UNITS; may be given more than once [default: 100000
    /// gwei in slot 0, none in others]
    #[arg(long = "least-deposit", value_name = "SLOT=UNITS", value_parser = least_deposit)]
    least_deposits: Vec<(u8, u128)>,
    /// Delay of the timelock in seconds, longer than queue delay and exit window together [default: 15
    /// days, or a second more than those]
    #[arg(long, value_name = "SECONDS")]
    governance_delay: Option<u64>,
}

impl PowerArgs {
    /// What is given, and what follows from it.
    fn apply(self, mut options: DeployOptions) -> DeployOptions {
        options.operator = self.operator_address;
        options.guardian = self.guardian;
        options.proposers = self.proposers;
        options.exit_window = self.exit_window.unwrap_or(options.exit_window);
        options.revert_delay = self.revert_delay.unwrap_or(options.revert_delay);
        let delay = self.queue_delay.unwrap_or(options.queue_delay);
        options = options.with_queue_delay(delay);
        options.max_pause = self.max_pause.unwrap_or(options.max_pause);
        options.pause_cooldown = self.pause_cooldown.unwrap_or(options.pause_cooldown);
        options.governance_delay = self.governance_delay.unwrap_or(options.governance_delay);
        options.entry_interval = self.entry_interval.unwrap_or(options.entry_interval);
        options.entry_fee = self.entry_fee.unwrap_or(options.entry_fee);
        for (slot, units) in self.least_deposits {
            options.least_deposits.retain(|(other, _)| *other != slot);
            options.least_deposits.push((slot, units));
        }
        options
    }
}

fn token(text: &str) -> Result<(u8, Address), String> {
    let (slot, address) = text.split_once('=').ok_or("write SLOT=ADDRESS")?;
    let slot = slot.parse().map_err(|_| "a slot is 1 to 63")?;
    let address = address.parse().map_err(|_| "not an address")?;
    Ok((slot, address))
}

fn least_deposit(text: &str) -> Result<(u8, u128), String> {
    let (slot, units) = text.split_once('=').ok_or("write SLOT=UNITS")?;
    let slot = slot.parse::<u8>().ok().filter(|slot| *slot < 64);
    let slot = slot.ok_or("a slot is 0 to 63")?;
    let units = units.parse().map_err(|_| "not a number of units")?;
    Ok((slot, units))
}

/// A deployment, with every choice made.
struct Plan {
    l1: String,
    operator_key: PathBuf,
    key_dir: PathBuf,
    journal: PathBuf,
    /// Signs receipts, where the node's folder is known.
    sequencer_key: Option<PathBuf>,
    shape: Shape,
    shape_number: u32,
    options: DeployOptions,
}

impl DeployArgs {
    fn merge(self, config: Config) -> Result<Plan, Failure> {
        let file = config.run;
        let needed = |what: &str| {
            Failure::input(format!(
                "{what} is needed, as an option or in the section [run] of the configuration file"
            ))
        };
        let slots = self.slots.or(file.slots).unwrap_or(64);
        let cells = self.cells.or(file.cells).unwrap_or(slots.max(3));
        let records = self.records.or(file.records).unwrap_or(slots.div_ceil(4));
        check_records(records).map_err(|error| Failure::input(error.to_string()))?;
        let shape = Shape::production(slots, cells, records)?;
        let chain_id = self.chain_id.or(file.chain_id).unwrap_or(270);
        let genesis = State::genesis(shape.depth()).root();
        let mut options = self.powers.apply(DeployOptions::new(chain_id, &genesis));
        options.operator_account = self.operator.or(file.operator).unwrap_or(0);
        options.tokens = self.tokens;
        options.validium = self.data_mode.is_validium();
        let data_dir = self.data_dir.or(file.data_dir);
        let key_dir = self.key_dir.or(file.key_dir).or(config.key_dir);
        let key_dir = keys::home(key_dir, data_dir.as_deref())?;
        let journal = self.journal.unwrap_or_else(|| match &data_dir {
            Some(folder) => folder.join("deployment.jsonl"),
            None => key_dir.join(format!("deployment-{chain_id}.jsonl")),
        });
        let (l1, operator_key) = (self.l1.or(file.l1), self.operator_key.or(file.operator_key));
        Ok(Plan {
            l1: l1.ok_or_else(|| needed("--l1, the URL of an Ethereum node,"))?,
            operator_key: operator_key.ok_or_else(|| needed("--operator-key"))?,
            key_dir,
            journal,
            sequencer_key: file
                .sequencer_key
                .or(data_dir.map(|folder| folder.join("sequencer.key"))),
            shape,
            shape_number: self.shape_number.or(file.shape_number).unwrap_or(1),
            options,
        })
    }
}

/// Deploys and prints the addresses.
pub async fn run(output: &Output, args: DeployArgs, config: Config) -> Result<(), Failure> {
    let Plan {
        l1: url,
        operator_key: operator,
        key_dir,
        journal,
        sequencer_key,
        shape,
        shape_number,
        mut options,
    } = args.merge(config)?;
    options.check().map_err(failure)?;
    let operator = operator_key(&operator)?;
    let client = L1Client::new(&url, operator, DEADLINES).map_err(failure)?;

    let step = output.step("checks");
    let preflight = options.preflight(&client).await;
    let preflight = preflight.map_err(|error| match error {
        error @ SettlementError::Node(_) => Failure::Settlement(format!(
            "Ethereum at {}: {error}",
            carillon_redact::url(&url)
        )),
        other => failure(other),
    })?;
    if let Some(folder) = journal
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        keys::prepare(folder)?;
    }
    keys::prepare(&key_dir)?;
    let mut journal = DeployJournal::open(&journal, &client)
        .await
        .map_err(failure)?;
    step.done(&format!(
        "{} at {}: at most about {} gas",
        client.address(),
        carillon_redact::url(&url),
        grouped(preflight.gas)
    ));

    let step = output.step("proving key");
    let made = tokio::task::spawn_blocking(move || keys::load_or_make(&key_dir, shape));
    let key = made
        .await
        .map_err(|error| Failure::unexpected(format!("a worker thread stopped: {error}")))??;
    step.done(&format!("{} {}", key.key.origin, key.path.display()));
    options = options.verifier(shape_number, key.key.vk.clone());
    options.try_verifiers(&client).await.map_err(failure)?;

    // Only the operator registers the key of receipts.
    let registers = options
        .operator
        .is_none_or(|operator| operator == client.address());
    if let Some(path) = sequencer_key.filter(|_| registers) {
        let key = receipt_key::read_or_make(&path)?;
        options.receipt_key = Some(*key.public());
    } else {
        output.note(
            "the key of the chain's receipts is not registered: its operator does that with `carillon-node keys register`",
        );
    }
    let step = output.step("contracts");
    if journal.is_begun() {
        output.note(&format!(
            "the deployment of {} goes on; what was sent is not sent again",
            journal.path().display()
        ));
    }
    let (chain_id, operator) = (options.chain_id, options.operator);
    let mode = DataMode::of(options.validium);
    let operator = operator.unwrap_or(client.address());
    let l1 = Deployment::resume(&client, options, &mut journal)
        .await
        .map_err(|error| {
            let error = failure(error);
            output.note(&format!(
                "what was deployed is in {}: the same command goes on from there",
                journal.path().display()
            ));
            error
        })?;
    step.done(&format!("{} gas", grouped(l1.gas)));
    let hash = key_hash(&key.key.vk)?;
    let fields = json!({
        "chain_id": chain_id,
        "shape": shape.id(),
        "shape_number": shape_number,
        "data_mode": mode.to_string(),
        "chain": l1.chain,
        "bridge": l1.bridge,
        "hub": l1.hub,
        "handler": l1.handler,
        "gateway": l1.gateway,
        "timelock": l1.timelock,
        "operator": operator,
        "from_block": l1.from_block,
        "gas": l1.gas,
        "key": key.path,
        "key_hash": hash,
        "journal": journal.path(),
        "resumed": journal.resumed(),
    });
    let row = |name: &str, address: Address| (name.to_owned(), address.to_string());
    let rows = [
        row("chain", l1.chain),
        ("data".to_owned(), mode.to_string()),
        row("bridge", l1.bridge),
        row("hub", l1.hub),
        row("interop handler", l1.handler),
        row("gateway", l1.gateway),
        row("timelock", l1.timelock),
        ("from block".to_owned(), l1.from_block.to_string()),
        (
            "proving key, to be backed up".to_owned(),
            key.path.display().to_string(),
        ),
        ("its hash on Ethereum".to_owned(), hash.to_string()),
        ("journal".to_owned(), journal.path().display().to_string()),
    ];
    output.result("carillon.deploy/1", fields, &rows);
    Ok(())
}

/// What was found before anything was sent is wrong input.
fn failure(error: SettlementError) -> Failure {
    match error {
        SettlementError::Setup { .. }
        | SettlementError::DeployJournal { .. }
        | SettlementError::Url { .. } => Failure::input(error.to_string()),
        other => other.into(),
    }
}

/// Reads the operator's key.
pub fn operator_key(path: &Path) -> Result<PrivateKeySigner, Failure> {
    const WHAT: &str = "the operator's key";
    let text = secret::read(path, WHAT)?;
    text.trim()
        .parse()
        .map_err(|_| Failure::input(format!("{WHAT} {} is not 32 bytes in hex", path.display())))
}
