//! What to do next with an entry, from its state, the facts read from L1, and the time.
//!
//! Pure: the time is an argument. Every entry that is not closed gets an action or a time to look
//! again; nothing can be stuck without a timer. Called by `run` once per entry and tick.

use std::collections::BTreeSet;
use std::time::Duration;

use alloy::primitives::TxHash;

use super::{BlockRef, Entry, Freed, Place, Policy, Record, Variant};

/// A receipt of one of our transactions, on the chain that the node follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The transaction.
    pub hash: TxHash,
    /// Its block.
    pub block: BlockRef,
    /// Whether it succeeded.
    pub success: bool,
}

/// What L1 says, for one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Number of the newest block.
    pub head: u64,
    /// Transactions mined from our address: every nonce below is used.
    pub nonce: u64,
    /// Receipts of this entry's transactions.
    pub receipts: Vec<Receipt>,
    /// Whether the block in which the entry took effect is still part of the chain.
    pub canonical: bool,
    /// Whether all entries before it took effect or were withdrawn.
    pub first: bool,
    /// Whether the entry's nonce cannot be reached, see [`FreeNonces::gap`].
    pub gap: bool,
}

/// What the node's pool said to the newest transaction of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pool {
    /// Nothing yet since this process started.
    #[default]
    Unasked,
    /// It has it.
    Holds,
    /// It has another transaction with the nonce, which offers more.
    Contested,
    /// It does not take it. `raise`: because of its fees, which must be higher than the market's.
    Refuses {
        /// Whether higher fees help.
        raise: bool,
    },
}

/// What the running sender remembers of an entry; a restart begins anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    /// When the newest variant was signed, or found in the journal.
    pub signed: Duration,
    /// When it was last handed to the node.
    pub sent: Option<Duration>,
    /// How often in a row the nonce looked lost.
    pub doubts: u32,
    /// Not before this time: a refusal, a fee cap or a missing answer was in the way.
    pub not_before: Duration,
    /// What the pool said to the newest variant.
    pub pool: Pool,
}

/// The next thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A fact to be written down.
    Write(Record),
    /// Nothing is on its way: read the counters, simulate, sign with a free nonce.
    Plan,
    /// Hand the newest variant to the node.
    Send,
    /// Sign the same nonce again with higher fees, because a pool holds a transaction with it; `blank`
    /// gives the call up.
    Replace {
        /// Use the nonce up without the call.
        blank: bool,
    },
    /// No pool holds the newest variant: hand it over again, or sign the same nonce anew at the market's
    /// price if that has moved.
    Renew {
        /// Use the nonce up without the call.
        blank: bool,
        /// Offer more than the last time.
        raise: bool,
    },
    /// The nonce looks lost: look again before believing it.
    Doubt,
    /// Nothing before this time.
    Wait(Duration),
    /// Nothing any more.
    Done,
}

/// The nonces of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FreeNonces {
    mined: u64,
    ours: BTreeSet<u64>,
}

impl FreeNonces {
    /// From the number of mined transactions and the open entries.
    pub fn new<'a>(mined: u64, entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let ours = entries
            .into_iter()
            .filter_map(Entry::nonce)
            .filter(|nonce| *nonce >= mined)
            .collect();
        Self { mined, ours }
    }

    /// The smallest one that is neither used nor on its way.
    pub fn next(&self) -> u64 {
        let mut nonce = self.mined;
        while self.ours.contains(&nonce) {
            nonce += 1;
        }
        nonce
    }

    /// Whether a nonce below `nonce` is missing, so that `nonce` cannot be mined.
    pub fn gap(&self, nonce: u64) -> bool {
        self.next() < nonce
    }
}

/// The next action for `entry`.
pub fn decide(
    entry: &Entry,
    facts: &Facts,
    watch: &Watch,
    policy: &Policy,
    now: Duration,
) -> Action {
    let later = now + policy.poll;
    let success = facts.receipts.iter().find(|receipt| {
        receipt.success && entry.variant(&receipt.hash).is_some_and(|v| !v.1.blank)
    });
    match (entry.place(), success) {
        (Place::Final(..) | Place::Withdrawn, _) => Action::Done,
        (Place::Mined { block, .. } | Place::Taken(block), _) if facts.canonical => {
            if facts.head >= block.number.saturating_add(policy.confirmations) {
                Action::Write(Record::Final)
            } else {
                Action::Wait(later)
            }
        }
        (_, Some(receipt)) => Action::Write(Record::Mined {
            hash: receipt.hash,
            block: receipt.block,
        }),
        (Place::Mined { .. } | Place::Taken(_), None) => Action::Write(Record::Reorged),
        (Place::Waiting, None) => {
            if entry.abandoned() {
                Action::Write(Record::Withdrawn)
            } else if !facts.first {
                Action::Wait(later)
            } else if now < watch.not_before {
                Action::Wait(watch.not_before)
            } else {
                Action::Plan
            }
        }
        (Place::Sent { .. }, None) => {
            let Some((attempt, newest)) = entry.current().zip(entry.newest()) else {
                return Action::Plan;
            };
            if attempt.nonce < facts.nonce {
                return lost(&attempt.variants, facts, watch, policy);
            }
            if facts.gap {
                return doubt(Freed::Gap, watch, policy);
            }
            let give_up = entry.abandoned() && !newest.blank;
            sent(newest.blank, give_up, watch, policy, now)
        }
    }
}

/// A transaction may be on its way. Only what a pool holds is replaced by more expensive bytes.
fn sent(blank: bool, give_up: bool, watch: &Watch, policy: &Policy, now: Duration) -> Action {
    let later = now + policy.poll;
    let replace_at = (watch.signed + policy.bump_after).max(watch.not_before);
    let send_at = watch.sent.map(|sent| sent + policy.resend_after);
    let pooled = matches!(watch.pool, Pool::Holds | Pool::Contested);
    if let Pool::Refuses { raise } = watch.pool {
        return if now < watch.not_before {
            Action::Wait(watch.not_before)
        } else {
            let blank = blank || give_up;
            Action::Renew { blank, raise }
        };
    }
    if give_up && now >= watch.not_before {
        Action::Replace { blank: true }
    } else if pooled && now >= replace_at {
        Action::Replace { blank }
    } else if send_at.is_none_or(|at| now >= at) {
        Action::Send
    } else {
        let replace_at = if pooled { replace_at } else { later };
        Action::Wait(send_at.unwrap_or(later).min(replace_at).min(later))
    }
}

/// The nonce was used: by one of ours without effect, or by a transaction of somebody else.
fn lost(variants: &[Variant], facts: &Facts, watch: &Watch, policy: &Policy) -> Action {
    let ours = facts
        .receipts
        .iter()
        .find_map(|receipt| variants.iter().find(|v| v.hash == receipt.hash));
    match ours {
        Some(variant) if variant.blank => Action::Write(Record::Freed(Freed::Blank(variant.hash))),
        Some(variant) => Action::Write(Record::Freed(Freed::Reverted(variant.hash))),
        None => doubt(Freed::Foreign, watch, policy),
    }
}

/// Two answers of a node may come from two moments: believed only after some looks.
fn doubt(why: Freed, watch: &Watch, policy: &Policy) -> Action {
    if watch.doubts >= policy.doubts {
        Action::Write(Record::Freed(why))
    } else {
        Action::Doubt
    }
}
