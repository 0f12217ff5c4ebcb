//! The demo's report, as a table and as JSON (`carillon.demo/2`). No I/O.

use std::time::Duration;

use blstrs::Scalar;
use carillon_circuit::rollup::RollupCircuit;
use carillon_runtime::JobStats;
use carillon_runtime::engine::EngineInfo;
use carillon_runtime::groth16::ProveReport;
use carillon_runtime::progress::Phase;
use serde_json::{Value, json};

use super::figures::CHAIN_ID;
use super::plan::Plan;
use super::settlement::{Afterwards, Settled};
use super::story::Story;
use super::world::World;
use crate::keys::ChainKey;
use carillon_cli::{NOT_MODELLED, cost_json, duration, grouped, timed};

/// Everything there is to report.
pub struct Report<'a> {
    /// What was to be done.
    pub plan: &'a Plan,
    /// Ethereum.
    pub world: &'a World,
    /// The rollup.
    pub story: &'a Story,
    /// The circuit with its public inputs.
    pub circuit: &'a RollupCircuit,
    /// What proved.
    pub engine: &'a EngineInfo,
    /// The proving key.
    pub key: &'a ChainKey,
    /// What it cost to bring that to the engine, before the proof.
    pub key_load: &'a JobStats,
    /// What the proof cost.
    pub proving: &'a ProveReport,
    /// What Ethereum said.
    pub settled: &'a Settled,
    /// What the users did then.
    pub afterwards: &'a Afterwards,
    /// The whole demo's time.
    pub wall: Duration,
}

impl Report<'_> {
    /// The JSON object, without the schema's name.
    pub fn json(&self) -> Value {
        let header = &self.story.batch.header;
        let inputs = self.circuit.public_inputs.to_array();
        let [c_h, c_b, z, y_h, y_b] = inputs.map(|input| hex(&input));
        let mut proof = cost_json(self.proving);
        if let (Some(card), Some(stats)) = (proof["card"].as_object_mut(), &self.proving.card) {
            card.insert("occupancy".into(), json!(stats.occupancy()));
        }
        json!({
            "outcome": "settled",
            "engine": self.proving.engine,
            "engine_info": self.engine,
            "seed": self.plan.seed,
            "transfers": self.plan.transfers,
            "operations": self.plan.operations(),
            "batch_capacity": self.plan.shape.slots(),
            "circuit": self.plan.shape.id(),
            "constraints": self.proving.circuit.constraints,
            "key": {
                "path": self.key.path,
                "circuit_digest": self.key.key.circuit.to_string(),
                "origin": self.key.key.origin,
                "made": self.key.made,
                "seconds": self.key.wall.as_secs_f64(),
                "load": cost_json(self.key_load),
            },
            "proof": proof,
            "settlement": {
                "chain_id": CHAIN_ID,
                "batch_number": header.batch_number,
                "old_root": hex(&header.old_root),
                "new_root": hex(&header.new_root),
                "public_inputs": { "c_h": c_h, "c_b": c_b, "z": z, "y_h": y_h, "y_b": y_b },
                "versioned_hash": self.settled.versioned_hash,
                "header_words": self.settled.header_words,
                "bridge": self.world.l1.bridge,
                "rollup": self.world.l1.chain,
                "handler": self.world.l1.handler,
                "deployment_gas": self.world.l1.gas,
                "transaction": self.settled.transaction,
                "block": self.settled.block,
                "gas": self.settled.gas,
            },
            "withdrawal": { "gas": self.afterwards.claim_gas },
            "bundle": {
                "gas": self.afterwards.bundle_gas,
                "alias": self.afterwards.alias,
                "queue_entries": self.afterwards.entries,
            },
            "balances": self.balances().map(|(name, balance)| {
                json!({ "account": name, "wei": balance.to_string() })
            }),
            "refused": self.settled.refused.iter().map(|refused| json!({
                "what": refused.what,
                "error": refused.reason.name(),
                "message": refused.reason.to_string(),
            })).collect::<Vec<_>>(),
            "wall_seconds": self.wall.as_secs_f64(),
        })
    }

    /// The table's rows.
    pub fn rows(&self) -> Vec<(String, String)> {
        let mut rows = Rows::default();
        let transfers = self.plan.transfers;
        rows.add(
            "operations",
            format!(
                "{} ({transfers} transfers, 2 deposits, 1 withdrawal, 1 bundle)",
                self.plan.operations()
            ),
        );
        if self.plan.shape.slots() != self.plan.operations() {
            rows.add("slots of the batch", self.plan.shape.slots());
        }
        rows.add(
            "constraints",
            format!(
                "{}, domain 2^{}",
                grouped(self.proving.circuit.constraints as u64),
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
        rows.add("gas of the settlement", grouped(self.settled.gas));
        rows.add("  and of the blob", "131,072 blob gas");
        rows.add("gas of the withdrawal", grouped(self.afterwards.claim_gas));
        rows.add("gas of the bundle", grouped(self.afterwards.bundle_gas));
        rows.add("transaction", self.settled.transaction);
        rows.add("blob", self.settled.versioned_hash);
        rows.add("old root", hex(&self.story.batch.header.old_root));
        rows.add("new root", hex(&self.story.batch.header.new_root));
        for (name, balance) in self.balances() {
            rows.add(
                &format!("on the rollup: {name}"),
                format!("{} gwei", grouped((balance / 1_000_000_000) as u64)),
            );
        }
        for refused in &self.settled.refused {
            let reason = refused.reason.name();
            rows.add(&format!("refused: {}", refused.what), reason);
        }
        rows.add("whole demo", duration(self.wall));
        rows.0
    }

    /// Balances on the rollup after the batch.
    fn balances(&self) -> [(&'static str, u128); 3] {
        let ledger = &self.story.ledger;
        let balance = |index| ledger.account(index).balance(0);
        let of = |user: &super::world::User| {
            let index = ledger.account_for(&user.owner().into());
            (user.name, balance(index))
        };
        let [alice, bob] = &self.world.users;
        [
            of(alice),
            of(bob),
            ("the operator", balance(ledger.operator())),
        ]
    }

    /// The card's counters. The functional model computes without time, so it counts no cycles.
    fn add_card(&self, rows: &mut Rows) {
        let Some(card) = &self.proving.card else {
            rows.add("card cycles", "no card took part");
            return;
        };
        if let Some(card) = timed(card) {
            rows.add("card cycles", grouped(card.cycles));
            rows.add("additions issued", grouped(card.additions));
            let occupancy = card.occupancy().unwrap_or_default() * 100.0;
            rows.add(
                "occupancy",
                format!("{occupancy:.1} % of the bucket cycles"),
            );
        } else {
            rows.add("card cycles", NOT_MODELLED);
        }
        if let Some(key) = &self.key_load.card {
            let cycles = timed(key).map_or_else(String::new, |key| {
                format!(" in {} cycles", grouped(key.cycles))
            });
            let bytes = grouped(key.bytes_to_card);
            rows.add("the key, once", format!("{bytes} bytes{cycles}"));
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
