//! Injected faults, and the proof that the advised action restores service.

use std::sync::Arc;

use carillon_driver::registers as reg;
use carillon_driver::status::StatusCode;
use carillon_driver::transport::Transport;
use carillon_driver::{Card, CardError, Health, JobError, RecoveryAction};
use carillon_sim::faults::{CardFault, CompletionFault, FOR_EVER, FaultyTransport};
use carillon_sim::memory::MemoryFault;

use super::{Rig, bench, config};

pub async fn bus_errors_fail_one_command<R: Rig>() {
    let bench = bench::<R>().await;
    let queue = bench.card.queue(0);
    let region = bench.put(&[7; 4096]).await;
    let check = |error: JobError, status| {
        assert_eq!(error.status(), Some(status));
        assert_eq!(error.recovery_action(), RecoveryAction::Retry);
        let JobError::Status { completion } = error else {
            panic!("{error}")
        };
        assert!(completion.status.retryable);
    };
    // Card memory.
    for (reads, writes) in [(true, false), (false, true)] {
        let fault = MemoryFault {
            address: region.address() + 128,
            bytes: 64,
            reads,
            writes,
        };
        assert!(bench.rig.inject(CardFault::Memory(fault)));
        let read = queue
            .read(&region, bench.card.buffer_from_card(4096).unwrap())
            .await;
        let write = queue.write(bench.down(&[7; 4096]), &region).await;
        match (reads, read.result, write.result) {
            (true, Err(e), Ok(_)) => check(e, StatusCode::CardRead),
            (false, Ok(_), Err(e)) => check(e, StatusCode::CardWrite),
            other => panic!("{other:?}"),
        }
        bench.rig.heal();
    }
    // Host memory: everything but rings and completions, seen by size.
    for fail_reads in [true, false] {
        let (above, count) = (32, FOR_EVER);
        assert!(bench.rig.inject(if fail_reads {
            CardFault::HostReads { above, count }
        } else {
            CardFault::HostWrites { above, count }
        }));
        let read = queue
            .read(&region, bench.card.buffer_from_card(4096).unwrap())
            .await;
        let write = queue.write(bench.down(&[7; 4096]), &region).await;
        match (fail_reads, read.result, write.result) {
            (true, Ok(_), Err(e)) => check(e, StatusCode::HostRead),
            (false, Err(e), Ok(_)) => check(e, StatusCode::HostWrite),
            other => panic!("{other:?}"),
        }
        bench.rig.heal();
    }
    bench.works().await;
    assert_eq!(bench.card.driver_counters().queue_restarts, 0);
}

pub async fn a_lost_doorbell_times_out_and_is_repaired<R: Rig>() {
    let bench = bench::<R>().await;
    let region = bench.card.allocate(64).unwrap();
    bench.faulty.lose_doorbells(1);
    let finished = bench
        .card
        .queue(0)
        .write(bench.down(&[1; 64]), &region)
        .await;
    assert!(finished.memory.is_some());
    let error = finished.result.unwrap_err();
    assert!(matches!(error, JobError::TimedOut { .. }), "{error}");
    assert_eq!(error.recovery_action(), RecoveryAction::Retry);
    bench.works().await;
    let counters = bench.card.driver_counters();
    assert_eq!((counters.timeouts, counters.queue_restarts), (1, 1));
    assert_eq!(
        (counters.controller_resets, counters.function_resets),
        (0, 0)
    );
}

pub async fn lost_interrupts_cost_only_time<R: Rig>() {
    let bench = bench::<R>().await;
    bench.faulty.mute(true);
    for _ in 0..5 {
        bench.works().await;
    }
    let counters = bench.card.driver_counters();
    assert!(counters.lost_interrupts > 0);
    assert_eq!((counters.timeouts, counters.queue_restarts), (0, 0));
    bench.faulty.mute(false);
    bench.works().await;
}

