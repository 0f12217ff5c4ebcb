//! `carillon-node run`: the sequencer as a service.
//!
//! `args` is what it is told, `l1_start` its Ethereum at the start; here it is put together. Called by the
//! program and by `devnet`.

mod args;
mod l1_start;

use std::sync::Arc;

use carillon_cli::Output;
use carillon_node::{
    BundlePolicy, DevQueue, DriverError, L1Inbox, LaneOptions, LocalProver, Node, NodeError,
    NodeOptions, ProvingOptions, WriterError, prepare, shape_of,
};
use carillon_protocol::ledger::Budget;
use carillon_prover_api::{EnginePlugin, Tokens};
use carillon_runtime::engine;
use serde_json::json;
use tokio_util::sync::CancellationToken;

pub use self::args::{Plan, RunArgs};

use self::l1_start::L1Start;
use crate::exit::Failure;
use crate::keys::{self, ChainKey};
use crate::prover::describe;
use crate::receipt_key;

/// Schema of the lines that `run` prints.
const EVENT: &str = "carillon.run.event/1";

/// Serves until it is told to stop.
pub async fn run(output: &Output, mut plan: Plan, stop: &CancellationToken) -> Result<(), Failure> {
    std::fs::create_dir_all(&plan.data_dir).map_err(|error| {
        let folder = plan.data_dir.display();
        Failure::unavailable(format!("cannot make the folder {folder}: {error}"))
    })?;
    let inbox = match &plan.dev_queue {
        Some(path) => {
            let queue = DevQueue::read(path).map_err(|error| Failure::input(error.to_string()))?;
            output.note("INSECURE: the queue of a file is executed as if Ethereum held it");
            Some(Arc::new(queue) as Arc<dyn L1Inbox>)
        }
        None => None,
    };
    // What is quick to find wrong comes first, then what takes long: the key, the engine.
    let l1 = match &plan.l1 {
        None => {
            output.note("no --l1: nothing is settled, and acknowledged is not final");
            None
        }
        Some(l1) => Some(L1Start::look(output, &plan, l1).await?),
    };
    if let Some(l1) = &l1 {
        plan.rollup.home = l1.home();
        plan.rollup.mode = l1.mode();
    }
    let bundles = plan.bundle_policy.as_deref().map(BundlePolicy::read);
    let bundles = bundles
        .transpose()
        .map_err(|error| Failure::input(error.to_string()))?;
    let key = proving_key(output, &plan).await?;
    if let (Some(l1), Some(key)) = (&l1, &key) {
        l1.agree_on_key(&key.key.vk)?;
    }
    let proving = match key {
        Some(key) => Some(proving_options(output, &plan, key).await?),
        None => {
            output.note("no --prover-api and no --engine: batches are sealed and wait unproved");
            None
        }
    };
    if plan.at_once.is_some() && plan.engine.is_none() {
        output.note("--proofs-at-once is for a prover in this process, and without --engine there is none; others have the option of their own");
    }
    let sequencer_key = receipt_key::read_or_make(&plan.sequencer_key)?;
    if let Some(l1) = &l1 {
        let speaks = plan.lane_api.is_some();
        l1.agree_on_receipts(output, sequencer_key.public(), speaks)
            .await?;
    }
    let (inbox, settler, l1, prices, lanes) = match l1 {
        None => (inbox, None, None, None, None),
        Some(l1) => {
            let ethereum = l1.start(output, &plan, stop).await?;
            (
                Some(ethereum.inbox),
                Some(ethereum.settler),
                Some(ethereum.status),
                ethereum.prices,
                Some(LaneOptions {
                    authority: ethereum.lanes,
                    serve: plan.lane_api,
                    feeds: std::mem::take(&mut plan.lane_feeds),
                }),
            )
        }
    };

    let step = output.step("log");
    let told = output.clone();
    let node = Node::start(NodeOptions {
        data_dir: plan.data_dir.clone(),
        rollup: plan.rollup,
        writer: plan.writer,
        sequencer_key,
        rpc: plan.rpc,
        rpc_options: plan.rpc_options,
        proving,
        inbox,
        settler,
        fees: plan.fees,
        bundles,
        prices,
        l1,
        lanes,
        observe: Arc::new(move |event| {
            let line = event.to_string();
            told.event(EVENT, json!(event), &line);
        }),
    })
    .await
    .map_err(failure)?;
    let progress = node.writer().progress().borrow().clone();
    step.done(&format!(
        "{} operations, {} batches",
        progress.accepted, progress.batch
    ));
    let rpc = format!("http://{}", node.rpc_address());
    let api = node
        .api_address()
        .map(|address| format!("http://{address}"));
    let lanes = node
        .lanes_address()
        .map(|address| format!("http://{address}"));
    let mut line = match &api {
        Some(api) => format!("serving users on {rpc}, provers on {api}"),
        None => format!("serving users on {rpc}"),
    };
    if let Some(lanes) = &lanes {
        line += &format!(", other chains on {lanes}");
    }
    let fields = json!({
        "event": "serving",
        "rpc": rpc,
        "prover_api": api,
        "lane_api": lanes,
        "accepted": progress.accepted,
        "batch": progress.batch,
        "root": progress.root,
    });
    output.event(EVENT, fields, &line);
    node.run(stop.clone()).await.map_err(failure)?;
    output.event(EVENT, json!({ "event": "stopped" }), "stopped");
    Ok(())
}

