//! `carillon-node chain bounce` and `collect`: what was sent and not taken goes back to its senders.

use alloy::primitives::{Address, U256};
use carillon_cli::Output;
use carillon_settlement::abi::SharedBridge;
use carillon_settlement::network::plan_bounce;
use clap::Args;
use serde_json::json;

use super::{PlaceArgs, registered};
use crate::exit::Failure;
use crate::user::chain::failure;
use crate::user::wallet::WalletArgs;

/// Entries of a transaction: each is an import of up to 200,000 gas.
const MOST: usize = 32;

/// Arguments of `chain bounce`.
#[derive(Debug, Args)]
pub struct BounceArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    wallet: WalletArgs,
    /// The chain that sent
    #[arg(long, value_name = "ID")]
    from: u64,
    /// The chain that did not take
    #[arg(long, value_name = "ID")]
    to: u64,
}

/// Arguments of `chain collect`.
#[derive(Debug, Args)]
pub struct CollectArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    wallet: WalletArgs,
    /// Whose sends came back: anyone may have them paid to him [default: the one that signs]
    #[arg(long, value_name = "ADDRESS")]
    owner: Option<Address>,
    /// Pay another address; only the owner may ask for that
    #[arg(long, value_name = "ADDRESS")]
    to: Option<Address>,
}

/// Gives back what is due.
pub async fn bounce(output: &Output, args: BounceArgs) -> Result<(), Failure> {
    let (from, to) = (args.from, args.to);
    let wallet = args.wallet.open(&args.place.chain)?;
    let (chain, network) = args.place.open().await?;
    registered(&network, from).await?;
    let taker = registered(&network, to).await?;
    let step = output.step("lane");
    let lanes = network.lanes(Some(from)).await.map_err(failure)?;
    let lane = lanes.iter().find(|lane| (lane.from, lane.to) == (from, to));
    let nothing = || {
        Failure::input(format!(
            "nothing of the lane from chain {from} to chain {to} can go back: all that was sent is taken, or went back"
        ))
    };
    let lane = lane.ok_or_else(nothing)?;
    if !lane.is_whole() {
        return Err(Failure::unavailable(format!(
            "the Ethereum node tells of {} sends that are on their way, the bridge counts {}: give a --from-block before the oldest of them, or ask again in a moment",
            lane.waiting.len(),
            lane.lane.sent.saturating_sub(lane.lane.taken)
        )));
    }
    step.done(&format!("{} sends on their way", lane.waiting.len()));
    let halted = carillon_settlement::abi::RollupChain::haltedCall {};
    let halted = chain.source.read(taker.contract, halted).await;
    let now = chain.source.time().await.map_err(failure)?;
    let at = (now, halted.map_err(failure)?);
    let plan = plan_bounce((from, to), lane.taken(), &lane.waiting, at, MOST).map_err(|error| {
        Failure::input(format!(
            "nothing of the lane from chain {from} to chain {to} can go back: {error}"
        ))
    })?;
    let (count, more, first) = (plan.count, plan.more, lane.lane.taken);
    let sent = wallet
        .send(output, "bounce", network.bridge, U256::ZERO, plan.call)
        .await?;
    let entries = lane.waiting.iter().take(count).map(|entry| {
        json!({
            "index": entry.index,
            "token": entry.entry.token,
            "amount": entry.entry.amount.to_string(),
            "sender": entry.entry.sender,
        })
    });
    let fields = json!({
        "from": from,
        "to": to,
        "first": first,
        "count": count,
        "more": more,
        "entries": entries.collect::<Vec<_>>(),
        "transaction": sent.json(),
    });
    let (name, text) = sent.row();
    let rows = [
        (name, text),
        (
            "went back",
            format!("entries {first} to {}", first + count as u64 - 1),
        ),
        ("still due", more.to_string()),
    ];
    output.result("carillon.chain.bounce/1", fields, &rows);
    if more != 0 {
        output.closing("next: give the command again for the rest");
    }
    Ok(())
}

/// Pays out what no chain took back.
pub async fn collect(output: &Output, args: CollectArgs) -> Result<(), Failure> {
    let wallet = args.wallet.open(&args.place.chain)?;
    let (_, network) = args.place.open().await?;
    let owner = args.owner.unwrap_or(wallet.address());
    let to = args.to.unwrap_or(owner);
    if to != owner && owner != wallet.address() {
        return Err(Failure::input(format!(
            "only {owner}, whose sends came back, may have them paid elsewhere; {} signs",
            wallet.address()
        )));
    }
    let found = network.collectable(owner).await.map_err(failure)?;
    if found.is_empty() {
        return Err(Failure::input(format!(
            "nothing waits for {owner}: what goes back into a chain is an import there, and what was collected is paid"
        )));
    }
    let (mut paid, mut rows) = (Vec::new(), Vec::new());
    for (token, amount) in found {
        let call = SharedBridge::collectBouncedCall { owner, token, to };
        let sent = wallet
            .send(output, "collect", network.bridge, U256::ZERO, call)
            .await?;
        rows.push((
            token.to_string(),
            format!("{amount} to {to}, {}", sent.row().1),
        ));
        paid.push(json!({
            "token": token,
            "amount": amount.to_string(),
            "transaction": sent.json(),
        }));
    }
    let fields = json!({ "owner": owner, "to": to, "paid": paid });
    output.result("carillon.chain.collect/1", fields, &rows);
    Ok(())
}
