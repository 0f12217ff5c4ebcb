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
    /// One for each direction: a WebSocket is read by one task and written by another, and each must
    /// be woken when the connection has to go.
    reading: Pin<Box<WaitForCancellationFutureOwned>>,
    writing: Pin<Box<WaitForCancellationFutureOwned>>,
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
            reading: Box::pin(place.end().clone().cancelled_owned()),
            writing: Box::pin(place.end().clone().cancelled_owned()),
            place,
            socket,
            stall,
            stalled: None,
            ahead: 0,
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
        unless_ended(&mut self.reading, cx)?;
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
        unless_ended(&mut self.writing, cx)?;
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        unless_ended(&mut self.writing, cx)?;
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

/// An error once the connection has to go; the task is woken then.
fn unless_ended(
    ended: &mut Pin<Box<WaitForCancellationFutureOwned>>,
    cx: &mut Context<'_>,
) -> io::Result<()> {
    match ended.as_mut().poll(cx) {
        Poll::Ready(()) => Err(io::ErrorKind::ConnectionAborted.into()),
        Poll::Pending => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
    use tokio::net::TcpListener;

    use super::*;
    use crate::serving::{Connections, Limits};

    #[tokio::test]
    async fn both_directions_end_although_other_tasks_have_them() {
        let connections = Connections::new(Limits {
            connections: 1,
            ..Limits::default()
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (stream, peer) = listener.accept().await.unwrap();
        let place = Arc::new(connections.admit(peer.ip()).unwrap());
        let socket = Arc::new(AtomicBool::new(true));
        let (mut read, mut write) = split(Guarded::new(stream, place, socket));
        let reader = tokio::spawn(async move { read.read_u8().await });
        tokio::task::yield_now().await;
        // The reader waits; a ping goes out after that.
        write.write_all(b"ping").await.unwrap();
        client.read_exact(&mut [0; 4]).await.unwrap();
        let writer = tokio::spawn(async move {
            let piece = vec![0; 1 << 16];
            while write.write_all(&piece).await.is_ok() {}
        });
        // Until the writer waits, too: nobody reads.
        tokio::time::sleep(Duration::from_millis(200)).await;

        let _next = connections.admit(peer.ip()).unwrap();
        let soon = Duration::from_secs(5);
        let read = tokio::time::timeout(soon, reader).await.unwrap().unwrap();
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        tokio::time::timeout(soon, writer).await.unwrap().unwrap();
        assert_eq!(connections.counts().open, 1);
    }
}
