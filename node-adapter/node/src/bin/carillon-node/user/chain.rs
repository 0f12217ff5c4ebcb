//! A chain as a user finds it: contracts, their past, and the archive.

use std::time::Duration;

use alloy::primitives::Address;
use carillon_cli::Output;
use carillon_protocol::ledger::State;
use carillon_settlement::abi::IRollupChain::Progress;
use carillon_settlement::abi::RollupChain;
use carillon_settlement::archive::{
    Archive, ArchiveError, History, HistoryError, MessageError, ResyncError, ResyncOptions,
    open_archive, resync, resync_until,
};
use carillon_settlement::watch::{NodeSource, WatchOptions};
use carillon_settlement::{Contracts, SettlementError};
use clap::Args;

use crate::exit::Failure;

/// Where the chain is.
#[derive(Clone, Debug, Args)]
pub struct ChainArgs {
    /// URL of an Ethereum node
    #[arg(long, env = "CARILLON_L1", value_name = "URL", hide_env_values = true)]
    pub l1: String,
    /// The chain's contract (RollupChain) on Ethereum
    #[arg(long, env = "CARILLON_CHAIN", value_name = "ADDRESS")]
    pub chain: Address,
    /// Seconds that the Ethereum node may take for an answer
    #[arg(long, value_name = "S", default_value_t = 30)]
    timeout: u64,
}

/// How the chain's past is read.
#[derive(Clone, Debug, Args)]
pub struct PastArgs {
    /// The block that created the contract, or one before it: events are read from there
    #[arg(long, value_name = "BLOCK", default_value_t = 0)]
    pub from_block: u64,
    /// Blocks asked for at a time
    #[arg(long, value_name = "N", default_value_t = WatchOptions::default().range,
          value_parser = clap::value_parser!(u64).range(1..))]
    pub range: u64,
}

/// A chain and the node that it is read from.
#[derive(Debug)]
pub struct Chain {
    /// The Ethereum node.
    pub source: NodeSource,
    /// The contracts.
    pub contracts: Contracts,
}

impl ChainArgs {
    /// The chain of a contract, with the default patience.
    pub fn new(l1: &str, chain: Address) -> Self {
        Self {
            l1: l1.to_owned(),
            chain,
            timeout: 30,
        }
    }

    /// Finds the contracts.
    pub async fn connect(&self) -> Result<Chain, Failure> {
        let deadline = Duration::from_secs(self.timeout);
        let source = NodeSource::new(&self.l1, self.chain, deadline).map_err(failure)?;
        let contracts = Contracts::find(&source).await.map_err(failure)?;
        Ok(Chain { source, contracts })
    }
}

impl PastArgs {
    /// Everything up to the newest block: what is sent now is judged by the contract as of now.
    fn options(&self) -> WatchOptions {
        WatchOptions {
            start: self.from_block,
            confirmations: 0,
            range: self.range,
            ..WatchOptions::default()
        }
    }
}

impl Chain {
    /// How far the chain is.
    pub async fn progress(&self) -> Result<Progress, Failure> {
        let (chain, call) = (self.contracts.chain, RollupChain::progressCall {});
        self.source.read(chain, call).await.map_err(failure)
    }

    /// Refuses what works on a halted chain only.
    pub async fn need_halted(&self) -> Result<Progress, Failure> {
        let progress = self.progress().await?;
        if progress.halted {
            return Ok(progress);
        }
        Err(Failure::input(format!(
            "chain {} is not halted: its operator serves exits (`exit request`); if it does not, `halt` ends the chain once an entry of its queue is overdue",
            self.contracts.chain_id
        )))
    }

    /// Events of the chain up to the newest block.
    pub async fn history(&self, output: &Output, past: &PastArgs) -> Result<History, Failure> {
        let step = output.step("events");
        let read = History::read(&self.source, past.options(), |_| {}).await;
        let history = read.map_err(|error| match error {
            HistoryError::Node(error) => failure(error),
            other => Failure::unavailable(other.to_string()),
        })?;
        step.done(&format!(
            "{} batches executed, {} queue entries",
            history.executed.len(),
            history.queue.len()
        ));
        Ok(history)
    }

    /// The archive at a URL.
    pub async fn archive(&self, url: &str) -> Result<Archive, Failure> {
        open_archive(&self.source, url)
            .await
            .map_err(resync_failure)
    }

    /// The state after the last executed batch, rebuilt and checked against Ethereum.
    pub async fn state(
        &self,
        output: &Output,
        past: &PastArgs,
        archive: &str,
    ) -> Result<State, Failure> {
        self.state_until(output, past, archive, None).await
    }

    /// The same after an earlier executed batch.
    pub async fn state_until(
        &self,
        output: &Output,
        past: &PastArgs,
        archive: &str,
        last: Option<u64>,
    ) -> Result<State, Failure> {
        let archive = self.archive(archive).await?;
        let step = output.step("state from Ethereum and the archive");
        let options = ResyncOptions {
            watch: past.options(),
            ..ResyncOptions::default()
        };
        let rebuilt = match last {
            None => resync(&self.source, &archive, options, |_| {}).await,
            Some(last) => resync_until(&self.source, &archive, options, last, |_| {}).await,
        };
        let (state, report) = rebuilt.map_err(resync_failure)?;
        step.done(&format!("{} batches replayed", report.batches));
        Ok(state)
    }
}

/// An error of the Ethereum node or a contract as an exit code.
pub fn failure(error: SettlementError) -> Failure {
    match error {
        SettlementError::Url { .. } | SettlementError::NotOurContract { .. } => {
            Failure::input(error.to_string())
        }
        SettlementError::Rpc { .. } | SettlementError::Node(_) => {
            Failure::unavailable(error.to_string())
        }
        other => Failure::Settlement(other.to_string()),
    }
}

/// The same for messages.
pub fn message_failure(error: MessageError) -> Failure {
    let text = error.to_string();
    match error {
        MessageError::Node(error) => failure(error),
        MessageError::History(_) => Failure::unavailable(text),
        MessageError::Archive(ArchiveError::Store(_)) => Failure::unavailable(text),
        MessageError::WrongData { .. } => Failure::wrong_result(text),
        MessageError::Archive(_)
        | MessageError::NotExecuted { .. }
        | MessageError::NoMessage { .. }
        | MessageError::NotPublished { .. } => Failure::input(text),
    }
}

fn resync_failure(error: ResyncError) -> Failure {
    let text = error.to_string();
    match error {
        ResyncError::Mismatch(_) => Failure::wrong_result(text),
        ResyncError::Node(error) => failure(error),
        ResyncError::History(_)
        | ResyncError::Queue { .. }
        | ResyncError::NotExecuted { .. }
        | ResyncError::Archive(ArchiveError::Store(_)) => Failure::unavailable(text),
        ResyncError::Archive(_)
        | ResyncError::ArchiveBehind { .. }
        | ResyncError::Ahead { .. }
        | ResyncError::Open { .. }
        | ResyncError::Keep(_) => Failure::input(text),
    }
}
