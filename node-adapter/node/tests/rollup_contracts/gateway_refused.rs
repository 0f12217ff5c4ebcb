//! What the gateway and the parts behind it refuse, with the reason; and that nothing has happened then.

use alloy::primitives::{Address, Bytes, U256};
use alloy::sol_types::{SolCall, SolConstructor};
use carillon_settlement::abi::{Gateway, IGateway, RollupChain, SharedBridge};
use carillon_settlement::gateway::{Member, Way, settle_many};
use carillon_settlement::lanes::{LaneEvent, ReturnReason};
use carillon_testing::contracts::Crosser;

use super::common::lane::send;
use super::gateway::validiums;
use super::network::{Network, lane_events};
use super::test_contracts::HostileChain;
use super::together::{LATE, inner};

const A: usize = 0;
const B: usize = 1;

/// Nobody moved.
async fn unmoved(net: &Network) {
    for at in 0..net.sides.len() {
        let side = &net.sides[at];
        assert_eq!(net.executed(at).await, (side.number, U256::from(side.root)));
    }
}

/// The next batches of all chains.
fn all(net: &mut Network) -> Vec<Member> {
    let batches: Vec<_> = (0..net.sides.len()).map(|at| (at, vec![])).collect();
    net.all_signed(&batches)
}

#[tokio::test]
async fn one_false_proof_or_statement_among_many_undoes_all() {
    let mut net = validiums(310, 8).await;
    let good = all(&mut net);
    let refused = |net: &Network, members: Vec<Member>| {
        let call = settle_many(&members, vec![]);
        let (user, gateway, world) = (net.world.user(9), net.world.l1.gateway, &net.world);
        let provider = world.provider.clone();
        async move {
            let request = alloy::rpc::types::TransactionRequest {
                from: Some(user),
                to: Some(gateway.into()),
                input: Bytes::from(call.abi_encode()).into(),
                ..Default::default()
            };
            let error = alloy::providers::Provider::estimate_gas(&provider, request).await;
            super::common::world::refusal(&error.unwrap_err())
        }
    };
    for wrong in [0, 3, 7] {
        let mut members = good.clone();
        members[wrong].proof.proof = members[(wrong + 1) % 8].proof.proof.clone();
        assert_eq!(refused(&net, members).await.name(), "ProofInvalid");
        // A statement and its proof in another's place: both are proved, and each chain finds its own.
        let mut members = good.clone();
        let (inputs, proof) = (members[wrong].inputs, members[wrong].proof.proof.clone());
        let other = (wrong + 1) % 8;
        members[wrong].inputs = members[other].inputs;
        members[wrong].proof.proof = members[other].proof.proof.clone();
        members[other].inputs = inputs;
        members[other].proof.proof = proof;
        let call = settle_many(&members, vec![]);
        let gateway = net.world.l1.gateway;
        net.world.view(gateway, &call).await.unwrap();
        // Proved for a statement that no chain makes.
        let mut members = good.clone();
        members[wrong].inputs = members[other].inputs;
        members[wrong].proof.proof = members[other].proof.proof.clone();
        let said = super::together::inner(net.settle_many(&members, vec![]).await);
        assert_eq!(said, (wrong as u64, 0, "ProofMissing"));
    }
    // Inputs of one are the other's.
    let mut members = good.clone();
    members[0].inputs = good[1].inputs;
    members[1].inputs = good[0].inputs;
    assert_eq!(refused(&net, members).await.name(), "ProofInvalid");
    unmoved(&net).await;
    net.settle_many(&good, vec![]).await.unwrap();
}

