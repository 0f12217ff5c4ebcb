//! What a job cost: wall time for every engine, and the card's own counters for card engines.
//!
//! Filled in by the engines, summed up by `groth16` and printed by the CLIs. Pure data.

use std::ops::AddAssign;
use std::time::Duration;

use serde::Serialize;

/// Cost of one engine job, or the sum over several jobs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct JobStats {
    /// Wall-clock time spent waiting for the job, in seconds when serialised.
    #[serde(rename = "wall_seconds", serialize_with = "seconds")]
    pub wall: Duration,
    /// Counters of the card; `None` when no card took part.
    pub card: Option<CardStats>,
}

/// Counters of the card for one job (`hdl/doc/contract.md`, "Completion").
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CardStats {
    /// Commands the job was made of, data movement included.
    pub commands: u64,
    /// Card clock cycles from start to end of execution, summed over the commands.
    pub cycles: u64,
    /// The same by kind of command.
    pub cycles_by: CommandCycles,
    /// Point additions into buckets, in either group.
    pub additions: u64,
    /// All other point additions (aggregation of buckets, combination of windows).
    pub aggregation_additions: u64,
    /// NTT butterflies.
    pub butterflies: u64,
    /// Slots of the bucket phase without an addition although points were there: adder-cycles in G1,
    /// three of them in G2.
    pub bubble_hazard: u64,
    /// The same, lost waiting for points from card memory.
    pub bubble_memory: u64,
    /// All other slots of the bucket phase without an addition.
    pub bubble_other: u64,
    /// Bytes moved from host to card by `WRITE` commands.
    pub bytes_to_card: u64,
    /// Bytes moved from card to host by `READ` commands.
    pub bytes_from_card: u64,
    /// What overlapped with another proof.
    pub overlap: Overlap,
    /// Rows that were computed while they were sent.
    pub rows: RowStats,
}

/// Rows of the polynomials A and B that the host computed from recorded constraints, block by block, while it sent those
/// before them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RowStats {
    /// From the beginning of the first block to the end of the last one, waiting for memory and cores included.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub wall: Duration,
    /// Bytes of A and B.
    pub bytes: u64,
    /// Bytes that the proof's `WRITE`s, also that of the witness, had moved before the last row was computed. What the host
    /// sees later is not counted: at least so much.
    pub sent_meanwhile: u64,
}

impl AddAssign<&RowStats> for RowStats {
    fn add_assign(&mut self, other: &RowStats) {
        self.wall += other.wall;
        self.bytes += other.bytes;
        self.sent_meanwhile += other.sent_meanwhile;
    }
}

/// What overlapped with another proof on the same card. Seen by the host, which counts nothing that it sees too late:
/// at least so much.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Overlap {
    /// The card's clock over the time; `None` where there is none, or where a reset has started it anew. Its cycles are
    /// fewer than those of all commands where they overlapped.
    #[serde(flatten)]
    pub clock: Option<Clock>,
    /// The same from the beginning of the first sum to the end of the last one, as the host saw them: what a host sees late
    /// makes it shorter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sums: Option<Clock>,
    /// Commands that ran while another proof's transforms, quotients and sums did.
    pub commands: u64,
    /// Their cycles.
    pub cycles: u64,
    /// Bytes that they moved between host and card.
    pub bytes: u64,
    /// Times that a proof had to wait until another job had ended and its card memory, or a key's, was free.
    pub memory_waits: u64,
}

/// The card's clock from the moment a proof had its memory to its end, or from the first one's to the last one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Clock {
    #[serde(skip)]
    from: (u64, u64),
    #[serde(skip)]
    to: (u64, u64),
    /// Cycles between the two.
    pub elapsed_cycles: u64,
    /// Those of them in which a command of any queue ran.
    pub busy_cycles: u64,
}

impl Clock {
    /// Between two readings of the counters of cycles and of busy cycles.
    pub fn between(from: (u64, u64), to: (u64, u64)) -> Option<Self> {
        let elapsed_cycles = to.0.checked_sub(from.0).filter(|cycles| *cycles > 0)?;
        let busy_cycles = to.1.checked_sub(from.1)?;
        Some(Self {
            from,
            to,
            elapsed_cycles,
            busy_cycles,
        })
    }

