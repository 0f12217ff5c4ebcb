//! A card that fails under the engine: clear errors, and the next job runs.
//!
//! Over the functional model, whose faults are switched on and off; the driver's own fault tests
//! cover the protocol below.

use std::sync::Arc;

use carillon_driver::{Card, CardConfig, ResetLevel};
use carillon_runtime::card::CardEngine;
use carillon_runtime::cpu::CpuEngine;
use carillon_runtime::engine::{EngineOptions, open_lasting};
use carillon_runtime::groth16::{Assignment, ProvingKey, setup, synthesize};
use carillon_runtime::progress::Phase;
use carillon_runtime::{Engine, EngineError, EngineKind, ProgressEvent};
use carillon_sim::card::SimCard;
use carillon_sim::memory::MemoryFault;
use carillon_sim::model::{ModelCard, ModelOptions};
use carillon_sim::vfio_user::Server;
use carillon_workload::{Distribution, SquareChain};

use super::common::rng;

/// Cards with and without `MSM_G2`, and the KiB that a key of [`job`] takes in their memory: about 24
/// for the queries in G1 and 12 for that in G2.
const CARDS: [(bool, u64); 2] = [(false, 24), (true, 36)];

async fn engine(memory_bytes: u64) -> (Arc<ModelCard>, CardEngine) {
    engine_with(memory_bytes, true, CardConfig::default()).await
}

/// A card for so many keys and some more KiB.
async fn card_for(
    (msm_g2, key): (bool, u64),
    keys: u64,
    more: u64,
) -> (Arc<ModelCard>, CardEngine) {
    engine_with((keys * key + more) << 10, msm_g2, CardConfig::default()).await
}

async fn engine_with(
    memory_bytes: u64,
    msm_g2: bool,
    config: CardConfig,
) -> (Arc<ModelCard>, CardEngine) {
    let options = ModelOptions {
        memory_bytes,
        msm_g2,
        ..ModelOptions::default()
    };
    let model = Arc::new(ModelCard::new(options).unwrap());
    let card = Card::open(Arc::clone(&model) as _, config).await.unwrap();
    (model, CardEngine::new("faulty", card))
}

fn job(seed: u64) -> (Arc<ProvingKey>, Arc<Assignment>) {
    job_of(6, seed)
}

fn job_of(log2: u32, seed: u64) -> (Arc<ProvingKey>, Arc<Assignment>) {
    let key = setup(SquareChain::blank(log2), &mut rng(seed)).unwrap();
    let assignment = synthesize(SquareChain::with_witness(log2, seed)).unwrap();
    (Arc::new(key), Arc::new(assignment))
}

