//! The writer over a toy machine and a disk in memory: order, durability, refusals, restarts, and a
//! disk that is full, without the weight of the ledger.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use carillon_runtime::cpu::CpuEngine;
use carillon_runtime::groth16::{self, Assignment, Proof};
use carillon_runtime::progress::ProgressSink;
use carillon_workload::SquareChain;
use proptest::prelude::*;
use rand::SeedableRng;
use redb::{Database, StorageBackend};
use sha2::{Digest, Sha256};

use super::driver::{Driver, DriverError, Observe};
use super::event::NodeEvent;
use super::machine::{Machine, Refusal, Sealed, SubmitError};
use super::ports::{L1Inbox, PortError, ProvedBatch, QueueEntry, Settler};
use super::receipt::Receipt;
use super::status::Reached;
use super::store::{BatchStatus, ChainMark, Part, Store, StoreError};
use super::writer::{Writer, WriterOptions};
use carillon_protocol::crypto::schnorr::SecretKey;
use carillon_prover_api::{
    BoardOptions, EnginePlugin, JobBoard, LocalSource, PluginError, Prepare, ProverPlugin,
    WorkOptions, work,
};

const MARK: ChainMark = ChainMark {
    chain_id: 270,
    l1_chain_id: 0,
    hub: String::new(),
    depth: 4,
    operator: 1,
};

/// A disk in memory. What is written counts only once it is synced; writes beyond the budget fail as
/// those on a full disk do.
#[derive(Clone, Debug)]
struct Disk {
    live: Arc<Mutex<Vec<u8>>>,
    synced: Arc<Mutex<Vec<u8>>>,
    budget: Arc<AtomicI64>,
}

impl Disk {
    fn new(content: Vec<u8>) -> Self {
        Self {
            live: Arc::new(Mutex::new(content.clone())),
            synced: Arc::new(Mutex::new(content)),
            budget: Arc::new(AtomicI64::new(i64::MAX)),
        }
    }

    /// What a crash would leave.
    fn after_crash(&self) -> Self {
        Self::new(self.synced.lock().unwrap().clone())
    }

