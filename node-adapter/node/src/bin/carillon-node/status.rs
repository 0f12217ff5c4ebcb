//! `carillon-node status`: how a node is, what it waits for, and whether it can make progress.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use carillon_cli::Output;
use clap::Args;
use serde_json::{Value, json};

use crate::config::Config;
use crate::exit::Failure;
use crate::node_url::NodeArgs;

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    node: NodeArgs,
}

/// Asks the node and prints what it says; fails if something keeps it from its work.
pub async fn run(output: &Output, args: StatusArgs, config: &Config) -> Result<(), Failure> {
    let rpc = args.node.rpc(config)?;
    let chain: Value = rpc.ask("carillon_chain", json!([])).await?;
    let queue: Value = rpc.ask("carillon_queue", json!([])).await?;
    let fields = json!({ "chain": chain, "queue": queue });
    output.result("carillon.status/1", fields, &rows(&chain, &queue));
    if chain["ready"] == true {
        return Ok(());
    }
    let reasons = chain["not_ready"].as_array().cloned().unwrap_or_default();
    let reasons = reasons
        .iter()
        .filter_map(|reason| reason["reason"].as_str());
    Err(Failure::Stuck(reasons.collect::<Vec<_>>().join("; ")))
}

/// Where the batches' data are. Nodes of older versions, which do not say it, know rollups alone.
fn data_words(chain: &Value) -> String {
    match chain["data_mode"].as_str() {
        Some("validium") => {
            "validium: batches have no blob, the archive is the only copy of their data".to_owned()
        }
        mode => mode.unwrap_or("rollup").to_owned(),
    }
}

fn rows(chain: &Value, queue: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    };
    let reached = &chain["reached"];
    let mut rows = vec![
        ("chain".to_owned(), text(&chain["chain_id"])),
        ("data".to_owned(), data_words(chain)),
        ("Ethereum".to_owned(), text(&chain["l1"])),
        (
            "operations".to_owned(),
            format!(
                "{}, {} of them open",
                text(&chain["accepted"]),
                text(&chain["open"])
            ),
        ),
        (
            "batches".to_owned(),
            format!(
                "{} sealed, {} proved, {} settled, {} final",
                text(&chain["batch"]),
                text(&reached["proved"]),
                text(&reached["settled"]),
                text(&reached["final"])
            ),
        ),
        (
            "L1 queue".to_owned(),
            format!(
                "{} entries executed, {} sealed",
                text(&queue["executed"]),
                text(&queue["sealed"])
            ),
        ),
    ];
    if let Some(proofs) = proofs(&chain["proving"]) {
        rows.insert(5, ("proofs".to_owned(), proofs));
    }
    if !queue["l1_block"].is_null() {
        let (head, read) = (text(&queue["l1_block"]), text(&queue["read_block"]));
        rows.push(("L1 blocks".to_owned(), format!("{head}, read up to {read}")));
    }
    for wait in chain["waits_for"].as_array().into_iter().flatten() {
        rows.push((
            format!("waits: {}", text(&wait["part"])),
            text(&wait["reason"]),
        ));
    }
    for part in ["queue", "settlement"] {
        let failure = &chain["ethereum"][part]["last_failure"];
        if !failure.is_null() {
            let ago = failure["at"].as_u64().map_or_else(String::new, |at| {
                format!(
                    ", {} s ago",
                    now().saturating_sub(Duration::from_millis(at)).as_secs()
                )
            });
            let line = format!(
                "{}{ago}; {}",
                text(&failure["reason"]),
                text(&failure["next_step"])
            );
            rows.push((format!("last failure: {part}"), line));
        }
    }
    let ready = if chain["ready"] == true { "yes" } else { "no" };
    rows.push(("ready".to_owned(), ready.to_owned()));
    rows
}

/// What is being proved, and what this node's own prover could have under way; `None` of a node whose
/// batches nobody can prove.
fn proofs(proving: &Value) -> Option<String> {
    let in_flight = proving["in_flight"].as_array()?;
    let each = in_flight.iter().filter_map(|proof| {
        let (batch, prover) = (proof["batch"].as_u64()?, proof["prover"].as_str()?);
        let place = match prover {
            "in_process" => "in the node's process",
            _ => "elsewhere",
        };
        Some(format!("batch {batch} {place}"))
    });
    let each: Vec<String> = each.collect();
    let names = match each.as_slice() {
        [] => String::new(),
        each => format!(" ({})", each.join(", ")),
    };
    let places = match proving["places"].as_u64() {
        Some(places) => format!("{places} at once in the node's process"),
        None => "none proved in the node's process".to_owned(),
    };
    Some(format!("{} in flight{names}; {places}", in_flight.len()))
}

fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
