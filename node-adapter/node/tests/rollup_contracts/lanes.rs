//! Lanes between chains: what is sent can be taken, once, in order, by batches in one step or three,
//! with a tail or without; and what a batch keeps of it.

use alloy::primitives::{Address, U256};
use carillon_protocol::{Header, Kind, Party, Record, owner_word};
use carillon_settlement::abi::{RollupChain, SharedBridge};
use carillon_settlement::calls::PublishedBatch;
use carillon_settlement::lanes::{Crossings, Fold, LaneEvent, entry_hash};

use super::common::batch::{scalar, word};
use super::common::lane::Lane;
use super::common::world::name;
use super::network::{Network, lane_events};

const A: usize = 0;
const B: usize = 1;
const C: usize = 2;

#[tokio::test]
async fn what_is_sent_is_taken_there_and_back_and_at_home() {
    let mut net = Network::new(200, 2, 1_000).await;
    let (ether, token) = (net.entry(false, 100, 7), net.entry(true, 30, 8));
    let records = vec![net.sends(A, B, &ether), net.sends(A, B, &token)];
    let receipt = net.settle(A, records, vec![]).await.unwrap();
    let events = lane_events(&receipt);
    for (index, entry) in [&ether, &token].into_iter().enumerate() {
        let sent = LaneEvent::Sent {
            from: 77,
            to: 78,
            index: index as u64,
            entry: entry.clone(),
            batch: 1,
        };
        assert_eq!(events[index], sent);
    }
    assert_eq!(net.escrow(A, 0).await, 900);
    assert_eq!(net.escrow(A, 1).await, 970);
    assert_eq!(net.transit(A, B, Address::ZERO).await, 100);
    assert_eq!(net.transit(A, B, net.token).await, 30);
    assert_eq!(
        (net.reserved(B, 0).await, net.reserved(B, 2).await),
        (100, 30)
    );
    // The recipient has a place in the other chain's tree.
    let booked = RollupChain::ownerBookedCall {
        owner: net.world.user(2),
    };
    assert!(
        net.world
            .view(net.sides[B].contract, &booked)
            .await
            .unwrap()
    );

    // The lane and its state after the batch are what both sides compute of them.
    let mut fold = Fold::default();
    [&ether, &token]
        .into_iter()
        .for_each(|entry| fold.push(entry));
    let lane = SharedBridge::laneCall { from: 77, to: 78 };
    let lane = net.view(&lane).await;
    let list = &net.lanes[&(A, B)];
    assert_eq!((lane.sent, lane.sentHash), (2, list.hash(2)));
    assert_eq!((fold.count, fold.hash), (2, list.hash(2)));
    assert_eq!(entry_hash(&token), Lane::entry_hash(&token));
    let checkpoint = SharedBridge::checkpointCall {
        from: 77,
        to: 78,
        count: 2,
    };
    let time = net.world.time_of(&receipt).await;
    assert_eq!(net.view(&checkpoint).await, fold.checkpoint(time));

    let records = vec![net.takes(A, B, &ether), net.takes(A, B, &token)];
    net.settle(B, records, vec![]).await.unwrap();
    assert_eq!(
        (net.escrow(B, 0).await, net.escrow(B, 2).await),
        (1_100, 1_030)
    );
    assert_eq!((net.reserved(B, 0).await, net.reserved(B, 2).await), (0, 0));
    assert_eq!(net.transit(A, B, Address::ZERO).await, 0);

    // Back, and in one batch of a chain to itself; nothing of either kind moves tokens.
    let back = net.entry(true, 1_030, 9);
    net.settle(B, vec![net.sends(B, A, &back)], vec![])
        .await
        .unwrap();
    let own = net.entry(false, 900, 10);
    let records = vec![
        net.takes(B, A, &back),
        net.sends(A, A, &own),
        net.takes(A, A, &own),
    ];
    net.settle(A, records, vec![]).await.unwrap();
    assert_eq!(
        (net.escrow(A, 0).await, net.escrow(A, 1).await),
        (900, 2_000)
    );
    assert_eq!((net.escrow(B, 0).await, net.escrow(B, 2).await), (1_100, 0));
    assert_eq!(net.transit(A, A, Address::ZERO).await, 0);
    assert_eq!(
        net.world.balance(net.world.l1.bridge).await,
        U256::from(2_000)
    );
}

