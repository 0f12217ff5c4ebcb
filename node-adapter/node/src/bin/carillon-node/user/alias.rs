//! `carillon-node bundle as-owner`: after a halt, an owner uses the alias account directly. The
//! amounts of bundles that failed or were cancelled then are there, and what bundles left behind.

use std::path::PathBuf;

use alloy::primitives::{Address, Bytes, U256};
use carillon_cli::Output;
use carillon_settlement::abi::ISharedBridge::StateProof;
use carillon_settlement::calls::state_proof;
use carillon_settlement::interop::contracts::InteropHandler;
use carillon_settlement::interop::{Call, alias_address};
use clap::Args;
use serde_json::json;

use super::bundle_file::{CallFile, call};
use super::chain::{Chain, ChainArgs, PastArgs, failure};
use super::exit::read_proofs;
use super::wallet::WalletArgs;
use crate::exit::Failure;

/// Arguments of `bundle as-owner`.
#[derive(Debug, Args)]
pub struct AsOwnerArgs {
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    past: PastArgs,
    #[command(flatten)]
    wallet: WalletArgs,
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
    /// A call from the alias account: target, wei (or like 0.5eth) and data; can be repeated
    /// [default: its whole ETH to the owner]
    #[arg(long = "call", value_name = "TARGET[,VALUE[,DATA]]", value_parser = call)]
    calls: Vec<CallFile>,
}

/// Finds a proof of the owner's account, and makes the calls.
pub async fn run(output: &Output, args: AsOwnerArgs) -> Result<(), Failure> {
    let wallet = args.wallet.open(&args.chain)?;
    let chain = args.chain.connect().await?;
    chain.need_halted().await?;
    let owner = wallet.address();
    let contracts = chain.contracts;
    let alias = alias_address(contracts.handler, contracts.chain_id, owner);
    let calls = calls(&chain, &args.calls, alias, owner).await?;
    let proof = match (&args.proofs, &args.archive) {
        (Some(path), _) => read_proofs(path)?.into_iter().next(),
        (None, Some(archive)) => {
            let state = chain.state(output, &args.past, archive).await?;
            let bytes: [u8; 20] = owner.into();
            let mut accounts = state.accounts();
            let ours = accounts.find(|(_, account)| account.owner == bytes);
            ours.and_then(|(index, _)| state_proof(&state.prove(index, 0), 0))
        }
        (None, None) => None,
    };
    let proof: StateProof = proof.ok_or_else(|| {
        Failure::input(format!(
            "{owner} owns no account in the last executed state, so no alias account obeys it"
        ))
    })?;
    let number = calls.len();
    let call = InteropHandler::runAsOwnerCall {
        chainId: contracts.chain_id,
        proof: proof.into(),
        calls,
    };
    let action = "use an alias account as its owner";
    let sent = wallet.send(output, action, contracts.handler, U256::ZERO, call);
    let sent = sent.await?;
    let fields = json!({
        "chain_id": contracts.chain_id,
        "owner": owner,
        "alias": alias,
        "calls": number,
        "transaction": sent.json(),
    });
    let rows = [
        sent.row(),
        ("acted as", alias.to_string()),
        ("calls", number.to_string()),
    ];
    output.result("carillon.bundle_as_owner/1", fields, &rows);
    Ok(())
}

/// The calls that were given, or one that pays everything to the owner.
async fn calls(
    chain: &Chain,
    given: &[CallFile],
    alias: Address,
    owner: Address,
) -> Result<Vec<Call>, Failure> {
    if !given.is_empty() {
        return given.iter().map(CallFile::call).collect();
    }
    let held = chain.source.balance(alias).await.map_err(failure)?;
    if held.is_zero() {
        return Err(Failure::input(format!(
            "the alias account {alias} has no ETH; give the calls that it shall make with --call"
        )));
    }
    Ok(vec![Call {
        target: owner,
        value: held,
        data: Bytes::new(),
    }])
}
