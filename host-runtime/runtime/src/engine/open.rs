//! From an engine's name to an engine. The only file here that knows the engines themselves; called
//! by the command lines, whoever embeds the prover, and `reopen`.

use std::sync::Arc;

use super::{Engine, EngineError, EngineKind, EngineOptions};
use crate::card;
use crate::cpu::CpuEngine;

/// Opens an engine with the usual options. A card engine takes hold of its card until it is dropped;
/// must be called within a tokio runtime with time enabled.
pub async fn open(kind: EngineKind) -> Result<Arc<dyn Engine>, EngineError> {
    open_with(kind, EngineOptions::default()).await
}

/// [`open`] with options.
pub async fn open_with(
    kind: EngineKind,
    options: EngineOptions,
) -> Result<Arc<dyn Engine>, EngineError> {
    match kind.card() {
        None => Ok(Arc::new(CpuEngine::new())),
        Some(_) => Ok(Arc::new(card::open(kind, options).await?)),
    }
}

#[cfg(all(test, not(feature = "rtl")))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rtl_without_the_feature_says_how_to_get_it() {
        for kind in [EngineKind::SimRtl, EngineKind::SimRtlStructural] {
            assert!(!kind.is_built());
            let error = open(kind).await.err().unwrap().to_string();
            assert!(error.contains("--features rtl"), "{error}");
        }
    }
}
