//! The two memories that a simulated card works on.
//!
//! [`DmaSpace`] is the host side: the table of DMA mappings that stands for
//! the IOMMU. It checks every access of the card against range and direction;
//! what fails is a bus error at the card and touches nothing.
//! [`CardMemory`] is the card's own DDR. Both cards (`crate::model` and
//! `crate::rtl`) use both, so that the same faults hit them in the same way.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use carillon_driver::memory::{HostMemory, PAGE};
use carillon_driver::transport::{Direction, TransportError};

use crate::faults::{Injector, Outcome};

/// An access that the bus answered with an error (AXI `SLVERR`/`DECERR`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bus error at address {address:#x}")]
pub struct BusError {
    /// First address of the access.
    pub address: u64,
}

#[derive(Debug)]
struct Mapping {
    memory: Arc<HostMemory>,
    direction: Direction,
}

/// First I/O address handed out. Not zero, so that a forgotten address is a
/// bus error, and above 4 GiB, so that a truncated one is too.
const FIRST_IOVA: u64 = 0x1_0000_0000;
/// Unmapped gap after each mapping: running over the end is a bus error.
const GUARD: u64 = 1 << 20;

#[derive(Debug)]
struct Table {
    mappings: BTreeMap<u64, Mapping>,
    next: u64,
}

/// What an injected fault makes of an access of the card to host memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It happens as always.
    Pass,
    /// A bus error.
    Fail,
    /// It looks to the card as if it had happened, but has not (writes).
    Lose,
}

/// An access of the card to host memory, as an injected fault sees it.
#[derive(Debug)]
pub enum DmaAccess<'a> {
    /// The card reads this many bytes.
    Read {
        /// I/O address.
        address: u64,
        /// Bytes.
        bytes: usize,
    },
    /// The card writes these bytes, which may be changed on the way.
    Write {
        /// I/O address.
        address: u64,
        /// The data. Completions are the only writes of 32 bytes.
        data: &'a mut Vec<u8>,
    },
}

/// Judges every access of the card to host memory.
pub type DmaFault = Box<dyn FnMut(DmaAccess<'_>) -> Verdict + Send>;

/// The host memory that a simulated card can reach, by I/O address.
pub struct DmaSpace {
    table: RwLock<Table>,
    fault: Mutex<Option<DmaFault>>,
    faults: Injector,
    rogue_accesses: AtomicU64,
    rogue_errors: AtomicU64,
}

impl Default for DmaSpace {
    fn default() -> Self {
        let table = Table {
            mappings: BTreeMap::new(),
            next: FIRST_IOVA,
        };
        Self {
            table: RwLock::new(table),
            fault: Mutex::new(None),
            faults: Injector::default(),
            rogue_accesses: AtomicU64::new(0),
            rogue_errors: AtomicU64::new(0),
        }
    }
}

impl fmt::Debug for DmaSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DmaSpace")
            .field("mapped", &self.mapped())
            .finish_non_exhaustive()
    }
}

impl DmaSpace {
    /// Adds a mapping; see [`carillon_driver::transport::Transport::map`].
    ///
    /// # Errors
    /// [`TransportError::Map`] when the address space is used up.
    pub fn map(
        &self,
        memory: Arc<HostMemory>,
        direction: Direction,
    ) -> Result<u64, TransportError> {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let bytes = memory.len();
        let iova = table.next;
        let next = (bytes as u64)
            .checked_next_multiple_of(PAGE as u64)
            .and_then(|b| b.checked_add(GUARD))
            .and_then(|b| b.checked_add(iova))
            .filter(|&n| n < 1 << 48)
            .ok_or_else(|| TransportError::Map {
                bytes,
                cause: "48-bit I/O address space used up".into(),
            })?;
        table.next = next;
        table.mappings.insert(iova, Mapping { memory, direction });
        Ok(iova)
    }

    /// Ends a mapping; waits for accesses under way.
    ///
    /// # Errors
    /// [`TransportError::NotMapped`] when no mapping starts at `iova`.
    pub fn unmap(&self, iova: u64) -> Result<(), TransportError> {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        table
            .mappings
            .remove(&iova)
            .map(drop)
            .ok_or(TransportError::NotMapped { iova })
    }

