//! Injected faults, and the proof that the advised action restores service.

use std::sync::Arc;
use std::time::Duration;

use carillon_driver::registers as reg;
use carillon_driver::status::StatusCode;
use carillon_driver::transport::Transport;
use carillon_driver::{Card, CardError, Health, JobError, RecoveryAction};
use carillon_sim::faults::{Bus, CardFault, CompletionFault, FOR_EVER, FaultyTransport};
use carillon_sim::memory::MemoryFault;

use super::{Rig, bench, bench_with, config, patience, record, within};

pub async fn bus_errors_fail_one_command<R: Rig>() {
    let bench = bench::<R>().await;
    let queue = bench.card.queue(0);
    let region = bench.put(&[7; 4096]).await;
    let seen = std::cell::RefCell::new(Vec::new());
    let check = |fault: &str, error: JobError, status| {
        assert_eq!(error.status(), Some(status));
        assert_eq!(error.recovery_action(), RecoveryAction::Retry);
        let JobError::Status { completion } = &error else {
            panic!("{error}")
        };
        assert!(completion.status.retryable);
        seen.borrow_mut().push((fault.to_string(), error));
    };
    // Card memory.
    for (reads, writes) in [(true, false), (false, true)] {
        let fault = MemoryFault {
            address: region.address() + 128,
            bytes: 64,
            reads,
            writes,
        };
        if !bench.inject("bus error of card memory", CardFault::Memory(fault)) {
            continue;
        }
        let read = queue
            .read(&region, bench.card.buffer_from_card(4096).unwrap())
            .await;
        let write = queue.write(bench.down(&[7; 4096]), &region).await;
        match (reads, read.result, write.result) {
            (true, Err(e), Ok(_)) => check("card memory cannot be read", e, StatusCode::CardRead),
            (false, Ok(_), Err(e)) => {
                check("card memory cannot be written", e, StatusCode::CardWrite)
            }
            other => panic!("{other:?}"),
        }
        bench.rig.heal();
    }
    // Host memory: everything but rings and completions, seen by size.
    for fail_reads in [true, false] {
        let (above, count) = (32, FOR_EVER);
        let fault = if fail_reads {
            CardFault::HostReads { above, count }
        } else {
            CardFault::HostWrites { above, count }
        };
        if !bench.inject("bus error of host memory", fault) {
            continue;
        }
        let read = queue
            .read(&region, bench.card.buffer_from_card(4096).unwrap())
            .await;
        let write = queue.write(bench.down(&[7; 4096]), &region).await;
        match (fail_reads, read.result, write.result) {
            (true, Ok(_), Err(e)) => check(
                "host memory cannot be read (poisoned read)",
                e,
                StatusCode::HostRead,
            ),
            (false, Err(e), Ok(_)) => {
                check("host memory cannot be written", e, StatusCode::HostWrite)
            }
            other => panic!("{other:?}"),
        }
        bench.rig.heal();
    }
    bench.works().await;
    assert_eq!(bench.card.driver_counters().queue_restarts, 0);
    for (fault, error) in seen.into_inner() {
        record::served(&fault, &error);
    }
}

pub async fn a_lost_doorbell_times_out_and_is_repaired<R: Rig>() {
    let bench = bench::<R>().await;
    let region = bench.card.allocate(64).unwrap();
    bench.faulty.lose_doorbells(1);
    let write = bench.card.queue(0).write(bench.down(&[1; 64]), &region);
    let finished = within(patience(&bench.config, 3), write).await;
    assert!(finished.memory.is_some());
    let error = finished.result.unwrap_err();
    assert!(matches!(error, JobError::TimedOut { .. }), "{error}");
    assert_eq!(error.recovery_action(), RecoveryAction::Retry);
    bench.works().await;
    let counters = bench.card.driver_counters();
    record::served("doorbell lost", &error);
    assert_eq!((counters.timeouts, counters.queue_restarts), (1, 1));
    assert_eq!(
        (counters.controller_resets, counters.function_resets),
        (0, 0)
    );
}

