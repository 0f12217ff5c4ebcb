//! Random short sessions of a card, and the three witnesses that judge each:
//! every access of the card against the ledger, canaries in what the CPU owns,
//! and the ledger at the end.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

use carillon_driver::command::{Group, MsmMode};
use carillon_driver::transport::TransportError;
use carillon_driver::{
    Audit, Card, CardError, CardRegion, Finished, Health, HostBuf, JobError, MemoryUse, Msm, Owner,
    ResetLevel, Ticket,
};
use carillon_sim::memory::{DmaAccess, DmaFault, Verdict};
use carillon_sim::model::Hang;
use rand::{Rng as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::runtime::Runtime;

use super::stubborn::Stubborn;
use super::{RINGS, config, open};

/// Longest wait for anything; never reached unless something hangs.
const PATIENCE: Duration = Duration::from_secs(30);
/// Sessions under way together: most of a session is waiting for deadlines.
const TOGETHER: usize = 16;

/// Runs `sessions` of them and says what happened in all.
pub fn run(sessions: u64) {
    if let Ok(seed) = std::env::var("CARILLON_SEED") {
        let mut tally = Tally::default();
        Session::new(seed.parse().unwrap()).run(&mut tally);
        println!("session {seed}: {tally:?}");
        return;
    }
    let start = Instant::now();
    let next = AtomicU64::new(0);
    let sum = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for _ in 0..TOGETHER {
            scope.spawn(|| {
                let mut tally = Tally::default();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= sessions {
                        break;
                    }
                    Session::new(seed).run(&mut tally);
                }
                sum.lock().unwrap().add(&tally);
            });
        }
    });
    let sum = sum.into_inner().unwrap();
    println!(
        "{sessions} sessions in {:?}: {:?}",
        start.elapsed(),
        sum.counts
    );
    // The test has met what it is for.
    for what in [
        "accesses",
        "canaries",
        "succeeded",
        "Status",
        "TimedOut",
        "Restarted",
        "Protocol",
        "Offline",
        "Closed",
        "dropped unpolled",
        "dropped in submit",
        "dropped ticket",
        "aborted",
        "reset dropped",
        "quarantined",
        "revived",
        "runtime dropped",
        "unplugged",
    ] {
        assert!(sum.counts.contains_key(what), "never met: {what}");
    }
}

/// How often what was met.
#[derive(Debug, Default)]
struct Tally {
    counts: BTreeMap<&'static str, u64>,
}

impl Tally {
    fn note(&mut self, what: &'static str) {
        self.more(what, 1);
    }
    fn more(&mut self, what: &'static str, n: u64) {
        if n > 0 {
            *self.counts.entry(what).or_default() += n;
        }
    }
    fn add(&mut self, other: &Self) {
        for (what, n) in &other.counts {
            self.more(what, *n);
        }
    }
}

/// How a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Everything is waited for, then a reset, then the card is closed.
    Reset,
    /// The card is closed with commands under way.
    Close,
    /// The handle is dropped with commands under way.
    Drop,
    /// The runtime is dropped with commands under way.
    RuntimeDropped,
    /// The card is unplugged.
    Unplug,
    /// A command hangs, and neither resets nor unmaps work for a while.
    Stuck,
}

/// Chances in a thousand, per access, of what the card does wrong.
#[derive(Clone, Copy, Debug, Default)]
struct Faults {
    lose_completion: u32,
    corrupt_completion: u32,
    bus_error: u32,
    slow: u32,
}

/// What the card touched, as the ledger saw it.
#[derive(Debug, Default)]
struct Witness {
    accesses: u64,
    violations: Vec<String>,
}

enum Held {
    One(Ticket<HostBuf>),
    Many(Ticket<Vec<HostBuf>>),
    None(Ticket<()>),
}

/// A buffer of the CPU, full of one byte that nobody may change.
struct Canary {
    buffer: HostBuf,
    byte: u8,
}

struct Session {
    seed: u64,
    rng: ChaCha8Rng,
    transport: Arc<Stubborn>,
    witness: Arc<Mutex<Witness>>,
    canaries: Vec<Canary>,
    held: Vec<Held>,
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
}

/// Polls once, then drops the future and what it may have given.
async fn poll_once<F: Future>(future: F) {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| {
        drop(future.as_mut().poll(cx));
        Poll::Ready(())
    })
    .await;
}

impl Session {
    fn new(seed: u64) -> Self {
        Self {
            seed,
            rng: ChaCha8Rng::seed_from_u64(seed),
            transport: Stubborn::new(),
            witness: Arc::default(),
            canaries: Vec::new(),
            held: Vec::new(),
        }
    }

