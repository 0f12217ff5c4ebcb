//! The card's only task: takes completions, watches deadlines, repairs.
//!
//! Everybody submits straight into the rings; everything that happens *because
//! of the card* happens here, one thing after the other, so that repairs
//! (`recovery.rs`) never race with completions. While the card is out of service
//! the task only waits to be asked for a reset. When it ends for whatever reason
//! (card closed, dropped, or the runtime gone), its drop stops the card and ends
//! every job.

use std::sync::Arc;

use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use crate::announced::Announced;
use crate::bar::Gone;
use crate::deadline::{Sample, Watch};
use crate::error::JobError;
use crate::queue_pair::QueuePair;
use crate::recovery::{Cause, Recovery};
use crate::registers as reg;
use crate::request::Request;
use crate::shared::{Health, Shared};
use crate::transport::{InterruptLine, TransportError, TransportEvent};

pub(crate) struct Worker {
    shared: Arc<Shared>,
    recovery: Recovery,
    requests: mpsc::UnboundedReceiver<Request>,
    events: broadcast::Receiver<TransportEvent>,
    lines: Vec<Arc<InterruptLine>>,
    announced: Vec<Announced>,
    /// Asynchronous interrupts when the card's errors were last looked for.
    complaints: u64,
    watches: Vec<Watch>,
    last: Option<Sample>,
    // Ends the tasks that wait for interrupts, when dropped.
    _waiters: JoinSet<()>,
}

enum Turn {
    Look,
    Tick,
    Asked(Option<Request>),
    Event(Result<TransportEvent, broadcast::error::RecvError>),
}

impl Worker {
    /// Connects the interrupts; call on a tokio runtime.
    pub fn new(
        shared: Arc<Shared>,
        requests: mpsc::UnboundedReceiver<Request>,
    ) -> Result<Self, TransportError> {
        let transport = Arc::clone(shared.bar.transport());
        let mut lines = Vec::new();
        let mut waiters = JoinSet::new();
        // One vector per queue, then the one for asynchronous events.
        for vector in 0..=shared.queues.len() as u16 {
            let line = transport.interrupt(vector)?;
            let (waiting, wake) = (Arc::clone(&line), Arc::clone(&shared.wake));
            let mut seen = line.count();
            waiters.spawn(async move {
                loop {
                    seen = waiting.wait_beyond(seen).await;
                    wake.notify_one();
                }
            });
            lines.push(line);
        }
        let queues = shared.queues.len();
        Ok(Self {
            events: transport.events(),
            announced: lines[..queues]
                .iter()
                .map(|l| Announced::new(l.count()))
                .collect(),
            complaints: lines[queues].count(),
            lines,
            recovery: Recovery::new(Arc::clone(&shared)),
            shared,
            requests,
            watches: (0..queues).map(|_| Watch::default()).collect(),
            last: None,
            _waiters: waiters,
        })
    }

    /// Runs until the card is closed.
    pub async fn run(mut self) {
        while self.serve().await && self.wait_for_revival().await {}
        // It takes time; an error means that the runtime ends, and then the drop
        // does it.
        let shared = Arc::clone(&self.shared);
        let _ = tokio::task::spawn_blocking(move || shared.wipe()).await;
    }

