//! The driver's suite on the functional card behind a vfio-user socket, and
//! what only two processes can do to each other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod suite;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use carillon_driver::transport::Transport;
use carillon_driver::{Card, CardError};
use carillon_sim::card::SimCard;
use carillon_sim::faults::CardFault;
use carillon_sim::model::{ModelCard, ModelOptions};
use carillon_sim::vfio_user::side_channel::{Command, Window};
use carillon_sim::vfio_user::{ClientCard, ClientError, ServeError, Server};

use suite::{Rig, bench, config};

struct OverSocket {
    card: Arc<ModelCard>,
    client: Arc<ClientCard>,
    // Last: the client leaves before the server ends.
    server: Server,
}

fn socket() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("carillon-{}-{number}.sock", std::process::id()))
}

impl Rig for OverSocket {
    const NAME: &str = "vfio-user";
    const LONG: usize = 8 << 20;
    const LAPS: usize = 100;
    const THIN: usize = 4;

    fn new() -> Self {
        let card = Arc::new(ModelCard::new(ModelOptions::default()).unwrap());
        let served = Arc::clone(&card) as Arc<dyn SimCard>;
        let server = Server::start(&socket(), served).unwrap();
        let client = Arc::new(ClientCard::connect(server.path()).unwrap());
        Self {
            card,
            client,
            server,
        }
    }
    fn transport(&self) -> Arc<dyn Transport> {
        Arc::clone(&self.client) as Arc<dyn Transport>
    }
    // Through the window, as it is done from another process.
    fn inject(&self, fault: CardFault) -> bool {
        self.client.inject(&fault).unwrap()
    }
    fn heal(&self) {
        SimCard::heal(&*self.card);
    }
    fn unplug(&self) -> bool {
        SimCard::unplug(&*self.card);
        true
    }
    fn replug(&self) -> bool {
        // The client's connection has ended with the card.
        false
    }
    fn mapped(&self) -> Option<usize> {
        Some(SimCard::mapped(&*self.card))
    }
    fn rogue(&self) -> Option<(u64, u64)> {
        Some(SimCard::rogue(&*self.card))
    }
    fn stall() -> Duration {
        Duration::from_secs(1)
    }
}

whole_suite!(OverSocket);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_client_is_refused_and_a_later_one_is_served() {
    let rig = OverSocket::new();
    let path = rig.server.path().to_owned();
    let error = ClientCard::connect(&path).unwrap_err();
    assert!(matches!(error, ClientError::Busy { .. }), "{error}");
    let bench = bench::<OverSocket>().await;
    bench.works().await;
    // The first leaves: its memory is forgotten, the card reset.
    rig.transport()
        .write32(carillon_driver::registers::ctrl::OFFSET, 1);
    drop(rig.client);
    // At once: who has hung up is no reason to refuse the next.
    let again = Arc::new(ClientCard::connect(&path).unwrap());
    let ctrl = again.read32(carillon_driver::registers::ctrl::OFFSET);
    assert_eq!((ctrl, SimCard::mapped(&*rig.card)), (0, 0));
    let card = Card::open(again, config::<OverSocket>()).await.unwrap();
    card.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_ends_is_a_card_that_has_left() {
    let OverSocket { client, server, .. } = OverSocket::new();
    let mut events = client.events();
    drop(server);
    let event = tokio::time::timeout(Duration::from_secs(10), events.recv()).await;
    assert_eq!(
        event.unwrap().unwrap(),
        carillon_driver::transport::TransportEvent::Removed
    );
    assert_eq!(client.read32(0), u32::MAX);
    let opened = Card::open(client, config::<OverSocket>()).await;
    assert!(matches!(opened, Err(CardError::Gone { .. })));
}

/// The event of a removal that the client asked for is heard late; the card may be back by then,
/// and the connection must stand all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_that_was_away_for_a_moment_is_there_again() {
    let OverSocket {
        card,
        client,
        server,
    } = OverSocket::new();
    for round in 0..2000 {
        let there = client
            .command(Command::Unplug)
            .and_then(|_| client.command(Command::Replug));
        assert!(matches!(there, Ok(true)), "round {round}: {there:?}");
    }
    let open = Card::open(Arc::clone(&client) as _, config::<OverSocket>());
    open.await.unwrap().close().await;
    // One that leaves on its own ends the connection, also after all these.
    let mut events = client.events();
    SimCard::unplug(&*card);
    let event = tokio::time::timeout(Duration::from_secs(60), events.recv()).await;
    assert!(event.is_ok(), "the client is told");
    drop(server);
}

