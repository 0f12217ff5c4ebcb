//! The single writer: one thread that checks, executes, makes durable, acknowledges and seals.
//!
//! 1. It takes what waits, up to a limit: a group.
//! 2. Signatures of the group are checked on all cores against the present state.
//! 3. The group is executed in order. An operation that does not fit the open batch ends the group
//!    there; the batch is sealed first.
//! 4. The accepted operations are written to the log in one transaction: the group commit.
//! 5. Only then are they acknowledged, with a receipt each.
//! 6. The batch is sealed when it is full or old enough.
//!
//! What waits meanwhile is the next group, so that groups grow with the load. If the disk fails the
//! memory is ahead of it: the writer answers everybody with the reason and takes nothing more; a
//! restart begins from what is durable. Called by `service`.

mod apart;
mod promised;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rayon::prelude::*;
use tokio::sync::{oneshot, watch};

use super::accounts::Accounts;
use super::machine::{Machine, Refusal, Sealed, SubmitError, WriterError};
use super::outbox::{LanesOut, Outbox, Outgoing, Wanted};
use super::ports::{LaneEntries, Line, Promised, QueueEntry};
use super::receipt::{self, Receipt};
use super::store::{BatchRow, BatchStatus, Group, LogLine, SealLine, SealedPoint, SoftRow, Store};

use carillon_protocol::crypto::schnorr::SecretKey;
pub use promised::{PromisePolicy, Unsettled};

/// How the writer works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriterOptions {
    /// The chain's id, for receipts.
    pub chain_id: u64,
    /// Most operations of a group.
    pub group: usize,
    /// Commands that may wait.
    pub waiting: usize,
    /// Seal after so many operations, though more would fit.
    pub seal_count: u64,
    /// Seal when the oldest operation of the open batch has waited so long.
    pub seal_after: Duration,
    /// How much may be taken that is not settled.
    pub promises: PromisePolicy,
}

impl WriterOptions {
    /// The defaults for a chain.
    pub fn new(chain_id: u64) -> Self {
        Self {
            chain_id,
            group: 4096,
            waiting: 1 << 15,
            seal_count: u64::MAX,
            seal_after: Duration::from_secs(10),
            promises: PromisePolicy::default(),
        }
    }
}

type Answer<T> = oneshot::Sender<T>;
/// An operation of a user, and who waits for its receipt.
type Submitted<M> = (
    <M as Machine>::Operation,
    Answer<Result<Receipt, SubmitError>>,
);

enum Command<M: Machine> {
    Submit(M::Operation, Answer<Result<Receipt, SubmitError>>),
    Queue(Vec<QueueEntry>, Answer<Result<u64, SubmitError>>),
    Lanes(LaneEntries, Answer<Result<(), SubmitError>>),
    Promised(Promised, Answer<Result<Option<String>, SubmitError>>),
    Settled(BTreeMap<u64, u64>, Answer<Result<(), SubmitError>>),
    Revoke(u64, u64, Answer<Result<(), SubmitError>>),
    LanesOut(LanesOut, Answer<Result<(), SubmitError>>),
    Seal(Answer<Result<Option<u64>, SubmitError>>),
    Ask(Box<dyn FnOnce(&M) + Send>),
}

/// What the writer tells everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Operations that are durable.
    pub accepted: u64,
    /// The last sealed batch.
    pub batch: u64,
    /// State root after it, in hex; the genesis root before the first.
    pub root: String,
    /// Entries of the L1 queue executed, the open batch's included.
    pub queue: u64,
    /// Entries of the L1 queue executed by sealed batches.
    pub sealed_queue: u64,
    /// Entries taken of the lane from each chain, the open batch's included.
    pub lanes: BTreeMap<u64, u64>,
    /// What was taken of lanes and is not settled, by the chain that sent it.
    pub unsettled: BTreeMap<u64, Unsettled>,
    /// Chains from which entries below an index are taken from L1 alone: they were revoked before.
    pub barred: BTreeMap<u64, u64>,
    /// What must be asked of L1 for the lanes to other chains.
    pub wanted: Wanted,
    /// Operations in the open batch.
    pub open: u64,
    /// Why the next entry of a line is not executed, if it cannot be. Nothing behind it in its line is
    /// executed either; operations of users go on.
    pub stuck: BTreeMap<Line, String>,
}

