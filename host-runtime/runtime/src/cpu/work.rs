//! How much heavy work this process has done on the CPU.
//!
//! A card engine is to compute on its card; these counters show what it, or anything else in this
//! process, computed here instead. Counted where the work is done (`msm`, `ntt`, quotients), so no
//! caller can pass them by. Not counted are set-up, verification, blinding and the look at the bases
//! of a key from a file, none of which is a sum or a transform of a proof. Counters only grow.

use std::sync::atomic::{AtomicU64, Ordering};

static SUMS: AtomicU64 = AtomicU64::new(0);
static TRANSFORMS: AtomicU64 = AtomicU64::new(0);
static QUOTIENTS: AtomicU64 = AtomicU64::new(0);

/// A kind of work.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Sum,
    Transform,
    Quotient,
}

/// What was computed on the CPU since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuWork {
    /// Multi-scalar multiplications in either group; a long one counts once per step.
    pub sums: u64,
    /// Number-theoretic transforms.
    pub transforms: u64,
    /// Pointwise products and quotients.
    pub quotients: u64,
}

/// What was computed on the CPU since the process began, by all its threads.
pub fn work() -> CpuWork {
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    CpuWork {
        sums: read(&SUMS),
        transforms: read(&TRANSFORMS),
        quotients: read(&QUOTIENTS),
    }
}

/// One more of them begins.
pub(super) fn counted(kind: Kind) {
    let counter = match kind {
        Kind::Sum => &SUMS,
        Kind::Transform => &TRANSFORMS,
        Kind::Quotient => &QUOTIENTS,
    };
    counter.fetch_add(1, Ordering::Relaxed);
}
