//! Signed transactions: type 2 for calldata, type 3 with an EIP-7594 sidecar (cell proofs) for blobs.
//!
//! No I/O. Making the proofs of a blob takes long (a second in an unoptimised build), so a sidecar
//! is made once per intent and kept. Called by `run`.

use alloy::consensus::{SignableTransaction, TxEip1559, TxEip4844, TxEip4844WithSidecar};
use alloy::eips::Encodable2718;
use alloy::eips::eip4844::Blob;
use alloy::eips::eip7594::BlobTransactionSidecarEip7594;
use alloy::primitives::{Address, B256, Bytes, TxKind, U256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;

use super::{Fees, Intent, Variant};

/// Bytes of a blob (EIP-4844): 4,096 field elements of 32 bytes.
pub const BLOB_BYTES: usize = 131_072;

/// Gas of a transfer that calls nothing.
const BLANK_GAS: u64 = 21_000;

/// Why a transaction could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// A blob has the wrong size.
    #[error("blob {index} has {found} bytes instead of {BLOB_BYTES}")]
    BlobSize {
        /// Which.
        index: usize,
        /// Its size.
        found: usize,
    },
    /// A blob is not a sequence of field elements.
    #[error(
        "the blobs have no KZG commitment ({0}): each 32 bytes must be below the field's modulus"
    )]
    Kzg(String),
    /// The key refused.
    #[error("the transaction could not be signed: {0}")]
    Key(String),
}

/// The blobs of an intent with commitments and cell proofs; empty without blobs.
#[derive(Clone, Debug, Default)]
pub struct Sidecar {
    content: Option<BlobTransactionSidecarEip7594>,
    hashes: Vec<B256>,
}

impl Sidecar {
    /// Commits to the blobs of an intent and proves the cells.
    pub fn new(intent: &Intent) -> Result<Self, SignError> {
        if intent.blobs.is_empty() {
            return Ok(Self::default());
        }
        // In place: a blob that is passed by value through iterators fills a thread's stack.
        let mut blobs = Vec::with_capacity(intent.blobs.len());
        for (index, bytes) in intent.blobs.iter().enumerate() {
            let found = bytes.len();
            if found != BLOB_BYTES {
                return Err(SignError::BlobSize { index, found });
            }
            blobs.push(Blob::ZERO);
            if let Some(blob) = blobs.last_mut() {
                blob.0.copy_from_slice(bytes);
            }
        }
        let content = BlobTransactionSidecarEip7594::try_from_blobs(blobs)
            .map_err(|error| SignError::Kzg(error.to_string()))?;
        let hashes = content.versioned_hashes().collect();
        Ok(Self {
            content: Some(content),
            hashes,
        })
    }

    /// Versioned hashes of the blobs, as the contract sees them.
    pub fn hashes(&self) -> &[B256] {
        &self.hashes
    }
}

/// What a transaction needs beside its intent.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Of the L1 chain.
    pub chain_id: u64,
    /// Of the sender's address.
    pub nonce: u64,
    /// Gas limit of the call; a blank has its own.
    pub gas: u64,
    /// What is offered.
    pub fees: Fees,
    /// Use up the nonce, do not call.
    pub blank: bool,
}

/// What a transaction does, whatever its type.
struct Call {
    to: Address,
    value: U256,
    input: Bytes,
    gas: u64,
}

impl Call {
    /// The intent's call, or the blank of the address `own` in its place.
    fn new(intent: &Intent, own: Address, terms: Terms) -> Self {
        if terms.blank {
            return Self {
                to: own,
                value: U256::ZERO,
                input: Bytes::new(),
                gas: BLANK_GAS,
            };
        }
        Self {
            to: intent.to,
            value: intent.value,
            input: intent.input.clone(),
            gas: terms.gas,
        }
    }
}

/// Signs the intent's call, or a blank in its place. A blank of a blob transaction carries the same
/// blobs, because pools replace a blob transaction only by another one.
pub fn sign(
    signer: &PrivateKeySigner,
    intent: &Intent,
    sidecar: &Sidecar,
    terms: Terms,
) -> Result<Variant, SignError> {
    let call = Call::new(intent, signer.address(), terms);
    let gas = call.gas;
    let (raw, hash) = match &sidecar.content {
        None => {
            let transaction = plain_transaction(call, terms);
            let signature = signature(signer, transaction.signature_hash())?;
            let signed = transaction.into_signed(signature);
            (signed.encoded_2718(), *signed.hash())
        }
        Some(content) => {
            let transaction = blob_transaction(call, terms, &sidecar.hashes);
            let signature = signature(signer, transaction.signature_hash())?;
            let full = TxEip4844WithSidecar::from_tx_and_sidecar(transaction, content.clone());
            let signed = full.into_signed(signature);
            (signed.encoded_2718(), *signed.hash())
        }
    };
    Ok(Variant {
        hash,
        raw: raw.into(),
        fees: terms.fees,
        gas,
        blank: terms.blank,
    })
}

fn plain_transaction(call: Call, terms: Terms) -> TxEip1559 {
    TxEip1559 {
        chain_id: terms.chain_id,
        nonce: terms.nonce,
        gas_limit: call.gas,
        max_fee_per_gas: terms.fees.max,
        max_priority_fee_per_gas: terms.fees.tip,
        to: TxKind::Call(call.to),
        value: call.value,
        input: call.input,
        ..Default::default()
    }
}

fn blob_transaction(call: Call, terms: Terms, hashes: &[B256]) -> TxEip4844 {
    TxEip4844 {
        chain_id: terms.chain_id,
        nonce: terms.nonce,
        gas_limit: call.gas,
        max_fee_per_gas: terms.fees.max,
        max_priority_fee_per_gas: terms.fees.tip,
        to: call.to,
        value: call.value,
        blob_versioned_hashes: hashes.to_vec(),
        max_fee_per_blob_gas: terms.fees.blob,
        input: call.input,
        ..Default::default()
    }
}

fn signature(
    signer: &PrivateKeySigner,
    hash: B256,
) -> Result<alloy::primitives::Signature, SignError> {
    signer
        .sign_hash_sync(&hash)
        .map_err(|error| SignError::Key(error.to_string()))
}