/// Speaks to the writer.
pub struct Writer<M: Machine> {
    commands: SyncSender<Command<M>>,
    progress: watch::Receiver<Progress>,
    accounts: Arc<Accounts>,
    outbox: Arc<Outbox>,
    failed: Arc<OnceLock<String>>,
}

impl<M: Machine> Clone for Writer<M> {
    fn clone(&self) -> Self {
        Self {
            commands: self.commands.clone(),
            progress: self.progress.clone(),
            accounts: Arc::clone(&self.accounts),
            outbox: Arc::clone(&self.outbox),
            failed: Arc::clone(&self.failed),
        }
    }
}

impl<M: Machine> std::fmt::Debug for Writer<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("progress", &*self.progress.borrow())
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

impl<M: Machine> Writer<M> {
    /// Replays the log onto the machine, which stands at the store's sealed point, and starts the
    /// thread. The thread ends when every handle is dropped.
    ///
    /// # Errors
    /// [`WriterError`].
    pub fn start(
        machine: M,
        store: Arc<Store>,
        key: SecretKey,
        options: WriterOptions,
    ) -> Result<(Self, JoinHandle<Result<(), WriterError>>), WriterError> {
        let point = store.sealed()?.unwrap_or_default();
        store.index(M::names)?;
        let accounts = Arc::new(Accounts::new(Arc::clone(&store), M::names));
        let sends = promised::sends(&machine, &store)?;
        let outbox = Outbox::new(
            options.chain_id,
            machine.domain(),
            store.lane_marks()?,
            sends,
        );
        let outbox = Arc::new(outbox);
        let mut core = Core {
            next: point.next,
            first: point.next,
            batch: point.batch,
            sealed_queue: point.queue,
            // Before the first batch the root is the genesis root.
            root: if point.batch == 0 {
                machine.root()
            } else {
                point.root
            },
            machine,
            store,
            key,
            options,
            oldest: None,
            fresh: BTreeSet::new(),
            accounts: Arc::clone(&accounts),
            stuck: BTreeMap::new(),
            soft: BTreeMap::new(),
            held: BTreeMap::new(),
            barred: BTreeMap::new(),
            again: None,
            outbox: Arc::clone(&outbox),
            progress: watch::Sender::new(Progress::default()),
        };
        core.load_promised()?;
        core.replay()?;
        core.next = core.next.max(core.store.floor()?);
        core.execute_again()?;
        core.publish();
        core.tell();
        let (commands, inbox) = sync_channel(options.waiting);
        let failed = Arc::new(OnceLock::new());
        let this = Self {
            commands,
            progress: core.progress.subscribe(),
            accounts,
            outbox,
            failed: Arc::clone(&failed),
        };
        let thread = std::thread::Builder::new()
            .name("sequencer".into())
            .spawn(move || core.run(&inbox, &failed))
            .map_err(WriterError::Thread)?;
        Ok((this, thread))
    }

    /// Where the writer is, and a way to wait for changes.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    /// The accounts as of the last group commit. Reading them does not disturb the writer.
    pub fn accounts(&self) -> &Arc<Accounts> {
        &self.accounts
    }

    /// Why the writer takes nothing more, if so.
    pub fn failure(&self) -> Option<&str> {
        self.failed.get().map(String::as_str)
    }

