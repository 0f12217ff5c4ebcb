//! `carillon-node gateway`: settles batches of several chains in one transaction.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use alloy::primitives::Address;
use carillon_cli::Output;
use carillon_gateway::{AllExecuted, Chains, Options, Service, ServiceError, Store, router, serve};
use carillon_serving::{Limits, listen};
use carillon_settlement::sender::{Journal, NodePort, Policy, Sender};
use carillon_settlement::{Deadlines, L1Client, L1Reporter};
use clap::Args;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, GatewayConfig};
use crate::deploy::operator_key;
use crate::exit::Failure;

/// Schema of the lines that are printed.
const EVENT: &str = "carillon.gateway.event/1";
/// How long one answer of the Ethereum node may take.
const ANSWER: Duration = Duration::from_secs(15);
/// Bytes of a batch as JSON: 4,096 records are 1.4 MB.
const BODY: usize = 4 << 20;
/// Connections, each of which may hold as much.
const CONNECTIONS: usize = 64;

/// Arguments of `gateway`. Those without a value come from the section [gateway] of the configuration file or the
/// defaults.
#[derive(Debug, Args)]
pub struct GatewayArgs {
    /// The gateway's folder: waiting batches and transactions; one gateway at a time
    #[arg(long, env = "CARILLON_GATEWAY_DIR", value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Where nodes bring their batches [default: 127.0.0.1:3080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Ethereum node
    #[arg(long, env = "CARILLON_L1", hide_env_values = true, value_name = "URL")]
    l1: Option<String>,
    /// The `Gateway` contract on Ethereum, as `deploy` prints it
    #[arg(long, value_name = "ADDRESS")]
    contract: Option<Address>,
    /// Key that pays for the transactions: a file of 32 bytes in hex, readable by nobody else. It has no other right, and
    /// must be no chain's operator's
    #[arg(long, env = "CARILLON_GATEWAY_KEY", value_name = "FILE")]
    key: Option<PathBuf>,
    /// Blocks on top of a transaction until it is forgotten [default: 32]
    #[arg(long, value_name = "N")]
    confirmations: Option<u64>,
    /// Milliseconds between two looks at Ethereum [default: 4000]
    #[arg(long, env = "CARILLON_L1_POLL_MS", value_name = "MS")]
    l1_poll_ms: Option<u64>,
    /// How long the oldest batch waits for others, which make each cheaper [default: 12]
    #[arg(long, value_name = "SECONDS")]
    linger: Option<u64>,
    /// Most batches of a transaction [default: 32]
    #[arg(long, value_name = "N")]
    batches: Option<usize>,
}

struct Plan {
    data_dir: PathBuf,
    listen: SocketAddr,
    l1: String,
    contract: Address,
    key: PathBuf,
    policy: Policy,
    options: Options,
}

impl GatewayArgs {
    fn merge(self, file: GatewayConfig) -> Result<Plan, Failure> {
        fn needed<T>(value: Option<T>, what: &str) -> Result<T, Failure> {
            value.ok_or_else(|| {
                Failure::input(format!(
                    "{what} is needed, as an option or in the section [gateway] of the configuration file"
                ))
            })
        }
        let poll = self.l1_poll_ms.or(file.l1_poll_ms).unwrap_or(4_000).max(50);
        let poll = Duration::from_millis(poll);
        let defaults = Options::default();
        let linger = self.linger.or(file.linger);
        let batches = self.batches.or(file.batches).unwrap_or(defaults.batches);
        if batches == 0 {
            return Err(Failure::input(
                "--batches 0 would settle nothing: give 1 or more".into(),
            ));
        }
        Ok(Plan {
            data_dir: needed(self.data_dir.or(file.data_dir), "--data-dir")?,
            listen: self
                .listen
                .or(file.listen)
                .unwrap_or(SocketAddr::from(([127, 0, 0, 1], 3080))),
            l1: needed(self.l1.or(file.l1), "--l1, the URL of an Ethereum node,")?,
            contract: needed(self.contract.or(file.contract), "--contract")?,
            key: needed(self.key.or(file.key), "--key")?,
            policy: Policy {
                confirmations: self.confirmations.or(file.confirmations).unwrap_or(32),
                poll,
                retry_after: poll * 3,
                ..Policy::default()
            },
            options: Options {
                poll,
                linger: linger.map_or(defaults.linger, Duration::from_secs),
                batches,
                retry: poll * 3,
            },
        })
    }
}

