//! What a WebSocket's client has asked and not been sent yet: bounded, because no more is read while
//! much waits.
//!
//! Without this, whoever asks faster than is answered, or reads slower, has everything kept in the
//! memory of the process. Of plain HTTP one request is answered at a time. Kept by `guarded`, told of
//! calls by the application, which finds it among a request's extensions.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::limits::Slot;
use super::line::Line;

/// Calls under way at which no more is read.
const CALLS: usize = 16;
/// Bytes of answers that wait to be written, at which no more is read and no call begins.
const BYTES: usize = 1 << 20;
/// Messages that were no calls (empty, garbage, too long), beyond those that were, for which a
/// connection is closed: they are answered without a turn, so that nothing else bounds them.
const GARBAGE: usize = 64;

/// See above.
#[derive(Debug)]
pub struct Backlog {
    line: Arc<Line>,
    slot: Arc<Slot>,
    socket: AtomicBool,
    asked: AtomicBool,
    waiting: Mutex<Waiting>,
    writable: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Until the answer is written, if there is one.
    calls: usize,
    /// Those whose answers were made.
    answers: usize,
    garbage: usize,
    /// Of answers that were made and not written. Whatever else is written counts, too (pings, the
    /// end of the handshake), so that nobody waits for bytes that are gone.
    bytes: usize,
    /// The last write could not go on.
    stalled: bool,
}

impl Waiting {
    fn writes(&self) -> bool {
        self.bytes < BYTES && !self.stalled
    }

    fn reads(&self) -> bool {
        self.calls < CALLS && self.writes()
    }
}

impl Backlog {
    pub(super) fn new(line: Arc<Line>, slot: Arc<Slot>) -> Arc<Self> {
        Arc::new(Self {
            line,
            slot,
            socket: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            waiting: Mutex::default(),
            writable: Notify::new(),
        })
    }

    pub(super) fn line(&self) -> &Arc<Line> {
        &self.line
    }

    pub(super) fn slot(&self) -> &Slot {
        &self.slot
    }

    /// The connection has become a WebSocket.
    pub(super) fn socket(&self) {
        self.socket.store(true, Ordering::Relaxed);
        self.slot.socket();
    }

    pub(super) fn is_socket(&self) -> bool {
        self.socket.load(Ordering::Relaxed)
    }

    /// Answers a request, the connection's first at once, others when they may begin.
    pub(super) async fn begin<T>(&self, answer: impl Future<Output = T>) -> T {
        if self.asked.swap(true, Ordering::Relaxed) {
            self.slot.connections().pacing().begin(answer).await
        } else {
            answer.await
        }
    }

    /// Answers a call: on a WebSocket when it may begin. Of plain HTTP its request has begun already.
    pub async fn begin_call<T>(&self, answer: impl Future<Output = T>) -> T {
        if self.is_socket() {
            self.slot.connections().pacing().begin(answer).await
        } else {
            answer.await
        }
    }

    /// A poisoned lock guards nothing half done: each change is one assignment.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what waits; wakes who can go on because of it.
    fn change(&self, change: impl FnOnce(&mut Waiting)) {
        let (before, after) = {
            let mut waiting = self.lock();
            let before = (waiting.writes(), waiting.reads());
            change(&mut waiting);
            (before, (waiting.writes(), waiting.reads()))
        };
        if after.0 && !before.0 {
            self.writable.notify_waiters();
        }
        if after.1 && !before.1 {
            self.line.reader.wake();
        }
    }

    /// Whether more may be read. The reader is registered before it asks and woken when that changes.
    pub(super) fn reads(&self) -> bool {
        !self.is_socket() || self.lock().reads()
    }

    /// So many bytes were written, and with them so many messages. False once the connection has to
    /// be closed.
    #[must_use]
    pub(super) fn wrote(&self, bytes: usize, messages: usize) -> bool {
        if !self.is_socket() {
            return true;
        }
        let (mut answers, mut garbage) = (0, 0);
        self.change(|waiting| {
            waiting.stalled = false;
            waiting.bytes = waiting.bytes.saturating_sub(bytes);
            answers = messages.min(waiting.answers);
            waiting.answers -= answers;
            waiting.calls = waiting.calls.saturating_sub(answers);
            waiting.garbage = (waiting.garbage + messages - answers).saturating_sub(answers);
            garbage = waiting.garbage;
        });
        // A client that asks and reads has been of use.
        if answers > 0 {
            self.slot.refresh();
        }
        garbage <= GARBAGE
    }

    /// A write cannot go on, because the client does not read.
    pub(super) fn stalled(&self) {
        if self.is_socket() {
            self.change(|waiting| waiting.stalled = true);
        }
    }

    /// A call has been read. It is under way until its answer is written, or what this returns is
    /// dropped.
    pub fn call(self: &Arc<Self>) -> Call {
        self.change(|waiting| waiting.calls += 1);
        Call(Some(Arc::clone(self)))
    }

    /// Waits until answers can be written again.
    pub async fn writable(&self) {
        loop {
            let writable = self.writable.notified();
            if self.lock().writes() {
                return;
            }
            writable.await;
        }
    }
}

/// See [`Backlog::call`].
#[derive(Debug)]
pub struct Call(Option<Arc<Backlog>>);

impl Call {
    /// Its answer of so many bytes waits to be written.
    pub fn answered(mut self, bytes: usize) {
        if let Some(backlog) = self.0.take_if(|backlog| backlog.is_socket()) {
            backlog.change(|waiting| {
                waiting.bytes += bytes;
                waiting.answers += 1;
            });
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(backlog) = &self.0 {
            backlog.change(|waiting| waiting.calls = waiting.calls.saturating_sub(1));
        }
    }
}
