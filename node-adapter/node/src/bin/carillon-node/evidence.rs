//! `carillon-node evidence`: whether two statements show that a sequencer said two things of one place.
//! Needs neither a node nor Ethereum.

use std::io::Read;
use std::path::{Path, PathBuf};

use carillon_cli::Output;
use carillon_lane_feed::{Head, equivocation};
use carillon_protocol::crypto::schnorr::PublicKey;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::exit::Failure;

/// A head has a few hundred bytes.
const LONGEST: u64 = 64 << 10;

/// Commands about evidence.
#[derive(Debug, Subcommand)]
pub enum EvidenceCommand {
    /// Check whether two signed heads of a lane contradict each other: exit code 0 if they do, 5 if not
    Verify(VerifyArgs),
}

/// Arguments of `evidence verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// A lane's head as a feed tells it: a JSON file
    #[arg(long, value_name = "FILE")]
    first: PathBuf,
    /// Another one
    #[arg(long, value_name = "FILE")]
    second: PathBuf,
    /// The key that the chain has on Ethereum (`ChainHub.receiptKey`), or that `carillon_chain` shows as
    /// its sequencer's: 0x and 64 hex digits
    #[arg(long, value_name = "HEX")]
    public_key: String,
}

/// Runs a command.
pub fn run(output: &Output, command: &EvidenceCommand) -> Result<(), Failure> {
    let EvidenceCommand::Verify(args) = command;
    let text = args
        .public_key
        .strip_prefix("0x")
        .unwrap_or(&args.public_key);
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes)
        .map_err(|_| Failure::input("--public-key is 0x and 64 hex digits".into()))?;
    let key = PublicKey::from_bytes(&bytes)
        .map_err(|error| Failure::input(format!("--public-key: {error}")))?;
    let (first, second) = (read(&args.first)?, read(&args.second)?);
    equivocation(&key, &first, &second)
        .map_err(|reason| Failure::wrong_result(format!("no evidence: {reason}")))?;
    let fields = json!({
        "evidence": true,
        "domain": first.domain,
        "to": first.to.to_string(),
        "epoch": first.epoch.to_string(),
        "count": first.count.to_string(),
        "hashes": [first.lane_hash, second.lane_hash],
    });
    let rows = [
        (
            "evidence",
            "the key signed two hashes of one place".to_owned(),
        ),
        ("chain's domain", first.domain.to_string()),
        ("lane to chain", first.to.to_string()),
        ("epoch", first.epoch.to_string()),
        ("entries", first.count.to_string()),
        ("first", first.lane_hash.to_string()),
        ("second", second.lane_hash.to_string()),
    ];
    output.result("carillon.evidence.verify/1", fields, &rows);
    Ok(())
}

fn read(path: &Path) -> Result<Head, Failure> {
    let fault = |reason: String| Failure::input(format!("{}: {reason}", path.display()));
    let file = std::fs::File::open(path).map_err(|error| fault(error.to_string()))?;
    let mut text = String::new();
    file.take(LONGEST)
        .read_to_string(&mut text)
        .map_err(|error| fault(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| fault(format!("no head of a lane: {error}")))
}
