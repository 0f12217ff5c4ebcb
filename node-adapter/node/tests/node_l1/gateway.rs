//! Two nodes that settle through a gateway, each a process of its own: together, and also after the gateway was
//! killed.

use std::path::Path;
use std::time::Duration;

use alloy::primitives::U256;
use carillon_protocol::crypto::schnorr::SecretKey;
use carillon_settlement::abi::SharedBridge;
use carillon_settlement::calls::key_proof;
use serde_json::{Value, json};

use crate::binary::{Node, secret_file};
use crate::two_chains::{BOB, Chains, IDS, has};

fn gateway(chains: &Chains, listen: &str) -> Node {
    let key = chains.path("operator", 2);
    let data = chains.path("gateway", 0);
    let contract = chains.deployment.gateway.to_string();
    let options = [
        "gateway",
        "--json",
        "--l1",
        chains.anvil.url(),
        "--contract",
        &contract,
        "--key",
        &key,
        "--data-dir",
        &data,
        "--listen",
        listen,
        "--confirmations",
        "0",
        "--l1-poll-ms",
        "300",
        "--linger",
        "2",
    ];
    Node::start(&options.map(str::to_owned))
}

async fn figures(url: &str) -> String {
    let answer = reqwest::get(format!("{url}/metrics")).await.unwrap();
    answer.text().await.unwrap()
}

fn count(figures: &str, name: &str) -> u64 {
    let line = figures
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("{name}: {figures}"))
        .parse()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn chains_settle_together_through_a_gateway() {
    let chains = Chains::new().await;
    let service = gateway(&chains, "127.0.0.1:0");
    let url = service.url().to_owned();
    let run = |at: usize| {
        let mut options = chains.run(at);
        options.extend(["--gateway".to_owned(), url.clone()]);
        options
    };
    let (first, second) = (Node::start(&run(0)), Node::start(&run(1)));
    let alice = chains.anvil.signers()[1].clone();
    let secret = SecretKey::from_seed(&[1; 32]);
    secret_file(Path::new(&chains.path("alice", 0)), &hex::encode([1; 32]));
    let all = 100_000_000_000_000u64;
    let client = chains.governor.with_signer(alice.clone());
    for id in IDS {
        let deposit = SharedBridge::depositCall {
            chainId: id,
            token: U256::ZERO,
            amount: U256::from(all),
            owner: alice.address(),
            keyProof: key_proof(secret.public()),
        };
        chains.bridge(&client, U256::from(all), &deposit).await;
    }
    for node in [&first, &second] {
        node.wait("carillon_getAccount", json!([1]), has(all)).await;
    }
    let all_final =
        |chain: &Value| chain["reached"]["final"] == chain["batch"] && chain["open"] == 0;
    for node in [&first, &second] {
        node.wait("carillon_chain", json!([]), all_final).await;
    }
    let told = figures(&url).await;
    assert_eq!(
        count(&told, "carillon_gateway_batches_executed_total"),
        2,
        "{told}"
    );

    // What is sent on one is taken on the other, each batch by the gateway.
    chains.send(&first, IDS[1], BOB, 1_000);
    second
        .wait("carillon_getAccount", json!([2]), has(1_000))
        .await;
    second.wait("carillon_chain", json!([]), all_final).await;
    assert_eq!(chains.lane(0, 1).await, [1, 1]);

    // Killed, it goes on where it was; meanwhile the node says what it waits for.
    let address = url.strip_prefix("http://").unwrap().to_owned();
    drop(service);
    let send = std::thread::scope(|scope| {
        let send = scope.spawn(|| chains.send(&first, IDS[1], BOB, 2_000));
        let runtime = tokio::runtime::Handle::current();
        let waits = |chain: &Value| chain.to_string().contains("the gateway does not answer");
        tokio::task::block_in_place(|| {
            runtime.block_on(async {
                first.wait("carillon_chain", json!([]), waits).await;
                tokio::time::sleep(Duration::from_millis(500)).await;
            });
        });
        let service = gateway(&chains, &address);
        let sent = send.join().unwrap();
        (service, sent)
    });
    second
        .wait("carillon_getAccount", json!([2]), has(3_000))
        .await;
    second.wait("carillon_chain", json!([]), all_final).await;
    assert_eq!(chains.lane(0, 1).await, [2, 2]);
    assert_eq!(chains.escrow(1).await, U256::from(all + 3_000));
    let sets: Value = reqwest::get(format!("{url}/gateway/v1/sets"))
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(sets["trouble"], Value::Null, "{sets}");
    assert_eq!(send.1["operation"]["status"], "final", "{}", send.1);
}
