//! Cards that `carillon-sim` makes or reaches: simulated ones, and those behind a vfio-user socket.

use std::path::Path;
use std::sync::Arc;

use carillon_driver::transport::Transport;
use carillon_sim::card::SimCard;
use carillon_sim::vfio_user::ClientCard;

use super::CardAddress;
use crate::engine::EngineError;

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
