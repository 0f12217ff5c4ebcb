//! Sums in G2 on a card that has `MSM_G2`, and beside one that has not.
//!
//! Over the functional model, made with and without the command.

use std::process::Command;
use std::sync::Arc;

use blstrs::{G1Projective, G2Affine, G2Projective, Scalar};
use carillon_driver::{Card, CardConfig};
use carillon_runtime::card::CardEngine;
use carillon_runtime::cpu::{self, CpuEngine, CpuWork};
use carillon_runtime::engine::{Bases, MsmOptions};
use carillon_runtime::groth16::{
    Assignment, Constraints, HBasis, ProvingKey, prove_assignment, setup, setup_in, synthesize,
    verify, witness,
};
use carillon_runtime::image::{self, ImageError};
use carillon_runtime::progress::{Phase, ProgressEvent};
use carillon_runtime::{Engine, EngineError};
use carillon_sim::memory::MemoryFault;
use carillon_sim::model::{ModelCard, ModelOptions};
use carillon_workload::vectors::{self, BasePattern, ScalarPattern};
use carillon_workload::{Distribution, SquareChain};
use ff::Field;
use group::Curve;
use group::prime::PrimeCurveAffine;

use super::common::rng;

async fn card_of(options: ModelOptions) -> (Arc<ModelCard>, CardEngine) {
    let model = Arc::new(ModelCard::new(options).unwrap());
    let card = Card::open(Arc::clone(&model) as _, CardConfig::default())
        .await
        .unwrap();
    (model, CardEngine::new("model", card))
}

/// A card with the command or without it.
async fn card(msm_g2: bool) -> (Arc<ModelCard>, CardEngine) {
    let options = ModelOptions {
        msm_g2,
        ..ModelOptions::default()
    };
    card_of(options).await
}

fn job(basis: HBasis, log2: u32) -> (Arc<ProvingKey>, Arc<Assignment>) {
    let key = setup_in(basis, SquareChain::blank(log2), &mut rng(3)).unwrap();
    let assignment = synthesize(SquareChain::with_witness(log2, 4)).unwrap();
    (Arc::new(key), Arc::new(assignment))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_says_where_sums_in_g2_run() {
    for (msm_g2, place) in [(true, "G2 on the card"), (false, "G2 on the CPU")] {
        let info = card(msm_g2).await.1.info();
        assert_eq!(info.msm_g2, msm_g2);
        assert!(info.description.ends_with(place), "{}", info.description);
        assert_eq!(info.g2_window_choice.is_some(), msm_g2);
    }
    assert!(!CpuEngine::new().info().msm_g2);
}

/// With the same blinding no byte of a proof says where its sums were computed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proofs_are_the_same_with_and_without_the_command() {
    for basis in [HBasis::Odd, HBasis::Powers] {
        for log2 in [2, 6, 9] {
            let (key, assignment) = job(basis, log2);
            let (_older, older) = card(false).await;
            let (_newer, newer) = card(true).await;
            let cpu = CpuEngine::new();
            let engines: [&dyn Engine; 3] = [&cpu, &older, &newer];
            let mut proofs = Vec::new();
            for engine in engines {
                let proof = prove_assignment(engine, &key, &assignment, &mut rng(7), &()).await;
                let (proof, report) = proof.unwrap();
                verify(&key.vk, assignment.public_inputs(), &proof).unwrap();
                let on_card = report.stages.b2.card.as_ref();
                assert_eq!(on_card.is_some(), engine.info().msm_g2, "{}", engine.name());
                assert!(on_card.is_none_or(|card| card.commands == 1));
                proofs.push(proof.to_bytes());
            }
            assert_eq!(proofs[0], proofs[1], "{basis:?} 2^{log2}, without");
            assert_eq!(proofs[0], proofs[2], "{basis:?} 2^{log2}, with");
        }
    }
}

/// Set in the process whose counters are looked at.
const CHILD: &str = "CARILLON_TEST_HOST_WORK";

