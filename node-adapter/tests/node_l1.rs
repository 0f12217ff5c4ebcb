//! The node on Ethereum, end to end and with nothing simulated: contracts deployed by the command, a
//! deposit on L1, a transfer over JSON-RPC, proofs on the CPU, settlement with blobs through the L1
//! sender, a node killed and started again, and the state rebuilt from L1 and the archive.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use alloy::primitives::{Address, U256};
use alloy::sol_types::SolCall;
use carillon_node::crypto::schnorr::SecretKey;
use carillon_node::protocol::Operation;
use carillon_node::settlement::abi::SharedBridge;
use carillon_node::settlement::calls::key_proof;
use carillon_node::settlement::{
    Anvil, AnvilOptions, Deadlines, GasLimit, L1Client, progress, state_root,
};
use serde_json::{Value, json};

const CHAIN: u64 = 270;
const SHAPE: [&str; 6] = ["--slots", "4", "--cells", "3", "--records", "2"];

fn binary(arguments: &[&str]) -> Command {
    let scratch = |name| Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut command = Command::new(env!("CARGO_BIN_EXE_carillon-node"));
    command
        .args(arguments)
        .env("XDG_CONFIG_HOME", scratch("no-configuration"))
        .env("CARILLON_KEY_DIR", scratch("keys"))
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    for variable in ["CARILLON_ENGINE", "CARILLON_NODE_CONFIG", "CARILLON_L1"] {
        command.env_remove(variable);
    }
    command
}

fn json_of(arguments: &[&str]) -> Value {
    let output = binary(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}: {text}");
    serde_json::from_str(text.lines().last().unwrap_or(&text))
        .or_else(|_| serde_json::from_str(&text))
        .unwrap()
}

/// A node in a process of its own, killed when dropped.
struct Node {
    child: Child,
    rpc: String,
}

impl Node {
    fn start(arguments: &[&str]) -> Self {
        let mut child = binary(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().expect("the node ended").unwrap();
        let first: Value = serde_json::from_str(&first).unwrap();
        assert_eq!(first["event"], "serving", "{first}");
        // Keep reading, so that the node never waits for us.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self {
            child,
            rpc: first["rpc"].as_str().unwrap().to_owned(),
        }
    }

    async fn ask(&self, method: &str, params: Value) -> Value {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer = reqwest::Client::new().post(&self.rpc).json(&body).send();
        let answer: Value = answer.await.unwrap().json().await.unwrap();
        answer["result"].clone()
    }

    /// Asks until `done` is content.
    async fn wait(&self, method: &str, params: Value, done: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        loop {
            let answer = self.ask(method, params.clone()).await;
            if done(&answer) {
                return answer;
            }
            assert!(
                started.elapsed() < Duration::from_secs(120),
                "{method}: {answer}"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_deposit_to_a_state_rebuilt_from_ethereum() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let anvil = Anvil::start(&AnvilOptions::default()).await.unwrap();
    let signers = anvil.signers();
    std::fs::write(path("key"), hex::encode(signers[0].to_bytes())).unwrap();

    let key_file = path("key");
    let ids = [
        "--l1",
        anvil.url(),
        "--operator-key",
        &key_file,
        "--chain-id",
        "270",
        "--json",
    ];
    let deployed = json_of(&[&["deploy"], &ids[..], &SHAPE[..]].concat());
    assert_eq!(deployed["schema"], "carillon.deploy/1");
    let address = |name: &str| deployed[name].as_str().unwrap().parse::<Address>().unwrap();
    let (bridge, chain) = (address("bridge"), address("chain"));

    let client = L1Client::new(anvil.url(), signers[0].clone(), Deadlines::default()).unwrap();
    let users = [1u8, 2].map(|n| (signers[n as usize].clone(), SecretKey::from_seed(&[n; 32])));
    for (signer, key) in &users {
        let amount = U256::from(1_000_000);
        let call = SharedBridge::depositCall {
            chainId: CHAIN,
            token: U256::ZERO,
            amount,
            owner: signer.address(),
            keyProof: key_proof(key.public()),
        };
        let user = client.with_signer(signer.clone());
        let input = call.abi_encode().into();
        user.pay("deposit", Some(bridge), amount, input, GasLimit::Estimate)
            .await
            .unwrap();
    }

    let (data, contract) = (path("data"), chain.to_string());
    let more = [
        "--chain",
        &contract,
        "--rpc",
        "127.0.0.1:0",
        "--data-dir",
        &data,
        "--engine",
        "cpu",
        "--confirmations",
        "0",
        "--seal-after-ms",
        "300",
    ];
    let arguments = [&["run"], &ids[..], &SHAPE[..], &more[..]].concat();
    let node = Node::start(&arguments);
    let funded = |answer: &Value| answer["balances"]["0"] == "1000000";
    let second = node.wait("carillon_getAccount", json!([2]), funded).await;
    assert_eq!(
        second["owner"]
            .as_str()
            .unwrap()
            .parse::<Address>()
            .unwrap(),
        users[1].0.address()
    );

    let owner = users[0].0.address().into();
    let order = Operation::transfer(1, 2, 0, 2_500, 7, 0)
        .sign(&users[0].1, CHAIN, &owner)
        .unwrap();
    let signature = format!("0x{}", hex::encode(order.signature));
    let receipt = node
        .ask(
            "carillon_sendOperation",
            json!([{
                "kind": "transfer", "from": 1, "to": 2, "token": 0, "amount": "2500", "fee": "7",
                "nonce": 0, "signature": signature,
            }]),
        )
        .await;
    let id = receipt["id"].clone();
    assert!(id.is_string(), "{receipt}");
    assert_eq!(receipt["finality"], "soft");

    // Killed at whatever point the batches are; the next life finishes them.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    drop(node);
    let node = Node::start(&arguments);
    let settled = |answer: &Value| answer["status"] == "final";
    let operation = node
        .wait("carillon_getOperation", json!([id]), settled)
        .await;
    let batches = operation["batch"].as_str().map_or_else(
        || operation["batch"].as_u64().unwrap(),
        |text| text.parse().unwrap(),
    );
    let account = node.ask("carillon_getAccount", json!([2])).await;
    assert_eq!(account["balances"]["0"], "1002500");

    // Each batch is on L1 once, with the node's root.
    let on_chain = progress(&client, chain).await.unwrap();
    assert_eq!((on_chain.executed, on_chain.queueExecuted), (batches, 2));
    let root = format!("{:#066x}", state_root(&client, chain).await.unwrap());
    let batch = node.ask("carillon_getBatch", json!([])).await;
    assert_eq!(batch["new_root"], root, "{batch}");
    drop(node);

    // Without the node's folder, from Ethereum and the archive alone.
    let archive = folder
        .path()
        .join("data")
        .join("archive")
        .display()
        .to_string();
    let rebuilt = json_of(&[
        "resync",
        "--l1",
        anvil.url(),
        "--chain",
        &contract,
        "--archive",
        &archive,
        "--confirmations",
        "0",
        "--json",
    ]);
    assert_eq!(rebuilt["state_root"], root, "{rebuilt}");
}
