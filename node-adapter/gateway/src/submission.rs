//! A proved batch as a node brings it: JSON, and everything that is computed of it. Pure, no I/O.
//!
//! Called by `service` and by `client`.

use std::collections::BTreeMap;

use alloy::primitives::{B256, Bytes, U256, keccak256};
use alloy::sol_types::SolValue;
use blstrs::Scalar;
use carillon_protocol::{Header, Kind, Party, Record};
use carillon_settlement::abi::IRollupChain::BatchProof;
use carillon_settlement::calls::PublishedBatch;
use carillon_settlement::gateway;
use carillon_settlement::lanes::crossing_words;
use serde::{Deserialize, Serialize};

/// Bytes of a proof: A, B and C as EIP-2537 has them.
const PROOF: usize = 512;
const KZG: usize = 48;

/// How a batch comes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "way", rename_all = "snake_case", deny_unknown_fields)]
pub enum Way {
    /// Of a validium chain: not on L1 yet, with its operator's signature.
    Signed {
        /// Last second in which the signature counts, Unix time.
        deadline: u64,
        /// 65 bytes.
        signature: Bytes,
    },
    /// Of a chain with blobs: committed by its operator.
    Committed {
        /// The blob's.
        versioned_hash: B256,
        /// The queue's position before the batch.
        queue_start: u64,
        /// Time of the block that committed it, Unix time.
        committed_at: u64,
        /// 48 bytes each.
        kzg_commitment: Bytes,
        /// As above.
        kzg_proof: Bytes,
    },
}

/// What follows what the batch takes of a lane, up to a checkpoint that is on L1 already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownTail {
    /// The chain that sends.
    pub from: u64,
    /// How many entries the lane had at the checkpoint.
    pub count: u64,
    /// Time of the block that wrote it.
    pub time: u64,
    /// The lane's hash there.
    pub lane_hash: B256,
    /// The hashes of what follows.
    pub entries: Vec<B256>,
}

/// A proved batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// The chain's id.
    pub chain_id: u64,
    /// The number of its shape, by which the chain finds the verifier.
    pub shape: u32,
    /// H: three words and five of each record.
    pub h: Vec<U256>,
    /// The circuit's commitment to H.
    pub c_h: U256,
    /// The circuit's commitment to B.
    pub c_b: U256,
    /// B's polynomial at the challenge.
    pub y_b: U256,
    /// 512 bytes: A, B, C.
    pub proof: Bytes,
    /// For lanes of which it does not take everything that L1 has.
    #[serde(default)]
    pub tails: Vec<KnownTail>,
    /// How it comes.
    #[serde(flatten)]
    pub way: Way,
}

/// Why a batch is not one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubmissionError {
    /// H has no such form.
    #[error("H is no header of a batch: {0}; send the words as they are proved")]
    Header(String),
    /// A word is none of the field.
    #[error("{what} is not below the order of the field; send a canonical number")]
    NotInField {
        /// Which.
        what: &'static str,
    },
    /// A length.
    #[error("{what} has {found} bytes instead of {expected}")]
    Length {
        /// Of what.
        what: &'static str,
        /// Found.
        found: usize,
        /// Needed.
        expected: usize,
    },
}

/// A submission that has a form, with what follows from it.
#[derive(Clone, Debug)]
pub struct Batch {
    /// As it came.
    pub submission: Submission,
    /// The batch as it is published.
    pub published: PublishedBatch,
    /// C_H, C_B, z, y_H, y_B.
    pub inputs: [U256; 5],
}

