//! A proof as one chain, and what it and its key leave in card memory.
//!
//! Over the functional model, with and without `LINK` and `FILL`.

use std::sync::Arc;

use carillon_driver::{Card, CardConfig};
use carillon_runtime::card::CardEngine;
use carillon_runtime::cpu::CpuEngine;
use carillon_runtime::groth16::{Assignment, ProvingKey, setup, synthesize};
use carillon_runtime::image;
use carillon_runtime::progress::{Phase, ProgressEvent};
use carillon_runtime::{Engine, EngineError};
use carillon_sim::memory::MemoryFault;
use carillon_sim::model::{ModelCard, ModelOptions};
use carillon_workload::{Distribution, SquareChain};

use super::common::rng;

/// Cards with the flag and the command, with one of them, and with neither.
const CARDS: [(bool, bool); 4] = [(true, true), (true, false), (false, true), (false, false)];

async fn card((link, fill): (bool, bool), memory_bytes: u64) -> (Arc<ModelCard>, CardEngine) {
    let options = ModelOptions {
        memory_bytes,
        link,
        fill,
        ..ModelOptions::default()
    };
    let model = Arc::new(ModelCard::new(options).unwrap());
    let card = Card::open(Arc::clone(&model) as _, CardConfig::default())
        .await
        .unwrap();
    (model, CardEngine::new("model", card))
}

fn job(log2: u32, seed: u64) -> (Arc<ProvingKey>, Arc<Assignment>) {
    let key = setup(SquareChain::blank(log2), &mut rng(seed)).unwrap();
    let assignment = synthesize(SquareChain::with_witness(log2, seed)).unwrap();
    (Arc::new(key), Arc::new(assignment))
}

async fn proves(engine: &CardEngine, (key, assignment): &(Arc<ProvingKey>, Arc<Assignment>)) {
    let (expected, _) = CpuEngine::new()
        .groth16(key, assignment, &())
        .await
        .unwrap();
    let (found, _) = engine.groth16(key, assignment, &()).await.unwrap();
    assert_eq!(found, expected);
}

/// What somebody finds who takes all of card memory that is free now.
async fn found(engine: &CardEngine) -> Vec<u8> {
    let card = engine.card();
    let (_, largest) = card.free_memory();
    // To look at it is not to touch it.
    let region = card.allocate_public(largest).unwrap();
    let buffer = card.buffer_from_card(largest as usize).unwrap();
    let (_, buffer) = card.queue(0).read(&region, buffer).await.ok().unwrap();
    buffer.to_vec()
}

