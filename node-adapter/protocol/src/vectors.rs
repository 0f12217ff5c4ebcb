//! The public vectors: H in calldata, B in the blob, and the challenge point.
//!
//! Encodes and decodes exactly what PROTOCOL.md says. Called by `ledger` (replay), `carillon-node`
//! (sealing), `carillon-circuit` and `carillon-settlement`.

use blstrs::Scalar;
use ff::Field;
use sha3::{Digest, Keccak256};
use thiserror::Error;

use super::layout::{self, record};
use super::operation::{Kind, scalar};
use super::{ACCOUNT_BITS, BALANCE_LIMIT, Domain};

/// Words of H before the records.
pub const HEADER_WORDS: usize = 3;
/// Words of a record.
pub const RECORD_WORDS: usize = 5;
/// Field elements of a blob (EIP-4844).
pub const BLOB_ELEMENTS: usize = 4096;

/// Why words are not public data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum VectorError {
    /// Too few words, or a torn record.
    #[error("H has {words} words: it has 3, and 5 for each record; the data are truncated")]
    HeaderLength {
        /// Words given.
        words: usize,
    },
    /// A word with bits beyond its fields.
    #[error("word {word} of H holds more than its fields: the data are not a batch's")]
    HeaderWord {
        /// Position.
        word: usize,
    },
    /// The count in `H[0]` differs from the records.
    #[error("H says {said} records and has {got}: the data are truncated or padded")]
    RecordCount {
        /// In `H[0]`.
        said: u64,
        /// In the vector.
        got: usize,
    },
    /// A word that is no field element.
    #[error("bytes {word} are not below the field's order: the data are not a batch's")]
    NotInField {
        /// Position in words.
        word: usize,
    },
    /// An element of B with bits beyond its slots.
    #[error("element {element} of the blob holds more than two slots: the data are not a batch's")]
    BlobElement {
        /// Position.
        element: usize,
    },
}

/// A record of H.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Kind of its operation; never a transfer.
    pub kind: Kind,
    /// Account.
    pub account: u32,
    /// Token slot.
    pub token: u8,
    /// Word 1.
    pub amount: u128,
    /// Words 2, 3 and 4.
    pub words: [Scalar; 3],
}

impl Record {
    /// The five words.
    pub fn to_words(&self) -> [Scalar; RECORD_WORDS] {
        let word0 = record::word0(self.kind as u8, self.account, self.token);
        let [w2, w3, w4] = self.words;
        [Scalar::from(word0), scalar(self.amount), w2, w3, w4]
    }

    /// The five words as the queue on L1 hashes them: without the account that the operator picks,
    /// or the amount that the state decides.
    pub fn to_queue_words(&self) -> [Scalar; RECORD_WORDS] {
        let mut masked = *self;
        match self.kind {
            Kind::Deposit | Kind::Import => masked.account = 0,
            Kind::Exit => masked.amount = 0,
            _ => {}
        }
        masked.to_words()
    }

    /// Reads five words that begin at a position of H, for errors.
    ///
    /// # Errors
    /// [`VectorError::HeaderWord`].
    pub fn from_words(words: &[Scalar; RECORD_WORDS], at: usize) -> Result<Self, VectorError> {
        let wrong = |word| VectorError::HeaderWord { word: at + word };
        let word0 = small(&words[0]).ok_or(wrong(0))?;
        if word0 >> record::BITS != 0 {
            return Err(wrong(0));
        }
        let word0 = word0 as u64;
        let kind = Kind::new(record::kind(word0)).filter(|kind| kind.has_record());
        let amount = small(&words[1]).filter(|amount| *amount < BALANCE_LIMIT);
        Ok(Self {
            kind: kind.ok_or(wrong(0))?,
            account: record::account(word0),
            token: record::token(word0),
            amount: amount.ok_or(wrong(1))?,
            words: [words[2], words[3], words[4]],
        })
    }
}

