//! Faults between driver and card: a transport that misbehaves on demand.
//!
//! [`FaultyTransport`] wraps any [`Transport`] and spoils what passes through
//! it: registers, doorbells, interrupts, mappings, resets. What the *card* does
//! to memory is spoiled in [`crate::memory::DmaSpace::inject`]. Both work on
//! every simulated card, so the driver's fault tests are the same on all.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use carillon_driver::claim::Claim;
use carillon_driver::memory::HostMemory;
use carillon_driver::registers as reg;
use carillon_driver::transport::{
    Direction, InterruptLine, Transport, TransportError, TransportEvent,
};
use tokio::sync::broadcast;

#[derive(Debug, Default)]
struct Faults {
    all_ones: AtomicBool,
    mute: AtomicBool,
    fail_reset: AtomicBool,
    fail_unmap: AtomicBool,
    lost_doorbells: AtomicU32,
    /// Maps to let through, plus one; 0 lets all through.
    fail_map_after: AtomicU32,
    pinned: Mutex<BTreeMap<u32, u32>>,
}

/// A transport that passes everything on, until told otherwise.
#[derive(Debug)]
pub struct FaultyTransport {
    inner: Arc<dyn Transport>,
    faults: Arc<Faults>,
}

impl FaultyTransport {
    /// Wraps `inner`; without faults.
    pub fn new(inner: Arc<dyn Transport>) -> Self {
        Self {
            inner,
            faults: Arc::default(),
        }
    }

    /// Every register reads all ones, and writes are lost.
    pub fn all_ones(&self, on: bool) {
        self.faults.all_ones.store(on, Ordering::Release);
    }

    /// The register at `offset` reads `value` whatever the card says; `None`
    /// ends it.
    pub fn pin(&self, offset: u32, value: Option<u32>) {
        let mut pinned = self
            .faults
            .pinned
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match value {
            Some(value) => pinned.insert(offset, value),
            None => pinned.remove(&offset),
        };
    }

    /// Interrupts are lost.
    pub fn mute(&self, on: bool) {
        self.faults.mute.store(on, Ordering::Release);
    }

    /// The next `n` writes to any `SQ_TAIL` of an I/O queue are lost.
    pub fn lose_doorbells(&self, n: u32) {
        self.faults.lost_doorbells.store(n, Ordering::Release);
    }

    /// The map after the next `n` fails, and all after it; `None` ends it.
    pub fn fail_maps_after(&self, n: Option<u32>) {
        self.faults
            .fail_map_after
            .store(n.map_or(0, |n| n + 1), Ordering::Release);
    }

    /// Unmaps fail, and the mappings stay.
    pub fn fail_unmaps(&self, on: bool) {
        self.faults.fail_unmap.store(on, Ordering::Release);
    }

    /// Function-level resets fail.
    pub fn fail_reset(&self, on: bool) {
        self.faults.fail_reset.store(on, Ordering::Release);
    }
}

/// Passes interrupts on until the wrapping line is dropped.
async fn forward(from: Arc<InterruptLine>, to: Weak<InterruptLine>, faults: Arc<Faults>) {
    let mut seen = from.count();
    loop {
        seen = from.wait_beyond(seen).await;
        let Some(to) = to.upgrade() else { return };
        if !faults.mute.load(Ordering::Acquire) {
            to.raise();
        }
    }
}

impl Transport for FaultyTransport {
    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn read32(&self, offset: u32) -> u32 {
        if self.faults.all_ones.load(Ordering::Acquire) {
            return u32::MAX;
        }
        let pinned = self
            .faults
            .pinned
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let value = pinned.get(&offset).copied();
        drop(pinned);
        value.unwrap_or_else(|| self.inner.read32(offset))
    }

    fn write32(&self, offset: u32, value: u32) {
        if self.faults.all_ones.load(Ordering::Acquire) {
            return;
        }
        let is_tail = (1..8).any(|q| reg::sq_tail::offset(q) == offset);
        let take = |n: u32| n.checked_sub(1);
        let lost = &self.faults.lost_doorbells;
        if is_tail
            && lost
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, take)
                .is_ok()
        {
            return;
        }
        self.inner.write32(offset, value);
    }

    fn map(&self, memory: Arc<HostMemory>, direction: Direction) -> Result<u64, TransportError> {
        let limit = &self.faults.fail_map_after;
        // Counts down to 1 and stays there.
        let left = limit.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| {
            (n > 1).then(|| n - 1)
        });
        if left == Err(1) {
            return Err(TransportError::Map {
                bytes: memory.len(),
                cause: "injected".into(),
            });
        }
        self.inner.map(memory, direction)
    }

    fn unmap(&self, iova: u64) -> Result<(), TransportError> {
        if self.faults.fail_unmap.load(Ordering::Acquire) {
            return Err(TransportError::NotMapped { iova });
        }
        self.inner.unmap(iova)
    }

    fn interrupt(&self, vector: u16) -> Result<Arc<InterruptLine>, TransportError> {
        let from = self.inner.interrupt(vector)?;
        // Without a runtime nobody could forward; the driver always has one.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return Ok(from);
        };
        let to = Arc::new(InterruptLine::default());
        runtime.spawn(forward(from, Arc::downgrade(&to), Arc::clone(&self.faults)));
        Ok(to)
    }

    fn reset(&self) -> Result<(), TransportError> {
        if self.faults.fail_reset.load(Ordering::Acquire) {
            return Err(TransportError::Reset {
                cause: "injected".into(),
            });
        }
        self.inner.reset()
    }

    fn claim(&self) -> Result<Claim, TransportError> {
        self.inner.claim()
    }

    fn events(&self) -> broadcast::Receiver<TransportEvent> {
        self.inner.events()
    }
}