/// Only a socket that nobody answers at is replaced, and only the server's own is removed.
#[test]
fn what_is_no_socket_is_left_alone() {
    let serve = |path: &std::path::Path| {
        let card = Arc::new(ModelCard::new(ModelOptions::default()).unwrap());
        Server::start(path, card as Arc<dyn SimCard>)
    };
    let folder = tempfile::tempdir().unwrap();
    let [file, link, path] = ["file", "link", "socket"].map(|name| folder.path().join(name));
    std::fs::write(&file, "precious").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    for taken in [&file, &link, &folder.path().to_owned()] {
        let error = serve(taken).unwrap_err();
        assert!(matches!(error, ServeError::NotASocket { .. }), "{error}");
    }
    assert_eq!(std::fs::read_to_string(&link).unwrap(), "precious");
    // A dead server's socket.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let server = serve(&path).unwrap();
    assert!(matches!(serve(&path), Err(ServeError::InUse { .. })));
    // Somebody puts a file in its place.
    std::fs::rename(&file, &path).unwrap();
    drop(server);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn nobody_there_says_how_to_start_one() {
    let error = ClientCard::connect(&socket()).unwrap_err().to_string();
    assert!(error.contains("carillon simulate"), "{error}");
}

/// The variable that makes this test program the process to be killed.
const VICTIM: &str = "CARILLON_TEST_VICTIM";

/// Not a test of its own: opens the card at the socket of `VICTIM`, keeps it busy and waits to be
/// killed.
async fn be_the_victim(path: PathBuf) {
    let client = Arc::new(ClientCard::connect(&path).unwrap());
    let card = Card::open(client, config::<OverSocket>()).await.unwrap();
    let region = card.allocate(1 << 20).unwrap();
    let mut tickets = Vec::new();
    loop {
        let buffer = card.buffer_to_card(1 << 20).unwrap();
        tickets.push(card.queue(0).submit_write(buffer, &region).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_leaves_a_card_that_works() {
    if let Some(path) = std::env::var_os(VICTIM) {
        return be_the_victim(path.into()).await;
    }
    let card = Arc::new(ModelCard::new(ModelOptions::default()).unwrap());
    let server = Server::start(&socket(), Arc::clone(&card) as Arc<dyn SimCard>).unwrap();
    // Pieces of the job take long, so that it dies in the middle of one.
    let slow = CardFault::Slow {
        above: 64,
        micros: 2000,
    };
    SimCard::inject(&*card, slow).unwrap();
    let mut victim = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_killed_process_leaves_a_card_that_works"])
        .env(VICTIM, server.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let busy = |card: &ModelCard| {
        let status = card.read32(carillon_driver::registers::status::OFFSET);
        carillon_driver::registers::status::BUSY.get(status) != 0
    };
    let started = std::time::Instant::now();
    while !(busy(&card) && SimCard::mapped(&*card) >= 2) {
        assert!(started.elapsed() < Duration::from_secs(30), "no job");
        assert!(victim.try_wait().unwrap().is_none(), "it ended by itself");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    victim.kill().unwrap();
    victim.wait().unwrap();
    SimCard::heal(&*card);
    let client = loop {
        match ClientCard::connect(server.path()) {
            Ok(client) => break Arc::new(client),
            Err(ClientError::Busy { .. }) if started.elapsed() < Duration::from_secs(60) => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(error) => panic!("{error}"),
        }
    };
    assert!(!busy(&card), "the card was reset");
    assert_eq!(
        SimCard::mapped(&*card),
        0,
        "the dead process's memory is forgotten"
    );
    let open = Card::open(client, config::<OverSocket>()).await.unwrap();
    let region = open.allocate(4096).unwrap();
    let mut buffer = open.buffer_to_card(4096).unwrap();
    buffer.fill(7);
    open.queue(0).write(buffer, &region).await.ok().unwrap();
    let back = open.buffer_from_card(4096).unwrap();
    let (_, back) = open.queue(0).read(&region, back).await.ok().unwrap();
    assert!(back.iter().all(|&b| b == 7), "the next job is right");
    open.close().await;
}
