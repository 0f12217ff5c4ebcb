//! The messages of vfio-user 0.1, as bytes. Pure.
//!
//! Follows the protocol's specification (QEMU, `docs/interop/vfio-user.rst`):
//! a header of 16 bytes, then a body by command. Integers are little-endian.
//! Only what a simulated card and its client need; anything else is answered
//! with an error by the server.

use bytemuck::{Pod, Zeroable};

/// Bytes of a header.
pub const HEADER_BYTES: usize = size_of::<RawHeader>();
/// Largest message taken, in bytes: one access of [`MAX_DATA`] with its fields.
pub const MAX_MESSAGE: usize = MAX_DATA + 4096;
/// Most bytes read or written by one message.
pub const MAX_DATA: usize = 1 << 20;
/// Most descriptors in one message.
pub const MAX_FDS: usize = 16;
/// Version spoken: major, minor.
pub const VERSION: (u16, u16) = (0, 1);

/// What a message asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
#[allow(missing_docs)]
pub enum Opcode {
    Version = 1,
    DmaMap = 2,
    DmaUnmap = 3,
    DeviceInfo = 4,
    RegionInfo = 5,
    IrqInfo = 7,
    SetIrqs = 8,
    RegionRead = 9,
    RegionWrite = 10,
    Reset = 13,
}

impl Opcode {
    /// The command with this number.
    pub fn from_number(number: u16) -> Option<Self> {
        [
            Self::Version,
            Self::DmaMap,
            Self::DmaUnmap,
            Self::DeviceInfo,
            Self::RegionInfo,
            Self::IrqInfo,
            Self::SetIrqs,
            Self::RegionRead,
            Self::RegionWrite,
            Self::Reset,
        ]
        .into_iter()
        .find(|&op| op as u16 == number)
    }
}

/// Bits of a header's flags.
mod flag {
    pub const TYPE: u32 = 0xf;
    pub const REPLY: u32 = 1;
    pub const NO_REPLY: u32 = 1 << 4;
    pub const ERROR: u32 = 1 << 5;
}

/// The first 16 bytes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Pairs a reply with its command.
    pub id: u16,
    /// Number of the command, which may be unknown.
    pub command: u16,
    /// Bytes of the message, header included.
    pub bytes: u32,
    /// Whether this is a reply.
    pub reply: bool,
    /// Whether the sender wants none (posted writes).
    pub no_reply: bool,
    /// Error number of a reply; `None` for a success.
    pub error: Option<u32>,
}

/// A header as it travels; every bit pattern is one.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct RawHeader {
    id: u16,
    command: u16,
    bytes: u32,
    flags: u32,
    error: u32,
}

impl Header {
    /// As bytes.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let bit = |on, bit| if on { bit } else { 0 };
        bytemuck::cast(RawHeader {
            id: self.id,
            command: self.command,
            bytes: self.bytes,
            flags: bit(self.reply, flag::REPLY)
                | bit(self.no_reply, flag::NO_REPLY)
                | bit(self.error.is_some(), flag::ERROR),
            error: self.error.unwrap_or(0),
        })
    }

    /// From bytes; `None` for a length that no message has, or a type that
    /// there is not.
    pub fn decode(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let raw: RawHeader = bytemuck::pod_read_unaligned(bytes);
        let in_range = (HEADER_BYTES..=MAX_MESSAGE).contains(&(raw.bytes as usize));
        if !in_range || raw.flags & flag::TYPE > flag::REPLY {
            return None;
        }
        Some(Self {
            id: raw.id,
            command: raw.command,
            bytes: raw.bytes,
            reply: raw.flags & flag::TYPE == flag::REPLY,
            no_reply: raw.flags & flag::NO_REPLY != 0,
            error: (raw.flags & flag::ERROR != 0).then_some(raw.error),
        })
    }
}

/// Takes structures off the front of a body.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    fn take<T: Pod>(&mut self) -> Option<T> {
        let (head, rest) = self.0.split_at_checked(size_of::<T>())?;
        self.0 = rest;
        bytemuck::try_pod_read_unaligned(head).ok()
    }

    /// What has not been taken.
    pub fn rest(self) -> &'a [u8] {
        self.0
    }
}

