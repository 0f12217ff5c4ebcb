//! Faults in the middle of a chain: the command that meets one says what happened, those behind it
//! were not run, and the chain can be sent again.
//!
//! On a card without `LINK` and `FILL` there is nothing to see; `chains.rs` checks that it says so.

use carillon_driver::status::StatusCode;
use carillon_driver::{
    CardRegion, Chain, Finished, HostBuf, JobError, RecoveryAction, ResetLevel, Ticket,
};
use carillon_sim::faults::{CardFault, FOR_EVER, Hang};
use carillon_sim::memory::MemoryFault;

use super::{Bench, Rig, bench, bench_with, config, patience, record, within};

/// Commands of a chain. The second meets the fault.
const LINKS: usize = 4;
/// Bytes of card memory for each of them, and of the transfer that meets the fault.
const PART: usize = 4096;
/// Bytes that each other command writes.
const SMALL: usize = 64;
/// What card memory holds before, and what the chain writes there.
const BEFORE: u8 = 0x11;
const WRITTEN: u8 = 0x77;

async fn ended<T, R: Rig>(bench: &Bench<R>, ticket: Ticket<T>) -> Finished<T> {
    within(patience(&bench.config, 4), ticket).await
}

/// Card memory of a chain: a part for each of its commands.
async fn parts<R: Rig>(bench: &Bench<R>) -> [CardRegion; LINKS] {
    let region = bench.put(&[BEFORE; LINKS * PART]).await;
    std::array::from_fn(|link| region.part((link * PART) as u64, PART as u64).unwrap())
}

/// Writes the start of a part, without host memory, which may be what fails.
async fn small(chain: &Chain, part: &CardRegion) -> Ticket<()> {
    let to = part.part(0, SMALL as u64).unwrap();
    let word = u64::from_ne_bytes([WRITTEN; 8]);
    chain.submit_fill(word, &to).await
}

/// Whether the fill of a part was run.
async fn ran<R: Rig>(bench: &Bench<R>, part: &CardRegion) -> bool {
    let image = bench.get(part, PART).await;
    assert!(image[SMALL..].iter().all(|&byte| byte == BEFORE));
    let byte = image[0];
    assert!(byte == BEFORE || byte == WRITTEN);
    assert!(image[..SMALL].iter().all(|&other| other == byte));
    byte == WRITTEN
}

/// Of the four, the first was run; the last two were not.
async fn stopped_after_the_first<R: Rig>(bench: &Bench<R>, parts: &[CardRegion; LINKS]) {
    let [first, _, third, fourth] = parts;
    assert!(ran(bench, first).await);
    assert!(!ran(bench, third).await);
    assert!(!ran(bench, fourth).await);
}

/// The advice, followed: the chain is sent again, and runs to its end.
async fn again<R: Rig>(bench: &Bench<R>, parts: &[CardRegion; LINKS]) {
    let chain = bench.card.queue(0).chain().await;
    let first = small(&chain, &parts[0]).await;
    let data = bench.down(&[WRITTEN; PART]);
    let second = chain.submit_write(data, &parts[1]).await;
    let third = small(&chain, &parts[2]).await;
    let fourth = small(&chain, &parts[3]).await;
    chain.finish();
    ended(bench, second).await.result.unwrap();
    for ticket in [first, third, fourth] {
        ended(bench, ticket).await.result.unwrap();
    }
    for part in [&parts[0], &parts[2], &parts[3]] {
        assert!(ran(bench, part).await);
    }
    assert!(bench.get(&parts[1], PART).await == [WRITTEN; PART]);
}

/// The transfer in the middle of a chain.
enum Middle {
    Write,
    Read,
}

/// Sends a chain whose second command meets `fault`, and gives that command's error; none if this
/// rig cannot have the fault, which is recorded. The commands around it ended as they must, and the
/// other queue went on.
async fn failed<R: Rig>(
    bench: &Bench<R>,
    name: &str,
    fault: CardFault,
    middle: Middle,
    parts: &[CardRegion; LINKS],
) -> Option<JobError> {
    let chain = bench.card.queue(0).chain().await;
    let first = small(&chain, &parts[0]).await;
    let failing: Ticket<HostBuf> = match middle {
        Middle::Write => {
            let data = bench.down(&[WRITTEN; PART]);
            chain.submit_write(data, &parts[1]).await
        }
        Middle::Read => {
            let into = bench.card.buffer_from_card(PART).unwrap();
            chain.submit_read(&parts[1], into).await
        }
    };
    let id = failing.command_id();
    // The second is held back until the third comes, so it is the next that the card meets.
    ended(bench, first).await.result.unwrap();
    if !bench.inject(name, fault) {
        return None;
    }
    let third = small(&chain, &parts[2]).await;
    let fourth = small(&chain, &parts[3]).await;
    chain.finish();
    let other = bench.card.allocate(SMALL as u64).unwrap();
    bench.card.queue(1).fill(0, &other).await.unwrap();
    let finished = ended(bench, failing).await;
    assert!(finished.memory.is_some(), "the buffer comes back");
    let error = finished.result.unwrap_err();
    for ticket in [third, fourth] {
        let error = ended(bench, ticket).await.result.unwrap_err();
        assert_eq!(error.recovery_action(), RecoveryAction::Retry);
        assert!(
            matches!(error, JobError::LinkBroken { failed } if Some(failed) == id),
            "{name}: {error}"
        );
    }
    bench.rig.heal();
    stopped_after_the_first(bench, parts).await;
    Some(error)
}

