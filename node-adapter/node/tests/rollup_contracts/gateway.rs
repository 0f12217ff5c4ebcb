//! Batches of several chains in one transaction: circles, tails, committed ones beside signed ones, and
//! what the parts that make it possible give to everybody.

use alloy::primitives::{Bytes, U256};
use alloy::sol_types::{SolCall, SolValue, eip712_domain};
use carillon_settlement::abi::{Gateway, Groth16Verifier, RollupChain, SharedBridge};
use carillon_settlement::gateway::{MOST_PROOFS, settle_digest, settle_many};

use super::network::Network;

const A: usize = 0;
const B: usize = 1;
const C: usize = 2;

/// Chains without blobs, with all lanes open, whose first has sent to the second once.
pub async fn validiums(seed: u64, chains: usize) -> Network {
    let net = Network::with(seed, chains, 1_000, |options| options.validium = true).await;
    for from in 0..chains {
        for to in (0..chains).filter(|to| *to != from) {
            net.set_lane(from, to, true).await;
        }
    }
    net
}

#[tokio::test]
async fn a_circle_of_sends_and_takes_is_settled_at_once_and_not_one_by_one() {
    let mut net = validiums(300, 3).await;
    let legs: Vec<_> = [(A, B), (B, C), (C, A)]
        .into_iter()
        .map(|(from, to)| (from, to, net.entry(true, 100 + from as u128, 7)))
        .collect();
    // Each sends to the next and takes from the one before what is not sent yet.
    let records = |net: &Network, at: usize| {
        let (from, to, sent) = &legs[at];
        let (source, _, taken) = &legs[(at + 2) % 3];
        vec![net.takes(*source, at, taken), net.sends(*from, *to, sent)]
    };
    let all: Vec<_> = (0..3).map(|at| (at, records(&net, at))).collect();
    for (at, records) in &all {
        let refused = net.settle_alone(*at, records.clone()).await;
        assert_eq!(refused.unwrap_err().name(), "TakeWithoutSend");
    }
    // Without its third member it does not close.
    let two = net.all_signed(&all[..2]);
    let refused = net.settle_many(&two, vec![]).await.unwrap_err();
    assert_eq!(refused.name(), "TakeWithoutSend");
    assert_eq!(net.executed(A).await.0, 0);

    // Whatever the order.
    let mut members = net.all_signed(&all);
    members.rotate_left(1);
    members.swap(0, 1);
    net.settle_many(&members, vec![]).await.unwrap();
    for at in 0..3 {
        assert_eq!(net.executed(at).await, (1, U256::from(11)));
        let (sent, taken) = (100 + at as u128, 100 + ((at + 2) % 3) as u128);
        assert_eq!(
            net.escrow(at, net.sides[at].slot).await,
            1_000 - sent + taken
        );
        let next = (at + 1) % 3;
        assert_eq!(net.transit(at, next, net.token).await, 0);
        assert_eq!(net.reserved(at, net.sides[at].slot).await, 0);
    }
}

#[tokio::test]
async fn what_is_taken_is_a_beginning_of_what_this_very_transaction_sends() {
    let mut net = validiums(301, 2).await;
    let sent: Vec<_> = (0..3).map(|i| net.entry(false, 10 + i, 1)).collect();
    let sends = sent.iter().map(|entry| net.sends(A, B, entry)).collect();
    let takes = vec![net.takes(A, B, &sent[0])];
    let members = net.all_signed(&[(A, sends), (B, takes)]);
    let refused = net.settle_many(&members, vec![]).await.unwrap_err();
    assert_eq!(refused.name(), "TailMissing");
    // The checkpoint has the time of a block that is not there yet: the tail says 0 for it.
    let mut lane = super::common::lane::Lane::new(net.sides[A].id, net.sides[B].id);
    lane.entries = sent.clone();
    lane.mark(0);
    let tail = lane.tail_from(1);
    let mut forged = tail.clone();
    forged.entries.swap(0, 1);
    let refused = net.settle_many(&members, vec![forged]).await.unwrap_err();
    assert_eq!(refused.name(), "LaneMismatch");
    let mut other = tail.clone();
    other.to = net.sides[A].id;
    let refused = net.settle_many(&members, vec![other]).await.unwrap_err();
    assert_eq!(refused.name(), "TailMissing");
    net.settle_many(&members, vec![tail.clone()]).await.unwrap();
    assert_eq!(net.escrow(B, 0).await, 1_010);
    assert_eq!(net.transit(A, B, Default::default()).await, 11 + 12);

    // Later, the time that counts is the one of the block that sent.
    net.world.warp(10).await;
    let next = vec![net.takes(A, B, &sent[1])];
    net.sides[B].number += 1;
    net.sides[B].root += 1;
    let one = net.all_signed(&[(B, next)]);
    let stale = lane.tail_from(2);
    let refused = net.settle_many(&one, vec![stale]).await.unwrap_err();
    assert_eq!(refused.name(), "NoSuchCheckpoint");
}

