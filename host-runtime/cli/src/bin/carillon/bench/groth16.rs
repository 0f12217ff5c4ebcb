//! `carillon bench groth16`: set-up, proof and verification of the built-in benchmark circuit.

use std::sync::Arc;
use std::time::Instant;

use carillon_cli::{Failure, duration};
use carillon_runtime::{engine, groth16, memory};
use carillon_workload::SquareChain;
use clap::Args;
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use serde_json::json;

use super::BenchArgs;
use crate::Context;
use crate::chain;
use crate::prove::{of_engine, report_json, report_rows};
use crate::report::stats_json;

/// Arguments of `bench groth16`.
#[derive(Debug, Args)]
pub struct Groth16Args {
    #[command(flatten)]
    bench: BenchArgs,
    /// Rows of the circuit as a power of two
    #[arg(long, value_parser = clap::value_parser!(u32).range(2..=26))]
    log2: u32,
}

/// Measures and prints. The check is the verification that every proof passes before release.
pub async fn run(context: &Context, args: &Groth16Args) -> Result<(), Failure> {
    let bench = &args.bench;
    let kind = context.engine(&bench.engine);
    let (shape, terms) = chain::size(args.log2);
    let options = context.options(&bench.engine);
    let engine = engine::open_with(kind, options)
        .await
        .map_err(Failure::opening)?;
    let proving = memory::of_key(shape) + of_engine(&*engine, shape);
    let needed = memory::of_setup(shape, terms).max(proving);
    let what = format!("set-up and proof of 2^{} rows", args.log2);
    bench.memory.check(&what, needed)?;
    let started = Instant::now();
    let step = context.output.step("making an INSECURE development key");
    let mut rng = ChaCha12Rng::seed_from_u64(bench.seed);
    let key = Arc::new(groth16::setup(SquareChain::blank(args.log2), &mut rng)?);
    let setup = started.elapsed();
    step.done("done");
    let key_load = engine.load_key(&key).await?;
    let circuit = SquareChain::with_witness(args.log2, bench.seed);
    let progress = context.output.phases();
    let (_, report) = groth16::prove(&*engine, &key, circuit, &progress).await?;
    let mut fields = report_json(&report);
    fields["log2"] = json!(args.log2);
    fields["seed"] = json!(bench.seed);
    fields["verified"] = json!(true);
    fields["key_load"] = stats_json(&key_load);
    fields["setup_seconds"] = json!(setup.as_secs_f64());
    let mut rows = vec![
        ("set-up", duration(setup)),
        ("key load", duration(key_load.wall)),
    ];
    rows.extend(report_rows(&report));
    if let Some(card) = &report.card {
        let cycles = match engine.info().msm_g2 {
            true => card.cycles_by.msm_g2.to_string(),
            false => "none: the sum in G2 ran on the CPU".to_owned(),
        };
        rows.push(("msm_g2 cycles", cycles));
    }
    rows.push(("proof", "verified".to_owned()));
    context
        .output
        .result("carillon.bench.groth16/1", fields, &rows);
    Ok(())
}
