//! Two proofs on one card at once: right, seen to overlap, and one after the other where memory is short.
//!
//! Over the functional model, whose queues run in threads of their own.

use std::sync::Arc;

use carillon_driver::{Card, CardConfig, ResetLevel};
use carillon_runtime::card::CardEngine;
use carillon_runtime::cpu::CpuEngine;
use carillon_runtime::engine::Groth16Stats;
use carillon_runtime::groth16::{
    Assignment, Groth16Error, ProvingKey, prove_assignment, prove_each, setup, synthesize, verify,
};
use carillon_runtime::image;
use carillon_runtime::progress::{Phase, ProgressEvent};
use carillon_runtime::{Engine, EngineError, Overlap, ProgressSink};
use carillon_sim::memory::MemoryFault;
use carillon_sim::model::{ModelCard, ModelOptions};
use carillon_workload::SquareChain;
use tokio::sync::mpsc::UnboundedReceiver;

use super::common::rng;

type Job = (Arc<ProvingKey>, Arc<Assignment>);

async fn card(memory_bytes: u64) -> (Arc<ModelCard>, Arc<CardEngine>) {
    let options = ModelOptions {
        memory_bytes,
        ..ModelOptions::default()
    };
    let model = Arc::new(ModelCard::new(options).unwrap());
    let card = Card::open(Arc::clone(&model) as _, CardConfig::default())
        .await
        .unwrap();
    (model, Arc::new(CardEngine::new("model", card)))
}

fn job(log2: u32, seed: u64) -> Job {
    let key = setup(SquareChain::blank(log2), &mut rng(seed)).unwrap();
    let assignment = synthesize(SquareChain::with_witness(log2, seed)).unwrap();
    (Arc::new(key), Arc::new(assignment))
}

/// A proof with blinding of its own, as bytes.
async fn bytes(engine: &dyn Engine, (key, assignment): &Job, seed: u64) -> Vec<u8> {
    let proof = prove_assignment(engine, key, assignment, &mut rng(seed), &()).await;
    proof.unwrap().0.to_bytes().to_vec()
}

fn overlap(stats: &Groth16Stats) -> Overlap {
    stats.total().card.unwrap().overlap
}

/// A proof in a task of its own, and what it says meanwhile.
fn begin(
    engine: &Arc<CardEngine>,
    (key, assignment): &Job,
) -> (
    tokio::task::JoinHandle<Result<Groth16Stats, EngineError>>,
    UnboundedReceiver<ProgressEvent>,
) {
    let (sender, events) = tokio::sync::mpsc::unbounded_channel();
    let (engine, key, assignment) = (Arc::clone(engine), Arc::clone(key), Arc::clone(assignment));
    let task = tokio::spawn(async move {
        let proved = engine.groth16(&key, &assignment, &sender).await;
        proved.map(|(_, stats)| stats)
    });
    (task, events)
}

