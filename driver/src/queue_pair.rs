//! One queue pair: rings in host memory, doorbells, and the jobs between.
//!
//! The I/O around [`Ring`]. Anybody submits ([`QueuePair::submit`]); only the
//! card's worker takes completions ([`QueuePair::poll`]) and starts, stops and
//! empties the queue. The rules are those of `driver/DESIGN.md`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use crate::bar::{Bar, Gone};
use crate::command::{COMMAND_BYTES, Command, RawCommand};
use crate::completion::{COMPLETION_BYTES, Completion};
use crate::deadline::estimate_cycles;
use crate::dma::{DmaPool, HostBuf};
use crate::error::{CardError, JobError};
use crate::handoff;
use crate::ledger::Owner;
use crate::link::{Held, Link, Turn};
use crate::memory::MemoryError;
use crate::quarantine::Quarantine;
use crate::region::CardSpace;
use crate::registers as reg;
use crate::request::Request;
use crate::ring::{Placed, Ring, RingError};
use crate::status::StatusCode;
use crate::ticket::{Finished, Job, JobMemory, Pending, Ticket};

/// Whether a queue takes commands.
#[derive(Clone, Debug)]
pub(crate) enum Mode {
    /// It does.
    Running,
    /// Not now: it is being started or repaired. Submitters wait.
    Repair,
    /// No, for this reason: the card is out of service or closed.
    Ended(JobError),
}

/// In what order with others a command is placed.
pub(crate) enum Place<'a> {
    /// When it is its turn.
    Alone,
    /// Now: the caller has the turn.
    WithTurn(Turn),
    /// As the next of a chain.
    Linked(&'a Link),
}

/// A job in its slot.
pub(crate) struct Entry {
    job: Box<dyn Job>,
    cost: u64,
    /// Set when the driver gave up on it: an `ABORTED` is then its own doing.
    overdue: Option<Duration>,
    /// Its ticket was dropped.
    abandoned: bool,
    /// Ended because the card is being closed.
    closing: bool,
    /// `ABORT` was sent when it was its turn.
    asked: bool,
    /// Held back for its chain: the card does not know of it yet.
    held: bool,
    _slot: OwnedSemaphorePermit,
}

impl Entry {
    fn finish(self, completion: Completion) {
        let result = match (completion.status.code, self.overdue) {
            (StatusCode::Success, _) => Ok(completion),
            (StatusCode::Aborted | StatusCode::LinkBroken, _) if self.closing => {
                Err(JobError::Closed)
            }
            (StatusCode::LinkBroken, _) => Err(JobError::LinkBroken {
                // Ids are 16 bits; the card gives it in a field of 32.
                failed: completion.detail as u16,
            }),
            (StatusCode::Aborted, Some(waited)) => Err(JobError::TimedOut {
                waited,
                by: "ABORT",
            }),
            _ => Err(JobError::Status {
                completion: Box::new(completion),
            }),
        };
        self.job.finish(result);
    }

    fn new(job: Box<dyn Job>, cost: u64, slot: OwnedSemaphorePermit) -> Self {
        Self {
            job,
            cost,
            overdue: None,
            abandoned: false,
            closing: false,
            asked: false,
            held: false,
            _slot: slot,
        }
    }

    /// Ends it with an error; the card is proven to be done with its memory.
    pub fn fail(self, error: JobError) {
        self.job.finish(Err(error));
    }

    /// Ends it with an error. The card was not stopped: what a mapping still
    /// reaches goes into quarantine.
    pub fn give_up(self, error: JobError, quarantine: &Quarantine) {
        if self.job.is_mapped() {
            // Counted before the ticket is told.
            self.job.set_owner(Owner::Quarantine);
            quarantine.keep(self.job.give_up(error));
        } else {
            self.job.finish(Err(error));
        }
    }
}

/// A queue pair of one card.
pub(crate) struct QueuePair {
    number: u16,
    log2_depth: u8,
    bar: Bar,
    sq: HostBuf,
    cq: HostBuf,
    ring: Mutex<Ring<Entry>>,
    /// The newest command of an open chain. Locked after `ring`, which it belongs to.
    held: Mutex<Option<Held>>,
    /// Who may place commands; a chain keeps it from its first command to its end.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// How often the ring was emptied. Changes under the ring's lock.
    session: AtomicU64,
    mode: watch::Sender<Mode>,
    free_slots: Arc<Semaphore>,
    space: CardSpace,
    worker: mpsc::UnboundedSender<Request>,
    wake: Arc<Notify>,
}