/// The key of the batches' circuit, if batches are to be proved. It is never made here: a chain that
/// is deployed takes proofs of one key alone.
async fn proving_key(output: &Output, plan: &Plan) -> Result<Option<ChainKey>, Failure> {
    if plan.prover_api.is_none() && plan.engine.is_none() {
        return Ok(None);
    }
    let shape = shape_of(&plan.rollup).map_err(|error| Failure::input(error.to_string()))?;
    let folder = plan.key_dir.clone();
    let missing = if plan.l1.is_some() {
        "put the key that the chain was deployed with there, or name its folder with --key-dir; a new key does not fit, and without a copy of that one (`carillon-node backup` has it) the chain's governor must set another verifier".to_owned()
    } else {
        let Budget {
            slots,
            cells,
            records,
        } = plan.rollup.budget;
        format!(
            "for a development chain make one with `carillon-node keys make --key-dir {} --slots {slots} --cells {cells} --records {records} --depth {}`",
            folder.display(),
            plan.rollup.depth
        )
    };
    let step = output.step("proving key");
    let read = tokio::task::spawn_blocking(move || keys::load(&folder, shape, &missing));
    let key = read
        .await
        .map_err(|error| Failure::unexpected(format!("a worker thread stopped: {error}")))??;
    step.done(&format!("{} {}", key.key.origin, key.path.display()));
    Ok(Some(key))
}

/// Board and prover.
async fn proving_options(
    output: &Output,
    plan: &Plan,
    key: ChainKey,
) -> Result<ProvingOptions, Failure> {
    let api = match &plan.prover_api {
        Some((address, tokens)) => {
            let tokens = Tokens::read(tokens).map_err(|error| Failure::input(error.to_string()))?;
            Some((*address, tokens, plan.api_options.clone()))
        }
        None => None,
    };
    let shape = shape_of(&plan.rollup).map_err(|error| Failure::input(error.to_string()))?;
    let prover = match &plan.engine {
        Some(kind) => {
            let step = output.step("engine");
            let options = engine::EngineOptions::from_env().map_err(Failure::opening)?;
            let engine = engine::open_lasting(kind.clone(), options)
                .await
                .map_err(Failure::opening)?;
            step.done(&engine.info().description);
            let plugin = EnginePlugin::new(engine).with(Arc::clone(&key.key), prepare(shape));
            let told = output.clone();
            Some(LocalProver {
                plugin: Arc::new(plugin),
                at_once: plan.at_once,
                progress: Arc::new(|_| Arc::new(())),
                observe: Arc::new(move |event| {
                    let (fields, line) = describe(&event);
                    told.event("carillon.prover.event/1", fields, &line);
                }),
            })
        }
        None => None,
    };
    Ok(ProvingOptions {
        key: key.key.vk.clone(),
        board: plan.board,
        api,
        prover,
    })
}

/// A node's end as an exit code.
fn failure(error: NodeError) -> Failure {
    match error {
        NodeError::Driver(DriverError::Contradiction(_)) => {
            Failure::Disagreement(error.to_string())
        }
        NodeError::Store(error) | NodeError::Writer(WriterError::Store(error)) => error.into(),
        NodeError::Jobs(_) | NodeError::Bind { .. } | NodeError::Descriptors(_) => {
            Failure::unavailable(error.to_string())
        }
        NodeError::Fees(_) | NodeError::Origin(_) => Failure::input(error.to_string()),
        NodeError::Driver(DriverError::Refused(_)) => Failure::Settlement(error.to_string()),
        other => Failure::unexpected(other.to_string()),
    }
}
