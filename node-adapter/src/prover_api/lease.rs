//! Who may prove which job until when: a pure state machine.
//!
//! Time is an argument (milliseconds since the Unix epoch) and nothing is stored here, so that every
//! history can be tested. A question (`pick`, `heartbeat`, `accept`, `fail`) returns the job's new
//! [`Entry`] without taking it over; the caller makes it durable first and then calls
//! [`LeaseBook::put`]. A lease is (job, generation): each lease of a job has a number of its own, so
//! that a prover that was given up and comes back is told apart from the one that took its place,
//! even when it is the same prover. Called by `board`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::KeyHash;
use super::job::hex_bytes;

/// Why a lease does not allow what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// No such job.
    #[error("there is no job {job}: it was never offered, or its batch is settled; pick another")]
    Unknown {
        /// The job asked for.
        job: u64,
    },
    /// The lease is not the newest one, or it has expired, or it was never given.
    #[error("lease {given} of job {job} is stale: {reason}; drop the work and pick again")]
    Stale {
        /// The job.
        job: u64,
        /// The generation that was shown.
        given: u64,
        /// What is the case instead.
        reason: String,
    },
}

/// What state a job is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum LeaseState {
    /// Nobody works on it.
    Open,
    /// Somebody works on it, as far as is known.
    Leased {
        /// Who.
        holder: String,
        /// When the lease ends by itself, in milliseconds since the Unix epoch.
        until: u64,
    },
    /// A proof was verified and accepted. This is final.
    Proved {
        /// Who proved it.
        holder: String,
        /// The proof's bytes.
        #[serde(with = "hex_bytes")]
        proof: Vec<u8>,
    },
}

/// All that is remembered about the leases of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The key that the job is proved with.
    pub key: KeyHash,
    /// The number of its newest lease; 0 before the first.
    pub generation: u64,
    /// How often a lease ended without a proof.
    pub failures: u32,
    /// Its state.
    #[serde(flatten)]
    pub state: LeaseState,
}

impl Entry {
    /// A job that was not leased yet.
    pub fn new(key: KeyHash) -> Self {
        Self {
            key,
            generation: 0,
            failures: 0,
            state: LeaseState::Open,
        }
    }

    /// Whether the job can be given out at `now`.
    fn is_free(&self, now: u64) -> bool {
        match &self.state {
            LeaseState::Open => true,
            LeaseState::Leased { until, .. } => *until <= now,
            LeaseState::Proved { .. } => false,
        }
    }
}

/// What [`LeaseBook::accept`] decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// The proof is the job's first: keep this entry.
    New(Entry),
    /// The same lease has delivered the same proof before: nothing to do.
    Repeated,
}

/// The leases of all jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseBook {
    entries: BTreeMap<u64, Entry>,
}

impl LeaseBook {
    /// A book with these entries.
    pub fn new(entries: BTreeMap<u64, Entry>) -> Self {
        Self { entries }
    }

    /// Takes over an entry.
    pub fn put(&mut self, job: u64, entry: Entry) {
        self.entries.insert(job, entry);
    }

    /// Forgets a job.
    pub fn remove(&mut self, job: u64) {
        self.entries.remove(&job);
    }

    /// One entry.
    pub fn get(&self, job: u64) -> Option<&Entry> {
        self.entries.get(&job)
    }

    /// All entries by job.
    pub fn entries(&self) -> &BTreeMap<u64, Entry> {
        &self.entries
    }

    /// The job that would be given out next to a prover with these keys: the lowest number.
    pub fn next(&self, now: u64, keys: &[KeyHash]) -> Option<(u64, &Entry)> {
        self.entries
            .iter()
            .find(|(_, entry)| entry.is_free(now) && keys.contains(&entry.key))
            .map(|(job, entry)| (*job, entry))
    }

    /// Leases the next job to `holder` for `valid` milliseconds.
    pub fn pick(
        &self,
        now: u64,
        valid: u64,
        holder: &str,
        keys: &[KeyHash],
    ) -> Option<(u64, Entry)> {
        let (job, entry) = self.next(now, keys)?;
        let expired = matches!(entry.state, LeaseState::Leased { .. });
        let entry = Entry {
            key: entry.key,
            generation: entry.generation + 1,
            failures: entry.failures.saturating_add(u32::from(expired)),
            state: LeaseState::Leased {
                holder: holder.to_owned(),
                until: now.saturating_add(valid),
            },
        };
        Some((job, entry))
    }

    /// Renews a lease.
    ///
    /// # Errors
    /// [`LeaseError`] if it is not live.
    pub fn heartbeat(
        &self,
        now: u64,
        valid: u64,
        job: u64,
        generation: u64,
        holder: &str,
    ) -> Result<Entry, LeaseError> {
        let mut entry = self.live(now, job, generation, holder)?.clone();
        entry.state = LeaseState::Leased {
            holder: holder.to_owned(),
            until: now.saturating_add(valid),
        };
        Ok(entry)
    }

