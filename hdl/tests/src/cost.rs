//! The cost model of `hdl/doc/msm.md`, restated: cycles of an MSM of n uniform scalars. `tests/msm_cost.rs` holds it
//! against the RTL. The configuration's numbers are read from the gateware's packages.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::msm::{Job, Msm};
use crate::recode::Mode;
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
    max_bits: u64,
    lanes: u64,
    chains_log2: u64,
    /// From an addition to another that needs its sum.
    link: u64,
    /// From the start of a group to its first addition.
    fill: u64,
}

impl Model {
    /// The default configuration with this number of adders.
    #[must_use]
    pub fn new(adders: u64) -> Self {
        let loop_latency = parameter(CARD, "G1AddLatency") + parameter(MSM, "OperandLatency") - 1;
        Self {
            adders,
            banks: parameter(CARD, "MsmBanks"),
            windows: parameter(CARD, "MsmWindows"),
            full_buckets: parameter(CARD, "MsmFullBuckets"),
            max_bits: parameter(CARD, "MsmMaxWindowBits"),
            lanes: parameter(CARD, "MsmLanes"),
            chains_log2: parameter(MSM, "ChainsLog2"),
            link: loop_latency + 2,
            fill: parameter(COST, "Fill"),
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
        let buckets = self.full_buckets.div_ceil(self.adders) << (self.max_bits - 1);
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
        (2 * columns + 3) * self.link + (5 << (columns + Self::batch_log2(bits)))
    }

    /// The rows of buckets of `windows` windows of one adder, batch after batch.
    fn rows(&self, bits: u8, windows: u64) -> u64 {
        let columns = self.columns_log2(bits);
        let rows = 1 << (u64::from(bits) - 1 - columns);
        let batch_size = 1 << Self::batch_log2(bits);
        let mut cycles = 0;
        let mut left = windows;
        while left > 0 {
            let rest = left % batch_size;
            let batch = if rest == 0 { batch_size } else { rest };
            let chains = batch << columns;
            let additions = chains.max(self.link) + (rows - 1) * (2 * chains).max(self.link);
            let before = if left == windows { 0 } else { self.tree(bits) };
            cycles += additions.max(before);
            left -= batch;
        }
        cycles
    }

    /// A pass over the pairs for `windows` windows, and their buckets.
    fn group(&self, bits: u8, count: u64, mode: Mode, windows: u64) -> u64 {
        let in_unit = windows.div_ceil(self.adders);
        let additions = mode.parts() as u64 * count * in_unit;
        self.fill + additions.max(2 * count / self.lanes) + self.rows(bits, in_unit)
    }

    /// Cycles from start to end.
    #[must_use]
    pub fn cycles(&self, bits: u8, count: u64, mode: Mode) -> u64 {
        let windows = mode.windows(bits.into()) as u64;
        let size = self.in_flight(bits);
        let groups = self.groups(bits, mode);
        let top = windows - (groups - 1) * size;
        let work =
            self.group(bits, count, mode, top) + (groups - 1) * self.group(bits, count, mode, size);
        let window = (u64::from(bits) * self.adders + 1) * self.link;
        let chain = windows / self.adders * window;
        let totals = (self.adders - 1) * (u64::from(bits) + 1) * self.link;
        work.max(chain) + self.tree(bits) + (window << Self::batch_log2(bits)) + totals
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
pub fn compare(adders: usize, count: usize) -> Comparison {
    /// Sizes that cost more than this, relative to the least, are not run.
    const NEAR: f64 = 1.6;

    let model = Model::new(adders as u64);
    let mut msm = Msm::with_adders(adders, count);
    let mut rng = ChaCha8Rng::seed_from_u64(count as u64);
    let kinds = (Points::Distinct, Scalars::Uniform);
    let mut job = Job::draw(&mut rng, count, kinds, 0, Mode::Glv);
    msm.warm_up();
    let chosen = msm.run(&job).cycles;
    let predict = |bits| model.cycles(bits, count as u64, Mode::Glv);
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
