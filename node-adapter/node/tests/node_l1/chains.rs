//! `carillon-node chain`: further chains under a hub, each from one file and one command, by a governor
//! that is a key and by one that is the timelock; lanes between them; a node on one; its retirement.

use std::path::Path;

use alloy::primitives::{Address, U256, keccak256};
use alloy::sol_types::SolCall;
use carillon_protocol::crypto::schnorr::SecretKey;
use carillon_protocol::ledger::State;
use carillon_runtime::keys;
use carillon_settlement::abi::SharedBridge;
use carillon_settlement::calls::key_proof;
use carillon_settlement::deploy::{DeployOptions, Deployment};
use carillon_settlement::{Anvil, AnvilOptions, Deadlines, GasLimit, L1Client};
use serde_json::{Value, json};

use crate::binary::{Node, SHAPE, chain_key, ended, json_of, rpc, secret_file};

const SHAPES: &str = "[[shapes]]\nnumber = 1\nslots = 4\ncells = 3\nrecords = 2\n";

/// A hub on anvil, with commands of whoever has the key `key`.
struct Hub {
    anvil: Anvil,
    folder: tempfile::TempDir,
    /// A chain that stands already.
    chain: Address,
}

impl Hub {
    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn words(&self, key: Option<&str>, command: &str) -> Vec<String> {
        let chain = self.chain.to_string();
        let mut words: Vec<String> = ["chain", "--json"].map(str::to_owned).to_vec();
        words.splice(1..1, command.split_whitespace().map(str::to_owned));
        let more = ["--l1", self.anvil.url(), "--chain", &chain];
        words.extend(more.map(str::to_owned));
        if let Some(key) = key {
            words.extend(["--l1-key".to_owned(), self.path(key)]);
        }
        words
    }

    fn read(&self, command: &str) -> Value {
        json_of(&self.words(None, command))
    }

    fn done(&self, command: &str) -> Value {
        json_of(&self.words(Some("key"), command))
    }

