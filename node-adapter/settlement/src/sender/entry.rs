//! An intent and its way to finality: the records of the journal, and the state they add up to.
//!
//! Pure: no I/O, no clock. [`Entry::apply`] refuses every record that cannot follow the ones before
//! it, so that a damaged journal is noticed when it is read. Called by `journal`, `decide` and `run`.

use std::collections::BTreeSet;

use alloy::primitives::{Address, B256, Bytes, TxHash, U256};
use serde::{Deserialize, Serialize};

use super::Fees;

/// A call that is to take effect on L1 exactly once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Names the intent for good, like `settle/270/15` (chain, batch). The same id with the same
    /// content is the same intent.
    pub id: String,
    /// The contract.
    pub to: Address,
    /// Wei sent along.
    pub value: U256,
    /// The call.
    pub input: Bytes,
    /// Blobs of 131,072 bytes each; none for a calldata transaction.
    pub blobs: Vec<Bytes>,
    /// For [`super::Outcome`]: what to look for on L1. The sender does not read it.
    pub check: Bytes,
}

/// A block by number and hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BlockRef {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
}

/// A signed transaction. All variants of an attempt have the same nonce, so one of them at most is
/// ever mined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// Transaction hash.
    pub hash: TxHash,
    /// Bytes for `eth_sendRawTransaction`, with sidecar.
    pub raw: Bytes,
    /// The fees it offers.
    pub fees: Fees,
    /// Its gas limit.
    pub gas: u64,
    /// Whether it only uses up the nonce: sent to the own address, without a call.
    pub blank: bool,
}

/// The transactions signed for one nonce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The nonce.
    pub nonce: u64,
    /// At least one; the last is the newest.
    pub variants: Vec<Variant>,
}

/// Why an entry lost its nonce without effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Freed {
    /// Our transaction was mined and reverted.
    Reverted(TxHash),
    /// Our blank was mined.
    Blank(TxHash),
    /// A transaction that is not in the journal used it: a second sender has the key.
    Foreign,
    /// Nonces below it are unused and not ours: it could never be mined.
    Gap,
}

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// The intent is to be sent.
    Intent(Intent),
    /// A transaction was signed; it may have been sent.
    Signed {
        /// Its nonce: a new one starts an attempt, the present one replaces a transaction.
        nonce: u64,
        /// The transaction.
        variant: Variant,
    },
    /// The node took the newest variant.
    Broadcast(TxHash),
    /// A transaction of this entry was mined and succeeded.
    Mined {
        /// Which.
        hash: TxHash,
        /// Where.
        block: BlockRef,
    },
    /// The contract says that the intent took effect, by no transaction that we see. The block is
    /// the newest when that was read.
    Taken(BlockRef),
    /// The block of `Mined` or `Taken` is no longer part of the chain.
    Reorged,
    /// The nonce is gone without effect.
    Freed(Freed),
    /// The caller does not want the effect any more.
    Abandoned,
    /// Deep enough: no more looks.
    Final,
    /// Abandoned, and nothing of it is on its way.
    Withdrawn,
}

/// Where an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nothing is on its way.
    Waiting,
    /// The transactions of an attempt may be on their way.
    Sent {
        /// Index of the attempt.
        attempt: usize,
        /// Whether the node took the newest variant.
        broadcast: bool,
    },
    /// Mined, not yet final.
    Mined {
        /// The transaction.
        hash: TxHash,
        /// Its block.
        block: BlockRef,
    },
    /// In effect by another's transaction, not yet final.
    Taken(BlockRef),
    /// In effect for good; the transaction, if it is ours, and its block.
    Final(Option<TxHash>, BlockRef),
    /// Given up before it took effect.
    Withdrawn,
}

/// An intent with all that happened to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    intent: Intent,
    attempts: Vec<Attempt>,
    /// Transactions that a pool took.
    taken: BTreeSet<TxHash>,
    place: Place,
    abandoned: bool,
}

/// A record that cannot follow the ones before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{record} cannot follow in place {place}")]
pub struct IllegalRecord {
    record: String,
    place: String,
}

impl Entry {
    /// An entry of which nothing was sent.
    pub fn new(intent: Intent) -> Self {
        Self {
            intent,
            attempts: Vec::new(),
            taken: BTreeSet::new(),
            place: Place::Waiting,
            abandoned: false,
        }
    }

    /// What is to be done.
    pub fn intent(&self) -> &Intent {
        &self.intent
    }

    /// What was signed, oldest first.
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// Where it stands.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Whether the caller gave it up.
    pub fn abandoned(&self) -> bool {
        self.abandoned
    }

    /// The attempt on its way.
    pub fn current(&self) -> Option<&Attempt> {
        match self.place {
            Place::Sent { attempt, .. } => self.attempts.get(attempt),
            _ => None,
        }
    }

