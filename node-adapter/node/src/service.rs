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
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::backup::serve_backups;
use super::bundle_policy::BundlePolicy;
use super::driver::{Driver, DriverError, Observe};
use super::feed::{Feeds, Follower};
use super::fees::{FeeBook, FeeOptions, FeeOptionsError, L1Prices};
use super::local_prover::LocalProver;
use super::machine::WriterError;
use super::ports::{L1Inbox, LaneAuthority, Settler};
use super::publish;
use super::rollup::{ChainFacts, Rollup};
use super::rollup_options::RollupOptions;
use super::rpc;
use super::rpc_server::{self, OriginError, RpcOptions};
use super::status::{NodeStatus, Parts};
use super::store::{Store, StoreError};
use super::writer::{Writer, WriterOptions};
use carillon_protocol::crypto::schnorr::SecretKey;
use carillon_prover_api::{self, ApiOptions, BoardOptions, JobBoard, KeyHash, Tokens};
use carillon_serving::{self, DescriptorError};
use carillon_settlement::L1Reporter;

/// The job board's file in the node's folder.
const JOBS: &str = "prover-jobs.redb";

/// Between two looks at Ethereum's fees: one block.
const PRICES: Duration = Duration::from_secs(12);
/// How long the parts of a node may take to end, however they are held up: what was acknowledged is on
/// disk at every moment.
const LAST_WORDS: Duration = Duration::from_secs(8);
/// How long the writer may take after that.
const LAST_GROUP: Duration = Duration::from_secs(4);

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
    /// What fees are asked for.
    pub fees: FeeOptions,
    /// Ethereum's fees, which those follow.
    pub prices: Option<Arc<dyn L1Prices>>,
    /// What bundles may do; everything without one.
    pub bundles: Option<BundlePolicy>,
    /// How these stand with Ethereum.
    pub l1: Option<L1Reporter>,
    /// What is said to other chains, and believed of them; needs Ethereum.
    pub lanes: Option<LaneOptions>,
    /// Told what happens.
    pub observe: Observe,
}

/// Lanes before they are settled.
pub struct LaneOptions {
    /// What Ethereum says of them.
    pub authority: Arc<dyn LaneAuthority>,
    /// Where what this chain sends is told.
    pub serve: Option<SocketAddr>,
    /// Where what other chains send is read, by their ids.
    pub feeds: Vec<(u64, String)>,
}

/// How batches are proved.
pub struct ProvingOptions {
    /// The key of the batches' circuit.
    pub key: VerifyingKey,
    /// How long a lease holds.
    pub board: BoardOptions,
    /// Where provers are served, who they are, and the limits of that server.
    pub api: Option<(SocketAddr, Tokens, ApiOptions)>,
    /// A prover in this process.
    pub prover: Option<LocalProver>,
}

