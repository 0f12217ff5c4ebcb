//! The two memories that a simulated card works on.
//!
//! [`DmaSpace`] is the host side: the table of DMA mappings that stands for
//! the IOMMU. It checks every access of the card against range and direction;
//! what fails is a bus error at the card and touches nothing.
//! [`CardMemory`] is the card's own DDR. Both cards (`model` and `rtl`)
//! use both, so that the same faults hit them in the same way.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use carillon_driver::memory::{HostMemory, PAGE};
use carillon_driver::transport::{Direction, TransportError};

pub use crate::faults::MemoryFault;
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
    /// Where the mapping begins in it, and how many bytes it has.
    offset: usize,
    bytes: usize,
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

impl Table {
    /// The mapping behind `address`, where that lies in its memory, and how many
    /// bytes follow there.
    fn at(&self, address: u64) -> Option<(&Mapping, usize, usize)> {
        let (base, mapping) = self.mappings.range(..=address).next_back()?;
        let inside = usize::try_from(address - base).ok()?;
        let left = mapping.bytes.checked_sub(inside).filter(|&left| left > 0)?;
        Some((mapping, mapping.offset + inside, left))
    }
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
    /// Bus mastering: without it the card reaches nothing.
    master: AtomicBool,
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
            master: AtomicBool::new(true),
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
        let mapping = Mapping {
            memory,
            offset: 0,
            bytes,
            direction,
        };
        table.mappings.insert(iova, mapping);
        Ok(iova)
    }

    /// Adds a mapping at an address that somebody else chose: `bytes` bytes of
    /// `memory` from `offset` on. What was mapped there is replaced.
    ///
    /// # Errors
    /// [`TransportError::Map`] for a range that is empty, beyond the memory or
    /// beyond the address space.
    pub fn map_at(
        &self,
        iova: u64,
        memory: Arc<HostMemory>,
        offset: u64,
        bytes: u64,
        direction: Direction,
    ) -> Result<(), TransportError> {
        let refused = |cause: &str| TransportError::Map {
            bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
            cause: cause.into(),
        };
        let end = offset.checked_add(bytes);
        if bytes == 0 || end.is_none_or(|end| end > memory.len() as u64) {
            return Err(refused("the range is empty or beyond the memory"));
        }
        if iova.checked_add(bytes).is_none() {
            return Err(refused("the range is beyond the address space"));
        }
        self.unmap_range(iova, bytes);
        let mapping = Mapping {
            memory,
            // Within the memory's length, which is a `usize`.
            offset: offset as usize,
            bytes: bytes as usize,
            direction,
        };
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        table.mappings.insert(iova, mapping);
        Ok(())
    }

    /// Ends all mappings that have a byte in `iova..iova + bytes`; waits for
    /// accesses under way. Returns how many there were.
    pub fn unmap_range(&self, iova: u64, bytes: u64) -> usize {
        let last = iova.saturating_add(bytes.saturating_sub(1));
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let before = table.mappings.len();
        table.mappings.retain(|&start, mapping| {
            let end = start.saturating_add(mapping.bytes as u64 - 1);
            bytes == 0 || end < iova || start > last
        });
        before - table.mappings.len()
    }

    /// Bus mastering on or off; off, every access of the card is a bus error.
    /// On return no access is under way that began before.
    pub fn set_master(&self, on: bool) {
        // Accesses hold the table for reading.
        let _idle = self.table.write().unwrap_or_else(PoisonError::into_inner);
        self.master.store(on, Ordering::Release);
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

    /// Does something to `bytes` bytes at `address`, mapping by mapping: to each
    /// memory, at an offset there, for a range of the access. All is checked
    /// first, so that an access that fails touches nothing.
    fn access(
        &self,
        address: u64,
        bytes: usize,
        allowed: impl Fn(Direction) -> bool,
        mut act: impl FnMut(&HostMemory, usize, Range<usize>) -> Option<()>,
    ) -> Result<(), BusError> {
        let error = BusError { address };
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        if !self.master.load(Ordering::Acquire) {
            return Err(error);
        }
        let piece = |done: usize| {
            let at = address.checked_add(done as u64)?;
            let (mapping, offset, left) = table.at(at)?;
            let end = done + left.min(bytes - done);
            allowed(mapping.direction).then_some((&mapping.memory, offset, done..end))
        };
        let mut done = 0;
        while done < bytes {
            done = piece(done).ok_or(error)?.2.end;
        }
        done = 0;
        while done < bytes {
            let (memory, offset, range) = piece(done).ok_or(error)?;
            done = range.end;
            act(memory, offset, range).ok_or(error)?;
        }
        Ok(())
    }

    /// Access to `bytes` bytes of host memory themselves, without a copy in
    /// between: `act` gets each memory, the offset there and the range of the
    /// access, in ascending order, and ends it with `None`. `write` says what
    /// the card wants to do. `None` while a fault is injected, which has to see
    /// the data: use [`DmaSpace::read`] and [`DmaSpace::write`] then.
    ///
    /// # Errors
    /// [`BusError`] as for these two, before `act` is called; or when it says so.
    pub(crate) fn direct(
        &self,
        address: u64,
        bytes: usize,
        write: bool,
        act: impl FnMut(&HostMemory, usize, Range<usize>) -> Option<()>,
    ) -> Option<Result<(), BusError>> {
        let judged = self
            .fault
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some();
        if judged || self.faults.busy() {
            return None;
        }
        let allowed = if write {
            Direction::card_may_write
        } else {
            Direction::card_may_read
        };
        Some(self.access(address, bytes, allowed, act))
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
        let bytes = out.len();
        self.access(address, bytes, Direction::card_may_read, |m, at, range| {
            m.read(at, &mut out[range]).ok()
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
        let bytes = data.len();
        self.access(address, bytes, Direction::card_may_write, |m, at, range| {
            m.write(at, &data[range]).ok()
        })
    }
}

fn wait(time: std::time::Duration) {
    if !time.is_zero() {
        std::thread::sleep(time);
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
    fn an_access_may_span_mappings_but_no_hole() {
        let space = DmaSpace::default();
        let memory = Arc::new(HostMemory::allocate(4 * PAGE).unwrap());
        let page = PAGE as u64;
        let map = |iova, offset, bytes| {
            space.map_at(
                iova,
                Arc::clone(&memory),
                offset,
                bytes,
                Direction::Bidirectional,
            )
        };
        // Page by page and in another order, as an IOMMU gives them.
        map(0x10_0000, 2 * page, page).unwrap();
        map(0x10_0000 + page, 0, page).unwrap();
        map(0x10_0000 + 3 * page, page, page).unwrap();
        let data: Vec<u8> = (0..2 * PAGE).map(|i| (i / 7) as u8).collect();
        space.write(0x10_0000, &data).unwrap();
        let mut got = vec![0; 2 * PAGE];
        space.read(0x10_0000, &mut got).unwrap();
        assert!(got == data);
        let mut first = vec![0; PAGE];
        memory.read(2 * PAGE, &mut first).unwrap();
        assert!(first == data[..PAGE]);
        // Into the hole: nothing is written.
        let error = space.write(0x10_0000 + 2 * page - 8, &[9; 16]);
        assert!(error.is_err());
        space.read(0x10_0000, &mut got).unwrap();
        assert!(got == data);
        assert!(map(1, 0, 5 * page).is_err() && map(u64::MAX - 8, 0, page).is_err());
        space.set_master(false);
        assert!(space.read(0x10_0000, &mut got).is_err());
        space.set_master(true);
        // A mapping is replaced, and ranges that hold nothing can be unmapped.
        map(0x10_0000, 3 * page, 2 * page).unwrap_err();
        map(0x10_0000, 0, 2 * page).unwrap();
        assert_eq!(space.mapped(), 2);
        assert_eq!(space.unmap_range(0, 64), 0);
        assert_eq!(space.unmap_range(1 << 20, u64::MAX), 2);
    }

    #[test]
    fn card_memory_ends_where_it_ends() {
        let mut memory = CardMemory::new(128);
        memory.slice_mut(64, 64).unwrap().fill(7);
        assert_eq!(memory.slice(120, 8).unwrap(), [7; 8]);
        assert!(memory.slice(120, 9).is_err() && memory.slice_mut(u64::MAX, 2).is_err());
    }
}
