//! Completions: 32 bytes in a completion ring (contract, "Completion").
//!
//! Pure codec. The driver reads the last word first and the rest only when its
//! phase is right (ring rule 2), so the codec works on the four words.

use bytemuck::{Pod, Zeroable};

use crate::status::Status;

/// Bytes of a completion entry.
pub const COMPLETION_BYTES: usize = size_of::<RawCompletion>();
/// Offset of the word that holds the phase bit.
pub const PHASE_WORD: usize = 24;
/// The phase bit in that word (bit 0 of the status).
pub const PHASE_BIT: u64 = 1 << 48;

/// What the card reports of a command that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// Cycles from start to end of execution, saturating. The functional model
    /// does not simulate time and reports 0.
    pub cycles: u32,
    /// Bucket additions, butterflies, elements or beats, by command.
    pub ops: u32,
    /// Adder-cycles of the bucket phase in which no addition of any kind started
    /// although points were there: each went into an empty bucket.
    pub bubble_hazard: u32,
    /// The same because no point had arrived from memory.
    pub bubble_memory: u32,
    /// All others of these adder-cycles.
    pub bubble_other: u32,
    /// Additions outside the bucket phase; index of the faulty element; or
    /// whether `ABORT` found its command.
    pub detail: u32,
    /// Index of the next command the card will fetch.
    pub sq_head: u16,
    /// Queue number.
    pub queue: u16,
    /// Command id.
    pub cid: u16,
    /// How it ended.
    pub status: Status,
}

impl Completion {
    /// Bucket additions over those and the bubbles, 0 to 1; `None` where no cycles
    /// were counted.
    pub fn occupancy(&self) -> Option<f64> {
        let bubbles = [self.bubble_hazard, self.bubble_memory, self.bubble_other];
        let total: f64 = bubbles.into_iter().map(f64::from).sum::<f64>() + f64::from(self.ops);
        (self.cycles != 0 && total > 0.0).then(|| f64::from(self.ops) / total)
    }

    /// The entry with the given phase.
    fn to_raw(self, phase: bool) -> RawCompletion {
        RawCompletion {
            cycles: self.cycles,
            ops: self.ops,
            bubble_hazard: self.bubble_hazard,
            bubble_memory: self.bubble_memory,
            bubble_other: self.bubble_other,
            detail: self.detail,
            sq_head: self.sq_head,
            queue: self.queue,
            cid: self.cid,
            status: self.status.encode(phase),
        }
    }

    /// The four words, with the given phase.
    pub fn to_words(&self, phase: bool) -> [u64; 4] {
        bytemuck::cast(self.to_raw(phase))
    }

    /// Completion and phase of four words; `None` when reserved status bits
    /// are set.
    pub fn from_words(words: [u64; 4]) -> Option<(Self, bool)> {
        let raw: RawCompletion = bytemuck::cast(words);
        let (status, phase) = Status::decode(raw.status)?;
        let completion = Self {
            cycles: raw.cycles,
            ops: raw.ops,
            bubble_hazard: raw.bubble_hazard,
            bubble_memory: raw.bubble_memory,
            bubble_other: raw.bubble_other,
            detail: raw.detail,
            sq_head: raw.sq_head,
            queue: raw.queue,
            cid: raw.cid,
            status,
        };
        Some((completion, phase))
    }

    /// The 32 bytes, with the given phase.
    pub fn to_bytes(&self, phase: bool) -> [u8; COMPLETION_BYTES] {
        bytemuck::cast(self.to_raw(phase))
    }
}

/// A completion as it lies in the ring; every bit pattern is one.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(8))]
struct RawCompletion {
    cycles: u32,
    ops: u32,
    bubble_hazard: u32,
    bubble_memory: u32,
    bubble_other: u32,
    detail: u32,
    sq_head: u16,
    queue: u16,
    cid: u16,
    status: u16,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::StatusCode;
    use proptest::prelude::*;

    #[test]
    fn the_layout_is_that_of_the_contract() {
        let completion = Completion {
            cycles: 0x0101,
            ops: 0x0202,
            bubble_hazard: 3,
            bubble_memory: 4,
            bubble_other: 5,
            detail: 6,
            sq_head: 0x0a0b,
            queue: 2,
            cid: 0xc1d0,
            status: StatusCode::HostRead.into(),
        };
        let bytes = completion.to_bytes(true);
        assert_eq!(bytes[0..8], [1, 1, 0, 0, 2, 2, 0, 0]);
        assert_eq!([bytes[8], bytes[12], bytes[16], bytes[20]], [3, 4, 5, 6]);
        assert_eq!(bytes[24..32], [0x0b, 0x0a, 2, 0, 0xd0, 0xc1, 0x17, 0x80]);
        assert_eq!(completion.to_words(true)[3] & PHASE_BIT, PHASE_BIT);
        assert_eq!(completion.to_words(false)[3] & PHASE_BIT, 0);
    }

    #[test]
    fn occupancy_counts_every_cycle_of_the_bucket_phase() {
        let mut c = Completion::from_words([0; 4]).unwrap().0;
        assert_eq!(c.occupancy(), None);
        (c.cycles, c.ops, c.bubble_hazard, c.bubble_other) = (900, 300, 50, 50);
        assert_eq!(c.occupancy(), Some(0.75));
    }

    proptest! {
        #[test]
        fn words_survive_the_trip(mut words: [u64; 4]) {
            words[3] &= !(0x7000 << 48);
            let decoded = Completion::from_words(words);
            prop_assert!(decoded.is_some());
            if let Some((completion, phase)) = decoded {
                prop_assert_eq!(completion.to_words(phase), words);
            }
        }
    }
}
