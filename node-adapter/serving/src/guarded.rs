//! A TCP stream that ends when its connection has to go, or when its peer reads nothing of an answer
//! for too long, and that is not read while its peer's calls wait.
//!
//! It holds the connection's slot, also after the connection has become a WebSocket, where HTTP's
//! deadlines no longer apply. Called by `server`.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::backlog::Backlog;
use super::frames::Frames;
use super::limits::Hold;

/// Bytes that are read of a WebSocket at once. The server makes a task of each message in them, and
/// each of those has its turn, and is counted, before the next piece is read.
const PIECE: usize = 2 << 10;

/// See above.
pub(super) struct Guarded {
    backlog: Arc<Backlog>,
    stall: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
    frames: Frames,
    /// Nothing was there to read, at least once.
    looked: bool,
    /// A piece of a WebSocket was read; the calls in it are counted before the next one is.
    piece: bool,
}

impl Guarded {
    pub fn new(backlog: Arc<Backlog>) -> Self {
        let stall = backlog.slot().connections().limits().stall;
        Self {
            backlog,
            stall,
            stalled: None,
            frames: Frames::new(),
            looked: false,
            piece: false,
        }
    }

    /// What became of a write: one that cannot go on is given some time.
    fn written(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
        result: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(result) = result {
            self.stalled = None;
            let written = result?;
            let mut left = written;
            let mut messages = 0;
            for slice in slices.iter().filter(|_| self.backlog.is_socket()) {
                let piece = &slice[..left.min(slice.len())];
                messages += self.frames.messages(piece);
                left -= piece.len();
            }
            if !self.backlog.wrote(written, messages) {
                self.backlog.line().close();
            }
            return Poll::Ready(Ok(written));
        }
        self.backlog.stalled();
        let stall = self.stall;
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + stall)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Drop for Guarded {
    /// The application may keep the backlog for longer: the descriptor and the slot are free now.
    fn drop(&mut self) {
        self.backlog.line().close();
        self.backlog.slot().free();
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let (backlog, line) = (&this.backlog, this.backlog.line());
        let result = line.with(&line.reader, cx, |stream, cx| {
            if !backlog.reads() {
                return Poll::Pending;
            }
            if !backlog.is_socket() {
                return Pin::new(stream).poll_read(cx, buffer);
            }
            if std::mem::take(&mut this.piece) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let bytes = buffer.remaining().min(PIECE);
            let mut piece = ReadBuf::new(buffer.initialize_unfilled_to(bytes));
            ready!(Pin::new(stream).poll_read(cx, &mut piece))?;
            let read = piece.filled().len();
            buffer.advance(read);
            this.piece = true;
            Poll::Ready(Ok(()))
        });
        if result.is_pending() && !this.looked && line.is_silent() {
            this.looked = true;
            backlog.slot().looked();
        }
        result
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let line = self.backlog.line();
        let result = line.with(&line.writer, cx, |stream, cx| {
            Pin::new(stream).poll_write(cx, bytes)
        });
        self.written(cx, &[IoSlice::new(bytes)], result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let line = self.backlog.line();
        let result = line.with(&line.writer, cx, |stream, cx| {
            Pin::new(stream).poll_write_vectored(cx, slices)
        });
        self.written(cx, slices, result)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let line = self.backlog.line();
        line.with(&line.writer, cx, |stream, cx| {
            Pin::new(stream).poll_flush(cx)
        })
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let line = self.backlog.line();
        line.with(&line.writer, cx, |stream, cx| {
            Pin::new(stream).poll_shutdown(cx)
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::{sleep, timeout};

    use super::*;
    use crate::limits::Admission;
    use crate::line::Line;
    use crate::{Connections, Limits};

    const SOON: Duration = Duration::from_secs(5);
    const A_MOMENT: Duration = Duration::from_millis(200);

    /// A WebSocket's connection of a listener for one connection: the client, what it is guarded
    /// by, and the listener's connections.
    async fn connection() -> (TcpStream, Guarded, Arc<Connections>) {
        let connections = Connections::new(Limits {
            connections: 1,
            ..Limits::default()
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let client = client.await.unwrap();
        let (stream, peer) = listener.accept().await.unwrap();
        let line = Line::new(stream);
        let Admission::Slot(slot) = connections.admit(peer.ip(), &line) else {
            panic!("a slot is free");
        };
        let backlog = Backlog::new(line, Arc::new(slot));
        backlog.socket();
        (client, Guarded::new(backlog), connections)
    }

    #[derive(Debug)]
    struct Nobody;

    impl Hold for Nobody {
        fn close(&self) {}
    }

    #[tokio::test]
    async fn both_directions_end_although_other_tasks_have_them() {
        let (mut client, guarded, connections) = connection().await;
        let kept = Arc::clone(&guarded.backlog);
        let (mut read, mut write) = split(guarded);
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
        sleep(A_MOMENT).await;

        let peer = client.local_addr().unwrap().ip();
        let next = connections.admit(peer, &Arc::new(Nobody));
        assert!(matches!(next, Admission::Slot(_)));
        // Closed before any of its tasks has run: the client sees its end.
        let sink = async { while client.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {} };
        timeout(SOON, sink).await.unwrap();
        let read = timeout(SOON, reader).await.unwrap().unwrap();
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        timeout(SOON, writer).await.unwrap().unwrap();
        assert_eq!(connections.counts().open, 1);
        drop(kept);
    }

    #[tokio::test]
    async fn no_more_is_read_while_much_waits() {
        let (mut client, mut guarded, connections) = connection().await;
        let backlog = Arc::clone(&guarded.backlog);
        // Calls under way.
        let mut calls: Vec<_> = (0..16).map(|_| backlog.call()).collect();
        client.write_u8(7).await.unwrap();
        assert!(timeout(A_MOMENT, guarded.read_u8()).await.is_err());
        let reader = tokio::spawn(async move { (guarded.read_u8().await, guarded) });
        sleep(A_MOMENT).await;
        // A call that ends wakes the reader.
        calls.pop();
        let (read, mut guarded) = timeout(SOON, reader).await.unwrap().unwrap();
        assert_eq!(read.unwrap(), 7);
        drop(calls);

        // An answer that waits to be written.
        backlog.call().answered(1 << 20);
        client.write_u8(8).await.unwrap();
        assert!(timeout(A_MOMENT, guarded.read_u8()).await.is_err());
        assert!(timeout(A_MOMENT, backlog.writable()).await.is_err());
        guarded.write_u8(0).await.unwrap();
        timeout(SOON, backlog.writable()).await.unwrap();
        assert_eq!(guarded.read_u8().await.unwrap(), 8);

        // A write that cannot go on, although nothing is known of an answer.
        client.write_u8(9).await.unwrap();
        let filled = async { while guarded.write_all(&[0; 1 << 16]).await.is_ok() {} };
        assert!(timeout(A_MOMENT, filled).await.is_err());
        assert!(timeout(A_MOMENT, guarded.read_u8()).await.is_err());
        assert!(timeout(A_MOMENT, backlog.writable()).await.is_err());
        // The application may keep the backlog; slot and descriptor are free without it.
        drop(guarded);
        assert_eq!(connections.counts().open, 0);
    }

    #[tokio::test]
    async fn a_call_waits_until_its_answer_is_written_and_garbage_ends_the_connection() {
        let (mut client, mut guarded, connections) = connection().await;
        let backlog = Arc::clone(&guarded.backlog);
        guarded.write_all(b"HTTP/1.1 101\r\n\r\n").await.unwrap();
        for _ in 0..16 {
            backlog.call().answered(1);
        }
        client.write_u8(7).await.unwrap();
        assert!(timeout(A_MOMENT, guarded.read_u8()).await.is_err());
        // A pong, and the first half of an answer.
        guarded.write_all(b"\x8a\x00\x81\x01").await.unwrap();
        assert!(timeout(A_MOMENT, guarded.read_u8()).await.is_err());
        guarded.write_all(b"1").await.unwrap();
        assert_eq!(timeout(SOON, guarded.read_u8()).await.unwrap().unwrap(), 7);
        // The other answers, and as many messages that nobody counted as a client may send.
        for _ in 0..15 + 64 {
            guarded.write_all(b"\x81\x011").await.unwrap();
        }
        assert_eq!(connections.counts().open, 1);
        let written = async { while guarded.write_all(b"\x81\x011").await.is_ok() {} };
        timeout(SOON, written).await.unwrap();
        let sink = async { while client.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {} };
        timeout(SOON, sink).await.unwrap();
    }
}
