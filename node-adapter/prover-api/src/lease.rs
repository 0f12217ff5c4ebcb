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

/// How long leases hold, and how many a token may hold. Times are in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Without a heartbeat.
    pub valid: u64,
    /// With heartbeats: a prover that has not proved the job by then never will.
    pub longest: u64,
    /// Leases of one token at the same time.
    pub per_token: usize,
}

/// Why a lease does not allow what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LeaseError {
    /// No such job.
    #[error("there is no job {job}: it was never offered, or its batch is settled; pick another")]
    Unknown {
        /// The job asked for.
        job: u64,
    },
    /// The token has as many leases as it may have.
    #[error(
        "{token} holds {held} leases, as many as one token may; deliver or give back some of them, or give the provers tokens of their own"
    )]
    Share {
        /// The token's name.
        token: String,
        /// Its leases.
        held: usize,
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
        /// When no heartbeat can renew it any more.
        #[serde(default = "no_end")]
        last: u64,
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

/// Leases of a version that knew no last moment end with their next heartbeat that is missed.
fn no_end() -> u64 {
    u64::MAX
}

/// Who had a job for the longest time and did not prove it: others are asked first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overrun {
    /// The token's name.
    pub token: String,
    /// It may have the job again from then on, in milliseconds since the Unix epoch.
    pub until: u64,
}

