//! `carillon-node devnet`: a chain on this machine that stays up. Ethereum is anvil with blocks at
//! fixed times, the contracts are deployed, node and prover run in this process, and there are keys
//! with funds.
//!
//! `args` is what it is told, `home` the folder and what is kept in it, `deployed` where the contracts
//! are; `ethereum` starts anvil and deploys, `words` is what is printed. The node itself is `run`, as an
//! operator would start it.

mod args;
mod deployed;
mod ethereum;
mod home;
mod words;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use carillon_circuit::rollup::Shape;
use carillon_cli::Output;
use clap::Parser;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

pub use self::args::DevnetArgs;

use self::deployed::Deployed;
use self::ethereum::Ethereum;
use self::home::Home;
use crate::config::Config;
use crate::exit::Failure;
use crate::node_rpc::Rpc;
use crate::run::{self, RunArgs};

/// Schema of the events that are printed with `--json`.
const EVENT: &str = "carillon.devnet.event/1";

/// Runs until it is told to stop.
pub async fn run(
    output: &Output,
    args: DevnetArgs,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let shape = Shape::production(args.slots, args.cells, args.records)?;
    let home = Home::open(output, args.data_dir.as_deref()).await?;
    // What is under way when the user interrupts is dropped, and anvil with it.
    let started = tokio::select! {
        started = Ethereum::start(output, &args, &home, shape) => started?,
        () = stop.cancelled() => return Err(Failure::Interrupted),
    };
    let deployed = &started.deployed;
    home.write_env(&started.anvil, deployed, args.rpc_port)?;
    if args.l1_only {
        let facts = words::Facts::new(&home, &started, None);
        output.event(EVENT, facts.json("ready"), &facts.text());
        stop.cancelled().await;
    } else {
        let rpc = format!("http://127.0.0.1:{}", args.rpc_port);
        let plan = node(&args, &home, &started)?;
        let node = run::run(output, plan, stop);
        let tell = async {
            answers(&rpc).await?;
            let facts = words::Facts::new(&home, &started, Some(&rpc));
            output.event(EVENT, facts.json("ready"), &facts.text());
            Ok::<(), Failure>(())
        };
        let (node, tell) = (std::pin::pin!(node), std::pin::pin!(tell));
        match futures::future::select(node, tell).await {
            futures::future::Either::Left((ended, _)) => ended?,
            futures::future::Either::Right((told, node)) => {
                told?;
                node.await?;
            }
        }
    }
    drop(started);
    home.close();
    output.event(
        EVENT,
        json!({ "event": "ended" }),
        "ended: Ethereum's state is kept, nothing runs any more",
    );
    Ok(())
}

/// The node, as `run` would be told on the command line.
fn node(args: &DevnetArgs, home: &Home, started: &Ethereum) -> Result<run::Plan, Failure> {
    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        run: RunArgs,
    }
    let Deployed {
        shape,
        chain_id,
        chain,
        ..
    } = &started.deployed;
    let words: Vec<String> = vec![
        "run".into(),
        "--data-dir".into(),
        home.node().display().to_string(),
        "--rpc".into(),
        SocketAddr::from((Ipv4Addr::LOCALHOST, args.rpc_port)).to_string(),
        "--engine".into(),
        args.engine.to_string(),
        "--key-dir".into(),
        started.key_dir.display().to_string(),
        "--chain-id".into(),
        chain_id.to_string(),
        "--slots".into(),
        shape.slots.to_string(),
        "--cells".into(),
        shape.cells.to_string(),
        "--records".into(),
        shape.records.to_string(),
        "--seal-after-ms".into(),
        "1000".into(),
        "--l1".into(),
        started.anvil.url().into(),
        "--chain".into(),
        chain.to_string(),
        "--operator-key".into(),
        home.operator_key().display().to_string(),
        "--archive".into(),
        home.archive().display().to_string(),
        "--confirmations".into(),
        args.confirmations.to_string(),
        "--l1-poll-ms".into(),
        "500".into(),
    ];
    let line = Line::try_parse_from(words)
        .map_err(|error| Failure::unexpected(format!("the node's options: {error}")))?;
    line.run.merge(Config::default())
}

/// Waits until the node answers and can say what an operation costs, so that the next command works.
async fn answers(rpc: &str) -> Result<(), Failure> {
    let client = Rpc::new(rpc)?;
    loop {
        let fees = client.ask::<Value>("carillon_fees", json!([])).await;
        let named = |fees: &Value| fees["tokens"]["0"]["transfer"].is_string();
        if fees.is_ok_and(|fees| named(&fees)) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
