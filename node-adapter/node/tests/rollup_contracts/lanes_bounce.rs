//! What nobody takes goes back to its senders: when, in what order, once, and where to.

use alloy::primitives::{Address, B256, U256};
use alloy::providers::Provider;
use carillon_settlement::abi::SharedBridge;
use carillon_settlement::lanes::{LaneEvent, Tail};

use super::common::world::name;
use super::network::{Network, lane_events};

const A: usize = 0;
const B: usize = 1;
const DAY: u64 = 24 * 3600;

/// A chain that sent three entries in two batches.
async fn sent(seed: u64) -> Network {
    let mut net = Network::new(seed, 2, 1_000).await;
    for batch in [vec![(10, 1), (20, 2)], vec![(30, 3)]] {
        let entries = batch
            .into_iter()
            .map(|(amount, memo)| net.entry(true, amount, memo));
        let records = entries.map(|entry| net.sends(A, B, &entry)).collect();
        net.settle(A, records, vec![]).await.unwrap();
        net.world.warp(2 * DAY).await;
    }
    net
}

fn tail(net: &Network, taken: usize) -> Tail {
    net.lanes[&(A, B)].tail_from(taken)
}

#[tokio::test]
async fn what_is_not_taken_for_a_week_goes_back_in_order_and_once() {
    let mut net = sent(220).await;
    let entries = net.lanes[&(A, B)].entries.clone();
    // Four days after the first batch.
    let early = net.bounce(A, B, &entries[..1], tail(&net, 1)).await;
    assert_eq!(name(early), "BounceTooEarly");
    net.world.warp(3 * DAY + 60).await;
    // The second batch is younger; its age is what counts, whatever is said.
    let early = net.bounce(A, B, &entries[..3], tail(&net, 3)).await;
    assert_eq!(name(early), "BounceTooEarly");
    let early = net.bounce(A, B, &entries[..1], {
        let lane = &net.lanes[&(A, B)];
        lane.tail(1, &lane.marks[1])
    });
    assert_eq!(name(early.await), "BounceTooEarly");

    let mut richer = entries[0].clone();
    richer.amount += U256::ONE;
    let mut thief = entries[0].clone();
    thief.sender = net.world.user(8);
    let mut time = tail(&net, 1);
    time.time -= DAY;
    let mut forged = tail(&net, 1);
    forged.laneHash = B256::repeat_byte(3);
    let mut lane = tail(&net, 1);
    lane.from = 78;
    let (first, second) = (&entries[..1], &entries[1..2]);
    let cases = [
        ("out of order", second, tail(&net, 1), "LaneMismatch"),
        (
            "another amount",
            &[richer][..],
            tail(&net, 1),
            "LaneMismatch",
        ),
        (
            "another sender",
            &[thief][..],
            tail(&net, 1),
            "LaneMismatch",
        ),
        ("an older time", first, time, "NoSuchCheckpoint"),
        ("a forged tail", first, forged, "LaneMismatch"),
        ("the tail of another lane", first, lane, "NoSuchCheckpoint"),
    ];
    for (what, entries, tail, reason) in cases {
        let refused = net.bounce(A, B, entries, tail).await;
        assert_eq!(name(refused), reason, "{what}");
    }

    let receipt = net.bounce(A, B, first, tail(&net, 1)).await.unwrap();
    let bounced = LaneEvent::Bounced {
        from: 77,
        to: 78,
        index: 0,
        token: net.token,
        amount: U256::from(10),
        sender: net.world.user(1),
        home: true,
    };
    assert_eq!(lane_events(&receipt), [bounced]);
    assert_eq!(
        (net.escrow(A, 1).await, net.reserved(B, 2).await),
        (950, 50)
    );
    assert_eq!(net.transit(A, B, net.token).await, 50);
    // Once; and who bounced it does not take it.
    let again = net.bounce(A, B, first, tail(&net, 1)).await;
    assert_eq!(name(again), "LaneMismatch");
    let records = vec![net.takes(A, B, &entries[0])];
    let refused = net.try_settle(B, records, vec![tail(&net, 1)]).await;
    assert_eq!(name(refused), "LaneMismatch");
    // The rest is taken as ever, and taken it does not bounce.
    let records = vec![net.takes(A, B, &entries[1])];
    net.settle(B, records, vec![tail(&net, 2)]).await.unwrap();
    let late = net.bounce(A, B, second, tail(&net, 2)).await;
    assert_eq!(name(late), "LaneMismatch");
    net.world.warp(7 * DAY).await;
    net.bounce(A, B, &entries[2..], tail(&net, 3))
        .await
        .unwrap();
    assert_eq!(
        (net.escrow(A, 1).await, net.escrow(B, 2).await),
        (980, 1_020)
    );
    assert_eq!(
        (net.transit(A, B, net.token).await, net.reserved(B, 2).await),
        (0, 0)
    );
}

