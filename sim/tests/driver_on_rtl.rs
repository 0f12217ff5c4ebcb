//! The driver's suite on the Verilated card: the gateware itself.
#![cfg(feature = "rtl")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod suite;

use std::sync::Arc;
use std::time::Duration;

use carillon_driver::transport::Transport;
use carillon_sim::memory::{DmaSpace, MemoryFault};
use carillon_sim::rtl::{RtlCard, RtlOptions};

use suite::Rig;

struct Rtl(Arc<RtlCard>);

impl Rig for Rtl {
    const LONG: usize = 128 << 10;
    const LAPS: usize = 50;
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
        Duration::from_secs(1)
    }
}

whole_suite!(Rtl);