/// The vector H.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Chain and deployment.
    pub domain: Domain,
    /// Number of the batch, from 1.
    pub batch_number: u64,
    /// Account that fees are credited to.
    pub operator: u32,
    /// State root before.
    pub old_root: Scalar,
    /// State root after.
    pub new_root: Scalar,
    /// Records in the order of their operations.
    pub records: Vec<Record>,
}

impl Header {
    /// The words, without the padding of the circuit.
    pub fn to_words(&self) -> Vec<Scalar> {
        let counts = u64::from(self.operator) | (self.records.len() as u64) << 32;
        let domain = self.domain.number();
        let (low, high) = (domain as u64, (domain >> 64) as u64);
        let first = from_u64s([low, high, self.batch_number, counts]);
        let mut words = vec![first, self.old_root, self.new_root];
        words.extend(self.records.iter().flat_map(Record::to_words));
        words
    }

    /// Reads the words again; every header has one encoding.
    ///
    /// # Errors
    /// [`VectorError`].
    pub fn from_words(words: &[Scalar]) -> Result<Self, VectorError> {
        let wrong = VectorError::HeaderLength { words: words.len() };
        let (head, records) = words.split_at_checked(HEADER_WORDS).ok_or(wrong)?;
        let (records, rest) = records.as_chunks::<RECORD_WORDS>();
        if !rest.is_empty() {
            return Err(wrong);
        }
        let [low, high, batch_number, counts] = to_u64s(&head[0]);
        let operator = counts as u32;
        if operator >> ACCOUNT_BITS != 0 {
            return Err(VectorError::HeaderWord { word: 0 });
        }
        if counts >> 32 != records.len() as u64 {
            return Err(VectorError::RecordCount {
                said: counts >> 32,
                got: records.len(),
            });
        }
        let records = records.iter().enumerate();
        let records =
            records.map(|(k, words)| Record::from_words(words, HEADER_WORDS + RECORD_WORDS * k));
        Ok(Self {
            domain: Domain::from_number(u128::from(low) | u128::from(high) << 64),
            batch_number,
            operator,
            old_root: head[1],
            new_root: head[2],
            records: records.collect::<Result<_, _>>()?,
        })
    }
}

/// The vector B: two slots an element.
pub fn blob_elements(slots: &[u128]) -> Vec<Scalar> {
    let element = |pair: &[u128]| {
        let [low, high] = [0, 1].map(|i| pair.get(i).copied().unwrap_or(0));
        from_u64s([
            low as u64,
            (low >> 64) as u64,
            high as u64,
            (high >> 64) as u64,
        ])
    };
    slots.chunks(2).map(element).collect()
}

/// The slots of B, two an element.
///
/// # Errors
/// [`VectorError::BlobElement`] if there is more in an element than two slots.
pub fn slots_of(elements: &[Scalar]) -> Result<Vec<u128>, VectorError> {
    let mut slots = Vec::with_capacity(2 * elements.len());
    for (element, value) in elements.iter().enumerate() {
        let [a, b, c, d] = to_u64s(value);
        for (low, high) in [(a, b), (c, d)] {
            let slot = u128::from(low) | u128::from(high) << 64;
            if slot >> layout::slot::BITS != 0 {
                return Err(VectorError::BlobElement { element });
            }
            slots.push(slot);
        }
    }
    Ok(slots)
}

/// Elements as the bytes of a blob or of calldata: 32 bytes big-endian each.
pub fn blob_bytes(elements: &[Scalar]) -> Vec<u8> {
    elements.iter().flat_map(Scalar::to_bytes_be).collect()
}

/// The point z at which both vectors are evaluated:
/// `keccak(abi.encode(C_H, C_B, keccak(H), versionedHash)) mod r`.
pub fn challenge(
    header_commitment: &Scalar,
    blob_commitment: &Scalar,
    header: &[Scalar],
    versioned_hash: &[u8; 32],
) -> Scalar {
    let mut preimage = Vec::with_capacity(128);
    preimage.extend_from_slice(&header_commitment.to_bytes_be());
    preimage.extend_from_slice(&blob_commitment.to_bytes_be());
    preimage.extend_from_slice(&Keccak256::digest(blob_bytes(header)));
    preimage.extend_from_slice(versioned_hash);
    let digest = Keccak256::digest(preimage);
    // The digest as a number, reduced: Horner over its bytes.
    let base = Scalar::from(256);
    digest.iter().fold(Scalar::ZERO, |sum, byte| {
        sum * base + Scalar::from(u64::from(*byte))
    })
}

