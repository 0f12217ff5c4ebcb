//! Unit test of `point_add`: every kind of sum against blstrs, and both views against each other in every
//! coordinate and in every cycle.
#![cfg(feature = "rtl")]

use blstrs::{G1Affine, G1Projective, G2Affine, G2Projective, Scalar};
use carillon_hdl_tests::pipeline::Output;
use carillon_hdl_tests::point::Point;
use carillon_hdl_tests::twist::TwistPoint;
use carillon_hdl_tests::{Dut, View, pipeline};
use ff::Field;
use group::prime::PrimeCurveAffine;
use group::{Curve, Group};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// `G1AddLatency` of `carillon_pkg`.
const LATENCY: u64 = 101;
/// `G2AddLatency`.
const G2_LATENCY: u64 = 130;

/// Runs the pairs through one view; `None` is a cycle without work.
fn run(view: View, pairs: &[Option<(Point, Point)>]) -> Vec<Output> {
    let mut dut = Dut::new("point_add", view);
    let items = pairs
        .iter()
        .map(|pair| pair.map(|(a, b)| vec![a.to_port(), b.to_port()]));
    pipeline::run(&mut dut, &["a_i", "b_i"], "s_o", items)
}

/// Both views must give the same coordinates in the same cycle, and the sum that blstrs gives.
fn check(pairs: &[Option<(Point, Point)>]) {
    let fast = run(View::Fast, pairs);
    let structural = run(View::Structural, pairs);
    let work: Vec<_> = pairs.iter().flatten().collect();
    assert_eq!(fast.len(), work.len());
    assert_eq!(structural.len(), work.len());
    for (((a, b), fast), structural) in work.iter().zip(&fast).zip(&structural) {
        assert_eq!(fast, structural, "{a:?} + {b:?}");
        assert_eq!(fast.latency, LATENCY);
        let sum = Point::from_port(&fast.value);
        assert_eq!(sum.to_affine(), a.golden_sum(*b), "{a:?} + {b:?}");
    }
}

fn random_point(rng: &mut ChaCha8Rng) -> G1Affine {
    G1Projective::random(rng).to_affine()
}

/// P + Q, P + P, P - P and infinity on either or both sides, in affine form and with random factors
/// in either operand.
#[test]
fn every_kind_of_sum() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let infinity = Point::from_affine(&G1Affine::identity());
    let mut pairs = Vec::new();
    for round in 0..8 {
        let p = if round == 0 {
            G1Affine::generator()
        } else {
            random_point(&mut rng)
        };
        let p_point = Point::from_affine(&p);
        let minus_p = Point::from_affine(&-p);
        let q = Point::from_affine(&random_point(&mut rng));
        for (a, b) in [
            (p_point, q),
            (p_point, p_point),
            (p_point, minus_p),
            (p_point, infinity),
            (infinity, p_point),
            (infinity, infinity),
        ] {
            pairs.push(Some((a, b)));
            pairs.push(Some((a.scaled(&mut rng), b)));
            pairs.push(Some((a, b.scaled(&mut rng))));
            pairs.push(Some((a.scaled(&mut rng), b.scaled(&mut rng))));
        }
    }
    check(&pairs);
}

/// Points of order 3 and others outside the subgroup of order r: the formula is complete on the
/// subgroup, and the card promises a defined end for any point of the curve. (0, 2) has order 3.
#[test]
fn small_order_points_agree_between_views() {
    let two = two();
    let zero = carillon_hdl_tests::field::Fp::from_image([0; 6]);
    let one = Point::from_affine(&G1Affine::generator()).z;
    let p = Point {
        x: zero,
        y: two,
        z: one,
    };
    let minus_p = Point {
        x: zero,
        y: zero - two,
        z: one,
    };
    let generator = Point::from_affine(&G1Affine::generator());
    let mut pairs = Vec::new();
    for a in [p, minus_p, generator] {
        for b in [p, minus_p, generator] {
            pairs.push(Some((a, b)));
        }
    }
    assert_eq!(run(View::Fast, &pairs), run(View::Structural, &pairs));
}

fn two() -> carillon_hdl_tests::field::Fp {
    let one = Point::from_affine(&G1Affine::generator()).z;
    one + one
}

/// Sums that go back in as operands, as in the MSM engine: 32 chains, each adding affine points with
/// random signs and repetitions, with idle cycles between.
#[test]
fn chains() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    const CHAINS: usize = 64;
    const STEPS: usize = 12;
    let bases: Vec<_> = (0..6).map(|_| random_point(&mut rng)).collect();
    let mut golden = [G1Projective::identity(); CHAINS];
    let mut sums = [Point::from_affine(&G1Affine::identity()); CHAINS];
    for _ in 0..STEPS {
        let mut pairs = Vec::new();
        for (sum, golden) in sums.iter().zip(&mut golden) {
            let base = bases[rng.gen_range(0..bases.len())];
            let base = if rng.r#gen() { base } else { -base };
            *golden += base;
            if rng.gen_bool(0.2) {
                pairs.push(None);
            }
            pairs.push(Some((*sum, Point::from_affine(&base))));
        }
        let fast = run(View::Fast, &pairs);
        assert_eq!(fast, run(View::Structural, &pairs));
        for ((sum, golden), output) in sums.iter_mut().zip(&golden).zip(&fast) {
            assert_eq!(output.latency, LATENCY);
            *sum = Point::from_port(&output.value);
            assert_eq!(sum.to_affine(), golden.to_affine());
        }
    }
}

