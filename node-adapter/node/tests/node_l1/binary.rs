//! The binary in processes of its own, and JSON-RPC.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The circuit of the tests' batches.
pub const SHAPE: [&str; 6] = ["--slots", "4", "--cells", "3", "--records", "2"];

/// Waits no longer for anything.
const PATIENCE: Duration = Duration::from_secs(240);

pub fn binary(arguments: &[impl AsRef<str>]) -> Command {
    let scratch = |name| Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut command = Command::new(env!("CARGO_BIN_EXE_carillon-node"));
    command
        .args(arguments.iter().map(AsRef::as_ref))
        .env("XDG_CONFIG_HOME", scratch("no-configuration"))
        .env("CARILLON_KEY_DIR", scratch("keys"))
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    for variable in [
        "CARILLON_ENGINE",
        "CARILLON_NODE_CONFIG",
        "CARILLON_L1",
        "CARILLON_DATA_DIR",
    ] {
        command.env_remove(variable);
    }
    command
}

/// The chain's key, made once.
pub fn chain_key() -> &'static Value {
    static KEY: OnceLock<Value> = OnceLock::new();
    KEY.get_or_init(|| json_of(&[&["keys", "make", "--json"][..], &SHAPE].concat()))
}

/// Exit code, and the last line of the output.
pub fn ended(arguments: &[impl AsRef<str>]) -> (Option<i32>, Value) {
    let mut command = binary(arguments);
    if !arguments
        .iter()
        .any(|argument| argument.as_ref() == "--json")
    {
        command.arg("--json");
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let last = text.lines().last().unwrap_or_default();
    let value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {text:?}"));
    (output.status.code(), value)
}

pub fn json_of(arguments: &[impl AsRef<str>]) -> Value {
    let (code, value) = ended(arguments);
    assert_eq!(code, Some(0), "{value}");
    value
}

/// A file that only its owner can read.
pub fn secret_file(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Waits for something.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The whole answer of a server.
pub async fn answer(url: &str, method: &str, params: Value) -> Value {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let answer = reqwest::Client::new().post(url).json(&body).send();
    answer.await.unwrap().json().await.unwrap()
}

/// The result of a server, which must be none of an error.
pub async fn rpc(url: &str, method: &str, params: Value) -> Value {
    let answer = answer(url, method, params).await;
    assert!(answer.get("error").is_none(), "{method}: {answer}");
    answer["result"].clone()
}

/// A node or a gateway in a process of its own, killed when dropped.
pub struct Node {
    child: Child,
    rpc: String,
    lanes: Option<String>,
}

impl Node {
    pub fn start(arguments: &[String]) -> Self {
        let mut child = binary(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = loop {
            let line = lines.next().expect("the node ended").unwrap();
            let line: Value = serde_json::from_str(&line).unwrap();
            assert_ne!(line["schema"], "carillon.error/1", "{line}");
            if line["event"] == "serving" {
                break line;
            }
        };
        // Keep reading, so that the node never waits for us.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self {
            child,
            rpc: first["rpc"]
                .as_str()
                .or(first["url"].as_str())
                .unwrap()
                .to_owned(),
            lanes: first["lane_api"].as_str().map(str::to_owned),
        }
    }

    /// Waits until the node ends by itself; its exit code.
    pub async fn ended(&mut self) -> Option<i32> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(started.elapsed() < PATIENCE, "the node goes on");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Where it tells what it sends.
    pub fn lanes(&self) -> &str {
        self.lanes.as_ref().unwrap()
    }

    /// Where it answers.
    pub fn url(&self) -> &str {
        &self.rpc
    }

    pub async fn ask(&self, method: &str, params: Value) -> Value {
        answer(&self.rpc, method, params).await
    }

    pub async fn result(&self, method: &str, params: Value) -> Value {
        self.ask(method, params).await["result"].clone()
    }

    /// Asks until `done` is content.
    pub async fn wait(&self, method: &str, params: Value, done: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        loop {
            let answer = self.result(method, params.clone()).await;
            if done(&answer) {
                return answer;
            }
            assert!(started.elapsed() < PATIENCE, "{method}: {answer}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
