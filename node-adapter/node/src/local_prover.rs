//! The prover in a node's process: how many proofs it has under way, and its loop.
//!
//! Called by `service`; `status` tells its leases from those of provers elsewhere by [`HOLDER`].

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use carillon_prover_api::{
    JobBoard, JobSource, JobStatus, LocalSource, ProgressOf, ProverPlugin, SourceError, WorkEvent,
    WorkOptions, work,
};

/// The holder of its leases. No prover elsewhere has this name: those of tokens have no spaces.
pub(super) const HOLDER: &str = "in process";

/// What proves in the process.
pub struct LocalProver {
    /// What makes the proofs.
    pub plugin: Arc<dyn ProverPlugin>,
    /// Proofs under way at the same time; without a number as many as the plug-in works on at once.
    pub at_once: Option<usize>,
    /// Where the progress of each goes.
    pub progress: Arc<ProgressOf>,
    /// Told what happens.
    pub observe: Arc<dyn Fn(WorkEvent) + Send + Sync>,
}

impl LocalProver {
    /// Proofs that it has under way at most, of a board that leases so many to one prover.
    pub(super) fn places(&self, leases: usize) -> usize {
        let wanted = self.at_once.unwrap_or_else(|| self.plugin.at_once()).max(1);
        let leases = leases.max(1);
        if wanted > leases {
            tracing::warn!(
                wanted,
                leases,
                "fewer proofs at once than wanted: a prover holds no more leases than \
                 --leases-per-token"
            );
        }
        wanted.min(leases)
    }

    /// Proves jobs of the board until `stop` is cancelled.
    ///
    /// # Errors
    /// [`SourceError`] of the board.
    pub(super) async fn run(
        self,
        board: Arc<JobBoard>,
        places: usize,
        stop: CancellationToken,
    ) -> Result<(), SourceError> {
        let source = LocalSource::new(Arc::clone(&board), HOLDER);
        give_back(&source, &board).await;
        let options = WorkOptions {
            at_once: Some(places),
            ..WorkOptions::default()
        };
        let (plugin, observe) = (&self.plugin, &*self.observe);
        let ended = work(&source, plugin, &*self.progress, &options, &stop, observe);
        ended.await.map(|_| ())
    }
}

/// Gives back the leases of a process of this node that was killed: nobody proves under them, and they would count for
/// this one's until they end.
async fn give_back(source: &LocalSource, board: &JobBoard) {
    // At the start nobody else asks the board yet; if somebody does, these leases end by themselves.
    let jobs = board.status_now().unwrap_or_default();
    let ours = |job: &JobStatus| job.state == "leased" && job.holder.as_deref() == Some(HOLDER);
    for job in jobs.into_iter().filter(ours) {
        let reason = "the process that had the lease has ended";
        if let Err(error) = source.fail(job.job, job.generation, reason).await {
            tracing::warn!(batch = job.job, %error, "a lease of before is not given back");
        }
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use blstrs::Scalar;
    use carillon_prover_api::{BoardOptions, Job, KeyHash, LeasedJob, PluginError};
    use carillon_runtime::groth16::Proof;
    use carillon_runtime::progress::ProgressSink;
    use carillon_testing::trapdoor::Trapdoor;

    use super::*;

    struct Two;

    #[async_trait]
    impl ProverPlugin for Two {
        fn keys(&self) -> Vec<KeyHash> {
            Vec::new()
        }

        fn at_once(&self) -> usize {
            2
        }

        async fn prove(&self, _: &LeasedJob, _: &dyn ProgressSink) -> Result<Proof, PluginError> {
            Err(PluginError::Engine("it proves nothing".into()))
        }
    }

    #[tokio::test]
    async fn leases_of_a_killed_process_are_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("jobs.redb");
        let board = Arc::new(JobBoard::open(&file, BoardOptions::default()).unwrap());
        let key = board
            .add_key(&Trapdoor::random(&mut rand::rngs::OsRng).key())
            .unwrap();
        for number in 1..=2 {
            let job = Job {
                number,
                key,
                public_inputs: vec![Scalar::from(1); 5],
                input: vec![1],
            };
            board.add(&job).unwrap();
        }
        let other = LocalSource::new(Arc::clone(&board), "rack/one");
        let ours = LocalSource::new(Arc::clone(&board), HOLDER);
        let kept = other.pick(&[key]).await.unwrap().unwrap().job.number;
        ours.pick(&[key]).await.unwrap().unwrap();
        give_back(&ours, &board).await;
        let jobs = board.status().into_iter();
        let leased = jobs.filter(|job| job.state == "leased").map(|job| job.job);
        assert_eq!(leased.collect::<Vec<_>>(), [kept]);
    }

    #[test]
    fn places_are_what_is_wanted_within_the_leases() {
        let places = |at_once, leases| {
            let prover = LocalProver {
                plugin: Arc::new(Two),
                at_once,
                progress: Arc::new(|_| Arc::new(())),
                observe: Arc::new(|_| {}),
            };
            prover.places(leases)
        };
        assert_eq!(places(None, 16), 2);
        assert_eq!(places(Some(1), 16), 1);
        assert_eq!(places(Some(5), 16), 5);
        assert_eq!(places(Some(5), 3), 3);
        assert_eq!(places(None, 1), 1);
        assert_eq!(places(Some(0), 0), 1);
    }
}
