//! `carillon-node exit`: leaving without the operator's help. Before a halt, a request that
//! the operator must serve; once the chain is halted, each balance by a proof of the last executed
//! state.

use std::path::PathBuf;

use alloy::primitives::utils::format_ether;
use alloy::primitives::{Address, U256};
use alloy::sol_types::SolEvent;
use carillon_cli::Output;
use carillon_protocol::ledger::State;
use carillon_settlement::abi::ISharedBridge::StateProof;
use carillon_settlement::abi::RollupChain::QueueEntry;
use carillon_settlement::abi::{RollupChain, SharedBridge};
use carillon_settlement::archive::StateProofJson;
use carillon_settlement::calls::state_proof;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::chain::{Chain, ChainArgs, PastArgs, failure};
use super::message::write_json;
use super::wallet::WalletArgs;
use crate::exit::Failure;

/// Commands about leaving.
#[derive(Debug, Subcommand)]
pub enum ExitCommand {
    /// Ask on Ethereum that an account's whole balance is paid out; the operator must serve it in time
    Request(RequestArgs),
    /// Print the proofs of an owner's balances in the last executed state, from Ethereum and the archive
    Proof(ProofArgs),
    /// On a halted chain: have an owner's balances paid by state proofs
    Claim(ClaimArgs),
}

/// Arguments of `exit request`.
#[derive(Debug, Args)]
pub struct RequestArgs {
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    wallet: WalletArgs,
    /// The account, which the address that signs must own
    #[arg(long, value_name = "INDEX", value_parser = clap::value_parser!(u32).range(..1 << 24))]
    account: u32,
    /// Token slot; 0 is ETH
    #[arg(long, value_name = "SLOT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(..64))]
    token: u8,
}

/// Which balances.
#[derive(Clone, Debug, Args)]
struct CellArgs {
    /// Only this account of the owner [default: all]
    #[arg(long, value_name = "INDEX")]
    account: Option<u32>,
    /// Only this token [default: all]
    #[arg(long, value_name = "SLOT")]
    token: Option<u8>,
}

impl CellArgs {
    fn wants(&self, proof: &StateProof) -> bool {
        let account = self
            .account
            .is_none_or(|index| proof.account == U256::from(index));
        account
            && self
                .token
                .is_none_or(|slot| proof.token == U256::from(slot))
    }
}

/// Arguments of `exit proof`.
#[derive(Debug, Args)]
pub struct ProofArgs {
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    past: PastArgs,
    #[command(flatten)]
    cells: CellArgs,
    /// The chain's archive: a folder, or a URL like file:///var/lib/carillon/archive
    #[arg(
        long,
        env = "CARILLON_ARCHIVE",
        hide_env_values = true,
        value_name = "URL"
    )]
    archive: String,
    /// The owner
    #[arg(long, value_name = "ADDRESS")]
    owner: Address,
    /// Write the proofs to this file, for `exit claim --proofs`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Arguments of `exit claim`.
#[derive(Debug, Args)]
pub struct ClaimArgs {
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    past: PastArgs,
    #[command(flatten)]
    wallet: WalletArgs,
    #[command(flatten)]
    cells: CellArgs,
    /// The chain's archive: a folder, or a URL like file:///var/lib/carillon/archive
    #[arg(
        long,
        env = "CARILLON_ARCHIVE",
        hide_env_values = true,
        value_name = "URL",
        required_unless_present = "proofs"
    )]
    archive: Option<String>,
    /// Proofs of `exit proof --out`, instead of the archive
    #[arg(long, value_name = "FILE")]
    proofs: Option<PathBuf>,
    /// Whose balances; anyone may have them paid [default: the one that signs]
    #[arg(long, value_name = "ADDRESS")]
    owner: Option<Address>,
    /// Pay another address; only the owner may ask for that
    #[arg(long, value_name = "ADDRESS")]
    to: Option<Address>,
}

/// Runs a command.
pub async fn run(output: &Output, command: ExitCommand) -> Result<(), Failure> {
    match command {
        ExitCommand::Request(args) => request(output, args).await,
        ExitCommand::Proof(args) => proofs(output, args).await,
        ExitCommand::Claim(args) => claim(output, args).await,
    }
}

