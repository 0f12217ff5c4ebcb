//! Names of engines, as users write them. Pure; read by the command lines, `open` and `card`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use carillon_driver::pci::PciAddress;
use serde::{Deserialize, Deserializer};

use super::EngineError;
use super::address::CardAddress;

/// An engine by name, as users write it after `--engine`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EngineKind {
    /// `cpu`: blst on all cores.
    Cpu,
    /// `sim:rtl`: the Verilated card with fast arithmetic. Needs the feature `rtl`.
    SimRtl,
    /// `sim:rtl-structural`: the Verilated card with real multipliers, slow. Needs the feature
    /// `rtl-structural`.
    SimRtlStructural,
    /// `sim:model`: the functional card model in Rust.
    SimModel,
    /// `vfio-user:PATH`: a card that another process serves over a Unix socket.
    VfioUser(PathBuf),
    /// `vfio:0000:03:00.0`, or the address alone: a card on PCIe.
    Vfio(PciAddress),
}

impl EngineKind {
    /// All engines that need no address, whether or not this build has them.
    pub const ALL: [EngineKind; 4] = [
        EngineKind::Cpu,
        EngineKind::SimRtl,
        EngineKind::SimRtlStructural,
        EngineKind::SimModel,
    ];

    /// The name as users write it.
    pub fn name(&self) -> String {
        match self {
            EngineKind::Vfio(address) => format!("vfio:{address}"),
            card => card
                .card()
                .map_or_else(|| "cpu".to_owned(), |card| card.to_string()),
        }
    }

    /// The card that it computes on; `None` for the CPU.
    pub fn card(&self) -> Option<CardAddress> {
        Some(match self {
            EngineKind::Cpu => return None,
            EngineKind::SimRtl => CardAddress::SimRtl,
            EngineKind::SimRtlStructural => CardAddress::SimRtlStructural,
            EngineKind::SimModel => CardAddress::SimModel,
            EngineKind::VfioUser(path) => CardAddress::VfioUser(path.clone()),
            EngineKind::Vfio(address) => CardAddress::Pci(*address),
        })
    }

    /// Whether this build can open the engine.
    pub fn is_built(&self) -> bool {
        self.card().is_none_or(|card| card.is_built())
    }
}

impl From<CardAddress> for EngineKind {
    fn from(card: CardAddress) -> Self {
        match card {
            CardAddress::SimModel => EngineKind::SimModel,
            CardAddress::SimRtl => EngineKind::SimRtl,
            CardAddress::SimRtlStructural => EngineKind::SimRtlStructural,
            CardAddress::VfioUser(path) => EngineKind::VfioUser(path),
            CardAddress::Pci(address) => EngineKind::Vfio(address),
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name())
    }
}

impl FromStr for EngineKind {
    type Err = EngineError;

    fn from_str(given: &str) -> Result<Self, EngineError> {
        if given == "cpu" {
            return Ok(EngineKind::Cpu);
        }
        match given.parse::<CardAddress>() {
            Ok(card) => Ok(card.into()),
            Err(_) => Err(EngineError::Unknown {
                given: given.to_owned(),
            }),
        }
    }
}

/// As a string, the name that users write.
impl<'de> Deserialize<'de> for EngineKind {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        let addressed = [
            EngineKind::Vfio("03:00.0".parse().unwrap()),
            EngineKind::VfioUser("/run/card".into()),
        ];
        for kind in EngineKind::ALL.into_iter().chain(addressed) {
            assert_eq!(kind.name().parse::<EngineKind>().unwrap(), kind);
            assert_eq!(kind.card().map_or(EngineKind::Cpu, Into::into), kind);
        }
        let plain: EngineKind = "0000:03:00.0".parse().unwrap();
        assert_eq!(plain.name(), "vfio:0000:03:00.0");
        let error = "fpga".parse::<EngineKind>().unwrap_err().to_string();
        assert!(
            error.contains("fpga") && error.contains("sim:model"),
            "{error}"
        );
    }
}
