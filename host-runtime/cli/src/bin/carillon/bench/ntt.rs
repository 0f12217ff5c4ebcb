//! `carillon bench ntt`.

use carillon_cli::Failure;
use carillon_runtime::cpu::CpuEngine;
use carillon_runtime::engine::{self, NttKind};
use carillon_runtime::{Engine, memory};
use clap::{Args, ValueEnum};
use serde_json::json;

use super::{BenchArgs, VectorArgs, differs, verdict};
use crate::Context;
use crate::report::{stats_json, stats_rows};

/// Which transform.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Forward,
    Inverse,
    CosetForward,
    CosetInverse,
    OddForward,
    OddInverse,
}

/// Arguments of `bench ntt`.
#[derive(Debug, Args)]
pub struct NttArgs {
    #[command(flatten)]
    bench: BenchArgs,
    #[command(flatten)]
    vector: VectorArgs,
    /// Which transform
    #[arg(long, value_enum, default_value_t = Kind::Forward)]
    kind: Kind,
}

/// Measures, checks and prints.
pub async fn run(context: &Context, args: &NttArgs) -> Result<(), Failure> {
    let (bench, vector) = (&args.bench, &args.vector);
    let kind = context.engine(&bench.engine);
    let (transform, name) = match args.kind {
        Kind::Forward => (NttKind::Forward, "forward"),
        Kind::Inverse => (NttKind::Inverse, "inverse"),
        Kind::CosetForward => (NttKind::CosetForward, "coset-forward"),
        Kind::CosetInverse => (NttKind::CosetInverse, "coset-inverse"),
        Kind::OddForward => (NttKind::OddForward, "odd-forward"),
        Kind::OddInverse => (NttKind::OddInverse, "odd-inverse"),
    };
    let what = format!("a transform of 2^{} elements", vector.log2);
    bench
        .memory
        .check(&what, memory::of_ntt(1 << vector.log2))?;
    let opened = engine::open_with(kind.clone(), context.options(&bench.engine));
    let engine = opened.await.map_err(Failure::opening)?;
    let step = context.output.step("number-theoretic transform");
    let input = carillon_workload::scalars(1 << vector.log2, vector.dist, bench.seed);
    let mut output = input.clone();
    let stats = engine.ntt(&mut output, transform).await?;
    if !vector.no_check {
        let mut expected = input;
        CpuEngine::new().ntt(&mut expected, transform).await?;
        if output != expected {
            return Err(differs("ntt", &kind));
        }
    }
    step.done("done");
    let fields = json!({
        "engine": kind.name(),
        "log2": vector.log2,
        "elements": 1u64 << vector.log2,
        "dist": vector.dist.name(),
        "seed": bench.seed,
        "checked": !vector.no_check,
        "stats": stats_json(&stats),
        "kind": name,
    });
    let mut rows = vec![
        ("engine", kind.name()),
        ("elements", format!("2^{}", vector.log2)),
        ("distribution", vector.dist.name().to_owned()),
        ("kind", name.to_owned()),
    ];
    rows.extend(stats_rows(&stats));
    rows.push(verdict(vector));
    context.output.result("carillon.bench.ntt/1", fields, &rows);
    Ok(())
}