/// A batch may spend what it takes: its escrow is that of the batch's end, whatever the order of its records.
#[tokio::test]
async fn what_is_taken_is_sent_on_in_the_same_batch() {
    let mut net = Network::new(204, 3, 0).await;
    net.deposit(A, 1, 3_000).await.unwrap();
    net.deposit(B, 2, 10).await.unwrap();
    for (round, to) in [A, C, B].into_iter().enumerate() {
        let come = net.entry(true, 1_000, round as u64);
        let go = net.entry(true, 1_000, 9);
        net.settle(A, vec![net.sends(A, B, &come)], vec![])
            .await
            .unwrap();
        let (take, send) = (net.takes(A, B, &come), net.sends(B, to, &go));
        let more = net.sends(B, to, &net.entry(true, 11, 9));
        let refused = net.try_settle(B, vec![take, send, more], vec![]).await;
        assert_eq!(name(refused), "EscrowTooSmall");
        net.try_settle(B, vec![send, take], vec![]).await.unwrap();
        net.settle(B, vec![take, send], vec![]).await.unwrap();
        assert_eq!(net.escrow(B, 2).await, 10);
        assert_eq!(net.transit(B, to, net.token).await, 1_000);
        let arrive = net.takes(B, to, &go);
        net.settle(to, vec![arrive], vec![]).await.unwrap();
    }
    let held = [net.escrow(A, 1).await, net.escrow(C, 3).await];
    assert_eq!((held, net.escrow(B, 2).await), ([1_000, 1_000], 1_010));
    // Several slots in one batch, each debited with its own.
    net.deposit(B, 0, 7).await.unwrap();
    let (ether, token) = (net.entry(false, 7, 1), net.entry(true, 1_000, 2));
    let records = vec![
        net.sends(B, C, &ether),
        net.sends(B, A, &token),
        net.sends(B, C, &net.entry(true, 3, 3)),
    ];
    net.settle(B, records, vec![]).await.unwrap();
    assert_eq!((net.escrow(B, 0).await, net.escrow(B, 2).await), (0, 7));
    assert_eq!(
        (net.arrivals(A).await, net.arrivals(C).await),
        ((2, 0), (3, 0))
    );
}

#[tokio::test]
async fn a_part_is_taken_with_a_tail() {
    let mut net = Network::new(201, 3, 1_000).await;
    let entries: Vec<_> = (0..6u64)
        .map(|i| net.entry(i % 2 == 0, 1 + u128::from(i), i))
        .collect();
    for batch in entries.chunks(2) {
        let records = batch.iter().map(|entry| net.sends(A, B, entry)).collect();
        net.settle(A, records, vec![]).await.unwrap();
    }
    let other = net.entry(true, 50, 1);
    net.settle(2, vec![net.sends(2, B, &other)], vec![])
        .await
        .unwrap();
    // One of the first batch; what follows up to a batch of the caller's choice.
    let taken = |net: &Network, at: usize| net.takes(A, B, &entries[at]);
    for mark in 0..3 {
        let lane = &net.lanes[&(A, B)];
        let tail = lane.tail(1, &lane.marks[mark]);
        let records = vec![taken(&net, 0)];
        net.try_settle(B, records, vec![tail]).await.unwrap();
    }
    let records = vec![taken(&net, 0)];
    assert_eq!(
        name(net.try_settle(B, records.clone(), vec![]).await),
        "TailMissing"
    );
    let tail = net.lanes[&(A, B)].tail_from(1);
    net.settle(B, records, vec![tail]).await.unwrap();
    // To the end of a batch: the tail is empty. Another lane goes between, and takes all.
    let records = vec![
        taken(&net, 1),
        net.takes(2, B, &other),
        taken(&net, 2),
        taken(&net, 3),
    ];
    let tail = net.lanes[&(A, B)].tail_from(4);
    assert!(tail.entries.is_empty());
    net.settle(B, records, vec![tail]).await.unwrap();
    let records = vec![taken(&net, 4), taken(&net, 5)];
    net.settle(B, records, vec![]).await.unwrap();
    assert_eq!(net.escrow(B, 0).await, 1_000 + 2 + 4 + 6);
    assert_eq!(net.escrow(B, 2).await, 1_000 + 1 + 3 + 5 + 50);
}

