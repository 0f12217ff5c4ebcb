//! `carillon bench`: one operation on one engine, measured and checked against the CPU.

mod groth16;
mod msm;
mod ntt;

use carillon_cli::Failure;
use carillon_runtime::EngineKind;
use carillon_workload::Distribution;
use clap::{Args, Subcommand};

use crate::{Context, EngineArg, MemoryArg};

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Multi-scalar multiplication in G1 or G2
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
    #[command(flatten)]
    memory: MemoryArg,
}

/// Options of benchmarks over vectors.
#[derive(Debug, Args)]
struct VectorArgs {
    /// Elements as a power of two
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=24))]
    log2: u32,
    /// Scalars: uniform, equal, one, zeros-ones, witness (95 % zeros and ones, 5 % uniform), zipf
    /// (small numbers by 1/v), ascending, hot (one bucket per window), cycled (eight buckets per
    /// window in turn) or minus-one (nine of ten r - 1)
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

/// The row that says whether the result was checked.
fn verdict(vector: &VectorArgs) -> (&'static str, String) {
    let verdict = if vector.no_check {
        "not checked"
    } else {
        "equal to the CPU's result"
    };
    ("check", verdict.to_owned())
}

/// The failure of a check.
fn differs(operation: &str, kind: &EngineKind) -> Failure {
    Failure::WrongResult(format!(
        "{operation}: the result of {kind} differs from the CPU's; do not use this engine"
    ))
}
