//! From the card's interrupt lines to the eventfds of whoever has the card.
//!
//! The other side connects vectors one by one and disconnects all of them in
//! between (that is how Linux sets MSI-X up), so an interrupt that finds no
//! eventfd is kept and sent when one comes.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use carillon_driver::transport::InterruptLine;
use tokio::task::JoinSet;

#[derive(Debug, Default)]
struct Vector {
    eventfd: Option<OwnedFd>,
    pending: bool,
}

impl Vector {
    fn fire(&mut self) {
        match &self.eventfd {
            // Fails only when the count overflows: then the other side knows.
            Some(fd) => drop(rustix::io::write(fd, &1u64.to_ne_bytes())),
            None => self.pending = true,
        }
    }
}

/// The vectors of one served card.
#[derive(Clone, Debug)]
pub struct Vectors {
    vectors: Arc<Mutex<Vec<Vector>>>,
}

impl Vectors {
    /// `count` vectors, none connected.
    pub fn new(count: u16) -> Self {
        let vectors = (0..count).map(|_| Vector::default()).collect();
        Self {
            vectors: Arc::new(Mutex::new(vectors)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Vector>> {
        self.vectors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects vector `index`, or disconnects it.
    pub fn connect(&self, index: usize, eventfd: Option<OwnedFd>) {
        if let Some(vector) = self.lock().get_mut(index) {
            vector.eventfd = eventfd;
            if vector.eventfd.is_some() && std::mem::take(&mut vector.pending) {
                vector.fire();
            }
        }
    }

    /// Disconnects all.
    pub fn disconnect(&self) {
        for vector in self.lock().iter_mut() {
            vector.eventfd = None;
        }
    }

    /// Forgets what is pending: after a reset it is nobody's.
    pub fn forget(&self) {
        for vector in self.lock().iter_mut() {
            vector.pending = false;
        }
    }

    /// Sends vector `index`.
    pub fn fire(&self, index: usize) {
        if let Some(vector) = self.lock().get_mut(index) {
            vector.fire();
        }
    }

    /// Passes the card's lines on until the set is dropped. Call within a tokio
    /// runtime.
    pub fn follow(&self, lines: &[Arc<InterruptLine>]) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for (index, line) in lines.iter().enumerate() {
            let (line, vectors) = (Arc::clone(line), self.clone());
            let mut seen = line.count();
            tasks.spawn(async move {
                loop {
                    seen = line.wait_beyond(seen).await;
                    vectors.fire(index);
                }
            });
        }
        tasks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{EventfdFlags, eventfd};

    fn count(fd: &OwnedFd) -> u64 {
        let mut bytes = [0; 8];
        match rustix::io::read(fd, &mut bytes) {
            Ok(_) => u64::from_ne_bytes(bytes),
            Err(_) => 0,
        }
    }

    #[test]
    fn an_interrupt_between_two_connections_is_kept() {
        let vectors = Vectors::new(2);
        let fd = eventfd(0, EventfdFlags::NONBLOCK).unwrap();
        let give = || Some(fd.try_clone().unwrap());
        vectors.connect(0, give());
        vectors.fire(0);
        assert_eq!(count(&fd), 1);
        vectors.disconnect();
        vectors.fire(0);
        assert_eq!(count(&fd), 0);
        vectors.connect(0, give());
        assert_eq!(count(&fd), 1);
        vectors.disconnect();
        vectors.fire(0);
        vectors.forget();
        vectors.connect(0, give());
        assert_eq!(count(&fd), 0);
        vectors.connect(7, give());
        vectors.fire(7);
    }
}