    /// Ends a lease without a proof; the job is free at once.
    ///
    /// # Errors
    /// [`LeaseError`] if it is not live.
    pub fn fail(
        &self,
        now: u64,
        job: u64,
        generation: u64,
        holder: &str,
    ) -> Result<Entry, LeaseError> {
        let entry = self.live(now, job, generation, holder)?;
        Ok(Entry {
            failures: entry.failures.saturating_add(1),
            state: LeaseState::Open,
            ..entry.clone()
        })
    }

    /// Ends a lease with a proof. The caller has verified it.
    ///
    /// # Errors
    /// [`LeaseError`] if the lease is not live and the proof is not the one that it delivered.
    pub fn accept(
        &self,
        now: u64,
        job: u64,
        generation: u64,
        holder: &str,
        proof: &[u8],
    ) -> Result<Acceptance, LeaseError> {
        if let Some(entry) = self.entries.get(&job)
            && let LeaseState::Proved {
                holder: by,
                proof: known,
            } = &entry.state
            && (entry.generation, by.as_str(), known.as_slice()) == (generation, holder, proof)
        {
            return Ok(Acceptance::Repeated);
        }
        let entry = self.live(now, job, generation, holder)?;
        Ok(Acceptance::New(Entry {
            state: LeaseState::Proved {
                holder: holder.to_owned(),
                proof: proof.to_vec(),
            },
            ..entry.clone()
        }))
    }

    /// The entry of a job whose newest lease is this one, and live.
    fn live(&self, now: u64, job: u64, given: u64, holder: &str) -> Result<&Entry, LeaseError> {
        let entry = self.entries.get(&job).ok_or(LeaseError::Unknown { job })?;
        let stale = |reason: String| LeaseError::Stale { job, given, reason };
        if entry.generation != given {
            let newest = entry.generation;
            return Err(stale(format!("the newest lease of this job is {newest}")));
        }
        match &entry.state {
            LeaseState::Open => Err(stale("it was given back".into())),
            LeaseState::Proved { .. } => Err(stale("the job is proved".into())),
            LeaseState::Leased { holder: other, .. } if other != holder => {
                Err(stale("another prover holds it".into()))
            }
            LeaseState::Leased { until, .. } if *until <= now => {
                Err(stale(format!("it expired {} ms ago", now - until)))
            }
            LeaseState::Leased { .. } => Ok(entry),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    const VALID: u64 = 100;
    const KEYS: [KeyHash; 2] = [KeyHash([1; 32]), KeyHash([2; 32])];

    #[derive(Clone, Debug)]
    enum Step {
        Pick { prover: usize, both_keys: bool },
        Heartbeat { lease: usize },
        Submit { lease: usize, proof: u8 },
        Fail { lease: usize },
        Wait { ms: u64 },
        Restart,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0..3usize, any::<bool>())
                .prop_map(|(prover, both_keys)| Step::Pick { prover, both_keys }),
            2 => any::<usize>().prop_map(|lease| Step::Heartbeat { lease }),
            2 => (any::<usize>(), 0..2u8).prop_map(|(lease, proof)| Step::Submit { lease, proof }),
            1 => any::<usize>().prop_map(|lease| Step::Fail { lease }),
            2 => (0..2 * VALID).prop_map(|ms| Step::Wait { ms }),
            1 => Just(Step::Restart),
        ]
    }