impl QueuePair {
    /// Rings for queue `number`, not yet started. The depth exponent was
    /// checked against the card's capability.
    pub fn new(
        number: u16,
        log2_depth: u8,
        bar: Bar,
        pools: (&DmaPool, &DmaPool),
        space: CardSpace,
        worker: mpsc::UnboundedSender<Request>,
        wake: Arc<Notify>,
    ) -> Result<Self, CardError> {
        let ring = Ring::new(number, log2_depth).ok_or_else(|| CardError::Config {
            what: format!("log2 of the queue depth is {log2_depth}; it can be 1 to 12"),
        })?;
        let depth = usize::from(ring.depth());
        let (to_card, from_card) = pools;
        Ok(Self {
            number,
            log2_depth,
            bar,
            sq: to_card.allocate(depth * COMMAND_BYTES)?,
            cq: from_card.allocate(depth * COMPLETION_BYTES)?,
            ring: Mutex::new(ring),
            held: Mutex::new(None),
            turn: Arc::default(),
            session: AtomicU64::new(0),
            mode: watch::Sender::new(Mode::Repair),
            free_slots: Arc::new(Semaphore::new(depth - 1)),
            space,
            worker,
            wake,
        })
    }

    /// Queue number; 0 is the admin queue.
    pub fn number(&self) -> u16 {
        self.number
    }

    fn ring(&self) -> MutexGuard<'_, Ring<Entry>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self) -> MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nobody else places commands.
    pub async fn turn(&self) -> Turn {
        Arc::clone(&self.turn).lock_owned().await
    }

    /// Whether somebody has the turn.
    pub fn is_taken(&self) -> bool {
        self.turn.try_lock().is_err()
    }

    /// Begins a chain, with the queue's turn; without the flag it is the turn alone.
    pub async fn link(&self, flagged: bool) -> Link {
        let turn = self.turn().await;
        Link::new(turn, self.session.load(Ordering::Acquire), flagged)
    }

    /// Sends what is held back for a chain, if anything is: the card goes on to the
    /// next command from it, or the chain ends with it.
    pub fn release(&self, linked: bool) {
        self.release_in(&mut self.ring(), linked);
    }

    fn release_in(&self, ring: &mut MutexGuard<'_, Ring<Entry>>, linked: bool) {
        let Some(held) = self.held().take() else {
            return;
        };
        let (placed, raw) = held.released(linked);
        if let Some(entry) = ring.get_mut(placed.cid) {
            entry.held = false;
        }
        self.send(placed, &raw);
        // It may be the only one, and its ticket may have been dropped meanwhile.
        self.wake.notify_one();
    }

    fn send(&self, placed: Placed, raw: &RawCommand) {
        if let Err(e) = self.hand_over(placed, raw) {
            tracing::error!(error = %e, queue = self.number, "submission ring out of range");
        }
    }

    /// Sends `command` with what it borrows; waits for a free slot and for repairs,
    /// not for the command. `epoch` is that of card memory when the addresses
    /// were taken ([`CardSpace::epoch`]): they mean nothing in another.
    pub async fn submit<M: JobMemory>(
        &self,
        at: Place<'_>,
        epoch: u64,
        command: &Command,
        memory: M,
        list: Option<HostBuf>,
        regions: Vec<crate::region::CardRegion>,
    ) -> Ticket<M> {
        self.submit_raw(
            at,
            epoch,
            (command.encode(0), estimate_cycles(command)),
            memory,
            list,
            regions,
        )
        .await
    }