/// A card that has every command leaves the host no sum, transform or quotient. Counters are of a
/// whole process, so the proofs run in one of their own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_with_every_command_leaves_the_host_nothing_to_compute() {
    if std::env::var_os(CHILD).is_none() {
        let child = Command::new(std::env::current_exe().unwrap())
            .args([
                "card_g2::a_card_with_every_command_leaves_the_host_nothing_to_compute",
                "--exact",
                "--nocapture",
            ])
            .env(CHILD, "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success(), "{text}");
        assert!(text.contains("1 passed"), "{text}");
        return;
    }
    for basis in [HBasis::Odd, HBasis::Powers] {
        let (key, whole) = job(basis, 6);
        let constraints = Arc::new(Constraints::record(|| SquareChain::blank(6)).unwrap());
        let lazy = Arc::new(witness(&constraints, SquareChain::with_witness(6, 4)).unwrap());
        let prove = async |engine: &dyn Engine, assignment: &Arc<Assignment>| {
            let before = cpu::work();
            let proof = prove_assignment(engine, &key, assignment, &mut rng(7), &()).await;
            proof.unwrap();
            let after = cpu::work();
            CpuWork {
                sums: after.sums - before.sums,
                transforms: after.transforms - before.transforms,
                quotients: after.quotients - before.quotients,
            }
        };
        for assignment in [&whole, &lazy] {
            let (_newer, newer) = card(true).await;
            assert_eq!(prove(&newer, assignment).await, CpuWork::default());
            // The counters do count: the sum beside an older card, and all of a proof on the CPU.
            let (_older, older) = card(false).await;
            let beside = CpuWork {
                sums: 1,
                ..CpuWork::default()
            };
            assert_eq!(prove(&older, assignment).await, beside);
            let all = CpuWork {
                sums: 5,
                transforms: if basis == HBasis::Odd { 6 } else { 7 },
                quotients: 2,
            };
            assert_eq!(prove(&CpuEngine::new(), assignment).await, all);
        }
    }
}

/// The last command of the list fails; those before it have ended well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_at_the_sum_in_g2_leaves_the_engine_usable() {
    let (model, engine) = card(true).await;
    let (key, assignment) = job(HBasis::Odd, 6);
    let (expected, _) = CpuEngine::new()
        .groth16(&key, &assignment, &())
        .await
        .unwrap();
    engine.load_key(&key).await.unwrap();
    // Where the query lies on a card that was empty: behind those of G1.
    let before = [&key.a, &key.b1, &key.l, &key.h].map(|query| image::bytes(query).len() as u64);
    let address = before.iter().map(|bytes| bytes.next_multiple_of(64)).sum();
    model.fault_memory(Some(MemoryFault {
        address,
        bytes: 64,
        reads: true,
        writes: false,
    }));
    let (events, mut received) = tokio::sync::mpsc::unbounded_channel();
    let error = engine
        .groth16(&key, &assignment, &events)
        .await
        .unwrap_err();
    drop(events);
    let operation = match &error {
        EngineError::Card { operation, .. } => *operation,
        other => panic!("{other}"),
    };
    assert_eq!(operation, "groth16");
    let (mut begun, mut finished) = (Vec::new(), Vec::new());
    while let Some(event) = received.recv().await {
        match event {
            ProgressEvent::Started { phase, .. } => begun.push(phase),
            ProgressEvent::Finished { phase, .. } => finished.push(phase),
            _ => {}
        }
    }
    // The job is repeated once, since the card asks for that.
    let count = |phases: &[Phase], phase| phases.iter().filter(|p| **p == phase).count();
    assert_eq!(count(&finished, Phase::B1), 2);
    assert_eq!(count(&begun, Phase::B2), 2);
    assert_eq!(count(&finished, Phase::B2), 0);
    model.fault_memory(None);
    let (found, _) = engine.groth16(&key, &assignment, &()).await.unwrap();
    assert_eq!(found, expected);
    let [kept] = &engine.resident_keys().await[..] else {
        panic!("one key");
    };
    assert_eq!(engine.card().touched_memory(), kept.bytes);
}

