//! From a card's address to an open card. The only file that knows which cards there are.

use std::sync::Arc;

use carillon_driver::pci::PciAddress;
use carillon_driver::transport::Transport;
use carillon_driver::vfio::VfioCard;
use carillon_driver::{Card, CardConfig};

use super::CardEngine;
use crate::engine::address::CardAddress;
use crate::engine::{EngineError, EngineKind, EngineOptions};

#[cfg(feature = "sim")]
use super::simulated::beside;
#[cfg(feature = "sim")]
use crate::trace::tap::tap;

/// Opens the card engine of this name. Must be called within a tokio runtime.
pub async fn open(kind: EngineKind, options: EngineOptions) -> Result<CardEngine, EngineError> {
    let name = kind.name();
    let Some(address) = kind.card() else {
        return Err(EngineError::NotACard { engine: name });
    };
    let transport = transport(&address)?;
    let card = open_with(&address, transport, options).await?;
    Ok(CardEngine::new(name, card))
}

/// Opens the card at this address, with the driver's usual configuration. Must be called within a
/// tokio runtime.
pub async fn open_card(address: &CardAddress) -> Result<Card, EngineError> {
    open_on(address, transport(address)?).await
}

/// Opens the card that `transport` reaches, as [`open_card`].
pub async fn open_on(
    address: &CardAddress,
    transport: Arc<dyn Transport>,
) -> Result<Card, EngineError> {
    open_with(address, transport, EngineOptions::default()).await
}

async fn open_with(
    address: &CardAddress,
    transport: Arc<dyn Transport>,
    options: EngineOptions,
) -> Result<Card, EngineError> {
    let mut config = CardConfig::default();
    if let Some(memory) = options.dma_memory {
        config.host_memory_limit = memory.bytes();
    }
    Card::open(tap(transport)?, config)
        .await
        .map_err(|source| EngineError::Card {
            engine: address.to_string(),
            operation: "open",
            step: None,
            source: Box::new(source),
        })
}

/// Reaches the card at this address, without any command to it yet.
pub fn transport(address: &CardAddress) -> Result<Arc<dyn Transport>, EngineError> {
    match address {
        CardAddress::Pci(address) => pci(*address),
        _ => beside(address),
    }
}

fn pci(address: PciAddress) -> Result<Arc<dyn Transport>, EngineError> {
    match VfioCard::open(address) {
        Ok(card) => Ok(Arc::new(card)),
        Err(source) => Err(EngineError::Vfio {
            source: Box::new(source),
        }),
    }
}

/// Cards that are not on this machine's bus.
#[cfg(not(feature = "sim"))]
fn beside(address: &CardAddress) -> Result<Arc<dyn Transport>, EngineError> {
    Err(EngineError::not_built(address))
}

/// Recordings are made by `carillon-sim`, and whoever asks for one must not go without it unawares.
#[cfg(not(feature = "sim"))]
fn tap(transport: Arc<dyn Transport>) -> Result<Arc<dyn Transport>, EngineError> {
    match std::env::var_os("CARILLON_TRACE").filter(|path| !path.is_empty()) {
        None => Ok(transport),
        Some(path) => Err(EngineError::Trace {
            path: path.into(),
            reason: "this program records nothing: it was built without carillon-runtime's feature `sim`; unset CARILLON_TRACE".to_owned(),
        }),
    }
}
