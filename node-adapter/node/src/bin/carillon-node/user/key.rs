//! `carillon-node keygen` and `pubkey`: keys of accounts on the rollup, and on Ethereum.

use std::path::{Path, PathBuf};

use alloy::signers::local::PrivateKeySigner;
use carillon_cli::Output;
use carillon_protocol::crypto::schnorr::{PublicKey, SecretKey};
use clap::Args;
use rand::RngCore;
use rand::rngs::OsRng;
use serde_json::json;
use zeroize::Zeroizing;

use crate::exit::Failure;
use crate::secret;

/// Arguments of `keygen`.
#[derive(Debug, Args)]
pub struct KeygenArgs {
    /// The new file; one that exists is left alone
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// A key on Ethereum instead of one on the rollup
    #[arg(long)]
    ethereum: bool,
}

/// Arguments of `pubkey`.
#[derive(Debug, Args)]
pub struct PubkeyArgs {
    /// File with the secret key: 64 hex digits
    #[arg(long, env = "CARILLON_ACCOUNT_KEY", value_name = "FILE")]
    key: PathBuf,
    /// The key is one on Ethereum: print its address
    #[arg(long)]
    ethereum: bool,
}

/// Makes a key that nobody else can read.
pub fn generate(output: &Output, args: &KeygenArgs) -> Result<(), Failure> {
    let mut seed = Zeroizing::new([0; 32]);
    OsRng.fill_bytes(&mut *seed);
    if args.ethereum {
        // Not every 32 bytes are a key there; the odds are 2^-128.
        let made = PrivateKeySigner::from_slice(&*seed);
        made.map_err(|error| Failure::unexpected(format!("no key: {error}; run it again")))?;
    }
    let text = Zeroizing::new(format!("{}\n", *Zeroizing::new(hex::encode(*seed))));
    secret::create(&args.out, &text).map_err(|error| {
        let path = args.out.display();
        match error.kind() {
            std::io::ErrorKind::AlreadyExists => Failure::input(format!(
                "{path} exists and is left alone: a key that is lost is lost with what it owns; name another file"
            )),
            _ => Failure::input(format!("the key cannot be written to {path}: {error}")),
        }
    })?;
    show(output, &args.out, args.ethereum)
}

/// Prints the public part.
pub fn public(output: &Output, args: &PubkeyArgs) -> Result<(), Failure> {
    show(output, &args.key, args.ethereum)
}

fn show(output: &Output, path: &Path, ethereum: bool) -> Result<(), Failure> {
    let file = path.display().to_string();
    if ethereum {
        let text = secret::read(path, "the key on Ethereum")?;
        let signer: PrivateKeySigner = text.trim().parse().map_err(|_| {
            Failure::input(format!("the key on Ethereum {file} is not 32 bytes in hex"))
        })?;
        let address = signer.address().to_string();
        let fields = json!({ "file": file, "address": address });
        let rows = [("file", file), ("address", address)];
        output.result("carillon.key/1", fields, &rows);
        return Ok(());
    }
    let key: SecretKey = secret::read_key(path, "the account's key")?;
    let public: &PublicKey = key.public();
    let text = format!("0x{}", hex::encode(public.to_bytes()));
    let point = public.coordinates();
    let coordinate = |value: &blstrs::Scalar| format!("0x{}", hex::encode(value.to_bytes_be()));
    let (x, y) = (coordinate(&point.x), coordinate(&point.y));
    let fields = json!({ "file": file, "public_key": text, "x": x, "y": y });
    let rows = [("file", file), ("public key", text), ("x", x), ("y", y)];
    output.result("carillon.key/1", fields, &rows);
    Ok(())
}
