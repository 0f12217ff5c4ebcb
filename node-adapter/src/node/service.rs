//! The node put together: store, writer, JSON-RPC, prover API, a prover in process, the driver.
//!
//! [`Node::start`] opens everything or nothing; [`Node::run`] works until it is told to stop or a part
//! fails. A part that fails ends the node: it is better to be restarted than to run lame. Called by
//! `carillon-node run` and the tests.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use carillon_runtime::groth16::VerifyingKey;
use carillon_runtime::progress::ProgressSink;
use jsonrpsee::server::ServerHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::backup::serve_backups;
use super::driver::{Driver, DriverError};
use super::machine::WriterError;
use super::ports::{L1Inbox, Settler};
use super::publish;
use super::rollup::{ChainFacts, Rollup, RollupOptions};
use super::rpc::{self, RpcOptions};
use super::store::{Store, StoreError};
use super::writer::{Writer, WriterOptions};
use crate::crypto::schnorr::SecretKey;
use crate::prover_api::{
    self, ApiOptions, BoardOptions, JobBoard, KeyHash, LocalSource, ProverPlugin, Tokens,
    WorkEvent, WorkOptions,
};

/// The job board's file in the node's folder.
const JOBS: &str = "prover-jobs.redb";

/// How long clients may take over their last answers when the node ends.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// What a node is made of.
pub struct NodeOptions {
    /// The node's folder.
    pub data_dir: PathBuf,
    /// Chain and shape.
    pub rollup: RollupOptions,
    /// Groups and sealing.
    pub writer: WriterOptions,
    /// Signs soft confirmations.
    pub sequencer_key: SecretKey,
    /// Where users are served.
    pub rpc: SocketAddr,
    /// Limits of that server.
    pub rpc_options: RpcOptions,
    /// Proving, if batches are to be proved.
    pub proving: Option<ProvingOptions>,
    /// The L1 queue, if there is one.
    pub inbox: Option<Arc<dyn L1Inbox>>,
    /// What settles, if anything does.
    pub settler: Option<Arc<dyn Settler>>,
}

/// How batches are proved.
pub struct ProvingOptions {
    /// The key of the batches' circuit.
    pub key: VerifyingKey,
    /// How long a lease holds.
    pub board: BoardOptions,
    /// Where provers are served, and who they are.
    pub api: Option<(SocketAddr, Tokens)>,
    /// A prover in this process.
    pub plugin: Option<Arc<dyn ProverPlugin>>,
    /// Where its progress goes.
    pub progress: Arc<dyn ProgressSink>,
    /// What its events are told to.
    pub observe: Arc<dyn Fn(WorkEvent) + Send + Sync>,
}

