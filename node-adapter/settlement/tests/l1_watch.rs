//! The watcher: random histories on a model chain, with reorganisations, restarts, lagging and lying
//! nodes; and the queue of a real contract on anvil, through reorganisations.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy::network::Ethereum;
use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use alloy::providers::{Provider, RootProvider};
use alloy::sol_types::SolCall;
use async_trait::async_trait;
use blstrs::Scalar;
use carillon_settlement::abi::ISharedBridge::LaneEntry;
use carillon_settlement::abi::RollupChain;
use carillon_settlement::deploy::{DeployOptions, Deployment};
use carillon_settlement::lanes::LaneEvent;
use carillon_settlement::sender::BlockRef;
use carillon_settlement::watch::{
    ChainEvent, Cursor, Located, NodeSource, Progress, Queue, QueueError, Sink, SinkError, Source,
    WatchError, WatchOptions, Watcher, next_queue_hash,
};
use carillon_settlement::{
    Anvil, AnvilOptions, Deadlines, GasLimit, L1Client, Meaning, RpcFailure, SettlementError,
};
use proptest::collection::vec;
use proptest::prelude::*;
use redb::{Database, ReadableTable, TableDefinition, WriteTransaction};
use serde_json::json;

use carillon_testing::proxy::{Answer, Modes, Proxy};

#[derive(Clone, Debug)]
struct Block {
    hash: B256,
    events: Vec<ChainEvent>,
}

/// A contract's history on a chain that turns.
#[derive(Debug, Default)]
struct Model {
    blocks: Vec<Block>,
    fresh: u64,
    /// Newest blocks that the node has not seen.
    lag: usize,
    /// The next answer lacks an event.
    lie: bool,
    /// The chain turns after this many further requests.
    turn_after: Option<usize>,
    /// Answers hold at most as many blocks.
    limit: u64,
    requests: usize,
}

impl Model {
    fn cursor(&self) -> Cursor {
        self.cursor_at(u64::MAX)
    }

    fn cursor_at(&self, number: u64) -> Cursor {
        let mut cursor = Cursor::default();
        let blocks = self.blocks.iter().take((number as usize).saturating_add(1));
        for event in blocks.flat_map(|block| &block.events) {
            cursor.advance(event).unwrap();
        }
        cursor
    }

    fn fresh(&mut self) -> B256 {
        self.fresh += 1;
        keccak256(self.fresh.to_be_bytes())
    }

    /// A block in which the contract does what each of `choices` says, if it can.
    fn mine(&mut self, choices: &[u8]) {
        let mut cursor = self.cursor();
        let mut events = Vec::new();
        for choice in choices {
            let event = match choice % 5 {
                0 => {
                    let words = [(); 5].map(|()| U256::from_be_bytes(self.fresh().0));
                    let (index, hash) = (
                        cursor.queue_length,
                        next_queue_hash(cursor.queue_hash, &words),
                    );
                    ChainEvent::Queued { index, words, hash }
                }
                1 => ChainEvent::Committed {
                    number: cursor.committed + 1,
                    hash: self.fresh(),
                    versioned_hash: self.fresh(),
                },
                2 if cursor.executed < cursor.committed && cursor.executed == cursor.proved => {
                    ChainEvent::Proved {
                        number: cursor.proved + 1,
                    }
                }
                2 if cursor.executed < cursor.proved => ChainEvent::Executed {
                    number: cursor.executed + 1,
                    new_root: U256::from_be_bytes(self.fresh().0),
                    message_root: B256::ZERO,
                    queue_end: 0,
                },
                4 => {
                    let index = cursor.arrived;
                    let entry = LaneEntry {
                        amount: U256::from(index),
                        ..LaneEntry::default()
                    };
                    let event = LaneEvent::Sent {
                        from: 5,
                        to: 9,
                        index,
                        entry,
                        batch: index,
                    };
                    ChainEvent::Lane { event, time: 1 }
                }
                3 if cursor.executed < cursor.committed => ChainEvent::Reverted {
                    last_kept: cursor.executed,
                    last_reverted: cursor.committed,
                },
                _ => continue,
            };
            cursor.advance(&event).unwrap();
            events.push(event);
        }
        let hash = self.fresh();
        self.blocks.push(Block { hash, events });
    }

