//! `carillon-node account`: an account by its index, its owner or its key; as the node has it, or as
//! Ethereum has settled it.

use std::path::PathBuf;

use alloy::primitives::Address;
use carillon_cli::Output;
use carillon_node::AccountJson;
use carillon_protocol::crypto::schnorr::PublicKey;
use carillon_protocol::ledger::Account;
use clap::Args;
use serde_json::{Value, json};

use super::chain::{ChainArgs, PastArgs};
use crate::config::Config;
use crate::exit::Failure;
use crate::node_rpc::Rpc;
use crate::node_url::NodeArgs;
use crate::secret;

/// Arguments of `account`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("who").required(true).args(["index", "owner", "key", "public_key"])))]
pub struct AccountArgs {
    /// The account
    #[arg(value_name = "INDEX")]
    index: Option<u32>,
    /// All accounts of this address on Ethereum
    #[arg(long, value_name = "ADDRESS")]
    owner: Option<Address>,
    /// All accounts with the public key of this secret key's file
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// All accounts with this public key, 0x and 64 hex digits
    #[arg(long, value_name = "HEX")]
    public_key: Option<String>,
    #[command(flatten)]
    node: NodeArgs,
    /// Without a node: the state after the last batch executed on Ethereum, rebuilt from Ethereum and
    /// the archive
    #[arg(long, requires_all = ["l1", "chain", "archive"])]
    settled: bool,
    /// URL of an Ethereum node, for --settled
    #[arg(long, env = "CARILLON_L1", value_name = "URL", hide_env_values = true)]
    l1: Option<String>,
    /// The chain's contract (RollupChain) on Ethereum, for --settled
    #[arg(long, env = "CARILLON_CHAIN", value_name = "ADDRESS")]
    chain: Option<Address>,
    /// The chain's archive, for --settled: a folder, or a URL like file:///var/lib/carillon/archive
    #[arg(
        long,
        env = "CARILLON_ARCHIVE",
        hide_env_values = true,
        value_name = "URL"
    )]
    archive: Option<String>,
    #[command(flatten)]
    past: PastArgs,
}

/// What is asked for.
enum Who {
    Index(u32),
    Owner(Address),
    Key(PublicKey),
}

impl AccountArgs {
    fn who(&self) -> Result<Who, Failure> {
        if let Some(index) = self.index {
            return Ok(Who::Index(index));
        }
        if let Some(owner) = self.owner {
            return Ok(Who::Owner(owner));
        }
        if let Some(path) = &self.key {
            return Ok(Who::Key(
                *secret::read_key(path, "the account's key")?.public(),
            ));
        }
        let text = self.public_key.as_deref().unwrap_or_default();
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut bytes)
            .map_err(|_| Failure::input("a public key is 0x and 64 hex digits".into()))?;
        let key = PublicKey::from_bytes(&bytes);
        Ok(Who::Key(
            key.map_err(|error| Failure::input(error.to_string()))?,
        ))
    }
}

/// Finds and prints.
pub async fn run(output: &Output, args: AccountArgs, config: &Config) -> Result<(), Failure> {
    let who = args.who()?;
    let found = match (args.settled, &args.l1, args.chain, &args.archive) {
        (true, Some(l1), Some(chain), Some(archive)) => {
            let chain = ChainArgs::new(l1, chain);
            settled(output, &chain, &args.past, archive, &who).await?
        }
        _ => of_node(&args.node.rpc(config)?, &who).await?,
    };
    if found.is_empty() {
        let text = "no such account: a first deposit opens one, once the node has executed it";
        return Err(Failure::input(text.into()));
    }
    show(output, &found);
    Ok(())
}

async fn of_node(rpc: &Rpc, who: &Who) -> Result<Vec<AccountJson>, Failure> {
    let name = match who {
        Who::Index(index) => {
            let account = rpc.ask("carillon_getAccount", json!([index])).await?;
            return Ok(vec![account]);
        }
        Who::Owner(owner) => format!("{owner:#x}"),
        Who::Key(key) => format!("0x{}", hex::encode(key.to_bytes())),
    };
    let mut found = Vec::new();
    let mut from = json!(0);
    while !from.is_null() {
        let part: Value = rpc.ask("carillon_findAccount", json!([name, from])).await?;
        let accounts: Vec<AccountJson> = serde_json::from_value(part["accounts"].clone())
            .map_err(|error| Failure::unexpected(format!("the node's answer: {error}")))?;
        found.extend(accounts);
        from = part["next"].clone();
    }
    Ok(found)
}

async fn settled(
    output: &Output,
    chain: &ChainArgs,
    past: &PastArgs,
    archive: &str,
    who: &Who,
) -> Result<Vec<AccountJson>, Failure> {
    let chain = chain.connect().await?;
    let state = chain.state(output, past, archive).await?;
    let wanted = |(index, account): &(u32, &Account)| match who {
        Who::Index(wanted) => wanted == index,
        Who::Owner(owner) => *owner == Address::from(account.owner),
        Who::Key(key) => account.key.as_ref() == Some(key),
    };
    let accounts = state.accounts().filter(wanted);
    Ok(accounts
        .map(|(index, account)| of_state(index, account))
        .collect())
}

/// An account of the state, as the node shows it.
fn of_state(index: u32, account: &Account) -> AccountJson {
    let prefixed = |bytes: &[u8]| format!("0x{}", hex::encode(bytes));
    let balances = account.balances.iter();
    AccountJson {
        index,
        key: account.key.map(|key| prefixed(&key.to_bytes())),
        owner: (account.owner != [0; 20]).then(|| prefixed(&account.owner)),
        nonce: account.nonce,
        balances: balances
            .map(|(token, balance)| (*token, balance.to_string()))
            .collect(),
    }
}

fn show(output: &Output, found: &[AccountJson]) {
    let head = ["account", "token", "balance", "nonce", "owner", "key"].map(String::from);
    let mut lines = vec![head.to_vec()];
    for account in found {
        let unset = || "none".to_owned();
        let row = |token: String, balance: String| {
            vec![
                account.index.to_string(),
                token,
                balance,
                account.nonce.to_string(),
                account.owner.clone().unwrap_or_else(unset),
                account.key.clone().unwrap_or_else(unset),
            ]
        };
        lines.extend(
            account
                .balances
                .iter()
                .map(|(token, balance)| row(token.to_string(), balance.clone())),
        );
        if account.balances.is_empty() {
            lines.push(row("-".into(), "0".into()));
        }
    }
    output.table("carillon.accounts/1", json!({ "accounts": found }), &lines);
}
