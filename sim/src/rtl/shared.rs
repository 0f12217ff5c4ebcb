//! What the Verilated card's thread, its handle ([`super::RtlCard`]) and the
//! model's callbacks share: requests to the thread, the host memory that the
//! card reaches, interrupt lines, and the account of the clock.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use carillon_driver::transport::InterruptLine;

use crate::faults::{Bus, MemoryFault};
use crate::memory::DmaSpace;

/// What [`super::RtlCard`] asks of the thread, served in order.
#[derive(Debug)]
pub(super) enum Request {
    Read {
        offset: u32,
        reply: SyncSender<u32>,
    },
    Write {
        offset: u32,
        value: u32,
    },
    Reset {
        reply: SyncSender<()>,
    },
    Fault {
        fault: Option<MemoryFault>,
        reply: SyncSender<()>,
    },
    Stray {
        bus: Bus,
        reply: SyncSender<()>,
    },
    Trace {
        on: bool,
        reply: SyncSender<u64>,
    },
    Stop,
}

/// What the thread, the card's handle and the model's callbacks share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) dma: DmaSpace,
    /// One line per interrupt vector.
    pub(super) lines: Vec<Arc<InterruptLine>>,
    /// Not 0 while requests wait; the model polls it.
    pub(super) attention: AtomicU8,
    /// Clock cycles run so far.
    pub(super) cycles: AtomicU64,
    /// Nanoseconds spent running the clock.
    pub(super) nanos: AtomicU64,
    /// The card has left the bus.
    pub(super) gone: AtomicBool,
    requests: Mutex<Requests>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Requests {
    waiting: VecDeque<Request>,
    /// The thread has ended: no request would be answered.
    closed: bool,
}

impl Shared {
    /// For a card with `vectors` interrupt vectors.
    pub(super) fn new(vectors: u16) -> Self {
        Self {
            dma: DmaSpace::default(),
            lines: (0..vectors).map(|_| Arc::default()).collect(),
            attention: AtomicU8::new(0),
            cycles: AtomicU64::new(0),
            nanos: AtomicU64::new(0),
            gone: AtomicBool::new(false),
            requests: Mutex::default(),
            wake: Condvar::new(),
        }
    }

    /// Queues a request and wakes the thread. After the thread's end the request
    /// is dropped, and with it the caller's hope for a reply.
    pub(super) fn send(&self, request: Request) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if !requests.closed {
            requests.waiting.push_back(request);
            self.attention.store(1, Ordering::Release);
            self.wake.notify_one();
        }
    }

    /// Takes requests again, for a thread that is about to start.
    pub(super) fn reopen(&self) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.closed = false;
    }

    /// Drops what waits, and everything from now on.
    pub(super) fn close(&self) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.closed = true;
        requests.waiting.clear();
    }

    /// The requests that wait; blocks for the first one if `block`.
    pub(super) fn take(&self, block: bool) -> VecDeque<Request> {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        while block && requests.waiting.is_empty() {
            requests = self
                .wake
                .wait(requests)
                .unwrap_or_else(PoisonError::into_inner);
        }
        self.attention.store(0, Ordering::Release);
        std::mem::take(&mut requests.waiting)
    }
}
