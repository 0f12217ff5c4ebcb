//! `carillon-node reclaim`: withdrawals whose recipient can claim nothing go back, on Ethereum, to the
//! owner of the account that sent them.

use std::path::PathBuf;

use alloy::primitives::{Address, U256};
use carillon_cli::Output;
use carillon_protocol::Kind;
use carillon_settlement::abi::ISharedBridge::StateProof;
use carillon_settlement::abi::SharedBridge;
use carillon_settlement::archive::SentMessage;
use clap::Args;
use serde_json::json;

use super::chain::Chain;
use super::message::{PlaceArgs, fields, used};
use super::owner_proofs::{Origin, OwnerProofs, STALE};
use super::wallet::{Sent, Wallet, WalletArgs};
use crate::exit::Failure;

/// Arguments of `reclaim`.
#[derive(Debug, Args)]
#[command(mut_arg("archive", |arg| arg.help(ARCHIVE)))]
pub struct ReclaimArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    wallet: WalletArgs,
    /// The batch of one message [default: all such messages of the owner's accounts]
    #[arg(long, value_name = "N", requires = "record")]
    batch: Option<u64>,
    /// The record of one message, as `message list` shows it
    #[arg(long, value_name = "K", requires = "batch")]
    record: Option<u64>,
    /// Proofs of `exit proof --out` with one of the account, instead of the archive
    #[arg(long, value_name = "FILE")]
    proofs: Option<PathBuf>,
    /// Whose accounts; anyone may have them paid [default: the one that signs]
    #[arg(long, value_name = "ADDRESS")]
    owner: Option<Address>,
    /// Pay another address; only the owner may ask for that
    #[arg(long, value_name = "ADDRESS")]
    to: Option<Address>,
}

const ARCHIVE: &str = "The chain's archive: a folder, or a URL like file:///var/lib/carillon/archive. The state is rebuilt from it, to prove whose account sent the withdrawal. Needed unless --proofs is given";

/// How often proofs are renewed for a message; once is enough unless Ethereum turns.
const RENEWALS: usize = 3;

/// Whether nobody can claim the message: it pays no address, the zero address, or the bridge.
pub fn is_stuck(chain: &Chain, sent: &SentMessage) -> bool {
    let stuck = |owner: Address| owner.is_zero() || owner == chain.contracts.bridge;
    sent.kind == Kind::Withdraw && sent.owner().is_none_or(stuck)
}

/// Finds the messages and the proofs, checks them, and has one after the other paid.
pub async fn run(output: &Output, args: ReclaimArgs) -> Result<(), Failure> {
    let wallet = args.wallet.open(&args.place.chain)?;
    let origin = Origin::named(&args.place, args.proofs.as_deref())?;
    let chain = args.place.chain.connect().await?;
    let stuck = match (args.batch, args.record) {
        (Some(batch), Some(record)) => vec![named(output, &args, &chain, batch, record).await?],
        _ => all(output, &args, &chain).await?,
    };
    let mut proofs = OwnerProofs::open(output, &chain, &args.place, origin).await?;
    let wanted = args.owner.unwrap_or(wallet.address());
    let mut reclaims = Vec::new();
    let mut rows = Vec::new();
    for sent in stuck {
        let (account, at) = (sent.account, place(&sent));
        let proof = proofs.of(&sent);
        let owner = proof.as_ref().map(owner_in);
        let theirs = owner != Some(wanted);
        if args.batch.is_none() && theirs {
            continue;
        }
        let Some((proof, owner)) = proof.zip(owner) else {
            return Err(Failure::input(format!(
                "there is no proof of account {account}, which sent {at}; `exit proof --account {account}` makes one of an account that holds something, --archive of any"
            )));
        };
        if theirs && args.owner.is_some() {
            return Err(Failure::input(format!(
                "account {account}, which sent {at}, is {owner}'s and not {wanted}'s"
            )));
        }
        let to = args.to.unwrap_or(owner);
        if to != owner && owner != wallet.address() {
            return Err(Failure::input(format!(
                "only {owner}, who is paid, may send the payment elsewhere; {} signs",
                wallet.address()
            )));
        }
        let done = pay(output, &chain, &wallet, &mut proofs, &sent, proof, to).await?;
        let mut reclaim = fields(&sent);
        reclaim["account_owner"] = json!(owner);
        reclaim["to"] = json!(to);
        reclaim["transaction"] = done.json();
        reclaims.push(reclaim);
        rows.push((
            at,
            format!(
                "{} of token {} to {to}, {}",
                sent.amount,
                sent.token,
                done.row().1
            ),
        ));
    }
    if reclaims.is_empty() {
        return Err(nothing(wanted));
    }
    let fields = json!({
        "chain_id": chain.contracts.chain_id,
        "kept_state_roots": proofs.kept(),
        "reclaims": reclaims,
    });
    output.result("carillon.reclaim/1", fields, &rows);
    Ok(())
}

