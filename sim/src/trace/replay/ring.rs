//! One queue of a replay: which command completes where, and how long to wait
//! for it. Used by the replay alone.

use std::time::{Duration, Instant};

use carillon_driver::bar::{Bar, Counters};
use carillon_driver::command::Command;
use carillon_driver::completion::COMPLETION_BYTES;
use carillon_driver::deadline::{Deadlines, estimate_cycles};

use super::host::Host;
use crate::trace::names::QueueRegister;
use crate::trace::reach::Parts;

/// Where a completion will stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    index: u32,
    pub phase: bool,
}

impl At {
    /// Bytes from the ring's base.
    pub fn bytes(self) -> u64 {
        u64::from(self.index) * COMPLETION_BYTES as u64
    }
}

/// A command that was put into the ring.
#[derive(Clone, Debug)]
pub(super) struct Place {
    command: usize,
    pub at: At,
    /// The host memory that it moves, by recorded addresses.
    pub parts: Parts,
    /// Something else stands in for it.
    pub left_out: bool,
}

/// A queue's rings, by recorded addresses.
#[derive(Debug, Default)]
pub(super) struct Ring {
    pub sq_base: u64,
    pub cq_base: u64,
    pub log2_depth: u32,
    /// Commands whose doorbell has not come yet.
    pub pending: Vec<usize>,
    placed: Vec<Place>,
    /// Commands since the queue started.
    count: u64,
}

impl Ring {
    /// Takes a half of a base; whether the register is one.
    pub fn base(&mut self, register: QueueRegister, value: u32) -> bool {
        let low = |base: u64| base & !0xffff_ffff | u64::from(value);
        let high = |base: u64| base & 0xffff_ffff | u64::from(value) << 32;
        match register {
            QueueRegister::SqBaseLo => self.sq_base = low(self.sq_base),
            QueueRegister::SqBaseHi => self.sq_base = high(self.sq_base),
            QueueRegister::CqBaseLo => self.cq_base = low(self.cq_base),
            QueueRegister::CqBaseHi => self.cq_base = high(self.cq_base),
            _ => return false,
        }
        true
    }

    fn depth(&self) -> u32 {
        1u32.checked_shl(self.log2_depth).unwrap_or(1)
    }

    /// The queue starts: old completions go, the first lap's phase is 1.
    pub fn start(&mut self, host: &Host) {
        self.stop();
        let zeros = vec![0; self.depth() as usize * COMPLETION_BYTES];
        host.reach().write(self.cq_base, &zeros);
    }

    pub fn stop(&mut self) {
        self.pending.clear();
        self.placed.clear();
        self.count = 0;
    }

    /// A command was put into the ring. One queue completes in order, so its
    /// place among the completions is known.
    pub fn push(&mut self, command: usize, parts: Parts, left_out: bool) {
        let depth = u64::from(self.depth());
        let at = At {
            index: (self.count % depth) as u32,
            phase: (self.count / depth).is_multiple_of(2),
        };
        self.count += 1;
        self.pending.push(command);
        self.placed.push(Place {
            command,
            at,
            parts,
            left_out,
        });
    }

    /// The place of a command that has not been taken.
    pub fn place(&self, command: usize) -> Option<Place> {
        self.placed.iter().find(|p| p.command == command).cloned()
    }

    /// The same, and forgets it.
    pub fn take(&mut self, command: usize) -> Option<Place> {
        let at = self.placed.iter().position(|p| p.command == command)?;
        Some(self.placed.remove(at))
    }

    /// The command before this one, if it has not been taken.
    pub fn before(&self, command: usize) -> Option<usize> {
        let at = self.placed.iter().position(|p| p.command == command)?;
        let before = self.placed.get(at.checked_sub(1)?)?;
        Some(before.command)
    }
}

/// How often the card's counters are looked at while waiting.
const LOOK: Duration = Duration::from_millis(100);

/// Waits for `check`, as long as the card makes progress: the rule of the
/// driver's deadlines, with the budget of `command`.
pub(super) fn wait<T>(
    bar: &Bar,
    patience: Duration,
    command: Option<&Command>,
    check: impl Fn() -> Option<T>,
) -> Option<T> {
    let limits = Deadlines::default();
    let budget = command
        .map_or(0, estimate_cycles)
        .saturating_mul(limits.slack.into())
        .saturating_add(limits.floor_cycles);
    let mut moved = Instant::now();
    let mut looked = moved;
    let mut last: Option<Counters> = None;
    let mut first_busy = None;
    loop {
        if let Some(found) = check() {
            return Some(found);
        }
        if looked.elapsed() >= LOOK {
            looked = Instant::now();
            let counters = bar.counters().ok();
            if progress(counters) != progress(last) {
                moved = looked;
            }
            let busy = counters.map_or(0, |c| c.busy);
            let first = *first_busy.get_or_insert(busy);
            last = counters;
            if moved.elapsed() >= patience || busy.saturating_sub(first) > budget {
                // It may have come while the counters were read.
                return check();
            }
        }
        std::thread::sleep(Duration::from_micros(50));
    }
}

/// Counters that move only when there is work.
fn progress(counters: Option<Counters>) -> Option<Counters> {
    counters.map(|c| Counters { cycles: 0, ..c })
}
