//! What is sent is taken before it is settled: on the word of the chain that sent it, within limits, and
//! taken back if the chain does not stand to it.

use std::path::Path;
use std::time::{Duration, Instant};

use alloy::primitives::U256;
use carillon_protocol::crypto::schnorr::SecretKey;
use carillon_settlement::abi::SharedBridge;
use carillon_settlement::calls::key_proof;
use serde_json::{Value, json};

use crate::binary::{Node, SHAPE, ended, json_of, secret_file};
use crate::two_chains::{BOB, Chains, IDS, has};

/// What Alice has at the beginning.
const ALL: u64 = 100_000_000_000_000;

/// Both chains, with Alice's deposit on the first; their keys are registered.
pub struct Soft {
    pub chains: Chains,
}

impl Soft {
    pub async fn new() -> Self {
        let chains = Chains::new().await;
        let alice = chains.anvil.signers()[1].clone();
        let secret = SecretKey::from_seed(&[1; 32]);
        secret_file(Path::new(&chains.path("alice", 0)), &hex::encode([1; 32]));
        let deposit = SharedBridge::depositCall {
            chainId: IDS[0],
            token: U256::ZERO,
            amount: U256::from(ALL),
            owner: alice.address(),
            keyProof: key_proof(secret.public()),
        };
        let client = chains.governor.with_signer(alice);
        chains.bridge(&client, U256::from(ALL), &deposit).await;
        let this = Self { chains };
        for at in 0..2 {
            std::fs::create_dir_all(this.chains.path("data", at)).unwrap();
            let said = this.register(at);
            assert!(said["transaction"].is_string(), "{said}");
        }
        this
    }

    pub fn register(&self, at: usize) -> Value {
        let contract = self.chains.contracts[at].to_string();
        let [key, data] = ["operator", "data"].map(|name| self.chains.path(name, at));
        json_of(
            &[
                &[
                    "keys",
                    "register",
                    "--json",
                    "--l1",
                    self.chains.anvil.url(),
                ][..],
                &[
                    "--chain",
                    &contract,
                    "--operator-key",
                    &key,
                    "--data-dir",
                    &data,
                ],
            ]
            .concat(),
        )
    }

    /// A node with more options; without `proves` nothing of it settles.
    pub fn start(&self, at: usize, proves: bool, more: &[&str]) -> Node {
        let mut run = self.chains.run(at);
        if !proves {
            let engine = run.iter().position(|word| word == "--engine").unwrap();
            run.drain(engine..engine + 2);
        }
        if more.contains(&"--slots") {
            // The shape stands last.
            run.truncate(run.len() - SHAPE.len());
        }
        run.extend(more.iter().map(|word| (*word).to_owned()));
        Node::start(&run)
    }

    /// The first chain's node, which tells what it sends, and the second one's, which believes it.
    pub fn pair(&self, proves: [bool; 2], more: &[&str]) -> [Node; 2] {
        let first = self.start(0, proves[0], &["--lane-api", "127.0.0.1:0"]);
        let feed = format!("{}={}", IDS[0], first.lanes());
        let options = [&["--lane-feed", &feed][..], more].concat();
        let second = self.start(1, proves[1], &options);
        [first, second]
    }

    /// Alice's send from the first chain, not waited for.
    pub fn send(&self, node: &Node, amount: u64) -> Value {
        let key = self.chains.path("alice", 0);
        let (to, recipient, amount) = (IDS[1].to_string(), BOB.to_string(), amount.to_string());
        json_of(
            &[
                &[
                    "send",
                    "chain",
                    "--json",
                    "--url",
                    node.url(),
                    "--key",
                    &key,
                ][..],
                &["--from", "1", "--to-chain", &to, "--recipient", &recipient],
                &["--amount", &amount, "--fee", "0"],
            ]
            .concat(),
        )
    }
}

