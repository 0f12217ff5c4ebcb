//! The node on Ethereum, end to end and with nothing simulated: contracts deployed by the command, a
//! deposit on L1, a transfer over JSON-RPC, proofs on the CPU, settlement with blobs through the L1
//! sender, a node killed and started again, the state rebuilt from L1 and the archive, and a node that
//! lost its folder. `validium` is the same without blobs, up to a claim. Then everything in which node and Ethereum can disagree at the start, and a
//! deployment that is cut off.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod binary;
mod chains;
mod deployment;
mod disagreements;
mod gateway;
mod soft;
mod soft_load;
mod two_chains;
mod validium;

use std::time::{Duration, Instant};

use alloy::primitives::{Address, B256, U256};
use alloy::sol_types::SolCall;
use carillon_node::{L1Prices, NodePrices, Part, RollupOptions, Store};
use carillon_protocol::crypto::schnorr::SecretKey;
use carillon_protocol::{Domain, Home, Operation};
use carillon_settlement::abi::{RollupChain, SharedBridge};
use carillon_settlement::calls::key_proof;
use carillon_settlement::{
    Anvil, AnvilOptions, Deadlines, GasLimit, L1Client, progress, state_root,
};
use serde_json::{Value, json};

use carillon_testing::proxy::{Answer, Modes, Proxy};

use binary::{Node, SHAPE, chain_key, ended, json_of, rpc, secret_file, until};

const CHAIN: u64 = 270;

/// A chain on anvil and the options of its node.
struct Setup {
    anvil: Anvil,
    folder: tempfile::TempDir,
    chain: Address,
    hub: Address,
}

