//! Whose memory is it? The driver's ledger against what the card really does,
//! on the functional model: two openers, quarantine, cards that come back, and
//! thousands of short sessions in which futures are dropped at any moment.
//!
//! `CARILLON_SEED=n` repeats one session of the last test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "ownership/sessions.rs"]
mod sessions;
#[path = "ownership/stubborn.rs"]
mod stubborn;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use carillon_driver::command::{COMMAND_BYTES, Command};
use carillon_driver::deadline::Deadlines;
use carillon_driver::memory::HostMemory;
use carillon_driver::registers as reg;
use carillon_driver::transport::{Direction, Transport, TransportError};
use carillon_driver::{
    Card, CardConfig, CardError, Health, JobError, MemoryUse, RecoveryAction, ResetLevel,
};
use carillon_sim::memory::{DmaAccess, Verdict};
use carillon_sim::model::Hang;

use stubborn::Stubborn;

/// Bytes of the rings of three queues of depth 4: 64 and 32 bytes an entry.
const RINGS: u64 = 3 * 4 * (64 + 32);

/// Small and impatient.
fn config() -> CardConfig {
    CardConfig {
        log2_depth: 2,
        host_memory_limit: 1 << 20,
        deadlines: Deadlines {
            poll: Duration::from_millis(2),
            stall: Duration::from_millis(60),
            floor_cycles: 20_000_000,
            slack: 16,
            abort_grace: Duration::from_millis(5),
            control: Duration::from_millis(100),
        },
    }
}

/// A configuration in which nothing times out on a busy machine.
fn patient() -> CardConfig {
    let mut config = config();
    config.deadlines.stall = Duration::from_secs(5);
    config.deadlines.control = Duration::from_millis(500);
    config
}

async fn open(card: &Arc<Stubborn>, config: CardConfig) -> Result<Card, CardError> {
    Card::open(Arc::clone(card) as Arc<dyn Transport>, config).await
}