    fn refused(&self, key: &str, command: &str, reason: &str) {
        let (code, error) = ended(&self.words(Some(key), command));
        assert_eq!(code, Some(4), "{command}: {error}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(reason), "{reason}: {message}");
    }

    /// `chain create` of a file with this text.
    fn create(&self, name: &str, text: &str, more: &str) -> String {
        let file = self.path(&format!("{name}.toml"));
        std::fs::write(&file, text).unwrap();
        let journal = self.path(&format!("{name}.jsonl"));
        format!("create --file {file} --journal {journal} {more}")
    }

    async fn sent(&self, from: Address) -> u64 {
        let answer = rpc(
            self.anvil.url(),
            "eth_getTransactionCount",
            json!([from, "pending"]),
        );
        let count: U256 = answer.await.as_str().unwrap().parse().unwrap();
        count.to()
    }

    /// What a contract answers a call without arguments, in hex.
    async fn word(&self, of: Address, call: &str) -> String {
        let data = format!("0x{}", hex::encode(&keccak256(call)[..4]));
        let call = json!([{ "to": of, "data": data }, "latest"]);
        let answer = rpc(self.anvil.url(), "eth_call", call).await;
        answer.as_str().unwrap().trim_start_matches("0x").to_owned()
    }

    async fn warp(&self, seconds: u64) {
        rpc(self.anvil.url(), "evm_increaseTime", json!([seconds])).await;
        rpc(self.anvil.url(), "evm_mine", json!([])).await;
    }
}

fn lane(lanes: &Value, from: u64, to: u64) -> &Value {
    let all = lanes["lanes"].as_array().unwrap();
    let found = all
        .iter()
        .find(|lane| lane["from"] == from && lane["to"] == to);
    found.unwrap_or_else(|| panic!("{from} to {to}: {lanes}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn chains_are_put_up_joined_run_and_retired() {
    let file = chain_key()["path"].as_str().unwrap();
    let key = keys::load(Path::new(file)).unwrap();
    let anvil = Anvil::start(&AnvilOptions::default()).await.unwrap();
    let signers = anvil.signers().to_vec();
    let governor = signers[0].address();
    let client = L1Client::new(anvil.url(), signers[0].clone(), Deadlines::default()).unwrap();
    let root = State::genesis(12).root();
    let options = DeployOptions {
        hand_over: false,
        ..DeployOptions::new(270, &root).verifier(1, key.vk.clone())
    };
    let deployment = Deployment::deploy(&client, options).await.unwrap();
    let hub = Hub {
        chain: deployment.chain,
        folder: tempfile::tempdir().unwrap(),
        anvil,
    };
    for (name, signer) in [("key", 0), ("other", 5)] {
        let key = hex::encode(signers[signer].to_bytes());
        secret_file(Path::new(&hub.path(name)), &key);
    }
    secret_file(Path::new(&hub.path("poor")), &"11".repeat(32));

    // Nothing of this sends anything, or begins a journal.
    let before = hub.sent(governor).await;
    let with = |head: &str, tail: &str| {
        let mut text = format!("id = 271\ndata_mode = \"validium\"\n{head}{SHAPES}{tail}");
        if head.starts_with("id") {
            text = format!("data_mode = \"rollup\"\n{head}{SHAPES}{tail}");
        }
        text
    };
    let stranger = format!("verifier = \"{}\"\n", deployment.hub);
    for (signer, text, reason) in [
        ("key", with("id = 0\n", ""), "id is 0"),
        (
            "key",
            with("id = 270\n", ""),
            "the hub has chain 270 already",
        ),
        ("key", with("id = 31337\n", ""), "the id of Ethereum"),
        ("key", with("blobs = 1\n", ""), "a validium with 1 blobs"),
        (
            "key",
            with("lanes = [999]\n", ""),
            "the hub has no chain 999",
        ),
        ("key", with("lanes = [271]\n", ""), "always open"),
        ("key", with("lanes = [270, 270]\n", ""), "named twice"),
        (
            "key",
            with("", "[delays]\nqueue = 60\nmax_pause = 31\n"),
            "more than half",
        ),
        (
            "key",
            with("", &stranger),
            "is not that of this version's Groth16Verifier",
        ),
        ("poor", with("", ""), "only that key"),
        ("other", with("", ""), "only that key"),
    ] {
        hub.refused(signer, &hub.create("bad", &text, ""), reason);
    }
    rpc(
        hub.anvil.url(),
        "anvil_setBalance",
        json!([governor, "0x1"]),
    )
    .await;
    hub.refused("key", &hub.create("bad", &with("", ""), ""), "pay it more");
    let rich = json!([governor, "0x3635c9adc5dea00000"]);
    rpc(hub.anvil.url(), "anvil_setBalance", rich).await;
    let dry = hub.done(&hub.create("bad", &with("", ""), "--dry-run"));
    assert_eq!(dry["sent"], false, "{dry}");
    assert_eq!(hub.sent(governor).await, before);
    assert!(!Path::new(&hub.path("bad.jsonl")).exists());

    // A verifier is shared by its code and by the key that it keeps, not by what it says of itself.
    assert_eq!(dry["verifiers_reused"].as_array().unwrap().len(), 1);
    let verifier = deployment.verifiers[0].1;
    let (code, store) = (
        rpc(hub.anvil.url(), "eth_getCode", json!([verifier, "latest"])).await,
        hub.word(verifier, "keyStore()").await,
    );
    let code = code.as_str().unwrap();
    let hash = hub.word(verifier, "keyHash()").await;
    let elsewhere = Address::repeat_byte(0x77);
    for (part, reason) in [
        (&store[24..], "keeps another key"),
        (hash.as_str(), "is of another key"),
    ] {
        assert!(code.contains(part));
        let forged = code.replace(part, &"ab".repeat(part.len() / 2));
        let set = json!([elsewhere, forged]);
        rpc(hub.anvil.url(), "anvil_setCode", set).await;
        let named = format!("verifier = \"{elsewhere}\"\n");
        hub.refused("key", &hub.create("bad", &with("", &named), ""), reason);
        rpc(hub.anvil.url(), "anvil_setCode", json!([verifier, forged])).await;
        let alone = hub.done(&hub.create("bad", &with("", ""), "--dry-run"));
        assert_eq!(alone["verifiers_reused"], json!([]), "{alone}");
    }
    rpc(hub.anvil.url(), "anvil_setCode", json!([verifier, code])).await;
    assert_eq!(hub.sent(governor).await, before);

    // A validium and a rollup, which share the verifier of their key.
    let second = hub.create("271", &with("lanes = [270]\n", ""), "");
    let made = hub.done(&second);
    assert_eq!(made["data_mode"], "validium", "{made}");
    assert_eq!(made["verifiers"][0]["reused"], true, "{made}");
    let shared = deployment.verifiers[0].1.to_string().to_lowercase();
    let found = made["verifiers"][0]["verifier"].as_str().unwrap();
    assert_eq!(found.to_lowercase(), shared);
    assert_eq!(made["governance"]["state"], "done");
    let sent = hub.sent(governor).await;
    let again = hub.done(&second);
    assert_eq!(again["chain"], made["chain"]);
    assert_eq!(hub.sent(governor).await, sent, "{again}");
    let other = with("lanes = [270]\n", "[delays]\nqueue = 60\n");
    hub.refused("key", &hub.create("271", &other, ""), "other options");
    let third = with("id = 272\nlanes = [270, 271]\n", "");
    hub.done(&hub.create("272", &third, ""));

    let listed = hub.read("list");
    let chains = listed["chains"].as_array().unwrap();
    let modes: Vec<_> = chains
        .iter()
        .map(|chain| {
            (
                chain["chain_id"].as_u64().unwrap(),
                chain["data_mode"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(modes, [(270, "rollup"), (271, "validium"), (272, "rollup")]);
    assert!(
        chains
            .iter()
            .all(|chain| chain["state"] == "running" && chain["open_lanes"] == 0)
    );

    // Lanes have two sides; each is its chain's governor's.
    hub.refused(
        "other",
        "lane open --from 270 --to 271",
        "only the governor",
    );
    hub.refused("key", "lane open --from 270 --to 270", "always open");
    hub.refused("key", "lane open --from 270 --to 9", "no chain 9");
    hub.refused(
        "key",
        "lane open --from 270 --to 271 --propose",
        "no timelock",
    );
    let opened = hub.done("lane open --from 270 --to 271");
    assert_eq!(opened["changed"], true, "{opened}");
    for (from, to) in [(270, 271), (271, 270)] {
        assert_eq!(lane(&opened, from, to)["open"], true, "{opened}");
    }
    let again = hub.done("lane open --from 270 --to 271");
    assert_eq!(again["changed"], false, "{again}");
    let lanes = hub.read("lanes");
    assert_eq!(lane(&lanes, 272, 271)["from_open"], true);
    assert_eq!(lane(&lanes, 272, 271)["to_open"], false);
    assert!(hub.read("lanes 270")["lanes"].as_array().unwrap().len() == 4);
    let closed = hub.done("lane close --from 270 --to 271");
    assert_eq!(lane(&closed, 271, 270)["open"], false, "{closed}");
    let (code, error) = ended(&hub.words(None, "show 9"));
    assert_eq!(code, Some(4), "{error}");

    // A node runs on the new chain, by what the command printed.
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (contract, data) = (text(&made["chain"]), hub.path("data"));
    let (key, archive, block) = (
        hub.path("key"),
        hub.path("archive"),
        made["from_block"].to_string(),
    );
    let run = [
        &[
            "run",
            "--json",
            "--l1",
            hub.anvil.url(),
            "--operator-key",
            &key,
        ][..],
        &[
            "--chain-id",
            "271",
            "--chain",
            &contract,
            "--rpc",
            "127.0.0.1:0",
        ],
        &[
            "--data-dir",
            &data,
            "--archive",
            &archive,
            "--engine",
            "cpu",
        ],
        &["--confirmations", "0", "--seal-after-ms", "300"],
        &[
            "--l1-poll-ms",
            "300",
            "--base-fee",
            "0",
            "--from-block",
            &block,
        ],
        &SHAPE,
    ];
    let run: Vec<String> = run.concat().into_iter().map(str::to_owned).collect();
    let amount = U256::from(100_000_000_000_000u64);
    let deposit = SharedBridge::depositCall {
        chainId: 271,
        token: U256::ZERO,
        amount,
        owner: signers[1].address(),
        keyProof: key_proof(SecretKey::from_seed(&[1; 32]).public()),
    };
    let user = client.with_signer(signers[1].clone());
    let input = deposit.abi_encode().into();
    user.pay(
        "deposit",
        Some(deployment.bridge),
        amount,
        input,
        GasLimit::Estimate,
    )
    .await
    .unwrap();
    let node = Node::start(&run);
    let settled = |chain: &Value| chain["batch"] == 1 && chain["reached"]["final"] == 1;
    node.wait("carillon_chain", json!([]), settled).await;
    let shown = hub.read("show 271");
    assert_eq!(shown["batches_executed"], 1, "{shown}");
    assert_eq!(shown["tokens"][0]["escrow"], amount.to_string(), "{shown}");
    drop(node);

    // Retired: its lanes are closed, and what its users have is named until it is gone.
    let retired = hub.done("retire 271");
    assert_eq!(retired["governance"]["state"], "done", "{retired}");
    assert_eq!(
        (&retired["open_towards"], &retired["empty"]),
        (&json!([]), &json!(false))
    );
    let left = retired["left"][0].as_str().unwrap();
    assert!(left.contains("100000000000000 units of ETH"), "{left}");
    assert_eq!(lane(&hub.read("lanes"), 271, 270)["from_open"], false);
    let empty = hub.done("retire 272");
    assert_eq!(
        (&empty["left"], &empty["empty"]),
        (&json!([]), &json!(true))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timelock_is_asked_told_and_waited_for() {
    chain_key();
    let folder = tempfile::tempdir().unwrap();
    let anvil = Anvil::start(&AnvilOptions::default()).await.unwrap();
    for (name, signer) in [("key", 0), ("other", 5)] {
        let key = hex::encode(anvil.signers()[signer].to_bytes());
        secret_file(&folder.path().join(name), &key);
    }
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (key, data) = (path("key"), path("data"));
    let deploy = [
        &["deploy", "--json", "--chain-id", "270", "--l1", anvil.url()][..],
        &["--operator-key", &key, "--data-dir", &data],
        &[
            "--queue-delay",
            "60",
            "--exit-window",
            "30",
            "--governance-delay",
            "100",
        ],
        &SHAPE,
    ];
    let deployed = json_of(&deploy.concat());
    let hub = Hub {
        chain: deployed["chain"].as_str().unwrap().parse().unwrap(),
        folder,
        anvil,
    };
    let text = |queue: u64| {
        format!(
            "id = 273\ndata_mode = \"rollup\"\nlanes = [270]\n{SHAPES}[delays]\nqueue = {queue}\nexit_window = 30\n"
        )
    };
    // The chain's users would have no time to leave.
    hub.refused("key", &hub.create("bad", &text(70), ""), "must be longer");
    let create = |more: &str| hub.create("273", &text(60), more);
    hub.refused("key", &create("--execute"), "not announced");
    let asked = hub.done(&create(""));
    assert_eq!(asked["governance"]["state"], "to be proposed", "{asked}");
    assert_eq!(
        asked["governance"]["calls"].as_array().unwrap().len(),
        3,
        "{asked}"
    );
    let (code, error) = ended(&hub.words(None, "show 273"));
    assert_eq!(code, Some(4), "not registered yet: {error}");
    let told = hub.done(&create("--propose"));
    assert_eq!(told["governance"]["state"], "proposed", "{told}");
    assert_eq!(told["chain"], asked["chain"]);
    let waits = hub.done(&create("--propose"));
    assert_eq!(waits["governance"]["state"], "waiting", "{waits}");
    assert_eq!(
        waits["governance"]["timelock"]["operation"],
        told["governance"]["timelock"]["operation"]
    );
    hub.refused("key", &create("--execute"), "Unix time");
    hub.warp(101).await;
    assert_eq!(hub.done(&create(""))["governance"]["state"], "ready");
    let made = hub.done(&create("--execute"));
    assert_eq!(made["governance"]["state"], "done", "{made}");
    let again = hub.done(&create(""));
    assert_eq!(again["governance"]["state"], "done", "{again}");
    let shown = hub.read("show 273");
    assert_eq!(shown["governor"], deployed["timelock"], "{shown}");
    assert_eq!(shown["contract"], made["chain"]);
    assert_eq!(lane(&shown, 273, 270)["from_open"], true);
    assert_eq!(lane(&shown, 273, 270)["open"], false);

    // The other side of the lane: opened, closed and opened again, each with an operation of its own.
    hub.refused(
        "other",
        "lane open --from 270 --to 273 --propose",
        "may announce nothing",
    );
    let mut operations = Vec::new();
    for (verb, open) in [("open", true), ("close", false), ("open", true)] {
        let command = format!("lane {verb} --from 270 --to 273");
        assert_eq!(hub.done(&command)["governance"]["state"], "to be proposed");
        let told = hub.done(&format!("{command} --propose"));
        operations.push(told["governance"]["timelock"]["operation"].clone());
        assert_eq!(told["changed"], false, "{told}");
        hub.warp(101).await;
        // Anyone brings it to effect.
        let execute = hub.words(Some("other"), &format!("{command} --execute"));
        let done = json_of(&execute);
        assert_eq!(done["changed"], true, "{done}");
        assert_eq!(lane(&done, 270, 273)["open"], open, "{done}");
    }
    assert_ne!(operations[0], operations[2]);
    let retired = hub.done("retire 273 --propose");
    assert_eq!(retired["open_towards"], json!([270]), "{retired}");
    assert_eq!(retired["empty"], false);
}
