//! How sysfs writes link rates, resources and error counters. Pure.

use std::fmt;

/// Speed and width of a PCIe link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkRate {
    /// Megatransfers a second and lane: 2500 (generation 1) to 64000 (6).
    pub megatransfers: u32,
    /// Lanes.
    pub lanes: u8,
}

impl LinkRate {
    /// From `16.0 GT/s PCIe` and `16`; `None` where the kernel does not know.
    pub(super) fn parse(speed: &str, width: &str) -> Option<Self> {
        let number = speed.split_whitespace().next()?;
        let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
        // One digit after the point is all that there is.
        let tenths: u32 = part.get(..1)?.parse().ok()?;
        let megatransfers = whole.parse::<u32>().ok()?.checked_mul(1000)? + tenths * 100;
        let lanes: u8 = width.trim().parse().ok()?;
        let known = megatransfers > 0 && (1..=32).contains(&lanes);
        known.then_some(Self {
            megatransfers,
            lanes,
        })
    }

    /// Whether it is slower or narrower than `other`.
    pub fn is_below(self, other: Self) -> bool {
        self.megatransfers < other.megatransfers || self.lanes < other.lanes
    }
}

impl fmt::Display for LinkRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, tenths) = (self.megatransfers / 1000, self.megatransfers % 1000 / 100);
        match tenths {
            0 => write!(f, "{whole} GT/s x{}", self.lanes),
            _ => write!(f, "{whole}.{tenths} GT/s x{}", self.lanes),
        }
    }
}

/// One of a device's address ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Line in the attribute `resource`; 0 to 5 are the BARs, 6 the ROM.
    pub index: usize,
    /// First address.
    pub start: u64,
    /// Bytes.
    pub bytes: u64,
    /// The kernel's `IORESOURCE_` bits.
    pub flags: u64,
}

impl Resource {
    /// The ranges that exist, of the lines `start end flags`.
    pub(super) fn parse_all(text: &str) -> Vec<Self> {
        let line = |(index, line): (usize, &str)| {
            let mut words = line
                .split_whitespace()
                .map(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16).ok());
            let (start, end, flags) = (words.next()??, words.next()??, words.next()??);
            let bytes = end.checked_sub(start)?.checked_add(1)?;
            (flags != 0).then_some(Self {
                index,
                start,
                bytes,
                flags,
            })
        };
        text.lines().enumerate().filter_map(line).collect()
    }
}

/// Errors that the bus has reported of a device since it was found (Advanced
/// Error Reporting).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AerCounters {
    /// Repaired by the hardware.
    pub correctable: u64,
    /// Lost transactions, the link still works.
    pub nonfatal: u64,
    /// The link was lost.
    pub fatal: u64,
}

impl AerCounters {
    /// The total of one `aer_dev_` attribute: its line `TOTAL_ERR_.. n`.
    pub(super) fn total(text: &str) -> Option<u64> {
        let line = text.lines().find(|line| line.starts_with("TOTAL_ERR_"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_rates_are_read_as_the_kernel_writes_them() {
        let rate = |speed, width| LinkRate::parse(speed, width).map(|rate| rate.to_string());
        assert_eq!(rate("16.0 GT/s PCIe", "16"), Some("16 GT/s x16".into()));
        assert_eq!(rate("2.5 GT/s PCIe", "1\n"), Some("2.5 GT/s x1".into()));
        assert_eq!(rate("8 GT/s", "8"), Some("8 GT/s x8".into()));
        for (speed, width) in [
            ("Unknown", "0"),
            ("8 GT/s", "0"),
            ("8 GT/s", "255"),
            ("", ""),
        ] {
            assert_eq!(rate(speed, width), None);
        }
        let (slow, fast) = (
            LinkRate::parse("8.0 GT/s PCIe", "16").unwrap(),
            LinkRate::parse("16.0 GT/s PCIe", "8").unwrap(),
        );
        assert!(slow.is_below(fast) && fast.is_below(slow) && !slow.is_below(slow));
    }

    #[test]
    fn resources_that_do_not_exist_are_left_out() {
        let text = "0x00000000fe000000 0x00000000fe00ffff 0x0000000000040200\n\
                    0x0000000000000000 0x0000000000000000 0x0000000000000000\n\
                    0x0000380000000000 0x00003800000fffff 0x000000000014220c\n";
        let found = Resource::parse_all(text);
        let of = |i: usize| (found[i].index, found[i].start, found[i].bytes);
        assert_eq!(found.len(), 2);
        assert_eq!(of(0), (0, 0xfe00_0000, 0x1_0000));
        assert_eq!(of(1), (2, 0x3800_0000_0000, 0x10_0000));
        assert_eq!(Resource::parse_all("x y z\n0x0\n"), []);
    }

    #[test]
    fn error_counters_are_the_totals() {
        let text = "RxErr 1\nBadTLP 2\nTOTAL_ERR_COR 3\n";
        assert_eq!(AerCounters::total(text), Some(3));
        assert_eq!(AerCounters::total("RxErr 1\n"), None);
    }
}