    /// The same for any 64 bytes (the command id is filled in here) and their estimated cycles.
    pub async fn submit_raw<M: JobMemory>(
        &self,
        at: Place<'_>,
        epoch: u64,
        (mut raw, cost): (RawCommand, u64),
        memory: M,
        list: Option<HostBuf>,
        regions: Vec<crate::region::CardRegion>,
    ) -> Ticket<M> {
        let (_turn, link) = match at {
            Place::Alone => (Some(self.turn().await), None),
            Place::WithTurn(turn) => (Some(turn), None),
            Place::Linked(link) => (None, Some(link)),
        };
        // Never closed: whoever waits here when the queue ends gets its turn
        // as the jobs before it end, and is refused below.
        let Ok(slot) = Arc::clone(&self.free_slots).acquire_owned().await else {
            return Ticket::failed(JobError::Closed, memory);
        };
        let mut mode = self.mode.subscribe();
        loop {
            // An error means that the sender is gone, which `self` holds.
            if mode.wait_for(|m| !matches!(m, Mode::Repair)).await.is_err() {
                return Ticket::failed(JobError::Closed, memory);
            }
            let mut ring = self.ring();
            // The mode changes under this lock only.
            match &*self.mode.borrow() {
                Mode::Running => {}
                Mode::Repair => continue,
                Mode::Ended(error) => return Ticket::failed(error.clone(), memory),
            }
            if self.space.epoch() != epoch {
                let why = "the card was reset while the command waited for its turn".into();
                let memory_lost = true;
                return Ticket::failed(JobError::Restarted { why, memory_lost }, memory);
            }
            if link.is_some_and(|l| l.session != self.session.load(Ordering::Acquire)) {
                let why = "the queue was restarted while the chain was being sent".into();
                let memory_lost = false;
                return Ticket::failed(JobError::Restarted { why, memory_lost }, memory);
            }
            let (reply, receiver) = oneshot::channel();
            let idle = ring.outstanding() == 0;
            regions.iter().for_each(|region| self.space.touch(region));
            let job = Box::new(Pending {
                memory,
                list,
                regions,
                reply,
            });
            job.set_owner(Owner::Card);
            let placed = match ring.place(Entry::new(job, cost, slot)) {
                Ok(placed) => placed,
                // The permit stands for the slot; without it the ring's own
                // bookkeeping is broken.
                Err(entry) => {
                    entry.fail(JobError::Closed);
                    return Ticket::new(receiver, self.number, 0, self.worker.clone());
                }
            };
            raw.cid = placed.cid;
            match link.filter(|link| link.flagged && self.holds_back()) {
                None => self.send(placed, &raw),
                Some(_) => {
                    self.release_in(&mut ring, true);
                    if let Some(entry) = ring.get_mut(placed.cid) {
                        entry.held = true;
                    }
                    *self.held() = Some(Held { placed, raw });
                }
            }
            drop(ring);
            if idle {
                self.wake.notify_one();
            }
            return Ticket::new(receiver, self.number, placed.cid, self.worker.clone());
        }
    }

    /// Whether a command can be held back: in the smallest ring the next one would
    /// wait for its slot for ever. Its commands go one by one anyway.
    fn holds_back(&self) -> bool {
        self.log2_depth > 1
    }

    /// Submits without waiting and without a receiver of the result: for `ABORT`.
    /// Returns whether a slot was free.
    pub fn try_submit(&self, command: &Command) -> bool {
        let running = || matches!(&*self.mode.borrow(), Mode::Running);
        self.place_now(command, (), running).is_some()
    }

    /// Whether [`QueuePair::submit_last`] would get a slot. Those who still wait
    /// for one are refused as soon as they run.
    pub fn has_free_slot(&self) -> bool {
        self.free_slots.available_permits() > 0
    }

    /// The same for the worker itself while the card is being closed: others are
    /// refused already.
    pub fn submit_last<M: JobMemory>(
        &self,
        command: &Command,
        memory: M,
    ) -> Option<oneshot::Receiver<Finished<M>>> {
        self.place_now(command, memory, || true)
    }

    fn place_now<M: JobMemory>(
        &self,
        command: &Command,
        memory: M,
        may: impl FnOnce() -> bool,
    ) -> Option<oneshot::Receiver<Finished<M>>> {
        let slot = Arc::clone(&self.free_slots).try_acquire_owned().ok()?;
        let mut ring = self.ring();
        // The mode changes under this lock only.
        if !may() {
            return None;
        }
        let (reply, receiver) = oneshot::channel();
        let job = Box::new(Pending {
            memory,
            list: None,
            regions: Vec::new(),
            reply,
        });
        job.set_owner(Owner::Card);
        let entry = Entry::new(job, estimate_cycles(command), slot);
        let placed = match ring.place(entry) {
            Ok(placed) => placed,
            // As in `submit_raw`: the permit stands for the slot.
            Err(entry) => {
                entry.fail(JobError::Closed);
                return None;
            }
        };
        self.hand_over(placed, &command.encode(placed.cid)).ok()?;
        Some(receiver)
    }

