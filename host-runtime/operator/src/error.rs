//! Why an operator's command cannot be done.

use std::io;
use std::path::PathBuf;

use carillon_driver::pci::{GroupMember, Holder, PciAddress, PciError};

use carillon_runtime::card::CardAddress;

/// Why an operator's command cannot be done; nothing was changed unless the text says so.
#[derive(Debug, thiserror::Error)]
pub enum OperateError {
    /// Sysfs.
    #[error(transparent)]
    Pci(#[from] PciError),
    /// No card was named, and there is none.
    #[error(
        "there is no Carillon card on this machine: check the slot (`carillon doctor`), or name a \
         simulated card, for instance sim:model"
    )]
    NoCard,
    /// No card was named, and there are several.
    #[error(
        "there are several cards: name one of {}",
        list(cards, ToString::to_string)
    )]
    SeveralCards {
        /// Their addresses.
        cards: Vec<PciAddress>,
    },
    /// Another device.
    #[error(
        "{address} is no Carillon card (vendor {vendor:#06x}, device {device:#06x}): see `carillon list`"
    )]
    NotACard {
        /// Its address.
        address: PciAddress,
        /// Its vendor.
        vendor: u16,
        /// Its device.
        device: u16,
    },
    /// A card that is not on PCIe.
    #[error("{card} is not on PCIe, so no kernel driver has it: there is nothing to do")]
    NotPci {
        /// The card.
        card: CardAddress,
    },
    /// A process has the card open.
    #[error(
        "{address} is held by {}: end that first",
        list(holders, ToString::to_string)
    )]
    Busy {
        /// The card.
        address: PciAddress,
        /// Who holds it.
        holders: Vec<Holder>,
    },
    /// Devices of the IOMMU group belong to other drivers.
    #[error(
        "IOMMU group {group} of {address} also has {}: unbind them from their drivers, or move the \
         card to a slot with a group of its own",
        list(members, member)
    )]
    Blocked {
        /// The card.
        address: PciAddress,
        /// The group.
        group: u32,
        /// The devices.
        members: Vec<GroupMember>,
    },
    /// No IOMMU group.
    #[error(
        "{address} has no IOMMU group: enable the IOMMU in the firmware and boot with intel_iommu=on \
         or amd_iommu=on (`carillon doctor` says more)"
    )]
    NoIommu {
        /// The card.
        address: PciAddress,
    },
    /// The kernel driver is not loaded.
    #[error("the kernel has no driver {driver}: run `modprobe {driver}` as root")]
    NoDriver {
        /// Its name.
        driver: String,
    },
    /// The kernel did not follow.
    #[error(
        "{address} should belong to {wanted} now but belongs to {found}: see the end of `dmesg`"
    )]
    NotTaken {
        /// The card.
        address: PciAddress,
        /// The driver wanted.
        wanted: String,
        /// The driver found.
        found: String,
    },
    /// No such user.
    #[error("there is no user `{name}`: see `getent passwd`")]
    User {
        /// The name.
        name: String,
    },
    /// A device file that cannot be given away.
    #[error("cannot give {} to the user: {cause}; as a rule this takes root", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

/// A group member with its driver, for messages.
pub(super) fn member(member: &GroupMember) -> String {
    match &member.driver {
        Some(driver) => format!("{} (driver {driver})", member.address),
        None => member.address.to_string(),
    }
}

/// Items with commas between.
pub(super) fn list<T>(items: &[T], name: impl Fn(&T) -> String) -> String {
    items.iter().map(name).collect::<Vec<_>>().join(", ")
}
