//! `carillon bench groth16`: set-up, proof and verification of the built-in benchmark circuit.

use std::sync::Arc;
use std::time::Instant;

use carillon_cli::{Failure, NOT_MODELLED, duration, timed};
use carillon_runtime::engine::EngineInfo;
use carillon_runtime::groth16::{CircuitShape, Constraints, ProveReport, ProvingKey};
use carillon_runtime::{Engine, EngineError, ProgressSink, engine, groth16, memory};
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
    /// Proofs, of witnesses with the seeds from the given one on; a card works on two at once
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    proofs: u32,
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
    let at_once = engine.info().proofs_at_once.min(args.proofs as usize) as u64;
    // Each further proof, with its sum in G2 if the CPU computes that.
    let beside = (!engine.info().msm_g2).then(|| memory::of_sum_in_g2(shape));
    let more = (at_once - 1) * (memory::of_proof(shape) + beside.unwrap_or_default());
    let shared = memory::of_key(shape) + memory::of_constraints(shape, terms);
    let proving = shared + of_engine(&*engine, shape) + more;
    let needed = memory::of_setup(shape, terms).max(proving);
    let what = format!("set-up and proof of 2^{} rows", args.log2);
    bench.memory.check(&what, needed)?;
    check_card(&engine.info(), shape)?;
    let started = Instant::now();
    let step = context.output.step("making an INSECURE development key");
    let mut rng = ChaCha12Rng::seed_from_u64(bench.seed);
    let key = Arc::new(groth16::setup(SquareChain::blank(args.log2), &mut rng)?);
    let setup = started.elapsed();
    step.done("done");
    let started = Instant::now();
    let log2 = args.log2;
    let constraints = Arc::new(Constraints::record(move || SquareChain::blank(log2))?);
    let record = started.elapsed();
    let key_load = engine.load_key(&key).await?;
    let report = match args.proofs {
        1 => {
            let circuit = SquareChain::with_witness(args.log2, bench.seed);
            let make = || groth16::witness(&constraints, circuit);
            let progress = context.output.phases();
            groth16::prove_with(&*engine, &key, make, &progress)
                .await?
                .1
        }
        _ => several(context, &engine, (&key, &constraints), args).await?,
    };
    let mut fields = report_json(&report);
    fields["log2"] = json!(args.log2);
    fields["seed"] = json!(bench.seed);
    fields["proofs"] = json!(args.proofs);
    fields["verified"] = json!(true);
    fields["key_load"] = stats_json(&key_load);
    let resident = engine.resident_keys().await;
    fields["resident_keys"] = json!(resident);
    fields["setup_seconds"] = json!(setup.as_secs_f64());
    fields["record_seconds"] = json!(record.as_secs_f64());
    let mut rows = vec![
        ("set-up", duration(setup)),
        ("constraints recorded", duration(record)),
        ("key load", duration(key_load.wall)),
    ];
    rows.extend(resident.iter().map(|key| {
        let bytes = format!("{} bytes, and stays for the next proof", key.bytes);
        ("key in card memory", bytes)
    }));
    if args.proofs > 1 {
        rows.push(("proofs", format!("{}, {at_once} at once", args.proofs)));
    }
    rows.extend(report_rows(&report));
    if let Some(card) = &report.card {
        let cycles = match (engine.info().msm_g2, timed(card)) {
            (true, Some(card)) => card.cycles_by.msm_g2.to_string(),
            (true, None) => NOT_MODELLED.to_owned(),
            (false, _) => "none: the sum in G2 ran on the CPU".to_owned(),
        };
        rows.push(("msm_g2 cycles", cycles));
        if let (Some(sums), Some(adders)) = (card.overlap.sums, engine.info().msm_adders) {
            let all = sums.elapsed_cycles.saturating_mul(adders.into()).max(1);
            let share = report.stages.adder_cycles() as f64 / all as f64;
            fields["adder_share"] = json!(share);
            let shown = format!("{:.1} % of {} cycles", 100.0 * share, sums.elapsed_cycles);
            rows.push(("adders busy, first sum to last", shown));
        }
        if args.proofs > 1 {
            let seen = &card.overlap;
            rows.extend([
                ("commands beside another proof", seen.commands.to_string()),
                (
                    "card cycles of those commands",
                    timed(card).map_or(NOT_MODELLED.to_owned(), |_| seen.cycles.to_string()),
                ),
                ("bytes that those commands moved", seen.bytes.to_string()),
                ("waits for card memory", seen.memory_waits.to_string()),
            ]);
        }
    }
    rows.push(("proof", "verified".to_owned()));
    context
        .output
        .result("carillon.bench.groth16/1", fields, &rows);
    Ok(())
}

/// Refuses a key that no empty card of this size holds: known before set-up, which takes minutes at such sizes.
fn check_card(info: &EngineInfo, shape: CircuitShape) -> Result<(), EngineError> {
    let needed = memory::of_key(shape);
    // Beside the key a proof takes more than the few points that the estimate has too many.
    match info.card_memory {
        Some(total) if info.msm_g2 && needed > total => Err(EngineError::CardMemory {
            operation: "load_key",
            needed,
            available: total,
            total,
        }),
        _ => Ok(()),
    }
}

/// All proofs as one report: what they cost together, in the time from the first's beginning to the last's end.
async fn several(
    context: &Context,
    engine: &Arc<dyn Engine>,
    (key, constraints): (&Arc<ProvingKey>, &Arc<Constraints>),
    args: &Groth16Args,
) -> Result<ProveReport, Failure> {
    let seeds = (0..u64::from(args.proofs)).map(|index| args.bench.seed.wrapping_add(index));
    let make = seeds.map(|seed| {
        let circuit = SquareChain::with_witness(args.log2, seed);
        let constraints = Arc::clone(constraints);
        move || groth16::witness(&constraints, circuit)
    });
    let step = context.output.step("proving");
    let started = Instant::now();
    // Events of several proofs make no bar.
    let progress: Arc<dyn ProgressSink> = Arc::new(());
    let proved = groth16::prove_each_with(engine, key, make.collect(), &progress).await;
    let wall = started.elapsed();
    let mut sum: Option<ProveReport> = None;
    for answer in proved {
        let (_, report) = answer?;
        match &mut sum {
            None => sum = Some(report),
            Some(sum) => *sum += &report,
        }
    }
    step.done("done");
    let none = || Failure::Unexpected("no proof was made".to_owned());
    let mut sum = sum.ok_or_else(none)?;
    sum.wall = wall;
    Ok(sum)
}
