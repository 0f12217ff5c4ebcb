//! I/O addresses: which the IOMMU can translate, and which are taken.
//!
//! Pure. The kernel reports the windows of addresses that are free for DMA
//! (`VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE`); what lies outside, such as the
//! window of interrupt messages at 0xfee00000 on x86, must never be used.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// What `VFIO_IOMMU_GET_INFO` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IommuInfo {
    /// Smallest page that can be mapped, in bytes.
    pub page: u64,
    /// Addresses that can be translated, ascending and disjoint.
    pub windows: Vec<RangeInclusive<u64>>,
    /// Mappings that may still be made, if the kernel limits them.
    pub available: Option<u32>,
}

/// Why the kernel's answer cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InfoError {
    /// Shorter than its own offsets say.
    #[error("the kernel's description of the IOMMU ends early; this is a defect of the kernel")]
    Truncated,
}

/// The windows of a kernel that reports none (before Linux 5.4): what every
/// IOMMU of a server can translate, above the addresses of 32 bits.
const DEFAULT_WINDOW: RangeInclusive<u64> = 1 << 32..=(1 << 39) - 1;
/// `vfio_iommu_type1_info.flags`: page sizes, capabilities.
const FLAG_PAGE_SIZES: u32 = 1;
const FLAG_CAPABILITIES: u32 = 2;
const CAPABILITY_WINDOWS: u16 = 1;
const CAPABILITY_AVAILABLE: u16 = 3;

fn word32(bytes: &[u8], at: usize) -> Result<u32, InfoError> {
    let part = bytes.get(at..).and_then(|rest| rest.first_chunk());
    part.map(|b| u32::from_ne_bytes(*b))
        .ok_or(InfoError::Truncated)
}

fn word64(bytes: &[u8], at: usize) -> Result<u64, InfoError> {
    let part = bytes.get(at..).and_then(|rest| rest.first_chunk());
    part.map(|b| u64::from_ne_bytes(*b))
        .ok_or(InfoError::Truncated)
}

impl IommuInfo {
    /// Reads `vfio_iommu_type1_info` with its chain of capabilities.
    ///
    /// # Errors
    /// [`InfoError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, InfoError> {
        let flags = word32(bytes, 4)?;
        let sizes = word64(bytes, 8)?;
        let page = match sizes {
            0 => 4096,
            _ if flags & FLAG_PAGE_SIZES == 0 => 4096,
            sizes => 1 << sizes.trailing_zeros(),
        };
        let mut info = Self {
            page,
            windows: Vec::new(),
            available: None,
        };
        let mut at = match flags & FLAG_CAPABILITIES {
            0 => 0,
            _ => word32(bytes, 16)? as usize,
        };
        // Each capability is at least its header of 8 bytes, so a chain that
        // runs in a circle ends as well.
        let mut left = bytes.len() / 8;
        while at != 0 && left > 0 {
            left -= 1;
            let header = word32(bytes, at)?;
            match header as u16 {
                CAPABILITY_WINDOWS => info.windows = windows(bytes, at)?,
                CAPABILITY_AVAILABLE => info.available = Some(word32(bytes, at + 8)?),
                _ => {}
            }
            at = word32(bytes, at + 4)? as usize;
        }
        if info.windows.is_empty() {
            info.windows.push(DEFAULT_WINDOW);
        }
        Ok(info)
    }
}

fn windows(bytes: &[u8], at: usize) -> Result<Vec<RangeInclusive<u64>>, InfoError> {
    let count = word32(bytes, at + 8)? as usize;
    let mut out = Vec::new();
    for i in 0..count {
        let pair = at + 16 + 16 * i;
        let (first, last) = (word64(bytes, pair)?, word64(bytes, pair + 8)?);
        if first <= last {
            out.push(first..=last);
        }
    }
    out.sort_by_key(|w| *w.start());
    Ok(out)
}

/// Addresses in use within the windows.
#[derive(Clone, Debug)]
pub struct IovaSpace {
    windows: Vec<RangeInclusive<u64>>,
    /// Bytes by first address.
    taken: BTreeMap<u64, u64>,
}

/// Mappings are placed above 4 GiB where there is space, so that an address cut
/// to 32 bits is a bus error and not somebody else's memory.
const PREFERRED: u64 = 1 << 32;
/// Unmapped bytes after each mapping: running over the end is a bus error.
pub const GUARD: u64 = 2 << 20;

impl IovaSpace {
    /// Nothing taken yet.
    pub fn new(windows: Vec<RangeInclusive<u64>>) -> Self {
        Self {
            windows,
            taken: BTreeMap::new(),
        }
    }

    /// Takes `bytes` bytes at a multiple of `align` (a power of two), with a
    /// guard behind them; `None` when there is no space. Address 0 is never
    /// given, so that a forgotten address is a bus error.
    pub fn take(&mut self, bytes: u64, align: u64) -> Option<u64> {
        let floors = [PREFERRED, align.max(GUARD)];
        let found = floors
            .into_iter()
            .find_map(|floor| self.find(bytes, align, floor))?;
        self.taken.insert(found, bytes);
        Some(found)
    }

