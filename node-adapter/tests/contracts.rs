//! The contracts on a real Ethereum node (anvil, real BLS12-381 precompiles): what they accept,
//! what they refuse and why, and what a verification costs.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use alloy::primitives::{Address, B256, U256, address, keccak256};
use alloy::sol_types::{SolConstructor, SolValue};
use bellpepper_core::num::AllocatedNum;
use bellpepper_core::{Circuit, ConstraintSystem, SynthesisError};
use blstrs::{G1Projective, G2Affine, Scalar};
use carillon_node::settlement::contracts::RollupChain;
use carillon_node::settlement::{
    Anvil, AnvilOptions, BatchHeader, Deadlines, GasLimit, L1Client, Refusal, RollupContract,
    SettlementError, SettlementIntent, verifying_key_bytes,
};
use carillon_runtime::cpu::CpuEngine;
use carillon_runtime::groth16::{Proof, eip2537, prove, setup, verify};
use common::{Trapdoor, Verifier, node, words};
use ff::{Field, PrimeField};
use group::{Group, GroupEncoding};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use std::sync::Arc;

/// What one verification may cost, as a transaction of its own.
const GAS_LIMIT: u64 = 260_000;

const PAIRING: Address = address!("000000000000000000000000000000000000000f");

fn reason(result: Result<impl std::fmt::Debug, SettlementError>) -> Refusal {
    match result.expect_err("must be refused") {
        SettlementError::Refused { reason, .. } => reason,
        other => panic!("not a refusal: {other}"),
    }
}

fn random_inputs(rng: &mut ChaCha20Rng) -> [Scalar; 4] {
    std::array::from_fn(|_| Scalar::random(&mut *rng))
}

/// A circuit with four public inputs, of which the last is the product of the others.
struct Product([u64; 3]);

impl Circuit<Scalar> for Product {
    fn synthesize<CS: ConstraintSystem<Scalar>>(self, cs: &mut CS) -> Result<(), SynthesisError> {
        let mut product: Option<AllocatedNum<Scalar>> = None;
        for (i, value) in self.0.into_iter().enumerate() {
            let factor = AllocatedNum::alloc(cs.namespace(|| format!("factor {i}")), || {
                Ok(Scalar::from(value))
            })?;
            factor.inputize(cs.namespace(|| format!("factor {i} is public")))?;
            product = Some(match product {
                None => factor,
                Some(so_far) => so_far.mul(cs.namespace(|| format!("times {i}")), &factor)?,
            });
        }
        let product = product.ok_or(SynthesisError::Unsatisfiable)?;
        product.inputize(cs.namespace(|| "the product is public"))
    }
}

#[tokio::test]
async fn a_proof_of_our_prover_is_accepted_within_the_gas_limit() {
    let rng = &mut ChaCha20Rng::seed_from_u64(1);
    let key = Arc::new(setup(Product([0; 3]), rng).unwrap());
    let (proof, _) = prove(&CpuEngine::new(), &key, Product([3, 5, 7]), &())
        .await
        .unwrap();
    let inputs = words(&[3, 5, 7, 105].map(Scalar::from));

    let (_anvil, client) = node().await;
    let verifier = Verifier::deploy(&client, &key.vk).await;
    let mined = verifier
        .transact(&proof.to_eip2537(), inputs, GasLimit::Estimate)
        .await
        .unwrap();
    let gas = mined.receipt.gas_used;
    println!("gas of one verification, as a transaction: {gas}");
    assert!(gas <= GAS_LIMIT, "{gas} gas");

    let mut wrong = inputs;
    wrong[3] = U256::from(106);
    let refused = verifier.call(&proof.to_eip2537(), wrong).await;
    assert_eq!(reason(refused), Refusal::ProofInvalid);
}

