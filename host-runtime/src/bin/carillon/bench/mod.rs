//! `carillon bench`: one operation on one engine, measured and checked against the CPU.

mod groth16;
mod msm;
mod ntt;

use carillon_runtime::workload::Distribution;
use carillon_runtime::{EngineKind, JobStats};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::exit::Failure;
use crate::output::{stats_json, stats_rows};
use crate::{Context, EngineArg};

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Multi-scalar multiplication in G1
    Msm(msm::MsmArgs),
    /// Number-theoretic transform
    Ntt(ntt::NttArgs),
    /// A whole proof of the built-in benchmark circuit
    Groth16(groth16::Groth16Args),
}

/// Options of every benchmark.
#[derive(Debug, Args)]
struct BenchArgs {
    #[command(flatten)]
    engine: EngineArg,
    /// Seed of the inputs: same seed, same inputs
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Options of benchmarks over vectors.
#[derive(Debug, Args)]
struct VectorArgs {
    /// Elements as a power of two
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=24))]
    log2: u32,
    /// Scalars: uniform, equal, zeros-ones or witness
    #[arg(long, default_value_t = Distribution::Uniform)]
    dist: Distribution,
    /// Do not check the result against the CPU
    #[arg(long)]
    no_check: bool,
}

/// Runs one benchmark.
pub async fn run(context: &Context, command: BenchCommand) -> Result<(), Failure> {
    match command {
        BenchCommand::Msm(args) => msm::run(context, &args).await,
        BenchCommand::Ntt(args) => ntt::run(context, &args).await,
        BenchCommand::Groth16(args) => groth16::run(context, &args).await,
    }
}

/// The result of a benchmark over a vector.
struct Measured<'a> {
    operation: &'static str,
    kind: EngineKind,
    args: &'a BenchArgs,
    vector: &'a VectorArgs,
    /// A further parameter, for JSON and table.
    extra: (&'static str, Value),
    stats: JobStats,
}

impl Measured<'_> {
    fn print(self, context: &Context) {
        let checked = !self.vector.no_check;
        let mut fields = json!({
            "engine": self.kind.name(),
            "log2": self.vector.log2,
            "elements": 1u64 << self.vector.log2,
            "dist": self.vector.dist.name(),
            "seed": self.args.seed,
            "checked": checked,
            "stats": stats_json(&self.stats),
        });
        let mut rows = vec![
            ("engine", self.kind.name().to_owned()),
            ("elements", format!("2^{}", self.vector.log2)),
            ("distribution", self.vector.dist.name().to_owned()),
        ];
        let (name, value) = self.extra;
        let text = match &value {
            Value::Null => "chosen by the engine".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        fields[name] = value;
        rows.push((name, text));
        rows.extend(stats_rows(&self.stats));
        let verdict = if checked {
            "equal to the CPU's result"
        } else {
            "not checked"
        };
        rows.push(("check", verdict.to_owned()));
        context.output.result(
            &format!("carillon.bench.{}/1", self.operation),
            fields,
            &rows,
        );
    }
}

/// The failure of a check.
fn differs(operation: &str, kind: EngineKind) -> Failure {
    Failure::WrongResult(format!(
        "{operation}: the result of {kind} differs from the CPU's; do not use this engine"
    ))
}
