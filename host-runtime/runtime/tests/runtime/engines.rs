//! All engines give identical bytes for identical input and refuse the same wrong inputs.
//!
//! Every engine of the build is compared with the CPU engine, which `src/cpu` compares with
//! double-and-add and Horner's rule. With the feature `rtl` that includes the gateware.

use std::sync::Arc;

use blstrs::{G1Affine, Scalar};
use carillon_runtime::cpu::CpuEngine;
use carillon_runtime::engine::{self, Bases, MsmOptions, NttKind};
use carillon_runtime::groth16::{HBasis, prove, setup_in, synthesize, verify};
use carillon_runtime::image::ImageError;
use carillon_runtime::progress::{Phase, ProgressEvent};
use carillon_runtime::{Engine, EngineError, EngineKind};
use carillon_workload::vectors::{self, BasePattern, ScalarPattern};
use carillon_workload::{Distribution, SquareChain};
use ff::Field;
use group::Curve;
use group::prime::PrimeCurveAffine;

use super::common::{arkworks_accepts, bellman_accepts, rng};

/// The card engines of this build that are fast enough for all sizes.
async fn cards() -> Vec<Arc<dyn Engine>> {
    let mut cards = Vec::new();
    for kind in [EngineKind::SimModel, EngineKind::SimRtl] {
        if kind.is_built() {
            cards.push(engine::open(kind).await.unwrap());
        }
    }
    cards
}

/// 2^k - 1, 2^k and 2^k + 1 for k from 1 to 10, each once.
fn sizes() -> Vec<usize> {
    let mut sizes: Vec<usize> = (1..=10)
        .flat_map(|k| [(1 << k) - 1, 1 << k, (1 << k) + 1])
        .collect();
    sizes.dedup();
    sizes
}

/// Scalars 0, 1, r - 1, all equal, and random.
fn scalar_kinds(size: usize) -> Vec<Vec<Scalar>> {
    let random = carillon_workload::scalars(size, Distribution::Uniform, size as u64);
    vec![
        vec![Scalar::ZERO; size],
        vec![Scalar::ONE; size],
        vec![-Scalar::ONE; size],
        vec![random[0]; size],
        carillon_workload::scalars(size, Distribution::Witness, 7),
        random,
    ]
}

