//! Waiting for a node: until it has executed a deposit, until an operation is settled.

use std::time::{Duration, Instant};

use carillon_cli::Output;
use serde_json::{Value, json};

use crate::exit::Failure;
use crate::node_rpc::Rpc;

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(300);
/// Where an operation is on its way, in order.
const STATUS: [&str; 5] = ["accepted", "sealed", "proved", "settled", "final"];

/// Until the node has executed an entry of the L1 queue.
pub async fn executed(
    output: &Output,
    rpc: &Rpc,
    entry: u64,
    patience: Duration,
) -> Result<(), Failure> {
    let step = output.step("waiting until the node has executed the entry");
    let started = Instant::now();
    loop {
        let queue: Value = rpc.ask("carillon_queue", json!([])).await?;
        let done = queue["executed"]
            .as_str()
            .and_then(|text| text.parse::<u64>().ok());
        if done.is_some_and(|done| done > entry) {
            step.done(&format!("entry {entry} is executed"));
            return Ok(());
        }
        if started.elapsed() >= patience {
            return Err(Failure::unavailable(format!(
                "the node has not executed entry {entry} of the queue within {} s; it waits for blocks on top of the deposit, see `carillon_queue` and `carillon_chain`",
                patience.as_secs()
            )));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Until an operation is as far as `status`; returns what the node says of it.
pub async fn operation(
    output: &Output,
    rpc: &Rpc,
    id: &str,
    status: &str,
    patience: Duration,
) -> Result<Value, Failure> {
    let step = output.step(format!("waiting until the operation is {status}"));
    let rank = |status: &str| STATUS.iter().position(|known| *known == status);
    let wanted = rank(status);
    let started = Instant::now();
    loop {
        let found: Value = rpc.ask("carillon_getOperation", json!([id])).await?;
        let at = found["status"].as_str().unwrap_or_default();
        if at == "revoked" {
            let reason = found["reason"].as_str().unwrap_or("it is executed again");
            return Err(Failure::wrong_result(format!(
                "the operation {id} was accepted on money that another chain did not settle, and taken back: {reason}; send it again"
            )));
        }
        if rank(at) >= wanted {
            let batch = &found["batch"];
            step.done(&format!("{at}, in batch {batch}"));
            return Ok(found);
        }
        if started.elapsed() >= patience {
            return Err(Failure::unavailable(format!(
                "the operation {id} is {at} after {} s and not yet {status}; the node goes on with it, see `carillon_chain`",
                patience.as_secs()
            )));
        }
        tokio::time::sleep(PAUSE).await;
    }
}