    /// Hands in an operation. The receipt comes once it is durable.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub async fn submit(&self, operation: M::Operation) -> Result<Receipt, SubmitError> {
        self.ask_for(|answer| Command::Submit(operation, answer))
            .await
    }

    /// Hands in the next entries of the L1 queue; returns how many are executed in all.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub async fn queue(&self, entries: Vec<QueueEntry>) -> Result<u64, SubmitError> {
        self.ask_for(|answer| Command::Queue(entries, answer)).await
    }

    /// Hands in what other chains sent, and why nothing more of a lane can be taken.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub async fn lanes(&self, waiting: LaneEntries) -> Result<(), SubmitError> {
        self.ask_for(|answer| Command::Lanes(waiting, answer)).await
    }

    /// Hands in what another chain has promised; says what the rest waits for, if not all was taken.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub async fn promised(&self, promised: Promised) -> Result<Option<String>, SubmitError> {
        self.ask_for(|answer| Command::Promised(promised, answer))
            .await
    }

    /// Tells that entries of lanes below an index, by the chain that sent them, are settled.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub async fn settled(&self, covered: BTreeMap<u64, u64>) -> Result<(), SubmitError> {
        self.ask_for(|answer| Command::Settled(covered, answer))
            .await
    }

    /// Takes back what was taken of a lane from an index on and is not settled: the batches with it are
    /// taken apart, and their other operations executed again.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub async fn revoke(&self, chain: u64, from: u64) -> Result<(), SubmitError> {
        self.ask_for(|answer| Command::Revoke(chain, from, answer))
            .await
    }

    /// Tells what L1 has of the lanes to other chains.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub async fn lanes_out(&self, on_l1: LanesOut) -> Result<(), SubmitError> {
        self.ask_for(|answer| Command::LanesOut(on_l1, answer))
            .await
    }

    /// The lanes to other chains, as they are signed.
    pub fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// Seals the open batch now; returns its number, or nothing if it was empty.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub async fn seal(&self) -> Result<Option<u64>, SubmitError> {
        self.ask_for(Command::Seal).await
    }

    /// Looks at the machine between two groups, when all of its state is durable.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub async fn look<T: Send + 'static>(
        &self,
        question: impl FnOnce(&M) -> T + Send + 'static,
    ) -> Result<T, SubmitError> {
        self.ask_for(|answer: Answer<Result<T, SubmitError>>| {
            Command::Ask(Box::new(move |machine| {
                let _ = answer.send(Ok(question(machine)));
            }))
        })
        .await
    }

    async fn ask_for<T>(
        &self,
        command: impl FnOnce(Answer<Result<T, SubmitError>>) -> Command<M>,
    ) -> Result<T, SubmitError> {
        let (answer, answered) = oneshot::channel();
        let sent = self.commands.try_send(command(answer));
        let stopped = || {
            let reason = self.failure().unwrap_or("it is shutting down");
            SubmitError::Stopped(reason.to_owned())
        };
        match sent {
            Ok(()) => answered.await.map_err(|_| stopped())?,
            Err(TrySendError::Full(_)) => Err(SubmitError::Busy),
            Err(TrySendError::Disconnected(_)) => Err(stopped()),
        }
    }
}

/// An operation that waits for the group commit.
struct Accepted {
    id: [u8; 32],
    bytes: Vec<u8>,
    answer: Option<Answer<Result<Receipt, SubmitError>>>,
    /// What it sends to another chain.
    sent: Option<Outgoing>,
    /// The unsettled entry that it takes; its number is known when it is committed.
    soft: Option<((u64, u64), SoftRow)>,
}

struct Core<M: Machine> {
    machine: M,
    store: Arc<Store>,
    key: SecretKey,
    options: WriterOptions,
    /// Sequence number of the next operation.
    next: u64,
    /// That of the first operation of the open batch.
    first: u64,
    /// The last sealed batch.
    batch: u64,
    sealed_queue: u64,
    root: String,
    /// When the oldest operation of the open batch came.
    oldest: Option<Instant>,
    /// Accounts that executed operations have changed and readers do not see yet.
    fresh: BTreeSet<u32>,
    accounts: Arc<Accounts>,
    /// Why the next entry of a line is not executed.
    stuck: BTreeMap<Line, String>,
    /// Entries that were taken and are not settled, by chain and index.
    soft: BTreeMap<(u64, u64), SoftRow>,
    /// What those are worth, by chain.
    held: BTreeMap<u64, u128>,
    barred: BTreeMap<u64, u64>,
    /// The last operation to be executed again that was, or cannot be.
    again: Option<u64>,
    outbox: Arc<Outbox>,
    progress: watch::Sender<Progress>,
}

