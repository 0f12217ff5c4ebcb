//! `carillon setup`: an INSECURE development key for the built-in benchmark circuit.

use std::path::PathBuf;
use std::time::Instant;

use carillon_cli::{Failure, duration};
use carillon_runtime::files::{self, Existing};
use carillon_runtime::{groth16, keys, memory};
use carillon_workload::SquareChain;
use clap::Args;
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use serde_json::json;

use crate::chain;
use crate::{Context, MemoryArg};

/// Arguments of `setup`.
#[derive(Debug, Args)]
pub struct SetupArgs {
    /// Rows of the circuit as a power of two, 2 to 26
    #[arg(long, value_parser = clap::value_parser!(u32).range(2..=26))]
    log2: u32,
    /// Seed of the key's randomness: same seed, same key
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where to write the key
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Replace a file that is there already; a key that is overwritten is lost
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    memory: MemoryArg,
}

/// Makes and writes the key.
pub fn run(context: &Context, args: &SetupArgs) -> Result<(), Failure> {
    let existing = match args.force {
        true => Existing::Replace,
        false => Existing::Keep,
    };
    files::check(&args.out, existing)?;
    let (shape, terms) = chain::size(args.log2);
    let what = format!("set-up of 2^{} rows", args.log2);
    args.memory.check(&what, memory::of_setup(shape, terms))?;
    let started = Instant::now();
    let step = context.output.step("making an INSECURE development key");
    let mut rng = ChaCha12Rng::seed_from_u64(args.seed);
    let key = groth16::setup(SquareChain::blank(args.log2), &mut rng)?;
    match existing {
        Existing::Replace => keys::save(&args.out, &key)?,
        Existing::Keep => keys::save_new(&args.out, &key)?,
    }
    step.done("done");
    let wall = started.elapsed();
    context
        .output
        .note("INSECURE development key: whoever knows the seed can forge proofs");
    context.output.result(
        "carillon.setup/1",
        json!({
            "key": args.out,
            "origin": key.origin,
            "circuit": key.circuit.to_string(),
            "shape": key.shape,
            "wall_seconds": wall.as_secs_f64(),
        }),
        &[
            ("key", args.out.display().to_string()),
            ("origin", key.origin.to_string()),
            ("circuit", key.circuit.to_string()),
            ("constraints", key.shape.constraints.to_string()),
            ("time", duration(wall)),
        ],
    );
    Ok(())
}