/// Waits until a proof's transfers have ended.
async fn transforming(events: &mut UnboundedReceiver<ProgressEvent>) {
    let begins = |event: &ProgressEvent| matches!(event, ProgressEvent::Started { phase, .. } if *phase == Phase::Ntt);
    while !begins(&events.recv().await.unwrap()) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_at_once_give_the_bytes_of_one_after_another() {
    let jobs = [job(9, 1), job(9, 2), job(7, 3)];
    let (_one, alone) = card(1 << 26).await;
    let (_two, both) = card(1 << 26).await;
    assert_eq!(both.info().proofs_at_once, 2);
    let mut expected = Vec::new();
    for (seed, job) in jobs.iter().enumerate() {
        expected.push(bytes(&*alone, job, seed as u64).await);
        let (key, assignment) = job;
        assert_eq!(
            expected[seed],
            bytes(&CpuEngine::new(), job, seed as u64).await
        );
        verify(
            &key.vk,
            assignment.public_inputs(),
            &carillon_runtime::groth16::Proof::from_bytes(&expected[seed]).unwrap(),
        )
        .unwrap();
    }
    for _ in 0..4 {
        let engine: &CardEngine = &both;
        let [one, two, three] = &jobs;
        let (one, two, three, again) = tokio::join!(
            bytes(engine, one, 0),
            bytes(engine, two, 1),
            bytes(engine, three, 2),
            bytes(engine, one, 0),
        );
        assert_eq!([&one, &two, &three], [0, 1, 2].map(|i| &expected[i]));
        assert_eq!(again, expected[0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_overlaps_is_seen() {
    let (long, short) = (job(15, 1), job(6, 2));
    let (_model, engine) = card(1 << 27).await;
    for (key, _) in [&long, &short] {
        engine.load_key(key).await.unwrap();
    }
    // Alone nothing overlaps.
    let (_, stats) = engine.groth16(&short.0, &short.1, &()).await.unwrap();
    assert_eq!(overlap(&stats), Overlap::default());
    let (first, mut events) = begin(&engine, &long);
    transforming(&mut events).await;
    // All of the second runs beside the sums and transforms of the first.
    let (second, _events) = begin(&engine, &short);
    let stats = second.await.unwrap().unwrap();
    assert!(!first.is_finished(), "the first is still under way");
    let (total, seen) = (stats.total().card.unwrap(), overlap(&stats));
    assert_eq!(seen.bytes, total.bytes_to_card);
    // But for the read of the results, which is nobody's computing.
    assert_eq!(seen.commands, total.commands - 1);
    assert_eq!(seen.memory_waits, 0);
    first.await.unwrap().unwrap();
}

/// Memory for a key and one job of 13 KiB: the proofs take turns, and say so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn short_of_memory_they_run_one_after_another() {
    let job = job(6, 1);
    for (memory, at_once) in [(52 << 10, false), (80 << 10, true)] {
        let (_model, engine) = card(memory).await;
        engine.load_key(&job.0).await.unwrap();
        let (expected, _) = CpuEngine::new().groth16(&job.0, &job.1, &()).await.unwrap();
        let proof = || engine.groth16(&job.0, &job.1, &());
        // Polled one after the other, so that the second asks while the first has its memory.
        let (one, two, three) = tokio::join!(proof(), proof(), proof());
        let mut waits = 0;
        for proved in [one, two, three] {
            let (points, stats) = proved.unwrap();
            assert_eq!(points, expected);
            let seen = overlap(&stats);
            assert!(at_once || seen.bytes == 0, "nothing overlaps");
            waits += seen.memory_waits;
        }
        assert_eq!(waits > 0, !at_once, "{waits} waits");
        assert_eq!(engine.resident_keys().await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_fails_leaves_the_other_right() {
    let (good, bad) = (job(11, 1), job(6, 2));
    let (model, engine) = card(1 << 26).await;
    let expected = bytes(&CpuEngine::new(), &good, 5).await;
    engine.load_key(&bad.0).await.unwrap();
    engine.load_key(&good.0).await.unwrap();
    // The sum in G2 of the bad one, whose key lies first.
    let before = [&bad.0.a, &bad.0.b1, &bad.0.l, &bad.0.h];
    let sizes = before.map(|query| (image::bytes(query).len() as u64).next_multiple_of(64));
    model.fault_memory(Some(MemoryFault {
        address: sizes.iter().sum(),
        bytes: 64,
        reads: true,
        writes: false,
    }));
    let (found, failed) = tokio::join!(
        bytes(&*engine, &good, 5),
        engine.groth16(&bad.0, &bad.1, &()),
    );
    assert_eq!(found, expected);
    let step = match failed.unwrap_err() {
        EngineError::Card { step, .. } => step,
        other => panic!("{other}"),
    };
    assert_eq!(step, Some(Phase::B2));
    model.fault_memory(None);
    engine.groth16(&bad.0, &bad.1, &()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_given_up_leaves_the_other_right() {
    let (kept, dropped) = (job(11, 1), job(14, 2));
    let (_model, engine) = card(1 << 26).await;
    let expected = bytes(&CpuEngine::new(), &kept, 5).await;
    for (key, _) in [&kept, &dropped] {
        engine.load_key(key).await.unwrap();
    }
    let (task, mut events) = begin(&engine, &dropped);
    transforming(&mut events).await;
    let proof = bytes(&*engine, &kept, 5);
    let give_up = async {
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    };
    let (found, ()) = tokio::join!(proof, give_up);
    assert_eq!(found, expected);
    // Both lanes are there again.
    let engine: &CardEngine = &engine;
    let again = tokio::join!(bytes(engine, &kept, 5), bytes(engine, &kept, 5));
    assert_eq!(again, (expected.clone(), expected));
}

/// Each of two proofs finds out by itself that a reset has lost card memory; neither forgets what the other has written since.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_under_two_proofs_loses_nothing_but_time() {
    let (one, two) = (job(11, 1), job(12, 2));
    let (_model, engine) = card(1 << 26).await;
    let cpu = CpuEngine::new();
    let expected = (bytes(&cpu, &one, 5).await, bytes(&cpu, &two, 5).await);
    for _ in 0..3 {
        for (key, _) in [&one, &two] {
            engine.load_key(key).await.unwrap();
        }
        let (task, mut events) = begin(&engine, &two);
        transforming(&mut events).await;
        let reset = async {
            engine.card().reset(ResetLevel::Function).await.unwrap();
        };
        let (found, ()) = tokio::join!(bytes(&*engine, &one, 5), reset);
        assert_eq!(found, expected.0);
        task.await.unwrap().unwrap();
        assert_eq!(bytes(&*engine, &two, 5).await, expected.1);
        // One copy of each key, all of it known, and nothing else.
        let keys: u64 = engine
            .resident_keys()
            .await
            .iter()
            .map(|key| key.bytes)
            .sum();
        let info = engine.card().info();
        assert_eq!(engine.card().free_memory().0, info.memory_bytes - keys);
    }
}

/// Several proofs begin in order, and each has its answer, whatever becomes of the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_are_proved_in_order() {
    let (key, _) = job(7, 1);
    let (_model, engine) = card(1 << 26).await;
    let engine: Arc<dyn Engine> = engine;
    let progress: Arc<dyn ProgressSink> = Arc::new(());
    let mut circuits: Vec<_> = (0..5)
        .map(|seed| SquareChain::with_witness(7, seed))
        .collect();
    // One has no witness.
    circuits[2] = SquareChain::blank(7);
    let ends: Vec<_> = circuits.iter().map(SquareChain::end).collect();
    let proved = prove_each(&engine, &key, circuits, &progress).await;
    assert_eq!(proved.len(), 5);
    for (index, (proved, end)) in proved.into_iter().zip(ends).enumerate() {
        match proved {
            Ok((proof, _)) => verify(&key.vk, &[end.unwrap()], &proof).unwrap(),
            Err(error) => {
                assert_eq!(index, 2, "{error}");
                assert!(!matches!(error, Groth16Error::Engine(_)), "{error}");
            }
        }
    }
}
