//! The sequencer as a service: the real binary killed under load and started again, JSON-RPC over
//! HTTP and WebSocket, wrong inputs, one node a folder, and a batch proved by a second process.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bundles;
mod hostile;
mod in_flight;
mod watching;
mod websocket;

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use blstrs::Scalar;
use carillon_node::{
    Machine, QueueEntry, Receipt, Rollup, RollupOptions, Store, Writer, WriterOptions, code,
};
use carillon_protocol::crypto::schnorr::{PublicKey, SecretKey};
use carillon_protocol::ledger::State;
use carillon_protocol::{Domain, Kind, Operation, owner_word};
use serde_json::{Value, json};

const CHAIN: u64 = 270;

fn domain() -> Domain {
    Domain::local(CHAIN)
}

/// The secret key of a user.
fn user(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number + 1; 32])
}

/// The owner's address of a user.
fn owner(number: u8) -> [u8; 20] {
    [number + 1; 20]
}

/// A folder with a queue file that gives each of `users` an account with this balance.
fn folder(users: u8, balance: u128) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let deposits: Vec<Value> = (0..users)
        .map(|number| {
            json!({
                "kind": "deposit", "token": 0, "amount": balance.to_string(),
                "owner": hex0x(&owner(number)), "key": hex0x(&user(number).public().to_bytes()),
            })
        })
        .collect();
    let path = folder.path().join("queue.json");
    std::fs::write(path, serde_json::to_string(&deposits).unwrap()).unwrap();
    folder
}

fn hex0x(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_carillon-node"));
    for variable in [
        "CARILLON_ENGINE",
        "CARILLON_NODE_CONFIG",
        "CARILLON_DATA_DIR",
        "CARILLON_L1",
        "CARILLON_CHAIN",
        "CARILLON_RPC",
        "CARILLON_BUNDLE_POLICY",
        "CARILLON_PROOFS_AT_ONCE",
    ] {
        command.env_remove(variable);
    }
    let scratch = |name| Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    command
        .env("XDG_CONFIG_HOME", scratch("no-configuration"))
        .env("CARILLON_KEY_DIR", scratch("keys"))
        .stdin(Stdio::null());
    command
}

/// The arguments of a node on a folder, with small batches over a small tree.
fn run_arguments(folder: &Path) -> Vec<String> {
    let path = |name: &str| folder.join(name).display().to_string();
    [
        "run",
        "--json",
        "--rpc",
        "127.0.0.1:0",
        "--chain-id",
        "270",
        "--depth",
        "4",
        "--slots",
        "16",
        "--cells",
        "16",
        "--records",
        "16",
        "--data-dir",
    ]
    .into_iter()
    .map(str::to_owned)
    .chain([path("data"), "--dev-queue".into(), path("queue.json")])
    .collect()
}

/// The options that these arguments stand for.
fn rollup_options() -> RollupOptions {
    RollupOptions::new(CHAIN, 0, 16, 16, 16, 4).unwrap()
}

/// A node in a process of its own. It is killed when dropped.
struct NodeProcess {
    child: Child,
    rpc: String,
    api: Option<String>,
    lines: BufReader<ChildStdout>,
    log: Option<std::thread::JoinHandle<String>>,
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl NodeProcess {
    fn start(folder: &Path, more: &[&str]) -> Self {
        let more = more.iter().map(|text| (*text).to_owned());
        Self::with(run_arguments(folder).into_iter().chain(more).collect())
    }

    fn with(arguments: Vec<String>) -> Self {
        let mut command = binary();
        command.args(arguments);
        Self::spawn(command)
    }

    /// With so many descriptors and no way to get more.
    fn limited(arguments: Vec<String>, descriptors: u32) -> Self {
        let inner = binary();
        let mut command = Command::new("sh");
        let script = format!("ulimit -n {descriptors} && exec \"$@\"");
        command.args(["-c", &script, "sh"]).arg(inner.get_program());
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.args(arguments).stdin(Stdio::null());
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Read all the time, so that the node never waits for us.
        let mut errors = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut log = Vec::new();
            let _ = errors.read_to_end(&mut log);
            String::from_utf8_lossy(&log).into_owned()
        });
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let first = event(&mut lines);
        assert_eq!(first["event"], "serving", "{first}");
        Self {
            rpc: first["rpc"].as_str().unwrap().to_owned(),
            api: first["prover_api"].as_str().map(str::to_owned),
            child,
            lines,
            log: Some(log),
        }
    }

    /// The next line of its output.
    fn next_event(&mut self) -> Value {
        event(&mut self.lines)
    }

    /// Ends it, and returns what it wrote to standard error.
    fn terminate_and_log(mut self) -> String {
        let log = self.log.take().unwrap();
        assert_eq!(self.terminate(), Some(0));
        log.join().unwrap()
    }

    /// SIGKILL: no handler, no farewell.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and the exit code.
    fn terminate(mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(sent.success());
        while event(&mut self.lines)["event"] != "stopped" {}
        self.child.wait().unwrap().code()
    }

    async fn ask(&self, method: &str, params: Value) -> Value {
        ask(&self.rpc, method, params).await.unwrap()
    }

    /// Waits until something holds, for a minute at most.
    async fn until(&self, what: &str, mut holds: impl FnMut(&Value) -> bool) -> Value {
        let started = Instant::now();
        loop {
            let chain = self.ask("carillon_chain", json!([])).await;
            if holds(&chain) {
                return chain;
            }
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "{what}: {chain}"
            );
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }
}