/// The address of a key's regions on a card that was empty: of A, B1, L, H and B2, in this order.
fn addresses(key: &ProvingKey) -> [u64; 5] {
    let sizes = [&key.a, &key.b1, &key.l, &key.h].map(|query| image::bytes(query).len() as u64);
    let mut at = [0; 5];
    for (index, bytes) in sizes.into_iter().enumerate() {
        at[index + 1] = at[index] + bytes.next_multiple_of(64);
    }
    at
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_ends_the_proof_and_is_named() {
    for kind in CARDS {
        let job = job(6, 1);
        let (key, assignment) = &job;
        let [a, b1, l, h, b2] = addresses(key);
        for (address, step) in [
            (h, Phase::H),
            (l, Phase::L),
            (a, Phase::A),
            (b1, Phase::B1),
            (b2, Phase::B2),
        ] {
            let (model, engine) = card(kind, 1 << 20).await;
            engine.load_key(key).await.unwrap();
            model.fault_memory(Some(MemoryFault {
                address,
                bytes: 64,
                reads: true,
                writes: false,
            }));
            let (events, mut received) = tokio::sync::mpsc::unbounded_channel();
            let error = engine.groth16(key, assignment, &events).await.unwrap_err();
            drop(events);
            let EngineError::Card { step: at, .. } = &error else {
                panic!("{error}");
            };
            assert_eq!(*at, Some(step), "{error}");
            let text = error.to_string();
            assert!(text.contains(&format!("at {}", step.name())), "{text}");
            assert!(text.contains("CARD_READ"), "the first failure: {text}");
            while let Some(event) = received.recv().await {
                if let ProgressEvent::Finished { phase, .. } = event {
                    assert!(phase < step, "{phase:?} has ended behind {step:?}");
                }
            }
            model.fault_memory(None);
            proves(&engine, &job).await;
        }
    }
}

/// The card does not compute behind a command that failed, where it has chains.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_computed_behind_a_failure() {
    let (key, assignment) = job(6, 1);
    let (model, engine) = card((true, true), 1 << 20).await;
    engine.load_key(&key).await.unwrap();
    // All behind the key: a repetition finds no better place.
    let address = engine.resident_keys().await[0].bytes;
    model.fault_memory(Some(MemoryFault {
        address,
        bytes: (1 << 20) - address,
        reads: false,
        writes: true,
    }));
    let before = engine.card().counters().unwrap().butterflies;
    let error = engine.groth16(&key, &assignment, &()).await.unwrap_err();
    let step = match &error {
        EngineError::Card { step, .. } => *step,
        other => panic!("{other}"),
    };
    assert_eq!(step, Some(Phase::Load));
    assert_eq!(engine.card().counters().unwrap().butterflies, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_stays_and_can_be_asked_for() {
    let (one, two) = (job(6, 1), job(5, 2));
    let (_model, engine) = card((true, true), 1 << 20).await;
    assert_eq!(engine.resident_keys().await, []);
    proves(&engine, &one).await;
    engine.load_key(&two.0).await.unwrap();
    let names = async || {
        let keys = engine.resident_keys().await;
        assert!(keys.iter().all(|key| !key.in_use && key.bytes % 64 == 0));
        keys.into_iter().map(|key| key.circuit).collect::<Vec<_>>()
    };
    let [first, second] = [&one, &two].map(|(key, _)| key.circuit.to_string());
    assert_eq!(names().await, [first.clone(), second.clone()]);
    // Used again, it is the last.
    proves(&engine, &one).await;
    assert_eq!(names().await, [second, first.clone()]);
    engine.unload_key(&two.0).await.unwrap();
    assert_eq!(names().await, [first]);
    let cost = engine.load_key(&one.0).await.unwrap().card.unwrap();
    assert_eq!(cost.commands, 0, "it is still there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_given_up_leaves_nothing() {
    for kind in CARDS {
        let job = job(6, 1);
        let (_model, engine) = card(kind, 1 << 20).await;
        proves(&engine, &job).await;
        let kept = engine.resident_keys().await[0].bytes;
        assert_eq!(engine.card().touched_memory(), kept);
        let before = engine.card().counters().unwrap().host_read;
        engine.unload_key(&job.0).await.unwrap();
        let read = engine.card().counters().unwrap().host_read - before;
        // By FILL the commands alone cross the bus.
        assert_eq!(read < kept, kind.1, "{read} bytes for {kept}");
        assert_eq!(engine.card().touched_memory(), 0);
        assert!(found(&engine).await.iter().all(|&byte| byte == 0));

        // While a proof uses it, it stays; it goes with the proof.
        let proof = proves(&engine, &job);
        let unload = async {
            while engine.resident_keys().await.is_empty() {
                tokio::task::yield_now().await;
            }
            engine.unload_key(&job.0).await.unwrap();
        };
        tokio::join!(proof, unload);
        assert_eq!(engine.resident_keys().await, []);
        assert_eq!(engine.card().touched_memory(), 0);
    }
}

/// Another owner gets an evicted key's memory, and finds nothing there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_evicted_key_leaves_nothing() {
    for kind in CARDS {
        let job = job(6, 1);
        // The key takes 36 KiB.
        let (_model, engine) = card(kind, 64 << 10).await;
        engine.load_key(&job.0).await.unwrap();
        // A sum that finds no place beside it, and does not reach its end when it is gone.
        const TERMS: usize = 230;
        let (taken, key) = (
            TERMS * (96 + 32) + 192,
            engine.resident_keys().await[0].bytes,
        );
        assert!((taken as u64) < key && taken as u64 > (64 << 10) - key);
        let end = image::bytes(&job.0.b2);
        assert!(
            end[end.len() - 192..].iter().any(|&byte| byte != 0),
            "it has an end"
        );
        let bases = carillon_workload::g1_bases(TERMS, 1);
        let scalars = carillon_workload::scalars(TERMS, Distribution::Uniform, 1);
        engine.msm_g1(&bases, &scalars).await.unwrap();
        assert_eq!(engine.resident_keys().await, [], "evicted");
        let found = found(&engine).await;
        // Behind the operands of the sum, where the key's end was.
        assert!(found[taken..].iter().all(|&byte| byte == 0));
    }
}

/// What cannot be overwritten is kept from others until it can; all else is overwritten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_beat_leaves_no_more_than_its_region() {
    for kind in CARDS {
        let job = job(6, 1);
        let (model, engine) = card(kind, 1 << 20).await;
        proves(&engine, &job).await;
        let key = engine.resident_keys().await[0].bytes;
        let free = engine.card().free_memory().0;
        // In the second polynomial, behind the key.
        let polynomial = 64 * 32;
        model.fault_memory(Some(MemoryFault {
            address: key + polynomial,
            bytes: 64,
            reads: false,
            writes: true,
        }));
        // Repeated, the proof gets another place.
        proves(&engine, &job).await;
        let left = engine.card().touched_memory() - key;
        assert!((1..=polynomial).contains(&left), "{left} bytes");
        assert_eq!(engine.card().free_memory().0, free - polynomial);
        model.fault_memory(None);
        proves(&engine, &job).await;
        assert_eq!(engine.card().touched_memory(), key);
        assert_eq!(engine.card().free_memory().0, free, "overwritten and free");
    }
}

/// A proof whose future is dropped leaves its memory to be overwritten before others get it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_that_is_given_up_leaves_nothing() {
    for kind in CARDS {
        let (key, assignment) = job(11, 1);
        let (_model, engine) = card(kind, 4 << 20).await;
        let engine = Arc::new(engine);
        engine.load_key(&key).await.unwrap();
        let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
        let task = {
            let (engine, key) = (Arc::clone(&engine), Arc::clone(&key));
            tokio::spawn(async move { engine.groth16(&key, &assignment, &sender).await.map(drop) })
        };
        while !matches!(
            events.recv().await.unwrap(),
            ProgressEvent::Started {
                phase: Phase::Ntt,
                ..
            }
        ) {}
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        let kept = engine.resident_keys().await[0].bytes;
        assert!(engine.card().touched_memory() > kept);
        let (free, _) = engine.card().free_memory();
        assert!(free < (4 << 20) - kept, "it is nobody's yet");
        engine.unload_key(&key).await.unwrap();
        assert_eq!(engine.card().touched_memory(), 0);
        assert_eq!(engine.card().free_memory().0, 4 << 20);
        assert!(found(&engine).await.iter().all(|&byte| byte == 0));
    }
}

/// A proof that fails leaves no witness behind either, while the card is open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_that_fails_leaves_nothing() {
    for kind in CARDS {
        let (key, assignment) = job(6, 1);
        let (model, engine) = card(kind, 1 << 20).await;
        engine.load_key(&key).await.unwrap();
        let [.., b2] = addresses(&key);
        model.fault_memory(Some(MemoryFault {
            address: b2,
            bytes: 64,
            reads: true,
            writes: false,
        }));
        engine.groth16(&key, &assignment, &()).await.unwrap_err();
        model.fault_memory(None);
        let kept = engine.resident_keys().await[0].bytes;
        assert_eq!(engine.card().touched_memory(), kept);
        engine.unload_key(&key).await.unwrap();
        assert!(found(&engine).await.iter().all(|&byte| byte == 0));
    }
}
