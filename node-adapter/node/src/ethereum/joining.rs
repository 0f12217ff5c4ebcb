//! Settlement through a gateway, together with other chains: the archive first, then the commitment with the blob, or of a
//! validium the operator's signature, then the batch goes to the gateway, and L1 says when it is executed.
//!
//! What a batch takes is executed on L1 before it is committed: a commitment stands in the way of whoever has to take
//! back what another chain did not keep. Uses `carillon-gateway`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use alloy::primitives::{Bytes, U256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use async_trait::async_trait;
use carillon_gateway::{Client, ClientError, KnownTail, Submission, Way};
use carillon_runtime::groth16::eip2537;
use carillon_settlement::gateway::settle_digest;
use carillon_settlement::sender::{BlockRef, Status};
use carillon_settlement::{DataMode, Trouble, commit_id, commit_intent, progress};
use tokio::sync::Mutex;

use super::super::ports::{PortError, ProvedBatch, Settler};
use super::super::store::BatchStatus;
use super::settler::{EthereumSettler, Failed, Prepared, REFUSALS, lasts, stopped};

/// A batch that the gateway has is brought again after this time, in case it has lost it.
const AGAIN: Duration = Duration::from_secs(30);

/// Seconds in which an operator's word counts.
const SIGNED_FOR: u64 = 3_600;
/// Commitments of a batch that may be taken back on L1.
const ATTEMPTS: u32 = 16;

/// Settles through a gateway.
pub(super) struct Joining {
    pub settler: EthereumSettler,
    pub gateway: Client,
    /// Signs the batches of a validium.
    pub operator: PrivateKeySigner,
    pub confirmations: u64,
    /// The newest block when a batch was first seen as executed.
    pub seen: Mutex<BTreeMap<u64, BlockRef>>,
    /// The batch that the gateway has, and since when.
    pub brought: Mutex<Option<(u64, Instant)>>,
}

/// How far the commitment of a batch is.
enum Commitment {
    /// To be made, for the time that is given.
    Due(u32),
    /// On its way.
    UnderWay,
    /// In this block.
    In(BlockRef),
}

impl Joining {
    async fn join(&self, batch: &ProvedBatch) -> Result<BatchStatus, Failed> {
        let settler = &self.settler;
        let number = batch.number;
        let chain = progress(&settler.client, settler.chain.contract).await?;
        if chain.executed >= number {
            settler.check(batch).await?;
            return self.depth(number).await;
        }
        self.seen.lock().await.remove(&number);
        let brought = *self.brought.lock().await;
        if brought.is_some_and(|(of, since)| of == number && since.elapsed() < AGAIN) {
            return Ok(BatchStatus::Proved);
        }
        let submission = match settler.mode {
            DataMode::Validium => {
                settler.give_up(&settler.id(number)).await?;
                let prepared = settler.prepare(batch).await?;
                let way = self.signed(&prepared)?;
                submission(&prepared, way)
            }
            DataMode::Rollup => {
                let block = match self.commitment(number, chain.committed)? {
                    Commitment::UnderWay => return Ok(BatchStatus::Proved),
                    Commitment::Due(attempt) => {
                        self.commit(batch, attempt).await?;
                        return Ok(BatchStatus::Proved);
                    }
                    Commitment::In(block) => block,
                };
                let Some(committed_at) = settler.client.time_of(block.hash).await? else {
                    return Ok(BatchStatus::Proved);
                };
                let prepared = settler.prepare(batch).await?;
                let Some(blob) = &prepared.blob else {
                    return Ok(BatchStatus::Proved);
                };
                let opened = blob.open(&prepared.published.challenge());
                let (_, opening) = opened.map_err(|error| PortError::contradiction(&error))?;
                let way = Way::Committed {
                    versioned_hash: prepared.published.versioned_hash,
                    queue_start: chain.queueExecuted,
                    committed_at,
                    kzg_commitment: Bytes::copy_from_slice(blob.commitment()),
                    kzg_proof: Bytes::copy_from_slice(&opening),
                };
                submission(&prepared, way)
            }
        };
        self.gateway.submit(&submission).await.map_err(failed)?;
        *self.brought.lock().await = Some((number, Instant::now()));
        Ok(BatchStatus::Proved)
    }