/// The next line of a process's standard output, as JSON.
fn event(lines: &mut BufReader<ChildStdout>) -> Value {
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
}

/// Asks over HTTP; `None` when nobody answers, the error object as `Err`'s content in `error`.
async fn post(url: &str, body: &Value) -> Option<Value> {
    let http = reqwest::Client::builder()
        .timeout(Duration::from_secs(20))
        .build()
        .unwrap();
    http.post(url)
        .json(body)
        .send()
        .await
        .ok()?
        .json()
        .await
        .ok()
}

async fn ask(url: &str, method: &str, params: Value) -> Result<Value, Value> {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let answer = post(url, &body).await;
    let mut answer = answer.ok_or(Value::Null)?;
    match answer.get("error") {
        Some(error) => Err(error.clone()),
        None => Ok(answer["result"].take()),
    }
}

/// A signed transfer of user `number`, whose account is the one after the operator's.
fn transfer(number: u8, to: u32, amount: u128, nonce: u32) -> (Operation, Value) {
    let operation = Operation::transfer(u32::from(number) + 1, to, 0, amount, 1, nonce.into());
    let operation = operation
        .sign(&user(number), domain(), &owner(number))
        .unwrap();
    let json = json!({
        "kind": "transfer", "from": operation.from, "to": to, "token": 0,
        "amount": amount.to_string(), "fee": "1", "nonce": nonce,
        "signature": hex0x(&operation.signature),
    });
    (operation, json)
}

