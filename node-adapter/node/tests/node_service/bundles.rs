//! Bundles by a chain's policy, on the real binary: shown to the node, refused with a reason, taken; from
//! the option, the configuration file and the environment.

use std::path::Path;

use alloy::primitives::{Address, U256};
use alloy::sol_types::SolValue;
use carillon_settlement::interop::{Bundle, Call, Place};

use super::*;

const FRIEND: Address = Address::repeat_byte(0xf1);

fn bundle(to: Address) -> Bundle {
    let place = Place {
        chain_id: CHAIN,
        l1_chain_id: 1,
        handler: Address::repeat_byte(0xaa),
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let deadline = now.unwrap().as_secs() + 3_600;
    let pay = vec![Call::pay(to, U256::from(5))];
    Bundle::new(place, Address::from(owner(0)), deadline, 500_000, pay)
}

/// The signed operation that withdraws 100 for a bundle.
fn order(bundle: &Bundle, nonce: u32) -> Value {
    let word = |value: U256| -> Scalar {
        Option::from(Scalar::from_bytes_be(&value.to_be_bytes::<32>())).unwrap()
    };
    let mut operation = Operation::new(Kind::Bundle, 1, 0, 100, 1, nonce.into());
    operation.words = [word(bundle.hash()), owner_word(&owner(0)), Scalar::from(0)];
    let operation = operation.sign(&user(0), domain(), &owner(0)).unwrap();
    json!({
        "kind": "bundle", "from": 1, "token": 0, "amount": "100", "fee": "1", "nonce": nonce,
        "bundle": format!("{:#066x}", bundle.hash()), "owner": hex0x(&owner(0)),
        "signature": hex0x(&operation.signature),
    })
}

fn encoded(bundle: &Bundle) -> Value {
    json!(hex0x(&bundle.abi_encode()))
}

async fn refused(node: &NodeProcess, params: Value) -> (i64, String, String) {
    let error = ask(&node.rpc, "carillon_sendOperation", params)
        .await
        .unwrap_err();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (
        error["code"].as_i64().unwrap(),
        text(&error["data"]["code"]),
        text(&error["message"]),
    )
}

async fn funded(folder: &Path, more: &[&str]) -> NodeProcess {
    let node = NodeProcess::start(folder, more);
    node.until("deposits", |chain| chain["accepted"] != "0")
        .await;
    node
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_is_shown_to_a_node_with_a_policy_and_judged_as_a_whole() {
    let folder = folder(1, 1_000_000);
    let policy = folder.path().join("bundles.toml");
    let text = format!("tokens = [0]\nrecipients = [\"{FRIEND}\"]\n");
    std::fs::write(&policy, text).unwrap();
    let named = policy.display().to_string();
    let node = funded(folder.path(), &["--bundle-policy", &named]).await;

    let good = bundle(FRIEND);
    let bad = bundle(Address::repeat_byte(0xf2));
    let (code_, name, message) = refused(&node, json!([order(&good, 0)])).await;
    assert_eq!(
        (code_, name.as_str()),
        (code::REFUSED.into(), "bundle_unseen")
    );
    assert!(message.contains("second parameter"), "{message}");
    let (_, name, message) = refused(&node, json!([order(&bad, 0), encoded(&bad)])).await;
    assert_eq!(name, "bundle_recipient");
    assert!(
        message.contains("call 0 to 0x") && message.contains("is paid"),
        "{message}"
    );
    // Another bundle than the one that was signed does not help.
    let (_, name, _) = refused(&node, json!([order(&bad, 0), encoded(&good)])).await;
    assert_eq!(name, "bundle_hash");
    for params in [
        json!([order(&good, 0), encoded(&good), encoded(&good)]),
        json!([order(&good, 0), "0xzz"]),
        json!([order(&good, 0), 5]),
        json!([]),
    ] {
        let (code_, name, message) = refused(&node, params).await;
        assert_eq!(
            (code_, name.as_str()),
            (code::PARAMETERS.into(), "parameters"),
            "{message}"
        );
    }
    let receipt = node
        .ask(
            "carillon_sendOperation",
            json!([order(&good, 0), encoded(&good)]),
        )
        .await;
    assert!(receipt["id"].is_string(), "{receipt}");
    // What makes no bundle is as it was.
    let (_, other) = transfer(0, 0, 10, 1);
    node.ask("carillon_sendOperation", json!([other])).await;
    assert_eq!(node.terminate(), Some(0));

    // From the configuration file; `bundle send` shows the bundle by itself, and tells the refusal.
    let config = folder.path().join("node.toml");
    std::fs::write(&config, format!("[run]\nbundle_policy = \"{named}\"\n")).unwrap();
    let config = config.display().to_string();
    let node = funded(folder.path(), &["--config", &config]).await;
    let key = secret_file(&folder.path().join("key"), &hex::encode([1u8; 32]));
    // A tip that nothing can pay is refused by the command itself.
    let generous = good.clone().tipping(101);
    for (bundle, reason) in [
        (&generous, "a tip of 101 cannot be paid out of 100"),
        (&bad, "recipients of the chain's policy"),
        (&good, ""),
    ] {
        let file = folder.path().join("bundle.json");
        let calls = json!([{ "target": bundle.calls[0].target, "value": "5", "data": "0x" }]);
        let json = json!({
            "chain_id": CHAIN, "l1_chain_id": 1, "handler": bundle.handler, "owner": bundle.owner,
            "deadline": bundle.deadline, "gas_limit": 500_000, "calls": calls, "return": null,
            "tip": bundle.tip.to_string(),
        });
        std::fs::write(&file, json.to_string()).unwrap();
        let mut command = binary();
        command
            .args([
                "bundle", "send", "--url", &node.rpc, "--from", "1", "--fee", "1",
            ])
            .args(["--amount", "100", "--key"])
            .arg(&key)
            .arg("--bundle")
            .arg(&file);
        let output = command.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.success(), reason.is_empty(), "{told}");
        assert!(told.contains(reason), "{told}");
        let by_node = told.contains("the node refused");
        assert_eq!(by_node, bundle == &bad, "{told}");
    }
    assert_eq!(node.terminate(), Some(0));

    // A file that is no policy stops the start, before anything is opened.
    std::fs::write(&policy, "recipients = 5").unwrap();
    let output = binary()
        .args(run_arguments(folder.path()))
        .env("CARILLON_BUNDLE_POLICY", &policy)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("the policy of bundles"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_policy_everything_is_allowed_that_could_run() {
    let folder = folder(1, 1_000_000);
    let node = funded(folder.path(), &[]).await;
    let stranger = bundle(Address::repeat_byte(0xf2));
    node.ask("carillon_sendOperation", json!([order(&stranger, 0)]))
        .await;
    node.ask(
        "carillon_sendOperation",
        json!([order(&stranger, 1), encoded(&stranger)]),
    )
    .await;
    // A tip that nothing can pay is seen if the bundle is shown.
    let generous = stranger.tipping(101);
    let params = json!([order(&generous, 2), encoded(&generous)]);
    let (_, name, message) = refused(&node, params).await;
    assert_eq!(name, "bundle_form");
    assert!(message.contains("a tip of 101"), "{message}");
}