#[tokio::test]
async fn random_keys_agree_with_the_native_verifier() {
    let rng = &mut ChaCha20Rng::seed_from_u64(2);
    let (_anvil, client) = node().await;
    for round in 0..3 {
        let trapdoor = Trapdoor::random(rng);
        let key = trapdoor.key();
        let verifier = Verifier::deploy(&client, &key).await;
        let inputs = match round {
            0 => [Scalar::ZERO; 4],
            1 => [-Scalar::ONE; 4],
            _ => random_inputs(rng),
        };
        let good = trapdoor.prove(&inputs, rng);
        let other = trapdoor.prove(&random_inputs(rng), rng);
        let mut candidates = vec![(good.clone(), inputs)];
        let with = |a: &Proof, b: &Proof, c: &Proof| Proof {
            a: a.a,
            b: b.b,
            c: c.c,
        };
        candidates.push((with(&other, &good, &good), inputs));
        candidates.push((with(&good, &other, &good), inputs));
        candidates.push((with(&good, &good, &other), inputs));
        candidates.push((other.clone(), inputs));
        candidates.push((
            Proof {
                a: -good.a,
                b: -good.b,
                c: good.c,
            },
            inputs,
        ));
        candidates.push((
            Proof {
                a: -good.a,
                ..good.clone()
            },
            inputs,
        ));
        for i in 0..4 {
            let mut changed = inputs;
            changed[i] += Scalar::ONE;
            candidates.push((good.clone(), changed));
        }
        let mut accepted = 0;
        for (n, (proof, inputs)) in candidates.iter().enumerate() {
            let native = verify(&key, inputs, proof).is_ok();
            let on_chain = verifier.call(&proof.to_eip2537(), words(inputs)).await;
            match on_chain {
                Ok(_) => assert!(native, "candidate {n} is accepted by the contract alone"),
                Err(_) => {
                    assert_eq!(reason(on_chain), Refusal::ProofInvalid, "candidate {n}");
                    assert!(!native, "candidate {n} is refused by the contract alone");
                }
            }
            accepted += usize::from(native);
        }
        // The proof itself, and the same proof with both signs of A and B turned.
        assert_eq!(accepted, 2);
    }
}

/// A point of order 3: (0, 2) is on G1's curve, y^2 = x^3 + 4, and outside the subgroup.
fn g1_outside_subgroup() -> [u8; 128] {
    let mut point = [0; 128];
    point[127] = 2;
    point
}

/// A point of G2's curve outside the subgroup: the first small x that is on the curve.
fn g2_outside_subgroup() -> G2Affine {
    (1u8..)
        .find_map(|x| {
            let mut bytes = <G2Affine as GroupEncoding>::Repr::default();
            bytes.as_mut()[0] = 0x80;
            bytes.as_mut()[95] = x;
            let point = Option::<G2Affine>::from(G2Affine::from_bytes_unchecked(&bytes))?;
            (!bool::from(point.is_torsion_free())).then_some(point)
        })
        .unwrap()
}

