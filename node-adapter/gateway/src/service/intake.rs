//! A batch is taken in after everything that can be known of it by itself was checked.
//!
//! Part of `service`.

use alloy::primitives::{Address, Signature};
use carillon_settlement::SettlementError;
use carillon_settlement::gateway::settle_digest;

use super::board::{BatchView, LEAST_TIME, Place, now};
use super::{Service, ServiceError};
use crate::store::Row;
use crate::submission::{Batch, Submission, Way, word};

/// Batches of a chain that may wait at the same time.
const MOST_WAITING: u64 = 64;
/// Entries of all tails of a batch.
const MOST_TAIL: usize = 4_096;

impl Service {
    /// Takes a batch in, after everything that can be known of it by itself was checked. The same batch again is no
    /// other; another one of its number takes its place.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub async fn submit(&self, submission: Submission) -> Result<BatchView, ServiceError> {
        let taken = self.take(submission).await;
        let mut board = self.board();
        match taken.is_ok() {
            true => board.counts.taken += 1,
            false => board.counts.turned_away += 1,
        }
        taken
    }

    async fn take(&self, mut submission: Submission) -> Result<BatchView, ServiceError> {
        let inner = &self.inner;
        let batch = submission.clone().batch()?;
        let _place = inner.places.acquire().await;
        let (chain, number) = (batch.published.chain_id, batch.number());
        let refused = |reason: String| ServiceError::Refused {
            chain,
            number,
            reason,
        };
        let facts = inner.chains.chain(chain).await?;
        let facts = facts.ok_or(ServiceError::UnknownChain(chain))?;
        if number <= facts.executed {
            return Ok(BatchView {
                chain,
                number,
                digest: Some(batch.digest()),
                place: Place::Executed,
                reason: None,
                since: None,
            });
        }
        if facts.halted {
            return Err(refused(
                "the chain is halted for good; nothing of it is settled any more".into(),
            ));
        }
        if number > facts.executed.saturating_add(MOST_WAITING) {
            return Err(refused(format!(
                "chain {chain} has executed {}, and at most {MOST_WAITING} batches wait here; come back later",
                facts.executed
            )));
        }
        match (&submission.way, facts.validium) {
            (
                Way::Signed {
                    deadline,
                    signature,
                },
                true,
            ) => {
                if *deadline < now() + LEAST_TIME {
                    return Err(refused(format!(
                        "the operator's signature counts until {deadline}, too short from now; sign for longer"
                    )));
                }
                let z = word(&batch.published.challenge());
                let l1 = inner.chains.l1_chain_id;
                let digest =
                    settle_digest(l1, facts.contract, number, submission.shape, z, *deadline);
                let signer = Signature::try_from(signature.as_ref())
                    .ok()
                    .and_then(|signature| signature.recover_address_from_prehash(&digest).ok());
                if signer != Some(facts.operator) {
                    return Err(refused(format!(
                        "it is not signed by the chain's operator {}; sign with that key, for this batch and deadline",
                        facts.operator
                    )));
                }
            }
            (
                Way::Committed {
                    queue_start,
                    committed_at,
                    ..
                },
                false,
            ) => {
                let stored = batch.published.stored(*queue_start, *committed_at);
                if !inner.chains.is_committed(facts.contract, &stored).await? {
                    return Err(refused(
                        "L1 holds no such batch as committed; commit it first, and send what was committed".into(),
                    ));
                }
            }
            (Way::Signed { .. }, false) => {
                return Err(refused(
                    "the chain has blobs: commit the batch with its blob first".into(),
                ));
            }
            (Way::Committed { .. }, true) => {
                return Err(refused(
                    "the chain is a validium: sign the batch instead of committing it".into(),
                ));
            }
        }
        let verifier = inner
            .chains
            .verifier(facts.contract, submission.shape)
            .await?;
        if verifier.is_zero() {
            return Err(refused(format!(
                "the chain has no verifier for shape {}",
                submission.shape
            )));
        }
        // Of a batch that is here nothing is replaced that anybody could have made: its proof was checked, its
        // tails may be bad ones that somebody else sent before its node did.
        let held = self.board().known(&batch);
        let (batch, since) = match held {
            Some(held) => {
                let mut kept = held.batch.submission.clone();
                kept.way = submission.way;
                if held.refusals > 0 {
                    kept.tails = submission.tails;
                }
                submission = kept;
                (submission.clone().batch()?, held.since)
            }
            None => {
                let entries = submission.tails.iter().map(|tail| tail.entries.len());
                if entries.sum::<usize>() > MOST_TAIL {
                    return Err(refused(format!(
                        "its tails have more than {MOST_TAIL} entries; give the nearest checkpoints"
                    )));
                }
                self.check(&batch, verifier, &refused).await?;
                (batch, now())
            }
        };
        inner.store.put(number, &Row { since, submission })?;
        let mut board = self.board();
        board.facts.insert(chain, facts);
        board.hold(batch, since);
        board
            .view(chain, number)
            .ok_or_else(|| refused("it went meanwhile".into()))
    }

    /// What a chain would look at: the proof, and where there is a blob, that it is y_B at the challenge.
    async fn check(
        &self,
        batch: &Batch,
        verifier: Address,
        refused: &(dyn Fn(String) -> ServiceError + Sync),
    ) -> Result<(), ServiceError> {
        let chains = &self.inner.chains;
        let proof = batch.submission.proof.clone();
        match chains.verify(verifier, proof, batch.inputs).await {
            Err(SettlementError::Refused { reason, .. }) => {
                return Err(refused(format!("the verifier refuses the proof: {reason}")));
            }
            other => other?,
        }
        if let Way::Committed {
            versioned_hash,
            kzg_commitment,
            kzg_proof,
            ..
        } = &batch.submission.way
        {
            let [_, _, z, _, y] = batch.inputs;
            let opened = chains.opens(*versioned_hash, [z, y], kzg_commitment, kzg_proof);
            if !opened.await? {
                return Err(refused(
                    "the blob is not y_B at the challenge, or the commitment is another blob's"
                        .into(),
                ));
            }
        }
        Ok(())
    }
}
