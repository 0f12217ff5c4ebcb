//! From a card's address to an open card. The only file that knows which cards there are.

use std::path::Path;
use std::sync::Arc;

use carillon_driver::pci::PciAddress;
use carillon_driver::transport::Transport;
use carillon_driver::vfio::VfioCard;
use carillon_driver::{Card, CardConfig};
use carillon_sim::faults::SimCard;
use carillon_sim::vfio_user::ClientCard;

use super::{CardAddress, CardEngine};
use crate::engine::{EngineError, EngineKind, EngineOptions};

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
    Card::open(crate::trace::tap(transport)?, config)
        .await
        .map_err(|source| EngineError::Card {
            engine: address.to_string(),
            operation: "open",
            source: Box::new(source),
        })
}

/// Reaches the card at this address, without any command to it yet.
pub fn transport(address: &CardAddress) -> Result<Arc<dyn Transport>, EngineError> {
    match address {
        CardAddress::VfioUser(path) => vfio_user(path),
        CardAddress::Pci(address) => pci(*address),
        _ => Ok(simulated(address)?),
    }
}

/// Makes the simulated card of this name.
pub fn simulated(address: &CardAddress) -> Result<Arc<dyn SimCard>, EngineError> {
    match address {
        CardAddress::SimModel => model(),
        CardAddress::SimRtl | CardAddress::SimRtlStructural => rtl(address),
        CardAddress::VfioUser(_) | CardAddress::Pci(_) => Err(EngineError::Simulation {
            engine: address.to_string(),
            reason: "it is elsewhere; name sim:model, sim:rtl or sim:rtl-structural".to_owned(),
        }),
    }
}

fn model() -> Result<Arc<dyn SimCard>, EngineError> {
    use carillon_sim::model::{ModelCard, ModelOptions};
    match ModelCard::new(ModelOptions::default()) {
        Ok(card) => Ok(Arc::new(card)),
        Err(error) => Err(EngineError::Simulation {
            engine: CardAddress::SimModel.to_string(),
            reason: format!("cannot start the card's threads: {error}; free memory and try again"),
        }),
    }
}

#[cfg(feature = "rtl")]
fn rtl(address: &CardAddress) -> Result<Arc<dyn SimCard>, EngineError> {
    use carillon_sim::rtl::{RtlCard, RtlError, RtlOptions, View};
    let view = match address {
        CardAddress::SimRtlStructural => View::Structural,
        _ => View::Fast,
    };
    match RtlCard::new(RtlOptions {
        view,
        ..RtlOptions::default()
    }) {
        Ok(card) => Ok(Arc::new(card)),
        Err(RtlError::NotBuilt { .. }) => Err(EngineError::not_built(address)),
        Err(error) => Err(EngineError::Simulation {
            engine: address.to_string(),
            reason: error.to_string(),
        }),
    }
}

#[cfg(not(feature = "rtl"))]
fn rtl(address: &CardAddress) -> Result<Arc<dyn SimCard>, EngineError> {
    Err(EngineError::not_built(address))
}

fn vfio_user(path: &Path) -> Result<Arc<dyn Transport>, EngineError> {
    match ClientCard::connect(path) {
        Ok(card) => Ok(Arc::new(card)),
        Err(source) => Err(EngineError::VfioUser {
            source: Box::new(source),
        }),
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