#[tokio::test]
async fn malformed_proofs_and_inputs_are_refused_with_their_reason() {
    let rng = &mut ChaCha20Rng::seed_from_u64(3);
    let trapdoor = Trapdoor::random(rng);
    let inputs = random_inputs(rng);
    let good = trapdoor.prove(&inputs, rng).to_eip2537();
    let (_anvil, client) = node().await;
    let verifier = Verifier::deploy(&client, &trapdoor.key()).await;
    let inputs = words(&inputs);
    verifier.call(&good, inputs).await.unwrap();

    for length in [0, 1, 511, 513] {
        let mut proof = good.to_vec();
        proof.resize(length, 0);
        let expected = Refusal::ProofLength {
            length: U256::from(length),
            expected: U256::from(512),
        };
        assert_eq!(reason(verifier.call(&proof, inputs).await), expected);
    }

    let order: U256 = Scalar::MODULUS.parse().unwrap();
    for index in 0..4 {
        for value in [order, inputs[index] + order, U256::MAX] {
            let mut wrong = inputs;
            wrong[index] = value;
            let expected = Refusal::InputNotInField {
                index: U256::from(index),
                value,
            };
            assert_eq!(reason(verifier.call(&good, wrong).await), expected);
        }
    }

    let g1_small = g1_outside_subgroup();
    let g2_small = eip2537::g2(&g2_outside_subgroup());
    // The field prime, which is zero and not canonical.
    let prime: [u8; 48] = hex::decode(
        "1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab",
    )
    .unwrap()
    .try_into()
    .unwrap();
    let changes: [(&str, usize, &[u8]); 8] = [
        ("A off the curve", 127, &[good[127] ^ 1]),
        ("B off the curve", 383, &[good[383] ^ 1]),
        ("C off the curve", 511, &[good[511] ^ 1]),
        ("A outside the subgroup", 0, &g1_small),
        ("B outside the subgroup", 128, &g2_small),
        ("C outside the subgroup", 384, &g1_small),
        ("A not canonical", 16, &prime),
        ("padding of A not zero", 0, &[1]),
    ];
    for (what, at, bytes) in changes {
        let mut proof = good;
        proof[at..at + bytes.len()].copy_from_slice(bytes);
        let expected = Refusal::PrecompileFailed {
            precompile: PAIRING,
        };
        let refused = reason(verifier.call(&proof, inputs).await);
        assert_eq!(refused, expected, "{what}");
    }

    // Infinity is a point of the group: well formed, and no proof.
    for (what, range) in [("A", 0..128), ("B", 128..384), ("C", 384..512)] {
        let mut proof = good;
        proof[range].fill(0);
        let refused = reason(verifier.call(&proof, inputs).await);
        assert_eq!(refused, Refusal::ProofInvalid, "{what}");
    }
    let refused = reason(verifier.call(&[0; 512], inputs).await);
    assert_eq!(refused, Refusal::ProofInvalid, "all infinity");

    // Too little gas for the pairing is a refusal, never an acceptance.
    let starved = verifier
        .transact(&good, inputs, GasLimit::Fixed(200_000))
        .await;
    match starved.unwrap_err() {
        SettlementError::Refused {
            reason,
            transaction,
            ..
        } => {
            let expected = Refusal::PrecompileFailed {
                precompile: PAIRING,
            };
            assert!(transaction.is_some(), "the refusal is mined");
            assert!([expected, Refusal::Silent].contains(&reason), "{reason}");
        }
        other => panic!("{other}"),
    }
    verifier.call(&good, inputs).await.unwrap();
}

#[tokio::test]
async fn bad_keys_are_refused_when_deployed() {
    let key = Trapdoor::random(&mut ChaCha20Rng::seed_from_u64(4)).key();
    let good = verifying_key_bytes(&key).unwrap();
    let (_anvil, client) = node().await;
    let refusal = async |bytes: Vec<u8>| reason(Verifier::try_deploy(&client, bytes).await);

    for length in [0, 1535, 1537, 1664] {
        let mut bytes = good.clone();
        bytes.resize(length, 0);
        let refused = refusal(bytes).await.to_string();
        assert!(refused.contains("KeyLength"), "{refused}");
    }
    // alpha; beta, gamma, delta; the five input points.
    let points = [(0, 128), (128, 256), (384, 256), (640, 256)]
        .into_iter()
        .chain((0..5).map(|i| (896 + 128 * i, 128)));
    let g1_small = g1_outside_subgroup();
    let g2_small = eip2537::g2(&g2_outside_subgroup());
    for (offset, length) in points {
        let mut infinity = good.clone();
        infinity[offset..offset + length].fill(0);
        let refused = refusal(infinity).await.to_string();
        let expected = format!("KeyPointAtInfinity: the verifying key's point at byte {offset} ");
        assert!(refused.contains(&expected), "{refused}");

        let mut off_curve = good.clone();
        off_curve[offset + length - 1] ^= 1;
        let refused = refusal(off_curve).await;
        assert!(
            matches!(refused, Refusal::PrecompileFailed { .. }),
            "{refused}"
        );

        let mut outside = good.clone();
        let small: &[u8] = if length == 128 { &g1_small } else { &g2_small };
        outside[offset..offset + length].copy_from_slice(small);
        let refused = refusal(outside).await;
        assert!(
            matches!(refused, Refusal::PrecompileFailed { .. }),
            "{refused}"
        );
    }
    Verifier::try_deploy(&client, good).await.unwrap();
}

