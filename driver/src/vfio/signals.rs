//! Eventfds of a card, and the thread that waits for them.
//!
//! The kernel counts interrupts in one eventfd a vector and asks for the card
//! back through another (`VFIO_PCI_REQ_IRQ_INDEX`, when it is unplugged). One
//! thread reads them all and raises the lines that the driver waits on, so that
//! nothing here depends on a tokio runtime.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::Errno;

use crate::transport::InterruptLine;

/// What the kernel can tell of besides interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// It wants the device back: the card is being removed.
    Release,
    /// The bus has reported an error that the card cannot correct.
    BusError,
}

/// The eventfds of one card, and the thread that serves them.
#[derive(Debug)]
pub struct Signals {
    vectors: Arc<Vec<OwnedFd>>,
    /// [`Notice::Release`], [`Notice::BusError`], and the thread's end.
    special: Arc<[OwnedFd; 3]>,
    lines: Vec<Arc<InterruptLine>>,
    thread: Option<JoinHandle<()>>,
}

fn new_eventfd() -> io::Result<OwnedFd> {
    Ok(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)
}

impl Signals {
    /// Eventfds for `vectors` vectors, and a thread that calls `notice` for all
    /// that is no interrupt.
    pub fn start(vectors: usize, notice: impl Fn(Notice) + Send + 'static) -> io::Result<Self> {
        let fds = (0..vectors)
            .map(|_| new_eventfd())
            .collect::<io::Result<Vec<_>>>()?;
        let fds = Arc::new(fds);
        let special = Arc::new([new_eventfd()?, new_eventfd()?, new_eventfd()?]);
        let lines: Vec<Arc<InterruptLine>> = (0..vectors).map(|_| Arc::default()).collect();
        let theirs = (Arc::clone(&fds), Arc::clone(&special), lines.clone());
        let thread = std::thread::Builder::new()
            .name("carillon-vfio".into())
            .spawn(move || serve(&theirs.0, &theirs.1, &theirs.2, &notice))?;
        Ok(Self {
            vectors: fds,
            special,
            lines,
            thread: Some(thread),
        })
    }

    /// Descriptors of the vectors, for `VFIO_DEVICE_SET_IRQS`.
    pub fn vectors(&self) -> Vec<i32> {
        self.vectors.iter().map(AsRawFd::as_raw_fd).collect()
    }

    /// The vectors' eventfds, for a peer that they are sent to.
    pub fn eventfds(&self) -> Vec<BorrowedFd<'_>> {
        self.vectors.iter().map(AsFd::as_fd).collect()
    }

    /// The descriptor of a notice.
    pub fn of(&self, notice: Notice) -> i32 {
        let index = match notice {
            Notice::Release => 0,
            Notice::BusError => 1,
        };
        self.special[index].as_raw_fd()
    }

    /// The lines, one a vector.
    pub fn lines(&self) -> &[Arc<InterruptLine>] {
        &self.lines
    }
}

/// The count of an eventfd since it was last read.
fn drain(fd: &OwnedFd) -> u64 {
    let mut count = [0; 8];
    match rustix::io::read(fd, &mut count) {
        Ok(8) => u64::from_ne_bytes(count),
        _ => 0,
    }
}

fn serve(
    vectors: &[OwnedFd],
    special: &[OwnedFd; 3],
    lines: &[Arc<InterruptLine>],
    notice: &dyn Fn(Notice),
) {
    loop {
        let all = vectors.iter().chain(special);
        let mut polled: Vec<PollFd<'_>> = all
            .map(|fd| PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN))
            .collect();
        match poll(&mut polled, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => {
                // The driver finds completions by looking, only later.
                tracing::error!(%error, "cannot wait for the card's interrupts");
                return;
            }
        }
        for (fd, line) in vectors.iter().zip(lines) {
            // One wake is enough for many: the driver takes all completions.
            if drain(fd) > 0 {
                line.raise();
            }
        }
        if drain(&special[2]) > 0 {
            return;
        }
        for (fd, what) in special.iter().zip([Notice::Release, Notice::BusError]) {
            if drain(fd) > 0 {
                notice(what);
            }
        }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // Eight bytes into an eventfd fail only when its count overflows.
        let _ = rustix::io::write(&self.special[2], &1u64.to_ne_bytes());
        let Some(thread) = self.thread.take() else {
            return;
        };
        // A notice may drop the card on this very thread.
        if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
            tracing::error!("the thread of a card's interrupts panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    #[tokio::test]
    async fn eventfds_raise_lines_and_notices() {
        let (sender, notices) = channel();
        let signals = Signals::start(2, move |n| sender.send(n).unwrap()).unwrap();
        let line = Arc::clone(&signals.lines()[1]);
        rustix::io::write(&signals.vectors[1], &3u64.to_ne_bytes()).unwrap();
        let raised = tokio::time::timeout(Duration::from_secs(10), line.wait_beyond(0)).await;
        assert_eq!(raised, Ok(1));
        assert_eq!(signals.lines()[0].count(), 0);
        rustix::io::write(&signals.special[0], &1u64.to_ne_bytes()).unwrap();
        assert_eq!(
            notices.recv_timeout(Duration::from_secs(10)),
            Ok(Notice::Release)
        );
        drop(signals);
        assert!(notices.recv().is_err(), "the thread has ended");
    }
}
