//! `carillon-node halt`, `pause`, `unpause` and `revert`: what may be done to a chain on Ethereum
//! beside its batches.

use std::time::Duration;

use alloy::primitives::U256;
use carillon_cli::Output;
use carillon_settlement::abi::RollupChain;
use carillon_settlement::archive::pending_batches;
use clap::Args;
use serde_json::json;

use super::chain::{Chain, ChainArgs, PastArgs, failure, message_failure};
use super::wallet::{Wallet, WalletArgs};
use crate::exit::Failure;

/// Arguments of `halt`.
#[derive(Debug, Args)]
pub struct HaltArgs {
    #[command(flatten)]
    common: GovernArgs,
    /// Halt over this entry of the queue [default: the oldest; one that came when the queue was short
    /// can be due before an older one]
    #[arg(long, value_name = "N")]
    entry: Option<u64>,
    /// Wait until the entry is overdue
    #[arg(long)]
    wait: bool,
}

/// Arguments of `unpause`, and of the others here.
#[derive(Debug, Args)]
pub struct GovernArgs {
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    wallet: WalletArgs,
}

/// Arguments of `pause`.
#[derive(Debug, Args)]
pub struct PauseArgs {
    #[command(flatten)]
    common: GovernArgs,
    /// How long [default: as long as the chain allows]
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
}

/// Arguments of `revert`.
#[derive(Debug, Args)]
pub struct RevertArgs {
    #[command(flatten)]
    common: GovernArgs,
    #[command(flatten)]
    past: PastArgs,
    /// The first batch to take back; all later ones go with it [default: the oldest that is not
    /// executed]
    #[arg(long, value_name = "N")]
    first: Option<u64>,
}

impl GovernArgs {
    async fn open(&self) -> Result<(Chain, Wallet), Failure> {
        let wallet = self.wallet.open(&self.chain)?;
        Ok((self.chain.connect().await?, wallet))
    }
}

/// Ends a chain whose oldest queue entry is overdue.
pub async fn halt(output: &Output, args: HaltArgs) -> Result<(), Failure> {
    let (chain, wallet) = args.common.open().await?;
    let id = chain.contracts.chain_id;
    let step = args
        .wait
        .then(|| output.step("waiting for the entry's deadline"));
    while let Some((from, left)) = not_yet(&chain, args.entry).await? {
        if !args.wait {
            return Err(Failure::input(format!(
                "the entry in the queue of chain {id} is not overdue: the chain can be halted from {from} (Unix time), in {left} seconds; --wait waits for it"
            )));
        }
        tokio::time::sleep(Duration::from_secs(left.clamp(1, 60))).await;
    }
    if let Some(step) = step {
        step.done("it has passed");
    }
    let at = chain.contracts.chain;
    let sent = match args.entry {
        None => {
            let call = RollupChain::haltCall {};
            wallet.send(output, "halt", at, U256::ZERO, call).await?
        }
        Some(index) => {
            let call = RollupChain::haltOverCall { index };
            wallet.send(output, "halt", at, U256::ZERO, call).await?
        }
    };
    let next = "`exit claim` pays each balance by a state proof, `recover` pays back deposits that were not executed, `claim` goes on";
    let fields = json!({ "chain_id": id, "transaction": sent.json(), "next": next });
    output.result("carillon.halt/1", fields, &[sent.row()]);
    output.closing(&format!("next: {next}"));
    Ok(())
}

/// From when on the chain can be halted, and the seconds until then; none if it can be now.
async fn not_yet(chain: &Chain, entry: Option<u64>) -> Result<Option<(u64, u64)>, Failure> {
    let id = chain.contracts.chain_id;
    let at = chain.contracts.chain;
    let progress = chain.progress().await?;
    if progress.halted {
        return Err(Failure::input(format!("chain {id} is halted already")));
    }
    let open = progress.queueExecuted..progress.queueLength;
    if open.is_empty() {
        return Err(Failure::input(format!(
            "nothing waits in the queue of chain {id}, so it cannot be halted; `exit request` puts an entry there that the operator must serve in time"
        )));
    }
    let from = match entry {
        None => {
            chain
                .source
                .read(at, RollupChain::haltableFromCall {})
                .await
        }
        Some(index) if open.contains(&index) => {
            let due = chain
                .source
                .read(at, RollupChain::dueAtCall { index })
                .await;
            due.map(|due| due + 1)
        }
        Some(index) => {
            return Err(Failure::input(format!(
                "entries {} to {} wait in the queue of chain {id}, {index} is none of them",
                open.start,
                open.end - 1
            )));
        }
    };
    let from = from.map_err(failure)?;
    let now = chain.source.time().await.map_err(failure)?;
    Ok((now < from).then(|| (from, from - now)))
}

