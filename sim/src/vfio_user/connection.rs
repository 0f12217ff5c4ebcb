//! Questions to a card's server, and their answers. Used by `client.rs`.
//!
//! One at a time, each with a deadline. A connection on which something went
//! wrong is closed: whatever came next would answer another question.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use carillon_driver::transport::TransportEvent;
use carillon_driver::vfio::signals::Signals;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use tokio::sync::broadcast;

use super::socket::{receive, send};
use super::wire::{
    self, Header, IrqInfo, Opcode, Reader, RegionAccess, SetIrqs, VersionBody, irq, region,
};

/// Longest wait for a whole answer. A reset of a simulated card takes the longest.
const PATIENCE: Duration = Duration::from_secs(20);
/// The command register, and its bits for memory space and bus mastering.
const COMMAND: (u64, u16) = (4, 0b110);

/// Why a card cannot be reached, or what it did wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody answers at the socket.
    #[error("no card answers at {path}: {cause}; {}", advice(path, cause))]
    Connect {
        /// The socket.
        path: PathBuf,
        /// The system's reason.
        cause: io::Error,
    },
    /// Somebody else has the card.
    #[error("the card at {path} is in use by another process: end that, or start another card")]
    Busy {
        /// The socket.
        path: PathBuf,
    },
    /// The server refused.
    #[error("the card's server refused {what}: {cause}; see the server's log")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// Its reason.
        cause: io::Error,
    },
    /// No answer, or none that makes sense.
    #[error("the card's server does not answer {what} as it should: {cause}; start it again")]
    Broken {
        /// What was asked.
        what: &'static str,
        /// What is wrong.
        cause: io::Error,
    },
    /// A resource of this process could not be had.
    #[error("cannot connect the card's interrupts: {cause}; raise the limit on open files")]
    Resource {
        /// The system's reason.
        cause: io::Error,
    },
}

/// The next step when a socket cannot be connected.
fn advice(path: &Path, cause: &io::Error) -> String {
    let path = path.display();
    match cause.kind() {
        io::ErrorKind::PermissionDenied => format!(
            "whoever serves it must let this user read and write the socket (`ls -l {path}` shows whose it is)"
        ),
        _ => format!("start one with `carillon simulate --socket {path}`"),
    }
}

#[derive(Debug)]
struct Link {
    socket: UnixStream,
    next: u16,
}

/// A connection to a card's server, and whether it still stands.
#[derive(Debug)]
pub struct Connection {
    path: PathBuf,
    link: Mutex<Link>,
    gone: AtomicBool,
    events: broadcast::Sender<TransportEvent>,
}

impl Connection {
    /// Connects to the server at `path`; also gives a copy of the socket, for
    /// [`Connection::watch`].
    pub fn open(path: &Path) -> Result<(Self, UnixStream), ClientError> {
        let failed = |cause| ClientError::Connect {
            path: path.into(),
            cause,
        };
        let socket = UnixStream::connect(path).map_err(failed)?;
        let watched = socket.try_clone().map_err(failed)?;
        let connection = Self {
            path: path.into(),
            link: Mutex::new(Link { socket, next: 1 }),
            gone: AtomicBool::new(false),
            events: broadcast::channel(16).0,
        };
        Ok((connection, watched))
    }

    /// The socket.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the connection, and with it the card, is lost.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Events from now on.
    pub fn events(&self) -> broadcast::Receiver<TransportEvent> {
        self.events.subscribe()
    }