    /// From the earlier beginning to the later end.
    fn span(a: Option<Self>, b: Option<Self>) -> Option<Self> {
        match (a, b) {
            (Some(a), Some(b)) => Self::between(a.from.min(b.from), a.to.max(b.to)),
            (one, other) => one.or(other),
        }
    }
}

impl AddAssign<&Overlap> for Overlap {
    fn add_assign(&mut self, other: &Overlap) {
        self.clock = Clock::span(self.clock, other.clock);
        self.sums = Clock::span(self.sums, other.sums);
        self.commands += other.commands;
        self.cycles += other.cycles;
        self.bytes += other.bytes;
        self.memory_waits += other.memory_waits;
    }
}

/// Card clock cycles by kind of command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CommandCycles {
    /// Host memory to card memory.
    pub write: u64,
    /// Card memory to host memory.
    pub read: u64,
    /// Multi-scalar multiplications in G1.
    pub msm: u64,
    /// Multi-scalar multiplications in G2.
    pub msm_g2: u64,
    /// Transforms.
    pub ntt: u64,
    /// Quotients and products.
    pub quotient: u64,
}

impl AddAssign<&CommandCycles> for CommandCycles {
    fn add_assign(&mut self, other: &CommandCycles) {
        self.write += other.write;
        self.read += other.read;
        self.msm += other.msm;
        self.msm_g2 += other.msm_g2;
        self.ntt += other.ntt;
        self.quotient += other.quotient;
    }
}

impl CardStats {
    /// Bucket additions over those and the bubbles, 0 to 1; `None` without a bucket phase or on a
    /// card without a clock (the functional model).
    pub fn occupancy(&self) -> Option<f64> {
        let phase = self.additions + self.bubble_hazard + self.bubble_memory + self.bubble_other;
        (phase > 0 && self.cycles > 0).then(|| self.additions as f64 / phase as f64)
    }
}

impl JobStats {
    /// Statistics of a job that ran on the CPU alone.
    pub fn cpu(wall: Duration) -> Self {
        Self { wall, card: None }
    }

    /// Card cycles, 0 when no card took part.
    pub fn cycles(&self) -> u64 {
        self.card.as_ref().map_or(0, |card| card.cycles)
    }
}

impl AddAssign<&CardStats> for CardStats {
    fn add_assign(&mut self, other: &CardStats) {
        self.commands += other.commands;
        self.cycles += other.cycles;
        self.cycles_by += &other.cycles_by;
        self.additions += other.additions;
        self.aggregation_additions += other.aggregation_additions;
        self.butterflies += other.butterflies;
        self.bubble_hazard += other.bubble_hazard;
        self.bubble_memory += other.bubble_memory;
        self.bubble_other += other.bubble_other;
        self.bytes_to_card += other.bytes_to_card;
        self.bytes_from_card += other.bytes_from_card;
        self.overlap += &other.overlap;
        self.rows += &other.rows;
    }
}

impl AddAssign<&JobStats> for JobStats {
    fn add_assign(&mut self, other: &JobStats) {
        self.wall += other.wall;
        if let Some(theirs) = &other.card {
            *self.card.get_or_insert_default() += theirs;
        }
    }
}

/// Serialises a duration as a floating-point number of seconds.
pub(crate) fn seconds<S: serde::Serializer>(wall: &Duration, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_f64(wall.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn occupancy_is_additions_over_bucket_phase() {
        let stats = CardStats {
            cycles: 120,
            additions: 90,
            bubble_hazard: 6,
            bubble_other: 4,
            ..Default::default()
        };
        assert_eq!(stats.occupancy(), Some(0.9));
        assert_eq!(CardStats::default().occupancy(), None);
    }

    #[test]
    fn a_sum_has_card_counters_when_any_part_has() {
        let mut sum = JobStats::cpu(Duration::from_millis(5));
        sum += &JobStats {
            wall: Duration::from_millis(7),
            card: Some(CardStats {
                cycles: 11,
                ..Default::default()
            }),
        };
        sum += &JobStats::cpu(Duration::from_millis(1));
        assert_eq!(sum.wall, Duration::from_millis(13));
        assert_eq!(sum.cycles(), 11);
    }
}
