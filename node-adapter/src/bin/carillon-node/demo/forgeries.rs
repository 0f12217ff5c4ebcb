//! What the contract must refuse, and the proof that it does: every forgery is sent as a real
//! transaction and must be mined as reverted, for the expected reason.

use alloy::primitives::TxHash;
use blstrs::{G1Projective, Scalar};
use carillon_node::settlement::{
    GasLimit, Refusal, RollupContract, SettlementError, SettlementIntent,
};
use ff::Field;
use group::{Curve, Group};

use crate::exit::Failure;

/// Gas for a forgery: no refused settlement comes near it, so that gas is never the reason.
const GAS: u64 = 4_000_000;

/// A forgery that the contract refused.
#[derive(Debug)]
pub struct Refused {
    /// What was forged.
    pub what: &'static str,
    /// The contract's reason.
    pub reason: Refusal,
    /// The reverted transaction.
    pub transaction: TxHash,
}

/// The batch with a well-formed proof that proves something else: C is moved by the generator.
pub fn tampered_proof(intent: &SettlementIntent) -> SettlementIntent {
    let mut forged = intent.clone();
    forged.proof.c = (forged.proof.c + G1Projective::generator()).to_affine();
    forged
}

/// The batch with its proof and another new root: the operator's wish for a better state.
pub fn false_root(intent: &SettlementIntent) -> SettlementIntent {
    let mut forged = intent.clone();
    forged.header.new_root += Scalar::ONE;
    forged
}

/// Sends `forged` and expects it to be refused for the reason named.
pub async fn refuse(
    chain: &RollupContract,
    what: &'static str,
    forged: &SettlementIntent,
    expected: &'static str,
) -> Result<Refused, Failure> {
    match chain.settle_with(forged, GasLimit::Fixed(GAS)).await {
        Err(SettlementError::Refused {
            reason,
            transaction: Some(transaction),
            ..
        }) if reason.name() == expected => Ok(Refused {
            what,
            reason,
            transaction,
        }),
        Err(SettlementError::Refused { reason, .. }) => Err(Failure::wrong_result(format!(
            "the contract refused {what} as {}, not as {expected}: {reason}",
            reason.name()
        ))),
        Err(error) => Err(error.into()),
        Ok(settled) => Err(Failure::wrong_result(format!(
            "the contract accepted {what} in transaction {}",
            settled.transaction
        ))),
    }
}
