//! Batches of many chains in one transaction: what the operator signs for it, and the call of `Gateway`.
//! Pure, no I/O.
//!
//! PROTOCOL.md, "Gateway". Called by a node, which signs its proved batch, and by the gateway service, which puts
//! batches of several chains together. The contracts compute the same; `rollup_contracts`, a test of
//! `carillon-node`, compares.

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::{SolCall, SolStruct, eip712_domain};

use crate::abi::Gateway;
use crate::abi::IGateway::{Fold, Item};
use crate::abi::IRollupChain::{BatchData, BatchProof, StoredBatch};
use crate::abi::RollupChain::{self, Crossings};
use crate::lanes::Tail;

/// The most proofs that one check takes (`Groth16Verifier.MAX_PROOFS`).
pub const MOST_PROOFS: usize = 32;

mod typed {
    #![allow(missing_docs)]
    alloy::sol! {
        /// What an operator signs: that this batch may be settled by whoever has the signature.
        struct Settle {
            uint64 number;
            uint32 shape;
            uint256 z;
            uint64 deadline;
        }
    }
}

/// What the operator of a chain signs (EIP-712), so that others may settle a batch: its number, its shape, its challenge,
/// which names all its public data, and the last second in which the signature counts (Unix time).
pub fn settle_digest(
    l1_chain_id: u64,
    chain: Address,
    number: u64,
    shape: u32,
    z: U256,
    deadline: u64,
) -> B256 {
    let domain = eip712_domain! {
        name: "Carillon",
        version: "1",
        chain_id: l1_chain_id,
        verifying_contract: chain,
    };
    typed::Settle {
        number,
        shape,
        z,
        deadline,
    }
    .eip712_signing_hash(&domain)
}

/// How a batch comes to the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// Not on L1 yet, with the operator's signature. A batch of a chain with blobs comes so only if its blob is in the
    /// same transaction.
    Signed {
        /// What the operator publishes.
        batch: BatchData,
        /// Last second in which the signature counts.
        deadline: u64,
        /// 65 bytes: r, s, v.
        signature: Bytes,
    },
    /// Committed by its operator.
    Committed {
        /// What the chain keeps the hash of.
        stored: Box<StoredBatch>,
        /// The words of its sends and takes.
        records: Vec<U256>,
    },
}

/// A proved batch on its way to the gateway's contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its chain.
    pub chain_id: u64,
    /// The verifier of its shape.
    pub verifier: Address,
    /// The public inputs C_H, C_B, z, y_H, y_B.
    pub inputs: [U256; 5],
    /// y_B with its KZG proof, if the chain has blobs, and the circuit's proof.
    pub proof: BatchProof,
    /// How it comes.
    pub way: Way,
}

impl Member {
    /// What is done on its chain. The circuit's proof is checked before, with others.
    fn steps(&self) -> Vec<Bytes> {
        let proof = BatchProof {
            proof: Bytes::new(),
            ..self.proof.clone()
        };
        match &self.way {
            Way::Signed {
                batch,
                deadline,
                signature,
            } => {
                let call = RollupChain::settleForCall {
                    batch: batch.clone(),
                    proof,
                    tails: Vec::new(),
                    deadline: *deadline,
                    signature: signature.clone(),
                };
                vec![call.abi_encode().into()]
            }
            Way::Committed { stored, records } => {
                let prove = RollupChain::proveCall {
                    stored: (**stored).clone(),
                    proof,
                };
                let execute = RollupChain::executeCall {
                    stored: (**stored).clone(),
                    crossings: Crossings {
                        records: records.clone(),
                        tails: Vec::new(),
                    },
                };
                vec![prove.abi_encode().into(), execute.abi_encode().into()]
            }
        }
    }
}

/// The call that settles these batches, each chain's in their order. Proofs of one verifier are checked together.
pub fn settle_many(members: &[Member], tails: Vec<Tail>) -> Gateway::settleManyCall {
    let mut folds: Vec<Fold> = Vec::new();
    let mut items: Vec<Item> = Vec::new();
    for member in members {
        let open = folds
            .iter_mut()
            .find(|fold| fold.verifier == member.verifier && fold.proofs.len() < MOST_PROOFS);
        let (proof, inputs) = (member.proof.proof.clone(), member.inputs);
        match open {
            Some(fold) => {
                fold.proofs.push(proof);
                fold.inputs.push(inputs);
            }
            None => folds.push(Fold {
                verifier: member.verifier,
                proofs: vec![proof],
                inputs: vec![inputs],
            }),
        }
        let steps = member.steps();
        match items
            .iter_mut()
            .find(|item| item.chainId == member.chain_id)
        {
            Some(item) => item.steps.extend(steps),
            None => items.push(Item {
                chainId: member.chain_id,
                steps,
            }),
        }
    }
    Gateway::settleManyCall {
        folds,
        items,
        tails: tails.into_iter().map(Into::into).collect(),
    }
}