/// The token that a holder's name begins with: `token/id`.
fn token_of(holder: &str) -> &str {
    holder.split_once('/').map_or(holder, |(token, _)| token)
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
    /// Who is not given it for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overrun: Option<Overrun>,
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
            overrun: None,
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

    /// Who has had it to the last moment, at `now` or before.
    fn overrun(&self, now: u64, terms: &Terms) -> Option<Overrun> {
        match &self.state {
            LeaseState::Leased {
                holder,
                until,
                last,
            } if *until <= now && until == last => Some(Overrun {
                token: token_of(holder).to_owned(),
                until: last.saturating_add(terms.longest),
            }),
            _ => self.overrun.clone(),
        }
    }

    /// Whether it can be given to a token at `now`.
    fn is_for(&self, now: u64, token: &str, terms: &Terms) -> bool {
        self.is_free(now)
            && self
                .overrun(now, terms)
                .is_none_or(|overrun| overrun.token != token || overrun.until <= now)
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

    /// The job that would be given out next to a holder with these keys: the lowest number.
    pub fn next(
        &self,
        now: u64,
        terms: &Terms,
        holder: &str,
        keys: &[KeyHash],
    ) -> Option<(u64, &Entry)> {
        let token = token_of(holder);
        self.entries
            .iter()
            .find(|(_, entry)| keys.contains(&entry.key) && entry.is_for(now, token, terms))
            .map(|(job, entry)| (*job, entry))
    }

    /// Leases the next job to `holder`.
    ///
    /// # Errors
    /// [`LeaseError::Share`] if its token holds enough.
    pub fn pick(
        &self,
        now: u64,
        terms: &Terms,
        holder: &str,
        keys: &[KeyHash],
    ) -> Result<Option<(u64, Entry)>, LeaseError> {
        let Some((job, entry)) = self.next(now, terms, holder, keys) else {
            return Ok(None);
        };
        let token = token_of(holder);
        let held = self.entries.values().filter(|entry| match &entry.state {
            LeaseState::Leased { holder, until, .. } => *until > now && token_of(holder) == token,
            _ => false,
        });
        let held = held.count();
        if held >= terms.per_token {
            let token = token.to_owned();
            return Err(LeaseError::Share { token, held });
        }
        let expired = matches!(entry.state, LeaseState::Leased { .. });
        let last = now.saturating_add(terms.longest);
        let entry = Entry {
            key: entry.key,
            generation: entry.generation + 1,
            failures: entry.failures.saturating_add(u32::from(expired)),
            overrun: entry.overrun(now, terms),
            state: LeaseState::Leased {
                holder: holder.to_owned(),
                until: now.saturating_add(terms.valid).min(last),
                last,
            },
        };
        Ok(Some((job, entry)))
    }

    /// Renews a lease, up to its last moment; also says for how long it holds now.
    ///
    /// # Errors
    /// [`LeaseError`] if it is not live.
    pub fn heartbeat(
        &self,
        now: u64,
        terms: &Terms,
        job: u64,
        generation: u64,
        holder: &str,
    ) -> Result<(Entry, u64), LeaseError> {
        let mut entry = self.live(now, job, generation, holder)?.clone();
        let mut holds = terms.valid;
        if let LeaseState::Leased { until, last, .. } = &mut entry.state {
            *until = now.saturating_add(terms.valid).min(*last);
            holds = *until - now;
        }
        Ok((entry, holds))
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
            LeaseState::Leased { until, last, .. } if *until <= now && until == last => {
                Err(stale("it was held as long as a lease can be".into()))
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
    const LONGEST: u64 = 250;
    const TERMS: Terms = Terms {
        valid: VALID,
        longest: LONGEST,
        per_token: 2,
    };
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
        last: u64,
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
                        // Two provers share a token.
                        let token = format!("token {}", prover / 2);
                        let holder = format!("{token}/{prover}");
                        let keys = if both_keys { &KEYS[..] } else { &KEYS[..1] };
                        let of_token = |g: &Given| g.holder.starts_with(&format!("{token}/"));
                        // Held to the last moment, and not given back or proved.
                        let overran = |g: &Given| !g.ended && g.until == g.last && g.last <= now;
                        let rests = |job: u64| {
                            let newest = given.iter().rev().find(|g| g.job == job && overran(g));
                            newest.is_some_and(|g| of_token(g) && now < g.last + LONGEST)
                        };
                        let free = (1..=3u64).find(|job| {
                            (*job != 3 || both_keys)
                                && !proofs.contains_key(job)
                                && !rests(*job)
                                && !given.iter().any(|g| g.job == *job && live(g, &given, &proofs))
                        });
                        let held = given.iter().filter(|g| of_token(g) && live(g, &given, &proofs));
                        let full = held.count() >= TERMS.per_token;
                        let picked = match book.pick(now, &TERMS, &holder, keys) {
                            Ok(picked) => picked,
                            Err(error) => {
                                let share = matches!(error, LeaseError::Share { held: 2, .. });
                                prop_assert!(share && full && free.is_some(), "{}", error);
                                continue;
                            }
                        };
                        prop_assert!(free.is_none() || !full);
                        // The lowest free job that the prover can prove, and none with a live lease.
                        prop_assert_eq!(picked.as_ref().map(|(job, _)| *job), free);
                        if let Some((job, entry)) = picked {
                            let before = given.iter().filter(|g| g.job == job).count() as u64;
                            prop_assert_eq!(entry.generation, before + 1);
                            given.push(Given {
                                job, generation: entry.generation, holder, ended: false,
                                until: now + VALID, last: now + LONGEST,
                            });
                            book.put(job, entry);
                        }
                    }
                    Step::Heartbeat { lease } if !given.is_empty() => {
                        let at = lease % given.len();
                        let lease = given[at].clone();
                        let expected = live(&lease, &given, &proofs);
                        let answer = book.heartbeat(now, &TERMS, lease.job, lease.generation, &lease.holder);
                        prop_assert_eq!(answer.is_ok(), expected);
                        if let Ok((entry, holds)) = answer {
                            given[at].until = (now + VALID).min(lease.last);
                            prop_assert_eq!(holds, given[at].until - now);
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
        let pick = |book: &LeaseBook, now, holder: &str, keys: &[KeyHash]| {
            book.pick(now, &TERMS, holder, keys).unwrap()
        };
        assert!(pick(&book, 0, "a", &KEYS).is_none());
        let unknown = book.heartbeat(0, &TERMS, 9, 1, "a").unwrap_err();
        assert_eq!(unknown, LeaseError::Unknown { job: 9 });
        book.put(1, Entry::new(KEYS[0]));
        assert!(pick(&book, 0, "a", &KEYS[1..]).is_none());
        let beat = |book: &LeaseBook, now, generation, holder: &str| {
            let answer = book.heartbeat(now, &TERMS, 1, generation, holder);
            answer.unwrap_err().to_string()
        };
        let text = |result: Result<Entry, LeaseError>| result.unwrap_err().to_string();
        assert!(beat(&book, 0, 0, "a").contains("given back"));
        let (job, entry) = pick(&book, 0, "a", &KEYS).unwrap();
        book.put(job, entry);
        assert!(beat(&book, 5, 1, "b").contains("another prover"));
        assert!(beat(&book, VALID + 7, 1, "a").contains("expired 7 ms ago"));
        let (job, entry) = pick(&book, VALID, "b", &KEYS).unwrap();
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

    #[test]
    fn heartbeats_do_not_hold_a_job_for_ever_nor_a_token_every_job() {
        let mut book = LeaseBook::default();
        for job in 1..=3 {
            book.put(job, Entry::new(KEYS[0]));
        }
        let mut now = 0;
        let (job, entry) = book.pick(now, &TERMS, "east/1", &KEYS).unwrap().unwrap();
        book.put(job, entry);
        // A hung engine's prover beats on and on.
        let mut held = 0;
        while let Ok((entry, holds)) = book.heartbeat(now, &TERMS, job, 1, "east/1") {
            book.put(job, entry);
            held = now + holds;
            now += 40;
        }
        assert_eq!(held, LONGEST, "to the last moment and no longer");
        let error = book.heartbeat(now, &TERMS, job, 1, "east/1").unwrap_err();
        assert!(
            error.to_string().contains("as long as a lease can be"),
            "{error}"
        );
        // Its token gets other jobs first, up to its share; the job goes to another token.
        for expected in [2, 3] {
            let (job, entry) = book.pick(now, &TERMS, "east/2", &KEYS).unwrap().unwrap();
            assert_eq!(job, expected);
            book.put(job, entry);
        }
        assert_eq!(book.pick(now, &TERMS, "east/3", &KEYS), Ok(None));
        book.put(4, Entry::new(KEYS[0]));
        let error = book.pick(now, &TERMS, "east/3", &KEYS).unwrap_err();
        assert!(error.to_string().contains("east holds 2 leases"), "{error}");
        let (job, entry) = book.pick(now, &TERMS, "west/1", &KEYS).unwrap().unwrap();
        assert_eq!((job, entry.generation, entry.failures), (1, 2, 1));
        let overrun = Overrun {
            token: "east".into(),
            until: 2 * LONGEST,
        };
        assert_eq!(entry.overrun, Some(overrun));
        // The only token there is gets it again, later.
        let fail = Entry {
            state: LeaseState::Open,
            ..entry
        };
        book.put(1, fail);
        book.remove(4);
        now = 2 * LONGEST;
        let (job, _) = book.pick(now, &TERMS, "east/1", &KEYS).unwrap().unwrap();
        assert_eq!(job, 1);
    }
}
