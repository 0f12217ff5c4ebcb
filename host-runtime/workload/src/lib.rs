//! Deterministic inputs for benchmarks, checks of cards and tests: scalars of several distributions,
//! bases, a circuit of any power-of-two size, and [`vectors`] with results that no card computed.
//! Same seed, same input.
//!
//! May use the driver (modes and windows of an MSM) and `carillon-sim` (digits). Used by the checks of
//! `carillon-operator`, by `carillon bench` and by tests; not by provers.

mod chain;
mod scalars;
pub mod vectors;

use blstrs::{G1Affine, G1Projective, G2Affine, G2Projective};
use group::prime::PrimeCurve;
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use rayon::prelude::*;

pub use chain::SquareChain;
pub use scalars::{Distribution, scalars, scalars_against};

/// `count` distinct points of the subgroup: an arithmetic progression with random start and step.
fn progression<C: PrimeCurve>(count: usize, seed: u64) -> Vec<C::Affine>
where
    C::Affine: Send,
{
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    let (start, step) = (C::random(&mut rng), C::random(&mut rng));
    let sums: Vec<C> = std::iter::successors(Some(start), |sum| Some(*sum + step))
        .take(count)
        .collect();
    sums.par_iter().map(C::to_affine).collect()
}

/// `count` distinct G1 points.
pub fn g1_bases(count: usize, seed: u64) -> Vec<G1Affine> {
    progression::<G1Projective>(count, seed)
}

/// `count` distinct G2 points.
pub fn g2_bases(count: usize, seed: u64) -> Vec<G2Affine> {
    progression::<G2Projective>(count, seed)
}
