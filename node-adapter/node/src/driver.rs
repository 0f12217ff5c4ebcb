//! The driver: offers sealed batches to provers, keeps their proofs, hands proved batches to the
//! settler, and brings entries of the L1 queue to the writer.
//!
//! Everything it does can be repeated: a job that is offered twice is one job, a proof is kept
//! before the board forgets it, and the settler must not settle twice. So it needs no memory of its
//! own; after a restart it looks at each batch that is not final and goes on. Called by `service`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use blstrs::Scalar;
use tokio_util::sync::CancellationToken;

use super::event::NodeEvent;
use super::feed::Feeds;
use super::machine::{Machine, SubmitError};
use super::ports::{
    L1Inbox, LaneAuthority, LaneEntries, Line, PortError, ProvedBatch, QueueEntry, Settler,
};
use super::status::Reached;
use super::store::{BatchRow, BatchStatus, Part, Store, StoreError};
use super::writer::{Unsettled, Writer};
use carillon_protocol::Kind;
use carillon_prover_api::{BoardError, Job, JobBoard, KeyHash};

/// Most entries of the L1 queue that are asked for at once.
const ENTRIES: usize = 64;

/// Why the driver stopped.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The node's database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The job board failed.
    #[error(transparent)]
    Board(#[from] BoardError),
    /// L1 contradicts the node.
    #[error(
        "Ethereum contradicts this node: {0}; nothing more is executed or settled, compare with `carillon-node resync`"
    )]
    Contradiction(String),
    /// L1 refuses a batch for a reason that does not pass.
    #[error("Ethereum refuses a batch of this node: {0}")]
    Refused(String),
    /// The writer stopped.
    #[error(transparent)]
    Writer(#[from] SubmitError),
    /// A worker thread was lost.
    #[error("a worker thread stopped: {0}")]
    Thread(#[from] tokio::task::JoinError),
}

/// What the driver connects. What is missing is left out.
pub struct Driver<M: Machine> {
    /// The writer.
    pub writer: Writer<M>,
    /// Its store.
    pub store: Arc<Store>,
    /// Where provers look for jobs, and the key of the batches' circuit.
    pub board: Option<(Arc<JobBoard>, KeyHash)>,
    /// The L1 queue.
    pub inbox: Option<Arc<dyn L1Inbox>>,
    /// What settles.
    pub settler: Option<Arc<dyn Settler>>,
    /// What Ethereum says of lanes, and what feeds have revoked.
    pub lanes: Option<(Arc<dyn LaneAuthority>, Arc<Feeds>)>,
    /// How long what was taken of a chain may be unsettled.
    pub promise_age: Duration,
    /// When Ethereum was read last, milliseconds since 1970: while it is silent no chain is late.
    pub heard: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// Between two looks when nothing happens.
    pub poll: Duration,
    /// Told what happens.
    pub observe: Observe,
    /// Told how far batches are, after each look at them.
    pub reach: Arc<dyn Fn(Reached) + Send + Sync>,
}

/// Is told what happens in a node.
pub type Observe = Arc<dyn Fn(NodeEvent) + Send + Sync>;

impl<M: Machine> Driver<M> {
    /// Works until `stop` is cancelled.
    ///
    /// # Errors
    /// [`DriverError`]; what only does not answer now is asked again.
    pub async fn run(self, stop: CancellationToken) -> Result<(), DriverError> {
        let mut sealed = self.writer.progress();
        let mut proved = self.board.as_ref().map(|(board, _)| board.watch());
        // Batches below this one are done as far as this node can bring them.
        let mut from = 1;
        // Batches sealed before this process started are no news.
        let mut told = sealed.borrow().batch;
        loop {
            if let Some(reason) = self.writer.failure() {
                return Err(SubmitError::Stopped(reason.to_owned()).into());
            }
            self.queue().await?;
            self.promises().await?;
            self.arrivals().await?;
            if let Some(first) = self.offered_before().await? {
                (from, told) = (first.min(from), told.min(first - 1));
            }
            from = self.batches(from, &mut told).await?;
            let proof = async {
                match &mut proved {
                    Some(proved) => drop(proved.changed().await),
                    None => std::future::pending().await,
                }
            };
            // Progress changes with every group; waiting for all of them would be a busy loop.
            let batch = sealed.borrow_and_update().batch;
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(self.poll) => {}
                () = proof => {}
                changed = sealed.wait_for(|progress| progress.batch != batch) => {
                    if changed.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Brings what is new in the L1 queue to the writer.
    async fn queue(&self) -> Result<(), DriverError> {
        let Some(inbox) = &self.inbox else {
            return Ok(());
        };
        let from = self.writer.progress().borrow().queue;
        match inbox.entries(from, ENTRIES).await {
            Ok(entries) if entries.is_empty() => Ok(()),
            Ok(entries) => {
                let exits: Vec<bool> = entries.iter().map(is_exit).collect();
                match self.writer.queue(entries).await {
                    Ok(executed) => {
                        // One that cannot be executed stays where it is, with those behind it.
                        let new = usize::try_from(executed.saturating_sub(from)).unwrap_or(0);
                        let exits = exits.iter().take(new).filter(|exit| **exit).count();
                        if new > 0 {
                            (self.observe)(NodeEvent::Queue {
                                first: from,
                                deposits: (new - exits) as u64,
                                exits: exits as u64,
                            });
                        }
                        Ok(())
                    }
                    Err(SubmitError::Busy) => Ok(()),
                    Err(error) => Err(error.into()),
                }
            }
            Err(error) => later(error, "the L1 queue"),
        }
    }

    /// Brings what other chains sent to the writer.
    async fn arrivals(&self) -> Result<(), DriverError> {
        let Some(inbox) = &self.inbox else {
            return Ok(());
        };
        let (before, stuck) = {
            let progress = self.writer.progress();
            let progress = progress.borrow();
            let lanes = |line: &Line| line.chain().is_some();
            (progress.lanes.clone(), progress.stuck.keys().any(lanes))
        };
        match inbox.arrivals(&before, ENTRIES).await {
            Ok(waiting) if waiting == LaneEntries::default() && !stuck => Ok(()),
            Ok(waiting) => match self.writer.lanes(waiting).await {
                Ok(_) => {
                    let after = self.writer.progress().borrow().lanes.clone();
                    for (chain, next) in after {
                        let first = before.get(&chain).copied().unwrap_or_default();
                        if next > first {
                            (self.observe)(NodeEvent::Taken { chain, first, next });
                        }
                    }
                    Ok(())
                }
                Err(SubmitError::Busy) => Ok(()),
                Err(error) => Err(error.into()),
            },
            Err(error) => later(error, "what other chains sent"),
        }
    }

    /// Compares what this chain and others have promised with Ethereum: what is settled there, what is
    /// another there, what has waited for too long, what was revoked.
    async fn promises(&self) -> Result<(), DriverError> {
        let Some((authority, feeds)) = &self.lanes else {
            return Ok(());
        };
        let progress = self.writer.progress().borrow().clone();
        if !progress.wanted.lanes.is_empty() {
            match authority.sent(&progress.wanted).await {
                Ok(on_l1) => self.writer.lanes_out(on_l1).await.or_else(busy)?,
                Err(error) => later(error, "what Ethereum has of the lanes to other chains")?,
            }
        }
        let mut revoked = feeds.revoked();
        let mut covered = BTreeMap::new();
        let now = (self.heard)().min(super::writer::now());
        for (chain, unsettled) in &progress.unsettled {
            match self.covered(&**authority, *chain, unsettled).await {
                Ok((end, differs)) => {
                    if end > unsettled.first {
                        covered.insert(*chain, end);
                    }
                    if let Some(from) = differs {
                        tracing::warn!(
                            chain,
                            entry = from,
                            "Ethereum has another entry than was promised"
                        );
                        revoked
                            .entry(*chain)
                            .and_modify(|at| *at = from.min(*at))
                            .or_insert(from);
                    }
                    let age = u128::from(now.saturating_sub(unsettled.since));
                    if end <= unsettled.first && age >= self.promise_age.as_millis() {
                        tracing::warn!(chain, "a chain does not settle what it has promised");
                        revoked.insert(*chain, unsettled.first);
                    }
                }
                Err(error) => later(error, "what other chains have settled")?,
            }
        }
        if !covered.is_empty() {
            self.writer.settled(covered).await.or_else(busy)?;
        }
        for (chain, from) in revoked {
            match self.writer.revoke(chain, from).await {
                Ok(()) => {
                    feeds.taken_back(chain);
                    (self.observe)(NodeEvent::Revoked { chain, from });
                }
                Err(error) => busy(error)?,
            }
        }
        Ok(())
    }

    /// Up to where Ethereum has what was promised of a lane, and the first entry that is another there.
    async fn covered(
        &self,
        authority: &dyn LaneAuthority,
        chain: u64,
        unsettled: &Unsettled,
    ) -> Result<(u64, Option<u64>), PortError> {
        let end = authority.count(chain)?.min(unsettled.next);
        if end <= unsettled.first {
            return Ok((unsettled.first, None));
        }
        let rows = self.on_store(move |store| store.soft_of(chain)).await;
        let rows = rows.map_err(|error| PortError::Unreachable(error.to_string()))?;
        let same = |index: u64| -> Result<bool, PortError> {
            let promised = rows.get(&index).map(|row| row.hash);
            Ok(promised.is_none() || promised == authority.hash(chain, index + 1)?)
        };
        // The hash of the last one covers all before it.
        if same(end - 1)? {
            return Ok((end, None));
        }
        for index in unsettled.first..end {
            if !same(index)? {
                return Ok((index, Some(index)));
            }
        }
        Ok((end, None))
    }

    /// The first batch that was offered to provers and has another content now: its job is forgotten.
    async fn offered_before(&self) -> Result<Option<u64>, DriverError> {
        let Some(first) = self.on_store(|store| store.offered(false)).await? else {
            return Ok(None);
        };
        if let Some((board, _)) = self.board.clone() {
            let forgotten = tokio::task::spawn_blocking(move || {
                let jobs = board.status().into_iter().map(|job| job.job);
                let jobs: Vec<u64> = jobs.filter(|job| *job >= first).collect();
                board.forget(&jobs).map_err(BoardError::from)
            });
            forgotten.await??;
        }
        self.on_store(|store| store.offered(true)).await
    }

    /// Moves each batch from `from` on as far as it goes; returns the first one that is not done.
    async fn batches(&self, from: u64, told: &mut u64) -> Result<u64, DriverError> {
        let mut low = from;
        // Batches below `from` have come as far as this node brings any.
        let done = |brings: bool| if brings { from - 1 } else { 0 };
        let mut reached = Reached {
            proved: done(self.board.is_some() || self.settler.is_some()),
            settled: done(self.settler.is_some()),
            finalized: done(self.settler.is_some()),
        };
        // Batches settle in order: behind one that waits, the others only get their proofs.
        let mut settling = true;
        for mut row in self.on_store(move |store| store.batches(from)).await? {
            if row.number > *told {
                *told = row.number;
                (self.observe)(NodeEvent::Sealed {
                    batch: row.number,
                    operations: row.operations,
                    records: row.records,
                });
            }
            let before = row.status.clone();
            if row.status == BatchStatus::Sealed {
                row = self.prove(row).await?;
            }
            if settling && row.status != BatchStatus::Sealed {
                row = self.settle(row).await?;
            }
            self.tell(row.number, &before, &row.status);
            let (settled, last) = match row.status {
                BatchStatus::Sealed | BatchStatus::Proved => (false, false),
                BatchStatus::Settled { .. } => (true, false),
                BatchStatus::Final { .. } => (true, true),
            };
            settling &= settled;
            // Each counts only up to the first batch that has not come so far.
            for (reached, so_far) in [
                (&mut reached.proved, row.status != BatchStatus::Sealed),
                (&mut reached.settled, settled),
                (&mut reached.finalized, last),
            ] {
                if so_far && *reached + 1 == row.number {
                    *reached = row.number;
                }
            }
            let done = match row.status {
                BatchStatus::Sealed => self.board.is_none(),
                BatchStatus::Proved => self.settler.is_none(),
                BatchStatus::Settled { .. } => self.settler.is_none(),
                BatchStatus::Final { .. } => true,
            };
            if done && low == row.number {
                low += 1;
            }
        }
        (self.reach)(reached);
        Ok(low)
    }

    /// Says what has become of a batch.
    fn tell(&self, batch: u64, before: &BatchStatus, after: &BatchStatus) {
        let name = |status: &BatchStatus| match status {
            BatchStatus::Sealed => 0,
            BatchStatus::Proved => 1,
            BatchStatus::Settled { .. } => 2,
            BatchStatus::Final { .. } => 3,
        };
        let (from, to) = (name(before), name(after));
        if to < from {
            (self.observe)(NodeEvent::Unsettled { batch });
            return;
        }
        if from < 1 && to >= 1 {
            (self.observe)(NodeEvent::BatchProved { batch });
        }
        match after.clone() {
            BatchStatus::Settled { transaction } if from < 2 => {
                (self.observe)(NodeEvent::Settled { batch, transaction });
            }
            BatchStatus::Final { transaction } if from < 3 => {
                if from < 2 {
                    let transaction = transaction.clone();
                    (self.observe)(NodeEvent::Settled { batch, transaction });
                }
                (self.observe)(NodeEvent::Final { batch, transaction });
            }
            _ => {}
        }
    }

    /// Offers a sealed batch to the provers, or takes its proof.
    async fn prove(&self, row: BatchRow) -> Result<BatchRow, DriverError> {
        let Some((board, key)) = self.board.clone() else {
            return Ok(row);
        };
        let store = Arc::clone(&self.store);
        tokio::task::spawn_blocking(move || {
            let mut row = row;
            let number = row.number;
            if let Some(proof) = board.proof(number) {
                row.status = BatchStatus::Proved;
                store.set_status(number, &row.status, Some(&proof.to_bytes()))?;
                board.forget(&[number]).map_err(BoardError::from)?;
            } else if !board.has(number) {
                let job = Job {
                    number,
                    key,
                    public_inputs: scalars(&row)?,
                    input: part(&store, number, Part::Input)?,
                };
                board.add(&job)?;
            }
            Ok(row)
        })
        .await?
    }

    /// Hands a proved batch to the settler and keeps what it says.
    async fn settle(&self, mut row: BatchRow) -> Result<BatchRow, DriverError> {
        let Some(settler) = &self.settler else {
            return Ok(row);
        };
        if matches!(row.status, BatchStatus::Final { .. }) {
            return Ok(row);
        }
        let (number, end) = (row.number, row.end);
        let conditions = self
            .on_store(move |store| store.unsettled_below(end))
            .await?;
        let answer = match settler.known(number).await {
            Ok(Some(status)) => Ok(status),
            // Ethereum would refuse it: `TakeWithoutSend`.
            Ok(None) if !conditions.is_empty() => {
                match settler.settle_together(number, &conditions).await {
                    Ok(Some(status)) => Ok(status),
                    Ok(None) => return Ok(row),
                    Err(error) => Err(error),
                }
            }
            Ok(None) => {
                let batch = self.proved(&row).await?;
                settler.settle(&batch).await
            }
            Err(error) => Err(error),
        };
        match answer {
            Ok(status) if status != row.status => {
                row.status = status.clone();
                self.on_store(move |store| store.set_status(number, &status, None))
                    .await?;
            }
            Ok(_) => {}
            Err(PortError::Unreachable(reason)) => {
                tracing::warn!(batch = number, reason, "not settled; it is tried again");
            }
            Err(PortError::Later) => {}
            Err(PortError::Refused(reason)) => {
                return Err(DriverError::Refused(format!("batch {number}: {reason}")));
            }
            Err(PortError::Contradiction(reason)) => {
                return Err(DriverError::Contradiction(reason));
            }
        }
        Ok(row)
    }

    /// A proved batch with its data.
    async fn proved(&self, row: &BatchRow) -> Result<ProvedBatch, DriverError> {
        let (number, lanes) = (row.number, row.lanes.clone());
        self.on_store(move |store| {
            Ok(ProvedBatch {
                number,
                lanes,
                header: words(&part(store, number, Part::Header)?),
                blob: words(&part(store, number, Part::Blob)?),
                proof: part(store, number, Part::Proof)?,
            })
        })
        .await
    }

    async fn on_store<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, DriverError> {
        let store = Arc::clone(&self.store);
        Ok(tokio::task::spawn_blocking(move || question(&store)).await??)
    }
}

/// A writer that has too much to do is asked again with the next look.
fn busy(error: SubmitError) -> Result<(), SubmitError> {
    match error {
        SubmitError::Busy => Ok(()),
        other => Err(other),
    }
}

/// What an inbox could not tell is asked for again, unless waiting cannot help.
fn later(error: PortError, what: &str) -> Result<(), DriverError> {
    match error {
        PortError::Unreachable(reason) => {
            tracing::warn!(reason, "{what} is not known; it is asked again");
            Ok(())
        }
        PortError::Later => Ok(()),
        PortError::Refused(reason) => Err(DriverError::Refused(reason)),
        PortError::Contradiction(reason) => Err(DriverError::Contradiction(reason)),
    }
}

/// Whether an entry of the queue is an exit request; the others bring something in.
fn is_exit(entry: &QueueEntry) -> bool {
    entry.kind() == Kind::Exit as u8
}

fn part(store: &Store, number: u64, part: Part) -> Result<Vec<u8>, StoreError> {
    store
        .part(number, part)?
        .ok_or_else(|| StoreError::Damaged {
            what: format!("batch {number} has no {}", part.name()),
        })
}

fn words(bytes: &[u8]) -> Vec<[u8; 32]> {
    bytes.as_chunks::<32>().0.to_vec()
}

/// The public inputs of a batch.
fn scalars(row: &BatchRow) -> Result<Vec<Scalar>, StoreError> {
    let scalar = |text: &String| {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut bytes).ok()?;
        Option::from(Scalar::from_bytes_be(&bytes))
    };
    let scalars: Option<Vec<Scalar>> = row.public_inputs.iter().map(scalar).collect();
    scalars.ok_or_else(|| StoreError::Damaged {
        what: format!("public inputs of batch {}", row.number),
    })
}

#[cfg(test)]
mod tests;
