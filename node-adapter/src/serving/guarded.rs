//! A TCP stream that ends when its connection has to go, when its peer reads nothing of an answer for
//! too long, or when it asks on without reading.
//!
//! It holds the connection's place, also after the connection has become a WebSocket, where HTTP's
//! deadlines no longer apply. Called by `server`.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::limits::Place;

/// Bytes that a WebSocket's client may send without reading anything: each message waits in memory
/// until its answer can be written.
const AHEAD: usize = 2 << 20;
/// Writes of fewer bytes are pings, pongs and closes of a WebSocket.
const ANSWER: usize = 32;

/// See above.
pub(super) struct Guarded {
    stream: TcpStream,
    place: Arc<Place>,
    socket: Arc<AtomicBool>,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
    stall: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
    ahead: usize,
}

impl Guarded {
    /// Guards a stream. `socket` is set by whoever turns the connection into a WebSocket.
    pub fn new(stream: TcpStream, place: Arc<Place>, socket: Arc<AtomicBool>) -> Self {
        let stall = place.connections().limits().stall;
        Self {
            stream,
            ended: Box::pin(place.end().clone().cancelled_owned()),
            place,
            socket,
            stall,
            stalled: None,
            ahead: 0,
        }
    }

    fn ended(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.ended.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionAborted.into()),
            Poll::Pending => Ok(()),
        }
    }

    /// What became of a write: one that cannot go on is given some time.
    fn written(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(result) = result {
            self.stalled = None;
            self.ahead = 0;
            let is_socket = self.socket.load(Ordering::Relaxed);
            if is_socket && result.as_ref().is_ok_and(|written| *written > ANSWER) {
                self.place.refresh();
            }
            return Poll::Ready(result);
        }
        let stall = self.stall;
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + stall)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.ended(cx)?;
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if self.socket.load(Ordering::Relaxed) {
            self.ahead += buffer.filled().len().saturating_sub(before);
            if self.ahead > AHEAD {
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.ended(cx)?;
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.ended(cx)?;
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.written(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
