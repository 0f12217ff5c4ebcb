//! `carillon-node demo`: signed transfers become a proof that Ethereum accepts.
//!
//! The order is that of the real thing: batch, key, proof, settlement. Forgeries that need the
//! chain to stand before the batch are tried before it is settled, the replay after. Nothing is
//! printed as true that was not checked: the roots are read back from the contract.

mod forgeries;
mod ledger;
mod report;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use alloy::primitives::U256;
use carillon_node::circuit::Shape;
use carillon_node::settlement::{
    Anvil, AnvilOptions, Deadlines, L1Client, RollupContract, SettlementIntent,
};
use carillon_runtime::groth16::{self, Proof, ProveReport, ProvingKey};
use carillon_runtime::{Engine, EngineKind, engine};
use clap::Args;

use self::ledger::{CHAIN_ID, Ledger};
use self::report::{OnChain, Report};
use crate::config::Config;
use crate::exit::Failure;
use crate::keys::{self, Source};
use carillon_runtime::cli::{Output, grouped};

/// Arguments of `demo`. Those without a value come from the configuration file or the defaults.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Transfers in the batch [default: 2]
    #[arg(long, value_name = "N")]
    txs: Option<usize>,
    /// Slots of the batch, which the circuit is made for; free slots stay empty [default: as many as
    /// transfers]
    #[arg(long, value_name = "N")]
    batch_capacity: Option<usize>,
    /// What proves: cpu, sim:rtl, sim:rtl-structural or sim:model [default: sim:rtl, the Verilated
    /// card]
    #[arg(long, env = "CARILLON_ENGINE", value_name = "ENGINE")]
    engine: Option<EngineKind>,
    /// Seed of accounts and transfers [default: 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Where INSECURE development keys are kept [default: carillon/keys in the user's cache folder]
    #[arg(long, env = "CARILLON_KEY_DIR", value_name = "FOLDER")]
    key_dir: Option<PathBuf>,
    /// The anvil program [default: from the tools folder (CARILLON_TOOLS or .tools), else from PATH]
    #[arg(long, env = "CARILLON_ANVIL", value_name = "FILE")]
    anvil: Option<PathBuf>,
}

/// What a demo does, with every choice made.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    transfers: usize,
    shape: Shape,
    engine: EngineKind,
    seed: u64,
    key_dir: PathBuf,
    anvil: Option<PathBuf>,
}

impl DemoArgs {
    /// Options first, then the configuration file, then the defaults.
    pub fn merge(self, config: Config) -> Result<Plan, Failure> {
        let transfers = self.txs.or(config.txs).unwrap_or(2);
        let capacity = self
            .batch_capacity
            .or(config.batch_capacity)
            .unwrap_or(transfers);
        if transfers == 0 {
            return Err(Failure::input(
                "an empty batch proves nothing: give --txs 1 or more".into(),
            ));
        }
        if capacity < transfers {
            return Err(Failure::input(format!(
                "{transfers} transfers do not fit a batch of {capacity}: raise --batch-capacity or lower --txs"
            )));
        }
        Ok(Plan {
            transfers,
            shape: Shape::production(capacity)?,
            engine: self.engine.or(config.engine).unwrap_or(EngineKind::SimRtl),
            seed: self.seed.or(config.seed).unwrap_or(1),
            key_dir: self
                .key_dir
                .or(config.key_dir)
                .unwrap_or_else(keys::default_folder),
            anvil: self.anvil.or(config.anvil),
        })
    }
}

