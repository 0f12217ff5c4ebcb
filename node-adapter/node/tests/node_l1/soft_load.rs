//! Many accounts send at a fixed rate, whether or not what they sent before has arrived: how long until the
//! other chain has taken it, and that nothing is lost or there twice when nodes are killed meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy::primitives::{Address, U256};
use alloy::signers::local::PrivateKeySigner;
use carillon_node::OperationJson;
use carillon_protocol::crypto::schnorr::SecretKey;
use carillon_protocol::{Domain, Kind, Operation, Party, owner_word};
use carillon_settlement::abi::SharedBridge;
use carillon_settlement::calls::key_proof;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::binary::{Node, answer, rpc};
use crate::soft::Soft;
use crate::two_chains::{BOB, IDS};

/// A batch that nobody proves here: large enough for what a transaction can settle.
const SHAPE: [&str; 6] = ["--slots", "128", "--cells", "256", "--records", "128"];
const EACH: u64 = 100_000_000_000_000;

/// How many send, at which rate in all, for how long.
struct Load {
    accounts: u64,
    rate: u64,
    seconds: u64,
}

/// What came of it, in milliseconds.
#[derive(Debug)]
struct Measured {
    messages: usize,
    p50: f64,
    p99: f64,
    worst: f64,
}

fn key(at: u64) -> SecretKey {
    let mut seed = [3; 32];
    seed[..8].copy_from_slice(&at.to_be_bytes());
    SecretKey::from_seed(&seed)
}

/// The owner's key on Ethereum: only an owner gives an account its key.
fn signer(at: u64) -> PrivateKeySigner {
    let mut seed = [5; 32];
    seed[..8].copy_from_slice(&at.to_be_bytes());
    PrivateKeySigner::from_bytes(&seed.into()).unwrap()
}

fn owner(at: u64) -> [u8; 20] {
    signer(at).address().into()
}

fn send(domain: Domain, account: u32, at: u64, nonce: u64, id: u64) -> Value {
    let mut memo = [0; 31];
    memo[..8].copy_from_slice(&id.to_be_bytes());
    let mut word = [0; 32];
    word[1..].copy_from_slice(&memo);
    let operation = Operation {
        words: [
            Party::new(BOB.into(), IDS[1]).to_word(),
            owner_word(&owner(at)),
            Option::from(blstrs::Scalar::from_bytes_be(&word)).unwrap(),
        ],
        ..Operation::new(Kind::Send, account, 0, 1, 0, nonce)
    };
    let signed = operation.sign(&key(at), domain, &owner(at)).unwrap();
    json!(OperationJson::Send {
        from: account,
        token: 0,
        amount: "1".into(),
        fee: "0".into(),
        nonce: nonce as u32,
        recipient: BOB.into(),
        chain: IDS[1].to_string(),
        leg: None,
        memo,
        owner: owner(at),
        signature: signed.signature,
    })
}

/// The two nodes, which can be killed and started again.
struct Pair {
    soft: Soft,
    api: String,
    nodes: Mutex<[Option<Node>; 2]>,
    urls: Mutex<[String; 2]>,
}

impl Pair {
    async fn new(accounts: u64) -> Arc<Self> {
        let soft = Soft::new().await;
        // A port that stays the same over restarts.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let api = free.local_addr().unwrap().to_string();
        drop(free);
        for at in 0..accounts {
            let deposit = SharedBridge::depositCall {
                chainId: IDS[0],
                token: U256::ZERO,
                amount: U256::from(EACH),
                owner: Address::from(owner(at)),
                keyProof: key_proof(key(at).public()),
            };
            let rich = json!([signer(at).address(), "0x56bc75e2d63100000"]);
            rpc(soft.chains.anvil.url(), "anvil_setBalance", rich).await;
            let client = soft.chains.governor.with_signer(signer(at));
            soft.chains
                .bridge(&client, U256::from(EACH), &deposit)
                .await;
        }
        let this = Self {
            soft,
            api,
            nodes: Mutex::default(),
            urls: Mutex::default(),
        };
        for at in [0, 1] {
            this.restart(at).await;
        }
        Arc::new(this)
    }

    /// Kills a node with SIGKILL, if it runs, and starts it again.
    async fn restart(&self, at: usize) {
        let mut nodes = self.nodes.lock().await;
        drop(nodes[at].take());
        let feed = format!("{}=http://{}", IDS[0], self.api);
        let more: [&str; 2] = match at {
            0 => ["--lane-api", &self.api],
            _ => ["--lane-feed", &feed],
        };
        let node = self.soft.start(at, false, &[&more[..], &SHAPE].concat());
        self.urls.lock().await[at] = node.url().to_owned();
        nodes[at] = Some(node);
    }

    async fn url(&self, at: usize) -> String {
        self.urls.lock().await[at].clone()
    }

    async fn ask(
        &self,
        client: &reqwest::Client,
        at: usize,
        method: &str,
        params: Value,
    ) -> Option<Value> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let url = self.url(at).await;
        let answer = client.post(url).json(&body).send().await.ok()?;
        answer.json().await.ok()
    }

    async fn taken(&self, client: &reqwest::Client) -> Option<u64> {
        let answer = self.ask(client, 1, "carillon_lanes", json!([])).await?;
        answer["result"][0]["taken"].as_str()?.parse().ok()
    }
}

