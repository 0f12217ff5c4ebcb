//! Proving keys: where they are kept, how they are made, checked and shown.
//!
//! A chain is bound to its key: Ethereum accepts proofs of that one alone, and nobody can make it
//! again. So a key has a home in the node's folder (or where `--key-dir` says), is made only on
//! request, and is never replaced: what cannot be read is refused and stays as it is. A key file is
//! named after the circuit and the digest of its constraints.
//!
//! INSECURE: keys made here are for development. Whoever makes such a key can forge proofs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use carillon_circuit::rollup::{self, Shape, setup};
use carillon_cli::user_folder;
use carillon_runtime::groth16::{self, ProvingKey};
use carillon_runtime::keys::{self, KeyError};

use crate::exit::Failure;

/// The folder of the keys in a node's folder.
const HOME: &str = "keys";

/// A key and where it came from.
#[derive(Debug)]
pub struct ChainKey {
    /// The key.
    pub key: Arc<ProvingKey>,
    /// Its file.
    pub path: PathBuf,
    /// Whether it was made just now.
    pub made: bool,
    /// How long that, or reading it, took.
    pub wall: Duration,
}

/// The keys' home: the folder that was named, or the one in the node's folder.
pub fn home(key_dir: Option<PathBuf>, data_dir: Option<&Path>) -> Result<PathBuf, Failure> {
    key_dir
        .or_else(|| data_dir.map(|folder| folder.join(HOME)))
        .ok_or_else(|| {
            Failure::input(
                "say where the chain's keys are kept: in the node's folder (--data-dir), or in one of their own (--key-dir)"
                    .into(),
            )
        })
}

/// The user's own folder of keys, for provers.
pub fn of_user() -> Result<PathBuf, Failure> {
    below_home("XDG_DATA_HOME", ".local/share")
}

/// Where the demo keeps keys of chains that end with it.
pub fn cache() -> Result<PathBuf, Failure> {
    below_home("XDG_CACHE_HOME", ".cache")
}

/// Keys never go where others may write: without a home they go nowhere.
fn below_home(variable: &str, below: &str) -> Result<PathBuf, Failure> {
    let folder = user_folder(variable, below).ok_or_else(|| {
        Failure::input(format!(
            "neither {variable} nor HOME names a folder: name the folder of the keys with --key-dir"
        ))
    })?;
    Ok(folder.join(HOME))
}

/// The file of a circuit's key, for example `rollup-v2-n4-…-0123456789abcdef-INSECURE.ckey`. Takes
/// seconds for large circuits.
fn file_of(folder: &Path, shape: Shape) -> Result<(PathBuf, groth16::CircuitDigest), Failure> {
    let digest = rollup::digest(shape)?;
    let text = digest.to_string();
    let digits = text.get(..16).unwrap_or(&text);
    let name = format!("{}-{digits}-INSECURE.ckey", shape.id());
    Ok((folder.join(name), digest))
}

/// Reads the key of a rollup circuit. Takes seconds to minutes: call it on a blocking thread.
///
/// `missing` says what is to be done if there is none.
pub fn load(folder: &Path, shape: Shape, missing: &str) -> Result<ChainKey, Failure> {
    let started = Instant::now();
    let (path, digest) = file_of(folder, shape)?;
    if let Some(key) = read(&path, &digest)? {
        return Ok(ChainKey {
            key: Arc::new(key),
            path,
            made: false,
            wall: started.elapsed(),
        });
    }
    // Where versions before this one kept keys that `run` made.
    let name = path.file_name().unwrap_or_default();
    let old = cache().map(|folder| folder.join(name));
    let old = old.ok().filter(|old| old.exists()).map(|old| {
        format!(
            " An earlier version left this circuit's key in {}: copy it if it is this chain's.",
            old.display()
        )
    });
    Err(Failure::input(format!(
        "there is no proving key {}; {missing}{}",
        path.display(),
        old.unwrap_or_default()
    )))
}

/// Reads the key of a rollup circuit, or makes one if there is none. As [`load`].
pub fn load_or_make(folder: &Path, shape: Shape) -> Result<ChainKey, Failure> {
    let started = Instant::now();
    let (path, digest) = file_of(folder, shape)?;
    let found = read(&path, &digest)?;
    let (key, made) = match found {
        Some(key) => (key, false),
        None => {
            prepare(folder)?;
            let key = setup(shape)?;
            let made = keep(&path, &key)?;
            // Somebody was faster: theirs is the key.
            match made {
                true => (key, true),
                false => (keys::load_for(&path, &digest)?, false),
            }
        }
    };
    Ok(ChainKey {
        key: Arc::new(key),
        path,
        made,
        wall: started.elapsed(),
    })
}