/// A proof takes the memory that it says, to the last granule, on either card.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_takes_exactly_the_memory_that_it_says() {
    let (key, assignment) = job(HBasis::Odd, 6);
    let mut both = Vec::new();
    for msm_g2 in [false, true] {
        let sized = async |memory_bytes| {
            let options = ModelOptions {
                memory_bytes,
                msm_g2,
                ..ModelOptions::default()
            };
            let (_model, engine) = card_of(options).await;
            engine
                .groth16(&key, &assignment, &())
                .await
                .map(|(points, _)| points)
        };
        let needed = match sized(4096).await.unwrap_err() {
            EngineError::CardMemory { needed, total, .. } => {
                assert_eq!(total, 4096);
                needed
            }
            other => panic!("{other}"),
        };
        let error = sized(needed - 64).await.unwrap_err();
        assert!(matches!(error, EngineError::CardMemory { .. }), "{error}");
        sized(needed).await.unwrap();
        both.push(needed);
    }
    // The query and the sum's result.
    let b2 = image::bytes(&key.b2).len() as u64;
    assert_eq!(both[1] - both[0], b2.next_multiple_of(64) + 320);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sums_in_g2_are_identical() {
    let cpu = CpuEngine::new();
    for msm_g2 in [true, false] {
        let (_model, engine) = card(msm_g2).await;
        for n in [1, 2, 3, 31, 33, 64, 257] {
            for case in vectors::msm_cases_in::<G2Projective>(n, 5) {
                let (expected, scalars) = (case.expected.to_affine(), &case.scalars);
                let (by_cpu, _) = cpu.msm_g2(&case.bases, scalars).await.unwrap();
                assert_eq!(by_cpu, expected, "{}", case.name);
                for known in [Bases::checked(&case.bases), Bases::unknown(&case.bases)] {
                    let options = MsmOptions::default();
                    let found = engine.msm_g2_with(known, scalars, options).await;
                    let (found, stats) = found.unwrap();
                    assert_eq!(found, expected, "{}", case.name);
                    let back = stats.card.map(|card| card.bytes_from_card);
                    assert_eq!(back, msm_g2.then_some(320));
                }
            }
        }
    }
}