    fn run(mut self, tally: &mut Tally) {
        let end = match self.rng.gen_range(0..100) {
            0..40 => End::Reset,
            40..58 => End::Close,
            58..70 => End::Drop,
            70..86 => End::RuntimeDropped,
            86..97 => End::Unplug,
            _ => End::Stuck,
        };
        let faults = match self.rng.gen_range(0..10) {
            0..6 => Faults::default(),
            6 => Faults {
                lose_completion: 30,
                ..Faults::default()
            },
            7 => Faults {
                corrupt_completion: 60,
                ..Faults::default()
            },
            8 => Faults {
                bus_error: 40,
                ..Faults::default()
            },
            _ => Faults {
                slow: 200,
                ..Faults::default()
            },
        };
        let main = runtime();
        let card = main.block_on(async {
            let start = Instant::now();
            loop {
                match open(&self.transport, config()).await {
                    Ok(card) => return card,
                    // The deadlines are so short that a busy machine may miss
                    // one; then the driver is right to refuse.
                    Err(error) => {
                        let late = start.elapsed() > PATIENCE;
                        assert!(!late, "session {}: {error}", self.seed);
                        tally.note("opened again");
                    }
                }
            }
        });
        let audit = card.audit();
        self.watch(faults, audit.clone());
        main.block_on(async {
            for _ in 0..self.rng.gen_range(2..10) {
                self.step(&card, tally).await;
            }
        });
        match end {
            End::Reset => main.block_on(self.end_by_reset(card, tally)),
            End::Close => {
                main.block_on(card.close());
                tally.note("closed");
            }
            End::Drop => {
                drop(card);
                main.block_on(self.drain(tally));
                tally.note("handle dropped");
            }
            End::RuntimeDropped => {
                if self.rng.gen_bool(0.5) {
                    drop(main);
                    drop(card);
                } else {
                    drop(card);
                    drop(main);
                }
                tally.note("runtime dropped");
                self.settle(&runtime(), &audit, tally);
                return;
            }
            End::Unplug => {
                self.transport.model.unplug();
                main.block_on(async {
                    self.step(&card, tally).await;
                    self.drain(tally).await;
                    let refused = card.reset(ResetLevel::Function).await;
                    assert!(
                        matches!(
                            refused,
                            // The latter when the reset was what found out.
                            Err(CardError::Offline { .. }
                                | CardError::Transport(TransportError::Gone { .. }))
                        ),
                        "session {}: {refused:?}",
                        self.seed
                    );
                    card.close().await;
                });
                tally.note("unplugged");
            }
            End::Stuck => main.block_on(self.end_stuck(card, tally)),
        }
        self.settle(&main, &audit, tally);
    }

    /// Has every access of the card checked from now on.
    fn watch(&mut self, faults: Faults, audit: Audit) {
        let witness = Arc::clone(&self.witness);
        let mut rng = ChaCha8Rng::seed_from_u64(!self.seed);
        let fault: DmaFault = Box::new(move |access| {
            let (address, bytes, write) = match &access {
                DmaAccess::Read { address, bytes } => (*address, *bytes, false),
                DmaAccess::Write { address, data } => (*address, data.len(), true),
            };
            let owner = audit.owner(address..address + bytes as u64);
            let mut witness = witness.lock().unwrap();
            witness.accesses += 1;
            if owner == Owner::Cpu {
                witness.violations.push(format!(
                    "{} of {bytes} bytes at {address:#x}",
                    if write { "write" } else { "read" }
                ));
            }
            drop(witness);
            let chance = rng.gen_range(0..1000);
            match access {
                DmaAccess::Write { data, .. } if data.len() == 32 => {
                    if chance < faults.lose_completion {
                        return Verdict::Lose;
                    }
                    if chance < faults.corrupt_completion {
                        let bit = rng.gen_range(0..256);
                        data[bit / 8] ^= 1 << (bit % 8);
                    }
                }
                _ if chance < faults.bus_error => return Verdict::Fail,
                _ if chance < faults.slow => std::thread::sleep(Duration::from_millis(1)),
                _ => {}
            }
            Verdict::Pass
        });
        self.transport.model.dma().inject(Some(fault));
    }

    /// Fills a buffer that came back, and looks at it again in the end.
    fn keep(&mut self, mut buffer: HostBuf) {
        let byte = self.rng.gen_range(1..=255);
        buffer.fill(byte);
        self.canaries.push(Canary { buffer, byte });
    }

