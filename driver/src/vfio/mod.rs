//! A card on PCIe, through Linux VFIO: the real path.
//!
//! [`VfioCard`] implements [`Transport`] with the kernel's group and container
//! interface (type 1 IOMMU). It works without root, for whoever may open the
//! group's device file; `carillon bind` hands a card over.
//!
//! ```text
//!  registers   mmio ---- BAR0 mapped; sigbus: a BAR that vanishes reads all ones
//!  DMA         container - one IOMMU domain a card; iova: which addresses are free
//!  interrupts  signals --- MSI-X -> eventfd -> one thread -> InterruptLine
//!  the rest    config_space - bus mastering, memory space; sys - the system calls
//! ```
//!
//! When the kernel wants the card back (it is being unplugged), everything that
//! holds it is let go at once, without waiting for the program: the registers
//! then read all ones, and the IOMMU domain is gone with all its mappings.

mod config_space;
mod container;
mod error;
pub mod iova;
mod mmio;
mod sigbus;
pub mod signals;
mod sys;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;
use vfio_bindings::bindings::vfio as abi;

pub use error::VfioError;

use self::config_space::ConfigSpace;
use self::container::Container;
use self::mmio::Mmio;
use self::signals::{Notice, Signals};
use crate::claim::{Claim, ClaimSlot};
use crate::memory::HostMemory;
use crate::pci::PciAddress;
use crate::registers;
use crate::transport::{Direction, InterruptLine, Transport, TransportError, TransportEvent};

/// Bytes of BAR0 (contract, "Registers").
const BAR_BYTES: u64 = 64 << 10;
/// The admin queue's vector and the one for asynchronous events, at least.
const MIN_VECTORS: u32 = 2;
/// More vectors than this are not connected.
const MAX_VECTORS: u32 = 64;

/// What is let go when the card is: in this order.
#[derive(Debug)]
struct Live {
    device: File,
    config: u64,
    container: Container,
}

impl Live {
    fn config(&self) -> ConfigSpace<'_> {
        ConfigSpace {
            device: &self.device,
            offset: self.config,
        }
    }
}

#[derive(Debug)]
struct Inner {
    address: PciAddress,
    // Before `live`: as long as the BAR is mapped, the kernel keeps the device.
    mmio: Mmio,
    live: Mutex<Option<Live>>,
    events: broadcast::Sender<TransportEvent>,
}

/// A card behind VFIO. Dropping it hands the card back to the kernel, which
/// stops its DMA and resets it.
#[derive(Debug)]
pub struct VfioCard {
    // First, so that its thread has ended before the card is let go.
    signals: Signals,
    inner: Arc<Inner>,
    claims: ClaimSlot,
}

impl VfioCard {
    /// Opens the card at `address`: alone in its IOMMU domain, registers
    /// mapped, interrupts connected, bus mastering on. Blocks for as long as the
    /// kernel takes to reset the card.
    ///
    /// # Errors
    /// [`VfioError`]; nothing stays open.
    pub fn open(address: PciAddress) -> Result<Self, VfioError> {
        let system = |step| {
            move |cause: io::Error| VfioError::System {
                address,
                step,
                cause,
            }
        };
        let container = Container::open(address)?;
        let device = container.device(address)?;
        let info =
            sys::device_info(&device).map_err(|e| system("asking for the device")(e.into()))?;
        if !info.resets {
            return Err(VfioError::NoReset { address });
        }
        let region = |index| {
            let region = sys::region(&device, index);
            region.map_err(|e| system("asking for a region")(e.into()))
        };
        let bar = region(abi::VFIO_PCI_BAR0_REGION_INDEX)?;
        if bar.bytes < BAR_BYTES || !bar.mappable {
            return Err(VfioError::Bar {
                address,
                bytes: bar.bytes,
                needed: BAR_BYTES,
                mappable: bar.mappable,
            });
        }
        let config = region(abi::VFIO_PCI_CONFIG_REGION_INDEX)?.offset;
        let vectors = sys::irq_count(&device, abi::VFIO_PCI_MSIX_IRQ_INDEX)
            .map_err(|e| system("asking for interrupts")(e.into()))?;
        if vectors < MIN_VECTORS {
            return Err(VfioError::Vectors {
                address,
                vectors,
                needed: MIN_VECTORS,
            });
        }
        let mmio = Mmio::map(&device, bar.offset, BAR_BYTES as usize)
            .map_err(|e| system("mapping BAR0")(e.into()))?;
        let live = Live {
            device,
            config,
            container,
        };
        let inner = Arc::new(Inner {
            address,
            mmio,
            live: Mutex::new(Some(live)),
            events: broadcast::channel(16).0,
        });
        let theirs = Arc::clone(&inner);
        let count = vectors.min(MAX_VECTORS) as usize;
        let signals = Signals::start(count, move |notice| theirs.notice(notice))
            .map_err(system("starting the thread of interrupts"))?;
        let card = Self {
            signals,
            inner,
            claims: ClaimSlot::default(),
        };
        card.connect(info.irqs)
            .map_err(system("connecting interrupts"))?;
        card.inner
            .with(|live| live.config().enable())
            .unwrap_or_else(|| Err(io::Error::other("the card was taken away")))
            .map_err(system("switching bus mastering on"))?;
        Ok(card)
    }

