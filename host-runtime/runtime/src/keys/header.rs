//! The header page of a key file: encoding and decoding. Pure; used by `read` and `write`.

use std::ops::Range;

use sha2::{Digest, Sha256};

use crate::groth16::{CircuitDigest, CircuitShape, HBasis, KeyOrigin, ProvingKey, VerifyingKey};
use crate::image;

/// Bytes of the header and alignment of the sections.
pub const PAGE: usize = 4096;
/// Versions of the format: they differ in the basis of the H query.
pub const VERSIONS: [(u32, HBasis); 2] = [(1, HBasis::Powers), (NEWEST, HBasis::Odd)];
/// The newest of them.
pub const NEWEST: u32 = 2;
/// Names of the sections in file order.
pub const SECTIONS: [&str; 6] = ["vk", "a", "b1", "b2", "l", "h"];

/// What a key file begins with.
pub const MAGIC: [u8; 8] = *b"CARLKEY\0";
const ORIGIN_INSECURE: u32 = 1;
const TABLE: usize = 72;
const ENTRY: usize = 48;
const HASH: usize = 32;
const HASHED: usize = PAGE - HASH;

/// Where a section lies and what it hashes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    pub offset: u64,
    pub bytes: u64,
    pub hash: [u8; HASH],
}

impl Section {
    /// The section's bytes in the file; `None` where they do not fit into memory.
    pub fn range(&self) -> Option<Range<usize>> {
        let start = usize::try_from(self.offset).ok()?;
        Some(start..start.checked_add(usize::try_from(self.bytes).ok()?)?)
    }
}

/// The header of a key file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub basis: HBasis,
    pub origin: KeyOrigin,
    pub circuit: CircuitDigest,
    pub shape: CircuitShape,
    pub sections: [Section; 6],
}

/// Why 4096 bytes are not a header.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderFault {
    NotAKey,
    Version(u32),
    Corrupt(String),
}

impl Header {
    /// The header of a file that holds `key`, whose verifying key encodes to `vk`.
    pub fn describe(key: &ProvingKey, vk: &[u8]) -> Self {
        let mut offset = PAGE as u64;
        let sections = contents(key, vk).map(|content| {
            let section = Section {
                offset,
                bytes: content.len() as u64,
                hash: Sha256::digest(content).into(),
            };
            offset = (offset + section.bytes).next_multiple_of(PAGE as u64);
            section
        });
        Self {
            basis: key.basis,
            origin: key.origin,
            circuit: key.circuit,
            shape: key.shape,
            sections,
        }
    }

    /// Bytes of the whole file, the padding after the last section included.
    pub fn file_bytes(&self) -> u64 {
        let [.., last] = &self.sections;
        last.offset
            .saturating_add(last.bytes)
            .next_multiple_of(PAGE as u64)
    }

    /// The header page.
    pub fn encode(&self) -> [u8; PAGE] {
        let KeyOrigin::InsecureDevelopment = self.origin;
        let mut out = Vec::with_capacity(PAGE);
        out.extend(MAGIC);
        let known = VERSIONS.into_iter().find(|(_, basis)| *basis == self.basis);
        let version = known.map_or(NEWEST, |(version, _)| version);
        out.extend(version.to_le_bytes());
        out.extend(ORIGIN_INSECURE.to_le_bytes());
        out.extend(self.circuit.0);
        for size in [self.shape.constraints, self.shape.inputs, self.shape.aux] {
            out.extend((size as u64).to_le_bytes());
        }
        for section in &self.sections {
            out.extend(section.offset.to_le_bytes());
            out.extend(section.bytes.to_le_bytes());
            out.extend(section.hash);
        }
        let mut page = [0; PAGE];
        page[..out.len()].copy_from_slice(&out);
        let hash = Sha256::digest(&page[..HASHED]);
        page[HASHED..].copy_from_slice(&hash);
        page
    }

