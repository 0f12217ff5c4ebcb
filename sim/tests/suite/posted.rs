//! Register writes that are late and overtake one another.
//!
//! The test here shows that the driver meets them; `driver_on_model.rs` and
//! `driver_on_rtl.rs` run a good part of the whole suite over [`Late`], too.

use std::sync::Arc;
use std::time::Duration;

use carillon_driver::ResetLevel;
use carillon_driver::transport::Transport;
use carillon_sim::faults::{CardFault, FaultyTransport, PostedWrites};

use super::{Rig, bench, record};

fn mode(seed: u64) -> PostedWrites {
    PostedWrites {
        seed,
        at_most: 8,
        delay: Duration::from_millis(5),
    }
}

pub async fn posted_writes_may_be_late_and_overtake<R: Rig>() {
    let bench = bench::<R>().await;
    for seed in 0..(10 / R::THIN as u64).max(1) {
        bench.faulty.post_writes(Some(mode(seed))).unwrap();
        for _ in 0..5 {
            bench.works().await;
        }
        let queue = bench.card.queue(0);
        let region = bench.card.allocate(64).unwrap();
        let mut tickets = Vec::new();
        for i in 0..7 {
            tickets.push(queue.submit_write(bench.down(&[i; 64]), &region).await);
        }
        for ticket in tickets {
            ticket.await.ok().unwrap();
        }
        assert_eq!(bench.get(&region, 64).await, [6; 64]);
        drop(region);
        for level in [ResetLevel::Controller, ResetLevel::Function] {
            bench.card.reset(level).await.unwrap();
            bench.works().await;
        }
    }
    let counts = bench.faulty.posted();
    assert!(counts.held > 0 && counts.overtaken > 0, "{counts:?}");
    let counters = bench.card.driver_counters();
    assert_eq!((counters.queue_errors, counters.queue_restarts), (0, 0));
    assert_eq!((counters.timeouts, counters.protocol_errors), (0, 0));
    record::unnoticed("register writes late and out of order");
}

/// A rig whose register writes are late and overtake one another.
pub struct Late<R: Rig> {
    rig: R,
    transport: Arc<FaultyTransport>,
}

impl<R: Rig> Rig for Late<R> {
    const NAME: &'static str = "";
    const LONG: usize = R::LONG;
    const LAPS: usize = R::LAPS / 10;
    const WRAPS: usize = R::WRAPS / 1000;
    const THIN: usize = R::THIN;

    fn new() -> Self {
        let rig = R::new();
        let transport = Arc::new(FaultyTransport::new(rig.transport()));
        transport.post_writes(Some(mode(1))).unwrap();
        Self { rig, transport }
    }
    fn transport(&self) -> Arc<dyn Transport> {
        Arc::clone(&self.transport) as Arc<dyn Transport>
    }
    fn inject(&self, fault: CardFault) -> bool {
        self.rig.inject(fault)
    }
    fn heal(&self) {
        self.rig.heal();
    }
    fn unplug(&self) -> bool {
        self.rig.unplug()
    }
    fn replug(&self) -> bool {
        self.rig.replug()
    }
    fn mapped(&self) -> Option<usize> {
        self.rig.mapped()
    }
    fn rogue(&self) -> Option<(u64, u64)> {
        self.rig.rogue()
    }
    fn stall() -> Duration {
        R::stall()
    }
}

/// What of the suite runs over [`Late`]: not what counts aborts (an `ABORT` may
/// overtake its command, and then ends nothing), and not the arithmetic.
#[macro_export]
macro_rules! late_suite {
    ($rig:ty) => {
        mod late {
            use super::*;
            type Late = suite::posted::Late<$rig>;
            $crate::suite! { [allow(missing_docs)] Late:
                operations::{
                    bytes_travel_and_return,
                    scatter_gather_lists,
                    a_chain_needs_no_waiting,
                    rings_of_two_and_four_wrap_many_times,
                    a_full_queue_holds_submitters_back,
                }
                validation::{
                    bad_scatter_gather_lists,
                    card_memory_runs_out_and_comes_back,
                }
                lifecycle::{
                    dropped_tickets_free_their_memory,
                    a_reset_ends_what_is_under_way,
                    two_cards_side_by_side,
                    a_dropped_runtime_stops_the_card,
                    close_stops_the_card,
                    unplugging_ends_everything,
                }
                faults::{
                    bus_errors_fail_one_command,
                    a_lost_doorbell_times_out_and_is_repaired,
                    foreign_completions_stop_the_queue,
                    a_lost_completion_times_out,
                    fetch_and_post_errors_restart_the_queue,
                    all_ones_take_the_card_out_of_service,
                    a_card_that_never_starts_is_reported,
                    a_hostile_card_hangs_nothing_and_keeps_nothing,
                }
                dma::{
                    failed_maps_leave_nothing_behind,
                }
                interrupts::{
                    lost_interrupts_cost_only_time,
                }
                unplug::{
                    unplugged_while_it_is_opened,
                    unplugged_while_it_is_reset,
                }
            }
        }
    };
}