#[tokio::test]
async fn three_steps_give_sends_and_takes_back_to_be_executed() {
    let mut net = Network::new(202, 2, 1_000).await;
    let entry = net.entry(false, 10, 3);
    let sent = net.batch(A, vec![net.sends(A, B, &entry)]);
    let stored = net.world.commit(&sent).await.unwrap();
    net.world.prove(&sent, &stored).await.unwrap();
    let execute = |records: Vec<U256>| RollupChain::executeCall {
        stored: stored.clone(),
        crossings: Crossings {
            records,
            tails: vec![],
        },
    };
    let stranger = net.world.user(9);
    let contract = net.sides[A].contract;
    let mut changed = sent.crossings();
    changed[1] += U256::ONE;
    for wrong in [
        vec![],
        changed,
        [sent.crossings(), sent.crossings()].concat(),
    ] {
        let refused = net.world.send(stranger, contract, &execute(wrong)).await;
        assert_eq!(name(refused), "CrossingsMismatch");
    }
    let receipt = net
        .world
        .send(stranger, contract, &execute(sent.crossings()))
        .await;
    net.settled(A, &receipt.unwrap()).await;
    let records = vec![net.takes(A, B, &entry)];
    net.settle(B, records, vec![]).await.unwrap();
    assert_eq!(net.escrow(B, 0).await, 1_010);

    // A batch without any is executed with none, and not with others.
    let plain = net.batch(A, vec![]);
    let stored = net.world.commit(&plain).await.unwrap();
    net.world.prove(&plain, &stored).await.unwrap();
    let call = RollupChain::executeCall {
        stored: stored.clone(),
        crossings: Crossings {
            records: sent.crossings(),
            tails: vec![],
        },
    };
    let refused = net.world.send(stranger, contract, &call).await;
    assert_eq!(name(refused), "CrossingsMismatch");
    net.world.execute(&stored).await.unwrap();
}

#[tokio::test]
async fn what_was_sent_before_a_halt_is_taken_after_it() {
    let mut net = Network::new(203, 2, 1_000).await;
    let entry = net.entry(true, 10, 3);
    net.settle(A, vec![net.sends(A, B, &entry)], vec![])
        .await
        .unwrap();
    net.halt(A).await;
    // Nor does a closed lane keep it.
    net.set_lane(B, A, false).await;
    let records = vec![net.takes(A, B, &entry)];
    net.settle(B, records, vec![]).await.unwrap();
    assert_eq!(net.escrow(B, 2).await, 1_010);
}

/// The node's batch with a send and a take is the one that L1 keeps.
#[test]
fn the_node_s_crossings_are_those_of_l1() {
    let owner = |byte: u8| Address::repeat_byte(byte).0.0;
    let record = |kind, words| Record {
        kind,
        account: 4,
        token: 2,
        amount: 9,
        words,
    };
    let memo = scalar(U256::from(77));
    let records = vec![
        record(Kind::SetKey, [scalar(U256::ZERO); 3]),
        record(
            Kind::Send,
            [
                Party::new(owner(1), 78).to_word(),
                owner_word(&owner(2)),
                memo,
            ],
        ),
        record(
            Kind::Take,
            [
                owner_word(&owner(3)),
                Party::new(owner(4), 79).to_word(),
                memo,
            ],
        ),
    ];
    let words = records
        .iter()
        .map(|r| r.to_words().map(|w| word(&w)))
        .collect();
    let hub = Address::repeat_byte(9);
    let roots = [U256::from(1), U256::from(2)];
    let batch = super::common::batch::Batch::new(hub, 77, 1, roots, words);
    let published = PublishedBatch {
        chain_id: 77,
        shape: 1,
        header: Header {
            domain: super::common::batch::domain(hub, 77),
            batch_number: 1,
            operator: 0,
            old_root: scalar(roots[0]),
            new_root: scalar(roots[1]),
            records,
        },
        header_commitment: scalar(batch.c_h),
        blob_commitment: scalar(batch.c_b),
        versioned_hash: batch.blob.hash,
    };
    assert_eq!(published.stored(3, 9), batch.stored(3, 9));
    assert_eq!(published.crossings(vec![]).records, batch.crossings());
    assert_eq!(batch.crossings().len(), 10);
}