/// The number, if it is below 2^128.
fn small(word: &Scalar) -> Option<u128> {
    let [a, b, c, d] = to_u64s(word);
    (c | d == 0).then_some(u128::from(a) | u128::from(b) << 64)
}

/// 64-bit words of a number, least significant first.
fn to_u64s(word: &Scalar) -> [u64; 4] {
    let bytes = word.to_bytes_le();
    let (words, _) = bytes.as_chunks::<8>();
    std::array::from_fn(|i| words.get(i).map_or(0, |word| u64::from_le_bytes(*word)))
}

/// A number below 2^254 from 64-bit words, least significant first.
fn from_u64s(words: [u64; 4]) -> Scalar {
    Option::from(Scalar::from_u64s_le(&words)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Operation;

    fn records() -> impl Strategy<Value = Record> {
        (
            1..Kind::ALL.len(),
            0u32..1 << 24,
            0u8..64,
            0u128..BALANCE_LIMIT,
            any::<[u64; 3]>(),
        )
            .prop_map(|(kind, account, token, amount, words)| Record {
                kind: Kind::ALL[kind],
                account,
                token,
                amount,
                words: words.map(|word| -Scalar::from(word)),
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn headers_round_trip(
            ids in any::<[u64; 4]>(),
            operator in 0u32..1 << 24,
            records in prop::collection::vec(records(), 0..5),
        ) {
            let header = Header {
                domain: Domain::local(ids[0]),
                batch_number: ids[1],
                operator,
                old_root: Scalar::from(ids[2]),
                new_root: -Scalar::from(ids[3]),
                records,
            };
            let words = header.to_words();
            prop_assert_eq!(Header::from_words(&words), Ok(header));
            if words.len() > HEADER_WORDS {
                prop_assert!(Header::from_words(&words[..words.len() - 1]).is_err());
                prop_assert!(Header::from_words(&words[..words.len() - RECORD_WORDS]).is_err());
            }
        }

        #[test]
        fn slots_round_trip_through_the_blob(
            fields in prop::collection::vec((0u32..1 << 24, 0u32..1 << 24, 0u8..64, 0u64..1 << 35, 0u64..2048), 0..6)
        ) {
            let operations: Vec<Operation> = fields
                .into_iter()
                .map(|(from, to, token, amount, fee)| {
                    Operation::transfer(from, to, token, amount.into(), fee.into(), 0)
                })
                .collect();
            let slots: Vec<u128> = operations.iter().map(|op| op.slot().unwrap()).collect();
            let mut read = slots_of(&blob_elements(&slots)).unwrap();
            read.truncate(slots.len());
            let read: Vec<Operation> = read
                .into_iter()
                .map(|slot| Operation::from_slot(slot, None).unwrap().unwrap())
                .collect();
            prop_assert_eq!(read, operations);
        }
    }

    #[test]
    fn stray_bits_are_refused() {
        let header = Header {
            domain: Domain::from_number(1),
            batch_number: 2,
            operator: 3,
            old_root: Scalar::ZERO,
            new_root: Scalar::ONE,
            records: Vec::new(),
        };
        let mut words = header.to_words();
        words[0] += from_u64s([0, 0, 0, 1 << 24]);
        assert_eq!(
            Header::from_words(&words),
            Err(VectorError::HeaderWord { word: 0 })
        );
        words[0] += from_u64s([0, 0, 0, (1 << 48) - (1 << 24)]);
        assert!(matches!(
            Header::from_words(&words),
            Err(VectorError::RecordCount { said: 65536, .. })
        ));
        assert_eq!(
            slots_of(&[from_u64s([0, 0, 0, 1 << 50])]),
            Err(VectorError::BlobElement { element: 0 })
        );
    }
}
