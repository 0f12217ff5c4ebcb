//! Many multiples of one point, for set-up: signed windows over a precomputed table, all cores.

use blstrs::Scalar;
use group::prime::PrimeCurve;
use rayon::prelude::*;

/// Bits of a canonical scalar.
const SCALAR_BITS: usize = 255;

/// Multiples of one base: `table[w * 2^(bits - 1) + d - 1] = d * 2^(w * bits) * base` for digits
/// d from 1 to 2^(bits - 1).
pub struct FixedBase<C: PrimeCurve> {
    bits: usize,
    table: Vec<C::Affine>,
}

impl<C> FixedBase<C>
where
    C: PrimeCurve<Scalar = Scalar> + Send + Sync,
    C::Affine: Send + Sync,
{
    /// Prepares a table that suits `multiples` multiplications.
    pub fn new(base: &C, multiples: usize) -> Self {
        let bits = (multiples.max(2).ilog2() as usize)
            .saturating_sub(3)
            .clamp(4, 13);
        let digits = 1usize << (bits - 1);
        let table = (0..windows(bits))
            .scan(*base, |window_base, _| {
                let this = *window_base;
                for _ in 0..bits {
                    *window_base = window_base.double();
                }
                Some(this)
            })
            .collect::<Vec<_>>()
            .into_par_iter()
            .flat_map_iter(|base| {
                let mut multiple = C::identity();
                (0..digits).map(move |_| {
                    multiple += base;
                    multiple.to_affine()
                })
            })
            .collect();
        Self { bits, table }
    }

    /// `scalars[i] * base` for all i, affine.
    pub fn multiply(&self, scalars: &[Scalar]) -> Vec<C::Affine> {
        scalars
            .par_iter()
            .map(|scalar| self.multiply_one(scalar).to_affine())
            .collect()
    }

    fn multiply_one(&self, scalar: &Scalar) -> C {
        let bytes = scalar.to_bytes_le();
        let half = 1usize << (self.bits - 1);
        let mut sum = C::identity();
        let mut carry = 0;
        for (window, table) in self.table.chunks_exact(half).enumerate() {
            // Digits lie in -half < d <= half; a larger one borrows from the next window.
            let digit = bits_at(&bytes, window * self.bits, self.bits) + carry;
            carry = usize::from(digit > half);
            let magnitude = if carry == 1 { 2 * half - digit } else { digit };
            if magnitude != 0 {
                let entry = &table[magnitude - 1];
                if carry == 1 {
                    sum -= entry;
                } else {
                    sum += entry;
                }
            }
        }
        sum
    }
}

/// Windows that cover a scalar and the carry out of its highest digit.
fn windows(bits: usize) -> usize {
    (SCALAR_BITS + 1).div_ceil(bits)
}

/// `count` bits of a little-endian number from bit `at`, zero beyond its end.
fn bits_at(bytes: &[u8; 32], at: usize, count: usize) -> usize {
    let mut word = 0usize;
    for (place, byte) in bytes.iter().skip(at / 8).take(4).enumerate() {
        word |= usize::from(*byte) << (8 * place);
    }
    (word >> (at % 8)) & ((1 << count) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use blstrs::{G1Projective, G2Projective};
    use ff::Field;
    use rand::SeedableRng;

    fn agrees<C>(multiples: usize)
    where
        C: PrimeCurve<Scalar = Scalar> + Send + Sync,
        C::Affine: Send + Sync + std::fmt::Debug,
    {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(multiples as u64);
        let base = C::random(&mut rng);
        let mut scalars = vec![Scalar::ZERO, Scalar::ONE, -Scalar::ONE, -Scalar::from(2)];
        scalars.extend((0..8).map(|_| Scalar::random(&mut rng)));
        let expected: Vec<_> = scalars.iter().map(|k| (base * k).to_affine()).collect();
        assert_eq!(
            FixedBase::new(&base, multiples).multiply(&scalars),
            expected
        );
    }

    #[test]
    fn multiples_equal_double_and_add() {
        for multiples in [1, 1 << 8, 1 << 12] {
            agrees::<G1Projective>(multiples);
        }
        agrees::<G2Projective>(1 << 9);
    }

    #[test]
    fn windows_cover_the_carry() {
        for bits in 4..=13 {
            assert!(windows(bits) * bits > SCALAR_BITS);
        }
    }
}
