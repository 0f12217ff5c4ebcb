//! Order, durability, refusals, restarts, and a disk that is full.

#![allow(clippy::unwrap_used, clippy::panic)]

mod apart;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use proptest::prelude::{ProptestConfig, any, prop, prop_assert_eq, proptest};

use super::*;
use crate::store::{ChainMark, Part};
use crate::test_machine::{
    Disk, MARK, Op, TestMachine, key, options, start, store_of, store_on, submit,
};

/// An entry of the L1 queue that the machine takes.
fn entry(index: u64) -> QueueEntry {
    QueueEntry {
        index,
        words: [[1; 32]; 5],
    }
}

/// An entry of the lane from a chain that the machine takes.
fn take(chain: u64, index: u64) -> QueueEntry {
    let mut words = [[0; 32]; 5];
    words[0][31] = 9;
    words[3][4..12].copy_from_slice(&chain.to_be_bytes());
    QueueEntry { index, words }
}

async fn submit_all(writer: &Writer<TestMachine>, operations: impl IntoIterator<Item = Op>) {
    for operation in operations {
        submit(writer, operation).await.unwrap();
    }
}

#[tokio::test]
async fn operations_are_confirmed_refused_and_known_again() {
    let (writer, _store) = start(&Disk::new(Vec::new()), 4, options());
    let first = submit(&writer, (1, 0, 5)).await.unwrap();
    assert_eq!((first.sequence, first.verify(key().public())), (0, Ok(())));
    for (operation, expected) in [((1, 5, 5), "nonce"), ((1, 1, 13), "signature")] {
        let refused = submit(&writer, operation).await.unwrap_err();
        let SubmitError::Refused(Refusal { code, .. }) = refused else {
            panic!("{refused}");
        };
        assert_eq!(code, expected);
    }
    let known = submit(&writer, (1, 0, 5)).await.unwrap_err();
    assert!(matches!(known, SubmitError::Known { sequence: 0 }));
}

/// Six operations and three entries: batches of four, four and one.
async fn seal_three_batches(writer: &Writer<TestMachine>) {
    submit_all(writer, [(1, 0, 5)]).await;
    // Five more: the batch of four is sealed when the fifth does not fit.
    submit_all(writer, (1..=5).map(|nonce| (1, nonce, 1))).await;
    assert_eq!(writer.queue(vec![entry(0), entry(1)]).await.unwrap(), 2);
    // Entries that were delivered before do nothing.
    assert_eq!(writer.queue(vec![entry(1), entry(2)]).await.unwrap(), 3);
    assert_eq!(writer.seal().await.unwrap(), Some(3));
    assert_eq!(writer.seal().await.unwrap(), None);
}

#[tokio::test]
async fn batches_join_and_keep_what_is_said_of_them() {
    let (writer, store) = start(&Disk::new(Vec::new()), 4, options());
    seal_three_batches(&writer).await;
    let rows = store.batches(1).unwrap();
    let spans: Vec<_> = rows
        .iter()
        .map(|row| (row.number, row.first, row.end))
        .collect();
    assert_eq!(spans, [(1, 0, 4), (2, 4, 8), (3, 8, 9)]);
    assert_eq!(rows[1].old_root, rows[0].new_root);
    for sequence in 0..9 {
        let row = store.batch_of(sequence).unwrap().unwrap();
        assert!((row.first..row.end).contains(&sequence));
    }
    assert_eq!(store.batch_of(9).unwrap(), None);
    assert_eq!(
        store.part(2, Part::Input).unwrap(),
        Some(2u64.to_be_bytes().to_vec())
    );
    let settled = BatchStatus::Settled { transaction: None };
    store.set_status(2, &settled, Some(&[1, 2])).unwrap();
    assert_eq!(store.batch(2).unwrap().unwrap().status, settled);
    assert_eq!(store.part(2, Part::Proof).unwrap(), Some(vec![1, 2]));
    let sum = writer.look(|machine| machine.accounts[&1].1).await.unwrap();
    assert_eq!(sum, 10);
    let progress = writer.progress().borrow().clone();
    assert_eq!(
        (progress.accepted, progress.batch, progress.open),
        (9, 3, 0)
    );
}

