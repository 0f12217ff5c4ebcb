//! Unit test of `ntt_butterfly` in both views: edge values, random butterflies, gaps, latency, and the
//! inverse undoing the forward.
#![cfg(feature = "rtl")]

use blstrs::Scalar;
use carillon_hdl_tests::field::Fr;
use carillon_hdl_tests::{Dut, View, pipeline};
use ff::Field;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// `ButterflyLatency` of `ntt_pkg` (`FrMulLatency` + 3).
const LATENCY: u64 = 40;

/// a, b and the twiddle, as Montgomery images.
type Operands = (Fr, Fr, Fr);

fn half(x: Fr) -> Fr {
    let two = Scalar::from(2u64).invert();
    assert!(bool::from(two.is_some()), "r is odd");
    x * Fr(two.unwrap_or(Scalar::ZERO).into())
}

fn golden(inverse: bool, (a, b, t): Operands) -> (Fr, Fr) {
    if inverse {
        (half(a + b), half(a - b) * t)
    } else {
        (a + b * t, a - b * t)
    }
}

/// The results of `items` in order, checked for latency; the two output ports are read by two runs.
fn run(
    view: View,
    inverse: bool,
    items: &[Operands],
    mut gap: impl FnMut() -> bool,
) -> Vec<(Fr, Fr)> {
    let mut dut = Dut::new("ntt_butterfly", view);
    let mut outputs = ["u_o", "v_o"].map(|port| {
        dut.set_u64("inverse_i", inverse.into());
        let mut queue = items.iter();
        let operands = std::iter::from_fn(|| {
            if gap() {
                return Some(None);
            }
            let (a, b, t) = queue.next()?;
            Some(Some(vec![a.to_port(), b.to_port(), t.to_port()]))
        });
        let results = pipeline::run(&mut dut, &["a_i", "b_i", "t_i"], port, operands);
        assert_eq!(results.len(), items.len());
        assert!(
            results.iter().all(|result| result.latency == LATENCY),
            "{view:?}"
        );
        results
            .iter()
            .map(|result| Fr::from_port(&result.value))
            .collect::<Vec<_>>()
            .into_iter()
    });
    let [u, v] = &mut outputs;
    u.zip(v).collect()
}

#[test]
fn edge_values() {
    let edges = Fr::edges();
    let mut items = Vec::new();
    for a in &edges {
        for b in &edges {
            for t in &edges[..4] {
                items.push((*a, *b, *t));
            }
        }
    }
    for view in View::BOTH {
        for inverse in [false, true] {
            for (item, result) in items.iter().zip(run(view, inverse, &items, || false)) {
                assert_eq!(
                    result,
                    golden(inverse, *item),
                    "{view:?} inverse {inverse}: {item:?}"
                );
            }
        }
    }
}

#[test]
fn random_butterflies_with_gaps_undone_by_the_inverse() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let items: Vec<Operands> = (0..500)
        .map(|_| {
            (
                Fr::random(&mut rng),
                Fr::random(&mut rng),
                Fr::random(&mut rng),
            )
        })
        .collect();
    for view in View::BOTH {
        let forward = run(view, false, &items, || rng.gen_bool(0.3));
        for (item, result) in items.iter().zip(&forward) {
            assert_eq!(*result, golden(false, *item), "{view:?}: {item:?}");
        }
        let back: Vec<Operands> = items
            .iter()
            .zip(&forward)
            .map(|((_, _, t), (u, v))| {
                let reciprocal = Scalar::from(t.0).invert().unwrap_or(Scalar::ZERO);
                (*u, *v, Fr(reciprocal.into()))
            })
            .collect();
        for ((a, b, _), result) in items.iter().zip(run(view, true, &back, || false)) {
            assert_eq!((*a, *b), result, "{view:?}");
        }
    }
}
