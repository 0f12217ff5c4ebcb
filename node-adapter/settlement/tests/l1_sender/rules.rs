//! The sender's rules one by one, on the model chain and in the journal.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy::primitives::{Bytes, TxHash};
use alloy::signers::local::PrivateKeySigner;
use carillon_settlement::Refusal;
use carillon_settlement::sender::{
    Attempt, BlockRef, Enqueued, Entry, Fees, FreeNonces, Journal, JournalError, News, Place,
    Policy, Record, Sender, SenderError, Status, Variant,
};

use crate::model::{Chain, Node, batch};

fn signer(seed: u8) -> PrivateKeySigner {
    PrivateKeySigner::from_slice(&[seed; 32]).unwrap()
}

fn node() -> Node {
    Node(Arc::new(Mutex::new(Chain::new(true))))
}

async fn sender(node: &Node, journal: Journal) -> Result<Sender<Node, Node>, SenderError> {
    let policy = Policy {
        confirmations: 2,
        ..Policy::default()
    };
    Sender::open(node.clone(), node.clone(), signer(7), journal, policy).await
}

fn variant(hash: u8, blank: bool) -> Variant {
    Variant {
        hash: TxHash::repeat_byte(hash),
        raw: Bytes::new(),
        fees: Fees::default(),
        gas: 1,
        blank,
    }
}

#[test]
fn records_out_of_order_are_refused_and_change_nothing() {
    let block = BlockRef {
        number: 1,
        hash: TxHash::repeat_byte(9),
    };
    let mut entry = Entry::new(batch(1));
    let hash = TxHash::repeat_byte(1);
    let early = [
        Record::Broadcast(hash),
        Record::Mined { hash, block },
        Record::Final,
        Record::Reorged,
        Record::Withdrawn,
        Record::Intent(batch(1)),
    ];
    for record in &early {
        let error = entry.apply(record).unwrap_err();
        assert!(error.to_string().contains("cannot follow"), "{error}");
        assert_eq!(entry.place(), Place::Waiting);
    }
    let signed = |nonce, hash, blank| Record::Signed {
        nonce,
        variant: variant(hash, blank),
    };
    entry.apply(&signed(5, 1, false)).unwrap();
    entry.apply(&Record::Broadcast(hash)).unwrap();
    // Another nonce while this one may be mined would be a second effect.
    entry.apply(&signed(6, 2, false)).unwrap_err();
    entry.apply(&signed(5, 3, true)).unwrap();
    // A blank has no effect.
    let blank = TxHash::repeat_byte(3);
    entry
        .apply(&Record::Mined { hash: blank, block })
        .unwrap_err();
    entry.apply(&Record::Mined { hash, block }).unwrap();
    assert_eq!(entry.nonce(), Some(5));
    entry.apply(&Record::Final).unwrap();
    assert!(entry.closed());
    entry.apply(&Record::Abandoned).unwrap_err();
    assert_eq!(
        entry.attempts(),
        [Attempt {
            nonce: 5,
            variants: vec![variant(1, false), variant(3, true)],
        }]
    );
}

#[test]
fn free_nonces_fill_gaps_first() {
    let held = |nonce| {
        let mut entry = Entry::new(batch(1));
        let variant = variant(1, false);
        entry.apply(&Record::Signed { nonce, variant }).unwrap();
        entry
    };
    let entries = [held(4), held(5), held(7)];
    let nonces = FreeNonces::new(5, &entries);
    assert_eq!(nonces.next(), 6);
    assert!(nonces.gap(7));
    assert!(!nonces.gap(5) && !nonces.gap(6));
}

#[tokio::test]
async fn an_id_names_one_intent_for_good() {
    let node = node();
    let mut sender = sender(&node, Journal::in_memory().unwrap()).await.unwrap();
    assert_eq!(sender.enqueue(batch(1)).unwrap(), Enqueued::New);
    assert_eq!(sender.enqueue(batch(1)).unwrap(), Enqueued::Open);
    let mut other = batch(1);
    other.input = Bytes::from_static(b"other");
    let error = sender.enqueue(other.clone()).unwrap_err();
    assert!(matches!(error, SenderError::OtherContent { .. }), "{error}");

    let mut now = Duration::ZERO;
    while sender.open_intents().next().is_some() {
        now = sender.tick(now).await.unwrap();
        node.0.lock().unwrap().mine();
    }
    assert!(matches!(
        sender.enqueue(batch(1)).unwrap(),
        Enqueued::Done(_)
    ));
    sender.enqueue(other).unwrap_err();
    let status = sender.status("batch/1").unwrap();
    assert!(matches!(status, Some(Status::Closed(done)) if done.transaction.is_some()));
    assert_eq!(sender.status("batch/2").unwrap(), None);
}