    fn spend(&self, bytes: usize) -> io::Result<()> {
        let bytes = i64::try_from(bytes).unwrap();
        if self.budget.fetch_sub(bytes, Ordering::SeqCst) < bytes {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.live.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let live = self.live.lock().unwrap();
        let offset = usize::try_from(offset).unwrap();
        out.copy_from_slice(&live[offset..offset + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut live = self.live.lock().unwrap();
        let len = usize::try_from(len).unwrap();
        self.spend(len.saturating_sub(live.len()))?;
        live.resize(len, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let live = self.live.lock().unwrap().clone();
        *self.synced.lock().unwrap() = live;
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.spend(data.len())?;
        let offset = usize::try_from(offset).unwrap();
        self.live.lock().unwrap()[offset..offset + data.len()].copy_from_slice(data);
        Ok(())
    }
}

/// Accounts that count: nonce and sum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Toy {
    accounts: BTreeMap<u32, (u64, u64)>,
    capacity: u64,
    batch: u64,
    open: u64,
    queue: u64,
    root: String,
}

/// Account, nonce, amount; the amount 13 stands for a wrong signature.
type Op = (u32, u64, u64);
/// Operations of this account come from L1.
const FROM_L1: u32 = u32::MAX;

impl Toy {
    fn restore(store: &Store, capacity: u64) -> Self {
        let point = store.sealed().unwrap().unwrap_or_default();
        let accounts = store.accounts().unwrap().into_iter().map(|(index, bytes)| {
            let (nonce, sum) = bytes.split_at(8);
            let number = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().unwrap());
            (index, (number(nonce), number(sum)))
        });
        let toy = Self {
            accounts: accounts.collect(),
            capacity,
            batch: point.batch,
            open: 0,
            queue: point.queue,
            root: point.root.clone(),
        };
        if point.batch > 0 {
            assert_eq!(toy.hash(), point.root);
        }
        toy
    }

    fn hash(&self) -> String {
        hex::encode(Sha256::digest(format!("{:?}", self.accounts)))
    }
}

impl Machine for Toy {
    type Operation = Op;
    type Ticket = ();

    fn encode(&self, (account, nonce, amount): &Op) -> Vec<u8> {
        [
            &account.to_be_bytes()[..],
            &nonce.to_be_bytes(),
            &amount.to_be_bytes(),
        ]
        .concat()
    }

    fn decode(&self, bytes: &[u8]) -> Result<Op, Refusal> {
        let number = |range: std::ops::Range<usize>| {
            bytes[range].iter().fold(0, |n, b| n << 8 | u64::from(*b))
        };
        Ok((
            u32::try_from(number(0..4)).unwrap(),
            number(4..12),
            number(12..20),
        ))
    }

    fn id(&self, operation: &Op) -> [u8; 32] {
        Sha256::digest(self.encode(operation)).into()
    }

    fn check(&self, operation: &Op) -> Result<(), Refusal> {
        if operation.2 == 13 {
            return Err(Refusal::new("signature", "wrong signature"));
        }
        Ok(())
    }

    fn touches(&self, (account, _, _): &Op) -> Vec<u32> {
        vec![*account]
    }

    fn account(&self, index: u32) -> Vec<u8> {
        let (nonce, sum) = self.accounts.get(&index).copied().unwrap_or_default();
        [nonce.to_be_bytes(), sum.to_be_bytes()].concat()
    }

    /// An account is found by its sum.
    fn names(account: &[u8]) -> Vec<Vec<u8>> {
        vec![account[8..].to_vec()]
    }

    fn fits(&self, _: &Op) -> bool {
        self.open < self.capacity
    }

    fn execute(&mut self, (account, nonce, amount): &Op, _: Option<()>) -> Result<(), Refusal> {
        assert!(self.open < self.capacity, "executed into a full batch");
        let (next, sum) = self.accounts.entry(*account).or_default();
        if *nonce != *next {
            let reason = format!("nonce {nonce}, expected {next}");
            return Err(Refusal::new("nonce", reason));
        }
        (*next, *sum) = (*next + 1, *sum + amount);
        self.queue += u64::from(*account == FROM_L1);
        self.open += 1;
        Ok(())
    }

    fn from_queue(&self, entry: &QueueEntry) -> Result<Op, Refusal> {
        if entry.words[0] == [0xff; 32] {
            return Err(Refusal::new("queue", "no state can take this"));
        }
        Ok((FROM_L1, entry.index, u64::from(entry.words[1][31])))
    }

    fn queue(&self) -> u64 {
        self.queue
    }

    fn open(&self) -> u64 {
        self.open
    }

    fn root(&self) -> String {
        self.root.clone()
    }

    fn seal(&mut self) -> Result<Sealed, Refusal> {
        self.batch += 1;
        let (operations, old_root) = (self.open, self.root.clone());
        (self.open, self.root) = (0, self.hash());
        let accounts = self.accounts.iter().map(|(index, (nonce, sum))| {
            (*index, [nonce.to_be_bytes(), sum.to_be_bytes()].concat())
        });
        Ok(Sealed {
            number: self.batch,
            operations,
            records: 0,
            old_root,
            new_root: self.root.clone(),
            public_inputs: vec![hex::encode(chain(self.batch).end().unwrap().to_bytes_be())],
            parts: vec![
                (Part::Input, self.batch.to_be_bytes().to_vec()),
                (Part::Header, vec![7; 64]),
                (Part::Blob, vec![8; 32]),
            ],
            accounts: accounts.collect(),
        })
    }
}

/// A batch's circuit: a square chain of its own.
fn chain(batch: u64) -> SquareChain {
    SquareChain::with_witness(4, batch)
}

/// Makes assignments from the toy's inputs.
struct Chains;

impl Prepare for Chains {
    fn assignment(&self, input: &[u8]) -> Result<Assignment, PluginError> {
        let batch = u64::from_be_bytes(input.try_into().unwrap());
        Ok(groth16::synthesize(chain(batch)).unwrap())
    }
}

fn store_on(disk: &Disk) -> Result<Store, StoreError> {
    let db = Database::builder()
        .create_with_backend(disk.clone())
        .unwrap();
    Store::on(db, Path::new("disk"), &MARK)
}

fn options() -> WriterOptions {
    WriterOptions {
        seal_after: Duration::from_secs(3600),
        ..WriterOptions::new(270)
    }
}

fn key() -> SecretKey {
    SecretKey::from_seed(&[7; 32])
}

fn start(disk: &Disk, capacity: u64, options: WriterOptions) -> (Writer<Toy>, Arc<Store>) {
    let store = Arc::new(store_on(disk).unwrap());
    let toy = Toy::restore(&store, capacity);
    let (writer, _) = Writer::start(toy, Arc::clone(&store), key(), options).unwrap();
    (writer, store)
}

async fn submit(writer: &Writer<Toy>, op: Op) -> Result<Receipt, SubmitError> {
    writer.submit(op).await
}

#[tokio::test]
async fn operations_are_confirmed_refused_and_sealed() {
    let disk = Disk::new(Vec::new());
    let (writer, store) = start(&disk, 4, options());
    let first = submit(&writer, (1, 0, 5)).await.unwrap();
    assert_eq!((first.sequence, first.verify(key().public())), (0, Ok(())));
    let refused = submit(&writer, (1, 5, 5)).await.unwrap_err();
    assert!(matches!(
        refused,
        SubmitError::Refused(Refusal { code: "nonce", .. })
    ));
    let refused = submit(&writer, (1, 1, 13)).await.unwrap_err();
    assert!(matches!(
        refused,
        SubmitError::Refused(Refusal {
            code: "signature",
            ..
        })
    ));
    let known = submit(&writer, (1, 0, 5)).await.unwrap_err();
    assert!(matches!(known, SubmitError::Known { sequence: 0 }));

    // Five more: the batch of four is sealed when the fifth does not fit.
    for nonce in 1..=5 {
        submit(&writer, (1, nonce, 1)).await.unwrap();
    }
    let entry = |index| QueueEntry {
        index,
        words: [[9; 32]; 5],
    };
    assert_eq!(writer.queue(vec![entry(0), entry(1)]).await.unwrap(), 2);
    // Entries that were delivered before do nothing.
    assert_eq!(writer.queue(vec![entry(1), entry(2)]).await.unwrap(), 3);
    assert_eq!(writer.seal().await.unwrap(), Some(3));
    assert_eq!(writer.seal().await.unwrap(), None);
    // Entries that cannot be executed, or are not next, end nothing and are shown.
    let bad = QueueEntry {
        index: 3,
        words: [[0xff; 32]; 5],
    };
    let stuck = || writer.progress().borrow().stuck.clone().unwrap_or_default();
    assert_eq!(writer.queue(vec![bad, entry(4)]).await.unwrap(), 3);
    assert!(stuck().contains("entry 3"), "{}", stuck());
    assert_eq!(writer.queue(vec![entry(5)]).await.unwrap(), 3);
    assert!(stuck().contains("entry 3 is the next one"), "{}", stuck());
    assert_eq!(writer.failure(), None);
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
    let sum = writer.look(|toy| toy.accounts[&1].1).await.unwrap();
    assert_eq!(sum, 10);
    let progress = writer.progress().borrow().clone();
    assert_eq!(
        (progress.accepted, progress.batch, progress.open),
        (9, 3, 0)
    );

    // Readers find accounts by what they are now, sealed or not.
    let accounts = Arc::clone(writer.accounts());
    let sum = |value: u64| value.to_be_bytes();
    let indices = |value| -> Vec<u32> {
        let found = accounts.find(&sum(value), 0, 9).unwrap();
        found.into_iter().map(|(index, _)| index).collect()
    };
    assert_eq!(indices(10), [1]);
    submit(&writer, (2, 0, 10)).await.unwrap();
    assert_eq!(indices(10), [1, 2]);
    submit(&writer, (1, 6, 1)).await.unwrap();
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
    assert_eq!(writer.look(|toy| toy.accounts[&1]).await.unwrap(), (20, 20));
    submit(&writer, (1, 20, 1)).await.unwrap();
}

#[tokio::test]
async fn a_damaged_or_foreign_log_is_noticed() {
    let disk = Disk::new(Vec::new());
    let (writer, store) = start(&disk, 8, options());
    for nonce in 0..3 {
        submit(&writer, (1, nonce, 1)).await.unwrap();
    }
    drop((writer, store));
    let disk = disk.after_crash();
    let on_l1 = ChainMark {
        l1_chain_id: 1,
        hub: "0x12".into(),
        ..MARK
    };
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
            on_l1.clone(),
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
    // With Ethereum and without.
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
        let open = |mark| {
            let db = Database::builder().create_with_backend(disk.clone());
            Store::on(db.unwrap(), Path::new("disk"), mark)
        };
        drop(open(made).unwrap());
        let error = open(asked).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    for (other, words) in words {
        let db = Database::builder()
            .create_with_backend(disk.clone())
            .unwrap();
        let error = Store::on(db, Path::new("disk"), &other)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(&words) && error.contains("--data-dir"),
            "{error}"
        );
    }

    let disk = disk.after_crash();
    let store = Arc::new(store_on(&disk).unwrap());
    // The log says that account 1 begins with nonce 0.
    let mut toy = Toy::restore(&store, 8);
    toy.accounts.insert(1, (9, 9));
    let error = Writer::start(toy, store, key(), options())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("operation 0 of the log is refused on replay"),
        "{error}"
    );
}

