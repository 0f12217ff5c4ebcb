//! `carillon-node prover`: proves batches of a node, here or across the network.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use carillon_cli::{Output, duration};
use carillon_node::circuits;
use carillon_prover_api::{
    EnginePlugin, ProverClient, ProverPlugin, SourceError, Tokens, WorkEvent, WorkOptions, work,
};
use carillon_runtime::engine::{ENGINES, EngineOptions};
use carillon_runtime::progress::ProgressSink;
use carillon_runtime::{EngineKind, engine};
use clap::Args;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::exit::Failure;
use crate::keys;

/// Schema of the events that are printed with `--json`.
const EVENT: &str = "carillon.prover.event/1";

/// Arguments of `prover`. Those without a value come from the configuration file or the defaults.
#[derive(Debug, Args)]
pub struct ProverArgs {
    /// The node's prover API, for example http://127.0.0.1:3070
    #[arg(long, env = "CARILLON_PROVER_URL", value_name = "URL")]
    url: Option<String>,
    /// File with this prover's token: a line `name token`, readable by nobody else
    #[arg(long, env = "CARILLON_PROVER_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    #[arg(long, env = "CARILLON_ENGINE", value_name = "ENGINE",
        help = format!("What proves: {ENGINES} [default: cpu]"))]
    engine: Option<EngineKind>,
    /// Folder with the proving keys; every key of a rollup circuit in it is offered [default:
    /// carillon/keys in the user's data folder, ~/.local/share]
    #[arg(long, env = "CARILLON_KEY_DIR", value_name = "FOLDER")]
    key_dir: Option<PathBuf>,
    /// This prover's name beside others with the same token [default: the process's number]
    #[arg(long, value_name = "NAME")]
    id: Option<String>,
    /// Proofs under way at the same time; each takes memory [default: as many as the engine works on
    /// at once: 1 on cpu, 2 on a card]
    #[arg(long, env = "CARILLON_PROOFS_AT_ONCE", value_name = "N")]
    proofs_at_once: Option<usize>,
    /// End after this many accepted proofs
    #[arg(long, value_name = "N")]
    jobs: Option<u64>,
}

/// What a prover does, with every choice made.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    url: String,
    token_file: PathBuf,
    engine: EngineKind,
    key_dir: PathBuf,
    id: String,
    at_once: Option<usize>,
    jobs: Option<u64>,
}

impl ProverArgs {
    /// Options first, then the configuration file, then the defaults.
    pub fn merge(self, config: Config) -> Result<Plan, Failure> {
        let needed = |what: &str| {
            Failure::input(format!(
                "{what} is needed, as an option or in the section [prover] of the configuration file"
            ))
        };
        let (url, token_file) = (
            self.url.or(config.prover.url),
            self.token_file.or(config.prover.token_file),
        );
        Ok(Plan {
            url: url.ok_or_else(|| needed("--url, the node's prover API,"))?,
            token_file: token_file.ok_or_else(|| needed("--token-file"))?,
            engine: self.engine.or(config.engine).unwrap_or(EngineKind::Cpu),
            key_dir: match self.key_dir.or(config.key_dir) {
                Some(folder) => folder,
                None => keys::of_user()?,
            },
            id: self
                .id
                .or(config.prover.id)
                .unwrap_or_else(|| format!("process-{}", std::process::id())),
            at_once: at_once(self.proofs_at_once.or(config.prover.proofs_at_once))?,
            jobs: self.jobs,
        })
    }
}

/// How many proofs are to be under way at the same time, if it is said. A number that is too large for
/// the leases of a token is found here only where those are known.
pub fn at_once(wanted: Option<usize>) -> Result<Option<usize>, Failure> {
    if wanted == Some(0) {
        return Err(Failure::input(
            "--proofs-at-once 0 would prove nothing: give 1 or more, or leave it out for what the engine works on at once"
                .into(),
        ));
    }
    Ok(wanted)
}

/// Proves until it is told to stop, or has proved enough.
pub async fn run(output: &Output, plan: Plan, stop: &CancellationToken) -> Result<(), Failure> {
    let token = Tokens::own(&plan.token_file).map_err(|error| Failure::input(error.to_string()))?;
    let client = ProverClient::new(&plan.url, &token, &plan.id)
        .map_err(|error| Failure::input(error.to_string()))?;

    let step = output.step("engine");
    let options = EngineOptions::from_env().map_err(Failure::opening)?;
    let opened = engine::open_lasting(plan.engine, options);
    let engine = opened.await.map_err(Failure::opening)?;
    step.done(&engine.info().description);

    let step = output.step("keys");
    let folder = plan.key_dir.clone();
    let circuits = tokio::task::spawn_blocking(move || circuits(&folder))
        .await
        .map_err(|error| Failure::unexpected(format!("a worker thread stopped: {error}")))?
        .map_err(|error| Failure::input(error.to_string()))?;
    let names: Vec<String> = circuits.iter().map(|circuit| circuit.id.clone()).collect();
    step.done(&names.join(", "));
    let plugin = circuits
        .into_iter()
        .fold(EnginePlugin::new(engine), |plugin, circuit| {
            plugin.with(circuit.key, circuit.prepare)
        });
    let plugin: Arc<dyn ProverPlugin> = Arc::new(plugin);

    let shown = output.clone();
    let progress = move |job: u64| {
        let phases = shown.phases_of(&format!("batch {job}"));
        Arc::new(phases) as Arc<dyn ProgressSink>
    };
    let options = WorkOptions {
        limit: plan.jobs,
        at_once: plan.at_once,
        ..WorkOptions::default()
    };
    let tell = |event: WorkEvent| {
        let (fields, line) = describe(&event);
        output.event(EVENT, fields, &line);
    };
    let ended = work(&client, &plugin, &progress, &options, stop, &tell).await;
    let summary = ended.map_err(|error| match error {
        SourceError::Unauthorised(_) => Failure::input(error.to_string()),
        other => Failure::unavailable(other.to_string()),
    })?;
    let fields = json!({ "proved": summary.proved, "lost": summary.lost });
    let rows = [
        ("proved", summary.proved.to_string()),
        ("lost", summary.lost.to_string()),
    ];
    output.result("carillon.prover/1", fields, &rows);
    Ok(())
}

/// An event for programs and for people.
pub fn describe(event: &WorkEvent) -> (Value, String) {
    match event {
        WorkEvent::Leased {
            job,
            generation,
            under_way,
        } => (
            json!({
                "event": "leased", "job": job, "generation": generation, "under_way": under_way,
            }),
            match under_way {
                1 => format!("batch {job}: leased"),
                proofs => format!("batch {job}: leased, {proofs} proofs under way"),
            },
        ),
        WorkEvent::Proved { job, wall } => (
            json!({ "event": "proved", "job": job, "wall_seconds": wall.as_secs_f64() }),
            format!("batch {job}: proved in {}", duration(*wall)),
        ),
        WorkEvent::Lost { job, reason } => (
            json!({ "event": "lost", "job": job, "reason": reason }),
            format!("batch {job}: not proved: {reason}"),
        ),
        WorkEvent::Waiting { reason, pause } => (
            json!({ "event": "waiting", "reason": reason, "pause_seconds": pause.as_secs_f64() }),
            format!("{reason}; asked again in {}", duration(round(*pause))),
        ),
    }
}

/// Whole milliseconds.
fn round(time: Duration) -> Duration {
    Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}