/// Points of the twist with the wrong order, among others: scalars are taken whole for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn points_outside_the_subgroup_of_g2_give_the_same_sums() {
    for msm_g2 in [true, false] {
        let (_model, engine) = card(msm_g2).await;
        for (size, inside) in [(1, 0), (5, 3), (33, 0), (600, 599)] {
            let outside = size - inside;
            let pattern = ScalarPattern::Random;
            let case = vectors::msm_case_outside_in::<G2Projective>(outside, pattern, 9);
            let good =
                vectors::msm_case_in::<G2Projective>(inside, BasePattern::Distinct, pattern, 9);
            let bases = [good.bases, case.bases].concat();
            let scalars = [good.scalars, case.scalars].concat();
            let expected = (good.expected + case.expected).to_affine();
            assert!(!Bases::checked(&bases).in_subgroup());
            for known in [Bases::checked(&bases), Bases::unknown(&bases)] {
                let options = MsmOptions::default();
                let (found, _) = engine.msm_g2_with(known, &scalars, options).await.unwrap();
                assert_eq!(found, expected, "{size} terms");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_sum_in_g2_cannot_be_is_refused_and_the_next_runs() {
    let bases = carillon_workload::g2_bases(4, 1);
    let scalars = carillon_workload::scalars(4, Distribution::Uniform, 1);
    let (expected, _) = CpuEngine::new().msm_g2(&bases, &scalars).await.unwrap();
    let too_big = Scalar::from(blst::blst_fr { l: [u64::MAX; 4] });
    for msm_g2 in [true, false] {
        let (_model, engine) = card(msm_g2).await;
        let refused = async |bases: &[G2Affine], scalars: &[Scalar]| {
            engine.msm_g2(bases, scalars).await.unwrap_err()
        };
        let error = refused(&bases, &scalars[..3]).await;
        assert!(
            matches!(error, EngineError::LengthMismatch { .. }),
            "{error}"
        );
        let error = refused(&[], &[]).await;
        assert!(matches!(error, EngineError::Empty { .. }), "{error}");
        let wrong = [scalars[0], too_big, scalars[2], scalars[3]];
        let index = match refused(&bases, &wrong).await {
            EngineError::Input {
                source: ImageError::ScalarRange { index },
                operation: "msm_g2",
            } => index,
            other => panic!("{other}"),
        };
        assert_eq!(index, 1);
        for coordinate in 0..4 {
            let mut large = bases.clone();
            let raw = large[2].as_mut();
            let fp = match coordinate / 2 {
                0 => &mut raw.x.fp[coordinate % 2],
                _ => &mut raw.y.fp[coordinate % 2],
            };
            fp.l = [u64::MAX; 6];
            let error = refused(&large, &scalars).await;
            assert!(
                matches!(
                    error,
                    EngineError::Input {
                        source: ImageError::CoordinateRange { index: 2 },
                        ..
                    }
                ),
                "{error}"
            );
        }
        let (found, _) = engine.msm_g2(&bases, &scalars).await.unwrap();
        assert_eq!(found, expected);
    }
    // Windows are chosen, and refused, as in G1.
    let (_model, engine) = card(true).await;
    for bits in [1, 4, 13] {
        let options = MsmOptions {
            window_bits: Some(bits),
        };
        let sum = engine.msm_g2_with(Bases::checked(&bases), &scalars, options);
        assert_eq!(sum.await.unwrap().0, expected);
    }
    for bits in [0, 14] {
        let options = MsmOptions {
            window_bits: Some(bits),
        };
        let sum = engine.msm_g2_with(Bases::unknown(&bases), &scalars, options);
        let error = sum.await.unwrap_err();
        assert!(matches!(error, EngineError::WindowBits { .. }), "{error}");
    }
}

/// A sum or a key that only its points in G2 make too large is refused, and smaller ones run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_is_refused_and_the_next_runs() {
    let options = ModelOptions {
        memory_bytes: 32 << 10,
        ..ModelOptions::default()
    };
    let (_model, engine) = card_of(options).await;
    let n = 160;
    let scalars = carillon_workload::scalars(n, Distribution::Uniform, 1);
    let in_g2 = carillon_workload::g2_bases(n, 1);
    let error = engine.msm_g2(&in_g2, &scalars).await.unwrap_err();
    match error {
        EngineError::CardMemory {
            operation: "msm_g2",
            needed,
            total,
            ..
        } => assert_eq!((needed, total), (n as u64 * (192 + 32) + 320, 32 << 10)),
        other => panic!("{other}"),
    }
    let in_g1 = carillon_workload::g1_bases(n, 1);
    let (sum, _) = engine.msm_g1(&in_g1, &scalars).await.unwrap();
    let expected: G1Projective = in_g1.iter().zip(&scalars).map(|(p, k)| *p * *k).sum();
    assert_eq!(sum, expected.to_affine());
    let key = Arc::new(setup(SquareChain::blank(6), &mut rng(1)).unwrap());
    let error = engine.load_key(&key).await.unwrap_err();
    assert!(matches!(error, EngineError::CardMemory { .. }), "{error}");
    let few = 40;
    let (found, _) = engine.msm_g2(&in_g2[..few], &scalars[..few]).await.unwrap();
    let (expected, _) = CpuEngine::new()
        .msm_g2(&in_g2[..few], &scalars[..few])
        .await
        .unwrap();
    assert_eq!(found, expected);
    let nothing = vec![G2Affine::identity(); few];
    let ones = vec![Scalar::ONE; few];
    let (found, _) = engine.msm_g2(&nothing, &ones).await.unwrap();
    assert_eq!(found, G2Affine::identity());
}
