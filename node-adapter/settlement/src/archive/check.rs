//! One archived batch against L1, and against the state that it is replayed on.
//!
//! Pure. Checks from the outside in, so that the first mismatch names the field that is wrong and not
//! one that follows from it. Called by `resync`.

use alloy::primitives::{B256, U256, keccak256};
use alloy::sol_types::SolValue;
use blstrs::Scalar;
use ff::Field as _;

use super::{Batch, Executed, Published};
use crate::DataMode;
use crate::calls::{PublishedBatch, message_root};
use carillon_protocol::crypto::poseidon::commit;
use carillon_protocol::ledger::{State, replay};
use carillon_protocol::{
    BLOB_ELEMENTS, Domain, HEADER_WORDS, Header, Operation, RECORD_WORDS, Record, evaluate_blob,
};

/// What differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The circuit's number or capacity.
    Shape,
    /// A word of H.
    HeaderWord(usize),
    /// H does not decode.
    Header,
    /// The chain's domain in H.
    Domain,
    /// The batch's number in H.
    Number,
    /// The state root before it.
    OldRoot,
    /// The state root after it.
    NewRoot,
    /// A record that should be this entry of the queue.
    QueueEntry(u64),
    /// Queue entries executed.
    QueueEnd,
    /// The blob's versioned hash.
    VersionedHash,
    /// What the operations do to the state.
    Operations,
    /// C_H.
    HeaderCommitment,
    /// C_B.
    BlobCommitment,
    /// Root of the messages.
    MessageRoot,
    /// keccak of what the contract stored: all of the above, z and y_H.
    BatchHash,
}

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Shape => write!(f, "shape"),
            Self::HeaderWord(word) => write!(f, "H[{word}]"),
            Self::Header => write!(f, "H"),
            Self::Domain => write!(f, "domain"),
            Self::Number => write!(f, "batch number"),
            Self::OldRoot => write!(f, "old root"),
            Self::NewRoot => write!(f, "new root"),
            Self::QueueEntry(index) => write!(f, "queue entry {index}"),
            Self::QueueEnd => write!(f, "queue end"),
            Self::VersionedHash => write!(f, "versioned hash"),
            Self::Operations => write!(f, "operations"),
            Self::HeaderCommitment => write!(f, "C_H"),
            Self::BlobCommitment => write!(f, "C_B"),
            Self::MessageRoot => write!(f, "message root"),
            Self::BatchHash => write!(f, "batch hash"),
        }
    }
}

/// The first thing in which archive, L1 and replay differ.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("batch {batch}: {field} is {found}, expected is {expected}")]
pub struct CheckError {
    /// The batch.
    pub batch: u64,
    /// What differs.
    pub field: Field,
    /// From the archive.
    pub found: String,
    /// From L1 or from replay.
    pub expected: String,
}

/// What is fixed for every batch of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What its operations are signed for.
    pub domain: Domain,
    /// Where its batches' data are.
    pub mode: DataMode,
}

/// What a batch that was checked is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Its operations, without signatures and nonces.
    pub operations: Vec<Operation>,
    /// C_H, C_B, z, y_H, y_B.
    pub inputs: [Scalar; 5],
    /// Queue entries executed with it and before it.
    pub queue_end: u64,
}

/// Checks a batch that L1 executed and applies it to the state before it. `time` is that of the
/// committing block, `terms` those of the chain on L1, `queue` the chain's whole queue. The state is
/// unchanged after an error.
pub fn check(
    batch: &Batch,
    executed: &Executed,
    terms: Terms,
    time: u64,
    published: Option<&Published>,
    queue: &[[U256; 5]],
    state: &mut State,
) -> Result<Checked, CheckError> {
    let number = executed.number;
    let check = Check {
        batch,
        number,
        mode: terms.mode,
    };
    check.published(published)?;
    let header = check.header(terms.domain)?;
    check.same(Field::OldRoot, header.old_root, state.root())?;
    check.same(Field::NewRoot, word(&header.new_root), executed.new_root)?;
    let end = check.queue(&header, executed.queue_start, queue)?;
    check.same(Field::QueueEnd, end, executed.queue_end)?;
    let versioned_hash = check.versioned_hash(executed.versioned_hash)?;
    check.same(
        Field::VersionedHash,
        versioned_hash,
        executed.versioned_hash,
    )?;
    let (c_h, c_b) = check.commitments(published)?;
    let root = message_root(batch.chain.chain, &header);
    check.same(Field::MessageRoot, root, executed.message_root)?;
    let public = PublishedBatch {
        chain_id: batch.chain.chain,
        shape: batch.shape.number,
        header,
        header_commitment: c_h,
        blob_commitment: c_b,
        versioned_hash,
    };
    let stored = public.stored(executed.queue_start, time);
    let hash = keccak256(stored.abi_encode());
    check.same(Field::BatchHash, hash, executed.hash)?;
    check.replay(&public, end, state)
}