#[tokio::test]
async fn a_halted_chain_takes_nothing_and_all_goes_back() {
    let mut net = Network::new(221, 2, 1_000).await;
    net.world.warp(DAY).await;
    let waiting = net.entry(false, 40, 1);
    let home = net.entry(true, 50, 2);
    // A's queue is served, B's is not.
    let queue: Vec<_> = [0u8, 1]
        .map(|slot| {
            let owner = super::common::batch::address_word(net.world.user(1));
            super::common::batch::record(2, 5, slot, 1_000, owner)
        })
        .into();
    net.settle(A, queue, vec![]).await.unwrap();
    net.world.warp(6 * DAY).await;
    let records = vec![net.sends(A, B, &waiting), net.sends(A, B, &home)];
    net.settle(A, records, vec![]).await.unwrap();
    let first = std::slice::from_ref(&waiting);
    let early = net.bounce(A, B, first, tail(&net, 1)).await;
    assert_eq!(name(early), "BounceTooEarly");
    let halt = carillon_settlement::abi::RollupChain::haltCall {};
    net.world.warp(60).await;
    let chain = net.sides[B].contract;
    net.world
        .send(net.world.user(8), chain, &halt)
        .await
        .unwrap();
    // A send after the halt comes back at once; what is in the lane, by anyone's call.
    let records = vec![net.sends(A, B, &home)];
    let receipt = net.settle(A, records, vec![]).await.unwrap();
    assert!(matches!(
        lane_events(&receipt)[..],
        [LaneEvent::Returned { .. }]
    ));
    net.bounce(A, B, &[waiting, home], tail(&net, 2))
        .await
        .unwrap();
    assert_eq!(
        (net.escrow(A, 0).await, net.escrow(A, 1).await),
        (1_000, 1_000)
    );
    assert_eq!(net.transit(A, B, net.token).await, 0);
    let take = net.takes(A, B, &net.entry(true, 50, 2));
    let refused = net.try_settle(B, vec![take], vec![]).await;
    assert_eq!(name(refused), "ChainHalted");
}

#[tokio::test]
async fn what_cannot_go_home_is_its_senders_to_collect_once() {
    let mut net = Network::new(222, 2, 1_000).await;
    let sender = net.world.user(1);
    let all = [
        net.entry(true, 10, 1),
        net.entry(false, 20, 2),
        net.entry(true, 5, 3),
    ];
    let records = all.iter().map(|entry| net.sends(A, B, entry)).collect();
    net.settle(A, records, vec![]).await.unwrap();
    // Both chains are over.
    net.halt(A).await;
    let receipt = net.bounce(A, B, &all, tail(&net, 3)).await.unwrap();
    for event in lane_events(&receipt) {
        assert!(matches!(event, LaneEvent::Bounced { home: false, .. }));
    }
    assert_eq!(net.bounced(sender, net.token).await, 15);
    assert_eq!(net.bounced(sender, Address::ZERO).await, 20);
    assert_eq!((net.escrow(A, 0).await, net.escrow(A, 1).await), (980, 985));
    let to = Address::repeat_byte(0x77);
    let collect = |token| SharedBridge::collectBouncedCall {
        owner: sender,
        token,
        to,
    };
    // Somebody else takes nothing of his own, and nothing of another's elsewhere.
    let stranger = net.world.user(6);
    let own = SharedBridge::collectBouncedCall {
        owner: stranger,
        token: net.token,
        to,
    };
    assert_eq!(name(net.send(stranger, &own).await), "NothingToPay");
    for token in [net.token, Address::ZERO] {
        let theft = net.send(stranger, &collect(token)).await;
        assert_eq!(name(theft), "NotRecipient");
    }
    for token in [net.token, Address::ZERO] {
        net.send(sender, &collect(token)).await.unwrap();
        assert_eq!(
            name(net.send(sender, &collect(token)).await),
            "NothingToPay"
        );
    }
    assert_eq!(net.world.balance(to).await, U256::from(20));
    let balance = super::test_contracts::PlainToken::balanceOfCall { account: to };
    let paid = net.world.view(net.token, &balance).await.unwrap();
    assert_eq!(paid, U256::from(15));
    let owed = SharedBridge::owedCall { token: net.token };
    assert_eq!(net.view(&owed).await, U256::from(2_000 - 15));
}

