//! Whether a contract that stands already is the verifier of a key. Its own word for the key is not
//! enough: a contract can answer any key's hash and accept any proof. Called before a verifier is shared.

use alloy::primitives::{Address, Bytes};
use alloy::sol_types::SolCall;
use carillon_runtime::groth16::{VerifyingKey, eip2537};

use super::key::{key_hash, verifying_key_bytes};
use crate::abi::Groth16Verifier;
use crate::{L1Client, SettlementError};

/// Room for a scalar behind each point of the inputs, and for the points of a proof and of the inputs.
const SCALAR: usize = 32;
const POINT: usize = 128;
/// The instruction that pushes an immutable of a contract.
const PUSH32: u8 = 0x7f;

/// The code of the contract that keeps a key: a byte that stops whoever calls it, then the key as the
/// verification wants it in memory (`Groth16Verifier`, "Memory of a verification").
fn key_store(key: &VerifyingKey) -> Result<Vec<u8>, SettlementError> {
    // Refuses keys with another number of inputs.
    verifying_key_bytes(key)?;
    let mut code = vec![0];
    let hole = |code: &mut Vec<u8>, bytes: usize| code.resize(code.len() + bytes, 0);
    let mut points = key.ic.iter();
    let first = points.next();
    for point in points {
        code.extend_from_slice(&eip2537::g1(point));
        hole(&mut code, SCALAR);
    }
    if let Some(first) = first {
        code.extend_from_slice(&eip2537::g1(first));
    }
    hole(&mut code, POINT);
    code.extend_from_slice(&eip2537::g2(&-key.delta_g2));
    hole(&mut code, POINT);
    code.extend_from_slice(&eip2537::g2(&-key.gamma_g2));
    code.extend_from_slice(&eip2537::g1(&key.alpha_g1));
    code.extend_from_slice(&eip2537::g2(&-key.beta_g2));
    Ok(code)
}

/// Whether a code is the template's, but for the immutables, which the template has as zeros.
fn is_of(code: &[u8], template: &[u8]) -> bool {
    if code.len() != template.len() {
        return false;
    }
    let mut at = 0;
    while let (Some(found), Some(wanted)) = (code.get(at), template.get(at)) {
        if found != wanted {
            return false;
        }
        at += 1;
        let word = template.get(at..at + 32);
        if *wanted == PUSH32 && word.is_some_and(|word| word.iter().all(|byte| *byte == 0)) {
            at += 32;
        }
    }
    true
}

/// Looks at a contract: code, key hash, and the key that it keeps. The inner error says what is not a
/// verifier of this key.
///
/// # Errors
/// [`SettlementError::WrongKey`]; errors of the node.
pub async fn is_verifier_of(
    client: &L1Client,
    at: Address,
    key: &VerifyingKey,
) -> Result<Result<(), String>, SettlementError> {
    let wanted = key_hash(key)?;
    let code = client.code(at).await?;
    if !is_of(&code, &Groth16Verifier::DEPLOYED_BYTECODE) {
        return Ok(Err(format!(
            "the code at {at} is not that of this version's Groth16Verifier"
        )));
    }
    let ask = async |name, input: Vec<u8>| -> Result<Bytes, SettlementError> {
        client.call(name, at, input.into()).await
    };
    let hash = ask("keyHash", Groth16Verifier::keyHashCall {}.abi_encode()).await?;
    if hash.as_ref() != wanted.as_slice() {
        return Ok(Err(format!(
            "the verifier at {at} is of another key, {hash}; the key's hash is {wanted}"
        )));
    }
    let store = ask("keyStore", Groth16Verifier::keyStoreCall {}.abi_encode()).await?;
    let Ok(store) = Groth16Verifier::keyStoreCall::abi_decode_returns(&store) else {
        return Ok(Err(format!("the verifier at {at} names no key store")));
    };
    if client.code(store).await?.as_ref() != key_store(key)?.as_slice() {
        return Ok(Err(format!(
            "the verifier at {at} says the key's hash and keeps another key at {store}"
        )));
    }
    Ok(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_constructor_fills_in_may_differ() {
        let template = Groth16Verifier::DEPLOYED_BYTECODE.to_vec();
        assert!(is_of(&template, &template));
        let slot = (template.windows(33))
            .position(|part| part[0] == PUSH32 && part[1..].iter().all(|byte| *byte == 0))
            .unwrap();
        let mut filled = template.clone();
        filled[slot + 1..slot + 33].fill(0xab);
        assert!(is_of(&filled, &template));
        for at in [0, slot, slot + 33, template.len() - 1] {
            let mut other = filled.clone();
            other[at] ^= 1;
            assert!(!is_of(&other, &template), "{at}");
        }
        assert!(!is_of(&filled[..filled.len() - 1], &template));
        assert!(!is_of(&[], &template));
    }
}
