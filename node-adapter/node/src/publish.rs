//! The public face of a batch: its public inputs, from the vectors H and B alone.
//!
//! Computed here without the circuit, so that a proof speaks about the data that go to L1 and not
//! about what a prover says they are. Pure, but slow: a KZG commitment takes tens of milliseconds.
//! Called by `rollup` and `ethereum`.

use blstrs::Scalar;
use ff::Field;

use super::machine::Refusal;
use carillon_protocol::crypto::poseidon::commit;
use carillon_protocol::{BLOB_ELEMENTS, HEADER_WORDS, RECORD_WORDS, challenge, evaluate_blob};
use carillon_settlement::DataMode;

/// C_H, C_B, z, y_H, y_B for the words of H (without padding) and the elements of B, in a circuit
/// with so many slots and records. On a validium z names no blob.
///
/// # Errors
/// [`Refusal`] if the data do not fit, or the KZG library fails.
pub fn public_inputs(
    header: &[Scalar],
    blob: &[Scalar],
    slots: usize,
    records: usize,
    mode: DataMode,
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
    let hash = mode
        .versioned_hash(blob)
        .map_err(|error| Refusal::new("kzg", error.to_string()))?;
    let z = challenge(&header_commitment, &blob_commitment, header, &hash.0);
    let horner = |sum: Scalar, word: &Scalar| sum * z + word;
    let header_value = header.iter().rev().fold(Scalar::ZERO, horner);
    Ok([
        header_commitment,
        blob_commitment,
        z,
        header_value,
        evaluate_blob(blob, z),
    ])
}

/// Loads the KZG set-up, which takes a second or more, so that the first batch need not wait for it.
pub fn warm_up() {
    alloy::eips::eip4844::c_kzg::ethereum_kzg_settings(0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use carillon_protocol::BLOB_POINTS;
    use carillon_settlement::BatchBlob;

    #[test]
    fn the_blobs_value_is_the_one_that_the_kzg_library_proves() {
        let elements: Vec<Scalar> = (1..40u64).map(|i| -Scalar::from(i * i)).collect();
        let blob = BatchBlob::new(&elements).unwrap();
        let points = [
            Scalar::from(77),
            -Scalar::from(5),
            BLOB_POINTS[3],
            BLOB_POINTS[1000],
        ];
        for z in points {
            let (value, _) = blob.open(&z).unwrap();
            assert_eq!(value, evaluate_blob(&elements, z));
        }
    }
}
