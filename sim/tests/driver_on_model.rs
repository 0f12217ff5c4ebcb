//! The driver's suite on the functional card, and the faults that only it can
//! have: commands that stand still.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod suite;

use std::sync::Arc;
use std::time::Duration;

use carillon_driver::transport::Transport;
use carillon_driver::{Health, JobError, RecoveryAction};
use carillon_sim::memory::{DmaSpace, MemoryFault};
use carillon_sim::model::{Hang, ModelCard, ModelOptions};

use suite::{Rig, bench};

struct Model(Arc<ModelCard>);

impl Rig for Model {
    const LONG: usize = 8 << 20;
    const LAPS: usize = 500;
    const THIN: usize = 1;

    fn new() -> Self {
        Self(Arc::new(ModelCard::new(ModelOptions::default()).unwrap()))
    }
    fn transport(&self) -> Arc<dyn Transport> {
        Arc::clone(&self.0) as Arc<dyn Transport>
    }
    fn dma(&self) -> &DmaSpace {
        self.0.dma()
    }
    fn fault_memory(&self, fault: Option<MemoryFault>) {
        self.0.fault_memory(fault);
    }
    fn unplug(&self) {
        self.0.unplug();
    }
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
        bench.rig.0.hang(1, hang);
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
    bench.rig.0.hang(1, Hang::ForEver);
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
    assert_eq!((bench.card.quarantined(), bench.rig.dma().mapped()), (0, 0));
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
    bench.rig.dma().inject(Some(Box::new(|_| {
        std::thread::sleep(Duration::from_millis(1));
        carillon_sim::memory::Verdict::Pass
    })));
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
    use carillon_sim::memory::{DmaAccess, Verdict};
    use rand::{Rng as _, SeedableRng};

    let mut restarts = 0;
    for seed in 0..6u64 {
        let mut config = suite::config::<Model>();
        config.deadlines.stall = Duration::from_millis(60);
        config.deadlines.abort_grace = Duration::from_millis(20);
        config.deadlines.control = Duration::from_millis(500);
        let bench = suite::bench_with::<Model>(config).await;
        let free = bench.card.free_memory();
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(seed);
        bench
            .rig
            .dma()
            .inject(Some(Box::new(move |access| match access {
                DmaAccess::Read { .. } if rng.gen_bool(0.01) => Verdict::Fail,
                DmaAccess::Write { data, .. } if data.len() == 32 => match rng.gen_range(0..100) {
                    0..4 => {
                        let bit = rng.gen_range(0..256);
                        data[bit / 8] ^= 1 << (bit % 8);
                        Verdict::Pass
                    }
                    4 => Verdict::Lose,
                    5 => Verdict::Fail,
                    _ => Verdict::Pass,
                },
                _ => Verdict::Pass,
            })));
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
        bench.rig.dma().inject(None);
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