/// Why a node did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The job board's database.
    #[error(transparent)]
    Jobs(#[from] prover_api::StoreError),
    /// The writer.
    #[error(transparent)]
    Writer(#[from] WriterError),
    /// The driver.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// An address cannot be served.
    #[error("cannot serve {what} on {address}: {source}; choose another address")]
    Bind {
        /// What was to be served.
        what: &'static str,
        /// Where.
        address: SocketAddr,
        /// The reason of the operating system.
        source: std::io::Error,
    },
    /// A part ended that should not have.
    #[error("{0} stopped")]
    Ended(&'static str),
}

/// A node that serves.
pub struct Node {
    writer: Writer<Rollup>,
    thread: JoinHandle<Result<(), WriterError>>,
    rpc: ServerHandle,
    rpc_address: SocketAddr,
    api_address: Option<SocketAddr>,
    board: Option<Arc<JobBoard>>,
    tasks: tokio::task::JoinSet<Result<(), NodeError>>,
    stop: CancellationToken,
}

impl Node {
    /// Opens the folder, replays the log, and begins to serve. Blocks while it replays.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn start(options: NodeOptions) -> Result<Self, NodeError> {
        let stop = CancellationToken::new();
        // Nobody waits for it: whoever needs it first does, or finds it done.
        drop(tokio::task::spawn_blocking(publish::warm_up));
        let mut facts = ChainFacts::new(&options.rollup, options.sequencer_key.public());
        facts.l1 = match (&options.inbox, &options.settler) {
            (None, None) => "none: nothing comes from Ethereum and nothing is settled",
            (Some(_), None) => "queue only: nothing is settled",
            (None, Some(_)) => "settlement only: nothing comes from Ethereum",
            (Some(_), Some(_)) => "queue and settlement",
        };
        let store = Arc::new(Store::open(&options.data_dir, &options.rollup.mark())?);
        let pruned = store.prune()?;
        if pruned > 0 {
            tracing::info!(batches = pruned, "provers' inputs of final batches dropped");
        }
        let rollup = Rollup::restore(&options.rollup, &store)?;
        let (writer, thread) = Writer::start(
            rollup,
            Arc::clone(&store),
            options.sequencer_key,
            options.writer,
        )?;
        let mut tasks = tokio::task::JoinSet::new();
        let (mut board, mut api_address) = (None, None);
        if let Some(proving) = options.proving {
            let jobs = JobBoard::open(&options.data_dir.join(JOBS), proving.board)?;
            let key = jobs.add_key(&proving.key)?;
            let jobs = Arc::new(jobs);
            if let Some((address, tokens)) = proving.api {
                let (listener, bound) = bind("the prover API", address).await?;
                api_address = Some(bound);
                let routes = prover_api::router(Arc::clone(&jobs), tokens, ApiOptions::default());
                let stop = stop.clone();
                tasks.spawn(async move {
                    let served = prover_api::serve(listener, routes, stop).await;
                    served.map_err(|_| NodeError::Ended("the prover API"))
                });
            }
            if let Some(plugin) = proving.plugin {
                let source = LocalSource::new(Arc::clone(&jobs), "in process");
                let (stop, progress, observe) = (stop.clone(), proving.progress, proving.observe);
                tasks.spawn(async move {
                    let options = WorkOptions::default();
                    let ended =
                        prover_api::work(&source, &plugin, &progress, &options, &stop, &*observe);
                    let ended = ended.await;
                    ended
                        .map(|_| ())
                        .map_err(|_| NodeError::Ended("the prover"))
                });
            }
            board = Some((jobs, key));
        }
        let (rpc, rpc_address) = rpc::serve(
            options.rpc,
            options.rpc_options,
            writer.clone(),
            Arc::clone(&store),
            facts,
        )
        .await
        .map_err(|source| NodeError::Bind {
            what: "JSON-RPC",
            address: options.rpc,
            source,
        })?;
        let (folder, kept, ended) = (options.data_dir, Arc::clone(&store), stop.clone());
        tasks.spawn(async move {
            if let Err(error) = serve_backups(&folder, kept, ended.clone()).await {
                tracing::warn!(%error, "no backups while the node runs");
                ended.cancelled().await;
            }
            Ok(())
        });
        let driver = Driver {
            writer: writer.clone(),
            store,
            board: board.clone(),
            inbox: options.inbox,
            settler: options.settler,
            poll: Duration::from_millis(500),
        };
        let ended = driver.run(stop.clone());
        tasks.spawn(async move { Ok(ended.await?) });
        Ok(Self {
            writer,
            thread,
            rpc,
            rpc_address,
            api_address,
            board: board.map(|(board, _): (Arc<JobBoard>, KeyHash)| board),
            tasks,
            stop,
        })
    }

    /// Where users are served.
    pub fn rpc_address(&self) -> SocketAddr {
        self.rpc_address
    }

    /// Where provers are served.
    pub fn api_address(&self) -> Option<SocketAddr> {
        self.api_address
    }

    /// The writer.
    pub fn writer(&self) -> &Writer<Rollup> {
        &self.writer
    }

    /// Jobs and proofs.
    pub fn board(&self) -> Option<&Arc<JobBoard>> {
        self.board.as_ref()
    }

    /// Serves until `stop` is cancelled or a part fails, and ends every part. What was acknowledged
    /// is on disk at every moment, so there is nothing to save.
    ///
    /// # Errors
    /// [`NodeError`] of the part that failed.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), NodeError> {
        let first = tokio::select! {
            () = stop.cancelled() => Ok(()),
            ended = self.tasks.join_next() => match ended {
                Some(Ok(Err(error))) => Err(error),
                _ => Err(NodeError::Ended("a part of the node")),
            },
        };
        self.stop.cancel();
        // No more requests, and the handles that the server holds go with it.
        let _ = self.rpc.stop();
        // A client that holds its connection must not hold the node.
        let _ = tokio::time::timeout(LAST_ANSWERS, self.rpc.stopped()).await;
        while self.tasks.join_next().await.is_some() {}
        drop(self.writer);
        let thread = self.thread;
        let ended = tokio::task::spawn_blocking(move || thread.join());
        match tokio::time::timeout(LAST_ANSWERS, ended).await {
            // The writer's own reason is the root of what the others reported.
            Ok(Ok(Ok(Err(error)))) => Err(error.into()),
            // Still working for a client that holds on: what it has acknowledged is on disk.
            Ok(Ok(Ok(Ok(())))) | Err(_) => first,
            _ => Err(NodeError::Ended("the sequencer's thread")),
        }
    }
}

/// Binds an address for a server.
async fn bind(
    what: &'static str,
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr), NodeError> {
    let fault = |source| NodeError::Bind {
        what,
        address,
        source,
    };
    let listener = TcpListener::bind(address).await.map_err(fault)?;
    let bound = listener.local_addr().map_err(fault)?;
    Ok((listener, bound))
}