fn all_final(chain: &Value) -> bool {
    chain["reached"]["final"] == chain["batch"] && chain["open"] == 0 && chain["batch"] != 0
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_is_taken_at_once_and_settles_in_order() {
    let soft = Soft::new().await;
    // Nothing of the first chain is proved at first.
    let [first, second] = soft.pair([false, true], &[]);
    first
        .wait("carillon_getAccount", json!([1]), has(ALL))
        .await;
    let started = Instant::now();
    soft.send(&first, 1_000);
    second
        .wait("carillon_getAccount", json!([1]), has(1_000))
        .await;
    println!(
        "taken after {:?}, the command that sends included",
        started.elapsed()
    );
    assert_eq!(soft.chains.lane(0, 1).await, [0, 0], "nothing is settled");

    // What it is worth is said.
    let lanes = second.result("carillon_lanes", json!([])).await;
    assert_eq!(lanes[0]["unsettled"]["count"], "1", "{lanes}");
    assert_eq!(lanes[0]["feed"]["waits_for"], Value::Null, "{lanes}");
    let proved = |chain: &Value| chain["reached"]["proved"] == 1;
    let chain = second.wait("carillon_chain", json!([]), proved).await;
    let waits = chain["waits_for"].to_string();
    assert!(
        waits.contains("chain 270 has not settled entries 0 to 0"),
        "{waits}"
    );
    let batch = second.result("carillon_getBatch", json!([1])).await;
    let id = batch["operation_ids"][0].clone();
    let take = second.result("carillon_getOperation", json!([id])).await;
    assert_eq!(take["status"], "conditional", "{take}");
    assert_eq!(
        take["conditional"],
        json!([{ "chain": "270", "count": "1" }])
    );
    // It is not settled before the first chain, however often the node looks.
    let take = second
        .result("carillon_awaitOperation", json!([id, 3]))
        .await;
    assert_eq!(take["status"], "conditional", "{take}");
    let chain = second.result("carillon_chain", json!([])).await;
    assert_eq!(chain["reached"]["settled"], 0, "{chain}");

    // Both are killed; what was taken is there once.
    drop((first, second));
    let [first, second] = soft.pair([true, true], &[]);
    let account = second.result("carillon_getAccount", json!([1])).await;
    assert!(has(1_000)(&account), "{account}");
    soft.send(&first, 2_000);
    second
        .wait("carillon_getAccount", json!([1]), has(3_000))
        .await;
    first.wait("carillon_chain", json!([]), all_final).await;
    second.wait("carillon_chain", json!([]), all_final).await;
    assert_eq!(soft.chains.lane(0, 1).await, [2, 2]);
    let take = second
        .result("carillon_awaitOperation", json!([id, 1]))
        .await;
    assert_eq!(
        (&take["status"], &take["conditional"]),
        (&json!("final"), &Value::Null)
    );
    let lanes = second.result("carillon_lanes", json!([])).await;
    assert_eq!(lanes[0]["unsettled"], Value::Null, "{lanes}");
    let account = second.result("carillon_getAccount", json!([1])).await;
    assert!(has(3_000)(&account), "nothing twice: {account}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_settled_in_time_is_taken_back_and_comes_from_ethereum_later() {
    let soft = Soft::new().await;
    let [first, second] = soft.pair([false, true], &["--lane-feed-age", "6"]);
    first
        .wait("carillon_getAccount", json!([1]), has(ALL))
        .await;
    soft.send(&first, 1_000);
    second
        .wait("carillon_getAccount", json!([1]), has(1_000))
        .await;
    let ids = second
        .wait("carillon_getBatch", json!([1]), |batch| {
            batch["number"] == 1
        })
        .await;
    let id = ids["operation_ids"][0].clone();
    // The first chain does not settle: what was taken goes, with its batch.
    let revoked = |operation: &Value| operation["status"] == "revoked";
    let gone = second
        .wait("carillon_getOperation", json!([id]), revoked)
        .await;
    assert!(gone["taken_back"]["signature"].is_string(), "{gone}");
    second
        .wait("carillon_chain", json!([]), |chain| chain["batch"] == 0)
        .await;
    let account = second.ask("carillon_getAccount", json!([1])).await;
    assert_eq!(account["error"]["code"], -32005, "{account}");
    // It is not taken again on the same word.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let lanes = second.result("carillon_lanes", json!([])).await;
    assert_eq!(lanes[0]["taken"], "0", "{lanes}");
    assert!(
        lanes[0]["feed"]["waits_for"]
            .to_string()
            .contains("revoked before"),
        "{lanes}"
    );
    // Also after a restart of either; then it comes from Ethereum.
    drop((first, second));
    let [first, second] = soft.pair([true, true], &["--lane-feed-age", "6"]);
    second
        .wait("carillon_getAccount", json!([1]), has(1_000))
        .await;
    first.wait("carillon_chain", json!([]), all_final).await;
    second.wait("carillon_chain", json!([]), all_final).await;
    assert_eq!(soft.chains.lane(0, 1).await, [1, 1]);
    let take = second.result("carillon_getOperation", json!([id])).await;
    assert_eq!(take["status"], "final", "{take}");
    // What follows is believed again.
    soft.send(&first, 5_000);
    second
        .wait("carillon_getAccount", json!([1]), has(6_000))
        .await;
    second.wait("carillon_chain", json!([]), all_final).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_hold_for_a_chain_whoever_sends_and_a_replaced_key_says_nothing() {
    let soft = Soft::new().await;
    // 3 units of 1,000 wei.
    let limits = ["--lane-feed-most", "3", "--lane-feed-unit", "1000"];
    let [first, second] = soft.pair([false, false], &limits);
    first
        .wait("carillon_getAccount", json!([1]), has(ALL))
        .await;
    for _ in 0..4 {
        soft.send(&first, 1_000);
    }
    second
        .wait("carillon_getAccount", json!([1]), has(3_000))
        .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let lanes = second.result("carillon_lanes", json!([])).await;
    assert_eq!(lanes[0]["taken"], "3", "{lanes}");
    let waits = lanes[0]["feed"]["waits_for"].to_string();
    assert!(waits.contains("3000 wei of chain 270"), "{waits}");
    let status = ended(&["status", "--url", second.url()]).1;
    assert!(
        status.to_string().contains("is not believed now"),
        "{status}"
    );

    // Another key on Ethereum: the node that signs with the old one is refused, by itself and by others.
    drop(second);
    std::fs::rename(
        soft.chains.path("data", 0) + "/sequencer.key",
        soft.chains.path("old", 0),
    )
    .unwrap();
    soft.register(0);
    let feed = format!("{}={}", IDS[0], first.lanes());
    let second = soft.start(1, false, &["--lane-feed", &feed]);
    let refused = |lanes: &Value| {
        lanes[0]["feed"]["waits_for"]
            .to_string()
            .contains("not signed by the key")
    };
    let lanes = second.wait("carillon_lanes", json!([]), refused).await;
    assert_eq!(lanes[0]["taken"], "3", "{lanes}");
    drop(first);
    let old = soft.chains.path("old", 0);
    let run = [
        &soft.chains.run(0)[..],
        &["--sequencer-key", &old, "--lane-api", "127.0.0.1:0"].map(str::to_owned),
    ]
    .concat();
    let (code, said) = ended(&run);
    assert_eq!(code, Some(12), "{said}");
    assert!(
        said.to_string().contains("the key that signs receipts"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_heads_of_one_place_are_evidence() {
    let soft = Soft::new().await;
    let first = soft.start(0, false, &["--lane-api", "127.0.0.1:0"]);
    first
        .wait("carillon_getAccount", json!([1]), has(ALL))
        .await;
    let chain = first.result("carillon_chain", json!([])).await;
    let key = chain["sequencer"].as_str().unwrap().to_owned();
    soft.send(&first, 1_000);
    let url = format!("{}/gateway/v1/lanes/{}/{}", first.lanes(), IDS[0], IDS[1]);
    let head = loop {
        let page: Value = reqwest::get(&url).await.unwrap().json().await.unwrap();
        if page["head"].is_object() {
            break page["head"].clone();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    // The same key with a forgetful node behind it: the log is another one, the lane's first entry, too.
    let seed = std::fs::read_to_string(soft.chains.path("data", 0) + "/sequencer.key").unwrap();
    let mut bytes = [0; 32];
    hex::decode_to_slice(seed.trim(), &mut bytes).unwrap();
    let domain = head["domain"].as_str().unwrap().parse().unwrap();
    let other = carillon_lane_feed::Head::sign(
        &SecretKey::from_seed(&bytes),
        domain,
        IDS[1],
        0,
        1,
        [7; 32].into(),
    );
    let [one, two] = ["one", "two"].map(|name| soft.chains.path(name, 0));
    std::fs::write(&one, head.to_string()).unwrap();
    std::fs::write(&two, serde_json::to_string(&other).unwrap()).unwrap();
    let verify = |first: &str, second: &str, key: &str| {
        ended(&[
            "evidence",
            "verify",
            "--first",
            first,
            "--second",
            second,
            "--public-key",
            key,
        ])
    };
    let (code, said) = verify(&one, &two, &key);
    assert_eq!((code, &said["evidence"]), (Some(0), &json!(true)), "{said}");
    assert_eq!(verify(&one, &one, &key).0, Some(5));
    let stranger = format!(
        "0x{}",
        hex::encode(SecretKey::from_seed(&[9; 32]).public().to_bytes())
    );
    assert_eq!(verify(&one, &two, &stranger).0, Some(5));
    assert_eq!(
        verify(&one, &soft.chains.path("nothing", 0), &key).0,
        Some(4)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_that_comes_back_on_ethereum_is_taken_back_by_who_took_it() {
    let soft = Soft::new().await;
    let [first, second] = soft.pair([false, true], &[]);
    first
        .wait("carillon_getAccount", json!([1]), has(ALL))
        .await;
    soft.send(&first, 1_000);
    second
        .wait("carillon_getAccount", json!([1]), has(1_000))
        .await;
    let batch = second
        .wait("carillon_getBatch", json!([1]), |batch| {
            batch["number"] == 1
        })
        .await;
    let id = batch["operation_ids"][0].clone();
    // The lane is closed before the first chain settles: what was promised cannot go.
    let lane = |open| SharedBridge::setLaneCall {
        chainId: IDS[1],
        other: IDS[0],
        open,
    };
    let governor = &soft.chains.governor;
    soft.chains.bridge(governor, U256::ZERO, &lane(false)).await;
    drop((first, second));
    let [first, second] = soft.pair([true, true], &[]);
    let revoked = |operation: &Value| operation["status"] == "revoked";
    second
        .wait("carillon_getOperation", json!([id]), revoked)
        .await;
    first
        .wait("carillon_getAccount", json!([1]), has(ALL))
        .await;
    assert_eq!(soft.chains.lane(0, 1).await, [0, 0]);
    // In the next epoch the place belongs to another send, which is taken once, from Ethereum.
    soft.chains.bridge(governor, U256::ZERO, &lane(true)).await;
    soft.send(&first, 2_000);
    second
        .wait("carillon_getAccount", json!([1]), has(2_000))
        .await;
    first.wait("carillon_chain", json!([]), all_final).await;
    second.wait("carillon_chain", json!([]), all_final).await;
    assert_eq!(soft.chains.lane(0, 1).await, [1, 1]);
    let account = second.result("carillon_getAccount", json!([1])).await;
    assert!(has(2_000)(&account), "{account}");
    let url = format!("{}/gateway/v1/lanes/{}/{}", first.lanes(), IDS[0], IDS[1]);
    let page: Value = reqwest::get(&url).await.unwrap().json().await.unwrap();
    assert_eq!(page["revocations"][0]["from"], "0", "{page}");
}