#[tokio::test]
async fn queue_entries_that_cannot_be_executed_or_are_not_next_end_nothing_and_are_shown() {
    let (writer, _store) = start(&Disk::new(Vec::new()), 4, options());
    seal_three_batches(&writer).await;
    let bad = QueueEntry {
        index: 3,
        words: [[0xff; 32]; 5],
    };
    let stuck = || {
        let stuck = writer.progress().borrow().stuck.clone();
        stuck.get(&Line::Queue).cloned().unwrap_or_default()
    };
    assert_eq!(writer.queue(vec![bad, entry(4)]).await.unwrap(), 3);
    assert!(stuck().contains("entry 3"), "{}", stuck());
    assert_eq!(writer.queue(vec![entry(5)]).await.unwrap(), 3);
    assert!(stuck().contains("entry 3 is the next one"), "{}", stuck());
    assert_eq!(writer.failure(), None);
    // Operations are taken as before.
    submit_all(&writer, [(2, 0, 10)]).await;
}

/// Each lane is a line of its own: one that is stuck holds up neither the queue nor another lane. Entries
/// that are left out went back to who sent them.
#[tokio::test]
async fn lanes_are_taken_in_their_order_and_remembered() {
    let disk = Disk::new(Vec::new());
    let (writer, store) = start(&disk, 4, options());
    let mut bad = take(7, 1);
    bad.words[0][0] = 0xff;
    assert_eq!(
        (bad.line(), take(8, 0).line()),
        (Line::Lane(7), Line::Lane(8))
    );
    let waiting = |entries: Vec<QueueEntry>, held: &[u64]| LaneEntries {
        entries,
        held: held
            .iter()
            .map(|chain| (*chain, "too old".into()))
            .collect(),
    };
    let entries = vec![take(7, 0), bad, take(7, 2), take(8, 0), take(8, 3)];
    writer.lanes(waiting(entries, &[9])).await.unwrap();
    assert_eq!(writer.queue(vec![entry(0)]).await.unwrap(), 1);
    let progress = writer.progress().borrow().clone();
    assert_eq!(progress.lanes, [(7, 1), (8, 4)].into());
    let stuck: Vec<_> = progress.stuck.iter().collect();
    assert_eq!(stuck.len(), 2, "{stuck:?}");
    assert_eq!((*stuck[0].0, *stuck[1].0), (Line::Lane(7), Line::Lane(9)));
    let reason = stuck[0].1;
    assert!(
        reason.contains("entry 1 of the lane from chain 7"),
        "{reason}"
    );
    assert!(stuck[1].1.contains("too old"), "{stuck:?}");
    // What was taken is not taken again, and the lane goes on with what can be taken.
    let again = vec![take(7, 0), take(8, 3), take(7, 1)];
    writer.lanes(waiting(again, &[])).await.unwrap();
    let progress = writer.progress().borrow().clone();
    assert_eq!((progress.accepted, progress.lanes.len()), (5, 2));
    assert!(progress.stuck.is_empty(), "{:?}", progress.stuck);
    writer.seal().await.unwrap();
    let row = store.batches(1).unwrap().pop().unwrap();
    assert_eq!(row.lanes, [(7, 2), (8, 4)].into());
    writer.lanes(waiting(vec![take(8, 4)], &[9])).await.unwrap();
    // A lane whose entry went back is not stuck any more, though it hands in nothing.
    writer.lanes(waiting(Vec::new(), &[])).await.unwrap();
    assert!(writer.progress().borrow().stuck.is_empty());
    drop(writer);
    // After a restart, sealed or not.
    let machine = TestMachine::restore(&store, 4);
    assert_eq!(machine.lanes(), &row.lanes);
    let key = crate::test_machine::key();
    let (writer, _) = Writer::start(machine, store, key, options()).unwrap();
    assert_eq!(writer.progress().borrow().lanes, [(7, 2), (8, 5)].into());
}

