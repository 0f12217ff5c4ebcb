//! `carillon-node chain create`: a further chain under a hub and bridge that stand already.
//!
//! What is quick to find wrong is looked for first, the making of keys last, and all of it before the
//! first transaction. Each transaction is in a journal before it is sent.

use std::path::PathBuf;

use alloy::primitives::Address;
use carillon_cli::{Output, grouped};
use carillon_settlement::abi::{ChainHub, SharedBridge};
use carillon_settlement::deploy::{
    Added, DeployJournal, DeployOptions, Site, is_verifier_of, key_hash,
};
use carillon_settlement::network::{Governor, Network};
use carillon_settlement::{DataMode, SettlementError};
use clap::Args;
use serde_json::{Value, json};

use super::PlaceArgs;
use super::file::{ChainFile, Circuit};
use super::govern::{Outcome, ProposalArgs, act};
use crate::config::Config;
use crate::exit::Failure;
use crate::keys::{self, ChainKey};
use crate::user::chain::{Chain, failure};
use crate::user::wallet::{Wallet, WalletArgs};

/// Arguments of `chain create`.
#[derive(Debug, Args)]
pub struct CreateArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    wallet: WalletArgs,
    #[command(flatten)]
    proposal: ProposalArgs,
    /// What the chain is (TOML): id, data_mode, shapes, and as needed operator, operator_account,
    /// guardian, delays, entry_fee, least_deposit, tokens, lanes, genesis
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// The new chain's folder; its proving keys go to the folder keys in it, the journal to
    /// deployment.jsonl
    #[arg(long, env = "CARILLON_DATA_DIR", value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Where the chain's proving keys are kept, instead; an INSECURE development key is made if there is
    /// none
    #[arg(long, env = "CARILLON_KEY_DIR", value_name = "FOLDER")]
    key_dir: Option<PathBuf>,
    /// The journal of what is deployed: the same command with it goes on where the last one ended
    /// [default: deployment.jsonl in the chain's folder, else deployment-ID.jsonl in that of the key]
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
}

/// Puts the chain up.
pub async fn run(output: &Output, args: CreateArgs, config: Config) -> Result<(), Failure> {
    let file = ChainFile::read(&args.file)?;
    let wallet = args.wallet.open(&args.place.chain)?;
    let key_dir = args.key_dir.or(config.key_dir);
    let key_dir = keys::home(key_dir, args.data_dir.as_deref())?;
    let (chain, network) = args.place.open().await?;

    let step = output.step("checks");
    let governor = governor(&chain, &network).await?;
    if let Governor::Key(address) = governor
        && address != wallet.address()
    {
        return Err(Failure::input(format!(
            "{address} governs the hub: only that key puts further chains under it; {} signs",
            wallet.address()
        )));
    }
    let delay = match governor {
        Governor::Timelock { delay, .. } => Some(delay),
        _ => None,
    };
    let described = file.describe(delay)?;
    let (mut options, lanes) = (described.options, described.lanes);
    let id = options.chain_id;
    let mut site = Site {
        hub: network.hub,
        bridge: network.bridge,
        governor: governor.address(),
        verifiers: Vec::new(),
    };
    let journal = args.journal.unwrap_or_else(|| match &args.data_dir {
        Some(folder) => folder.join("deployment.jsonl"),
        None => key_dir.join(format!("deployment-{id}.jsonl")),
    });
    let begun = journal.exists();
    if args.proposal.executes() && !begun {
        return Err(Failure::input(format!(
            "nothing was put up by {} yet, so its calls were not announced to any timelock: give --propose first",
            journal.display()
        )));
    }
    // Before anything is made, without the keys.
    let mut first = site.clone();
    let checked = first.check(wallet.client(), &options, &lanes, begun);
    let preflight = checked.await.map_err(setup)?;
    step.done(&format!(
        "{} for chain {id}: at most about {} gas",
        wallet.address(),
        grouped(preflight.gas)
    ));

    let step = output.step("proving keys");
    let keys = load_keys(&described.circuits, &key_dir).await?;
    for (circuit, key) in described.circuits.iter().zip(&keys) {
        if let Some(verifier) = circuit.verifier {
            let found = is_verifier_of(wallet.client(), verifier, &key.key.vk);
            found.await.map_err(setup)?.map_err(Failure::input)?;
            site.verifiers.push(verifier);
        }
        options = options.verifier(circuit.number, key.key.vk.clone());
    }
    site.verifiers.extend(others(&network, id).await?);
    step.done(&format!("{} in {}", keys.len(), key_dir.display()));
    site.check(wallet.client(), &options, &lanes, begun)
        .await
        .map_err(setup)?;
    options
        .try_verifiers(wallet.client())
        .await
        .map_err(setup)?;
    if wallet.dry_run() {
        let fields = json!({
            "chain_id": id,
            "data_mode": DataMode::of(options.validium).to_string(),
            "sent": false,
            "gas_at_most": preflight.gas,
            "governor": governor.address(),
            "verifiers_reused": site.verifiers,
        });
        let rows = [
            ("chain", format!("{id}, nothing was sent (--dry-run)")),
            ("governor", governor.address().to_string()),
            ("gas at most", grouped(preflight.gas)),
        ];
        output.result("carillon.chain.create/1", fields, &rows);
        return Ok(());
    }

    if let Some(folder) = journal.parent().filter(|at| !at.as_os_str().is_empty()) {
        keys::prepare(folder)?;
    }
    let mut journal = DeployJournal::open(&journal, wallet.client())
        .await
        .map_err(setup)?;
    let step = output.step("contracts");
    let added = site.add(wallet.client(), &options, &lanes, &mut journal);
    let added = added.await.map_err(|error| {
        output.note(&format!(
            "what was deployed is in {}: the same command goes on from there",
            journal.path().display()
        ));
        setup(error)
    })?;
    step.done(&format!("{} gas", grouped(added.gas)));
    let outcome = governed(
        output,
        (&chain, &network),
        &wallet,
        (governor, args.proposal),
        (id, &added),
    )
    .await?;
    report(output, &options, &site, &added, &keys, outcome, &journal)
}

