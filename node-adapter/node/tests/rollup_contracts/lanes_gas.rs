//! What a message between chains costs, measured on anvil: send and take, as the difference that it makes
//! to a settlement.

use alloy::primitives::{Address, U256};
use carillon_settlement::MAX_TRANSACTION_GAS;
use carillon_settlement::abi::ISharedBridge::LaneEntry;
use carillon_settlement::abi::RollupChain;
use carillon_settlement::limits::{MOST_SENDS, batch_fits, batch_gas, sends_gas, settle_gas};

use super::common::batch::{Record, address_word, masked, order, record};
use super::network::Network;

const A: usize = 0;
const B: usize = 1;

/// Owners with every byte set, as addresses have.
fn owner(seed: u64) -> Address {
    let mut bytes = [0x11 + (seed % 200) as u8; 20];
    bytes[12..].copy_from_slice(&(seed + 0x0102_0304_0506_0708).to_be_bytes());
    bytes.into()
}

fn entries(net: &Network, count: u64, first: u64) -> Vec<LaneEntry> {
    let entry = |i| LaneEntry {
        token: net.token,
        amount: U256::from(123_456_789u64),
        sender: owner(9_000),
        recipient: owner(first + i),
        memo: U256::MAX >> 8,
    };
    (0..count).map(entry).collect()
}

/// Gas of the batches that send and take these.
async fn measure(net: &mut Network, entries: &[LaneEntry]) -> [u64; 2] {
    let sends = entries.iter().map(|entry| net.sends(A, B, entry)).collect();
    let takes = entries.iter().map(|entry| net.takes(A, B, entry)).collect();
    let sent = net.settle(A, sends, vec![]).await.unwrap().gas_used;
    let taken = net.settle(B, takes, vec![]).await.unwrap().gas_used;
    [sent, taken]
}

#[tokio::test]
async fn a_message_costs_what_the_page_says() {
    let mut net = Network::new(230, 2, 1_000_000_000_000_000).await;
    // The lane's and the chains' first: storage that is written for the first time.
    for _ in 0..2 {
        let first = entries(&net, 1, 5_000);
        measure(&mut net, &first).await;
    }
    let mut empty = Vec::new();
    for at in [A, B] {
        empty.push(net.settle(at, vec![], vec![]).await.unwrap().gas_used);
    }
    println!("gas of a message, of batches without records: {empty:?}");
    println!("recipients          | messages |   send |   take | both");
    let mut both_of_100 = [0; 2];
    for (known, what) in [(false, "new on the chain"), (true, "known to the chain")] {
        for count in [1u64, 10, 100] {
            let list = entries(&net, count, count * 1_000);
            let [sent, taken] = measure(&mut net, &list).await;
            let (send, take) = ((sent - empty[A]) / count, (taken - empty[B]) / count);
            println!(
                "{what:<20}| {count:>8} | {send:>6} | {take:>6} | {}",
                send + take
            );
            both_of_100[usize::from(known)] = send + take;
        }
    }
    for (measured, pinned) in both_of_100.into_iter().zip([PINNED_NEW, PINNED]) {
        let off = measured.abs_diff(pinned);
        assert!(off * 100 <= pinned * 3, "{measured} gas, {pinned} expected");
    }
}

/// Send and take of a message in batches of 100, to a recipient who has an account there, and to one
/// who has none yet.
const PINNED: u64 = 23_392;
const PINNED_NEW: u64 = 44_147;

/// Takes all the gas that it gets, whatever it is asked.
const TAKES_ALL_GAS: &str = "0xfe";
/// The same, but for what it needs to say that it keeps a place.
const TAKES_GAS_AND_KEEPS: &str = "0x5b6103e85a11600057600160005260206000f3";

/// Sends from A each of which is a run of its own: to B and C, in ETH and in a token, by turns. Each sender is
/// new to the queue.
fn runs(net: &Network, count: usize, first: u64) -> Vec<Record> {
    let record = |i: usize| {
        let entry = LaneEntry {
            token: if (i / 2).is_multiple_of(2) {
                net.token
            } else {
                Address::ZERO
            },
            amount: U256::from(1 + i),
            sender: owner(first + i as u64),
            ..entries(net, 1, 1)[0].clone()
        };
        net.sends(A, 1 + i % 2, &entry)
    };
    (0..count).map(record).collect()
}

/// The record that costs most beside sends and takes, as in `gas`.
fn deposit_with_key() -> Record {
    let owner = address_word(Address::repeat_byte(0xee));
    let mut deposit = record(2, 0xff_ffff, 63, (1 << 96) - 1, owner);
    (deposit[3], deposit[4]) = (order() - U256::from(2), order() - U256::from(3));
    deposit
}

async fn hostile(net: &Network, code: &str) {
    for at in [1, 2] {
        net.set_code(net.sides[at].contract, code).await;
    }
}