pub async fn foreign_completions_stop_the_queue<R: Rig>() {
    let changes = [
        CompletionFault::UnknownId,
        CompletionFault::StaleId,
        CompletionFault::WrongQueue,
        CompletionFault::HeadOutOfRange,
        CompletionFault::ReservedBits,
    ];
    for change in changes {
        let bench = bench::<R>().await;
        assert!(bench.rig.inject(CardFault::Completion {
            queue: 1,
            number: 1,
            change
        }));
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
        bench.works().await;
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
    let change = CompletionFault::Lost;
    assert!(bench.rig.inject(CardFault::Completion {
        queue: 1,
        number: 0,
        change
    }));
    let region = bench.card.allocate(64).unwrap();
    let queue = bench.card.queue(0);
    let first = queue.submit_write(bench.down(&[1; 64]), &region).await;
    let second = queue.submit_write(bench.down(&[2; 64]), &region).await;
    let first = first.await;
    assert!(
        matches!(first.result, Err(JobError::TimedOut { .. })),
        "{:?}",
        first.result
    );
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
    bench.works().await;
}

pub async fn fetch_and_post_errors_restart_the_queue<R: Rig>() {
    for fetch in [true, false] {
        let bench = bench::<R>().await;
        let (queue, count) = (1, 1);
        assert!(bench.rig.inject(if fetch {
            CardFault::Fetch { queue, count }
        } else {
            CardFault::Post { queue, count }
        }));
        let region = bench.card.allocate(4096).unwrap();
        let finished = bench
            .card
            .queue(0)
            .write(bench.down(&[1; 4096]), &region)
            .await;
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
        bench.works().await;
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
}

pub async fn all_ones_take_the_card_out_of_service<R: Rig>() {
    let bench = bench::<R>().await;
    let region = bench.card.allocate(64).unwrap();
    bench.faulty.all_ones(true);
    // The doorbell is lost with the rest; the next look finds out.
    let finished = bench
        .card
        .queue(0)
        .write(bench.down(&[1; 64]), &region)
        .await;
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
    let finished = bench
        .card
        .queue(0)
        .write(bench.down(&[1; 64]), &region)
        .await;
    assert!(matches!(
        finished.result,
        Err(JobError::TimedOut {
            by: "a controller reset",
            ..
        })
    ));
    assert!(finished.memory.is_some());
    bench.faulty.pin(reg::queue_status::offset(1), None);
    bench.works().await;
    // Nor the controller: then the function.
    bench.faulty.pin(reg::queue_status::offset(1), Some(active));
    bench
        .faulty
        .pin(reg::status::OFFSET, Some(reg::status::READY.set(0, 1)));
    bench.faulty.lose_doorbells(1);
    let finished = bench
        .card
        .queue(0)
        .write(bench.down(&[1; 64]), &region)
        .await;
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
    // Nor the function: then the card is out of service, and its memory unmapped.
    let region = bench.card.allocate(64).unwrap();
    bench.faulty.pin(reg::queue_status::offset(1), Some(active));
    bench
        .faulty
        .pin(reg::status::OFFSET, Some(reg::status::READY.set(0, 1)));
    bench.faulty.fail_reset(true);
    bench.faulty.lose_doorbells(1);
    let finished = bench
        .card
        .queue(0)
        .write(bench.down(&[1; 64]), &region)
        .await;
    assert!(matches!(finished.result, Err(JobError::Offline { .. })));
    assert!(finished.memory.is_some());
    assert_eq!(bench.card.quarantined(), 0);
    let counters = bench.card.driver_counters();
    assert_eq!(
        (counters.controller_resets, counters.function_resets),
        (1, 1)
    );
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
    let finished = bench
        .card
        .queue(0)
        .write(bench.down(&[1; 4096]), &region)
        .await;
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
    assert!(matches!(rig.mapped(), None | Some(0)));
}

pub async fn failed_maps_leave_nothing_behind<R: Rig>() {
    let rig = R::new();
    let faulty = Arc::new(FaultyTransport::new(rig.transport()));
    let open = || Card::open(Arc::clone(&faulty) as Arc<dyn Transport>, config::<R>());
    for n in 0..2 {
        faulty.fail_maps_after(Some(n));
        let error = open().await.unwrap_err();
        assert!(matches!(error, CardError::Dma(_)), "{error}");
        assert!(
            matches!(rig.mapped(), None | Some(0)),
            "after the map number {n} failed"
        );
    }
    faulty.fail_maps_after(Some(2));
    let card = open().await.unwrap();
    // More than the pool holds needs another mapping.
    assert!(matches!(
        card.buffer_to_card(64 << 20),
        Err(CardError::Dma(_))
    ));
    faulty.fail_maps_after(None);
    assert_eq!(card.buffer_to_card(64 << 20).unwrap().len(), 64 << 20);
    let limit = config::<R>().host_memory_limit as usize;
    let error = card.buffer_to_card(limit).unwrap_err();
    assert!(error.to_string().contains("host_memory_limit"), "{error}");
}
