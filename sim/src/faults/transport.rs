//! Faults between driver and card: a transport that misbehaves on demand.
//!
//! [`FaultyTransport`] wraps any [`Transport`], a real card's too, and corrupts
//! what passes through it. What the *card* does wrong is a
//! [`CardFault`](super::CardFault). Used by the driver's tests.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use carillon_driver::claim::Claim;
use carillon_driver::memory::HostMemory;
use carillon_driver::registers as reg;
use carillon_driver::transport::{
    Direction, InterruptLine, Transport, TransportError, TransportEvent,
};
use tokio::sync::broadcast;

use super::posted::{Posted, PostedCounts, PostedWrites};

/// What happens at a certain access, and how many come before it.
struct Ambush {
    left: u32,
    act: Box<dyn FnOnce() + Send>,
}

#[derive(Default)]
struct Faults {
    all_ones: AtomicBool,
    mute: AtomicBool,
    fail_reset: AtomicBool,
    fail_unmap: AtomicBool,
    lost_doorbells: AtomicU32,
    poisoned_reads: AtomicU32,
    /// Maps to let through, plus one; 0 lets all through.
    fail_map_after: AtomicU32,
    pinned: Mutex<BTreeMap<u32, u32>>,
    lockable: Mutex<Option<Lockable>>,
    ambush: Mutex<Option<Ambush>>,
    /// An ambush is acting at this moment.
    springing: AtomicBool,
    accesses: AtomicU32,
}

/// Host memory that may be locked for DMA, as `RLIMIT_MEMLOCK` has it.
#[derive(Debug, Default)]
struct Lockable {
    bytes: usize,
    /// Bytes of each mapping made since.
    mapped: BTreeMap<u64, usize>,
}

/// A transport that passes everything on, until told otherwise.
pub struct FaultyTransport {
    inner: Arc<dyn Transport>,
    posted: Posted,
    faults: Arc<Faults>,
}

impl FaultyTransport {
    /// Wraps `inner`; without faults.
    pub fn new(inner: Arc<dyn Transport>) -> Self {
        Self {
            posted: Posted::new(Arc::clone(&inner)),
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
        let mut pinned = lock(&self.faults.pinned);
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

    /// The next `n` register reads give all ones, though the card is there: their
    /// answers were lost or poisoned on the way.
    pub fn poison_reads(&self, n: u32) {
        self.faults.poisoned_reads.store(n, Ordering::Release);
    }

    /// At most `bytes` bytes can be mapped from now on, as under a limit on
    /// locked memory; `None` ends it.
    pub fn limit_maps(&self, bytes: Option<usize>) {
        *lock(&self.faults.lockable) = bytes.map(|bytes| Lockable {
            bytes,
            mapped: BTreeMap::new(),
        });
    }

    /// Runs `act` right before the access to the card that comes after the next
    /// `n`, once. Accesses are register reads and writes, maps, unmaps and
    /// resets.
    pub fn ambush(&self, n: u32, act: impl FnOnce() + Send + 'static) {
        let act = Box::new(act);
        *lock(&self.faults.ambush) = Some(Ambush { left: n, act });
    }

    /// Takes the ambush back; whether it was still waiting. On return it does
    /// not act any more.
    pub fn disarm(&self) -> bool {
        let waiting = lock(&self.faults.ambush).take().is_some();
        while self.faults.springing.load(Ordering::Acquire) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        waiting
    }

    /// Accesses to the card so far.
    pub fn accesses(&self) -> u32 {
        self.faults.accesses.load(Ordering::Acquire)
    }

    /// Holds posted writes back and lets them go in another order; `None` ends
    /// it. Reads and resets come after all writes before them, as on PCIe.
    ///
    /// # Errors
    /// The system's, when it refuses a thread.
    pub fn post_writes(&self, mode: Option<PostedWrites>) -> std::io::Result<()> {
        self.posted.set(mode)
    }

    /// What became of posted writes so far.
    pub fn posted(&self) -> PostedCounts {
        self.posted.counts()
    }

    /// Every access to the card passes here.
    fn access(&self) {
        self.faults.accesses.fetch_add(1, Ordering::AcqRel);
        let due = lock(&self.faults.ambush).take_if(|a| {
            let due = a.left == 0;
            a.left = a.left.saturating_sub(1);
            if due {
                self.faults.springing.store(true, Ordering::Release);
            }
            due
        });
        // Without the lock: it may call back.
        if let Some(ambush) = due {
            (ambush.act)();
            self.faults.springing.store(false, Ordering::Release);
        }
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

impl fmt::Debug for FaultyTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FaultyTransport").field(&self.inner).finish()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes one of `n` that are left; whether there was one.
fn take(n: &AtomicU32) -> bool {
    n.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| n.checked_sub(1))
        .is_ok()
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
        self.access();
        self.posted.flush();
        if self.faults.all_ones.load(Ordering::Acquire) || take(&self.faults.poisoned_reads) {
            return u32::MAX;
        }
        let pinned = lock(&self.faults.pinned).get(&offset).copied();
        pinned.unwrap_or_else(|| self.inner.read32(offset))
    }

    fn write32(&self, offset: u32, value: u32) {
        self.access();
        if self.faults.all_ones.load(Ordering::Acquire) {
            return;
        }
        let is_tail = (1..8).any(|q| reg::sq_tail::offset(q) == offset);
        if is_tail && take(&self.faults.lost_doorbells) {
            return;
        }
        self.posted.write(offset, value);
    }

    fn map(&self, memory: Arc<HostMemory>, direction: Direction) -> Result<u64, TransportError> {
        self.access();
        let bytes = memory.len();
        let refused = |cause: &str| TransportError::Map {
            bytes,
            cause: cause.into(),
        };
        let limit = &self.faults.fail_map_after;
        // Counts down to 1 and stays there.
        let left = limit.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| {
            (n > 1).then(|| n - 1)
        });
        if left == Err(1) {
            return Err(refused("injected"));
        }
        let mut lockable = lock(&self.faults.lockable);
        if let Some(l) = &mut *lockable {
            let locked: usize = l.mapped.values().sum();
            if locked + bytes > l.bytes {
                return Err(refused("Cannot allocate memory (os error 12)"));
            }
            let iova = self.inner.map(memory, direction)?;
            l.mapped.insert(iova, bytes);
            return Ok(iova);
        }
        drop(lockable);
        self.inner.map(memory, direction)
    }

    fn unmap(&self, iova: u64) -> Result<(), TransportError> {
        self.access();
        if self.faults.fail_unmap.load(Ordering::Acquire) {
            return Err(TransportError::NotMapped { iova });
        }
        self.inner.unmap(iova)?;
        if let Some(l) = &mut *lock(&self.faults.lockable) {
            l.mapped.remove(&iova);
        }
        Ok(())
    }

    fn interrupt(&self, vector: u16) -> Result<Arc<InterruptLine>, TransportError> {
        let from = self.inner.interrupt(vector)?;
        // Without a runtime no task could forward; the driver always has one.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return Ok(from);
        };
        let to = Arc::new(InterruptLine::default());
        runtime.spawn(forward(from, Arc::downgrade(&to), Arc::clone(&self.faults)));
        Ok(to)
    }

    fn reset(&self) -> Result<(), TransportError> {
        self.access();
        self.posted.flush();
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
