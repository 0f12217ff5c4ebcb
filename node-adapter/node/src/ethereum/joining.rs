//! Settlement through a gateway, together with other chains: the archive first, then the commitment with the blob, then
//! the batch goes to the gateway, and L1 says when it is executed.
//!
//! A batch whose takes are sent by a batch that is not executed yet can go no other way. Uses `carillon-gateway`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use alloy::primitives::{Bytes, U256};
use async_trait::async_trait;
use carillon_gateway::{Client, ClientError, KnownTail, Submission, Way};
use carillon_runtime::groth16::eip2537;
use carillon_settlement::sender::{BlockRef, Status};
use carillon_settlement::{Trouble, commit_id, commit_intent, progress};
use tokio::sync::Mutex;

use super::super::ports::{PortError, ProvedBatch, Settler};
use super::super::store::BatchStatus;
use super::settler::{EthereumSettler, Failed, Prepared, stopped};

/// A batch that the gateway has is brought again after this time, in case it has lost it.
const AGAIN: Duration = Duration::from_secs(30);

/// Settles through a gateway.
pub(super) struct Joining {
    pub settler: EthereumSettler,
    pub gateway: Client,
    pub confirmations: u64,
    /// The block at which a batch was first seen as executed.
    pub seen: Mutex<BTreeMap<u64, u64>>,
    /// The batch that the gateway has, and since when.
    pub brought: Mutex<Option<(u64, Instant)>>,
}

impl Joining {
    async fn join(&self, batch: &ProvedBatch) -> Result<BatchStatus, Failed> {
        let settler = &self.settler;
        let number = batch.number;
        let chain = progress(&settler.client, settler.chain.contract).await?;
        if chain.executed >= number {
            settler.check(batch).await?;
            let head = settler.client.head().await?;
            let mut seen = self.seen.lock().await;
            let since = *seen.entry(number).or_insert(head);
            // What is final is not asked for again.
            if head < since + self.confirmations {
                return Ok(BatchStatus::Settled { transaction: None });
            }
            seen.remove(&number);
            return Ok(BatchStatus::Final { transaction: None });
        }
        self.seen.lock().await.remove(&number);
        let brought = *self.brought.lock().await;
        if brought.is_some_and(|(of, since)| of == number && since.elapsed() < AGAIN) {
            return Ok(BatchStatus::Proved);
        }
        let prepared = settler.prepare(batch).await?;
        let Some((block, closed)) = self.committed(&prepared).await? else {
            return Ok(BatchStatus::Proved);
        };
        if chain.committed < number && closed {
            return Err(Failed::For(PortError::Refused(format!(
                "the commitment of batch {number} was taken back on L1 after it was final; restart without --gateway, so that the batch settles alone"
            ))));
        }
        if chain.committed < number {
            return Ok(BatchStatus::Proved);
        }
        let time = settler.client.time_of(block.hash).await?;
        let Some(committed_at) = time else {
            return Ok(BatchStatus::Proved);
        };
        let submission = submission(&prepared, chain.queueExecuted, committed_at)?;
        self.gateway.submit(&submission).await.map_err(failed)?;
        *self.brought.lock().await = Some((number, Instant::now()));
        Ok(BatchStatus::Proved)
    }

    /// The block that has the commitment, once there is one, and whether that is final.
    async fn committed(&self, prepared: &Prepared) -> Result<Option<(BlockRef, bool)>, Failed> {
        let settler = &self.settler;
        let (chain, number) = (settler.chain.chain, prepared.published.header.batch_number);
        let status = settler.sender.status(&commit_id(chain, number));
        match status.map_err(stopped)? {
            None => {
                let intent =
                    commit_intent(settler.chain.contract, &prepared.published, &prepared.blob);
                settler.sender.enqueue(intent).await.map_err(stopped)?;
                Ok(None)
            }
            Some(Status::InEffect(Some(_), block)) => Ok(Some((block, false))),
            Some(Status::Closed(done)) if done.transaction.is_some() => {
                Ok(done.block.map(|block| (block, true)))
            }
            Some(Status::InEffect(None, _) | Status::Closed(_)) => {
                Err(Failed::For(PortError::Refused(format!(
                    "batch {number} was committed on L1 by another transaction than this node's: take it back with `carillon-node revert`, and see that no other node has the operator's key"
                ))))
            }
            Some(Status::Waiting | Status::Sent { .. } | Status::Refused { .. }) => Ok(None),
        }
    }
}

fn submission(
    prepared: &Prepared,
    queue_start: u64,
    committed_at: u64,
) -> Result<Submission, Failed> {
    let Prepared {
        published,
        blob,
        proof,
        tails,
    } = prepared;
    let opened = blob.open(&published.challenge());
    let (value, opening) = opened.map_err(|error| PortError::contradiction(&error))?;
    let data = published.data();
    let tails = tails.iter().map(|tail| KnownTail {
        from: tail.from,
        count: tail.count,
        time: tail.time,
        lane_hash: tail.laneHash,
        entries: tail.entries.clone(),
    });
    Ok(Submission {
        chain_id: published.chain_id,
        shape: published.shape,
        h: data.h,
        c_h: data.cH,
        c_b: data.cB,
        y_b: U256::from_be_bytes(eip2537::scalar(&value)),
        proof: Bytes::copy_from_slice(&proof.to_eip2537()),
        tails: tails.collect(),
        way: Way::Committed {
            versioned_hash: published.versioned_hash,
            queue_start,
            committed_at,
            kzg_commitment: Bytes::copy_from_slice(blob.commitment()),
            kzg_proof: Bytes::copy_from_slice(&opening),
        },
    })
}

fn failed(error: ClientError) -> Failed {
    let next_step = match &error {
        ClientError::Refused(_) => {
            "compare the gateway's deployment and this chain's; it is tried again"
        }
        _ => {
            "start the gateway, or restart without --gateway after `carillon-node revert`; it is tried again"
        }
    };
    let trouble = Trouble {
        kind: "gateway",
        reason: error.to_string(),
        next_step: next_step.into(),
    };
    Failed::Now(trouble, None)
}

#[async_trait]
impl Settler for Joining {
    async fn settle(&self, batch: &ProvedBatch) -> Result<BatchStatus, PortError> {
        self.settler.paced(self.join(batch)).await
    }
}
