//! `carillon-node recover`: deposits and imports that a halted chain never executed come back.

use alloy::primitives::{Address, U256};
use carillon_node::archive::History;
use carillon_node::protocol::Kind;
use carillon_node::settlement::abi::SharedBridge;
use carillon_runtime::cli::Output;
use clap::Args;
use serde_json::json;

use super::chain::{Chain, ChainArgs, PastArgs, failure};
use super::wallet::WalletArgs;
use crate::exit::Failure;

/// Arguments of `recover`.
#[derive(Debug, Args)]
pub struct RecoverArgs {
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    past: PastArgs,
    #[command(flatten)]
    wallet: WalletArgs,
    /// One entry of the queue [default: all of the owner that were not executed]
    #[arg(long, value_name = "N")]
    index: Option<u64>,
    /// Whose entries; anyone may have them paid back [default: the one that signs]
    #[arg(long, value_name = "ADDRESS")]
    owner: Option<Address>,
    /// Pay another address; only the owner may ask for that
    #[arg(long, value_name = "ADDRESS")]
    to: Option<Address>,
}

/// An entry that brought something in.
struct Entry {
    index: u64,
    words: [U256; 5],
    owner: Address,
}

impl Entry {
    /// Deposits and imports alone bring something in.
    fn of(index: u64, words: &[U256; 5]) -> Option<Self> {
        let kind = words[0] & U256::from(7);
        let inbound = [Kind::Deposit, Kind::Import].map(|kind| U256::from(kind as u8));
        (inbound.contains(&kind) && words[2] >> 160 == U256::ZERO).then(|| Self {
            index,
            words: *words,
            owner: Address::from_word(words[2].to_be_bytes::<32>().into()),
        })
    }

    fn token(&self) -> U256 {
        self.words[0] >> 27
    }
}

/// Finds the entries, checks them, and has one after the other paid back.
pub async fn run(output: &Output, args: RecoverArgs) -> Result<(), Failure> {
    let wallet = args.wallet.open(&args.chain)?;
    let chain = args.chain.connect().await?;
    let executed = chain.need_halted().await?.queueExecuted;
    let history = chain.history(output, &args.past).await?;
    let open = match args.index {
        Some(index) => vec![named(&chain, &history, executed, index).await?],
        None => {
            let owner = args.owner.unwrap_or(wallet.address());
            open_of_owner(&chain, &history, executed, owner).await?
        }
    };
    let mut recovered = Vec::new();
    let mut rows = Vec::new();
    for entry in open {
        let to = args.to.unwrap_or(entry.owner);
        if to != entry.owner && entry.owner != wallet.address() {
            return Err(Failure::input(format!(
                "only {}, who is paid, may send the payment elsewhere; {} signs",
                entry.owner,
                wallet.address()
            )));
        }
        let call = SharedBridge::recoverCall {
            chainId: chain.contracts.chain_id,
            index: entry.index,
            words: entry.words,
            to,
        };
        let sent = wallet.send(output, "recover", chain.contracts.bridge, U256::ZERO, call);
        let sent = sent.await?;
        let (token, amount) = (entry.token(), entry.words[1]);
        recovered.push(json!({
            "queue_index": entry.index,
            "token": token.to_string(),
            "amount": amount.to_string(),
            "to": to,
            "transaction": sent.json(),
        }));
        rows.push((
            format!("entry {}", entry.index),
            format!("{amount} of token {token} to {to}, {}", sent.row().1),
        ));
    }
    let fields = json!({ "chain_id": chain.contracts.chain_id, "recovered": recovered });
    output.result("carillon.recover/1", fields, &rows);
    Ok(())
}

async fn named(
    chain: &Chain,
    history: &History,
    executed: u64,
    index: u64,
) -> Result<Entry, Failure> {
    let words = usize::try_from(index)
        .ok()
        .and_then(|at| history.queue.get(at));
    let words = words.ok_or_else(|| {
        let length = history.queue.len();
        Failure::input(format!(
            "the queue has {length} entries, {index} is none of them"
        ))
    })?;
    if index < executed {
        return Err(Failure::input(format!(
            "entry {index} was executed: what it brought is on the chain and leaves by `exit claim`"
        )));
    }
    let entry = Entry::of(index, words).ok_or_else(|| {
        Failure::input(format!(
            "entry {index} is a request for an exit: it brought nothing in"
        ))
    })?;
    if recovered(chain, index).await? {
        return Err(Failure::input(format!(
            "entry {index} was paid back already"
        )));
    }
    Ok(entry)
}

async fn open_of_owner(
    chain: &Chain,
    history: &History,
    executed: u64,
    owner: Address,
) -> Result<Vec<Entry>, Failure> {
    let mut open = Vec::new();
    let waiting = (0..)
        .zip(&history.queue)
        .filter(|(index, _)| *index >= executed);
    for (index, words) in waiting {
        let entry = Entry::of(index, words).filter(|entry| entry.owner == owner);
        if let Some(entry) = entry
            && !recovered(chain, index).await?
        {
            open.push(entry);
        }
    }
    if open.is_empty() {
        return Err(Failure::input(format!(
            "no deposit of {owner} waits in the queue of the halted chain; what was executed leaves by `exit claim`"
        )));
    }
    Ok(open)
}

async fn recovered(chain: &Chain, index: u64) -> Result<bool, Failure> {
    let call = SharedBridge::entryRecoveredCall {
        chainId: chain.contracts.chain_id,
        index,
    };
    let bridge = chain.contracts.bridge;
    chain.source.read(bridge, call).await.map_err(failure)
}
