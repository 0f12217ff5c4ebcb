//! `carillon-node chain lane open`, `lane close` and `retire`: a chain's side of its lanes.

use carillon_cli::Output;
use carillon_settlement::abi::SharedBridge;
use carillon_settlement::network::{Call, Governor, LaneOnL1, Network};
use clap::{Args, Subcommand};
use serde_json::json;

use super::govern::{ProposalArgs, act};
use super::read::lane_json;
use super::{PlaceArgs, registered, registered_in_range};
use crate::exit::Failure;
use crate::user::chain::failure;
use crate::user::wallet::WalletArgs;

/// Commands about one side of a lane.
#[derive(Debug, Subcommand)]
pub enum LaneCommand {
    /// Open a chain's side: a lane is open once both chains' are
    Open(LaneArgs),
    /// Close a chain's side: what it sends comes back at once, and nothing new comes to it
    Close(LaneArgs),
}

/// Arguments of `chain lane open` and `close`.
#[derive(Debug, Args)]
pub struct LaneArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    wallet: WalletArgs,
    #[command(flatten)]
    proposal: ProposalArgs,
    /// The chain whose side it is, and whose governor decides
    #[arg(long, value_name = "ID")]
    from: u64,
    /// The other chain
    #[arg(long, value_name = "ID")]
    to: u64,
}

/// Arguments of `chain retire`.
#[derive(Debug, Args)]
pub struct RetireArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    wallet: WalletArgs,
    #[command(flatten)]
    proposal: ProposalArgs,
    /// The chain
    #[arg(value_name = "ID")]
    id: u64,
}

fn set_lane(network: &Network, id: u64, other: u64, open: bool) -> Call {
    let call = SharedBridge::setLaneCall {
        chainId: id,
        other,
        open,
    };
    let verb = if open { "open" } else { "close" };
    let text = format!("{verb} chain {id}'s side of its lanes with chain {other}");
    Call::new(network.bridge, &call, text)
}

/// The pair of lanes between two chains.
fn pair(lanes: &[LaneOnL1], from: u64, to: u64) -> impl Iterator<Item = &LaneOnL1> {
    let between = move |lane: &&LaneOnL1| [(from, to), (to, from)].contains(&(lane.from, lane.to));
    lanes.iter().filter(between)
}

/// Opens or closes.
pub async fn run(output: &Output, command: LaneCommand) -> Result<(), Failure> {
    let (args, open) = match command {
        LaneCommand::Open(args) => (args, true),
        LaneCommand::Close(args) => (args, false),
    };
    let (id, other) = (args.from, args.to);
    if id == other {
        return Err(Failure::input(format!(
            "the lane of chain {id} to itself is always open"
        )));
    }
    let (chain, network) = args.place.open().await?;
    let this = registered_in_range(&network, id).await?;
    registered(&network, other).await?;
    let wallet = args.wallet.open(&args.place.chain)?;
    let facts = network.facts(this).await.map_err(failure)?;
    let governor = Governor::find(&chain.source, facts.governor)
        .await
        .map_err(failure)?;
    let before = network.lanes(Some(id)).await.map_err(failure)?;
    let is_open = pair(&before, id, other).any(|lane| lane.from == id && lane.from_open);
    let calls = match is_open == open {
        true => Vec::new(),
        false => vec![set_lane(&network, id, other, open)],
    };
    let outcome = act(
        output,
        &chain.source,
        &wallet,
        governor,
        calls,
        args.proposal,
    )
    .await?;
    let after = network.lanes(Some(id)).await.map_err(failure)?;
    let lanes: Vec<_> = pair(&after, id, other).map(lane_json).collect();
    let fields = json!({
        "chain_id": id,
        "other": other,
        "open": open,
        "changed": is_open != open && outcome.state == "done",
        "governance": outcome.fields,
        "lanes": lanes,
    });
    let mut rows = outcome.rows;
    for lane in pair(&after, id, other) {
        let side = |open| if open { "open" } else { "closed" };
        rows.push((
            format!("lane {} to {}", lane.from, lane.to),
            format!(
                "sending side {}, taking side {}",
                side(lane.from_open),
                side(lane.to_open)
            ),
        ));
    }
    output.result("carillon.chain.lane/1", fields, &rows);
    if !outcome.next.is_empty() {
        output.closing(&format!("next: {}", outcome.next));
    }
    Ok(())
}

/// Closes every lane of a chain on its side, and says what it still holds.
pub async fn retire(output: &Output, args: RetireArgs) -> Result<(), Failure> {
    let id = args.id;
    let (chain, network) = args.place.open().await?;
    let this = registered_in_range(&network, id).await?;
    let wallet = args.wallet.open(&args.place.chain)?;
    let facts = network.facts(this).await.map_err(failure)?;
    let governor = Governor::find(&chain.source, facts.governor)
        .await
        .map_err(failure)?;
    let before = network.lanes(Some(id)).await.map_err(failure)?;
    let open = before
        .iter()
        .filter(|lane| lane.from == id && lane.from_open);
    let calls = open
        .map(|lane| set_lane(&network, id, lane.to, false))
        .collect();
    let outcome = act(
        output,
        &chain.source,
        &wallet,
        governor,
        calls,
        args.proposal,
    )
    .await?;
    let after = network.lanes(Some(id)).await.map_err(failure)?;
    let facts = network.facts(this).await.map_err(failure)?;
    let left = facts.rest(&after);
    let open = after
        .iter()
        .filter(|lane| lane.from == id && lane.from_open);
    let still: Vec<u64> = open.map(|lane| lane.to).collect();
    let empty = still.is_empty() && left.is_empty();
    let fields = json!({
        "chain_id": id,
        "contract": this.contract,
        "governance": outcome.fields,
        "open_towards": still,
        "left": left,
        "empty": empty,
        "halted": facts.progress.halted,
        "lanes": after.iter().map(lane_json).collect::<Vec<_>>(),
    });
    let mut rows = outcome.rows;
    rows.extend(left.iter().map(|text| ("left".to_owned(), text.clone())));
    let word = if empty {
        "nothing is left"
    } else {
        "not empty"
    };
    rows.push((format!("chain {id}"), word.to_owned()));
    output.result("carillon.chain.retire/1", fields, &rows);
    if !outcome.next.is_empty() {
        output.closing(&format!("next: {}", outcome.next));
    } else if empty {
        output.closing(
            "next: the node can be stopped; keep its archive as long as anyone may ask for it",
        );
    } else {
        output.closing("next: keep the node running until nothing is left; deposits cannot be closed, so tell the users");
    }
    Ok(())
}
