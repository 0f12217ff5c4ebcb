//! What a node says of itself: events, status, probes, metrics, fees, and what browsers may ask.

use std::process::Stdio;

use carillon_node::code;
use carillon_protocol::ledger::State;
use prometheus_parse::{Scrape, Value as Sample};
use serde_json::{Value, json};

use crate::{
    NodeProcess, api_arguments, ask, binary, folder, hex0x, owner, run_to_end, secret_file,
    transfer, user,
};

/// Metrics that must be there from the start.
const SERIES: [(&str, &[(&str, &str)]); 16] = [
    ("carillon_node_up", &[]),
    ("carillon_node_ready", &[]),
    ("carillon_operations_accepted", &[]),
    ("carillon_operations_open", &[]),
    (
        "carillon_batch",
        &[("reached", "sealed"), ("reached", "final")],
    ),
    ("carillon_queue_entries", &[("reached", "executed")]),
    (
        "carillon_prover_jobs",
        &[("state", "open"), ("state", "leased")],
    ),
    ("carillon_prover_leases_failed", &[]),
    (
        "carillon_proofs_in_flight",
        &[("prover", "in_process"), ("prover", "elsewhere")],
    ),
    ("carillon_proof_places", &[]),
    (
        "carillon_l1_failures_in_a_row",
        &[("part", "queue"), ("part", "settlement")],
    ),
    ("carillon_l1_head_block", &[]),
    ("carillon_l1_head_age_seconds", &[]),
    (
        "carillon_connections",
        &[("server", "rpc"), ("server", "prover_api")],
    ),
    (
        "carillon_connections_dropped_total",
        &[("server", "prover_api")],
    ),
    ("carillon_requests_total", &[("server", "rpc")]),
];

/// Reads the text as Prometheus would, by a parser that is not ours; also by promtool if it is there.
pub fn scrape(text: &str) -> Scrape {
    let lines = text.lines().map(|line| Ok(line.to_owned()));
    let scrape = Scrape::parse(lines).unwrap();
    for sample in &scrape.samples {
        assert!(
            scrape.docs.contains_key(&sample.metric),
            "{}",
            sample.metric
        );
        let known = matches!(sample.value, Sample::Counter(_) | Sample::Gauge(_));
        assert!(known, "{sample:?} has no type");
    }
    let promtool = std::process::Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .spawn();
    if let Ok(mut promtool) = promtool {
        use std::io::Write;
        let mut input = promtool.stdin.take().unwrap();
        input.write_all(text.as_bytes()).unwrap();
        drop(input);
        assert!(promtool.wait().unwrap().success());
    }
    scrape
}