    fn finished<M>(&mut self, finished: Finished<M>, tally: &mut Tally) -> Option<M> {
        tally.note(match &finished.result {
            Ok(_) => "succeeded",
            Err(JobError::Status { .. }) => "Status",
            Err(JobError::TimedOut { .. }) => "TimedOut",
            Err(JobError::Restarted { .. }) => "Restarted",
            Err(JobError::Protocol { .. }) => "Protocol",
            Err(JobError::Offline { .. }) => "Offline",
            Err(JobError::Closed) => "Closed",
            Err(JobError::StaleRegion) => "StaleRegion",
            Err(error) => panic!("session {}: {error}", self.seed),
        });
        finished.memory
    }

    async fn wait_for(&mut self, held: Held, tally: &mut Tally) {
        let seed = self.seed;
        let late = move |_| panic!("session {seed}: a command does not end");
        let buffers = match held {
            Held::One(ticket) => {
                let finished = tokio::time::timeout(PATIENCE, ticket).await;
                let finished = finished.unwrap_or_else(late);
                self.finished(finished, tally).into_iter().collect()
            }
            Held::Many(ticket) => {
                let finished = tokio::time::timeout(PATIENCE, ticket).await;
                let finished = finished.unwrap_or_else(|_| panic!("session {seed}: hangs"));
                self.finished(finished, tally).unwrap_or_default()
            }
            Held::None(ticket) => {
                let finished = tokio::time::timeout(PATIENCE, ticket).await;
                let finished = finished.unwrap_or_else(|_| panic!("session {seed}: hangs"));
                self.finished(finished, tally);
                Vec::new()
            }
        };
        buffers.into_iter().for_each(|buffer| self.keep(buffer));
    }

    async fn drain(&mut self, tally: &mut Tally) {
        for held in std::mem::take(&mut self.held) {
            self.wait_for(held, tally).await;
        }
    }

    /// One thing that a program may do.
    async fn step(&mut self, card: &Card, tally: &mut Tally) {
        match self.rng.gen_range(0..100) {
            0..70 => self.command(card, tally).await,
            70..78 => {
                if !self.held.is_empty() {
                    let at = self.rng.gen_range(0..self.held.len());
                    let held = self.held.swap_remove(at);
                    if self.rng.gen_bool(0.5) {
                        self.wait_for(held, tally).await;
                    } else {
                        tally.note("dropped ticket");
                    }
                }
            }
            78..82 => {
                let hang = match self.rng.gen_range(0..4) {
                    0 => Hang::UntilAbort,
                    1 => Hang::UntilQueueStop,
                    2 => Hang::UntilControllerStop,
                    _ => Hang::UntilReset,
                };
                let queue = self.rng.gen_range(1..3);
                self.transport.model.hang(queue, hang);
                tally.note("hangs");
            }
            82..86 => {
                let level = if self.rng.gen_bool(0.5) {
                    ResetLevel::Controller
                } else {
                    ResetLevel::Function
                };
                if self.rng.gen_bool(0.5) {
                    poll_once(card.reset(level)).await;
                    tally.note("reset dropped");
                } else {
                    tally.note(match card.reset(level).await {
                        Ok(()) => "reset",
                        Err(_) => "reset failed",
                    });
                }
            }
            86..92 => {
                if let Ok(buffer) = card.buffer_from_card(self.rng.gen_range(1..2000)) {
                    self.keep(buffer);
                }
            }
            92..96 => {
                let millis = self.rng.gen_range(0..3);
                tokio::time::sleep(Duration::from_millis(millis)).await;
            }
            _ => tokio::task::yield_now().await,
        }
    }

    fn region(&mut self, card: &Card) -> Option<CardRegion> {
        card.allocate(8192).ok()
    }

    async fn command(&mut self, card: &Card, tally: &mut Tally) {
        let queue = card.queue(self.rng.gen_range(0..2)).clone();
        let Some(region) = self.region(card) else {
            return;
        };
        let bytes = self.rng.gen_range(1..4096);
        let pieces = self.rng.gen_range(1..4);
        match self.rng.gen_range(0..5) {
            0 => {
                if let Ok(buffer) = card.buffer_to_card(bytes) {
                    let sent = queue.submit_write(buffer, &region);
                    self.send(sent, Held::One, tally).await;
                }
            }
            1 => {
                if let Ok(buffer) = card.buffer_from_card(bytes) {
                    let sent = queue.submit_read(&region, buffer);
                    self.send(sent, Held::One, tally).await;
                }
            }
            2 => {
                let buffers = (0..pieces).map(|_| card.buffer_to_card(bytes / 2 + 1));
                if let Ok(buffers) = buffers.collect() {
                    let sent = queue.submit_write_list(buffers, &region);
                    self.send(sent, Held::Many, tally).await;
                }
            }
            3 => {
                let buffers = (0..pieces).map(|_| card.buffer_from_card(bytes / 2 + 1));
                if let Ok(buffers) = buffers.collect() {
                    let sent = queue.submit_read_list(&region, buffers);
                    self.send(sent, Held::Many, tally).await;
                }
            }
            _ => {
                let msm = Msm {
                    group: Group::G1,
                    bases: region.part(0, 96 * 3).unwrap(),
                    scalars: region.part(1024, 32 * 3).unwrap(),
                    n: 3,
                    result: region.part(2048, 192).unwrap(),
                    window_bits: 0,
                    mode: MsmMode::Full,
                };
                let sent = queue.submit_msm(&msm);
                self.send(sent, Held::None, tally).await;
            }
        }
    }

