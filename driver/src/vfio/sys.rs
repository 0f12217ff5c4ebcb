//! The system calls of VFIO, one safe function each.
//!
//! Thin on purpose: arguments in, the kernel's own error out. The layouts and
//! numbers come from `vfio-bindings`; `vfio-ioctls` is not used because it maps
//! all DMA memory for reading *and* writing, which would give away the rights
//! of a [`Direction`](crate::transport::Direction), and panics on addresses.
//! Used by the other files of this folder only. (Linux: `include/uapi/linux/vfio.h`.)
#![allow(unsafe_code)]

use std::ffi::{CString, c_void};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};

use rustix::io::{Errno, Result};
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, opcode};
use vfio_bindings::bindings::vfio as abi;

/// Numbers of the calls, counted from `VFIO_BASE`.
mod number {
    pub const GET_API_VERSION: u32 = 0;
    pub const CHECK_EXTENSION: u32 = 1;
    pub const SET_IOMMU: u32 = 2;
    pub const GROUP_GET_STATUS: u32 = 3;
    pub const GROUP_SET_CONTAINER: u32 = 4;
    pub const GROUP_GET_DEVICE_FD: u32 = 6;
    pub const DEVICE_GET_INFO: u32 = 7;
    pub const DEVICE_GET_REGION_INFO: u32 = 8;
    pub const DEVICE_GET_IRQ_INFO: u32 = 9;
    pub const DEVICE_SET_IRQS: u32 = 10;
    pub const DEVICE_RESET: u32 = 11;
    pub const IOMMU_GET_INFO: u32 = 12;
    pub const IOMMU_MAP_DMA: u32 = 13;
    pub const IOMMU_UNMAP_DMA: u32 = 14;
}

struct Call {
    number: u32,
    argument: *mut c_void,
}

// SAFETY: VFIO's calls are `_IO(';', 100 + n)` on every platform, take one
// pointer or number and answer with an integer; `argument` is what the maker of
// the value gave, see `call`. They may change what it points to.
unsafe impl Ioctl for Call {
    type Output = i32;
    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        opcode::none(abi::VFIO_TYPE, (abi::VFIO_BASE + self.number) as u8)
    }

    fn as_ptr(&mut self) -> *mut c_void {
        self.argument
    }

    unsafe fn output_from_ptr(out: IoctlOutput, _: *mut c_void) -> Result<i32> {
        Ok(out)
    }
}

/// # Safety
/// `argument` must be what the call of this number takes: a number, or a
/// pointer to a structure whose `argsz` does not exceed the memory behind it.
unsafe fn call(fd: impl AsFd, number: u32, argument: *mut c_void) -> Result<i32> {
    // SAFETY: the caller's promise.
    unsafe { rustix::ioctl::ioctl(fd, Call { number, argument }) }
}

/// A call that takes a number, or nothing.
fn plain(fd: impl AsFd, number: u32, argument: usize) -> Result<i32> {
    // SAFETY: used below for calls that take a number, never a pointer.
    unsafe { call(fd, number, std::ptr::without_provenance_mut(argument)) }
}

/// A call with one structure, which the kernel may fill.
fn with<T>(fd: impl AsFd, number: u32, value: &mut T) -> Result<i32> {
    // SAFETY: used below with the structure of the call, `argsz` its size; a
    // reference is valid for reads and writes.
    unsafe { call(fd, number, std::ptr::from_mut(value).cast()) }
}

fn size<T>() -> u32 {
    size_of::<T>() as u32
}

pub fn api_version(container: impl AsFd) -> Result<i32> {
    plain(container, number::GET_API_VERSION, 0)
}

/// Whether the container offers this kind of IOMMU.
pub fn has_iommu(container: impl AsFd, kind: u32) -> Result<bool> {
    plain(container, number::CHECK_EXTENSION, kind as usize).map(|yes| yes > 0)
}

pub fn set_iommu(container: impl AsFd, kind: u32) -> Result<()> {
    plain(container, number::SET_IOMMU, kind as usize).map(drop)
}

/// Whether every device of the group is bound to VFIO or to nothing.
pub fn is_viable(group: impl AsFd) -> Result<bool> {
    let mut status = abi::vfio_group_status {
        argsz: size::<abi::vfio_group_status>(),
        flags: 0,
    };
    with(group, number::GROUP_GET_STATUS, &mut status)?;
    Ok(status.flags & abi::VFIO_GROUP_FLAGS_VIABLE != 0)
}

pub fn set_container(group: impl AsFd, container: i32) -> Result<()> {
    let mut fd = container;
    with(group, number::GROUP_SET_CONTAINER, &mut fd).map(drop)
}