    /// Injects a fault of the caller's own from now on; `None` heals it. For
    /// what [`crate::faults::CardFault`] cannot say, in the card's own process.
    pub fn inject(&self, fault: Option<DmaFault>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// The card's faults.
    pub(crate) fn faults(&self) -> &Injector {
        &self.faults
    }

    /// The card reaches for memory that no command named
    /// ([`crate::faults::CardFault::Rogue`]).
    pub(crate) fn go_rogue(&self, write: bool, address: u64, bytes: u32) {
        let mut data = vec![0xa5; bytes as usize];
        let done = if write {
            self.put(address, &data)
        } else {
            self.get(address, &mut data)
        };
        self.rogue_accesses.fetch_add(1, Ordering::AcqRel);
        if done.is_err() {
            self.rogue_errors.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Accesses made by [`crate::faults::CardFault::Rogue`], and how many of
    /// them were refused.
    pub fn rogue(&self) -> (u64, u64) {
        (
            self.rogue_accesses.load(Ordering::Acquire),
            self.rogue_errors.load(Ordering::Acquire),
        )
    }

    /// Mappings there are now.
    pub fn mapped(&self) -> usize {
        self.table
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .mappings
            .len()
    }

    fn with<T>(
        &self,
        address: u64,
        allowed: impl Fn(Direction) -> bool,
        access: impl FnOnce(&HostMemory, usize) -> Option<T>,
    ) -> Result<T, BusError> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let (base, mapping) = table
            .mappings
            .range(..=address)
            .next_back()
            .ok_or(BusError { address })?;
        if !allowed(mapping.direction) {
            return Err(BusError { address });
        }
        let offset = usize::try_from(address - base).map_err(|_| BusError { address })?;
        access(&mapping.memory, offset).ok_or(BusError { address })
    }

    /// The card reads host memory.
    ///
    /// # Errors
    /// [`BusError`] outside any mapping or where the card may not read; `out`
    /// is then unchanged.
    pub fn read(&self, address: u64, out: &mut [u8]) -> Result<(), BusError> {
        if let Some(fault) = self
            .fault
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_mut()
            && fault(DmaAccess::Read {
                address,
                bytes: out.len(),
            }) != Verdict::Pass
        {
            return Err(BusError { address });
        }
        let decision = self.faults.read(address, out.len());
        wait(decision.wait);
        if decision.outcome == Outcome::Fail {
            return Err(BusError { address });
        }
        self.get(address, out)
    }

    fn get(&self, address: u64, out: &mut [u8]) -> Result<(), BusError> {
        self.with(address, Direction::card_may_read, |m, at| {
            m.read(at, out).ok()
        })
    }

    /// The card writes host memory. The last 8-byte word becomes visible last.
    ///
    /// # Errors
    /// [`BusError`] outside any mapping or where the card may not write;
    /// nothing is then written.
    pub fn write(&self, address: u64, data: &[u8]) -> Result<(), BusError> {
        if let Some(fault) = self
            .fault
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_mut()
        {
            let mut data = data.to_vec();
            return match fault(DmaAccess::Write {
                address,
                data: &mut data,
            }) {
                Verdict::Pass => self.put(address, &data),
                Verdict::Fail => Err(BusError { address }),
                Verdict::Lose => Ok(()),
            };
        }
        let mut data = data.to_vec();
        let decision = self.faults.write(address, &mut data);
        wait(decision.wait);
        match decision.outcome {
            Outcome::Pass => self.put(address, &data),
            Outcome::Fail => Err(BusError { address }),
            Outcome::Lose => Ok(()),
            Outcome::LastWordFirst(gap) => {
                let (rest, last) = data.split_at(data.len().saturating_sub(8));
                self.put(address + rest.len() as u64, last)?;
                wait(gap);
                self.put(address, rest)
            }
            Outcome::After(other, bytes) => {
                self.put(other, &bytes)?;
                self.put(address, &data)
            }
        }
    }

    fn put(&self, address: u64, data: &[u8]) -> Result<(), BusError> {
        self.with(address, Direction::card_may_write, |m, at| {
            m.write(at, data).ok()
        })
    }
}

fn wait(time: std::time::Duration) {
    if !time.is_zero() {
        std::thread::sleep(time);
    }
}

/// Card memory that answers with a bus error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryFault {
    /// First byte.
    pub address: u64,
    /// Bytes.
    pub bytes: u64,
    /// Reads fail.
    pub reads: bool,
    /// Writes fail and have no effect.
    pub writes: bool,
}

impl MemoryFault {
    /// Whether an access of `bytes` bytes at `address` fails.
    #[must_use]
    pub fn hits(&self, address: u64, bytes: u64, write: bool) -> bool {
        let concerned = if write { self.writes } else { self.reads };
        concerned
            && address < self.address.saturating_add(self.bytes)
            && self.address < address.saturating_add(bytes)
    }
}

/// The card's own memory: bytes from address 0.
#[derive(Debug)]
pub struct CardMemory {
    // The system hands out zero pages on first touch, so an untouched
    // gigabyte costs nothing.
    bytes: Vec<u8>,
}

impl CardMemory {
    /// Zeroed memory of `bytes` bytes.
    pub fn new(bytes: usize) -> Self {
        Self {
            bytes: vec![0; bytes],
        }
    }

