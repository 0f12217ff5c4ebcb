//! Sends that cannot go: they come back at once, each for its reason, and stop no batch.

use alloy::primitives::{Address, U256};
use alloy::providers::Provider;
use carillon_settlement::abi::RollupChain;
use carillon_settlement::lanes::{LaneEvent, ReturnReason};

use super::common::batch::{Record, address_word, w0};
use super::common::lane::party;
use super::common::world::{name, refusal};
use super::network::{Network, lane_events};

const A: usize = 0;
const B: usize = 1;
/// The most that a chain holds of a token.
const MOST: u128 = (1 << 96) - 1;

/// What a batch with one send announces of it.
async fn outcome(net: &mut Network, from: usize, record: Record) -> LaneEvent {
    let receipt = net.settle(from, vec![record], vec![]).await.unwrap();
    let mut events = lane_events(&receipt);
    assert_eq!(events.len(), 1);
    let queued: Vec<_> = receipt
        .inner
        .logs()
        .iter()
        .filter_map(|log| {
            use alloy::sol_types::SolEvent;
            RollupChain::QueueEntry::decode_log(&log.inner).ok()
        })
        .collect();
    if let LaneEvent::Returned { sender, amount, .. } = &events[0] {
        let slot = record[0].to::<u64>() >> 28;
        let expected = [
            w0(5, 0, slot as u8),
            *amount,
            address_word(*sender),
            U256::ZERO,
            U256::ZERO,
        ];
        let words: Vec<_> = queued.iter().map(|entry| entry.words).collect();
        let expected = if amount.is_zero() {
            vec![]
        } else {
            vec![expected]
        };
        assert_eq!(words, expected);
    } else {
        assert!(queued.is_empty());
    }
    events.remove(0)
}

#[tokio::test]
async fn a_send_that_cannot_go_comes_back_at_once_and_stops_nothing() {
    let mut net = Network::new(214, 2, 1_000).await;
    let full = net.add(|options| options.accounts = 2).await;
    let (ether, token) = (net.entry(false, 5, 1), net.entry(true, 5, 1));
    let reason = |event: LaneEvent| match event {
        LaneEvent::Returned { reason, amount, .. } if amount == U256::from(5) => Some(reason),
        LaneEvent::Sent { .. } => None,
        other => panic!("{other:?}"),
    };
    // No such chain; a leg of a flow; the bridge as recipient; a token without a slot there.
    let mut nowhere = net.sends(A, B, &ether);
    nowhere[2] = party(net.world.user(2), 999);
    let mut leg = net.sends(A, B, &ether);
    leg[2] += U256::ONE << 232;
    let mut bridge = net.sends(A, B, &ether);
    bridge[2] = party(net.world.l1.bridge, 78);
    let mut unlisted = net.sends(A, B, &token);
    unlisted[0] = w0(8, 5, 60);
    unlisted[1] = U256::ZERO;
    for (record, expected) in [
        (nowhere, ReturnReason::NoChain),
        (leg, ReturnReason::Flow),
        (bridge, ReturnReason::ToBridge),
    ] {
        assert_eq!(reason(outcome(&mut net, A, record).await), Some(expected));
    }
    let event = outcome(&mut net, A, unlisted).await;
    assert!(matches!(
        event,
        LaneEvent::Returned {
            reason: ReturnReason::NotListed,
            ..
        }
    ));
    let other = net
        .world
        .create(&super::test_contracts::PlainToken::BYTECODE)
        .await;
    net.world.list(33, other).await.unwrap();
    let mut unlisted = net.sends(A, B, &token);
    unlisted[0] = w0(8, 5, 33);
    let record = outcome(&mut net, A, unlisted).await;
    assert_eq!(reason(record), Some(ReturnReason::NotListed));

    // A lane that either side has closed; it opens again.
    let sent = net.sends(A, B, &ether);
    for side in [(A, B), (B, A)] {
        net.set_lane(side.0, side.1, false).await;
        let closed = outcome(&mut net, A, sent).await;
        assert_eq!(reason(closed), Some(ReturnReason::LaneClosed));
        net.set_lane(side.0, side.1, true).await;
    }
    assert_eq!(reason(outcome(&mut net, A, sent).await), None);

    // A tree without a place: one owner, who is there already, and another.
    for (from, to) in [(A, full), (full, A)] {
        net.set_lane(from, to, true).await;
    }
    let mut known = ether.clone();
    known.recipient = net.world.user(1);
    net.deposit(full, 0, 5).await.unwrap();
    let record = net.sends(A, full, &known);
    assert_eq!(reason(outcome(&mut net, A, record).await), None);
    let record = net.sends(A, full, &ether);
    let event = outcome(&mut net, A, record).await;
    assert_eq!(reason(event), Some(ReturnReason::AccountsFull));

    // No escrow moved for what came back.
    assert_eq!(net.escrow(A, 0).await, 1_000 - 10);
    assert_eq!(net.escrow(A, 1).await, 1_000);

    // Chains that do not answer, take all gas, answer too little or another thing than yes or no: not theirs to stop.
    let contract = net.sides[B].contract;
    for code in [
        "0xfe",
        "0x5b600056",
        "0x60016000f3",
        "0x",
        "0x62100000600052620f4240600020",
        "0x600360005260206000f3",
        "0x60001960005260206000f3",
    ] {
        net.set_code(contract, code).await;
        let event = outcome(&mut net, A, sent).await;
        assert_eq!(reason(event), Some(ReturnReason::Halted), "{code}");
    }
    assert_eq!(net.transit(A, B, Address::ZERO).await, 5);
}

