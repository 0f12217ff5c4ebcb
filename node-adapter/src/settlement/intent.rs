//! What is to be settled, as plain data, and its encoding for the contracts. No I/O.
//!
//! Called by [`super::RollupContract`]. The public inputs are those of the circuit and of
//! `RollupChain.sol`: old root, new root, `chain id * 2^64 + batch number`, data commitment.

use alloy::primitives::{Bytes, U256};
use alloy::sol_types::SolCall;
use blstrs::Scalar;
use carillon_runtime::groth16::{Proof, VerifyingKey, eip2537};

use super::SettlementError;
use super::contracts::{IRollupChain, RollupChain};
use crate::batch::PublicInputs;
use crate::sequencer::SealedBatch;

/// Public inputs of the batch circuit, without the constant ONE.
pub(crate) const PUBLIC_INPUTS: usize = 4;

/// What a batch claims about the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// The rollup chain's id.
    pub chain_id: u64,
    /// The batch number; the first batch is 1.
    pub batch_number: u64,
    /// State root before the batch.
    pub old_root: Scalar,
    /// State root after the batch.
    pub new_root: Scalar,
    /// The circuit's commitment to the batch's data.
    pub data_commitment: Scalar,
}

impl BatchHeader {
    /// The public inputs that the contract will derive from this claim.
    pub fn public_inputs(&self) -> PublicInputs {
        PublicInputs {
            old_root: self.old_root,
            new_root: self.new_root,
            header: PublicInputs::header(self.chain_id, self.batch_number),
            data_commitment: self.data_commitment,
        }
    }
}

/// One batch, ready to be settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettlementIntent {
    /// The claim.
    pub header: BatchHeader,
    /// The packed transfers that go into the calldata.
    pub data: Vec<u8>,
    /// The proof of the claim.
    pub proof: Proof,
}

impl SettlementIntent {
    /// The intent to settle a sealed batch of the chain `chain_id` with its proof.
    pub fn new(chain_id: u64, batch: &SealedBatch, proof: Proof) -> Self {
        Self {
            header: BatchHeader {
                chain_id,
                batch_number: batch.number,
                old_root: batch.old_root,
                new_root: batch.new_root,
                data_commitment: batch.public_inputs.data_commitment,
            },
            data: batch.data.clone(),
            proof,
        }
    }

    /// The calldata of `RollupChain.settle`.
    pub fn calldata(&self) -> Bytes {
        RollupChain::settleCall {
            batch: IRollupChain::Batch {
                number: self.header.batch_number,
                oldRoot: word(&self.header.old_root),
                newRoot: word(&self.header.new_root),
                dataCommitment: word(&self.header.data_commitment),
            },
            data: self.data.clone().into(),
            proof: self.proof.to_eip2537().to_vec().into(),
        }
        .abi_encode()
        .into()
    }
}

/// A field element as a `uint256`.
pub(crate) fn word(value: &Scalar) -> U256 {
    U256::from_be_bytes(eip2537::scalar(value))
}

/// The verifying key as the constructor of `Groth16Verifier` takes it: alpha (G1), beta, gamma,
/// delta (G2), then the five input points (G1), in EIP-2537 encoding; 1,536 bytes. Refuses keys of
/// circuits with another number of public inputs.
pub fn verifying_key_bytes(key: &VerifyingKey) -> Result<Vec<u8>, SettlementError> {
    if key.ic.len() != PUBLIC_INPUTS + 1 {
        return Err(SettlementError::WrongKey {
            found: key.ic.len().saturating_sub(1),
            expected: PUBLIC_INPUTS,
        });
    }
    let mut bytes = eip2537::g1(&key.alpha_g1).to_vec();
    for point in [&key.beta_g2, &key.gamma_g2, &key.delta_g2] {
        bytes.extend_from_slice(&eip2537::g2(point));
    }
    for point in &key.ic {
        bytes.extend_from_slice(&eip2537::g1(point));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use group::prime::PrimeCurveAffine;

    fn header() -> BatchHeader {
        BatchHeader {
            chain_id: 7,
            batch_number: 9,
            old_root: Scalar::from(1),
            new_root: Scalar::from(2),
            data_commitment: Scalar::from(3),
        }
    }

    #[test]
    fn chain_id_and_number_share_one_input() {
        let inputs = header().public_inputs();
        assert_eq!(word(&inputs.header), (U256::from(7) << 64) + U256::from(9));
        let largest = BatchHeader {
            chain_id: u64::MAX,
            batch_number: u64::MAX,
            ..header()
        };
        assert_eq!(
            word(&largest.public_inputs().header),
            U256::from(u128::MAX),
            "both halves fit without touching each other"
        );
    }

    #[test]
    fn calldata_decodes_to_the_intent() {
        let proof = Proof {
            a: PrimeCurveAffine::generator(),
            b: PrimeCurveAffine::generator(),
            c: PrimeCurveAffine::generator(),
        };
        let intent = SettlementIntent {
            header: header(),
            data: vec![1, 2, 3],
            proof,
        };
        let call = RollupChain::settleCall::abi_decode(&intent.calldata()).unwrap();
        assert_eq!(call.batch.number, 9);
        assert_eq!(call.batch.oldRoot, U256::from(1));
        assert_eq!(call.batch.newRoot, U256::from(2));
        assert_eq!(call.batch.dataCommitment, U256::from(3));
        assert_eq!(call.data.as_ref(), [1, 2, 3]);
        assert_eq!(call.proof.as_ref(), intent.proof.to_eip2537());
    }

    #[test]
    fn a_key_with_other_inputs_is_refused() {
        let g1 = PrimeCurveAffine::generator();
        let g2 = PrimeCurveAffine::generator();
        let mut key = VerifyingKey {
            alpha_g1: g1,
            beta_g1: g1,
            beta_g2: g2,
            gamma_g2: g2,
            delta_g1: g1,
            delta_g2: g2,
            ic: vec![g1; PUBLIC_INPUTS + 1],
        };
        assert_eq!(verifying_key_bytes(&key).unwrap().len(), 1536);
        key.ic.pop();
        let error = verifying_key_bytes(&key).unwrap_err().to_string();
        assert!(error.contains("3 public inputs"), "{error}");
    }
}
