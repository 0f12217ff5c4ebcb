//! Hostile clients that hold connections in every way: an honest user and a prover are served all the same,
//! and a node that is told to end does.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::runtime::Runtime;

use crate::websocket::{self, UPGRADE};
use crate::{NodeProcess, api_arguments, ask, folder, transfer};

/// Ways to hold a connection.
const KINDS: usize = 11;
/// Addresses that they come from.
const ADDRESSES: usize = 8;

/// Does the worst of one hostile client until the connection ends, or for a while.
async fn attack(kind: usize, address: &str, from: Ipv4Addr) -> std::io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    // A port that only closed connections still have will do.
    socket.set_reuseaddr(true)?;
    socket.bind((from, 0).into())?;
    let address = address.parse().map_err(std::io::Error::other)?;
    let mut stream = socket.connect(address).await?;
    let drip = Duration::from_millis(700);
    let head = "POST / HTTP/1.1\r\nHost: node\r\nContent-Type: application/json\r\n";
    let question = r#"{"jsonrpc":"2.0","id":1,"method":"carillon_chain","params":[]}"#;
    let request = format!("{head}Content-Length: {}\r\n\r\n{question}", question.len());
    match kind {
        // Connects and says nothing.
        0 => {}
        // Headers that never end.
        1 => {
            stream.write_all(head.as_bytes()).await?;
            loop {
                stream.write_all(b"X-More: yes\r\n").await?;
                tokio::time::sleep(drip).await;
            }
        }
        // A body that never ends, of announced length and in chunks.
        2 | 3 => {
            let (length, piece) = if kind == 2 {
                ("Content-Length: 200000", &b" "[..])
            } else {
                ("Transfer-Encoding: chunked", &b"1\r\n \r\n"[..])
            };
            stream
                .write_all(format!("{head}{length}\r\n\r\n").as_bytes())
                .await?;
            loop {
                stream.write_all(piece).await?;
                tokio::time::sleep(drip).await;
            }
        }
        // An honest request, and then nothing.
        4 => stream.write_all(request.as_bytes()).await?,
        // A WebSocket that asks and asks, and reads nothing.
        5 => {
            stream.write_all(UPGRADE.as_bytes()).await?;
            let frame = websocket::text(question);
            for _ in 0..2000 {
                stream.write_all(&frame).await?;
            }
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        // A WebSocket that answers no ping; one in the middle of a frame.
        6 => {
            stream.write_all(UPGRADE.as_bytes()).await?;
            stream
                .write_all(&[0x81, 0xfe, 0xff, 0xff, 0, 0, 0, 0, b'{'])
                .await?;
        }
        // Connects and goes.
        7 => return Ok(()),
        // TLS on a port that speaks HTTP.
        8 => {
            let hello = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[0x5a; 300]].concat();
            stream.write_all(&hello).await?;
        }
        // Headers without measure.
        9 => {
            stream.write_all(head.as_bytes()).await?;
            let line = format!("X-Long: {}\r\n", "x".repeat(8000));
            for _ in 0..8 {
                stream.write_all(line.as_bytes()).await?;
            }
        }
        // Requests one behind the other, and no answer is read.
        _ => {
            for _ in 0..300 {
                stream.write_all(request.as_bytes()).await?;
            }
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
    }
    let mut sink = [0; 4096];
    while stream.read(&mut sink).await? > 0 {}
    Ok(())
}

