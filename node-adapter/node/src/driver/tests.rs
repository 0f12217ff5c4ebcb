//! The driver between a writer, a board with a prover, and an L1 in memory.

#![allow(clippy::unwrap_used)]

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use carillon_prover_api::{
    BoardOptions, EnginePlugin, LocalSource, ProverPlugin, SourceError, WorkOptions, WorkSummary,
    work,
};
use carillon_runtime::Engine;
use carillon_runtime::cpu::CpuEngine;
use carillon_runtime::groth16::{self, Proof};
use carillon_runtime::progress::ProgressSink;
use carillon_workload::SquareChain;
use rand::SeedableRng;
use tempfile::TempDir;
use tokio::task::JoinHandle;

mod at_once;

use super::*;
use crate::test_machine::{Chains, Disk, TestMachine, chain, options, start, submit};

/// An L1 in memory: a queue, and batches that it took, in order; the first answer of each is lost.
#[derive(Default)]
struct Ethereum {
    queue: Mutex<Vec<QueueEntry>>,
    settled: Mutex<Vec<u64>>,
    calls: AtomicU64,
    contradicts: AtomicBool,
}

#[async_trait]
impl L1Inbox for Ethereum {
    async fn entries(&self, from: u64, most: usize) -> Result<Vec<QueueEntry>, PortError> {
        if self.contradicts.load(Ordering::SeqCst) {
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
        if self.calls.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) {
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
    writer.queue(vec![entry(0)]).await.unwrap();
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
        lanes: None,
        promise_age: Duration::from_secs(600),
        heard: Arc::new(|| u64::MAX),
        poll: Duration::from_millis(5),
        observe: Arc::new(|_| {}),
        reach: Arc::new(|_| {}),
    };
    let ended = driver.run(CancellationToken::new()).await;
    let error = ended.unwrap_err().to_string();
    assert!(
        error.contains("refuses") && error.contains("batch 1: NotOperator"),
        "{error}"
    );
    assert_eq!(store.batch(1).unwrap().unwrap().status, BatchStatus::Proved);
}

fn entry(index: u64) -> QueueEntry {
    QueueEntry {
        index,
        words: [[1; 32]; 5],
    }
}

fn proving_key() -> groth16::ProvingKey {
    let mut rng = rand_chacha::ChaCha12Rng::seed_from_u64(1);
    groth16::setup(SquareChain::blank(4), &mut rng).unwrap()
}

/// Longer than any step takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A writer with batches of two operations, a board, an L1, and what a driver tells.
struct Chain {
    writer: Writer<TestMachine>,
    store: Arc<Store>,
    board: Arc<JobBoard>,
    key: Arc<groth16::ProvingKey>,
    key_hash: KeyHash,
    ethereum: Arc<Ethereum>,
    events: Arc<Mutex<Vec<NodeEvent>>>,
    reached: Arc<Mutex<Reached>>,
    stop: CancellationToken,
    _folder: TempDir,
}

impl Chain {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (writer, store) = start(&Disk::new(Vec::new()), 2, options());
        let board = JobBoard::open(&folder.path().join("jobs"), BoardOptions::default()).unwrap();
        let key = Arc::new(proving_key());
        Self {
            writer,
            store,
            key_hash: board.add_key(&key.vk).unwrap(),
            board: Arc::new(board),
            key,
            ethereum: Arc::default(),
            events: Arc::default(),
            reached: Arc::default(),
            stop: CancellationToken::new(),
            _folder: folder,
        }
    }

    fn drive(&self) -> JoinHandle<Result<(), DriverError>> {
        let (events, reached) = (Arc::clone(&self.events), Arc::clone(&self.reached));
        let driver = Driver {
            writer: self.writer.clone(),
            store: Arc::clone(&self.store),
            board: Some((Arc::clone(&self.board), self.key_hash)),
            inbox: Some(Arc::clone(&self.ethereum) as Arc<dyn L1Inbox>),
            settler: Some(Arc::clone(&self.ethereum) as Arc<dyn Settler>),
            lanes: None,
            promise_age: Duration::from_secs(600),
            heard: Arc::new(|| u64::MAX),
            poll: Duration::from_millis(10),
            observe: Arc::new(move |event| events.lock().unwrap().push(event)),
            reach: Arc::new(move |now| *reached.lock().unwrap() = now),
        };
        tokio::spawn(driver.run(self.stop.clone()))
    }

