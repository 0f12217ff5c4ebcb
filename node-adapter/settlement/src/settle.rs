//! A proved batch as an intent of the L1 sender, and how to see on L1 that it took effect.
//!
//! Called by the node's settler and the demo.

use alloy::primitives::{Address, Bytes, U256};
use alloy::sol_types::SolCall;
use async_trait::async_trait;
use blstrs::Scalar;
use carillon_runtime::groth16::Proof;

use super::abi::IRollupChain::{BatchProof, Progress};
use super::abi::RollupChain;
use super::calls::{PublishedBatch, batch_proof, proof_without_blob};
use super::lanes::Tail;
use super::sender::{Intent, Outcome};
use super::{BatchBlob, L1Client, SettlementError};

/// Of an intent that only commits, in front of the number.
const COMMITTED: u8 = 1;

/// The intent that settles a batch in one transaction: commit, prove, execute. For batches that take
/// nothing from lanes, or all that was sent; for others see [`settle_with_tails`].
///
/// # Errors
/// [`SettlementError::Blob`] if the blob cannot be opened at the challenge.
pub fn settle_intent(
    chain: Address,
    batch: &PublishedBatch,
    blob: &BatchBlob,
    proof: &Proof,
) -> Result<Intent, SettlementError> {
    settle_with_tails(chain, batch, blob, proof, Vec::new())
}

/// [`settle_intent`] with what follows in the lanes of which the batch does not take everything.
///
/// # Errors
/// As [`settle_intent`].
pub fn settle_with_tails(
    chain: Address,
    batch: &PublishedBatch,
    blob: &BatchBlob,
    proof: &Proof,
    tails: Vec<Tail>,
) -> Result<Intent, SettlementError> {
    let (value, opening) = blob.open(&batch.challenge())?;
    let proof = batch_proof(&value, blob.commitment(), &opening, proof);
    Ok(intent(chain, batch, proof, tails, vec![blob.bytes()]))
}

/// [`settle_with_tails`] on a validium: no blob goes with it. `value` is y_B, B as a polynomial at the
/// challenge.
pub fn settle_without_blob(
    chain: Address,
    batch: &PublishedBatch,
    value: &Scalar,
    proof: &Proof,
    tails: Vec<Tail>,
) -> Intent {
    let proof = proof_without_blob(value, proof);
    intent(chain, batch, proof, tails, Vec::new())
}

fn intent(
    chain: Address,
    batch: &PublishedBatch,
    proof: BatchProof,
    tails: Vec<Tail>,
    blobs: Vec<Bytes>,
) -> Intent {
    let call = RollupChain::settleCall {
        batch: batch.data(),
        proof,
        tails,
    };
    let number = batch.header.batch_number;
    Intent {
        id: format!("settle/{}/{number}", batch.chain_id),
        to: chain,
        value: U256::ZERO,
        input: call.abi_encode().into(),
        blobs,
        check: Bytes::copy_from_slice(&number.to_be_bytes()),
    }
}

/// The intent that commits a batch, which others prove and execute.
pub fn commit_intent(
    chain: Address,
    batch: &PublishedBatch,
    blob: &BatchBlob,
    attempt: u32,
) -> Intent {
    let call = RollupChain::commitCall {
        batch: batch.data(),
    };
    let number = batch.header.batch_number;
    Intent {
        id: commit_id(batch.chain_id, number, attempt),
        to: chain,
        value: U256::ZERO,
        input: call.abi_encode().into(),
        blobs: vec![blob.bytes()],
        check: [&[COMMITTED][..], &number.to_be_bytes()].concat().into(),
    }
}

/// What names the commitment of a batch in the sender's journal. One that was taken back on L1 is attempted anew
/// under another name.
pub fn commit_id(chain_id: u64, number: u64, attempt: u32) -> String {
    format!("commit/{chain_id}/{number}/{attempt}")
}

/// How far a chain is.
///
/// # Errors
/// Errors of the node, and an answer that is none of this contract.
pub async fn progress(client: &L1Client, chain: Address) -> Result<Progress, SettlementError> {
    let input = RollupChain::progressCall {}.abi_encode();
    let answer = client.call("progress", chain, input.into()).await?;
    RollupChain::progressCall::abi_decode_returns(&answer).map_err(|error| SettlementError::Rpc {
        request: "progress",
        reason: format!("{chain} does not answer like a RollupChain: {error}"),
    })
}

/// The state root of the last executed batch, 32 bytes big-endian.
///
/// # Errors
/// As [`progress`].
pub async fn state_root(client: &L1Client, chain: Address) -> Result<U256, SettlementError> {
    let input = RollupChain::stateRootCall {}.abi_encode();
    let answer = client.call("stateRoot", chain, input.into()).await?;
    RollupChain::stateRootCall::abi_decode_returns(&answer).map_err(|error| SettlementError::Rpc {
        request: "stateRoot",
        reason: format!("{chain} does not answer like a RollupChain: {error}"),
    })
}

/// Sees that a batch took effect: the chain has executed, or committed, as many.
#[derive(Clone, Debug)]
pub struct Executed {
    /// Reads the chain.
    pub client: L1Client,
}

#[async_trait]
impl Outcome for Executed {
    async fn taken(&self, intent: &Intent) -> Result<bool, SettlementError> {
        let number = |bytes: &[u8]| {
            let bytes: Option<[u8; 8]> = bytes.try_into().ok();
            bytes.map_or(u64::MAX, u64::from_be_bytes)
        };
        let chain = progress(&self.client, intent.to).await?;
        Ok(match intent.check.split_first() {
            Some((&COMMITTED, rest)) if rest.len() == 8 => chain.committed >= number(rest),
            _ => chain.executed >= number(&intent.check),
        })
    }
}