#[tokio::test]
async fn a_chain_without_the_precompiles_gets_no_verifier() {
    // There, the precompiles' addresses are empty accounts, and calling those succeeds.
    let options = AnvilOptions {
        hard_fork: "cancun".into(),
        ..AnvilOptions::default()
    };
    let anvil = Anvil::start(&options).await.unwrap();
    let signer = anvil.signers()[0].clone();
    let client = L1Client::new(anvil.url(), signer, Deadlines::default()).unwrap();
    let key = Trapdoor::random(&mut ChaCha20Rng::seed_from_u64(7)).key();
    let bytes = verifying_key_bytes(&key).unwrap();
    let expected = Refusal::PrecompileFailed {
        precompile: PAIRING,
    };
    let refused = reason(Verifier::try_deploy(&client, bytes).await);
    assert_eq!(refused, expected);
}

const CHAIN_ID: u64 = 4242;

/// A chain of batches with proofs from a trapdoor: what a sequencer would hand over.
struct Batches {
    trapdoor: Trapdoor,
    rng: ChaCha20Rng,
}

impl Batches {
    fn intent(&mut self, chain_id: u64, batch_number: u64, roots: [u64; 2]) -> SettlementIntent {
        let header = BatchHeader {
            chain_id,
            batch_number,
            old_root: Scalar::from(roots[0]),
            new_root: Scalar::from(roots[1]),
            data_commitment: Scalar::from(batch_number) * Scalar::from(1000),
        };
        SettlementIntent {
            proof: self
                .trapdoor
                .prove(&header.public_inputs().to_array(), &mut self.rng),
            data: vec![batch_number as u8; 48],
            header,
        }
    }
}

/// The chain of batch hashes, computed independently of the contract.
fn next_hash(previous: B256, intent: &SettlementIntent) -> B256 {
    let word = |scalar: &Scalar| U256::from_be_bytes(scalar.to_bytes_be());
    let fields = (
        previous,
        U256::from(intent.header.batch_number),
        word(&intent.header.new_root),
        word(&intent.header.data_commitment),
        keccak256(&intent.data),
    );
    keccak256(fields.abi_encode())
}

