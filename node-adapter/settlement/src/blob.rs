//! The blob of a batch: its bytes, KZG commitment, versioned hash and openings (EIP-4844).
//!
//! Pure, but slow: a commitment takes tens of milliseconds. Called by whoever publishes or checks a
//! batch.

use alloy::eips::eip4844::{c_kzg, kzg_to_versioned_hash};
use alloy::primitives::{B256, Bytes};
use blstrs::Scalar;

use super::SettlementError;
use carillon_protocol::{BLOB_ELEMENTS, blob_bytes};

/// A blob with its commitment.
#[derive(Clone, Debug)]
pub struct BatchBlob {
    data: Box<c_kzg::Blob>,
    commitment: [u8; 48],
    versioned_hash: B256,
}

impl BatchBlob {
    /// The blob that begins with these elements and is zero behind them.
    ///
    /// # Errors
    /// [`SettlementError::Blob`] for more elements than a blob has.
    pub fn new(elements: &[Scalar]) -> Result<Self, SettlementError> {
        let mut bytes = blob_bytes(elements);
        bytes.resize(bytes.len().max(32 * BLOB_ELEMENTS), 0);
        let data = c_kzg::Blob::from_bytes(&bytes).map_err(failed)?;
        let settings = c_kzg::ethereum_kzg_settings(0);
        let commitment = *settings
            .blob_to_kzg_commitment(&data)
            .map_err(failed)?
            .to_bytes();
        Ok(Self {
            data: Box::new(data),
            commitment,
            versioned_hash: kzg_to_versioned_hash(&commitment),
        })
    }

    /// The 131,072 bytes.
    pub fn bytes(&self) -> Bytes {
        Bytes::copy_from_slice(self.data.as_ref().as_ref())
    }

    /// The KZG commitment, compressed.
    pub fn commitment(&self) -> &[u8; 48] {
        &self.commitment
    }

    /// What the contract sees of the blob.
    pub fn versioned_hash(&self) -> B256 {
        self.versioned_hash
    }

    /// The value of the blob's polynomial at `z`, and the proof for the point evaluation
    /// precompile.
    ///
    /// # Errors
    /// [`SettlementError::Blob`] if the library fails.
    pub fn open(&self, z: &Scalar) -> Result<(Scalar, [u8; 48]), SettlementError> {
        let point = c_kzg::Bytes32::new(z.to_bytes_be());
        let (proof, value) = c_kzg::ethereum_kzg_settings(0)
            .compute_kzg_proof(&self.data, &point)
            .map_err(failed)?;
        let value = Scalar::from_bytes_be(value.as_ref());
        let value = Option::from(value).ok_or_else(|| SettlementError::Blob {
            reason: "the value is no field element".into(),
        })?;
        Ok((value, *proof.to_bytes()))
    }
}

fn failed(error: c_kzg::Error) -> SettlementError {
    SettlementError::Blob {
        reason: error.to_string(),
    }
}
