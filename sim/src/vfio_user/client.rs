//! A card in another process, reached over vfio-user.
//!
//! The client's side of the protocol with a deadline on every answer. DMA
//! memory is shared by descriptor, interrupts come as eventfds, writes to
//! registers are posted.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use carillon_driver::claim::{Claim, ClaimSlot};
use carillon_driver::memory::HostMemory;
use carillon_driver::transport::{
    Direction, InterruptLine, Transport, TransportError, TransportEvent,
};
use carillon_driver::vfio::iova::IovaSpace;
use carillon_driver::vfio::signals::Signals;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use tokio::sync::broadcast;

use super::side_channel::Window;
use super::socket::{receive, send};
use super::wire::{
    self, DmaMap, DmaUnmap, Header, IrqInfo, Opcode, Reader, RegionAccess, SetIrqs, VersionBody,
    irq, region,
};

/// Longest wait for an answer. A reset of a simulated card takes the longest.
const PATIENCE: Duration = Duration::from_secs(20);
/// Mappings begin at multiples of this.
const ALIGN: u64 = 2 << 20;
/// The command register, and its bits for memory space and bus mastering.
const COMMAND: (u64, u16) = (4, 0b110);

/// Why a card cannot be reached, or what it did wrong.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers at the socket.
    #[error(
        "no card answers at {path}: {cause}; start one with `carillon simulate --socket {path}`"
    )]
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

#[derive(Debug)]
struct Link {
    socket: UnixStream,
    next: u16,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    link: Mutex<Link>,
    gone: AtomicBool,
    events: broadcast::Sender<TransportEvent>,
}

#[derive(Debug)]
struct Table {
    space: IovaSpace,
    mappings: BTreeMap<u64, Arc<HostMemory>>,
}

/// A card behind a vfio-user socket. Dropping it closes the connection; the
/// server then resets the card.
#[derive(Debug)]
pub struct ClientCard {
    shared: Arc<Shared>,
    signals: Signals,
    table: Mutex<Table>,
    claims: ClaimSlot,
    watcher: Option<JoinHandle<()>>,
}

impl ClientCard {
    /// Connects to the card at `path`, connects its interrupts and switches bus
    /// mastering on.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn connect(path: &Path) -> Result<Self, ClientError> {
        let failed = |cause| ClientError::Connect {
            path: path.into(),
            cause,
        };
        let socket = UnixStream::connect(path).map_err(failed)?;
        socket.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        socket.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
        let watched = socket.try_clone().map_err(failed)?;
        let shared = Arc::new(Shared {
            path: path.into(),
            link: Mutex::new(Link { socket, next: 1 }),
            gone: AtomicBool::new(false),
            events: broadcast::channel(16).0,
        });
        shared.greet()?;
        let vectors = shared.vectors()?;
        let signals =
            Signals::start(vectors, |_| {}).map_err(|cause| ClientError::Resource { cause })?;
        shared.connect_vectors(&signals)?;
        shared.enable()?;
        let theirs = Arc::clone(&shared);
        let watcher = std::thread::Builder::new()
            .name("carillon-watch".into())
            .spawn(move || theirs.watch(&watched))
            .map_err(|cause| ClientError::Resource { cause })?;
        let windows = vec![0..=(1 << 48) - 1];
        Ok(Self {
            shared,
            signals,
            table: Mutex::new(Table {
                space: IovaSpace::new(windows),
                mappings: BTreeMap::new(),
            }),
            claims: ClaimSlot::default(),
            watcher: Some(watcher),
        })
    }

    fn table(&self) -> std::sync::MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn present(&self) -> Result<(), TransportError> {
        match self.shared.gone.load(Ordering::Acquire) {
            false => Ok(()),
            true => Err(TransportError::Gone {
                transport: self.describe(),
            }),
        }
    }
}

