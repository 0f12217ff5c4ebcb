//! Whatever comes over the socket, the server of a simulated card answers or
//! hangs up, and serves the next client; and a client of a server that talks
//! nonsense gets an error.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use carillon_driver::memory::HostMemory;
use carillon_driver::{Card, CardConfig};
use carillon_sim::card::SimCard;
use carillon_sim::model::{ModelCard, ModelOptions};
use carillon_sim::vfio_user::wire::{
    DmaMap, DmaUnmap, HEADER_BYTES, Header, RegionAccess, RegionInfo, SetIrqs, VERSION, VersionBody,
};
use carillon_sim::vfio_user::{ClientCard, ClientError, Server};
use rand::{Rng as _, RngCore as _, SeedableRng};
use rand_chacha::ChaCha20Rng;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

fn socket(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("carillon-{name}-{}.sock", std::process::id()))
}

/// A number that is likely to be near some limit.
fn near_a_limit(rng: &mut ChaCha20Rng) -> u64 {
    let base = [
        0,
        1,
        4,
        64,
        4096,
        1 << 16,
        1 << 20,
        1 << 32,
        1 << 48,
        u64::MAX,
    ];
    let base = base[rng.gen_range(0..base.len())];
    base.wrapping_add(rng.gen_range(0..9)).wrapping_sub(4)
}

/// A body that has the shape its command asks for, with odd numbers in it; or
/// any bytes.
fn body(command: u16, rng: &mut ChaCha20Rng) -> Vec<u8> {
    let small = |rng: &mut ChaCha20Rng| near_a_limit(rng) as u32;
    let mut body = match command {
        1 => VersionBody {
            major: rng.gen_range(0..2),
            minor: rng.gen_range(0..3),
        }
        .encode(),
        2 => DmaMap {
            argsz: 32,
            flags: rng.gen_range(0..5),
            offset: near_a_limit(rng),
            address: near_a_limit(rng),
            size: near_a_limit(rng),
        }
        .encode(),
        3 => DmaUnmap {
            argsz: 24,
            flags: 0,
            address: near_a_limit(rng),
            size: near_a_limit(rng),
        }
        .encode(),
        5 => RegionInfo {
            argsz: 32,
            index: small(rng),
            ..RegionInfo::default()
        }
        .encode(),
        8 => SetIrqs {
            argsz: 20,
            flags: [0x21, 0x24, small(rng)][rng.gen_range(0..3)],
            index: [2, small(rng)][rng.gen_range(0..2)],
            start: small(rng),
            count: small(rng),
        }
        .encode(),
        9 | 10 => RegionAccess {
            offset: near_a_limit(rng),
            region: rng.gen_range(0..10),
            count: small(rng),
        }
        .encode(),
        _ => Vec::new(),
    };
    for _ in 0..rng.gen_range(0..3) * 8 {
        body.push(rng.gen_range(0..=255));
    }
    if rng.gen_bool(0.1) {
        body.truncate(rng.gen_range(0..=body.len()));
    }
    body
}

fn header(id: u16, command: u16, body: &[u8]) -> Header {
    Header {
        id,
        command,
        bytes: (HEADER_BYTES + body.len()) as u32,
        reply: false,
        no_reply: false,
        error: None,
    }
}

fn answer(client: &mut UnixStream) -> std::io::Result<Header> {
    let mut head = [0; HEADER_BYTES];
    client.read_exact(&mut head)?;
    let answer = Header::decode(&head).unwrap();
    let mut rest = vec![0; answer.bytes as usize - HEADER_BYTES];
    client.read_exact(&mut rest)?;
    Ok(answer)
}