async fn request(output: &Output, args: RequestArgs) -> Result<(), Failure> {
    let wallet = args.wallet.open(&args.chain)?;
    let chain = args.chain.connect().await?;
    if chain.progress().await?.halted {
        return Err(Failure::input(format!(
            "chain {} is halted: nobody serves requests any more; `exit claim` pays each balance by a state proof",
            chain.contracts.chain_id
        )));
    }
    let call = RollupChain::requestExitCall {
        account: U256::from(args.account),
        token: U256::from(args.token),
    };
    let at = chain.contracts.chain;
    let fee = chain.source.read(at, RollupChain::exitFeeCall {}).await;
    let fee = fee.map_err(failure)?;
    // It moves with the queue; the contract gives back what is above.
    let value = fee + fee / U256::from(4);
    if wallet.refusal("exit request", at, call.clone()).await? == Some("ExitAlreadyOpen") {
        return Err(Failure::input(format!(
            "an exit of account {}, token {} was asked for and is still open; the operator must serve it in time, else `halt`",
            args.account, args.token
        )));
    }
    let sent = wallet.send(output, "exit request", at, value, call).await?;
    let entry = sent.mined().and_then(|mined| {
        let logs = mined.receipt.inner.logs().iter();
        let ours = logs.filter(|log| log.address() == chain.contracts.chain);
        ours.filter_map(|log| QueueEntry::decode_log(&log.inner).ok())
            .next()
    });
    let index = entry.map_or(Value::Null, |entry| json!(entry.index));
    let from = haltable_from(&chain).await?;
    let next = "the operator must serve it: then `claim` pays it; if it does not, `halt` ends the chain after the time below, and `exit claim` pays by state proof";
    let fields = json!({
        "chain_id": chain.contracts.chain_id,
        "account": args.account,
        "token": args.token,
        "owner": wallet.address(),
        "fee": fee.to_string(),
        "queue_index": index,
        "haltable_from": from,
        "transaction": sent.json(),
        "next": next,
    });
    let rows = [
        sent.row(),
        ("account", format!("{}, token {}", args.account, args.token)),
        (
            "owner",
            format!(
                "{} (another owner's account pays nothing)",
                wallet.address()
            ),
        ),
        ("fee", format!("{} ETH", format_ether(fee))),
        ("entry of the queue", index.to_string()),
        (
            "chain can be halted from",
            from.map_or("not yet known".into(), |from| format!("{from} (Unix time)")),
        ),
    ];
    output.result("carillon.exit_request/1", fields, &rows);
    output.closing(&format!("next: {next}"));
    Ok(())
}

async fn haltable_from(chain: &Chain) -> Result<Option<u64>, Failure> {
    let call = RollupChain::haltableFromCall {};
    let from = chain.source.read(chain.contracts.chain, call).await;
    Ok(Some(from.map_err(failure)?).filter(|from| *from != 0))
}

/// The proofs of the balances of an owner that are not zero.
fn cells_of(state: &State, owner: Address, wanted: &CellArgs) -> Vec<StateProof> {
    let owner: [u8; 20] = owner.into();
    let accounts = state.accounts();
    let accounts = accounts.filter(|(index, account)| {
        account.owner == owner && wanted.account.is_none_or(|wanted| wanted == *index)
    });
    let cells = accounts.flat_map(|(index, account)| {
        let balances = account.balances.iter();
        let balances = balances.filter(|(_, balance)| **balance != 0);
        balances.map(move |(token, _)| (index, *token))
    });
    cells
        .filter(|(_, token)| wanted.token.is_none_or(|wanted| wanted == *token))
        .filter_map(|(index, token)| state_proof(&state.prove(index, token), token))
        .collect()
}

fn nothing(owner: Address) -> Failure {
    Failure::input(format!(
        "{owner} owns no balance in the last executed state; deposits that were not executed come back by `recover`"
    ))
}

