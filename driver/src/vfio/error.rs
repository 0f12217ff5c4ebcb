//! Why a card cannot be had through VFIO, and the command that fixes it.

use crate::pci::{GroupMember, Holder, PciAddress, PciError};

use super::iova::InfoError;

/// Why a card cannot be opened through VFIO.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VfioError {
    /// Sysfs does not know the device, or cannot be read.
    #[error(transparent)]
    Pci(#[from] PciError),
    /// The device has no IOMMU group.
    #[error(
        "{address} has no IOMMU group, so its DMA cannot be confined: enable VT-d or AMD-Vi in the firmware and boot with intel_iommu=on or amd_iommu=on"
    )]
    NoIommu {
        /// The card.
        address: PciAddress,
    },
    /// Another driver has it, or none.
    #[error("{address} belongs to {}, not to vfio-pci: run `carillon bind {address}` as root", driver.as_deref().unwrap_or("no driver"))]
    Unbound {
        /// The card.
        address: PciAddress,
        /// Whose it is.
        driver: Option<String>,
    },
    /// Devices of the group belong to other drivers.
    #[error(
        "IOMMU group {group} of {address} cannot be handed out while other drivers have {}: unbind them (`carillon bind` names the writes)",
        list(others)
    )]
    NotViable {
        /// The card.
        address: PciAddress,
        /// Its group.
        group: u32,
        /// The devices in the way.
        others: Vec<GroupMember>,
    },
    /// The kernel has no VFIO.
    #[error("there is no {path}: run `modprobe vfio-pci` as root")]
    NoVfio {
        /// The device file.
        path: String,
    },
    /// The device file may not be opened.
    #[error(
        "no permission for {path}: join the group that owns it, or run `carillon bind --user NAME` as root (`carillon doctor` says more)"
    )]
    Permission {
        /// The device file.
        path: String,
    },
    /// Somebody else has the card.
    #[error("{address} is in use by {holder}: end that process, or choose another card")]
    Busy {
        /// The card.
        address: PciAddress,
        /// Who, as far as this user can see.
        holder: String,
    },
    /// The IOMMU is of a kind that this driver does not speak.
    #[error(
        "the kernel offers no type 1 IOMMU for {address}: run `modprobe vfio_iommu_type1` as root"
    )]
    NoType1 {
        /// The card.
        address: PciAddress,
    },
    /// The kernel's description of the IOMMU cannot be read.
    #[error(transparent)]
    Info(#[from] InfoError),
    /// BAR0 is not what a card has.
    #[error(
        "BAR0 of {address} has {bytes} bytes{}, a Carillon card has at least {needed} that can be mapped: is this the right card?",
        if *mappable { "" } else { " and cannot be mapped" }
    )]
    Bar {
        /// The card.
        address: PciAddress,
        /// Bytes found.
        bytes: u64,
        /// Bytes needed.
        needed: u64,
        /// Whether it can be mapped.
        mappable: bool,
    },
    /// Too few interrupt vectors, or none that can be connected.
    #[error(
        "{address} has {vectors} MSI-X vectors, a Carillon card has at least {needed}: is this the right card?"
    )]
    Vectors {
        /// The card.
        address: PciAddress,
        /// Vectors found.
        vectors: u32,
        /// Vectors needed.
        needed: u32,
    },
    /// A device that cannot be reset on its own cannot be trusted with memory.
    #[error(
        "the kernel cannot reset {address} by itself: its configuration space should offer function-level reset (see reset_method in sysfs)"
    )]
    NoReset {
        /// The card.
        address: PciAddress,
    },
    /// A system call failed.
    #[error(
        "{step} failed for {address}: {cause}; `carillon doctor {address}` looks for the reason"
    )]
    System {
        /// The card.
        address: PciAddress,
        /// What was tried.
        step: &'static str,
        /// The kernel's reason.
        cause: std::io::Error,
    },
}

fn list(members: &[GroupMember]) -> String {
    let one = |m: &GroupMember| {
        format!(
            "{} ({})",
            m.address,
            m.driver.as_deref().unwrap_or("no driver")
        )
    };
    members.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The holders of a device file in words; what this user cannot see is said so.
pub(super) fn in_words(holders: &[Holder]) -> String {
    match holders {
        [] => "a process of another user".into(),
        holders => {
            let names: Vec<_> = holders.iter().map(Holder::to_string).collect();
            names.join(", ")
        }
    }
}
