//! Which I/O queue a proof goes to, and how many proofs a card has under way.
//!
//! Different queues of a card overlap while they use different units. So each proof has a queue to itself,
//! its lane, and the next proof takes the other one: its operands travel and are transformed while the
//! adders still work on the first. Proofs get lanes in the order in which they ask, and lanes go round.
//!
//! What overlaps is measured by what the lanes' proofs see of one another: a proof says when its commands
//! compute ([`Lane::compute`]), and another looks at that before and after each of its own ([`Lane::watch`]).

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use carillon_driver::{Card, Finished, IoQueue};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// I/O queues of a card (hdl/doc/contract.md). A card that says it has more is not taken at its word: each proof's witness
/// takes memory.
const MOST: usize = 2;

/// The lanes of one card.
#[derive(Debug)]
pub struct Lanes {
    free: Arc<Semaphore>,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    /// Lanes without a proof, the one used least recently first.
    idle: Mutex<VecDeque<usize>>,
    /// By lane: the number of the proof that computes there, 0 if none does.
    computing: Vec<AtomicU64>,
    /// Numbers given out.
    proofs: AtomicU64,
}

impl State {
    fn idle(&self) -> MutexGuard<'_, VecDeque<usize>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lanes {
    /// As many as there are queues, though no more than a card has by the contract.
    pub fn new(queues: usize) -> Self {
        let queues = queues.min(MOST);
        let state = State {
            idle: Mutex::new((0..queues).collect()),
            computing: (0..queues).map(|_| AtomicU64::new(0)).collect(),
            proofs: AtomicU64::new(0),
        };
        Self {
            free: Arc::new(Semaphore::new(queues)),
            state: Arc::new(state),
        }
    }

    /// Proofs that are under way at once.
    pub fn count(&self) -> usize {
        self.state.computing.len()
    }

    /// A lane, when it is the asker's turn; `None` only on a card without queues.
    pub async fn take(&self) -> Option<Lane> {
        // An error means that the semaphore is closed, which it never is.
        let permit = Arc::clone(&self.free).acquire_owned().await.ok()?;
        let index = self.state.idle().pop_front()?;
        Some(Lane {
            index,
            number: self.state.proofs.fetch_add(1, Ordering::Relaxed) + 1,
            state: Arc::clone(&self.state),
            _permit: permit,
        })
    }
}

/// A proof's queue; another proof's when it is dropped.
#[derive(Debug)]
pub struct Lane {
    index: usize,
    number: u64,
    state: Arc<State>,
    // Dropped after `Drop` has put the lane back.
    _permit: OwnedSemaphorePermit,
}

impl Lane {
    /// Its queue.
    pub fn queue<'a>(&self, card: &'a Card) -> &'a IoQueue {
        card.queue(self.index)
    }

    /// The number of its queue on the card, counted as [`Card::queue`] does.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The number of a proof whose commands compute on another lane now.
    pub fn beside(&self) -> Option<u64> {
        let others = self.state.computing.iter().enumerate();
        let mut others = others.filter(|(index, _)| *index != self.index);
        others.find_map(|(_, computing)| match computing.load(Ordering::Acquire) {
            0 => None,
            number => Some(number),
        })
    }

    /// Waits for a command of this lane, and says whether it ran beside the computing of another proof.
    /// `since` is what [`Lane::beside`] said before it was queued.
    ///
    /// It did if the same proof computed before it was queued and after its end; or if it had not ended,
    /// as the next of its lane, and the same proof computes at its end. What is seen late is not counted.
    pub async fn watch<M>(
        &self,
        since: Option<u64>,
        mut ticket: impl Future<Output = Finished<M>> + Unpin,
    ) -> (Finished<M>, bool) {
        let at_once = poll_fn(|cx| Poll::Ready(Pin::new(&mut ticket).poll(cx))).await;
        let (finished, running) = match at_once {
            Poll::Ready(finished) => (finished, None),
            Poll::Pending => {
                let running = self.beside();
                (ticket.await, running)
            }
        };
        let now = self.beside();
        (finished, now.is_some() && (now == since || now == running))
    }

    /// Says that this proof's commands compute, until the guard is dropped. From the end of its transfers to that
    /// of its last sum, between which a queue, which runs in order, does nothing else where proofs are chains.
    pub fn compute(&self) -> Computing<'_> {
        let mine = &self.state.computing[self.index];
        mine.store(self.number, Ordering::Release);
        Computing(mine)
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.state.idle().push_back(self.index);
    }
}

/// A proof computes.
#[derive(Debug)]
pub struct Computing<'a>(&'a AtomicU64);

impl Drop for Computing<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Release);
    }
}

/// The queue with the least to do, for what is no proof: first of all one whose turn nobody has, since a proof that computes
/// its rows holds it without a command.
pub fn quiet(card: &Card) -> &IoQueue {
    let queues = card.queues().iter();
    queues
        .min_by_key(|queue| (queue.is_taken(), queue.outstanding()))
        .unwrap_or(card.queue(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lanes_go_round_in_the_order_of_asking() {
        let lanes = Arc::new(Lanes::new(2));
        let first = lanes.take().await.unwrap();
        let second = lanes.take().await.unwrap();
        assert_eq!((first.index, second.index), (0, 1));
        let (sender, mut order) = tokio::sync::mpsc::unbounded_channel();
        for number in 0..4 {
            let (lanes, sender) = (Arc::clone(&lanes), sender.clone());
            tokio::spawn(async move {
                let lane = lanes.take().await.unwrap();
                sender.send((number, lane.index)).unwrap();
                tokio::task::yield_now().await;
            });
            tokio::task::yield_now().await;
        }
        assert!(order.try_recv().is_err(), "both lanes are taken");
        drop(second);
        assert_eq!(order.recv().await, Some((0, 1)));
        drop(first);
        let mut rest = Vec::new();
        for _ in 0..3 {
            rest.push(order.recv().await.unwrap().0);
        }
        assert_eq!(rest, [1, 2, 3]);
    }

    #[tokio::test]
    async fn a_proof_is_seen_from_the_other_lane_while_it_computes() {
        let lanes = Lanes::new(2);
        let (one, two) = (lanes.take().await.unwrap(), lanes.take().await.unwrap());
        assert_eq!((one.beside(), two.beside()), (None, None));
        let computing = one.compute();
        assert_eq!((one.beside(), two.beside()), (None, Some(1)));
        drop(computing);
        assert_eq!(two.beside(), None);
        drop(one);
        let three = lanes.take().await.unwrap();
        let _computing = three.compute();
        assert_eq!(two.beside(), Some(3), "another proof on the same lane");
    }
}
