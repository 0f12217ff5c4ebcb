//! Interrupts that are lost, doubled or raised for no reason.

use std::time::Duration;

use carillon_sim::faults::{CardFault, FOR_EVER, InterruptFault};

use super::{Rig, bench, record, within};

pub async fn lost_interrupts_cost_only_time<R: Rig>() {
    let bench = bench::<R>().await;
    // Many completions are found without: right after the next submission.
    let some_lost = async |before: u64| {
        let some = async {
            while bench.card.driver_counters().lost_interrupts == before {
                bench.works().await;
            }
        };
        within(Duration::from_secs(20), some).await;
    };
    // On the way.
    bench.faulty.mute(true);
    some_lost(0).await;
    bench.faulty.mute(false);
    bench.works().await;
    record::unnoticed("interrupts lost on the way");
    // By the card.
    let before = bench.card.driver_counters().lost_interrupts;
    let name = "interrupts lost by the card";
    for vector in 0..4 {
        let fault = CardFault::Interrupts {
            vector,
            count: FOR_EVER,
            change: InterruptFault::Lost,
        };
        if !bench.inject(name, fault) {
            return;
        }
    }
    some_lost(before).await;
    bench.rig.heal();
    bench.works().await;
    let counters = bench.card.driver_counters();
    assert_eq!((counters.timeouts, counters.queue_restarts), (0, 0));
    record::unnoticed(name);
}

pub async fn doubled_and_needless_interrupts_cost_nothing<R: Rig>() {
    let bench = bench::<R>().await;
    for (change, name) in [
        (InterruptFault::Duplicated, "interrupts doubled"),
        (InterruptFault::Spurious, "interrupts for no reason"),
    ] {
        let injected = (0..4).all(|vector| {
            let fault = CardFault::Interrupts {
                vector,
                count: 50,
                change,
            };
            bench.inject(name, fault)
        });
        if !injected {
            continue;
        }
        for _ in 0..5 {
            bench.works().await;
        }
        bench.rig.heal();
        let counters = bench.card.driver_counters();
        assert_eq!(
            (counters.timeouts, counters.protocol_errors),
            (0, 0),
            "{name}"
        );
        assert_eq!((counters.queue_errors, counters.queue_restarts), (0, 0));
        record::unnoticed(name);
    }
}
