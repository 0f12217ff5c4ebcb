//! The card's PCI configuration space: memory space and bus mastering.
//!
//! The kernel leaves bus mastering off when a process opens a device, and a
//! reset may turn it off again. (PCI Local Bus Specification 3.0, section 6.2.2:
//! the command register.)

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Offset of the command register.
const COMMAND: u64 = 4;
/// The card answers accesses to its BARs.
const MEMORY_SPACE: u16 = 1 << 1;
/// The card may begin accesses: DMA and interrupt messages.
const BUS_MASTER: u16 = 1 << 2;

/// The configuration space of an open device.
#[derive(Clone, Copy, Debug)]
pub struct ConfigSpace<'a> {
    /// The device's file.
    pub device: &'a File,
    /// Where the configuration region begins in it.
    pub offset: u64,
}

impl ConfigSpace<'_> {
    /// The command register; an error of kind `NotFound` when the card does not
    /// answer.
    fn command(&self) -> io::Result<u16> {
        let mut bytes = [0; 2];
        self.device
            .read_exact_at(&mut bytes, self.offset + COMMAND)?;
        match u16::from_le_bytes(bytes) {
            // No card has all these bits, some of which are reserved.
            u16::MAX => Err(io::ErrorKind::NotFound.into()),
            command => Ok(command),
        }
    }

    /// Sets the command register's bits and reads it back, so that the write
    /// has arrived (ring rule 8).
    fn set(&self, bits: u16, on: bool) -> io::Result<()> {
        let now = self.command()?;
        let wanted = if on { now | bits } else { now & !bits };
        self.device
            .write_all_at(&wanted.to_le_bytes(), self.offset + COMMAND)?;
        let got = self.command()?;
        if (got ^ wanted) & bits != 0 {
            return Err(io::Error::other(format!(
                "the command register reads {got:#06x} after writing {wanted:#06x}"
            )));
        }
        Ok(())
    }

    /// Lets the card answer and begin accesses.
    pub fn enable(&self) -> io::Result<()> {
        self.set(MEMORY_SPACE | BUS_MASTER, true)
    }

    /// From here on the card begins no access.
    pub fn stop_mastering(&self) -> io::Result<()> {
        self.set(BUS_MASTER, false)
    }
}
