//! The card's 64-bit event counters, in the order of their registers.

use std::sync::atomic::{AtomicU64, Ordering};

use carillon_driver::registers as reg;

/// Counters that the model keeps. Cycles, bubbles and MSM additions are not
/// among them: the model does not simulate time, they read 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Counter {
    Commands,
    Errors,
    Butterflies,
    HostRead,
    HostWritten,
    CardRead,
    CardWritten,
}

/// Offsets of the low halves, in the order of [`Counter`].
const OFFSETS: [u32; 7] = [
    reg::count_commands_lo::OFFSET,
    reg::count_errors_lo::OFFSET,
    reg::count_butterflies_lo::OFFSET,
    reg::count_host_read_lo::OFFSET,
    reg::count_host_written_lo::OFFSET,
    reg::count_card_read_lo::OFFSET,
    reg::count_card_written_lo::OFFSET,
];

#[derive(Debug, Default)]
pub(super) struct Counters([AtomicU64; OFFSETS.len()]);

impl Counters {
    pub fn add(&self, counter: Counter, n: u64) {
        self.0[counter as usize].fetch_add(n, Ordering::Relaxed);
    }

    pub fn clear(&self) {
        for counter in &self.0 {
            counter.store(0, Ordering::Relaxed);
        }
    }

    /// The half at `offset`, if it is one of these counters.
    pub fn read(&self, offset: u32) -> Option<u32> {
        self.0.iter().zip(OFFSETS).find_map(|(counter, low)| {
            let value = counter.load(Ordering::Relaxed);
            match offset.checked_sub(low) {
                Some(0) => Some(value as u32),
                Some(4) => Some((value >> 32) as u32),
                _ => None,
            }
        })
    }
}
