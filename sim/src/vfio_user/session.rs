//! One client's time with a served card: its messages, answered in order.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};

use carillon_driver::memory::HostMemory;
use carillon_driver::transport::{Direction, InterruptLine, TransportEvent};
use rustix::io::Errno;
use tokio::sync::broadcast::error::RecvError;

use super::config_space::{self, ConfigSpace};
use super::side_channel::{self, SideChannel};
use super::socket::{self, Message};
use super::vectors::Vectors;
use super::wire::{
    self, DeviceInfo, DmaMap, DmaUnmap, Header, IrqInfo, Opcode, Reader, RegionAccess, RegionInfo,
    SetIrqs, VersionBody, irq, region,
};
use crate::card::SimCard;

/// Bytes of BAR0 (contract, "Registers").
const BAR0_BYTES: u64 = 64 << 10;
/// Bytes of BAR2: the MSI-X table, which the other side emulates.
const BAR2_BYTES: u64 = 4096;
/// What a server offers, beside its version.
const CAPABILITIES: &str =
    r#"{"capabilities":{"max_msg_fds":16,"max_data_xfer_size":1048576,"max_dma_maps":65535}}"#;

/// What a message is answered with: a body, or an error number.
type Reply = Result<Vec<u8>, Errno>;

/// A client and the card that it has.
pub(super) struct Session {
    socket: UnixStream,
    card: Arc<dyn SimCard>,
    config: ConfigSpace,
    vectors: Vectors,
    lines: Vec<Arc<InterruptLine>>,
    side: Arc<Mutex<SideChannel>>,
    /// Memory of the client, each file mapped once: one mapping of a file for
    /// every page of it would reach the system's limit.
    memory: HashMap<(u64, u64), Arc<HostMemory>>,
}

impl Session {
    pub fn new(socket: UnixStream, card: Arc<dyn SimCard>) -> Self {
        let mut lines = Vec::new();
        while let Ok(line) = card.interrupt(lines.len() as u16) {
            lines.push(line);
        }
        let vectors = lines.len() as u16;
        // Nobody has switched bus mastering on yet.
        card.dma().set_master(false);
        Self {
            socket,
            card,
            config: ConfigSpace::new(vectors),
            vectors: Vectors::new(vectors),
            lines,
            side: Arc::default(),
            memory: HashMap::new(),
        }
    }

