//! Lanes of a chain whose governor has put another contract in its place: it harms its own, and no other chain.

use alloy::primitives::{Address, Bytes, U256};
use alloy::providers::Provider;
use alloy::rpc::types::{TransactionReceipt, TransactionRequest};
use alloy::sol_types::SolCall;
use carillon_settlement::abi::SharedBridge;
use carillon_settlement::lanes::{LaneEvent, ReturnReason};

use super::common::batch::Record;
use super::common::lane::party;
use super::common::world::refusal;
use super::network::{Network, lane_events};
use super::test_contracts::HostileChain;

const A: usize = 0;
const B: usize = 1;
const WEEK: u64 = 7 * 24 * 3600;

/// The hostile chain moves these records, of whatever batch it says.
async fn cross(net: &Network, batch: u64, records: &[Record]) -> TransactionReceipt {
    let call = HostileChain::crossCall {
        bridge: net.world.l1.bridge,
        chainId: net.sides[A].id,
        batch,
        records: records.concat(),
    };
    let contract = net.sides[A].contract;
    let done = net.world.send(net.world.user(8), contract, &call).await;
    done.unwrap()
}

#[tokio::test]
async fn no_checkpoint_is_overwritten() {
    let mut net = Network::new(250, 2, 1_000).await;
    net.make_hostile(A).await;
    let entries: Vec<_> = (0..3u64).map(|i| net.entry(false, 10, i)).collect();
    let records: Vec<_> = entries.iter().map(|entry| net.sends(A, B, entry)).collect();
    let receipt = cross(&net, 1, &records[..2]).await;
    net.settled(A, &receipt).await;
    // The batch of the chain that takes may be proved already, with this tail.
    let lane = &net.lanes[&(A, B)];
    let tail = lane.tail(1, &lane.marks[0]);
    net.world.warp(60).await;
    let receipt = cross(&net, 1, &records[2..]).await;
    net.settled(A, &receipt).await;
    let take = net.takes(A, B, &entries[0]);
    net.settle(B, vec![take], vec![tail]).await.unwrap();
    assert_eq!(net.escrow(B, 0).await, 1_010);
}

#[tokio::test]
async fn what_nobody_could_take_enters_no_lane() {
    let mut net = Network::new(251, 2, 1_000).await;
    net.make_hostile(A).await;
    let good = net.sends(A, B, &net.entry(false, 10, 1));
    let (mut recipient, mut sender, mut memo) = (good, good, good);
    recipient[2] = party(Address::ZERO, net.sides[B].id);
    sender[3] = U256::ZERO;
    memo[4] = U256::ONE << 248;
    let receipt = cross(&net, 1, &[recipient, sender, memo, good]).await;
    let events = net.settled(A, &receipt).await;
    assert_eq!(events.len(), 4);
    for event in &events[..3] {
        let malformed = ReturnReason::Malformed;
        assert!(
            matches!(event, LaneEvent::Returned { reason, .. } if *reason == malformed),
            "{event:?}"
        );
    }
    let entry = net.entry(false, 10, 1);
    let take = net.takes(A, B, &entry);
    net.settle(B, vec![take], vec![]).await.unwrap();
    assert_eq!(
        (net.escrow(A, 0).await, net.escrow(B, 0).await),
        (990, 1_010)
    );
}

/// Whatever a chain does with what comes back, its lane goes on, and its senders have what it did not take.
#[tokio::test]
async fn a_home_that_takes_nothing_back_blocks_no_bounce() {
    // It answers, refuses, takes all gas, answers nothing, answers with 100,000 bytes: `HostileChain.Mode`.
    let modes = [(0u8, true), (1, false), (2, false), (3, false), (4, true)];
    let mut net = Network::new(252, 2, 1_000).await;
    let all: Vec<_> = (0..5u64).map(|i| net.entry(true, 10, i)).collect();
    let records = all.iter().map(|entry| net.sends(A, B, entry)).collect();
    net.settle(A, records, vec![]).await.unwrap();
    net.world.warp(WEEK).await;
    net.make_hostile(A).await;
    let (mut escrow, mut bounced) = (950, 0);
    for (index, (mode, taken)) in modes.into_iter().enumerate() {
        let set = HostileChain::setCall { mode };
        let contract = net.sides[A].contract;
        let stranger = net.world.user(8);
        net.world.send(stranger, contract, &set).await.unwrap();
        let lane = net.lanes[&(A, B)].clone();
        let tail = lane.tail(index + 1, &lane.marks[0]);
        let receipt = net.bounce(A, B, &all[index..=index], tail).await.unwrap();
        let [LaneEvent::Bounced { home, .. }] = lane_events(&receipt)[..] else {
            panic!("one entry")
        };
        assert_eq!(home, taken, "{index}");
        *(if home { &mut escrow } else { &mut bounced }) += 10;
        assert_eq!(net.escrow(A, 1).await, escrow, "{index}");
        assert_eq!(net.bounced(net.world.user(1), net.token).await, bounced);
        assert_eq!(net.arrivals(B).await, (5, index as u64 + 1));
    }
    assert_eq!(net.reserved(B, 2).await, 0);
}

/// Who bounces cannot keep an entry from its home by giving little gas.
#[tokio::test]
async fn a_bounce_with_too_little_gas_is_refused() {
    let mut net = Network::new(253, 2, 1_000).await;
    let entry = net.entry(true, 10, 1);
    net.settle(A, vec![net.sends(A, B, &entry)], vec![])
        .await
        .unwrap();
    net.world.warp(WEEK).await;
    let call = SharedBridge::bounceCall {
        from: net.sides[A].id,
        to: net.sides[B].id,
        entries: vec![entry],
        tail: net.lanes[&(A, B)].tail_from(1).into(),
    };
    let request = TransactionRequest {
        from: Some(net.world.user(9)),
        to: Some(net.world.l1.bridge.into()),
        input: Bytes::from(call.abi_encode()).into(),
        ..Default::default()
    };
    let provider = &net.world.provider;
    let enough = provider.estimate_gas(request.clone()).await.unwrap();
    let (mut done, mut refused) = (0, 0);
    for step in 0..40 {
        let snapshot: serde_json::Value = provider
            .raw_request("evm_snapshot".into(), ())
            .await
            .unwrap();
        let mut with = request.clone();
        with.gas = Some(enough + 2_000 - step * 5_000);
        match provider.call(with.clone()).await {
            Ok(_) => {
                let pending = provider.send_transaction(with).await.unwrap();
                let receipt = net.world.receipt(*pending.tx_hash()).await;
                let events = lane_events(&receipt);
                assert!(matches!(
                    events[..],
                    [LaneEvent::Bounced { home: true, .. }]
                ));
                done += 1;
            }
            Err(error) => {
                let data = error.as_error_resp().and_then(|e| e.as_revert_data());
                // Otherwise out of gas elsewhere.
                if data.is_some() {
                    refused += usize::from(refusal(&error).name() == "GasTooLow");
                }
            }
        }
        let _: serde_json::Value = provider
            .raw_request("evm_revert".into(), [snapshot])
            .await
            .unwrap();
    }
    assert!(done > 0 && refused > 5, "{done} done, {refused} refused");
}
