//! A validium from a deposit to a claim: deployed by the command, its node killed on the way, its state
//! rebuilt from Ethereum and the archive, which is the only place of its data.

use std::path::Path;
use std::time::Duration;

use alloy::primitives::{Address, U256};
use alloy::sol_types::SolCall;
use carillon_protocol::crypto::schnorr::SecretKey;
use carillon_settlement::abi::SharedBridge;
use carillon_settlement::calls::key_proof;
use carillon_settlement::{
    Anvil, AnvilOptions, Deadlines, GasLimit, L1Client, progress, state_root,
};
use serde_json::{Value, json};

use crate::binary::{Node, SHAPE, chain_key, ended, json_of, secret_file};
use crate::{CHAIN, Setup, transfer};

/// The newest batch as its transaction stands on Ethereum.
async fn transaction(setup: &Setup, node: &Node) -> Value {
    let batch = node.result("carillon_getBatch", json!([])).await;
    let hash = batch["transaction"].clone();
    setup.ask("eth_getTransactionByHash", json!([hash])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_deposit_to_a_claim_without_a_blob() {
    chain_key();
    let folder = tempfile::tempdir().unwrap();
    let anvil = Anvil::start(&AnvilOptions::default()).await.unwrap();
    let signers = anvil.signers().to_vec();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (key, data) = (path("key"), path("data"));
    secret_file(Path::new(&key), &hex::encode(signers[0].to_bytes()));
    secret_file(
        Path::new(&path("alice.l1")),
        &hex::encode(signers[1].to_bytes()),
    );
    secret_file(Path::new(&path("alice")), &hex::encode([1; 32]));
    let (alice_l1, alice) = (path("alice.l1"), path("alice"));
    let deploy = [
        &["deploy", "--json", "--chain-id", "270", "--l1", anvil.url()][..],
        &["--operator-key", &key, "--data-dir", &data],
        &["--data-mode", "validium"],
        &SHAPE,
    ];
    let deployed = json_of(&deploy.concat());
    assert_eq!(deployed["data_mode"], "validium");
    let address = |name: &str| deployed[name].as_str().unwrap().parse::<Address>().unwrap();
    let (bridge, chain) = (address("bridge"), address("chain"));
    let setup = Setup {
        anvil,
        folder,
        chain,
        hub: address("hub"),
    };
    let url = setup.anvil.url();
    let client = L1Client::new(url, signers[0].clone(), Deadlines::default()).unwrap();
    for n in [1u8, 2] {
        let signer = signers[usize::from(n)].clone();
        let amount = U256::from(100_000_000_000_000u64);
        let call = SharedBridge::depositCall {
            chainId: CHAIN,
            token: U256::ZERO,
            amount,
            owner: signer.address(),
            keyProof: key_proof(SecretKey::from_seed(&[n; 32]).public()),
        };
        let input = call.abi_encode().into();
        let user = client.with_signer(signer);
        user.pay("deposit", Some(bridge), amount, input, GasLimit::Estimate)
            .await
            .unwrap();
    }

    // Killed at whatever point its batch is; the next run goes on.
    let arguments = setup.run(&[]);
    let node = Node::start(&arguments);
    let funded = |answer: &Value| answer["balances"]["0"] == "100000000000000";
    node.wait("carillon_getAccount", json!([2]), funded).await;
    let said = node.result("carillon_chain", json!([])).await;
    assert_eq!(said["data_mode"], "validium", "{said}");
    let fees = node.result("carillon_fees", json!([])).await;
    assert_eq!(fees["formula"]["blob_gas"], "0", "{fees}");
    let domain = setup.options().domain();
    let secret = SecretKey::from_seed(&[1; 32]);
    let order = transfer(domain, &secret, signers[1].address(), 2_500, 0);
    let receipt = node.ask("carillon_sendOperation", order).await;
    let id = receipt["result"]["id"].clone();
    assert!(id.is_string(), "{receipt}");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    drop(node);
    let node = Node::start(&arguments);
    let settled = |answer: &Value| answer["status"] == "final";
    node.wait("carillon_getOperation", json!([id]), settled)
        .await;

    // A plain transaction settled it, which any Ethereum client takes.
    let sent = transaction(&setup, &node).await;
    assert_ne!(sent["type"], "0x3", "{sent}");
    assert!(sent.get("blobVersionedHashes").is_none(), "{sent}");

    // A withdrawal, paid on Ethereum.
    let withdrawal = json_of(&[
        "send",
        "withdraw",
        "--json",
        "--url",
        node.url(),
        "--key",
        &alice,
        "--from",
        "1",
        "--recipient",
        &signers[1].address().to_string(),
        "--amount",
        "40000",
        "--fee",
        "0",
        "--wait-for",
        "final",
    ]);
    assert!(withdrawal.is_object());
    let chain_text = chain.to_string();
    let paid = json_of(&[
        "claim",
        "--json",
        "--l1",
        url,
        "--chain",
        &chain_text,
        "--l1-key",
        &alice_l1,
    ]);
    assert_eq!(paid["claims"][0]["amount"], "40000", "{paid}");
    let root = format!("{:#066x}", state_root(&client, chain).await.unwrap());
    let executed = progress(&client, chain).await.unwrap().executed;
    drop(node);

    // The folder is lost: archive and Ethereum make it again.
    std::fs::remove_dir_all(&data).unwrap();
    let rebuilt = json_of(&setup.resync(&["--out", &data]));
    assert_eq!(rebuilt["state_root"], root, "{rebuilt}");
    assert_eq!(rebuilt["batches"], executed, "{rebuilt}");
    let node = Node::start(&arguments);
    let order = transfer(domain, &secret, signers[1].address(), 1_000, 2);
    let receipt = node.ask("carillon_sendOperation", order).await;
    let id = receipt["result"]["id"].clone();
    node.wait("carillon_getOperation", json!([id]), settled)
        .await;
    let account = node.result("carillon_getAccount", json!([2])).await;
    assert_eq!(account["balances"]["0"], "100000000003500");
    drop(node);

    // Without the archive nobody has the data: Ethereum alone rebuilds nothing.
    std::fs::remove_file(setup.path("archive/batches/000000000001.batch")).unwrap();
    let (code, error) = ended(&setup.resync(&[]));
    assert_eq!(code, Some(4), "{error}");
}
