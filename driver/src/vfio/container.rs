//! Group and container: the card's own I/O address space, and its mappings.
//!
//! A container is an IOMMU domain; the card's group is attached to it, and what
//! is mapped into it is all the memory that the card can reach.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use vfio_bindings::bindings::vfio as abi;

use super::error::{VfioError, in_words};
use super::iova::{IommuInfo, IovaSpace};
use super::sys::{self, Rights};
use crate::memory::HostMemory;
use crate::pci::{DevVfio, PciAddress, PciDevice, Procfs, Sysfs};
use crate::transport::{Direction, TransportError};

/// Mappings begin at multiples of a huge page, so that the IOMMU can use large
/// pages where the memory has them.
const ALIGN: u64 = 2 << 20;

#[derive(Debug)]
struct Mapping {
    // Keeps the pages alive as long as the card can reach them.
    memory: Arc<HostMemory>,
}

#[derive(Debug)]
struct Table {
    space: IovaSpace,
    mappings: BTreeMap<u64, Mapping>,
}

/// An IOMMU domain with the group of one card in it. Closing it (drop) unmaps
/// everything.
#[derive(Debug)]
pub struct Container {
    // Closed in this order: the group first, then its domain.
    group: File,
    container: File,
    table: Mutex<Table>,
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

impl Container {
    /// Opens the group of the card at `address` in a container of its own.
    ///
    /// # Errors
    /// [`VfioError`].
    pub fn open(address: PciAddress) -> Result<Self, VfioError> {
        let (sysfs, files) = (Sysfs::default(), DevVfio::default());
        let device = sysfs.device(address)?;
        let number = device.iommu_group.ok_or(VfioError::NoIommu { address })?;
        if !device.is_bound_to_vfio() {
            let driver = device.driver;
            return Err(VfioError::Unbound { address, driver });
        }
        let system = |step| {
            move |cause: Errno| VfioError::System {
                address,
                step,
                cause: cause.into(),
            }
        };
        let refused = |path: &Path, step| {
            let path = path.display().to_string();
            move |cause: io::Error| match cause.kind() {
                io::ErrorKind::NotFound => VfioError::NoVfio { path },
                io::ErrorKind::PermissionDenied => VfioError::Permission { path },
                _ => VfioError::System {
                    address,
                    step,
                    cause,
                },
            }
        };
        let group_path = files.group_path(number);
        let group = open(&group_path).map_err(|cause| {
            // One opener a group; the kernel answers all others with this.
            if cause.raw_os_error() == Some(Errno::BUSY.raw_os_error()) {
                let holder = in_words(&Procfs::default().holders(&group_path));
                return VfioError::Busy { address, holder };
            }
            refused(&group_path, "opening the IOMMU group")(cause)
        })?;
        let path = group_path.with_file_name("vfio");
        let container = open(&path).map_err(refused(&path, "opening a VFIO container"))?;
        if sys::api_version(&container).map_err(system("asking VFIO's version"))?
            != abi::VFIO_API_VERSION as i32
        {
            return Err(VfioError::NoType1 { address });
        }
        if !sys::is_viable(&group).map_err(system("asking the group's state"))? {
            return Err(not_viable(&device, number));
        }
        sys::set_container(&group, container.as_raw_fd())
            .map_err(system("attaching the group to a container"))?;
        let kind = abi::VFIO_TYPE1v2_IOMMU;
        if !sys::has_iommu(&container, kind).map_err(system("asking for the IOMMU's type"))? {
            return Err(VfioError::NoType1 { address });
        }
        sys::set_iommu(&container, kind).map_err(system("choosing the IOMMU's type"))?;
        let info = sys::iommu_info(&container).map_err(system("asking for I/O addresses"))?;
        let info = IommuInfo::parse(&info)?;
        tracing::debug!(%address, ?info, "container open");
        let table = Table {
            space: IovaSpace::new(info.windows),
            mappings: BTreeMap::new(),
        };
        Ok(Self {
            group,
            container,
            table: Mutex::new(table),
        })
    }

    /// The card's file.
    pub fn device(&self, address: PciAddress) -> Result<File, VfioError> {
        let device = sys::device(&self.group, &address.to_string());
        device.map(File::from).map_err(|cause| VfioError::System {
            address,
            step: "opening the device",
            cause: cause.into(),
        })
    }

    /// See [`crate::transport::Transport::map`].
    pub fn map(
        &self,
        memory: Arc<HostMemory>,
        direction: Direction,
    ) -> Result<u64, TransportError> {
        let bytes = memory.len();
        let refused = |cause: String| TransportError::Map { bytes, cause };
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let iova = table
            .space
            .take(bytes as u64, ALIGN)
            .ok_or_else(|| refused("the IOMMU has no window of I/O addresses left".into()))?;
        let rights = Rights {
            read: direction.card_may_read(),
            write: direction.card_may_write(),
        };
        // SAFETY: the table keeps the memory, and with it the mapping, until
        // `unmap` or the container's end; `HostMemory` is made to be shared.
        let mapped = unsafe {
            sys::map_dma(
                self.container.as_fd(),
                memory.base().as_ptr(),
                iova,
                bytes as u64,
                rights,
            )
        };
        if let Err(error) = mapped {
            table.space.give(iova);
            return Err(refused(explain(error, bytes)));
        }
        table.mappings.insert(iova, Mapping { memory });
        Ok(iova)
    }

    /// See [`crate::transport::Transport::unmap`].
    pub fn unmap(&self, iova: u64) -> Result<(), TransportError> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = match table.mappings.get(&iova) {
            Some(mapping) => mapping.memory.len() as u64,
            None => return Err(TransportError::NotMapped { iova }),
        };
        let unmapped = sys::unmap_dma(self.container.as_fd(), iova, bytes);
        if unmapped != Ok(bytes) {
            tracing::error!(iova, ?unmapped, "the kernel did not unmap DMA memory");
            return Err(TransportError::NotMapped { iova });
        }
        table.space.give(iova);
        table.mappings.remove(&iova);
        Ok(())
    }
}

fn not_viable(device: &PciDevice, group: u32) -> VfioError {
    let others = device.blockers().cloned().collect();
    VfioError::NotViable {
        address: device.address,
        group,
        others,
    }
}

/// The kernel's reason for refusing a mapping, with what is known about it.
fn explain(error: Errno, bytes: usize) -> String {
    match error {
        Errno::NOMEM => {
            let limit = getrlimit(Resource::Memlock).current;
            let limit = limit.map_or("unlimited".into(), |b| format!("{} KiB", b >> 10));
            format!(
                "the kernel may not lock {} KiB more for this process (limit {limit})",
                bytes >> 10
            )
        }
        Errno::NOSPC => {
            "the kernel's limit on mappings is reached (dma_entry_limit of vfio_iommu_type1)".into()
        }
        other => io::Error::from(other).to_string(),
    }
}