    /// Serves until the client leaves; then nothing of the client is reachable
    /// any more and the card is as after power-on.
    pub fn run(mut self) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("carillon-vfio-user")
            .build()?;
        let following = runtime.block_on(async { self.vectors.follow(&self.lines) });
        self.watch_removal(&runtime)?;
        let served = self.serve();
        drop(following);
        self.end();
        served
    }

    /// Closes the connection when the card leaves the bus, unless this client
    /// asked for that through its window.
    fn watch_removal(&self, runtime: &tokio::runtime::Runtime) -> io::Result<()> {
        let mut events = self.card.events();
        let socket = self.socket.try_clone()?;
        let side = Arc::clone(&self.side);
        runtime.spawn(async move {
            loop {
                let removals = match events.recv().await {
                    Ok(TransportEvent::Removed) => 1,
                    Ok(TransportEvent::Reset) => 0,
                    // Simulated cards tell of nothing but removals.
                    Err(RecvError::Lagged(missed)) => missed,
                    Err(RecvError::Closed) => return,
                };
                // Under the lock, so that a removal is counted before it is heard.
                let mut side = side.lock().unwrap_or_else(PoisonError::into_inner);
                if side.left_on_its_own(removals) {
                    // Fails only when the client has left already.
                    let _ = socket.shutdown(std::net::Shutdown::Both);
                }
            }
        });
        Ok(())
    }

    fn serve(&mut self) -> io::Result<()> {
        while let Some(message) = socket::receive(&self.socket, None)? {
            let header = message.header;
            if header.reply {
                continue;
            }
            let reply = self.answer(message);
            if let Err(error) = &reply {
                tracing::warn!(command = header.command, %error, "refused");
            }
            if header.no_reply {
                continue;
            }
            let answer = Header {
                reply: true,
                no_reply: false,
                error: reply.as_ref().err().map(|e| e.raw_os_error() as u32),
                ..header
            };
            socket::send(&self.socket, answer, &reply.unwrap_or_default(), &[], None)?;
        }
        Ok(())
    }

    fn end(&mut self) {
        // The server keeps a copy of the socket; the client must not wait for an
        // answer from it. Fails only when the client has left already.
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        self.vectors.disconnect();
        self.card.dma().set_master(false);
        self.card.dma().unmap_range(0, u64::MAX);
        if let Err(error) = self.card.reset() {
            tracing::warn!(%error, "the card was left without a reset");
        }
    }

    fn answer(&mut self, message: Message) -> Reply {
        let Message { header, body, fds } = message;
        let mut reader = Reader(&body);
        let short = Errno::INVAL;
        match Opcode::from_number(header.command).ok_or(Errno::NOTSUP)? {
            Opcode::Version => version(VersionBody::decode(&mut reader).ok_or(short)?),
            Opcode::DmaMap => self.map(&DmaMap::decode(&mut reader).ok_or(short)?, fds),
            Opcode::DmaUnmap => {
                let unmap = DmaUnmap::decode(&mut reader).ok_or(short)?;
                self.card.dma().unmap_range(unmap.address, unmap.size);
                Ok(unmap.encode())
            }
            Opcode::DeviceInfo => Ok(DeviceInfo {
                argsz: DeviceInfo::BYTES as u32,
                flags: wire::DEVICE_RESETS | wire::DEVICE_PCI,
                regions: region::COUNT,
                irqs: irq::COUNT,
            }
            .encode()),
            Opcode::RegionInfo => region_info(&RegionInfo::decode(&mut reader).ok_or(short)?),
            Opcode::IrqInfo => self.irq_info(&IrqInfo::decode(&mut reader).ok_or(short)?),
            Opcode::SetIrqs => self.set_irqs(&SetIrqs::decode(&mut reader).ok_or(short)?, fds),
            Opcode::RegionRead => self.read(&RegionAccess::decode(&mut reader).ok_or(short)?),
            Opcode::RegionWrite => {
                let access = RegionAccess::decode(&mut reader).ok_or(short)?;
                self.write(&access, reader.rest())
            }
            Opcode::Reset => self.reset(),
        }
    }

    fn map(&mut self, map: &DmaMap, fds: Vec<OwnedFd>) -> Reply {
        let direction = match map.flags {
            wire::READ => Direction::ToDevice,
            wire::WRITE => Direction::FromDevice,
            f if f == wire::READ | wire::WRITE => Direction::Bidirectional,
            _ => return Err(Errno::INVAL),
        };
        // Memory without a file (a ROM) cannot be reached by DMA.
        let Some(fd) = fds.into_iter().next() else {
            return Ok(Vec::new());
        };
        let memory = self.import(fd)?;
        self.card
            .dma()
            .map_at(map.address, memory, map.offset, map.size, direction)
            .map(|()| Vec::new())
            .map_err(|error| {
                tracing::warn!(%error, address = map.address, "mapping refused");
                Errno::INVAL
            })
    }

    fn import(&mut self, fd: OwnedFd) -> Result<Arc<HostMemory>, Errno> {
        let stat = rustix::fs::fstat(&fd)?;
        let key = (stat.st_dev, stat.st_ino);
        if let Some(memory) = self.memory.get(&key) {
            return Ok(Arc::clone(memory));
        }
        // Files that nothing is mapped of any more can go.
        self.memory
            .retain(|_, memory| Arc::strong_count(memory) > 1);
        let memory = HostMemory::import(fd).map_err(|error| {
            tracing::warn!(%error, "memory of the client refused");
            Errno::INVAL
        })?;
        let memory = Arc::new(memory);
        self.memory.insert(key, Arc::clone(&memory));
        Ok(memory)
    }

    fn irq_info(&self, asked: &IrqInfo) -> Reply {
        if asked.index >= irq::COUNT {
            return Err(Errno::INVAL);
        }
        let msix = asked.index == irq::MSIX;
        Ok(IrqInfo {
            argsz: IrqInfo::BYTES as u32,
            flags: if msix {
                wire::IRQ_EVENTFD | wire::IRQ_NORESIZE
            } else {
                0
            },
            index: asked.index,
            count: if msix { self.lines.len() as u32 } else { 0 },
        }
        .encode())
    }

    fn set_irqs(&mut self, set: &SetIrqs, fds: Vec<OwnedFd>) -> Reply {
        let end = set.start.checked_add(set.count);
        if set.index != irq::MSIX || end.is_none_or(|e| e > self.lines.len() as u32) {
            return Err(Errno::INVAL);
        }
        let first = set.start as usize;
        match set.flags {
            f if f == wire::IRQ_DATA_NONE | wire::IRQ_ACTION_TRIGGER => match set.count {
                0 => self.vectors.disconnect(),
                // As the specification has it: the vectors are to be sent now.
                count => (first..first + count as usize).for_each(|v| self.vectors.fire(v)),
            },
            f if f == wire::IRQ_DATA_EVENTFD | wire::IRQ_ACTION_TRIGGER => {
                let mut fds = fds.into_iter();
                for vector in first..first + set.count as usize {
                    self.vectors.connect(vector, fds.next());
                }
            }
            // MSI-X is not masked over this interface.
            _ => return Err(Errno::NOTSUP),
        }
        Ok(Vec::new())
    }

    fn read(&mut self, access: &RegionAccess) -> Reply {
        let count = checked(access)?;
        let mut data = vec![0; count];
        match access.region {
            region::BAR0 => {
                for (i, word) in data.chunks_exact_mut(4).enumerate() {
                    let offset = access.offset as u32 + 4 * i as u32;
                    word.copy_from_slice(&self.card.read32(offset).to_le_bytes());
                }
            }
            region::CONFIG => self.config.read(access.offset, &mut data),
            region::BAR4 => self.side().read(access.offset, &mut data, &*self.card),
            _ => {}
        }
        let mut reply = access.encode();
        reply.extend(data);
        Ok(reply)
    }

    fn write(&mut self, access: &RegionAccess, data: &[u8]) -> Reply {
        let data = data.get(..checked(access)?).ok_or(Errno::INVAL)?;
        match access.region {
            region::BAR0 => {
                for (i, word) in data.as_chunks::<4>().0.iter().enumerate() {
                    let offset = access.offset as u32 + 4 * i as u32;
                    self.card.write32(offset, u32::from_le_bytes(*word));
                }
            }
            region::CONFIG => {
                let effects = self.config.write(access.offset, data);
                self.card.dma().set_master(self.config.is_bus_master());
                if effects.reset {
                    self.reset()?;
                }
            }
            region::BAR4 => self.side().write(access.offset, data, &*self.card),
            _ => {}
        }
        Ok(access.encode())
    }

    fn side(&self) -> std::sync::MutexGuard<'_, SideChannel> {
        self.side.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reset(&mut self) -> Reply {
        self.config.reset();
        self.card.dma().set_master(false);
        let done = self.card.reset();
        self.vectors.forget();
        done.map(|()| Vec::new()).map_err(|error| {
            tracing::warn!(%error, "reset failed");
            Errno::IO
        })
    }
}