    /// What the test knows of a lease that was given out.
    #[derive(Clone, Debug)]
    struct Given {
        job: u64,
        generation: u64,
        holder: String,
        until: u64,
        ended: bool,
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn leases_are_exclusive_and_proofs_final(steps in prop::collection::vec(step(), 1..80)) {
            let mut book = LeaseBook::default();
            for job in 1..=3 {
                book.put(job, Entry::new(KEYS[usize::from(job == 3)]));
            }
            let mut now = 1_000;
            let mut given: Vec<Given> = Vec::new();
            let mut proofs: HashMap<u64, (u64, u8)> = HashMap::new();
            for step in steps {
                let live = |lease: &Given, given: &[Given], proofs: &HashMap<u64, (u64, u8)>| {
                    !lease.ended
                        && lease.until > now
                        && !proofs.contains_key(&lease.job)
                        && !given.iter().any(|g| g.job == lease.job && g.generation > lease.generation)
                };
                match step {
                    Step::Pick { prover, both_keys } => {
                        let holder = format!("prover {prover}");
                        let keys = if both_keys { &KEYS[..] } else { &KEYS[..1] };
                        let free = (1..=3u64).find(|job| {
                            (*job != 3 || both_keys)
                                && !proofs.contains_key(job)
                                && !given.iter().any(|g| g.job == *job && live(g, &given, &proofs))
                        });
                        let picked = book.pick(now, VALID, &holder, keys);
                        // The lowest free job that the prover can prove, and none with a live lease.
                        prop_assert_eq!(picked.as_ref().map(|(job, _)| *job), free);
                        if let Some((job, entry)) = picked {
                            let before = given.iter().filter(|g| g.job == job).count() as u64;
                            prop_assert_eq!(entry.generation, before + 1);
                            given.push(Given {
                                job, generation: entry.generation, holder, until: now + VALID, ended: false,
                            });
                            book.put(job, entry);
                        }
                    }
                    Step::Heartbeat { lease } if !given.is_empty() => {
                        let at = lease % given.len();
                        let lease = given[at].clone();
                        let expected = live(&lease, &given, &proofs);
                        let answer = book.heartbeat(now, VALID, lease.job, lease.generation, &lease.holder);
                        prop_assert_eq!(answer.is_ok(), expected);
                        if let Ok(entry) = answer {
                            given[at].until = now + VALID;
                            book.put(lease.job, entry);
                        }
                    }
                    Step::Submit { lease, proof } if !given.is_empty() => {
                        let lease = given[lease % given.len()].clone();
                        let expected = live(&lease, &given, &proofs);
                        let answer = book.accept(now, lease.job, lease.generation, &lease.holder, &[proof]);
                        match answer {
                            Ok(Acceptance::New(entry)) => {
                                prop_assert!(expected);
                                prop_assert!(proofs.insert(lease.job, (lease.generation, proof)).is_none());
                                book.put(lease.job, entry);
                            }
                            Ok(Acceptance::Repeated) => {
                                prop_assert_eq!(proofs.get(&lease.job), Some(&(lease.generation, proof)));
                            }
                            Err(error) => {
                                prop_assert!(!expected);
                                let stale = matches!(error, LeaseError::Stale { .. });
                                prop_assert!(stale, "{}", error);
                            }
                        }
                    }
                    Step::Fail { lease } if !given.is_empty() => {
                        let at = lease % given.len();
                        let lease = given[at].clone();
                        let expected = live(&lease, &given, &proofs);
                        let answer = book.fail(now, lease.job, lease.generation, &lease.holder);
                        prop_assert_eq!(answer.is_ok(), expected);
                        if let Ok(entry) = answer {
                            given[at].ended = true;
                            book.put(lease.job, entry);
                        }
                    }
                    Step::Wait { ms } => now += ms,
                    Step::Restart => {
                        // What is written and read again is the same book.
                        let entries = book.entries().iter().map(|(job, entry)| {
                            let text = serde_json::to_vec(entry).unwrap();
                            (*job, serde_json::from_slice(&text).unwrap())
                        });
                        let again = LeaseBook::new(entries.collect());
                        prop_assert_eq!(&again, &book);
                        book = again;
                    }
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn refusals_say_what_is_the_case() {
        let mut book = LeaseBook::default();
        assert!(book.pick(0, VALID, "a", &KEYS).is_none());
        let unknown = book.heartbeat(0, VALID, 9, 1, "a").unwrap_err();
        assert_eq!(unknown, LeaseError::Unknown { job: 9 });
        book.put(1, Entry::new(KEYS[0]));
        assert!(book.pick(0, VALID, "a", &KEYS[1..]).is_none());
        let text = |result: Result<Entry, LeaseError>| result.unwrap_err().to_string();
        assert!(text(book.heartbeat(0, VALID, 1, 0, "a")).contains("given back"));
        let (job, entry) = book.pick(0, VALID, "a", &KEYS).unwrap();
        book.put(job, entry);
        assert!(text(book.heartbeat(5, VALID, 1, 1, "b")).contains("another prover"));
        assert!(text(book.heartbeat(VALID + 7, VALID, 1, 1, "a")).contains("expired 7 ms ago"));
        let (job, entry) = book.pick(VALID, VALID, "b", &KEYS).unwrap();
        assert_eq!((job, entry.generation, entry.failures), (1, 2, 1));
        book.put(job, entry);
        assert!(text(book.fail(VALID, 1, 1, "a")).contains("newest lease of this job is 2"));
        let Acceptance::New(entry) = book.accept(VALID, 1, 2, "b", &[7]).unwrap() else {
            panic!("the first proof is new");
        };
        book.put(1, entry);
        let again = book.accept(VALID, 1, 2, "b", &[7]);
        assert_eq!(again, Ok(Acceptance::Repeated));
        let other = book.accept(VALID, 1, 2, "b", &[8]).unwrap_err().to_string();
        assert!(other.contains("the job is proved"), "{other}");
    }
}
