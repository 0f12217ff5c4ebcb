//! The folder `/sys`: which PCI devices there are, reading and writing.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{DEVICE, PciAddress, PciDevice, PciError, VENDOR};

/// The kernel's view of devices, by default at `/sys`.
#[derive(Clone, Debug)]
pub struct Sysfs {
    root: PathBuf,
}

impl Default for Sysfs {
    fn default() -> Self {
        Self::at("/sys")
    }
}

impl Sysfs {
    /// A tree that looks like `/sys`.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// A path below the root.
    pub fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.root.join(below)
    }

    /// The folder of a PCI device, whether or not it is there.
    pub fn device_path(&self, address: PciAddress) -> PathBuf {
        self.path("bus/pci/devices").join(address.to_string())
    }

    /// The folder of a PCI driver, whether or not it is loaded.
    pub fn driver_path(&self, driver: &str) -> PathBuf {
        self.path("bus/pci/drivers").join(driver)
    }

    /// Whether a PCI driver is loaded.
    pub fn has_driver(&self, driver: &str) -> bool {
        self.driver_path(driver).is_dir()
    }

    /// Names of the IOMMUs in use; none when DMA is not translated.
    pub fn iommus(&self) -> Vec<String> {
        let mut names = entries(&self.path("class/iommu")).unwrap_or_default();
        names.sort();
        names
    }

    /// Addresses of all PCI functions, ascending. None on a machine without PCI.
    ///
    /// # Errors
    /// [`PciError::Read`] when the folder is there but cannot be read.
    pub fn addresses(&self) -> Result<Vec<PciAddress>, PciError> {
        let path = self.path("bus/pci/devices");
        let names = match entries(&path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Vec::new(),
            names => names.map_err(|cause| PciError::Read { path, cause })?,
        };
        let mut found: Vec<_> = names.iter().filter_map(|name| name.parse().ok()).collect();
        found.sort();
        Ok(found)
    }

    /// What sysfs shows of one device.
    ///
    /// # Errors
    /// [`PciError::Absent`], [`PciError::Read`].
    pub fn device(&self, address: PciAddress) -> Result<PciDevice, PciError> {
        PciDevice::read(self, address)
    }

    /// All Carillon cards by vendor and device, in the order of their
    /// addresses. A device that leaves meanwhile is left out.
    ///
    /// # Errors
    /// [`PciError::Read`].
    pub fn cards(&self) -> Result<Vec<PciDevice>, PciError> {
        let mut cards = Vec::new();
        for address in self.addresses()? {
            match self.device(address) {
                Ok(device) if (device.vendor, device.device) == (VENDOR, DEVICE) => {
                    cards.push(device);
                }
                // Others need not be readable.
                Ok(_) | Err(PciError::Absent { .. } | PciError::Read { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(cards)
    }

    /// Writes an attribute, given by its whole path.
    ///
    /// # Errors
    /// [`PciError::Write`].
    pub fn write(&self, path: &Path, value: &str) -> Result<(), PciError> {
        let fault = |cause| PciError::Write {
            path: path.to_owned(),
            value: value.to_owned(),
            cause,
        };
        // Never creates: an attribute that is not there is an error.
        let mut file = fs::OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(path)
            .map_err(fault)?;
        file.write_all(value.as_bytes()).map_err(fault)
    }
}

/// Names in a folder; those that are not UTF-8 are none of ours.
pub(super) fn entries(folder: &Path) -> io::Result<Vec<String>> {
    let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
    names.filter_map(io::Result::transpose).collect()
}