/// Serves until it is told to stop.
pub async fn run(
    output: &Output,
    args: GatewayArgs,
    config: Config,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let plan = args.merge(config.gateway)?;
    std::fs::create_dir_all(&plan.data_dir).map_err(|error| {
        let folder = plan.data_dir.display();
        Failure::unavailable(format!("cannot make the folder {folder}: {error}"))
    })?;
    let key = operator_key(&plan.key)?;
    let step = output.step("Ethereum");
    let settlement = |error: &dyn std::fmt::Display| {
        let l1 = carillon_redact::url(&plan.l1);
        Failure::Settlement(format!("Ethereum at {l1}: {error}"))
    };
    let deadlines = Deadlines {
        answer: ANSWER,
        ..Deadlines::default()
    };
    let client =
        L1Client::new(&plan.l1, key.clone(), deadlines).map_err(|error| settlement(&error))?;
    let l1_chain = client
        .chain_id()
        .await
        .map_err(|error| settlement(&error))?;
    let chains = Chains::find(client.clone(), plan.contract, l1_chain).await;
    let chains = chains.map_err(|error| settlement(&error))?;
    step.done(&format!(
        "gateway {} on chain {l1_chain}, paid by {}",
        plan.contract,
        client.address()
    ));

    let file = |name: &str| plan.data_dir.join(name);
    let store = Store::open(&file("gateway.redb"));
    let store = store.map_err(|error| Failure::unavailable(error.to_string()))?;
    let journal = Journal::open(&file("l1-sender.redb"));
    let journal = journal.map_err(|error| Failure::unavailable(error.to_string()))?;
    let port = NodePort::new(&plan.l1, ANSWER).map_err(|error| settlement(&error))?;
    let outcome = AllExecuted {
        client: client.clone(),
    };
    let sender = Sender::open(port, outcome, key, journal, plan.policy).await;
    let sender = sender.map_err(|error| settlement(&error))?;
    let reporter = L1Reporter::default();
    let (handle, sending) = sender.reporting(reporter.clone()).start(stop.clone());
    let service = Service::open(chains, client, store, (handle, reporter), plan.options);
    let service = service.map_err(|error| Failure::unavailable(error.to_string()))?;

    let bound = |error: std::io::Error| {
        Failure::unavailable(format!("cannot listen at {}: {error}", plan.listen))
    };
    let listener = listen(plan.listen).map_err(bound)?;
    let address = listener.local_addr().map_err(bound)?;
    let limits = Limits {
        body_bytes: BODY,
        connections: CONNECTIONS,
        ..Limits::default()
    };
    let routes = router(service.clone(), limits);
    let url = format!("http://{address}");
    let waiting = service.sets().batches.len();
    let fields =
        json!({ "event": "serving", "url": url, "contract": plan.contract, "waiting": waiting });
    output.event(
        EVENT,
        fields,
        &format!("serving nodes on {url}, {waiting} batches waiting"),
    );
    let serving = serve(listener, routes, stop.clone());
    let work = async {
        tokio::select! {
            ended = service.run(stop.clone()) => ended.map_err(failure),
            ended = sending => ended.map_err(|error| Failure::Settlement(error.to_string())),
        }
    };
    tokio::pin!(serving);
    tokio::select! {
        ended = work => ended?,
        () = &mut serving => {}
    }
    output.event(EVENT, json!({ "event": "stopped" }), "stopped");
    Ok(())
}

fn failure(error: ServiceError) -> Failure {
    match error {
        ServiceError::Store(error) => Failure::unavailable(error.to_string()),
        other => Failure::Settlement(other.to_string()),
    }
}