impl<M: Machine> Core<M> {
    /// Executes what the log holds behind the sealed point.
    fn replay(&mut self) -> Result<(), WriterError> {
        for (sequence, bytes) in self.store.log(self.next..)? {
            let operation = self.machine.decode(&bytes);
            let refused = |reason| WriterError::Replay { sequence, reason };
            let operation = operation.map_err(refused)?;
            // Only after a change of the batch's size: the log's open part fitted before.
            if !self.machine.fits(&operation) {
                self.seal()?;
            }
            self.machine.execute(&operation, None).map_err(refused)?;
            self.fresh.extend(self.machine.touches(&operation));
            self.next = sequence + 1;
            self.oldest.get_or_insert_with(Instant::now);
        }
        Ok(())
    }

    fn run(
        mut self,
        inbox: &Receiver<Command<M>>,
        failed: &OnceLock<String>,
    ) -> Result<(), WriterError> {
        let result = self.serve(inbox);
        if let Err(error) = &result {
            tracing::error!(%error, "the sequencer stopped");
            let reason = failed.get_or_init(|| error.to_string()).clone();
            // Whoever asks now gets the reason, until the last handle is gone.
            while let Ok(command) = inbox.recv() {
                let stopped = SubmitError::Stopped(reason.clone());
                match command {
                    Command::Submit(_, answer) => drop(answer.send(Err(stopped))),
                    Command::Queue(_, answer) => drop(answer.send(Err(stopped))),
                    Command::Lanes(_, answer) => drop(answer.send(Err(stopped))),
                    Command::Promised(_, answer) => drop(answer.send(Err(stopped))),
                    Command::Settled(_, answer) => drop(answer.send(Err(stopped))),
                    Command::Revoke(_, _, answer) => drop(answer.send(Err(stopped))),
                    Command::LanesOut(_, answer) => drop(answer.send(Err(stopped))),
                    Command::Seal(answer) => drop(answer.send(Err(stopped))),
                    // Dropping the question tells who asked.
                    Command::Ask(_) => {}
                }
            }
        }
        result
    }

