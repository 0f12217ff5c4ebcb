//! The trees through which Linux shows its devices and processes.

use std::path::Path;

use carillon_driver::pci::{DevVfio, Procfs, Sysfs};

/// Where to look. The default is this machine.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// `/sys`.
    pub sysfs: Sysfs,
    /// `/dev/vfio`.
    pub vfio: DevVfio,
    /// `/proc`.
    pub procfs: Procfs,
}

impl Host {
    /// A machine whose `/sys`, `/dev` and `/proc` are below `root`.
    pub fn at(root: &Path) -> Self {
        Self {
            sysfs: Sysfs::at(root.join("sys")),
            vfio: DevVfio::at(root.join("dev/vfio")),
            procfs: Procfs::at(root.join("proc")),
        }
    }
}
