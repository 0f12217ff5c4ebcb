//! Proofs from recorded constraints, whose rows are computed while they are sent: the same proofs, violated
//! constraints by name with nothing computed behind them, and nothing left of what was given up.

use std::sync::Arc;
use std::time::Duration;

use bellpepper_core::{Circuit, ConstraintSystem, SynthesisError};
use blstrs::Scalar;
use carillon_driver::{Card, CardConfig};
use carillon_runtime::card::CardEngine;
use carillon_runtime::cpu::CpuEngine;
use carillon_runtime::groth16::{
    Assignment, Constraints, Groth16Error, HBasis, ProvingKey, prove_assignment, prove_each_with,
    prove_with, setup_in, synthesize, verify, witness,
};
use carillon_runtime::progress::Phase;
use carillon_runtime::{CardStats, Engine, EngineError, ProgressSink};
use carillon_sim::memory::MemoryFault;
use carillon_sim::model::{ModelCard, ModelOptions};
use carillon_workload::{Distribution, SquareChain};
use ff::Field;

use super::common::rng;

/// Cards with and without `LINK` and `FILL`.
const KINDS: [bool; 2] = [true, false];
/// Of eight blocks in [`SMALL`] DMA memory, and of more.
const BLOCKS: u32 = 10;
const MORE_BLOCKS: u32 = 12;
/// DMA memory for blocks of 128 rows.
const SMALL: u64 = 64 << 10;
const LARGE: u64 = 1 << 28;
/// Longer than anything takes here on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

async fn card(new: bool, host_memory_limit: u64) -> (Arc<ModelCard>, Arc<CardEngine>) {
    let options = ModelOptions {
        memory_bytes: 1 << 26,
        link: new,
        fill: new,
        ..ModelOptions::default()
    };
    let model = Arc::new(ModelCard::new(options).unwrap());
    let config = CardConfig {
        host_memory_limit,
        ..CardConfig::default()
    };
    let card = Card::open(Arc::clone(&model) as _, config).await.unwrap();
    (model, Arc::new(CardEngine::new("model", card)))
}

/// A chain x -> x^2 + 1 whose values are one too large at the constraints in `wrong`.
#[derive(Clone)]
struct Chain {
    rows: usize,
    start: Option<Scalar>,
    wrong: Vec<usize>,
}

impl Chain {
    fn new(log2: u32, wrong: &[usize]) -> Self {
        Self {
            rows: (1 << log2) - 2,
            start: Some(Scalar::from(3)),
            wrong: wrong.to_vec(),
        }
    }

    fn blank(log2: u32) -> Self {
        Self {
            start: None,
            ..Self::new(log2, &[])
        }
    }
}

impl Circuit<Scalar> for Chain {
    fn synthesize<CS: ConstraintSystem<Scalar>>(self, cs: &mut CS) -> Result<(), SynthesisError> {
        let known = |value: Option<Scalar>| value.ok_or(SynthesisError::AssignmentMissing);
        let mut value = self.start;
        let mut current = cs.alloc(|| "start", || known(value))?;
        for row in 0..self.rows {
            let mut cs = cs.namespace(|| format!("round {row}"));
            let error = Scalar::from(u64::from(self.wrong.contains(&row)));
            value = value.map(|x| x.square() + Scalar::ONE + error);
            let next = match row + 1 == self.rows {
                true => cs.alloc_input(|| "end", || known(value))?,
                false => cs.alloc(|| "next", || known(value))?,
            };
            let one = CS::one();
            cs.enforce(
                || "square",
                |lc| lc + current,
                |lc| lc + current,
                |lc| lc + next - one,
            );
            current = next;
        }
        Ok(())
    }
}

/// A key and recorded constraints of a chain.
fn chain(basis: HBasis, log2: u32) -> (Arc<ProvingKey>, Arc<Constraints>) {
    let key = setup_in(basis, Chain::blank(log2), &mut rng(1)).unwrap();
    let constraints = Constraints::record(move || Chain::blank(log2)).unwrap();
    assert_eq!(constraints.digest(), key.circuit);
    (Arc::new(key), Arc::new(constraints))
}

fn lazy(constraints: &Arc<Constraints>, log2: u32, wrong: &[usize]) -> Arc<Assignment> {
    Arc::new(witness(constraints, Chain::new(log2, wrong)).unwrap())
}

