//! Commands that stand still, and how deep the driver must go to end them.

use std::time::Duration;

use carillon_driver::{Health, JobError, RecoveryAction};
use carillon_sim::faults::{CardFault, Hang};

use super::{Rig, bench, bench_with, config, patience, record, within};

/// Each depth of standstill is ended by the step that reaches it, and by none
/// that goes deeper.
pub async fn escalation_goes_as_deep_as_it_must<R: Rig>() {
    let rows = [
        (Hang::UntilAbort, "ABORT", [0, 0, 0]),
        (Hang::UntilQueueStop, "stopping its queue", [1, 0, 0]),
        (Hang::UntilControllerStop, "a controller reset", [0, 1, 0]),
        (Hang::UntilReset, "a function-level reset", [0, 0, 1]),
    ];
    for (hang, expected, steps) in rows {
        let name = format!("command hangs until {expected}");
        let mut config = config::<R>();
        config.deadlines.control = Duration::from_millis(200);
        config.deadlines.stall = Duration::from_millis(200);
        let bench = bench_with::<R>(config).await;
        let region = bench.put(&[1; 64]).await;
        let fault = CardFault::Hang {
            queue: 1,
            until: hang,
        };
        if !bench.inject(&name, fault) {
            continue;
        }
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
        let finished = within(patience(&bench.config, 3), hanging).await;
        assert!(finished.memory.is_some());
        let error = finished.result.unwrap_err();
        match &error {
            JobError::TimedOut { by, .. } => assert_eq!(*by, expected),
            JobError::Restarted {
                memory_lost: true, ..
            } => assert_eq!(hang, Hang::UntilReset),
            error => panic!("{hang:?}: {error}"),
        }
        let waiting = within(patience(&bench.config, 3), waiting).await;
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
        let bench = bench.follow(&name, &error).await;
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
pub async fn a_card_that_nothing_stops_goes_out_of_service<R: Rig>() {
    let name = "command hangs for ever";
    if !R::RESET_IS_CHECKED {
        return record::not_injectable(name);
    }
    let mut config = config::<R>();
    config.deadlines.control = Duration::from_millis(100);
    config.deadlines.stall = Duration::from_millis(100);
    let bench = bench_with::<R>(config).await;
    let region = bench.card.allocate(64).unwrap();
    let fault = CardFault::Hang {
        queue: 1,
        until: Hang::ForEver,
    };
    if !bench.inject(name, fault) {
        return;
    }
    let write = bench.card.queue(0).write(bench.down(&[2; 64]), &region);
    let finished = within(patience(&bench.config, 3), write).await;
    assert!(finished.memory.is_some(), "unmapped, so it comes back");
    let error = finished.result.unwrap_err();
    assert!(matches!(error, JobError::Offline { .. }), "{error}");
    assert_eq!(error.recovery_action(), RecoveryAction::Reopen);
    assert!(matches!(*bench.card.health().borrow(), Health::Offline(_)));
    assert_eq!((bench.card.quarantined(), bench.rig.mapped()), (0, Some(0)));
    // Once the card is sound again.
    bench.rig.heal();
    drop(region);
    let bench = bench.follow(name, &error).await;
    bench.write(1, 64).await.unwrap();
}

/// A command that works, however slowly, is left alone.
pub async fn a_slow_command_is_not_overdue<R: Rig>() {
    let bench = bench::<R>().await;
    let before = bench.card.driver_counters();
    let bytes = (R::LONG as u64 * 8 * R::THIN as u64).min(64 << 20);
    let region = bench.card.allocate(bytes).unwrap();
    let buffer = bench.card.buffer_to_card(bytes as usize).unwrap();
    let name = "transfer slow beyond the stall limit";
    let slow = CardFault::Slow {
        above: 0,
        micros: 1500,
    };
    if !bench.inject(name, slow) {
        return;
    }
    bench
        .card
        .queue(0)
        .write(buffer, &region)
        .await
        .ok()
        .unwrap();
    assert_eq!(bench.card.driver_counters().timeouts, before.timeouts);
    record::unnoticed(name);
}