#[tokio::test]
async fn an_item_counts_once_and_two_gateways_do_no_harm() {
    let mut net = validiums(311, 2).await;
    let members = all(&mut net);
    let twice = [members[0].clone(), members[1].clone(), members[0].clone()];
    let said = inner(net.settle_many(&twice, vec![]).await);
    assert_eq!(said, (0, 1, "BatchAlreadyCommitted"));
    unmoved(&net).await;

    // Whoever puts up another gateway has the same rights with it: none.
    let constructor = Gateway::constructorCall {
        hub_: net.world.l1.hub,
        bridge_: net.world.l1.bridge,
    };
    let code = [&Gateway::BYTECODE[..], &constructor.abi_encode()].concat();
    let other = net.world.create(&code.into()).await;
    let user = net.world.user(8);
    let call = settle_many(&members[..1], vec![]);
    net.world.send(user, other, &call).await.unwrap();
    let said = inner(net.settle_many(&members, vec![]).await);
    assert_eq!(said, (0, 0, "BatchAlreadyCommitted"));
    net.settle_many(&members[1..], vec![]).await.unwrap();
    for at in [A, B] {
        assert_eq!(net.executed(at).await.0, 1);
    }
}

#[tokio::test]
async fn only_the_operator_s_own_signature_settles_only_its_batch_and_in_time() {
    let mut net = validiums(312, 2).await;
    let now = net.world.now().await;
    let batch = net.batch(A, vec![]);
    let good = net.signed(A, &batch);
    let mut other_batch = batch.clone();
    other_batch.new_root = U256::from(12);
    let mut other_number = batch.clone();
    other_number.number = 2;
    let mut other_shape = batch.clone();
    other_shape.shape = 2;
    let cases = [
        ("by another", net.sign(A, &batch, 1, LATE), LATE),
        ("for another chain", net.sign(B, &batch, 0, LATE), LATE),
        (
            "for another batch",
            net.sign(A, &other_batch, 0, LATE),
            LATE,
        ),
        (
            "for another number",
            net.sign(A, &other_number, 0, LATE),
            LATE,
        ),
        (
            "for another shape",
            net.sign(A, &other_shape, 0, LATE),
            LATE,
        ),
        (
            "for another deadline",
            net.sign(A, &batch, 0, LATE),
            LATE + 1,
        ),
        ("none", Bytes::new(), LATE),
        ("too short", Bytes::from(vec![1; 64]), LATE),
        ("zeros", Bytes::from(vec![0; 65]), LATE),
    ];
    let with = |signature: &Bytes, deadline: u64| {
        let mut member = good.clone();
        member.way = Way::Signed {
            batch: batch.data(),
            deadline,
            signature: signature.clone(),
        };
        [member]
    };
    for (what, signature, deadline) in cases {
        let said = inner(net.settle_many(&with(&signature, deadline), vec![]).await);
        assert_eq!(said, (0, 0, "NotOperator"), "{what}");
    }
    let late = net.sign(A, &batch, 0, now - 1);
    let said = inner(net.settle_many(&with(&late, now - 1), vec![]).await);
    assert_eq!(said, (0, 0, "SignatureExpired"));
    unmoved(&net).await;
    // It needs no gateway: whoever has signature and proof settles.
    let alone = RollupChain::settleForCall {
        batch: batch.data(),
        proof: good.proof.clone(),
        tails: vec![],
        deadline: LATE,
        signature: net.sign(A, &batch, 0, LATE),
    };
    let (somebody, chain) = (net.world.user(7), net.sides[A].contract);
    net.world.send(somebody, chain, &alone).await.unwrap();
    assert_eq!(net.executed(A).await.0, 1);
}

#[tokio::test]
async fn nothing_counts_as_proved_that_was_not_in_this_transaction() {
    let mut net = validiums(313, 1).await;
    let batch = net.batch(A, vec![]);
    let mut bare = net.signed(A, &batch);
    let proof = std::mem::take(&mut bare.proof.proof);
    let mut call = settle_many(&[bare], vec![]);
    call.folds.clear();
    let said = inner(net.gateway(&call).await);
    assert_eq!(said, (0, 0, "ProofMissing"));
    // The same batch, the same statement, the proof there.
    call.folds.push(IGateway::Fold {
        verifier: net.world.l1.verifiers[0].1,
        proofs: vec![proof],
        inputs: vec![batch.inputs()],
    });
    net.gateway(&call).await.unwrap();

    // On a chain with blobs, too, where anyone proves.
    let mut net = Network::new(314, 1, 0).await;
    let batch = net.batch(A, vec![]);
    let member = net.committed(A, &batch).await;
    let mut call = settle_many(&[member], vec![]);
    call.folds.clear();
    let said = inner(net.gateway(&call).await);
    assert_eq!(said, (0, 0, "ProofMissing"));
}