    /// Decodes and checks a header page: magic, version, hash, and that the sections have the
    /// sizes that the circuit asks for and follow one another.
    pub fn decode(page: &[u8; PAGE]) -> Result<Self, HeaderFault> {
        let corrupt = |reason: &str| HeaderFault::Corrupt(reason.to_owned());
        if page[..8] != MAGIC {
            return Err(HeaderFault::NotAKey);
        }
        let version = u32_at(page, 8);
        let known = VERSIONS.into_iter().find(|(known, _)| *known == version);
        let (_, basis) = known.ok_or(HeaderFault::Version(version))?;
        if Sha256::digest(&page[..HASHED])[..] != page[HASHED..] {
            return Err(corrupt("SHA-256 differs"));
        }
        if u32_at(page, 12) != ORIGIN_INSECURE {
            return Err(corrupt("unknown origin"));
        }
        let size = |at: usize| {
            usize::try_from(u64_at(page, at))
                .ok()
                .filter(|size| *size < 1 << 40)
        };
        let (Some(constraints), Some(inputs), Some(aux)) = (size(48), size(56), size(64)) else {
            return Err(corrupt("impossible circuit sizes"));
        };
        let shape = CircuitShape {
            constraints,
            inputs,
            aux,
        };
        let header = Self {
            basis,
            origin: KeyOrigin::InsecureDevelopment,
            circuit: CircuitDigest(array_at(page, 16)),
            shape,
            sections: std::array::from_fn(|index| {
                let at = TABLE + index * ENTRY;
                Section {
                    offset: u64_at(page, at),
                    bytes: u64_at(page, at + 8),
                    hash: array_at(page, at + 16),
                }
            }),
        };
        let mut offset = PAGE as u64;
        for (section, expected) in header.sections.iter().zip(expected_bytes(&shape, basis)) {
            if section.offset != offset || section.bytes != expected {
                return Err(corrupt("the sections do not fit the circuit's sizes"));
            }
            offset = (offset + section.bytes).next_multiple_of(PAGE as u64);
        }
        Ok(header)
    }
}

/// The sections' bytes in file order.
pub fn contents<'a>(key: &'a ProvingKey, vk: &'a [u8]) -> [&'a [u8]; 6] {
    [
        vk,
        image::bytes(&key.a),
        image::bytes(&key.b1),
        image::bytes(&key.b2),
        image::bytes(&key.l),
        image::bytes(&key.h),
    ]
}

/// Bytes of each section for a circuit of this shape (sizes below 2^40).
fn expected_bytes(shape: &CircuitShape, basis: HBasis) -> [u64; 6] {
    let vk = VerifyingKey::encoded_bytes(shape.inputs) as u64;
    let g1 = (shape.variables() * image::G1_BYTES) as u64;
    let g2 = (shape.variables() * image::G2_BYTES) as u64;
    let h = (basis.points(shape.domain()) * image::G1_BYTES) as u64;
    [vk, g1, g1, g2, g1, h]
}

fn array_at<const N: usize>(page: &[u8; PAGE], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&page[at..at + N]);
    out
}

fn u32_at(page: &[u8; PAGE], at: usize) -> u32 {
    u32::from_le_bytes(array_at(page, at))
}

fn u64_at(page: &[u8; PAGE], at: usize) -> u64 {
    u64::from_le_bytes(array_at(page, at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(basis: HBasis, constraints: usize, inputs: usize, aux: usize) -> Header {
        let shape = CircuitShape {
            constraints,
            inputs,
            aux,
        };
        let mut offset = PAGE as u64;
        let sections = expected_bytes(&shape, basis).map(|bytes| {
            let section = Section {
                offset,
                bytes,
                hash: [bytes as u8; HASH],
            };
            offset = (offset + bytes).next_multiple_of(PAGE as u64);
            section
        });
        let circuit = CircuitDigest([aux as u8; 32]);
        Header {
            basis,
            origin: KeyOrigin::InsecureDevelopment,
            circuit,
            shape,
            sections,
        }
    }

    proptest! {
        #[test]
        fn headers_round_trip(odd: bool, constraints in 0usize..1 << 39, inputs in 1usize..1 << 20, aux in 0usize..1 << 30) {
            let basis = if odd { HBasis::Odd } else { HBasis::Powers };
            let header = header(basis, constraints, inputs, aux);
            prop_assert_eq!(Header::decode(&header.encode()), Ok(header));
        }

        #[test]
        fn every_changed_byte_is_noticed(at in 0usize..PAGE, flip in 1u8..) {
            let mut page = header(HBasis::Odd, 100, 2, 50).encode();
            page[at] ^= flip;
            prop_assert!(Header::decode(&page).is_err());
        }
    }

    #[test]
    fn sections_must_fit_the_circuit() {
        let mut wrong = header(HBasis::Odd, 100, 2, 50);
        wrong.sections[3].bytes -= 192;
        assert!(matches!(
            Header::decode(&wrong.encode()),
            Err(HeaderFault::Corrupt(_))
        ));
    }
}
