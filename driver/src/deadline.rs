//! When a command has taken too long.
//!
//! Simulated cards run a thousand to a million times slower than real ones, so
//! wall-clock limits would either never fire or fire falsely. The card's own
//! clock decides instead: a command has a budget of *busy cycles* of the card,
//! from its size. Wall-clock counts only while nothing moves at all: neither the
//! counter of busy cycles nor any counter of work. (The counter of all cycles
//! says nothing: a card that waits for a lost doorbell still ticks.) Pure;
//! `worker.rs` feeds it.

use std::time::Duration;

use tokio::time::Instant;

use crate::command::Command;

/// Limits on everything the driver waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// How often to look at the queues without an interrupt while commands are
    /// outstanding. Bounds what a lost interrupt costs.
    pub poll: Duration,
    /// Wall-clock time without progress (busy cycles or work counters) after
    /// which the oldest command of a queue is overdue.
    pub stall: Duration,
    /// Busy cycles that any command may take.
    pub floor_cycles: u64,
    /// Cycles beyond the floor per estimated cycle of all outstanding commands.
    pub slack: u32,
    /// Time that a command has to end after `ABORT`.
    pub abort_grace: Duration,
    /// Time that a queue or the controller has to start or stop.
    pub control: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            poll: Duration::from_millis(50),
            stall: Duration::from_secs(30),
            floor_cycles: 100_000_000,
            slack: 16,
            abort_grace: Duration::from_secs(5),
            control: Duration::from_secs(10),
        }
    }
}

/// Rough upper estimate of a command's cycles on an idle card; only its order
/// of magnitude matters, see [`Deadlines::slack`].
pub fn estimate_cycles(command: &Command) -> u64 {
    let beats = |bytes: u64| bytes / 64;
    match *command {
        Command::Identify { .. } | Command::Abort { .. } => 1_000,
        Command::Write { bytes, .. } | Command::Read { bytes, .. } => {
            beats(bytes).saturating_mul(4)
        }
        // On the card alone, but four beats cover a memory that others use, too.
        Command::Fill { bytes, .. } => beats(bytes).saturating_mul(4),
        // At most one addition per window of one bit and term, each for as long as
        // it occupies its adder; the buckets' sums are within the floor.
        Command::Msm { group, n, .. } => n.saturating_mul(256 * group.slot_cycles()),
        Command::Ntt { log2n, .. } => (1u64 << log2n.min(40))
            .saturating_mul(u64::from(log2n) + 8)
            .saturating_mul(2),
        Command::Quotient { n, .. } | Command::Product { n, .. } => n.saturating_mul(8),
    }
}

/// What the worker saw of the card at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub at: Instant,
    pub busy: u64,
    pub work: u64,
}

#[derive(Clone, Copy, Debug)]
struct Start {
    cid: u16,
    first: Sample,
    last: Sample,
    /// The largest one while it was watched: what it waited for at first has ended since, and its time counts.
    budget: u64,
}

/// Watches the oldest command of one queue.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    current: Option<Start>,
}

impl Watch {
    /// Takes a sample while `oldest` is the queue's oldest command; returns how
    /// long it has been watched once it is overdue against `budget` cycles.
    pub fn check(
        &mut self,
        oldest: Option<u16>,
        sample: Sample,
        budget: u64,
        stall: Duration,
    ) -> Option<Duration> {
        let Some(cid) = oldest else {
            self.current = None;
            return None;
        };
        let fresh = Start {
            cid,
            first: sample,
            last: sample,
            budget,
        };
        let start = self.current.get_or_insert(fresh);
        if start.cid != cid {
            *start = fresh;
        }
        start.budget = start.budget.max(budget);
        let ticking = sample.busy != start.last.busy;
        if ticking || sample.work != start.last.work {
            start.last = sample;
        }
        let over_budget = ticking && sample.busy.saturating_sub(start.first.busy) > start.budget;
        let stalled = sample.at.saturating_duration_since(start.last.at) >= stall;
        (over_budget || stalled).then(|| sample.at.saturating_duration_since(start.first.at))
    }

    /// Forgets the command, after it was dealt with.
    pub fn clear(&mut self) {
        self.current = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Group, MsmMode};

