//! `carillon-node chain list`, `show` and `lanes`: what Ethereum says of the chains of a hub. No key is
//! needed.

use alloy::primitives::U256;
use carillon_cli::Output;
use carillon_settlement::SettlementError;
use carillon_settlement::network::{ChainFacts, LaneOnL1};
use clap::Args;
use serde_json::{Value, json};

use super::{PlaceArgs, registered};
use crate::exit::Failure;
use crate::user::chain::failure;

/// Arguments of `chain show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// The chain
    #[arg(value_name = "ID")]
    id: u64,
}

/// Arguments of `chain lanes`.
#[derive(Debug, Args)]
pub struct LanesArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Only the lanes from and to this chain [default: all]
    #[arg(value_name = "ID")]
    id: Option<u64>,
}

/// Lists the chains.
pub async fn list(output: &Output, args: PlaceArgs) -> Result<(), Failure> {
    let (_, network) = args.open().await?;
    let lanes = network.lanes(None).await.map_err(failure)?;
    let (mut listed, mut rows) = (Vec::new(), Vec::new());
    for chain in network.chains().await.map_err(failure)? {
        let id = chain.chain_id;
        let name = format!("chain {id}");
        let facts = match network.facts(chain).await {
            Ok(facts) => facts,
            // A chain is what its governor makes of it: one that does not answer hides no other.
            Err(error @ SettlementError::NotOurContract { .. }) => {
                let contract = chain.contract;
                let reason = error.to_string();
                rows.push((name, format!("{contract}, does not answer: {reason}")));
                listed.push(json!({ "chain_id": id, "contract": contract, "error": reason }));
                continue;
            }
            Err(error) => return Err(failure(error)),
        };
        let own = lanes.iter().filter(|lane| lane.from == id);
        let open = own.filter(|lane| lane.from_open && lane.to_open).count();
        rows.push((
            name,
            format!(
                "{}, a {}, {}, {} batches executed, {open} lanes open",
                chain.contract,
                facts.mode,
                state(&facts),
                facts.progress.executed
            ),
        ));
        let mut fields = facts_json(&facts);
        fields["open_lanes"] = json!(open);
        listed.push(fields);
    }
    let fields = json!({ "hub": network.hub, "bridge": network.bridge, "chains": listed });
    output.result("carillon.chain.list/1", fields, &rows);
    Ok(())
}

/// Shows one chain.
pub async fn show(output: &Output, args: ShowArgs) -> Result<(), Failure> {
    let (_, network) = args.place.open().await?;
    let chain = registered(&network, args.id).await?;
    let facts = network.facts(chain).await.map_err(failure)?;
    let lanes = network.lanes(Some(args.id)).await.map_err(failure)?;
    let mut fields = facts_json(&facts);
    let all: Vec<Value> = lanes.iter().map(lane_json).collect();
    fields["lanes"] = json!(all);
    let row = |name: &str, text: String| (name.to_owned(), text);
    let progress = &facts.progress;
    let mut rows = vec![
        row("contract", chain.contract.to_string()),
        row("data", facts.mode.to_string()),
        row("state", state(&facts)),
        row("operator", facts.operator.to_string()),
        row("governor", facts.governor.to_string()),
        row("guardian", facts.guardian.to_string()),
        row(
            "batches",
            format!(
                "{} executed, {} committed",
                progress.executed, progress.committed
            ),
        ),
        row(
            "L1 queue",
            format!(
                "{} entries, {} executed",
                progress.queueLength, progress.queueExecuted
            ),
        ),
        row("state root", format!("{:#066x}", facts.state_root)),
    ];
    for (shape, verifier, hash) in &facts.verifiers {
        rows.push((
            format!("verifier of shape {shape}"),
            format!("{verifier}, key {hash}"),
        ));
    }
    for held in &facts.tokens {
        rows.push((
            format!("token {} ({})", held.slot, held.token),
            format!(
                "{} in escrow, {} on their way to it",
                held.escrow, held.reserved
            ),
        ));
    }
    rows.extend(lanes.iter().map(lane_row));
    output.result("carillon.chain.show/1", fields, &rows);
    Ok(())
}