#[tokio::test]
async fn readers_find_accounts_by_what_they_are_now_sealed_or_not() {
    let (writer, store) = start(&Disk::new(Vec::new()), 4, options());
    seal_three_batches(&writer).await;
    let accounts = Arc::clone(writer.accounts());
    let sum = |value: u64| value.to_be_bytes();
    let indices = |value| -> Vec<u32> {
        let found = accounts.find(&sum(value), 0, 9).unwrap();
        found.into_iter().map(|(index, _)| index).collect()
    };
    assert_eq!(indices(10), [1]);
    submit_all(&writer, [(2, 0, 10)]).await;
    assert_eq!(indices(10), [1, 2]);
    submit_all(&writer, [(1, 6, 1)]).await;
    assert_eq!((indices(10), indices(11)), (vec![2], vec![1]));
    writer.seal().await.unwrap();
    assert_eq!((indices(10), indices(11)), (vec![2], vec![1]));
    assert_eq!(store.named(&sum(10), 0, 9).unwrap(), [2]);
    assert_eq!(accounts.find(&sum(10), 3, 9).unwrap(), []);
    assert_eq!(accounts.get(1).unwrap().unwrap()[8..], sum(11));
    assert_eq!(accounts.get(77).unwrap(), None);
}

#[tokio::test]
async fn batches_are_sealed_by_count_and_by_time() {
    let by_count = WriterOptions {
        seal_count: 2,
        ..options()
    };
    let (writer, store) = start(&Disk::new(Vec::new()), 100, by_count);
    for nonce in 0..5 {
        submit(&writer, (1, nonce, 1)).await.unwrap();
    }
    writer.look(|_| ()).await.unwrap();
    assert_eq!(store.sealed().unwrap().unwrap().batch, 2);

    let by_time = WriterOptions {
        seal_after: Duration::from_millis(50),
        ..options()
    };
    let (writer, store) = start(&Disk::new(Vec::new()), 100, by_time);
    submit(&writer, (1, 0, 1)).await.unwrap();
    let mut progress = writer.progress();
    let sealed = progress.wait_for(|progress| progress.batch == 1);
    tokio::time::timeout(Duration::from_secs(10), sealed)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(store.batches(1).unwrap().len(), 1);
}

#[tokio::test]
async fn a_full_disk_refuses_and_loses_nothing() {
    let disk = Disk::new(Vec::new());
    let (writer, _store) = start(&disk, 8, options());
    for nonce in 0..20 {
        submit(&writer, (1, nonce, 1)).await.unwrap();
    }
    disk.budget.store(100, Ordering::SeqCst);
    let refused = submit(&writer, (1, 20, 1)).await.unwrap_err();
    assert!(matches!(&refused, SubmitError::Stopped(_)), "{refused}");
    assert!(refused.to_string().contains("restart"), "{refused}");
    // The disk has space again, but memory is ahead of the disk: only a restart helps.
    disk.budget.store(i64::MAX, Ordering::SeqCst);
    let refused = submit(&writer, (1, 21, 1)).await.unwrap_err();
    assert!(matches!(refused, SubmitError::Stopped(_)));
    assert!(writer.failure().is_some());

    let disk = disk.after_crash();
    let (writer, _store) = start(&disk, 8, options());
    assert_eq!(
        writer.look(|machine| machine.accounts[&1]).await.unwrap(),
        (20, 20)
    );
    submit(&writer, (1, 20, 1)).await.unwrap();
}

/// A chain on Ethereum.
fn on_l1() -> ChainMark {
    ChainMark {
        l1_chain_id: 1,
        hub: "0x12".into(),
        ..MARK
    }
}