/// What the governor has still to do.
async fn governed(
    output: &Output,
    (chain, network): (&Chain, &Network),
    wallet: &Wallet,
    (governor, proposal): (Governor, ProposalArgs),
    (id, added): (u64, &Added),
) -> Result<Outcome, Failure> {
    match network.chain(id).await.map_err(failure)? {
        Some(found) if found.contract != added.chain => Err(Failure::input(format!(
            "the hub has chain {id} at {}, which is not the {} that was put up here: an id belongs to one contract for good",
            found.contract, added.chain
        ))),
        // All calls were made at once.
        Some(_) => Ok(Outcome::nothing(governor.address())),
        None => {
            let calls = added.calls.clone();
            act(output, &chain.source, wallet, governor, calls, proposal).await
        }
    }
}

/// Who governs hub and bridge.
async fn governor(chain: &Chain, network: &Network) -> Result<Governor, Failure> {
    let hub: Address = chain
        .source
        .read(network.hub, ChainHub::governorCall {})
        .await
        .map_err(failure)?;
    let bridge: Address = chain
        .source
        .read(network.bridge, SharedBridge::governorCall {})
        .await
        .map_err(failure)?;
    if hub != bridge {
        return Err(Failure::input(format!(
            "{hub} governs the hub and {bridge} the bridge: a chain is registered by the one and its tokens are listed by the other, which this command does for one governor alone"
        )));
    }
    Governor::find(&chain.source, hub).await.map_err(failure)
}

/// The verifiers of the other chains.
async fn others(network: &Network, id: u64) -> Result<Vec<Address>, Failure> {
    let mut found = Vec::new();
    for other in network.chains().await.map_err(failure)? {
        // What an earlier run of this command deployed is in its journal.
        if other.chain_id == id {
            continue;
        }
        match network.verifiers(other).await {
            Ok(verifiers) => {
                found.extend(verifiers.into_iter().map(|(_, verifier, _)| verifier));
            }
            // A chain that does not answer has none to share.
            Err(SettlementError::NotOurContract { .. }) => {}
            Err(error) => return Err(failure(error)),
        }
    }
    Ok(found)
}

async fn load_keys(
    circuits: &[Circuit],
    folder: &std::path::Path,
) -> Result<Vec<ChainKey>, Failure> {
    keys::prepare(folder)?;
    let mut loaded = Vec::new();
    for circuit in circuits {
        let (folder, shape) = (folder.to_owned(), circuit.shape);
        let made = tokio::task::spawn_blocking(move || keys::load_or_make(&folder, shape));
        let key = made
            .await
            .map_err(|error| Failure::unexpected(format!("a worker thread stopped: {error}")))??;
        loaded.push(key);
    }
    Ok(loaded)
}

fn report(
    output: &Output,
    options: &DeployOptions,
    site: &Site,
    added: &Added,
    keys: &[ChainKey],
    outcome: Outcome,
    journal: &DeployJournal,
) -> Result<(), Failure> {
    let mode = DataMode::of(options.validium).to_string();
    let mut verifiers: Vec<Value> = Vec::new();
    let mut rows = vec![
        ("chain".to_owned(), added.chain.to_string()),
        ("data".to_owned(), mode.clone()),
        ("hub".to_owned(), site.hub.to_string()),
        ("bridge".to_owned(), site.bridge.to_string()),
        ("from block".to_owned(), added.from_block.to_string()),
    ];
    for ((shape, verifier), key) in added.verifiers.iter().zip(keys) {
        let reused = site.verifiers.contains(verifier);
        let word = if reused {
            "shared with another chain"
        } else {
            "new"
        };
        rows.push((
            format!("verifier of shape {shape}"),
            format!("{verifier}, {word}"),
        ));
        rows.push((
            "proving key, to be backed up".to_owned(),
            key.path.display().to_string(),
        ));
        verifiers.push(json!({
            "shape": shape,
            "verifier": verifier,
            "reused": reused,
            "key": key.path,
            "key_hash": key_hash(&key.key.vk).map_err(setup)?,
        }));
    }
    let fields = json!({
        "chain_id": options.chain_id,
        "data_mode": mode,
        "sent": true,
        "chain": added.chain,
        "hub": site.hub,
        "bridge": site.bridge,
        "verifiers": verifiers,
        "from_block": added.from_block,
        "gas": added.gas,
        "governance": outcome.fields,
        "journal": journal.path(),
        "resumed": journal.resumed(),
    });
    rows.extend(outcome.rows);
    output.result("carillon.chain.create/1", fields, &rows);
    if !outcome.next.is_empty() {
        output.closing(&format!("next: {}", outcome.next));
    }
    Ok(())
}

/// What was found before anything was sent is wrong input.
fn setup(error: SettlementError) -> Failure {
    match error {
        SettlementError::Setup { .. } | SettlementError::DeployJournal { .. } => {
            Failure::input(error.to_string())
        }
        other => failure(other),
    }
}