    fn find(&self, bytes: u64, align: u64, floor: u64) -> Option<u64> {
        if bytes == 0 || !align.is_power_of_two() {
            return None;
        }
        self.windows.iter().find_map(|window| {
            let mut at = floor.max(*window.start()).checked_next_multiple_of(align)?;
            for (&start, &len) in &self.taken {
                if start >= at.checked_add(bytes)?.checked_add(GUARD)? {
                    break;
                }
                let end = start.checked_add(len)?.checked_add(GUARD)?;
                if end > at {
                    at = end.checked_next_multiple_of(align)?;
                }
            }
            (at.checked_add(bytes - 1)? <= *window.end()).then_some(at)
        })
    }

    /// Gives back what starts at `iova`: its bytes, or `None`.
    pub fn give(&mut self, iova: u64) -> Option<u64> {
        self.taken.remove(&iova)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn info(windows: &[(u64, u64)], available: Option<u32>) -> Vec<u8> {
        let mut b = vec![0; 24];
        b[4..8].copy_from_slice(&3u32.to_ne_bytes());
        b[8..16].copy_from_slice(&(1u64 << 12 | 1 << 21).to_ne_bytes());
        b[16..20].copy_from_slice(&24u32.to_ne_bytes());
        let after = 24 + 16 + 16 * windows.len() as u32;
        b.extend([1u16.to_ne_bytes(), 1u16.to_ne_bytes()].concat());
        b.extend(if available.is_some() { after } else { 0 }.to_ne_bytes());
        b.extend((windows.len() as u32).to_ne_bytes());
        b.extend(0u32.to_ne_bytes());
        for (first, last) in windows {
            b.extend(first.to_ne_bytes());
            b.extend(last.to_ne_bytes());
        }
        if let Some(n) = available {
            b.extend([3u16.to_ne_bytes(), 1u16.to_ne_bytes()].concat());
            b.extend([0u32.to_ne_bytes(), n.to_ne_bytes(), [0; 4]].concat());
        }
        b
    }

    #[test]
    fn the_kernels_answer_is_read() {
        let x86 = [(0, 0xfedf_ffff), (0xfef0_0000, (1 << 39) - 1)];
        let got = IommuInfo::parse(&info(&x86, Some(65_535))).unwrap();
        assert_eq!(got.page, 4096);
        assert_eq!(got.available, Some(65_535));
        assert_eq!(got.windows, [0..=0xfedf_ffff, 0xfef0_0000..=(1 << 39) - 1]);
        // No capabilities: a window that is safe everywhere.
        let mut bare = vec![0; 24];
        bare[4] = 1;
        bare[9] = 0x10;
        let got = IommuInfo::parse(&bare).unwrap();
        assert_eq!((got.page, got.windows), (4096, vec![DEFAULT_WINDOW]));
    }

    #[test]
    fn reserved_addresses_are_never_given() {
        let mut space = IovaSpace::new(vec![0..=0xfedf_ffff, 0xfef0_0000..=0x1_007f_ffff]);
        // Space for 8 MiB above 4 GiB, then below; never across the hole.
        assert_eq!(space.take(8 << 20, 2 << 20), Some(1 << 32));
        let low = space.take(64 << 20, 2 << 20).unwrap();
        assert_eq!(low, GUARD);
        assert_eq!(space.take(u64::MAX, 4096), None);
        assert_eq!(space.take(0, 4096), None);
        assert_eq!(space.give(low), Some(64 << 20));
        assert_eq!(space.give(low), None);
    }

    proptest! {
        #[test]
        fn any_answer_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = IommuInfo::parse(&bytes);
            let mut whole = info(&[(4096, 1 << 40)], Some(3));
            for (at, &byte) in bytes.iter().enumerate().take(whole.len()) {
                if byte > 200 {
                    whole[at] = byte;
                }
            }
            let _ = IommuInfo::parse(&whole);
            let cut = bytes.first().map_or(0, |&b| usize::from(b) % whole.len());
            let _ = IommuInfo::parse(&whole[..cut]);
        }

        #[test]
        fn taken_ranges_lie_in_windows_and_apart(
            steps in proptest::collection::vec((1u64..1 << 33, 12u32..22, any::<bool>()), 1..60),
        ) {
            let windows = vec![0x1000..=0xfedf_ffff, 0xfef0_0000..=(1u64 << 36) - 1];
            let mut space = IovaSpace::new(windows.clone());
            let mut held: Vec<(u64, u64)> = Vec::new();
            for (bytes, log2_align, drop_one) in steps {
                if drop_one && !held.is_empty() {
                    let (at, len) = held.swap_remove(0);
                    prop_assert_eq!(space.give(at), Some(len));
                }
                let Some(at) = space.take(bytes, 1 << log2_align) else { continue };
                prop_assert!(at > 0 && at % (1 << log2_align) == 0);
                prop_assert!(windows.iter().any(|w| w.contains(&at) && w.contains(&(at + bytes - 1))));
                for &(other, len) in &held {
                    prop_assert!(at + bytes + GUARD <= other || other + len + GUARD <= at);
                }
                held.push((at, bytes));
            }
        }
    }
}
