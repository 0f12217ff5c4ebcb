//! Batches that are committed on L1 and not executed, with what the contract wants back to take them
//! away. Called by the command that reverts batches.

use alloy::primitives::{B256, keccak256};
use alloy::sol_types::SolValue;
use blstrs::Scalar;

use super::history::{Executed, History, chain_of, published};
use super::messages::MessageError;
use crate::abi::IRollupChain::StoredBatch;
use crate::calls::PublishedBatch;
use crate::watch::NodeSource;
use carillon_protocol::Header;

/// The committed batches that are not executed, from the oldest on.
///
/// # Errors
/// [`MessageError::NotPublished`] for batches that came through another contract,
/// [`MessageError::WrongData`] if the calldata do not lead to the hash that the contract keeps.
pub async fn pending_batches(
    source: &NodeSource,
    history: &History,
) -> Result<Vec<StoredBatch>, MessageError> {
    let chain_id = chain_of(source).await?.chain;
    let mut start = history.executed.last().map_or(0, |last| last.queue_end);
    let mut found = Vec::new();
    for committed in &history.pending {
        let stored = stored(source, chain_id, committed, start).await?;
        start = stored.queueEnd;
        found.push(stored);
    }
    Ok(found)
}

async fn stored(
    source: &NodeSource,
    chain_id: u64,
    batch: &Executed,
    queue_start: u64,
) -> Result<StoredBatch, MessageError> {
    let number = batch.number;
    let wrong = |reason: &str| MessageError::WrongData {
        number,
        reason: reason.into(),
    };
    let (time, data) = published(source, batch).await?;
    let data = data.ok_or(MessageError::NotPublished { number })?;
    let field = |word: &alloy::primitives::U256| -> Option<Scalar> {
        Scalar::from_bytes_be(&word.to_be_bytes()).into()
    };
    let words: Option<Vec<Scalar>> = data.h.iter().map(field).collect();
    let header = words.and_then(|words| Header::from_words(&words).ok());
    let (Some(header), Some(c_h), Some(c_b)) = (header, field(&data.c_h), field(&data.c_b)) else {
        return Err(wrong("they are no public data of a batch"));
    };
    let public = PublishedBatch {
        chain_id,
        shape: data.shape,
        header,
        header_commitment: c_h,
        blob_commitment: c_b,
        versioned_hash: batch.versioned_hash,
    };
    let stored = public.stored(queue_start, time);
    let hash: B256 = keccak256(stored.abi_encode());
    if hash != batch.hash {
        return Err(wrong("another hash of the stored batch"));
    }
    Ok(stored)
}
