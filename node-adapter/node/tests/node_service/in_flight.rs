//! Several proofs at once: how many a node and a prover have under way, and what is said of them.

use serde_json::{Value, json};

use crate::watching::{scrape, value};
use crate::{NodeProcess, api_arguments, binary, event, folder, run_to_end};

const TOKEN: &str = "0123456789abcdef0123";

/// The gauge of the proofs under way here or elsewhere.
async fn in_flight(node: &NodeProcess, prover: &str) -> (Option<f64>, Option<f64>) {
    let text = reqwest::get(format!("{}/metrics", node.rpc)).await.unwrap();
    let scraped = scrape(&text.text().await.unwrap());
    (
        value(
            &scraped,
            "carillon_proofs_in_flight",
            Some(("prover", prover)),
        ),
        value(&scraped, "carillon_proof_places", None),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_on_a_card_proves_two_batches_at_once() {
    // Six deposits, two a batch.
    let folder = folder(6, 1000);
    let mut arguments = api_arguments(folder.path());
    arguments.extend(["--engine", "sim:model"].map(str::to_owned));
    let mut node = NodeProcess::with(arguments);
    let (mut leased, mut proved) = (Vec::new(), 0);
    while proved < 3 {
        let event = event(&mut node.lines);
        assert_ne!(event["event"], "lost", "{event}");
        match event["event"].as_str() {
            Some("leased") => leased.push((event["job"].clone(), event["under_way"].clone())),
            Some("batch_proved") => proved += 1,
            _ => {}
        }
    }
    // As many as the engine works on: the third waits for a place.
    let numbers = |(job, under_way): &(Value, Value)| (job.as_u64(), under_way.as_u64());
    let leased: Vec<_> = leased.iter().map(numbers).collect();
    assert_eq!(leased[0], (Some(1), Some(1)));
    assert_eq!(leased[1], (Some(2), Some(2)));
    assert_eq!(leased[2].0, Some(3));
    assert!(leased[2].1 <= Some(2), "{leased:?}");
    let chain = node.until("proved", |chain| chain["reached"]["proved"] == 3);
    let chain = chain.await;
    assert_eq!(
        chain["proving"],
        json!({ "in_flight": [], "places": 2 }),
        "{chain}"
    );
    assert_eq!(in_flight(&node, "in_process").await, (Some(0.0), Some(2.0)));
    assert_eq!(node.terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn proofs_in_flight_are_shown_with_their_provers() {
    let folder = folder(6, 1000);
    let node = NodeProcess::with(api_arguments(folder.path()));
    node.until("sealed", |chain| chain["batch"].as_u64() >= Some(3))
        .await;
    let (http, api) = (reqwest::Client::new(), node.api.clone().unwrap());
    let route = |route: &str| format!("{api}/prover-jobs/v1/G16/{route}");
    let key = loop {
        let status = http.get(route("status")).bearer_auth(TOKEN).send().await;
        let text = status.unwrap().text().await.unwrap();
        let status: Value = serde_json::from_str(&text).unwrap();
        if status["open"] == 3 {
            break status["jobs"][0]["vk_hash"].as_str().unwrap().to_owned();
        }
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    };
    for id in ["one", "two"] {
        let pick = route(&format!("pick?id={id}&supported_vk_hashes={key}"));
        let picked = http.post(pick).bearer_auth(TOKEN).send().await.unwrap();
        assert_eq!(picked.status(), 200);
    }
    let chain = node.ask("carillon_chain", json!([])).await;
    let both = json!([
        { "batch": 1, "prover": "elsewhere" },
        { "batch": 2, "prover": "elsewhere" },
    ]);
    assert_eq!(
        chain["proving"],
        json!({ "in_flight": both, "places": null })
    );
    assert_eq!(in_flight(&node, "elsewhere").await, (Some(2.0), Some(0.0)));
    assert_eq!(in_flight(&node, "in_process").await.0, Some(0.0));
    let status = binary().args(["status", "--url", &node.rpc]).output();
    let text = String::from_utf8_lossy(&status.unwrap().stdout).into_owned();
    let line =
        "2 in flight (batch 1 elsewhere, batch 2 elsewhere); none proved in the node's process";
    assert!(text.contains(line), "{text}");

    // A prover with places for more takes what is left, and what it shows names the batch.
    let tokens = folder.path().join("tokens").display().to_string();
    let api = node.api.clone().unwrap();
    let prover = ["prover", "--engine", "cpu", "--url", &api, "--jobs", "1"];
    let places = ["--token-file", &tokens, "--proofs-at-once", "3"];
    let output = binary().args(prover).args(places).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let shown = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}{shown}");
    assert!(said.contains("batch 3: leased\n"), "{said}");
    assert!(said.contains("batch 3: proved in"), "{said}");
    assert!(shown.contains("  batch 3, verify: "), "{shown}");
    assert_eq!(node.terminate(), Some(0));
}

/// Wherever the number is given, one that cannot be is refused before anything is opened.
#[test]
fn places_that_cannot_be_are_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data").display().to_string();
    let config = folder.path().join("node.toml");
    let text = "[run]\nproofs_at_once = 0\n[prover]\nproofs_at_once = 0\n";
    std::fs::write(&config, text).unwrap();
    let config = config.display().to_string();
    let run = ["run", "--data-dir", &data];
    let prover = [
        "prover",
        "--url",
        "http://127.0.0.1:1",
        "--token-file",
        "none",
    ];
    for (command, more, reason) in [
        (&run[..], &["--proofs-at-once", "0"][..], "1 or more"),
        (&run, &["--config", &config], "1 or more"),
        (
            &run,
            &["--proofs-at-once", "17"],
            "more than the 16 leases that a prover may hold",
        ),
        (
            &run,
            &["--proofs-at-once", "3", "--leases-per-token", "2"],
            "more than the 2 leases",
        ),
        (&prover, &["--proofs-at-once", "0"], "1 or more"),
        (&prover, &["--config", &config], "1 or more"),
        // What may be is not what is refused.
        (&prover, &["--proofs-at-once", "17"], "none"),
    ] {
        let arguments = [command, more].concat();
        let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        let (exit, error) = run_to_end(&arguments);
        let message = error["message"].as_str().unwrap();
        assert_eq!(exit, Some(4), "{error}");
        assert!(message.contains(reason), "{message}");
    }
    for command in [&run[..], &prover] {
        let mut command = {
            let mut binary = binary();
            binary.args(command).arg("--json");
            binary
        };
        let output = command.env("CARILLON_PROOFS_AT_ONCE", "0").output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(4));
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 or more"));
    }
    assert!(!std::path::Path::new(&data).exists());
}