#[tokio::test]
async fn a_chain_never_holds_more_than_a_cell_when_all_has_come_in() {
    let mut net = Network::new(215, 2, 0).await;
    net.deposit(A, 1, 1_000).await.unwrap();
    net.deposit(B, 2, MOST - 100).await.unwrap();
    let all = [
        net.entry(true, 60, 1),
        net.entry(true, 41, 2),
        net.entry(true, 40, 3),
    ];
    let records = all.iter().map(|entry| net.sends(A, B, entry)).collect();
    let receipt = net.settle(A, records, vec![]).await.unwrap();
    let events = lane_events(&receipt);
    assert!(matches!(events[0], LaneEvent::Sent { .. }));
    assert!(matches!(
        events[1],
        LaneEvent::Returned {
            reason: ReturnReason::NoRoom,
            ..
        }
    ));
    assert!(matches!(events[2], LaneEvent::Sent { .. }));
    assert_eq!(net.reserved(B, 2).await, 100);
    // A deposit leaves room for what is on its way.
    assert_eq!(name(net.deposit(B, 2, 1).await), "EscrowFull");
    let records = vec![net.takes(A, B, &all[0]), net.takes(A, B, &all[2])];
    net.settle(B, records, vec![]).await.unwrap();
    assert_eq!(net.escrow(B, 2).await, MOST);
    // All of it in the lane of a chain to itself.
    let whole = net.entry(true, MOST, 4);
    let records = vec![net.sends(B, B, &whole), net.takes(B, B, &whole)];
    net.settle(B, records, vec![]).await.unwrap();
    assert_eq!(net.escrow(B, 2).await, MOST);
    // More than there is was never a balance: such a batch has a broken proof.
    let more = net.entry(false, 1, 5);
    let records = vec![net.sends(A, B, &more)];
    assert_eq!(
        name(net.try_settle(A, records, vec![]).await),
        "EscrowTooSmall"
    );
}

/// Who executes a batch cannot make its sends come back by giving little gas.
#[tokio::test]
async fn too_little_gas_is_refused_and_returns_nothing() {
    let mut net = Network::new(216, 2, 1_000).await;
    let entry = net.entry(false, 5, 1);
    let batch = net.batch(A, vec![net.sends(A, B, &entry)]);
    let stored = net.world.commit(&batch).await.unwrap();
    net.world.prove(&batch, &stored).await.unwrap();
    let call = RollupChain::executeCall {
        stored,
        crossings: carillon_settlement::lanes::Crossings {
            records: batch.crossings(),
            tails: vec![],
        },
    };
    use alloy::sol_types::SolCall;
    let request = alloy::rpc::types::TransactionRequest {
        from: Some(net.world.user(9)),
        to: Some(net.sides[A].contract.into()),
        input: alloy::primitives::Bytes::from(call.abi_encode()).into(),
        ..Default::default()
    };
    let provider = &net.world.provider;
    let enough = provider.estimate_gas(request.clone()).await.unwrap();
    let (mut executed, mut refused) = (0, 0);
    for step in 0..40 {
        let snapshot: serde_json::Value = provider
            .raw_request("evm_snapshot".into(), ())
            .await
            .unwrap();
        let mut with = request.clone();
        with.gas = Some(enough + 2_000 - step * 6_000);
        match provider.call(with.clone()).await {
            Ok(_) => {
                let pending = provider.send_transaction(with).await.unwrap();
                let receipt = net.world.receipt(*pending.tx_hash()).await;
                assert!(matches!(
                    lane_events(&receipt)[..],
                    [LaneEvent::Sent { .. }]
                ));
                executed += 1;
            }
            Err(error)
                if error
                    .as_error_resp()
                    .and_then(|e| e.as_revert_data())
                    .is_some() =>
            {
                // Otherwise out of gas elsewhere.
                refused += usize::from(refusal(&error).name() == "GasTooLow");
            }
            // Out of gas elsewhere.
            Err(_) => {}
        }
        let _: serde_json::Value = provider
            .raw_request("evm_revert".into(), [snapshot])
            .await
            .unwrap();
    }
    assert!(
        executed > 0 && refused > 5,
        "{executed} executed, {refused} refused"
    );
}
