//! Whether many points of G1 or G2 all lie in the subgroup of order r, at a fraction of the cost of
//! looking at each.
//!
//! A point's own check costs 128 doublings in G1, 64 in G2. Instead, sums over random subsets are checked: the
//! subgroup is closed under addition, so sums of its points lie in it; and if any point does
//! not, every sum misses that with probability at most 1/2, since whether that point takes part
//! is a fair coin. [`SUBSETS`] sums leave 2^-64, whatever the points, as the coins are tossed
//! after the points are known. The sums are formed a byte of coins at a time: a point is added
//! to the bucket that its byte names, and bit j's subset is the buckets with bit j set.
#![deny(unsafe_code)]

use group::{Curve, Group};
use rand::rngs::OsRng;
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha12Rng;
use rayon::prelude::*;

use super::check::PointImage;

/// Random subsets, one per bit of a `u64`.
const SUBSETS: u32 = u64::BITS;
/// Subsets whose sums are formed together, and the buckets for it.
const GROUP_BITS: u32 = u8::BITS;
const GROUPS: usize = (SUBSETS / GROUP_BITS) as usize;
const BUCKETS: usize = 1 << GROUP_BITS;
/// Points that one thread takes at a time.
const CHUNK: usize = 1 << 13;
/// Fewer points are looked at one by one, which is then not slower.
const FEW: usize = 512;

/// Whether every point is reduced, on the curve and in the subgroup of order r. Wrong with
/// probability at most 2^-64, and then only for points outside.
pub fn all_in_subgroup<P: PointImage>(points: &[P]) -> bool {
    let on_curve = |point: &P| point.in_range() && point.on_curve();
    if points.len() < FEW {
        let check = |point: &P| on_curve(point) && point.in_subgroup();
        return points.par_iter().all(check);
    }
    if !points.par_iter().with_min_len(CHUNK).all(on_curve) {
        return false;
    }
    let nothing = || vec![P::Curve::identity(); GROUPS * BUCKETS];
    let sums = points
        .par_chunks(CHUNK)
        .fold(nothing, |mut sums, chunk| {
            accumulate(&mut sums, chunk);
            sums
        })
        .reduce(nothing, |mut left, right| {
            left.iter_mut()
                .zip(right)
                .for_each(|(sum, more)| *sum += more);
            left
        });
    sums.par_chunks(BUCKETS).all(subsets_in_subgroup::<P>)
}

/// Adds every point to one random bucket of each group.
fn accumulate<P: PointImage>(sums: &mut [P::Curve], points: &[P]) {
    let mut seed = <ChaCha12Rng as SeedableRng>::Seed::default();
    OsRng.fill_bytes(&mut seed);
    let mut coins = ChaCha12Rng::from_seed(seed);
    for point in points {
        let bytes: [u8; GROUPS] = coins.next_u64().to_le_bytes();
        for (buckets, byte) in sums.chunks_exact_mut(BUCKETS).zip(bytes) {
            buckets[usize::from(byte)] += *point;
        }
    }
}

/// Whether the sum of the buckets with bit j set is in the subgroup, for every j.
fn subsets_in_subgroup<P: PointImage>(buckets: &[P::Curve]) -> bool {
    (0..GROUP_BITS).all(|bit| {
        let chosen = buckets
            .iter()
            .enumerate()
            .filter(|(i, _)| i >> bit & 1 == 1);
        let sum: P::Curve = chosen.map(|(_, sum)| sum).sum();
        sum.to_affine().in_subgroup()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{outside_subgroup, outside_subgroup_g2};
    use blstrs::{G1Affine, G2Affine};
    use group::prime::PrimeCurveAffine;

    fn g1(count: usize) -> Vec<G1Affine> {
        carillon_workload::g1_bases(count, 1)
    }

    fn g2(count: usize) -> Vec<G2Affine> {
        carillon_workload::g2_bases(count, 1)
    }

    fn pass<P: PointImage>(bases: impl Fn(usize) -> Vec<P>) {
        for count in [0, 1, FEW - 1, FEW, 2 * CHUNK + 1] {
            let mut points = bases(count);
            assert!(all_in_subgroup(&points), "{count}");
            // Doublings, cancellations and infinity in the buckets.
            for i in 0..count / 2 {
                points[i] = [points[0], -points[0], P::identity()][i % 3];
            }
            assert!(all_in_subgroup(&points), "{count}");
        }
    }

    #[test]
    fn points_of_the_subgroup_pass_whatever_they_are() {
        pass(g1);
        pass(g2);
    }

    fn is_found<P: PointImage>(bases: impl Fn(usize) -> Vec<P>, outside: P, off_curve: P) {
        for count in [1, FEW, CHUNK + 5] {
            let good = bases(count);
            let mut one = good.clone();
            one[count / 2] = outside;
            assert!(!all_in_subgroup(&one), "{count}");
            // Two whose sum lies in the subgroup, and nothing but outsiders.
            let mut pair = one.clone();
            pair.push(-outside);
            assert!(!all_in_subgroup(&pair), "{count}");
            assert!(!all_in_subgroup(&vec![outside; count]), "{count}");
            let mut wrong = good;
            wrong[0] = off_curve;
            assert!(!all_in_subgroup(&wrong), "{count}");
        }
    }

    #[test]
    fn a_point_outside_is_found_alone_and_where_it_cancels() {
        let outside = outside_subgroup();
        let off = G1Affine::from_raw_unchecked(outside.x(), outside.x(), false);
        is_found(g1, outside, off);
        let outside = outside_subgroup_g2();
        let off = G2Affine::from_raw_unchecked(outside.x(), outside.x(), false);
        is_found(g2, outside, off);
    }

    #[test]
    fn a_point_of_the_smallest_order_is_found() {
        // (0, 2) has order 3, the least of the cofactor's prime factors.
        let small = G1Affine::from_raw_unchecked(0u64.into(), 2u64.into(), false);
        assert!(small.on_curve() && !small.in_subgroup());
        let mut points = g1(FEW);
        points[9] = (points[9].to_curve() + small).to_affine();
        assert!(!all_in_subgroup(&points));
    }
}
