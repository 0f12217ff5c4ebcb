//! A feed between a server and its readers: whole, after a break, from a relay, and with readers and
//! feeds that misbehave.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy::primitives::Address;
use carillon_lane_feed::{
    Client, Cursor, EntryJson, Feed, Head, Lane, Page, Place, Revocation, Source, SourceError,
    Told, limits, serve,
};
use carillon_protocol::Domain;
use carillon_protocol::crypto::schnorr::SecretKey;
use carillon_serving::{Connections, listen};
use carillon_settlement::lanes::Fold;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const FROM: u64 = 270;
const TO: u64 = 271;

fn key() -> SecretKey {
    SecretKey::from_seed(&[1; 32])
}

fn lane() -> Lane {
    Lane {
        from: FROM,
        to: TO,
        domain: Domain::local(FROM),
        key: *key().public(),
    }
}

/// A chain's lane in memory.
struct Chain {
    state: Mutex<(Vec<EntryJson>, Vec<Revocation>)>,
    changes: watch::Sender<u64>,
}

impl Chain {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            changes: watch::Sender::new(0),
        })
    }

    fn send(&self, amount: u128) {
        self.state.lock().unwrap().0.push(EntryJson {
            token: Address::ZERO,
            amount,
            sender: Address::repeat_byte(1),
            recipient: Address::repeat_byte(2),
            memo: [0; 31],
        });
        self.changes.send_modify(|change| *change += 1);
    }

    fn revoke(&self, from: u64) {
        let mut state = self.state.lock().unwrap();
        state.0.truncate(from as usize);
        let epoch = state.1.len() as u64;
        let revocation = Revocation::sign(&key(), lane().domain, TO, epoch, from);
        state.1.push(revocation);
        drop(state);
        self.changes.send_modify(|change| *change += 1);
    }
}

impl Source for Chain {
    fn page(&self, from: u64, to: u64, place: Place) -> Result<Page, SourceError> {
        if from != FROM {
            return Err(SourceError::OtherChain { from });
        }
        let (entries, all) = &*self.state.lock().unwrap();
        let revocations: Vec<_> = all.iter().skip(place.epoch as usize).copied().collect();
        let start = revocations
            .iter()
            .fold(place.after, |start, of| start.min(of.from));
        let mut page = Page {
            revocations,
            ..Page::empty(from, to, start)
        };
        page.entries = entries.iter().skip(start as usize).cloned().collect();
        if !page.entries.is_empty() {
            let mut fold = Fold::default();
            entries.iter().for_each(|entry| fold.push(&entry.entry()));
            let epoch = all.len() as u64;
            page.head = Some(Head::sign(
                &key(),
                lane().domain,
                TO,
                epoch,
                fold.count,
                fold.hash,
            ));
        }
        Ok(page)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

fn start(source: Arc<dyn Source>, address: SocketAddr) -> (SocketAddr, CancellationToken) {
    let listener = listen(address).unwrap();
    let bound = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let feed = Feed::new(source, stop.clone());
    tokio::spawn(serve(listener, Connections::new(limits()), feed));
    (bound, stop)
}

fn anywhere() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

fn place(cursor: &Cursor) -> Place {
    Place {
        after: cursor.fold.count,
        epoch: cursor.epoch,
    }
}

/// Follows until the cursor has so many entries; what came.
async fn follow(client: &mut Client, cursor: &mut Cursor, until: u64) -> Vec<u64> {
    let mut seen = Vec::new();
    while cursor.fold.count < until {
        let Ok(page) = client.next(place(cursor)).await else {
            continue;
        };
        if let Told::Entries(entries) = cursor.accept(&lane(), &page).unwrap() {
            seen.extend(entries.iter().map(|entry| entry.index));
        }
    }
    seen
}

#[tokio::test]
async fn a_reader_goes_on_where_it_was_when_the_feed_breaks() {
    let chain = Chain::new();
    let (address, stop) = start(Arc::clone(&chain) as Arc<dyn Source>, anywhere());
    let mut client = Client::new(&format!("http://{address}"), FROM, TO).unwrap();
    let mut cursor = Cursor::default();
    (0..3).for_each(|amount| chain.send(amount));
    assert_eq!(follow(&mut client, &mut cursor, 3).await, [0, 1, 2]);
    // More than 64 pages, none of which was asked for.
    for amount in 3..103 {
        chain.send(amount);
        assert_eq!(
            follow(&mut client, &mut cursor, amount as u64 + 1)
                .await
                .len(),
            1
        );
    }
    stop.cancel();
    assert!(client.next(place(&cursor)).await.is_err());
    chain.send(103);
    let (_, _stop) = start(Arc::clone(&chain) as Arc<dyn Source>, address);
    assert_eq!(follow(&mut client, &mut cursor, 104).await, [103]);
    // An epoch ends, and the next one goes on from an earlier place.
    chain.revoke(102);
    let told = loop {
        let page = client.next(place(&cursor)).await.unwrap();
        match cursor.accept(&lane(), &page).unwrap() {
            Told::Nothing => {}
            told => break told,
        }
    };
    assert_eq!(told, Told::Revoked { from: 102 });
}

#[tokio::test]
async fn pages_are_there_over_plain_http_and_wrong_questions_are_refused() {
    let chain = Chain::new();
    chain.send(5);
    let (address, _stop) = start(chain, anywhere());
    let ask = |path: &str| {
        let url = format!("http://{address}{path}");
        async move {
            let answer = reqwest::get(url).await.unwrap();
            (answer.status().as_u16(), answer.bytes().await.unwrap())
        }
    };
    let (status, body) = ask("/gateway/v1/lanes/270/271?after=0").await;
    let page = Page::parse(&body).unwrap();
    assert_eq!((status, page.entries.len()), (200, 1));
    for (path, expected) in [
        ("/gateway/v1/lanes/9/271", 404),
        ("/gateway/v1/lanes/x/271", 400),
        ("/gateway/v1/lanes/270/271?after=-1", 400),
        ("/gateway/v1/lanes/9/271/stream", 400),
        ("/", 404),
    ] {
        assert_eq!(ask(path).await.0, expected, "{path}");
    }
}

#[tokio::test]
async fn a_feed_that_sends_garbage_is_an_error_and_no_more() {
    let listener = tokio::net::TcpListener::bind(anywhere()).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
            let garbage = tokio_tungstenite::tungstenite::Message::text("{\"from\":1}");
            let _ = futures::SinkExt::send(&mut socket, garbage).await;
        }
    });
    let mut client = Client::new(&url, FROM, TO).unwrap();
    for _ in 0..2 {
        let error = client.next(Place::default()).await.unwrap_err().to_string();
        assert!(error.contains("no page"), "{error}");
    }
    assert!(Client::new("ftp://x", FROM, TO).is_err());
    let mut nobody = Client::new("http://127.0.0.1:1", FROM, TO).unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(5), nobody.next(Place::default()));
    assert!(answer.await.unwrap().is_err());
}
