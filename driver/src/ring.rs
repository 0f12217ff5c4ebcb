//! The logic of a queue pair's two rings, without any I/O.
//!
//! Owns the indices, the phase and the slot table; knows nothing of memory,
//! doorbells or time, so every state can be reached by a test. Called by
//! `queue_pair.rs`. The rules cited are those of `driver/DESIGN.md` and
//! of the contract's "Queues".
//!
//! A command id names a slot and the slot's generation (rule 4):
//!
//! ```text
//!   cid = generation << log2_depth | slot
//! ```
//!
//! so that an id the card makes up, repeats or answers late meets a slot that
//! is empty or of another generation, and fails the queue instead of finishing
//! somebody else's job. Commands of one queue end in order (contract, Queues 2),
//! so any other order is refused as well.

use std::collections::VecDeque;

use crate::completion::Completion;

/// A completion that the contract does not allow: the queue can no longer be
/// trusted and must be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RingError {
    /// The completion names another queue.
    #[error("completion for queue {got} arrived on queue {queue}")]
    WrongQueue {
        /// The queue it arrived on.
        queue: u16,
        /// The queue it names.
        got: u16,
    },
    /// No command with this id is outstanding.
    #[error("completion for command id {cid:#06x}, which is not outstanding")]
    UnknownId {
        /// The id.
        cid: u16,
    },
    /// The id is outstanding, but an older command has not ended yet.
    #[error("completion for command id {cid:#06x} before that of the older {expected:#06x}")]
    OutOfOrder {
        /// The id.
        cid: u16,
        /// The id that had to come.
        expected: u16,
    },
    /// The submission head lies outside what was submitted.
    #[error("submission head {head} is outside the commands submitted ({first}..={tail})")]
    Head {
        /// What the card reported.
        head: u16,
        /// The smallest index it could be.
        first: u16,
        /// The tail.
        tail: u16,
    },
    /// Reserved bits of the status are set: the entry is torn or foreign.
    #[error("completion with reserved status bits set (status word {word:#06x})")]
    Malformed {
        /// The 16-bit status.
        word: u16,
    },
}

/// Where and under which id to write a command that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Index in the submission ring.
    pub index: u16,
    /// Command id to encode.
    pub cid: u16,
    /// Tail to store in the doorbell afterwards.
    pub tail: u16,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u16,
    /// Submission index and the caller's value while outstanding.
    job: Option<(u16, T)>,
}

/// Indices, phase and slots of a queue pair; `T` travels with each command.
#[derive(Debug)]
pub struct Ring<T> {
    queue: u16,
    log2_depth: u8,
    tail: u16,
    sq_head: u16,
    cq_head: u16,
    phase: bool,
    slots: Vec<Slot<T>>,
    free: VecDeque<u16>,
    order: VecDeque<u16>,
}

/// Depth exponents a ring can have: the command id needs at least four bits of
/// generation besides the slot.
pub const LOG2_DEPTHS: std::ops::RangeInclusive<u8> = 1..=12;

impl<T> Ring<T> {
    /// An empty ring of 2^log2_depth entries for queue number `queue`; `None`
    /// outside [`LOG2_DEPTHS`].
    pub fn new(queue: u16, log2_depth: u8) -> Option<Self> {
        if !LOG2_DEPTHS.contains(&log2_depth) {
            return None;
        }
        let depth = 1u16 << log2_depth;
        Some(Self {
            queue,
            log2_depth,
            tail: 0,
            sq_head: 0,
            cq_head: 0,
            phase: true,
            slots: (0..depth)
                .map(|_| Slot {
                    generation: 0,
                    job: None,
                })
                .collect(),
            free: (0..depth).collect(),
            order: VecDeque::new(),
        })
    }

    /// Entries of each ring.
    pub fn depth(&self) -> u16 {
        1 << self.log2_depth
    }

    /// The ring's indices are modulo its depth.
    fn wrap(&self, index: u16) -> u16 {
        index & (self.depth() - 1)
    }

    /// Entries from index `from` forward to index `to`.
    fn distance(&self, from: u16, to: u16) -> u16 {
        self.wrap(to.wrapping_sub(from))
    }

    /// Commands that were placed and have not ended.
    pub fn outstanding(&self) -> usize {
        self.order.len()
    }

    /// Whether no command can be placed: `tail + 1 == head` (contract, Queues
    /// 1), or one less than the depth are outstanding. The second bound keeps
    /// a place in the completion ring for each.
    pub fn is_full(&self) -> bool {
        self.wrap(self.tail + 1) == self.sq_head
            || self.order.len() >= usize::from(self.depth()) - 1
    }

    /// Takes the next place in the submission ring.
    ///
    /// # Errors
    /// Gives `job` back when the ring is full.
    pub fn place(&mut self, job: T) -> Result<Placed, T> {
        if self.is_full() {
            return Err(job);
        }
        let Some(number) = self.free.pop_front() else {
            return Err(job);
        };
        let index = self.tail;
        let slot = &mut self.slots[usize::from(number)];
        slot.job = Some((index, job));
        let cid = slot.generation << self.log2_depth | number;
        self.order.push_back(cid);
        self.tail = self.wrap(index + 1);
        Ok(Placed {
            index,
            cid,
            tail: self.tail,
        })
    }