    async fn commit(&self, batch: &ProvedBatch, attempt: u32) -> Result<(), Failed> {
        let settler = &self.settler;
        // A node that settled alone before may have a settlement on its way.
        settler.give_up(&settler.id(batch.number)).await?;
        let ready = settler.prepare(batch).await?;
        let contract = settler.chain.contract;
        if let Some(blob) = &ready.blob {
            let intent = commit_intent(contract, &ready.published, blob, attempt);
            settler.sender.enqueue(intent).await.map_err(stopped)?;
        }
        Ok(())
    }

    /// The operator's word that others may settle the batch, for an hour. It is given anew each time that the batch is brought.
    fn signed(&self, prepared: &Prepared) -> Result<Way, Failed> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let deadline = now.unwrap_or_default().as_secs() + SIGNED_FOR;
        let batch = &prepared.published;
        let digest = settle_digest(
            self.settler.chain.l1,
            self.settler.chain.contract,
            batch.header.batch_number,
            batch.shape,
            U256::from_be_bytes(eip2537::scalar(&batch.challenge())),
            deadline,
        );
        let signature = self.operator.sign_hash_sync(&digest);
        let signature = signature.map_err(|error| PortError::contradiction(&error))?;
        Ok(Way::Signed {
            deadline,
            signature: signature.as_bytes().to_vec().into(),
        })
    }

    /// How final an executed batch is: as deep as the block that was the newest when it was first seen, if that is still of
    /// the chain. What is final is not asked for again.
    async fn depth(&self, number: u64) -> Result<BatchStatus, Failed> {
        let client = &self.settler.client;
        let settled = Ok(BatchStatus::Settled { transaction: None });
        let Some(head) = client.head().await? else {
            return settled;
        };
        let mut seen = self.seen.lock().await;
        let since = *seen.entry(number).or_insert(head);
        if head.number < since.number.saturating_add(self.confirmations) {
            return settled;
        }
        if client.block(since.number.into()).await? != Some(since) {
            seen.insert(number, head);
            return settled;
        }
        seen.remove(&number);
        Ok(BatchStatus::Final { transaction: None })
    }

    fn commitment(&self, number: u64, committed: u64) -> Result<Commitment, Failed> {
        let settler = &self.settler;
        for attempt in 0..ATTEMPTS {
            let id = commit_id(settler.chain.chain, number, attempt);
            return Ok(match settler.sender.status(&id).map_err(stopped)? {
                None => Commitment::Due(attempt),
                Some(Status::Closed(done)) => match (done.transaction, done.block) {
                    (Some(_), Some(block)) if committed >= number => Commitment::In(block),
                    // Taken back on L1, or withdrawn.
                    (Some(_), _) | (None, None) => continue,
                    (None, Some(_)) => return Err(foreign(number)),
                },
                Some(Status::InEffect(Some(_), block)) => Commitment::In(block),
                Some(Status::InEffect(None, _)) => return Err(foreign(number)),
                Some(Status::Refused { reason, times }) if times >= REFUSALS && lasts(&reason) => {
                    return Err(Failed::For(PortError::Refused(format!(
                        "{reason} ({times} times in a row); {}",
                        reason.advice()
                    ))));
                }
                Some(Status::Waiting | Status::Sent { .. } | Status::Refused { .. }) => {
                    Commitment::UnderWay
                }
            });
        }
        Err(Failed::For(PortError::Refused(format!(
            "batch {number} was committed {ATTEMPTS} times and taken back as often; who calls `revertBatches`?"
        ))))
    }
}

fn foreign(number: u64) -> Failed {
    Failed::For(PortError::Refused(format!(
        "batch {number} was committed on L1 by another transaction than this node's: take it back with `carillon-node revert`, and see that no other node has the operator's key"
    )))
}

fn submission(prepared: &Prepared, way: Way) -> Submission {
    let data = prepared.published.data();
    let tails = prepared.tails.iter().map(|tail| KnownTail {
        from: tail.from,
        count: tail.count,
        time: tail.time,
        lane_hash: tail.laneHash,
        entries: tail.entries.clone(),
    });
    Submission {
        chain_id: prepared.published.chain_id,
        shape: prepared.published.shape,
        h: data.h,
        c_h: data.cH,
        c_b: data.cB,
        y_b: U256::from_be_bytes(eip2537::scalar(&prepared.blob_value)),
        proof: Bytes::copy_from_slice(&prepared.proof.to_eip2537()),
        tails: tails.collect(),
        way,
    }
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