    /// Notes that a command's ticket was dropped; it is ended when it is its
    /// turn ([`QueuePair::take_abandoned`]).
    pub fn abandon(&self, cid: u16) {
        if let Some(entry) = self.ring().get_mut(cid) {
            entry.abandoned = true;
        }
    }

    /// Ends all commands because the card is being closed.
    pub fn abandon_all(&self) {
        let mut ring = self.ring();
        self.release_in(&mut ring, false);
        ring.for_each(|entry| {
            entry.abandoned = true;
            entry.closing = true;
        });
    }

    /// `ABORT` could not be sent: it is tried again at the next look.
    pub fn was_not_asked(&self, cid: u16) {
        if let Some(entry) = self.ring().get_mut(cid) {
            entry.asked = false;
        }
    }

    /// The oldest command, if its ticket was dropped and `ABORT` was not sent
    /// for it yet. `ABORT` finds a command only while it runs or is the next to run.
    pub fn take_abandoned(&self) -> Option<u16> {
        let mut ring = self.ring();
        let (cid, entry) = ring.oldest()?;
        let ask = entry.abandoned && !entry.asked && !entry.held;
        entry.asked |= ask;
        ask.then_some(cid)
    }

    /// Writes a command into its place and rings the doorbell.
    fn hand_over(&self, placed: Placed, raw: &RawCommand) -> Result<(), MemoryError> {
        let (memory, base) = self.sq.shared();
        let at = base + usize::from(placed.index) * COMMAND_BYTES;
        handoff::submit(&**memory, at, &raw.to_words(), || {
            self.bar
                .write(reg::sq_tail::offset(self.number), u32::from(placed.tail));
        })
    }

    /// The completion at the ring's head, if it is new.
    fn look(&self, ring: &Ring<Entry>) -> Option<[u64; 4]> {
        let (index, phase) = ring.next_completion();
        let (memory, base) = self.cq.shared();
        let at = base + usize::from(index) * COMPLETION_BYTES;
        handoff::completion(&**memory, at, phase).ok()?
    }

    /// Takes every new completion, adds their number to `counter`, and ends their jobs, in this order:
    /// who waits for a job finds it counted. Returns the number.
    ///
    /// # Errors
    /// [`RingError`]: the queue takes no more commands and must be stopped.
    pub fn poll(&self, counter: &AtomicU64) -> Result<usize, RingError> {
        let mut ended = Vec::new();
        let mut fault = None;
        {
            let mut ring = self.ring();
            while let Some(words) = self.look(&ring) {
                let accepted = match Completion::from_words(words) {
                    Some((completion, _)) => ring.accept(&completion).map(|e| (completion, e)),
                    None => Err(RingError::Malformed {
                        word: (words[3] >> 48) as u16,
                    }),
                };
                match accepted {
                    Ok(pair) => ended.push(pair),
                    Err(error) => {
                        self.set_mode(&ring, Mode::Repair);
                        fault = Some(error);
                        break;
                    }
                }
            }
            if !ended.is_empty() {
                self.bar
                    .write(reg::cq_head::offset(self.number), u32::from(ring.cq_head()));
            }
        }
        let count = ended.len();
        counter.fetch_add(count as u64, Ordering::Relaxed);
        for (completion, entry) in ended {
            entry.finish(completion);
        }
        fault.map_or(Ok(count), Err)
    }

    /// Commands outstanding.
    pub fn outstanding(&self) -> usize {
        self.ring().outstanding()
    }

    /// Estimated cycles of all outstanding commands.
    pub fn cost(&self) -> u64 {
        self.ring()
            .iter()
            .fold(0, |sum, e| sum.saturating_add(e.cost))
    }

    /// Id of the command that runs, or will run next, if the card knows of it.
    pub fn oldest(&self) -> Option<u16> {
        let mut ring = self.ring();
        let (cid, entry) = ring.oldest()?;
        (!entry.held).then_some(cid)
    }

    /// Whether the command with this id has not ended.
    pub fn is_outstanding(&self, cid: u16) -> bool {
        self.ring().is_outstanding(cid)
    }

    /// Notes that the driver gave up on the oldest command after `waited`.
    pub fn mark_overdue(&self, waited: Duration) -> Option<u16> {
        let mut ring = self.ring();
        let (cid, entry) = ring.oldest()?;
        entry.overdue = Some(waited);
        Some(cid)
    }

