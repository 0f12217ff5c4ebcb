//! The identity page: what a card says of itself (contract, "Identity page").
//!
//! A plain structure of 4096 bytes; `IDENTIFY` writes it. Pure.

use bytemuck::{Pod, Zeroable};

/// Bytes of the identity page.
pub const IDENTITY_BYTES: usize = size_of::<IdentityPage>();
/// Its first bytes.
pub const SIGNATURE: [u8; 8] = *b"CARILLON";

/// Bit of `features`: the card has `MSM_G2`.
pub const FEATURE_MSM_G2: u8 = 0x01;

/// Bit of `features`: the card has `FILL`.
pub const FEATURE_FILL: u8 = 0x02;
/// Bit of `features`: the card has the flag `LINK`.
pub const FEATURE_LINK: u8 = 0x04;

/// Window sizes in each of its tables: floor(log2 n) for every n that a command can hold.
pub const WINDOW_SIZES: usize = 32;

/// The page as it lies in memory; every bit pattern is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct IdentityPage {
    /// [`SIGNATURE`].
    pub signature: [u8; 8],
    /// Contract version.
    pub version: u32,
    /// The configuration's number ([`configuration_name`]).
    pub configuration: u32,
    /// Register map identity.
    pub rdl_hash: u64,
    /// Card memory in bytes.
    pub memory_bytes: u64,
    /// I/O queues.
    pub io_queues: u8,
    /// Largest log2 of a queue's depth.
    pub max_log2_depth: u8,
    /// Largest signed MSM window in bits.
    pub msm_max_window_bits: u8,
    /// MSM windows in flight together.
    pub msm_windows: u8,
    /// Point adders.
    pub msm_adders: u8,
    /// Largest log2 of a transform's length.
    pub ntt_max_log2n: u8,
    /// Butterflies a cycle.
    pub ntt_butterflies: u8,
    /// What the card has beyond the first contract: [`FEATURE_MSM_G2`], [`FEATURE_FILL`],
    /// [`FEATURE_LINK`].
    pub features: u8,
    /// Zero.
    pub reserved: [u8; 24],
    /// Window sizes chosen by `MSM_G1` for split scalars, by floor(log2 n).
    pub split_windows: [u8; WINDOW_SIZES],
    /// The same for whole scalars.
    pub full_windows: [u8; WINDOW_SIZES],
    /// Window sizes chosen by `MSM_G2` for split scalars; zero on a card without it.
    pub g2_split_windows: [u8; WINDOW_SIZES],
    /// The same for whole scalars.
    pub g2_full_windows: [u8; WINDOW_SIZES],
    /// Zero.
    pub rest: [u8; 3904],
}

/// The name of a configuration, by its number on the page and in `CONFIG`.
pub fn configuration_name(number: u32) -> &'static str {
    match number {
        0 => "sim",
        1 => "u250",
        _ => "unknown",
    }
}

impl IdentityPage {
    /// The page in these bytes; `None` if they are not 4096.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytemuck::try_pod_read_unaligned(bytes).ok()
    }

    /// Whether the card has `MSM_G2`.
    pub fn has_msm_g2(&self) -> bool {
        self.features & FEATURE_MSM_G2 != 0
    }

    /// Whether the card has `FILL`.
    pub fn has_fill(&self) -> bool {
        self.features & FEATURE_FILL != 0
    }

    /// Whether the card has the flag `LINK`.
    pub fn has_link(&self) -> bool {
        self.features & FEATURE_LINK != 0
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        bytemuck::bytes_of(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_that_of_the_contract() {
        let bytes: Vec<u8> = (0..4096u32).map(|i| (i % 251) as u8).collect();
        let page = IdentityPage::from_bytes(&bytes).unwrap();
        assert_eq!(page.version.to_le_bytes(), bytes[8..12]);
        assert_eq!(page.configuration.to_le_bytes(), bytes[12..16]);
        assert_eq!(page.rdl_hash.to_le_bytes(), bytes[16..24]);
        assert_eq!(page.memory_bytes.to_le_bytes(), bytes[24..32]);
        let numbers = [
            page.io_queues,
            page.max_log2_depth,
            page.msm_max_window_bits,
            page.msm_windows,
            page.msm_adders,
            page.ntt_max_log2n,
            page.ntt_butterflies,
            page.features,
        ];
        assert_eq!(numbers, bytes[32..40]);
        assert_eq!(page.split_windows, bytes[64..96]);
        assert_eq!(page.full_windows, bytes[96..128]);
        assert_eq!(page.g2_split_windows, bytes[128..160]);
        assert_eq!(page.g2_full_windows, bytes[160..192]);
        assert_eq!(page.rest, bytes[192..]);
        assert_eq!(page.as_bytes(), bytes);
        assert_eq!(IdentityPage::from_bytes(&bytes[1..]), None);
    }

    #[test]
    fn each_feature_has_a_bit_of_its_own() {
        for (features, has) in [
            (0, [false; 3]),
            (1, [true, false, false]),
            (2, [false, true, false]),
            (4, [false, false, true]),
            (0xf8, [false; 3]),
            (0xff, [true; 3]),
        ] {
            let mut bytes = vec![0; IDENTITY_BYTES];
            bytes[39] = features;
            let page = IdentityPage::from_bytes(&bytes).unwrap();
            let found = [page.has_msm_g2(), page.has_fill(), page.has_link()];
            assert_eq!(found, has, "{features:#x}");
        }
    }
}