    /// Ends it.
    pub fn close(&self) {
        self.lose(&self.link().socket);
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request and its answer's body.
    pub fn call(
        &self,
        what: &'static str,
        opcode: Opcode,
        body: &[u8],
        fds: &[BorrowedFd<'_>],
    ) -> Result<Vec<u8>, ClientError> {
        let mut link = self.link();
        let exchange = self.exchange(&mut link, opcode, body, fds);
        let (error, body) = exchange.map_err(|cause| {
            // Whatever comes now would answer another question.
            self.lose(&link.socket);
            ClientError::Broken { what, cause }
        })?;
        match error {
            None => Ok(body),
            Some(number) => Err(ClientError::Refused {
                what,
                cause: io::Error::from_raw_os_error(number as i32),
            }),
        }
    }

    fn exchange(
        &self,
        link: &mut Link,
        opcode: Opcode,
        body: &[u8],
        fds: &[BorrowedFd<'_>],
    ) -> io::Result<(Option<u32>, Vec<u8>)> {
        let header = self.header(link, opcode, false);
        let until = Some(Instant::now() + PATIENCE);
        send(&link.socket, header, body, fds, until)?;
        let reply = receive(&link.socket, until)?
            .ok_or_else(|| io::Error::other("the connection was closed"))?;
        let got = reply.header;
        if !got.reply || (got.id, got.command) != (header.id, header.command) {
            return Err(io::Error::other("the answer belongs to another question"));
        }
        Ok((got.error, reply.body))
    }

    fn header(&self, link: &mut Link, opcode: Opcode, no_reply: bool) -> Header {
        link.next = link.next.wrapping_add(1);
        Header {
            id: link.next,
            command: opcode as u16,
            bytes: 0,
            reply: false,
            no_reply,
            error: None,
        }
    }

    fn lose(&self, socket: &UnixStream) {
        // Whoever asked must not take the failure for a refusal of a card that is there.
        self.gone.store(true, Ordering::Release);
        // The watcher sees the end and tells.
        let _ = socket.shutdown(std::net::Shutdown::Both);
    }

    /// Agrees on the version; refused while somebody else has the card.
    pub fn greet(&self) -> Result<(), ClientError> {
        let (major, minor) = wire::VERSION;
        let mut body = VersionBody { major, minor }.encode();
        body.extend(b"{}\0");
        let reply = match self.call("the version", Opcode::Version, &body, &[]) {
            Err(ClientError::Refused { cause, .. })
                if cause.raw_os_error() == Some(Errno::BUSY.raw_os_error()) =>
            {
                return Err(ClientError::Busy {
                    path: self.path.clone(),
                });
            }
            reply => reply?,
        };
        match VersionBody::decode(&mut Reader(&reply)) {
            Some(version) if version.major == major => Ok(()),
            _ => Err(ClientError::Broken {
                what: "the version",
                cause: io::Error::other("another version of the protocol"),
            }),
        }
    }

    /// Interrupt vectors that the card has.
    pub fn vectors(&self) -> Result<usize, ClientError> {
        let what = "the number of interrupts";
        let asked = IrqInfo {
            argsz: IrqInfo::BYTES as u32,
            index: irq::MSIX,
            ..IrqInfo::default()
        };
        let reply = self.call(what, Opcode::IrqInfo, &asked.encode(), &[])?;
        let info = IrqInfo::decode(&mut Reader(&reply)).ok_or_else(|| broken(what))?;
        Ok(info.count.min(wire::MAX_FDS as u32) as usize)
    }

    /// Sends the vectors to these eventfds.
    pub fn connect_vectors(&self, signals: &Signals) -> Result<(), ClientError> {
        let fds = signals.eventfds();
        let set = SetIrqs {
            argsz: SetIrqs::BYTES as u32,
            flags: wire::IRQ_DATA_EVENTFD | wire::IRQ_ACTION_TRIGGER,
            index: irq::MSIX,
            start: 0,
            count: fds.len() as u32,
        };
        self.call("interrupts", Opcode::SetIrqs, &set.encode(), &fds)
            .map(drop)
    }

    /// Reads `count` bytes at `offset` of a region.
    pub fn read(&self, region: u32, offset: u64, count: u32) -> Result<Vec<u8>, ClientError> {
        let what = "a read";
        let access = RegionAccess {
            offset,
            region,
            count,
        };
        let reply = self.call(what, Opcode::RegionRead, &access.encode(), &[])?;
        let data = reply.get(RegionAccess::BYTES..).unwrap_or_default();
        match data.len() == count as usize {
            true => Ok(data.to_vec()),
            false => Err(broken(what)),
        }
    }

    /// Writes to a region; posted unless told to `wait`.
    pub fn write(
        &self,
        region: u32,
        offset: u64,
        data: &[u8],
        wait: bool,
    ) -> Result<(), ClientError> {
        let access = RegionAccess {
            offset,
            region,
            count: data.len() as u32,
        };
        let mut body = access.encode();
        body.extend(data);
        if wait {
            return self
                .call("a write", Opcode::RegionWrite, &body, &[])
                .map(drop);
        }
        let mut link = self.link();
        let header = self.header(&mut link, Opcode::RegionWrite, true);
        let until = Some(Instant::now() + PATIENCE);
        send(&link.socket, header, &body, &[], until).map_err(|cause| {
            self.lose(&link.socket);
            ClientError::Broken {
                what: "a write",
                cause,
            }
        })
    }

    /// Memory space and bus mastering on or off.
    pub fn set_command(&self, on: bool) -> Result<(), ClientError> {
        let (offset, bits) = COMMAND;
        let data = if on { bits } else { 0 }.to_le_bytes();
        self.write(region::CONFIG, offset, &data, true)
    }

    /// Waits for the connection's end, and tells.
    pub fn watch(&self, socket: &UnixStream) {
        let mut watched = [PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::RDHUP)];
        while let Err(Errno::INTR) = poll(&mut watched, None) {}
        self.gone.store(true, Ordering::Release);
        // An error only means that there is no receiver.
        drop(self.events.send(TransportEvent::Removed));
    }
}

fn broken(what: &'static str) -> ClientError {
    ClientError::Broken {
        what,
        cause: io::Error::other("the answer has another length"),
    }
}
