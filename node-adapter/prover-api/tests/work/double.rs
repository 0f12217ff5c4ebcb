//! Doubles of a plug-in and of a source of jobs, both as nasty as they are told to be. Time is
//! tokio's, so that hours pass at once where the clock is paused.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use blstrs::{G1Affine, G2Affine};
use carillon_prover_api::{
    Acceptance, Entry, Job, JobSource, KeyHash, LeaseBook, LeaseError, LeaseState, LeasedJob,
    PluginError, ProverPlugin, SourceError, Terms,
};
use carillon_runtime::groth16::Proof;
use carillon_runtime::progress::ProgressSink;
use group::prime::PrimeCurveAffine;
use tokio::time::{Instant, sleep};

pub const KEY: KeyHash = KeyHash([1; 32]);
/// How long a lease holds without a heartbeat.
pub const VALID: Duration = Duration::from_secs(3);
const ME: &str = "east/one";

/// What becomes of a job, so long after its lease.
#[derive(Clone, Copy, Debug)]
pub enum Do {
    Prove(Duration),
    /// A proof that the source refuses.
    Wrong(Duration),
    Fail(Duration),
    Panic(Duration),
    Hang,
    /// Keeps its thread busy: aborted, it goes on to the end.
    Busy(Duration),
}

fn proof(right: bool) -> Proof {
    let (a, c) = (G1Affine::generator(), G1Affine::generator());
    Proof {
        a: if right { a } else { G1Affine::identity() },
        b: G2Affine::generator(),
        c,
    }
}

/// Does with each job what it is told to.
pub struct Nasty {
    pub at_once: usize,
    /// By job and generation, or by job alone (generation 0).
    pub script: HashMap<(u64, u64), Do>,
    pub otherwise: Do,
    pub ready: AtomicBool,
    /// Whether the question if it is ready is never answered.
    pub dark: AtomicBool,
    /// Proofs under way now, and the most there were.
    pub now: Arc<AtomicUsize>,
    pub most: AtomicUsize,
    pub begun: AtomicUsize,
}

impl Nasty {
    pub fn new(at_once: usize, script: &[((u64, u64), Do)]) -> Arc<Self> {
        Arc::new(Self {
            at_once,
            script: script.iter().copied().collect(),
            otherwise: Do::Prove(Duration::from_secs(1)),
            ready: AtomicBool::new(true),
            dark: AtomicBool::new(false),
            now: Arc::default(),
            most: AtomicUsize::new(0),
            begun: AtomicUsize::new(0),
        })
    }
}

/// A proof under way, until it is dropped.
struct UnderWay(Arc<AtomicUsize>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl ProverPlugin for Nasty {
    fn keys(&self) -> Vec<KeyHash> {
        vec![KEY]
    }

    fn at_once(&self) -> usize {
        self.at_once
    }

    async fn ready(&self) -> Result<(), PluginError> {
        if self.dark.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        match self.ready.load(Ordering::SeqCst) {
            true => Ok(()),
            false => Err(PluginError::Engine("no card".into())),
        }
    }

    async fn prove(&self, leased: &LeasedJob, _: &dyn ProgressSink) -> Result<Proof, PluginError> {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        let _under_way = UnderWay(Arc::clone(&self.now));
        self.most.fetch_max(now, Ordering::SeqCst);
        self.begun.fetch_add(1, Ordering::SeqCst);
        let (job, generation) = (leased.job.number, leased.generation);
        let told = self.script.get(&(job, generation));
        let told = told.or_else(|| self.script.get(&(job, 0)));
        match *told.unwrap_or(&self.otherwise) {
            Do::Prove(time) => {
                sleep(time).await;
                Ok(proof(true))
            }
            Do::Wrong(time) => {
                sleep(time).await;
                Ok(proof(false))
            }
            Do::Fail(time) => {
                sleep(time).await;
                Err(PluginError::Engine(format!("job {job} fails")))
            }
            Do::Panic(time) => {
                sleep(time).await;
                panic!("job {job} panics");
            }
            Do::Hang => std::future::pending().await,
            Do::Busy(time) => {
                std::thread::sleep(time);
                Ok(proof(true))
            }
        }
    }
}

/// How a lease ended, as far as the source was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    Proved,
    Refused,
    GivenBack(String),
    /// The source has given it to somebody else, or it has run out.
    Stale,
}

