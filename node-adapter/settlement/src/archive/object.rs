//! A batch as one object.
//!
//! Pure. Every batch has exactly one encoding; a changed, cut or lengthened object is refused, and
//! which of them it is, is said.
//!
//! ```text
//! "carillon batch 1\n"                                        17 bytes: name and format version
//! L1 chain id 8, contract 20, chain id 8, batch number 8      big-endian, like all numbers
//! shape number 4, slots 4, records 4
//! four parts: H, B, operations, proof                         length 4, bytes
//! SHA-256 of everything before it                             32
//! ```

use alloy::primitives::Address;
use blstrs::Scalar;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const MAGIC: &[u8] = b"carillon batch 1\n";
/// What every version starts with.
const MAGIC_START: &[u8] = b"carillon batch ";
const CHECKSUM: usize = 32;

/// A chain on L1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainId {
    /// Id of the L1 chain.
    pub l1: u64,
    /// The `RollupChain` contract.
    pub contract: Address,
    /// Id of the rollup chain.
    pub chain: u64,
}

impl std::fmt::Display for ChainId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "chain {} of {} on L1 {}",
            self.chain, self.contract, self.l1
        )
    }
}

/// The circuit that proved a batch, as far as its public data depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Its number on L1.
    pub number: u32,
    /// Slots for operations.
    pub slots: u32,
    /// Slots for records.
    pub records: u32,
}

/// Everything that is kept of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Its chain.
    pub chain: ChainId,
    /// Its number, from 1.
    pub number: u64,
    /// Its circuit.
    pub shape: Shape,
    /// The words of H, without the circuit's padding.
    pub header: Vec<Scalar>,
    /// The elements of B.
    pub blob: Vec<Scalar>,
    /// The operations with their signatures, in the node's encoding; replay does not need them.
    pub operations: Vec<u8>,
    /// The proof in EIP-2537 encoding; empty if it was archived before it was proved.
    pub proof: Vec<u8>,
}

/// Why bytes are not a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectError {
    /// Something else.
    #[error("it is not an archived batch")]
    NotABatch,
    /// Another version.
    #[error("its format is not version 1; use a newer program")]
    Version,
    /// Cut off.
    #[error("it ends after {found} bytes, {expected} are announced: it is truncated")]
    Truncated {
        /// Bytes there are.
        found: usize,
        /// Bytes there should be at least.
        expected: usize,
    },
    /// Bytes behind the end.
    #[error("{bytes} bytes follow its end")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// Changed.
    #[error("its checksum is wrong: it is corrupted")]
    Checksum,
    /// A word that is no field element.
    #[error("word {word} of its {part} is not below the field's order")]
    NotInField {
        /// `H` or `B`.
        part: &'static str,
        /// Position.
        word: usize,
    },
    /// A part of 4 GiB or more.
    #[error("its {part} is too long for the format")]
    TooLong {
        /// Which.
        part: &'static str,
    },
}

impl Batch {
    /// The object's bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ObjectError> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.chain.l1.to_be_bytes());
        bytes.extend(self.chain.contract.as_slice());
        bytes.extend(self.chain.chain.to_be_bytes());
        bytes.extend(self.number.to_be_bytes());
        for number in [self.shape.number, self.shape.slots, self.shape.records] {
            bytes.extend(number.to_be_bytes());
        }
        let words = |words: &[Scalar]| words.iter().flat_map(Scalar::to_bytes_be).collect();
        let parts: [(&'static str, Vec<u8>); 2] =
            [("H", words(&self.header)), ("B", words(&self.blob))];
        let parts = parts.iter().map(|(part, bytes)| (*part, bytes.as_slice()));
        let rest = [
            ("operations", self.operations.as_slice()),
            ("proof", self.proof.as_slice()),
        ];
        for (part, content) in parts.chain(rest) {
            let length = u32::try_from(content.len()).map_err(|_| ObjectError::TooLong { part })?;
            bytes.extend(length.to_be_bytes());
            bytes.extend(content);
        }
        let checksum = Sha256::digest(&bytes);
        bytes.extend(checksum);
        Ok(bytes)
    }

    /// Reads an object.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ObjectError> {
        if !bytes.starts_with(MAGIC) {
            return Err(if bytes.len() < MAGIC.len() && MAGIC.starts_with(bytes) {
                ObjectError::Truncated {
                    found: bytes.len(),
                    expected: MAGIC.len(),
                }
            } else if bytes.starts_with(MAGIC_START) {
                ObjectError::Version
            } else {
                ObjectError::NotABatch
            });
        }
        let mut reader = Reader {
            bytes,
            at: MAGIC.len(),
        };
        let l1 = reader.number()?;
        let contract = Address::from(reader.array::<20>()?);
        let chain = reader.number()?;
        let number = reader.number()?;
        let shape = Shape {
            number: reader.small()?,
            slots: reader.small()?,
            records: reader.small()?,
        };
        let header = reader.part()?;
        let blob = reader.part()?;
        let operations = reader.part()?.to_vec();
        let proof = reader.part()?.to_vec();
        let end = reader.at;
        let checksum = reader.array::<CHECKSUM>()?;
        if reader.at != bytes.len() {
            let bytes = bytes.len() - reader.at;
            return Err(ObjectError::Trailing { bytes });
        }
        let content = bytes.get(..end).unwrap_or_default();
        if Sha256::digest(content)[..] != checksum {
            return Err(ObjectError::Checksum);
        }
        Ok(Self {
            chain: ChainId {
                l1,
                contract,
                chain,
            },
            number,
            shape,
            header: scalars("H", header)?,
            blob: scalars("B", blob)?,
            operations,
            proof,
        })
    }
}

