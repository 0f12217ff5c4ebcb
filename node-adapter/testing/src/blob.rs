//! Blobs with their sidecars and KZG proofs.

use alloy::consensus::Blob as RawBlob;
use alloy::eips::eip4844::c_kzg::{self, ethereum_kzg_settings};
use alloy::eips::eip4844::{Bytes48, kzg_to_versioned_hash};
use alloy::eips::eip7594::BlobTransactionSidecarEip7594;
use alloy::primitives::{B256, U256};

const CELLS: usize = 128;

/// One blob.
#[derive(Clone)]
pub struct Blob {
    pub sidecar: BlobTransactionSidecarEip7594,
    pub commitment: [u8; 48],
    pub hash: B256,
    data: Option<Box<c_kzg::Blob>>,
}

fn infinity() -> Bytes48 {
    let mut point = Bytes48::ZERO;
    point[0] = 0xc0;
    point
}

impl Blob {
    /// All zeros: the zero polynomial, whose commitments and proofs are the point at infinity. It
    /// costs no computation, and serves where a test is about something else.
    pub fn zero() -> Self {
        let sidecar = BlobTransactionSidecarEip7594::new(
            vec![RawBlob::ZERO],
            vec![infinity()],
            vec![infinity(); CELLS],
        );
        Self {
            sidecar,
            commitment: infinity().0,
            hash: kzg_to_versioned_hash(infinity().as_slice()),
            data: None,
        }
    }

    /// The blob with these field elements, then zeros.
    pub fn new(elements: &[U256]) -> Self {
        let mut bytes = vec![0u8; c_kzg::BYTES_PER_BLOB];
        for (i, element) in elements.iter().enumerate() {
            bytes[32 * i..32 * (i + 1)].copy_from_slice(&element.to_be_bytes::<32>());
        }
        let data = c_kzg::Blob::from_bytes(&bytes).unwrap();
        let settings = ethereum_kzg_settings(0);
        let commitment = settings.blob_to_kzg_commitment(&data).unwrap();
        let (_, proofs) = settings.compute_cells_and_kzg_proofs(&data).unwrap();
        let commitment: [u8; 48] = *commitment.to_bytes();
        let sidecar = BlobTransactionSidecarEip7594::new(
            vec![RawBlob::from_slice(&bytes)],
            vec![Bytes48::from(commitment)],
            proofs
                .iter()
                .map(|proof| Bytes48::from(*proof.to_bytes()))
                .collect(),
        );
        Self {
            sidecar,
            commitment,
            hash: kzg_to_versioned_hash(&commitment),
            data: Some(Box::new(data)),
        }
    }

    /// The value of the blob's polynomial at z, and its proof.
    pub fn open(&self, z: U256) -> (U256, [u8; 48]) {
        let Some(data) = &self.data else {
            return (U256::ZERO, infinity().0);
        };
        let z = c_kzg::Bytes32::new(z.to_be_bytes::<32>());
        let (proof, y) = ethereum_kzg_settings(0)
            .compute_kzg_proof(data, &z)
            .unwrap();
        (
            U256::from_be_bytes(*AsRef::<[u8; 32]>::as_ref(&y)),
            *proof.to_bytes(),
        )
    }
}