/// A send is dearest when its chain takes all gas that it is asked with, and then it comes back or goes, each
/// a run of its own.
#[tokio::test]
async fn no_send_costs_more_than_is_allowed_for() {
    let mut net = Network::new(231, 3, 1_000_000).await;
    for _ in 0..2 {
        net.settle(A, vec![], vec![]).await.unwrap();
    }
    let empty = net.settle(A, vec![], vec![]).await.unwrap().gas_used;
    let allowed = settle_gas(1) - settle_gas(0) + sends_gas(1);
    let mut shares = Vec::new();
    for (what, code, count) in [
        ("takes all gas", TAKES_ALL_GAS, 40),
        ("takes gas, new lanes", TAKES_GAS_AND_KEEPS, 2),
        ("takes gas, known lanes", TAKES_GAS_AND_KEEPS, 40),
    ] {
        hostile(&net, code).await;
        let records = runs(&net, count, 1_000 * shares.len() as u64);
        let used = net.settle(A, records, vec![]).await.unwrap().gas_used;
        let share = (used - empty) / count as u64;
        println!("{what:<24}| {share} gas a send of {count}, {allowed} allowed for");
        assert!(share <= allowed, "{share} gas, {allowed} allowed for");
        shares.push(share);
    }
    let dearest = shares.iter().max().unwrap();
    assert!(allowed - dearest < allowed / 10, "{dearest} of {allowed}");

    // A chain that does not answer is asked once in a run.
    hostile(&net, TAKES_ALL_GAS).await;
    let one = entries(&net, 1, 1).remove(0);
    let same = |net: &Network, count: u64| -> Vec<Record> {
        let entry = |i| LaneEntry {
            sender: owner(7_000 + i),
            ..one.clone()
        };
        (0..count).map(|i| net.sends(A, B, &entry(i))).collect()
    };
    let records = same(&net, 40);
    let used = net.settle(A, records, vec![]).await.unwrap().gas_used;
    let share = (used - empty) / 40;
    println!("in one run              | {share} gas a send of 40");
    assert!(share + 90_000 < shares[0]);

    // What comes back without a question, to a sender known to the queue.
    net.set_lane(A, 1, false).await;
    for count in [1u64, 10] {
        let records = same(&net, count);
        let used = net.settle(A, records, vec![]).await.unwrap().gas_used;
        println!(
            "comes back, lane closed | {} gas a send of {count}",
            (used - empty) / count
        );
    }
}

/// A take is dearest when it is the first of its lane and token, alone, with a tail as long as a batch may send.
#[tokio::test]
async fn no_take_costs_more_than_is_allowed_for() {
    let mut net = Network::new(232, 2, 0).await;
    net.deposit(A, 1, 1_000_000_000_000_000).await.unwrap();
    net.settle(B, vec![], vec![]).await.unwrap();
    let empty = net.settle(B, vec![], vec![]).await.unwrap().gas_used;
    let all = entries(&net, MOST_SENDS as u64 + 1, 1);
    let records = all.iter().map(|entry| net.sends(A, B, entry)).collect();
    net.settle(A, records, vec![]).await.unwrap();
    let take = net.takes(A, B, &all[0]);
    let tail = net.lanes[&(A, B)].tail_from(1);
    assert_eq!(tail.entries.len(), MOST_SENDS);
    let used = net
        .settle(B, vec![take], vec![tail])
        .await
        .unwrap()
        .gas_used;
    let allowed = batch_gas(1, 0, 1) - batch_gas(0, 0, 0);
    println!("dearest take: {} gas, {allowed} allowed for", used - empty);
    assert!(used - empty <= allowed && allowed - (used - empty) < allowed / 10);
}

/// As many sends as a node may put into a batch, all of which come back at their dearest, and as many other
/// records as still fit: settled in one transaction.
#[tokio::test]
async fn the_largest_batch_with_sends_fits_a_transaction() {
    assert!(batch_fits(MOST_SENDS, MOST_SENDS, 0));
    assert!(!batch_fits(MOST_SENDS + 1, MOST_SENDS + 1, 0));
    assert!(!batch_fits(0, usize::MAX, usize::MAX));
    for sends in [MOST_SENDS, MOST_SENDS / 2] {
        let mut net = Network::new(233, 3, 1_000_000).await;
        let others = (0..5_000).take_while(|others| batch_fits(sends + others, sends, 0));
        let others = others.last().unwrap();
        // What waits is executed first; then the queue is filled as the bridge fills it.
        let mut first = Vec::new();
        for slot in [0, 1] {
            let owner = address_word(net.world.user(1));
            first.push(record(2, 5, slot, 1_000_000, owner));
        }
        net.settle(A, first, vec![]).await.unwrap();
        let bridge = net.world.l1.bridge;
        net.impersonate(bridge).await;
        let enqueue = RollupChain::enqueueCall {
            words: masked(&deposit_with_key()),
        };
        for _ in 0..others {
            let chain = net.sides[A].contract;
            net.world.send(bridge, chain, &enqueue).await.unwrap();
        }
        hostile(&net, TAKES_ALL_GAS).await;
        let mut records = vec![deposit_with_key(); others];
        records.extend(runs(&net, sends, 0));
        let used = net.settle(A, records, vec![]).await.unwrap().gas_used;
        let said = batch_gas(sends + others, sends, 0);
        println!("{sends} dearest sends, {others} deposits: {used} gas, {said} allowed for");
        // Sends are counted as firsts of a lane, which these are not.
        assert!(used <= said && said <= MAX_TRANSACTION_GAS);
    }
}