fn scalars(part: &'static str, bytes: &[u8]) -> Result<Vec<Scalar>, ObjectError> {
    let (words, rest) = bytes.as_chunks::<32>();
    let wrong = |word| ObjectError::NotInField { part, word };
    if !rest.is_empty() {
        return Err(wrong(words.len()));
    }
    let scalar = |(word, bytes)| Option::from(Scalar::from_bytes_be(bytes)).ok_or(wrong(word));
    words.iter().enumerate().map(scalar).collect()
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], ObjectError> {
        let end = self.at.saturating_add(length);
        let taken = self.bytes.get(self.at..end).ok_or(ObjectError::Truncated {
            found: self.bytes.len(),
            expected: end.saturating_add(CHECKSUM),
        })?;
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ObjectError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn number(&mut self) -> Result<u64, ObjectError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    fn small(&mut self) -> Result<u32, ObjectError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn part(&mut self) -> Result<&'a [u8], ObjectError> {
        let length = self.small()?;
        self.take(length as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ff::Field;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn batch() -> impl Strategy<Value = Batch> {
        let words = || vec(any::<u64>(), 0..6);
        let bytes = || vec(any::<u8>(), 0..50);
        (
            any::<[u64; 3]>(),
            any::<[u32; 3]>(),
            words(),
            words(),
            bytes(),
            bytes(),
        )
            .prop_map(|(ids, shape, header, blob, operations, proof)| Batch {
                chain: ChainId {
                    l1: ids[0],
                    contract: Address::repeat_byte(ids[0] as u8),
                    chain: ids[1],
                },
                number: ids[2],
                shape: Shape {
                    number: shape[0],
                    slots: shape[1],
                    records: shape[2],
                },
                header: header.into_iter().map(|w| -Scalar::from(w)).collect(),
                blob: blob.into_iter().map(Scalar::from).collect(),
                operations,
                proof,
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn an_object_is_read_back_and_no_other_bytes_are_it(
            batch in batch(), cut in any::<prop::sample::Index>(), flip in any::<prop::sample::Index>(), bit in 0u8..8
        ) {
            let bytes = batch.to_bytes().unwrap();
            prop_assert_eq!(Batch::from_bytes(&bytes), Ok(batch));
            let short = &bytes[..cut.index(bytes.len())];
            prop_assert!(
                matches!(Batch::from_bytes(short), Err(ObjectError::Truncated { .. })),
                "{} of {} bytes", short.len(), bytes.len()
            );
            let mut changed = bytes.clone();
            changed[flip.index(bytes.len())] ^= 1 << bit;
            prop_assert!(Batch::from_bytes(&changed).is_err());
            let long = [&bytes[..], &[0]].concat();
            prop_assert_eq!(Batch::from_bytes(&long), Err(ObjectError::Trailing { bytes: 1 }));
        }
    }

    #[test]
    fn other_files_versions_and_words_are_told_apart() {
        assert_eq!(
            Batch::from_bytes(b"a photograph of bells"),
            Err(ObjectError::NotABatch)
        );
        assert_eq!(
            Batch::from_bytes(b"carillon batch 2\n...."),
            Err(ObjectError::Version)
        );
        let mut batch = Batch {
            chain: ChainId {
                l1: 1,
                contract: Address::ZERO,
                chain: 2,
            },
            number: 3,
            shape: Shape {
                number: 1,
                slots: 2,
                records: 3,
            },
            header: vec![Scalar::ZERO; 3],
            blob: vec![Scalar::ONE],
            operations: Vec::new(),
            proof: Vec::new(),
        };
        let bytes = batch.to_bytes().unwrap();
        let position = MAGIC.len() + 44 + 12 + 4;
        let mut wrong = bytes[..bytes.len() - CHECKSUM].to_vec();
        wrong[position] = 0xff;
        let checksum = Sha256::digest(&wrong);
        wrong.extend(checksum);
        assert_eq!(
            Batch::from_bytes(&wrong),
            Err(ObjectError::NotInField { part: "H", word: 0 })
        );
        batch.header[0] = Scalar::ONE;
        assert_ne!(batch.to_bytes().unwrap(), bytes);
    }
}