/// Stops deposits and batches for a time.
pub async fn pause(output: &Output, args: PauseArgs) -> Result<(), Failure> {
    let (chain, wallet) = args.common.open().await?;
    guardian(&chain, &wallet).await?;
    let call = RollupChain::timesCall {};
    let times = chain
        .source
        .read(chain.contracts.chain, call)
        .await
        .map_err(failure)?;
    let seconds = args.seconds.unwrap_or(times.maxPause);
    if seconds > times.maxPause || seconds == 0 {
        return Err(Failure::input(format!(
            "chain {} may be paused for 1 to {} seconds, {seconds} were asked for",
            chain.contracts.chain_id, times.maxPause
        )));
    }
    let call = RollupChain::pauseCall { duration: seconds };
    let sent = wallet
        .send(output, "pause", chain.contracts.chain, U256::ZERO, call)
        .await?;
    let until = paused_until(&chain).await?;
    let fields = json!({
        "chain_id": chain.contracts.chain_id,
        "paused_until": until,
        "transaction": sent.json(),
    });
    let rows = [sent.row(), ("paused until (Unix time)", until.to_string())];
    output.result("carillon.pause/1", fields, &rows);
    Ok(())
}

/// Ends a pause.
pub async fn unpause(output: &Output, args: GovernArgs) -> Result<(), Failure> {
    let (chain, wallet) = args.open().await?;
    guardian(&chain, &wallet).await?;
    if paused_until(&chain).await? == 0 {
        let id = chain.contracts.chain_id;
        return Err(Failure::input(format!("chain {id} is not paused")));
    }
    let call = RollupChain::unpauseCall {};
    let sent = wallet
        .send(output, "unpause", chain.contracts.chain, U256::ZERO, call)
        .await?;
    let fields = json!({ "chain_id": chain.contracts.chain_id, "transaction": sent.json() });
    output.result("carillon.unpause/1", fields, &[sent.row()]);
    Ok(())
}

async fn paused_until(chain: &Chain) -> Result<u64, Failure> {
    let call = RollupChain::pausedUntilCall {};
    chain
        .source
        .read(chain.contracts.chain, call)
        .await
        .map_err(failure)
}

async fn guardian(chain: &Chain, wallet: &Wallet) -> Result<(), Failure> {
    let call = RollupChain::guardianCall {};
    let guardian = chain
        .source
        .read(chain.contracts.chain, call)
        .await
        .map_err(failure)?;
    if guardian == wallet.address() {
        return Ok(());
    }
    Err(Failure::input(format!(
        "only the guardian {guardian} of chain {} pauses it; {} signs",
        chain.contracts.chain_id,
        wallet.address()
    )))
}

/// Takes back batches that are committed and not executed.
pub async fn revert(output: &Output, args: RevertArgs) -> Result<(), Failure> {
    let (chain, wallet) = args.common.open().await?;
    let history = chain.history(output, &args.past).await?;
    let pending = pending_batches(&chain.source, &history)
        .await
        .map_err(message_failure)?;
    let (Some(oldest), Some(last)) = (pending.first(), pending.last()) else {
        return Err(Failure::input(format!(
            "no batch of chain {} is committed and not executed; executed batches stay",
            chain.contracts.chain_id
        )));
    };
    let (oldest, last) = (oldest.number, last.number);
    let number = args.first.unwrap_or(oldest);
    let first = pending.iter().find(|stored| stored.number == number);
    let first = first.ok_or_else(|| {
        Failure::input(format!(
            "batches {oldest} to {last} can be taken back, {number} is none of them"
        ))
    })?;
    let at = chain.contracts.chain;
    let operator = chain
        .source
        .read(at, RollupChain::operatorCall {})
        .await
        .map_err(failure)?;
    let times = chain
        .source
        .read(at, RollupChain::timesCall {})
        .await
        .map_err(failure)?;
    let from = first.committedAt + times.revertDelay;
    let now = chain.source.time().await.map_err(failure)?;
    if operator != wallet.address() && now < from {
        return Err(Failure::input(format!(
            "batch {number} is young: until {from} (Unix time) only the operator {operator} takes it back; {} signs",
            wallet.address()
        )));
    }
    let call = RollupChain::revertBatchesCall {
        first: first.clone(),
    };
    let sent = wallet.send(output, "revert", at, U256::ZERO, call).await?;
    let fields = json!({
        "chain_id": chain.contracts.chain_id,
        "first": number,
        "last": last,
        "transaction": sent.json(),
    });
    let rows = [
        sent.row(),
        ("batches taken back", format!("{number} to {last}")),
    ];
    output.result("carillon.revert/1", fields, &rows);
    Ok(())
}
