//! Drills on a real anvil: what happens to transactions on Ethereum, done to the sender on purpose.
//! The target settles each batch once and refuses everything else; its events are counted at the end.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use alloy::network::Ethereum;
use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::providers::{Provider, RootProvider};
use alloy::rpc::types::Filter;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{SolCall, SolEvent};
use async_trait::async_trait;
use carillon_settlement::sender::{
    CrashPoint, Event, Faults, FeePolicy, Freed, Intent, Journal, News, NoFaults, NodePort,
    Outcome, Policy, Sender, SenderError, Status, Step,
};
use carillon_settlement::{
    Anvil, AnvilOptions, Deadlines, GasLimit, L1Client, MAX_TRANSACTION_GAS, SettlementError,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::model::Fuse;
use carillon_testing::contracts::Ledger;
use carillon_testing::proxy::Proxy;

const GWEI: u128 = 1_000_000_000;

pub fn policy() -> Policy {
    let second = Duration::from_secs;
    Policy {
        confirmations: 4,
        poll: second(1),
        resend_after: second(3),
        bump_after: second(6),
        retry_after: second(2),
        ..Policy::default()
    }
}

/// The target's counter.
#[derive(Clone)]
pub struct Counter(pub L1Client, pub Address);

impl Counter {
    async fn settled(&self) -> Result<u64, SettlementError> {
        let call = Ledger::settledCall {}.abi_encode().into();
        let answer = self.0.call("settled", self.1, call).await?;
        Ok(Ledger::settledCall::abi_decode_returns(&answer).unwrap())
    }
}

#[async_trait]
impl Outcome for Counter {
    async fn taken(&self, intent: &Intent) -> Result<bool, SettlementError> {
        let number = u64::from_be_bytes(intent.check.as_ref().try_into().unwrap());
        Ok(self.settled().await? >= number)
    }
}

/// A node with the target.
pub struct World {
    pub anvil: Anvil,
    pub proxy: Proxy,
    pub provider: RootProvider<Ethereum>,
    pub counter: Counter,
    folder: TempDir,
    pub now: Duration,
    pub policy: Policy,
    pub deadline: Duration,
    pub events: Vec<Event>,
}

pub type Running<F = NoFaults> = Sender<NodePort, Counter, F>;

impl World {
    pub async fn new() -> Self {
        let anvil = Anvil::start(&AnvilOptions::default()).await.unwrap();
        let deployer = anvil.signers()[9].clone();
        let proxy = Proxy::start(anvil.url()).await;
        let client = L1Client::new(proxy.url(), deployer, Deadlines::default()).unwrap();
        let code = Ledger::BYTECODE.clone();
        let mined = client
            .transact("deploy", None, code, GasLimit::Estimate)
            .await
            .unwrap();
        let address = mined.receipt.contract_address.unwrap();
        Self {
            provider: RootProvider::new_http(anvil.url().parse().unwrap()),
            anvil,
            proxy,
            counter: Counter(client, address),
            folder: tempfile::tempdir().unwrap(),
            now: Duration::ZERO,
            policy: policy(),
            deadline: Duration::from_secs(20),
            events: Vec::new(),
        }
    }

    pub fn key(&self) -> PrivateKeySigner {
        self.anvil.signers()[0].clone()
    }

    fn journal(&self, name: &str) -> Journal {
        Journal::open(&self.folder.path().join(name)).unwrap()
    }

    pub async fn sender(&self) -> Running {
        self.sender_with("journal", self.key(), NoFaults).await
    }

    pub async fn sender_with<F: Faults>(
        &self,
        journal: &str,
        key: PrivateKeySigner,
        faults: F,
    ) -> Running<F> {
        let port = NodePort::new(self.proxy.url(), self.deadline).unwrap();
        let journal = self.journal(journal);
        Sender::open_with(
            port,
            self.counter.clone(),
            key,
            journal,
            self.policy,
            faults,
        )
        .await
        .unwrap()
    }

    pub fn batch(&self, number: u64) -> Intent {
        let data = Bytes::from(vec![number as u8; 100]);
        let call = Ledger::settleCall { number, _1: data };
        self.intent(number, call.abi_encode())
    }

    pub fn blob_batch(&self, number: u64) -> Intent {
        let mut blob = vec![0; 131_072];
        blob[31] = number as u8;
        let call = Ledger::settleBlobCall { number };
        Intent {
            blobs: vec![blob.into()],
            ..self.intent(number, call.abi_encode())
        }
    }

    fn intent(&self, number: u64, input: Vec<u8>) -> Intent {
        Intent {
            id: format!("settle/{number}"),
            to: self.counter.1,
            value: U256::ZERO,
            input: input.into(),
            blobs: Vec::new(),
            check: Bytes::copy_from_slice(&number.to_be_bytes()),
        }
    }

    pub async fn rpc(&self, method: &'static str, params: Value) -> Value {
        let request = self.provider.raw_request(method.into(), params);
        request.await.unwrap_or_else(|e| panic!("{method}: {e}"))
    }

    pub async fn automine(&self, on: bool) {
        self.rpc("evm_setAutomine", json!([on])).await;
    }

    pub async fn mine(&self, blocks: u64) {
        self.rpc("anvil_mine", json!([blocks])).await;
    }

    async fn base_fee(&self, fee: u128) {
        let params = json!([format!("{fee:#x}")]);
        self.rpc("anvil_setNextBlockBaseFeePerGas", params).await;
    }

    async fn reorg(&self, depth: u64) {
        self.rpc("anvil_reorg", json!([depth, []])).await;
    }

    /// One look of the sender, a second after the last.
    pub async fn tick<F: Faults>(&mut self, sender: &mut Running<F>) -> Result<(), SenderError> {
        self.now += Duration::from_secs(1);
        let result = sender.tick(self.now).await;
        self.events.extend(sender.take_events());
        result.map(|_| ())
    }

    pub async fn ticks<F: Faults>(&mut self, sender: &mut Running<F>, times: usize) {
        for _ in 0..times {
            self.tick(sender).await.unwrap();
        }
    }

    /// Looks and mines until nothing is open.
    pub async fn finish<F: Faults>(&mut self, sender: &mut Running<F>) {
        for _ in 0..60 {
            self.tick(sender).await.unwrap();
            if sender.open_intents().next().is_none() {
                return;
            }
            self.mine(1).await;
        }
        panic!(
            "still open: {:#?}\n{:#?}",
            sender.open_intents().collect::<Vec<_>>(),
            self.events
        );
    }

    /// The target's events in the order of the chain: number, who, blob hash.
    pub async fn settled(&self) -> Vec<(u64, Address, B256)> {
        let filter = Filter::new().address(self.counter.1).from_block(0);
        let logs = self.provider.get_logs(&filter).await.unwrap();
        logs.iter()
            .map(|log| Ledger::Settled::decode_log(&log.inner).unwrap())
            .map(|event| (event.number, event.by, event.blobHash))
            .collect()
    }

    pub async fn numbers(&self) -> Vec<u64> {
        let settled = self.settled().await;
        settled.into_iter().map(|(number, ..)| number).collect()
    }

    pub fn saw(&self, news: impl Fn(&News) -> bool) -> bool {
        self.events.iter().any(|event| news(&event.news))
    }

    /// A transaction of the sender's key that the sender does not know.
    async fn foreign(&self) {
        let client = self.counter.0.with_signer(self.key());
        let signed = client
            .sign(
                "a transfer",
                Some(Address::ZERO),
                U256::ZERO,
                Bytes::new(),
                GasLimit::Fixed(21_000),
            )
            .await
            .unwrap();
        use alloy::eips::Encodable2718;
        let raw = signed.encoded_2718();
        let _ = self.provider.send_raw_transaction(&raw).await.unwrap();
    }
}

#[tokio::test]
async fn calldata_and_blob_batches_are_settled_in_order() {
    let mut world = World::new().await;
    let mut sender = world.sender().await;
    for number in 1..=2 {
        sender.enqueue(world.batch(number)).unwrap();
    }
    sender.enqueue(world.blob_batch(3)).unwrap();
    sender.enqueue(world.batch(4)).unwrap();
    world.finish(&mut sender).await;

    let settled = world.settled().await;
    let numbers: Vec<u64> = settled.iter().map(|s| s.0).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    let blob = settled[2].2;
    assert_eq!(blob[0], 1, "a versioned hash starts with 1");
    assert!(
        settled
            .iter()
            .all(|(n, _, hash)| (*n == 3) != hash.is_zero())
    );
    let status = sender.status("settle/3").unwrap().unwrap();
    let Status::Closed(done) = status else {
        panic!("{status:?}")
    };
    let receipt = world
        .provider
        .get_transaction_receipt(done.transaction.unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(receipt.blob_gas_used, Some(131_072));
}

#[tokio::test]
async fn a_reorganisation_of_depth_three_is_healed() {
    let mut world = World::new().await;
    let mut sender = world.sender().await;
    for number in 1..=3 {
        sender.enqueue(world.batch(number)).unwrap();
    }
    // Each is mined as it is sent.
    world.ticks(&mut sender, 4).await;
    assert_eq!(world.numbers().await, [1, 2, 3]);
    world.reorg(3).await;
    assert_eq!(world.numbers().await, [0; 0]);
    world.finish(&mut sender).await;
    assert_eq!(world.numbers().await, [1, 2, 3]);
    assert!(world.saw(|news| *news == News::Reorged));
}

#[tokio::test]
async fn a_dropped_transaction_is_sent_again() {
    let mut world = World::new().await;
    let mut sender = world.sender().await;
    world.automine(false).await;
    sender.enqueue(world.batch(1)).unwrap();
    world.tick(&mut sender).await.unwrap();
    let Some(Status::Sent { transaction, .. }) = sender.status("settle/1").unwrap() else {
        panic!("not sent")
    };
    world
        .rpc("anvil_dropTransaction", json!([transaction]))
        .await;
    world.mine(1).await;
    world.ticks(&mut sender, 2).await;
    assert_eq!(world.numbers().await, [0; 0]);

    world.ticks(&mut sender, 2).await;
    world.mine(1).await;
    assert_eq!(world.numbers().await, [1]);
    world.rpc("anvil_dropAllTransactions", json!([])).await;
    world.finish(&mut sender).await;
    // The same bytes were enough.
    let status = sender.status("settle/1").unwrap();
    assert!(matches!(status, Some(Status::Closed(d)) if d.transaction == Some(transaction)));
}

#[tokio::test]
async fn a_fee_spike_is_followed_up_to_the_cap() {
    let mut world = World::new().await;
    world.policy.fees = FeePolicy {
        cap: carillon_settlement::sender::Fees {
            max: 100 * GWEI,
            tip: 10 * GWEI,
            blob: 100 * GWEI,
        },
        least_tip: GWEI,
    };
    let mut sender = world.sender().await;
    world.automine(false).await;
    for (number, blob) in [(1, false), (2, true)] {
        world.base_fee(GWEI).await;
        world.mine(1).await;
        let intent = if blob {
            world.blob_batch(number)
        } else {
            world.batch(number)
        };
        sender.enqueue(intent).unwrap();
        world.tick(&mut sender).await.unwrap();
        world.base_fee(30 * GWEI).await;
        world.mine(1).await;
        assert_eq!(world.numbers().await.len() as u64, number - 1);
        world.ticks(&mut sender, 7).await;
        let signed: Vec<_> = world
            .events
            .iter()
            .filter_map(|event| match event.news {
                News::Signed { nonce, fees, .. } if nonce + 1 == number => Some(fees),
                _ => None,
            })
            .collect();
        assert_eq!(signed.len(), 2, "{:#?}", world.events);
        assert!(signed[1].max > 26 * GWEI, "{signed:?}");
        if blob {
            assert!(signed[1].tip >= 2 * signed[0].tip && signed[1].blob >= 2 * signed[0].blob);
        }
        world.mine(1).await;
        assert_eq!(world.numbers().await.len() as u64, number);
        world.finish(&mut sender).await;
    }

    // Above the cap nothing is signed, and the reason is told; below it the batch goes through.
    world.base_fee(150 * GWEI).await;
    world.mine(1).await;
    sender.enqueue(world.batch(3)).unwrap();
    world.ticks(&mut sender, 3).await;
    assert!(world.saw(|news| matches!(news, News::FeeCap(_))));
    assert_eq!(sender.status("settle/3").unwrap(), Some(Status::Waiting));
    world.base_fee(GWEI).await;
    world.finish(&mut sender).await;
    assert_eq!(world.numbers().await, [1, 2, 3]);
}

#[tokio::test]
async fn a_restart_between_any_two_steps_resumes() {
    let mut world = World::new().await;
    let fuse = Fuse::default();
    let mut sender = world
        .sender_with("journal", world.key(), fuse.clone())
        .await;
    let mut number = 0;
    for point in CrashPoint::all() {
        number += 1;
        let (CrashPoint::Before(step) | CrashPoint::After(step)) = point;
        fuse.set(point, 0);
        let mut intent = world.batch(number);
        let mut crashed = false;
        let mut provoked = false;
        for round in 0.. {
            assert!(round < 60, "{point:?}: {:#?}", world.events);
            let open = sender.open_intents().next().is_some();
            let mut result = Ok(());
            if !open {
                result = sender.enqueue(intent.clone()).map(|_| ());
            } else if step == Step::Withdrawn && !provoked {
                result = sender.withdraw(&intent.id);
            }
            if result.is_ok() {
                if step == Step::Freed && !provoked {
                    // Our transaction is dropped, a foreign one takes its nonce.
                    world.automine(false).await;
                    result = world.tick(&mut sender).await;
                    world.rpc("anvil_dropAllTransactions", json!([])).await;
                    world.foreign().await;
                    world.mine(1).await;
                    world.automine(true).await;
                    provoked = true;
                } else {
                    result = world.tick(&mut sender).await;
                }
            }
            match result {
                Ok(()) => {}
                Err(SenderError::Killed) => {
                    crashed = true;
                    drop(sender);
                    sender = world
                        .sender_with("journal", world.key(), fuse.clone())
                        .await;
                }
                Err(error) => panic!("{point:?}: {error}"),
            }
            if let (Step::Reorged, false, Some(Status::InEffect(_, block))) =
                (step, provoked, sender.status(&intent.id).unwrap())
            {
                let head = world.provider.get_block_number().await.unwrap();
                world.reorg(head - block.number + 1).await;
                provoked = true;
            }
            match sender.status(&intent.id).unwrap() {
                Some(Status::Closed(done)) if done.block.is_some() => break,
                Some(Status::Closed(_)) => {
                    // Withdrawn: the batch is settled under another name.
                    provoked = true;
                    intent.id.push_str("/again");
                }
                _ => {}
            }
            world.mine(1).await;
        }
        assert!(crashed, "{point:?} was not passed");
        let all: Vec<u64> = (1..=number).collect();
        assert_eq!(world.numbers().await, all, "{point:?}");
    }
}

#[tokio::test]
async fn two_senders_on_one_key_settle_each_batch_once() {
    let mut world = World::new().await;
    for automine in [true, false] {
        world.automine(automine).await;
        let first = world.numbers().await.len() as u64 + 1;
        let (name_a, name_b) = (format!("a{automine}"), format!("b{automine}"));
        let mut a = world.sender_with(&name_a, world.key(), NoFaults).await;
        let mut b = world.sender_with(&name_b, world.key(), NoFaults).await;
        for number in first..first + 4 {
            a.enqueue(world.batch(number)).unwrap();
            b.enqueue(world.batch(number)).unwrap();
        }
        for round in 0.. {
            assert!(round < 200, "{:#?}", world.events);
            world.tick(&mut a).await.unwrap();
            world.tick(&mut b).await.unwrap();
            if round % 3 == 2 {
                world.mine(1).await;
            }
            let open = a.open_intents().chain(b.open_intents()).next();
            if open.is_none() {
                break;
            }
        }
        let all: Vec<u64> = (1..first + 4).collect();
        assert_eq!(world.numbers().await, all);
    }
    assert!(world.saw(|news| matches!(news, News::Taken(_))));
}

#[tokio::test]
async fn a_nonce_used_by_a_foreign_transaction_leads_to_a_new_plan() {
    let mut world = World::new().await;
    let mut sender = world.sender().await;
    world.automine(false).await;
    sender.enqueue(world.batch(1)).unwrap();
    world.tick(&mut sender).await.unwrap();
    world.rpc("anvil_dropAllTransactions", json!([])).await;
    world.foreign().await;
    world.mine(1).await;
    world.automine(true).await;
    world.finish(&mut sender).await;
    assert!(world.saw(|news| *news == News::Freed(Freed::Foreign)));
    assert_eq!(world.numbers().await, [1]);

    // Another operator with another key was faster: the counters say so, and nothing is sent.
    let other = world.anvil.signers()[1].clone();
    let mut rival = world.sender_with("rival", other.clone(), NoFaults).await;
    rival.enqueue(world.batch(2)).unwrap();
    world.finish(&mut rival).await;
    world.events.clear();
    sender.enqueue(world.batch(2)).unwrap();
    world.finish(&mut sender).await;
    assert!(!world.saw(|news| matches!(news, News::Signed { .. })));
    let by: BTreeSet<Address> = world.settled().await.iter().map(|s| s.1).collect();
    assert_eq!(by.len(), 2);
}

#[tokio::test]
async fn a_doomed_transaction_gives_way_to_a_blank() {
    let mut world = World::new().await;
    let mut sender = world.sender().await;
    world.automine(false).await;
    sender.enqueue(world.batch(1)).unwrap();
    world.tick(&mut sender).await.unwrap();
    // The rival's transaction is mined first; ours would revert at full price.
    let rival = world.anvil.signers()[1].clone();
    let client = world.counter.0.with_signer(rival);
    world.rpc("anvil_dropAllTransactions", json!([])).await;
    world.automine(true).await;
    let call = world.batch(1).input;
    let target = world.counter.1;
    client
        .transact("the rival", Some(target), call, GasLimit::Estimate)
        .await
        .unwrap();
    world.automine(false).await;
    // It was dropped; it is replaced before it is sent again only when its time has come.
    world.policy.bump_after = Duration::ZERO;
    drop(sender);
    let mut sender = world.sender().await;
    world.ticks(&mut sender, 2).await;
    assert!(
        world.saw(|news| matches!(news, News::Signed { blank: true, .. })),
        "{:#?}",
        world.events
    );
    world.finish(&mut sender).await;
    assert!(world.saw(|news| matches!(news, News::Freed(Freed::Blank(_)))));
    assert_eq!(world.numbers().await, [1]);
}

#[tokio::test]
async fn refusals_come_back_and_nothing_is_sent() {
    let mut world = World::new().await;
    let mut sender = world.sender().await;
    let close = |closed_| Bytes::from(Ledger::setClosedCall { closed_ }.abi_encode());
    let (client, target) = (world.counter.0.clone(), world.counter.1);
    let gas = GasLimit::Estimate;
    client
        .transact("close", Some(target), close(true), gas)
        .await
        .unwrap();
    sender.enqueue(world.batch(1)).unwrap();
    world.ticks(&mut sender, 2).await;
    assert!(world.saw(|news| matches!(news, News::Refused(_))));
    let status = sender.status("settle/1").unwrap();
    assert!(
        matches!(status, Some(Status::Refused { times: 1, .. })),
        "{status:?}"
    );
    client
        .transact("open", Some(target), close(false), gas)
        .await
        .unwrap();
    world.finish(&mut sender).await;

    let call = Ledger::settleDearlyCall {
        number: 2,
        gasToBurn: U256::from(MAX_TRANSACTION_GAS),
    };
    let expensive = world.intent(2, call.abi_encode());
    sender.enqueue(expensive.clone()).unwrap();
    world.ticks(&mut sender, 2).await;
    assert!(
        world.saw(|news| matches!(news, News::TooMuchGas(_))),
        "{:#?}",
        world.events
    );
    sender.withdraw(&expensive.id).unwrap();
    world.finish(&mut sender).await;
    let nonce = world
        .provider
        .get_transaction_count(sender.address())
        .await
        .unwrap();
    assert_eq!(nonce, 1);
    assert_eq!(world.numbers().await, [1]);
}

#[tokio::test]
async fn a_node_that_is_down_is_asked_again() {
    let mut world = World::new().await;
    world.deadline = Duration::from_millis(500);
    let mut sender = world.sender().await;
    sender.enqueue(world.batch(1)).unwrap();
    let signal = |name: &str| {
        let pid = world.anvil.process_id().to_string();
        let done = Command::new("kill").args([name, &pid]).status().unwrap();
        assert!(done.success());
    };
    signal("-STOP");
    let error = sender.tick(Duration::ZERO).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    signal("-CONT");

    // The same as a task, over a crash of the connection in the middle.
    let stop = tokio_util::sync::CancellationToken::new();
    world.policy.poll = Duration::from_millis(20);
    world.policy.retry_after = Duration::from_millis(50);
    drop(sender);
    let sender = world.sender().await;
    let (handle, work) = sender.start(stop.clone());
    let task = tokio::spawn(work);
    let mut events = handle.events();
    for number in 2..=3 {
        handle.enqueue(world.batch(number)).await.unwrap();
    }
    let pid = world.anvil.process_id().to_string();
    let kill = |name: &str| Command::new("kill").args([name, &pid]).status().unwrap();
    assert!(kill("-STOP").success());
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(kill("-CONT").success());
    let mut closed = 0;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while closed < 3 {
        world.mine(1).await;
        tokio::time::sleep(Duration::from_millis(30)).await;
        while let Ok(event) = events.try_recv() {
            closed += usize::from(matches!(event.news, News::Closed(_)));
        }
        assert!(tokio::time::Instant::now() < deadline, "{closed} closed");
    }
    assert!(matches!(
        handle.status("settle/3").unwrap(),
        Some(Status::Closed(_))
    ));
    stop.cancel();
    task.await.unwrap().unwrap();
    assert!(matches!(
        handle.status("settle/3"),
        Err(SenderError::Stopped)
    ));
    assert_eq!(world.numbers().await, [1, 2, 3]);
}