/// An L1 in memory: a queue, and batches that it took, in order; the first answer of each is lost.
#[derive(Default)]
struct Ethereum {
    queue: Mutex<Vec<QueueEntry>>,
    settled: Mutex<Vec<u64>>,
    calls: AtomicI64,
    contradicts: AtomicI64,
}

#[async_trait]
impl L1Inbox for Ethereum {
    async fn entries(&self, from: u64, most: usize) -> Result<Vec<QueueEntry>, PortError> {
        if self.contradicts.load(Ordering::SeqCst) != 0 {
            return Err(PortError::Contradiction(
                "entry 0 was removed by a reorg".into(),
            ));
        }
        let queue = self.queue.lock().unwrap();
        let new = queue.iter().filter(|entry| entry.index >= from);
        Ok(new.take(most).cloned().collect())
    }
}

#[async_trait]
impl Settler for Ethereum {
    async fn settle(&self, batch: &ProvedBatch) -> Result<BatchStatus, PortError> {
        assert_eq!((batch.header.len(), batch.blob.len()), (2, 1));
        let mut settled = self.settled.lock().unwrap();
        let transaction = Some(format!("0x{:02}", batch.number));
        if settled.contains(&batch.number) {
            return Ok(BatchStatus::Final { transaction });
        }
        let proof = Proof::from_bytes(&batch.proof).unwrap();
        let end = chain(batch.number).end().unwrap();
        groth16::verify(&proving_key().vk, &[end], &proof).unwrap();
        assert_eq!(batch.number, settled.len() as u64 + 1, "in order");
        if self.calls.fetch_add(1, Ordering::SeqCst) % 2 == 0 {
            return Err(PortError::Unreachable("try again".into()));
        }
        settled.push(batch.number);
        Ok(BatchStatus::Settled { transaction })
    }
}

