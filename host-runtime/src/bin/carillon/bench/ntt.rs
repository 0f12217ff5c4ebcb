//! `carillon bench ntt`.

use carillon_runtime::cpu::CpuEngine;
use carillon_runtime::engine::{self, NttKind};
use carillon_runtime::{Engine, workload};
use clap::{Args, ValueEnum};
use serde_json::json;

use super::{BenchArgs, Measured, VectorArgs, differs};
use crate::Context;
use crate::exit::Failure;

/// Which transform.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Forward,
    Inverse,
    CosetForward,
    CosetInverse,
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
    };
    let engine = engine::open(kind).await.map_err(Failure::opening)?;
    let spinner = context.output.spinner("number-theoretic transform");
    let input = workload::scalars(1 << vector.log2, vector.dist, bench.seed);
    let mut output = input.clone();
    let stats = engine.ntt(&mut output, transform).await?;
    if !vector.no_check {
        let mut expected = input;
        CpuEngine::new().ntt(&mut expected, transform).await?;
        if output != expected {
            return Err(differs("ntt", kind));
        }
    }
    spinner.finish_and_clear();
    let extra = ("kind", json!(name));
    Measured {
        operation: "ntt",
        kind,
        args: bench,
        vector,
        extra,
        stats,
    }
    .print(context);
    Ok(())
}
