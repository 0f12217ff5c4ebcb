//! The verifier of five inputs and its batch verification.

use alloy::primitives::{Address, Bytes, U256, address};
use blstrs::Scalar;
use carillon_runtime::groth16::{Proof, verify};
use carillon_settlement::abi::Groth16Verifier::{verifyBatchCall, verifyProofCall};
use carillon_settlement::deploy::verifying_key_bytes;
use ff::{Field, PrimeField};

use super::common::batch::word;
use super::common::world::{World, name};

const PAIRING: Address = address!("000000000000000000000000000000000000000f");

fn inputs(seed: u64) -> [Scalar; 5] {
    std::array::from_fn(|i| -Scalar::from(seed * 10 + i as u64 + 1))
}

fn single(proof: &[u8], inputs: [U256; 5]) -> verifyProofCall {
    verifyProofCall {
        proof: proof.to_vec().into(),
        inputs,
    }
}

fn many(proofs: &[Proof], inputs: &[[Scalar; 5]]) -> verifyBatchCall {
    verifyBatchCall {
        proofs: proofs
            .iter()
            .map(|p| Bytes::from(p.to_eip2537().to_vec()))
            .collect(),
        inputs: inputs.iter().map(|i| i.map(|s| word(&s))).collect(),
    }
}

#[tokio::test]
async fn one_proof_agrees_with_the_native_verifier() {
    let mut world = World::new(1, U256::from(1)).await;
    let verifier = world.l1.verifiers[0].1;
    let key = world.key.key();
    let statement = inputs(1);
    let proof = world.key.prove(&statement, &mut world.rng);
    let words = statement.map(|s| word(&s));
    let good = proof.to_eip2537();
    world.view(verifier, &single(&good, words)).await.unwrap();
    verify(&key, &statement, &proof).unwrap();
    for i in 0..5 {
        let mut changed = statement;
        changed[i] += Scalar::ONE;
        assert!(verify(&key, &changed, &proof).is_err());
        let refused = world
            .view(verifier, &single(&good, changed.map(|s| word(&s))))
            .await;
        assert_eq!(name(refused), "ProofInvalid", "input {i}");
        let mut large = words;
        large[i] += Scalar::MODULUS.parse::<U256>().unwrap();
        assert_eq!(
            name(world.view(verifier, &single(&good, large)).await),
            "InputNotInField"
        );
    }
    let mut off_curve = good;
    off_curve[127] ^= 1;
    let refused = world.view(verifier, &single(&off_curve, words)).await;
    assert_eq!(name(refused), "PrecompileFailed");
    let refused = world.view(verifier, &single(&good[1..], words)).await;
    assert_eq!(name(refused), "ProofLength");
    assert_eq!(verifying_key_bytes(&key).unwrap().len(), 1664);
}

/// Gas of the transaction that verifies n proofs, per proof. As transactions, so with 21,000 and
/// the calldata.
#[tokio::test]
async fn many_proofs_at_once_cost_less_each() {
    let mut world = World::new(2, U256::from(1)).await;
    let verifier = world.l1.verifiers[0].1;
    let mut last = u64::MAX;
    println!("verifyBatch, gas of the whole transaction and of each proof:");
    for n in [1usize, 2, 4, 8, 16, 32] {
        let statements: Vec<_> = (0..n as u64).map(inputs).collect();
        let proofs: Vec<_> = statements
            .iter()
            .map(|i| world.key.prove(i, &mut world.rng))
            .collect();
        let receipt = world
            .send(world.user(1), verifier, &many(&proofs, &statements))
            .await
            .unwrap();
        let each = receipt.gas_used / n as u64;
        println!("  n = {n:>2}: {:>9} {each:>8}", receipt.gas_used);
        assert!(
            each < last,
            "{n} proofs at once are more expensive than fewer"
        );
        last = each;
    }
    assert!(last < 75_000, "{last} gas");
    let statement = inputs(0);
    let proof = world.key.prove(&statement, &mut world.rng).to_eip2537();
    let call = single(&proof, statement.map(|s| word(&s)));
    let alone = world.send(world.user(1), verifier, &call).await.unwrap();
    println!("  verifyProof: {}", alone.gas_used);
    assert!(alone.gas_used < 260_000);
}

