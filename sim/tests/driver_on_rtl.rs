//! The driver's suite on the Verilated card: the gateware itself.
#![cfg(feature = "rtl")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod suite;

use std::sync::Arc;
use std::time::Duration;

use carillon_driver::transport::Transport;
use carillon_sim::card::SimCard;
use carillon_sim::faults::CardFault;
use carillon_sim::rtl::{RtlCard, RtlOptions};

use suite::Rig;

struct Rtl(Arc<RtlCard>);

impl Rig for Rtl {
    const NAME: &str = "sim:rtl";
    const LONG: usize = 512 << 10;
    const LAPS: usize = 50;
    const WRAPS: usize = 1 << 9;
    const THIN: usize = 4;

    fn new() -> Self {
        // Some stalls, so that the streams meet back-pressure; short latencies,
        // so that a transfer is soon over.
        let options = RtlOptions {
            host_latency: 20,
            memory_latency: 12,
            backpressure: 10,
            ..RtlOptions::default()
        };
        Self(Arc::new(RtlCard::new(options).unwrap()))
    }
    card_of_this_process!();
    fn stall() -> Duration {
        Duration::from_secs(1)
    }
}

whole_suite!(Rtl);
late_suite!(Rtl);
