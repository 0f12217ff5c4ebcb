//! What lanes refuse, each with its reason: wrong takes and tails, wrong callers, wrong records.

use alloy::primitives::{B256, U256};
use carillon_settlement::abi::{ChainHub, RollupChain, SharedBridge};
use carillon_settlement::lanes::Tail;

use super::common::batch::{Record, address_word, w0};
use super::common::lane::party;
use super::common::world::name;
use super::network::Network;

const A: usize = 0;
const B: usize = 1;
const C: usize = 2;

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
    let changes: [(&str, Change, &str); 7] = [
        (
            "hash",
            |t| t.laneHash = B256::repeat_byte(1),
            "LaneMismatch",
        ),
        ("count", |t| t.count += 1, "LaneMismatch"),
        ("time", |t| t.time -= 1, "NoSuchCheckpoint"),
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
    let cross = SharedBridge::crossCall {
        chainId: 77,
        batch: 1,
        records: net.sends(A, B, &entry).to_vec(),
        tails: vec![],
    };
    assert_eq!(name(net.send(stranger, &cross).await), "NotTheChain");
    // A chain speaks for itself alone, and no contract gets the id of another.
    let chain_b = net.sides[B].contract;
    net.impersonate(chain_b).await;
    assert_eq!(name(net.send(chain_b, &cross).await), "NotTheChain");
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
