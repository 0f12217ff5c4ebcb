//! The tap: a transport that passes everything on and records it.
//! Opened by the runtime around any other transport when the operator asks for
//! a recording.
//!
//! It never stands between card and waiter: interrupt lines are the inner
//! transport's own, and what the card did since the last access is noted at the
//! next one. With recording off an access costs one relaxed load.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use carillon_driver::claim::Claim;
use carillon_driver::memory::HostMemory;
use carillon_driver::registers::RDL_HASH;
use carillon_driver::transport::{
    Direction, InterruptLine, Transport, TransportError, TransportEvent,
};
use tokio::sync::broadcast;

use super::observer::Observer;
use super::record::Record;
use super::sink::{Keep, Sink};

/// Records what passes through it. Dropping it completes the file.
#[derive(Debug)]
pub struct TracingTransport {
    inner: Arc<dyn Transport>,
    on: AtomicBool,
    observer: Mutex<Observer>,
}

impl TracingTransport {
    /// Wraps `inner` and records to `path` from now on.
    ///
    /// # Errors
    /// The system's, when the file cannot be made.
    pub fn new(inner: Arc<dyn Transport>, path: &Path, keep: Keep) -> std::io::Result<Self> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let start = Record::Start {
            transport: inner.describe(),
            version: env!("CARGO_PKG_VERSION").into(),
            rdl_hash: RDL_HASH,
            unix_millis: since.map_or(0, |d| d.as_millis() as u64),
        };
        let sink = Sink::new(path, keep, start)?;
        let observer = Mutex::new(Observer::new(sink, inner.events()));
        Ok(Self {
            inner,
            on: AtomicBool::new(true),
            observer,
        })
    }

    /// Stops recording, or goes on with it. What happened in between is
    /// missing; a queue's commands are recorded again once it is started anew.
    pub fn record(&self, on: bool) {
        let mut observer = self.lock();
        if on && !self.is_on() {
            observer.forget_queues();
        }
        self.on.store(on && observer.is_open(), Ordering::Relaxed);
    }

    /// Completes the file; nothing is recorded any more.
    pub fn finish(&self) {
        let mut observer = self.lock();
        self.on.store(false, Ordering::Relaxed);
        observer.notice();
        observer.close();
    }

    fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Observer> {
        self.observer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The observer, if it is to record; a recording that has ended of itself
    /// is switched off.
    fn observer(&self) -> Option<MutexGuard<'_, Observer>> {
        if !self.is_on() {
            return None;
        }
        let observer = self.lock();
        if !observer.is_open() {
            self.on.store(false, Ordering::Relaxed);
            return None;
        }
        Some(observer)
    }
}

impl Transport for TracingTransport {
    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn read32(&self, offset: u32) -> u32 {
        let value = self.inner.read32(offset);
        if let Some(mut observer) = self.observer() {
            observer.read(offset, value);
        }
        value
    }

    fn write32(&self, offset: u32, value: u32) {
        let Some(mut observer) = self.observer() else {
            return self.inner.write32(offset, value);
        };
        // Recorded before the card can act on it, and written under the lock, so
        // that the records have the order in which the card sees the writes.
        observer.write(offset, value);
        self.inner.write32(offset, value);
    }

    fn map(&self, memory: Arc<HostMemory>, direction: Direction) -> Result<u64, TransportError> {
        let bytes = memory.len() as u64;
        let mapped = self.inner.map(Arc::clone(&memory), direction);
        // Known even when nothing is recorded: recording may be switched on.
        if let Ok(iova) = &mapped {
            self.lock().mapped(*iova, memory);
        }
        if let Some(mut observer) = self.observer() {
            let rights = direction.into();
            observer.push(match &mapped {
                Ok(iova) => Record::Map {
                    iova: *iova,
                    bytes,
                    rights,
                },
                Err(error) => Record::MapFailed {
                    bytes,
                    rights,
                    error: error.to_string(),
                },
            });
        }
        mapped
    }

    fn unmap(&self, iova: u64) -> Result<(), TransportError> {
        let unmapped = self.inner.unmap(iova);
        if let Some(mut observer) = self.observer() {
            let error = unmapped.as_ref().err().map(ToString::to_string);
            observer.push(Record::Unmap { iova, error });
        }
        // A card that has left the bus reaches nothing either.
        if !matches!(unmapped, Err(TransportError::NotMapped { .. })) {
            self.lock().unmapped(iova);
        }
        unmapped
    }

    fn interrupt(&self, vector: u16) -> Result<Arc<InterruptLine>, TransportError> {
        let line = self.inner.interrupt(vector)?;
        self.lock().line(vector, &line);
        Ok(line)
    }

    fn reset(&self) -> Result<(), TransportError> {
        let reset = self.inner.reset();
        if let Some(mut observer) = self.observer() {
            observer.reset(reset.as_ref().err().map(ToString::to_string));
        }
        reset
    }

    fn claim(&self) -> Result<Claim, TransportError> {
        self.inner.claim()
    }

    fn events(&self) -> broadcast::Receiver<TransportEvent> {
        self.inner.events()
    }
}

impl Drop for TracingTransport {
    fn drop(&mut self) {
        self.finish();
    }
}
