//! A JSON-RPC proxy in front of anvil that answers as other clients, providers and load balancers do.
//! Loopback only. Its modes can be changed while it runs; requests are counted by method.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy::primitives::U256;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};

/// An answer in place of the node's.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A JSON-RPC error.
    Rpc(i64, &'static str),
    /// An HTTP status with a body.
    Http(u16, &'static str),
    /// HTTP 429 with `Retry-After`, in seconds.
    Limited(u64),
    /// The request is taken and never answered.
    Silence,
}

/// What the proxy does; the default passes everything on.
#[derive(Clone, Debug, Default)]
pub struct Modes {
    /// Estimates weigh the fees offered against the balance, as geth's do.
    pub geth_balance: bool,
    /// Answers to requests of these methods.
    pub answers: Vec<(&'static str, Answer)>,
    /// Answers to every request.
    pub all: Option<Answer>,
    /// Ranges of `eth_getLogs` over so many blocks are answered so.
    pub logs: Option<(u64, Answer)>,
    /// Transactions reach the node, but the sender is answered so.
    pub lose_answers: Option<Answer>,
    /// So many receipts are null before one is passed on.
    pub late_receipts: usize,
    /// So many answers to `eth_getLogs` are empty before one is passed on: blocks are known before their events.
    pub late_logs: usize,
    /// Every second newest block is older by so many.
    pub lag: u64,
    /// From the n-th request with this text on, counted from 1, all of them wait until this is changed.
    pub hold: Option<(String, usize)>,
}

#[derive(Debug, Default)]
struct Inner {
    upstream: String,
    modes: Modes,
    counts: BTreeMap<String, usize>,
    newest: usize,
    /// Requests that met `Modes::hold`.
    held: usize,
    client: reqwest::Client,
}

/// A running proxy; it ends with the test's runtime.
#[derive(Clone, Debug)]
pub struct Proxy {
    url: String,
    inner: Arc<Mutex<Inner>>,
}

impl Proxy {
    pub async fn start(upstream: &str) -> Self {
        let inner = Arc::new(Mutex::new(Inner {
            upstream: upstream.into(),
            ..Inner::default()
        }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = axum::Router::new()
            .route("/", post(serve))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { url, inner }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn set(&self, modes: Modes) {
        self.inner.lock().unwrap().modes = modes;
    }

    pub fn answering(&self, method: &'static str, answer: Answer) {
        let answers = vec![(method, answer)];
        self.set(Modes {
            answers,
            ..Modes::default()
        });
    }

    /// Requests so far.
    pub fn requests(&self) -> usize {
        self.inner.lock().unwrap().counts.values().sum()
    }

    /// Requests of a method so far.
    pub fn count(&self, method: &str) -> usize {
        let inner = self.inner.lock().unwrap();
        inner.counts.get(method).copied().unwrap_or(0)
    }

    /// Requests so far with the text of [`Modes::hold`].
    pub fn held(&self) -> usize {
        self.inner.lock().unwrap().held
    }

    pub fn counts(&self) -> BTreeMap<String, usize> {
        self.inner.lock().unwrap().counts.clone()
    }
}

type Reply = (StatusCode, HeaderMap, String);

fn ok(value: &Value) -> Reply {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/json".parse().unwrap());
    (StatusCode::OK, headers, value.to_string())
}

fn refused(request: &Value, code: i64, message: &str) -> Reply {
    ok(&json!({
        "jsonrpc": "2.0", "id": request["id"], "error": { "code": code, "message": message },
    }))
}

async fn give(request: &Value, answer: &Answer) -> Reply {
    match answer {
        Answer::Rpc(code, message) => refused(request, *code, message),
        Answer::Http(status, body) => {
            let status = StatusCode::from_u16(*status).unwrap();
            (status, HeaderMap::new(), (*body).into())
        }
        Answer::Limited(seconds) => {
            let mut headers = HeaderMap::new();
            headers.insert("retry-after", (*seconds).into());
            (StatusCode::TOO_MANY_REQUESTS, headers, "slow down".into())
        }
        Answer::Silence => {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            unreachable!()
        }
    }
}

/// Waits while a request is to be held.
async fn hold(inner: &Mutex<Inner>, body: &[u8]) {
    let body = String::from_utf8_lossy(body);
    let mut place = None;
    loop {
        {
            let mut inner = inner.lock().unwrap();
            let Some((text, from)) = inner.modes.hold.clone() else {
                return;
            };
            if !body.contains(&text) {
                return;
            }
            let place = *place.get_or_insert_with(|| {
                inner.held += 1;
                inner.held
            });
            if place < from {
                return;
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn serve(State(inner): State<Arc<Mutex<Inner>>>, body: Bytes) -> Reply {
    hold(&inner, &body).await;
    let request: Value = serde_json::from_slice(&body).unwrap();
    let method = request["method"].as_str().unwrap_or("a batch").to_owned();
    let (modes, upstream, client, newest) = {
        let mut inner = inner.lock().unwrap();
        *inner.counts.entry(method.clone()).or_default() += 1;
        let latest = method == "eth_blockNumber" || request["params"][0] == "latest";
        inner.newest += usize::from(latest);
        let newest = latest.then_some(inner.newest);
        (
            inner.modes.clone(),
            inner.upstream.clone(),
            inner.client.clone(),
            newest,
        )
    };
    if let Some(answer) = &modes.all {
        return give(&request, answer).await;
    }
    if let Some((_, answer)) = modes.answers.iter().find(|(name, _)| *name == method) {
        return give(&request, answer).await;
    }
    let ask = async |body: Value| -> Value {
        let sent = client.post(&upstream).json(&body).send().await.unwrap();
        sent.json().await.unwrap()
    };
    match method.as_str() {
        "eth_getLogs" => {
            let block = |name: &str| number(&request["params"][0][name]);
            let blocks = block("toBlock").saturating_sub(block("fromBlock")) + 1;
            if let Some((most, answer)) = &modes.logs
                && blocks > *most
            {
                return give(&request, answer).await;
            }
            if modes.late_logs > 0 {
                inner.lock().unwrap().modes.late_logs -= 1;
                return ok(&json!({ "jsonrpc": "2.0", "id": request["id"], "result": [] }));
            }
        }
        "eth_estimateGas" if modes.geth_balance => {
            let answer = ask(request.clone()).await;
            let Some(gas) = answer["result"].as_str() else {
                return ok(&answer);
            };
            let gas = U256::from_str_radix(&gas[2..], 16).unwrap();
            let from = request["params"][0]["from"].clone();
            let lifted = &request["params"][2][from.as_str().unwrap()]["balance"];
            let have = match lifted.as_str() {
                Some(lifted) => lifted.parse().unwrap(),
                None => balance(&ask(balance_of(&from)).await),
            };
            return match short(&request["params"][0], gas, have, &from) {
                Some(message) => refused(&request, -32000, &message),
                None => ok(&answer),
            };
        }
        "eth_getTransactionReceipt" if modes.late_receipts > 0 => {
            inner.lock().unwrap().modes.late_receipts -= 1;
            return ok(&json!({ "jsonrpc": "2.0", "id": request["id"], "result": null }));
        }
        _ => {}
    }
    let mut request = request;
    if let Some(newest) = newest
        && modes.lag > 0
        && newest % 2 == 0
    {
        let asked = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": [] });
        let head = number(&ask(asked).await["result"]);
        let older = format!("{:#x}", head.saturating_sub(modes.lag));
        if method == "eth_blockNumber" {
            return ok(&json!({ "jsonrpc": "2.0", "id": request["id"], "result": older }));
        }
        request["params"][0] = json!(older);
    }
    let answer = ask(request.clone()).await;
    if method == "eth_sendRawTransaction"
        && let Some(answer) = &modes.lose_answers
    {
        return give(&request, answer).await;
    }
    ok(&answer)
}

fn number(value: &Value) -> u64 {
    let text = value.as_str().unwrap_or("0x0");
    u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap()
}

fn balance_of(address: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_getBalance", "params": [address, "latest"] })
}

fn balance(answer: &Value) -> U256 {
    answer["result"].as_str().unwrap().parse().unwrap()
}

/// go-ethereum's rule for estimates: the balance must cover the blobs at the fee offered, and what is
/// left of it limits the gas.
fn short(call: &Value, gas: U256, have: U256, from: &Value) -> Option<String> {
    let field = |name: &str| {
        let text = call[name].as_str().unwrap_or("0x0");
        text.parse::<U256>().unwrap()
    };
    let blobs = call["blobVersionedHashes"].as_array().map_or(0, Vec::len);
    let blob_gas = U256::from(blobs) * U256::from(131_072);
    let fixed = field("value") + blob_gas * field("maxFeePerBlobGas");
    if have < fixed {
        let from = from.as_str().unwrap();
        return Some(format!(
            "err: insufficient funds for gas * price + value: address {from} have {have} want {fixed} (supplied gas 30000000)"
        ));
    }
    let price = field("maxFeePerGas");
    if price.is_zero() {
        return None;
    }
    let allowance = (have - fixed) / price;
    (allowance < gas).then(|| format!("gas required exceeds allowance ({allowance})"))
}
