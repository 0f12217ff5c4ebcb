//! Everything in which a node and Ethereum can disagree when the node starts: each is refused with
//! what is expected and what is found, and exit code 12. Ethereum is changed in anvil's storage.

use alloy::primitives::{Address, B256, U256, keccak256};
use alloy::sol_types::SolValue;
use carillon_node::{L1Mark, LogLine, Store};
use serde_json::{Value, json};

use crate::binary::{ended, secret_file};
use crate::{CHAIN, Setup};

/// Storage slots that are looked at.
const SLOTS: u64 = 64;

fn refused(arguments: &[String], words: &[&str]) {
    let (code, error) = ended(arguments);
    assert_eq!(code, Some(12), "{words:?}: {error}");
    let message = error["message"].as_str().unwrap();
    for word in words {
        assert!(message.contains(word), "{word}: {message}");
    }
}

/// As one word.
fn hex32(value: U256) -> String {
    B256::from(value).to_string()
}

async fn storage(setup: &Setup, contract: Address, slot: U256) -> U256 {
    let answer = setup.ask("eth_getStorageAt", json!([contract, hex32(slot), "latest"]));
    answer.await.as_str().unwrap().parse().unwrap()
}

/// The slot of a contract that holds this value, directly or in a mapping under `key`.
async fn find(setup: &Setup, contract: Address, key: Option<U256>, value: U256) -> U256 {
    for slot in 0..SLOTS {
        let slot = U256::from(slot);
        let slot = match key {
            None => slot,
            Some(key) => keccak256((key, slot).abi_encode()).into(),
        };
        if storage(setup, contract, slot).await == value {
            return slot;
        }
    }
    panic!("{contract} holds {value} nowhere");
}

async fn call(setup: &Setup, contract: Address, signature: &str, argument: u64) -> U256 {
    let hash = keccak256(signature);
    let data = [&hash[..4], &U256::from(argument).to_be_bytes::<32>()].concat();
    let call = json!({ "to": contract, "data": format!("0x{}", hex::encode(data)) });
    let answer = setup.ask("eth_call", json!([call, "latest"])).await;
    let words = answer.as_str().unwrap().trim_start_matches("0x");
    U256::from_str_radix(&words[..64], 16).unwrap()
}

pub async fn each_is_refused(setup: &Setup, batches: u64) {
    // Settings of the node.
    let other = setup.folder.path().join("other-key");
    let signer = &setup.anvil.signers()[1];
    secret_file(&other, &hex::encode(signer.to_bytes()));
    let ours = setup.anvil.signers()[0].address().to_string();
    let other = other.to_str().unwrap();
    let id = ("--chain-id", "271");
    refused(
        &setup.run(&[id]),
        &[
            "the chain's id",
            "expected is 271",
            "found on Ethereum is 270",
        ],
    );
    let words = ["who may commit", &signer.address().to_string(), &ours];
    refused(&setup.run(&[("--operator-key", other)]), &words);
    refused(
        &setup.run(&[("--operator", "5")]),
        &["operator's account", "is 5", "is 0"],
    );
    refused(
        &setup.run(&[("--shape-number", "2")]),
        &["verifier", "shape 2", "none"],
    );
    let leaves = ["leaves of the account tree", "is 4194304", "is 16777216"];
    refused(&setup.run(&[("--depth", "11")]), &leaves);

    // The folder: of no chain, of another one, used without Ethereum, behind the archive.
    let options = setup.options();
    let folder = |name: &str| {
        let folder = setup.folder.path().join(name);
        (
            Store::open(&folder, &options.mark()).unwrap(),
            folder.display().to_string(),
        )
    };
    let (store, path) = folder("empty");
    drop(store);
    refused(
        &setup.run(&[("--data-dir", &path)]),
        &["last batch", "is 0", "resync --out"],
    );
    let (store, path) = folder("foreign");
    store
        .bind(&L1Mark {
            l1: 1,
            contract: ours.clone(),
        })
        .unwrap();
    drop(store);
    let words = ["chain on Ethereum", &ours, "chain 31337"];
    refused(&setup.run(&[("--data-dir", &path)]), &words);
    let mut mark = options.mark();
    mark.hub = "0x12".into();
    let path = setup.folder.path().join("other-hub");
    drop(Store::open(&path, &mark).unwrap());
    let words = ["belongs to another chain", "with the hub 0x12; start"];
    refused(
        &setup.run(&[("--data-dir", &path.display().to_string())]),
        &words,
    );
    let (store, path) = folder("alone");
    let line = LogLine {
        sequence: 0,
        id: &[1; 32],
        bytes: &[1],
    };
    store.append(&[line]).unwrap();
    drop(store);
    refused(&setup.run(&[("--data-dir", &path)]), &["without --l1"]);
    let object = |number: u64| setup.path(&format!("archive/batches/{number:012}.batch"));
    let ahead = object(batches + 2);
    std::fs::copy(object(batches + 1), &ahead).unwrap();
    let next = format!("batch {}", batches + 2);
    refused(&setup.run(&[]), &["the archive has", &next, "resync --out"]);
    std::fs::remove_file(&ahead).unwrap();

    // The contracts. Each change is taken back.
    let chain = setup.chain;
    let root = call(setup, chain, "stateRoot()", 0).await;
    let verifier = call(setup, chain, "verifier(uint32)", 1).await;
    // Committed, proved, executed, entries committed, entries executed, each 48 bits; halted above.
    let counters = [
        (batches, 0usize),
        (batches, 48),
        (batches, 96),
        (2, 144),
        (2, 192),
    ];
    let counters: U256 = counters
        .iter()
        .map(|(count, place)| U256::from(*count) << *place)
        .fold(U256::ZERO, |sum, part| sum | part);
    let fake = Address::repeat_byte(0xfa);
    // Answers every call with 32 bytes: 7.
    setup
        .ask("anvil_setCode", json!([fake, "0x60075f5260205ff3"]))
        .await;
    let at_counters = find(setup, chain, None, counters).await;
    let changes = [
        (
            chain,
            find(setup, chain, None, root).await,
            root + U256::ONE,
            vec![
                "state root after the last executed batch".to_owned(),
                hex32(root),
            ],
        ),
        (
            chain,
            at_counters,
            counters | (U256::ONE << 240usize),
            vec!["halted".into(), "running".into()],
        ),
        (
            chain,
            at_counters,
            counters + U256::ONE,
            vec![
                "committed and not executed".into(),
                format!("{next} to {next}", next = batches + 1),
            ],
        ),
        (
            chain,
            at_counters,
            counters + (U256::ONE << 192usize),
            vec![
                "queue entries executed".into(),
                "is 2".into(),
                "is 3".into(),
            ],
        ),
        (
            chain,
            find(setup, chain, Some(U256::ONE), verifier).await,
            U256::from_be_bytes(fake.into_word().0),
            vec!["hash of the verifying key".into(), hex32(U256::from(7))],
        ),
        (
            setup.hub,
            find(
                setup,
                setup.hub,
                Some(U256::from(CHAIN)),
                chain.into_word().into(),
            )
            .await,
            U256::from_be_bytes(fake.into_word().0),
            vec!["in the hub".into(), fake.to_string(), chain.to_string()],
        ),
    ];
    for (contract, slot, value, words) in changes {
        let before = storage(setup, contract, slot).await;
        let set = |value: U256| json!([contract, hex32(slot), hex32(value)]);
        let done: Value = setup.ask("anvil_setStorageAt", set(value)).await;
        assert_eq!(done, true);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        refused(&setup.run(&[]), &words);
        setup.ask("anvil_setStorageAt", set(before)).await;
    }
}
