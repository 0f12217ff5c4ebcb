//! The driver's tests, once, for every card that can be simulated.
//!
//! Each test is a function over a [`Rig`], which makes a card and can make it faulty.
//! `driver_on_model.rs` and `driver_on_rtl.rs` (feature `rtl`) run them all.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unsafe_code
)]
#![allow(dead_code)]

pub mod chains;
pub mod dma;
pub mod faults;
pub mod futures;
pub mod hang;
pub mod interrupts;
pub mod lifecycle;
pub mod mid_chain;
pub mod operations;
pub mod posted;
pub mod record;
pub mod registers;
pub mod residue;
pub mod unplug;
pub mod validation;
pub mod values;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use carillon_driver::command::RawCommand;
use carillon_driver::completion::Completion;
use carillon_driver::deadline::Deadlines;
use carillon_driver::transport::Transport;
use carillon_driver::{
    Card, CardConfig, CardError, CardRegion, Finished, Health, HostBuf, JobError, RecoveryAction,
};
use carillon_sim::faults::{CardFault, FaultyTransport};

use record::Advice;

/// A kind of simulated card, in this process or in another. Faults are data
/// ([`CardFault`]), so that they can be sent to where the card is.
pub trait Rig: Sized + Send + Sync + 'static {
    /// The transport's name in the table of faults; empty: nothing is recorded.
    const NAME: &'static str;
    /// Bytes of a transfer that takes at least 200 ms on a slow card.
    const LONG: usize;
    /// Times that a ring is wrapped.
    const LAPS: usize;
    /// Times that the smallest ring is wrapped.
    const WRAPS: usize = 1 << 8;
    /// Whether the card is kept from reading memory that it may only write.
    const UNREADABLE: bool = true;
    /// Whether a function-level reset that the card ignores is noticed as such.
    const RESET_IS_CHECKED: bool = true;
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
            control: Duration::from_secs(3),
        },
    }
}

/// An open card on a transport that can be made faulty.
pub struct Bench<R: Rig> {
    pub card: Card,
    pub faulty: Arc<FaultyTransport>,
    pub rig: Arc<R>,
    pub config: CardConfig,
}

/// A card that is not open yet, on a transport that can be made faulty.
pub struct Closed<R: Rig> {
    pub faulty: Arc<FaultyTransport>,
    pub rig: Arc<R>,
    pub config: CardConfig,
}

impl<R: Rig> Closed<R> {
    pub fn new(config: CardConfig) -> Self {
        let rig = Arc::new(R::new());
        let faulty = Arc::new(FaultyTransport::new(rig.transport()));
        Self {
            faulty,
            rig,
            config,
        }
    }

    /// Opens the card, within its deadlines.
    pub async fn open(&self) -> Result<Card, CardError> {
        let transport = Arc::clone(&self.faulty) as Arc<dyn Transport>;
        let open = Card::open(transport, self.config.clone());
        within(patience(&self.config, 4), open).await
    }

    /// Waits until nothing is mapped; a server in between may take a moment.
    pub async fn unmapped(&self) {
        let unmapped = async {
            while self.rig.mapped().is_some_and(|m| m > 0) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        within(Duration::from_secs(5), unmapped).await;
    }

    /// The same, once the card is sound.
    pub async fn bench(self) -> Bench<R> {
        let card = self.open().await.expect("a sound card opens");
        Bench {
            card,
            faulty: self.faulty,
            rig: self.rig,
            config: self.config,
        }
    }
}

/// The longest that an error may take: all deadlines on the way to it, with
/// `controls` stops or starts of queue or controller, and some time for a busy
/// machine.
pub fn patience(config: &CardConfig, controls: u32) -> Duration {
    let d = &config.deadlines;
    d.poll + d.stall + d.abort_grace + d.control * controls + Duration::from_secs(5)
}

/// Waits for `what`, which has to come in time.
pub async fn within<T>(limit: Duration, what: impl Future<Output = T>) -> T {
    tokio::time::timeout(limit, what)
        .await
        .expect("an answer within the deadlines")
}

pub async fn bench<R: Rig>() -> Bench<R> {
    bench_with(config::<R>()).await
}

pub async fn bench_with<R: Rig>(config: CardConfig) -> Bench<R> {
    Closed::new(config).bench().await
}

impl<R: Rig> Bench<R> {
    /// Puts a fault of the card to work. If the rig cannot, that is recorded
    /// under `name`, and the test has nothing to do.
    pub fn inject(&self, name: &str, fault: CardFault) -> bool {
        let injected = self.rig.inject(fault);
        if !injected {
            record::not_injectable(name);
        }
        injected
    }