#[tokio::test]
async fn every_length_up_to_the_limit_gets_the_gas_it_needs() {
    let mut world = World::new(3, U256::from(1)).await;
    let verifier = world.l1.verifiers[0].1;
    for n in 1..=32 {
        let statements: Vec<_> = (0..n).map(inputs).collect();
        let proofs: Vec<_> = statements
            .iter()
            .map(|i| world.key.prove(i, &mut world.rng))
            .collect();
        let accepted = world.view(verifier, &many(&proofs, &statements)).await;
        assert!(accepted.is_ok(), "{n} proofs: {:?}", accepted.err());
    }
    let statements: Vec<_> = (0..33).map(inputs).collect();
    let proofs = vec![world.key.prove(&statements[0], &mut world.rng); 33];
    for refused in [
        many(&proofs, &statements),
        many(&[], &[]),
        many(&proofs[..2], &statements[..1]),
    ] {
        assert_eq!(name(world.view(verifier, &refused).await), "BatchLength");
    }
}

#[tokio::test]
async fn forged_proofs_among_good_ones_are_refused() {
    let mut world = World::new(4, U256::from(1)).await;
    let verifier = world.l1.verifiers[0].1;
    let statements: Vec<_> = (0..5).map(inputs).collect();
    let good: Vec<_> = statements
        .iter()
        .map(|i| world.key.prove(i, &mut world.rng))
        .collect();
    world
        .view(verifier, &many(&good, &statements))
        .await
        .unwrap();
    for position in 0..5 {
        let mut forged = good.clone();
        forged[position] =
            world
                .key
                .prove_off_by(&statements[position], &Scalar::ONE, &mut world.rng);
        let refused = world.view(verifier, &many(&forged, &statements)).await;
        assert_eq!(name(refused), "ProofInvalid", "forged at {position}");

        let mut changed = statements.clone();
        changed[position][2] += Scalar::ONE;
        let refused = world.view(verifier, &many(&good, &changed)).await;
        assert_eq!(name(refused), "ProofInvalid", "input changed at {position}");

        let mut malformed = many(&good, &statements);
        let mut bytes = malformed.proofs[position].to_vec();
        bytes[383] ^= 1;
        malformed.proofs[position] = bytes.into();
        assert_eq!(
            name(world.view(verifier, &malformed).await),
            "PrecompileFailed"
        );
        let mut large = many(&good, &statements);
        large.inputs[position][4] = Scalar::MODULUS.parse().unwrap();
        assert_eq!(name(world.view(verifier, &large).await), "InputNotInField");
    }

    // Two proofs whose errors are opposite: a sum without random factors would not see them.
    let mut cancelling = good.clone();
    for (position, error) in [(1, Scalar::from(7)), (3, -Scalar::from(7))] {
        cancelling[position] =
            world
                .key
                .prove_off_by(&statements[position], &error, &mut world.rng);
        assert!(
            verify(
                &world.key.key(),
                &statements[position],
                &cancelling[position]
            )
            .is_err()
        );
    }
    let refused = world.view(verifier, &many(&cancelling, &statements)).await;
    assert_eq!(name(refused), "ProofInvalid");

    // Swapped between statements: the sums of A, B, C are those of the honest batch.
    let mut swapped = good.clone();
    swapped.swap(0, 4);
    let refused = world.view(verifier, &many(&swapped, &statements)).await;
    assert_eq!(name(refused), "ProofInvalid");
}

#[tokio::test]
async fn too_little_gas_is_a_refusal() {
    let mut world = World::new(5, U256::from(1)).await;
    let verifier = world.l1.verifiers[0].1;
    let statement = inputs(1);
    let proof = world.key.prove(&statement, &mut world.rng);
    let call = many(&[proof], &[statement]);
    let full = world.view(verifier, &call).await;
    assert!(full.is_ok());
    use alloy::providers::Provider;
    use alloy::sol_types::SolCall;
    let request = alloy::rpc::types::TransactionRequest {
        from: Some(world.user(1)),
        to: Some(verifier.into()),
        input: Bytes::from(call.abi_encode()).into(),
        gas: Some(200_000),
        ..Default::default()
    };
    let starved = world.provider.call(request).await;
    let reason = super::common::world::refusal(&starved.unwrap_err());
    assert_eq!(reason.name(), "PrecompileFailed");
    assert!(
        reason.to_string().contains(&format!("{PAIRING:?}")),
        "{reason}"
    );
}