/// L1 refuses every batch.
struct Refusing;

#[async_trait]
impl Settler for Refusing {
    async fn settle(&self, _: &ProvedBatch) -> Result<BatchStatus, PortError> {
        Err(PortError::Refused("NotOperator".into()))
    }
}

#[tokio::test]
async fn a_batch_that_l1_refuses_for_good_ends_the_driver_with_its_reason() {
    let (writer, store) = start(&Disk::new(Vec::new()), 2, options());
    writer
        .queue(vec![QueueEntry {
            index: 0,
            words: [[1; 32]; 5],
        }])
        .await
        .unwrap();
    assert_eq!(writer.seal().await.unwrap(), Some(1));
    store
        .set_status(1, &BatchStatus::Proved, Some(&[1]))
        .unwrap();
    let driver = Driver {
        writer,
        store: Arc::clone(&store),
        board: None,
        inbox: None,
        settler: Some(Arc::new(Refusing)),
        poll: Duration::from_millis(5),
        observe: Arc::new(|_| {}),
        reach: Arc::new(|_| {}),
    };
    let ended = driver.run(tokio_util::sync::CancellationToken::new()).await;
    let error = ended.unwrap_err().to_string();
    assert!(
        error.contains("refuses") && error.contains("batch 1: NotOperator"),
        "{error}"
    );
    assert_eq!(store.batch(1).unwrap().unwrap().status, BatchStatus::Proved);
}