pub async fn foreign_completions_stop_the_queue<R: Rig>() {
    let changes = [
        (
            CompletionFault::UnknownId,
            "completion of an unknown command",
        ),
        (
            CompletionFault::StaleId,
            "completion of an earlier command (stale)",
        ),
        (CompletionFault::WrongQueue, "completion of another queue"),
        (
            CompletionFault::HeadOutOfRange,
            "completion with a head out of range",
        ),
        (
            CompletionFault::ReservedBits,
            "completion torn: reserved bits set",
        ),
    ];
    for (change, name) in changes {
        let bench = bench::<R>().await;
        let fault = CardFault::Completion {
            queue: 1,
            number: 1,
            change,
        };
        if !bench.inject(name, fault) {
            continue;
        }
        let region = bench.card.allocate(256).unwrap();
        let queue = bench.card.queue(0);
        let first = queue.submit_write(bench.down(&[1; 64]), &region).await;
        let second = queue.submit_write(bench.down(&[2; 64]), &region).await;
        first.await.ok().unwrap();
        let finished = second.await;
        assert!(finished.memory.is_some());
        let error = finished.result.unwrap_err();
        assert!(
            matches!(error, JobError::Protocol { .. }),
            "{change:?}: {error}"
        );
        assert_eq!(error.recovery_action(), RecoveryAction::Retry);
        let bench = bench.follow(name, &error).await;
        let counters = bench.card.driver_counters();
        assert_eq!(
            (counters.protocol_errors, counters.queue_restarts),
            (1, 1),
            "{change:?}"
        );
    }
}

pub async fn a_lost_completion_times_out<R: Rig>() {
    let bench = bench::<R>().await;
    let name = "completion lost";
    let fault = CardFault::Completion {
        queue: 1,
        number: 0,
        change: CompletionFault::Lost,
    };
    if !bench.inject(name, fault) {
        return;
    }
    let region = bench.card.allocate(64).unwrap();
    let queue = bench.card.queue(0);
    let first = queue.submit_write(bench.down(&[1; 64]), &region).await;
    let second = queue.submit_write(bench.down(&[2; 64]), &region).await;
    let first = within(patience(&bench.config, 2), first).await;
    let error = first.result.unwrap_err();
    assert!(matches!(error, JobError::TimedOut { .. }), "{error}");
    // It may have run, but the driver cannot know.
    let second = second.await.result.unwrap_err();
    assert!(
        matches!(
            second,
            JobError::Restarted {
                memory_lost: false,
                ..
            }
        ),
        "{second}"
    );
    assert_eq!(second.recovery_action(), RecoveryAction::Retry);
    bench.follow(name, &error).await;
}

pub async fn fetch_and_post_errors_restart_the_queue<R: Rig>() {
    for fetch in [true, false] {
        let bench = bench::<R>().await;
        let (queue, count) = (1, 1);
        let (name, fault) = if fetch {
            (
                "command cannot be fetched",
                CardFault::Fetch { queue, count },
            )
        } else {
            (
                "completion cannot be posted",
                CardFault::Post { queue, count },
            )
        };
        if !bench.inject(name, fault) {
            continue;
        }
        let region = bench.card.allocate(4096).unwrap();
        let write = bench.card.queue(0).write(bench.down(&[1; 4096]), &region);
        let finished = within(patience(&bench.config, 3), write).await;
        assert!(finished.memory.is_some());
        let error = finished.result.unwrap_err();
        assert!(
            matches!(
                error,
                JobError::Restarted {
                    memory_lost: false,
                    ..
                }
            ),
            "{error}"
        );
        assert_eq!(error.recovery_action(), RecoveryAction::Retry);
        let bench = bench.follow(name, &error).await;
        let counters = bench.card.driver_counters();
        assert_eq!((counters.queue_errors, counters.queue_restarts), (1, 1));
    }
}

pub async fn a_doorbell_out_of_range_restarts_the_queue<R: Rig>() {
    let bench = bench::<R>().await;
    let region = bench.card.allocate(R::LONG as u64).unwrap();
    let buffer = bench.card.buffer_to_card(R::LONG).unwrap();
    let ticket = bench.card.queue(1).submit_write(buffer, &region).await;
    bench.faulty.write32(reg::cq_head::offset(2), 8);
    let finished = ticket.await;
    assert!(finished.memory.is_some());
    // The command may have been faster than the doorbell.
    if let Err(error) = finished.result {
        assert!(matches!(error, JobError::Restarted { .. }), "{error}");
    }
    let mut health = bench.card.health();
    bench.works().await;
    health.wait_for(|h| *h == Health::Ready).await.unwrap();
    let counters = bench.card.driver_counters();
    assert_eq!((counters.queue_errors, counters.queue_restarts), (1, 1));
    record::one_of(
        "doorbell out of range",
        "Restarted, or none if it ended before",
        RecoveryAction::Retry,
    );
}