impl Setup {
    /// What the node's folders are bound to, and what its operations are signed for.
    fn options(&self) -> RollupOptions {
        RollupOptions {
            home: Home {
                l1_chain_id: 31337,
                hub: self.hub.into(),
                bridge: [0; 20],
            },
            ..RollupOptions::new(CHAIN, 0, 4, 3, 2, 12).unwrap()
        }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// The arguments of `run`, with some changed.
    fn run(&self, changed: &[(&str, &str)]) -> Vec<String> {
        let chain = self.chain.to_string();
        let (key, data, archive) = (self.path("key"), self.path("data"), self.path("archive"));
        let options = [
            ("--l1", self.anvil.url()),
            ("--operator-key", &key),
            ("--chain-id", "270"),
            ("--chain", &chain),
            ("--rpc", "127.0.0.1:0"),
            ("--data-dir", &data),
            ("--archive", &archive),
            ("--engine", "cpu"),
            ("--confirmations", "0"),
            ("--seal-after-ms", "300"),
            ("--l1-poll-ms", "300"),
            // What fees do is tested with the service.
            ("--base-fee", "0"),
        ];
        let shape = SHAPE
            .as_chunks::<2>()
            .0
            .iter()
            .map(|[name, value]| (*name, *value));
        let mut all: Vec<(&str, &str)> = options.into_iter().chain(shape).collect();
        for (name, value) in changed {
            all.retain(|(other, _)| other != name);
            all.push((name, value));
        }
        let words = all.into_iter().flat_map(|(name, value)| [name, value]);
        ["run", "--json"]
            .into_iter()
            .chain(words)
            .map(str::to_owned)
            .collect()
    }

    fn resync(&self, more: &[&str]) -> Vec<String> {
        let (chain, archive) = (self.chain.to_string(), self.path("archive"));
        let all = [
            &[
                "resync",
                "--json",
                "--confirmations",
                "0",
                "--l1",
                self.anvil.url(),
            ][..],
            &["--chain", &chain, "--archive", &archive],
            more,
        ];
        all.concat().into_iter().map(str::to_owned).collect()
    }

    async fn ask(&self, method: &str, params: Value) -> Value {
        rpc(self.anvil.url(), method, params).await
    }
}

/// A transfer of account 1 to account 2, as JSON.
fn transfer(domain: Domain, key: &SecretKey, owner: Address, amount: u128, nonce: u32) -> Value {
    let order = Operation::transfer(1, 2, 0, amount, 7, nonce.into())
        .sign(key, domain, &owner.into())
        .unwrap();
    json!([{
        "kind": "transfer", "from": 1, "to": 2, "token": 0, "amount": amount.to_string(),
        "fee": "7", "nonce": nonce, "signature": format!("0x{}", hex::encode(order.signature)),
    }])
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_deposit_to_a_lost_folder_that_is_rebuilt() {
    chain_key();
    let folder = tempfile::tempdir().unwrap();
    let anvil = Anvil::start(&AnvilOptions::default()).await.unwrap();
    let signers = anvil.signers().to_vec();
    let key = folder.path().join("key");
    secret_file(&key, &hex::encode(signers[0].to_bytes()));
    let data = folder.path().join("data").display().to_string();
    let key = key.display().to_string();
    let deploy = [
        &["deploy", "--json", "--chain-id", "270", "--l1", anvil.url()][..],
        &["--operator-key", &key, "--data-dir", &data],
        &SHAPE,
    ];
    let deployed = json_of(&deploy.concat());
    assert_eq!(deployed["schema"], "carillon.deploy/1");
    assert_eq!(deployed["key_hash"], chain_key()["key_hash"]);
    let address = |name: &str| deployed[name].as_str().unwrap().parse::<Address>().unwrap();
    let (bridge, chain) = (address("bridge"), address("chain"));
    let setup = Setup {
        anvil,
        folder,
        chain,
        hub: address("hub"),
    };
    let url = setup.anvil.url();

    // Before the first batch only the genesis tells a tree of another depth.
    let (code, error) = ended(&setup.run(&[("--depth", "11")]));
    assert_eq!(code, Some(12), "{error}");
    assert!(
        error["message"].as_str().unwrap().contains("--depth"),
        "{error}"
    );
    assert!(!setup.folder.path().join("data/node.redb").exists());

    let client = L1Client::new(url, signers[0].clone(), Deadlines::default()).unwrap();
    let users = [1u8, 2].map(|n| (signers[n as usize].clone(), SecretKey::from_seed(&[n; 32])));
    for (signer, key) in &users {
        let amount = U256::from(100_000_000_000_000u64);
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

    // The node's Ethereum answers as a client with geth's balance rule that limits ranges and, once the
    // node serves, keeps no states.
    let proxy = Proxy::start(url).await;
    let geth = Modes {
        geth_balance: true,
        logs: Some((10, Answer::Rpc(-32602, "query exceeds max block range 10"))),
        ..Modes::default()
    };
    let pruned = Modes {
        answers: vec![(
            "eth_call",
            Answer::Rpc(-32000, "missing trie node 5c (path )"),
        )],
        ..geth.clone()
    };
    proxy.set(geth.clone());
    let arguments = setup.run(&[("--l1", proxy.url())]);
    let asked = (Instant::now(), proxy.requests());
    let node = Node::start(&arguments);
    proxy.set(pruned.clone());
    let funded = |answer: &Value| answer["balances"]["0"] == "100000000000000";
    let second = node.wait("carillon_getAccount", json!([2]), funded).await;
    assert_eq!(
        second["owner"]
            .as_str()
            .unwrap()
            .parse::<Address>()
            .unwrap(),
        users[1].0.address()
    );

    let (signer, secret) = &users[0];
    // The node names the deployment that operations are signed for.
    let domain = setup.options().domain();
    let said = node.ask("carillon_chain", json!([])).await;
    assert_eq!(said["result"]["domain"], domain.to_string(), "{said}");
    let first = transfer(domain, secret, signer.address(), 2_500, 0);
    let receipt = node.ask("carillon_sendOperation", first.clone()).await;
    let id = receipt["result"]["id"].clone();
    assert!(id.is_string(), "{receipt}");
    assert_eq!(receipt["result"]["finality"], "soft");

    // Killed at whatever point the batches are; the next run finishes them.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    drop(node);
    proxy.set(geth);
    let node = Node::start(&arguments);
    proxy.set(pruned);
    let settled = |answer: &Value| answer["status"] == "final";
    let operation = node
        .wait("carillon_getOperation", json!([id]), settled)
        .await;
    let batches = operation["batch"].as_str().map_or_else(
        || operation["batch"].as_u64().unwrap(),
        |text| text.parse().unwrap(),
    );
    let account = node.result("carillon_getAccount", json!([2])).await;
    assert_eq!(account["balances"]["0"], "100000000002500");
    // A budget of requests: for each look of the sender and of the queue's reader, for each batch, for
    // each comparison at a start, and for the fees that are followed.
    let looks = (asked.0.elapsed().as_millis() / 300) as usize + 2;
    let (requests, budget) = (
        proxy.requests() - asked.1,
        12 * looks + 20 * batches as usize + 80,
    );
    assert!(
        requests <= budget,
        "{requests} of {budget}: {:?}",
        proxy.counts()
    );
    proxy.set(Modes::default());

    // Each batch is on L1 once, with the node's root.
    let on_chain = progress(&client, chain).await.unwrap();
    assert_eq!((on_chain.executed, on_chain.queueExecuted), (batches, 2));
    let root = format!("{:#066x}", state_root(&client, chain).await.unwrap());
    let batch = node.result("carillon_getBatch", json!([])).await;
    assert_eq!(batch["new_root"], root, "{batch}");
    let transaction = batch["transaction"].as_str().unwrap();
    assert_eq!(operation["transaction"], transaction, "{operation}");
    assert!(transaction.starts_with("0x") && transaction.len() == 66);
    let all_final = |chain: &Value| chain["reached"]["final"] == chain["batch"];
    let chain_now = node.wait("carillon_chain", json!([]), all_final).await;
    assert_eq!(chain_now["ready"], true, "{chain_now}");
    let prices = NodePrices::new(url, Duration::from_secs(10)).unwrap();
    let prices = prices.prices().await.unwrap();
    assert!(prices.base > 0 && prices.blob > 0, "{prices:?}");

    // One more is proved and archived, and Ethereum mines nothing.
    setup.ask("evm_setAutomine", json!([false])).await;
    let second = transfer(domain, secret, signer.address(), 500, 1);
    node.ask("carillon_sendOperation", second).await;
    let object = setup.path(&format!("archive/batches/{:012}.batch", batches + 1));
    until("the batch is archived", || {
        std::path::Path::new(&object).exists()
    })
    .await;

    // A backup of the running node, then the node is gone.
    let copied = |name: &str| {
        let (data, out) = (setup.path("data"), setup.path(name));
        json_of(&["backup", "--json", "--data-dir", &data, "--out", &out])
    };
    let running = copied("backup");
    assert_eq!(running["running"], true, "{running}");
    drop(node);
    let stopped = copied("backup-stopped");
    assert_eq!(stopped["running"], false, "{stopped}");
    assert_eq!(stopped["operations"], running["operations"]);
    assert_eq!(
        running["keys"].as_array().unwrap().len(),
        stopped["keys"].as_array().unwrap().len()
    );
    for name in ["data", "backup", "backup-stopped"] {
        let options = setup.options();
        let folder = setup.folder.path().join(name);
        let store = Store::open(&folder, &options.mark()).unwrap();
        assert_eq!(store.sealed().unwrap().unwrap().batch, batches + 1);
        assert_eq!(store.log(..).unwrap().len(), 4);
        let has = |number, part| store.part(number, part).unwrap().is_some();
        // What provers needed of final batches is dropped, and nothing else.
        assert!((1..=batches).all(|number| !has(number, Part::Input) && has(number, Part::Blob)));
        assert!(has(batches + 1, Part::Input) && has(batches + 1, Part::Proof));
    }
    let (code, error) = ended(&[
        "backup",
        "--data-dir",
        &setup.path("data"),
        "--out",
        &setup.path("backup"),
    ]);
    assert_eq!(code, Some(4), "{error}");

    setup.ask("anvil_dropAllTransactions", json!([])).await;
    setup.ask("evm_setAutomine", json!([true])).await;
    setup.ask("evm_mine", json!([])).await;
    disagreements::each_is_refused(&setup, batches).await;

    // The folder is lost. A new one is no place to go on; the state can be compared, and rebuilt.
    std::fs::remove_dir_all(setup.path("data")).unwrap();
    let (code, error) = ended(&arguments);
    assert_eq!(code, Some(12), "{error}");
    assert!(
        error["message"].as_str().unwrap().contains("resync --out"),
        "{error}"
    );
    std::fs::remove_dir_all(setup.path("data")).unwrap();
    let compared = json_of(&setup.resync(&[]));
    assert_eq!(compared["state_root"], root, "{compared}");
    assert_eq!(
        (&compared["archived_ahead"], &compared["made"]),
        (&json!(1), &Value::Null)
    );
    let rebuild = setup.resync(&["--out", &setup.path("data")]);
    let rebuilt = json_of(&rebuild);
    assert_eq!(rebuilt["batches"], batches, "{rebuilt}");
    assert_eq!(rebuilt["operations"], 4, "{rebuilt}");
    let (code, error) = ended(&rebuild);
    assert_eq!(code, Some(4), "{error}");

    // The node goes on: the open batch settles, the old operations are known, new ones settle, too.
    let node = Node::start(&arguments);
    node.wait("carillon_getBatch", json!([batches + 1]), settled)
        .await;
    let known = node.ask("carillon_sendOperation", first).await;
    assert_eq!(known["error"]["data"]["code"], "known", "{known}");
    let operation = node.result("carillon_getOperation", json!([id])).await;
    assert_eq!(operation["status"], "final", "{operation}");
    let third = transfer(domain, secret, signer.address(), 1_000, 2);
    let receipt = node.ask("carillon_sendOperation", third).await;
    let id = receipt["result"]["id"].clone();
    node.wait("carillon_getOperation", json!([id]), settled)
        .await;
    let account = node.result("carillon_getAccount", json!([2])).await;
    assert_eq!(account["balances"]["0"], "100000000004000");

    // The governor names another operator while the node runs: Ethereum refuses the next batch, again
    // and again, and the node ends with the reason instead of trying for ever.
    let governor = RollupChain::governorCall {}.abi_encode();
    let governor = client
        .call("governor", chain, governor.into())
        .await
        .unwrap();
    let governor = Address::from_word(B256::from_slice(&governor));
    let call = RollupChain::setOperatorCall {
        operator_: signers[5].address(),
        operatorAccount_: 0,
    };
    setup
        .ask("anvil_impersonateAccount", json!([governor]))
        .await;
    setup
        .ask("anvil_setBalance", json!([governor, "0xde0b6b3a7640000"]))
        .await;
    let data = format!("0x{}", hex::encode(call.abi_encode()));
    let change = json!([{ "from": governor, "to": chain, "data": data }]);
    setup.ask("eth_sendTransaction", change).await;
    let fourth = transfer(domain, secret, signer.address(), 500, 3);
    let receipt = node.ask("carillon_sendOperation", fourth).await;
    assert!(receipt["result"]["id"].is_string(), "{receipt}");
    let mut node = node;
    assert_eq!(node.ended().await, Some(11));
    drop(node);
    let on_chain = progress(&client, chain).await.unwrap();
    assert_eq!(on_chain.executed, batches + 2);
    let root = format!("{:#066x}", state_root(&client, chain).await.unwrap());
    assert_eq!(json_of(&setup.resync(&[]))["state_root"], root);
}