    /// Size in bytes.
    pub fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Whether there is no memory at all.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn range(&self, address: u64, len: usize) -> Result<std::ops::Range<usize>, BusError> {
        let start = usize::try_from(address).map_err(|_| BusError { address })?;
        let end = start
            .checked_add(len)
            .filter(|&e| e <= self.bytes.len())
            .ok_or(BusError { address })?;
        Ok(start..end)
    }

    /// The bytes `address..address + len`.
    ///
    /// # Errors
    /// [`BusError`] beyond the end.
    pub fn slice(&self, address: u64, len: usize) -> Result<&[u8], BusError> {
        let range = self.range(address, len)?;
        Ok(&self.bytes[range])
    }

    /// The bytes `address..address + len`, to be written.
    ///
    /// # Errors
    /// [`BusError`] beyond the end.
    pub fn slice_mut(&mut self, address: u64, len: usize) -> Result<&mut [u8], BusError> {
        let range = self.range(address, len)?;
        Ok(&mut self.bytes[range])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn range_and_direction_are_enforced() {
        let space = DmaSpace::default();
        let down = Arc::new(HostMemory::allocate(PAGE).unwrap());
        let up = Arc::new(HostMemory::allocate(PAGE).unwrap());
        let d = space.map(Arc::clone(&down), Direction::ToDevice).unwrap();
        let u = space.map(Arc::clone(&up), Direction::FromDevice).unwrap();
        assert_eq!((d % PAGE as u64, u % PAGE as u64), (0, 0));
        down.write(8, b"operands").unwrap();
        let mut got = [0; 8];
        space.read(d + 8, &mut got).unwrap();
        assert_eq!(&got, b"operands");
        assert_eq!(space.write(d, &[1; 8]), Err(BusError { address: d }));
        assert_eq!(space.read(u, &mut got), Err(BusError { address: u }));
        space.write(u + 4088, b"complete").unwrap();
        up.read(4088, &mut got).unwrap();
        assert_eq!(&got, b"complete");
        assert!(space.write(u + 4092, b"complete").is_err(), "over the end");
        assert!(space.read(0, &mut got).is_err() && space.read(u64::MAX, &mut got).is_err());
        space.unmap(d).unwrap();
        assert!(space.read(d, &mut got).is_err(), "after unmap");
        assert!(matches!(
            space.unmap(d),
            Err(TransportError::NotMapped { .. })
        ));
        assert_eq!(space.mapped(), 1);
    }

    #[test]
    fn card_memory_ends_where_it_ends() {
        let mut memory = CardMemory::new(128);
        memory.slice_mut(64, 64).unwrap().fill(7);
        assert_eq!(memory.slice(120, 8).unwrap(), [7; 8]);
        assert!(memory.slice(120, 9).is_err() && memory.slice_mut(u64::MAX, 2).is_err());
    }
}