/// Why a node did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The job board's database.
    #[error(transparent)]
    Jobs(#[from] carillon_prover_api::StoreError),
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
    /// Too few files may be open.
    #[error(transparent)]
    Descriptors(#[from] DescriptorError),
    /// Pages of no origin.
    #[error(transparent)]
    Origin(#[from] OriginError),
    /// A feed's URL.
    #[error(transparent)]
    Feed(#[from] carillon_lane_feed::ClientError),
    /// Fees.
    #[error(transparent)]
    Fees(#[from] FeeOptionsError),
    /// A part ended that should not have.
    #[error("{0} stopped")]
    Ended(&'static str),
}

/// A node that serves.
pub struct Node {
    writer: Writer<Rollup>,
    thread: JoinHandle<Result<(), WriterError>>,
    status: Arc<NodeStatus>,
    rpc_address: SocketAddr,
    api_address: Option<SocketAddr>,
    lanes_address: Option<SocketAddr>,
    board: Option<Arc<JobBoard>>,
    tasks: tokio::task::JoinSet<Result<(), NodeError>>,
    begin: CancellationToken,
    stop: CancellationToken,
}

impl Node {
    /// Opens the folder, replays the log, and begins to serve. Blocks while it replays.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn start(mut options: NodeOptions) -> Result<Self, NodeError> {
        let (begin, stop) = (CancellationToken::new(), CancellationToken::new());
        share_descriptors(&mut options)?;
        let cors = options.rpc_options.cors()?;
        let (budget, follows) = (options.rollup.budget, options.prices.is_some());
        let prices = options.fees.clone();
        let fees = FeeBook::new(options.fees, budget, follows)?;
        let fees = Arc::new(fees.with_mode(options.rollup.mode));
        // Nobody waits for it: whoever needs it first does, or finds it done.
        drop(tokio::task::spawn_blocking(publish::warm_up));
        let mut facts = ChainFacts::new(&options.rollup, options.sequencer_key.public());
        facts.l1 = match (&options.inbox, &options.settler) {
            (None, None) => "none: nothing comes from Ethereum and nothing is settled",
            (Some(_), None) => "queue only: nothing is settled",
            (None, Some(_)) => "settlement only: nothing comes from Ethereum",
            (Some(_), Some(_)) => "queue and settlement",
        };
        // Before anything is replayed: an address that is taken is found out at once.
        let (rpc_listener, rpc_address) = bind("JSON-RPC", options.rpc)?;
        let serve = options.lanes.as_ref().and_then(|lanes| lanes.serve);
        let lane_listener = serve.map(|address| bind("lanes", address)).transpose()?;
        let promise_age = options.writer.promises.age;
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
        let lanes_address = lane_listener.as_ref().map(|(_, address)| *address);
        if let Some((listener, _)) = lane_listener {
            let feed = carillon_lane_feed::Feed::new(
                Arc::clone(writer.outbox()) as Arc<dyn carillon_lane_feed::Source>,
                stop.child_token(),
            );
            let connections = carillon_serving::Connections::new(carillon_lane_feed::limits());
            tasks.spawn(ends(carillon_lane_feed::serve(listener, connections, feed)));
        }
        let feeds = Arc::new(Feeds::default());
        let mut authority = None;
        if let Some(lanes) = options.lanes {
            for (chain, url) in lanes.feeds {
                let to = options.rollup.chain_id;
                let follower = Follower {
                    chain,
                    to,
                    home: options.rollup.home,
                    client: carillon_lane_feed::Client::new(&url, chain, to)?,
                    writer: writer.clone(),
                    authority: Arc::clone(&lanes.authority),
                    feeds: Arc::clone(&feeds),
                    prices: prices.clone(),
                };
                let (begun, stop) = (begin.clone(), stop.clone());
                tasks.spawn(async move {
                    begun.cancelled().await;
                    follower.run(stop.clone()).await;
                    stop.cancelled().await;
                    Ok(())
                });
            }
            authority = Some(lanes.authority);
        }
        let (mut board, mut api, mut places) = (None, None, None);
        if let Some(proving) = options.proving {
            let jobs = JobBoard::open(&options.data_dir.join(JOBS), proving.board)?;
            let key = jobs.add_key(&proving.key)?;
            let jobs = Arc::new(jobs);
            if let Some((address, tokens, options)) = proving.api {
                let (listener, bound) = bind("the prover API", address)?;
                let routes = carillon_prover_api::router(Arc::clone(&jobs), tokens, options);
                api = Some((listener, bound, routes));
            }
            if let Some(prover) = proving.prover {
                let most = prover.places(proving.board.per_token);
                places = Some(most);
                let ended = prover.run(Arc::clone(&jobs), most, stop.clone());
                let begin = begin.clone();
                tasks.spawn(async move {
                    begin.cancelled().await;
                    ended.await.map_err(|_| NodeError::Ended("the prover"))
                });
            }
            board = Some((jobs, key));
        }
        let connections = options.rpc_options.connections();
        let jobs = board
            .as_ref()
            .map(|(board, _): &(Arc<JobBoard>, KeyHash)| Arc::clone(board));
        let heard = options.l1.clone();
        let status = NodeStatus::new(Parts {
            writer: writer.clone(),
            board: jobs.clone(),
            places,
            l1: options.l1,
            settles: options.settler.is_some(),
            feeds: Arc::clone(&feeds),
            rpc: Arc::clone(&connections),
            api: api
                .as_ref()
                .map(|(_, _, routes)| Arc::clone(routes.connections())),
        });
        let api_address = api.as_ref().map(|(_, address, _)| *address);
        if let Some((listener, _, routes)) = api {
            let routes = routes.with_probe(Arc::clone(&status) as Arc<dyn carillon_serving::Probe>);
            let served = carillon_prover_api::serve(listener, routes, stop.clone());
            tasks.spawn(ends(served));
        }
        let methods = rpc::methods(rpc::Context {
            writer: writer.clone(),
            store: Arc::clone(&store),
            facts,
            status: Arc::clone(&status),
            fees: Arc::clone(&fees),
            bundles: options.bundles,
            questions: rpc::Context::questions(),
        });
        let methods = methods.map_err(|_| NodeError::Ended("JSON-RPC"))?;
        tasks.spawn(ends(rpc_server::serve(
            rpc_listener,
            connections,
            options.rpc_options,
            cors,
            methods.into(),
            Arc::clone(&status) as Arc<dyn carillon_serving::Probe>,
            stop.clone(),
        )));
        if let Some(prices) = options.prices.filter(|_| fees.follows()) {
            tasks.spawn(ends(follow(prices, fees, stop.clone())));
        }
        let (folder, kept, ended) = (options.data_dir, Arc::clone(&store), stop.clone());
        tasks.spawn(async move {
            if let Err(error) = serve_backups(&folder, kept, ended.clone()).await {
                tracing::warn!(%error, "no backups while the node runs");
                ended.cancelled().await;
            }
            Ok(())
        });
        let reach = Arc::clone(&status);
        let driver = Driver {
            writer: writer.clone(),
            store,
            board: board.clone(),
            inbox: options.inbox,
            settler: options.settler,
            lanes: authority.map(|authority| (authority, feeds)),
            promise_age,
            heard: Arc::new(move || match &heard {
                None => u64::MAX,
                Some(l1) => l1.status().queue.last_success.unwrap_or(0),
            }),
            poll: Duration::from_millis(500),
            observe: options.observe,
            reach: Arc::new(move |reached| reach.reach(reached)),
        };
        let (ended, failed) = (driver.run(stop.clone()), Arc::clone(&status));
        let began = begin.clone();
        tasks.spawn(async move {
            began.cancelled().await;
            ended.await.map_err(|error| {
                failed.fail(error.to_string());
                error.into()
            })
        });
        Ok(Self {
            writer,
            thread,
            status,
            rpc_address,
            api_address,
            lanes_address,
            board: jobs,
            tasks,
            begin,
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

    /// Where other chains are told what this one sends.
    pub fn lanes_address(&self) -> Option<SocketAddr> {
        self.lanes_address
    }

    /// The writer.
    pub fn writer(&self) -> &Writer<Rollup> {
        &self.writer
    }

    /// What the node knows of itself.
    pub fn status(&self) -> &Arc<NodeStatus> {
        &self.status
    }

    /// Jobs and proofs.
    pub fn board(&self) -> Option<&Arc<JobBoard>> {
        self.board.as_ref()
    }

    /// Brings batches on their way and serves until `stop` is cancelled or a part fails; then ends every
    /// part, within seconds. What was acknowledged is on disk at every moment, so there is nothing to
    /// save.
    ///
    /// # Errors
    /// [`NodeError`] of the part that failed.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), NodeError> {
        // Only now is there something to tell: whoever started the node has said where it serves.
        self.begin.cancel();
        let first = tokio::select! {
            () = stop.cancelled() => Ok(()),
            ended = self.tasks.join_next() => match ended {
                Some(Ok(Err(error))) => Err(error),
                _ => Err(NodeError::Ended("a part of the node")),
            },
        };
        self.stop.cancel();
        // Whoever holds a connection, Ethereum, or a proof under way must not hold the node.
        let tasks = &mut self.tasks;
        let ended = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_WORDS, ended).await.is_err() {
            tracing::warn!("a part of the node does not end by itself; it is cut off");
            self.tasks.shutdown().await;
        }
        drop((self.writer, self.status));
        let thread = self.thread;
        let ended = tokio::task::spawn_blocking(move || thread.join());
        match tokio::time::timeout(LAST_GROUP, ended).await {
            // The writer's own reason is the root of what the others reported.
            Ok(Ok(Ok(Err(error)))) => Err(error.into()),
            // Still working for a client that holds on: what it has acknowledged is on disk.
            Ok(Ok(Ok(Ok(())))) | Err(_) => first,
            _ => Err(NodeError::Ended("the sequencer's thread")),
        }
    }
}

/// A server ends only when it is told to.
async fn ends(served: impl Future<Output = ()>) -> Result<(), NodeError> {
    served.await;
    Ok(())
}

/// Keeps the fees in step with Ethereum's until `stop` is cancelled.
async fn follow(prices: Arc<dyn L1Prices>, fees: Arc<FeeBook>, stop: CancellationToken) {
    let mut failed = false;
    loop {
        match prices.prices().await {
            Ok(prices) => {
                fees.set(prices);
                failed = false;
            }
            Err(error) => {
                if !failed {
                    tracing::warn!(%error, "Ethereum's fees are not known; the last ones hold");
                }
                failed = true;
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PRICES) => {}
        }
    }
}

/// Shares the files that the process may open between the listeners.
fn share_descriptors(options: &mut NodeOptions) -> Result<(), DescriptorError> {
    let limit = carillon_serving::raise();
    let mut wanted = vec![&mut options.rpc_options.limits.connections];
    if let Some(ProvingOptions {
        api: Some((_, _, options)),
        ..
    }) = &mut options.proving
    {
        wanted.push(&mut options.limits.connections);
    }
    carillon_serving::share(limit, &mut wanted)
}

/// Binds an address for a server.
fn bind(what: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), NodeError> {
    let fault = |source| NodeError::Bind {
        what,
        address,
        source,
    };
    let listener = carillon_serving::listen(address).map_err(fault)?;
    let bound = listener.local_addr().map_err(fault)?;
    Ok((listener, bound))
}