/// The engine's sums equal the CPU's.
async fn proves(engine: &CardEngine, (key, assignment): &(Arc<ProvingKey>, Arc<Assignment>)) {
    let (expected, _) = CpuEngine::new()
        .groth16(key, assignment, &())
        .await
        .unwrap();
    let (found, _) = engine.groth16(key, assignment, &()).await.unwrap();
    assert_eq!(found, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bus_error_is_reported_and_the_next_job_runs() {
    let (model, engine) = engine(1 << 20).await;
    let bases = carillon_workload::g1_bases(8, 1);
    let scalars = carillon_workload::scalars(8, Distribution::Uniform, 1);
    let everything = MemoryFault {
        address: 0,
        bytes: 1 << 20,
        reads: true,
        writes: false,
    };
    model.fault_memory(Some(everything));
    let error = engine.msm_g1(&bases, &scalars).await.unwrap_err();
    assert!(
        matches!(
            &error,
            EngineError::Card {
                operation: "msm_g1",
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("faulty"), "{error}");
    model.fault_memory(None);
    let (expected, _) = CpuEngine::new().msm_g1(&bases, &scalars).await.unwrap();
    assert_eq!(engine.msm_g1(&bases, &scalars).await.unwrap().0, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_lost_in_a_reset_is_written_again() {
    let (_model, engine) = engine(1 << 20).await;
    let job = job(1);
    proves(&engine, &job).await;
    engine.card().reset(ResetLevel::Function).await.unwrap();
    proves(&engine, &job).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_keys_are_evicted_for_one_another() {
    let (one, two) = (job(1), job(2));
    for kind in CARDS {
        // Capacity for one key and one job of about 13 KiB, not for two keys.
        let (_model, small) = card_for(kind, 1, 16).await;
        for job in [&one, &two, &one] {
            proves(&small, job).await;
        }
        // Two small keys leave no space for a job: the idle one goes.
        let (_model, engine) = card_for(kind, 2, 8).await;
        engine.load_key(&one.0).await.unwrap();
        engine.load_key(&two.0).await.unwrap();
        proves(&engine, &one).await;
    }
}

/// A key and a job of about 13 KiB fit, not a second job: the others wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_wait_for_card_memory() {
    for kind in CARDS {
        jobs_wait_on(kind).await;
    }
}

async fn jobs_wait_on(kind: (bool, u64)) {
    let (_model, engine) = card_for(kind, 1, 16).await;
    let (one, two) = (job(1), job(2));
    let bases = carillon_workload::g1_bases(200, 1);
    let scalars = carillon_workload::scalars(200, Distribution::Uniform, 1);
    let (expected, _) = CpuEngine::new().msm_g1(&bases, &scalars).await.unwrap();
    // 25 KiB for the sum: it waits for proofs, and the keys are evicted for it.
    let sum = async {
        let (sum, _) = engine.msm_g1(&bases, &scalars).await.unwrap();
        assert_eq!(sum, expected);
    };
    // 44 KiB, on the card or on the CPU.
    let bases_g2 = carillon_workload::g2_bases(200, 1);
    let (expected, _) = CpuEngine::new().msm_g2(&bases_g2, &scalars).await.unwrap();
    let sum_g2 = async {
        let (sum, _) = engine.msm_g2(&bases_g2, &scalars).await.unwrap();
        assert_eq!(sum, expected);
    };
    tokio::join!(
        proves(&engine, &one),
        proves(&engine, &one),
        proves(&engine, &two),
        sum,
        sum_g2,
        proves(&engine, &one),
        proves(&engine, &two),
    );
}

/// Commands of a proof that was given up hold their memory until they end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_given_up_frees_its_memory_for_the_next() {
    let job = job(1);
    for kind in CARDS {
        let (_model, engine) = card_for(kind, 1, 16).await;
        for micros in [0, 50, 200, 1000, 3000] {
            let proof = engine.groth16(&job.0, &job.1, &());
            let limit = std::time::Duration::from_micros(micros);
            let _ = tokio::time::timeout(limit, proof).await;
            proves(&engine, &job).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shortage_takes_no_more_keys_than_it_must() {
    for kind in CARDS {
        a_shortage_on(kind).await;
    }
}

async fn a_shortage_on(kind: (bool, u64)) {
    // Three keys, not four.
    let (_model, engine) = card_for(kind, 3, 4).await;
    let jobs = [job(1), job(2), job(3), job(4)];
    for (key, _) in &jobs[..3] {
        engine.load_key(key).await.unwrap();
    }
    // Used again: the second is now the one used least recently.
    engine.load_key(&jobs[0].0).await.unwrap();
    engine.load_key(&jobs[3].0).await.unwrap();
    let mut written = Vec::new();
    for index in [0, 2, 3, 1] {
        let cost = engine.load_key(&jobs[index].0).await.unwrap().card.unwrap();
        written.push(cost.commands > 0);
    }
    assert_eq!(written, [false, false, false, true]);
}

/// A card behind a socket goes and comes back: the engine says so meanwhile, and works again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_that_comes_back_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("card.sock");
    let serve = || {
        let card = Arc::new(ModelCard::new(ModelOptions::default()).unwrap());
        let server = Server::start(&socket, Arc::clone(&card) as Arc<dyn SimCard>).unwrap();
        (card, server)
    };
    let first = serve();
    let kind = EngineKind::VfioUser(socket.clone());
    let engine = open_lasting(kind, EngineOptions::default()).await.unwrap();
    let (key, assignment) = job(1);
    let (expected, _) = engine.groth16(&key, &assignment, &()).await.unwrap();
    engine.ready().await.unwrap();

    first.0.unplug();
    drop(first);
    let error = engine.groth16(&key, &assignment, &()).await.unwrap_err();
    assert!(
        error.needs_reopening() || matches!(error, EngineError::Down { .. }),
        "{error}"
    );
    for _ in 0..3 {
        let error = engine.ready().await.unwrap_err();
        assert!(matches!(error, EngineError::Down { .. }), "{error}");
        let error = engine.groth16(&key, &assignment, &()).await.unwrap_err();
        assert!(error.to_string().contains("is opened again"), "{error}");
    }

    let _second = serve();
    let started = std::time::Instant::now();
    while let Err(error) = engine.ready().await {
        let waited = started.elapsed();
        assert!(waited < std::time::Duration::from_secs(60), "{error}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let (found, _) = engine.groth16(&key, &assignment, &()).await.unwrap();
    assert_eq!(found, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_that_is_too_small_says_so_and_stays_usable() {
    let (_model, engine) = engine(16 << 10).await;
    let (key, assignment) = job(1);
    let error = engine.groth16(&key, &assignment, &()).await.unwrap_err();
    assert!(
        matches!(
            error,
            EngineError::CardMemory {
                operation: "groth16",
                total: 16384,
                ..
            }
        ),
        "{error}"
    );
    let bases = carillon_workload::g1_bases(8, 1);
    let scalars = carillon_workload::scalars(8, Distribution::Uniform, 1);
    engine.msm_g1(&bases, &scalars).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_that_leaves_ends_its_jobs() {
    let (model, engine) = engine(1 << 20).await;
    model.unplug();
    let bases = carillon_workload::g1_bases(8, 1);
    let scalars = carillon_workload::scalars(8, Distribution::Uniform, 1);
    let error = engine.msm_g1(&bases, &scalars).await.unwrap_err();
    assert!(matches!(error, EngineError::Card { .. }), "{error}");
}

/// Operands and keys larger than the DMA memory stream through it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_smaller_than_the_job_is_enough() {
    let config = CardConfig {
        host_memory_limit: 256 << 10,
        ..CardConfig::default()
    };
    let (_model, engine) = engine_with(64 << 20, true, config).await;
    // A key of 2.3 MiB, and transforms of 1 MiB each way.
    proves(&engine, &job_of(12, 1)).await;
    let scalars = carillon_workload::scalars(1 << 15, Distribution::Uniform, 1);
    let (mut found, mut expected) = (scalars.clone(), scalars);
    let kind = carillon_runtime::engine::NttKind::Forward;
    engine.ntt(&mut found, kind).await.unwrap();
    CpuEngine::new().ntt(&mut expected, kind).await.unwrap();
    assert_eq!(found, expected);
    assert!(engine.card().memory_use().mapped <= 2 * (256 << 10));
}

/// After a proof card memory holds nothing of it, while the card is still open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_leaves_nothing_in_card_memory() {
    let (_model, engine) = engine(1 << 20).await;
    let job = job(1);
    proves(&engine, &job).await;
    // The key alone is left, until it is given up.
    let keys = engine.resident_keys().await;
    assert_eq!(engine.card().touched_memory(), keys[0].bytes);
    engine.unload_key(&job.0).await.unwrap();
    assert_eq!(engine.card().touched_memory(), 0);
    // Single operations are overwritten when the card is closed.
    let mut scalars = carillon_workload::scalars(64, Distribution::Uniform, 1);
    let kind = carillon_runtime::engine::NttKind::Forward;
    engine.ntt(&mut scalars, kind).await.unwrap();
    assert!(engine.card().touched_memory() >= 3 * 64 * 32);
}

/// A proof whose future is dropped gives the card to the next at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_proof_frees_the_card() {
    let (_model, engine) = engine(64 << 20).await;
    let engine = Arc::new(engine);
    let (key, assignment) = job_of(14, 1);
    engine.load_key(&key).await.unwrap();
    let before = engine.card().counters().unwrap().butterflies;
    let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
    let task = {
        let (engine, key) = (Arc::clone(&engine), Arc::clone(&key));
        tokio::spawn(async move { engine.groth16(&key, &assignment, &sender).await.map(drop) })
    };
    let transforming = |event: &ProgressEvent| matches!(event, ProgressEvent::Started { phase, .. } if *phase == Phase::Ntt);
    while !transforming(&events.recv().await.unwrap()) {}
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while engine.card().queue(0).outstanding() > 0 {
        assert!(std::time::Instant::now() < end, "the card is kept");
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    let done = engine.card().counters().unwrap().butterflies - before;
    let each = 14 << 13;
    assert!(done <= 3 * each, "{done} butterflies, {each} a transform");
    proves(&engine, &job(2)).await;
}