    // The guard is proof that the caller holds the lock.
    fn set_mode(&self, _lock: &MutexGuard<'_, Ring<Entry>>, mode: Mode) {
        self.mode.send_if_modified(|current| {
            let change = !matches!(current, Mode::Ended(_));
            if change {
                *current = mode;
            }
            change
        });
    }

    /// Takes commands again once it is started: the card was put back in
    /// service.
    pub fn revive(&self) {
        let _ring = self.ring();
        self.mode.send_if_modified(|current| {
            let ended = matches!(current, Mode::Ended(_));
            if ended {
                *current = Mode::Repair;
            }
            ended
        });
    }

    /// Takes no commands until started again.
    pub fn pause(&self) {
        let ring = self.ring();
        self.set_mode(&ring, Mode::Repair);
    }

    /// Takes no commands until revived. The caller ends what is outstanding.
    pub fn end(&self, reason: JobError) {
        let _ring = self.ring();
        self.mode.send_replace(Mode::Ended(reason));
    }

    /// Tells the card to stop the queue and waits until it has (contract,
    /// Queues 6).
    pub async fn stop(&self, limit: Duration) -> Result<(), CardError> {
        let control = reg::queue_ctrl::offset(self.number);
        self.bar
            .write_flushed(control, 0)
            .map_err(|Gone| self.bar.gone())?;
        let status = reg::queue_status::offset(self.number);
        self.bar
            .wait_field(status, reg::queue_status::ACTIVE, 0, "stop a queue", limit)
            .await
    }

    /// The jobs of a queue that the card is proven to have stopped, or whose
    /// memory it is proven not to reach. Oldest first.
    pub fn take_all(&self) -> Vec<Entry> {
        let mut ring = self.ring();
        *self.held() = None;
        self.session.fetch_add(1, Ordering::AcqRel);
        ring.tear_down()
    }

    /// Programs and starts the (stopped, emptied) queue.
    pub async fn start(&self, limit: Duration) -> Result<(), CardError> {
        {
            // The first lap's phase is 1, so old completions must go.
            let ring = self.ring();
            let (memory, base) = self.cq.shared();
            for offset in (0..self.cq.padded_len()).step_by(8) {
                memory
                    .store(base + offset, 0, Ordering::Relaxed)
                    .map_err(CardError::from)?;
            }
            self.set_mode(&ring, Mode::Repair);
        }
        // Until they are unmapped.
        self.sq.set_owner(Owner::Card);
        self.cq.set_owner(Owner::Card);
        let (q, bar) = (self.number, &self.bar);
        let halves = |iova: u64| (iova as u32, (iova >> 32) as u32);
        let (sq_lo, sq_hi) = halves(self.sq.iova());
        let (cq_lo, cq_hi) = halves(self.cq.iova());
        bar.write(reg::queue_sq_base_lo::offset(q), sq_lo);
        bar.write(reg::queue_sq_base_hi::offset(q), sq_hi);
        bar.write(reg::queue_cq_base_lo::offset(q), cq_lo);
        bar.write(reg::queue_cq_base_hi::offset(q), cq_hi);
        bar.write(reg::queue_log2_depth::offset(q), u32::from(self.log2_depth));
        // Rule 8: the card takes bases and depth over when it is enabled, so they
        // must have arrived before that.
        let programmed = bar.read(reg::queue_log2_depth::offset(q));
        programmed.map_err(|Gone| bar.gone())?;
        let enable = reg::queue_ctrl::ENABLE.set(0, 1);
        bar.write_flushed(reg::queue_ctrl::offset(q), enable)
            .map_err(|Gone| bar.gone())?;
        let status = reg::queue_status::offset(q);
        bar.wait_field(status, reg::queue_status::ACTIVE, 1, "start a queue", limit)
            .await?;
        let ring = self.ring();
        self.set_mode(&ring, Mode::Running);
        Ok(())
    }

    /// The error code with which the card stopped the queue, if it did.
    pub fn card_error(&self) -> Result<Option<u32>, Gone> {
        let status = self.bar.read(reg::queue_status::offset(self.number))?;
        let error = reg::queue_status::ERROR.get(status);
        Ok((error != 0).then_some(error))
    }
}