    fn serve(&mut self, inbox: &Receiver<Command<M>>) -> Result<(), WriterError> {
        loop {
            let first = match self.oldest {
                None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(oldest) => {
                    let age = oldest.elapsed();
                    inbox.recv_timeout(self.options.seal_after.saturating_sub(age))
                }
            };
            let mut group = VecDeque::new();
            match first {
                Ok(command) => group.push_back(command),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            while group.len() < self.options.group
                && let Ok(command) = inbox.try_recv()
            {
                group.push_back(command);
            }
            self.work(group)?;
            let old = self
                .oldest
                .map(|oldest| oldest.elapsed() >= self.options.seal_after);
            if old == Some(true) {
                self.seal()?;
                self.tell();
            }
        }
    }

    /// Does everything of a group, in order.
    fn work(&mut self, mut group: VecDeque<Command<M>>) -> Result<(), WriterError> {
        while !group.is_empty() {
            let mut submitted = Vec::new();
            while let Some(Command::Submit(..)) = group.front()
                && let Some(Command::Submit(operation, answer)) = group.pop_front()
            {
                submitted.push((operation, answer));
            }
            self.accept(submitted)?;
            match group.pop_front() {
                None => {}
                Some(Command::Submit(operation, answer)) => {
                    self.accept(vec![(operation, answer)])?;
                }
                // Whoever has the answer finds the progress as it is behind it.
                Some(Command::Queue(entries, answer)) => {
                    let mut stuck = self.take_entries(entries)?;
                    self.tell_stuck(Line::Queue, stuck.remove(&Line::Queue));
                    self.tell();
                    let _ = answer.send(Ok(self.machine.queue()));
                }
                Some(Command::Lanes(waiting, answer)) => {
                    self.take_lanes(waiting)?;
                    self.tell();
                    let _ = answer.send(Ok(()));
                }
                Some(Command::Promised(promised, answer)) => {
                    let waits = self.take_promised(promised)?;
                    self.tell();
                    let _ = answer.send(Ok(waits));
                }
                Some(Command::Settled(covered, answer)) => {
                    self.settle_promised(&covered)?;
                    self.tell();
                    let _ = answer.send(Ok(()));
                }
                Some(Command::Revoke(chain, from, answer)) => {
                    self.take_apart(chain, from)?;
                    self.tell();
                    let _ = answer.send(Ok(()));
                }
                Some(Command::LanesOut(on_l1, answer)) => {
                    self.compare_lanes(&on_l1)?;
                    self.tell();
                    let _ = answer.send(Ok(()));
                }
                Some(Command::Seal(answer)) => {
                    let sealed = self.seal()?;
                    self.tell();
                    let _ = answer.send(Ok(sealed));
                }
                Some(Command::Ask(question)) => question(&self.machine),
            }
            self.tell();
        }
        Ok(())
    }

    /// Checks, executes, stores and acknowledges operations of users.
    fn accept(&mut self, submitted: Vec<Submitted<M>>) -> Result<(), WriterError> {
        if submitted.is_empty() {
            return Ok(());
        }
        let machine = &self.machine;
        let tickets: Vec<_> = submitted
            .par_iter()
            .with_min_len(8)
            .map(|(operation, _)| machine.check(operation))
            .collect();
        let mut accepted = Vec::with_capacity(submitted.len());
        for ((operation, answer), ticket) in submitted.into_iter().zip(tickets) {
            let executed = match ticket {
                Ok(ticket) => {
                    if self.is_full() || !self.machine.fits(&operation) {
                        self.commit(&mut accepted)?;
                        self.seal()?;
                    }
                    self.machine.execute(&operation, Some(ticket))
                }
                Err(refusal) => Err(refusal),
            };
            let id = self.machine.id(&operation);
            match executed {
                Ok(()) => {
                    self.fresh.extend(self.machine.touches(&operation));
                    accepted.push(Accepted {
                        id,
                        bytes: self.machine.encode(&operation),
                        answer: Some(answer),
                        sent: self.machine.outgoing(&operation),
                        soft: None,
                    });
                }
                Err(refusal) => {
                    let _ = answer.send(Err(self.explain(&id, refusal, &accepted)));
                }
            }
        }
        self.commit(&mut accepted)?;
        if self.is_full() {
            self.seal()?;
        }
        Ok(())
    }

    /// Whether the open batch has as many operations as a batch is to have.
    fn is_full(&self) -> bool {
        self.machine.open() >= self.options.seal_count
    }

    /// A refusal, or the news that this very operation was accepted before.
    fn explain(&self, id: &[u8; 32], refusal: Refusal, accepted: &[Accepted]) -> SubmitError {
        let in_group = accepted.iter().any(|other| other.id == *id);
        match self.store.sequence(id) {
            Ok(Some(sequence)) => SubmitError::Known { sequence },
            _ if in_group => SubmitError::Busy,
            _ => SubmitError::Refused(refusal),
        }
    }

    /// Executes entries of the L1 queue and of lanes. L1 takes in what can be executed alone; an entry
    /// that cannot be all the same stays the next one of its line, is tried again whenever entries are
    /// handed in, and is shown. It ends nothing: users, and batches that need no such line, go on.
    fn take_entries(
        &mut self,
        entries: Vec<QueueEntry>,
    ) -> Result<BTreeMap<Line, String>, WriterError> {
        let mut accepted = Vec::new();
        let mut stuck = BTreeMap::new();
        for entry in entries {
            let line = entry.line();
            if stuck.contains_key(&line) || entry.index < self.machine.executed(line) {
                continue;
            }
            let executed = self.execute_entry(&entry, &mut accepted)?;
            if let Err(reason) = executed {
                stuck.insert(line, format!("entry {} of {line}: {reason}", entry.index));
            }
        }
        self.commit(&mut accepted)?;
        Ok(stuck)
    }

    /// Takes what other chains sent; says of each lane that is stuck why, and of others that they go on.
    fn take_lanes(&mut self, waiting: LaneEntries) -> Result<(), WriterError> {
        let mut stuck = self.take_entries(waiting.entries)?;
        for (chain, reason) in waiting.held {
            let reason = format!("the lane from chain {chain}: {reason}");
            stuck.entry(Line::Lane(chain)).or_insert(reason);
        }
        let before = self.stuck.keys().filter(|line| line.chain().is_some());
        let lines: BTreeSet<Line> = before.chain(stuck.keys()).copied().collect();
        for line in lines {
            self.tell_stuck(line, stuck.remove(&line));
        }
        Ok(())
    }

    /// Keeps and tells whether a line is stuck.
    fn tell_stuck(&mut self, line: Line, now: Option<String>) {
        match &now {
            Some(reason) if self.stuck.get(&line) != Some(reason) => match line {
                Line::Queue => tracing::error!(
                    reason,
                    "the L1 queue is stuck: nothing behind this entry is executed, and once it is overdue anyone may halt the chain; compare the shape, the operator's account and the contract with the deployment, then restart"
                ),
                Line::Lane(chain) => tracing::error!(
                    chain,
                    reason,
                    "a lane is stuck: nothing behind this entry is taken, and after 7 days anyone may send it back"
                ),
            },
            None if self.stuck.contains_key(&line) => tracing::info!("{line} goes on"),
            _ => {}
        }
        match now {
            Some(reason) => self.stuck.insert(line, reason),
            None => self.stuck.remove(&line),
        };
    }

    /// Executes one entry, after what is in `accepted`; the inner error says why it cannot be.
    fn execute_entry(
        &mut self,
        entry: &QueueEntry,
        accepted: &mut Vec<Accepted>,
    ) -> Result<Result<(), String>, WriterError> {
        let line = entry.line();
        let expected = self.machine.executed(line);
        // Entries of a lane that are left out went back to who sent them.
        if entry.index > expected && line == Line::Queue {
            return Ok(Err(format!("entry {expected} is the next one")));
        }
        let mut made = self.machine.from_queue(entry);
        if let Ok(operation) = &made
            && !self.machine.fits(operation)
        {
            self.commit(accepted)?;
            self.seal()?;
            made = self.machine.from_queue(entry);
        }
        let executed = made.and_then(|operation| {
            self.machine.execute(&operation, None)?;
            Ok(operation)
        });
        Ok(match executed {
            Ok(operation) => {
                self.fresh.extend(self.machine.touches(&operation));
                accepted.push(Accepted {
                    id: self.machine.id(&operation),
                    bytes: self.machine.encode(&operation),
                    answer: None,
                    sent: None,
                    soft: None,
                });
                Ok(())
            }
            Err(refusal) => Err(refusal.to_string()),
        })
    }

    /// The group commit: durable first, acknowledged then.
    fn commit(&mut self, accepted: &mut Vec<Accepted>) -> Result<(), WriterError> {
        if accepted.is_empty() {
            return Ok(());
        }
        let lines: Vec<LogLine<'_>> = (self.next..)
            .zip(accepted.iter())
            .map(|(sequence, operation)| LogLine {
                sequence,
                id: &operation.id,
                bytes: &operation.bytes,
            })
            .collect();
        let numbered = (self.next..).zip(accepted.iter());
        let sends = numbered.filter_map(|(sequence, of)| Some((sequence, of.sent.clone()?)));
        let sends: Vec<(u64, Outgoing)> = sends.collect();
        let sent = !sends.is_empty();
        let numbered = (self.next..).zip(accepted.iter());
        let soft = numbered.filter_map(|(sequence, of)| {
            let (place, row) = of.soft?;
            Some((place, SoftRow { sequence, ..row }))
        });
        let soft: Vec<_> = soft.collect();
        let group = Group {
            lines: &lines,
            // What will be signed is on disk before it is.
            marks: if sent {
                self.outbox.admit(sends)
            } else {
                BTreeMap::new()
            },
            soft: soft.clone(),
            again: self.again.take(),
        };
        if let Err(error) = self.store.append_group(&group) {
            let reason = error.to_string();
            for operation in accepted.drain(..) {
                if let Some(answer) = operation.answer {
                    let _ = answer.send(Err(SubmitError::Stopped(reason.clone())));
                }
            }
            return Err(error.into());
        }
        self.soft.extend(soft);
        if sent {
            self.outbox.sign(&self.key);
        }
        self.publish();
        let ids: Vec<[u8; 32]> = accepted.iter().map(|operation| operation.id).collect();
        let chain = self.options.chain_id;
        let conditions = self.conditions();
        let receipts = receipt::confirm(&self.key, chain, self.next, now(), &ids, &conditions);
        self.next += ids.len() as u64;
        self.oldest.get_or_insert_with(Instant::now);
        for (operation, receipt) in accepted.drain(..).zip(receipts) {
            if let Some(answer) = operation.answer {
                let _ = answer.send(Ok(receipt));
            }
        }
        Ok(())
    }

    /// Shows readers what has become durable.
    fn publish(&mut self) {
        let fresh = std::mem::take(&mut self.fresh).into_iter();
        let accounts: Vec<_> = fresh
            .map(|index| (index, self.machine.account(index)))
            .collect();
        self.accounts.publish(accounts);
    }

    /// Seals the open batch, if there is anything in it. Everything in it is durable.
    fn seal(&mut self) -> Result<Option<u64>, WriterError> {
        self.oldest = None;
        if self.machine.open() == 0 {
            return Ok(None);
        }
        let started = Instant::now();
        let Sealed {
            number,
            operations,
            records,
            old_root,
            new_root,
            public_inputs,
            parts,
            accounts,
        } = self.machine.seal().map_err(WriterError::Seal)?;
        let queue = self.machine.queue();
        let lanes = self.machine.lanes().clone();
        let row = BatchRow {
            number,
            first: self.first,
            end: self.next,
            operations,
            records,
            old_root,
            new_root,
            public_inputs,
            queue,
            lanes: lanes.clone(),
            sealed_at: now(),
            status: BatchStatus::Sealed,
        };
        let point = SealedPoint {
            batch: number,
            next: self.next,
            queue,
            lanes,
            root: row.new_root.clone(),
        };
        self.store.seal(&SealLine {
            row: &row,
            parts: &parts,
            accounts: &accounts,
            names: M::names,
            point: &point,
        })?;
        // Nothing is fresh any more: what was executed is in the sealed state.
        self.fresh.clear();
        self.accounts.sealed();
        tracing::info!(batch = number, operations, wall = ?started.elapsed(), "sealed");
        (self.first, self.batch, self.sealed_queue) = (self.next, number, queue);
        self.root = point.root;
        Ok(Some(number))
    }

    fn tell(&self) {
        self.progress.send_replace(Progress {
            accepted: self.next,
            batch: self.batch,
            root: self.root.clone(),
            queue: self.machine.queue(),
            sealed_queue: self.sealed_queue,
            lanes: self.machine.lanes().clone(),
            unsettled: self.unsettled(),
            barred: self.barred.clone(),
            wanted: self.outbox.wanted(),
            open: self.machine.open(),
            stuck: self.stuck.clone(),
        });
    }
}

/// Milliseconds since the Unix epoch.
pub(super) fn now() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(elapsed.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
