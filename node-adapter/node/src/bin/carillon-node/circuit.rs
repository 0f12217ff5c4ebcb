//! `carillon-node circuit stats`: size of the batch circuit, by part.

use carillon_circuit::rollup;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::exit::Failure;
use carillon_cli::Output;

/// Commands about the circuit.
#[derive(Debug, Subcommand)]
pub enum CircuitCommand {
    /// Constraints of a batch, by part
    Stats(StatsArgs),
}

/// Arguments of `circuit stats`.
#[derive(Debug, Args)]
pub struct StatsArgs {
    /// Transfers in the batch
    #[arg(long, default_value_t = 1024, value_name = "N")]
    txs: usize,
    /// Distinct balances that the transfers touch [default: half as many as transfers, which is a
    /// quarter of the touches]
    #[arg(long, value_name = "R")]
    distinct: Option<usize>,
    /// Records in the batch: deposits, withdrawals and the like [default: a sixteenth of the
    /// transfers, at least one]
    #[arg(long, value_name = "D")]
    records: Option<usize>,
}

/// Runs the command.
pub fn run(output: &Output, command: &CircuitCommand) -> Result<(), Failure> {
    let CircuitCommand::Stats(args) = command;
    let distinct = args.distinct.unwrap_or((args.txs / 2).max(3));
    let records = args.records.unwrap_or_else(|| (args.txs / 16).max(1));
    let shape = rollup::Shape::production(args.txs, distinct, records)?;
    let stats = rollup::stats(shape).map_err(|error| Failure::unexpected(error.to_string()))?;
    let list = |parts: &[rollup::Part]| -> Vec<Value> {
        let entry =
            |part: &rollup::Part| json!({ "name": part.name, "constraints": part.constraints });
        parts.iter().map(entry).collect()
    };
    let fields = json!({
        "circuit": shape.id(),
        "transfers": shape.slots(),
        "cells": shape.cells(),
        "records": shape.records(),
        "constraints": stats.constraints,
        "constraints_per_transfer": stats.per_transfer(),
        "witness_variables": stats.witness,
        "public_inputs": stats.inputs,
        "domain_log2": stats.domain_log2(),
        "transfer_parts": list(&stats.slot_parts),
        "cell_parts": list(&stats.cell_parts),
        "batch_parts": list(&stats.batch_parts),
    });
    let mut rows = vec![
        ("circuit".to_owned(), shape.id()),
        ("constraints".to_owned(), stats.constraints.to_string()),
        ("witness variables".to_owned(), stats.witness.to_string()),
        ("public inputs".to_owned(), stats.inputs.to_string()),
        ("domain".to_owned(), format!("2^{}", stats.domain_log2())),
        (
            "all, by transfers".to_owned(),
            stats.per_transfer().to_string(),
        ),
    ];
    for (title, parts) in [
        ("one transfer", &stats.slot_parts),
        ("one balance", &stats.cell_parts),
        ("once a batch", &stats.batch_parts),
    ] {
        let sum: usize = parts.iter().map(|part| part.constraints).sum();
        rows.push((title.to_owned(), sum.to_string()));
        let indented =
            |part: &rollup::Part| (format!("  {}", part.name), part.constraints.to_string());
        rows.extend(parts.iter().map(indented));
    }
    output.result("carillon.circuit.stats/2", fields, &rows);
    Ok(())
}
