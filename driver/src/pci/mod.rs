//! What Linux says about PCI cards: addresses, sysfs, VFIO device files, holders.
//!
//! Reads `/sys`, `/dev/vfio` and `/proc` (each root can be another folder, for
//! tests) and never touches a card. The VFIO transport takes its
//! [`PciAddress`] from here; the operator commands of the runtime show what is
//! found and write the few attributes that bind a card to a driver.
//!
//! | file | idea |
//! |---|---|
//! | `address` | `0000:03:00.0` |
//! | `sysfs` | the folder `/sys`: which devices there are, reading, writing |
//! | `device` | one device as sysfs shows it |
//! | `attributes` | how sysfs writes link rates, resources and error counters |
//! | `files` | `/dev/vfio`: device files and who may open them |
//! | `holders` | `/proc`: which processes hold a device file open |

mod address;
mod attributes;
mod device;
mod files;
mod holders;
mod sysfs;

use std::io;
use std::path::PathBuf;

pub use address::PciAddress;
pub use attributes::{AerCounters, LinkRate, Resource};
pub use device::{GroupMember, PciDevice};
pub use files::{DevVfio, DeviceFile};
pub use holders::{Holder, Procfs};
pub use sysfs::Sysfs;

/// PCI vendor of a Carillon card: the FPGA maker's.
pub const VENDOR: u16 = 0x10ee;

/// PCI device of a Carillon card. Not registered: the register `MAGIC` decides.
pub const DEVICE: u16 = 0xca11;

/// The kernel driver that hands a card to a process.
pub const VFIO_DRIVER: &str = "vfio-pci";

/// Why something about a PCI device could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum PciError {
    /// Not an address.
    #[error("`{given}` is no PCI address: write it as 0000:03:00.0 or 03:00.0 (hexadecimal)")]
    Address {
        /// What was given.
        given: String,
    },
    /// No such device, or it has just left.
    #[error(
        "there is no PCI device {address}: check the slot, then `lspci` or a rescan of the bus"
    )]
    Absent {
        /// Its address.
        address: PciAddress,
    },
    /// An attribute that cannot be read.
    #[error("cannot read {}: {cause}; check that it is there and that you may read it", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// An attribute that cannot be written.
    #[error("cannot write `{value}` to {}: {cause}; as a rule this takes root", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What was to be written.
        value: String,
        /// Why.
        cause: io::Error,
    },
}
