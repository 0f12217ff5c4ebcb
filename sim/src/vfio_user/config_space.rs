//! The PCI configuration space of a served card. Pure.
//!
//! Type 0 header, PCI Express capability with function-level reset, MSI-X
//! capability with its table in BAR2. What the other side emulates itself (the
//! values of the BARs, the MSI-X table) is not kept here: writes to it are
//! ignored. (PCI Local Bus Specification 3.0, chapter 6; PCI Express Base
//! Specification, section 7.5.)

use carillon_driver::pci::{DEVICE, VENDOR};

/// Bytes of the region.
pub const BYTES: usize = 4096;

const COMMAND: usize = 0x04;
const EXPRESS: usize = 0x40;
const DEVICE_CONTROL: usize = EXPRESS + 8;
const MSIX: usize = 0x80;
/// Begin a function-level reset; reads as zero.
const INITIATE_RESET: u16 = 1 << 15;
const BUS_MASTER: u16 = 1 << 2;

/// Bytes that keep what is written; all others ignore it.
const WRITABLE: [usize; 10] = [
    COMMAND,
    COMMAND + 1,
    0x0c,
    0x0d,
    0x3c,
    DEVICE_CONTROL,
    DEVICE_CONTROL + 1,
    EXPRESS + 0x28,
    EXPRESS + 0x29,
    MSIX + 3,
];

/// What a write asks for besides being kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Reset the card.
    pub reset: bool,
}

/// The configuration space of one card.
#[derive(Clone, Debug)]
pub struct ConfigSpace {
    bytes: Vec<u8>,
}

impl ConfigSpace {
    /// As after power-on, with `vectors` MSI-X vectors (1 to 2048).
    pub fn new(vectors: u16) -> Self {
        let mut space = Self {
            bytes: vec![0; BYTES],
        };
        let fields: [(usize, &[u8]); 14] = [
            (0x00, &VENDOR.to_le_bytes()),
            (0x02, &DEVICE.to_le_bytes()),
            // Status: there are capabilities.
            (0x06, &[0x10]),
            // Class: a processing accelerator.
            (0x0b, &[0x12]),
            // BAR0, BAR2 and BAR4: 64 bits wide.
            (0x10, &[4]),
            (0x18, &[4]),
            (0x20, &[4]),
            (0x2c, &VENDOR.to_le_bytes()),
            (0x2e, &DEVICE.to_le_bytes()),
            (0x34, &[EXPRESS as u8]),
            // Version 2, endpoint; then MSI-X.
            (EXPRESS, &[0x10, MSIX as u8, 2, 0]),
            // Function-level reset, role-based errors, payloads of 512 bytes.
            (EXPRESS + 4, &0x1000_8002u32.to_le_bytes()),
            // Link: third generation, four lanes, capable and trained.
            (EXPRESS + 0x0c, &[0x43]),
            (EXPRESS + 0x12, &[0x43]),
        ];
        for (at, value) in fields {
            space.put(at, value);
        }
        let last = (vectors.max(1) - 1).to_le_bytes();
        space.put(MSIX, &[0x11, 0, last[0], last[1]]);
        // Table at the start of BAR2, pending bits behind it.
        space.put(MSIX + 4, &2u32.to_le_bytes());
        space.put(MSIX + 8, &(0x800u32 | 2).to_le_bytes());
        space
    }

    fn put(&mut self, at: usize, value: &[u8]) {
        self.bytes[at..at + value.len()].copy_from_slice(value);
    }

    /// Reads; zeros beyond the end.
    pub fn read(&self, offset: u64, out: &mut [u8]) {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        for (i, byte) in out.iter_mut().enumerate() {
            let at = start.saturating_add(i);
            *byte = self.bytes.get(at).copied().unwrap_or(0);
        }
    }

    /// Writes what can be written.
    pub fn write(&mut self, offset: u64, data: &[u8]) -> Effects {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        for (i, &byte) in data.iter().enumerate() {
            let at = start.saturating_add(i);
            if WRITABLE.contains(&at) {
                self.bytes[at] = byte;
            }
        }
        let control = self.word(DEVICE_CONTROL);
        let reset = control & INITIATE_RESET != 0;
        if reset {
            self.reset();
        }
        Effects { reset }
    }

    /// What a function-level reset clears. Device control stays, but for the
    /// bit that began the reset.
    pub fn reset(&mut self) {
        self.put(COMMAND, &[0, 0]);
        self.bytes[MSIX + 3] = 0;
        let control = self.word(DEVICE_CONTROL) & !INITIATE_RESET;
        self.put(DEVICE_CONTROL, &control.to_le_bytes());
    }

    fn word(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.bytes[at], self.bytes[at + 1]])
    }

    /// Whether the card may begin accesses.
    pub fn is_bus_master(&self) -> bool {
        self.word(COMMAND) & BUS_MASTER != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(space: &ConfigSpace, at: u64, bytes: usize) -> Vec<u8> {
        let mut out = vec![0xee; bytes];
        space.read(at, &mut out);
        out
    }

    #[test]
    fn capabilities_are_a_chain_that_ends() {
        let space = ConfigSpace::new(4);
        let mut found = Vec::new();
        let mut at = u64::from(read(&space, 0x34, 1)[0]);
        while at != 0 {
            let head = read(&space, at, 2);
            found.push(head[0]);
            at = head[1].into();
        }
        assert_eq!(found, [0x10, 0x11], "PCI Express, MSI-X");
        assert_eq!(read(&space, 0x82, 2), [3, 0], "four vectors");
        assert_eq!(read(&space, 0, 4), [0xee, 0x10, 0x11, 0xca]);
        assert_eq!(read(&space, 4095, 4)[1..], [0; 3]);
    }

    #[test]
    fn a_reset_takes_bus_mastering_away() {
        let mut space = ConfigSpace::new(4);
        assert!(!space.is_bus_master());
        assert!(!space.write(4, &[6, 1]).reset);
        assert!(space.is_bus_master());
        assert!(space.write(0x48, &[0x40, 0x80]).reset);
        assert!(!space.is_bus_master());
        assert_eq!(read(&space, 0x48, 2), [0x40, 0]);
    }

    proptest! {
        #[test]
        fn identity_cannot_be_overwritten(offset: u64, data in proptest::collection::vec(any::<u8>(), 0..64)) {
            let fresh = ConfigSpace::new(4);
            let mut space = fresh.clone();
            space.write(offset, &data);
            space.write(offset % 256, &data);
            for at in (0..BYTES).filter(|at| !WRITABLE.contains(at)) {
                prop_assert_eq!(space.bytes[at], fresh.bytes[at], "byte {:#x}", at);
            }
        }
    }
}
