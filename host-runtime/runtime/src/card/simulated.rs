//! Cards that `carillon-sim` makes or reaches: simulated ones, and those behind a vfio-user socket.
//! Called by `connect`; the simulated ones also by `trace::replay` and, over `card`, by other crates.

use std::path::Path;
use std::sync::Arc;

use carillon_driver::transport::Transport;
use carillon_sim::card::SimCard;
use carillon_sim::model::{ModelCard, ModelOptions};
#[cfg(feature = "rtl")]
use carillon_sim::rtl::{RtlCard, RtlError, RtlOptions, View};
use carillon_sim::vfio_user::ClientCard;

use crate::engine::EngineError;
use crate::engine::address::CardAddress;

/// Reaches the card at an address that is not on this machine's bus.
pub(super) fn beside(address: &CardAddress) -> Result<Arc<dyn Transport>, EngineError> {
    match address {
        CardAddress::VfioUser(path) => vfio_user(path),
        _ => Ok(simulated(address)?),
    }
}

/// Makes the simulated card of this name.
pub fn simulated(address: &CardAddress) -> Result<Arc<dyn SimCard>, EngineError> {
    match address {
        CardAddress::SimModel => Ok(model()?),
        CardAddress::SimRtl | CardAddress::SimRtlStructural => rtl(address),
        CardAddress::VfioUser(_) | CardAddress::Pci(_) => Err(EngineError::Simulation {
            engine: address.to_string(),
            reason: "it is elsewhere; name sim:model, sim:rtl or sim:rtl-structural".to_owned(),
        }),
    }
}

/// A fresh card model, with the usual memory.
pub(crate) fn model() -> Result<Arc<ModelCard>, EngineError> {
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
    match rtl_card(address, RtlOptions::default()) {
        Ok(card) => Ok(card),
        Err(error) => Err(rtl_fault(address, error)),
    }
}

/// A fresh Verilated card with the arithmetic that the address names. [`rtl_fault`] says what a
/// failure means, unless the caller has a better word for it.
#[cfg(feature = "rtl")]
pub(crate) fn rtl_card(
    address: &CardAddress,
    options: RtlOptions,
) -> Result<Arc<RtlCard>, RtlError> {
    let view = match address {
        CardAddress::SimRtlStructural => View::Structural,
        _ => View::Fast,
    };
    RtlCard::new(RtlOptions { view, ..options }).map(Arc::new)
}

/// Why there is no Verilated card.
#[cfg(feature = "rtl")]
pub(crate) fn rtl_fault(address: &CardAddress, error: RtlError) -> EngineError {
    match error {
        RtlError::NotBuilt { .. } => EngineError::not_built(address),
        error => EngineError::Simulation {
            engine: address.to_string(),
            reason: error.to_string(),
        },
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
