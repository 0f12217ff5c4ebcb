//! Where the rings of a card's queues lie, learnt from its registers.
//!
//! Tells commands and completions from transfers, so that a fault hits the one
//! that it names. Pure; fed by `injector.rs` with every register write.

use carillon_driver::command::COMMAND_BYTES;
use carillon_driver::completion::COMPLETION_BYTES;
use carillon_driver::registers as reg;

/// Queues that a card of this contract can have at most.
const QUEUES: usize = 8;

#[derive(Clone, Copy, Debug, Default)]
struct Pair {
    submissions: u64,
    completions: u64,
    log2_depth: u32,
}

impl Pair {
    fn entry(base: u64, log2_depth: u32, size: usize, address: u64) -> Option<u64> {
        let entry = address.checked_sub(base)? / size as u64;
        (base != 0 && entry < 1 << log2_depth).then_some(entry)
    }
}

/// The rings as the host has programmed them.
#[derive(Debug, Default)]
pub(super) struct Rings {
    pairs: [Pair; QUEUES],
}

impl Rings {
    /// Takes note of a register write.
    pub fn written(&mut self, offset: u32, value: u32) {
        let Some(at) = offset.checked_sub(reg::queue_sq_base_lo::FIRST) else {
            return;
        };
        let number = (at / reg::queue_sq_base_lo::STRIDE) as usize;
        let Some(pair) = self.pairs.get_mut(number) else {
            return;
        };
        let low = |base: &mut u64| *base = *base & !0xffff_ffff | u64::from(value);
        let high = |base: &mut u64| *base = *base & 0xffff_ffff | u64::from(value) << 32;
        match at % reg::queue_sq_base_lo::STRIDE + reg::queue_sq_base_lo::FIRST {
            reg::queue_sq_base_lo::FIRST => low(&mut pair.submissions),
            reg::queue_sq_base_hi::FIRST => high(&mut pair.submissions),
            reg::queue_cq_base_lo::FIRST => low(&mut pair.completions),
            reg::queue_cq_base_hi::FIRST => high(&mut pair.completions),
            reg::queue_log2_depth::FIRST => {
                pair.log2_depth = reg::queue_log2_depth::LOG2_DEPTH.get(value).min(16);
            }
            _ => {}
        }
    }

    fn find(&self, holds: impl Fn(&Pair) -> bool) -> Option<u16> {
        self.pairs.iter().position(holds).map(|q| q as u16)
    }

    /// The queue whose command lies at `address`.
    pub fn command(&self, address: u64) -> Option<u16> {
        self.find(|p| Pair::entry(p.submissions, p.log2_depth, COMMAND_BYTES, address).is_some())
    }

    /// The queue whose completion lies at `address`.
    pub fn completion(&self, address: u64) -> Option<u16> {
        self.find(|p| Pair::entry(p.completions, p.log2_depth, COMPLETION_BYTES, address).is_some())
    }

    /// The completion entry after the one at `address`, and whether the phase
    /// flips between the two.
    pub fn after(&self, address: u64) -> Option<(u64, bool)> {
        let pair = self.pairs[usize::from(self.completion(address)?)];
        let last = pair.completions + (COMPLETION_BYTES as u64) * ((1 << pair.log2_depth) - 1);
        Some(if address >= last {
            (pair.completions, true)
        } else {
            (address + COMPLETION_BYTES as u64, false)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_are_found_by_address() {
        let mut rings = Rings::default();
        assert_eq!((rings.command(0), rings.completion(0)), (None, None));
        rings.written(reg::queue_sq_base_lo::offset(1), 0x1000);
        rings.written(reg::queue_sq_base_hi::offset(1), 0x2);
        rings.written(reg::queue_cq_base_lo::offset(1), 0x8000);
        rings.written(reg::queue_log2_depth::offset(1), 2);
        let base = 0x2_0000_1000;
        assert_eq!(rings.command(base - 1), None);
        assert_eq!(rings.command(base), Some(1));
        assert_eq!(rings.command(base + 255), Some(1));
        assert_eq!(rings.command(base + 256), None);
        assert_eq!(rings.completion(0x8000 + 127), Some(1));
        assert_eq!(rings.completion(0x8000 + 128), None);
        assert_eq!(rings.after(0x8020), Some((0x8040, false)));
        assert_eq!(rings.after(0x8060), Some((0x8000, true)));
    }
}
