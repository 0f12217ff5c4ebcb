//! Two chains on one bridge, each with a node of its own: what is sent on one is taken on the other,
//! also when a node is killed in between, and a send that cannot go comes back.

use std::path::Path;

use alloy::primitives::{Address, U256, address};
use alloy::sol_types::SolCall;
use carillon_protocol::crypto::schnorr::SecretKey;
use carillon_protocol::ledger::State;
use carillon_runtime::keys;
use carillon_settlement::abi::SharedBridge;
use carillon_settlement::calls::key_proof;
use carillon_settlement::deploy::{DeployOptions, Deployment};
use carillon_settlement::{Anvil, AnvilOptions, Deadlines, GasLimit, L1Client};
use serde_json::{Value, json};

use crate::binary::{Node, SHAPE, chain_key, json_of, secret_file};

pub const IDS: [u64; 2] = [270, 271];
/// Somebody who has no account anywhere yet.
pub const BOB: Address = address!("00000000000000000000000000000000000b0b01");

/// Two chains of one deployment, and the folders of their nodes.
pub struct Chains {
    pub anvil: Anvil,
    folder: tempfile::TempDir,
    pub deployment: Deployment,
    pub contracts: [Address; 2],
    pub governor: L1Client,
}

impl Chains {
    pub async fn new() -> Self {
        let file = chain_key()["path"].as_str().unwrap();
        let key = keys::load(Path::new(file)).unwrap();
        let anvil = Anvil::start(&AnvilOptions::default()).await.unwrap();
        let signers = anvil.signers().to_vec();
        let governor =
            L1Client::new(anvil.url(), signers[0].clone(), Deadlines::default()).unwrap();
        let root = State::genesis(12).root();
        let options = |at: usize| DeployOptions {
            // Each node sends with a key of its own.
            operator: Some(signers[3 + at].address()),
            hand_over: false,
            ..DeployOptions::new(IDS[at], &root).verifier(1, key.vk.clone())
        };
        let deployment = Deployment::deploy(&governor, options(0)).await.unwrap();
        let second = deployment.add_chain(&governor, &options(1)).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        // The third pays for a gateway.
        for at in 0..3 {
            let key = folder.path().join(format!("operator{at}"));
            secret_file(&key, &hex::encode(signers[3 + at].to_bytes()));
        }
        let this = Self {
            contracts: [deployment.chain, second.chain],
            anvil,
            folder,
            deployment,
            governor,
        };
        for [chain, other] in [IDS, [IDS[1], IDS[0]]] {
            let open = SharedBridge::setLaneCall {
                chainId: chain,
                other,
                open: true,
            };
            this.bridge(&this.governor, U256::ZERO, &open).await;
        }
        this
    }

    pub async fn bridge(&self, client: &L1Client, value: U256, call: &impl SolCall) {
        let (to, input) = (self.deployment.bridge, call.abi_encode().into());
        client
            .pay(
                "a call of the bridge",
                Some(to),
                value,
                input,
                GasLimit::Estimate,
            )
            .await
            .unwrap();
    }

    pub async fn lane(&self, from: usize, to: usize) -> [u64; 2] {
        let call = SharedBridge::laneCall {
            from: IDS[from],
            to: IDS[to],
        };
        let answer = self
            .governor
            .call("lane", self.deployment.bridge, call.abi_encode().into());
        let lane = SharedBridge::laneCall::abi_decode_returns(&answer.await.unwrap()).unwrap();
        [lane.sent, lane.taken]
    }

    pub async fn escrow(&self, at: usize) -> U256 {
        let call = SharedBridge::escrowCall {
            chainId: IDS[at],
            token: U256::ZERO,
        };
        let answer = self
            .governor
            .call("escrow", self.deployment.bridge, call.abi_encode().into());
        SharedBridge::escrowCall::abi_decode_returns(&answer.await.unwrap()).unwrap()
    }

    pub fn path(&self, name: &str, at: usize) -> String {
        let path = self.folder.path().join(format!("{name}{at}"));
        path.display().to_string()
    }

    pub fn run(&self, at: usize) -> Vec<String> {
        let (id, chain) = (IDS[at].to_string(), self.contracts[at].to_string());
        let [key, data, archive] = ["operator", "data", "archive"].map(|name| self.path(name, at));
        let options = [
            &[
                "run",
                "--json",
                "--l1",
                self.anvil.url(),
                "--operator-key",
                &key,
            ][..],
            &["--chain-id", &id, "--chain", &chain, "--rpc", "127.0.0.1:0"],
            &[
                "--data-dir",
                &data,
                "--archive",
                &archive,
                "--engine",
                "cpu",
            ],
            &["--confirmations", "0", "--seal-after-ms", "300"],
            &["--l1-poll-ms", "300", "--base-fee", "0"],
            &SHAPE,
        ];
        options.concat().into_iter().map(str::to_owned).collect()
    }

    /// Alice's send of so much from the first chain, with the command; the answer when it is settled.
    pub fn send(&self, node: &Node, to: u64, recipient: Address, amount: u64) -> Value {
        let key = self.path("alice", 0);
        let (to, recipient, amount) = (to.to_string(), recipient.to_string(), amount.to_string());
        json_of(&[
            "send",
            "chain",
            "--json",
            "--url",
            node.url(),
            "--key",
            &key,
            "--from",
            "1",
            "--to-chain",
            &to,
            "--recipient",
            &recipient,
            "--amount",
            &amount,
            "--memo",
            "rent",
            "--fee",
            "0",
            "--wait-for",
            "final",
        ])
    }
}