    fn reorg(&mut self, depth: usize) {
        let kept = self.blocks.len().saturating_sub(depth);
        self.blocks.truncate(kept);
    }
}

#[derive(Clone, Debug, Default)]
struct Node(Arc<Mutex<Model>>);

impl Node {
    fn ask(&self) -> std::sync::MutexGuard<'_, Model> {
        let mut model = self.0.lock().unwrap();
        model.requests += 1;
        match model.turn_after {
            Some(0) => {
                model.turn_after = None;
                model.reorg(2);
                for _ in 0..3 {
                    model.mine(&[0, 1]);
                }
            }
            Some(left) => model.turn_after = Some(left - 1),
            None => {}
        }
        model
    }
}

#[async_trait]
impl Source for Node {
    async fn head(&self) -> Result<u64, SettlementError> {
        let model = self.ask();
        Ok((model.blocks.len() as u64).saturating_sub(1 + model.lag as u64))
    }

    async fn block(&self, number: u64) -> Result<Option<BlockRef>, SettlementError> {
        let model = self.ask();
        let block = model.blocks.get(number as usize);
        Ok(block.map(|block| BlockRef {
            number,
            hash: block.hash,
        }))
    }

    async fn events(&self, from: u64, to: u64) -> Result<Vec<Located>, SettlementError> {
        let mut model = self.ask();
        if to - from >= model.limit {
            let error = json!({ "code": -32602, "message": "query exceeds max block range 3" });
            let error = serde_json::from_value(error).unwrap();
            return Err(RpcFailure::answered("eth_getLogs", &error).into());
        }
        let mut located = Vec::new();
        for number in from..=to {
            let Some(block) = model.blocks.get(number as usize) else {
                break;
            };
            for (log, event) in block.events.iter().enumerate() {
                located.push(Located {
                    block: BlockRef {
                        number,
                        hash: block.hash,
                    },
                    transaction: B256::ZERO,
                    log: log as u64,
                    event: event.clone(),
                });
            }
        }
        // A proof that was taken back again leaves no trace in the contract: hiding it changes nothing.
        let telling = |event: &Located| !matches!(event.event, ChainEvent::Proved { .. });
        if let Some(hidden) = located.iter().position(telling).filter(|_| model.lie) {
            model.lie = false;
            located.remove(hidden);
        }
        Ok(located)
    }

    async fn counters(&self, at: BlockRef, _: u64) -> Result<Option<Cursor>, SettlementError> {
        let model = self.ask();
        let block = model.blocks.get(at.number as usize);
        Ok(block
            .filter(|block| block.hash == at.hash)
            .map(|_| model.cursor_at(at.number)))
    }
}

/// (block, log) -> debug text of the event: what a caller would have on disk.
const STORY: TableDefinition<(u64, u64), String> = TableDefinition::new("story");

struct Story;

impl Sink for Story {
    fn rollback(
        &mut self,
        write: &WriteTransaction,
        from: u64,
        _: &Cursor,
    ) -> Result<(), SinkError> {
        let mut story = write.open_table(STORY).unwrap();
        story.retain_in((from, 0).., |_, _| false).unwrap();
        Ok(())
    }

    fn apply(
        &mut self,
        write: &WriteTransaction,
        to: BlockRef,
        events: &[Located],
    ) -> Result<(), SinkError> {
        let mut story = write.open_table(STORY).unwrap();
        for event in events {
            assert!(event.block.number <= to.number);
            let key = (event.block.number, event.log);
            let text = format!("{:?}", event.event);
            let before = story.insert(key, text).unwrap();
            assert!(before.is_none(), "{key:?} was applied twice");
        }
        Ok(())
    }
}

fn story(database: &Database) -> Vec<String> {
    let write = database.begin_write().unwrap();
    let story = write.open_table(STORY).unwrap();
    let lines = story.iter().unwrap().map(|line| line.unwrap().1.value());
    lines.collect()
}

