//! Whether a contract that stands already is the verifier of a key. Its own word for the key is not
//! enough: a contract can answer any key's hash and accept any proof. Called before a verifier is shared.

use alloy::primitives::{Address, Bytes};
use alloy::sol_types::{SolCall, SolConstructor};
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

/// Whether a code is what the constructor makes of this key, but for the address of the key's store, which is `store`
/// wherever the constructor would put it. `built` is what it makes elsewhere. The words that the constructor fills in
/// are told apart: another hash or store in one of them would check other proofs than the contract says.
fn is_of(code: &[u8], built: &[u8], hash: &[u8], store: Address) -> bool {
    let template: &[u8] = &Groth16Verifier::DEPLOYED_BYTECODE;
    if code.len() != template.len() || built.len() != template.len() {
        return false;
    }
    let mut expected = built.to_vec();
    let mut at = 0;
    while let Some(wanted) = template.get(at) {
        at += 1;
        let hole = template.get(at..at + 32);
        if *wanted != PUSH32 || !hole.is_some_and(|word| word.iter().all(|byte| *byte == 0)) {
            continue;
        }
        let Some(word) = expected.get_mut(at..at + 32) else {
            return false;
        };
        if word != hash {
            word.copy_from_slice(store.into_word().as_slice());
        }
        at += 32;
    }
    code == expected
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
    if code.len() != Groth16Verifier::DEPLOYED_BYTECODE.len() {
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
    let arguments = Groth16Verifier::constructorCall {
        key: verifying_key_bytes(key)?.into(),
    };
    let input = [&Groth16Verifier::BYTECODE[..], &arguments.abi_encode()].concat();
    let built = client.would_create("the code of Groth16Verifier", input.into());
    if !is_of(&code, &built.await?, wanted.as_slice(), store) {
        return Ok(Err(format!(
            "the code at {at} is not that of this version's Groth16Verifier with this key"
        )));
    }
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
    fn each_word_that_a_constructor_fills_in_is_its_own() {
        let template = Groth16Verifier::DEPLOYED_BYTECODE.to_vec();
        let holes: Vec<usize> = (template.windows(33).enumerate())
            .filter(|(_, part)| part[0] == PUSH32 && part[1..].iter().all(|byte| *byte == 0))
            .map(|(at, _)| at + 1)
            .collect();
        assert!(holes.len() > 2);
        let (hash, there, here) = ([7; 32], Address::repeat_byte(1), Address::repeat_byte(2));
        // Some hold the hash, the others the store.
        let filled = |store: Address| {
            let mut code = template.clone();
            for (index, at) in holes.iter().enumerate() {
                let word = match index % 2 {
                    0 => hash,
                    _ => store.into_word().0,
                };
                code[*at..at + 32].copy_from_slice(&word);
            }
            code
        };
        let (built, good) = (filled(there), filled(here));
        assert!(is_of(&good, &built, &hash, here));
        assert!(!is_of(&good, &built, &hash, there));
        for (index, at) in holes.iter().enumerate() {
            for word in [[0; 32], hash, here.into_word().0, [9; 32]] {
                let mut forged = good.clone();
                forged[*at..at + 32].copy_from_slice(&word);
                assert_eq!(
                    is_of(&forged, &built, &hash, here),
                    forged == good,
                    "{index}"
                );
            }
        }
        for at in [0, holes[0] - 1, template.len() - 1] {
            let mut other = good.clone();
            other[at] ^= 1;
            assert!(!is_of(&other, &built, &hash, here), "{at}");
        }
        assert!(!is_of(&good[..good.len() - 1], &built, &hash, here));
        assert!(!is_of(&[], &built, &hash, here));
    }
}