/// Sends as the load says; `killed` says after which seconds which node is killed.
async fn run(load: Load, killed: &[(u64, usize)]) -> Measured {
    let pair = Pair::new(load.accounts).await;
    let client = reqwest::Client::builder()
        .pool_max_idle_per_host(256)
        .build()
        .unwrap();
    // Accounts in the order of their deposits; Alice has the first one.
    let last = load.accounts + 1;
    let until = Instant::now() + Duration::from_secs(60);
    while pair
        .ask(&client, 0, "carillon_getAccount", json!([last]))
        .await
        .is_none_or(|answer| answer["result"].is_null())
    {
        assert!(Instant::now() < until, "the deposits do not arrive");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let chain = answer(&pair.url(0).await, "carillon_chain", json!([])).await;
    let domain: Domain = chain["result"]["domain"].as_str().unwrap().parse().unwrap();
    let each = load.rate * load.seconds / load.accounts;
    let gap = Duration::from_secs(load.seconds).div_f64(each as f64);
    let mut made = Vec::new();
    for at in 0..load.accounts {
        let operations: Vec<Value> = (0..each)
            .map(|nonce| send(domain, at as u32 + 2, at, nonce, at * each + nonce))
            .collect();
        made.push(operations);
    }
    // A message before the clock starts: lanes of chains that work are there already.
    let first = pair.nodes.lock().await;
    pair.soft.send(first[0].as_ref().unwrap(), 1);
    drop(first);
    while pair.taken(&client).await != Some(1) {
        assert!(Instant::now() < until, "the first message does not arrive");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let begin = Instant::now() + Duration::from_secs(1);
    let mut senders = JoinSet::new();
    for (at, operations) in made.into_iter().enumerate() {
        let (pair, client) = (Arc::clone(&pair), client.clone());
        let offset = gap.mul_f64(at as f64 / load.accounts as f64);
        senders.spawn(async move {
            let mut sent = Vec::new();
            for (nonce, operation) in operations.into_iter().enumerate() {
                let due = begin + offset + gap * nonce as u32;
                tokio::time::sleep_until(due.into()).await;
                // A lost answer is no reason for doubt: the same operation again is "known", with its place.
                let sequence = loop {
                    let answer = pair
                        .ask(&client, 0, "carillon_sendOperation", json!([operation]))
                        .await;
                    let Some(answer) = answer else {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        continue;
                    };
                    let place = answer["result"]["sequence"].as_str();
                    match place.or(answer["error"]["data"]["sequence"].as_str()) {
                        Some(place) => break place.parse::<u64>().unwrap(),
                        None => {
                            assert_eq!(answer["error"]["data"]["code"], "busy", "{answer}");
                        }
                    }
                };
                sent.push((sequence, due));
            }
            sent
        });
    }
    // What the other chain has taken by when.
    let total = each * load.accounts + 1;
    let seen = {
        let (pair, client) = (Arc::clone(&pair), client.clone());
        tokio::spawn(async move {
            let mut seen: Vec<(Instant, u64)> = Vec::new();
            let patience = begin + Duration::from_secs(load.seconds * 3 + 120);
            loop {
                if let Some(taken) = pair.taken(&client).await {
                    assert!(taken <= total, "more than was sent: {taken}");
                    if seen.last().is_none_or(|(_, last)| *last < taken) {
                        seen.push((Instant::now(), taken));
                    }
                    if taken == total {
                        return seen;
                    }
                }
                assert!(
                    Instant::now() < patience,
                    "lost: {:?} of {total}",
                    seen.last()
                );
                tokio::time::sleep(Duration::from_millis(4)).await;
            }
        })
    };
    for (second, at) in killed {
        tokio::time::sleep_until((begin + Duration::from_secs(*second)).into()).await;
        pair.restart(*at).await;
    }
    let mut sent: Vec<(u64, Instant)> = senders.join_all().await.into_iter().flatten().collect();
    let seen = seen.await.unwrap();
    // Lanes have the order of the log.
    sent.sort_unstable();
    sent.dedup_by_key(|(sequence, _)| *sequence);
    assert_eq!(sent.len() as u64 + 1, total, "two messages with one place");
    let mut waits: Vec<f64> = (1u64..)
        .zip(&sent)
        .map(|(index, (_, due))| {
            let at = seen.partition_point(|(_, taken)| *taken <= index);
            seen[at].0.saturating_duration_since(*due).as_secs_f64() * 1e3
        })
        .collect();
    waits.sort_by(f64::total_cmp);
    // All of it is there, once.
    let account = answer(&pair.url(1).await, "carillon_getAccount", json!([1])).await;
    assert_eq!(
        account["result"]["balances"]["0"],
        total.to_string(),
        "{account}"
    );
    let at = |part: f64| waits[((waits.len() - 1) as f64 * part) as usize];
    Measured {
        messages: waits.len(),
        p50: at(0.5),
        p99: at(0.99),
        worst: at(1.0),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_of_the_load_is_taken_while_both_nodes_are_killed() {
    let load = Load {
        accounts: 8,
        rate: 40,
        seconds: 5,
    };
    let measured = run(load, &[(1, 0), (3, 1)]).await;
    assert_eq!(measured.messages, 200);
    assert!(measured.worst < 60_000.0, "{measured:?}");
    println!("measured, with two restarts: {measured:?}");
}

/// The acceptance: 1,000 messages a second for a minute, p50 below 100 ms, p99 below 1 s.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes more than a minute and the whole machine: make soak"]
async fn soak_a_thousand_messages_a_second() {
    let number = |name: &str, default: u64| {
        let given = std::env::var(name).ok().and_then(|text| text.parse().ok());
        given.unwrap_or(default)
    };
    let load = Load {
        accounts: 100,
        rate: number("CARILLON_LANE_RATE", 1_000),
        seconds: number("CARILLON_LANE_SECONDS", 60),
    };
    let expected = load.rate * load.seconds;
    let measured = run(load, &[]).await;
    println!("measured: {measured:?}");
    assert_eq!(measured.messages as u64, expected);
    assert!(
        measured.p50 < 100.0 && measured.p99 < 1_000.0,
        "{measured:?}"
    );
}
