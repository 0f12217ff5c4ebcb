//! `carillon-node demo`: deposits on Ethereum, signed operations on the rollup, one proof, one blob
//! transaction; then a withdrawal and a bundle on Ethereum.
//!
//! The order is that of the real thing. Nothing is printed as true that was not checked: roots and
//! balances are read back from the contracts, the batch is recomputed from its public data, and
//! forgeries must be refused for their reason.

mod figures;
mod plan;
mod report;
#[cfg(test)]
mod same_proof;
mod settlement;
mod story;
mod world;

use std::sync::Arc;
use std::time::Instant;

use carillon_circuit::rollup::{RollupCircuit, circuit_of, synthesize};
use carillon_protocol::ledger::State;
use carillon_runtime::engine::EngineOptions;
use carillon_runtime::groth16::{self, Groth16Error, Proof, ProveReport, ProvingKey};
use carillon_runtime::{Engine, engine};
use carillon_settlement::{Anvil, AnvilOptions};

pub use self::plan::{DemoArgs, Plan};

use self::figures::DEPTH;
use self::report::Report;
use self::story::Story;
use self::world::World;
use crate::exit::Failure;
use crate::keys;
use carillon_cli::{Output, grouped};

/// Runs the demo and prints its report.
pub async fn run(output: &Output, plan: Plan) -> Result<(), Failure> {
    let started = Instant::now();

    let step = output.step("engine");
    let options = EngineOptions::from_env().map_err(Failure::opening)?;
    let engine = engine::open_with(plan.engine.clone(), options)
        .await
        .map_err(Failure::opening)?;
    step.done(&engine.info().description);

    let step = output.step("Ethereum node");
    let anvil = Anvil::start(&AnvilOptions {
        program: plan.anvil.clone(),
        ..AnvilOptions::default()
    })
    .await?;
    step.done(&format!("anvil on {}", anvil.url()));

    let step = output.step("proving key");
    let (folder, shape) = (plan.key_dir.clone(), plan.shape);
    let key = blocking(move || keys::load_or_make(&folder, shape)).await??;
    step.done(&if key.made {
        format!(
            "INSECURE development key made, kept in {}",
            key.path.display()
        )
    } else {
        format!("INSECURE development key from {}", key.path.display())
    });

    let step = output.step("contracts");
    let genesis = State::genesis(DEPTH).root();
    let world = Arc::new(World::new(&anvil, &key.key.vk, &genesis, plan.seed).await?);
    step.done(&format!(
        "bridge at {}, chain at {}",
        world.l1.bridge, world.l1.chain
    ));

    let step = output.step("deposits");
    let mut entries = Vec::new();
    for user in &world.users {
        entries.push(world.deposit(user).await?);
    }
    step.done("Alice and Bob deposit an ether each, with their rollup keys");

    let step = output.step("batch");
    let (there, transfers, seed) = (Arc::clone(&world), plan.transfers, plan.seed);
    let story = blocking(move || Story::play(&there, &entries, transfers, seed)).await??;
    let story = Arc::new(story);
    step.done(&format!(
        "{} operations executed, sealed and recomputed from their public data",
        plan.operations()
    ));

    let step = output.step("witness");
    let witness = Arc::clone(&story);
    let witness = blocking(move || {
        let batch = &witness.batch;
        let circuit = circuit_of(shape, &witness.before, &batch.header, &batch.operations)
            .map_err(|error| Failure::unexpected(format!("the witness: {error}")))?;
        let (published, blob) = settlement::publish(&witness, &circuit)?;
        let circuit = circuit.evaluate_at(published.challenge());
        Ok::<_, Failure>((circuit, published, blob))
    });
    let (circuit, published, blob) = witness.await??;
    step.done("H for calldata, B for a blob, both evaluated at the challenge");

    let step = output.step("key to the engine");
    let key_load = engine.load_key(&key.key).await;
    let key_load = key_load.map_err(Groth16Error::from)?;
    step.done(&match &key_load.card {
        Some(card) => format!("{} bytes, once", grouped(card.bytes_to_card)),
        None => "it computes in this process's memory".to_owned(),
    });
    let (proof, proving) = prove(output, &engine, &key.key, circuit.clone()).await?;
    let settled = settlement::settle(output, &anvil, &world, (&published, &blob), &proof).await?;
    let afterwards = settlement::afterwards(output, &world, &story).await?;

    let report = Report {
        plan: &plan,
        world: &world,
        story: &story,
        circuit: &circuit,
        engine: &engine.info(),
        key: &key,
        key_load: &key_load,
        proving: &proving,
        settled: &settled,
        afterwards: &afterwards,
        wall: started.elapsed(),
    };
    output.result("carillon.demo/2", report.json(), &report.rows());
    output.closing("settled");
    Ok(())
}

/// Runs work that would block the runtime, so that an interrupt is heard meanwhile.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Failure::unexpected(format!("a worker thread stopped: {error}")))
}

async fn prove(
    output: &Output,
    engine: &Arc<dyn Engine>,
    key: &Arc<ProvingKey>,
    circuit: RollupCircuit,
) -> Result<(Proof, ProveReport), Failure> {
    let inputs = circuit.public_inputs.to_array();
    let step = output.step("proof");
    let phases = output.phases();
    let (proof, report) =
        groth16::prove_with(&**engine, key, || synthesize(circuit), &phases).await?;
    drop(phases);
    // The prover has checked its witness's inputs; this checks the batch's.
    groth16::verify(&key.vk, &inputs, &proof)?;
    step.done(&format!(
        "{} constraints proved on {}, verified",
        grouped(report.circuit.constraints as u64),
        report.engine
    ));
    Ok((proof, report))
}
