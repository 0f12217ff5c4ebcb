//! What proves, and where jobs come from.
//!
//! [`ProverPlugin`] makes a proof of one job. [`JobSource`] is a board in the same process
//! (`LocalSource`) or across the network (`ProverClient`). The loop between the two is `work`.

use std::time::Duration;

use async_trait::async_trait;
use carillon_runtime::groth16::Proof;
use carillon_runtime::progress::ProgressSink;

use super::{KeyHash, LeasedJob};

/// Why a plug-in made no proof.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// The job's input is not what its circuit takes: no prover can prove it.
    #[error("the job's input cannot be proved: {0}")]
    Input(String),
    /// The prover failed; another may not.
    #[error("the prover failed: {0}")]
    Engine(String),
}

/// Why a source of jobs did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// It does not accept who asks.
    #[error("the node does not accept this prover: {0}")]
    Unauthorised(String),
    /// The lease is over.
    #[error("{0}")]
    Stale(String),
    /// It refuses what was sent.
    #[error("{0}")]
    Refused(String),
    /// It cannot be reached, or cannot answer now.
    #[error("the node does not answer: {0}")]
    Unreachable(String),
}

impl SourceError {
    /// Whether the same question may be answered later.
    pub fn passes(&self) -> bool {
        matches!(self, SourceError::Unreachable(_))
    }
}

/// Makes proofs.
#[async_trait]
pub trait ProverPlugin: Send + Sync + 'static {
    /// The keys that it can prove for.
    fn keys(&self) -> Vec<KeyHash>;

    /// How many jobs it works on at the same time to advantage: so many are leased, unless
    /// `WorkOptions` say otherwise. Asked once.
    fn at_once(&self) -> usize {
        1
    }

    /// Whether a job would be proved now. While it would not, none is leased.
    ///
    /// # Errors
    /// [`PluginError::Engine`] with the reason; it is asked again later.
    async fn ready(&self) -> Result<(), PluginError> {
        Ok(())
    }

    /// Proves one job, maybe beside others. Dropping the future gives the work up.
    async fn prove(
        &self,
        leased: &LeasedJob,
        progress: &dyn ProgressSink,
    ) -> Result<Proof, PluginError>;
}

/// Gives out jobs and takes proofs.
#[async_trait]
pub trait JobSource: Send + Sync {
    /// Leases the next job for one of these keys, if there is one.
    async fn pick(&self, keys: &[KeyHash]) -> Result<Option<LeasedJob>, SourceError>;

    /// Renews a lease; returns how long it holds now.
    async fn heartbeat(&self, job: u64, generation: u64) -> Result<Duration, SourceError>;

    /// Delivers a proof.
    async fn submit(&self, leased: &LeasedJob, proof: &Proof) -> Result<(), SourceError>;

    /// Gives a lease back.
    async fn fail(&self, job: u64, generation: u64, reason: &str) -> Result<(), SourceError>;
}
