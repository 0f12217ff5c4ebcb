//! Copies of a node's folder.
//!
//! The database of a running node is locked by its process, so that process makes the copy: of one
//! instant, while it goes on. It is asked over a socket in the node's folder that nobody but the
//! folder's owner can reach. Without a running node the copy is made from outside. What else the node
//! keeps there is made again by itself (jobs of provers, the L1 queue) or must not be copied (the L1
//! sender's journal: an old one knows less than Ethereum). Called by `carillon-node backup` and `run`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use redb::Database;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use super::store::{FILE, SealedPoint, Store, StoreError};

/// The socket in the node's folder.
const SOCKET: &str = "backup.sock";
/// No request is longer.
const LONGEST: u64 = 16 * 1024;
/// A request is written at once.
const REQUEST: Duration = Duration::from_secs(5);

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is no database.
    #[error("{} has no node's database; name the node's folder with --data-dir", .folder.display())]
    NoNode {
        /// The folder.
        folder: PathBuf,
    },
    /// The copy's name is taken.
    #[error("{} exists; name another folder with --out", .path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {reason}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The running node.
    #[error("the running node made no copy: {0}")]
    Node(String),
}

/// What a copy holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// The copy of the database.
    pub path: PathBuf,
    /// Operations in it.
    pub operations: u64,
    /// The last sealed batch in it; 0 for none.
    pub batch: u64,
    /// Its bytes.
    pub bytes: u64,
    /// Whether the node was running.
    pub running: bool,
}

#[derive(Serialize, Deserialize)]
struct Request {
    out: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Saved(Saved),
    Failed(String),
}

/// Copies the database of the node in `data_dir` into the folder `out`, whether it runs or not.
///
/// # Errors
/// [`BackupError`]; then there is no copy.
pub async fn backup(data_dir: &Path, out: &Path) -> Result<Saved, BackupError> {
    let source = data_dir.join(FILE);
    if !source.exists() {
        return Err(BackupError::NoNode {
            folder: data_dir.to_owned(),
        });
    }
    let write = |path: &Path, error: std::io::Error| BackupError::Write {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    std::fs::create_dir_all(out).map_err(|error| write(out, error))?;
    // The node's working folder is another one.
    let out = std::fs::canonicalize(out).map_err(|error| write(out, error))?;
    if let Ok(stream) = UnixStream::connect(data_dir.join(SOCKET)).await {
        return ask(stream, &out).await;
    }
    let copied = tokio::task::spawn_blocking(move || {
        let database = Database::open(&source).map_err(|error| match error {
            redb::DatabaseError::DatabaseAlreadyOpen => StoreError::InUse {
                path: source.clone(),
            },
            other => StoreError::Open {
                path: source.clone(),
                reason: other.to_string(),
            },
        })?;
        copy(&Store::of(database, &source), &out, false)
    });
    copied
        .await
        .map_err(|error| BackupError::Node(error.to_string()))?
}

/// Has the running node make the copy.
async fn ask(mut stream: UnixStream, out: &Path) -> Result<Saved, BackupError> {
    let failed = |error: &dyn std::fmt::Display| BackupError::Node(error.to_string());
    let request = Request {
        out: out.to_owned(),
    };
    let mut line = serde_json::to_vec(&request).map_err(|error| failed(&error))?;
    line.push(b'\n');
    stream
        .write_all(&line)
        .await
        .map_err(|error| failed(&error))?;
    let mut answer = String::new();
    let mut reader = BufReader::new(stream).take(LONGEST);
    reader
        .read_line(&mut answer)
        .await
        .map_err(|error| failed(&error))?;
    match serde_json::from_str(&answer) {
        Ok(Answer::Saved(saved)) => Ok(saved),
        Ok(Answer::Failed(reason)) => Err(BackupError::Node(reason)),
        Err(_) => Err(BackupError::Node("it ended meanwhile; try again".into())),
    }
}

/// A copy of one instant.
fn copy(store: &Store, out: &Path, running: bool) -> Result<Saved, BackupError> {
    let path = out.join(FILE);
    if path.exists() {
        return Err(BackupError::Exists { path });
    }
    let part = out.join(format!("{FILE}.part"));
    let fault = |error: std::io::Error| BackupError::Write {
        path: part.clone(),
        reason: error.to_string(),
    };
    match std::fs::remove_file(&part) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(fault(error)),
        _ => {}
    }
    let copied = store.copy_to(&part);
    let (operations, point): (u64, SealedPoint) = match copied {
        Ok(copied) => copied,
        Err(error) => {
            let _ = std::fs::remove_file(&part);
            return Err(error.into());
        }
    };
    let bytes = std::fs::metadata(&part).map_err(fault)?.len();
    std::fs::rename(&part, &path).map_err(fault)?;
    std::fs::File::open(out)
        .and_then(|folder| folder.sync_all())
        .map_err(fault)?;
    Ok(Saved {
        path,
        operations,
        batch: point.batch,
        bytes,
        running,
    })
}

/// Serves `carillon-node backup` in the node's folder until `stop`. The socket is the owner's alone:
/// whoever reaches it may write where the node may.
///
/// # Errors
/// The socket cannot be made; the node can do without.
pub async fn serve_backups(
    data_dir: &Path,
    store: Arc<Store>,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let path = data_dir.join(SOCKET);
    // The database's lock says that no other node is here: what is there was left by a killed one.
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    }
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted?.0,
        };
        // One at a time: each reads the whole database.
        let store = Arc::clone(&store);
        if let Err(error) = answer(stream, store).await {
            tracing::warn!(%error, "a request for a backup was not answered");
        }
    }
    let _ = std::fs::remove_file(&path);
    Ok(())
}

async fn answer(mut stream: UnixStream, store: Arc<Store>) -> std::io::Result<()> {
    let mut line = String::new();
    let mut reader = BufReader::new((&mut stream).take(LONGEST));
    tokio::time::timeout(REQUEST, reader.read_line(&mut line)).await??;
    let request: Request = serde_json::from_str(&line)?;
    let copied = tokio::task::spawn_blocking(move || copy(&store, &request.out, true));
    let answer = match copied.await.map_err(std::io::Error::other)? {
        Ok(saved) => {
            tracing::info!(path = %saved.path.display(), batch = saved.batch, "backed up");
            Answer::Saved(saved)
        }
        Err(error) => Answer::Failed(error.to_string()),
    };
    let mut bytes = serde_json::to_vec(&answer)?;
    bytes.push(b'\n');
    stream.write_all(&bytes).await
}