/// A connection whose version was taken: the client before has left.
fn greeted(server: &Server) -> UnixStream {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let mut client = UnixStream::connect(server.path()).unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let (major, minor) = VERSION;
        let body = VersionBody { major, minor }.encode();
        client.write_all(&header(1, 1, &body).encode()).unwrap();
        client.write_all(&body).unwrap();
        match answer(&mut client).unwrap().error {
            None => return client,
            Some(_) => assert!(Instant::now() < end, "busy for ever"),
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn any_messages_are_answered_or_end_the_session() {
    let card = Arc::new(ModelCard::new(ModelOptions::default()).unwrap());
    let server = Server::start(&socket("hostile"), Arc::clone(&card) as Arc<dyn SimCard>).unwrap();
    let shared = HostMemory::allocate(1 << 16).unwrap();
    let plain = std::fs::File::open("/dev/null").unwrap();
    let mut answers = 0;
    for seed in 0..150 {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut client = greeted(&server);
        for _ in 0..rng.gen_range(1..30) {
            let command = rng.gen_range(0..16);
            let body = body(command, &mut rng);
            let header = Header {
                reply: rng.gen_bool(0.02),
                no_reply: rng.gen_bool(0.2),
                ..header(rng.gen_range(0..9), command, &body)
            };
            let mut bytes = [header.encode().to_vec(), body].concat();
            if rng.gen_bool(0.02) {
                let at = rng.gen_range(0..HEADER_BYTES);
                bytes[at] = rng.gen_range(0..=255);
            }
            let fds = [rustix::fd::AsFd::as_fd(&plain), shared.fd()];
            let fd = [fds[rng.gen_range(0..2)]];
            let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if rng.gen_bool(0.4) {
                control.push(SendAncillaryMessage::ScmRights(&fd));
            }
            let parts = [std::io::IoSlice::new(&bytes)];
            if sendmsg(&client, &parts, &mut control, SendFlags::NOSIGNAL).is_err() {
                break; // It hung up.
            }
            if header.encode() != bytes[..HEADER_BYTES] {
                break; // From here on nobody knows where a message begins.
            }
            if !header.reply && !header.no_reply {
                // An answer, or the end of the connection.
                let Ok(answer) = answer(&mut client) else {
                    break;
                };
                assert!(answer.reply && answer.id == header.id, "{seed}: {answer:?}");
                assert!(!answer.no_reply);
                answers += 1;
            }
        }
    }
    assert!(answers > 500, "{answers} answers");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        drop(greeted(&server));
        let client = loop {
            match ClientCard::connect(server.path()) {
                Ok(client) => break client,
                Err(ClientError::Busy { .. }) => tokio::time::sleep(Duration::from_millis(1)).await,
                Err(error) => panic!("{error}"),
            }
        };
        let card = Card::open(Arc::new(client), CardConfig::default()).await;
        card.unwrap().close().await;
    });
}

#[test]
fn what_is_no_message_ends_the_connection() {
    let card = Arc::new(ModelCard::new(ModelOptions::default()).unwrap());
    let server = Server::start(&socket("nothing"), card as Arc<dyn SimCard>).unwrap();
    let mut client = greeted(&server);
    client.write_all(&[0xff; HEADER_BYTES]).unwrap();
    // Not a time-out: the server has hung up.
    assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn a_server_that_talks_nonsense_is_an_error() {
    let path = socket("nonsense");
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    for seed in 0..60 {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut rng = ChaCha20Rng::seed_from_u64(seed);
                let (mut stream, _) = listener.accept().unwrap();
                for _ in 0..rng.gen_range(0..5) {
                    let mut head = [0; HEADER_BYTES];
                    if stream.read_exact(&mut head).is_err() {
                        return;
                    }
                    let mut asked = Header::decode(&head).unwrap();
                    let mut rest = vec![0; asked.bytes as usize - HEADER_BYTES];
                    stream.read_exact(&mut rest).unwrap();
                    let mut answer = vec![0; rng.gen_range(0..40)];
                    rng.fill_bytes(&mut answer);
                    if rng.gen_bool(0.5) {
                        // The version is taken, so that later answers are reached.
                        answer = VersionBody {
                            major: VERSION.0,
                            minor: VERSION.1,
                        }
                        .encode();
                    }
                    asked.reply = true;
                    asked.bytes = (HEADER_BYTES + answer.len()) as u32;
                    asked.error = rng.gen_bool(0.2).then_some(5);
                    asked.id = asked.id.wrapping_add(rng.gen_bool(0.1).into());
                    let sent = stream.write_all(&asked.encode());
                    if sent.and_then(|()| stream.write_all(&answer)).is_err() {
                        return;
                    }
                }
            });
            let started = Instant::now();
            let error = ClientCard::connect(&path).unwrap_err();
            assert!(!error.to_string().is_empty());
            assert!(
                started.elapsed() < Duration::from_secs(10),
                "{seed}: {error}"
            );
        });
    }
    std::fs::remove_file(&path).unwrap();
}