/// A structure that travels as it lies in memory.
macro_rules! body {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
        #[repr(C)]
        pub struct $name { $($(#[$field_doc])* pub $field: $kind,)* }

        impl $name {
            /// Bytes.
            pub const BYTES: usize = size_of::<Self>();

            /// As bytes.
            pub fn encode(&self) -> Vec<u8> {
                bytemuck::bytes_of(self).to_vec()
            }

            /// Off the front of a body; `None` if that is too short.
            pub fn decode(reader: &mut Reader<'_>) -> Option<Self> {
                reader.take()
            }
        }
    };
}

body! {
    /// Offer and answer of a version; JSON and a zero follow.
    VersionBody {
        /// Major.
        major: u16,
        /// Minor.
        minor: u16,
    }
}
body! {
    /// Memory becomes reachable for the card; its descriptor travels beside.
    DmaMap {
        /// Bytes of this structure.
        argsz: u32,
        /// 1 the card may read, 2 it may write.
        flags: u32,
        /// First byte in the descriptor.
        offset: u64,
        /// I/O address of the first byte.
        address: u64,
        /// Bytes.
        size: u64,
    }
}
body! {
    /// Memory is no longer reachable.
    DmaUnmap {
        /// Bytes of this structure.
        argsz: u32,
        /// Zero.
        flags: u32,
        /// I/O address of the first byte.
        address: u64,
        /// Bytes; may span any number of mappings, and none.
        size: u64,
    }
}
body! {
    /// What a device has.
    DeviceInfo {
        /// Bytes of this structure.
        argsz: u32,
        /// 1 it can be reset, 2 it is a PCI device.
        flags: u32,
        /// Regions.
        regions: u32,
        /// Interrupt indices.
        irqs: u32,
    }
}
body! {
    /// A region of a device.
    RegionInfo {
        /// Bytes of this structure.
        argsz: u32,
        /// 1 readable, 2 writable.
        flags: u32,
        /// Number of the region.
        index: u32,
        /// Zero: no capabilities.
        cap_offset: u32,
        /// Bytes.
        size: u64,
        /// Zero: it cannot be mapped.
        offset: u64,
    }
}
body! {
    /// An interrupt index of a device.
    IrqInfo {
        /// Bytes of this structure.
        argsz: u32,
        /// 1 by eventfd, 8 all at once.
        flags: u32,
        /// Number of the index.
        index: u32,
        /// Vectors.
        count: u32,
    }
}
body! {
    /// Which vectors go to the descriptors beside the message.
    SetIrqs {
        /// Bytes of this structure and what follows.
        argsz: u32,
        /// Kind of data (1 none, 2 flags, 4 eventfds), action (8 mask, 16 unmask, 32 trigger).
        flags: u32,
        /// Number of the index.
        index: u32,
        /// First vector.
        start: u32,
        /// Vectors.
        count: u32,
    }
}
body! {
    /// An access to a region; the data of a write follows.
    RegionAccess {
        /// First byte.
        offset: u64,
        /// Number of the region.
        region: u32,
        /// Bytes.
        count: u32,
    }
}

/// [`DmaMap`] and region flags.
pub const READ: u32 = 1;
/// As [`READ`].
pub const WRITE: u32 = 2;
/// [`DeviceInfo`] flags.
pub const DEVICE_RESETS: u32 = 1;
/// As [`DEVICE_RESETS`].
pub const DEVICE_PCI: u32 = 2;
/// [`IrqInfo`] flags.
pub const IRQ_EVENTFD: u32 = 1;
/// As [`IRQ_EVENTFD`].
pub const IRQ_NORESIZE: u32 = 8;
/// [`SetIrqs`] flags.
pub const IRQ_DATA_NONE: u32 = 1;
/// As [`IRQ_DATA_NONE`].
pub const IRQ_DATA_EVENTFD: u32 = 4;
/// As [`IRQ_DATA_NONE`].
pub const IRQ_ACTION_TRIGGER: u32 = 32;

/// Numbers of a PCI device's regions.
pub mod region {
    /// Registers.
    pub const BAR0: u32 = 0;
    /// MSI-X table and pending bits.
    pub const BAR2: u32 = 2;
    /// What only a simulation has: faults.
    pub const BAR4: u32 = 4;
    /// Configuration space.
    pub const CONFIG: u32 = 7;
    /// How many there are.
    pub const COUNT: u32 = 9;
}

/// Numbers of a PCI device's interrupt indices.
pub mod irq {
    /// MSI-X.
    pub const MSIX: u32 = 2;
    /// How many there are.
    pub const COUNT: u32 = 5;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn headers_return(
            id: u16, command: u16, bytes in HEADER_BYTES as u32..=MAX_MESSAGE as u32,
            reply: bool, no_reply: bool, error: Option<u32>,
        ) {
            let header = Header { id, command, bytes, reply, no_reply, error };
            prop_assert_eq!(Header::decode(&header.encode()), Some(header));
        }

        #[test]
        fn any_bytes_are_a_header_or_none(bytes: [u8; HEADER_BYTES]) {
            if let Some(header) = Header::decode(&bytes) {
                prop_assert!((HEADER_BYTES..=MAX_MESSAGE).contains(&(header.bytes as usize)));
                // What has a meaning returns; reserved bits and the number of no error do not.
                prop_assert_eq!(Header::decode(&header.encode()), Some(header));
            }
        }

        #[test]
        fn bodies_return_and_short_ones_are_refused(
            offset: u64, address: u64, size: u64, flags: u32, cut in 0..DmaMap::BYTES,
        ) {
            let map = DmaMap { argsz: 32, flags, offset, address, size };
            let bytes = map.encode();
            prop_assert_eq!(bytes.len(), 32);
            let mut reader = Reader(&bytes);
            prop_assert_eq!(DmaMap::decode(&mut reader), Some(map));
            prop_assert!(reader.rest().is_empty());
            prop_assert_eq!(DmaMap::decode(&mut Reader(&bytes[..cut])), None);
        }
    }

    /// Sizes by the specification.
    #[test]
    fn bodies_have_the_sizes_of_the_specification() {
        let sizes = [
            VersionBody::BYTES,
            DmaUnmap::BYTES,
            DeviceInfo::BYTES,
            RegionInfo::BYTES,
            IrqInfo::BYTES,
            SetIrqs::BYTES,
            RegionAccess::BYTES,
        ];
        assert_eq!(sizes, [4, 24, 16, 32, 16, 20, 16]);
    }

    #[test]
    fn lengths_and_types_that_there_are_not() {
        let mut bytes = [0; HEADER_BYTES];
        bytes[4] = 15;
        assert_eq!(Header::decode(&bytes), None);
        bytes[4] = 16;
        assert!(Header::decode(&bytes).is_some());
        bytes[8] = 2;
        assert_eq!(Header::decode(&bytes), None);
        assert_eq!(Opcode::from_number(6), None);
        assert_eq!(Opcode::from_number(13), Some(Opcode::Reset));
    }
}