    /// Reads from a region of the device's file other than the registers, by
    /// system call: for tools and for the window of a simulated card.
    ///
    /// # Errors
    /// The kernel's; of kind `NotFound` once the card is gone.
    pub fn read_region(&self, index: u32, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.in_region(index, |device, start| {
            device.read_exact_at(out, start + offset)
        })
    }

    /// Writes to such a region.
    ///
    /// # Errors
    /// As [`VfioCard::read_region`].
    pub fn write_region(&self, index: u32, offset: u64, data: &[u8]) -> io::Result<()> {
        self.in_region(index, |device, start| {
            device.write_all_at(data, start + offset)
        })
    }

    fn in_region(
        &self,
        index: u32,
        act: impl FnOnce(&File, u64) -> io::Result<()>,
    ) -> io::Result<()> {
        self.inner
            .with(|live| act(&live.device, sys::region(&live.device, index)?.offset))
            .unwrap_or_else(|| Err(io::ErrorKind::NotFound.into()))
    }

    /// Connects vectors and notices to their eventfds.
    fn connect(&self, irqs: u32) -> io::Result<()> {
        self.inner
            .with(|live| {
                let vectors = self.signals.vectors();
                sys::set_irqs(&live.device, abi::VFIO_PCI_MSIX_IRQ_INDEX, &vectors)?;
                let notices = [
                    (abi::VFIO_PCI_REQ_IRQ_INDEX, Notice::Release),
                    (abi::VFIO_PCI_ERR_IRQ_INDEX, Notice::BusError),
                ];
                for (index, notice) in notices {
                    // Error reporting is there only where the slot has it.
                    if index < irqs && sys::irq_count(&live.device, index).unwrap_or(0) > 0 {
                        sys::set_irqs(&live.device, index, &[self.signals.of(notice)])?;
                    }
                }
                Ok(())
            })
            .unwrap_or(Ok(()))
    }
}

impl Inner {
    fn live(&self) -> MutexGuard<'_, Option<Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the open device; `None` once the card is gone.
    fn with<T>(&self, act: impl FnOnce(&Live) -> T) -> Option<T> {
        self.live().as_ref().map(act)
    }

    fn gone(&self) -> TransportError {
        TransportError::Gone {
            transport: self.address.to_string(),
        }
    }

    fn notice(&self, notice: Notice) {
        let event = match notice {
            Notice::Release => {
                tracing::warn!(address = %self.address, "the kernel asks for the card");
                self.release();
                TransportEvent::Removed
            }
            // The kernel resets the link, and the card with it.
            Notice::BusError => {
                tracing::error!(address = %self.address, "uncorrectable bus error");
                TransportEvent::Reset
            }
        };
        // An error only means that there is no receiver.
        drop(self.events.send(event));
    }

    /// Lets go of the card; what it could reach is unmapped with its domain.
    fn release(&self) {
        self.mmio.detach();
        drop(self.live().take());
    }

    fn reset(&self, live: &Live) -> io::Result<()> {
        // Nothing that the card began may outlive the reset.
        live.config().stop_mastering()?;
        let reset = sys::reset(&live.device);
        // After a failure, too: the card would be deaf to whoever opens it next.
        // `recovery` takes all memory from it.
        let enabled = live.config().enable();
        reset?;
        enabled
    }
}

impl Drop for Inner {
    /// The kernel resets a card that is let go, and waits up to a minute for one
    /// that does not answer. Whoever reports such a card is not held up: another
    /// thread closes it.
    fn drop(&mut self) {
        if self.mmio.read(registers::magic::OFFSET) != u32::MAX {
            return;
        }
        let Some(live) = self.live().take() else {
            return;
        };
        // The kernel keeps the device while its BAR is mapped.
        self.mmio.detach();
        let closing = std::thread::Builder::new().name("carillon-let-go".into());
        // Without a thread it is closed here.
        if let Err(error) = closing.spawn(move || drop(live)) {
            tracing::warn!(%error, "closing a lost card took this thread's time");
        }
    }
}

impl Transport for VfioCard {
    fn describe(&self) -> String {
        self.inner.address.to_string()
    }

    fn read32(&self, offset: u32) -> u32 {
        self.inner.mmio.read(offset)
    }

    fn write32(&self, offset: u32, value: u32) {
        self.inner.mmio.write(offset, value);
    }

    fn map(&self, memory: Arc<HostMemory>, direction: Direction) -> Result<u64, TransportError> {
        self.inner
            .with(|live| live.container.map(memory, direction))
            .unwrap_or_else(|| Err(self.inner.gone()))
    }

    fn unmap(&self, iova: u64) -> Result<(), TransportError> {
        self.inner
            .with(|live| live.container.unmap(iova))
            .unwrap_or_else(|| Err(self.inner.gone()))
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
        self.inner
            .with(|live| self.inner.reset(live))
            .unwrap_or_else(|| Err(io::ErrorKind::NotFound.into()))
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => self.inner.gone(),
                _ => TransportError::Reset {
                    cause: error.to_string(),
                },
            })
    }

    fn claim(&self) -> Result<Claim, TransportError> {
        Ok(self.claims.take(&self.describe())?)
    }

    fn events(&self) -> broadcast::Receiver<TransportEvent> {
        self.inner.events.subscribe()
    }
}