    /// The nonce that it holds: on its way, or mined and not yet final.
    pub fn nonce(&self) -> Option<u64> {
        let attempt = match self.place {
            Place::Sent { attempt, .. } => attempt,
            Place::Mined { hash, .. } => self.variant(&hash)?.0,
            _ => return None,
        };
        Some(self.attempts.get(attempt)?.nonce)
    }

    /// The newest transaction on its way.
    pub fn newest(&self) -> Option<&Variant> {
        self.current().and_then(|attempt| attempt.variants.last())
    }

    /// Whether it took effect on the chain as last seen, or never will.
    pub fn settled(&self) -> bool {
        matches!(
            self.place,
            Place::Mined { .. } | Place::Taken(_) | Place::Final(..) | Place::Withdrawn
        )
    }

    /// Whether nothing is left to do.
    pub fn closed(&self) -> bool {
        matches!(self.place, Place::Final(..) | Place::Withdrawn)
    }

    /// The attempt and variant of a transaction.
    pub fn variant(&self, hash: &TxHash) -> Option<(usize, &Variant)> {
        self.attempts.iter().enumerate().find_map(|(i, attempt)| {
            let found = attempt.variants.iter().find(|v| v.hash == *hash)?;
            Some((i, found))
        })
    }

    /// The highest fees signed for `nonce`.
    pub fn fees_at(&self, nonce: u64) -> Option<Fees> {
        self.highest(nonce, |_| true)
    }

    /// The highest fees for `nonce` of a transaction that a pool took: a replacement must offer more.
    pub fn pooled_at(&self, nonce: u64) -> Option<Fees> {
        self.highest(nonce, |variant| self.pooled(&variant.hash))
    }

    /// Whether a pool took the transaction once.
    pub fn pooled(&self, transaction: &TxHash) -> bool {
        self.taken.contains(transaction)
    }

    fn highest(&self, nonce: u64, counts: impl Fn(&Variant) -> bool) -> Option<Fees> {
        self.attempts
            .iter()
            .filter(|attempt| attempt.nonce == nonce)
            .flat_map(|attempt| &attempt.variants)
            .filter(|variant| counts(variant))
            .map(|variant| variant.fees)
            .reduce(Fees::max)
    }

    /// Moves on by one record; the entry is unchanged when the record is refused.
    pub fn apply(&mut self, record: &Record) -> Result<(), IllegalRecord> {
        let place = match (record, self.place) {
            (Record::Signed { nonce, variant }, Place::Waiting) => {
                self.attempts.push(Attempt {
                    nonce: *nonce,
                    variants: vec![variant.clone()],
                });
                Place::Sent {
                    attempt: self.attempts.len() - 1,
                    broadcast: false,
                }
            }
            (Record::Signed { nonce, variant }, Place::Sent { attempt, .. }) => {
                match self.attempts.get_mut(attempt) {
                    Some(current) if current.nonce == *nonce => {
                        current.variants.push(variant.clone());
                    }
                    _ => return Err(self.illegal(record)),
                }
                Place::Sent {
                    attempt,
                    broadcast: false,
                }
            }
            (Record::Broadcast(hash), Place::Sent { attempt, .. })
                if self.newest().is_some_and(|v| v.hash == *hash) =>
            {
                self.taken.insert(*hash);
                Place::Sent {
                    attempt,
                    broadcast: true,
                }
            }
            (
                Record::Mined { hash, block },
                Place::Waiting | Place::Sent { .. } | Place::Mined { .. } | Place::Taken(_),
            ) if self.variant(hash).is_some_and(|(_, v)| !v.blank) => Place::Mined {
                hash: *hash,
                block: *block,
            },
            (Record::Taken(block), Place::Waiting) => Place::Taken(*block),
            (Record::Reorged, Place::Mined { hash, .. }) => match self.variant(&hash) {
                Some((attempt, _)) => Place::Sent {
                    attempt,
                    broadcast: false,
                },
                None => return Err(self.illegal(record)),
            },
            (Record::Reorged, Place::Taken(_)) | (Record::Freed(_), Place::Sent { .. }) => {
                Place::Waiting
            }
            (Record::Abandoned, place) if !self.closed() => {
                self.abandoned = true;
                place
            }
            (Record::Final, Place::Mined { hash, block }) => Place::Final(Some(hash), block),
            (Record::Final, Place::Taken(block)) => Place::Final(None, block),
            (Record::Withdrawn, Place::Waiting) if self.abandoned => Place::Withdrawn,
            _ => return Err(self.illegal(record)),
        };
        self.place = place;
        Ok(())
    }

    fn illegal(&self, record: &Record) -> IllegalRecord {
        let name = format!("{record:?}");
        let end = name.find([' ', '(', '{']).unwrap_or(name.len());
        IllegalRecord {
            record: name.get(..end).unwrap_or_default().into(),
            place: format!("{:?}", self.place),
        }
    }
}
