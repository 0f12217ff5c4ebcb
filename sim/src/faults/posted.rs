//! Posted writes that take their time.
//!
//! On PCIe a register write is *posted*: it reaches the card later than the
//! instruction ends, but before any later read of the card returns. [`Posted`]
//! makes the most of that: it holds writes back and lets them go in another
//! order, so that a driver which forgot to flush meets its mistake. Used by
//! `transport.rs`.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use carillon_driver::transport::Transport;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

/// How posted writes are held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PostedWrites {
    /// Of the random numbers: same seed, same choices.
    pub seed: u64,
    /// Up to so many writes wait together.
    pub at_most: usize,
    /// For up to this time.
    pub delay: Duration,
}

/// What became of posted writes so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PostedCounts {
    /// Writes that had to wait.
    pub held: u64,
    /// Writes that were overtaken by a later one.
    pub overtaken: u64,
}

struct State {
    mode: Option<PostedWrites>,
    random: ChaCha20Rng,
    /// Offset and value, oldest first.
    held: VecDeque<(u32, u32)>,
    /// Writes that may wait before all are let go.
    limit: usize,
    due: Option<Instant>,
    counts: PostedCounts,
    ended: bool,
}

impl State {
    /// Lets all writes go. Those to one register keep their order; the order of
    /// registers is up to chance.
    fn release(&mut self, inner: &dyn Transport) {
        while !self.held.is_empty() {
            let any = self.random.gen_range(0..self.held.len());
            let register = self.held.get(any).map(|w| w.0);
            let first = self.held.iter().position(|w| Some(w.0) == register);
            let Some((offset, value)) = first.and_then(|at| self.held.remove(at)) else {
                return;
            };
            if first != Some(0) {
                self.counts.overtaken += 1;
            }
            inner.write32(offset, value);
        }
        self.due = None;
    }
}