#[tokio::test]
async fn the_chain_moves_only_by_the_next_proved_batch() {
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let trapdoor = Trapdoor::random(&mut rng);
    let key = trapdoor.key();
    let mut batches = Batches { trapdoor, rng };
    let (anvil, client) = node().await;
    let (chain, deployment) =
        RollupContract::deploy(client.clone(), &key, CHAIN_ID, &Scalar::from(10))
            .await
            .unwrap();
    assert_eq!(deployment.rollup, chain.address());
    println!("gas of the deployment: {}", deployment.gas);
    let start = chain.state().await.unwrap();
    assert_eq!(
        (start.batch_number, start.state_root, start.last_batch_hash),
        (0, U256::from(10), B256::ZERO)
    );

    let first = batches.intent(CHAIN_ID, 1, [10, 11]);
    let settled = chain.settle(&first).await.unwrap();
    println!("gas of the first settlement: {}", settled.gas_used);
    assert_eq!(settled.batch_hash, next_hash(B256::ZERO, &first));

    // Refused in simulation: nothing is sent.
    let cases = [
        (
            "replay",
            first.clone(),
            Refusal::BatchAlreadySettled { number: 1, last: 1 },
        ),
        (
            "batch 0",
            batches.intent(CHAIN_ID, 0, [11, 12]),
            Refusal::BatchAlreadySettled { number: 0, last: 1 },
        ),
        (
            "a gap",
            batches.intent(CHAIN_ID, 3, [11, 12]),
            Refusal::BatchOutOfOrder {
                number: 3,
                expected: 2,
            },
        ),
        (
            "the largest number",
            batches.intent(CHAIN_ID, u64::MAX, [11, 12]),
            Refusal::BatchOutOfOrder {
                number: u64::MAX,
                expected: 2,
            },
        ),
        (
            "wrong previous root",
            batches.intent(CHAIN_ID, 2, [10, 12]),
            Refusal::StateRootMismatch {
                old_root: U256::from(10),
                expected: U256::from(11),
            },
        ),
        (
            "a proof for another chain",
            batches.intent(CHAIN_ID + 1, 2, [11, 12]),
            Refusal::ProofInvalid,
        ),
        (
            "a proof for another batch number",
            SettlementIntent {
                proof: batches.intent(CHAIN_ID, 3, [11, 12]).proof,
                ..batches.intent(CHAIN_ID, 2, [11, 12])
            },
            Refusal::ProofInvalid,
        ),
        (
            "a proof for another new root",
            SettlementIntent {
                proof: batches.intent(CHAIN_ID, 2, [11, 13]).proof,
                ..batches.intent(CHAIN_ID, 2, [11, 12])
            },
            Refusal::ProofInvalid,
        ),
    ];
    for (what, intent, expected) in cases {
        let refused = reason(chain.settle(&intent).await);
        assert_eq!(refused, expected, "{what}");
    }
    let mut other_data = batches.intent(CHAIN_ID, 2, [11, 12]);
    other_data.header.data_commitment += Scalar::ONE;
    let refused = reason(chain.settle(&other_data).await);
    assert_eq!(refused, Refusal::ProofInvalid, "another data commitment");

    // Somebody else with a good batch.
    let second = batches.intent(CHAIN_ID, 2, [11, 12]);
    let stranger = client.with_signer(anvil.signers()[1].clone());
    let expected = Refusal::NotOperator {
        caller: stranger.address(),
        operator: client.address(),
    };
    let theirs = RollupContract::at(stranger, chain.address());
    assert_eq!(reason(theirs.settle(&second).await), expected);

    // Refused on the chain: a mined transaction that reverts, with the same reason.
    let mut tampered = second.clone();
    tampered.proof.c = (tampered.proof.c + G1Projective::generator()).into();
    for (intent, expected) in [
        (&tampered, Refusal::ProofInvalid),
        (&first, Refusal::BatchAlreadySettled { number: 1, last: 1 }),
    ] {
        let mined = chain.settle_with(intent, GasLimit::Fixed(1_000_000)).await;
        match mined.unwrap_err() {
            SettlementError::Refused {
                reason,
                transaction,
                ..
            } => {
                assert_eq!(reason, expected);
                assert!(transaction.is_some());
            }
            other => panic!("{other}"),
        }
    }
    let unmoved = chain.state().await.unwrap();
    assert_eq!(
        (unmoved.batch_number, unmoved.state_root),
        (1, U256::from(11))
    );

    // After all that, the next batch settles.
    let settled = chain.settle(&second).await.unwrap();
    println!("gas of the second settlement: {}", settled.gas_used);
    let expected = next_hash(next_hash(B256::ZERO, &first), &second);
    assert_eq!(settled.batch_hash, expected);
    let state = chain.state().await.unwrap();
    assert_eq!(
        (state.batch_number, state.state_root, state.last_batch_hash),
        (2, U256::from(12), expected)
    );
}

#[tokio::test]
async fn wrong_deployments_are_refused() {
    let key = Trapdoor::random(&mut ChaCha20Rng::seed_from_u64(6)).key();
    let (_anvil, client) = node().await;
    let verifier = Verifier::deploy(&client, &key).await.address();
    let order: U256 = Scalar::MODULUS.parse().unwrap();
    let operator = client.address();
    let deploy = async |verifier_, operator_, genesis_root| {
        let arguments = RollupChain::constructorCall {
            verifier_,
            operator_,
            chainId_: CHAIN_ID,
            genesisRoot: genesis_root,
        }
        .abi_encode();
        let code = [RollupChain::BYTECODE.as_ref(), &arguments].concat();
        client
            .transact("deploy", None, code.into(), GasLimit::Estimate)
            .await
    };
    let cases = [
        (operator, operator, U256::ZERO, "VerifierWithoutCode"),
        (verifier, Address::ZERO, U256::ZERO, "ZeroOperator"),
        (verifier, operator, order, "GenesisRootNotInField"),
    ];
    for (verifier, operator, root, expected) in cases {
        let refused = reason(deploy(verifier, operator, root).await).to_string();
        assert!(refused.contains(expected), "{refused}");
    }
    deploy(verifier, operator, order - U256::ONE).await.unwrap();
}