#[derive(Clone, Debug)]
enum Happening {
    Mine(Vec<u8>),
    Reorg(usize),
    Lag(usize),
    Lie,
    TurnAfter(usize),
    Sync,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        5 => vec(any::<u8>(), 0..4).prop_map(Happening::Mine),
        2 => (1usize..6).prop_map(Happening::Reorg),
        1 => (0usize..4).prop_map(Happening::Lag),
        1 => Just(Happening::Lie),
        2 => (0usize..8).prop_map(Happening::TurnAfter),
        6 => Just(Happening::Sync),
    ]
}

fn database() -> Arc<Database> {
    let memory = redb::backends::InMemoryBackend::new();
    Arc::new(Database::builder().create_with_backend(memory).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_is_applied_is_what_the_chain_holds(
        happenings in vec(happening(), 1..60), confirmations in 0u64..3, range in 1u64..6, limit in 1u64..4,
        keep in 1u64..8,
    ) {
        let node = Node::default();
        node.0.lock().unwrap().limit = limit;
        node.0.lock().unwrap().mine(&[]);
        let database = database();
        let options = WatchOptions { start: 0, confirmations, range, keep };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        // A new watcher each time, as after a restart: everything it knows is in the database.
        let sync = || runtime.block_on(async {
            let watcher = Watcher::new(node.clone(), database.clone(), options).unwrap();
            watcher.sync(&mut Story, |_| {}).await
        });
        for happening in happenings {
            match happening {
                Happening::Mine(choices) => node.0.lock().unwrap().mine(&choices),
                Happening::Reorg(depth) => {
                    let mut model = node.0.lock().unwrap();
                    let before = model.blocks.len();
                    model.reorg(depth);
                    while model.blocks.len() < before {
                        model.mine(&[0]);
                    }
                }
                Happening::Lag(lag) => node.0.lock().unwrap().lag = lag,
                Happening::Lie => node.0.lock().unwrap().lie = true,
                Happening::TurnAfter(requests) => node.0.lock().unwrap().turn_after = Some(requests),
                Happening::Sync => match sync() {
                    Ok(_) | Err(WatchError::Turned | WatchError::Events { .. } | WatchError::Counters(_)) => {}
                    Err(error) => prop_assert!(false, "{error}"),
                },
            }
        }
        {
            let mut model = node.0.lock().unwrap();
            (model.lag, model.lie, model.turn_after) = (0, false, None);
            for _ in 0..=confirmations {
                model.mine(&[]);
            }
        }
        // What a lie has left behind is found now at the latest, and healed by reading again.
        let progress = sync().or_else(|_| sync()).unwrap();
        let model = node.0.lock().unwrap();
        let deep = model.blocks.len() - confirmations as usize;
        let expected: Vec<String> = model.blocks[..deep].iter()
            .flat_map(|block| &block.events).map(|event| format!("{event:?}")).collect();
        prop_assert_eq!(story(&database), expected);
        prop_assert_eq!(progress.read.map(|block| block.number), Some(deep as u64 - 1));
    }
}

#[tokio::test]
async fn a_node_that_leaves_an_event_out_is_found_out() {
    let node = Node::default();
    {
        let mut model = node.0.lock().unwrap();
        model.limit = 100;
        model.mine(&[0, 0, 0]);
        model.lie = true;
    }
    let options = WatchOptions {
        confirmations: 0,
        ..WatchOptions::default()
    };
    let database = database();
    let watcher = Watcher::new(node.clone(), database.clone(), options).unwrap();
    let error = watcher.sync(&mut Story, |_| {}).await.unwrap_err();
    assert!(matches!(error, WatchError::Events { .. }), "{error}");
    assert!(!error.is_transient());
    assert_eq!(watcher.sync(&mut Story, |_| {}).await.unwrap().events, 3);
    assert_eq!(story(&database).len(), 3);

    // The last event of all: no other follows it, only the contract's counters tell.
    node.0.lock().unwrap().mine(&[0]);
    node.0.lock().unwrap().lie = true;
    let error = watcher.sync(&mut Story, |_| {}).await.unwrap_err();
    assert!(error.to_string().contains("left events out"), "{error}");
    assert!(matches!(error, WatchError::Counters(_)));
    assert_eq!(watcher.sync(&mut Story, |_| {}).await.unwrap().events, 4);
    assert_eq!(story(&database).len(), 4);
}

/// A chain's contract on anvil, and its watcher.
struct World {
    anvil: Anvil,
    provider: RootProvider<Ethereum>,
    client: L1Client,
    chain: Address,
    options: WatchOptions,
    database: Arc<Database>,
    queue: Queue,
}

impl World {
    async fn new(folder: &std::path::Path) -> Self {
        let anvil = Anvil::start(&AnvilOptions::default()).await.unwrap();
        let key = anvil.signers()[0].clone();
        let client = L1Client::new(anvil.url(), key, Deadlines::default()).unwrap();
        let options = DeployOptions::new(7, &Scalar::from(5));
        let deployment = Deployment::deploy(&client, options).await.unwrap();
        let database = Arc::new(Database::create(folder.join("watch.redb")).unwrap());
        Self {
            provider: RootProvider::new_http(anvil.url().parse().unwrap()),
            anvil,
            client,
            chain: deployment.chain,
            options: WatchOptions {
                confirmations: 0,
                range: 3,
                ..WatchOptions::default()
            },
            queue: Queue::new(database.clone()).unwrap(),
            database,
        }
    }

    async fn request_exit(&self, account: u64) {
        let call = RollupChain::requestExitCall {
            account: U256::from(account),
            token: U256::ZERO,
        };
        let input = Bytes::from(call.abi_encode());
        // Ten times the fee of a short queue: the rest comes back.
        let value = U256::from(2_000_000_000_000_000u64);
        self.client
            .pay(
                "an exit",
                Some(self.chain),
                value,
                input,
                GasLimit::Estimate,
            )
            .await
            .unwrap();
    }

    async fn rpc(&self, method: &'static str, params: serde_json::Value) {
        let request = self.provider.raw_request(method.into(), params);
        let _: serde_json::Value = request.await.unwrap();
    }

    async fn sync(&mut self) -> Progress {
        let source =
            NodeSource::new(self.anvil.url(), self.chain, Duration::from_secs(10)).unwrap();
        let watcher = Watcher::new(source, self.database.clone(), self.options).unwrap();
        watcher.sync(&mut self.queue, |_| {}).await.unwrap()
    }

    async fn queue_hash(&self, index: u64) -> B256 {
        let call = RollupChain::queueHashCall { index }.abi_encode();
        let answer = self
            .client
            .call("queueHash", self.chain, call.into())
            .await
            .unwrap();
        B256::from_slice(&answer)
    }

    fn accounts(&self) -> Vec<u64> {
        let entries = self.queue.entries(0, 100).unwrap();
        let account = |word: U256| (word.as_limbs()[0] >> 4) & ((1 << 24) - 1);
        entries.iter().map(|e| account(e.words[0])).collect()
    }
}

#[tokio::test]
async fn the_queue_follows_the_contract_through_reorganisations() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path()).await;
    for account in [1, 2, 3] {
        world.request_exit(account).await;
    }
    let progress = world.sync().await;
    assert_eq!(progress.events, 3);
    assert_eq!(progress.cursor.queue_hash, world.queue_hash(3).await);
    assert_eq!(world.accounts(), [1, 2, 3]);
    assert_eq!(world.sync().await.events, 0);

    // The last two leave the chain, another comes in.
    world.rpc("anvil_reorg", json!([2, []])).await;
    world.request_exit(9).await;
    let progress = world.sync().await;
    assert!(progress.rolled_back.is_some());
    assert_eq!(progress.cursor.queue_length, 2);
    assert_eq!(progress.cursor.queue_hash, world.queue_hash(2).await);
    // Three were handed out above: the node that took them must know.
    let error = world.queue.entries(0, 100).unwrap_err();
    assert_eq!(
        error,
        QueueError::Missing {
            length: 2,
            handed: 3
        }
    );
    world.request_exit(10).await;
    world.sync().await;
    let error = world.queue.entries(3, 100).unwrap_err();
    assert_eq!(error, QueueError::Exchanged { handed: 3 });

    // Another reader, who took nothing yet, starts at a depth and reads the same queue.
    let database = Arc::new(Database::create(folder.path().join("deep.redb")).unwrap());
    world.queue = Queue::new(database.clone()).unwrap();
    world.database = database;
    world.options.confirmations = 2;
    let progress = world.sync().await;
    assert_eq!(progress.cursor.queue_length, 1);
    assert_eq!(world.accounts(), [1]);
    world.rpc("anvil_reorg", json!([2, []])).await;
    assert_eq!(world.sync().await.rolled_back, None);
    world.request_exit(11).await;
    world.rpc("anvil_mine", json!([2])).await;
    let progress = world.sync().await;
    assert_eq!(world.accounts(), [1, 11]);
    assert_eq!(progress.cursor.queue_hash, world.queue_hash(2).await);
}