/// The bytes of an access that lies in its region; registers in whole words.
fn checked(access: &RegionAccess) -> Result<usize, Errno> {
    let size = region_bytes(access.region);
    let end = access.offset.checked_add(access.count.into());
    let inside = end.is_some_and(|end| end <= size) && access.count as usize <= wire::MAX_DATA;
    let words = access.offset.is_multiple_of(4) && access.count.is_multiple_of(4);
    if !inside || access.region == region::BAR0 && !words {
        return Err(Errno::INVAL);
    }
    Ok(access.count as usize)
}

fn region_bytes(index: u32) -> u64 {
    match index {
        region::BAR0 => BAR0_BYTES,
        region::BAR2 => BAR2_BYTES,
        region::BAR4 => side_channel::BYTES as u64,
        region::CONFIG => config_space::BYTES as u64,
        _ => 0,
    }
}

fn region_info(asked: &RegionInfo) -> Reply {
    if asked.index >= region::COUNT {
        return Err(Errno::INVAL);
    }
    let size = region_bytes(asked.index);
    Ok(RegionInfo {
        argsz: RegionInfo::BYTES as u32,
        flags: if size > 0 {
            wire::READ | wire::WRITE
        } else {
            0
        },
        index: asked.index,
        cap_offset: 0,
        size,
        offset: 0,
    }
    .encode())
}

fn version(asked: VersionBody) -> Reply {
    if asked.major != wire::VERSION.0 {
        return Err(Errno::INVAL);
    }
    let mut reply = VersionBody {
        major: wire::VERSION.0,
        minor: wire::VERSION.1.min(asked.minor),
    }
    .encode();
    reply.extend(CAPABILITIES.as_bytes());
    reply.push(0);
    Ok(reply)
}
