//! `carillon-node resync`: the state of a chain rebuilt from Ethereum and the archive.

use std::time::Duration;

use alloy::primitives::{Address, U256};
use carillon_node::archive::{
    ArchiveError, ResyncError, ResyncOptions, ResyncStep, open_archive, resync,
};
use carillon_node::settlement::watch::{NodeSource, WatchOptions};
use carillon_runtime::cli::{Output, grouped};
use clap::Args;
use serde_json::json;

use crate::exit::Failure;

/// Arguments of `resync`.
#[derive(Debug, Args)]
pub struct ResyncArgs {
    /// URL of an Ethereum node
    #[arg(long, value_name = "URL")]
    l1: String,
    /// The chain's contract (RollupChain) on Ethereum
    #[arg(long, value_name = "ADDRESS")]
    chain: Address,
    /// The archive: a folder, or a URL like file:///var/lib/carillon/archive
    #[arg(long, value_name = "URL")]
    archive: String,
    /// The block that created the contract, or one before it: events are read from there
    #[arg(long, value_name = "BLOCK", default_value_t = 0)]
    from_block: u64,
    /// Blocks on top of a batch until it counts
    #[arg(long, value_name = "N", default_value_t = WatchOptions::default().confirmations)]
    confirmations: u64,
    /// Blocks asked for at a time
    #[arg(long, value_name = "N", default_value_t = WatchOptions::default().range,
          value_parser = clap::value_parser!(u64).range(1..))]
    range: u64,
    /// Seconds that the node may take for an answer
    #[arg(long, value_name = "S", default_value_t = 30)]
    timeout: u64,
}

/// Runs the command.
pub async fn run(output: &Output, args: &ResyncArgs) -> Result<(), Failure> {
    let deadline = Duration::from_secs(args.timeout);
    let source = NodeSource::new(&args.l1, args.chain, deadline)
        .map_err(|error| Failure::input(error.to_string()))?;
    let archive = open_archive(&source, &args.archive)
        .await
        .map_err(failure)?;
    let options = ResyncOptions {
        watch: WatchOptions {
            start: args.from_block,
            confirmations: args.confirmations,
            range: args.range,
            ..WatchOptions::default()
        },
        ..ResyncOptions::default()
    };
    let step = output.step("resync");
    let rebuilt = resync(&source, &archive, options, |at| {
        if let ResyncStep::Replayed(done, total) = at {
            step.at(done, total);
        }
    })
    .await;
    let (state, report) = rebuilt.map_err(failure)?;
    step.done(&format!("{} batches replayed", grouped(report.batches)));
    let root = format!("{:#066x}", U256::from_be_bytes(report.root.to_bytes_be()));
    let accounts = state.accounts().count();
    let block = report.block.map(|block| block.number);
    let fields = json!({
        "l1_chain": report.chain.l1,
        "contract": report.chain.contract,
        "chain": report.chain.chain,
        "l1_block": block,
        "batches": report.batches,
        "operations": report.operations,
        "queue_entries": report.queue,
        "accounts": accounts,
        "state_root": root,
        "archived_ahead": report.pending,
    });
    let rows = [
        ("chain", report.chain.to_string()),
        (
            "L1 read to block",
            block.map_or("none".into(), |block| block.to_string()),
        ),
        ("batches", grouped(report.batches)),
        ("operations", grouped(report.operations)),
        ("queue entries", grouped(report.queue)),
        ("accounts", grouped(accounts as u64)),
        ("state root", root),
        ("archived, not yet final", grouped(report.pending)),
    ];
    output.result("carillon.resync/1", fields, &rows);
    Ok(())
}

fn failure(error: ResyncError) -> Failure {
    let text = error.to_string();
    match error {
        ResyncError::Mismatch(_) => Failure::wrong_result(text),
        ResyncError::History(_)
        | ResyncError::Node(_)
        | ResyncError::Archive(ArchiveError::Store(_)) => Failure::unavailable(text),
        ResyncError::Archive(_) | ResyncError::ArchiveBehind { .. } => Failure::input(text),
    }
}
