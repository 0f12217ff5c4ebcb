//! Batches built by hand: H, the challenge, public inputs, records, messages.

use alloy::primitives::{Address, B256, U256, keccak256};
use alloy::sol_types::SolValue;
use blstrs::Scalar;
use carillon_protocol::{Domain, Home};
use carillon_settlement::abi::IRollupChain::{BatchData, BatchProof, StoredBatch};
use carillon_settlement::abi::ISharedBridge::Message;
use ff::PrimeField;
use rand::RngCore;

use super::blob::Blob;
use super::trapdoor::Trapdoor;

/// The words of a record.
pub type Record = [U256; 5];

/// The order of the field.
pub fn order() -> U256 {
    Scalar::MODULUS.parse().unwrap()
}

pub fn scalar(word: U256) -> Scalar {
    Option::from(Scalar::from_bytes_be(&word.to_be_bytes())).expect("a field element")
}

pub fn word(scalar: &Scalar) -> U256 {
    U256::from_be_bytes(scalar.to_bytes_be())
}

pub fn address_word(address: Address) -> U256 {
    U256::from_be_bytes(address.into_word().0)
}

/// w0 of a record.
pub fn w0(kind: u8, account: u32, token: u8) -> U256 {
    U256::from(u64::from(kind) | u64::from(account) << 4 | u64::from(token) << 28)
}

/// A record without a key.
pub fn record(kind: u8, account: u32, token: u8, amount: u128, w2: U256) -> Record {
    [
        w0(kind, account, token),
        U256::from(amount),
        w2,
        U256::ZERO,
        U256::ZERO,
    ]
}

/// The words of a record as its queue entry has them.
pub fn masked(record: &Record) -> Record {
    let mut entry = *record;
    match record[0].to::<u64>() & 15 {
        2 | 5 => entry[0] = U256::from(record[0].to::<u64>() & !(0xff_ffff << 4)),
        7 => entry[1] = U256::ZERO,
        _ => {}
    }
    entry
}

fn is_queued(record: &Record) -> bool {
    [2, 5, 7].contains(&(record[0].to::<u64>() & 15))
}

/// The domain of a chain on anvil.
pub fn domain(hub: Address, chain_id: u64) -> Domain {
    let home = Home {
        l1_chain_id: 31337,
        hub: hub.into(),
        bridge: [0; 20],
    };
    Domain::new(&home, chain_id)
}

/// A batch, ready for any of the chain's calls.
#[derive(Clone)]
pub struct Batch {
    pub chain_id: u64,
    pub domain: Domain,
    pub number: u64,
    pub operator_account: u32,
    pub old_root: U256,
    pub new_root: U256,
    pub records: Vec<Record>,
    pub shape: u32,
    pub blob: Blob,
    pub c_h: U256,
    pub c_b: U256,
    /// Whether the chain has no blobs; the zero blob is what stays home.
    pub validium: bool,
}

impl Batch {
    /// A batch with the zero blob.
    pub fn new(
        hub: Address,
        chain_id: u64,
        number: u64,
        roots: [U256; 2],
        records: Vec<Record>,
    ) -> Self {
        Self {
            chain_id,
            domain: domain(hub, chain_id),
            number,
            operator_account: 0,
            old_root: roots[0],
            new_root: roots[1],
            records,
            shape: 1,
            blob: Blob::zero(),
            c_h: U256::from(number) + U256::from(1111),
            c_b: U256::from(number) + U256::from(2222),
            validium: false,
        }
    }

    pub fn h(&self) -> Vec<U256> {
        let header = U256::from(self.domain.number())
            + (U256::from(self.number) << 128)
            + (U256::from(self.operator_account) << 192)
            + (U256::from(self.records.len()) << 224);
        let mut h = vec![header, self.old_root, self.new_root];
        h.extend(self.records.iter().flatten());
        h
    }

    pub fn data(&self) -> BatchData {
        BatchData {
            shape: self.shape,
            blobIndex: U256::ZERO,
            cH: self.c_h,
            cB: self.c_b,
            h: self.h(),
        }
    }

    pub fn z(&self) -> U256 {
        let bytes: Vec<u8> = self
            .h()
            .iter()
            .flat_map(|w| w.to_be_bytes::<32>())
            .collect();
        let fields = (self.c_h, self.c_b, keccak256(bytes), self.versioned_hash());
        U256::from_be_bytes(keccak256(fields.abi_encode()).0) % order()
    }