#[tokio::test]
async fn a_withdrawn_intent_gives_its_nonce_back_without_effect() {
    let node = node();
    let mut sender = sender(&node, Journal::in_memory().unwrap()).await.unwrap();
    sender.enqueue(batch(1)).unwrap();
    sender.tick(Duration::ZERO).await.unwrap();
    sender.withdraw("batch/1").unwrap();
    let mut now = Duration::ZERO;
    while sender.open_intents().next().is_some() {
        now = sender.tick(now).await.unwrap();
        node.0.lock().unwrap().mine();
    }
    assert!(node.0.lock().unwrap().effects().is_empty());
    let events = sender.take_events();
    let blanks = |news: &News| {
        matches!(
            news,
            News::Signed {
                blank: true,
                nonce: 0,
                ..
            }
        )
    };
    assert!(events.iter().any(|e| blanks(&e.news)), "{events:?}");
    let error = sender.withdraw("batch/1").unwrap_err();
    assert!(matches!(error, SenderError::NoSuchIntent { .. }), "{error}");

    // The nonce is used up, the next intent takes the one after it.
    sender.enqueue(batch(1).renamed()).unwrap();
    while sender.open_intents().next().is_some() {
        now = sender.tick(now).await.unwrap();
        node.0.lock().unwrap().mine();
    }
    assert_eq!(node.0.lock().unwrap().effects(), [1]);
}

trait Renamed {
    fn renamed(self) -> Self;
}

impl Renamed for carillon_settlement::sender::Intent {
    fn renamed(mut self) -> Self {
        self.id.push_str("/again");
        self
    }
}

#[tokio::test]
async fn a_refused_intent_is_reported_and_nothing_is_sent() {
    let node = node();
    let mut sender = sender(&node, Journal::in_memory().unwrap()).await.unwrap();
    sender.enqueue(batch(2)).unwrap();
    sender.tick(Duration::ZERO).await.unwrap();
    let events = sender.take_events();
    assert!(
        matches!(&events[..], [event] if matches!(event.news, News::Refused(_))),
        "{events:?}"
    );
    let status = sender.status("batch/2").unwrap();
    let reason = Refusal::Silent;
    assert_eq!(status, Some(Status::Refused { reason, times: 1 }));
    // It is simulated again, each time after a longer pause.
    let mut now = Duration::ZERO;
    let mut looks = Vec::new();
    while looks.len() < 4 {
        now += Duration::from_secs(1);
        sender.tick(now).await.unwrap();
        if !sender.take_events().is_empty() {
            looks.push(now);
        }
    }
    let pauses: Vec<Duration> = looks.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(
        pauses.windows(2).all(|pair| pair[1] > pair[0] * 3 / 2),
        "{pauses:?}"
    );
    let status = sender.status("batch/2").unwrap();
    assert!(
        matches!(status, Some(Status::Refused { times: 5, .. })),
        "{status:?}"
    );
}

#[tokio::test]
async fn a_journal_of_another_key_and_one_in_use_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sender.redb");
    let node = node();
    let first = sender(&node, Journal::open(&path).unwrap()).await.unwrap();
    let error = Journal::open(&path).unwrap_err();
    assert!(matches!(error, JournalError::InUse), "{error}");
    drop(first);

    let journal = Journal::open(&path).unwrap();
    let other = Sender::open(
        node.clone(),
        node.clone(),
        signer(8),
        journal,
        Policy::default(),
    );
    let error = other.await.unwrap_err();
    assert!(
        matches!(error, SenderError::ForeignJournal { .. }),
        "{error}"
    );
    std::fs::write(&path, b"not a database").unwrap();
    let error = Journal::open(&path).unwrap_err();
    assert!(matches!(error, JournalError::Storage(_)), "{error}");
}
