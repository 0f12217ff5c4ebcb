//! `carillon-node recover`: deposits and imports that a halted chain never executed come back, and so
//! do the fees of requests for an exit.

use alloy::primitives::{Address, U256};
use carillon_cli::Output;
use carillon_protocol::{Kind, layout};
use carillon_settlement::abi::{RollupChain, SharedBridge};
use carillon_settlement::archive::History;
use clap::Args;
use serde_json::json;

use super::chain::{Chain, ChainArgs, PastArgs, failure};
use super::wallet::{Wallet, WalletArgs};
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

/// An entry that has something to give back.
struct Entry {
    index: u64,
    words: [U256; 5],
    owner: Address,
    /// A request for an exit: its fee comes back, not an amount.
    request: bool,
}

impl Entry {
    fn of(index: u64, words: &[U256; 5]) -> Option<Self> {
        let kind = words[0] & U256::from(15);
        let is = |wanted: Kind| kind == U256::from(wanted as u8);
        let request = is(Kind::Exit);
        let known = request || is(Kind::Deposit) || is(Kind::Import);
        (known && words[2] >> 160 == U256::ZERO).then(|| Self {
            index,
            words: *words,
            owner: Address::from_word(words[2].to_be_bytes::<32>().into()),
            request,
        })
    }

    fn token(&self) -> U256 {
        self.words[0] >> layout::record::TOKEN
    }

    fn refund(&self, to: Address) -> RollupChain::refundFeeCall {
        RollupChain::refundFeeCall {
            index: self.index,
            words: self.words,
            to,
        }
    }

    /// Whether it was paid back.
    async fn is_done(&self, chain: &Chain, wallet: &Wallet) -> Result<bool, Failure> {
        if self.request {
            let (at, call) = (chain.contracts.chain, self.refund(self.owner));
            let refusal = wallet.refusal("the refund of a fee", at, call).await?;
            return Ok(refusal == Some("FeeAlreadyRefunded"));
        }
        let call = SharedBridge::entryRecoveredCall {
            chainId: chain.contracts.chain_id,
            index: self.index,
        };
        let bridge = chain.contracts.bridge;
        chain.source.read(bridge, call).await.map_err(failure)
    }
}

/// Finds the entries, checks them, and has one after the other paid back.
pub async fn run(output: &Output, args: RecoverArgs) -> Result<(), Failure> {
    let wallet = args.wallet.open(&args.chain)?;
    let chain = args.chain.connect().await?;
    let executed = chain.need_halted().await?.queueExecuted;
    let history = chain.history(output, &args.past).await?;
    let open = match args.index {
        Some(index) => vec![named(&chain, &wallet, &history, executed, index).await?],
        None => {
            let owner = args.owner.unwrap_or(wallet.address());
            open_of_owner(&chain, &wallet, &history, executed, owner).await?
        }
    };
    let terms = RollupChain::queueTermsCall {};
    let terms = chain.source.read(chain.contracts.chain, terms).await;
    let fee = terms.map_err(failure)?._1;
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
        let sent = if entry.request {
            let (at, call) = (chain.contracts.chain, entry.refund(to));
            wallet
                .send(output, "the refund of a fee", at, U256::ZERO, call)
                .await?
        } else {
            let call = SharedBridge::recoverCall {
                chainId: chain.contracts.chain_id,
                index: entry.index,
                words: entry.words,
                to,
            };
            let bridge = chain.contracts.bridge;
            wallet
                .send(output, "recover", bridge, U256::ZERO, call)
                .await?
        };
        let (what, token, amount) = match entry.request {
            true => ("fee", U256::ZERO, fee),
            false => ("deposit", entry.token(), entry.words[1]),
        };
        recovered.push(json!({
            "queue_index": entry.index,
            "what": what,
            "token": token.to_string(),
            "amount": amount.to_string(),
            "to": to,
            "transaction": sent.json(),
        }));
        rows.push((
            format!("entry {}", entry.index),
            format!(
                "{what} of {amount} of token {token} to {to}, {}",
                sent.row().1
            ),
        ));
    }
    let fields = json!({ "chain_id": chain.contracts.chain_id, "recovered": recovered });
    output.result("carillon.recover/1", fields, &rows);
    Ok(())
}

async fn named(
    chain: &Chain,
    wallet: &Wallet,
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
    let entry = Entry::of(index, words);
    let entry = entry
        .ok_or_else(|| Failure::input(format!("entry {index} names no owner who could be paid")))?;
    if entry.is_done(chain, wallet).await? {
        return Err(Failure::input(format!(
            "entry {index} was paid back already"
        )));
    }
    Ok(entry)
}

async fn open_of_owner(
    chain: &Chain,
    wallet: &Wallet,
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
            && !entry.is_done(chain, wallet).await?
        {
            open.push(entry);
        }
    }
    if open.is_empty() {
        return Err(Failure::input(format!(
            "no deposit or request of {owner} waits in the queue of the halted chain; what was executed leaves by `exit claim`"
        )));
    }
    Ok(open)
}
