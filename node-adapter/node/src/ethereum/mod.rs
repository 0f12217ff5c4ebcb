//! The node's Ethereum: the L1 queue through the watcher, settlement through the L1 sender, each
//! settled batch in the archive first.
//!
//! Called by `carillon-node run --l1` and the tests. Uses `carillon-settlement` and its
//! archive.

mod inbox;
mod joining;
mod lanes;
mod settler;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::Address;
use alloy::signers::local::PrivateKeySigner;
use redb::Database;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::fees::L1Prices;
use super::ports::{L1Inbox, LaneAuthority, Settler};
use super::prices::NodePrices;
use carillon_protocol::ledger::Budget;
use carillon_settlement::archive::{Archive, ArchiveError, chain_of};
use carillon_settlement::sender::{Journal, JournalError, NodePort, Policy, Sender, SenderError};
use carillon_settlement::watch::{
    Arrivals, ArrivalsError, NodeSource, Queue, QueueError, WatchError, WatchOptions, Watcher,
};
use carillon_settlement::{
    DataMode, Deadlines, Executed, L1Client, L1Part, L1Reporter, SettlementError,
};
use inbox::Inbox;
use joining::Joining;
use lanes::EthereumLanes;
use settler::{EthereumSettler, Retry};

/// Files in the node's folder.
const QUEUE: &str = "l1-queue.redb";
const JOURNAL: &str = "l1-sender.redb";

/// How long one answer of the Ethereum node may take.
const ANSWER: Duration = Duration::from_secs(15);

/// Where a chain's contracts are on Ethereum, and how they are used.
pub struct EthereumOptions {
    /// The Ethereum node.
    pub url: String,
    /// The `RollupChain`.
    pub chain: Address,
    /// The `ChainHub`, which has the keys of chains' statements.
    pub hub: Address,
    /// The `SharedBridge`, which keeps the lanes between chains.
    pub bridge: Address,
    /// The operator's key.
    pub operator: PrivateKeySigner,
    /// The circuit's number on L1.
    pub shape: u32,
    /// Its capacity.
    pub budget: Budget,
    /// Where the batches' data are.
    pub mode: DataMode,
    /// URL or folder of the archive.
    pub archive: String,
    /// The watcher's settings.
    pub watch: WatchOptions,
    /// The sender's settings.
    pub policy: Policy,
    /// A gateway that settles batches together with those of other chains; without one each settles alone.
    pub gateway: Option<carillon_gateway::Client>,
}

/// Why the node's Ethereum side did not start.
#[derive(Debug, thiserror::Error)]
pub enum EthereumError {
    /// The node or the contract.
    #[error(transparent)]
    Settlement(#[from] SettlementError),
    /// The watcher.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// The queue on disk.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The lanes on disk.
    #[error(transparent)]
    Arrivals(#[from] ArrivalsError),
    /// A database file.
    #[error("{file}: {reason}; is another node on this folder?")]
    Database {
        /// Which.
        file: &'static str,
        /// Why.
        reason: String,
    },
    /// The sender's journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The sender.
    #[error(transparent)]
    Sender(#[from] SenderError),
    /// The archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The contract is another chain's.
    #[error(
        "the contract is of chain {contract}, this node is of chain {node}: give the right --chain"
    )]
    WrongChain {
        /// On L1.
        contract: u64,
        /// Of the node.
        node: u64,
    },
}

/// Both ports, and the work behind them.
pub struct Ethereum {
    /// The L1 queue.
    pub inbox: Arc<dyn L1Inbox>,
    /// Settlement.
    pub settler: Arc<dyn Settler>,
    /// What it says of lanes.
    pub lanes: Arc<dyn LaneAuthority>,
    /// Ethereum's fees.
    pub prices: Option<Arc<dyn L1Prices>>,
    /// The L1 sender at work; it ends with an error only if waiting cannot help.
    pub sender: tokio::task::JoinHandle<Result<(), SenderError>>,
    /// What stands between the node and Ethereum, from memory: for RPC, `status` and metrics.
    pub status: L1Reporter,
}

impl Ethereum {
    /// Connects, checks that the contract is this chain's, and goes on where the folder's files end.
    ///
    /// # Errors
    /// [`EthereumError`].
    pub async fn start(
        folder: &Path,
        chain_id: u64,
        options: EthereumOptions,
        stop: CancellationToken,
    ) -> Result<Self, EthereumError> {
        let source = NodeSource::new(&options.url, options.chain, ANSWER)?
            .with_lanes(options.bridge, chain_id);
        let chain = chain_of(&source).await?;
        if chain.chain != chain_id {
            return Err(EthereumError::WrongChain {
                contract: chain.chain,
                node: chain_id,
            });
        }
        let database =
            Database::create(folder.join(QUEUE)).map_err(|error| EthereumError::Database {
                file: QUEUE,
                reason: error.to_string(),
            })?;
        let database = Arc::new(database);
        let status = L1Reporter::default();
        let arrivals = Arrivals::new(Arc::clone(&database))?;
        let lanes = EthereumLanes::new(
            source.clone(),
            (options.hub, options.bridge),
            chain_id,
            options.watch.confirmations,
            arrivals.clone(),
            options.policy.poll,
        );
        let inbox = Inbox::new(
            Watcher::new(source, Arc::clone(&database), options.watch)?,
            (Queue::new(Arc::clone(&database))?, arrivals.clone()),
            options.watch.confirmations,
            &options.policy,
            status.clone(),
        );

        let deadlines = Deadlines {
            answer: ANSWER,
            ..Deadlines::default()
        };
        let operator = options.operator.clone();
        let client = L1Client::new(&options.url, options.operator.clone(), deadlines)?;
        let journal = Journal::open(&folder.join(JOURNAL))?;
        let port = NodePort::new(&options.url, ANSWER)?;
        let outcome = Executed {
            client: client.clone(),
        };
        let retry = options.policy.retry_after;
        let sender = Sender::open(port, outcome, options.operator, journal, options.policy).await?;
        let (handle, work) = sender.reporting(status.clone()).start(stop);
        let settler = EthereumSettler {
            client,
            chain,
            shape: options.shape,
            budget: options.budget,
            mode: options.mode,
            archive: Archive::create(&options.archive, chain).await?,
            sender: handle,
            arrivals,
            status: status.clone(),
            retry: Mutex::new(Retry::new(retry)),
            checked: Mutex::new(BTreeSet::new()),
        };
        let settler: Arc<dyn Settler> = match options.gateway {
            None => Arc::new(settler),
            Some(gateway) => Arc::new(Joining {
                settler,
                gateway,
                operator,
                confirmations: options.watch.confirmations,
                seen: Mutex::default(),
                brought: Mutex::default(),
            }),
        };
        let failed = status.clone();
        let work = async move {
            let ended = work.await;
            if let Err(error) = &ended {
                // Nobody tries again: the settler's next call ends the node.
                failed.failed(L1Part::Settlement, error.trouble(), Duration::ZERO);
                tracing::error!(%error, "the L1 sender stopped");
            }
            ended
        };
        Ok(Self {
            inbox: Arc::new(inbox),
            settler,
            lanes: Arc::new(lanes),
            prices: NodePrices::new(&options.url, ANSWER)
                .map(|prices| Arc::new(prices) as Arc<dyn L1Prices>),
            sender: tokio::spawn(work),
            status,
        })
    }
}