pub async fn all_ones_take_the_card_out_of_service<R: Rig>() {
    let bench = bench::<R>().await;
    let region = bench.card.allocate(64).unwrap();
    bench.faulty.all_ones(true);
    // The doorbell is lost with the rest; the next look finds out.
    let write = bench.card.queue(0).write(bench.down(&[1; 64]), &region);
    let finished = within(patience(&bench.config, 3), write).await;
    assert!(
        finished.memory.is_some(),
        "unmapped, so the card cannot reach it"
    );
    let error = finished.result.unwrap_err();
    assert!(matches!(error, JobError::Offline { .. }), "{error}");
    assert!(matches!(*bench.card.health().borrow(), Health::Offline(_)));
    assert_eq!(bench.card.quarantined(), 0);
    // The advised action, once the card is back.
    assert_eq!(error.recovery_action(), RecoveryAction::Reopen);
    drop(bench.card);
    bench.faulty.all_ones(false);
    let transport = Arc::clone(&bench.faulty) as Arc<dyn Transport>;
    let card = Card::open(transport, config::<R>()).await.unwrap();
    let region = card.allocate(64).unwrap();
    let buffer = card.buffer_to_card(64).unwrap();
    card.queue(0).write(buffer, &region).await.ok().unwrap();
    record::served("all registers read all ones", &error);
}

pub async fn all_ones_in_one_register_are_only_a_value<R: Rig>() {
    let bench = bench::<R>().await;
    bench
        .faulty
        .pin(reg::count_card_read_lo::OFFSET, Some(u32::MAX));
    let counters = bench.card.counters().unwrap();
    assert_eq!(counters.card_read & 0xffff_ffff, 0xffff_ffff);
    bench.works().await;
    assert_eq!(*bench.card.health().borrow(), Health::Ready);
}

