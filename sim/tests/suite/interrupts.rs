//! Interrupts that are lost, doubled or raised for no reason.

use carillon_sim::faults::{CardFault, FOR_EVER, InterruptFault};

use super::{Rig, bench, record};

pub async fn lost_interrupts_cost_only_time<R: Rig>() {
    let bench = bench::<R>().await;
    let lost = |bench: &super::Bench<R>| bench.card.driver_counters().lost_interrupts;
    // On the way.
    bench.faulty.mute(true);
    for _ in 0..5 {
        bench.works().await;
    }
    assert!(lost(&bench) > 0);
    bench.faulty.mute(false);
    bench.works().await;
    record::unnoticed("interrupts lost on the way");
    // By the card.
    let before = lost(&bench);
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
    for _ in 0..5 {
        bench.works().await;
    }
    assert!(lost(&bench) > before);
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
