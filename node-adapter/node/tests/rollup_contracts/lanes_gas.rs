//! What a message between chains costs, measured on anvil: send and take, as the difference that it makes
//! to a settlement.

use alloy::primitives::{Address, U256};
use carillon_settlement::abi::ISharedBridge::LaneEntry;
use carillon_settlement::limits::{MOST_SENDS, settle_gas};

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
const PINNED: u64 = 22_384;
const PINNED_NEW: u64 = 43_140;

/// Answers questions without arguments with no; the others take all the gas that they get.
const TAKES_ALL_GAS: &str = "0x36600414600b575b6007565b60206000f3";

/// The dearest send is one whose chain takes all gas that it is asked with, and that comes back to a sender
/// new to the queue; a batch with as many as a node may put into one is settled in one transaction.
#[tokio::test]
async fn a_batch_of_the_most_sends_is_settled_when_all_come_back() {
    let mut net = Network::new(231, 3, 1_000).await;
    for hostile in [1, 2] {
        net.set_code(net.sides[hostile].contract, TAKES_ALL_GAS)
            .await;
    }
    let all: Vec<_> = (0..MOST_SENDS as u64)
        .map(|i| LaneEntry {
            sender: owner(i),
            ..entries(&net, 1, 1)[0].clone()
        })
        .collect();
    let records = all.iter().enumerate();
    let records = records
        .map(|(i, entry)| net.sends(A, 1 + i % 2, entry))
        .collect();
    let used = net.settle(A, records, vec![]).await.unwrap().gas_used;
    let said = settle_gas(0) + carillon_settlement::limits::sends_gas(MOST_SENDS);
    println!("{MOST_SENDS} sends that come back: {used} gas, {said} allowed for");
    assert!(used <= said && said <= carillon_settlement::MAX_TRANSACTION_GAS);
    assert!(said - used < used / 20);
}
