//! The folder `/dev/vfio`: device files of groups, and who may open them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use rustix::fs::{Access, AtFlags, CWD, accessat};

/// VFIO's device files, by default in `/dev/vfio`.
#[derive(Clone, Debug)]
pub struct DevVfio {
    root: PathBuf,
}

/// A device file and its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceFile {
    /// Where it is.
    pub path: PathBuf,
    /// User id of the owner.
    pub uid: u32,
    /// Group id of the owner.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
    /// Whether this process may open it for reading and writing.
    pub may_open: bool,
}

impl Default for DevVfio {
    fn default() -> Self {
        Self::at("/dev/vfio")
    }
}

impl DevVfio {
    /// A folder that looks like `/dev/vfio`.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The path of the device file of IOMMU group `number`.
    pub fn group_path(&self, number: u32) -> PathBuf {
        self.root.join(number.to_string())
    }

    /// The device file of IOMMU group `number`; `None` while no device of the
    /// group is bound to vfio-pci.
    pub fn group(&self, number: u32) -> Option<DeviceFile> {
        DeviceFile::at(self.group_path(number))
    }

    /// The container file, `vfio`; `None` when VFIO is not there.
    pub fn container(&self) -> Option<DeviceFile> {
        DeviceFile::at(self.root.join("vfio"))
    }
}

impl DeviceFile {
    fn at(path: PathBuf) -> Option<Self> {
        let meta = fs::metadata(&path).ok()?;
        // By the effective user, as `open` would.
        let rights = accessat(
            CWD,
            &path,
            Access::READ_OK | Access::WRITE_OK,
            AtFlags::EACCESS,
        );
        Some(Self {
            uid: meta.uid(),
            gid: meta.gid(),
            mode: meta.mode() & 0o7777,
            may_open: rights.is_ok(),
            path,
        })
    }
}