pub async fn a_queue_that_never_stops_costs_a_reset<R: Rig>() {
    let mut config = config::<R>();
    config.deadlines.control = R::stall();
    let bench = super::bench_with::<R>(config).await;
    let region = bench.card.allocate(64).unwrap();
    // Looks as if queue 1 could not be stopped, so the controller must be.
    let active = reg::queue_status::ACTIVE.set(0, 1);
    bench.faulty.pin(reg::queue_status::offset(1), Some(active));
    bench.faulty.lose_doorbells(1);
    let write = bench.card.queue(0).write(bench.down(&[1; 64]), &region);
    let finished = within(patience(&bench.config, 3), write).await;
    let error = finished.result.unwrap_err();
    assert!(matches!(
        error,
        JobError::TimedOut {
            by: "a controller reset",
            ..
        }
    ));
    assert!(finished.memory.is_some());
    bench.faulty.pin(reg::queue_status::offset(1), None);
    bench.works().await;
    record::served("queue never stops", &error);
    // Nor the controller: then the function.
    bench.faulty.pin(reg::queue_status::offset(1), Some(active));
    bench
        .faulty
        .pin(reg::status::OFFSET, Some(reg::status::READY.set(0, 1)));
    bench.faulty.lose_doorbells(1);
    let write = bench.card.queue(0).write(bench.down(&[1; 64]), &region);
    let finished = within(patience(&bench.config, 3), write).await;
    let error = finished.result.unwrap_err();
    assert!(
        matches!(
            error,
            JobError::Restarted {
                memory_lost: true,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(error.recovery_action(), RecoveryAction::RewriteAndRetry);
    assert!(finished.memory.is_some());
    bench.faulty.pin(reg::queue_status::offset(1), None);
    bench.faulty.pin(reg::status::OFFSET, None);
    bench.works().await;
    record::served("queue and controller never stop", &error);
    // Nor the function: then the card is out of service, and its memory unmapped.
    let region = bench.card.allocate(64).unwrap();
    bench.faulty.pin(reg::queue_status::offset(1), Some(active));
    bench
        .faulty
        .pin(reg::status::OFFSET, Some(reg::status::READY.set(0, 1)));
    bench.faulty.fail_reset(true);
    bench.faulty.lose_doorbells(1);
    let write = bench.card.queue(0).write(bench.down(&[1; 64]), &region);
    let finished = within(patience(&bench.config, 3), write).await;
    let error = finished.result.unwrap_err();
    assert!(matches!(error, JobError::Offline { .. }));
    assert!(finished.memory.is_some());
    assert_eq!(bench.card.quarantined(), 0);
    let counters = bench.card.driver_counters();
    assert_eq!(
        (counters.controller_resets, counters.function_resets),
        (1, 1)
    );
    bench.faulty.pin(reg::queue_status::offset(1), None);
    bench.faulty.pin(reg::status::OFFSET, None);
    bench.faulty.fail_reset(false);
    drop(region);
    bench
        .follow("queue, controller and function never stop", &error)
        .await;
}

pub async fn what_the_card_may_still_reach_is_quarantined<R: Rig>() {
    let mut config = config::<R>();
    config.deadlines.control = std::time::Duration::from_millis(200);
    let bench = super::bench_with::<R>(config).await;
    let region = bench.card.allocate(4096).unwrap();
    // Nothing stops the card, and nothing takes the memory from it.
    let active = reg::queue_status::ACTIVE.set(0, 1);
    bench.faulty.pin(reg::queue_status::offset(1), Some(active));
    bench
        .faulty
        .pin(reg::status::OFFSET, Some(reg::status::READY.set(0, 1)));
    bench.faulty.fail_reset(true);
    bench.faulty.fail_unmaps(true);
    bench.faulty.lose_doorbells(1);
    let write = bench.card.queue(0).write(bench.down(&[1; 4096]), &region);
    let finished = within(patience(&bench.config, 3), write).await;
    assert!(matches!(finished.result, Err(JobError::Offline { .. })));
    assert!(finished.memory.is_none(), "nobody may use it again");
    assert_eq!(bench.card.quarantined(), 4096);
    bench.faulty.fail_unmaps(false);
    bench.card.close().await;
    let left = bench.rig.mapped().unwrap_or(0);
    assert_eq!(left, 0, "unmapped once that can be had");
}

pub async fn a_card_that_never_starts_is_reported<R: Rig>() {
    let rig = R::new();
    let faulty = Arc::new(FaultyTransport::new(rig.transport()));
    let mut config = config::<R>();
    config.deadlines.control = std::time::Duration::from_millis(100);
    let open = || Card::open(Arc::clone(&faulty) as Arc<dyn Transport>, config.clone());
    faulty.pin(reg::status::OFFSET, Some(0));
    let error = open().await.unwrap_err();
    assert!(
        matches!(error, CardError::Unresponsive { what: "start", .. }),
        "{error}"
    );
    assert_eq!(error.recovery_action(), RecoveryAction::Reopen);
    faulty.pin(reg::status::OFFSET, None);
    open().await.unwrap().close().await;
    record::served("controller never starts", &error);
    faulty.pin(reg::queue_status::offset(2), Some(0));
    let error = open().await.unwrap_err();
    assert!(
        matches!(
            error,
            CardError::Unresponsive {
                what: "start a queue",
                ..
            }
        ),
        "{error}"
    );
    faulty.pin(reg::queue_status::offset(2), None);
    open().await.unwrap().close().await;
    record::served("queue never starts", &error);
    assert!(matches!(rig.mapped(), None | Some(0)));
}

/// What the driver cannot see does no harm: a completion that is late, and one
/// whose phase is visible before the rest.
pub async fn a_corrupted_completion_that_cannot_be_seen_harms_nothing<R: Rig>() {
    let changes = [
        (
            CompletionFault::Delayed { micros: 50_000 },
            "completion late",
        ),
        (
            CompletionFault::PhaseFirst { micros: 20_000 },
            "completion torn: phase visible before the rest",
        ),
    ];
    for (change, name) in changes {
        let bench = bench::<R>().await;
        let fault = CardFault::Completion {
            queue: 1,
            number: 0,
            change,
        };
        if !bench.inject(name, fault) {
            continue;
        }
        bench.write(0, 64).await.unwrap();
        bench.works().await;
        let counters = bench.card.driver_counters();
        assert_eq!((counters.timeouts, counters.queue_restarts), (0, 0));
        record::unnoticed(name);
    }
}

/// The second of two equal completions names a command that has ended. It stops
/// the queue; the command that is then the oldest is not ended by it.
pub async fn a_completion_posted_twice_stops_the_queue<R: Rig>() {
    let name = "completion posted twice";
    let bench = bench::<R>().await;
    let fault = CardFault::Completion {
        queue: 1,
        number: 0,
        change: CompletionFault::Twice,
    };
    if !bench.inject(name, fault) {
        return;
    }
    let region = bench.card.allocate(R::LONG as u64).unwrap();
    let queue = bench.card.queue(0);
    // Slow, so that the second one is under way when the copy is seen.
    bench.slow(true);
    let long = || bench.card.buffer_to_card(R::LONG).unwrap();
    let first = queue.submit_write(long(), &region).await;
    let second = queue.submit_write(long(), &region).await;
    first.await.ok().unwrap();
    let finished = within(patience(&bench.config, 2), second).await;
    assert!(finished.memory.is_some());
    let error = finished.result.unwrap_err();
    assert!(matches!(error, JobError::Protocol { .. }), "{error}");
    bench.rig.heal();
    let bench = bench.follow(name, &error).await;
    let counters = bench.card.driver_counters();
    assert_eq!((counters.protocol_errors, counters.queue_restarts), (1, 1));
}

pub async fn stray_bus_answers_cost_a_reset<R: Rig>() {
    for bus in [Bus::Host, Bus::Memory, Bus::Lane] {
        let name = "answer on a bus that nobody asked for";
        let bench = bench::<R>().await;
        // The card must be idle.
        bench.works().await;
        if !bench.inject(name, CardFault::Stray { bus }) {
            return;
        }
        // Found by its interrupt, or by the next command.
        let mut health = bench.card.health();
        let first = bench.write(0, 64).await;
        let repaired = async {
            while bench.card.driver_counters().function_resets == 0 {
                tokio::time::sleep(bench.config.deadlines.poll).await;
            }
            health.wait_for(|h| *h == Health::Ready).await.unwrap();
        };
        within(patience(&bench.config, 4), repaired).await;
        if let Err(error) = first {
            assert_eq!(error.recovery_action(), RecoveryAction::RewriteAndRetry);
        }
        bench.works().await;
        record::one_of(
            name,
            "Restarted, memory lost (if a command was under way)",
            RecoveryAction::RewriteAndRetry,
        );
    }
}

/// A card whose completions and bus accesses go wrong at random: every command
/// ends, every buffer comes back, and once the card is sound again it works.
pub async fn a_hostile_card_hangs_nothing_and_keeps_nothing<R: Rig>() {
    let name = "bus errors and corrupted completions at random";
    let mut restarts = 0;
    for seed in 0..(6 / R::THIN as u64).max(1) {
        let mut config = config::<R>();
        config.deadlines.stall = R::stall() / 8;
        config.deadlines.abort_grace = R::stall() / 16;
        config.deadlines.control = R::stall();
        let bench = bench_with::<R>(config).await;
        let free = bench.card.free_memory();
        if !bench.inject(name, CardFault::Random { seed }) {
            return;
        }
        let mut tickets = Vec::new();
        for i in 0..150 {
            let region = bench.card.allocate(256).unwrap();
            let buffer = bench.down(&[i as u8; 256]);
            if i % 10 == 0 {
                bench.faulty.lose_doorbells(1);
            }
            let ticket = bench.card.queue(i % 2).submit_write(buffer, &region).await;
            match i % 7 {
                0 => ticket.abort(),
                1 => continue, // dropped
                _ => {}
            }
            tickets.push(ticket);
        }
        let all = async {
            for ticket in tickets.drain(..) {
                let finished = ticket.await;
                assert!(finished.memory.is_some());
                if let Err(error) = finished.result {
                    assert_ne!(error.recovery_action(), RecoveryAction::Reopen, "{error}");
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), all)
            .await
            .expect("every command ends");
        bench.rig.heal();
        bench.faulty.lose_doorbells(0);
        // What the last fault broke is found by the first command that needs it.
        let region = bench.card.allocate(64).unwrap();
        for i in 0..20 {
            let _ = bench
                .card
                .queue(i)
                .write(bench.down(&[0; 64]), &region)
                .await;
        }
        drop(region);
        bench.works().await;
        assert_eq!(*bench.card.health().borrow(), Health::Ready);
        assert_eq!(
            (bench.card.free_memory(), bench.card.quarantined()),
            (free, 0)
        );
        restarts += bench.card.driver_counters().queue_restarts;
    }
    assert!(restarts > 0, "the faults went unnoticed");
    record::one_of(name, "any but Offline", RecoveryAction::Retry);
}
