//! `deploy`: everything is looked at before the first transaction, and what was cut off goes on.

use std::process::Stdio;

use alloy::primitives::{Address, U256, keccak256};
use carillon_settlement::{Anvil, AnvilOptions};
use serde_json::{Value, json};

use crate::binary::{SHAPE, binary, chain_key, ended, json_of, rpc, secret_file};

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_is_checked_before_it_begins_and_goes_on_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let anvil = Anvil::start(&AnvilOptions::default()).await.unwrap();
    let url = anvil.url();
    let deployer = anvil.signers()[5].clone();
    secret_file(
        &folder.path().join("key"),
        &hex::encode(deployer.to_bytes()),
    );
    secret_file(&folder.path().join("poor"), &"11".repeat(32));
    std::fs::write(path("open"), hex::encode(deployer.to_bytes())).unwrap();
    let arguments = |url: &str, key: &str, more: &[&str]| -> Vec<String> {
        let (key, data) = (path(key), path("data"));
        let all = [
            &["deploy", "--json", "--chain-id", "271", "--l1", url][..],
            &["--operator-key", &key, "--data-dir", &data],
            &SHAPE,
            more,
        ];
        all.concat().into_iter().map(str::to_owned).collect()
    };
    let nonce = async |block: &str| -> u64 {
        let answer = rpc(
            url,
            "eth_getTransactionCount",
            json!([deployer.address(), block]),
        );
        let answer: U256 = answer.await.as_str().unwrap().parse().unwrap();
        answer.to()
    };

    // Nothing of this makes a key or sends anything.
    let stone = Address::repeat_byte(0x57);
    rpc(url, "anvil_setCode", json!([stone, "0x00"])).await;
    let (nobody, stone) = (Address::repeat_byte(0x33).to_string(), stone.to_string());
    let zero = Address::ZERO.to_string();
    let keys = path("no-keys");
    let cases = [
        (url, "key", vec!["--token", "1=NOBODY"], 4, "no contract"),
        (url, "key", vec!["--token", "2=STONE"], 4, "balanceOf"),
        (
            url,
            "key",
            vec!["--governance-delay", "10"],
            4,
            "must be longer",
        ),
        (
            url,
            "key",
            vec!["--queue-delay", "60", "--max-pause", "31"],
            4,
            "half",
        ),
        (url, "key", vec!["--guardian", "ZERO"], 4, "zero address"),
        (url, "open", vec![], 4, "mode 644"),
        (url, "poor", vec![], 4, "pay it more"),
        ("http://127.0.0.1:1", "key", vec![], 11, "127.0.0.1:1"),
    ];
    for (url, key, more, code, reason) in cases {
        let more: Vec<String> = more
            .iter()
            .map(|word| {
                let word = word.replace("NOBODY", &nobody).replace("STONE", &stone);
                word.replace("ZERO", &zero)
            })
            .collect();
        let mut more: Vec<&str> = more.iter().map(String::as_str).collect();
        more.extend(["--key-dir", &keys]);
        let (exit, error) = ended(&arguments(url, key, &more));
        assert_eq!(exit, Some(code), "{error}");
        assert!(
            error["message"].as_str().unwrap().contains(reason),
            "{reason}: {error}"
        );
        assert!(!std::path::Path::new(&keys).exists(), "{reason}");
    }
    assert_eq!(nonce("pending").await, 0);

    // Killed with its fourth transaction on the way. A short queue delay moves what hangs on it.
    chain_key();
    let options = ["--queue-delay", "60", "--exit-window", "30"];
    rpc(url, "evm_setAutomine", json!([false])).await;
    let mut first = binary(&arguments(url, "key", &options));
    let mut first = first.stdout(Stdio::null()).spawn().unwrap();
    for sent in 1..=4 {
        let started = std::time::Instant::now();
        while nonce("pending").await < sent {
            assert!(started.elapsed().as_secs() < 240, "transaction {sent}");
            assert!(first.try_wait().unwrap().is_none(), "deploy ended");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        if sent < 4 {
            rpc(url, "evm_mine", json!([])).await;
        }
    }
    first.kill().unwrap();
    first.wait().unwrap();
    rpc(url, "evm_setAutomine", json!([true])).await;
    rpc(url, "evm_mine", json!([])).await;

    // The same command goes on; every transaction was sent once.
    let done = json_of(&arguments(url, "key", &options));
    assert_eq!(done["resumed"], 4, "{done}");
    let journal = std::fs::read_to_string(path("data/deployment.jsonl")).unwrap();
    let signed = journal
        .lines()
        .filter(|line| line.contains("\"signed\""))
        .count();
    assert_eq!(nonce("latest").await, signed as u64);
    // Given once more it changes nothing, with other options it is refused.
    let again = json_of(&arguments(url, "key", &options));
    assert_eq!(again["resumed"], signed);
    for name in [
        "chain",
        "bridge",
        "hub",
        "handler",
        "timelock",
        "gas",
        "from_block",
    ] {
        assert_eq!(done[name], again[name], "{name}");
    }
    let (exit, error) = ended(&arguments(
        url,
        "key",
        &["--queue-delay", "61", "--exit-window", "30"],
    ));
    assert_eq!(exit, Some(4), "{error}");
    assert!(
        error["message"].as_str().unwrap().contains("other options"),
        "{error}"
    );
    assert_eq!(nonce("pending").await, signed as u64);

    // Queue delay, longest pause and cooldown as they stand in the contract.
    let call = json!({ "to": done["chain"], "data": format!("0x{}", hex::encode(&keccak256("times()")[..4])) });
    let times: Value = rpc(url, "eth_call", json!([call, "latest"])).await;
    let words = hex::decode(times.as_str().unwrap().trim_start_matches("0x")).unwrap();
    let words: Vec<u64> = words
        .as_chunks::<32>()
        .0
        .iter()
        .map(|word| U256::from_be_bytes(*word).to())
        .collect();
    assert_eq!(words[0], 60);
    assert!(
        words.contains(&30) && words.iter().all(|time| *time >= 30),
        "{words:?}"
    );
}
