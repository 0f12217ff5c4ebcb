//! Development proving keys, kept on disk between runs.
//!
//! INSECURE: whoever makes such a key can forge proofs. A key file is named after the circuit and
//! the digest of its constraints, so that a changed circuit gets a new key; `*.ckey` files are not
//! committed. A file that cannot be used is replaced: nothing in the cache is irreplaceable.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use carillon_node::circuit::rollup::{self, RollupCircuit, Shape};
use carillon_runtime::groth16::{self, CircuitDigest, Groth16Error, ProvingKey};
use carillon_runtime::keys;
use rand::rngs::OsRng;

use crate::exit::Failure;
use carillon_runtime::cli::user_folder;

/// A development key and where it came from.
#[derive(Debug)]
pub struct DevelopmentKey {
    /// The key.
    pub key: Arc<ProvingKey>,
    /// Its file.
    pub path: PathBuf,
    /// How it was got.
    pub source: Source,
    /// How long that took.
    pub wall: Duration,
}

/// How a key was got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Read from the cache.
    Cached,
    /// Made and written to the cache.
    Made,
    /// The file in the cache was unusable for this reason, and was replaced.
    Replaced(String),
}

/// The user's cache folder, or a folder below the temporary one when there is none.
pub fn default_folder() -> PathBuf {
    user_folder("XDG_CACHE_HOME", ".cache")
        .unwrap_or_else(|| std::env::temp_dir().join("carillon"))
        .join("keys")
}

/// Reads or makes the key of a rollup circuit. Takes seconds to minutes: call it on a blocking
/// thread.
pub fn obtain_rollup(folder: &Path, shape: Shape) -> Result<DevelopmentKey, Failure> {
    let digest = rollup::digest(shape)?;
    obtain_for(folder, &shape.id(), &digest, || {
        groth16::setup(RollupCircuit::blank(shape), &mut OsRng)
    })
}

/// Reads or makes the key of any circuit, of which `id` is the name and `digest` the constraints.
pub fn obtain_for(
    folder: &Path,
    id: &str,
    digest: &CircuitDigest,
    make: impl FnOnce() -> Result<ProvingKey, Groth16Error>,
) -> Result<DevelopmentKey, Failure> {
    let started = Instant::now();
    let path = folder.join(file_name(id, digest));
    let source = if path.exists() {
        match keys::load_for(&path, digest) {
            Ok(key) => {
                return Ok(DevelopmentKey {
                    key: Arc::new(key),
                    path,
                    source: Source::Cached,
                    wall: started.elapsed(),
                });
            }
            Err(error) => Source::Replaced(error.to_string()),
        }
    } else {
        Source::Made
    };
    std::fs::create_dir_all(folder).map_err(|error| {
        let folder = folder.display();
        Failure::input(format!(
            "cannot create the key folder {folder}: {error}; name another with --key-dir"
        ))
    })?;
    let key = make()?;
    keys::save(&path, &key)?;
    Ok(DevelopmentKey {
        key: Arc::new(key),
        path,
        source,
        wall: started.elapsed(),
    })
}

/// For example `transfer-v1-n2-d12-0123456789abcdef-INSECURE.ckey`.
fn file_name(id: &str, digest: &CircuitDigest) -> String {
    let digest = digest.to_string();
    format!("{id}-{}-INSECURE.ckey", &digest[..16])
}
