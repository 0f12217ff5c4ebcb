//! The folder of a devnet, and what stays in it.
//!
//! | file | what |
//! |---|---|
//! | `anvil.json` | Ethereum's state, by anvil |
//! | `devnet.json` | where the contracts are, and the circuit's capacity |
//! | `env` | variables for a shell: `. FOLDER/env` |
//! | `operator.key`, `alice.l1`, `bob.l1` | keys on Ethereum |
//! | `alice.key`, `bob.key` | keys on the rollup |
//! | `keys/`, `node/`, `archive/` | proving key, the node's folder, batches |
//! | `lock`, `pid` | of the devnet that runs |

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use alloy::signers::local::PrivateKeySigner;
use carillon_cli::Output;
use carillon_settlement::Anvil;
use rand::RngCore;
use rand::rngs::OsRng;
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::deployed::Deployed;
use crate::exit::Failure;
use crate::secret;

/// The users that are there from the start.
pub const USERS: [&str; 2] = ["alice", "bob"];
/// How long the devnet before this one may take to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// The folder, locked.
#[derive(Debug)]
pub struct Home {
    folder: PathBuf,
    /// Whether it stays.
    kept: bool,
    _lock: File,
    /// Deleted with everything in it when dropped.
    _temporary: Option<tempfile::TempDir>,
}

impl Home {
    /// Opens or makes the folder. One that another devnet is leaving is waited for.
    pub async fn open(output: &Output, folder: Option<&Path>) -> Result<Self, Failure> {
        let (folder, temporary) = match folder {
            Some(folder) => (folder.to_owned(), None),
            None => {
                let made = tempfile::Builder::new()
                    .prefix("carillon-devnet-")
                    .tempdir();
                let made = made.map_err(|error| {
                    Failure::unavailable(format!(
                        "no temporary folder: {error}; name one with --data-dir"
                    ))
                })?;
                (made.path().to_owned(), Some(made))
            }
        };
        let shown = folder.display().to_string();
        let fault = |error: std::io::Error| {
            Failure::input(format!("the folder {shown} cannot be used: {error}"))
        };
        std::fs::create_dir_all(&folder).map_err(fault)?;
        let folder = folder.canonicalize().map_err(fault)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join("lock"))
            .map_err(fault)?;
        let started = std::time::Instant::now();
        let mut told = false;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(fault(error)),
                Err(TryLockError::WouldBlock) if started.elapsed() < PATIENCE => {}
                Err(TryLockError::WouldBlock) => {
                    let pid = std::fs::read_to_string(folder.join("pid")).unwrap_or_default();
                    return Err(Failure::unavailable(format!(
                        "another devnet (process {}) uses {shown}: end it, or name another folder with --data-dir",
                        pid.trim()
                    )));
                }
            }
            if !told {
                output.note(&format!("another devnet uses {shown}; waiting for its end"));
                told = true;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let home = Self {
            folder,
            kept: temporary.is_none(),
            _lock: lock,
            _temporary: temporary,
        };
        let pid = format!("{}\n", std::process::id());
        std::fs::write(home.folder.join("pid"), pid).map_err(fault)?;
        Ok(home)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether it is there after the end.
    pub fn kept(&self) -> bool {
        self.kept
    }

    /// Ethereum's state.
    pub fn anvil(&self) -> PathBuf {
        self.folder.join("anvil.json")
    }

    /// The node's folder.
    pub fn node(&self) -> PathBuf {
        self.folder.join("node")
    }

    /// The batches.
    pub fn archive(&self) -> PathBuf {
        self.folder.join("archive")
    }

    /// Proving keys.
    pub fn keys(&self) -> PathBuf {
        self.folder.join("keys")
    }

    /// The operator's key on Ethereum.
    pub fn operator_key(&self) -> PathBuf {
        self.folder.join("operator.key")
    }

    /// A user's key on Ethereum.
    pub fn l1_key(&self, user: &str) -> PathBuf {
        self.folder.join(format!("{user}.l1"))
    }

    /// A user's key on the rollup.
    pub fn account_key(&self, user: &str) -> PathBuf {
        self.folder.join(format!("{user}.key"))
    }

    /// What the contracts are, if they were deployed.
    pub fn deployed<T: DeserializeOwned>(&self) -> Result<Option<T>, Failure> {
        let path = self.folder.join("devnet.json");
        let fault = |reason: String| {
            Failure::input(format!(
                "{}: {reason}; name another folder, or delete this one",
                path.display()
            ))
        };
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|error| fault(error.to_string()))?,
        };
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| fault(error.to_string()))
    }

    /// Keeps what the contracts are.
    pub fn keep(&self, deployed: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(deployed)
            .map_err(|error| Failure::unexpected(error.to_string()))?;
        self.write("devnet.json", &format!("{text}\n"))
    }

    /// Keys of the operator and the users; those that are there stay.
    pub fn write_keys(&self, signers: &[PrivateKeySigner]) -> Result<(), Failure> {
        let paths = [self.operator_key()].into_iter();
        let paths = paths.chain(USERS.map(|user| self.l1_key(user)));
        for (path, signer) in paths.zip(signers) {
            self.write_key(&path, &signer.to_bytes().0)?;
        }
        for user in USERS {
            let mut seed = Zeroizing::new([0; 32]);
            OsRng.fill_bytes(&mut *seed);
            self.write_key(&self.account_key(user), &seed)?;
        }
        Ok(())
    }

    fn write_key(&self, path: &Path, key: &[u8; 32]) -> Result<(), Failure> {
        if path.exists() {
            return Ok(());
        }
        let text = Zeroizing::new(hex::encode(key));
        secret::create(path, &text)
            .map_err(|error| Failure::input(format!("cannot write {}: {error}", path.display())))
    }

    /// Variables for the commands of users.
    pub fn write_env(
        &self,
        anvil: &Anvil,
        deployed: &Deployed,
        rpc_port: u16,
    ) -> Result<(), Failure> {
        let quoted =
            |path: PathBuf| format!("'{}'", path.display().to_string().replace('\'', "'\\''"));
        let lines = [
            format!("export CARILLON_L1={}", anvil.url()),
            format!("export CARILLON_CHAIN={}", deployed.chain),
            format!("export CARILLON_RPC=http://127.0.0.1:{rpc_port}"),
            format!("export CARILLON_ARCHIVE={}", quoted(self.archive())),
        ];
        self.write("env", &format!("{}\n", lines.join("\n")))
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        let path = self.folder.join(name);
        let staged = self.folder.join(format!(".{name}"));
        let written = File::create(&staged).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&staged, &path)
        });
        written.map_err(|error| Failure::input(format!("cannot write {}: {error}", path.display())))
    }

    /// A clean end.
    pub fn close(&self) {
        let _ = std::fs::remove_file(self.folder.join("pid"));
    }
}