pub fn value(scrape: &Scrape, name: &str, label: Option<(&str, &str)>) -> Option<f64> {
    let found = scrape.samples.iter().find(|sample| {
        let labelled = |(key, value)| sample.labels.get(key) == Some(value);
        sample.metric == name && label.is_none_or(labelled)
    });
    match found?.value {
        Sample::Counter(value) | Sample::Gauge(value) => Some(value),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_metrics_and_browsers_are_answered() {
    let folder = folder(2, 1000);
    let node = NodeProcess::with(api_arguments(folder.path()));
    let http = reqwest::Client::new();
    let get = |url: String| http.get(url).send();

    let text = get(format!("{}/metrics", node.rpc)).await.unwrap();
    let kind = text.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    let first = scrape(&text.text().await.unwrap());
    for (name, labels) in SERIES {
        assert!(value(&first, name, None).is_some(), "{name}");
        for label in labels {
            assert!(
                value(&first, name, Some(*label)).is_some(),
                "{name} {label:?}"
            );
        }
    }
    node.until("deposits", |chain| chain["accepted"] == "2")
        .await;
    let text = get(format!("{}/metrics", node.rpc)).await.unwrap();
    let later = scrape(&text.text().await.unwrap());
    assert_eq!(
        value(&later, "carillon_operations_accepted", None),
        Some(2.0)
    );
    let requests = |scrape| value(scrape, "carillon_requests_total", Some(("server", "rpc")));
    assert!(requests(&later) > requests(&first));

    let api = node.api.clone().unwrap();
    for (url, token, status) in [
        (format!("{}/health", node.rpc), false, 200),
        (format!("{}/ready", node.rpc), false, 200),
        (format!("{api}/health"), false, 200),
        (format!("{api}/ready"), false, 200),
        (format!("{api}/metrics"), false, 401),
        (format!("{api}/metrics"), true, 200),
    ] {
        let mut request = http.get(&url);
        if token {
            request = request.bearer_auth("0123456789abcdef0123");
        }
        assert_eq!(request.send().await.unwrap().status(), status, "{url}");
    }

    // A page of another origin asks first whether it may, then asks.
    let asked = |method: reqwest::Method, body: &str| {
        http.request(method, &node.rpc)
            .header("origin", "https://wallet.example")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type")
            .header("content-type", "application/json")
            .body(body.to_owned())
            .send()
    };
    let question = r#"{"jsonrpc":"2.0","id":1,"method":"carillon_chain","params":[]}"#;
    let preflight = asked(reqwest::Method::OPTIONS, "").await.unwrap();
    assert_eq!(preflight.status(), 200);
    assert_eq!(preflight.headers()["access-control-allow-origin"], "*");
    let allowed = |name: &str| preflight.headers()[name].to_str().unwrap().to_lowercase();
    assert!(allowed("access-control-allow-methods").contains("post"));
    assert!(allowed("access-control-allow-headers").contains("content-type"));
    let answer = asked(reqwest::Method::POST, question).await.unwrap();
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
    assert!(
        answer
            .text()
            .await
            .unwrap()
            .contains("\"chain_id\":\"270\"")
    );
    assert_eq!(node.terminate(), Some(0));

    // One origin only.
    let mut arguments = api_arguments(folder.path());
    arguments.extend(["--origin", "https://wallet.example"].map(str::to_owned));
    let node = NodeProcess::with(arguments);
    let from = |origin: &str| {
        let request = http
            .post(&node.rpc)
            .header("content-type", "application/json");
        request.header("origin", origin).body(question).send()
    };
    let known = from("https://wallet.example").await.unwrap();
    let allowed = &known.headers()["access-control-allow-origin"];
    assert_eq!(allowed, "https://wallet.example");
    let stranger = from("https://other.example").await.unwrap();
    assert!(
        !stranger
            .headers()
            .contains_key("access-control-allow-origin")
    );
    assert_eq!(node.terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_status_and_logs_say_what_happens_and_what_is_waited_for() {
    let folder = folder(2, 1000);
    let mut node = NodeProcess::start(folder.path(), &["--seal-after-ms", "200"]);
    let queue = node.next_event();
    assert_eq!(
        (&queue["event"], &queue["deposits"]),
        (&json!("queue"), &json!(2))
    );
    let sealed = node.next_event();
    assert_eq!(
        (&sealed["event"], &sealed["operations"]),
        (&json!("sealed"), &json!(2))
    );
    assert_eq!(sealed["schema"], "carillon.run.event/1");

    let (_, sent) = transfer(0, 2, 300, 0);
    let receipt = node.ask("carillon_sendOperation", json!([sent])).await;
    let chain = node.until("sealed", |chain| chain["batch"] == 2).await;
    let waits: Vec<&Value> = chain["waits_for"].as_array().unwrap().iter().collect();
    assert_eq!(waits[0]["part"], "proof", "{chain}");
    assert!(
        waits[0]["reason"]
            .as_str()
            .unwrap()
            .contains("nobody can prove it"),
        "{chain}"
    );
    assert_eq!(
        (&chain["ready"], &chain["reached"]["proved"]),
        (&json!(true), &json!(0))
    );

    // An operation has its content, of users and of the queue, and a batch its operations.
    let found = node
        .ask("carillon_getOperation", json!([receipt["id"]]))
        .await;
    assert_eq!(found["operation"], sent);
    assert_eq!(
        (&found["batch"], &found["transaction"]),
        (&json!(2), &Value::Null)
    );
    let batch = node.ask("carillon_getBatch", json!([2])).await;
    assert_eq!(batch["operation_ids"], json!([receipt["id"]]));
    assert_eq!(batch["transaction"], Value::Null);
    let first = node.ask("carillon_getBatch", json!([1])).await;
    let genesis = hex0x(&State::genesis(4).root().to_bytes_be());
    assert_eq!(
        (&first["old_root"], &chain["root"]),
        (&json!(genesis), &batch["new_root"])
    );
    let id = &first["operation_ids"][1];
    let deposit = node.ask("carillon_getOperation", json!([id])).await["operation"].clone();
    let key = hex0x(&user(1).public().to_bytes());
    assert_eq!(
        (&deposit["kind"], &deposit["amount"]),
        (&json!("deposit"), &json!("1000"))
    );
    assert_eq!(
        (&deposit["owner"], &deposit["key"]),
        (&json!(hex0x(&owner(1))), &json!(key))
    );
    assert_eq!(
        (&deposit["queue_index"], &deposit["account"]),
        (&json!("1"), &json!(2))
    );

    let arguments = ["status", "--url", &node.rpc].map(str::to_owned);
    let (exit, status) = run_to_end(&arguments);
    assert_eq!(
        (exit, &status["schema"]),
        (Some(0), &json!("carillon.status/1"))
    );
    assert_eq!(status["chain"]["batch"], 2);
    let text = binary().args(&arguments).output().unwrap();
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(
        text.contains("2 sealed, 0 proved") && text.contains("waits: proof"),
        "{text}"
    );
    let log = node.terminate_and_log();
    // The default level tells what is done, without colours: this is no terminal.
    assert!(log.contains("INFO") && log.contains("sealed"), "{log}");
    assert!(!log.contains('\u{1b}'), "{log}");
    let (exit, gone) = run_to_end(&arguments);
    assert_eq!(exit, Some(3), "{gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_pay_the_least_fee_and_dust_makes_no_batches() {
    let folder = folder(2, 10u128.pow(18));
    let more = ["--seal-after-ms", "100", "--base-fee", "1000000000"];
    let node = NodeProcess::start(folder.path(), &more);
    node.until("deposits", |chain| {
        chain["batch"] == 1 && chain["open"] == 0
    })
    .await;
    let fees = node.ask("carillon_fees", json!([])).await;
    assert_eq!(
        (&fees["asked"], &fees["base_fee"]),
        (&json!(true), &json!("1000000000"))
    );
    // 16 slots and 16 records, a quarter filled: 340,600 gwei / 4 * 1.25, and 11,460 gwei a record.
    assert_eq!(fees["tokens"]["0"]["transfer"], "106500000000000");
    assert_eq!(fees["tokens"]["0"]["withdraw"], "120800000000000");

    // What costs more than it pays is refused, with what would do.
    let (_, free) = transfer(0, 2, 10, 0);
    let error = ask(&node.rpc, "carillon_sendOperation", json!([free]))
        .await
        .unwrap_err();
    assert_eq!(
        (&error["code"], &error["data"]["code"]),
        (&json!(code::REFUSED), &json!("fee"))
    );
    assert_eq!(error["data"]["needed"], "106500000000000");
    let withdraw = |nonce: u32| {
        json!({
            "kind": "withdraw", "from": 1, "token": 0, "amount": "1", "fee": "0", "nonce": nonce,
            "recipient": hex0x(&[9; 20]), "signature": hex0x(&[1; 64]),
        })
    };
    for nonce in 0..40 {
        let sent = ask(
            &node.rpc,
            "carillon_sendOperation",
            json!([withdraw(nonce)]),
        )
        .await;
        assert_eq!(sent.unwrap_err()["data"]["code"], "fee");
    }
    let chain = node.ask("carillon_chain", json!([])).await;
    assert_eq!(
        (&chain["batch"], &chain["open"]),
        (&json!(1), &json!(0)),
        "{chain}"
    );

    // `send` pays what is asked for.
    let key = secret_file(&folder.path().join("key"), &hex::encode([1u8; 32]));
    let key = key.display().to_string();
    let recipient = hex0x(&[9; 20]);
    let send = [
        "send",
        "withdraw",
        "--url",
        &node.rpc,
        "--key",
        &key,
        "--from",
        "1",
        "--amount",
        "5",
        "--recipient",
        &recipient,
    ];
    let (exit, sent) = run_to_end(&send.map(str::to_owned));
    assert_eq!(
        (exit, &sent["fee"]),
        (Some(0), &json!("120800000000000")),
        "{sent}"
    );
    // A token without a price pays no fees.
    let in_token = [&send[..], &["--token", "7"]].concat();
    let in_token: Vec<String> = in_token.into_iter().map(str::to_owned).collect();
    let (exit, error) = run_to_end(&in_token);
    assert_eq!(exit, Some(4), "{error}");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("names no fee in token 7"),
        "{error}"
    );
    assert_eq!(node.terminate(), Some(0));
}
