//! What the channels of an AXI4 memory have in common: requests, how they are timed, and what they reach.
//! Used by `axi_memory` and its channels, `read_lanes` and `axi_write`.

use rand::Rng;

use crate::bits::get_field;

pub(crate) const BEAT: u64 = 64;
const PAGE: u64 = 4096;
/// The response to a beat at a faulty address.
pub(crate) const SLVERR: u64 = 2;

/// When the memory takes a write's request and its data. AXI4 (A3.3.1) permits all of these, and a manager has to offer
/// both without waiting for either to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteOrder {
    /// Data no earlier than the request.
    RequestFirst,
    /// The request only once data has been seen on the bus, and the data after the request.
    DataOffered,
    /// The whole burst's data, then its request.
    DataFirst,
}

/// How the memory answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timing {
    /// Cycles from a request to the first beat or the response.
    pub latency: u64,
    /// Share of the cycles in which each channel refuses or holds back, 0 to 1.
    pub stall: f64,
    /// Bursts of different IDs may overtake each other.
    pub reorder: bool,
    /// Beats of bursts of different IDs alternate.
    pub interleave: bool,
    /// What a write waits for.
    pub writes: WriteOrder,
}

impl Timing {
    /// A quick memory that always answers in order.
    pub const STEADY: Self = Self {
        latency: 40,
        stall: 0.0,
        reorder: false,
        interleave: false,
        writes: WriteOrder::RequestFirst,
    };

    /// Back-pressure everywhere, beats of different bursts mixed, data taken before requests: as unfriendly as a memory may be.
    pub const NASTY: Self = Self {
        latency: 5,
        stall: 0.6,
        reorder: true,
        interleave: true,
        writes: WriteOrder::DataFirst,
    };

    /// Corners worth testing: no latency, back-pressure everywhere, long and out of order, and each order of a write.
    pub const ALL: [Self; 4] = [
        Self::STEADY,
        Self {
            latency: 0,
            writes: WriteOrder::DataOffered,
            ..Self::STEADY
        },
        Self::NASTY,
        Self {
            latency: 200,
            stall: 0.2,
            reorder: true,
            interleave: false,
            writes: WriteOrder::DataOffered,
        },
    ];

    /// A channel does not stall in this cycle.
    pub(crate) fn go(&self, rng: &mut impl Rng) -> bool {
        self.stall == 0.0 || !rng.gen_bool(self.stall)
    }
}

/// `axi_ax_t`
#[derive(Clone, Copy)]
pub(crate) struct Request {
    pub(crate) id: u64,
    pub(crate) address: u64,
    pub(crate) beats: u64,
}

impl Request {
    pub(crate) const BITS: usize = 80;

    /// The request of `lane` in a packed array of them.
    pub(crate) fn from_port(image: &[u8], lane: usize) -> Self {
        let base = lane * Self::BITS;
        Self {
            beats: get_field(image, base, 8) + 1,
            address: get_field(image, base + 8, 64),
            id: get_field(image, base + 72, 8),
        }
    }

    /// Panics if a master may not ask for this.
    pub(crate) fn check(&self, channel: &str, size: usize) {
        let bytes = self.beats * BEAT;
        let at = self.address;
        assert_eq!(at % BEAT, 0, "{channel}: whole beats");
        assert!(
            at % PAGE + bytes <= PAGE,
            "{channel}: a burst of {bytes} bytes at {at:#x} crosses 4 KiB"
        );
        assert!(
            at.saturating_add(bytes) <= size as u64,
            "{channel}: {at:#x} is beyond the memory"
        );
    }
}

/// What all channels of a memory share.
pub struct Contents {
    /// The memory itself.
    pub bytes: Vec<u8>,
    /// How it answers from now on.
    pub timing: Timing,
    /// A beat address whose read is answered with SLVERR.
    pub read_fault: Option<u64>,
    /// A beat address whose write is answered with SLVERR.
    pub write_fault: Option<u64>,
    /// Beats so far whose read was answered with SLVERR.
    pub read_faults_met: u64,
    /// Beats so far whose write was.
    pub write_faults_met: u64,
    /// The cycle of the last of all these.
    pub last_fault: Option<u64>,
    /// Beats so far that were read.
    pub beats_read: u64,
    pub(crate) cycle: u64,
}

impl Contents {
    /// Cycles so far.
    #[must_use]
    pub fn cycle(&self) -> u64 {
        self.cycle
    }
}
