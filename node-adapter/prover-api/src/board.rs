//! The board: jobs, leases and keys together, and the check of every proof.
//!
//! Each change is decided by the pure [`LeaseBook`], written to the store, and only then taken over
//! and answered. One mutex guards book and store; proofs are verified outside it. Methods block
//! (disk, pairings): async callers go through [`LocalSource`] or `http`. Called by these two and by
//! `carillon-node`.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use carillon_runtime::groth16::{self, Proof, VerifyingKey};
use serde::Serialize;
use tokio::sync::watch;

use super::job::millis;
use super::lease::{Acceptance, Terms};
use super::store::JobStore;
use super::{
    Entry, Job, JobSource, KeyHash, LeaseBook, LeaseError, LeaseState, LeasedJob, SourceError,
    StoreError,
};

/// How a board leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoardOptions {
    /// How long a lease holds without a heartbeat.
    pub lease: Duration,
    /// How long it can hold with heartbeats. Must be longer than the longest proof takes.
    pub longest: Duration,
    /// Leases that one token may hold at the same time.
    pub per_token: usize,
}

impl Default for BoardOptions {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(60),
            longest: Duration::from_secs(3600),
            per_token: 16,
        }
    }
}

/// Why the board refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BoardError {
    /// The lease does not allow it.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// The proof is not one for this job.
    #[error("the proof was refused: {reason}; the job is offered again")]
    Proof {
        /// What is wrong with it.
        reason: String,
    },
    /// The key of a job is not known here.
    #[error("no verifying key with hash {key} is known here; add it before jobs that need it")]
    UnknownKey {
        /// The key's hash.
        key: KeyHash,
    },
    /// A job under this number says something else.
    #[error("job {job} exists and differs from the one given; a batch is sealed once")]
    Differs {
        /// The job.
        job: u64,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What became of a submitted proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the job's proof now.
    Accepted,
    /// It has been since before.
    Repeated,
}

/// One line of [`JobBoard::status`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JobStatus {
    /// The job.
    pub job: u64,
    /// Its key.
    pub vk_hash: KeyHash,
    /// `open`, `leased` or `proved`.
    pub state: &'static str,
    /// Who has it or had it.
    pub holder: Option<String>,
    /// The number of its newest lease.
    pub generation: u64,
    /// How often a lease ended without a proof.
    pub failures: u32,
}

struct Inner {
    book: LeaseBook,
    store: JobStore,
    keys: HashMap<KeyHash, Arc<VerifyingKey>>,
}

/// Jobs that wait for proofs, and the proofs that came.
pub struct JobBoard {
    inner: Mutex<Inner>,
    options: BoardOptions,
    proved: watch::Sender<u64>,
}

