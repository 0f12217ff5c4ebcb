//! From the rollup's own types to the contracts': the words of a batch, what the chain stores of it,
//! its messages with their paths, and state proofs. Pure encoding, no I/O.
//!
//! Called by whoever settles a batch, by wallets that claim, and by owners who leave a halted chain.
//! The contracts compute the same from the words themselves; `rollup_contracts`, a test
//! of `carillon-node`, compares.

use alloy::primitives::{B256, Bytes, U256, keccak256};
use alloy::sol_types::SolValue;
use blstrs::Scalar;
use carillon_runtime::groth16::{Proof, eip2537};

use super::abi::IRollupChain::{BatchData, BatchProof, StoredBatch};
use super::abi::ISharedBridge::{Message, StateProof};
use super::lanes::{Crossings, Tail, crossing_words, crossings_hash};
use carillon_protocol::crypto::schnorr::PublicKey;
use carillon_protocol::ledger;
use carillon_protocol::{Header, Kind, Record, challenge};

/// A batch as it is published: H and the circuit's commitments to H and B.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedBatch {
    /// The chain's id, which its messages name.
    pub chain_id: u64,
    /// The circuit's shape number.
    pub shape: u32,
    /// H.
    pub header: Header,
    /// C_H.
    pub header_commitment: Scalar,
    /// C_B.
    pub blob_commitment: Scalar,
    /// The blob's versioned hash; zero for a batch of a validium.
    pub versioned_hash: B256,
}

impl PublishedBatch {
    /// The argument of `commit` and `settle`, for a transaction whose first blob is B.
    pub fn data(&self) -> BatchData {
        BatchData {
            shape: self.shape,
            blobIndex: U256::ZERO,
            cH: word(&self.header_commitment),
            cB: word(&self.blob_commitment),
            h: self.header.to_words().iter().map(word).collect(),
        }
    }

    /// The challenge z.
    pub fn challenge(&self) -> Scalar {
        challenge(
            &self.header_commitment,
            &self.blob_commitment,
            &self.header.to_words(),
            &self.versioned_hash.0,
        )
    }

    /// H as a polynomial at z.
    pub fn header_value(&self) -> Scalar {
        let z = self.challenge();
        let words = self.header.to_words();
        words.iter().rev().fold(Scalar::from(0), |y, w| y * z + w)
    }

    /// What `prove`, `execute` and `revertBatches` want back of a committed batch.
    ///
    /// `queue_start` is the queue position before the batch, `committed_at` the time of the block that
    /// committed it.
    pub fn stored(&self, queue_start: u64, committed_at: u64) -> StoredBatch {
        let queued = |r: &&Record| r.kind.is_queued();
        let entries = self.header.records.iter().filter(queued).count() as u64;
        StoredBatch {
            number: self.header.batch_number,
            shape: self.shape,
            queueStart: queue_start,
            queueEnd: queue_start + entries,
            committedAt: committed_at,
            oldRoot: word(&self.header.old_root),
            newRoot: word(&self.header.new_root),
            cH: word(&self.header_commitment),
            cB: word(&self.blob_commitment),
            z: word(&self.challenge()),
            yH: word(&self.header_value()),
            versionedHash: self.versioned_hash,
            messageRoot: message_root(self.chain_id, &self.header),
            crossings: crossings_hash(&crossing_words(&self.header)),
        }
    }

    /// What `execute` wants beside the stored batch: its sends and takes, and for each lane of which it
    /// does not take all that was sent, what follows.
    pub fn crossings(&self, tails: Vec<Tail>) -> Crossings {
        Crossings {
            records: crossing_words(&self.header),
            tails,
        }
    }
}

/// The second argument of `prove` and `settle`.
pub fn batch_proof(
    blob_value: &Scalar,
    kzg_commitment: &[u8; 48],
    kzg_proof: &[u8; 48],
    proof: &Proof,
) -> BatchProof {
    BatchProof {
        yB: word(blob_value),
        kzgCommitment: Bytes::copy_from_slice(kzg_commitment),
        kzgProof: Bytes::copy_from_slice(kzg_proof),
        proof: Bytes::copy_from_slice(&proof.to_eip2537()),
    }
}

