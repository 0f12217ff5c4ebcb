//! A TCP stream that whoever admits connections can close at once, whatever still works for it.
//!
//! Called by `limits` (through [`Hold`]), `guarded` and `backlog`.

use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures::task::AtomicWaker;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};
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
    pub writer: AtomicWaker,
}

impl Line {
    pub fn new(stream: TcpStream) -> Arc<Self> {
        Arc::new(Self {
            stream: Mutex::new(Some(stream)),
            reader: AtomicWaker::new(),
            writer: AtomicWaker::new(),
        })
    }

    /// Reads from the stream or writes to it; an error once it is closed, for which `waker` is woken.
    pub fn with<T>(
        &self,
        waker: &AtomicWaker,
        cx: &mut Context<'_>,
        work: impl FnOnce(&mut TcpStream, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        waker.register(cx.waker());
        match self.lock().as_mut() {
            Some(stream) => work(stream, cx),
            None => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
        }
    }

    /// Tells a client that no slot is free, as much of it as the socket takes at once: nothing waits
    /// for an untrusted client. Closes the connection.
    pub fn refuse(&self, answer: &[u8]) {
        // Not through tokio: it does not know yet that the socket can be written.
        if let Some(Ok(mut stream)) = self.take().map(TcpStream::into_std) {
            // It is closed right after that, told or not.
            let _ = stream.write(answer);
        }
    }

    /// Whether the client has sent nothing that was not read. Tokio's word is not enough: of a new
    /// socket it does not know yet whether it can be read.
    pub fn is_silent(&self) -> bool {
        let stream = self.lock();
        let Some(stream) = stream.as_ref() else {
            return true;
        };
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        let peeked = recv(stream.as_raw_fd(), &mut [0], flags);
        peeked == Err(Errno::EAGAIN)
    }

    /// A poisoned lock guards nothing half done: the stream is there or not.
    fn lock(&self) -> MutexGuard<'_, Option<TcpStream>> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<TcpStream> {
        self.lock().take()
    }
}

impl Hold for Line {
    fn close(&self) {
        drop(self.take());
        self.reader.wake();
        self.writer.wake();
    }
}
