//! The demo's report, as a table and as JSON (`carillon.demo/1`). No I/O.

use std::time::Duration;

use blstrs::Scalar;
use carillon_node::settlement::{Deployment, Settled};
use carillon_runtime::groth16::ProveReport;
use carillon_runtime::progress::Phase;
use serde_json::{Value, json};

use super::Plan;
use super::forgeries::Refused;
use super::ledger::{CHAIN_ID, Ledger};
use crate::keys::{DevelopmentKey, Source};
use carillon_runtime::cli::{duration, grouped};

/// What happened on Ethereum.
#[derive(Debug)]
pub struct OnChain {
    /// The contracts.
    pub deployment: Deployment,
    /// Gas of a transaction that does nothing but verify the proof.
    pub verification_gas: u64,
    /// The settled batch.
    pub settled: Settled,
    /// Forgeries, all refused.
    pub refused: Vec<Refused>,
}

/// Everything there is to report.
pub struct Report<'a> {
    /// What was to be done.
    pub plan: &'a Plan,
    /// The batch.
    pub ledger: &'a Ledger,
    /// The proving key.
    pub key: &'a DevelopmentKey,
    /// What the proof cost.
    pub proving: &'a ProveReport,
    /// What Ethereum said.
    pub on_chain: &'a OnChain,
    /// The whole demo's time.
    pub wall: Duration,
}

impl Report<'_> {
    fn gas_per_transfer(&self) -> u64 {
        self.on_chain.settled.gas_used / self.plan.transfers as u64
    }

    fn constraints_per_slot(&self) -> usize {
        self.proving.circuit.constraints / self.plan.shape.slots()
    }

    /// The JSON object, without the schema's name.
    pub fn json(&self) -> Value {
        let batch = &self.ledger.batch;
        let settled = &self.on_chain.settled;
        let mut proof = json!(self.proving);
        if let (Some(card), Some(stats)) = (proof["card"].as_object_mut(), &self.proving.card) {
            card.insert("occupancy".into(), json!(stats.occupancy()));
        }
        json!({
            "outcome": "settled",
            "engine": self.proving.engine,
            "seed": self.plan.seed,
            "transfers": self.plan.transfers,
            "batch_capacity": self.plan.shape.slots(),
            "accounts": self.ledger.accounts,
            "circuit": self.plan.shape.id(),
            "constraints": self.proving.circuit.constraints,
            "constraints_per_slot": self.constraints_per_slot(),
            "key": {
                "path": self.key.path,
                "circuit_digest": self.key.key.circuit.to_string(),
                "origin": self.key.key.origin,
                "made": self.key.source != Source::Cached,
                "seconds": self.key.wall.as_secs_f64(),
            },
            "proof": proof,
            "settlement": {
                "chain_id": CHAIN_ID,
                "batch_number": batch.number,
                "old_root": hex(&batch.old_root),
                "new_root": hex(&batch.new_root),
                "data_commitment": hex(&batch.public_inputs.data_commitment),
                "data_bytes": batch.data.len(),
                "batch_hash": settled.batch_hash,
                "verifier": self.on_chain.deployment.verifier,
                "rollup": self.on_chain.deployment.rollup,
                "deployment_gas": self.on_chain.deployment.gas,
                "transaction": settled.transaction,
                "block": settled.block,
                "gas": settled.gas_used,
                "gas_per_transfer": self.gas_per_transfer(),
                "verification_gas": self.on_chain.verification_gas,
            },
            "refused": self.on_chain.refused.iter().map(|refused| json!({
                "what": refused.what,
                "error": refused.reason.name(),
                "message": refused.reason.to_string(),
                "transaction": refused.transaction,
            })).collect::<Vec<_>>(),
            "wall_seconds": self.wall.as_secs_f64(),
        })
    }

    /// The table's rows.
    pub fn rows(&self) -> Vec<(String, String)> {
        let batch = &self.ledger.batch;
        let settled = &self.on_chain.settled;
        let mut rows = Rows::default();
        rows.add("transfers", self.plan.transfers);
        if self.plan.shape.slots() != self.plan.transfers {
            rows.add("slots of the batch", self.plan.shape.slots());
        }
        rows.add(
            "constraints",
            format!(
                "{} ({} a slot), domain 2^{}",
                grouped(self.proving.circuit.constraints as u64),
                grouped(self.constraints_per_slot() as u64),
                self.proving.domain_log2
            ),
        );
        rows.add("proving key", format!("{}", self.key.key.origin));
        rows.add("engine", &self.proving.engine);
        rows.add("proving time", duration(self.proving.wall));
        for phase in Phase::ALL {
            let time = duration(self.proving.phases.get(phase));
            rows.add(&format!("  {phase}"), time);
        }
        self.add_card(&mut rows);
        rows.add("L1 gas", grouped(settled.gas_used));
        rows.add(
            "  verification alone",
            grouped(self.on_chain.verification_gas),
        );
        rows.add("gas per transfer", grouped(self.gas_per_transfer()));
        rows.add("transaction", settled.transaction);
        rows.add("old root", hex(&batch.old_root));
        rows.add("new root", hex(&batch.new_root));
        for refused in &self.on_chain.refused {
            let reason = refused.reason.name();
            rows.add(&format!("refused: {}", refused.what), reason);
        }
        rows.add("whole demo", duration(self.wall));
        rows.0
    }

    /// The card's counters. The functional model computes without time, so it counts no cycles.
    fn add_card(&self, rows: &mut Rows) {
        let Some(card) = &self.proving.card else {
            rows.add("card cycles", "no card took part");
            return;
        };
        if card.cycles == 0 {
            rows.add("card cycles", "not modelled by this engine");
        } else {
            rows.add("card cycles", grouped(card.cycles));
            rows.add("additions issued", grouped(card.additions));
            let occupancy = card.occupancy().unwrap_or_default() * 100.0;
            rows.add(
                "occupancy",
                format!("{occupancy:.1} % of the bucket cycles"),
            );
        }
        rows.add("bytes to the card", grouped(card.bytes_to_card));
        rows.add("bytes from the card", grouped(card.bytes_from_card));
    }
}

#[derive(Default)]
struct Rows(Vec<(String, String)>);

impl Rows {
    fn add(&mut self, name: &str, value: impl ToString) {
        self.0.push((name.to_owned(), value.to_string()));
    }
}

fn hex(value: &Scalar) -> String {
    format!("0x{}", hex::encode(value.to_bytes_be()))
}
