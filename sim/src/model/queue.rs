//! A queue's thread: fetch, run, post, one command at a time.
//!
//! Sleeps on the card's condition variable; every register write and every end
//! of a command wakes all threads. Host memory is touched without the lock, so
//! a hook or another queue never waits for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};

use carillon_driver::command::{COMMAND_BYTES, FLAG_LINK, RawCommand};
use carillon_driver::completion::{COMPLETION_BYTES, Completion};
use carillon_driver::status::StatusCode;

use super::counters::Counter;
use super::execute::{Job, Outcome, execute};
use super::state::{Current, QueueError, Rings, State};
use super::{Core, Hang, QUEUES};

impl Core {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs queue `number` until the card is dropped.
    pub(super) fn serve(&self, number: usize) {
        let max = u32::from(self.options.max_log2_depth);
        let mut state = self.lock();
        while !state.shutdown {
            let q = &mut state.queues[number];
            if q.settle(max) {
                self.asynchronous();
            }
            let rings = q.rings;
            if !q.running() || rings.sq_head == rings.sq_tail {
                state = self.wait(state);
                continue;
            }
            q.busy = true;
            drop(state);
            self.one(number, rings);
            state = self.lock();
            state.queues[number].busy = false;
            if state.queues[number].settle(max) {
                self.asynchronous();
            }
            self.changed.notify_all();
        }
    }

    /// The command at the head of the submission ring.
    fn one(&self, number: usize, rings: Rings) {
        let mut bytes = [0; COMMAND_BYTES];
        let at = u64::from(rings.sq_head) * COMMAND_BYTES as u64;
        let fetched = self.dma.read(rings.sq_base.wrapping_add(at), &mut bytes);
        let raw = RawCommand::from_bytes(&bytes);
        let abort = Arc::new(AtomicBool::new(false));
        let head = rings.next(rings.sq_head);
        {
            let mut state = self.lock();
            let q = &mut state.queues[number];
            if !q.running() {
                return;
            }
            if fetched.is_err() {
                q.fail(QueueError::Fetch);
                drop(state);
                self.asynchronous();
                return;
            }
            self.counters.add(Counter::HostRead, COMMAND_BYTES as u64);
            q.rings.sq_head = head;
            let named = q.abort_next.take() == Some(raw.cid);
            abort.store(named, Ordering::Release);
            q.current = Some(Current {
                cid: raw.cid,
                abort: Arc::clone(&abort),
            });
        }
        let broken = self.lock().queues[number].broken;
        if broken.is_none() {
            self.hang(number, &abort);
        }
        let job = Job {
            core: self,
            abort: &abort,
            admin: number == 0,
        };
        let mut outcome = if abort.load(Ordering::Acquire) {
            StatusCode::Aborted.into()
        } else if let Some(failed) = broken {
            Outcome {
                detail: failed.into(),
                ..StatusCode::LinkBroken.into()
            }
        } else {
            execute(&job, &raw)
        };
        let mut state = self.lock();
        let q = &mut state.queues[number];
        // From here on ABORT does not find it any more; until here it holds.
        q.current = None;
        if abort.load(Ordering::Acquire) {
            outcome.status = StatusCode::Aborted;
            // What a link that was not run would have said.
            outcome.detail = if broken.is_some() { 0 } else { outcome.detail };
        }
        let linked = number != 0 && self.options.link && raw.flags & FLAG_LINK != 0;
        q.broken = match outcome.status {
            StatusCode::Success => None,
            _ => broken.or(Some(raw.cid)),
        }
        .filter(|_| linked);
        while state.queues[number].running() && !state.queues[number].rings.has_free_entry() {
            state = self.wait(state);
        }
        if !state.queues[number].running() {
            return;
        }
        let rings = state.queues[number].rings;
        drop(state);
        let completion = Completion {
            cycles: 0,
            ops: outcome.ops,
            bubble_hazard: 0,
            bubble_memory: 0,
            bubble_other: 0,
            detail: outcome.detail,
            sq_head: head as u16,
            queue: number as u16,
            cid: raw.cid,
            status: outcome.status.into(),
        };
        self.post(number, rings, &completion);
    }

    fn post(&self, number: usize, rings: Rings, completion: &Completion) {
        let at = u64::from(rings.cq_tail) * COMPLETION_BYTES as u64;
        let data = completion.to_bytes(rings.phase);
        let posted = self.dma.write(rings.cq_base.wrapping_add(at), &data);
        let mut state = self.lock();
        let q = &mut state.queues[number];
        if posted.is_err() {
            if q.running() {
                q.fail(QueueError::Post);
                drop(state);
                self.asynchronous();
            }
            return;
        }
        q.rings.cq_tail = rings.next(rings.cq_tail);
        q.rings.phase ^= q.rings.cq_tail == 0;
        drop(state);
        self.counters
            .add(Counter::HostWritten, COMPLETION_BYTES as u64);
        self.counters.add(Counter::Commands, 1);
        if completion.status.code != StatusCode::Success {
            self.counters.add(Counter::Errors, 1);
        }
        self.dma.faults().raise(number as u16, &self.lines[number]);
    }

    /// Requests the interrupt for asynchronous events.
    pub(super) fn asynchronous(&self) {
        self.dma.faults().raise(QUEUES as u16, &self.lines[QUEUES]);
    }

    /// `ABORT`: whether the queue had the command running or next to run.
    pub(super) fn abort(&self, queue: u16, cid: u16) -> bool {
        let mut state = self.lock();
        let Some(q) = state
            .queues
            .get_mut(usize::from(queue))
            .filter(|q| q.running())
        else {
            return false;
        };
        if let Some(current) = q.current.as_ref().filter(|c| c.cid == cid) {
            current.abort.store(true, Ordering::Release);
            self.changed.notify_all();
            return true;
        }
        let rings = q.rings;
        if rings.sq_head == rings.sq_tail {
            return false;
        }
        let mut bytes = [0; COMMAND_BYTES];
        let at = u64::from(rings.sq_head) * COMMAND_BYTES as u64;
        let next = self.dma.read(rings.sq_base.wrapping_add(at), &mut bytes);
        let found = next.is_ok() && RawCommand::from_bytes(&bytes).cid == cid;
        if found {
            q.abort_next = Some(cid);
        }
        found
    }

    /// Stands still as long as an injected fault says so.
    fn hang(&self, number: usize, abort: &AtomicBool) {
        let mut state = self.lock();
        let injected = self
            .hang
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take_if(|h| h.0 == number);
        let Some((_, hang)) = injected else { return };
        let healed = self.healed.load(Ordering::Acquire);
        loop {
            let over = match hang {
                Hang::UntilAbort => abort.load(Ordering::Acquire),
                Hang::UntilQueueStop => !state.queues[number].running(),
                Hang::UntilControllerStop => !state.enable,
                Hang::UntilReset => state.resetting,
                Hang::ForEver => false,
            };
            if over || state.shutdown || self.healed.load(Ordering::Acquire) != healed {
                return;
            }
            state = self.wait(state);
        }
    }
}
