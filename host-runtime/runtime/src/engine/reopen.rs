//! A card engine that lasts: when its card goes out of service it is opened again, with growing
//! pauses, for as long as the program runs.
//!
//! For provers, which must neither end with a card nor go on taking jobs that it fails. A job that
//! met the failure is not repeated here: whoever gave it out decides.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use blstrs::{G1Affine, G2Affine, Scalar};
use tokio::sync::Mutex;

use super::{
    Bases, Engine, EngineError, EngineInfo, EngineKind, EngineOptions, Groth16Points, Groth16Stats,
    MsmOptions, NttKind, ResidentKey, open_with,
};
use crate::groth16::{Assignment, ProvingKey};
use crate::progress::ProgressSink;
use crate::stats::JobStats;

/// Before the second attempt; doubled after each.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Opens an engine whose card is opened again whenever it goes out of service.
///
/// # Errors
/// [`EngineError`], when it cannot be opened the first time.
pub async fn open_lasting(
    kind: EngineKind,
    options: EngineOptions,
) -> Result<Arc<dyn Engine>, EngineError> {
    match kind.card() {
        None => open_with(kind, options).await,
        Some(_) => Ok(Arc::new(ReopeningEngine::open(kind, options).await?)),
    }
}

/// An engine that comes back.
pub struct ReopeningEngine {
    kind: EngineKind,
    options: EngineOptions,
    name: String,
    info: EngineInfo,
    state: Mutex<State>,
}

enum State {
    Up(Arc<dyn Engine>),
    Down {
        reason: String,
        next: Instant,
        pause: Duration,
    },
}

impl ReopeningEngine {
    /// Opens the engine for the first time.
    ///
    /// # Errors
    /// [`EngineError`].
    pub async fn open(kind: EngineKind, options: EngineOptions) -> Result<Self, EngineError> {
        let engine = open_with(kind.clone(), options).await?;
        Ok(Self {
            name: kind.name(),
            info: engine.info(),
            state: Mutex::new(State::Up(engine)),
            kind,
            options,
        })
    }

    /// The engine below, opened again if it is time to.
    async fn current(&self) -> Result<Arc<dyn Engine>, EngineError> {
        let mut state = self.state.lock().await;
        if let State::Up(engine) = &*state {
            match engine.ready().await {
                Ok(()) => return Ok(Arc::clone(engine)),
                Err(error) => self.take_down(&mut state, &error),
            }
        }
        let State::Down {
            reason,
            next,
            pause,
        } = &mut *state
        else {
            return Err(self.down("it has just failed".to_owned(), FIRST_PAUSE));
        };
        let retry = next.saturating_duration_since(Instant::now());
        if !retry.is_zero() {
            return Err(self.down(reason.clone(), retry));
        }
        match open_with(self.kind.clone(), self.options).await {
            Ok(engine) => {
                tracing::warn!(engine = %self.name, "the card is in service again");
                *state = State::Up(Arc::clone(&engine));
                Ok(engine)
            }
            Err(error) => {
                *reason = error.to_string();
                let retry = *pause;
                *next = Instant::now() + retry;
                *pause = (retry * 2).min(LONGEST_PAUSE);
                tracing::warn!(engine = %self.name, %error, ?retry, "the card cannot be opened again yet");
                Err(self.down(reason.clone(), retry))
            }
        }
    }

    /// Passes a result on; an engine whose card is out of service is closed.
    async fn after<T>(
        &self,
        engine: Arc<dyn Engine>,
        result: Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        if let Err(error) = &result
            && error.needs_reopening()
        {
            let mut state = self.state.lock().await;
            if matches!(&*state, State::Up(current) if Arc::ptr_eq(current, &engine)) {
                self.take_down(&mut state, error);
            }
        }
        result
    }

    /// Lets the engine go; its card is closed once the last job has.
    fn take_down(&self, state: &mut State, error: &EngineError) {
        tracing::warn!(engine = %self.name, %error, "the card is out of service: it is opened again");
        *state = State::Down {
            reason: error.to_string(),
            next: Instant::now(),
            pause: FIRST_PAUSE,
        };
    }

    fn down(&self, reason: String, retry: Duration) -> EngineError {
        EngineError::Down {
            engine: self.name.clone(),
            reason,
            retry,
        }
    }
}

#[async_trait]
impl Engine for ReopeningEngine {
    fn name(&self) -> &str {
        &self.name
    }

    fn info(&self) -> EngineInfo {
        self.info.clone()
    }

    async fn ready(&self) -> Result<(), EngineError> {
        self.current().await.map(drop)
    }

    async fn msm_g1_with(
        &self,
        bases: Bases<'_>,
        scalars: &[Scalar],
        options: MsmOptions,
    ) -> Result<(G1Affine, JobStats), EngineError> {
        let engine = self.current().await?;
        let result = engine.msm_g1_with(bases, scalars, options).await;
        self.after(engine, result).await
    }

    async fn msm_g2_with(
        &self,
        bases: Bases<'_, G2Affine>,
        scalars: &[Scalar],
        options: MsmOptions,
    ) -> Result<(G2Affine, JobStats), EngineError> {
        let engine = self.current().await?;
        let result = engine.msm_g2_with(bases, scalars, options).await;
        self.after(engine, result).await
    }

    async fn ntt(&self, values: &mut [Scalar], kind: NttKind) -> Result<JobStats, EngineError> {
        let engine = self.current().await?;
        let result = engine.ntt(values, kind).await;
        self.after(engine, result).await
    }

    async fn quotient(
        &self,
        a: &[Scalar],
        b: &[Scalar],
        c: &[Scalar],
        z: &Scalar,
    ) -> Result<(Vec<Scalar>, JobStats), EngineError> {
        let engine = self.current().await?;
        let result = engine.quotient(a, b, c, z).await;
        self.after(engine, result).await
    }

    async fn load_key(&self, key: &Arc<ProvingKey>) -> Result<JobStats, EngineError> {
        let engine = self.current().await?;
        let result = engine.load_key(key).await;
        self.after(engine, result).await
    }

    async fn unload_key(&self, key: &Arc<ProvingKey>) -> Result<(), EngineError> {
        let engine = self.current().await?;
        let result = engine.unload_key(key).await;
        self.after(engine, result).await
    }

    async fn resident_keys(&self) -> Vec<ResidentKey> {
        // A card that is out of service holds none, and is not opened for the question.
        let engine = match &*self.state.lock().await {
            State::Up(engine) => Arc::clone(engine),
            State::Down { .. } => return Vec::new(),
        };
        engine.resident_keys().await
    }

    async fn groth16(
        &self,
        key: &Arc<ProvingKey>,
        assignment: &Arc<Assignment>,
        progress: &dyn ProgressSink,
    ) -> Result<(Groth16Points, Groth16Stats), EngineError> {
        let engine = self.current().await?;
        let result = engine.groth16(key, assignment, progress).await;
        self.after(engine, result).await
    }
}
