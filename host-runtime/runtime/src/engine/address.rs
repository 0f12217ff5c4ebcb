//! Where a card is, as users write it. Pure; used by the engines' names and errors, by `card`,
//! which gives it to other crates, and by recordings.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use carillon_driver::pci::PciAddress;

/// A card: a simulated one of this process, one behind a vfio-user socket, or one on PCIe.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CardAddress {
    /// `sim:model`: the functional card model in Rust.
    SimModel,
    /// `sim:rtl`: the Verilated card with fast arithmetic.
    SimRtl,
    /// `sim:rtl-structural`: the Verilated card with real multipliers.
    SimRtlStructural,
    /// `vfio-user:PATH`: a card that another process serves over a Unix socket.
    VfioUser(PathBuf),
    /// `0000:03:00.0`, `03:00.0` or `vfio:0000:03:00.0`: a card on PCIe.
    Pci(PciAddress),
}

/// Text that names no card.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{given}` names no card; use a PCI address (0000:03:00.0), vfio-user:PATH, sim:model, sim:rtl or \
     sim:rtl-structural"
)]
pub struct UnknownCard {
    /// What was given.
    pub given: String,
}

impl CardAddress {
    /// The simulated cards, whether or not this build has them.
    pub const SIMULATED: [CardAddress; 3] = [
        CardAddress::SimModel,
        CardAddress::SimRtl,
        CardAddress::SimRtlStructural,
    ];

    /// Whether this build can open a card of this kind.
    pub fn is_built(&self) -> bool {
        match self {
            CardAddress::SimRtl => cfg!(feature = "rtl"),
            CardAddress::SimRtlStructural => cfg!(feature = "rtl-structural"),
            CardAddress::SimModel | CardAddress::VfioUser(_) => cfg!(feature = "sim"),
            CardAddress::Pci(_) => true,
        }
    }

    /// The address on PCIe, if it is there.
    pub fn pci(&self) -> Option<PciAddress> {
        match self {
            CardAddress::Pci(address) => Some(*address),
            _ => None,
        }
    }
}

impl fmt::Display for CardAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CardAddress::SimModel => f.pad("sim:model"),
            CardAddress::SimRtl => f.pad("sim:rtl"),
            CardAddress::SimRtlStructural => f.pad("sim:rtl-structural"),
            CardAddress::VfioUser(path) => f.pad(&format!("vfio-user:{}", path.display())),
            CardAddress::Pci(address) => address.fmt(f),
        }
    }
}

impl FromStr for CardAddress {
    type Err = UnknownCard;

    fn from_str(given: &str) -> Result<Self, UnknownCard> {
        let unknown = || UnknownCard {
            given: given.to_owned(),
        };
        if let Some(simulated) = Self::SIMULATED
            .into_iter()
            .find(|card| card.to_string() == given)
        {
            return Ok(simulated);
        }
        if let Some(path) = given.strip_prefix("vfio-user:") {
            return match path {
                "" => Err(unknown()),
                path => Ok(Self::VfioUser(path.into())),
            };
        }
        let address = given.strip_prefix("vfio:").unwrap_or(given);
        address.parse().map(Self::Pci).map_err(|_| unknown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written_as_users_do() {
        for (given, written) in [
            ("sim:model", "sim:model"),
            ("sim:rtl", "sim:rtl"),
            ("sim:rtl-structural", "sim:rtl-structural"),
            ("vfio-user:/run/card.sock", "vfio-user:/run/card.sock"),
            ("03:00.0", "0000:03:00.0"),
            ("vfio:0000:03:00.1", "0000:03:00.1"),
        ] {
            let card: CardAddress = given.parse().unwrap();
            assert_eq!(card.to_string(), written);
            assert_eq!(card.pci().is_some(), written.starts_with("0000"));
        }
        for given in [
            "",
            "cpu",
            "sim:",
            "vfio-user:",
            "vfio:",
            "3:0",
            "sim:model ",
        ] {
            let error = given.parse::<CardAddress>().unwrap_err().to_string();
            assert!(error.contains(&format!("`{given}`")), "{error}");
        }
    }
}