/// Opens the device of this PCI address.
pub fn device(group: impl AsFd, address: &str) -> Result<OwnedFd> {
    let name = CString::new(address).map_err(|_| Errno::INVAL)?;
    let pointer = name.as_ptr().cast_mut().cast();
    // SAFETY: a string that ends in zero and outlives the call.
    let fd = unsafe { call(group, number::GROUP_GET_DEVICE_FD, pointer) }?;
    // SAFETY: a success is a new descriptor, which nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// What a device has.
#[derive(Clone, Copy, Debug)]
pub struct DeviceInfo {
    /// Whether it can be reset by itself.
    pub resets: bool,
    /// Interrupt indices.
    pub irqs: u32,
}

pub fn device_info(device: impl AsFd) -> Result<DeviceInfo> {
    let mut info = abi::vfio_device_info {
        argsz: size::<abi::vfio_device_info>(),
        ..Default::default()
    };
    with(device, number::DEVICE_GET_INFO, &mut info)?;
    Ok(DeviceInfo {
        resets: info.flags & abi::VFIO_DEVICE_FLAGS_RESET != 0,
        irqs: info.num_irqs,
    })
}

/// Where a region of a device lies in its file.
#[derive(Clone, Copy, Debug)]
pub struct Region {
    /// Offset in the device's file.
    pub offset: u64,
    /// Bytes.
    pub bytes: u64,
    /// Whether it can be mapped.
    pub mappable: bool,
}

pub fn region(device: impl AsFd, index: u32) -> Result<Region> {
    let mut info = abi::vfio_region_info {
        argsz: size::<abi::vfio_region_info>(),
        index,
        ..Default::default()
    };
    with(device, number::DEVICE_GET_REGION_INFO, &mut info)?;
    Ok(Region {
        offset: info.offset,
        bytes: info.size,
        mappable: info.flags & abi::VFIO_REGION_INFO_FLAG_MMAP != 0,
    })
}

/// Vectors of an interrupt index.
pub fn irq_count(device: impl AsFd, index: u32) -> Result<u32> {
    let mut info = abi::vfio_irq_info {
        argsz: size::<abi::vfio_irq_info>(),
        index,
        ..Default::default()
    };
    with(device, number::DEVICE_GET_IRQ_INFO, &mut info)?;
    Ok(info.count)
}

/// Connects the vectors of an interrupt index to eventfds, from vector 0 on; an
/// empty list disconnects them all.
pub fn set_irqs(device: impl AsFd, index: u32, eventfds: &[i32]) -> Result<()> {
    let kind = match eventfds {
        [] => abi::VFIO_IRQ_SET_DATA_NONE,
        _ => abi::VFIO_IRQ_SET_DATA_EVENTFD,
    };
    let count = eventfds.len() as u32;
    let header = size::<abi::vfio_irq_set>();
    let mut words = vec![
        header + 4 * count,
        kind | abi::VFIO_IRQ_SET_ACTION_TRIGGER,
        index,
        0,
        count,
    ];
    words.extend(eventfds.iter().map(|&fd| fd as u32));
    // SAFETY: `vfio_irq_set` is five words followed by the descriptors; its
    // first word is the length of all of them.
    unsafe { call(device, number::DEVICE_SET_IRQS, words.as_mut_ptr().cast()) }.map(drop)
}

pub fn reset(device: impl AsFd) -> Result<()> {
    plain(device, number::DEVICE_RESET, 0).map(drop)
}

/// The container's IOMMU: `vfio_iommu_type1_info` and its capabilities, as the
/// kernel wrote them. `super::iova` reads it.
pub fn iommu_info(container: impl AsFd) -> Result<Vec<u8>> {
    let mut bytes = size_of::<abi::vfio_iommu_type1_info>();
    loop {
        // Words of 8, for the alignment of the structure.
        let mut words = vec![0u64; bytes.div_ceil(8)];
        words[0] = bytes as u64;
        // SAFETY: the buffer is as long as its first field, `argsz`, says.
        unsafe {
            call(
                &container,
                number::IOMMU_GET_INFO,
                words.as_mut_ptr().cast(),
            )
        }?;
        let needed = words[0] as u32 as usize;
        if needed <= bytes {
            let mut out: Vec<u8> = words.iter().flat_map(|w| w.to_ne_bytes()).collect();
            out.truncate(bytes);
            return Ok(out);
        }
        // The kernel says how much it has; nothing has this many capabilities.
        if needed > 1 << 20 {
            return Err(Errno::OVERFLOW);
        }
        bytes = needed;
    }
}

/// Rights of a DMA mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// The device may read.
    pub read: bool,
    /// The device may write.
    pub write: bool,
}

/// # Safety
/// `bytes` bytes at `address` must stay mapped in this process, and be used as
/// memory that somebody else writes to, until they are unmapped again.
pub unsafe fn map_dma(
    container: impl AsFd,
    address: *mut u8,
    iova: u64,
    bytes: u64,
    rights: Rights,
) -> Result<()> {
    let flag = |on, flag| if on { flag } else { 0 };
    let mut map = abi::vfio_iommu_type1_dma_map {
        argsz: size::<abi::vfio_iommu_type1_dma_map>(),
        flags: flag(rights.read, abi::VFIO_DMA_MAP_FLAG_READ)
            | flag(rights.write, abi::VFIO_DMA_MAP_FLAG_WRITE),
        vaddr: address as u64,
        iova,
        size: bytes,
    };
    with(container, number::IOMMU_MAP_DMA, &mut map).map(drop)
}

/// Unmaps; returns the bytes that were mapped there.
pub fn unmap_dma(container: impl AsFd, iova: u64, bytes: u64) -> Result<u64> {
    let mut unmap = abi::vfio_iommu_type1_dma_unmap {
        argsz: size::<abi::vfio_iommu_type1_dma_unmap>(),
        iova,
        size: bytes,
        ..Default::default()
    };
    with(container, number::IOMMU_UNMAP_DMA, &mut unmap)?;
    Ok(unmap.size)
}
