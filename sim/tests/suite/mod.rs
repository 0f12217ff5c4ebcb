//! The driver's tests, once, for every card that can be simulated.
//!
//! Each test is a function over a [`Rig`], which makes a card and can spoil it.
//! `driver_on_model.rs` and `driver_on_rtl.rs` (feature `rtl`) run them all.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unsafe_code
)]
#![allow(dead_code)]

pub mod faults;
pub mod life;
pub mod operations;
pub mod validation;
pub mod values;

use std::sync::Arc;
use std::time::Duration;

use carillon_driver::command::RawCommand;
use carillon_driver::deadline::Deadlines;
use carillon_driver::transport::Transport;
use carillon_driver::{Card, CardConfig, CardRegion, Finished, HostBuf};
use carillon_sim::faults::{CardFault, FaultyTransport};

/// A kind of simulated card, in this process or in another. Faults are data
/// ([`CardFault`]), so that they can be sent to where the card is.
pub trait Rig: Sized + Send + Sync + 'static {
    /// The transport's name in the table of faults; empty: nothing is recorded.
    const NAME: &'static str;
    /// Bytes of a transfer that takes at least 200 ms on a slow card.
    const LONG: usize;
    /// Times that a ring is wrapped.
    const LAPS: usize;
    /// Of the MSM cases of a size, one in so many is run.
    const THIN: usize;
    /// A sound card that nobody uses. Where one card serves all tests, it is
    /// healed, plugged in again if need be, and reached anew.
    fn new() -> Self;
    fn transport(&self) -> Arc<dyn Transport>;
    /// Puts a fault to work; false if this rig cannot.
    fn inject(&self, fault: CardFault) -> bool;
    /// Ends all injected faults.
    fn heal(&self);
    /// Takes the card off the bus; false if this rig cannot.
    fn unplug(&self) -> bool;
    /// Plugs it in again; false if this rig cannot.
    fn replug(&self) -> bool;
    /// DMA mappings that the card has, where that can be known.
    fn mapped(&self) -> Option<usize>;
    /// Accesses of [`CardFault::Rogue`] that were made and that were refused,
    /// where that can be known.
    fn rogue(&self) -> Option<(u64, u64)>;
    /// Short ones, so that what hangs is found soon; long enough for a busy
    /// machine.
    fn stall() -> Duration;
}

/// [`Rig`] for a card in this process: `$rig` is a tuple struct of an `Arc` of
/// a `SimCard`.
#[macro_export]
macro_rules! card_of_this_process {
    () => {
        fn transport(&self) -> Arc<dyn Transport> {
            Arc::clone(&self.0) as Arc<dyn Transport>
        }
        fn inject(&self, fault: CardFault) -> bool {
            SimCard::inject(&*self.0, fault).is_ok()
        }
        fn heal(&self) {
            SimCard::heal(&*self.0);
        }
        fn unplug(&self) -> bool {
            SimCard::unplug(&*self.0);
            true
        }
        fn replug(&self) -> bool {
            SimCard::replug(&*self.0)
        }
        fn mapped(&self) -> Option<usize> {
            Some(SimCard::mapped(&*self.0))
        }
        fn rogue(&self) -> Option<(u64, u64)> {
            Some(SimCard::rogue(&*self.0))
        }
    };
}

/// A configuration for tests: small rings, short deadlines.
pub fn config<R: Rig>() -> CardConfig {
    CardConfig {
        log2_depth: 3,
        host_memory_limit: 1 << 30,
        deadlines: Deadlines {
            poll: Duration::from_millis(5),
            stall: R::stall(),
            floor_cycles: 20_000_000,
            slack: 16,
            abort_grace: R::stall() / 2,
            control: Duration::from_secs(5),
        },
    }
}

/// An open card on a transport that can be spoiled.
pub struct Bench<R: Rig> {
    pub card: Card,
    pub faulty: Arc<FaultyTransport>,
    pub rig: R,
}

pub async fn bench<R: Rig>() -> Bench<R> {
    bench_with(config::<R>()).await
}

pub async fn bench_with<R: Rig>(config: CardConfig) -> Bench<R> {
    let rig = R::new();
    let faulty = Arc::new(FaultyTransport::new(rig.transport()));
    let transport = Arc::clone(&faulty) as Arc<dyn Transport>;
    let card = Card::open(transport, config)
        .await
        .expect("a sound card opens");
    Bench { card, faulty, rig }
}