impl Submission {
    /// Computes the challenge and the public inputs.
    ///
    /// # Errors
    /// [`SubmissionError`].
    pub fn batch(self) -> Result<Batch, SubmissionError> {
        let lengths = match &self.way {
            Way::Signed { .. } => vec![],
            Way::Committed {
                kzg_commitment,
                kzg_proof,
                ..
            } => vec![
                ("the KZG commitment", kzg_commitment.len(), KZG),
                ("the KZG proof", kzg_proof.len(), KZG),
            ],
        };
        for (what, found, expected) in
            [vec![("the proof", self.proof.len(), PROOF)], lengths].concat()
        {
            if found != expected {
                return Err(SubmissionError::Length {
                    what,
                    found,
                    expected,
                });
            }
        }
        let words: Option<Vec<Scalar>> = self.h.iter().map(scalar).collect();
        let words = words.ok_or(SubmissionError::NotInField {
            what: "a word of H",
        })?;
        let header = Header::from_words(&words);
        let header = header.map_err(|error| SubmissionError::Header(error.to_string()))?;
        let field = |what, word: &U256| scalar(word).ok_or(SubmissionError::NotInField { what });
        let versioned_hash = match &self.way {
            Way::Signed { .. } => B256::ZERO,
            Way::Committed { versioned_hash, .. } => *versioned_hash,
        };
        let published = PublishedBatch {
            chain_id: self.chain_id,
            shape: self.shape,
            header,
            header_commitment: field("C_H", &self.c_h)?,
            blob_commitment: field("C_B", &self.c_b)?,
            versioned_hash,
        };
        field("y_B", &self.y_b)?;
        let z = word(&published.challenge());
        let inputs = [
            self.c_h,
            self.c_b,
            z,
            word(&published.header_value()),
            self.y_b,
        ];
        Ok(Batch {
            submission: self,
            published,
            inputs,
        })
    }
}

impl Batch {
    /// The batch's number on its chain.
    pub fn number(&self) -> u64 {
        self.published.header.batch_number
    }

    /// Names the batch by its chain and its public inputs: the same batch with another proof or a new signature has
    /// the same name.
    pub fn digest(&self) -> B256 {
        keccak256((self.published.chain_id, self.inputs).abi_encode())
    }

    fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Record> {
        let records = self.published.header.records.iter();
        records.filter(move |record| record.kind == kind)
    }

    /// How many sends it has to each chain.
    pub fn sends(&self) -> BTreeMap<u64, u64> {
        counted(self.of_kind(Kind::Send).map(|record| record.words[0]))
    }

    /// How many takes it has from each chain.
    pub fn takes(&self) -> BTreeMap<u64, u64> {
        counted(self.of_kind(Kind::Take).map(|record| record.words[1]))
    }

    /// The sends to a chain, in order.
    pub fn sends_to(&self, to: u64) -> impl Iterator<Item = &Record> {
        self.of_kind(Kind::Send)
            .filter(move |record| party(&record.words[0]).is_some_and(|party| party.chain == to))
    }

    /// What `prove` and `settleFor` want of it.
    fn proof(&self) -> BatchProof {
        let (kzg_commitment, kzg_proof) = match &self.submission.way {
            Way::Signed { .. } => (Bytes::new(), Bytes::new()),
            Way::Committed {
                kzg_commitment,
                kzg_proof,
                ..
            } => (kzg_commitment.clone(), kzg_proof.clone()),
        };
        BatchProof {
            yB: self.submission.y_b,
            kzgCommitment: kzg_commitment,
            kzgProof: kzg_proof,
            proof: self.submission.proof.clone(),
        }
    }

    /// As a member of the gateway's call.
    pub fn member(&self, verifier: alloy::primitives::Address) -> gateway::Member {
        let way = match &self.submission.way {
            Way::Signed {
                deadline,
                signature,
            } => gateway::Way::Signed {
                batch: self.published.data(),
                deadline: *deadline,
                signature: signature.clone(),
            },
            Way::Committed {
                queue_start,
                committed_at,
                ..
            } => gateway::Way::Committed {
                stored: Box::new(self.published.stored(*queue_start, *committed_at)),
                records: crossing_words(&self.published.header),
            },
        };
        gateway::Member {
            chain_id: self.published.chain_id,
            verifier,
            inputs: self.inputs,
            proof: self.proof(),
            way,
        }
    }
}

fn counted(parties: impl Iterator<Item = Scalar>) -> BTreeMap<u64, u64> {
    let mut counts = BTreeMap::new();
    for party in parties.filter_map(|word| party(&word)) {
        *counts.entry(party.chain).or_default() += 1;
    }
    counts
}

/// The other end of what goes by a lane; legs of flows go by none.
fn party(word: &Scalar) -> Option<Party> {
    Party::from_word(word).filter(|party| party.leg.is_none())
}

fn scalar(word: &U256) -> Option<Scalar> {
    Option::from(Scalar::from_bytes_be(&word.to_be_bytes()))
}

pub(crate) fn word(value: &Scalar) -> U256 {
    U256::from_be_bytes(value.to_bytes_be())
}