impl std::fmt::Debug for JobBoard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobBoard")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl JobBoard {
    /// Opens or makes the board kept in the file `path`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(path: &Path, options: BoardOptions) -> Result<Self, StoreError> {
        let store = JobStore::open(path)?;
        let keys = store.keys()?;
        let inner = Inner {
            book: LeaseBook::new(store.leases()?),
            keys: keys
                .into_iter()
                .map(|key| (KeyHash::of(&key), Arc::new(key)))
                .collect(),
            store,
        };
        Ok(Self {
            inner: Mutex::new(inner),
            options,
            proved: watch::Sender::new(0),
        })
    }

    /// A poisoned lock guards nothing half done: the store is written before the book.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn terms(&self) -> Terms {
        Terms {
            valid: millis(self.options.lease),
            longest: millis(self.options.longest.max(self.options.lease)),
            per_token: self.options.per_token.max(1),
        }
    }

    /// Makes a verifying key known.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn add_key(&self, key: &VerifyingKey) -> Result<KeyHash, StoreError> {
        let hash = KeyHash::of(key);
        let mut inner = self.lock();
        if !inner.keys.contains_key(&hash) {
            inner.store.put_key(&hash, key)?;
            inner.keys.insert(hash, Arc::new(key.clone()));
        }
        Ok(hash)
    }

    /// Offers a job. Offering the same job again changes nothing.
    ///
    /// # Errors
    /// [`BoardError::UnknownKey`], [`BoardError::Differs`] or [`BoardError::Store`].
    pub fn add(&self, job: &Job) -> Result<(), BoardError> {
        let mut inner = self.lock();
        if !inner.keys.contains_key(&job.key) {
            return Err(BoardError::UnknownKey { key: job.key });
        }
        if let Some(known) = inner.store.job(job.number)? {
            return if known == *job {
                Ok(())
            } else {
                Err(BoardError::Differs { job: job.number })
            };
        }
        let entry = Entry::new(job.key);
        inner.store.put_job(job, &entry)?;
        inner.book.put(job.number, entry);
        Ok(())
    }

    /// Leases the next job to `holder`, if there is one for these keys.
    ///
    /// # Errors
    /// [`LeaseError::Share`] or [`BoardError::Store`].
    pub fn pick(&self, holder: &str, keys: &[KeyHash]) -> Result<Option<LeasedJob>, BoardError> {
        let (now, terms) = (now(), self.terms());
        let mut inner = self.lock();
        if let Some((job, entry)) = inner.book.next(now, &terms, holder, keys)
            && let LeaseState::Leased { holder, until, .. } = &entry.state
        {
            let late_ms = now.saturating_sub(*until);
            tracing::warn!(
                job,
                holder,
                late_ms,
                "a lease ended without a proof; the job is given to another prover"
            );
        }
        let Some((number, entry)) = inner.book.pick(now, &terms, holder, keys)? else {
            return Ok(None);
        };
        let job = inner
            .store
            .job(number)?
            .ok_or_else(|| StoreError::Damaged {
                what: format!("job {number}"),
            })?;
        inner.store.put_entry(number, &entry)?;
        let generation = entry.generation;
        inner.book.put(number, entry);
        Ok(Some(LeasedJob {
            job,
            generation,
            valid: self.options.lease,
        }))
    }

    /// The job that [`JobBoard::pick`] would lease to `holder`, without leasing it: number and key.
    pub fn peek(&self, holder: &str, keys: &[KeyHash]) -> Option<(u64, KeyHash)> {
        let terms = self.terms();
        let inner = self.lock();
        let next = inner.book.next(now(), &terms, holder, keys);
        next.map(|(job, entry)| (job, entry.key))
    }

    /// Renews a lease and says how long it holds.
    ///
    /// # Errors
    /// [`BoardError::Lease`] or [`BoardError::Store`].
    pub fn heartbeat(
        &self,
        holder: &str,
        job: u64,
        generation: u64,
    ) -> Result<Duration, BoardError> {
        let terms = self.terms();
        let mut inner = self.lock();
        let (entry, holds) = inner
            .book
            .heartbeat(now(), &terms, job, generation, holder)?;
        inner.store.put_entry(job, &entry)?;
        inner.book.put(job, entry);
        Ok(Duration::from_millis(holds))
    }

    /// Gives a lease back without a proof.
    ///
    /// # Errors
    /// [`BoardError::Lease`] or [`BoardError::Store`].
    pub fn fail(
        &self,
        holder: &str,
        job: u64,
        generation: u64,
        reason: &str,
    ) -> Result<(), BoardError> {
        let mut inner = self.lock();
        let entry = inner.book.fail(now(), job, generation, holder)?;
        inner.store.put_entry(job, &entry)?;
        inner.book.put(job, entry);
        tracing::warn!(job, holder, reason, "a prover gave a job back");
        Ok(())
    }

    /// Takes a proof, if the lease is live and the proof verifies. A proof that does not ends the
    /// lease: the job is offered again.
    ///
    /// # Errors
    /// [`BoardError`].
    pub fn submit(
        &self,
        holder: &str,
        number: u64,
        generation: u64,
        key: KeyHash,
        proof: &[u8],
    ) -> Result<Verdict, BoardError> {
        let (job, vk) = {
            let inner = self.lock();
            // Refuses stale leases before any costly work.
            let decided = inner
                .book
                .accept(now(), number, generation, holder, proof)?;
            if decided == Acceptance::Repeated {
                return Ok(Verdict::Repeated);
            }
            let job = inner.store.job(number)?;
            let job = job.ok_or(LeaseError::Unknown { job: number })?;
            let vk = inner.keys.get(&job.key).cloned();
            (job, vk)
        };
        let vk = vk.ok_or(BoardError::UnknownKey { key: job.key })?;
        if let Err(reason) = check(&job, &vk, key, proof) {
            self.fail(holder, number, generation, &reason)?;
            return Err(BoardError::Proof { reason });
        }
        let mut inner = self.lock();
        match inner
            .book
            .accept(now(), number, generation, holder, proof)?
        {
            Acceptance::Repeated => Ok(Verdict::Repeated),
            Acceptance::New(entry) => {
                inner.store.put_entry(number, &entry)?;
                inner.book.put(number, entry);
                drop(inner);
                self.proved.send_modify(|count| *count += 1);
                Ok(Verdict::Accepted)
            }
        }
    }

    /// The accepted proof of a job.
    pub fn proof(&self, job: u64) -> Option<Proof> {
        match &self.lock().book.get(job)?.state {
            LeaseState::Proved { proof, .. } => Proof::from_bytes(proof).ok(),
            _ => None,
        }
    }

    /// Whether a job is known.
    pub fn has(&self, job: u64) -> bool {
        self.lock().book.get(job).is_some()
    }

    /// All jobs by number.
    pub fn status(&self) -> Vec<JobStatus> {
        lines(&self.lock())
    }

    /// The same for whoever must not block; `None` while the board is at work.
    pub fn status_now(&self) -> Option<Vec<JobStatus>> {
        match self.inner.try_lock() {
            Ok(inner) => Some(lines(&inner)),
            Err(TryLockError::Poisoned(poisoned)) => Some(lines(&poisoned.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Forgets jobs whose proofs are no longer needed here.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn forget(&self, jobs: &[u64]) -> Result<(), StoreError> {
        let mut inner = self.lock();
        inner.store.remove(jobs)?;
        for job in jobs {
            inner.book.remove(*job);
        }
        Ok(())
    }

    /// Changes whenever a proof is accepted.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.proved.subscribe()
    }
}

/// All jobs by number.
fn lines(inner: &Inner) -> Vec<JobStatus> {
    let now = now();
    let line = |(job, entry): (&u64, &Entry)| {
        let (state, holder) = match &entry.state {
            LeaseState::Open => ("open", None),
            LeaseState::Leased { until, .. } if *until <= now => ("open", None),
            LeaseState::Leased { holder, .. } => ("leased", Some(holder.clone())),
            LeaseState::Proved { holder, .. } => ("proved", Some(holder.clone())),
        };
        JobStatus {
            job: *job,
            vk_hash: entry.key,
            state,
            holder,
            generation: entry.generation,
            failures: entry.failures,
        }
    };
    inner.book.entries().iter().map(line).collect()
}

/// What is wrong with a proof, if anything is.
fn check(job: &Job, vk: &VerifyingKey, key: KeyHash, proof: &[u8]) -> Result<(), String> {
    if key != job.key {
        return Err(format!(
            "it was made with key {key}, the job needs {}",
            job.key
        ));
    }
    let proof = Proof::from_bytes(proof).map_err(|error| error.to_string())?;
    groth16::verify(vk, &job.public_inputs, &proof).map_err(|error| error.to_string())
}

/// Milliseconds since the Unix epoch. Leases outlive a restart, so they are on the wall clock; if it
/// jumps, leases end early or late, and generations still keep them apart.
fn now() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    millis(elapsed.unwrap_or_default())
}

/// Jobs of a board in the same process.
#[derive(Clone, Debug)]
pub struct LocalSource {
    board: Arc<JobBoard>,
    holder: String,
}

impl LocalSource {
    /// Jobs of `board` for the prover `holder`.
    pub fn new(board: Arc<JobBoard>, holder: &str) -> Self {
        Self {
            board,
            holder: holder.to_owned(),
        }
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&JobBoard, &str) -> Result<T, BoardError> + Send + 'static,
    ) -> Result<T, SourceError> {
        let this = self.clone();
        tokio::task::spawn_blocking(move || question(&this.board, &this.holder))
            .await
            .map_err(|error| SourceError::Unreachable(error.to_string()))?
            .map_err(SourceError::from)
    }
}

