//! The plug-in that proves on any `carillon_runtime` engine: CPU, simulated card, real card.
//!
//! What a job's input means is up to a [`Prepare`]: it turns the bytes into an assignment. The
//! plug-in checks that the assignment's public inputs are those of the job, so that a wrong input
//! costs no proof. Called through [`ProverPlugin`].

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use carillon_runtime::Engine;
use carillon_runtime::groth16::{self, Assignment, Groth16Error, Proof, ProvingKey};
use carillon_runtime::progress::ProgressSink;
use rand::rngs::OsRng;
use tokio::sync::Semaphore;

use super::{KeyHash, LeasedJob, PluginError, ProverPlugin};

/// Makes assignments for one key's circuit.
pub trait Prepare: Send + Sync + 'static {
    /// Decodes a job's input, builds the circuit and runs it. May take seconds; it is called on a
    /// blocking thread.
    ///
    /// # Errors
    /// [`PluginError::Input`] for bytes that are not an input of this circuit.
    fn assignment(&self, input: &[u8]) -> Result<Assignment, PluginError>;
}

/// A key and what makes assignments for it.
type Circuit = (Arc<ProvingKey>, Arc<dyn Prepare>);

/// Proves on an engine.
pub struct EnginePlugin {
    engine: Arc<dyn Engine>,
    circuits: HashMap<KeyHash, Circuit>,
    /// A place for each witness that is computed at a time: as many as proofs.
    preparing: Arc<Semaphore>,
}

impl std::fmt::Debug for EnginePlugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EnginePlugin")
            .field("engine", &self.engine.name())
            .field("keys", &self.circuits.keys())
            .finish()
    }
}

impl EnginePlugin {
    /// A plug-in without keys.
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        let at_once = engine.info().proofs_at_once.max(1);
        Self {
            engine,
            circuits: HashMap::new(),
            preparing: Arc::new(Semaphore::new(at_once)),
        }
    }

    /// With one more key.
    #[must_use]
    pub fn with(mut self, key: Arc<ProvingKey>, prepare: Arc<dyn Prepare>) -> Self {
        self.circuits.insert(KeyHash::of(&key.vk), (key, prepare));
        self
    }
}

#[async_trait]
impl ProverPlugin for EnginePlugin {
    fn keys(&self) -> Vec<KeyHash> {
        self.circuits.keys().copied().collect()
    }

    fn at_once(&self) -> usize {
        self.engine.info().proofs_at_once
    }

    async fn ready(&self) -> Result<(), PluginError> {
        let ready = self.engine.ready().await;
        ready.map_err(|error| PluginError::Engine(error.to_string()))
    }

    async fn prove(
        &self,
        leased: &LeasedJob,
        progress: &dyn ProgressSink,
    ) -> Result<Proof, PluginError> {
        let job = &leased.job;
        let Some((key, prepare)) = self.circuits.get(&job.key).cloned() else {
            let reason = format!("no proving key for {} here", job.key);
            return Err(PluginError::Engine(reason));
        };
        let input = job.input.clone();
        // The place is free when the thread has ended, not when nobody waits for it any more.
        let place = Arc::clone(&self.preparing).acquire_owned().await;
        let place = place.map_err(|error| PluginError::Engine(error.to_string()))?;
        let prepared = move || {
            let _place = place;
            prepare.assignment(&input)
        };
        let assignment = tokio::task::spawn_blocking(prepared)
            .await
            .map_err(|error| PluginError::Engine(error.to_string()))??;
        if assignment.public_inputs() != job.public_inputs {
            let reason = "its public inputs are not those of the job";
            return Err(PluginError::Input(reason.into()));
        }
        let assignment = Arc::new(assignment);
        let proved =
            groth16::prove_assignment(&*self.engine, &key, &assignment, &mut OsRng, progress).await;
        match proved {
            Ok((proof, report)) => {
                tracing::info!(job = job.number, wall = ?report.wall, "proved");
                Ok(proof)
            }
            Err(error @ (Groth16Error::Engine(_) | Groth16Error::FaultyProof { .. })) => {
                Err(PluginError::Engine(error.to_string()))
            }
            Err(error) => Err(PluginError::Input(error.to_string())),
        }
    }
}
