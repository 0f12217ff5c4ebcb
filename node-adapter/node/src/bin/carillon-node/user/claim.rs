//! `carillon-node claim`: withdrawals and exits of executed batches are paid on Ethereum.

use alloy::primitives::{Address, U256};
use carillon_cli::Output;
use carillon_protocol::Kind;
use carillon_settlement::abi::SharedBridge;
use carillon_settlement::archive::SentMessage;
use clap::Args;
use serde_json::json;

use super::chain::Chain;
use super::message::{PlaceArgs, fields, used};
use super::reclaim::is_stuck;
use super::wallet::{Wallet, WalletArgs};
use crate::exit::Failure;

/// Arguments of `claim`.
#[derive(Debug, Args)]
pub struct ClaimArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    wallet: WalletArgs,
    /// The batch of one message [default: all open messages of the owner]
    #[arg(long, value_name = "N", requires = "record")]
    batch: Option<u64>,
    /// The record of one message, as `message list` shows it
    #[arg(long, value_name = "K", requires = "batch")]
    record: Option<u64>,
    /// Whose messages, or whose payment: anyone may claim for anyone [default: the one that signs]
    #[arg(long, value_name = "ADDRESS")]
    owner: Option<Address>,
    /// Pay another address; only the owner may ask for that
    #[arg(long, value_name = "ADDRESS")]
    to: Option<Address>,
}

/// Finds the messages, checks them, and claims one after the other.
pub async fn run(output: &Output, args: ClaimArgs) -> Result<(), Failure> {
    let wallet = args.wallet.open(&args.place.chain)?;
    let chain = args.place.chain.connect().await?;
    let open = match (args.batch, args.record) {
        (Some(batch), Some(record)) => vec![named(output, &args, &chain, batch, record).await?],
        _ => open_of_owner(output, &args, &chain, &wallet).await?,
    };
    let mut claims = Vec::new();
    let mut rows = Vec::new();
    for sent in &open {
        let owner = sent.owner().ok_or_else(|| unpayable(sent))?;
        let to = match args.to {
            Some(to) if owner != wallet.address() && to != owner => {
                return Err(Failure::input(format!(
                    "only {owner}, who is paid, may send the payment elsewhere; {} signs",
                    wallet.address()
                )));
            }
            Some(to) => to,
            None => owner,
        };
        let call = SharedBridge::claimCall {
            message: sent.message.clone(),
            to,
        };
        let bridge = chain.contracts.bridge;
        let done = wallet
            .send(output, "claim", bridge, U256::ZERO, call)
            .await?;
        let mut claim = fields(sent);
        claim["to"] = json!(to);
        claim["transaction"] = done.json();
        claims.push(claim);
        rows.push((
            format!("batch {}, record {}", sent.message.batch, sent.message.k),
            format!(
                "{} of token {} to {to}, {}",
                sent.amount,
                sent.token,
                done.row().1
            ),
        ));
    }
    let fields = json!({ "chain_id": chain.contracts.chain_id, "claims": claims });
    output.result("carillon.claim/1", fields, &rows);
    Ok(())
}

/// The message that was named, if it can be claimed.
async fn named(
    output: &Output,
    args: &ClaimArgs,
    chain: &Chain,
    batch: u64,
    record: u64,
) -> Result<SentMessage, Failure> {
    let sent = args.place.one(output, chain, batch, record).await?;
    if sent.kind == Kind::Bundle {
        return Err(Failure::input(format!(
            "record {record} of batch {batch} is a bundle: it runs by `bundle execute`"
        )));
    }
    if is_stuck(chain, &sent) {
        return Err(Failure::input(format!(
            "record {record} of batch {batch} pays nobody who can claim: the owner of account {} takes it back by `reclaim`",
            sent.account
        )));
    }
    if used(chain, &sent).await? {
        return Err(Failure::input(format!(
            "record {record} of batch {batch} was claimed already: a message is paid once"
        )));
    }
    Ok(sent)
}

/// The owner's withdrawals and exits that are not paid.
async fn open_of_owner(
    output: &Output,
    args: &ClaimArgs,
    chain: &Chain,
    wallet: &Wallet,
) -> Result<Vec<SentMessage>, Failure> {
    let owner = args.owner.unwrap_or(wallet.address());
    let mut open = Vec::new();
    for sent in args.place.all(output, chain, None).await? {
        let payable = sent.kind != Kind::Bundle && sent.owner() == Some(owner);
        if payable && !used(chain, &sent).await? {
            open.push(sent);
        }
    }
    if open.is_empty() {
        return Err(Failure::input(format!(
            "no open withdrawal or exit pays {owner}: a message is there once its batch is executed on Ethereum; `message list` shows all of them"
        )));
    }
    Ok(open)
}

fn unpayable(sent: &SentMessage) -> Failure {
    Failure::input(format!(
        "record {} of batch {} pays a word that is no address",
        sent.message.k, sent.message.batch
    ))
}
