//! `carillon-node resync`: the state of a chain rebuilt from Ethereum and the archive, to compare it or
//! as the folder of a node.

use std::path::PathBuf;
use std::time::Duration;

use alloy::primitives::{Address, U256};
use carillon_cli::{Output, grouped};
use carillon_node::{RebuildError, rebuild};
use carillon_settlement::archive::{
    ArchiveError, ResyncError, ResyncOptions, ResyncStep, open_archive, resync,
};
use carillon_settlement::watch::{NodeSource, WatchOptions};
use clap::Args;
use serde_json::json;

use crate::config::Config;
use crate::exit::Failure;

/// Arguments of `resync`. Those without a value come from the section [run] of the configuration file
/// or the defaults.
#[derive(Debug, Args)]
pub struct ResyncArgs {
    /// URL of an Ethereum node
    #[arg(long, env = "CARILLON_L1", hide_env_values = true, value_name = "URL")]
    l1: Option<String>,
    /// The chain's contract (RollupChain) on Ethereum
    #[arg(long, env = "CARILLON_CHAIN", value_name = "ADDRESS")]
    chain: Option<Address>,
    /// The archive: a folder, or a URL like file:///var/lib/carillon/archive
    #[arg(
        long,
        env = "CARILLON_ARCHIVE",
        hide_env_values = true,
        value_name = "URL"
    )]
    archive: Option<String>,
    /// Make the folder of a node there, which `run` goes on from, with the batches that the archive has
    /// beyond those that Ethereum has executed [default: only compare]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// The block that created the contract, or one before it: events are read from there [default: 0]
    #[arg(long, value_name = "BLOCK")]
    from_block: Option<u64>,
    /// Blocks on top of a batch until it counts [default: 32]
    #[arg(long, value_name = "N")]
    confirmations: Option<u64>,
    /// Blocks asked for at a time
    #[arg(long, value_name = "N", default_value_t = WatchOptions::default().range,
          value_parser = clap::value_parser!(u64).range(1..))]
    range: u64,
    /// Seconds that the node may take for an answer
    #[arg(long, value_name = "S", default_value_t = 30)]
    timeout: u64,
}

/// Runs the command.
pub async fn run(output: &Output, args: ResyncArgs, config: Config) -> Result<(), Failure> {
    let file = config.run;
    let needed = |what: &str| {
        Failure::input(format!(
            "{what} is needed, as an option or in the section [run] of the configuration file"
        ))
    };
    let (l1, chain, archive) = (
        args.l1.or(file.l1),
        args.chain.or(file.chain),
        args.archive.or(file.archive),
    );
    let l1 = l1.ok_or_else(|| needed("--l1, the URL of an Ethereum node,"))?;
    let chain = chain.ok_or_else(|| needed("--chain, the address of the RollupChain,"))?;
    let archive = archive.ok_or_else(|| needed("--archive"))?;
    let deadline = Duration::from_secs(args.timeout);
    let source =
        NodeSource::new(&l1, chain, deadline).map_err(|error| Failure::input(error.to_string()))?;
    let defaults = WatchOptions::default();
    let options = ResyncOptions {
        watch: WatchOptions {
            start: args
                .from_block
                .or(file.from_block)
                .unwrap_or(defaults.start),
            confirmations: args
                .confirmations
                .or(file.confirmations)
                .unwrap_or(defaults.confirmations),
            range: args.range,
            ..defaults
        },
        ..ResyncOptions::default()
    };
    let opened = open_archive(&source, &archive).await.map_err(failure)?;
    let step = output.step("resync");
    let progress = |at: ResyncStep| {
        if let ResyncStep::Replayed(done, total) = at {
            step.at(done, total);
        }
    };
    let (report, accounts, made) = match &args.out {
        None => {
            let rebuilt = resync(&source, &opened, options, progress).await;
            let (state, report) = rebuilt.map_err(failure)?;
            (report, state.accounts().count() as u64, None)
        }
        Some(folder) => {
            let rebuilt = rebuild(&source, &opened, options, folder, progress).await;
            let rebuilt = rebuilt.map_err(rebuild_failure)?;
            (rebuilt.report, rebuilt.accounts, Some(rebuilt.path))
        }
    };
    step.done(&format!("{} batches replayed", grouped(report.batches)));
    let root = format!("{:#066x}", U256::from_be_bytes(report.root.to_bytes_be()));
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
        "made": made,
    });
    let mut rows = vec![
        ("chain", report.chain.to_string()),
        (
            "L1 read to block",
            block.map_or("none".into(), |block| block.to_string()),
        ),
        ("batches", grouped(report.batches)),
        ("operations", grouped(report.operations)),
        ("queue entries", grouped(report.queue)),
        ("accounts", grouped(accounts)),
        ("state root", root),
    ];
    let pending = grouped(report.pending);
    match &made {
        None => rows.push(("archived, not yet final", pending)),
        Some(path) => {
            rows.push(("archived, still to be settled", pending));
            rows.push(("the node's database", path.display().to_string()));
            rows.push((
                "not in it",
                "operations that were acknowledged and are in no archived batch: their receipts are void, their senders send them again; entries of the L1 queue come by themselves".into(),
            ));
            rows.push((
                "next",
                "put the chain's proving key into the folder's `keys` (it is in every `carillon-node backup`), then `carillon-node run --data-dir` with this archive".into(),
            ));
        }
    }
    output.result("carillon.resync/1", fields, &rows);
    Ok(())
}

fn rebuild_failure(error: RebuildError) -> Failure {
    match error {
        RebuildError::Resync(error) => failure(error),
        RebuildError::InUse { .. } | RebuildError::Folder { .. } => {
            Failure::input(error.to_string())
        }
        RebuildError::Store(error) => error.into(),
        RebuildError::Node(_) => Failure::unavailable(error.to_string()),
    }
}

fn failure(error: ResyncError) -> Failure {
    let text = error.to_string();
    match error {
        ResyncError::Mismatch(_) => Failure::wrong_result(text),
        ResyncError::History(_)
        | ResyncError::Node(_)
        | ResyncError::Archive(ArchiveError::Store(_)) => Failure::unavailable(text),
        ResyncError::Keep(_) | ResyncError::Queue { .. } | ResyncError::NotExecuted { .. } => {
            Failure::unavailable(text)
        }
        ResyncError::Archive(_)
        | ResyncError::ArchiveBehind { .. }
        | ResyncError::Ahead { .. }
        | ResyncError::Open { .. } => Failure::input(text),
    }
}
