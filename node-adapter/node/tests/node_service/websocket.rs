//! WebSockets (RFC 6455) by hand, because well-behaved clients do not do what is tested here; and one
//! whose client asks much and reads slowly.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{NodeProcess, folder};

const TEXT: u8 = 1;
const PING: u8 = 9;
const PONG: u8 = 10;

/// What makes a WebSocket of a connection.
pub const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: node\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A frame of a client: whole, masked with zeros.
pub fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        short @ 0..126 => frame.push(0x80 | short as u8),
        length => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// A frame of text.
pub fn text(payload: &str) -> Vec<u8> {
    frame(TEXT, payload.as_bytes())
}

/// Opens a WebSocket.
async fn open(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(UPGRADE.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    stream
}

/// The next frame of the server.
async fn next(stream: &mut (impl AsyncRead + Unpin)) -> (u8, Vec<u8>) {
    let opcode = stream.read_u8().await.unwrap();
    let length = match stream.read_u8().await.unwrap() {
        126 => u64::from(stream.read_u16().await.unwrap()),
        127 => stream.read_u64().await.unwrap(),
        short => u64::from(short),
    };
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut payload).await.unwrap();
    assert_eq!(opcode & 0xf0, 0x80, "one frame is one message");
    (opcode & 0xf, payload)
}

/// One request and its answer.
pub async fn ask(address: &str, request: &Value) -> Value {
    let mut stream = open(address).await;
    stream.write_all(&text(&request.to_string())).await.unwrap();
    loop {
        // The node asks whether its client is still there.
        if let (TEXT, payload) = next(&mut stream).await {
            return serde_json::from_slice(&payload).unwrap();
        }
    }
}

/// Memory of a process now, in MiB.
fn memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<u64>().unwrap() >> 10
}

/// Calls of a batch; their answers have about 70 KiB.
const CALLS: u32 = 100;

/// Asks so many times for [`CALLS`] answers, with a ping before each. The questions are long: more than
/// the kernel's buffers hold.
async fn ask_on(stream: &mut (impl AsyncWrite + Unpin), times: u32) {
    let question =
        |id: u32| json!({ "jsonrpc": "2.0", "id": id, "method": "carillon_chain", "params": [] });
    for time in 0..times {
        let batch: Vec<_> = (0..CALLS)
            .map(|call| question(time * CALLS + call))
            .collect();
        stream.write_all(&frame(PING, b"there?")).await.unwrap();
        let batch = format!("{:<60000}", Value::from(batch).to_string());
        stream.write_all(&text(&batch)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_slowly_fills_no_memory_and_gets_every_answer() {
    const TIMES: u32 = 300;
    let folder = folder(1, 1000);
    let node = NodeProcess::start(folder.path(), &[]);
    let address = node.rpc.strip_prefix("http://").unwrap();
    // What a first call makes stays.
    ask(
        address,
        &json!({ "jsonrpc": "2.0", "id": 0, "method": "carillon_chain", "params": [] }),
    )
    .await;
    let (mut reader, mut writer) = open(address).await.into_split();
    let before = memory(node.child.id());
    let asking = tokio::spawn(async move {
        ask_on(&mut writer, TIMES).await;
        // Whoever closes this direction wants no more answers.
        writer
    });

    // A trickle: the node's writes go on, and each lets something through.
    let mut trickle = vec![0; 2 << 20];
    let mut most = before;
    for piece in trickle.chunks_mut(64 << 10) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        reader.read_exact(piece).await.unwrap();
        most = most.max(memory(node.child.id()));
    }
    assert!(!asking.is_finished(), "the client's questions wait, too");
    assert!(most - before < 24, "{before} MiB, and then {most} MiB");

    // Whatever the pace was, each call is answered once.
    let mut answers = std::io::Cursor::new(trickle).chain(reader);
    let mut seen = HashSet::new();
    let mut pongs = 0;
    while seen.len() < (TIMES * CALLS) as usize {
        let answer = tokio::time::timeout(Duration::from_secs(60), next(&mut answers));
        match answer.await.unwrap() {
            (TEXT, payload) => {
                let batch: Vec<Value> = serde_json::from_slice(&payload).unwrap();
                for answer in batch {
                    assert_eq!(answer["result"]["chain_id"], "270");
                    assert!(seen.insert(answer["id"].as_u64().unwrap()), "{answer}");
                }
            }
            (PONG, payload) => {
                assert_eq!(payload, b"there?");
                pongs += 1;
            }
            (opcode, payload) => {
                let payload = String::from_utf8_lossy(&payload);
                assert_eq!(opcode, PING, "{payload}; {} answers", seen.len());
            }
        }
    }
    drop(asking.await.unwrap());
    assert!(pongs > 0);
    assert_eq!(node.terminate(), Some(0));
}

/// Messages that are no calls are answered, too, but nobody needs many of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_no_calls_is_cut_off() {
    let folder = folder(1, 1000);
    let node = NodeProcess::start(folder.path(), &[]);
    let address = node.rpc.strip_prefix("http://").unwrap();
    let before = memory(node.child.id());
    for message in [&[0x81, 0x00][..], &text("[]"), &text("{}"), &text("[1,2]")] {
        for reads in [true, false] {
            let (mut reader, mut writer) = open(address).await.into_split();
            let reader = tokio::spawn(async move {
                let mut sink = vec![0; 4096];
                while reads && reader.read(&mut sink).await.is_ok_and(|read| read > 0) {}
                reader
            });
            let piece = message.repeat(1000);
            let flood = async { while writer.write_all(&piece).await.is_ok() {} };
            let ended = tokio::time::timeout(Duration::from_secs(60), flood).await;
            assert!(ended.is_ok(), "{message:?} {reads}");
            drop(reader.await);
        }
    }
    // A few are no reason.
    let mut stream = open(address).await;
    for _ in 0..20 {
        stream.write_all(&text("nonsense")).await.unwrap();
        let (opcode, answer) = next(&mut stream).await;
        assert!(opcode == PING || String::from_utf8_lossy(&answer).contains("-32700"));
    }
    let after = memory(node.child.id());
    assert!(after < before + 64, "{before} MiB, and then {after} MiB");
    assert_eq!(node.terminate(), Some(0));
}