#[tokio::test]
async fn a_validium_has_no_blob_and_a_rollup_is_never_without() {
    let mut net = validiums(315, 1).await;
    let batch = net.batch(A, vec![]);
    let operator = net.world.user(0);
    let chain = net.sides[A].contract;
    let mut call = net.world.settle_call(&batch);
    call.batch.blobIndex = U256::ONE;
    let refused = net.world.send(operator, chain, &call).await.unwrap_err();
    assert_eq!(refused.name(), "NoBlob");
    for (commitment, opening) in [(vec![1], vec![]), (vec![], vec![1])] {
        let mut call = net.world.settle_call(&batch);
        call.proof.kzgCommitment = commitment.into();
        call.proof.kzgProof = opening.into();
        let refused = net.world.send(operator, chain, &call).await.unwrap_err();
        assert_eq!(refused.name(), "KzgLength");
    }
    let call = net.world.settle_call(&batch);
    net.world.send(operator, chain, &call).await.unwrap();

    // A chain with blobs takes none of the same: not without a blob, not with a challenge over no blob.
    let mut net = Network::new(316, 1, 0).await;
    let mut batch = net.batch(A, vec![]);
    let chain = net.sides[A].contract;
    for validium in [false, true] {
        batch.validium = validium;
        let call = net.world.settle_call(&batch);
        let refused = net.world.send(operator, chain, &call).await.unwrap_err();
        assert_eq!(refused.name(), "NoBlob");
    }
    let call = net.world.settle_call(&batch);
    let refused = net
        .world
        .try_blob(operator, chain, &call, &batch.blob)
        .await;
    assert_eq!(refused.unwrap_err().name(), "KzgLength");
    let validium = net.world.view(chain, &RollupChain::validiumCall {}).await;
    assert!(!validium.unwrap());
}

#[tokio::test]
async fn chains_that_are_unknown_paused_or_behind_stop_the_whole() {
    let mut net = validiums(317, 2).await;
    let members = all(&mut net);
    let mut unknown = settle_many(&members, vec![]);
    unknown.items[1].chainId = 5;
    let refused = net.gateway(&unknown).await.unwrap_err();
    assert_eq!(refused.name(), "UnknownChain");
    let pause = RollupChain::pauseCall { duration: 100 };
    let (guardian, chain) = (net.world.user(0), net.sides[B].contract);
    net.world.send(guardian, chain, &pause).await.unwrap();
    let said = inner(net.settle_many(&members, vec![]).await);
    assert_eq!(said, (1, 0, "ChainPaused"));
    unmoved(&net).await;
    net.settle_many(&members[..1], vec![]).await.unwrap();
}

