//! The batches that are here, where each is and why it waits. Pure, no I/O.
//!
//! Called by the other parts of `service`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use alloy::primitives::B256;
use serde::Serialize;

use crate::l1::ChainFacts;
use crate::plan::Pending;
use crate::store::Call;
use crate::submission::{Batch, Way};

/// A signature that counts for less than this is not worth a transaction.
pub(super) const LEAST_TIME: u64 = 60;
/// Gas that a batch is counted with while sets are put together; the simulation has the last word.
const BASE_GAS: u64 = 330_000;
const RECORD_GAS: u64 = 5_000;
const CROSSING_GAS: u64 = 60_000;

/// Where a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// It is here.
    Waiting,
    /// It is in the call on its way.
    Sent,
    /// L1 has executed it.
    Executed,
}

/// A batch as others see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BatchView {
    /// The chain.
    pub chain: u64,
    /// Its number.
    pub number: u64,
    /// Its name: of the chain and the public inputs.
    pub digest: Option<B256>,
    /// Where it is.
    pub place: Place,
    /// Why it waits, if it is known.
    pub reason: Option<String>,
    /// When it came, Unix time.
    pub since: Option<u64>,
}

#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) batch: Arc<Batch>,
    pub(super) since: u64,
    /// Why it waits.
    pub(super) reason: Option<String>,
    /// Refused: not before this time, after so many refusals.
    pub(super) not_before: u64,
    pub(super) refusals: u32,
}

#[derive(Debug, Default)]
pub(super) struct Board {
    pub(super) chains: BTreeMap<u64, BTreeMap<u64, Held>>,
    pub(super) facts: BTreeMap<u64, ChainFacts>,
    /// Handed to the sender and not closed there; the last may be on its way, the others have had their effect.
    pub(super) calls: Vec<Call>,
    /// Were in a call that was refused for no single chain: tried a smallest set at a time.
    pub(super) suspects: BTreeSet<(u64, u64)>,
    /// The one of them whose set was tried last.
    pub(super) trying: Option<(u64, u64)>,
    pub(super) trouble: Option<String>,
    pub(super) counts: Counts,
}

/// What has happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Batches that were taken in.
    pub taken: u64,
    /// Batches that were turned away.
    pub turned_away: u64,
    /// Calls that were handed to the sender.
    pub calls: u64,
    /// Batches that were executed on L1.
    pub executed: u64,
    /// Simulations that were refused.
    pub refused: u64,
}

pub(super) type Waiting = BTreeMap<u64, Vec<Held>>;

impl Held {
    pub(super) fn pending(&self) -> Pending {
        let (sends, takes) = (self.batch.sends(), self.batch.takes());
        let crossings: u64 = sends.values().chain(takes.values()).sum();
        let records = self.batch.published.header.records.len() as u64;
        Pending {
            since: self.since,
            gas: BASE_GAS + RECORD_GAS * records + CROSSING_GAS * crossings,
            sends,
            takes,
        }
    }
}

impl Board {
    /// Another batch of its number is gone with what was said of it; of the same one that stays.
    pub(super) fn hold(&mut self, batch: Batch, since: u64) {
        let (chain, number) = (batch.published.chain_id, batch.number());
        let known = self.known(&batch);
        if known.is_none() {
            self.suspects.remove(&(chain, number));
        }
        let batch = Arc::new(batch);
        let held = match known {
            Some(known) => Held { batch, ..known },
            None => Held {
                batch,
                since,
                reason: None,
                not_before: 0,
                refusals: 0,
            },
        };
        self.chains.entry(chain).or_default().insert(number, held);
    }

    /// The same batch, if it is here.
    pub(super) fn known(&self, batch: &Batch) -> Option<Held> {
        let held = self.chains.get(&batch.published.chain_id)?;
        let held = held.get(&batch.number())?;
        (held.batch.digest() == batch.digest()).then(|| held.clone())
    }

    /// Nothing is known of a chain now: its batches wait.
    pub(super) fn lose(&mut self, chain: u64, reason: &str) {
        self.facts.remove(&chain);
        let held = self.chains.get_mut(&chain).into_iter();
        for held in held.flat_map(BTreeMap::values_mut) {
            held.reason = Some(format!(
                "the chain's contract does not answer as it should: {reason}"
            ));
        }
    }