/// A few thousand random sums back to back.
#[test]
fn random_sums() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    // Multiples of a random point by small steps: cheap to make, and unrelated coordinates.
    let step = G1Projective::generator() * Scalar::random(&mut rng);
    let mut walk = G1Projective::random(&mut rng);
    let pairs: Vec<_> = (0..2000)
        .map(|_| {
            let a = walk.to_affine();
            walk += step;
            let b = walk.to_affine();
            walk += step;
            Some((
                Point::from_affine(&a).scaled(&mut rng),
                Point::from_affine(&b),
            ))
        })
        .collect();
    check(&pairs);
}

/// Runs the pairs of points of G2 through one view, one in three cycles, with `None` for idle cycles between.
fn run_g2(view: View, pairs: &[Option<(TwistPoint, TwistPoint)>]) -> Vec<TwistPoint> {
    let mut dut = Dut::new("point_add", view);
    dut.set_u64("g2_i", 1);
    let items = pairs.iter().flat_map(|pair| {
        let words = |(a, b): &(TwistPoint, TwistPoint)| {
            let word =
                |index: usize| Some(vec![a.words[index].to_port(), b.words[index].to_port()]);
            vec![word(0), word(1), None]
        };
        pair.as_ref().map_or(vec![None], words)
    });
    let outputs = pipeline::run(&mut dut, &["a_i", "b_i"], "s_o", items);
    assert!(outputs.iter().all(|word| word.latency == G2_LATENCY));
    let sums = outputs.chunks_exact(2).map(|words| TwistPoint {
        words: [
            Point::from_port(&words[0].value),
            Point::from_port(&words[1].value),
        ],
    });
    sums.collect()
}

/// Both views must give the same coordinates, and the sum that blstrs gives.
fn check_g2(pairs: &[Option<(TwistPoint, TwistPoint)>]) {
    let fast = run_g2(View::Fast, pairs);
    let structural = run_g2(View::Structural, pairs);
    let work: Vec<_> = pairs.iter().flatten().collect();
    assert_eq!((fast.len(), structural.len()), (work.len(), work.len()));
    for (((a, b), fast), structural) in work.iter().zip(&fast).zip(&structural) {
        assert_eq!(fast, structural, "{a:?} + {b:?}");
        assert_eq!(fast.to_affine(), a.golden_sum(*b), "{a:?} + {b:?}");
    }
}

#[test]
fn every_kind_of_sum_in_g2() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let infinity = TwistPoint::from_affine(&G2Affine::identity());
    let mut pairs = Vec::new();
    for round in 0..6 {
        let p = if round == 0 {
            G2Affine::generator()
        } else {
            G2Projective::random(&mut rng).to_affine()
        };
        let p_point = TwistPoint::from_affine(&p);
        let minus_p = TwistPoint::from_affine(&-p);
        let q = TwistPoint::from_affine(&G2Projective::random(&mut rng).to_affine());
        for (a, b) in [
            (p_point, q),
            (p_point, p_point),
            (p_point, minus_p),
            (p_point, infinity),
            (infinity, p_point),
            (infinity, infinity),
        ] {
            pairs.push(Some((a, b)));
            pairs.push(Some((a.scaled(&mut rng), b)));
            pairs.push(Some((a.scaled(&mut rng), b.scaled(&mut rng))));
            if rng.gen_bool(0.3) {
                pairs.resize(pairs.len() + rng.gen_range(1..5), None);
            }
        }
    }
    check_g2(&pairs);
}

/// The operations that a bucket sees: a few thousand sums back to back, and sums that go back in.
#[test]
fn random_sums_in_g2() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let step = G2Projective::generator() * Scalar::random(&mut rng);
    let mut walk = G2Projective::random(&mut rng);
    let mut next = || {
        walk += step;
        TwistPoint::from_affine(&walk.to_affine())
    };
    let pairs: Vec<_> = (0..800)
        .map(|_| Some((next().scaled(&mut rng), next())))
        .collect();
    check_g2(&pairs);
    let sums = run_g2(View::Fast, &pairs);
    let again: Vec<_> = sums
        .chunks_exact(2)
        .map(|pair| Some((pair[0], pair[1])))
        .collect();
    check_g2(&again);
}