/// What the source knows.
pub struct State {
    pub book: LeaseBook,
    /// Each lease that was given to the prover: job, generation, when, and how it ended.
    pub leases: Vec<(u64, u64, Instant, Option<Ended>)>,
    /// Most leases that were live at once.
    pub most: usize,
    /// Jobs in the order of their proofs.
    pub proved: Vec<u64>,
    pub beats: HashMap<u64, usize>,
}

/// A source with the rules of the real board.
pub struct Source {
    pub state: Mutex<State>,
    pub started: Instant,
    /// How long each answer takes.
    pub takes: Duration,
    /// How long the answer to `pick` is under way once it is decided.
    pub late: Duration,
    pub valid: Duration,
    /// What never answers.
    pub silent: Mutex<Vec<&'static str>>,
    /// What is answered with "come again", so many times.
    pub busy: Mutex<HashMap<&'static str, usize>>,
    /// Whether the prover's token still counts.
    pub known: AtomicBool,
}

impl Source {
    pub fn new(jobs: u64) -> Self {
        let entries = (1..=jobs).map(|job| (job, Entry::new(KEY))).collect();
        Self {
            state: Mutex::new(State {
                book: LeaseBook::new(entries),
                leases: Vec::new(),
                most: 0,
                proved: Vec::new(),
                beats: HashMap::new(),
            }),
            started: Instant::now(),
            takes: Duration::ZERO,
            late: Duration::ZERO,
            valid: VALID,
            silent: Mutex::default(),
            busy: Mutex::default(),
            known: AtomicBool::new(true),
        }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap()
    }

    fn terms(&self) -> Terms {
        Terms {
            valid: u64::try_from(self.valid.as_millis()).unwrap(),
            longest: 100_000,
            per_token: 16,
        }
    }

    /// Gives a job to somebody else, who never proves it.
    pub fn steal(&self, job: u64) {
        let (now, mut state) = (self.now(), self.state());
        let Some(entry) = state.book.get(job).cloned() else {
            return;
        };
        if matches!(entry.state, LeaseState::Proved { .. }) {
            return;
        }
        let until = now + 10_000;
        let entry = Entry {
            generation: entry.generation + 1,
            state: LeaseState::Leased {
                holder: "west/other".into(),
                until,
                last: until + 1,
            },
            ..entry
        };
        state.book.put(job, entry);
    }

    /// How the leases of a job ended, in order.
    pub fn ends(&self, job: u64) -> Vec<Option<Ended>> {
        let state = self.state();
        let of_job = state.leases.iter().filter(|lease| lease.0 == job);
        of_job.map(|lease| lease.3.clone()).collect()
    }

    /// The leases that the prover holds, as the board sees it.
    pub fn held(&self) -> usize {
        held(&self.state().book, self.now())
    }

    /// What every question goes through first.
    async fn question(&self, name: &'static str) -> Result<(), SourceError> {
        sleep(self.takes).await;
        self.answer(name).await
    }

    /// Whether it answers as it should.
    async fn answer(&self, name: &'static str) -> Result<(), SourceError> {
        if self.silent.lock().unwrap().contains(&name) {
            std::future::pending::<()>().await;
        }
        if !self.known.load(Ordering::SeqCst) {
            return Err(SourceError::Unauthorised("no such token".into()));
        }
        if let Some(times) = self.busy.lock().unwrap().get_mut(name)
            && *times > 0
        {
            *times -= 1;
            return Err(SourceError::Unreachable(format!("{name}: come again")));
        }
        Ok(())
    }