async fn proofs(output: &Output, args: ProofArgs) -> Result<(), Failure> {
    let chain = args.chain.connect().await?;
    let state = chain.state(output, &args.past, &args.archive).await?;
    let found = cells_of(&state, args.owner, &args.cells);
    if found.is_empty() {
        return Err(nothing(args.owner));
    }
    let proofs: Vec<StateProofJson> = found.iter().map(StateProofJson::of).collect();
    if let Some(path) = &args.out {
        write_json(path, &proofs)?;
    }
    let root = U256::from_be_bytes(state.root().to_bytes_be());
    let root = format!("{root:#066x}");
    let mut rows = vec![("state root".to_owned(), root.clone())];
    rows.extend(proofs.iter().map(|proof| {
        let name = format!("account {}, token {}", proof.account, proof.token);
        (name, proof.balance.clone())
    }));
    if let Some(path) = &args.out {
        rows.push(("proofs".into(), path.display().to_string()));
    }
    let fields = json!({
        "chain_id": chain.contracts.chain_id,
        "state_root": root,
        "owner": args.owner,
        "proofs": proofs,
    });
    output.result("carillon.exit_proof/1", fields, &rows);
    Ok(())
}

async fn claim(output: &Output, args: ClaimArgs) -> Result<(), Failure> {
    let wallet = args.wallet.open(&args.chain)?;
    let chain = args.chain.connect().await?;
    chain.need_halted().await?;
    let owner = args.owner.unwrap_or(wallet.address());
    let to = args.to.unwrap_or(owner);
    if to != owner && owner != wallet.address() {
        return Err(Failure::input(format!(
            "only {owner}, who is paid, may send the payment elsewhere; {} signs",
            wallet.address()
        )));
    }
    let proofs = match (&args.proofs, &args.archive) {
        (Some(path), _) => {
            let mut proofs = read_proofs(path)?;
            proofs.retain(|proof| args.cells.wants(proof));
            proofs
        }
        (None, Some(archive)) => {
            let state = chain.state(output, &args.past, archive).await?;
            cells_of(&state, owner, &args.cells)
        }
        (None, None) => Vec::new(),
    };
    if proofs.is_empty() {
        return Err(nothing(owner));
    }
    let mut exits = Vec::new();
    let mut rows = Vec::new();
    for proof in proofs {
        let (account, token, balance) = (proof.account, proof.token, proof.balance);
        if exited(&chain, account, token).await? {
            output.note(&format!("account {account}, token {token}: paid already"));
            continue;
        }
        let call = SharedBridge::exitCall {
            chainId: chain.contracts.chain_id,
            proof,
            to,
        };
        let sent = wallet.send(
            output,
            "exit by state proof",
            chain.contracts.bridge,
            U256::ZERO,
            call,
        );
        let sent = sent.await?;
        exits.push(json!({
            "account": account.to_string(),
            "token": token.to_string(),
            "amount": balance.to_string(),
            "to": to,
            "transaction": sent.json(),
        }));
        rows.push((
            format!("account {account}, token {token}"),
            format!("{balance} to {to}, {}", sent.row().1),
        ));
    }
    if exits.is_empty() {
        return Err(Failure::input(format!(
            "every balance of {owner} was paid already"
        )));
    }
    let fields = json!({ "chain_id": chain.contracts.chain_id, "owner": owner, "exits": exits });
    output.result("carillon.exit_claim/1", fields, &rows);
    Ok(())
}

async fn exited(chain: &Chain, account: U256, token: U256) -> Result<bool, Failure> {
    let call = SharedBridge::cellExitedCall {
        chainId: chain.contracts.chain_id,
        account,
        token,
    };
    let bridge = chain.contracts.bridge;
    chain.source.read(bridge, call).await.map_err(failure)
}

/// The proofs in a file.
pub fn read_proofs(path: &std::path::Path) -> Result<Vec<StateProof>, Failure> {
    let fault = |reason: String| Failure::input(format!("the proofs {}: {reason}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| fault(error.to_string()))?;
    let read: Vec<StateProofJson> =
        serde_json::from_str(&text).map_err(|error| fault(error.to_string()))?;
    read.iter()
        .map(|proof| proof.proof().map_err(&fault))
        .collect()
}
