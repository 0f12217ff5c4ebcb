//! A verifying key as its contract takes it, and its name on Ethereum. Called by the deployment and its
//! check, and by whoever compares keys with those of a chain.

use alloy::primitives::{B256, keccak256};
use carillon_runtime::groth16::{VerifyingKey, eip2537};

use crate::SettlementError;

/// Public inputs of the rollup circuit: C_H, C_B, z, y_H, y_B.
pub const PUBLIC_INPUTS: usize = 5;

/// The verifying key as the constructor of `Groth16Verifier` takes it: alpha (G1), beta, gamma,
/// delta (G2), then the six input points (G1), in EIP-2537 encoding; 1,664 bytes.
///
/// # Errors
/// [`SettlementError::WrongKey`] for keys of circuits with another number of public inputs.
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

/// The name of a verifying key on Ethereum, `keyHash` of its `Groth16Verifier`: keccak-256 of
/// [`verifying_key_bytes`].
///
/// # Errors
/// As [`verifying_key_bytes`].
pub fn key_hash(key: &VerifyingKey) -> Result<B256, SettlementError> {
    Ok(keccak256(verifying_key_bytes(key)?))
}
