//! A card in another process, reached over vfio-user.
//!
//! The driver's transport on a [`Connection`]: DMA memory is shared by
//! descriptor, interrupts come as eventfds, writes to registers are posted.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use carillon_driver::claim::{Claim, ClaimSlot};
use carillon_driver::memory::HostMemory;
use carillon_driver::transport::{
    Direction, InterruptLine, Transport, TransportError, TransportEvent,
};
use carillon_driver::vfio::iova::IovaSpace;
use carillon_driver::vfio::signals::Signals;
use tokio::sync::broadcast;

use super::connection::{ClientError, Connection};
use super::side_channel::Window;
use super::wire::{self, DmaMap, DmaUnmap, Opcode, region};

/// Mappings begin at multiples of this.
const ALIGN: u64 = 2 << 20;
#[derive(Debug)]
struct Table {
    space: IovaSpace,
    mappings: BTreeMap<u64, Arc<HostMemory>>,
}

/// A card behind a vfio-user socket. Dropping it closes the connection; the
/// server then resets the card.
#[derive(Debug)]
pub struct ClientCard {
    shared: Arc<Connection>,
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
        let (shared, watched) = Connection::open(path)?;
        let shared = Arc::new(shared);
        shared.greet()?;
        let vectors = shared.vectors()?;
        let signals =
            Signals::start(vectors, |_| {}).map_err(|cause| ClientError::Resource { cause })?;
        shared.connect_vectors(&signals)?;
        shared.set_command(true)?;
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
        match self.shared.is_gone() {
            false => Ok(()),
            true => Err(TransportError::Gone {
                transport: self.describe(),
            }),
        }
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
        format!("vfio-user:{}", self.shared.path().display())
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
        let enabled = self.shared.set_command(true);
        reset.and(enabled).map_err(|error| match self.present() {
            Err(gone) => gone,
            Ok(()) => TransportError::Reset {
                cause: error.to_string(),
            },
        })
    }

    fn claim(&self) -> Result<Claim, TransportError> {
        Ok(self.claims.take(&self.describe())?)
    }

    fn events(&self) -> broadcast::Receiver<TransportEvent> {
        self.shared.events()
    }
}

impl Drop for ClientCard {
    fn drop(&mut self) {
        self.shared.close();
        if let Some(watcher) = self.watcher.take()
            && watcher.join().is_err()
        {
            tracing::error!("the thread that watches a connection panicked");
        }
    }
}