#[tokio::test]
async fn a_chain_with_blobs_commits_first_and_joins_with_what_it_committed() {
    let mut net = Network::new(302, 2, 1_000).await;
    let (there, back) = (net.entry(true, 60, 1), net.entry(true, 40, 2));
    let first = net.batch(A, vec![net.sends(A, B, &there), net.takes(B, A, &back)]);
    let second = net.batch(B, vec![net.takes(A, B, &there), net.sends(B, A, &back)]);
    let members = [
        net.committed(A, &first).await,
        net.committed(B, &second).await,
    ];
    // By themselves they are proved, and neither can be executed.
    let alone = net.settle_many(&members[..1], vec![]).await.unwrap_err();
    assert_eq!(alone.name(), "TakeWithoutSend");
    // Somebody proves one of them before; that stops nothing.
    let carillon_settlement::gateway::Way::Committed { stored, .. } = &members[0].way else {
        panic!("committed");
    };
    let prove = RollupChain::proveCall {
        stored: (**stored).clone(),
        proof: members[0].proof.clone(),
    };
    let (stranger, chain) = (net.world.user(7), net.sides[A].contract);
    net.world.send(stranger, chain, &prove).await.unwrap();
    net.settle_many(&members, vec![]).await.unwrap();
    assert_eq!(net.escrow(A, net.sides[A].slot).await, 980);
    assert_eq!(net.escrow(B, net.sides[B].slot).await, 1_020);
}

#[tokio::test]
async fn two_batches_of_a_chain_go_in_their_order() {
    let mut net = validiums(303, 1).await;
    let first = net.batch(A, vec![]);
    let first = net.signed(A, &first);
    net.sides[A].number += 1;
    net.sides[A].root += 1;
    let second = net.batch(A, vec![]);
    let second = net.signed(A, &second);
    let wrong = [second.clone(), first.clone()];
    let refused = super::together::inner(net.settle_many(&wrong, vec![]).await);
    assert_eq!(refused, (0, 0, "BatchOutOfOrder"));
    net.settle_many(&[first, second], vec![]).await.unwrap();
    assert_eq!(net.executed(A).await, (2, U256::from(12)));
}

/// A fold takes 32 proofs; the others make a fold of their own.
#[test]
fn proofs_are_folded_by_their_verifier_as_far_as_a_check_goes() {
    use alloy::primitives::Address;
    use carillon_settlement::abi::IRollupChain::{BatchData, BatchProof};
    use carillon_settlement::gateway::{Member, Way};
    let member = |chain_id: u64, verifier: u8| Member {
        chain_id,
        verifier: Address::repeat_byte(verifier),
        inputs: [U256::from(chain_id); 5],
        proof: BatchProof {
            yB: U256::ZERO,
            kzgCommitment: Bytes::new(),
            kzgProof: Bytes::new(),
            proof: vec![chain_id as u8].into(),
        },
        way: Way::Signed {
            batch: BatchData {
                shape: 1,
                blobIndex: U256::ZERO,
                cH: U256::ZERO,
                cB: U256::ZERO,
                h: vec![],
            },
            deadline: 5,
            signature: Bytes::new(),
        },
    };
    let many: Vec<_> = (0..70).map(|i| member(i, (i % 2) as u8)).collect();
    let call = settle_many(&many, vec![]);
    let sizes: Vec<_> = call.folds.iter().map(|fold| fold.proofs.len()).collect();
    assert_eq!(sizes, [MOST_PROOFS, MOST_PROOFS, 3, 3]);
    assert_eq!(call.items.len(), 70);
    for fold in &call.folds {
        for (proof, inputs) in fold.proofs.iter().zip(&fold.inputs) {
            assert_eq!(U256::from(proof[0]), inputs[0]);
        }
    }
    // The circuit's proof is with the others, not with its chain.
    for item in &call.items {
        let step = RollupChain::settleForCall::abi_decode(&item.steps[0]).unwrap();
        assert!(step.proof.proof.is_empty() && step.deadline == 5);
    }
}

/// alloy's own EIP-712 and the words of the contract's documentation.
#[test]
fn what_the_operator_signs_is_eip_712() {
    use alloy::primitives::{Address, keccak256};
    let chain = Address::repeat_byte(7);
    let (number, shape, z, deadline) = (5u64, 3u32, U256::from(6), 8u64);
    let domain = eip712_domain! {
        name: "Carillon", version: "1", chain_id: 31337, verifying_contract: chain,
    };
    let kind = keccak256("Settle(uint64 number,uint32 shape,uint256 z,uint64 deadline)");
    let inner = keccak256((kind, number, shape, z, deadline).abi_encode());
    let whole = [&[0x19, 0x01][..], &domain.separator()[..], &inner[..]].concat();
    assert_eq!(
        settle_digest(31337, chain, number, shape, z, deadline),
        keccak256(whole)
    );
}

#[tokio::test]
async fn a_verifier_remembers_what_was_proved_until_the_transaction_ends() {
    let mut net = validiums(304, 1).await;
    let (_, verifier) = net.world.l1.verifiers[0];
    let batch = net.batch(A, vec![]);
    let proof = batch.proof(&net.world.key, &mut net.world.rng).proof;
    let inputs = batch.inputs();
    let together = Groth16Verifier::proveTogetherCall {
        proofs: vec![proof],
        inputs: vec![inputs],
    };
    let now = Groth16Verifier::provedNowCall { inputs };
    let user = net.world.user(9);
    net.world.send(user, verifier, &together).await.unwrap();
    assert!(!net.world.view(verifier, &now).await.unwrap());
}

#[tokio::test]
async fn nobody_crosses_for_a_chain_and_the_bridge_is_closed_in_between() {
    let net = validiums(305, 1).await;
    let cross = SharedBridge::crossCall {
        chainId: net.sides[A].id,
        batch: 1,
        records: vec![],
        tails: vec![],
    };
    let refused = net.send(net.world.user(0), &cross).await.unwrap_err();
    assert_eq!(refused.name(), "NotTheChain");
    let callback = Gateway::onCrossCall { data: Bytes::new() };
    let refused = net
        .world
        .send(net.world.user(0), net.world.l1.gateway, &callback)
        .await;
    assert_eq!(refused.unwrap_err().name(), "NotBridge");
}
