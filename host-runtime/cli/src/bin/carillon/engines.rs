//! `carillon engines`: which engines exist, which this build has, and what they can do.

use carillon_cli::Failure;
use carillon_runtime::{EngineKind, engine};
use serde_json::json;

use crate::Context;

/// Lists all engines; opens those that this build has to ask for their limits.
pub async fn run(context: &Context) -> Result<(), Failure> {
    let mut list = Vec::new();
    let mut rows = Vec::new();
    for kind in EngineKind::ALL {
        let (status, info) = match engine::open(kind.clone()).await {
            Ok(engine) => ("available", Ok(engine.info())),
            Err(error) if kind.is_built() => ("failed", Err(error.to_string())),
            Err(error) => ("not built", Err(error.to_string())),
        };
        let text = match &info {
            Ok(info) => info.description.clone(),
            Err(reason) => reason.clone(),
        };
        rows.push((kind.name(), format!("{status}: {text}")));
        list.push(json!({
            "name": kind.name(),
            "status": status,
            "info": info.as_ref().ok(),
            "reason": info.as_ref().err(),
        }));
    }
    context
        .output
        .result("carillon.engines/1", json!({ "engines": list }), &rows);
    Ok(())
}
