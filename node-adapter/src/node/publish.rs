//! The public face of a batch: blob, versioned hash, challenge point, public inputs.
//!
//! Everything that PROTOCOL.md derives from the vectors H and B. Computed here without the circuit,
//! so that a proof speaks about the data that go to L1 and not about what a prover says they are.
//! Pure, but slow: a KZG commitment takes tens of milliseconds. Called by `rollup`.

use std::sync::LazyLock;

use alloy::eips::eip4844::{c_kzg, kzg_to_versioned_hash};
use blstrs::Scalar;
use ff::{Field, PrimeField};

use super::machine::Refusal;
use crate::crypto::poseidon::commit;
use crate::protocol::{BLOB_ELEMENTS, HEADER_WORDS, RECORD_WORDS, blob_bytes, challenge};

/// The points of the blob's polynomial: roots of unity in bit-reversed order (EIP-4844).
static POINTS: LazyLock<Vec<Scalar>> = LazyLock::new(|| {
    let bits = BLOB_ELEMENTS.ilog2();
    let root = Scalar::ROOT_OF_UNITY.pow_vartime([1u64 << (Scalar::S - bits)]);
    let mut powers = vec![Scalar::ONE; BLOB_ELEMENTS];
    for i in 1..BLOB_ELEMENTS {
        powers[i] = powers[i - 1] * root;
    }
    let reversed = |i: usize| i.reverse_bits() >> (usize::BITS - bits);
    (0..BLOB_ELEMENTS).map(|i| powers[reversed(i)]).collect()
});

/// C_H, C_B, z, y_H, y_B for the words of H (without padding) and the elements of B, in a circuit
/// with so many slots and records.
///
/// # Errors
/// [`Refusal`] if the data do not fit, or the KZG library fails.
pub fn public_inputs(
    header: &[Scalar],
    blob: &[Scalar],
    slots: usize,
    records: usize,
) -> Result<[Scalar; 5], Refusal> {
    let (words, elements) = (HEADER_WORDS + RECORD_WORDS * records, slots.div_ceil(2));
    if header.len() > words || blob.len() > elements || elements > BLOB_ELEMENTS {
        return Err(Refusal::new("size", "the batch does not fit its circuit"));
    }
    let padded = |values: &[Scalar], length: usize| {
        let mut padded = values.to_vec();
        padded.resize(length, Scalar::ZERO);
        padded
    };
    let header_commitment = commit(&padded(header, words));
    let blob_commitment = commit(&padded(blob, elements));
    let hash = versioned_hash(blob)?;
    let z = challenge(&header_commitment, &blob_commitment, header, &hash);
    let horner = |sum: Scalar, word: &Scalar| sum * z + word;
    let header_value = header.iter().rev().fold(Scalar::ZERO, horner);
    Ok([
        header_commitment,
        blob_commitment,
        z,
        header_value,
        evaluate(blob, &z),
    ])
}

/// The versioned hash of the blob that begins with these elements (EIP-4844).
///
/// # Errors
/// [`Refusal`] if the KZG library fails.
pub fn versioned_hash(elements: &[Scalar]) -> Result<[u8; 32], Refusal> {
    let failed = |error: c_kzg::Error| Refusal::new("kzg", format!("no commitment: {error}"));
    let commitment = settings()
        .blob_to_kzg_commitment(&blob(elements)?)
        .map_err(failed)?;
    Ok(kzg_to_versioned_hash(commitment.to_bytes().as_slice()).0)
}

/// Loads the KZG set-up, so that the first batch need not wait for it.
pub fn warm_up() {
    settings();
}

/// Ethereum's KZG set-up, without the tables that only proofs of cells need: they are large and take
/// seconds to make.
fn settings() -> &'static c_kzg::KzgSettings {
    c_kzg::ethereum_kzg_settings(0)
}

fn blob(elements: &[Scalar]) -> Result<c_kzg::Blob, Refusal> {
    let mut bytes = blob_bytes(elements);
    bytes.resize(32 * BLOB_ELEMENTS, 0);
    c_kzg::Blob::from_bytes(&bytes)
        .map_err(|error| Refusal::new("kzg", format!("not a blob: {error}")))
}

/// The blob's polynomial at `z`, in barycentric form.
pub fn evaluate(elements: &[Scalar], z: &Scalar) -> Scalar {
    if let Some(at) = POINTS.iter().position(|point| point == z) {
        return elements.get(at).copied().unwrap_or(Scalar::ZERO);
    }
    let mut differences: Vec<Scalar> = POINTS
        .iter()
        .take(elements.len())
        .map(|point| *z - point)
        .collect();
    let _ = ff::BatchInvert::batch_invert(differences.iter_mut());
    let sum = elements
        .iter()
        .zip(POINTS.iter().zip(&differences))
        .fold(Scalar::ZERO, |sum, (element, (point, inverse))| {
            sum + *element * point * inverse
        });
    let size = Scalar::from(BLOB_ELEMENTS as u64);
    // 4096 is prime to the modulus.
    let inverse = Option::from(size.invert()).unwrap_or(Scalar::ZERO);
    sum * (z.pow_vartime([BLOB_ELEMENTS as u64]) - Scalar::ONE) * inverse
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_is_the_one_that_the_kzg_library_proves() {
        let elements: Vec<Scalar> = (1..40u64).map(|i| -Scalar::from(i * i)).collect();
        for z in [Scalar::from(77), -Scalar::from(5), POINTS[3], POINTS[1000]] {
            let bytes = c_kzg::Bytes32::from_bytes(&z.to_bytes_be()).unwrap();
            let (_, value) = settings()
                .compute_kzg_proof(&blob(&elements).unwrap(), &bytes)
                .unwrap();
            assert_eq!(value.as_slice(), evaluate(&elements, &z).to_bytes_be());
        }
    }
}