/// Runs the demo and prints its report.
pub async fn run(output: &Output, plan: Plan) -> Result<(), Failure> {
    let started = Instant::now();

    let step = output.step("engine");
    let engine = engine::open(plan.engine.clone())
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

    let step = output.step("batch");
    let ledger = Ledger::create(plan.shape, plan.transfers, plan.seed)?;
    step.done(&format!(
        "{} signed transfers of {} accounts executed and sealed",
        plan.transfers, ledger.accounts
    ));

    let step = output.step("proving key");
    let (folder, shape) = (plan.key_dir.clone(), plan.shape);
    let key = blocking(move || keys::obtain(&folder, shape)).await??;
    step.done(&match &key.source {
        Source::Cached => format!("INSECURE development key from {}", key.path.display()),
        Source::Made => format!(
            "INSECURE development key made, kept in {}",
            key.path.display()
        ),
        Source::Replaced(reason) => format!("INSECURE development key made again ({reason})"),
    });

    let (proof, proving) = prove(output, &engine, &key.key, &ledger).await?;
    let on_chain = settle(output, &anvil, &key.key, &ledger, proof).await?;

    let report = Report {
        plan: &plan,
        ledger: &ledger,
        key: &key,
        proving: &proving,
        on_chain: &on_chain,
        wall: started.elapsed(),
    };
    output.result("carillon.demo/1", report.json(), &report.rows());
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
    ledger: &Ledger,
) -> Result<(Proof, ProveReport), Failure> {
    let step = output.step("proof");
    let phases = output.phases();
    let circuit = ledger.batch.circuit.clone();
    let (proof, report) = groth16::prove(&**engine, key, circuit, &phases).await?;
    drop(phases);
    // The prover has checked its witness's inputs; this checks the batch's.
    groth16::verify(&key.vk, &ledger.batch.public_inputs.to_array(), &proof)?;
    step.done(&format!(
        "{} constraints proved on {}, verified",
        grouped(report.circuit.constraints as u64),
        report.engine
    ));
    Ok((proof, report))
}

async fn settle(
    output: &Output,
    anvil: &Anvil,
    key: &Arc<ProvingKey>,
    ledger: &Ledger,
    proof: Proof,
) -> Result<OnChain, Failure> {
    let step = output.step("contracts");
    let operator = anvil.signers().first().cloned().ok_or_else(|| {
        Failure::unavailable("anvil printed no funded account; is it another program?".into())
    })?;
    let client = L1Client::new(anvil.url(), operator, Deadlines::default())?;
    let old_root = &ledger.batch.old_root;
    let (chain, deployment) = RollupContract::deploy(client, &key.vk, CHAIN_ID, old_root).await?;
    step.done(&format!(
        "Groth16Verifier at {}, RollupChain at {}",
        deployment.verifier, deployment.rollup
    ));

    let intent = SettlementIntent::new(CHAIN_ID, &ledger.batch, proof);
    let step = output.step("forgeries");
    let mut refused = Vec::new();
    for (what, forged) in [
        ("a tampered proof", forgeries::tampered_proof(&intent)),
        ("a false new root", forgeries::false_root(&intent)),
    ] {
        refused.push(forgeries::refuse(&chain, what, &forged, "ProofInvalid").await?);
    }
    step.done("a tampered proof and a false new root refused by the contract");

    let step = output.step("settlement");
    let verification_gas = chain.verification_gas(deployment.verifier, &intent).await?;
    let settled = chain.settle(&intent).await?;
    let state = chain.state().await?;
    let expected = U256::from_be_bytes(ledger.sequencer.state().root().to_bytes_be());
    if state.state_root != expected || state.batch_number != ledger.batch.number {
        return Err(Failure::wrong_result(format!(
            "the contract is at batch {} with root {:#066x}, the sequencer at batch {} with root {expected:#066x}",
            state.batch_number, state.state_root, ledger.batch.number
        )));
    }
    step.done(&format!("transaction {}", settled.transaction));

    let step = output.step("replay");
    let replay =
        forgeries::refuse(&chain, "a replayed batch", &intent, "BatchAlreadySettled").await?;
    step.done("refused by the contract");
    refused.push(replay);
    Ok(OnChain {
        deployment,
        verification_gas,
        settled,
        refused,
    })
}