    /// Follows the advice of `error`, proves that the card is in service, and
    /// records both under the name of the fault.
    pub async fn follow(self, name: &str, error: &impl Advice) -> Self {
        let bench = match error.action() {
            RecoveryAction::Reopen | RecoveryAction::Replace => self.reopen().await,
            RecoveryAction::FixRequest
            | RecoveryAction::Retry
            | RecoveryAction::RewriteAndRetry => self,
        };
        bench.works().await;
        assert_eq!(*bench.card.health().borrow(), Health::Ready);
        record::served(name, error);
        bench
    }

    /// Closes the card and opens it again.
    pub async fn reopen(self) -> Self {
        let closed = self.close().await;
        closed.bench().await
    }

    /// Closes the card, within its deadlines.
    pub async fn close(self) -> Closed<R> {
        within(patience(&self.config, 3), self.card.close()).await;
        Closed {
            faulty: self.faulty,
            rig: self.rig,
            config: self.config,
        }
    }

    /// Sends `bytes` bytes to a new region on I/O queue `queue`; the buffer must
    /// come back, in time.
    pub async fn write(&self, queue: usize, bytes: usize) -> Result<Completion, JobError> {
        let region = self.card.allocate(bytes as u64).unwrap();
        let write = self
            .card
            .queue(queue)
            .write(self.down(&vec![7; bytes]), &region);
        let finished = within(patience(&self.config, 6), write).await;
        assert!(finished.memory.is_some(), "the buffer comes back");
        finished.result
    }

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
                    let test = suite::$module::$name::<$rig>();
                    suite::record::recorded::<$rig>(stringify!($name), test).await;
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
                msm_in_g2_equals_blstrs,
                msm_in_g2_is_there_if_the_card_says_so,
                transforms_equal_their_definition,
                quotients_equal_blstrs,
                a_chain_needs_no_waiting,
                rings_of_two_and_four_wrap_many_times,
                a_ring_of_two_wraps_as_often_as_it_is_told,
                a_full_queue_holds_submitters_back,
                counters_count,
            }
            chains::{
                a_fill_writes_its_word_and_no_more,
                a_chain_runs_to_its_end,
                a_chain_ends_at_its_first_failure,
                what_a_broken_chain_leaves_out_names_the_failure,
                a_chain_that_is_dropped_is_closed,
                a_chain_ends_with_what_cannot_be_sent,
                a_chain_may_take_its_time,
            }
            mid_chain::{
                bus_errors_in_mid_chain,
                a_hang_in_mid_chain_is_aborted,
                a_reset_in_mid_chain,
            }
            values::{
                msm_of_every_size,
                msm_in_g2_of_every_size,
                transforms_of_every_size,
                quotients_of_every_size,
            }
            validation::{
                every_status_of_the_table,
                bad_scatter_gather_lists,
                faulty_elements_are_named,
                faulty_elements_in_g2_are_named,
                the_driver_refuses_what_the_card_cannot_know,
                card_memory_runs_out_and_comes_back,
            }
            lifecycle::{
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
                foreign_completions_stop_the_queue,
                a_lost_completion_times_out,
                fetch_and_post_errors_restart_the_queue,
                a_doorbell_out_of_range_restarts_the_queue,
                all_ones_take_the_card_out_of_service,
                all_ones_in_one_register_are_only_a_value,
                a_queue_that_never_stops_costs_a_reset,
                what_the_card_may_still_reach_is_quarantined,
                a_card_that_never_starts_is_reported,
                a_corrupted_completion_that_cannot_be_seen_harms_nothing,
                a_completion_posted_twice_stops_the_queue,
                stray_bus_answers_cost_a_reset,
                a_hostile_card_hangs_nothing_and_keeps_nothing,
            }
            dma::{
                failed_maps_leave_nothing_behind,
                locked_memory_that_runs_out_is_reported,
                addresses_outside_and_wrong_directions_are_bus_errors,
                a_rogue_card_reaches_nothing,
                a_transfer_larger_than_the_pool_waits_for_its_own_pieces,
            }
            residue::{
                the_next_opener_reads_nothing,
                one_region_is_cleared_and_no_more,
            }
            futures::{
                futures_dropped_in_every_state,
                a_dropped_chain_is_not_computed_to_its_end,
                a_completion_is_counted_before_it_is_told,
            }
            hang::{
                escalation_goes_as_deep_as_it_must,
                a_card_that_nothing_stops_goes_out_of_service,
                a_slow_command_is_not_overdue,
            }
            interrupts::{
                lost_interrupts_cost_only_time,
                doubled_and_needless_interrupts_cost_nothing,
            }
            posted::{
                posted_writes_may_be_late_and_overtake,
            }
            registers::{
                all_ones_at_each_register,
                poisoned_reads_are_told_from_a_card_that_is_gone,
                a_card_that_is_never_ready,
                a_card_that_never_resets,
            }
            unplug::{
                unplugged_while_it_is_opened,
                unplugged_while_commands_are_sent,
                unplugged_while_it_is_reset,
                unplugged_while_it_is_dropped,
                one_opener_at_a_time,
            }
        }
    };
}
