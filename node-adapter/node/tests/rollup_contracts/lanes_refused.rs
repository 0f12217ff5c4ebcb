//! What lanes refuse, each with its reason: wrong takes and tails, wrong callers, wrong records; and
//! sends that cannot go, which come back at once and stop no batch.

use alloy::primitives::{Address, B256, U256};
use alloy::providers::Provider;
use carillon_settlement::abi::{ChainHub, RollupChain, SharedBridge};
use carillon_settlement::lanes::{LaneEvent, ReturnReason, Tail};

use super::common::batch::{Record, address_word, w0};
use super::common::lane::party;
use super::common::world::{name, refusal};
use super::network::{Network, lane_events};

const A: usize = 0;
const B: usize = 1;
const C: usize = 2;
/// The most that a chain holds of a token.
const MOST: u128 = (1 << 96) - 1;

#[tokio::test]
async fn only_what_was_sent_is_taken_once_and_in_order() {
    let mut net = Network::new(210, 3, 1_000).await;
    let first = net.entry(true, 10, 1);
    let second = net.entry(true, 20, 2);
    let take = |net: &Network, entry| net.takes(A, B, entry);
    let records = vec![take(&net, &first)];
    let refused = net.try_settle(B, records, vec![]).await;
    assert_eq!(name(refused), "TakeWithoutSend");
    let records = vec![net.sends(A, B, &first), net.sends(A, B, &second)];
    net.settle(A, records, vec![]).await.unwrap();

    type Change = Box<dyn Fn(&Network, &mut Record)>;
    let stranger = net.world.user(7);
    let changes: Vec<(&str, Change)> = vec![
        ("amount", Box::new(|_, r| r[1] += U256::ONE)),
        (
            "recipient",
            Box::new(move |_, r| r[2] = address_word(stranger)),
        ),
        ("sender", Box::new(move |_, r| r[3] = party(stranger, 77))),
        ("memo", Box::new(|_, r| r[4] += U256::ONE)),
        ("token", Box::new(|_, r| r[0] = w0(9, 6, 0))),
    ];
    for (what, change) in &changes {
        let mut wrong = take(&net, &first);
        change(&net, &mut wrong);
        let records = vec![wrong, take(&net, &second)];
        let refused = net.try_settle(B, records, vec![]).await;
        assert_eq!(name(refused), "LaneMismatch", "{what}");
        let tail = net.lanes[&(A, B)].tail_from(1);
        let refused = net.try_settle(B, vec![wrong], vec![tail]).await;
        assert_eq!(name(refused), "LaneMismatch", "{what}, with a tail");
    }
    let tail = |taken: usize| net.lanes[&(A, B)].tail_from(taken);
    let (tail_1, tail_2) = (tail(1), tail(2));
    let (one, two) = (take(&net, &first), take(&net, &second));
    let cases: Vec<(&str, Vec<Record>, Vec<Tail>, &str)> = vec![
        ("out of order", vec![two, one], vec![], "LaneMismatch"),
        ("skipped", vec![two], vec![tail_1.clone()], "LaneMismatch"),
        ("twice", vec![one, one], vec![tail_2], "LaneMismatch"),
        (
            "more than was sent",
            vec![one, two, two],
            vec![],
            "TakeWithoutSend",
        ),
        // The slot of the token on the sending chain is none here; nor is it that of another chain.
        (
            "another slot",
            vec![{
                let mut wrong = one;
                wrong[0] = w0(9, 6, 1);
                wrong
            }],
            vec![tail_1.clone()],
            "UnknownToken",
        ),
        (
            "from another chain",
            vec![{
                let mut wrong = one;
                wrong[3] = party(net.world.user(1), 79);
                wrong
            }],
            vec![tail_1.clone()],
            "TakeWithoutSend",
        ),
    ];
    for (what, records, tails, reason) in cases {
        let refused = net.try_settle(B, records, tails).await;
        assert_eq!(name(refused), reason, "{what}");
    }
    // Nor by a chain that it is not for.
    let records = vec![net.takes(A, C, &first)];
    let refused = net.try_settle(C, records, vec![tail_1]).await;
    assert_eq!(name(refused), "TakeWithoutSend");

    // Deposits between the two: lanes are no queue.
    net.deposit(B, 0, 5).await.unwrap();
    net.settle(B, vec![one, two], vec![]).await.unwrap();
    let refused = net.try_settle(B, vec![one, two], vec![]).await;
    assert_eq!(name(refused), "TakeWithoutSend");
}

#[tokio::test]
async fn a_tail_is_what_the_lane_was_after_a_batch() {
    let mut net = Network::new(211, 3, 1_000).await;
    let entries: Vec<_> = (0..4u64).map(|i| net.entry(false, 1, i)).collect();
    for batch in entries.chunks(2) {
        let records = batch.iter().map(|entry| net.sends(A, B, entry)).collect();
        net.settle(A, records, vec![]).await.unwrap();
    }
    net.settle(C, vec![net.sends(C, B, &entries[0])], vec![])
        .await
        .unwrap();
    let one = net.takes(A, B, &entries[0]);
    let good = net.lanes[&(A, B)].tail_from(1);
    type Change = fn(&mut Tail);
    let changes: [(&str, Change, &str); 9] = [
        (
            "hash",
            |t| t.laneHash = B256::repeat_byte(1),
            "LaneMismatch",
        ),
        ("count", |t| t.count += 1, "LaneMismatch"),
        ("time", |t| t.time -= 1, "NoSuchCheckpoint"),
        ("another batch", |t| t.batch = 2, "NoSuchCheckpoint"),
        ("a batch to come", |t| t.batch = 9, "NoSuchCheckpoint"),
        ("entry left out", |t| t.entries.clear(), "LaneMismatch"),
        (
            "entry twice",
            |t| t.entries.push(t.entries[0]),
            "LaneMismatch",
        ),
        ("entry", |t| t.entries[0] = B256::ZERO, "LaneMismatch"),
        ("another lane", |t| t.from = 79, "TailMissing"),
    ];
    for (what, change, reason) in changes {
        let mut wrong = good.clone();
        change(&mut wrong);
        let refused = net.try_settle(B, vec![one], vec![wrong]).await;
        assert_eq!(name(refused), reason, "{what}");
    }
    // A state that the lane had within a batch only.
    let lane = net.lanes[&(A, B)].clone();
    let mut within = lane.marks[1];
    within.count = 3;
    let refused = net
        .try_settle(B, vec![one], vec![lane.tail(1, &within)])
        .await;
    assert_eq!(name(refused), "NoSuchCheckpoint");
    net.settle(B, vec![one], vec![good]).await.unwrap();
}

