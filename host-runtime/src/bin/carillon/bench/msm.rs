//! `carillon bench msm`.

use carillon_runtime::cpu::CpuEngine;
use carillon_runtime::engine::{self, MsmOptions};
use carillon_runtime::{Engine, workload};
use clap::Args;
use serde_json::json;

use super::{BenchArgs, Measured, VectorArgs, differs};
use crate::Context;
use crate::exit::Failure;

/// Arguments of `bench msm`.
#[derive(Debug, Args)]
pub struct MsmArgs {
    #[command(flatten)]
    bench: BenchArgs,
    #[command(flatten)]
    vector: VectorArgs,
    /// Bits of a signed window on the card [default: the card chooses]
    #[arg(long)]
    window_bits: Option<u8>,
}

/// Measures, checks and prints.
pub async fn run(context: &Context, args: &MsmArgs) -> Result<(), Failure> {
    let (bench, vector) = (&args.bench, &args.vector);
    let kind = context.engine(&bench.engine);
    let engine = engine::open(kind).await.map_err(Failure::opening)?;
    let spinner = context.output.spinner("multi-scalar multiplication");
    let bases = workload::g1_bases(1 << vector.log2, bench.seed);
    let scalars = workload::scalars(1 << vector.log2, vector.dist, bench.seed);
    let options = MsmOptions {
        window_bits: args.window_bits,
    };
    let (sum, stats) = engine
        .msm_g1_with(
            carillon_runtime::engine::Bases::checked(&bases),
            &scalars,
            options,
        )
        .await?;
    if !vector.no_check {
        let (expected, _) = CpuEngine::new().msm_g1(&bases, &scalars).await?;
        if sum != expected {
            return Err(differs("msm", kind));
        }
    }
    spinner.finish_and_clear();
    let extra = ("window_bits", json!(args.window_bits));
    Measured {
        operation: "msm",
        kind,
        args: bench,
        vector,
        extra,
        stats,
    }
    .print(context);
    Ok(())
}