/// The same for a batch of a validium, which has no blob.
pub fn proof_without_blob(blob_value: &Scalar, proof: &Proof) -> BatchProof {
    BatchProof {
        yB: word(blob_value),
        kzgCommitment: Bytes::new(),
        kzgProof: Bytes::new(),
        proof: Bytes::copy_from_slice(&proof.to_eip2537()),
    }
}

/// The key proof of a deposit: P, 2P, 4P and 8P, of which 8P is the key, as x and y each.
pub fn key_proof(key: &PublicKey) -> Vec<U256> {
    let chain = key.doublings();
    chain
        .iter()
        .flat_map(|point| [word(&point.x), word(&point.y)])
        .collect()
}

/// The messages that a batch of a chain sends, in order, ready for `claim`.
pub fn messages(chain_id: u64, header: &Header) -> Vec<Message> {
    let sent = sent(header);
    let levels = levels(chain_id, header, &sent);
    let message = |(position, k): (usize, &usize)| Message {
        chainId: chain_id,
        batch: header.batch_number,
        k: U256::from(*k),
        words: header.records[*k].to_words().map(|w| word(&w)),
        path: levels
            .iter()
            .take(levels.len() - 1)
            .enumerate()
            .map(|(level, nodes)| nodes[(position >> level) ^ 1])
            .collect(),
        position: U256::from(position),
    };
    sent.iter().enumerate().map(message).collect()
}

/// The message root of a batch; zero without messages.
pub fn message_root(chain_id: u64, header: &Header) -> B256 {
    levels(chain_id, header, &sent(header))
        .last()
        .map_or(B256::ZERO, |top| top[0])
}

/// The proof of a cell for `SharedBridge.exit`. `token` is the one that the proof was made for.
/// `None` if the proof is of a tree of another depth than the contracts'.
pub fn state_proof(proof: &ledger::StateProof, token: u8) -> Option<StateProof> {
    let account = &proof.value;
    let mut owner = [0; 32];
    owner[12..].copy_from_slice(&account.owner);
    let key = account.key_point();
    Some(StateProof {
        account: U256::from(proof.account),
        token: U256::from(token),
        balance: U256::from(account.balance(token)),
        keyX: word(&key.x),
        keyY: word(&key.y),
        header: U256::from(account.nonce) + (U256::from_be_bytes(owner) << 32),
        tokenPath: siblings(&proof.token_path, u32::from(token))
            .try_into()
            .ok()?,
        accountPath: siblings(&proof.path, proof.account).try_into().ok()?,
    })
}

/// Of each level's four children the three that are not on the path, whose place is in `index`.
fn siblings(path: &[[Scalar; 4]], index: u32) -> Vec<U256> {
    let level = |(level, children): (usize, &[Scalar; 4])| {
        let place = (index >> (2 * level)) as usize & 3;
        let others = children.iter().enumerate();
        let others = others.filter(move |(child, _)| *child != place);
        others.map(|(_, node)| word(node)).collect::<Vec<_>>()
    };
    path.iter().enumerate().flat_map(level).collect()
}

/// The records that are messages, by their index.
fn sent(header: &Header) -> Vec<usize> {
    let is_message = |record: &Record| match record.kind {
        Kind::Bundle => true,
        Kind::Withdraw | Kind::Exit => record.amount != 0,
        _ => false,
    };
    let records = header.records.iter().enumerate();
    let records = records.filter(|(_, record)| is_message(record));
    records.map(|(k, _)| k).collect()
}

/// The message tree, from the leaves up; empty without messages.
fn levels(chain_id: u64, header: &Header, sent: &[usize]) -> Vec<Vec<B256>> {
    let leaf = |k: &usize| {
        let words = header.records[*k].to_words().map(|w| word(&w));
        let fields = (chain_id, header.batch_number, U256::from(*k), words);
        keccak256(fields.abi_encode())
    };
    if sent.is_empty() {
        return Vec::new();
    }
    let mut level: Vec<B256> = sent.iter().map(leaf).collect();
    level.resize(level.len().next_power_of_two(), B256::ZERO);
    let mut levels = Vec::new();
    while level.len() > 1 {
        let (pairs, _) = level.as_chunks::<2>();
        let above = pairs
            .iter()
            .map(|[left, right]| keccak256((*left, *right).abi_encode()))
            .collect();
        levels.push(std::mem::replace(&mut level, above));
    }
    levels.push(level);
    levels
}

fn word(value: &Scalar) -> U256 {
    U256::from_be_bytes(eip2537::scalar(value))
}
