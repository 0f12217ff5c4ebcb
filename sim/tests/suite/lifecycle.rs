//! Opening, aborting, resetting, closing and losing a card.

use std::sync::Arc;
use std::time::Duration;

use carillon_driver::registers as reg;
use carillon_driver::status::StatusCode;
use carillon_driver::transport::Transport;
use carillon_driver::{Card, CardError, Health, JobError, RecoveryAction, ResetLevel};
use carillon_sim::faults::FaultyTransport;

use super::{Rig, bench, config, record};

pub async fn unknown_cards_are_refused<R: Rig>() {
    let rig = R::new();
    let faulty = Arc::new(FaultyTransport::new(rig.transport()));
    let open = || Card::open(Arc::clone(&faulty) as Arc<dyn Transport>, config::<R>());
    faulty.pin(reg::magic::OFFSET, Some(0x1234_5678));
    assert!(matches!(
        open().await,
        Err(CardError::NotACard {
            magic: 0x1234_5678,
            ..
        })
    ));
    faulty.pin(reg::magic::OFFSET, None);
    faulty.pin(reg::rdl_hash_hi::OFFSET, Some(0xdead_beef));
    let error = open().await.unwrap_err();
    assert!(matches!(error, CardError::UnknownContract { .. }));
    assert_eq!(error.recovery_action(), RecoveryAction::Replace);
    faulty.pin(reg::rdl_hash_hi::OFFSET, None);
    faulty.pin(reg::version::OFFSET, Some(2));
    assert!(matches!(
        open().await,
        Err(CardError::UnknownContract { version: 2, .. })
    ));
    faulty.pin(reg::version::OFFSET, None);
    // Registers and identity page must agree.
    faulty.pin(reg::cap_msm::OFFSET, Some(0x0001_0401));
    assert!(matches!(
        open().await,
        Err(CardError::Identity { what: "MSM window" })
    ));
    faulty.pin(reg::cap_msm::OFFSET, None);
    faulty.all_ones(true);
    assert!(matches!(open().await, Err(CardError::Gone { .. })));
    faulty.all_ones(false);
    let card = open().await.unwrap();
    assert_eq!(*card.health().borrow(), Health::Ready);
}

pub async fn a_card_left_running_is_taken_over<R: Rig>() {
    let rig = R::new();
    let transport = rig.transport();
    // What a process that was killed leaves behind: rings in memory that is
    // gone, and a command on its way.
    transport.write32(reg::ctrl::OFFSET, 1);
    transport.write32(reg::queue_sq_base_hi::offset(1), 7);
    transport.write32(reg::queue_log2_depth::offset(1), 5);
    transport.write32(reg::queue_ctrl::offset(1), 1);
    transport.write32(reg::sq_tail::offset(1), 9);
    let card = Card::open(Arc::clone(&transport), config::<R>())
        .await
        .unwrap();
    let region = card.allocate(64).unwrap();
    let buffer = card.buffer_to_card(64).unwrap();
    card.queue(0).write(buffer, &region).await.ok().unwrap();
    assert_eq!(card.driver_counters().queue_errors, 0);
    card.close().await;
    record::unnoticed("opened while it was left running by a driver that was killed");
}

pub async fn dropped_tickets_free_their_memory<R: Rig>() {
    let bench = bench::<R>().await;
    let free = bench.card.free_memory();
    bench.slow(true);
    for round in 0..20usize {
        let region = bench.card.allocate(R::LONG as u64).unwrap();
        let buffer = bench.card.buffer_to_card(R::LONG).unwrap();
        let queue = bench.card.queue(round % 2);
        // Dropped before it is polled, while it waits for a free slot, or in flight.
        match round % 4 {
            0 => drop(queue.submit_write(buffer, &region)),
            1 => drop(queue.submit_write(buffer, &region).await),
            2 => {
                let write = queue.write(buffer, &region);
                assert!(
                    tokio::time::timeout(Duration::from_millis(3), write)
                        .await
                        .is_err()
                );
            }
            _ => {
                let ticket = queue.submit_write(buffer, &region).await;
                tokio::time::sleep(Duration::from_millis(1)).await;
                drop(ticket);
            }
        }
    }
    bench.slow(false);
    bench.works().await;
    assert_eq!(
        bench.card.free_memory(),
        free,
        "regions of orphans come back"
    );
    assert_eq!(bench.card.quarantined(), 0);
    assert_eq!(bench.card.driver_counters().queue_restarts, 0);
}