impl<R: Rig> Bench<R> {
    /// Proves that the card is in service: bytes there and back on each queue.
    pub async fn works(&self) {
        for (i, queue) in self.card.queues().iter().enumerate() {
            let data: Vec<u8> = (0..256).map(|b| (b * 7 + i) as u8).collect();
            let region = self.put_on(i, &data).await;
            let buffer = self.card.buffer_from_card(256).unwrap();
            let (_, buffer) = queue.read(&region, buffer).await.ok().unwrap();
            assert_eq!(buffer[..], data[..]);
        }
    }

    /// Makes the card's transfers of more than 64 bytes slow, so that what a
    /// test does meets them under way; or ends all its faults.
    pub fn slow(&self, on: bool) {
        if !on {
            self.rig.heal();
            return;
        }
        let slow = CardFault::Slow {
            above: 64,
            micros: 2000,
        };
        assert!(self.rig.inject(slow), "every rig can be slow");
    }

    pub fn down(&self, data: &[u8]) -> HostBuf {
        let mut buffer = self.card.buffer_to_card(data.len()).unwrap();
        buffer.copy_from_slice(data);
        buffer
    }

    /// A region with `data` in it.
    pub async fn put_on(&self, queue: usize, data: &[u8]) -> CardRegion {
        let region = self.card.allocate(data.len() as u64).unwrap();
        self.card
            .queue(queue)
            .write(self.down(data), &region)
            .await
            .ok()
            .unwrap();
        region
    }

    pub async fn put(&self, data: &[u8]) -> CardRegion {
        self.put_on(0, data).await
    }

    pub async fn get(&self, region: &CardRegion, bytes: usize) -> Vec<u8> {
        let buffer = self.card.buffer_from_card(bytes).unwrap();
        let (_, buffer) = self.card.queue(0).read(region, buffer).await.ok().unwrap();
        buffer.to_vec()
    }

    /// Any 64 bytes on I/O queue 0. The tests give host addresses that lie in
    /// `memory` or nowhere.
    pub async fn raw(&self, raw: RawCommand, memory: Vec<HostBuf>) -> Finished<Vec<HostBuf>> {
        // SAFETY: as the doc comment says.
        unsafe { self.card.queue(0).submit_raw(raw, 0, memory, Vec::new()) }
            .await
            .await
    }
}

/// Runs every test of the suite on `$rig`, each with the attribute `$attribute`.
#[macro_export]
macro_rules! suite {
    ($attribute:tt $rig:ty: $($module:ident::{$($name:ident),* $(,)?})*) => {$(
        mod $module {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                #$attribute
                async fn $name() {
                    suite::$module::$name::<$rig>().await;
                }
            )*
        }
    )*};
}

/// The names, once.
#[macro_export]
macro_rules! whole_suite {
    ($rig:ty) => {
        $crate::whole_suite! { $rig, [allow(missing_docs)] }
    };
    ($rig:ty, $attribute:tt) => {
        $crate::suite! { $attribute $rig:
            operations::{
                identity_equals_the_registers,
                bytes_travel_and_return,
                scatter_gather_lists,
                msm_equals_blstrs,
                transforms_equal_their_definition,
                quotients_equal_blstrs,
                a_chain_needs_no_waiting,
                rings_of_two_and_four_wrap_many_times,
                a_full_queue_holds_submitters_back,
                counters_count,
            }
            values::{
                msm_of_every_size,
                transforms_of_every_size,
                quotients_of_every_size,
            }
            validation::{
                every_status_of_the_table,
                bad_scatter_gather_lists,
                faulty_elements_are_named,
                the_driver_refuses_what_the_card_cannot_know,
                card_memory_runs_out_and_comes_back,
            }
            life::{
                unknown_cards_are_refused,
                a_card_left_running_is_taken_over,
                dropped_tickets_free_their_memory,
                an_abort_ends_a_running_command,
                a_reset_ends_what_is_under_way,
                two_cards_side_by_side,
                a_dropped_runtime_stops_the_card,
                close_stops_the_card,
                unplugging_ends_everything,
            }
            faults::{
                bus_errors_fail_one_command,
                a_lost_doorbell_times_out_and_is_repaired,
                lost_interrupts_cost_only_time,
                foreign_completions_stop_the_queue,
                a_lost_completion_times_out,
                fetch_and_post_errors_restart_the_queue,
                a_doorbell_out_of_range_restarts_the_queue,
                all_ones_take_the_card_out_of_service,
                all_ones_in_one_register_are_only_a_value,
                a_queue_that_never_stops_costs_a_reset,
                what_the_card_may_still_reach_is_quarantined,
                a_card_that_never_starts_is_reported,
                failed_maps_leave_nothing_behind,
            }
        }
    };
}