/// Shows lanes.
pub async fn lanes(output: &Output, args: LanesArgs) -> Result<(), Failure> {
    let (_, network) = args.place.open().await?;
    if let Some(id) = args.id {
        registered(&network, id).await?;
    }
    let lanes = network.lanes(args.id).await.map_err(failure)?;
    let all: Vec<Value> = lanes.iter().map(lane_json).collect();
    let rows: Vec<_> = lanes.iter().map(lane_row).collect();
    let fields = json!({ "bridge": network.bridge, "lanes": all });
    output.result("carillon.chain.lanes/1", fields, &rows);
    Ok(())
}

fn state(facts: &ChainFacts) -> String {
    match (facts.progress.halted, facts.paused_until) {
        (true, _) => "halted".to_owned(),
        (false, 0) => "running".to_owned(),
        (false, until) => format!("paused until {until} (Unix time)"),
    }
}

fn facts_json(facts: &ChainFacts) -> Value {
    let units = |units: U256| units.to_string();
    let state = match (facts.progress.halted, facts.paused_until) {
        (true, _) => "halted",
        (false, 0) => "running",
        _ => "paused",
    };
    let tokens = facts.tokens.iter().map(|held| {
        json!({
            "slot": held.slot,
            "token": held.token,
            "escrow": units(held.escrow),
            "reserved": units(held.reserved),
        })
    });
    let verifiers = facts.verifiers.iter().map(
        |(shape, verifier, hash)| json!({ "shape": shape, "verifier": verifier, "key_hash": hash }),
    );
    json!({
        "chain_id": facts.chain.chain_id,
        "contract": facts.chain.contract,
        "data_mode": facts.mode.to_string(),
        "operator": facts.operator,
        "governor": facts.governor,
        "guardian": facts.guardian,
        "state": state,
        "paused_until": facts.paused_until,
        "halted": facts.progress.halted,
        "batches_executed": facts.progress.executed,
        "batches_committed": facts.progress.committed,
        "queue_length": facts.progress.queueLength,
        "queue_executed": facts.progress.queueExecuted,
        "state_root": format!("{:#066x}", facts.state_root),
        "verifiers": verifiers.collect::<Vec<_>>(),
        "tokens": tokens.collect::<Vec<_>>(),
    })
}

/// A lane for JSON.
pub fn lane_json(lane: &LaneOnL1) -> Value {
    let transit = lane
        .in_transit
        .iter()
        .map(|(token, units)| json!({ "token": token, "amount": units.to_string() }));
    let oldest = lane.waiting.first().map(|entry| {
        json!({
            "index": entry.index,
            "sent_at": entry.time,
            "token": entry.entry.token,
            "amount": entry.entry.amount.to_string(),
            "sender": entry.entry.sender,
            "recipient": entry.entry.recipient,
        })
    });
    json!({
        "from": lane.from,
        "to": lane.to,
        "from_open": lane.from_open,
        "to_open": lane.to_open,
        "open": lane.from_open && lane.to_open,
        "sent": lane.lane.sent,
        "taken": lane.lane.taken,
        "in_transit": transit.collect::<Vec<_>>(),
        "oldest_not_taken": oldest,
    })
}

fn lane_row(lane: &LaneOnL1) -> (String, String) {
    let side = |open| if open { "open" } else { "closed" };
    let mut text = format!(
        "sending side {}, taking side {}, {} sent, {} taken",
        side(lane.from_open),
        side(lane.to_open),
        lane.lane.sent,
        lane.lane.taken
    );
    for (token, units) in &lane.in_transit {
        text.push_str(&format!(", {units} units of {token} on their way"));
    }
    if let Some(oldest) = lane.waiting.first() {
        text.push_str(&format!(
            ", the oldest not taken is entry {} of {} (Unix time)",
            oldest.index, oldest.time
        ));
    }
    (format!("lane {} to {}", lane.from, lane.to), text)
}
