//! Radix-2 number-theoretic transform over the scalar field, on all cores.
//!
//! Decimation in frequency by recursive halves (each half fits a cache level at some depth), then
//! a bit-reversal permutation; natural order in and out. Tables of one size serve all transforms
//! of that size and are kept by the engine.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use blstrs::Scalar;
use ff::{Field, PrimeField};
use rayon::prelude::*;

use super::work;
use crate::engine::NttKind;

/// Elements below which work is not split further.
const GRAIN: usize = 1 << 11;

/// The generator of the coset, the same as bellman's and arkworks' multiplicative generator.
const COSET: u64 = 7;

/// A primitive 2^log2-th root of unity; log2 is at most 32.
pub fn root_of_unity(log2: u32) -> Scalar {
    (log2..Scalar::S).fold(Scalar::ROOT_OF_UNITY, |root, _| root.square())
}

/// Tables by size, shared between jobs.
#[derive(Debug, Default)]
pub struct Domains {
    tables: Mutex<HashMap<u32, Arc<Domain>>>,
}

impl Domains {
    /// The tables for transforms of 2^log2 elements, made at the first call.
    pub fn get(&self, log2: u32) -> Arc<Domain> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        tables
            .entry(log2)
            .or_insert_with(|| Arc::new(Domain::new(log2)))
            .clone()
    }
}

/// Twiddle factors of one size.
#[derive(Debug)]
pub struct Domain {
    log2: u32,
    /// One table per level, largest first: omega_m^i for i below m/2, m = 2^log2 down to 2.
    forward: Vec<Vec<Scalar>>,
    inverse: Vec<Vec<Scalar>>,
    size_inverse: Scalar,
}

impl Domain {
    fn new(log2: u32) -> Self {
        let omega = root_of_unity(log2);
        // omega^(2^log2) = 1, so the inverse is the last power before it.
        let inverse = omega.pow_vartime([(1u64 << log2) - 1]);
        Self {
            log2,
            forward: levels(log2, omega),
            inverse: levels(log2, inverse),
            size_inverse: Scalar::TWO_INV.pow_vartime([u64::from(log2)]),
        }
    }

    /// Transforms `values`, which must have this domain's size, in place.
    pub fn transform(&self, values: &mut [Scalar], kind: NttKind) {
        debug_assert_eq!(values.len(), 1 << self.log2);
        work::counted(work::Kind::Transform);
        let shift = self.shift(kind);
        if let Some(shift) = shift.filter(|_| !kind.is_inverse()) {
            scale_by_powers(values, Scalar::ONE, shift);
        }
        let levels = if kind.is_inverse() {
            &self.inverse
        } else {
            &self.forward
        };
        halves(values, levels);
        bit_reverse(values, self.log2);
        if kind.is_inverse() {
            let inverse = shift.and_then(|shift| Option::from(shift.invert()));
            scale_by_powers(values, self.size_inverse, inverse.unwrap_or(Scalar::ONE));
        }
    }

    /// What the domain is shifted by; never zero.
    fn shift(&self, kind: NttKind) -> Option<Scalar> {
        match kind {
            NttKind::Forward | NttKind::Inverse => None,
            NttKind::CosetForward | NttKind::CosetInverse => Some(Scalar::from(COSET)),
            NttKind::OddForward | NttKind::OddInverse => Some(root_of_unity(self.log2 + 1)),
        }
    }
}

/// Powers of the root at every level; a level is every second entry of the one before.
fn levels(log2: u32, omega: Scalar) -> Vec<Vec<Scalar>> {
    let mut first = vec![Scalar::ONE; (1 << log2) / 2];
    scale_by_powers(&mut first, Scalar::ONE, omega);
    std::iter::successors(Some(first).filter(|table| !table.is_empty()), |table| {
        let next: Vec<Scalar> = table.iter().step_by(2).copied().collect();
        (table.len() > 1).then_some(next)
    })
    .collect()
}

/// values[i] *= factor * base^i.
fn scale_by_powers(values: &mut [Scalar], factor: Scalar, base: Scalar) {
    values
        .par_chunks_mut(GRAIN)
        .enumerate()
        .for_each(|(chunk, values)| {
            let mut power = factor * base.pow_vartime([(chunk * GRAIN) as u64]);
            for value in values {
                *value *= power;
                power *= base;
            }
        });
}

fn butterfly(low: &mut Scalar, high: &mut Scalar, twiddle: &Scalar) {
    let difference = *low - *high;
    *low += *high;
    *high = difference * twiddle;
}

/// One level of butterflies, then both halves; the result is in bit-reversed order.
fn halves(values: &mut [Scalar], levels: &[Vec<Scalar>]) {
    let Some((twiddles, deeper)) = levels.split_first() else {
        return;
    };
    let (low, high) = values.split_at_mut(values.len() / 2);
    if low.len() < GRAIN {
        for ((low, high), twiddle) in low.iter_mut().zip(high.iter_mut()).zip(twiddles) {
            butterfly(low, high, twiddle);
        }
        halves(low, deeper);
        halves(high, deeper);
    } else {
        low.par_iter_mut()
            .zip(high.par_iter_mut())
            .zip(twiddles)
            .with_min_len(GRAIN)
            .for_each(|((low, high), twiddle)| butterfly(low, high, twiddle));
        rayon::join(|| halves(low, deeper), || halves(high, deeper));
    }
}

fn bit_reverse(values: &mut [Scalar], log2: u32) {
    if log2 == 0 {
        return;
    }
    for index in 0..values.len() {
        let mirror = index.reverse_bits() >> (usize::BITS - log2);
        if index < mirror {
            values.swap(index, mirror);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn random(log2: u32) -> Vec<Scalar> {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(u64::from(log2));
        (0..1 << log2).map(|_| Scalar::random(&mut rng)).collect()
    }

    /// Evaluates the polynomial at one point.
    fn horner(coefficients: &[Scalar], at: Scalar) -> Scalar {
        coefficients
            .iter()
            .rev()
            .fold(Scalar::ZERO, |sum, c| sum * at + c)
    }

    #[test]
    fn forward_evaluates_the_polynomial() {
        for log2 in 0..7 {
            let domain = Domain::new(log2);
            let omega = root_of_unity(log2);
            let coefficients = random(log2);
            for (kind, shift) in [
                (NttKind::Forward, Scalar::ONE),
                (NttKind::CosetForward, Scalar::from(COSET)),
                (NttKind::OddForward, root_of_unity(log2 + 1)),
            ] {
                let mut values = coefficients.clone();
                domain.transform(&mut values, kind);
                let mut at = shift;
                for value in &values {
                    assert_eq!(*value, horner(&coefficients, at), "2^{log2}, {kind:?}");
                    at *= omega;
                }
            }
        }
    }

    #[test]
    fn inverse_undoes_forward() {
        for log2 in [0, 1, 5, 13, 14] {
            let domain = Domain::new(log2);
            let original = random(log2);
            for (there, back) in [
                (NttKind::Forward, NttKind::Inverse),
                (NttKind::CosetForward, NttKind::CosetInverse),
                (NttKind::OddForward, NttKind::OddInverse),
            ] {
                let mut values = original.clone();
                domain.transform(&mut values, there);
                domain.transform(&mut values, back);
                assert_eq!(values, original, "2^{log2}, {back:?}");
            }
        }
    }
}