    /// Index of the completion to look at, and the phase that makes it new.
    pub fn next_completion(&self) -> (u16, bool) {
        (self.cq_head, self.phase)
    }

    /// Value for the doorbell `CQ_HEAD`.
    pub fn cq_head(&self) -> u16 {
        self.cq_head
    }

    fn slot_of(&self, cid: u16) -> Option<u16> {
        let number = self.wrap(cid);
        let slot = self.slots.get(usize::from(number))?;
        let current = slot.generation << self.log2_depth | number;
        (slot.job.is_some() && current == cid).then_some(number)
    }

    /// Whether the command with this id is outstanding.
    pub fn is_outstanding(&self, cid: u16) -> bool {
        self.slot_of(cid).is_some()
    }

    /// Takes in the completion at [`Ring::next_completion`], whose phase the
    /// caller found to be new, and gives back the job it ends.
    ///
    /// # Errors
    /// [`RingError`]; the ring is then unchanged and must be torn down with
    /// [`Ring::tear_down`].
    pub fn accept(&mut self, completion: &Completion) -> Result<T, RingError> {
        let cid = completion.cid;
        if completion.queue != self.queue {
            return Err(RingError::WrongQueue {
                queue: self.queue,
                got: completion.queue,
            });
        }
        let unknown = RingError::UnknownId { cid };
        let number = self.slot_of(cid).ok_or(unknown)?;
        let expected = *self.order.front().ok_or(unknown)?;
        if expected != cid {
            return Err(RingError::OutOfOrder { cid, expected });
        }
        let depth = self.depth();
        let slot = &mut self.slots[usize::from(number)];
        let Some((index, job)) = slot.job.take() else {
            return Err(unknown);
        };
        // The card must have fetched this command, and nothing beyond the tail
        // (rule 5).
        let (head, tail) = (completion.sq_head, self.tail);
        let first = index.wrapping_add(1) & (depth - 1);
        let reach = tail.wrapping_sub(first) & (depth - 1);
        if head >= depth || head.wrapping_sub(first) & (depth - 1) > reach {
            slot.job = Some((index, job));
            return Err(RingError::Head { head, first, tail });
        }
        // Ids are 16 bits: the generation is in the bits that the slot leaves.
        slot.generation = (slot.generation + 1) & (u16::MAX >> self.log2_depth);
        self.sq_head = head;
        self.cq_head = self.wrap(self.cq_head + 1);
        if self.cq_head == 0 {
            self.phase = !self.phase;
        }
        self.order.pop_front();
        self.free.push_back(number);
        Ok(job)
    }

    /// The oldest outstanding command, which the card is running or will run
    /// next.
    pub fn oldest(&mut self) -> Option<(u16, &mut T)> {
        let cid = *self.order.front()?;
        let number = self.slot_of(cid)?;
        let (_, job) = self.slots.get_mut(usize::from(number))?.job.as_mut()?;
        Some((cid, job))
    }

    /// The value of an outstanding command.
    pub fn get_mut(&mut self, cid: u16) -> Option<&mut T> {
        let number = self.slot_of(cid)?;
        let (_, job) = self.slots.get_mut(usize::from(number))?.job.as_mut()?;
        Some(job)
    }

    /// Does something with every outstanding command's value, in any order.
    pub fn for_each(&mut self, mut act: impl FnMut(&mut T)) {
        let jobs = self.slots.iter_mut().filter_map(|slot| slot.job.as_mut());
        jobs.for_each(|(_, job)| act(job));
    }

    /// All outstanding commands' values, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.order.iter().filter_map(|&cid| {
            let number = self.slot_of(cid)?;
            self.slots
                .get(usize::from(number))?
                .job
                .as_ref()
                .map(|(_, job)| job)
        })
    }

    /// Empties the ring after the card's queue was stopped: all jobs, oldest
    /// first. Indices and phase start anew, as the card's do when it is
    /// enabled; generations go on, so that a completion from before stays
    /// unknown.
    pub fn tear_down(&mut self) -> Vec<T> {
        let order = std::mem::take(&mut self.order);
        let mut jobs = Vec::with_capacity(order.len());
        for cid in order {
            let number = self.wrap(cid);
            let slot = &mut self.slots[usize::from(number)];
            slot.generation = (slot.generation + 1) & (u16::MAX >> self.log2_depth);
            jobs.extend(slot.job.take().map(|(_, job)| job));
            self.free.push_back(number);
        }
        (self.tail, self.sq_head, self.cq_head, self.phase) = (0, 0, 0, true);
        jobs
    }

    /// Distance from the card's last known head to the tail: commands that it
    /// may not have fetched yet.
    pub fn unfetched(&self) -> u16 {
        self.distance(self.sq_head, self.tail)
    }
}

#[cfg(test)]
mod tests;