    const STALL: Duration = Duration::from_secs(10);

    fn at(base: Instant, seconds: u64, busy: u64, work: u64) -> Sample {
        Sample {
            at: base + Duration::from_secs(seconds),
            busy,
            work,
        }
    }

    /// Another queue's command holds the unit for long, then ends: the budget falls, and the time stays.
    #[test]
    fn waiting_for_another_queues_command_is_no_delay() {
        let base = Instant::now();
        let mut watch = Watch::default();
        for second in 0..50 {
            let sample = at(base, second, second * 1_000, 0);
            assert_eq!(watch.check(Some(1), sample, 100_000, STALL), None);
        }
        assert_eq!(
            watch.check(Some(1), at(base, 50, 50_500, 0), 2_000, STALL),
            None
        );
        // The next command begins anew.
        assert_eq!(
            watch.check(Some(2), at(base, 51, 51_000, 0), 2_000, STALL),
            None
        );
        let overdue = watch.check(Some(2), at(base, 52, 53_001, 0), 2_000, STALL);
        assert_eq!(overdue, Some(Duration::from_secs(1)));
    }

    #[test]
    fn a_slow_simulation_that_proceeds_is_never_overdue() {
        let base = Instant::now();
        let mut watch = Watch::default();
        for hour in 0..100 {
            let sample = at(base, hour * 3600, hour * 1000, 0);
            assert_eq!(watch.check(Some(1), sample, 1_000_000, STALL), None);
        }
        // No clock at all, but work (the functional model).
        let mut watch = Watch::default();
        for step in 0..100 {
            assert_eq!(
                watch.check(Some(1), at(base, step * 9, 0, step), 0, STALL),
                None
            );
        }
    }

    #[test]
    fn a_standstill_and_a_used_up_budget_are_overdue() {
        let base = Instant::now();
        let mut watch = Watch::default();
        assert_eq!(watch.check(Some(1), at(base, 0, 5, 5), 100, STALL), None);
        assert_eq!(watch.check(Some(1), at(base, 9, 5, 5), 100, STALL), None);
        assert_eq!(
            watch.check(Some(1), at(base, 10, 5, 5), 100, STALL),
            Some(STALL)
        );
        let mut watch = Watch::default();
        assert_eq!(watch.check(Some(1), at(base, 0, 5, 5), 100, STALL), None);
        assert_eq!(watch.check(Some(1), at(base, 1, 105, 6), 100, STALL), None);
        assert!(
            watch
                .check(Some(1), at(base, 2, 106, 7), 100, STALL)
                .is_some()
        );
    }

    #[test]
    fn a_sum_in_g2_has_three_times_that_of_one_in_g1() {
        let cost = |group, n| {
            estimate_cycles(&Command::Msm {
                group,
                bases: 0,
                scalars: 0,
                n,
                result: 0,
                window_bits: 0,
                mode: MsmMode::Split,
            })
        };
        let [g1, g2] = Group::ALL.map(|group| cost(group, 1 << 20));
        assert_eq!((g1, g2), (256 << 20, 3 * g1));
        // Whole scalars in windows of two bits: 129 slots a term.
        assert!(g2 > (129 * 3) << 20);
        assert_eq!(cost(Group::G2, u64::MAX), u64::MAX);
    }

    #[test]
    fn a_fill_has_the_time_of_its_beats() {
        let cost = |bytes| {
            estimate_cycles(&Command::Fill {
                word: 0,
                card: 0,
                bytes,
            })
        };
        assert_eq!((cost(64), cost(1 << 20)), (4, 1 << 16));
        assert!(cost(u64::MAX) > 1 << 59);
    }

    #[test]
    fn each_command_has_its_own_time() {
        let base = Instant::now();
        let mut watch = Watch::default();
        for step in 0..50u16 {
            let sample = at(base, u64::from(step) * 9, u64::from(step) * 90, 0);
            assert_eq!(watch.check(Some(step), sample, 100, STALL), None);
        }
        assert_eq!(
            watch.check(None, at(base, 9999, 99999, 0), 100, STALL),
            None
        );
        assert_eq!(
            watch.check(Some(49), at(base, 10_000, 99_999, 0), 100, STALL),
            None
        );
    }
}