    pub(super) fn withdrawn(&mut self, id: &str) {
        for call in self.calls.iter_mut().filter(|call| call.id == id) {
            call.withdrawn = true;
        }
    }

    /// The batch that a step of a chain belongs to.
    pub(super) fn of_step(&self, members: &[(u64, u64)], chain: u64, step: u64) -> Option<u64> {
        let mut next = 0;
        for (_, number) in members.iter().filter(|(of, _)| *of == chain) {
            let held = self.chains.get(&chain)?.get(number)?;
            next += match held.batch.submission.way {
                Way::Signed { .. } => 1,
                Way::Committed { .. } => 2,
            };
            if step < next {
                return Some(*number);
            }
        }
        None
    }

    pub(super) fn held(&mut self, chain: u64, number: u64) -> Option<&mut Held> {
        self.chains.get_mut(&chain)?.get_mut(&number)
    }

    pub(super) fn remove(&mut self, chain: u64, number: u64) {
        self.suspects.remove(&(chain, number));
        if let Some(held) = self.chains.get_mut(&chain) {
            held.remove(&number);
            if held.is_empty() {
                self.chains.remove(&chain);
            }
        }
    }

    pub(super) fn refuse(&mut self, chain: u64, number: u64, reason: &str, base: u64) {
        self.suspects.remove(&(chain, number));
        if let Some(held) = self.held(chain, number) {
            held.reason = Some(reason.to_owned());
            held.refusals += 1;
            let factor = 1u64 << held.refusals.min(7).saturating_sub(1);
            held.not_before = now() + base * factor;
        }
    }

    pub(super) fn explain(&mut self, waiting: &Waiting, chain: u64, at: usize, reason: &str) {
        let number = waiting.get(&chain).and_then(|list| list.get(at));
        let number = number.map(|held| held.batch.number()).unwrap_or_default();
        if let Some(held) = self.held(chain, number) {
            held.reason = Some(reason.to_owned());
        }
    }

    /// Of each chain what follows its last executed batch without a gap, up to the first that cannot go now.
    pub(super) fn waiting(&mut self, now: u64) -> Waiting {
        let mut waiting = Waiting::new();
        let facts = self.facts.clone();
        for (chain, held) in &mut self.chains {
            let Some(facts) = facts.get(chain) else {
                continue;
            };
            let mut next = facts.executed.saturating_add(1);
            let mut stopped = facts
                .halted
                .then(|| "the chain is halted for good".to_owned());
            for (number, held) in held {
                let expired = match held.batch.submission.way {
                    Way::Signed { deadline, .. } => deadline < now + LEAST_TIME,
                    Way::Committed { .. } => false,
                };
                if stopped.is_none() && *number != next {
                    stopped = Some(format!(
                        "batch {next} of the chain is not here; its node must bring it"
                    ));
                } else if stopped.is_none() && expired {
                    held.reason = Some(
                        "the operator's signature is about to expire; its node must sign anew"
                            .into(),
                    );
                    stopped = Some(format!("batch {number} cannot go"));
                    continue;
                } else if stopped.is_none() && now < held.not_before {
                    stopped = Some(format!("batch {number} before it was refused"));
                    continue;
                }
                if let Some(reason) = &stopped {
                    held.reason = Some(reason.clone());
                    continue;
                }
                waiting.entry(*chain).or_default().push(held.clone());
                next = next.saturating_add(1);
            }
        }
        waiting
    }

    pub(super) fn view(&self, chain: u64, number: u64) -> Option<BatchView> {
        let held = self.chains.get(&chain)?.get(&number)?;
        let mut sent = self.calls.iter().filter(|call| !call.withdrawn);
        let sent = sent.any(|call| call.members.contains(&(chain, number)));
        Some(BatchView {
            chain,
            number,
            digest: Some(held.batch.digest()),
            place: if sent { Place::Sent } else { Place::Waiting },
            reason: held.reason.clone(),
            since: Some(held.since),
        })
    }
}

/// Unix time.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
