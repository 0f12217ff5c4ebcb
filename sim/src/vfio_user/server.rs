//! Serves a simulated card on a Unix socket, to one client at a time.
//!
//! Whoever comes while a client is there is refused with `EBUSY`, as the kernel
//! refuses a second opener of a VFIO group. When a client leaves, for whatever
//! reason, the card is reset and forgets the client's memory.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::session::Session;
use super::socket;
use super::wire::Header;
use crate::card::SimCard;

/// How long a refused client is waited for, whatever it sends; nobody else is
/// taken meanwhile.
const REFUSAL: Duration = Duration::from_secs(2);

/// How long the end of a client that has hung up is waited for.
const FAREWELL: Duration = Duration::from_secs(5);

/// Why a card cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The socket cannot be made.
    #[error(
        "cannot serve a card at {path}: {cause}; choose a path in a writable folder of less than 108 characters"
    )]
    Bind {
        /// The socket.
        path: PathBuf,
        /// The system's reason.
        cause: io::Error,
    },
    /// Something that is no socket is there.
    #[error("{path} is there already and is no socket: choose another path (it was not touched)")]
    NotASocket {
        /// What is there.
        path: PathBuf,
    },
    /// Another server answers there.
    #[error("another server answers at {path}: end it, or choose another path")]
    InUse {
        /// The socket.
        path: PathBuf,
    },
}

/// A card on a socket. Dropping it ends the service and removes the socket.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    /// Device and inode of the socket that it made.
    made: Option<(u64, u64)>,
    /// To wake the thread that accepts.
    listener: UnixListener,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves `card` at `path`; a socket that a dead server left there is
    /// replaced, anything else is left alone.
    ///
    /// # Errors
    /// [`ServeError`].
    pub fn start(path: &Path, card: Arc<dyn SimCard>) -> Result<Self, ServeError> {
        let refused = |cause| ServeError::Bind {
            path: path.into(),
            cause,
        };
        if UnixStream::connect(path).is_ok() {
            return Err(ServeError::InUse { path: path.into() });
        }
        match std::fs::symlink_metadata(path) {
            Ok(there) if there.file_type().is_socket() => {
                std::fs::remove_file(path).map_err(refused)?;
            }
            Ok(_) => return Err(ServeError::NotASocket { path: path.into() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(refused(error)),
        }
        let listener = UnixListener::bind(path).map_err(refused)?;
        let made = identity(path);
        let ours = listener.try_clone().map_err(refused)?;
        let stop = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("carillon-serve".into())
            .spawn(move || accept(&listener, &card, &theirs))
            .map_err(refused)?;
        Ok(Self {
            path: path.into(),
            made,
            listener: ours,
            stop,
            thread: Some(thread),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // Wakes the thread that accepts, whatever is at the path by now.
        if let Err(error) = rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Both) {
            tracing::error!(%error, "the server's thread is not woken");
            drop(UnixStream::connect(&self.path));
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the server's thread panicked");
        }
        // Somebody may have put something else there.
        if self.made.is_some() && identity(&self.path) == self.made {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Device and inode of what is at `path`.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let there = std::fs::symlink_metadata(path).ok()?;
    Some((there.dev(), there.ino()))
}

fn accept(listener: &UnixListener, card: &Arc<dyn SimCard>, stop: &AtomicBool) {
    let mut present: Option<(JoinHandle<()>, UnixStream)> = None;
    for client in listener.incoming() {
        if stop.load(Ordering::Acquire) {
            break;
        }
        let client = match client {
            Ok(client) => client,
            Err(error) => {
                tracing::warn!(%error, "a client could not be taken");
                // Out of descriptors: others may be freed.
                std::thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        if let Some((thread, socket)) = &present
            && !has_left(thread, socket)
        {
            refuse(&client);
            continue;
        }
        // A card that was unplugged under the last client is plugged in again.
        card.replug();
        let card = Arc::clone(card);
        present = client.try_clone().ok().and_then(|copy| {
            let session = std::thread::Builder::new()
                .name("carillon-session".into())
                .spawn(move || {
                    if let Err(error) = Session::new(client, card).run() {
                        tracing::info!(%error, "the client left");
                    }
                });
            session.ok().map(|thread| (thread, copy))
        });
    }
    if let Some((thread, socket)) = present {
        // Fails only when the client has left already.
        let _ = socket.shutdown(std::net::Shutdown::Both);
        if thread.join().is_err() {
            tracing::error!("a session panicked");
        }
    }
}

/// Whether the client of `thread` has left. One that has hung up, perhaps a moment
/// ago, is waited for until its card has been reset: whoever comes after it, as
/// the next command of a script does, finds the card free.
fn has_left(thread: &JoinHandle<()>, socket: &UnixStream) -> bool {
    let until = Instant::now() + FAREWELL;
    while !thread.is_finished() {
        if !socket::hung_up(socket) || Instant::now() >= until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

/// Answers the first message of a second client.
fn refuse(client: &UnixStream) {
    let until = Some(Instant::now() + REFUSAL);
    let Ok(Some(message)) = socket::receive(client, until) else {
        return;
    };
    let answer = Header {
        reply: true,
        no_reply: false,
        error: Some(Errno::BUSY.raw_os_error() as u32),
        ..message.header
    };
    // It learns so from the end of the connection, too.
    let _ = socket::send(client, answer, &[], &[], until);
}