/// A key that is there, checked in full; none if there is no file.
fn read(path: &Path, digest: &groth16::CircuitDigest) -> Result<Option<ProvingKey>, Failure> {
    match keys::load_for(path, digest) {
        Ok(key) => Ok(Some(key)),
        Err(KeyError::Open { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Ok(None)
        }
        Err(error) => Err(Failure::input(format!(
            "the proving key cannot be used: {error}. It was left as it is. Put a copy from a backup in its place; only if no chain was deployed with it, move it away and make another"
        ))),
    }
}

/// Makes the folder, and refuses one that everybody may write to: a key must stay what it is.
pub fn prepare(folder: &Path) -> Result<(), Failure> {
    let shown = folder.display();
    let fault = |error: std::io::Error| {
        Failure::input(format!(
            "cannot create the key folder {shown}: {error}; name another with --key-dir"
        ))
    };
    std::fs::create_dir_all(folder).map_err(fault)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(folder)
            .map_err(fault)?
            .permissions()
            .mode()
            & 0o7777;
        if mode & 0o002 != 0 {
            return Err(Failure::input(format!(
                "everybody may write to the key folder {shown} (mode {mode:04o}), so that a key there could be exchanged; `chmod o-w` it or name another with --key-dir"
            )));
        }
    }
    Ok(())
}

/// Writes a key under its name, unless there is one by now. A proving key is no secret: whoever may
/// read the folder may prove with it.
fn keep(path: &Path, key: &ProvingKey) -> Result<bool, Failure> {
    match keys::save_new(path, key) {
        Ok(()) => {}
        Err(KeyError::Exists { .. }) => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(path, mode).map_err(|source| KeyError::Write {
            path: path.to_owned(),
            source,
        })?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_made_once_and_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("deep/keys");
        let shape = Shape::new(1, 3, 1, 1).unwrap();
        let error = load(&keys, shape, "make one").unwrap_err().to_string();
        assert!(
            error.contains("no proving key") && error.contains("make one"),
            "{error}"
        );
        assert!(!keys.exists());

        let made = load_or_make(&keys, shape).unwrap();
        assert!(made.made);
        let mode = std::fs::metadata(&made.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
        let bytes = std::fs::read(&made.path).unwrap();
        let again = load_or_make(&keys, shape).unwrap();
        assert!(!again.made);
        assert_eq!(again.key.vk, made.key.vk);
        assert_eq!(load(&keys, shape, "").unwrap().key.vk, made.key.vk);
        // Of two that make the key at once, one wins.
        let other = setup(shape).unwrap();
        assert!(!keep(&made.path, &other).unwrap());
        assert_eq!(std::fs::read(&made.path).unwrap(), bytes);
        assert_eq!(std::fs::read_dir(&keys).unwrap().count(), 1);

        // One flipped bit, wherever it is: refused, and the file stays.
        // The header, the verifying key, the last section.
        for at in [2, 20, 70, 4096, bytes.len() - 4096] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            std::fs::write(&made.path, &damaged).unwrap();
            for result in [load(&keys, shape, ""), load_or_make(&keys, shape)] {
                let error = result.unwrap_err().to_string();
                assert!(error.contains("left as it is"), "{at}: {error}");
            }
            assert_eq!(std::fs::read(&made.path).unwrap(), damaged);
        }

        // Where everybody may write, no key is put.
        let open = folder.path().join("open");
        std::fs::create_dir(&open).unwrap();
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o1777)).unwrap();
        let error = load_or_make(&open, shape).unwrap_err().to_string();
        assert!(error.contains("everybody may write"), "{error}");
        assert_eq!(std::fs::read_dir(&open).unwrap().count(), 0);
    }

    #[test]
    fn the_home_is_named_or_in_the_nodes_folder() {
        let home_of = |key: Option<&str>, data: Option<&str>| {
            home(key.map(PathBuf::from), data.map(Path::new))
        };
        assert_eq!(home_of(Some("/k"), Some("/d")).unwrap(), Path::new("/k"));
        assert_eq!(home_of(None, Some("/d")).unwrap(), Path::new("/d/keys"));
        assert!(
            home_of(None, None)
                .unwrap_err()
                .to_string()
                .contains("--key-dir")
        );
    }
}