impl From<BoardError> for SourceError {
    fn from(error: BoardError) -> Self {
        let text = error.to_string();
        match error {
            BoardError::Lease(LeaseError::Stale { .. }) => SourceError::Stale(text),
            BoardError::Lease(LeaseError::Unknown { .. }) => SourceError::Stale(text),
            BoardError::Lease(LeaseError::Share { .. }) => SourceError::Unreachable(text),
            BoardError::Proof { .. } => SourceError::Refused(text),
            BoardError::UnknownKey { .. } | BoardError::Differs { .. } => {
                SourceError::Refused(text)
            }
            BoardError::Store(_) => SourceError::Unreachable(text),
        }
    }
}

#[async_trait]
impl JobSource for LocalSource {
    async fn pick(&self, keys: &[KeyHash]) -> Result<Option<LeasedJob>, SourceError> {
        let keys = keys.to_vec();
        self.ask(move |board, holder| board.pick(holder, &keys))
            .await
    }

    async fn heartbeat(&self, job: u64, generation: u64) -> Result<Duration, SourceError> {
        self.ask(move |board, holder| board.heartbeat(holder, job, generation))
            .await
    }

    async fn submit(&self, leased: &LeasedJob, proof: &Proof) -> Result<(), SourceError> {
        let (job, generation, key) = (leased.job.number, leased.generation, leased.job.key);
        let proof = proof.to_bytes();
        self.ask(move |board, holder| board.submit(holder, job, generation, key, &proof))
            .await
            .map(|_| ())
    }

    async fn fail(&self, job: u64, generation: u64, reason: &str) -> Result<(), SourceError> {
        let reason = reason.to_owned();
        self.ask(move |board, holder| board.fail(holder, job, generation, &reason))
            .await
    }
}