/// Bytes there and back.
async fn works(card: &Card) {
    let region = card.allocate(256).unwrap();
    let data: Vec<u8> = (0..=255).collect();
    let down = card.buffer_with(&data).unwrap();
    card.queue(0).write(down, &region).await.ok().unwrap();
    let up = card.buffer_from_card(256).unwrap();
    let (_, up) = card.queue(1).read(&region, up).await.ok().unwrap();
    assert_eq!(up[..], data[..]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_has_one_driver_at_a_time() {
    let transport = Stubborn::new();
    let first = open(&transport, patient()).await.unwrap();
    let error = open(&transport, patient()).await.unwrap_err();
    assert!(
        matches!(&error, CardError::Transport(TransportError::Busy { .. })),
        "{error}"
    );
    assert!(
        error.to_string().contains("close it there first"),
        "{error}"
    );
    assert_eq!(error.recovery_action(), RecoveryAction::FixRequest);
    // The refusal has not touched the first.
    works(&first).await;
    first.close().await;
    // The advice.
    let second = open(&transport, patient()).await.unwrap();
    works(&second).await;
    second.close().await;
    assert_eq!(transport.model.dma().mapped(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ledger_follows_a_command() {
    let transport = Stubborn::new();
    let card = open(&transport, patient()).await.unwrap();
    let idle = card.memory_use();
    assert_eq!((idle.lent, idle.quarantined), (RINGS, 0));
    assert!(idle.mapped > 0);
    let region = card.allocate(4096).unwrap();
    let buffer = card.buffer_to_card(4096).unwrap();
    let range = buffer.iova()..buffer.iova() + 4096;
    let audit = card.audit();
    assert_eq!(audit.owner(range.clone()), carillon_driver::Owner::Cpu);
    transport.model.hang(1, Hang::UntilAbort);
    let ticket = card.queue(0).submit_write(buffer, &region).await;
    assert_eq!(audit.owner(range.clone()), carillon_driver::Owner::Card);
    assert_eq!(card.memory_use().lent, RINGS + 4096);
    ticket.abort();
    let finished = ticket.await;
    assert!(finished.memory.is_some());
    assert_eq!(audit.owner(range.clone()), carillon_driver::Owner::Cpu);
    assert_eq!(card.memory_use(), idle);
    card.close().await;
    assert_eq!(audit.owner(range), carillon_driver::Owner::Nobody);
    assert_eq!(audit.memory_use(), MemoryUse::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_out_of_service_comes_back_by_a_reset() {
    let transport = Stubborn::new();
    let card = open(&transport, patient()).await.unwrap();
    let region = card.allocate(64).unwrap();
    let kept = card.buffer_with(&[7; 64]).unwrap();
    transport.mute.store(true, Ordering::Release);
    let down = card.buffer_with(&[1; 64]).unwrap();
    let finished = card.queue(0).write(down, &region).await;
    assert!(finished.memory.is_some());
    assert!(matches!(finished.result, Err(JobError::Offline { .. })));
    assert!(matches!(&*card.health().borrow(), Health::Offline(_)));
    assert_eq!(card.memory_use(), MemoryUse::default());
    // Not while it does not answer, and not by half a reset.
    for level in [ResetLevel::Function, ResetLevel::Controller] {
        let error = card.reset(level).await.unwrap_err();
        assert!(matches!(error, CardError::Offline { .. }), "{error}");
        assert_eq!(error.recovery_action(), RecoveryAction::Reopen);
    }
    transport.mute.store(false, Ordering::Release);
    assert!(card.reset(ResetLevel::Controller).await.is_err());
    card.reset(ResetLevel::Function).await.unwrap();
    assert_eq!(*card.health().borrow(), Health::Ready);
    works(&card).await;
    assert_eq!(card.memory_use().lent, RINGS);
    // Buffers survive, content of card memory does not.
    let stale = card.queue(0).write(kept, &region).await;
    assert!(matches!(stale.result, Err(JobError::StaleRegion)));
    let (kept, region) = (stale.memory.unwrap(), card.allocate(64).unwrap());
    let (_, kept) = card.queue(0).write(kept, &region).await.ok().unwrap();
    assert_eq!(kept[..], [7; 64]);
    let up = card.buffer_from_card(64).unwrap();
    let (_, up) = card.queue(0).read(&region, up).await.ok().unwrap();
    assert_eq!(up[..], [7; 64]);
    // And it can be used up again and again.
    transport.mute.store(true, Ordering::Release);
    let _ = card.queue(0).write(kept, &region).await;
    transport.mute.store(false, Ordering::Release);
    card.reset(ResetLevel::Function).await.unwrap();
    works(&card).await;
    card.close().await;
    assert_eq!(transport.model.dma().mapped(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_out_of_service_may_be_opened_by_others_and_is_then_theirs() {
    let transport = Stubborn::new();
    let first = open(&transport, patient()).await.unwrap();
    let region = first.allocate(64).unwrap();
    transport.mute.store(true, Ordering::Release);
    let down = first.buffer_with(&[1; 64]).unwrap();
    let _ = first.queue(0).write(down, &region).await;
    transport.mute.store(false, Ordering::Release);
    let second = open(&transport, patient()).await.unwrap();
    let error = first.reset(ResetLevel::Function).await.unwrap_err();
    assert!(
        matches!(&error, CardError::Transport(TransportError::Busy { .. })),
        "{error}"
    );
    // The end of the first does not touch the second's card.
    first.close().await;
    works(&second).await;
    second.close().await;
}

/// Nothing stops the card and nothing unmaps its memory.
async fn quarantined(transport: &Arc<Stubborn>) -> Card {
    let mut limits = patient();
    limits.deadlines.stall = Duration::from_millis(300);
    limits.deadlines.control = Duration::from_millis(200);
    let card = open(transport, limits).await.unwrap();
    let region = card.allocate(4096).unwrap();
    transport.stuck.store(true, Ordering::Release);
    transport.model.hang(1, Hang::UntilReset);
    let down = card.buffer_to_card(4096).unwrap();
    let free = card.free_memory();
    let finished = card.queue(0).write(down, &region).await;
    assert!(matches!(finished.result, Err(JobError::Offline { .. })));
    assert!(finished.memory.is_none());
    assert_eq!(card.quarantined(), 4096);
    drop(region);
    assert_eq!(card.free_memory(), free, "the region is kept, too");
    // Nobody else gets a card that was not let go of.
    assert!(matches!(
        open(transport, config()).await,
        Err(CardError::Transport(TransportError::Busy { .. }))
    ));
    card
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quarantine_ends_with_a_reset() {
    let transport = Stubborn::new();
    let card = quarantined(&transport).await;
    assert!(card.reset(ResetLevel::Function).await.is_err());
    assert_eq!(card.quarantined(), 4096, "no proof, no release");
    transport.stuck.store(false, Ordering::Release);
    card.reset(ResetLevel::Function).await.unwrap();
    assert_eq!(
        (card.quarantined(), card.memory_use().lent),
        (0, RINGS),
        "proven"
    );
    works(&card).await;
    let all = transport.memory_bytes();
    assert_eq!(card.free_memory(), (all, all));
    card.close().await;
    assert_eq!(transport.model.dma().mapped(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quarantine_ends_with_an_unmap_when_the_card_is_closed() {
    let transport = Stubborn::new();
    let card = quarantined(&transport).await;
    let audit = card.audit();
    transport.stuck.store(false, Ordering::Release);
    card.close().await;
    assert_eq!(audit.memory_use(), MemoryUse::default());
    assert_eq!(transport.model.dma().mapped(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_handle_could_not_unmap_the_next_one_does() {
    let transport = Stubborn::new();
    let card = quarantined(&transport).await;
    let mapped = transport.model.dma().mapped();
    card.close().await;
    assert_eq!(transport.model.dma().mapped(), mapped, "nothing would end");
    // Opened again, the card is reset before anything else.
    transport.stuck.store(false, Ordering::Release);
    let card = open(&transport, patient()).await.unwrap();
    works(&card).await;
    card.close().await;
    assert_eq!(transport.model.dma().mapped(), 0);
}

/// A process died and left the card with a command under way. The next one
/// stops the card, and waits for what is under way, before its first mapping.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_left_in_mid_command_is_stopped_before_anything_is_mapped() {
    for hang in [None, Some(Hang::UntilReset)] {
        let transport = Stubborn::new();
        let model = Arc::clone(&transport.model);
        let map = |direction| {
            let memory = Arc::new(HostMemory::allocate(1 << 20).unwrap());
            let iova = model.map(Arc::clone(&memory), direction).unwrap();
            (memory, iova)
        };
        let (sq, sq_iova) = map(Direction::ToDevice);
        let (_cq, cq_iova) = map(Direction::FromDevice);
        let (_data, host) = map(Direction::FromDevice);
        let bytes = 1 << 18;
        let read = Command::Read {
            host,
            card: 0,
            bytes,
            list: false,
        };
        let raw: [u8; COMMAND_BYTES] = read.encode(3).to_bytes();
        sq.write(0, &raw).unwrap();
        let (running, flag) = (Arc::new(tokio::sync::Notify::new()), Arc::clone(&transport));
        let seen = Arc::clone(&running);
        model.dma().inject(Some(Box::new(move |access| {
            if let DmaAccess::Write { address, .. } = access
                && address >= host
                && address < host + bytes
            {
                assert!(!flag.mapped.load(Ordering::Acquire), "mapped too early");
                seen.notify_one();
                std::thread::sleep(Duration::from_millis(15));
            }
            Verdict::Pass
        })));
        model.write32(reg::ctrl::OFFSET, 1);
        let halves = |iova: u64| (iova as u32, (iova >> 32) as u32);
        for (lo, hi, iova) in [
            (
                reg::queue_sq_base_lo::offset(1),
                reg::queue_sq_base_hi::offset(1),
                sq_iova,
            ),
            (
                reg::queue_cq_base_lo::offset(1),
                reg::queue_cq_base_hi::offset(1),
                cq_iova,
            ),
        ] {
            model.write32(lo, halves(iova).0);
            model.write32(hi, halves(iova).1);
        }
        model.write32(reg::queue_log2_depth::offset(1), 2);
        model.write32(reg::queue_ctrl::offset(1), 1);
        if let Some(hang) = hang {
            model.hang(1, hang);
        }
        model.write32(reg::sq_tail::offset(1), 1);
        match hang {
            None => running.notified().await,
            // Fetched, so that it is this command that stands still.
            Some(_) => {
                while model.read32(reg::queue_sq_head::offset(1)) != 1 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        }
        transport.mapped.store(false, Ordering::Release);
        let card = open(&transport, patient()).await.unwrap();
        assert_eq!(transport.mapped_running.load(Ordering::Acquire), 0);
        model.dma().inject(None);
        works(&card).await;
        card.close().await;
    }
}

/// Futures dropped in every state, runtimes dropped, resets, faults, unplugging:
/// the card never touches what the CPU owns, and nothing is kept in the end.
#[test]
fn ten_thousand_sessions() {
    sessions::run(10_000);
}
