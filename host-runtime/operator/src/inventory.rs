//! Which cards a machine has on PCIe, and in which state each is.

use std::fmt;

use carillon_driver::pci::{DEVICE, DeviceFile, Holder, PciAddress, PciDevice, PciError, VENDOR};

use super::error::{list, member};
use super::{Host, OperateError};
use carillon_runtime::card::CardAddress;

/// Whether a card can be used now, and if not, why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CardState {
    /// It can be opened.
    Ready,
    /// A process has it.
    Busy,
    /// vfio-pci does not have it.
    Unbound,
    /// Other devices of its IOMMU group belong to other drivers.
    Blocked,
    /// This user may not open its device file.
    Forbidden,
    /// It does not answer any more.
    Gone,
}

impl CardState {
    /// The name in tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            CardState::Ready => "ready",
            CardState::Busy => "busy",
            CardState::Unbound => "unbound",
            CardState::Blocked => "blocked",
            CardState::Forbidden => "forbidden",
            CardState::Gone => "gone",
        }
    }
}

impl fmt::Display for CardState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A card on PCIe, with the device file of its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What sysfs says.
    pub device: PciDevice,
    /// Its group's device file; `None` unless the group is handed out by VFIO.
    pub file: Option<DeviceFile>,
    /// Processes that hold that file open, as far as this user may see.
    pub holders: Vec<Holder>,
}

impl Found {
    /// All Carillon cards, in the order of their addresses.
    ///
    /// # Errors
    /// [`PciError::Read`].
    pub fn all(host: &Host) -> Result<Vec<Self>, PciError> {
        let cards = host.sysfs.cards()?;
        Ok(cards.into_iter().map(|card| Self::of(host, card)).collect())
    }

    /// The device at this address, which must be a Carillon card.
    ///
    /// # Errors
    /// [`OperateError::Pci`], [`OperateError::NotACard`].
    pub fn one(host: &Host, address: PciAddress) -> Result<Self, OperateError> {
        let device = host.sysfs.device(address)?;
        if (device.vendor, device.device) != (VENDOR, DEVICE) {
            return Err(OperateError::NotACard {
                address,
                vendor: device.vendor,
                device: device.device,
            });
        }
        Ok(Self::of(host, device))
    }

    /// Any device, with what belongs to it.
    pub(super) fn of(host: &Host, device: PciDevice) -> Self {
        let file = device.iommu_group.and_then(|group| host.vfio.group(group));
        let holders = file
            .as_ref()
            .map(|file| host.procfs.holders(&file.path))
            .unwrap_or_default();
        Self {
            device,
            file,
            holders,
        }
    }

    /// The first of the reasons, in the order in which they must be fixed.
    pub fn state(&self) -> CardState {
        if !self.device.answers {
            CardState::Gone
        } else if !self.holders.is_empty() {
            CardState::Busy
        } else if !self.device.is_bound_to_vfio() {
            CardState::Unbound
        } else if self.device.blockers().next().is_some() {
            CardState::Blocked
        } else if !self.file.as_ref().is_some_and(|file| file.may_open) {
            CardState::Forbidden
        } else {
            CardState::Ready
        }
    }

    /// The state in words, with names.
    pub fn remark(&self) -> String {
        let address = self.device.address;
        match self.state() {
            CardState::Ready => String::new(),
            CardState::Busy => format!("held by {}", list(&self.holders, ToString::to_string)),
            CardState::Unbound => format!("run `carillon bind {address}` as root"),
            CardState::Blocked => {
                let blockers: Vec<_> = self.device.blockers().cloned().collect();
                format!("its group also has {}", list(&blockers, member))
            }
            CardState::Forbidden => match &self.file {
                Some(file) => format!("no permission for {}", file.path.display()),
                None => "its group has no device file".to_owned(),
            },
            CardState::Gone => "its configuration space reads all ones".to_owned(),
        }
    }
}

/// The card named, else the only one that this machine has on PCIe.
///
/// # Errors
/// [`OperateError::NoCard`], [`OperateError::SeveralCards`], [`OperateError::Pci`].
pub fn choose(host: &Host, named: Option<&CardAddress>) -> Result<CardAddress, OperateError> {
    if let Some(named) = named {
        return Ok(named.clone());
    }
    let cards = host.sysfs.cards()?;
    match &*cards {
        [] => Err(OperateError::NoCard),
        [card] => Ok(CardAddress::Pci(card.address)),
        cards => Err(OperateError::SeveralCards {
            cards: cards.iter().map(|card| card.address).collect(),
        }),
    }
}