pub fn has(amount: u64) -> impl Fn(&Value) -> bool {
    let amount = amount.to_string();
    move |answer| answer["balances"]["0"].as_str() == Some(&amount)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_on_one_chain_is_taken_on_the_other() {
    let chains = Chains::new().await;
    let alice = chains.anvil.signers()[1].clone();
    let secret = SecretKey::from_seed(&[1; 32]);
    secret_file(Path::new(&chains.path("alice", 0)), &hex::encode([1; 32]));
    let all = 100_000_000_000_000u64;
    let deposit = SharedBridge::depositCall {
        chainId: IDS[0],
        token: U256::ZERO,
        amount: U256::from(all),
        owner: alice.address(),
        keyProof: key_proof(secret.public()),
    };
    let client = chains.governor.with_signer(alice.clone());
    chains.bridge(&client, U256::from(all), &deposit).await;

    let first = Node::start(&chains.run(0));
    let second = Node::start(&chains.run(1));
    first
        .wait("carillon_getAccount", json!([1]), has(all))
        .await;

    // Bob needs no account: the take opens one, of the owner that Alice named.
    chains.send(&first, IDS[1], BOB, 1_000);
    let account = second
        .wait("carillon_getAccount", json!([1]), has(1_000))
        .await;
    assert_eq!(account["owner"].as_str().unwrap().parse(), Ok(BOB));
    assert_eq!(account["key"], Value::Null, "{account}");
    let settled = |chain: &Value| chain["batch"] == 1 && chain["reached"]["final"] == 1;
    second.wait("carillon_chain", json!([]), settled).await;
    assert_eq!(chains.lane(0, 1).await, [1, 1]);
    assert_eq!(chains.escrow(0).await, U256::from(all - 1_000));
    assert_eq!(chains.escrow(1).await, U256::from(1_000));
    // Whoever reads the operation sees who sent it, from where, and why.
    let batch = second.result("carillon_getBatch", json!([1])).await;
    let id = batch["operation_ids"][0].clone();
    let take = second.result("carillon_getOperation", json!([id])).await;
    let take = &take["operation"];
    assert_eq!(take["kind"], "take", "{batch} {take}");
    assert_eq!(
        take["sender"].as_str().unwrap().parse(),
        Ok(alice.address())
    );
    assert_eq!(
        (&take["chain"], &take["index"]),
        (&json!("270"), &json!("0"))
    );
    assert!(
        take["memo"].as_str().unwrap().starts_with("0x72656e7400"),
        "{take}"
    );

    // While the other node is down, more is sent: two batches' worth, so that one of them takes less than
    // was sent.
    drop(second);
    for amount in [2_000, 3_000, 4_000] {
        chains.send(&first, IDS[1], BOB, amount);
    }
    assert_eq!(chains.lane(0, 1).await, [4, 1]);
    let second = Node::start(&chains.run(1));
    second
        .wait("carillon_getAccount", json!([1]), has(10_000))
        .await;
    let all_final =
        |chain: &Value| chain["reached"]["final"] == chain["batch"] && chain["open"] == 0;
    second.wait("carillon_chain", json!([]), all_final).await;
    assert_eq!(chains.lane(0, 1).await, [4, 4]);
    let lanes = second.result("carillon_lanes", json!([])).await;
    assert_eq!(
        lanes,
        json!([{ "chain": "270", "taken": "4", "stuck": null }])
    );

    // No chain has the id: the send comes back in the queue, less its fee.
    chains.send(&first, 999, BOB, 5_000);
    let rest = all - 10_000;
    first
        .wait("carillon_getAccount", json!([1]), has(rest))
        .await;
    first.wait("carillon_chain", json!([]), all_final).await;
    assert_eq!(chains.escrow(0).await, U256::from(rest));
    assert_eq!(chains.escrow(1).await, U256::from(10_000));

    // Both states come back from Ethereum and the archives, and the second node goes on there.
    let state = second.result("carillon_getBatch", json!([])).await["new_root"].clone();
    drop(second);
    let (contract, archive) = (chains.contracts[1].to_string(), chains.path("archive", 1));
    let (data, out) = (chains.path("data", 1), chains.path("rebuilt", 1));
    let rebuilt = json_of(&[
        "resync",
        "--json",
        "--confirmations",
        "0",
        "--l1",
        chains.anvil.url(),
        "--chain",
        &contract,
        "--archive",
        &archive,
        "--out",
        &out,
    ]);
    assert_eq!(rebuilt["state_root"], state, "{rebuilt}");
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::rename(&out, &data).unwrap();
    let second = Node::start(&chains.run(1));
    let known = second.result("carillon_getOperation", json!([id])).await;
    assert_eq!(
        known["status"], "final",
        "the same id after a rebuild: {known}"
    );
    chains.send(&first, IDS[1], BOB, 6_000);
    second
        .wait("carillon_getAccount", json!([1]), has(16_000))
        .await;
    second.wait("carillon_chain", json!([]), all_final).await;
    assert_eq!(chains.lane(0, 1).await, [5, 5]);
}