/// Ranges are limited and states are pruned, each client in its own words: the queue is read all the
/// same, and what was learned about ranges is not asked again.
#[tokio::test]
async fn the_queue_is_read_from_clients_that_limit_ranges_and_keep_no_states() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path()).await;
    for account in [1, 2, 3] {
        world.request_exit(account).await;
    }
    world.rpc("anvil_mine", json!([200])).await;
    let proxy = Proxy::start(world.anvil.url()).await;
    let limits = [
        Answer::Rpc(
            -32602,
            "query exceeds max results 20000, retry with the range 1-10",
        ),
        Answer::Rpc(-32602, "no"),
        Answer::Rpc(-31999, "words that nobody knows"),
        Answer::Http(413, "<html>too large</html>"),
        Answer::Http(400, ""),
        Answer::Limited(0),
    ];
    for limit in limits {
        let limited = matches!(limit, Answer::Limited(_));
        let name = format!("{limit:?}");
        proxy.set(Modes {
            logs: Some((10, limit)),
            answers: vec![(
                "eth_call",
                Answer::Rpc(-32000, "missing trie node 5c (path )"),
            )],
            ..Modes::default()
        });
        let database = database();
        let mut queue = Queue::new(database.clone()).unwrap();
        let source = NodeSource::new(proxy.url(), world.chain, Duration::from_secs(10)).unwrap();
        let options = WatchOptions {
            range: 2_000,
            ..world.options
        };
        let watcher = Watcher::new(source, database, options).unwrap();
        let mut progress = watcher.sync(&mut queue, |_| {}).await;
        let mut waits = 0;
        while let Err(error) = progress {
            // Whether the node wants smaller ranges or fewer requests cannot be told: both are done.
            let WatchError::Node(node) = &error else {
                panic!("{name}: {error}")
            };
            assert!(
                limited && node.meaning() == Some(Meaning::RateLimited),
                "{error}"
            );
            waits += 1;
            assert!(waits < 8, "{name}");
            progress = watcher.sync(&mut queue, |_| {}).await;
        }
        let progress = progress.unwrap();
        assert!(progress.unverified, "{name}");
        assert_eq!(progress.cursor.queue_length, 3, "{name}");
        let refused = proxy.count("eth_getLogs");
        world.rpc("anvil_mine", json!([7])).await;
        watcher.sync(&mut queue, |_| {}).await.unwrap();
        assert_eq!(proxy.count("eth_getLogs"), refused + 1, "{name}");
    }
    // A node that gives no answer at all is no node without states: nothing is taken for compared.
    proxy.answering("eth_call", Answer::Rpc(-31999, "words that nobody knows"));
    let database = database();
    let mut queue = Queue::new(database.clone()).unwrap();
    let source = NodeSource::new(proxy.url(), world.chain, Duration::from_secs(10)).unwrap();
    let watcher = Watcher::new(source, database, world.options).unwrap();
    let error = watcher.sync(&mut queue, |_| {}).await.unwrap_err();
    assert!(
        error.is_transient() && error.trouble().kind == "unknown",
        "{error}"
    );
}