/// Has a message paid. A batch that the chain executes meanwhile voids the proof: then it is renewed.
async fn pay(
    output: &Output,
    chain: &Chain,
    wallet: &Wallet,
    proofs: &mut OwnerProofs<'_>,
    sent: &SentMessage,
    mut proof: StateProof,
    to: Address,
) -> Result<Sent, Failure> {
    let bridge = chain.contracts.bridge;
    let mut renewals = 0;
    loop {
        let call = SharedBridge::reclaimCall {
            message: sent.message.clone(),
            proof: proof.clone(),
            to,
        };
        let stale = async || -> Result<bool, Failure> {
            let refusal = wallet.refusal("reclaim", bridge, call.clone()).await?;
            Ok(refusal == Some(STALE) && renewals < RENEWALS)
        };
        if !stale().await? {
            let done = wallet
                .send(output, "reclaim", bridge, U256::ZERO, call.clone())
                .await;
            let refused = matches!(done, Err(Failure::Settlement(_)));
            if !refused || !stale().await? {
                return done;
            }
        }
        renewals += 1;
        proofs.renew(wallet, &proof).await?;
        proof = proofs.of(sent).unwrap_or(proof);
    }
}

/// The message that was named, if its amount can be taken back.
async fn named(
    output: &Output,
    args: &ReclaimArgs,
    chain: &Chain,
    batch: u64,
    record: u64,
) -> Result<SentMessage, Failure> {
    let sent = args.place.one(output, chain, batch, record).await?;
    if !is_stuck(chain, &sent) {
        return Err(Failure::input(format!(
            "{} can be used by whom it is for (`claim`, `bundle execute`): only a withdrawal to no address, to the zero address or to the bridge goes back",
            place(&sent)
        )));
    }
    if used(chain, &sent).await? {
        return Err(Failure::input(format!(
            "{} was taken back already: a message is paid once",
            place(&sent)
        )));
    }
    Ok(sent)
}

/// All withdrawals that nobody can claim and that were not taken back.
async fn all(
    output: &Output,
    args: &ReclaimArgs,
    chain: &Chain,
) -> Result<Vec<SentMessage>, Failure> {
    let mut stuck = Vec::new();
    for sent in args.place.all(output, chain, None).await? {
        if is_stuck(chain, &sent) && !used(chain, &sent).await? {
            stuck.push(sent);
        }
    }
    Ok(stuck)
}

fn owner_in(proof: &StateProof) -> Address {
    let owner: U256 = proof.header >> 32;
    Address::from_slice(&owner.to_be_bytes::<32>()[12..])
}

fn place(sent: &SentMessage) -> String {
    format!("record {} of batch {}", sent.message.k, sent.message.batch)
}

fn nothing(owner: Address) -> Failure {
    Failure::input(format!(
        "no withdrawal of an account of {owner} is left that nobody can claim; `message list` shows all of them"
    ))
}