    /// Serves the card while it is in service; returns whether it went out of
    /// service (else it was closed).
    async fn serve(&mut self) -> bool {
        let mut ticks = tokio::time::interval(self.shared.deadlines.poll);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let proceed = match self.next(&mut ticks).await {
                Turn::Look => self.look(false).await,
                Turn::Tick => self.look(true).await && self.watch().await,
                Turn::Asked(Some(Request::Abort { queue, cid })) => {
                    if let Some(queue) = self.shared.queues.get(usize::from(queue)) {
                        queue.abandon(cid);
                    }
                    self.abort_abandoned();
                    true
                }
                Turn::Asked(Some(Request::Reset { level, done })) => {
                    let result = self.recovery.reset(level).await;
                    let proceed = result.is_ok();
                    // The asker may have gone; the reset is done all the same.
                    let _ = done.send(result);
                    proceed
                }
                Turn::Asked(Some(Request::Close) | None) => return false,
                Turn::Event(Ok(event)) => {
                    let cause = match event {
                        TransportEvent::Removed => Cause::Gone,
                        TransportEvent::Reset => Cause::ForeignReset,
                    };
                    self.recovery.recover(0, cause).await
                }
                // Events were missed: look at the card itself.
                Turn::Event(Err(_)) => self.look(true).await,
            };
            if !proceed {
                return true;
            }
        }
    }

    /// Waits, out of service, for a reset that helps; returns whether one did
    /// (else the card was closed).
    async fn wait_for_revival(&mut self) -> bool {
        loop {
            let events = !self.events.is_closed();
            tokio::select! {
                asked = self.requests.recv() => match asked {
                    Some(Request::Reset { level, done }) => {
                        let result = self.recovery.revive(level).await;
                        let revived = result.is_ok();
                        let _ = done.send(result);
                        if revived {
                            self.forget();
                            return true;
                        }
                    }
                    // Every command has ended.
                    Some(Request::Abort { .. }) => {}
                    Some(Request::Close) | None => return false,
                },
                // A card that has left the bus reaches no memory any more.
                _ = self.events.recv(), if events => self.shared.release_unreachable(),
            }
        }
    }

    /// Forgets what was seen of the card before it was reset.
    fn forget(&mut self) {
        self.watches.iter_mut().for_each(Watch::clear);
        self.last = None;
    }

    async fn next(&mut self, ticks: &mut Interval) -> Turn {
        let busy = self.shared.queues.iter().any(|q| q.outstanding() > 0)
            || self.announced.iter().any(Announced::is_owed);
        // A transport that has dropped its events has nothing more to tell.
        let events = !self.events.is_closed();
        tokio::select! {
            () = self.shared.wake.notified() => Turn::Look,
            asked = self.requests.recv() => Turn::Asked(asked),
            event = self.events.recv(), if events => Turn::Event(event),
            _ = ticks.tick(), if busy => Turn::Tick,
        }
    }

    /// Takes completions from all queues, and the card's own complaints.
    /// Returns whether the card is still in service.
    async fn look(&mut self, tick: bool) -> bool {
        for index in 0..self.shared.queues.len() {
            let raised = self.lines[index].count();
            let counters = &self.shared.counters;
            match self.shared.queues[index].poll(&counters.completions) {
                Ok(taken) => {
                    if self.announced[index].looked(raised, tick, taken) {
                        Shared::count(&counters.lost_interrupts);
                        tracing::warn!(queue = index, "completion without an interrupt");
                    }
                }
                Err(error) => {
                    Shared::count(&counters.protocol_errors);
                    tracing::error!(queue = index, %error, "queue protocol broken");
                    if !self.recovery.recover(index, Cause::Protocol(error)).await {
                        return false;
                    }
                }
            }
        }
        self.abort_abandoned();
        let asynchronous = self.lines.last().map_or(0, |l| l.count());
        if tick || asynchronous != self.complaints {
            self.complaints = asynchronous;
            return self.look_at_errors().await;
        }
        true
    }

    async fn look_at_errors(&mut self) -> bool {
        let Ok(status) = self.shared.bar.read(reg::status::OFFSET) else {
            return self.recovery.recover(0, Cause::Gone).await;
        };
        if reg::status::FATAL.get(status) != 0 {
            let code = reg::status::FATAL_CODE.get(status);
            return self.recovery.recover(0, Cause::Fatal { code }).await;
        }
        for index in 0..self.shared.queues.len() {
            match self.shared.queues[index].card_error() {
                Ok(None) => {}
                Ok(Some(code)) => {
                    Shared::count(&self.shared.counters.queue_errors);
                    let cause = Cause::QueueError { code };
                    if !self.recovery.recover(index, cause).await {
                        return false;
                    }
                }
                Err(Gone) => return self.recovery.recover(0, Cause::Gone).await,
            }
        }
        true
    }

    /// The card's busy cycles; and its work only while those stand still, since
    /// reading all counters keeps a slow card from its work.
    fn sample(&mut self) -> Result<Sample, Gone> {
        let bar = &self.shared.bar;
        let busy = bar.busy_cycles()?;
        let work = match self.last {
            Some(last) if last.busy != busy => last.work,
            _ => bar.counters()?.work(),
        };
        let sample = Sample {
            at: Instant::now(),
            busy,
            work,
        };
        self.last = Some(sample);
        Ok(sample)
    }

    /// Checks the deadline of every queue's oldest command.
    async fn watch(&mut self) -> bool {
        let Ok(sample) = self.sample() else {
            return self.recovery.recover(0, Cause::Gone).await;
        };
        let limits = self.shared.deadlines;
        let cost: u64 = self
            .shared
            .queues
            .iter()
            .map(QueuePair::cost)
            .fold(0, u64::saturating_add);
        let budget = cost
            .saturating_mul(u64::from(limits.slack))
            .saturating_add(limits.floor_cycles);
        for index in 0..self.shared.queues.len() {
            let oldest = self.shared.queues[index].oldest();
            let overdue = self.watches[index].check(oldest, sample, budget, limits.stall);
            let Some(waited) = overdue else { continue };
            // Rule 6: look once more; the interrupt may have been lost.
            if !self.look(true).await {
                return false;
            }
            if self.shared.queues[index].oldest() != oldest {
                continue;
            }
            Shared::count(&self.shared.counters.timeouts);
            self.watches[index].clear();
            let cause = Cause::Overdue { waited };
            if !self.recovery.recover(index, cause).await {
                return false;
            }
        }
        true
    }

    /// Ends commands whose tickets were dropped. A card finds a command only when it is
    /// its turn, so each of a chain is aborted when the one before has ended:
    /// called after every look at the completions.
    fn abort_abandoned(&self) {
        for queue in self.shared.queues.iter().skip(1) {
            if let Some(cid) = queue.take_abandoned()
                && !self.shared.abort(queue.number(), cid)
            {
                queue.was_not_asked(cid);
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.shared.wipe();
        self.shared.close_blocking(JobError::Closed);
        self.shared.health.send_if_modified(|h| {
            let closed = !matches!(h, Health::Offline(_));
            if closed {
                *h = Health::Closed;
            }
            closed
        });
    }
}