impl Shared {
    /// A request and its answer's body.
    fn call(
        &self,
        what: &'static str,
        opcode: Opcode,
        body: &[u8],
        fds: &[BorrowedFd<'_>],
    ) -> Result<Vec<u8>, ClientError> {
        let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
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
        send(&link.socket, header, body, fds)?;
        let reply =
            receive(&link.socket)?.ok_or_else(|| io::Error::other("the connection was closed"))?;
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

    fn greet(&self) -> Result<(), ClientError> {
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

    fn vectors(&self) -> Result<usize, ClientError> {
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

    fn connect_vectors(&self, signals: &Signals) -> Result<(), ClientError> {
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

    fn read(&self, region: u32, offset: u64, count: u32) -> Result<Vec<u8>, ClientError> {
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

    fn write(&self, region: u32, offset: u64, data: &[u8], wait: bool) -> Result<(), ClientError> {
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
        let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        let header = self.header(&mut link, Opcode::RegionWrite, true);
        send(&link.socket, header, &body, &[]).map_err(|cause| {
            self.lose(&link.socket);
            ClientError::Broken {
                what: "a write",
                cause,
            }
        })
    }

    fn set_command(&self, on: bool) -> Result<(), ClientError> {
        let (offset, bits) = COMMAND;
        let data = if on { bits } else { 0 }.to_le_bytes();
        self.write(region::CONFIG, offset, &data, true)
    }

    fn enable(&self) -> Result<(), ClientError> {
        self.set_command(true)
    }

    /// Waits for the connection's end, and tells.
    fn watch(&self, socket: &UnixStream) {
        let mut watched = [PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::RDHUP)];
        while let Err(Errno::INTR) = poll(&mut watched, None) {}
        self.gone.store(true, Ordering::Release);
        // Nobody listening is fine.
        drop(self.events.send(TransportEvent::Removed));
    }
}

fn broken(what: &'static str) -> ClientError {
    ClientError::Broken {
        what,
        cause: io::Error::other("the answer has another length"),
    }
}

impl Window for ClientCard {
    fn window_read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let count = u32::try_from(out.len()).map_err(io::Error::other)?;
        let data = self.shared.read(region::BAR4, offset, count);
        out.copy_from_slice(&data.map_err(io::Error::other)?);
        Ok(())
    }

    fn window_write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let written = self.shared.write(region::BAR4, offset, data, true);
        written.map_err(io::Error::other)
    }
}

impl Transport for ClientCard {
    fn describe(&self) -> String {
        format!("vfio-user:{}", self.shared.path.display())
    }

    fn read32(&self, offset: u32) -> u32 {
        let data = self.shared.read(region::BAR0, offset.into(), 4);
        data.ok()
            .and_then(|d| d.first_chunk().map(|b| u32::from_le_bytes(*b)))
            .unwrap_or(u32::MAX)
    }

    fn write32(&self, offset: u32, value: u32) {
        let data = value.to_le_bytes();
        // Posted: a card that has left is found by the next read.
        let _ = self.shared.write(region::BAR0, offset.into(), &data, false);
    }

    fn map(&self, memory: Arc<HostMemory>, direction: Direction) -> Result<u64, TransportError> {
        self.present()?;
        let bytes = memory.len();
        let refused = |cause: String| TransportError::Map { bytes, cause };
        let mut table = self.table();
        let address = table
            .space
            .take(bytes as u64, ALIGN)
            .ok_or_else(|| refused("48-bit I/O address space used up".into()))?;
        let flag = |on, flag| if on { flag } else { 0 };
        let map = DmaMap {
            argsz: DmaMap::BYTES as u32,
            flags: flag(direction.card_may_read(), wire::READ)
                | flag(direction.card_may_write(), wire::WRITE),
            offset: 0,
            address,
            size: bytes as u64,
        };
        let fds = [memory.fd()];
        if let Err(error) = self
            .shared
            .call("a mapping", Opcode::DmaMap, &map.encode(), &fds)
        {
            table.space.give(address);
            self.present()?;
            return Err(refused(error.to_string()));
        }
        table.mappings.insert(address, memory);
        Ok(address)
    }

    fn unmap(&self, iova: u64) -> Result<(), TransportError> {
        let mut table = self.table();
        let Some(memory) = table.mappings.get(&iova) else {
            return Err(TransportError::NotMapped { iova });
        };
        let unmap = DmaUnmap {
            argsz: DmaUnmap::BYTES as u32,
            flags: 0,
            address: iova,
            size: memory.len() as u64,
        };
        let unmapped = self
            .shared
            .call("an unmapping", Opcode::DmaUnmap, &unmap.encode(), &[]);
        let present = self.present();
        if let (Err(error), Ok(())) = (unmapped, &present) {
            tracing::error!(%error, iova, "cannot unmap");
            return Err(TransportError::NotMapped { iova });
        }
        table.space.give(iova);
        table.mappings.remove(&iova);
        present
    }

    fn interrupt(&self, vector: u16) -> Result<Arc<InterruptLine>, TransportError> {
        let lines = self.signals.lines();
        let line = lines.get(usize::from(vector)).map(Arc::clone);
        line.ok_or(TransportError::Vector {
            vector,
            count: lines.len() as u16,
        })
    }

    fn reset(&self) -> Result<(), TransportError> {
        self.present()?;
        let reset = self
            .shared
            .set_command(false)
            .and_then(|()| self.shared.call("a reset", Opcode::Reset, &[], &[]));
        // After a failure, too: the card would be deaf to whoever opens it next. The driver
        // takes all memory from it.
        let enabled = self.shared.enable();
        reset.and(enabled).map_err(|error| match self.present() {
            Err(gone) => gone,
            Ok(()) => TransportError::Reset {
                cause: error.to_string(),
            },
        })
    }

    fn claim(&self) -> Result<Claim, TransportError> {
        self.claims.take(&self.describe())
    }

    fn events(&self) -> broadcast::Receiver<TransportEvent> {
        self.shared.events.subscribe()
    }
}

impl Drop for ClientCard {
    fn drop(&mut self) {
        let link = self.shared.link.lock();
        let link = link.unwrap_or_else(PoisonError::into_inner);
        self.shared.lose(&link.socket);
        drop(link);
        if let Some(watcher) = self.watcher.take()
            && watcher.join().is_err()
        {
            tracing::error!("the thread that watches a connection panicked");
        }
    }
}
