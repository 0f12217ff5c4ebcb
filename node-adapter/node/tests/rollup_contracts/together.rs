//! Batches of several chains, made ready for the gateway: signed, or committed.

use alloy::primitives::{Bytes, U256};
use alloy::rpc::types::TransactionReceipt;
use alloy::signers::SignerSync;
use carillon_settlement::Refusal;
use carillon_settlement::abi::Gateway;
use carillon_settlement::abi::RollupChain;
use carillon_settlement::gateway::{Member, Way, settle_digest, settle_many};
use carillon_settlement::lanes::Tail;

use super::common::batch::{Batch, Record};
use super::network::Network;

/// A signature that counts for long.
pub const LATE: u64 = 1 << 40;

impl Network {
    /// The operator's signature for a batch, until `deadline`; by another account of anvil if `by` is not 0.
    pub fn sign(&self, at: usize, batch: &Batch, by: usize, deadline: u64) -> Bytes {
        let chain = self.sides[at].contract;
        let digest = settle_digest(31337, chain, batch.number, batch.shape, batch.z(), deadline);
        let signer = &self.world.anvil.signers()[by];
        let signature = signer.sign_hash_sync(&digest).unwrap();
        signature.as_bytes().to_vec().into()
    }

    fn member(&mut self, batch: &Batch, way: Way) -> Member {
        let (_, verifier) = self.world.l1.verifiers[0];
        Member {
            chain_id: batch.chain_id,
            verifier,
            inputs: batch.inputs(),
            proof: batch.proof(&self.world.key, &mut self.world.rng),
            way,
        }
    }

    /// A batch with its operator's signature.
    pub fn signed(&mut self, at: usize, batch: &Batch) -> Member {
        let signature = self.sign(at, batch, 0, LATE);
        let way = Way::Signed {
            batch: batch.data(),
            deadline: LATE,
            signature,
        };
        self.member(batch, way)
    }

    /// Commits a batch, which is on its way then.
    pub async fn committed(&mut self, at: usize, batch: &Batch) -> Member {
        self.committed_for(at, batch).await.0
    }

    /// The same, with the gas of the commitment.
    pub async fn committed_for(&mut self, at: usize, batch: &Batch) -> (Member, u64) {
        let contract = self.sides[at].contract;
        let progress = self.world.view(contract, &RollupChain::progressCall {});
        let start = progress.await.unwrap().queueCommitted;
        let commit = RollupChain::commitCall {
            batch: batch.data(),
        };
        let sent = match batch.validium {
            true => {
                let operator = self.world.user(0);
                self.world.send(operator, contract, &commit).await
            }
            false => {
                self.world
                    .send_blob(0, contract, &commit, &batch.blob)
                    .await
            }
        };
        let sent = sent.unwrap();
        let time = self.world.time_of(&sent).await;
        let way = Way::Committed {
            stored: Box::new(batch.stored(start, time)),
            records: batch.crossings(),
        };
        (self.member(batch, way), sent.gas_used)
    }

    /// The next batches of these chains, signed.
    pub fn all_signed(&mut self, batches: &[(usize, Vec<Record>)]) -> Vec<Member> {
        let ready = |(at, records): &(usize, Vec<Record>)| {
            let batch = self.batch(*at, records.clone());
            self.signed(*at, &batch)
        };
        batches.iter().map(ready).collect()
    }

    /// Sends a call to the gateway as somebody without any role.
    pub async fn settle_many(
        &self,
        members: &[Member],
        tails: Vec<Tail>,
    ) -> Result<TransactionReceipt, Refusal> {
        self.gateway(&settle_many(members, tails)).await
    }

    pub async fn gateway(
        &self,
        call: &Gateway::settleManyCall,
    ) -> Result<TransactionReceipt, Refusal> {
        let (somebody, gateway) = (self.world.user(9), self.world.l1.gateway);
        self.world.send(somebody, gateway, call).await
    }

    /// Settles the next batch of a chain without blobs as its operator.
    pub async fn settle_alone(
        &mut self,
        at: usize,
        records: Vec<Record>,
    ) -> Result<TransactionReceipt, Refusal> {
        let batch = self.batch(at, records);
        let call = RollupChain::settleCall {
            batch: batch.data(),
            proof: batch.proof(&self.world.key, &mut self.world.rng),
            tails: vec![],
        };
        let (operator, contract) = (self.world.user(0), self.sides[at].contract);
        self.world.send(operator, contract, &call).await
    }

    /// How far a chain is.
    pub async fn executed(&self, at: usize) -> (u64, U256) {
        let contract = self.sides[at].contract;
        let progress = self.world.view(contract, &RollupChain::progressCall {});
        let root = self.world.view(contract, &RollupChain::stateRootCall {});
        (progress.await.unwrap().executed, root.await.unwrap())
    }
}

/// What the chain said that the gateway was refused by: item, step and reason.
pub fn inner(refused: Result<TransactionReceipt, Refusal>) -> (u64, u64, &'static str) {
    match refused.unwrap_err() {
        Refusal::Step {
            item, step, reason, ..
        } => (item, step, reason.name()),
        other => panic!("{other}"),
    }
}