/// A proof with blinding of its own as bytes, and the card's counters.
async fn proof(
    engine: &dyn Engine,
    key: &Arc<ProvingKey>,
    assignment: &Arc<Assignment>,
) -> (Vec<u8>, Option<CardStats>) {
    let mut blinding = rng(7);
    let proved = prove_assignment(engine, key, assignment, &mut blinding, &());
    let proved = tokio::time::timeout(PATIENCE, proved).await;
    let (proof, report) = proved.unwrap().unwrap();
    (proof.to_bytes().to_vec(), report.card)
}

/// No thread computes for it any more.
fn is_alone(assignment: &Arc<Assignment>) -> bool {
    Arc::strong_count(assignment) == 1
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + PATIENCE;
    while !holds() {
        assert!(std::time::Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_forms_give_the_same_proof_everywhere() {
    for basis in [HBasis::Odd, HBasis::Powers] {
        for (log2, pool) in [(1, LARGE), (2, SMALL), (6, LARGE), (BLOCKS, SMALL)] {
            let (key, constraints) = chain(basis, log2);
            let whole = Arc::new(synthesize(Chain::new(log2, &[])).unwrap());
            let lazy = lazy(&constraints, log2, &[]);
            let cpu = CpuEngine::new();
            let (expected, _) = proof(&cpu, &key, &whole).await;
            assert_eq!(proof(&cpu, &key, &lazy).await.0, expected);
            for kind in KINDS {
                let (_model, engine) = card(kind, pool).await;
                let (found, whole) = proof(&*engine, &key, &whole).await;
                assert_eq!(found, expected);
                let (found, lazy) = proof(&*engine, &key, &lazy).await;
                assert_eq!(found, expected);
                let (whole, lazy) = (whole.unwrap(), lazy.unwrap());
                // The key is there already, and no more is sent than of values that are there.
                let witness = (32 * key.shape.variables()).next_multiple_of(64);
                let own = (witness + 2 * 32 * key.shape.domain() + 64) as u64;
                assert_eq!(lazy.bytes_to_card, own);
                assert!(whole.bytes_to_card > own);
                assert_eq!(lazy.butterflies, whole.butterflies);
                assert_eq!(whole.rows, carillon_runtime::RowStats::default());
                assert_eq!(lazy.rows.bytes, 64 << log2);
                assert!(lazy.rows.sent_meanwhile < lazy.bytes_to_card);
                assert!(!lazy.rows.wall.is_zero());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_while_rows_are_computed_is_seen() {
    let (key, constraints) = chain(HBasis::Odd, MORE_BLOCKS);
    let (_model, engine) = card(true, SMALL).await;
    engine.load_key(&key).await.unwrap();
    let assignment = lazy(&constraints, MORE_BLOCKS, &[]);
    let (_, stats) = engine.groth16(&key, &assignment, &()).await.unwrap();
    let card = stats.total().card.unwrap();
    // Blocks of 8 KiB go through 64 KiB, and the witness before them: most of it has been sent when the last begin.
    let seen = card.rows.sent_meanwhile;
    assert!(seen > 2 * (32 << MORE_BLOCKS), "{:?}", card.rows);
    assert!(seen < card.bytes_to_card);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_violated_constraint_is_named_and_nothing_is_computed_behind_it() {
    let last = (1 << BLOCKS) - 3;
    let (key, constraints) = chain(HBasis::Odd, BLOCKS);
    let right = lazy(&constraints, BLOCKS, &[]);
    let cpu = CpuEngine::new();
    let (expected, _) = proof(&cpu, &key, &right).await;
    for kind in KINDS {
        let (_model, engine) = card(kind, SMALL).await;
        engine.load_key(&key).await.unwrap();
        let kept = engine.resident_keys().await[0].bytes;
        let lent = engine.card().memory_use().lent;
        for wrong in [&[0][..], &[500], &[last], &[last, 500, 130]] {
            let first = wrong.iter().min().copied().unwrap();
            let assignment = lazy(&constraints, BLOCKS, wrong);
            let butterflies = || engine.card().counters().unwrap().butterflies;
            let before = butterflies();
            let engines: [&dyn Engine; 2] = [&cpu, &*engine];
            for proving in engines {
                let error = prove_assignment(proving, &key, &assignment, &mut rng(7), &()).await;
                let Err(Groth16Error::Unsatisfied { constraint, index }) = error else {
                    panic!("{wrong:?}: {error:?}");
                };
                assert_eq!(index, first, "{wrong:?}");
                assert_eq!(constraint, format!("round {first}/square"));
                assert!(is_alone(&assignment));
            }
            assert_eq!(butterflies(), before);
            // Nothing of it is left in card memory, and no host memory is lent or waiting.
            assert_eq!(engine.card().touched_memory(), kept);
            until("host memory is kept", || {
                engine.card().memory_use().lent == lent
            })
            .await;
            assert_eq!(proof(&*engine, &key, &right).await.0, expected);
        }
    }
}

/// The other lane's proof does not notice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_false_statement_leaves_the_proof_beside_it_right() {
    let (key, constraints) = chain(HBasis::Odd, BLOCKS);
    let (_model, engine) = card(true, SMALL).await;
    let engine: Arc<dyn Engine> = engine;
    let progress: Arc<dyn ProgressSink> = Arc::new(());
    let make: Vec<_> = [None, Some(800), None, Some(3)]
        .map(|wrong| {
            let constraints = Arc::clone(&constraints);
            let circuit = Chain::new(BLOCKS, wrong.as_slice());
            move || witness(&constraints, circuit)
        })
        .into();
    let proved = prove_each_with(&engine, &key, make, &progress).await;
    let inputs = lazy(&constraints, BLOCKS, &[]).public_inputs().to_vec();
    let indices: Vec<_> = proved
        .into_iter()
        .map(|proved| match proved {
            Ok((proof, _)) => {
                verify(&key.vk, &inputs, &proof).unwrap();
                None
            }
            Err(Groth16Error::Unsatisfied { index, .. }) => Some(index),
            Err(error) => panic!("{error}"),
        })
        .collect();
    assert_eq!(indices, [None, Some(800), None, Some(3)]);
}

/// DMA memory of 32 KiB, of which the rings take 12: two proofs, and sums that want the same queues and memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_smallest_pool_is_enough_for_two() {
    let (key, constraints) = chain(HBasis::Odd, BLOCKS);
    let assignment = lazy(&constraints, BLOCKS, &[]);
    let (expected, _) = proof(&CpuEngine::new(), &key, &assignment).await;
    let bases = carillon_workload::g1_bases(600, 1);
    let scalars = carillon_workload::scalars(600, Distribution::Uniform, 1);
    let (sum, _) = CpuEngine::new().msm_g1(&bases, &scalars).await.unwrap();
    for kind in KINDS {
        let (_model, engine) = card(kind, 32 << 10).await;
        let sums = async {
            for _ in 0..4 {
                let found = engine.msm_g1(&bases, &scalars);
                let found = tokio::time::timeout(PATIENCE, found).await;
                assert_eq!(found.unwrap().unwrap().0, sum);
            }
        };
        let (one, two, three, (), ()) = tokio::join!(
            proof(&*engine, &key, &assignment),
            proof(&*engine, &key, &assignment),
            proof(&*engine, &key, &assignment),
            sums,
            async {
                for _ in 0..4 {
                    engine.msm_g1(&bases, &scalars).await.unwrap();
                }
            },
        );
        for (found, _) in [one, two, three] {
            assert_eq!(found, expected);
        }
        assert!(engine.card().memory_use().mapped <= 2 * (32 << 10));
    }
}

/// Others have a queue's turn and wait for memory, which the blocks of a proof on that queue use up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_block_waits_for_a_turn_whose_owner_waits_for_its_memory() {
    let (key, constraints) = chain(HBasis::Odd, MORE_BLOCKS);
    let assignment = lazy(&constraints, MORE_BLOCKS, &[]);
    for kind in KINDS {
        let (_model, engine) = card(kind, 32 << 10).await;
        engine.load_key(&key).await.unwrap();
        let card = engine.card();
        // With the rings it leaves 12 KiB: three blocks, as many as two cores have under way.
        let _held = card.buffer_to_card(8 << 10).unwrap();
        let region = card.allocate_public(4 << 10).unwrap();
        let ended = std::sync::atomic::AtomicBool::new(false);
        let proof = async {
            let proof = engine.groth16(&key, &assignment, &());
            let proof = tokio::time::timeout(PATIENCE, proof).await;
            ended.store(true, std::sync::atomic::Ordering::Relaxed);
            proof.unwrap().unwrap();
        };
        let others = async |queue: usize| {
            while !ended.load(std::sync::atomic::Ordering::Relaxed) {
                let data = [7; 4 << 10];
                let written = card.queue(queue).submit_bytes(&data, &region);
                if let Ok(written) = tokio::time::timeout(PATIENCE, written).await {
                    written.await.result.unwrap();
                }
            }
        };
        tokio::join!(proof, others(0), others(1));
    }
}

/// Wherever it is dropped, its blocks end, and memory of host and card comes back overwritten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_that_is_dropped_leaves_nothing() {
    let (key, constraints) = chain(HBasis::Odd, MORE_BLOCKS);
    let (expected, _) = proof(
        &CpuEngine::new(),
        &key,
        &lazy(&constraints, MORE_BLOCKS, &[]),
    )
    .await;
    for kind in KINDS {
        let (_model, engine) = card(kind, SMALL).await;
        engine.load_key(&key).await.unwrap();
        let kept = engine.resident_keys().await[0].bytes;
        let lent = engine.card().memory_use().lent;
        for micros in [0, 300, 3_000, 10_000, 30_000, 60_000] {
            let assignment = lazy(&constraints, MORE_BLOCKS, &[]);
            let proof = engine.groth16(&key, &assignment, &());
            let _ = tokio::time::timeout(Duration::from_micros(micros), proof).await;
            until("a thread computes on", || is_alone(&assignment)).await;
            until("host memory is kept", || {
                engine.card().memory_use().lent == lent
            })
            .await;
        }
        let (found, _) = proof(&*engine, &key, &lazy(&constraints, MORE_BLOCKS, &[])).await;
        assert_eq!(found, expected);
        assert_eq!(engine.card().touched_memory(), kept);
    }
}

/// A card that refuses a part of A, and one that leaves in the middle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_that_fails_under_the_rows_ends_them() {
    let (key, constraints) = chain(HBasis::Odd, MORE_BLOCKS);
    let assignment = lazy(&constraints, MORE_BLOCKS, &[]);
    for kind in KINDS {
        let (model, engine) = card(kind, SMALL).await;
        engine.load_key(&key).await.unwrap();
        let address = engine.resident_keys().await[0].bytes + (32 << (MORE_BLOCKS - 1));
        model.fault_memory(Some(MemoryFault {
            address,
            bytes: (1 << 26) - address,
            reads: false,
            writes: true,
        }));
        let before = engine.card().counters().unwrap().butterflies;
        let error = engine.groth16(&key, &assignment, &()).await.unwrap_err();
        let EngineError::Card { step, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(*step, Some(Phase::Load), "{error}");
        assert!(error.to_string().contains("CARD_WRITE"), "{error}");
        assert!(is_alone(&assignment), "a thread computes on");
        assert_eq!(engine.card().counters().unwrap().butterflies, before);
        model.fault_memory(None);
        let (expected, _) = CpuEngine::new()
            .groth16(&key, &assignment, &())
            .await
            .unwrap();
        assert_eq!(
            engine.groth16(&key, &assignment, &()).await.unwrap().0,
            expected
        );

        let proof = engine.groth16(&key, &assignment, &());
        let leave = async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            model.unplug();
        };
        let (ended, ()) = tokio::join!(tokio::time::timeout(PATIENCE, proof), leave);
        let error = ended.unwrap().unwrap_err();
        assert!(matches!(error, EngineError::Card { .. }), "{error}");
        assert!(is_alone(&assignment), "a thread computes on");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_circuit_is_refused() {
    let (key, constraints) = chain(HBasis::Odd, 6);
    let make = || witness(&constraints, Chain::new(5, &[]));
    let error = prove_with(&CpuEngine::new(), &key, make, &()).await;
    assert!(
        matches!(error, Err(Groth16Error::CircuitMismatch { .. })),
        "{error:?}"
    );
    // Recorded constraints of another circuit than the key's.
    let other = Arc::new(Constraints::record(|| SquareChain::blank(5)).unwrap());
    let make = || witness(&other, SquareChain::with_witness(5, 1));
    let error = prove_with(&CpuEngine::new(), &key, make, &()).await;
    assert!(
        matches!(error, Err(Groth16Error::CircuitMismatch { .. })),
        "{error:?}"
    );
    // No witness.
    let make = || witness(&constraints, Chain::blank(6));
    let error = prove_with(&CpuEngine::new(), &key, make, &()).await;
    assert!(
        matches!(error, Err(Groth16Error::Synthesis(_))),
        "{error:?}"
    );
}