    /// Sends it, and lets go of it at some moment.
    async fn send<M>(
        &mut self,
        sent: impl Future<Output = Ticket<M>>,
        hold: impl FnOnce(Ticket<M>) -> Held,
        tally: &mut Tally,
    ) {
        match self.rng.gen_range(0..100) {
            0..8 => {
                drop(sent);
                tally.note("dropped unpolled");
            }
            8..16 => {
                poll_once(sent).await;
                tally.note("dropped in submit");
            }
            16..30 => {
                // Waits for a free slot at most so long.
                let limit = Duration::from_millis(self.rng.gen_range(0..4));
                drop(tokio::time::timeout(limit, sent).await);
                tally.note("dropped ticket");
            }
            choice => {
                let Ok(ticket) = tokio::time::timeout(PATIENCE, sent).await else {
                    panic!("session {}: no free slot", self.seed);
                };
                if choice < 45 {
                    ticket.abort();
                    tally.note("aborted");
                }
                let held = hold(ticket);
                if choice < 60 {
                    self.wait_for(held, tally).await;
                } else {
                    self.held.push(held);
                }
            }
        }
    }

    /// Resets until it helps: with such deadlines one may be missed.
    async fn reset(&self, card: &Card) {
        let start = Instant::now();
        while let Err(error) = card.reset(ResetLevel::Function).await {
            assert!(start.elapsed() < PATIENCE, "session {}: {error}", self.seed);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn end_by_reset(&mut self, card: Card, tally: &mut Tally) {
        if self.rng.gen_bool(0.7) {
            self.drain(tally).await;
        }
        self.transport.model.dma().inject(None);
        let offline = matches!(&*card.health().borrow(), Health::Offline(_));
        self.reset(&card).await;
        if offline {
            tally.note("revived");
        }
        self.drain(tally).await;
        let used = card.memory_use();
        assert_eq!(
            (used.lent, used.quarantined),
            (RINGS, 0),
            "session {}",
            self.seed
        );
        card.close().await;
    }

    async fn end_stuck(&mut self, card: Card, tally: &mut Tally) {
        self.transport.stuck.store(true, Ordering::Release);
        for queue in [1, 2] {
            self.transport.model.hang(queue, Hang::UntilReset);
            // The one that hangs is not reached if an older one hangs.
            self.command(&card, tally).await;
        }
        self.drain(tally).await;
        tally.more("quarantined", u64::from(card.quarantined() > 0));
        self.transport.stuck.store(false, Ordering::Release);
        if self.rng.gen_bool(0.7) {
            self.end_by_reset(card, tally).await;
        } else {
            card.close().await;
        }
    }

    /// After the end: everything has come back, nothing is mapped.
    fn settle(&mut self, runtime: &Runtime, audit: &Audit, tally: &mut Tally) {
        runtime.block_on(self.drain(tally));
        let dma = self.transport.model.dma();
        let start = Instant::now();
        // A dropped handle is closed by its task.
        while dma.mapped() > 0 {
            assert!(start.elapsed() < PATIENCE, "session {}: mapped", self.seed);
            runtime.block_on(async { tokio::time::sleep(Duration::from_millis(1)).await });
        }
        assert_eq!(audit.memory_use(), MemoryUse::default(), "{}", self.seed);
        // The card has stopped: late accesses would be seen below.
        dma.inject(None);
        let canaries = std::mem::take(&mut self.canaries);
        tally.more("canaries", canaries.len() as u64);
        for canary in canaries {
            assert!(
                canary.buffer.iter().all(|&b| b == canary.byte),
                "session {}: the card wrote what the CPU owns",
                self.seed
            );
        }
        let witness = std::mem::take(&mut *self.witness.lock().unwrap());
        assert!(
            witness.violations.is_empty(),
            "session {}: {:?}",
            self.seed,
            witness.violations
        );
        tally.more("accesses", witness.accesses);
    }
}
