//! `carillon verify`: checks a proof against a key file and public inputs.

use std::path::PathBuf;
use std::time::Instant;

use blstrs::Scalar;
use carillon_cli::{Failure, duration, read_small};
use carillon_runtime::groth16::{self, Proof};
use carillon_runtime::keys;
use clap::Args;
use serde_json::json;

use crate::Context;

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Key file made by `setup`
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Proof file made by `prove`
    #[arg(long, value_name = "FILE")]
    proof: PathBuf,
    /// A public input, 64 hexadecimal digits big-endian; once per input, in order
    #[arg(long = "input", value_name = "HEX")]
    inputs: Vec<String>,
}

/// Verifies; a proof that does not hold ends with its own exit code.
pub fn run(context: &Context, args: &VerifyArgs) -> Result<(), Failure> {
    let key = keys::load(&args.key)?;
    let proof = Proof::from_bytes(&read_small(&args.proof)?)?;
    let inputs = args
        .inputs
        .iter()
        .map(|text| scalar(text))
        .collect::<Result<Vec<_>, _>>()?;
    let started = Instant::now();
    groth16::verify(&key.vk, &inputs, &proof)?;
    let wall = started.elapsed();
    context.output.result(
        "carillon.verify/1",
        json!({ "valid": true, "origin": key.origin, "wall_seconds": wall.as_secs_f64() }),
        &[
            ("proof", "valid".to_owned()),
            ("key", key.origin.to_string()),
            ("time", duration(wall)),
        ],
    );
    Ok(())
}

fn scalar(text: &str) -> Result<Scalar, Failure> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let bytes: Option<[u8; 32]> = hex::decode(digits).ok().and_then(|raw| raw.try_into().ok());
    bytes.and_then(|bytes| Option::from(Scalar::from_bytes_be(&bytes))).ok_or_else(|| {
        Failure::Input(format!(
            "public input `{text}` is not 64 hexadecimal digits of a number below the group order r"
        ))
    })
}