    fn end(state: &mut State, job: u64, generation: u64, ended: Ended) {
        let mut leases = state.leases.iter_mut();
        let lease = leases.find(|lease| (lease.0, lease.1) == (job, generation));
        lease.unwrap().3.get_or_insert(ended);
    }

    fn lease(&self, keys: &[KeyHash]) -> Option<LeasedJob> {
        let (now, terms) = (self.now(), self.terms());
        let mut state = self.state();
        let (number, entry) = state.book.pick(now, &terms, ME, keys).unwrap()?;
        let generation = entry.generation;
        state.book.put(number, entry);
        let lease = (number, generation, Instant::now(), None);
        state.leases.push(lease);
        state.most = state.most.max(held(&state.book, now));
        let job = Job {
            number,
            key: KEY,
            public_inputs: Vec::new(),
            input: Vec::new(),
        };
        let valid = self.valid;
        Some(LeasedJob {
            job,
            generation,
            valid,
        })
    }

    /// Takes a proof, or says why not.
    fn take(&self, job: u64, generation: u64, given: &Proof) -> Result<(), SourceError> {
        let bytes = given.to_bytes();
        let mut state = self.state();
        let answer = state.book.accept(self.now(), job, generation, ME, &bytes);
        let entry = match answer {
            Ok(Acceptance::New(entry)) => entry,
            Ok(Acceptance::Repeated) => return Ok(()),
            Err(error) => return Err(Self::stale(&mut state, job, generation, &error)),
        };
        if *given != proof(true) {
            let entry = state.book.fail(self.now(), job, generation, ME).unwrap();
            state.book.put(job, entry);
            Self::end(&mut state, job, generation, Ended::Refused);
            return Err(SourceError::Refused("the proof does not verify".into()));
        }
        state.book.put(job, entry);
        state.proved.push(job);
        Self::end(&mut state, job, generation, Ended::Proved);
        Ok(())
    }

    /// Passes a refusal of the book on, and notes that the lease is over.
    fn stale(state: &mut State, job: u64, generation: u64, error: &LeaseError) -> SourceError {
        Self::end(state, job, generation, Ended::Stale);
        SourceError::Stale(error.to_string())
    }
}

fn held(book: &LeaseBook, now: u64) -> usize {
    let live = |entry: &&Entry| matches!(&entry.state, LeaseState::Leased { holder, until, .. } if holder == ME && *until > now);
    book.entries().values().filter(live).count()
}

#[async_trait]
impl JobSource for Source {
    async fn pick(&self, keys: &[KeyHash]) -> Result<Option<LeasedJob>, SourceError> {
        self.question("pick").await?;
        let picked = self.lease(keys);
        sleep(self.late).await;
        Ok(picked)
    }

    async fn heartbeat(&self, job: u64, generation: u64) -> Result<Duration, SourceError> {
        self.question("heartbeat").await?;
        let mut state = self.state();
        *state.beats.entry(job).or_default() += 1;
        let answer = state
            .book
            .heartbeat(self.now(), &self.terms(), job, generation, ME);
        match answer {
            Ok((entry, holds)) => {
                state.book.put(job, entry);
                Ok(Duration::from_millis(holds))
            }
            Err(error) => Err(Self::stale(&mut state, job, generation, &error)),
        }
    }

    async fn submit(&self, leased: &LeasedJob, given: &Proof) -> Result<(), SourceError> {
        self.question("submit").await?;
        let (job, generation) = (leased.job.number, leased.generation);
        self.take(job, generation, given)?;
        self.answer("answer").await
    }

    async fn fail(&self, job: u64, generation: u64, reason: &str) -> Result<(), SourceError> {
        self.question("fail").await?;
        let mut state = self.state();
        match state.book.fail(self.now(), job, generation, ME) {
            Ok(entry) => {
                state.book.put(job, entry);
                let reason = reason.to_owned();
                Self::end(&mut state, job, generation, Ended::GivenBack(reason));
                Ok(())
            }
            Err(error) => Err(Self::stale(&mut state, job, generation, &error)),
        }
    }
}