/// Keeps `count` hostile clients at work until `stop` is set; counts the connections that they made.
/// Their threads are their own: an honest user does not wait for theirs.
fn start_attack(
    count: usize,
    addresses: &[String],
    stop: &Arc<AtomicBool>,
    made: &Arc<AtomicUsize>,
) -> Runtime {
    let hostile = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    for number in 0..count {
        let address = addresses[(number / KINDS) % addresses.len()].clone();
        // One of these is the honest user's own.
        let from = Ipv4Addr::new(127, 0, 0, 1 + (number % ADDRESSES) as u8);
        let (stop, made) = (Arc::clone(stop), Arc::clone(made));
        hostile.spawn(async move {
            // Not all in the same instant, and bounded: a pause after each connection.
            tokio::time::sleep(Duration::from_millis(number as u64 % 400)).await;
            while !stop.load(Ordering::Relaxed) {
                made.fetch_add(1, Ordering::Relaxed);
                let worst = attack(number % KINDS, &address, from);
                let _ = tokio::time::timeout(Duration::from_secs(20), worst).await;
                let pause = if number % KINDS == 7 { 100 } else { 800 };
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
        });
    }
    hostile
}

/// The answer to an honest request over a connection of its own, asked again when that is lost.
async fn served(url: &str) -> String {
    let asked = Instant::now();
    loop {
        let client = reqwest::Client::new();
        let request = client.get(url).bearer_auth("0123456789abcdef0123");
        if let Ok(answer) = request.timeout(Duration::from_secs(20)).send().await {
            assert_eq!(answer.status(), 200, "{url}");
            if let Ok(text) = answer.text().await {
                return text;
            }
        }
        assert!(
            asked.elapsed() < Duration::from_secs(60),
            "locked out of {url}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Sends honest operations over connections of their own while `count` hostile clients attack a node with
/// 1,024 descriptors and so many connections for so long. Returns the operations, and the slowest acknowledgement.
async fn under_attack(
    count: usize,
    connections: usize,
    rest: Duration,
    time: Duration,
) -> (u32, Duration) {
    // For the hostile clients' own descriptors.
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard.min(1 << 14), hard).unwrap();
    let folder = folder(2, 1_000_000);
    let mut arguments = api_arguments(folder.path());
    arguments.extend(["--connections".to_owned(), connections.to_string()]);
    let node = NodeProcess::limited(arguments, 1024);
    node.until("deposits", |chain| chain["accepted"] == "2")
        .await;
    // At its start it reads the setup of blobs, seconds of a core.
    tokio::time::sleep(rest).await;
    let host = |url: &str| url.strip_prefix("http://").unwrap().to_owned();
    let api = node.api.clone().unwrap();
    // The users' port has three quarters of the hostile clients.
    let rpc = host(&node.rpc);
    let addresses = [rpc.clone(), rpc.clone(), rpc, host(&api)];
    let (stop, made) = (Arc::new(AtomicBool::new(false)), Arc::default());
    let hostile = start_attack(count, &addresses, &stop, &made);
    tokio::time::sleep(Duration::from_secs(1)).await;

    let (started, mut nonce) = (Instant::now(), 0);
    let mut times = Vec::new();
    while started.elapsed() < time || nonce < 3 {
        let (_, operation) = transfer(0, 2, 10, nonce);
        let asked = Instant::now();
        // No connection is kept: each operation has to get in anew.
        // A starved machine may lose a connection; a client then sends the same operation again.
        loop {
            match ask(&node.rpc, "carillon_sendOperation", json!([operation])).await {
                Ok(receipt) => {
                    assert_eq!(receipt["finality"], "soft", "{receipt}");
                    break;
                }
                Err(error) if error["data"]["code"] == "known" => break,
                Err(error) => assert!(error.is_null(), "{error}"),
            }
            assert!(asked.elapsed() < Duration::from_secs(60), "locked out");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        times.push(asked.elapsed());
        nonce += 1;
        if nonce % 10 == 1 {
            let status = format!("{api}/prover-jobs/v1/G16/status");
            served(&status).await;
            served(&format!("{}/ready", node.rpc)).await;
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    let text = served(&format!("{}/metrics", node.rpc)).await;
    let figure = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.rsplit(' ').next())
            .and_then(|value| value.parse::<f64>().ok())
            .unwrap_or_else(|| panic!("{name}: {text}"))
    };
    let open = figure(r#"carillon_connections{server="rpc"}"#);
    let dropped = figure(r#"carillon_connections_dropped_total{server="rpc"}"#);
    times.sort();
    let slowest = times[times.len() - 1];
    let (median, late) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    println!(
        "{count} hostile clients, {} connections: {nonce} operations in {:.1?}, acknowledged within {median:.0?} (median), {late:.0?} (99 %), {slowest:.0?} (all); {open} open, {dropped} dropped",
        made.load(Ordering::Relaxed),
        started.elapsed()
    );
    assert!(open <= connections as f64);

    // Told to end, it ends, although they hold on.
    let told = Instant::now();
    assert_eq!(node.terminate(), Some(0));
    assert!(
        told.elapsed() < Duration::from_secs(30),
        "{:?}",
        told.elapsed()
    );
    stop.store(true, Ordering::Relaxed);
    hostile.shutdown_background();
    (nonce, slowest)
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_clients_that_hold_connections_lock_nobody_out() {
    let (operations, slowest) = under_attack(250, 64, Duration::ZERO, Duration::from_secs(4)).await;
    // Generous: other tests prove on all cores beside it. The soak measures.
    assert!(operations >= 3, "{operations}");
    assert!(slowest < Duration::from_secs(15), "{slowest:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a minute of load: make soak"]
async fn soak_two_thousand_hostile_clients_for_a_minute() {
    let (operations, slowest) =
        under_attack(2000, 512, Duration::from_secs(10), Duration::from_secs(60)).await;
    assert!(operations > 60, "{operations}");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
}

/// What the limits do is in `limits` of `carillon-serving`; here it is seen from outside.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_only_holds_a_connection_is_cut_off_when_the_node_ends() {
    let folder = folder(1, 1000);
    let node = NodeProcess::start(folder.path(), &[]);
    let address = node.rpc.strip_prefix("http://").unwrap().to_owned();
    let mut held = Vec::new();
    for kind in [0, 1, 2, 3, 4, 6] {
        let address = address.clone();
        held.push(tokio::spawn(async move {
            attack(kind, &address, Ipv4Addr::LOCALHOST).await
        }));
    }
    // All are connected when the node answers to somebody who came later.
    tokio::time::sleep(Duration::from_millis(300)).await;
    node.ask("carillon_chain", json!([])).await;
    let told = Instant::now();
    assert_eq!(node.terminate(), Some(0));
    assert!(
        told.elapsed() < Duration::from_secs(20),
        "{:?}",
        told.elapsed()
    );
    for connection in held {
        // Cut off, not left alone: each of them sees its end.
        let ended = tokio::time::timeout(Duration::from_secs(20), connection).await;
        assert!(ended.is_ok());
    }
}