    pub fn y_h(&self) -> U256 {
        let z = scalar(self.z());
        let y = self
            .h()
            .iter()
            .rev()
            .fold(Scalar::default(), |y, w| y * z + scalar(*w));
        word(&y)
    }

    /// C_H, C_B, z, y_H, y_B.
    pub fn inputs(&self) -> [U256; 5] {
        let z = self.z();
        [self.c_h, self.c_b, z, self.y_h(), self.blob.open(z).0]
    }

    pub fn proof(&self, key: &Trapdoor, rng: &mut impl RngCore) -> BatchProof {
        let (y_b, kzg_proof) = self.blob.open(self.z());
        let proof = key.prove(&self.inputs().map(scalar), rng);
        let proof = proof.to_eip2537().to_vec().into();
        if self.validium {
            return BatchProof {
                yB: y_b,
                kzgCommitment: Default::default(),
                kzgProof: Default::default(),
                proof,
            };
        }
        BatchProof {
            yB: y_b,
            kzgCommitment: self.blob.commitment.to_vec().into(),
            kzgProof: kzg_proof.to_vec().into(),
            proof,
        }
    }

    fn versioned_hash(&self) -> B256 {
        match self.validium {
            true => B256::ZERO,
            false => self.blob.hash,
        }
    }

    pub fn queue_entries(&self) -> u64 {
        self.records.iter().filter(|r| is_queued(r)).count() as u64
    }

    /// What the chain stores of the batch.
    pub fn stored(&self, queue_start: u64, committed_at: u64) -> StoredBatch {
        StoredBatch {
            number: self.number,
            shape: self.shape,
            queueStart: queue_start,
            queueEnd: queue_start + self.queue_entries(),
            committedAt: committed_at,
            oldRoot: self.old_root,
            newRoot: self.new_root,
            cH: self.c_h,
            cB: self.c_b,
            z: self.z(),
            yH: self.y_h(),
            versionedHash: self.versioned_hash(),
            messageRoot: self.message_tree().last().map_or(B256::ZERO, |top| top[0]),
            crossings: self.crossings_hash(),
        }
    }

    /// The words of the records of kinds 8 to 10.
    pub fn crossings(&self) -> Vec<U256> {
        let crosses = |record: &&Record| record[0].to::<u64>() & 15 >= 8;
        self.records
            .iter()
            .filter(crosses)
            .flatten()
            .copied()
            .collect()
    }

    fn crossings_hash(&self) -> B256 {
        let words = self.crossings();
        match words.is_empty() {
            true => B256::ZERO,
            // An array of words, without the two words in front that say where it is and how long.
            false => keccak256(&words.abi_encode()[64..]),
        }
    }

    /// The records that are messages, by their index in the batch.
    pub fn messages(&self) -> Vec<usize> {
        (0..self.records.len())
            .filter(|&k| {
                let kind = self.records[k][0].to::<u64>() & 15;
                kind == 4 || (kind == 3 || kind == 7) && self.records[k][1] != U256::ZERO
            })
            .collect()
    }

    /// The message of record k, with its path.
    pub fn message(&self, k: usize) -> Message {
        let position = self.messages().iter().position(|m| *m == k).unwrap();
        let levels = self.message_tree();
        let path = levels[..levels.len() - 1]
            .iter()
            .enumerate()
            .map(|(level, nodes)| nodes[(position >> level) ^ 1])
            .collect();
        Message {
            chainId: self.chain_id,
            batch: self.number,
            k: U256::from(k),
            words: self.records[k],
            path,
            position: U256::from(position),
        }
    }

    /// Levels from the leaves up; empty without messages.
    fn message_tree(&self) -> Vec<Vec<B256>> {
        let leaf = |k: usize| {
            let fields = (self.chain_id, self.number, U256::from(k), self.records[k]);
            keccak256(fields.abi_encode())
        };
        let mut level: Vec<B256> = self.messages().into_iter().map(leaf).collect();
        if level.is_empty() {
            return Vec::new();
        }
        level.resize(level.len().next_power_of_two(), B256::ZERO);
        let mut levels = vec![level];
        while levels.last().unwrap().len() > 1 {
            let below = levels.last().unwrap();
            let above = below
                .chunks(2)
                .map(|pair| keccak256((pair[0], pair[1]).abi_encode()))
                .collect();
            levels.push(above);
        }
        levels
    }
}
