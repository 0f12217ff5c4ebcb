//! From an engine's name to an open card. The only file that knows which cards there are.

use std::sync::Arc;

use carillon_driver::transport::Transport;
use carillon_driver::{Card, CardConfig};

use super::CardEngine;
use crate::engine::{EngineError, EngineKind};

/// Opens the card engine of this name. Must be called within a tokio runtime.
pub async fn open(kind: EngineKind) -> Result<CardEngine, EngineError> {
    let transport = crate::trace::tap(transport(kind)?)?;
    let card = Card::open(transport, CardConfig::default())
        .await
        .map_err(|source| EngineError::Card {
            engine: kind.name().to_owned(),
            operation: "open",
            source: Box::new(source),
        })?;
    Ok(CardEngine::new(kind.name(), card))
}

fn transport(kind: EngineKind) -> Result<Arc<dyn Transport>, EngineError> {
    match kind {
        EngineKind::SimModel => model(),
        EngineKind::SimRtl | EngineKind::SimRtlStructural => rtl(kind),
        EngineKind::Cpu => Err(EngineError::NotACard {
            engine: kind.name(),
        }),
    }
}

fn model() -> Result<Arc<dyn Transport>, EngineError> {
    use carillon_sim::model::{ModelCard, ModelOptions};
    match ModelCard::new(ModelOptions::default()) {
        Ok(card) => Ok(Arc::new(card)),
        Err(error) => Err(EngineError::Simulation {
            engine: EngineKind::SimModel.name(),
            reason: format!("cannot start the card's threads: {error}; free memory and try again"),
        }),
    }
}

#[cfg(feature = "rtl")]
fn rtl(kind: EngineKind) -> Result<Arc<dyn Transport>, EngineError> {
    use carillon_sim::rtl::{RtlCard, RtlError, RtlOptions, View};
    let view = match kind {
        EngineKind::SimRtlStructural => View::Structural,
        _ => View::Fast,
    };
    match RtlCard::new(RtlOptions {
        view,
        ..RtlOptions::default()
    }) {
        Ok(card) => Ok(Arc::new(card)),
        Err(RtlError::NotBuilt { .. }) => Err(EngineError::not_built(kind)),
        Err(error) => Err(EngineError::Simulation {
            engine: kind.name(),
            reason: error.to_string(),
        }),
    }
}

#[cfg(not(feature = "rtl"))]
fn rtl(kind: EngineKind) -> Result<Arc<dyn Transport>, EngineError> {
    Err(EngineError::not_built(kind))
}
