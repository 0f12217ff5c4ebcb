//! The cost model of `hdl/doc/msm.md`, restated: cycles of an MSM of n uniform scalars. `tests/msm_cost.rs` holds it
//! against the RTL. The configuration's numbers are read from the gateware's packages.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::curve::MsmCurve;
use crate::msm::{Job, Msm};
use crate::recode::{Mode, shift_right};
use crate::workload::{Points, Scalars};

const CARD: &str = include_str!("../../rtl/pkg/carillon_pkg.sv");
const MSM: &str = include_str!("../../rtl/msm/msm_pkg.sv");
const COST: &str = include_str!("../../rtl/msm/msm_cost_pkg.sv");

/// The parameter `name` of a package; of several (by configuration) the last is the default. Panics if
/// there is none.
fn parameter(package: &str, name: &str) -> u64 {
    let key = format!(" {name} = ");
    let value = package.rmatch_indices(&key).find_map(|(at, _)| {
        let text = package[at + key.len()..].trim_start_matches("64'd");
        let end = text.find(|c: char| !c.is_ascii_digit())?;
        text[..end].parse().ok()
    });
    let Some(value) = value else {
        panic!("the package gives {name} no number");
    };
    value
}

/// What the model knows of the engine.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    adders: u64,
    banks: u64,
    windows: u64,
    full_buckets: u64,
    /// Places of the bucket memory that a bucket takes.
    words: u64,
    max_bits: u64,
    lanes: u64,
    chains_log2: u64,
    /// From an addition to another that needs its sum.
    link: u64,
    /// From the start of a group to its first addition.
    fill: u64,
    /// From one addition to the next.
    pace: u64,
    /// Cycles of a pair in the preparation, with whole scalars and without.
    prepare: [u64; 2],
}

impl Model {
    /// The default configuration with this number of adders, for sums in `C`.
    #[must_use]
    pub fn new<C: MsmCurve>(adders: u64) -> Self {
        let operands = parameter(MSM, "OperandLatency") - 1;
        let pace = parameter(CARD, "G2AddCycles");
        let g1 = Self {
            adders,
            banks: parameter(CARD, "MsmBanks"),
            windows: parameter(CARD, "MsmWindows"),
            full_buckets: parameter(CARD, "MsmFullBuckets"),
            words: 1,
            max_bits: parameter(CARD, "MsmMaxWindowBits"),
            lanes: parameter(CARD, "MsmLanes"),
            chains_log2: parameter(MSM, "ChainsLog2"),
            link: parameter(CARD, "G1AddLatency") + operands + 2,
            fill: parameter(COST, "Fill"),
            pace: 1,
            prepare: [1, 1],
        };
        if C::DEGREE == 1 {
            return g1;
        }
        Self {
            // Buckets of two words.
            words: 2,
            link: parameter(CARD, "G2AddLatency") + operands + pace,
            fill: parameter(COST, "G2Fill"),
            pace,
            prepare: [3, 9],
            ..g1
        }
    }

    /// Window sizes that a command can ask for and get.
    #[must_use]
    pub fn window_bits(&self) -> std::ops::RangeInclusive<u8> {
        let least = self.banks.trailing_zeros() + 1;
        least as u8..=self.max_bits as u8
    }

    /// An addition on a chain: everything waits for its sum.
    #[must_use]
    pub fn link(&self) -> u64 {
        self.link
    }

    /// Passes over the pairs.
    #[must_use]
    pub fn groups(&self, bits: u8, mode: Mode) -> u64 {
        (mode.windows(bits.into()) as u64).div_ceil(self.in_flight(bits))
    }

    /// Windows that the bucket memory holds together.
    fn in_flight(&self, bits: u8) -> u64 {
        let buckets = (self.full_buckets.div_ceil(self.adders) << (self.max_bits - 1)) / self.words;
        self.adders * (buckets >> (bits - 1)).min(self.windows / self.adders)
    }

    fn batch_log2(bits: u8) -> u64 {
        if bits >= 12 { 1 } else { 2 }
    }

    fn columns_log2(&self, bits: u8) -> u64 {
        (u64::from(bits) - 2).min(self.chains_log2 - Self::batch_log2(bits))
    }

    /// From the last row of a batch to its windows' sums.
    fn tree(&self, bits: u8) -> u64 {
        let columns = self.columns_log2(bits);
        let additions = 5 << (columns + Self::batch_log2(bits));
        (2 * columns + 3) * self.link + self.pace * additions
    }

    /// Rows of buckets of a window.
    fn all_rows(&self, bits: u8) -> u64 {
        1 << (u64::from(bits) - 1 - self.columns_log2(bits))
    }

    /// Of these, the used ones in the topmost batch of a group: the highest window may be alone there, and
    /// has few bits.
    fn top_rows(&self, bits: u8, mode: Mode, windows: u64) -> u64 {
        let count = mode.windows(bits.into()) as u64;
        let is_top = windows == (count - 1) % self.in_flight(bits) + 1;
        let batch = Self::top_batch(bits, windows.div_ceil(self.adders));
        if !is_top || batch != 1 || !(windows - 1).is_multiple_of(self.adders) {
            return self.all_rows(bits);
        }
        let highest = shift_right(&mode.bound(), usize::from(bits) * (count as usize - 1))[0];
        let used = (highest >> self.columns_log2(bits)) + 1;
        used.max(2).min(self.all_rows(bits))
    }

    /// The additions of so many rows of a batch of windows.
    fn batch_rows(&self, bits: u8, batch: u64, rows: u64) -> u64 {
        let chains = self.pace * (batch << self.columns_log2(bits));
        chains.max(self.link) + (rows - 1) * (2 * chains).max(self.link)
    }