    fn plugin(&self, engine: Arc<dyn Engine>) -> EnginePlugin {
        EnginePlugin::new(engine).with(Arc::clone(&self.key), Arc::new(Chains))
    }

    fn prove(&self) -> JoinHandle<Result<WorkSummary, SourceError>> {
        self.prove_with(Arc::new(self.plugin(Arc::new(CpuEngine::new()))))
    }

    fn prove_with(
        &self,
        plugin: Arc<dyn ProverPlugin>,
    ) -> JoinHandle<Result<WorkSummary, SourceError>> {
        let source = LocalSource::new(Arc::clone(&self.board), "test");
        let options = WorkOptions {
            poll: Duration::from_millis(10),
            ..WorkOptions::default()
        };
        let stop = self.stop.clone();
        tokio::spawn(async move {
            let silent = |_| Arc::new(()) as Arc<dyn ProgressSink>;
            work(&source, &plugin, &silent, &options, &stop, &|_| {}).await
        })
    }

    /// Three entries of the queue, which L1 has, and three operations: three batches.
    async fn make_three_batches(&self) {
        *self.ethereum.queue.lock().unwrap() = (0..3).map(entry).collect();
        let mut progress = self.writer.progress();
        progress
            .wait_for(|progress| progress.queue == 3)
            .await
            .unwrap();
        for nonce in 0..3 {
            submit(&self.writer, (1, nonce, 1)).await.unwrap();
        }
        self.writer.seal().await.unwrap();
    }

    fn all_final(&self) -> bool {
        let rows = self.store.batches(1).unwrap();
        rows.len() == 3 && rows.iter().all(|row| row.status_name() == "final")
    }

    /// The names of what was told of a batch, in order.
    fn told_of(&self, number: u64) -> Vec<String> {
        let events = self.events.lock().unwrap();
        let of_batch = events.iter().filter(|event| match event {
            NodeEvent::Queue { .. } | NodeEvent::Taken { .. } | NodeEvent::Revoked { .. } => false,
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
        names.collect()
    }
}

/// Waits until `holds`, and fails if it never does.
async fn eventually(holds: impl Fn() -> bool) {
    let polls = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, polls).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_proved_settled_in_order_and_become_final() {
    let chain = Chain::new();
    let driver = chain.drive();
    chain.make_three_batches().await;
    let prover = chain.prove();
    eventually(|| chain.all_final()).await;
    assert_eq!(*chain.ethereum.settled.lock().unwrap(), [1, 2, 3]);
    // The board forgets what is proved.
    eventually(|| chain.board.status().is_empty()).await;
    let transaction = Some("0x02".to_owned());
    let row = chain.store.batch(2).unwrap().unwrap();
    assert_eq!(row.status, BatchStatus::Final { transaction });

    // Each step was told once, in a batch's order.
    let queue = NodeEvent::Queue {
        first: 0,
        deposits: 3,
        exits: 0,
    };
    assert_eq!(chain.events.lock().unwrap()[0], queue);
    for number in 1..=3 {
        // A step is told when it is on disk.
        eventually(|| chain.told_of(number).len() >= 4).await;
        let told = chain.told_of(number);
        assert_eq!(told, ["sealed", "batch_proved", "settled", "final"]);
    }
    let all = Reached {
        proved: 3,
        settled: 3,
        finalized: 3,
    };
    eventually(|| *chain.reached.lock().unwrap() == all).await;

    // What L1 takes back ends it, loudly.
    chain.ethereum.contradicts.store(true, Ordering::SeqCst);
    let ended = tokio::time::timeout(PATIENCE, driver).await;
    let error = ended.unwrap().unwrap().unwrap_err();
    assert!(matches!(error, DriverError::Contradiction(_)));
    assert!(error.to_string().contains("removed by a reorg"), "{error}");
    chain.stop.cancel();
    assert_eq!(prover.await.unwrap().unwrap().proved, 3);
}
