//! What is being proved now, by the leases that are live.
//!
//! Called by `status`.

use serde::Serialize;

use super::local_prover::HOLDER;
use carillon_prover_api::JobStatus;

/// A batch whose proof is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InFlight {
    /// The batch.
    pub batch: u64,
    /// Where it is made. Not by whom: everybody may ask, and the names are those of tokens.
    pub prover: Prover,
}

/// Where a proof is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Prover {
    /// In the node's process.
    InProcess,
    /// By a prover with a token.
    Elsewhere,
}

/// What is being proved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Proving {
    /// In the order of the batches.
    pub in_flight: Vec<InFlight>,
    /// Proofs that the prover in this process has under way at most; `None` without one. Provers
    /// elsewhere do not say.
    pub places: Option<usize>,
}

impl Proving {
    /// By the jobs of the board, in their order.
    pub(super) fn of(jobs: Vec<JobStatus>, places: Option<usize>) -> Self {
        let in_flight = |job: JobStatus| {
            let holder = job.holder.filter(|_| job.state == "leased")?;
            let batch = job.job;
            let prover = match holder == HOLDER {
                true => Prover::InProcess,
                false => Prover::Elsewhere,
            };
            Some(InFlight { batch, prover })
        };
        Self {
            in_flight: jobs.into_iter().filter_map(in_flight).collect(),
            places,
        }
    }

    /// Proofs under way in this process, and elsewhere.
    pub(super) fn here_and_elsewhere(&self) -> (u64, u64) {
        let here = self.in_flight.iter();
        let here = here.filter(|job| job.prover == Prover::InProcess);
        let here = here.count() as u64;
        (here, self.in_flight.len() as u64 - here)
    }
}

#[cfg(test)]
mod tests {
    use carillon_prover_api::KeyHash;

    use super::*;

    #[test]
    fn only_live_leases_count_and_ours_apart() {
        let job = |job, state, holder: Option<&str>| JobStatus {
            job,
            vk_hash: KeyHash([1; 32]),
            state,
            holder: holder.map(str::to_owned),
            generation: 1,
            failures: 0,
        };
        let jobs = vec![
            job(1, "proved", Some(HOLDER)),
            job(2, "leased", Some(HOLDER)),
            job(3, "leased", Some("rack/one")),
            job(4, "leased", Some(HOLDER)),
            job(5, "open", None),
        ];
        let proving = Proving::of(jobs, Some(2));
        let batches: Vec<u64> = proving.in_flight.iter().map(|proof| proof.batch).collect();
        assert_eq!(batches, [2, 3, 4]);
        assert_eq!(proving.here_and_elsewhere(), (2, 1));
        let shown = serde_json::to_value(&proving).unwrap();
        assert_eq!(shown["in_flight"][0]["prover"], "in_process");
        assert_eq!(shown["in_flight"][1]["prover"], "elsewhere");
        assert_eq!(shown["places"], 2);
    }
}