    /// Windows of the topmost batch.
    fn top_batch(bits: u8, windows: u64) -> u64 {
        let size = 1 << Self::batch_log2(bits);
        match windows % size {
            0 => size,
            rest => rest,
        }
    }

    /// The rows of the topmost batch of a group.
    fn top_batch_rows(&self, bits: u8, mode: Mode, windows: u64) -> u64 {
        let batch = Self::top_batch(bits, windows.div_ceil(self.adders));
        self.batch_rows(bits, batch, self.top_rows(bits, mode, windows))
    }

    /// The rows of an adder's share of a group, batch after batch.
    fn rows(&self, bits: u8, mode: Mode, windows: u64) -> u64 {
        let mut cycles = self.top_batch_rows(bits, mode, windows);
        let in_unit = windows.div_ceil(self.adders);
        let mut left = in_unit - Self::top_batch(bits, in_unit);
        while left > 0 {
            let batch = Self::top_batch(bits, left);
            let rows = self.batch_rows(bits, batch, self.all_rows(bits));
            cycles += rows.max(self.tree(bits));
            left -= batch;
        }
        cycles
    }

    /// The bucket phase of `windows` windows of all adders.
    fn points(&self, bits: u8, count: u64, mode: Mode, windows: u64) -> u64 {
        let (digits, buckets) = (mode.parts() as u64 * count, 1 << (bits - 1));
        // What is first in its bucket waits without an addition.
        let first = digits * buckets / (digits + buckets);
        let additions = self.pace * windows.div_ceil(self.adders) * (digits - first);
        let prepare = self.prepare[usize::from(mode != Mode::Full)] * count;
        self.fill + additions.max(prepare).max(2 * count / self.lanes)
    }

    fn group(&self, bits: u8, count: u64, mode: Mode, windows: u64) -> u64 {
        self.points(bits, count, mode, windows) + self.rows(bits, mode, windows)
    }

    /// From a group's start to its first windows' sums.
    fn first(&self, bits: u8, count: u64, mode: Mode, windows: u64) -> u64 {
        self.points(bits, count, mode, windows)
            + self.top_batch_rows(bits, mode, windows)
            + self.tree(bits)
    }

    /// The combination of the lowest `windows` windows, at most `most` of an adder.
    fn chain(&self, bits: u8, windows: u64, most: u64) -> u64 {
        let bits = u64::from(bits);
        let of_unit = |unit: u64| {
            let windows = (windows - unit).div_ceil(self.adders).min(most);
            (windows - 1) * (bits * self.adders + 1) + bits * unit
        };
        let units = self.adders.min(windows);
        ((0..units).map(of_unit).max().unwrap_or(0) + 1) * self.link
    }

    /// Cycles from start to end.
    #[must_use]
    pub fn cycles(&self, bits: u8, count: u64, mode: Mode) -> u64 {
        let windows = mode.windows(bits.into()) as u64;
        let size = self.in_flight(bits);
        let groups = self.groups(bits, mode);
        let top = windows - (groups - 1) * size;
        let group = |windows| self.group(bits, count, mode, windows);
        let first = |windows| self.first(bits, count, mode, windows);
        let last_batch = self.chain(bits, windows, 1 << Self::batch_log2(bits));
        let mut cycles = group(top) + (groups - 1) * group(size) + self.tree(bits) + last_batch;
        cycles = cycles.max(first(top) + self.chain(bits, windows, windows));
        if groups > 1 {
            let before = group(top) + (groups - 2) * group(size);
            cycles = cycles.max(before + first(size) + self.chain(bits, size, size));
        }
        cycles + (self.adders - 1) * self.link
    }
}

/// The card's choice beside the other window sizes.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Cycles when the card chooses.
    pub chosen: u64,
    /// Cycles of the best window size, and which.
    pub best: u64,
    /// Its bits.
    pub best_bits: u8,
    /// The largest error of the model, as a share of the RTL's cycles, over the sizes near the best.
    pub worst_error: f64,
    /// Bits, cycles of the RTL, cycles of the model.
    pub sizes: Vec<(u8, u64, u64)>,
}

/// Runs `count` uniform scalars with every window size whose cost the model puts near the least, and with
/// the card's choice.
#[must_use]
pub fn compare<C: MsmCurve>(adders: usize, count: usize) -> Comparison {
    /// Sizes that cost more than this, relative to the least, are not run.
    const NEAR: f64 = 1.6;

    let model = Model::new::<C>(adders as u64);
    let mut msm = Msm::<C>::of_curve(adders, count);
    let mut rng = ChaCha8Rng::seed_from_u64(count as u64);
    let kinds = (Points::Distinct, Scalars::Uniform);
    let mode = C::MODES[0];
    let mut job = Job::<C>::draw(&mut rng, count, kinds, 0, mode);
    msm.warm_up();
    let chosen = msm.run(&job).cycles;
    let predict = |bits| model.cycles(bits, count as u64, mode);
    let least = model.window_bits().map(predict).min().unwrap_or(0) as f64;
    let mut sizes = Vec::new();
    for bits in model.window_bits() {
        if predict(bits) as f64 <= NEAR * least {
            job.window_bits = bits;
            sizes.push((bits, msm.run(&job).cycles, predict(bits)));
        }
    }
    let (best_bits, best) = sizes
        .iter()
        .map(|(bits, cycles, _)| (*bits, *cycles))
        .min_by_key(|(_, cycles)| *cycles)
        .unwrap_or((0, u64::MAX));
    let error = |(_, cycles, model): &(u8, u64, u64)| (*model as f64 / *cycles as f64 - 1.0).abs();
    Comparison {
        chosen,
        best,
        best_bits,
        worst_error: sizes.iter().map(error).fold(0.0, f64::max),
        sizes,
    }
}