/// Checks a batch that the archive has and L1 has not executed, as far as it can be without: that it
/// follows the state and the queue, and does what it says. Whether its operations were signed says
/// its proof alone, for the public inputs that are returned. As [`check`].
pub fn check_ahead(
    batch: &Batch,
    number: u64,
    terms: Terms,
    queue_start: u64,
    queue: &[[U256; 5]],
    state: &mut State,
) -> Result<Checked, CheckError> {
    let check = Check {
        batch,
        number,
        mode: terms.mode,
    };
    let header = check.header(terms.domain)?;
    check.same(Field::OldRoot, header.old_root, state.root())?;
    let end = check.queue(&header, queue_start, queue)?;
    let versioned_hash = check.versioned_hash(B256::ZERO)?;
    let (header_commitment, blob_commitment) = check.commitments(None)?;
    let public = PublishedBatch {
        chain_id: batch.chain.chain,
        shape: batch.shape.number,
        header,
        header_commitment,
        blob_commitment,
        versioned_hash,
    };
    check.replay(&public, end, state)
}

struct Check<'a> {
    batch: &'a Batch,
    number: u64,
    mode: DataMode,
}

impl Check<'_> {
    fn same<T: PartialEq + std::fmt::Display>(
        &self,
        field: Field,
        found: T,
        expected: T,
    ) -> Result<(), CheckError> {
        if found == expected {
            return Ok(());
        }
        Err(self.wrong(field, found.to_string(), expected.to_string()))
    }

    fn wrong(&self, field: Field, found: String, expected: String) -> CheckError {
        CheckError {
            batch: self.number,
            field,
            found,
            expected,
        }
    }

    /// H and shape as they stood in the calldata.
    fn published(&self, published: Option<&Published>) -> Result<(), CheckError> {
        let Some(published) = published else {
            return Ok(());
        };
        self.same(Field::Shape, self.batch.shape.number, published.shape)?;
        let found: Vec<U256> = self.batch.header.iter().map(word).collect();
        let words = found.len().max(published.h.len());
        let text = |word: Option<&U256>| word.map_or("missing".into(), U256::to_string);
        for i in 0..words {
            let (found, expected) = (text(found.get(i)), text(published.h.get(i)));
            self.same(Field::HeaderWord(i), found, expected)?;
        }
        Ok(())
    }

    fn header(&self, domain: Domain) -> Result<Header, CheckError> {
        let header = Header::from_words(&self.batch.header)
            .map_err(|error| self.wrong(Field::Header, error.to_string(), "public data".into()))?;
        self.same(Field::Domain, header.domain, domain)?;
        self.same(Field::Number, header.batch_number, self.number)?;
        Ok(header)
    }

    /// The records from L1 must be the queue's next entries; returns the position behind them.
    fn queue(&self, header: &Header, start: u64, queue: &[[U256; 5]]) -> Result<u64, CheckError> {
        let mut index = start;
        let from_l1 = |record: &&Record| record.kind.is_queued();
        for record in header.records.iter().filter(from_l1) {
            let found = record.to_queue_words().map(|w| word(&w));
            let position = usize::try_from(index).unwrap_or(usize::MAX);
            let expected = queue.get(position);
            if expected != Some(&found) {
                let text = |words: &[U256; 5]| format!("{words:?}");
                let expected = expected.map_or("missing".into(), text);
                return Err(self.wrong(Field::QueueEntry(index), text(&found), expected));
            }
            index += 1;
        }
        Ok(index)
    }

    /// What the operations do; the public inputs with it.
    fn replay(
        &self,
        public: &PublishedBatch,
        queue_end: u64,
        state: &mut State,
    ) -> Result<Checked, CheckError> {
        let operations = replay(state, &public.header, &self.batch.blob)
            .map_err(|error| self.wrong(Field::Operations, error.to_string(), "a replay".into()))?;
        let z = public.challenge();
        let inputs = [
            public.header_commitment,
            public.blob_commitment,
            z,
            public.header_value(),
            evaluate_blob(&self.batch.blob, z),
        ];
        Ok(Checked {
            operations,
            inputs,
            queue_end,
        })
    }

    /// Zero where batches have no blob: then C_B alone binds B, in the batch hash.
    fn versioned_hash(&self, expected: B256) -> Result<B256, CheckError> {
        let hash = self.mode.versioned_hash(&self.batch.blob);
        hash.map_err(|error| {
            let expected = expected.to_string();
            self.wrong(Field::VersionedHash, error.to_string(), expected)
        })
    }

    /// C_H and C_B over the circuit's whole capacity, zeros behind the data.
    fn commitments(&self, published: Option<&Published>) -> Result<(Scalar, Scalar), CheckError> {
        let shape = self.batch.shape;
        let padded = |words: &[Scalar], capacity: usize, part: &str| {
            if words.len() > capacity {
                let found = format!("too small for {} words of {part}", words.len());
                let expected = format!("at most {capacity}");
                return Err(self.wrong(Field::Shape, found, expected));
            }
            let mut words = words.to_vec();
            words.resize(capacity, Scalar::ZERO);
            Ok(words)
        };
        // An archive that names an absurd shape must not make us run out of memory.
        let records = (shape.records as usize).min(1 << 20);
        let slots = (shape.slots as usize).min(2 * BLOB_ELEMENTS);
        let h = padded(
            &self.batch.header,
            HEADER_WORDS + RECORD_WORDS * records,
            "H",
        )?;
        let b = padded(&self.batch.blob, slots.div_ceil(2), "B")?;
        let (c_h, c_b) = (commit(&h), commit(&b));
        if let Some(published) = published {
            self.same(Field::HeaderCommitment, word(&c_h), published.c_h)?;
            self.same(Field::BlobCommitment, word(&c_b), published.c_b)?;
        }
        Ok((c_h, c_b))
    }
}

fn word(scalar: &Scalar) -> U256 {
    U256::from_be_bytes(scalar.to_bytes_be())
}