struct Shared {
    inner: Arc<dyn Transport>,
    /// Whether writes may be waiting: without the mode nobody takes the lock.
    on: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets writes go when their time is over; until the transport is dropped.
    fn serve(&self) {
        let mut state = self.state();
        while !state.ended {
            let now = Instant::now();
            let wait = match state.due {
                Some(due) if due <= now => {
                    state.release(&*self.inner);
                    continue;
                }
                Some(due) => due - now,
                None => Duration::from_secs(3600),
            };
            state = self
                .changed
                .wait_timeout(state, wait)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

/// The writes under way to a card.
pub(super) struct Posted {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Posted {
    /// Passes writes on to `inner` at once, until told otherwise.
    pub fn new(inner: Arc<dyn Transport>) -> Self {
        let state = State {
            mode: None,
            random: ChaCha20Rng::seed_from_u64(0),
            held: VecDeque::new(),
            limit: 0,
            due: None,
            counts: PostedCounts::default(),
            ended: false,
        };
        let shared = Shared {
            inner,
            on: AtomicBool::new(false),
            state: Mutex::new(state),
            changed: Condvar::new(),
        };
        Self {
            shared: Arc::new(shared),
            thread: Mutex::new(None),
        }
    }

    /// Holds writes back from now on; `None` lets all go and ends it.
    ///
    /// # Errors
    /// The system's, when it refuses a thread.
    pub fn set(&self, mode: Option<PostedWrites>) -> std::io::Result<()> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if mode.is_some() && thread.is_none() {
            let shared = Arc::clone(&self.shared);
            let new = std::thread::Builder::new()
                .name("carillon-posted".into())
                .spawn(move || shared.serve())?;
            *thread = Some(new);
        }
        let mut state = self.shared.state();
        state.release(&*self.shared.inner);
        state.mode = mode;
        if let Some(mode) = mode {
            state.random = ChaCha20Rng::seed_from_u64(mode.seed);
        }
        self.shared.on.store(mode.is_some(), Ordering::Release);
        Ok(())
    }

    /// A write of the driver.
    pub fn write(&self, offset: u32, value: u32) {
        let shared = &self.shared;
        if !shared.on.load(Ordering::Acquire) {
            return shared.inner.write32(offset, value);
        }
        let mut state = shared.state();
        let Some(mode) = state.mode else {
            drop(state);
            return shared.inner.write32(offset, value);
        };
        if state.held.is_empty() {
            state.limit = state.random.gen_range(0..=mode.at_most);
            let micros = u64::try_from(mode.delay.as_micros()).unwrap_or(u64::MAX);
            let delay = Duration::from_micros(state.random.gen_range(0..=micros));
            state.due = Some(Instant::now() + delay);
            shared.changed.notify_all();
        }
        state.held.push_back((offset, value));
        if state.held.len() > state.limit {
            state.release(&*shared.inner);
        } else {
            state.counts.held += 1;
        }
    }

    /// Lets all writes go: before a read, and before a reset.
    pub fn flush(&self) {
        if self.shared.on.load(Ordering::Acquire) {
            self.shared.state().release(&*self.shared.inner);
        }
    }

    /// What happened so far.
    pub fn counts(&self) -> PostedCounts {
        self.shared.state().counts
    }
}

impl Drop for Posted {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.release(&*self.shared.inner);
        state.ended = true;
        drop(state);
        self.shared.changed.notify_all();
        let thread = self
            .thread
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if thread.is_some_and(|t| t.join().is_err()) {
            tracing::error!("the thread of posted writes panicked");
        }
    }
}

impl std::fmt::Debug for Posted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Posted")
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use carillon_driver::claim::{Claim, ClaimSlot};
    use carillon_driver::memory::HostMemory;
    use carillon_driver::transport::{Direction, InterruptLine, TransportError, TransportEvent};
    use tokio::sync::broadcast;

    use super::*;

    /// Remembers what was written.
    #[derive(Debug, Default)]
    struct Log(Mutex<Vec<(u32, u32)>>, ClaimSlot);

    impl Transport for Log {
        fn describe(&self) -> String {
            "log".into()
        }
        fn read32(&self, _: u32) -> u32 {
            0
        }
        fn write32(&self, offset: u32, value: u32) {
            self.0.lock().unwrap().push((offset, value));
        }
        fn map(&self, memory: Arc<HostMemory>, _: Direction) -> Result<u64, TransportError> {
            Err(TransportError::Map {
                bytes: memory.len(),
                cause: "a log".into(),
            })
        }
        fn unmap(&self, iova: u64) -> Result<(), TransportError> {
            Err(TransportError::NotMapped { iova })
        }
        fn interrupt(&self, vector: u16) -> Result<Arc<InterruptLine>, TransportError> {
            Err(TransportError::Vector { vector, count: 0 })
        }
        fn reset(&self) -> Result<(), TransportError> {
            Ok(())
        }
        fn claim(&self) -> Result<Claim, TransportError> {
            Ok(self.1.take("log")?)
        }
        fn events(&self) -> broadcast::Receiver<TransportEvent> {
            broadcast::channel(1).1
        }
    }

    fn mode(seed: u64, delay: Duration) -> PostedWrites {
        PostedWrites {
            seed,
            at_most: 6,
            delay,
        }
    }

    #[test]
    fn order_holds_per_register_and_across_flushes_only() {
        let log = Arc::new(Log::default());
        let posted = Posted::new(Arc::clone(&log) as _);
        posted.set(Some(mode(3, Duration::from_secs(60)))).unwrap();
        for i in 0..1000u32 {
            posted.write(4 * (i % 5), i);
            if i % 50 == 49 {
                posted.flush();
                assert_eq!(log.0.lock().unwrap().len(), i as usize + 1, "flushed");
            }
        }
        let seen = log.0.lock().unwrap().clone();
        for register in 0..5 {
            let values: Vec<u32> = seen
                .iter()
                .filter(|w| w.0 == 4 * register)
                .map(|w| w.1)
                .collect();
            assert!(values.is_sorted(), "register {register}");
            assert_eq!(values.len(), 200);
        }
        for (at, block) in seen.chunks(50).enumerate() {
            assert!(
                block.iter().all(|w| w.1 as usize / 50 == at),
                "over a flush"
            );
        }
        let counts = posted.counts();
        assert!(counts.held > 100 && counts.overtaken > 100, "{counts:?}");
    }

    #[test]
    fn what_waits_arrives_without_a_flush() {
        let log = Arc::new(Log::default());
        let posted = Posted::new(Arc::clone(&log) as _);
        posted.write(0, 1);
        assert_eq!(log.0.lock().unwrap().len(), 1, "at once");
        posted
            .set(Some(mode(1, Duration::from_millis(20))))
            .unwrap();
        for value in 2..40 {
            posted.write(0, value);
        }
        let end = Instant::now() + Duration::from_secs(10);
        while log.0.lock().unwrap().len() < 39 {
            assert!(Instant::now() < end, "writes never arrived");
            std::thread::sleep(Duration::from_millis(5));
        }
        posted.write(0, 40);
        posted.set(None).unwrap();
        assert_eq!(log.0.lock().unwrap().len(), 40, "let go");
        drop(posted);
        assert_eq!(Arc::strong_count(&log), 1, "the thread has ended");
    }
}