/// Executes the whole log of a stopped node from the empty state and compares every root.
fn replay_from_genesis(folder: &Path) -> u64 {
    let options = rollup_options();
    let store = Store::open(&folder.join("data"), &options.mark()).unwrap();
    let mut rollup = Rollup::new(&options);
    let rows = store.batches(1).unwrap();
    for row in &rows {
        for (sequence, bytes) in store.log(row.first..row.end).unwrap() {
            let operation = rollup.decode(&bytes).unwrap();
            // With its signature: what was acknowledged was signed.
            let ticket = (operation.kind.is_signed()).then(|| rollup.check(&operation).unwrap());
            rollup
                .execute(&operation, ticket)
                .unwrap_or_else(|error| panic!("{sequence}: {error}"));
        }
        let sealed = rollup.seal().unwrap();
        assert_eq!(sealed.new_root, row.new_root, "batch {}", row.number);
        assert_eq!(sealed.public_inputs, row.public_inputs);
    }
    rows.len() as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_under_load_nothing_acknowledged_is_lost() {
    const USERS: u8 = 6;
    let folder = folder(USERS, 1_000_000);
    let mut next = [0u32; USERS as usize];
    let mut acknowledged: Vec<(u8, u32, [u8; 32])> = Vec::new();
    for round in 0..3 {
        let node = NodeProcess::start(folder.path(), &["--seal-after-ms", "300"]);
        node.until("deposits", |chain| {
            chain["accepted"].as_str().unwrap().parse::<u64>().unwrap() >= u64::from(USERS)
        })
        .await;
        // What was in flight when the last node was killed may or may not have been accepted.
        for number in 0..USERS {
            let account = node.ask("carillon_getAccount", json!([number + 1])).await;
            let nonce = u32::try_from(account["nonce"].as_u64().unwrap()).unwrap();
            let known = next[usize::from(number)];
            assert!(
                nonce == known || nonce == known + 1,
                "user {number}: {nonce}, {known}"
            );
            next[usize::from(number)] = nonce;
        }
        for (number, nonce, id) in &acknowledged {
            let found = node.ask("carillon_getOperation", json!([hex0x(id)])).await;
            assert_eq!(found["id"], hex0x(id), "user {number}, nonce {nonce}");
        }
        if round == 2 {
            // The last run ends by itself, with everything in a batch.
            let accepted = node.until("sealed", |chain| chain["open"] == 0).await;
            assert_ne!(accepted["root"], "");
            assert_eq!(node.terminate(), Some(0));
            break;
        }
        let count = Arc::new(AtomicUsize::new(0));
        let clients = (0..USERS).map(|number| {
            let count = Arc::clone(&count);
            let (url, mut nonce) = (node.rpc.clone(), next[usize::from(number)]);
            tokio::spawn(async move {
                let mut done = Vec::new();
                loop {
                    let to = u32::from((number + 1) % USERS) + 1;
                    let (operation, json) = transfer(number, to, 10, nonce);
                    match ask(&url, "carillon_sendOperation", json!([json])).await {
                        Ok(receipt) => {
                            let receipt: Receipt = serde_json::from_value(receipt).unwrap();
                            assert_eq!(receipt.id, operation.id(domain()));
                            done.push((number, nonce, receipt.id));
                            count.fetch_add(1, Ordering::SeqCst);
                            nonce += 1;
                        }
                        // Killed.
                        Err(Value::Null) => return done,
                        Err(error) if error["code"] == code::BUSY => {}
                        Err(error) => panic!("user {number}, nonce {nonce}: {error}"),
                    }
                }
            })
        });
        let clients: Vec<_> = clients.collect();
        // In the middle of it, however fast this machine is today.
        let started = Instant::now();
        while count.load(Ordering::SeqCst) < 40 {
            assert!(started.elapsed() < Duration::from_secs(120), "too slow");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        node.kill();
        for client in clients {
            for (number, nonce, id) in client.await.unwrap() {
                next[usize::from(number)] = nonce + 1;
                acknowledged.push((number, nonce, id));
            }
        }
    }
    assert!(acknowledged.len() >= 80);
    assert!(replay_from_genesis(folder.path()) > 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn rpc_answers_over_http_and_websocket_and_refuses_with_reasons() {
    let folder = folder(2, 1000);
    let node = NodeProcess::start(folder.path(), &["--seal-after-ms", "500"]);
    let chain = node
        .until("deposits", |chain| chain["accepted"] == "2")
        .await;
    assert_eq!(chain["chain_id"], "270");
    assert!(chain["l1"].as_str().unwrap().contains("nothing is settled"));
    let account = node.ask("carillon_getAccount", json!([1])).await;
    assert_eq!(account["balances"]["0"], "1000");
    assert_eq!(account["owner"], hex0x(&owner(0)));
    assert_eq!(account["key"], hex0x(&user(0).public().to_bytes()));

    let key = hex0x(&user(1).public().to_bytes());
    for name in [hex0x(&owner(1)), key] {
        let found = node.ask("carillon_findAccount", json!([name])).await;
        assert_eq!(found["accounts"][0]["index"], 2, "{found}");
        assert_eq!(
            (found["accounts"].as_array().unwrap().len(), &found["next"]),
            (1, &Value::Null)
        );
        let found = node.ask("carillon_findAccount", json!([name, 3])).await;
        assert_eq!(found["accounts"], json!([]));
    }
    let nobody = node
        .ask("carillon_findAccount", json!([hex0x(&[0xee; 20])]))
        .await;
    assert_eq!(nobody["accounts"], json!([]));

    // A transfer: soft confirmation, then sealed.
    let (operation, json) = transfer(0, 2, 300, 0);
    let receipt = node.ask("carillon_sendOperation", json!([json])).await;
    assert_eq!(receipt["finality"], "soft");
    let receipt: Receipt = serde_json::from_value(receipt).unwrap();
    let mut bytes = [0; 32];
    let sequencer = chain["sequencer"].as_str().unwrap();
    hex::decode_to_slice(&sequencer[2..], &mut bytes).unwrap();
    receipt
        .verify(&PublicKey::from_bytes(&bytes).unwrap())
        .unwrap();
    let id = hex0x(&operation.id(domain()));
    let status = node.ask("carillon_getOperation", json!([id])).await;
    assert_eq!(status["sequence"], "2");
    for (index, balance) in [(1, "699"), (2, "1300"), (0, "1")] {
        let account = node.ask("carillon_getAccount", json!([index])).await;
        assert_eq!(account["balances"]["0"], balance, "account {index}");
    }
    node.until("sealed", |chain| chain["open"] == 0).await;
    let status = node.ask("carillon_getOperation", json!([id])).await;
    assert_eq!(status["status"], "sealed");
    let batch = node
        .ask("carillon_getBatch", json!([status["batch"]]))
        .await;
    assert_eq!(batch["status"], "sealed");
    assert_eq!(
        node.ask("carillon_getBatch", json!([])).await["number"],
        batch["number"]
    );
    let queue = node.ask("carillon_queue", json!([])).await;
    assert_eq!(
        (&queue["executed"], &queue["sealed"]),
        (&json!("2"), &json!("2"))
    );

    // Refusals, each with its code, its name, and nothing changed.
    let mut forged = transfer(0, 2, 1, 1).1;
    forged["amount"] = json!("2");
    let mut stranger = transfer(1, 1, 1, 0).1;
    stranger["from"] = json!(1);
    for (operation, number, name) in [
        (forged, code::REFUSED, "signature"),
        (stranger, code::REFUSED, "signature"),
        (transfer(0, 2, 1, 7).1, code::REFUSED, "nonce"),
        (transfer(0, 2, 10_000, 1).1, code::REFUSED, "funds"),
        (json, code::KNOWN, "known"),
        (
            json!({ "kind": "transfer" }),
            code::PARAMETERS,
            "parameters",
        ),
        (json!({ "kind": "deposit" }), code::PARAMETERS, "parameters"),
        (json!(7), code::PARAMETERS, "parameters"),
    ] {
        let sent = ask(&node.rpc, "carillon_sendOperation", json!([operation])).await;
        let error = sent.unwrap_err();
        assert_eq!(error["code"], number, "{error}");
        assert_eq!(error["data"]["code"], name, "{error}");
    }
    for (method, params, number) in [
        ("carillon_getAccount", json!([200]), code::NOT_FOUND),
        ("carillon_getAccount", json!(["one"]), code::PARAMETERS),
        ("carillon_findAccount", json!(["0x12"]), code::PARAMETERS),
        ("carillon_findAccount", json!([]), code::PARAMETERS),
        ("carillon_getBatch", json!([99]), code::NOT_FOUND),
        (
            "carillon_getOperation",
            json!([format!("0x{}", "00".repeat(32))]),
            code::NOT_FOUND,
        ),
        ("carillon_getOperation", json!(["0x12"]), code::PARAMETERS),
        ("carillon_nothing", json!([]), -32601),
    ] {
        let error = ask(&node.rpc, method, params).await.unwrap_err();
        assert_eq!(error["code"], number, "{method}: {error}");
        assert!(!error["message"].as_str().unwrap().is_empty());
    }
    let account = node.ask("carillon_getAccount", json!([1])).await;
    assert_eq!(
        (&account["balances"]["0"], &account["nonce"]),
        (&json!("699"), &json!(1))
    );
    let long = json!({ "jsonrpc": "2.0", "id": 1, "method": "carillon_chain", "params": [" ".repeat(300_000)] });
    let http = reqwest::Client::new();
    let answer = http.post(&node.rpc).json(&long).send().await.unwrap();
    assert_eq!(answer.status(), 413);

    // The same over a WebSocket.
    let request = json!({ "jsonrpc": "2.0", "id": 5, "method": "carillon_chain", "params": [] });
    let address = node.rpc.strip_prefix("http://").unwrap();
    let answer = websocket::ask(address, &request).await;
    assert_eq!(
        (&answer["id"], &answer["result"]["chain_id"]),
        (&json!(5), &json!("270"))
    );
    assert_eq!(node.terminate(), Some(0));
}

/// Runs the binary to its end with `--json`; returns exit code and what it printed.
fn run_to_end(arguments: &[String]) -> (Option<i32>, Value) {
    let mut command = binary();
    command.args(arguments);
    if !arguments.iter().any(|argument| argument == "--json") {
        command.arg("--json");
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let last = text.lines().last().unwrap_or_default();
    let value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {text:?}"));
    (output.status.code(), value)
}

/// L1 takes no owner for whom the tree has no account; a node that gets one all the same stays up,
/// says so, and serves those who are there, also after a restart.
#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_cannot_be_executed_ends_no_node() {
    // Four accounts, of which one is the operator's: the fourth deposit finds none.
    let folder = folder(5, 1000);
    let mut arguments = run_arguments(folder.path());
    let depth = arguments.iter().position(|argument| argument == "--depth");
    arguments[depth.unwrap() + 1] = "1".into();
    for (nonce, accepted) in [(0, "3"), (1, "4")] {
        let node = NodeProcess::with(arguments.clone());
        let started = Instant::now();
        let stuck = loop {
            let queue = node.ask("carillon_queue", json!([])).await;
            if let Some(reason) = queue["stuck"].as_str() {
                assert_eq!(queue["executed"], "3");
                break reason.to_owned();
            }
            assert!(started.elapsed() < Duration::from_secs(60), "{queue}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        };
        assert!(stuck.contains("entry 3 of the L1 queue"), "{stuck}");
        let chain = node.ask("carillon_chain", json!([])).await;
        assert_eq!(
            (&chain["accepted"], &chain["failed"]),
            (&json!(accepted), &Value::Null)
        );
        let (_, order) = transfer(0, 2, 10, nonce);
        let receipt = node.ask("carillon_sendOperation", json!([order])).await;
        assert_eq!(receipt["finality"], "soft", "{receipt}");
        node.kill();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_folder_one_node_and_send_signs_for_people() {
    let folder = folder(2, 1000);
    // Nothing is sealed here.
    let slow = ["--seal-after-ms", "3600000"];
    let node = NodeProcess::start(folder.path(), &slow);
    let chain = node
        .until("deposits", |chain| chain["accepted"] == "2")
        .await;
    // Before the first batch there is a root, too: that of the genesis.
    let genesis = hex0x(&State::genesis(4).root().to_bytes_be());
    assert_eq!(
        (&chain["batch"], &chain["root"]),
        (&json!(0), &json!(genesis))
    );

    let (exit, error) = run_to_end(&run_arguments(folder.path()));
    assert_eq!(exit, Some(3), "{error}");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("in use by another node"),
        "{error}"
    );

    let key = secret_file(&folder.path().join("key"), &hex::encode([1u8; 32]));
    let send = |arguments: &[&str]| {
        let key = key.display().to_string();
        let common = [
            "--url", &node.rpc, "--key", &key, "--from", "1", "--fee", "2",
        ];
        let (what, rest) = arguments.split_first().unwrap();
        let all = [&["send", what][..], &common, rest].concat();
        run_to_end(
            &all.iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>(),
        )
    };
    let (exit, sent) = send(&["transfer", "--to", "2", "--amount", "100"]);
    assert_eq!(exit, Some(0), "{sent}");
    assert_eq!(sent["receipt"]["finality"], "soft");
    let recipient = hex0x(&[9; 20]);
    let (exit, sent) = send(&["withdraw", "--amount", "50", "--recipient", &recipient]);
    assert_eq!(exit, Some(0), "{sent}");
    let account = node.ask("carillon_getAccount", json!([1])).await;
    assert_eq!(
        (&account["balances"]["0"], &account["nonce"]),
        (&json!("846"), &json!(2))
    );
    // Without --url the node is where the file says that `run` serves; the environment wins.
    let config = folder.path().join("status.toml");
    let served = node.rpc.trim_start_matches("http://");
    std::fs::write(&config, format!("[run]\nrpc = \"{served}\"\n")).unwrap();
    for command in [&["status"][..], &["account", "1"]] {
        let arguments = [command, &["--config", config.to_str().unwrap()]].concat();
        let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        let (exit, answer) = run_to_end(&arguments);
        assert_eq!(exit, Some(0), "{answer}");
        let mut elsewhere = binary();
        elsewhere.args(&arguments).arg("--json");
        let output = elsewhere.env("CARILLON_RPC", "http://127.0.0.1:1").output();
        assert_eq!(output.unwrap().status.code(), Some(3));
    }
    // A key that others can read is no secret.
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (exit, error) = send(&["transfer", "--to", "2", "--amount", "1"]);
    assert_eq!(exit, Some(4), "{error}");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("mode 644"), "{message}");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let new = secret_file(&folder.path().join("new-key"), &hex::encode([77u8; 32]));
    let (exit, sent) = send(&["set-key", "--new-key", new.to_str().unwrap()]);
    assert_eq!(exit, Some(0), "{sent}");
    // The old key signs no more.
    let (exit, error) = send(&["transfer", "--to", "2", "--amount", "100"]);
    assert_eq!(exit, Some(4), "{error}");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("is not that of account 1"),
        "{error}"
    );
    let (exit, error) = send(&["withdraw", "--amount", "50", "--recipient", "0x12"]);
    assert_eq!(exit, Some(4), "{error}");
    assert_eq!(node.terminate(), Some(0));

    // Another chain on the same folder, and inputs that make no node.
    let data = folder.path().join("data").display().to_string();
    let run = |more: &[&str]| {
        let all = [
            &["run", "--data-dir", &data, "--rpc", "127.0.0.1:0"][..],
            more,
        ]
        .concat();
        run_to_end(
            &all.iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>(),
        )
    };
    for (more, exit, reason) in [
        (
            &["--depth", "4", "--chain-id", "271"][..],
            4,
            "node.redb belongs to another chain: expected is chain id 271, found is chain id 270; start the node with --chain-id 270, or give it a folder of its own with --data-dir",
        ),
        (&["--prover-api", "127.0.0.1:0"][..], 4, "--prover-tokens"),
        (&["--slots", "0"][..], 4, "slots"),
        (&["--dev-queue", "no/such/file"][..], 4, "no/such/file"),
    ] {
        let (code, error) = run(more);
        assert_eq!(code, Some(exit), "{error}");
        assert!(
            error["message"].as_str().unwrap().contains(reason),
            "{error}"
        );
    }
    let url = "http://me:s3cr3t@127.0.0.1:1/s3cr3t";
    let (code, error) = run(&["--l1", url]);
    assert_eq!(code, Some(4), "{error}");
    assert!(
        error["message"].as_str().unwrap().contains("--chain"),
        "{error}"
    );
    let chain = hex0x(&[7; 20]);
    let (code, error) = run(&["--l1", url, "--chain", &chain]);
    assert_eq!(code, Some(4), "{error}");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("--operator-key"),
        "{error}"
    );
    // The environment names both for every command that takes them.
    for (command, found) in [
        ("run", "--operator-key"),
        ("resync", "eth_chainId"),
        ("keys verify", "cannot read the key folder"),
    ] {
        let output = binary()
            .args(command.split(' '))
            .arg("--json")
            .env("CARILLON_L1", "http://127.0.0.1:1")
            .env("CARILLON_CHAIN", &chain)
            .env("CARILLON_ARCHIVE", "/nowhere")
            .env("CARILLON_DATA_DIR", &data)
            .env("CARILLON_KEY_DIR", "/nowhere")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains(found), "{command}: {text}");
        assert!(!text.contains("--chain"), "{command}: {text}");
    }
    // The file can say the same; what is given wins. Nothing of the URL but its host is shown.
    let config = folder.path().join("node.toml");
    let settings = format!(
        "[run]\nl1 = \"{url}\"\nchain = \"{chain}\"\noperator_key = \"{}\"\nshape_number = 3\n\
         archive = \"/nowhere\"\nconfirmations = 2\nfrom_block = 5\nkey_dir = \"/nowhere\"\nengine = \"cpu\"\n",
        key.display()
    );
    std::fs::write(&config, settings).unwrap();
    let (code, error) = run(&["--config", config.to_str().unwrap()]);
    assert_eq!(code, Some(11), "{error}");
    let message = error["message"].as_str().unwrap();
    assert!(!message.contains("s3cr3t"), "{message}");
    assert!(message.contains("http://127.0.0.1:1"), "{message}");
    let wrong = "http://me:s3cr3t@nowhere:x/s3cr3t";
    let (code, error) = run(&["--config", config.to_str().unwrap(), "--l1", wrong]);
    assert_eq!(code, Some(4), "{error}");
    assert!(
        !error["message"].as_str().unwrap().contains("s3cr3t"),
        "{error}"
    );
    let help = binary()
        .args(["run", "--help"])
        .env("CARILLON_L1", url)
        .output()
        .unwrap();
    assert!(!String::from_utf8_lossy(&help.stdout).contains("s3cr3t"));
}

/// A file that only its owner can read.
fn secret_file(path: &Path, text: &str) -> PathBuf {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path.to_owned()
}

/// A token file that only its owner can read.
fn token_file(folder: &Path) -> PathBuf {
    secret_file(&folder.join("tokens"), "rack 0123456789abcdef0123\n")
}

/// One test at a time makes keys.
static MAKING: Mutex<()> = Mutex::new(());

/// The arguments of a node that serves provers, too, with the smallest batches; their key is made if
/// it is missing.
fn api_arguments(folder: &Path) -> Vec<String> {
    let shape = [
        "--slots",
        "2",
        "--cells",
        "3",
        "--records",
        "2",
        "--depth",
        "2",
    ];
    {
        let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        let make = [&["keys", "make"][..], &shape].concat();
        let make: Vec<String> = make.into_iter().map(str::to_owned).collect();
        let (exit, key) = run_to_end(&make);
        assert_eq!(exit, Some(0), "{key}");
    }
    let path = |name: &str| folder.join(name).display().to_string();
    let (data, queue) = (path("data"), path("queue.json"));
    let tokens = token_file(folder).display().to_string();
    let fixed = [
        "run",
        "--json",
        "--rpc",
        "127.0.0.1:0",
        "--prover-api",
        "127.0.0.1:0",
    ];
    let files = [
        "--data-dir",
        &data,
        "--dev-queue",
        &queue,
        "--prover-tokens",
        &tokens,
    ];
    let all = [&fixed[..], &files, &shape].concat();
    all.into_iter().map(str::to_owned).collect()
}

/// `run` makes no key and replaces none; it says how one is made, and that makes one.
fn prepare_key(folder: &Path, arguments: &[String]) {
    let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let keys = folder.join("own-keys");
    let with_keys = |keys: &Path| {
        let mut all = arguments.to_vec();
        all.extend(["--key-dir".into(), keys.display().to_string()]);
        all
    };
    let (exit, error) = run_to_end(&with_keys(&keys));
    assert_eq!(exit, Some(4), "{error}");
    let message = error["message"].as_str().unwrap();
    assert!(!keys.exists());
    let command = message.split('`').nth(1).unwrap();
    let words = command.strip_prefix("carillon-node ").unwrap();
    // The same key for every run of this test.
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("keys");
    let words = words.replace(keys.to_str().unwrap(), scratch.to_str().unwrap());
    let made = |words: &str| run_to_end(&words.split(' ').map(str::to_owned).collect::<Vec<_>>());
    let (exit, key) = made(&words);
    assert_eq!(exit, Some(0), "{key}");
    assert_eq!(key["schema"], "carillon.keys.make/1");
    assert_eq!(made(&words).1["made"], false);

    // One flipped bit: nothing uses the key, nothing replaces it, and `keys verify` finds it.
    let path = Path::new(key["path"].as_str().unwrap());
    std::fs::create_dir(&keys).unwrap();
    let copy = keys.join(path.file_name().unwrap());
    std::fs::copy(path, &copy).unwrap();
    let verify = |file: &Path| {
        let words = ["keys", "verify", file.to_str().unwrap()];
        run_to_end(&words.map(str::to_owned))
    };
    let (exit, good) = verify(&copy);
    assert_eq!(exit, Some(0), "{good}");
    assert_eq!(good["keys"][0]["key_hash"], key["key_hash"]);
    // Ethereum does not answer: the key is as good as before.
    let chain = hex0x(&[7; 20]);
    let copied = copy.to_str().unwrap();
    let compare = ["keys", "verify", copied, "--l1", "http://127.0.0.1:1"];
    let compare: Vec<String> = compare.map(str::to_owned).into();
    let (exit, error) = run_to_end(&compare);
    assert_eq!(exit, Some(4), "{error}");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("CARILLON_CHAIN"),
        "{error}"
    );
    let with_chain = [compare, vec!["--chain".into(), chain]].concat();
    let (exit, error) = run_to_end(&with_chain);
    assert_eq!(exit, Some(3), "{error}");
    let mut bytes = std::fs::read(&copy).unwrap();
    bytes[5000] ^= 1;
    std::fs::write(&copy, &bytes).unwrap();
    let make = words.replace(scratch.to_str().unwrap(), keys.to_str().unwrap());
    for (exit, error) in [run_to_end(&with_keys(&keys)), verify(&copy), made(&make)] {
        assert_eq!(exit, Some(4), "{error}");
        assert!(
            error["message"].as_str().unwrap().contains("corrupt"),
            "{error}"
        );
        assert_eq!(std::fs::read(&copy).unwrap(), bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prover_in_another_process_proves_what_the_node_seals() {
    let folder = folder(2, 1000);
    let tokens = token_file(folder.path()).display().to_string();
    let small = [
        "--slots",
        "2",
        "--cells",
        "3",
        "--records",
        "2",
        "--depth",
        "2",
        "--seal-after-ms",
        "100",
        "--prover-api",
        "127.0.0.1:0",
        "--prover-tokens",
        &tokens,
        "--lease-seconds",
        "2",
    ];
    // Later options would be refused as given twice: this node has a shape of its own.
    let arguments = |more: &[&str]| {
        let path = |name: &str| folder.path().join(name).display().to_string();
        let (data, queue) = (path("data"), path("queue.json"));
        let fixed = [
            "run",
            "--json",
            "--rpc",
            "127.0.0.1:0",
            "--data-dir",
            &data,
            "--dev-queue",
            &queue,
        ];
        let all = [&fixed[..], more].concat();
        all.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    prepare_key(folder.path(), &arguments(&small));
    let node = NodeProcess::with(arguments(&small));
    // The two deposits fill the first batch.
    node.until("sealed", |chain| chain["batch"].as_u64() >= Some(1))
        .await;
    let (_, json) = transfer(0, 2, 10, 0);
    node.ask("carillon_sendOperation", json!([json])).await;
    node.until("sealed", |chain| chain["batch"].as_u64() >= Some(2))
        .await;

    let url = node.api.clone().unwrap();
    let prover = |more: &[&str]| {
        let mut command = binary();
        command
            .args([
                "prover",
                "--json",
                "--engine",
                "cpu",
                "--url",
                &url,
                "--token-file",
                &tokens,
            ])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        command
    };
    // The first prover is killed with a lease in its hands; the second takes over when it ends.
    let mut killed = prover(&["--id", "killed"]).spawn().unwrap();
    let mut lines = BufReader::new(killed.stdout.take().unwrap());
    assert_eq!(event(&mut lines)["event"], "leased");
    killed.kill().unwrap();
    killed.wait().unwrap();
    let mut second = prover(&["--id", "second"]).spawn().unwrap();
    let mut lines = BufReader::new(second.stdout.take().unwrap());
    assert_eq!(event(&mut lines)["event"], "leased");
    for number in [1, 2] {
        let started = Instant::now();
        loop {
            let batch = node.ask("carillon_getBatch", json!([number])).await;
            if batch["status"] == "proved" {
                break;
            }
            assert!(started.elapsed() < Duration::from_secs(60), "{batch}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    // Told to stop, it says what it did.
    let id = second.id().to_string();
    Command::new("kill").args(["-TERM", &id]).status().unwrap();
    assert_eq!(second.wait().unwrap().code(), Some(0));
    let mut last = Value::Null;
    for line in lines.lines() {
        last = serde_json::from_str(&line.unwrap()).unwrap();
    }
    assert_eq!(
        (&last["schema"], &last["lost"]),
        (&json!("carillon.prover/1"), &json!(0))
    );
    assert!(last["proved"].as_u64().unwrap() >= 1, "{last}");

    // Provers with an unknown token or without keys end with a reason.
    let stranger = folder.path().join("stranger");
    let stranger = secret_file(&stranger, "rack 00000000000000000000\n");
    let run = |arguments: &[&str]| {
        let all = [&["prover", "--engine", "cpu", "--url", &url][..], arguments].concat();
        run_to_end(
            &all.iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>(),
        )
    };
    let (exit, error) = run(&["--token-file", stranger.to_str().unwrap()]);
    assert_eq!(exit, Some(4), "{error}");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("does not accept this prover"),
        "{error}"
    );
    let (exit, error) = run(&[
        "--token-file",
        &tokens,
        "--key-dir",
        folder.path().to_str().unwrap(),
    ]);
    assert_eq!(exit, Some(4), "{error}");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("no key of a rollup circuit"),
        "{error}"
    );
    assert_eq!(node.terminate(), Some(0));
}

/// An entry of the L1 queue: a user's deposit with the user's key.
fn deposit_entry(number: u8, amount: u32) -> QueueEntry {
    let word = |bytes: &[u8]| {
        let mut word = [0; 32];
        word[32 - bytes.len()..].copy_from_slice(bytes);
        word
    };
    let point = user(number).public().coordinates();
    let words = [
        word(&[2]),
        word(&amount.to_be_bytes()),
        word(&owner(number)),
        point.x.to_bytes_be(),
        point.y.to_bytes_be(),
    ];
    QueueEntry {
        index: number.into(),
        words,
    }
}

/// The bridge that a start finds may be the recipient of a withdrawal that was accepted before, and
/// rules of admission may have become stricter: both end no restart.
#[tokio::test]
async fn what_was_accepted_is_replayed_under_stricter_rules() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = rollup_options();
    let start = |options: &RollupOptions| {
        let store = Arc::new(Store::open(folder.path(), &options.mark()).unwrap());
        let rollup = Rollup::restore(options, &store).unwrap();
        let key = SecretKey::from_seed(&[250; 32]);
        let writer_options = WriterOptions {
            seal_after: Duration::from_secs(3600),
            ..WriterOptions::new(CHAIN)
        };
        Writer::start(rollup, store, key, writer_options).unwrap()
    };
    let bridge = [0xbb; 20];
    let withdrawal = |nonce| {
        let operation = Operation {
            words: [owner_word(&bridge), Scalar::from(0), Scalar::from(0)],
            ..Operation::new(Kind::Withdraw, 1, 0, 40, 1, nonce)
        };
        operation.sign(&user(0), domain(), &owner(0)).unwrap()
    };
    let (writer, thread) = start(&options);
    writer.queue(vec![deposit_entry(0, 1_000)]).await.unwrap();
    writer.submit(withdrawal(0)).await.unwrap();
    drop(writer);
    thread.join().unwrap().unwrap();

    options.home.bridge = bridge;
    let (writer, thread) = start(&options);
    let account = |writer: Writer<Rollup>| async move {
        let asked = writer.look(|rollup| rollup.ledger().account(1)).await;
        let account = asked.unwrap();
        (account.nonce, account.balance(0))
    };
    assert_eq!(account(writer.clone()).await, (1, 1_000 - 41));
    let refused = writer.submit(withdrawal(1)).await.unwrap_err();
    assert!(refused.to_string().contains("bridge"), "{refused}");
    assert_eq!(writer.seal().await.unwrap(), Some(1));
    assert_eq!(account(writer.clone()).await, (1, 1_000 - 41));
    drop(writer);
    thread.join().unwrap().unwrap();
}

/// Prints what the sequencer accepts: signatures checked on all cores, executed, durable in the log.
/// Proving and settlement are not part of it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn sequencing_rate() {
    const USERS: u8 = 200;
    const EACH: u32 = 40;
    let folder = tempfile::tempdir().unwrap();
    let options = RollupOptions::new(CHAIN, 0, 8192, 24_576, 1024, 12).unwrap();
    let store = Arc::new(Store::open(folder.path(), &options.mark()).unwrap());
    let writer_options = WriterOptions {
        seal_after: Duration::from_secs(3600),
        ..WriterOptions::new(CHAIN)
    };
    let rollup = Rollup::new(&options);
    let key = SecretKey::from_seed(&[250; 32]);
    let (writer, _) = Writer::start(rollup, Arc::clone(&store), key, writer_options).unwrap();
    let deposits = (0..USERS).map(|number| deposit_entry(number, 1_000_000));
    writer.queue(deposits.collect()).await.unwrap();
    // One user at a time in the outer loop: the transfers of a group are of different accounts.
    let operations: Vec<Operation> = (0..EACH)
        .flat_map(|nonce| (0..USERS).map(move |number| (nonce, number)))
        .map(|(nonce, number)| transfer(number, u32::from((number + 1) % USERS) + 1, 10, nonce).0)
        .collect();
    let (count, started) = (operations.len(), Instant::now());
    let answers = operations.into_iter().map(|operation| {
        let writer = writer.clone();
        async move { writer.submit(operation).await }
    });
    let answers = futures::future::join_all(answers).await;
    let wall = started.elapsed();
    assert!(answers.iter().all(Result::is_ok));
    let rate = count as f64 / wall.as_secs_f64();
    println!("sequencing: {count} transfers accepted in {wall:.2?}, {rate:.0} a second");
    let started = Instant::now();
    writer.seal().await.unwrap();
    println!(
        "sealing: {count} transfers of {USERS} accounts in {:.2?}",
        started.elapsed()
    );
}