/// Memory that fails in the middle of a chain ends the chain, and costs nothing else.
pub async fn bus_errors_in_mid_chain<R: Rig>() {
    let card_memory = |part: &CardRegion, write: bool| {
        CardFault::Memory(MemoryFault {
            address: part.address(),
            bytes: PART as u64,
            reads: !write,
            writes: write,
        })
    };
    // Everything but rings and completions, seen by size.
    let (above, count) = (32, FOR_EVER);
    let bench = bench::<R>().await;
    if !bench.card.info().link || !bench.card.info().fill {
        return;
    }
    let parts = parts(&bench).await;
    let rows = [
        (
            "card memory cannot be written in mid-chain",
            card_memory(&parts[1], true),
            Middle::Write,
            StatusCode::CardWrite,
        ),
        (
            "card memory cannot be read in mid-chain",
            card_memory(&parts[1], false),
            Middle::Read,
            StatusCode::CardRead,
        ),
        (
            "host memory cannot be read (poisoned read) in mid-chain",
            CardFault::HostReads { above, count },
            Middle::Write,
            StatusCode::HostRead,
        ),
        (
            "host memory cannot be written in mid-chain",
            CardFault::HostWrites { above, count },
            Middle::Read,
            StatusCode::HostWrite,
        ),
    ];
    for (name, fault, middle, status) in rows {
        // What an earlier row has left there.
        for part in &parts {
            let data = bench.down(&[BEFORE; PART]);
            let written = bench.card.queue(0).write(data, part).await;
            written.result.unwrap();
        }
        let Some(error) = failed(&bench, name, fault, middle, &parts).await else {
            continue;
        };
        assert_eq!(error.status(), Some(status), "{name}: {error}");
        assert!(matches!(error, JobError::Status { .. }), "{name}: {error}");
        assert_eq!(error.recovery_action(), RecoveryAction::Retry);
        again(&bench, &parts).await;
        bench.works().await;
        record::served(name, &error);
    }
    let c = bench.card.driver_counters();
    assert_eq!((c.timeouts, c.queue_restarts), (0, 0));
}

/// A command that hangs is aborted, which ends its chain and leaves the queue alone.
pub async fn a_hang_in_mid_chain_is_aborted<R: Rig>() {
    let name = "command hangs until ABORT in mid-chain";
    let mut config = config::<R>();
    config.deadlines.stall = R::stall() / 2;
    let bench = bench_with::<R>(config).await;
    if !bench.card.info().link || !bench.card.info().fill {
        return;
    }
    let parts = parts(&bench).await;
    let fault = CardFault::Hang {
        queue: 1,
        until: Hang::UntilAbort,
    };
    let Some(error) = failed(&bench, name, fault, Middle::Write, &parts).await else {
        return;
    };
    assert!(
        matches!(error, JobError::TimedOut { by: "ABORT", .. }),
        "{error}"
    );
    again(&bench, &parts).await;
    let bench = bench.follow(name, &error).await;
    let c = bench.card.driver_counters();
    assert_eq!((c.timeouts, c.queue_restarts), (1, 0));
    assert_eq!((c.controller_resets, c.function_resets), (0, 0));
}

/// A reset ends what is left of a chain, and says whether card memory was lost.
pub async fn a_reset_in_mid_chain<R: Rig>() {
    let rows = [
        (
            "controller reset in mid-chain",
            ResetLevel::Controller,
            false,
        ),
        (
            "function-level reset in mid-chain",
            ResetLevel::Function,
            true,
        ),
    ];
    for (name, level, lost) in rows {
        let bench = bench::<R>().await;
        if !bench.card.info().link || !bench.card.info().fill {
            return;
        }
        let before = parts(&bench).await;
        // So long when it is slow that the reset meets it.
        let bytes = (R::LONG * R::THIN).min(8 << 20);
        let target = bench.card.allocate(bytes as u64).unwrap();
        let buffer = bench.card.buffer_to_card(bytes).unwrap();
        bench.slow(true);
        let chain = bench.card.queue(0).chain().await;
        let first = small(&chain, &before[0]).await;
        let second = chain.submit_write(buffer, &target).await;
        ended(&bench, first).await.result.unwrap();
        let start = bench.card.counters().unwrap().host_read;
        let third = small(&chain, &before[2]).await;
        let fourth = small(&chain, &before[3]).await;
        chain.finish();
        let under_way = async {
            // More than the commands.
            while bench.card.counters().unwrap().host_read < start + PART as u64 {
                tokio::time::sleep(bench.config.deadlines.poll).await;
            }
        };
        within(patience(&bench.config, 1), under_way).await;
        let reset = bench.card.reset(level);
        within(patience(&bench.config, 3), reset).await.unwrap();
        bench.slow(false);
        let check = |error: &JobError| {
            let JobError::Restarted { memory_lost, .. } = error else {
                panic!("{name}: {error}");
            };
            assert_eq!(*memory_lost, lost);
        };
        let second = ended(&bench, second).await;
        assert!(second.memory.is_some(), "the card is proven to be done");
        let error = second.result.unwrap_err();
        check(&error);
        for ticket in [third, fourth] {
            check(&ended(&bench, ticket).await.result.unwrap_err());
        }
        let parts = if lost {
            assert_eq!(error.recovery_action(), RecoveryAction::RewriteAndRetry);
            parts(&bench).await
        } else {
            assert_eq!(error.recovery_action(), RecoveryAction::Retry);
            stopped_after_the_first(&bench, &before).await;
            before
        };
        again(&bench, &parts).await;
        let bench = bench.follow(name, &error).await;
        let c = bench.card.driver_counters();
        let resets = (c.controller_resets, c.function_resets);
        assert_eq!(resets, if lost { (0, 1) } else { (1, 0) });
    }
}
