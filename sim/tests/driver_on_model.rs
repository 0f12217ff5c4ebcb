//! The driver's suite on the functional card, and the faults that only it can
//! have: commands that stand still.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod suite;

use std::sync::Arc;
use std::time::Duration;

use carillon_driver::transport::Transport;
use carillon_driver::{Health, JobError, RecoveryAction};
use carillon_sim::faults::{CardFault, Hang, SimCard};
use carillon_sim::model::{ModelCard, ModelOptions};

use suite::{Rig, bench};

struct Model(Arc<ModelCard>);

impl Rig for Model {
    const NAME: &str = "sim:model";
    const LONG: usize = 8 << 20;
    const LAPS: usize = 500;
    const THIN: usize = 1;

    fn new() -> Self {
        Self(Arc::new(ModelCard::new(ModelOptions::default()).unwrap()))
    }
    card_of_this_process!();
    fn stall() -> Duration {
        Duration::from_millis(500)
    }
}

whole_suite!(Model);

/// Each depth of standstill is ended by the step that reaches it, and by none
/// that goes deeper.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn escalation_goes_as_deep_as_it_must() {
    let rows = [
        (Hang::UntilAbort, "ABORT", [0, 0, 0]),
        (Hang::UntilQueueStop, "stopping its queue", [1, 0, 0]),
        (Hang::UntilControllerStop, "a controller reset", [0, 1, 0]),
        (Hang::UntilReset, "", [0, 0, 1]),
    ];
    for (hang, expected, steps) in rows {
        let mut config = suite::config::<Model>();
        config.deadlines.control = Duration::from_millis(200);
        config.deadlines.stall = Duration::from_millis(200);
        let bench = suite::bench_with::<Model>(config).await;
        let region = bench.put(&[1; 64]).await;
        assert!(bench.rig.inject(CardFault::Hang {
            queue: 1,
            until: hang
        }));
        let queue = bench.card.queue(0);
        let hanging = queue.submit_write(bench.down(&[2; 64]), &region).await;
        let waiting = queue.submit_write(bench.down(&[3; 64]), &region).await;
        // The other queue goes on.
        let other = bench.card.allocate(64).unwrap();
        bench
            .card
            .queue(1)
            .write(bench.down(&[4; 64]), &other)
            .await
            .ok()
            .unwrap();
        let finished = hanging.await;
        assert!(finished.memory.is_some());
        match finished.result.unwrap_err() {
            JobError::TimedOut { by, .. } => assert_eq!(by, expected),
            JobError::Restarted {
                memory_lost: true, ..
            } => assert_eq!(hang, Hang::UntilReset),
            error => panic!("{hang:?}: {error}"),
        }
        let waiting = waiting.await;
        assert!(waiting.memory.is_some());
        if hang == Hang::UntilAbort {
            waiting.result.unwrap();
        } else {
            let error = waiting.result.unwrap_err();
            assert!(
                matches!(error, JobError::Restarted { .. }),
                "{hang:?}: {error}"
            );
        }
        bench.works().await;
        let c = bench.card.driver_counters();
        assert_eq!(
            [c.queue_restarts, c.controller_resets, c.function_resets],
            steps,
            "{hang:?}"
        );
        assert_eq!(bench.card.quarantined(), 0);
    }
}

/// A card that nothing stops is unmapped and put out of service; its jobs end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_that_nothing_stops_goes_out_of_service() {
    let mut config = suite::config::<Model>();
    config.deadlines.control = Duration::from_millis(100);
    config.deadlines.stall = Duration::from_millis(100);
    let bench = suite::bench_with::<Model>(config).await;
    let region = bench.card.allocate(64).unwrap();
    assert!(bench.rig.inject(CardFault::Hang {
        queue: 1,
        until: Hang::ForEver
    }));
    let finished = bench
        .card
        .queue(0)
        .write(bench.down(&[2; 64]), &region)
        .await;
    assert!(finished.memory.is_some(), "unmapped, so it comes back");
    let error = finished.result.unwrap_err();
    assert!(matches!(error, JobError::Offline { .. }), "{error}");
    assert_eq!(error.recovery_action(), RecoveryAction::Reopen);
    assert!(matches!(*bench.card.health().borrow(), Health::Offline(_)));
    assert_eq!((bench.card.quarantined(), bench.rig.mapped()), (0, Some(0)));
}

/// A command that works, however slowly, is left alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_command_is_not_overdue() {
    let bench = bench::<Model>().await;
    let before = bench.card.driver_counters();
    let bytes = 64 << 20;
    let region = bench.card.allocate(bytes).unwrap();
    let buffer = bench.card.buffer_to_card(bytes as usize).unwrap();
    // Every piece of the transfer takes longer than it would on the model.
    assert!(bench.rig.inject(CardFault::Slow {
        above: 0,
        micros: 1000
    }));
    bench
        .card
        .queue(0)
        .write(buffer, &region)
        .await
        .ok()
        .unwrap();
    assert_eq!(bench.card.driver_counters().timeouts, before.timeouts);
}

/// A card whose completions and bus accesses go wrong at random: every command
/// ends, every buffer comes back, and once the card is sound again it works.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_card_hangs_nothing_and_keeps_nothing() {
    let mut restarts = 0;
    for seed in 0..6u64 {
        let mut config = suite::config::<Model>();
        config.deadlines.stall = Duration::from_millis(60);
        config.deadlines.abort_grace = Duration::from_millis(20);
        config.deadlines.control = Duration::from_millis(500);
        let bench = suite::bench_with::<Model>(config).await;
        let free = bench.card.free_memory();
        assert!(bench.rig.inject(CardFault::Random { seed }));
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
}