#[tokio::test]
async fn records_between_chains_have_one_form() {
    let mut net = Network::new(212, 2, 1_000).await;
    let entry = net.entry(false, 1, 1);
    let (sent, taken) = (net.sends(A, B, &entry), net.takes(B, A, &entry));
    let bit = |bit: usize| U256::ONE << bit;
    let chain = |word: U256| word & !(U256::from(u64::MAX) << 160usize);
    let owner = |word: U256| word >> 160usize << 160usize;
    let mut cases: Vec<(&str, Record, &str)> = Vec::new();
    for (record, there, here) in [(sent, 2, 3), (taken, 3, 2)] {
        let mut case = |what, index: usize, word, reason| {
            let mut wrong = record;
            wrong[index] = word;
            cases.push((what, wrong, reason));
        };
        case("no chain", there, chain(record[there]), "CrossingWords");
        case(
            "no owner there",
            there,
            owner(record[there]),
            "CrossingWords",
        );
        case(
            "leg without flow",
            there,
            record[there] + bit(224),
            "CrossingWords",
        );
        case(
            "ninth leg",
            there,
            record[there] + bit(232) + bit(227),
            "CrossingWords",
        );
        case(
            "bit above the flow",
            there,
            record[there] + bit(233),
            "CrossingWords",
        );
        case("no owner here", here, U256::ZERO, "CrossingWords");
        case("no address", here, record[here] + bit(160), "CrossingWords");
        case("memo of 249 bits", 4, bit(248), "CrossingWords");
        case("amount", 1, bit(96), "RecordAmount");
        case("bits of w0", 0, record[0] + bit(34), "RecordMalformed");
    }
    let mut flow = taken;
    flow[3] += bit(232);
    cases.push(("take of a leg", flow, "FlowsNotServed"));
    let mut back = sent;
    back[0] += U256::from(2);
    cases.push(("return", back, "FlowsNotServed"));
    for kind in 11..16 {
        let mut unknown = sent;
        unknown[0] = w0(kind, 5, 0);
        cases.push(("unknown kind", unknown, "RecordKind"));
    }
    for (what, record, reason) in cases {
        let refused = net.try_settle(A, vec![record], vec![]).await;
        assert_eq!(name(refused), reason, "{what}: {record:?}");
    }
}

#[tokio::test]
async fn lanes_are_written_by_chains_and_opened_by_their_governors() {
    let net = Network::new(213, 2, 1_000).await;
    let entry = net.entry(false, 1, 1);
    let stranger = net.world.user(5);
    let send = SharedBridge::sendCall {
        chainId: 77,
        batch: 1,
        records: net.sends(A, B, &entry).to_vec(),
    };
    assert_eq!(name(net.send(stranger, &send).await), "NotTheChain");
    let take = SharedBridge::takeCall {
        chainId: 78,
        records: net.takes(A, B, &entry).to_vec(),
        tails: vec![],
    };
    assert_eq!(name(net.send(stranger, &take).await), "NotTheChain");
    // A chain speaks for itself alone, and no contract gets the id of another.
    let chain_b = net.sides[B].contract;
    for (method, params) in [
        ("anvil_impersonateAccount", serde_json::json!([chain_b])),
        (
            "anvil_setBalance",
            serde_json::json!([chain_b, "0xde0b6b3a7640000"]),
        ),
    ] {
        let _: serde_json::Value = net
            .world
            .provider
            .raw_request(method.into(), params)
            .await
            .unwrap();
    }
    assert_eq!(name(net.send(chain_b, &send).await), "NotTheChain");
    for (id, reason) in [(77, "ChainAlreadyRegistered"), (80, "NotThatChain")] {
        let register = ChainHub::registerCall {
            chainId: id,
            chain_: chain_b,
        };
        let refused = net
            .world
            .send(net.world.user(0), net.world.l1.hub, &register)
            .await;
        assert_eq!(name(refused), reason);
    }
    let book = RollupChain::bookCall { owner: stranger };
    let refused = net.world.send(stranger, chain_b, &book).await;
    assert_eq!(name(refused), "NotBridge");

    let mut open = SharedBridge::setLaneCall {
        chainId: 77,
        other: 78,
        open: false,
    };
    assert_eq!(name(net.send(stranger, &open).await), "NotGovernor");
    open.other = 77;
    assert_eq!(
        name(net.send(net.world.user(0), &open).await),
        "LaneToItself"
    );
    open.chainId = 90;
    assert_eq!(
        name(net.send(net.world.user(0), &open).await),
        "UnknownChain"
    );
}

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
