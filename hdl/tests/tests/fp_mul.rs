//! Unit test of `fp_mul` in all three views: edge values, random products, gaps, latency.
#![cfg(feature = "rtl")]

use carillon_hdl_tests::field::Fp;
use carillon_hdl_tests::{Dut, View, pipeline};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// `FpMulLatency` of `carillon_pkg`.
const LATENCY: u64 = 37;

fn check(view: View, pairs: &[(Fp, Fp)], mut gap: impl FnMut() -> bool) {
    let mut dut = Dut::new("fp_mul_top", view);
    let mut queue = pairs.iter();
    let items = std::iter::from_fn(|| {
        if gap() {
            return Some(None);
        }
        let (a, b) = queue.next()?;
        Some(Some(vec![a.to_port(), b.to_port()]))
    });
    let products = pipeline::run(&mut dut, &["a_i", "b_i"], "p_o", items);
    assert_eq!(products.len(), pairs.len());
    for ((a, b), product) in pairs.iter().zip(&products) {
        assert_eq!(product.latency, LATENCY, "{view:?}");
        assert_eq!(
            Fp::from_port(&product.value),
            *a * *b,
            "{view:?}: {a:?} * {b:?}"
        );
    }
}

#[test]
fn edge_values() {
    let edges = Fp::edges();
    let pairs: Vec<_> = edges
        .iter()
        .flat_map(|a| edges.iter().map(|b| (*a, *b)))
        .collect();
    for view in View::ALL {
        check(view, &pairs, || false);
    }
}

#[test]
fn random_products_back_to_back_and_with_gaps() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let pairs: Vec<_> = (0..4000)
        .map(|_| (Fp::random(&mut rng), Fp::random(&mut rng)))
        .collect();
    for view in View::ALL {
        check(view, &pairs, || false);
        check(view, &pairs, || rng.gen_bool(0.3));
    }
}