/// Distinct points, then ones with infinity, repetitions and negations among them.
fn base_kinds(size: usize) -> Vec<Vec<G1Affine>> {
    let distinct = carillon_workload::g1_bases(size, 3);
    let mixed = (0..size)
        .map(|i| match i % 5 {
            0 => G1Affine::identity(),
            1 => distinct[0],
            2 => -distinct[0],
            3 => -distinct[i],
            _ => distinct[i],
        })
        .collect();
    vec![mixed, vec![distinct[0]; size], distinct]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn msm_results_are_identical() {
    let cpu = CpuEngine::new();
    for card in cards().await {
        for (i, size) in sizes().into_iter().enumerate() {
            // Every combination while it is cheap, then every third, another third at each size.
            let (bases, scalars) = (base_kinds(size), scalar_kinds(size));
            for (b, bases) in bases.iter().enumerate() {
                for (s, scalars) in scalars.iter().enumerate() {
                    if size > 9 && (b + s + i) % 3 != 0 {
                        continue;
                    }
                    let (expected, _) = cpu.msm_g1(bases, scalars).await.unwrap();
                    for known in [Bases::checked(bases), Bases::unknown(bases)] {
                        if size > 9 && known.in_subgroup() != ((b + s) % 2 == 0) {
                            continue;
                        }
                        let options = MsmOptions::default();
                        let (found, stats) =
                            card.msm_g1_with(known, scalars, options).await.unwrap();
                        let name = card.name();
                        assert_eq!(
                            found,
                            expected,
                            "{name}: size {size}, bases {b}, scalars {s}, in the subgroup: {}",
                            known.in_subgroup()
                        );
                        let stats = stats.card.unwrap();
                        assert_eq!(stats.bytes_from_card, 192);
                    }
                }
            }
        }
    }
}

/// Points of the curve with the wrong order, among others: every engine multiplies them by the
/// whole scalar, whether their bases were examined or not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn points_outside_the_subgroup_give_the_same_sums() {
    let mut engines = cards().await;
    engines.push(Arc::new(CpuEngine::new()));
    for engine in engines {
        for (size, inside) in [(1, 0), (5, 3), (33, 0), (600, 599)] {
            let outside = size - inside;
            let case = vectors::msm_case_outside(outside, ScalarPattern::Random, 9);
            let good = vectors::msm_case(inside, BasePattern::Distinct, ScalarPattern::Random, 9);
            let bases = [good.bases, case.bases].concat();
            let scalars = [good.scalars, case.scalars].concat();
            let expected = (good.expected + case.expected).to_affine();
            assert!(!Bases::checked(&bases).in_subgroup());
            for known in [Bases::checked(&bases), Bases::unknown(&bases)] {
                let options = MsmOptions::default();
                let (found, _) = engine.msm_g1_with(known, &scalars, options).await.unwrap();
                assert_eq!(found, expected, "{}: {size} terms", engine.name());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn window_bits_do_not_change_the_sum() {
    let (bases, scalars) = (
        carillon_workload::g1_bases(50, 1),
        carillon_workload::scalars(50, Distribution::Uniform, 1),
    );
    let (expected, _) = CpuEngine::new().msm_g1(&bases, &scalars).await.unwrap();
    for card in cards().await {
        let max = card.info().max_window_bits.unwrap();
        for bits in [1, 2, 5, 8] {
            let options = MsmOptions {
                window_bits: Some(bits),
            };
            for known in [Bases::checked(&bases), Bases::unknown(&bases)] {
                let (found, _) = card.msm_g1_with(known, &scalars, options).await.unwrap();
                assert_eq!(found, expected, "{}: {bits} bits", card.name());
            }
        }
        for bits in [0, max + 1] {
            let options = MsmOptions {
                window_bits: Some(bits),
            };
            let error = card
                .msm_g1_with(Bases::unknown(&bases), &scalars, options)
                .await
                .unwrap_err();
            assert!(matches!(error, EngineError::WindowBits { .. }), "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transforms_are_identical() {
    let cpu = CpuEngine::new();
    for card in cards().await {
        for log2 in 0..=10 {
            for kind in NttKind::ALL {
                for input in scalar_kinds(1 << log2).into_iter().skip(1) {
                    let (mut expected, mut found) = (input.clone(), input);
                    cpu.ntt(&mut expected, kind).await.unwrap();
                    let stats = card.ntt(&mut found, kind).await.unwrap().card.unwrap();
                    assert_eq!(found, expected, "{}: 2^{log2}, {kind:?}", card.name());
                    let bytes = (32u64 << log2).next_multiple_of(64);
                    assert_eq!((stats.bytes_to_card, stats.bytes_from_card), (bytes, bytes));
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quotients_are_identical() {
    let cpu = CpuEngine::new();
    for card in cards().await {
        for size in sizes() {
            let kinds = scalar_kinds(size);
            for (i, z) in [Scalar::ONE, -Scalar::ONE, kinds[5][0]].iter().enumerate() {
                let (a, b, c) = (&kinds[5], &kinds[(i + 2) % 6], &kinds[4]);
                let (expected, _) = cpu.quotient(a, b, c, z).await.unwrap();
                let (found, _) = card.quotient(a, b, c, z).await.unwrap();
                assert_eq!(found, expected, "{}: size {size}", card.name());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_side_by_side_do_not_disturb_one_another() {
    let cpu = CpuEngine::new();
    let (bases, scalars) = (
        carillon_workload::g1_bases(40, 1),
        carillon_workload::scalars(40, Distribution::Uniform, 1),
    );
    let input = carillon_workload::scalars(64, Distribution::Uniform, 2);
    let mut transformed = input.clone();
    cpu.ntt(&mut transformed, NttKind::CosetForward)
        .await
        .unwrap();
    let (sum, _) = cpu.msm_g1(&bases, &scalars).await.unwrap();
    for card in cards().await {
        let (mut one, mut two) = (input.clone(), input.clone());
        let (a, b, c, d) = tokio::join!(
            card.msm_g1(&bases, &scalars),
            card.ntt(&mut one, NttKind::CosetForward),
            card.msm_g1(&bases, &scalars),
            card.ntt(&mut two, NttKind::CosetForward),
        );
        assert_eq!((a.unwrap().0, c.unwrap().0), (sum, sum));
        b.unwrap();
        d.unwrap();
        assert!(one == transformed && two == transformed, "{}", card.name());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proofs_of_every_engine_are_accepted_everywhere() {
    for (basis, transforms) in [(HBasis::Odd, 6), (HBasis::Powers, 7)] {
        proofs_are_accepted_everywhere(basis, transforms).await;
    }
}

async fn proofs_are_accepted_everywhere(basis: HBasis, transforms: u64) {
    let key = Arc::new(setup_in(basis, SquareChain::blank(6), &mut rng(6)).unwrap());
    let assignment = Arc::new(synthesize(SquareChain::with_witness(6, 1)).unwrap());
    let (expected, _) = CpuEngine::new()
        .groth16(&key, &assignment, &())
        .await
        .unwrap();
    let inputs = assignment.public_inputs();
    for card in cards().await {
        let (points, _) = card.groth16(&key, &assignment, &()).await.unwrap();
        assert_eq!(points, expected, "{}", card.name());
        let (events, mut received) = tokio::sync::mpsc::unbounded_channel();
        let circuit = SquareChain::with_witness(6, 1);
        let (proof, report) = prove(&*card, &key, circuit, &events).await.unwrap();
        verify(&key.vk, inputs, &proof).unwrap();
        assert!(bellman_accepts(&key.vk, inputs, &proof));
        assert!(arkworks_accepts(&key.vk, inputs, &proof));

        assert_eq!(report.engine, card.name());
        let stats = report.card.unwrap();
        // Four writes, a product, the transforms, a quotient, four sums in G1 and perhaps one in G2,
        // one read: the chain stays on the card, and the key was there already.
        let in_g2 = u64::from(card.info().msm_g2);
        assert_eq!(stats.commands, 11 + in_g2 + transforms);
        let down = 2 * 64 * 32 + 64 * 32 + 64;
        assert_eq!(
            (stats.bytes_to_card, stats.bytes_from_card),
            (down, 4 * 192 + 320 * in_g2)
        );
        assert_eq!(stats.butterflies, transforms * 6 * 32);

        drop(events);
        let mut finished = Vec::new();
        while let Some(event) = received.recv().await {
            if let ProgressEvent::Finished { phase, wall } = event {
                // One figure, while it runs and in the report, also where a part of the phase came earlier.
                if phase == Phase::Quotient {
                    assert_eq!(wall, report.phases.get(phase));
                }
                finished.push(phase);
            }
        }
        finished.sort();
        assert_eq!(finished, Phase::ALL);
        card.unload_key(&key).await.unwrap();
        let reloaded = card.load_key(&key).await.unwrap().card.unwrap();
        assert!(reloaded.bytes_to_card > 0);
        assert_eq!(
            card.load_key(&key)
                .await
                .unwrap()
                .card
                .unwrap()
                .bytes_to_card,
            0
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_inputs_are_refused_and_the_next_job_runs() {
    let mut engines = cards().await;
    engines.push(Arc::new(CpuEngine::new()));
    let bases = carillon_workload::g1_bases(4, 1);
    let scalars = carillon_workload::scalars(4, Distribution::Uniform, 1);
    let too_big = Scalar::from(blst::blst_fr { l: [u64::MAX; 4] });
    for engine in engines {
        let name = engine.name().to_owned();
        let msm = async |bases: &[G1Affine], scalars: &[Scalar]| {
            engine.msm_g1(bases, scalars).await.unwrap_err()
        };
        assert!(matches!(
            msm(&bases, &scalars[..3]).await,
            EngineError::LengthMismatch {
                left: 4,
                right: 3,
                ..
            }
        ));
        assert!(matches!(msm(&[], &[]).await, EngineError::Empty { .. }));
        let wrong = [scalars[0], too_big, scalars[2], scalars[3]];
        assert!(matches!(
            msm(&bases, &wrong).await,
            EngineError::Input {
                source: ImageError::ScalarRange { index: 1 },
                ..
            }
        ));
        let mut outside = bases.clone();
        outside[2].as_mut().y.l = [u64::MAX; 6];
        assert!(matches!(
            msm(&outside, &scalars).await,
            EngineError::Input {
                source: ImageError::CoordinateRange { index: 2 },
                ..
            }
        ));
        let ntt = async |values: &[Scalar]| {
            engine
                .ntt(&mut values.to_vec(), NttKind::Forward)
                .await
                .unwrap_err()
        };
        assert!(matches!(
            ntt(&scalars[..3]).await,
            EngineError::NotPowerOfTwo { length: 3 }
        ));
        assert!(matches!(ntt(&[]).await, EngineError::Empty { .. }));
        assert!(matches!(ntt(&wrong).await, EngineError::Input { .. }));
        let z = Scalar::ONE;
        let error = engine
            .quotient(&scalars, &scalars[..2], &scalars, &z)
            .await
            .unwrap_err();
        assert!(
            matches!(error, EngineError::LengthMismatch { .. }),
            "{name}: {error}"
        );
        let error = engine
            .quotient(&scalars, &scalars, &scalars, &too_big)
            .await
            .unwrap_err();
        assert!(
            matches!(error, EngineError::Input { .. }),
            "{name}: {error}"
        );
        engine.msm_g1(&bases, &scalars).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_beyond_card_memory_are_refused_and_the_next_job_runs() {
    for card in cards().await {
        let memory = card.info().card_memory.unwrap();
        // Three polynomials of a third each, and z on top.
        let values = vec![Scalar::ZERO; (memory / 3 / 32 + 2) as usize];
        let error = card
            .quotient(&values, &values, &values, &Scalar::ONE)
            .await
            .unwrap_err();
        match error {
            EngineError::CardMemory { needed, total, .. } => {
                assert!(needed > total && total == memory);
            }
            other => panic!("{other}"),
        }
        let largest = card.info().max_ntt_log2;
        let mut beyond = vec![Scalar::ZERO; 2 << largest];
        let error = card.ntt(&mut beyond, NttKind::Forward).await.unwrap_err();
        assert!(
            matches!(error, EngineError::TransformTooLarge { .. }),
            "{error}"
        );
        card.ntt(&mut [Scalar::ONE, Scalar::ONE], NttKind::Forward)
            .await
            .unwrap();
    }
}

/// The gateware's own multipliers against the fast arithmetic view: equal values, equal cycles.
#[cfg(feature = "rtl-structural")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn structural_arithmetic_agrees_in_value_and_in_cycles() {
    let fast = engine::open(EngineKind::SimRtl).await.unwrap();
    let structural = engine::open(EngineKind::SimRtlStructural).await.unwrap();
    let bases = base_kinds(8).remove(0);
    let scalars = carillon_workload::scalars(8, Distribution::Uniform, 5);
    // Small windows keep the number of buckets, and with it the aggregation, small.
    let options = MsmOptions {
        window_bits: Some(3),
    };
    for known in [Bases::checked(&bases), Bases::unknown(&bases)] {
        let (expected, fast_stats) = fast.msm_g1_with(known, &scalars, options).await.unwrap();
        let (found, stats) = structural
            .msm_g1_with(known, &scalars, options)
            .await
            .unwrap();
        assert_eq!(found, expected);
        assert_eq!(stats.card, fast_stats.card);
        assert!(stats.cycles() > 0);
    }

    let input = carillon_workload::scalars(16, Distribution::Uniform, 6);
    for kind in NttKind::ALL {
        let (mut expected, mut found) = (input.clone(), input.clone());
        let fast_stats = fast.ntt(&mut expected, kind).await.unwrap();
        let stats = structural.ntt(&mut found, kind).await.unwrap();
        assert_eq!(found, expected);
        assert_eq!(stats.card, fast_stats.card, "{kind:?}");
    }
}