#[tokio::test]
async fn a_log_of_another_chain_is_refused_with_the_way_on() {
    let disk = Disk::new(Vec::new());
    let (writer, store) = start(&disk, 8, options());
    submit_all(&writer, (0..3).map(|nonce| (1, nonce, 1))).await;
    drop((writer, store));
    let disk = disk.after_crash();
    let moved = ChainMark {
        chain_id: 271,
        depth: MARK.depth + 1,
        ..MARK
    };
    let operator = ChainMark {
        operator: 5,
        ..MARK
    };
    let depth = MARK.depth;
    let words = [
        (
            on_l1(),
            "found is a chain of an earlier version, whose signatures name no deployment; start the node with the version of carillon-node that made it, or".to_owned(),
        ),
        (
            moved,
            format!(
                "expected is chain id 271, an account tree of depth {}, found is chain id 270, an account tree of depth {depth}; start the node with --chain-id 270, --depth {depth}, or",
                depth + 1
            ),
        ),
        (
            operator,
            format!(
                "found is operator's account {0}; start the node with --operator {0}, or",
                MARK.operator
            ),
        ),
    ];
    for (other, words) in words {
        let error = store_of(&disk, &other).unwrap_err().to_string();
        assert!(
            error.contains(&words) && error.contains("--data-dir"),
            "{error}"
        );
    }
    // What was refused has changed nothing.
    store_on(&disk.after_crash()).unwrap();
}

#[test]
fn a_log_made_with_ethereum_is_not_opened_without_it_nor_the_reverse() {
    let on_l1 = on_l1();
    let local = ChainMark {
        hub: "0x00".into(),
        ..MARK
    };
    for (made, asked, words) in [
        (
            &local,
            &on_l1,
            "expected is a chain on Ethereum chain 1 with the hub 0x12, found is a chain without Ethereum; start the node with no --l1, or",
        ),
        (
            &on_l1,
            &local,
            "expected is a chain without Ethereum, found is a chain on Ethereum chain 1 with the hub 0x12; start the node with --l1 and --chain, or",
        ),
    ] {
        let disk = Disk::new(Vec::new());
        drop(store_of(&disk, made).unwrap());
        let error = store_of(&disk, asked).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_log_that_the_accounts_contradict_is_noticed() {
    let disk = Disk::new(Vec::new());
    let (writer, store) = start(&disk, 8, options());
    submit_all(&writer, (0..3).map(|nonce| (1, nonce, 1))).await;
    drop((writer, store));
    let store = Arc::new(store_on(&disk.after_crash()).unwrap());
    // The log says that account 1 begins with nonce 0.
    let mut machine = TestMachine::restore(&store, 8);
    machine.accounts.insert(1, (9, 9));
    let error = Writer::start(machine, store, key(), options())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("operation 0 of the log is refused on replay"),
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Crashes at any point, with any capacity for batches before and after: what was acknowledged is
    /// there, what was not is not, and roots go on.
    #[test]
    fn crashes_lose_nothing_acknowledged(
        rounds in prop::collection::vec((1u64..12, 1u64..6, any::<bool>(), 0i64..40_000), 1..5),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut disk = Disk::new(Vec::new());
        let mut acknowledged = 0;
        for (operations, capacity, seal, budget) in rounds {
            let (writer, _store) = start(&disk, capacity, options());
            let present = runtime.block_on(writer.look(|machine| machine.accounts.get(&1).copied()));
            prop_assert_eq!(present.unwrap().unwrap_or_default(), (acknowledged, acknowledged));
            disk.budget.store(budget, Ordering::SeqCst);
            for _ in 0..operations {
                match runtime.block_on(submit(&writer, (1, acknowledged, 1))) {
                    Ok(receipt) => {
                        prop_assert_eq!(receipt.sequence, acknowledged);
                        acknowledged += 1;
                    }
                    Err(SubmitError::Stopped(_)) => break,
                    Err(other) => panic!("{other}"),
                }
            }
            if seal {
                let _ = runtime.block_on(writer.seal());
            }
            disk = disk.after_crash();
        }
    }
}
