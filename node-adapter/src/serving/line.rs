//! A TCP stream that whoever admits connections can close at once, whatever still works for it.
//!
//! Called by `limits` (through [`Hold`]), `guarded` and `backlog`.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures::task::AtomicWaker;
use tokio::net::TcpStream;

use super::limits::Hold;

/// See above.
#[derive(Debug)]
pub(super) struct Line {
    /// None once it is closed: the descriptor is free, although tasks may not have noticed.
    stream: Mutex<Option<TcpStream>>,
    /// One for each direction: a WebSocket is read by one task and written by another, and each must
    /// be woken when the connection has to go.
    pub reader: AtomicWaker,
    writer: AtomicWaker,
}

impl Line {
    pub fn new(stream: TcpStream) -> Arc<Self> {
        Arc::new(Self {
            stream: Mutex::new(Some(stream)),
            reader: AtomicWaker::new(),
            writer: AtomicWaker::new(),
        })
    }

    /// Reads from the stream; an error once it is closed, for which the task is woken.
    pub fn read<T>(
        &self,
        cx: &mut Context<'_>,
        read: impl FnOnce(&mut TcpStream, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.reader.register(cx.waker());
        self.with(cx, read)
    }

    /// The same for whoever writes.
    pub fn write<T>(
        &self,
        cx: &mut Context<'_>,
        write: impl FnOnce(&mut TcpStream, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.writer.register(cx.waker());
        self.with(cx, write)
    }

    /// Tells a client that there is no room, as much of it as the socket takes at once: nobody waits
    /// for a stranger.
    pub fn refuse(&self, answer: &[u8]) {
        let stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stream) = stream.as_ref() {
            // It is closed right after that, told or not.
            let _ = stream.try_write(answer);
        }
    }

    fn with<T>(
        &self,
        cx: &mut Context<'_>,
        work: impl FnOnce(&mut TcpStream, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        // A poisoned lock guards nothing half done: the stream is there or not.
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        match stream.as_mut() {
            Some(stream) => work(stream, cx),
            None => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
        }
    }
}

impl Hold for Line {
    fn close(&self) {
        let stream = {
            let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
            stream.take()
        };
        drop(stream);
        self.reader.wake();
        self.writer.wake();
    }
}
