//! Several proofs with one key, as many at a time as the engine works on.
//!
//! On a card the operands of one proof travel and are transformed while the adders work on another; the
//! witness of the next is computed meanwhile on the host.

use std::sync::Arc;

use bellpepper_core::Circuit;
use blstrs::Scalar;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{Assignment, Groth16Error, Proof, ProveReport, ProvingKey, prove_with, synthesize};
use crate::engine::{Engine, EngineError};
use crate::progress::ProgressSink;

/// What became of one proof of several.
pub type Proved = Result<(Proof, ProveReport), Groth16Error>;

/// [`prove`](super::prove())s each circuit; the answers are in the order of the circuits. As many are under way as
/// `EngineInfo::proofs_at_once` says, and they begin in order. One that fails leaves the others as they are; all end
/// when the future is dropped. Events of several proofs come mixed.
pub async fn prove_each<C>(
    engine: &Arc<dyn Engine>,
    key: &Arc<ProvingKey>,
    circuits: Vec<C>,
    progress: &Arc<dyn ProgressSink>,
) -> Vec<Proved>
where
    C: Circuit<Scalar> + Send + 'static,
{
    let circuits = circuits.into_iter();
    let make = circuits.map(|circuit| move || synthesize(circuit));
    prove_each_with(engine, key, make.collect(), progress).await
}

/// [`prove_each`], with the assignments from functions that make them as [`prove_with`] asks.
pub async fn prove_each_with<M>(
    engine: &Arc<dyn Engine>,
    key: &Arc<ProvingKey>,
    make: Vec<M>,
    progress: &Arc<dyn ProgressSink>,
) -> Vec<Proved>
where
    M: FnOnce() -> Result<Assignment, Groth16Error> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(engine.info().proofs_at_once.max(1)));
    let mut tasks = JoinSet::new();
    let mut answers: Vec<_> = make.iter().map(|_| None).collect();
    for (index, make) in make.into_iter().enumerate() {
        // Never closed; a place comes back with the task that had it.
        let place = Arc::clone(&places).acquire_owned().await;
        let (engine, key, progress) = (Arc::clone(engine), Arc::clone(key), Arc::clone(progress));
        tasks.spawn(async move {
            let _place = place;
            (index, prove_with(&*engine, &key, make, &*progress).await)
        });
    }
    while let Some(ended) = tasks.join_next().await {
        if let Ok((index, proved)) = ended {
            answers[index] = Some(proved);
        }
    }
    let missing = || {
        Err(Groth16Error::from(EngineError::Worker {
            operation: "groth16",
            reason: "its task ended without an answer".to_owned(),
        }))
    };
    let each = answers.into_iter();
    each.map(|answer| answer.unwrap_or_else(missing)).collect()
}