/// What a caller of `crossTogether` does in between: the bridge does nothing else, and the end is the end.
#[tokio::test]
async fn the_bridge_is_closed_while_chains_cross() {
    let mut net = validiums(318, 2).await;
    let crosser = net.world.create(&Crosser::BYTECODE).await;
    let bridge = net.world.l1.bridge;
    let user = net.world.user(1);
    let start = |calls: Vec<(Address, Vec<u8>)>| Crosser::startCall {
        bridge,
        calls: calls
            .into_iter()
            .map(
                |(target, data)| carillon_testing::contracts::Crosser::Call {
                    target,
                    value: U256::ZERO,
                    data: data.into(),
                },
            )
            .collect(),
        tails: vec![],
    };
    let deposit = SharedBridge::depositCall {
        chainId: net.sides[A].id,
        token: U256::from(1),
        amount: U256::from(1),
        owner: user,
        keyProof: vec![],
    };
    let collect = SharedBridge::collectBouncedCall {
        owner: user,
        token: net.token,
        to: user,
    };
    let nested = start(vec![]);
    for (target, data) in [
        (bridge, deposit.abi_encode()),
        (bridge, collect.abi_encode()),
        (crosser, nested.abi_encode()),
    ] {
        let call = start(vec![(target, data)]);
        let refused = net.world.send(user, crosser, &call).await.unwrap_err();
        assert_eq!(refused.name(), "ReentrancyGuardReentrantCall");
    }
    // Anyone may bring chains together, and what does not fit undoes it.
    let entry = net.entry(false, 5, 1);
    let mut steps = Vec::new();
    for (at, records) in [
        (B, vec![net.takes(A, B, &entry)]),
        (A, vec![net.sends(A, B, &entry)]),
    ] {
        let batch = net.batch(at, records);
        let call = RollupChain::settleForCall {
            batch: batch.data(),
            proof: batch.proof(&net.world.key, &mut net.world.rng),
            tails: vec![],
            deadline: LATE,
            signature: net.sign(at, &batch, 0, LATE),
        };
        steps.push((net.sides[at].contract, call.abi_encode()));
    }
    let half = start(steps[..1].to_vec());
    let refused = net.world.send(user, crosser, &half).await.unwrap_err();
    assert_eq!(refused.name(), "TakeWithoutSend");
    net.world.send(user, crosser, &start(steps)).await.unwrap();
    assert_eq!(net.escrow(B, 0).await, 1_005);
    // It is open again.
    net.deposit(A, 0, 5).await.unwrap();
}

/// A chain that is asked for a place while another crosses has no turn of its own: what is noted of a lane would be
/// written over.
#[tokio::test]
async fn no_chain_crosses_while_another_does() {
    let mut net = validiums(319, 2).await;
    net.make_hostile(B).await;
    let trap = HostileChain::crossWhenAskedCall {
        chainId: net.sides[B].id,
    };
    let (user, hostile) = (net.world.user(8), net.sides[B].contract);
    net.world.send(user, hostile, &trap).await.unwrap();
    let batch = [(A, vec![net.sends(A, B, &net.entry(false, 5, 1))])];
    let members = net.all_signed(&batch);
    let receipt = net.settle_many(&members, vec![]).await.unwrap();
    let events = lane_events(&receipt);
    assert!(
        matches!(
            events[..],
            [LaneEvent::Returned {
                reason: ReturnReason::Halted,
                ..
            }]
        ),
        "{events:?}"
    );
}

/// Amounts that no `RollupChain` commits do not reach another chain's books.
#[tokio::test]
async fn a_hostile_chain_s_amounts_stay_its_own() {
    let net = validiums(320, 2).await;
    net.make_hostile(A).await;
    let every = HostileChain::crossWhenAskedCall { chainId: u64::MAX };
    let (user, hostile) = (net.world.user(8), net.sides[A].contract);
    net.world.send(user, hostile, &every).await.unwrap();
    let (own, other) = (net.sides[A].id, net.sides[B].id);
    // In the lane to itself there is no limit of room; the bits above an amount are a chain's id.
    for bits in [112u32, 120, 150] {
        let amount = U256::from(own ^ other) << bits;
        let mut record = send(5, 0, 1, own, &net.entry(false, 1, 1));
        record[1] = amount;
        let call = HostileChain::crossCall {
            bridge: net.world.l1.bridge,
            chainId: own,
            batch: 1,
            records: record.to_vec(),
        };
        let refused = net.world.send(user, hostile, &call).await;
        assert_eq!(refused.unwrap_err().name(), "MoveTooLarge");
    }
    assert_eq!(net.escrow(B, 0).await, 1_000);
}
