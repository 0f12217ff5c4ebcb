//! What was taken on another chain's word, and taken back: receipts, money that was spent, lanes of this
//! chain, restarts at every moment.

use std::collections::BTreeMap;
use std::time::Duration;

use carillon_lane_feed::{Place, Source};
use carillon_protocol::crypto::schnorr::SecretKey;
use carillon_protocol::{Domain, Kind, Operation, Party, Record, owner_word};
use carillon_settlement::abi::ISharedBridge::LaneEntry;
use carillon_settlement::lanes::Fold;

use super::*;
use crate::ports::PromisedEntry;
use crate::receipt::{Condition, is_taken_back};
use crate::{Rollup, RollupOptions};

const ALICE: u8 = 1;
const BOB: u8 = 2;

fn user(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

fn rollup() -> RollupOptions {
    RollupOptions::new(270, 0, 8, 8, 8, 3).unwrap()
}

/// A writer of the real machine; Alice has account 1, Bob account 2, each ten units.
async fn ledger(disk: &Disk, policy: PromisePolicy) -> (Writer<Rollup>, Arc<Store>) {
    let store = Arc::new(store_of(disk, &rollup().mark()).unwrap());
    let machine = Rollup::restore(&rollup(), &store).unwrap();
    let options = WriterOptions {
        promises: policy,
        ..options()
    };
    let (writer, _) = Writer::start(machine, Arc::clone(&store), key(), options).unwrap();
    let deposit = |number: u8| {
        let point = user(number).public().coordinates();
        let record = Record {
            kind: Kind::Deposit,
            account: 0,
            token: 0,
            amount: 10,
            words: [owner_word(&[number; 20]), point.x, point.y],
        };
        QueueEntry {
            index: u64::from(number) - 1,
            words: record.to_words().map(|word| word.to_bytes_be()),
        }
    };
    writer
        .queue(vec![deposit(ALICE), deposit(BOB)])
        .await
        .unwrap();
    (writer, store)
}

/// Entries of the lane from chain 271 to Bob, of these amounts.
fn promise(from: u64, amounts: &[u128]) -> Promised {
    promise_to(BOB, from, amounts)
}

fn promise_to(recipient: u8, from: u64, amounts: &[u128]) -> Promised {
    let entries = (from..).zip(amounts).map(|(index, amount)| {
        let record = Record {
            kind: Kind::Take,
            account: 0,
            token: 0,
            amount: *amount,
            words: [
                owner_word(&[recipient; 20]),
                Party::new([9; 20], 271).to_word(),
                blstrs::Scalar::from(0),
            ],
        };
        PromisedEntry {
            entry: QueueEntry {
                index,
                words: record.to_words().map(|word| word.to_bytes_be()),
            },
            hash: [index as u8 + 1; 32],
            wei: *amount,
        }
    });
    Promised {
        chain: 271,
        epoch: 0,
        entries: entries.collect(),
    }
}

fn pay(from: u8, to: u8, amount: u128, nonce: u64) -> Operation {
    let operation = Operation::transfer(from.into(), to.into(), 0, amount, 0, nonce);
    operation
        .sign(&user(from), Domain::local(270), &[from; 20])
        .unwrap()
}

fn send(from: u8, amount: u128, nonce: u64) -> Operation {
    let operation = Operation {
        words: [
            Party::new([7; 20], 272).to_word(),
            owner_word(&[from; 20]),
            blstrs::Scalar::from(0),
        ],
        ..Operation::new(Kind::Send, from.into(), 0, amount, 0, nonce)
    };
    operation
        .sign(&user(from), Domain::local(270), &[from; 20])
        .unwrap()
}

async fn balance(writer: &Writer<Rollup>, account: u8) -> u128 {
    let question = move |rollup: &Rollup| rollup.ledger().account(account.into()).balance(0);
    writer.look(question).await.unwrap()
}

/// The lane to chain 272 of these amounts, all sent by Bob.
fn lane_of(amounts: &[u128]) -> Fold {
    let mut fold = Fold::default();
    for amount in amounts {
        fold.push(&LaneEntry {
            token: [0; 20].into(),
            amount: alloy::primitives::U256::from(*amount),
            sender: [BOB; 20].into(),
            recipient: [7; 20].into(),
            memo: alloy::primitives::U256::ZERO,
        });
    }
    fold
}

#[tokio::test]
async fn what_was_spent_of_money_that_never_came_falls_and_nothing_else_does() {
    let disk = Disk::new(Vec::new());
    let (writer, store) = ledger(&disk, PromisePolicy::default()).await;
    let on_l1 = LanesOut {
        lanes: [(272, Fold::default())].into(),
        ..LanesOut::default()
    };
    writer.lanes_out(on_l1).await.unwrap();
    let plain = writer.submit(pay(BOB, ALICE, 1, 0)).await.unwrap();
    assert_eq!(plain.conditional, []);
    let first = writer.submit(send(BOB, 2, 1)).await.unwrap();
    assert_eq!(writer.promised(promise(0, &[50, 50])).await.unwrap(), None);
    assert_eq!(writer.seal().await.unwrap(), Some(1));
    assert_eq!(balance(&writer, BOB).await, 107);
    // Behind it all is conditional, whoever's it is.
    let condition = Condition {
        chain: 271,
        count: 2,
    };
    let spent = writer.submit(pay(BOB, ALICE, 60, 2)).await.unwrap();
    assert_eq!(spent.conditional, [condition]);
    assert_eq!(spent.verify(key().public()), Ok(()));
    let other = writer.submit(pay(ALICE, BOB, 1, 0)).await.unwrap();
    assert_eq!(other.conditional, [condition]);
    assert_eq!(store.unsettled_below(4).unwrap(), []);
    assert_eq!(store.unsettled_below(6).unwrap(), [condition]);
    writer.submit(send(BOB, 3, 3)).await.unwrap();
    assert_eq!(writer.seal().await.unwrap(), Some(2));
    let page = writer.outbox().page(270, 272, Place::default()).unwrap();
    assert_eq!(page.head.unwrap().lane_hash, lane_of(&[2, 3]).hash);
    let before = writer.progress().borrow().clone();

    // The first entry is settled, the second never comes.
    writer.settled([(271, 1)].into()).await.unwrap();
    writer.revoke(271, 1).await.unwrap();
    let progress = writer.progress().borrow().clone();
    assert_eq!((progress.batch, progress.lanes[&271]), (0, 1));
    assert!(progress.unsettled.is_empty());
    // 10 - 1 - 2 + 50 - 60 does not go, so neither does Bob's send with the next nonce.
    assert_eq!(balance(&writer, BOB).await, 58);
    assert_eq!(balance(&writer, ALICE).await, 10);
    for receipt in [&plain, &first] {
        assert_eq!(store.sequence(&receipt.id).unwrap(), Some(receipt.sequence));
        assert_eq!(store.fallen(&receipt.id).unwrap(), None);
    }
    // No number is given twice, and each void receipt has its notice.
    let again = store.sequence(&other.id).unwrap().unwrap();
    assert!(again >= before.accepted, "{again}");
    for (receipt, refused) in [(&spent, true), (&other, false)] {
        let fallen = store.fallen(&receipt.id).unwrap().unwrap();
        assert_eq!(fallen.sequence, receipt.sequence);
        assert_eq!(fallen.reason.is_some(), refused, "{fallen:?}");
        let mut notice = [0; 64];
        hex::decode_to_slice(&fallen.signature[2..], &mut notice).unwrap();
        let (id, sequence) = (&receipt.id, receipt.sequence);
        assert!(is_taken_back(key().public(), 270, id, sequence, &notice));
    }
    // What this chain had sent with it is revoked in turn.
    let place = Place { after: 2, epoch: 0 };
    let page = writer.outbox().page(270, 272, place).unwrap();
    assert_eq!(
        (page.revocations[0].epoch, page.revocations[0].from),
        (0, 1)
    );
    let kept = writer
        .outbox()
        .page(270, 272, Place { after: 0, epoch: 1 })
        .unwrap();
    assert_eq!(kept.head.unwrap().lane_hash, lane_of(&[2]).hash);

    // The same word is not believed again; the chain's settlement is.
    let waits = writer.promised(promise(1, &[50])).await.unwrap().unwrap();
    assert!(waits.contains("revoked before"), "{waits}");
    let entries: Vec<QueueEntry> = promise(1, &[50])
        .entries
        .into_iter()
        .map(|of| of.entry)
        .collect();
    let settled = LaneEntries {
        entries,
        ..LaneEntries::default()
    };
    writer.lanes(settled).await.unwrap();
    assert_eq!(balance(&writer, BOB).await, 108);
    let paid = writer.submit(pay(BOB, ALICE, 60, 2)).await.unwrap();
    assert_eq!(paid.conditional, [], "nothing is unsettled");
    assert_eq!(writer.seal().await.unwrap(), Some(1));
    assert_eq!(
        writer.promised(promise(2, &[7])).await.unwrap(),
        None,
        "what follows is believed"
    );

    // All of it is on disk.
    let expected = writer.progress().borrow().clone();
    let (writer, _) = ledger(&disk.after_crash(), PromisePolicy::default()).await;
    let found = writer.progress().borrow().clone();
    assert_eq!(
        (found.accepted, found.batch),
        (expected.accepted, expected.batch)
    );
    assert_eq!(
        (found.unsettled, found.barred),
        (expected.unsettled, expected.barred)
    );
    assert_eq!(balance(&writer, BOB).await, 108 - 60 + 7);
}

#[tokio::test]
async fn a_gap_an_excess_and_old_age_wait_for_ethereum() {
    let policy = PromisePolicy {
        most_wei: 100,
        age: Duration::from_millis(300),
    };
    let (writer, _) = ledger(&Disk::new(Vec::new()), policy).await;
    let ask =
        async |from: u64, amounts: &[u128]| writer.promised(promise(from, amounts)).await.unwrap();
    assert!(ask(1, &[5]).await.unwrap().contains("entry 0 comes first"));
    // To however many accounts: the limit is the chain's.
    let waits = ask(0, &[60, 40, 1]).await.unwrap();
    assert!(waits.contains("more than 100 wei"), "{waits}");
    assert_eq!(writer.progress().borrow().lanes[&271], 2);
    writer.settled([(271, 1)].into()).await.unwrap();
    assert_eq!(ask(2, &[1]).await, None);
    tokio::time::sleep(Duration::from_millis(350)).await;
    assert!(ask(3, &[1]).await.unwrap().contains("has not settled"));
    writer.settled([(271, 3)].into()).await.unwrap();
    assert_eq!(ask(3, &[1]).await, None);
    // What was taken on its word is not taken again when Ethereum has it.
    let entries = promise(0, &[60, 40, 1, 1])
        .entries
        .into_iter()
        .map(|of| of.entry);
    let settled = LaneEntries {
        entries: entries.collect(),
        ..LaneEntries::default()
    };
    writer.lanes(settled).await.unwrap();
    assert_eq!(balance(&writer, BOB).await, 112);
    assert!(writer.progress().borrow().stuck.is_empty());
    // Revoking what is not there changes nothing.
    let before = writer.progress().borrow().clone();
    writer.revoke(271, 4).await.unwrap();
    writer.revoke(99, 0).await.unwrap();
    assert_eq!(*writer.progress().borrow(), before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Random histories of payments, entries of the queue and promises, with seals, revocations and crashes:
    /// what was confirmed without a condition keeps its number, nothing is executed twice, and a restart
    /// gives the same state.
    #[test]
    fn any_history_keeps_what_was_confirmed_without_a_condition(steps in prop::collection::vec((0u8..7, 0u64..4), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut disk = Disk::new(Vec::new());
            let (mut writer, mut store) = start(&disk, 3, options());
            let (mut nonce, mut kept, mut numbers) = (0, BTreeMap::new(), std::collections::BTreeSet::new());
            for (step, number) in steps {
                // Progress is told behind a receipt.
                for _ in 0..2 {
                    writer.look(|_| ()).await.unwrap();
                }
                match step {
                    0 | 1 => {
                        let receipt = submit(&writer, (1, nonce, number)).await.unwrap();
                        assert!(numbers.insert(receipt.sequence), "a number was given twice");
                        nonce += 1;
                        if receipt.conditional.is_empty() {
                            kept.insert(receipt.id, receipt.sequence);
                        }
                    }
                    2 => {
                        let next = writer.progress().borrow().queue;
                        writer.queue(vec![entry(next)]).await.unwrap();
                    }
                    3 => {
                        let from = writer.progress().borrow().lanes.get(&5).copied().unwrap_or_default();
                        let entries = (from..=from + number).map(|index| PromisedEntry {
                            entry: take(5, index),
                            hash: [index as u8; 32],
                            wei: 1,
                        });
                        let promised = Promised { chain: 5, epoch: 0, entries: entries.collect() };
                        writer.promised(promised).await.unwrap();
                    }
                    4 => {
                        let taken = writer.progress().borrow().lanes.get(&5).copied().unwrap_or_default();
                        let first = writer.progress().borrow().unsettled.get(&5).map(|of| of.first);
                        writer.revoke(5, taken.saturating_sub(number)).await.unwrap();
                        let now = writer.progress().borrow().lanes.get(&5).copied().unwrap_or_default();
                        assert_eq!(now, first.map_or(taken, |first| first.max(taken.saturating_sub(number)).min(taken)));
                        // Every payment of this machine can be made again.
                        let sum = writer.look(|machine| machine.accounts.get(&1).copied()).await.unwrap();
                        assert_eq!(sum.unwrap_or_default().0, nonce);
                    }
                    5 => {
                        let taken = writer.progress().borrow().lanes.get(&5).copied().unwrap_or_default();
                        writer.settled([(5, taken.saturating_sub(number))].into()).await.unwrap();
                    }
                    _ => {
                        if number % 2 == 0 {
                            writer.seal().await.unwrap();
                        } else {
                            let state = writer.look(|machine| machine.accounts.clone()).await.unwrap();
                            let before = writer.progress().borrow().clone();
                            disk = disk.after_crash();
                            (writer, store) = start(&disk, 3, options());
                            assert!(store.again().unwrap().is_empty());
                            let after = writer.progress().borrow().clone();
                            assert_eq!((after.accepted, after.batch, after.queue, after.open), (before.accepted, before.batch, before.queue, before.open));
                            assert_eq!((after.lanes, after.unsettled, after.barred), (before.lanes, before.unsettled, before.barred));
                            assert_eq!(writer.look(|machine| machine.accounts.clone()).await.unwrap(), state);
                        }
                    }
                }
                for (id, sequence) in &kept {
                    assert_eq!(store.sequence(id).unwrap(), Some(*sequence));
                    assert_eq!(store.fallen(id).unwrap(), None);
                }
            }
        });
    }
}

/// A transfer names an account by its index alone: one that was signed while the account was Carol's never pays Dave.
#[tokio::test]
async fn an_account_that_fell_is_kept_for_its_owner() {
    const CAROL: u8 = 7;
    const DAVE: u8 = 8;
    let disk = Disk::new(Vec::new());
    let (writer, store) = ledger(&disk, PromisePolicy::default()).await;
    let take = promise_to(CAROL, 0, &[50]);
    writer.promised(take).await.unwrap();
    writer.seal().await.unwrap();
    let owned = |store: &Store, owner: u8| {
        let name = crate::account_forms::owner_name(&[owner; 20]);
        store.named(&name, 0, 8).unwrap()
    };
    let carol = owned(&store, CAROL);
    assert_eq!(carol.len(), 1);
    writer.revoke(271, 0).await.unwrap();
    assert!(owned(&store, CAROL).is_empty());
    let deposit = |owner: u8, index: u64| QueueEntry {
        index,
        words: Record {
            kind: Kind::Deposit,
            account: 0,
            token: 0,
            amount: 10,
            words: [
                owner_word(&[owner; 20]),
                blstrs::Scalar::from(0),
                blstrs::Scalar::from(0),
            ],
        }
        .to_words()
        .map(|word| word.to_bytes_be()),
    };
    // Also after a restart.
    drop(writer);
    drop(store);
    let store = Arc::new(store_of(&disk, &rollup().mark()).unwrap());
    let machine = Rollup::restore(&rollup(), &store).unwrap();
    let (writer, _) = Writer::start(machine, Arc::clone(&store), key(), options()).unwrap();
    writer.queue(vec![deposit(DAVE, 2)]).await.unwrap();
    writer.seal().await.unwrap();
    let dave = owned(&store, DAVE);
    assert_ne!(dave, carol);
    writer.queue(vec![deposit(CAROL, 3)]).await.unwrap();
    writer.seal().await.unwrap();
    assert_eq!(owned(&store, CAROL), carol);
}