pub async fn an_abort_ends_a_running_command<R: Rig>() {
    let bench = bench::<R>().await;
    let region = bench.card.allocate(R::LONG as u64).unwrap();
    let buffer = bench.card.buffer_to_card(R::LONG).unwrap();
    bench.slow(true);
    let ticket = bench.card.queue(0).submit_write(buffer, &region).await;
    ticket.abort();
    let finished = ticket.await;
    bench.slow(false);
    assert!(finished.memory.is_some());
    let error = finished.result.unwrap_err();
    assert_eq!(error.status(), Some(StatusCode::Aborted), "{error}");
    assert_eq!(error.recovery_action(), RecoveryAction::Retry);
    bench.works().await;
    let counters = bench.card.driver_counters();
    assert_eq!(
        (counters.aborts, counters.timeouts, counters.queue_restarts),
        (1, 0, 0)
    );
}

pub async fn a_reset_ends_what_is_under_way<R: Rig>() {
    let bench = bench::<R>().await;
    for (level, lost) in [
        (ResetLevel::Controller, false),
        (ResetLevel::Function, true),
    ] {
        let region = bench.put(&[5; 64]).await;
        let target = bench.card.allocate(R::LONG as u64).unwrap();
        bench.slow(true);
        let mut tickets = Vec::new();
        for i in 0..5 {
            let buffer = bench.card.buffer_to_card(R::LONG).unwrap();
            tickets.push(bench.card.queue(i % 2).submit_write(buffer, &target).await);
        }
        bench.card.reset(level).await.unwrap();
        bench.slow(false);
        let mut restarted = 0;
        for ticket in tickets {
            let finished = ticket.await;
            assert!(finished.memory.is_some(), "the card is proven to be done");
            match finished.result {
                Ok(_) => {}
                Err(JobError::Restarted { memory_lost, .. }) => {
                    assert_eq!(memory_lost, lost);
                    restarted += 1;
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert!(restarted > 0, "a reset came too late");
        if lost {
            let stale = bench
                .card
                .queue(0)
                .write(bench.down(&[1; 64]), &region)
                .await;
            let error = stale.result.unwrap_err();
            assert!(matches!(error, JobError::StaleRegion));
            assert_eq!(error.recovery_action(), RecoveryAction::RewriteAndRetry);
        } else {
            assert_eq!(bench.get(&region, 64).await, [5; 64], "card memory is kept");
        }
        bench.works().await;
    }
    let counters = bench.card.driver_counters();
    assert_eq!(
        (counters.controller_resets, counters.function_resets),
        (1, 1)
    );
    assert_eq!(*bench.card.health().borrow(), Health::Ready);
}

pub async fn two_cards_side_by_side<R: Rig>() {
    let (one, two) = (bench::<R>().await, bench::<R>().await);
    let (a, b) = tokio::join!(one.put(&[1; 4096]), two.put(&[2; 4096]));
    assert_eq!(a.address(), b.address(), "each has its own memory");
    let (got_a, got_b) = tokio::join!(one.get(&a, 4096), two.get(&b, 4096));
    assert_eq!((got_a, got_b), (vec![1; 4096], vec![2; 4096]));
    let mixed = one.card.queue(0).write(one.down(&[3; 64]), &b).await;
    assert!(matches!(mixed.result, Err(JobError::StaleRegion)));
    // The address of one card's buffer is somebody else's memory to the other.
    let mixed = one.card.queue(0).write(two.down(&[3; 64]), &a).await;
    assert!(matches!(mixed.result, Err(JobError::ForeignBuffer)));
    assert!(mixed.memory.is_some());
    drop(one);
    two.works().await;
}

pub async fn a_dropped_runtime_stops_the_card<R: Rig>() {
    // Runtimes cannot be dropped inside one another.
    tokio::task::spawn_blocking(|| {
        let rig = R::new();
        let transport = rig.transport();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .build()
            .unwrap();
        let (card, ticket) = runtime.block_on(async {
            let card = Card::open(Arc::clone(&transport), config::<R>())
                .await
                .unwrap();
            let region = card.allocate(R::LONG as u64).unwrap();
            let buffer = card.buffer_to_card(R::LONG).unwrap();
            let ticket = card.queue(0).submit_write(buffer, &region).await;
            (card, ticket)
        });
        drop(runtime);
        assert_eq!(transport.read32(reg::ctrl::OFFSET), 0, "stopped");
        let other = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        other.block_on(async {
            let finished = ticket.await;
            assert!(matches!(finished.result, Ok(_) | Err(JobError::Closed)));
            assert!(finished.memory.is_some());
            let region = card.allocate(64).unwrap();
            let late = card
                .queue(0)
                .write(card.buffer_to_card(64).unwrap(), &region)
                .await;
            assert!(matches!(late.result, Err(JobError::Closed)));
            assert!(matches!(
                card.reset(ResetLevel::Controller).await,
                Err(CardError::Closed)
            ));
            assert_eq!(card.quarantined(), 0);
            drop(card);
            // The advised action: open it again.
            let card = Card::open(transport, config::<R>()).await.unwrap();
            card.close().await;
        });
    })
    .await
    .unwrap();
    record::one_of(
        "runtime dropped with commands under way",
        "Closed",
        RecoveryAction::Reopen,
    );
}

pub async fn close_stops_the_card<R: Rig>() {
    let bench = bench::<R>().await;
    let queue = bench.card.queue(0).clone();
    let region = bench.card.allocate(64).unwrap();
    let mapped = bench.rig.mapped();
    assert!(mapped.is_none_or(|m| m >= 2));
    let buffer = bench.down(&[1; 64]);
    bench.card.close().await;
    assert_eq!(bench.rig.transport().read32(reg::ctrl::OFFSET), 0);
    let late = queue.write(buffer, &region).await;
    assert!(matches!(late.result, Err(JobError::Closed)));
    drop((late, queue, region));
    assert!(
        matches!(bench.rig.mapped(), None | Some(0)),
        "nothing stays mapped"
    );
}

pub async fn unplugging_ends_everything<R: Rig>() {
    let bench = bench::<R>().await;
    let target = bench.card.allocate(R::LONG as u64).unwrap();
    let kept = bench.card.buffer_to_card(64).unwrap();
    bench.slow(true);
    let mut tickets = Vec::new();
    for i in 0..4 {
        let buffer = bench.card.buffer_to_card(R::LONG).unwrap();
        tickets.push(bench.card.queue(i % 2).submit_write(buffer, &target).await);
    }
    assert!(bench.rig.unplug());
    let mut offline = 0;
    for ticket in tickets {
        let finished = ticket.await;
        assert!(
            finished.memory.is_some(),
            "a card that is gone reaches no memory"
        );
        match finished.result {
            Ok(_) => {}
            Err(error @ JobError::Offline { .. }) => {
                assert_eq!(error.recovery_action(), RecoveryAction::Reopen);
                offline += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(offline > 0);
    let late = bench.card.queue(0).write(kept, &target).await;
    assert!(matches!(late.result, Err(JobError::Offline { .. })));
    assert!(matches!(*bench.card.health().borrow(), Health::Offline(_)));
    assert!(matches!(bench.card.counters(), Err(CardError::Gone { .. })));
    assert!(matches!(
        bench.card.reset(ResetLevel::Function).await,
        Err(CardError::Offline { .. })
    ));
    assert_eq!(bench.card.quarantined(), 0);
    let again = Card::open(bench.rig.transport(), config::<R>()).await;
    assert!(matches!(again, Err(CardError::Gone { .. })));
}