fn proving_key() -> groth16::ProvingKey {
    let mut rng = rand_chacha::ChaCha12Rng::seed_from_u64(1);
    groth16::setup(SquareChain::blank(4), &mut rng).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_proved_settled_in_order_and_become_final() {
    let folder = tempfile::tempdir().unwrap();
    let (writer, store) = start(&Disk::new(Vec::new()), 2, options());
    let board = JobBoard::open(&folder.path().join("jobs"), BoardOptions::default()).unwrap();
    let key = Arc::new(proving_key());
    let hash = board.add_key(&key.vk).unwrap();
    let board = Arc::new(board);
    let ethereum = Arc::new(Ethereum::default());
    let stop = tokio_util::sync::CancellationToken::new();
    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&events);
    let observe: Observe = Arc::new(move |event| seen.lock().unwrap().push(event));
    let reached = Arc::new(Mutex::new(Reached::default()));
    let drive = || {
        let driver = Driver {
            writer: writer.clone(),
            store: Arc::clone(&store),
            board: Some((Arc::clone(&board), hash)),
            inbox: Some(Arc::clone(&ethereum) as Arc<dyn L1Inbox>),
            settler: Some(Arc::clone(&ethereum) as Arc<dyn Settler>),
            poll: Duration::from_millis(10),
            observe: Arc::clone(&observe),
            reach: Arc::new({
                let reached = Arc::clone(&reached);
                move |now| *reached.lock().unwrap() = now
            }),
        };
        tokio::spawn(driver.run(stop.clone()))
    };
    let driver = drive();
    *ethereum.queue.lock().unwrap() = (0..3)
        .map(|index| QueueEntry {
            index,
            words: [[1; 32]; 5],
        })
        .collect();
    let mut progress = writer.progress();
    progress
        .wait_for(|progress| progress.queue == 3)
        .await
        .unwrap();
    for nonce in 0..3 {
        submit(&writer, (1, nonce, 1)).await.unwrap();
    }
    writer.seal().await.unwrap();

    let prover = {
        let (source, stop) = (LocalSource::new(Arc::clone(&board), "toy"), stop.clone());
        let plugin = EnginePlugin::new(Arc::new(CpuEngine::new())).with(key, Arc::new(Chains));
        let plugin: Arc<dyn ProverPlugin> = Arc::new(plugin);
        let options = WorkOptions {
            poll: Duration::from_millis(10),
            ..WorkOptions::default()
        };
        tokio::spawn(async move {
            let silent: Arc<dyn ProgressSink> = Arc::new(());
            work(&source, &plugin, &silent, &options, &stop, &|_| {}).await
        })
    };
    let all_final = async {
        loop {
            let rows = store.batches(1).unwrap();
            let done = rows.iter().all(|row| row.status_name() == "final");
            if done && rows.len() == 3 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all_final)
        .await
        .unwrap();
    assert_eq!(*ethereum.settled.lock().unwrap(), [1, 2, 3]);
    assert!(
        board.status().is_empty(),
        "the board forgets what is proved"
    );
    let transaction = Some("0x02".to_owned());
    let row = store.batch(2).unwrap().unwrap();
    assert_eq!(row.status, BatchStatus::Final { transaction });

    // Each step was told once, in a batch's order.
    let events = events.lock().unwrap().clone();
    let queue = NodeEvent::Queue {
        first: 0,
        deposits: 3,
        exits: 0,
    };
    assert_eq!(events[0], queue);
    let of = |number: u64| {
        let of_batch = events.iter().filter(|event| match event {
            NodeEvent::Queue { .. } => false,
            NodeEvent::Sealed { batch, .. }
            | NodeEvent::BatchProved { batch }
            | NodeEvent::Settled { batch, .. }
            | NodeEvent::Final { batch, .. }
            | NodeEvent::Unsettled { batch } => *batch == number,
        });
        let names = of_batch.map(|event| {
            let json = serde_json::to_value(event).unwrap();
            json["event"].as_str().unwrap().to_owned()
        });
        names.collect::<Vec<_>>()
    };
    for number in 1..=3 {
        assert_eq!(of(number), ["sealed", "batch_proved", "settled", "final"]);
    }
    let all = Reached {
        proved: 3,
        settled: 3,
        finalized: 3,
    };
    let reaches = async {
        while *reached.lock().unwrap() != all {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reaches)
        .await
        .unwrap();

    // What L1 takes back ends it, loudly.
    ethereum.contradicts.store(1, Ordering::SeqCst);
    let ended = tokio::time::timeout(Duration::from_secs(20), driver).await;
    let error = ended.unwrap().unwrap().unwrap_err();
    assert!(matches!(error, DriverError::Contradiction(_)));
    assert!(error.to_string().contains("removed by a reorg"), "{error}");
    stop.cancel();
    assert_eq!(prover.await.unwrap().unwrap().proved, 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Crashes at any point, with any capacity of batches before and after: what was acknowledged is
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
            let present = runtime.block_on(writer.look(|toy| toy.accounts.get(&1).copied()));
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