/// Anyone may have what bounced sent to its owner.
#[tokio::test]
async fn what_bounced_is_sent_to_its_owner_on_anyone_s_call() {
    let mut net = Network::new(224, 2, 1_000).await;
    let (sender, stranger) = (net.world.user(1), net.world.user(6));
    let one = net.entry(true, 10, 1);
    net.settle(A, vec![net.sends(A, B, &one)], vec![])
        .await
        .unwrap();
    net.halt(A).await;
    net.bounce(A, B, &[one], tail(&net, 1)).await.unwrap();
    let call = SharedBridge::collectBouncedCall {
        owner: sender,
        token: net.token,
        to: sender,
    };
    net.send(stranger, &call).await.unwrap();
    let balance = super::test_contracts::PlainToken::balanceOfCall { account: sender };
    let paid = net.world.view(net.token, &balance).await.unwrap();
    assert_eq!(paid, U256::from(10));
    assert_eq!(name(net.send(stranger, &call).await), "NothingToPay");
}

/// A chain that could not hold it, or that does not answer, does not block the lane.
#[tokio::test]
async fn a_home_without_room_or_answer_blocks_no_bounce() {
    let mut net = Network::new(223, 2, 1_000).await;
    let all = [net.entry(true, 10, 1), net.entry(true, 20, 2)];
    let records = all.iter().map(|entry| net.sends(A, B, entry)).collect();
    net.settle(A, records, vec![]).await.unwrap();
    let most = (1 << 96) - 1 - 970 - 5;
    net.deposit(A, 1, most).await.unwrap();
    net.world.warp(7 * DAY).await;
    let lane = net.lanes[&(A, B)].clone();
    let whole = |taken| lane.tail(taken, &lane.marks[0]);
    let receipt = net.bounce(A, B, &all[..1], whole(1)).await.unwrap();
    assert!(matches!(
        lane_events(&receipt)[..],
        [LaneEvent::Bounced { home: false, .. }]
    ));
    net.set_code(net.sides[A].contract, "0x5b600056").await;
    let receipt = net.bounce(A, B, &all[1..], whole(2)).await.unwrap();
    assert!(matches!(
        lane_events(&receipt)[..],
        [LaneEvent::Bounced { home: false, .. }]
    ));
    assert_eq!(net.bounced(net.world.user(1), net.token).await, 30);
}

/// A tail may leave out the time of a checkpoint that its own block writes; that is no old one.
#[tokio::test]
async fn a_checkpoint_of_this_very_block_is_too_young_to_bounce() {
    let mut net = Network::new(225, 2, 1_000).await;
    let one = net.entry(true, 10, 1);
    let batch = net.batch(A, vec![net.sends(A, B, &one)]);
    let mut lane = super::common::lane::Lane::new(net.sides[A].id, net.sides[B].id);
    lane.entries.push(one.clone());
    lane.mark(0);
    let call = net.world.settle_call(&batch);
    // Both in one block.
    let automine = |on: bool| serde_json::json!([on]);
    let provider = net.world.provider.clone();
    let set = |on| {
        let done =
            provider.raw_request::<_, serde_json::Value>("evm_setAutomine".into(), automine(on));
        async move { drop(done.await.unwrap()) }
    };
    let contract = net.sides[A].contract;
    let bounce = carillon_settlement::abi::SharedBridge::bounceCall {
        from: net.sides[A].id,
        to: net.sides[B].id,
        entries: vec![one],
        tail: lane.tail_from(1).into(),
    };
    let stranger = net.world.user(6);
    let request = alloy::rpc::types::TransactionRequest {
        from: Some(stranger),
        to: Some(net.world.l1.bridge.into()),
        gas: Some(1_000_000),
        input: alloy::primitives::Bytes::from(alloy::sol_types::SolCall::abi_encode(&bounce))
            .into(),
        ..Default::default()
    };
    set(false).await;
    let settled = net.world.start_blob(0, contract, &call, &batch.blob).await;
    let bounced = provider.send_transaction(request).await.unwrap();
    let bounced = *bounced.tx_hash();
    let _: serde_json::Value = provider.raw_request("evm_mine".into(), ()).await.unwrap();
    set(true).await;
    let settled = net.world.receipt(settled).await;
    let bounced = provider
        .get_transaction_receipt(bounced)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(settled.block_number, bounced.block_number);
    assert!(settled.transaction_index < bounced.transaction_index);
    assert!(!bounced.status(), "what was sent a moment ago bounced");
}
