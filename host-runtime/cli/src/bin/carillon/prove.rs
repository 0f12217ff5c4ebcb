//! `carillon prove`: a proof of the built-in benchmark circuit, to a file.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use carillon_cli::{Failure, cost_json, duration};
use carillon_runtime::files::{self, Existing};
use carillon_runtime::groth16::{CircuitShape, Constraints, ProveReport};
use carillon_runtime::progress::Phase;
use carillon_runtime::{Engine, JobStats, engine, groth16, keys, memory};
use carillon_workload::SquareChain;
use clap::Args;
use serde_json::{Value, json};

use crate::report::{stats_json, stats_rows};
use crate::{Context, EngineArg, MemoryArg};

/// Arguments of `prove`.
#[derive(Debug, Args)]
pub struct ProveArgs {
    #[command(flatten)]
    engine: EngineArg,
    /// Key file made by `setup`
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Seed of the witness
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where to write the proof (192 bytes). A file that is there is replaced: a proof, other than a key, can be made again
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    memory: MemoryArg,
}

/// Proves and writes the proof; prints the public input that `verify` needs.
pub async fn run(context: &Context, args: &ProveArgs) -> Result<(), Failure> {
    files::check(&args.out, Existing::Replace)?;
    if files::same(&args.key, &args.out) {
        return Err(Failure::Input(format!(
            "{} is the key, which the proof would replace: choose another name for --out",
            args.out.display()
        )));
    }
    let key = Arc::new(keys::load(&args.key)?);
    let (constraints, circuit) = chain_of(&key, args.seed)?;
    let input = circuit
        .end()
        .ok_or_else(|| Failure::Unexpected("the benchmark circuit has no witness".to_owned()))?;
    let engine = engine::open_with(context.engine(&args.engine), context.options(&args.engine))
        .await
        .map_err(Failure::card)?;
    let what = format!("a proof of 2^{} rows", key.shape.domain_log2());
    args.memory.check(&what, of_engine(&*engine, key.shape))?;
    let progress = context.output.phases();
    let make = || groth16::witness(&constraints, circuit);
    let (proof, report) = groth16::prove_with(&*engine, &key, make, &progress).await?;
    files::write(&args.out, Existing::Replace, |file| {
        file.write_all(&proof.to_bytes())
    })?;
    let input = hex::encode(input.to_bytes_be());
    let mut rows = vec![
        ("proof", args.out.display().to_string()),
        ("public input", input.clone()),
    ];
    rows.extend(report_rows(&report));
    let mut fields = report_json(&report);
    fields["proof"] = json!(args.out);
    fields["public_inputs"] = json!([input]);
    context.output.result("carillon.prove/1", fields, &rows);
    Ok(())
}

/// Bytes of host memory of a proof on this engine, beside its key.
pub fn of_engine(engine: &dyn Engine, shape: CircuitShape) -> u64 {
    let info = engine.info();
    let card = info.card_memory.map_or(0, |_| memory::of_card(shape));
    let in_g2 = match info.msm_g2 {
        true => 0,
        false => memory::of_sum_in_g2(shape),
    };
    memory::of_proof(shape) + card + in_g2
}

/// The benchmark circuit that the key is for, and its constraints; refuses keys of other circuits.
fn chain_of(
    key: &groth16::ProvingKey,
    seed: u64,
) -> Result<(Arc<Constraints>, SquareChain), Failure> {
    let log2 = key.shape.domain_log2();
    if SquareChain::LOG2_RANGE.contains(&log2) {
        let constraints = Constraints::record(move || SquareChain::blank(log2))?;
        if constraints.digest() == key.circuit {
            let circuit = SquareChain::with_witness(log2, seed);
            return Ok((Arc::new(constraints), circuit));
        }
    }
    Err(Failure::Input(format!(
        "the key belongs to circuit {}, not to the built-in benchmark circuit; \
         make one with `carillon setup`",
        key.circuit
    )))
}

/// A prove report as JSON.
pub fn report_json(report: &ProveReport) -> Value {
    let mut fields = cost_json(report);
    let total = JobStats {
        wall: report.wall,
        card: report.card.clone(),
    };
    fields["card"] = stats_json(&total)["card"].clone();
    fields
}

/// A prove report as table rows.
pub fn report_rows(report: &ProveReport) -> Vec<(&'static str, String)> {
    let mut rows = vec![
        ("engine", report.engine.clone()),
        ("constraints", report.circuit.constraints.to_string()),
    ];
    let phases = Phase::ALL.map(|phase| (phase.name(), duration(report.phases.get(phase))));
    rows.extend(phases);
    rows.extend(stats_rows(&JobStats {
        wall: report.wall,
        card: report.card.clone(),
    }));
    rows
}
