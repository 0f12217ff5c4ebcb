//! Commands: 64 bytes in a submission ring (contract, "Command").
//!
//! [`RawCommand`] is the layout and takes any value in any field, as a card
//! must; [`Command`] is what the driver builds. Pure, no I/O.

use bytemuck::{Pod, Zeroable};

mod group;

pub use group::{FP_BYTES, Group};

/// Bytes of a submission entry.
pub const COMMAND_BYTES: usize = size_of::<RawCommand>();
/// Granule of every address and transfer, in bytes: one beat of the card's bus.
pub const BEAT: u64 = 64;
/// Bytes of a scalar in memory (Fr Montgomery image).
pub const FR_BYTES: u64 = 32;
/// Bytes of an entry of a scatter/gather list.
pub const SGL_ENTRY_BYTES: usize = size_of::<SglEntry>();

/// Flag: op0 is the address of a scatter/gather list.
pub const FLAG_SGL: u8 = 0x01;
/// Flag: inverse transform.
pub const FLAG_INVERSE: u8 = 0x02;
/// Flag: transform on the coset 7 * omega^k.
pub const FLAG_COSET: u8 = 0x04;
/// Flag: the scalars of an MSM are not split over the endomorphism.
pub const FLAG_FULL_SCALARS: u8 = 0x08;
/// Flag: a quotient without c and z, the product of a and b.
pub const FLAG_PRODUCT: u8 = 0x10;
/// Flag: on the coset of the odd powers of a root of order 2n.
pub const FLAG_ODD: u8 = 0x20;

/// Flag: the next command of the queue belongs to the same chain and runs only if this one
/// succeeds. Not part of [`Command`]: any command of an I/O queue may carry it.
pub const FLAG_LINK: u8 = 0x40;

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    /// Write the identity page (admin).
    Identify = 0x01,
    /// End another queue's command (admin).
    Abort = 0x02,
    /// Host memory to card memory.
    Write = 0x10,
    /// Card memory to host memory.
    Read = 0x11,
    /// One word over and over to card memory, on cards that have it.
    Fill = 0x12,
    /// Multi-scalar multiplication in G1.
    MsmG1 = 0x20,
    /// Multi-scalar multiplication in G2, on cards that have it.
    MsmG2 = 0x21,
    /// Number-theoretic transform over Fr.
    Ntt = 0x30,
    /// (a * b - c) * z, element by element.
    Quotient = 0x38,
}

impl Opcode {
    /// Every opcode of the contract.
    pub const ALL: [Self; 9] = [
        Self::Identify,
        Self::Abort,
        Self::Write,
        Self::Read,
        Self::Fill,
        Self::MsmG1,
        Self::MsmG2,
        Self::Ntt,
        Self::Quotient,
    ];

    /// The opcode with this code, if the contract has one.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|o| *o as u8 == code)
    }

    /// Whether it belongs on the admin queue (and nowhere else).
    pub fn is_admin(self) -> bool {
        matches!(self, Self::Identify | Self::Abort)
    }

    /// The flags of its own that it may carry; on an I/O queue also [`FLAG_LINK`].
    pub fn allowed_flags(self) -> u8 {
        match self {
            Self::Write | Self::Read => FLAG_SGL,
            Self::Ntt => FLAG_INVERSE | FLAG_COSET | FLAG_ODD,
            Self::MsmG1 | Self::MsmG2 => FLAG_FULL_SCALARS,
            Self::Quotient => FLAG_PRODUCT,
            Self::Identify | Self::Abort | Self::Fill => 0,
        }
    }
}

/// A command as it lies in the ring; every bit pattern is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Pod, Zeroable)]
#[repr(C)]
pub struct RawCommand {
    /// Bits 7:0 of word 0.
    pub opcode: u8,
    /// Bits 15:8.
    pub flags: u8,
    /// Bits 31:16, returned in the completion.
    pub cid: u16,
    /// Bits 39:32.
    pub log2n: u8,
    /// Bits 47:40.
    pub window_bits: u8,
    /// Bits 63:48, zero.
    pub reserved: u16,
    /// Words 1 to 7.
    pub op: [u64; 7],
}

impl RawCommand {
    /// The eight words, as the ring holds them.
    pub fn to_words(&self) -> [u64; 8] {
        bytemuck::cast(*self)
    }

    /// The inverse of [`RawCommand::to_words`].
    pub fn from_words(words: [u64; 8]) -> Self {
        bytemuck::cast(words)
    }

    /// The 64 bytes, little-endian.
    pub fn to_bytes(&self) -> [u8; COMMAND_BYTES] {
        bytemuck::cast(*self)
    }

    /// The inverse of [`RawCommand::to_bytes`].
    pub fn from_bytes(bytes: &[u8; COMMAND_BYTES]) -> Self {
        bytemuck::pod_read_unaligned(bytes)
    }
}

/// An entry of a scatter/gather list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Pod, Zeroable)]
#[repr(C)]
pub struct SglEntry {
    /// Host address, a multiple of 64.
    pub address: u64,
    /// Bytes, a multiple of 64, not zero.
    pub bytes: u64,
}

/// Which transform an `NTT` command computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
pub struct NttKind {
    /// Values to coefficients (including 1/n) instead of the other way.
    pub inverse: bool,
    /// On the coset 7 * omega^k instead of the subgroup omega^k.
    pub coset: bool,
    /// On the coset of the odd powers of a root of order 2n; not together with `coset`.
    pub odd: bool,
}

impl NttKind {
    /// All transforms.
    pub const ALL: [Self; 6] = {
        const fn both(coset: bool, odd: bool) -> [NttKind; 2] {
            let forward = NttKind {
                inverse: false,
                coset,
                odd,
            };
            [
                forward,
                NttKind {
                    inverse: true,
                    ..forward
                },
            ]
        }
        let ([a, b], [c, d], [e, f]) = (both(false, false), both(true, false), both(false, true));
        [a, b, c, d, e, f]
    };
}

/// How an MSM takes its scalars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
pub enum MsmMode {
    /// Split over the curve's endomorphism, in two in G1 and in four in G2: that much fewer windows.
    /// Right only for bases in the subgroup of order r; for others the result is
    /// a point without meaning.
    #[default]
    Split,
    /// As they are: right for every point of the curve.
    Full,
}

/// A well-formed command. Host addresses are IOVAs, card addresses bytes from
/// the start of card memory; all are multiples of [`BEAT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Identity page to host memory.
    Identify {
        /// Host address of an [`IdentityPage`](crate::identity::IdentityPage).
        page: u64,
    },
    /// Ends a command of another queue.
    Abort {
        /// Its queue.
        queue: u16,
        /// Its command id.
        cid: u16,
    },
    /// Host to card.
    Write {
        /// Host address of the bytes, or of a list when `list`.
        host: u64,
        /// Card address.
        card: u64,
        /// Bytes, a multiple of 64.
        bytes: u64,
        /// Whether `host` is a scatter/gather list.
        list: bool,
    },
    /// Card to host.
    Read {
        /// Host address of the bytes, or of a list when `list`.
        host: u64,
        /// Card address.
        card: u64,
        /// Bytes, a multiple of 64.
        bytes: u64,
        /// Whether `host` is a scatter/gather list.
        list: bool,
    },
    /// A word over and over to card memory.
    Fill {
        /// The word, little-endian in memory.
        word: u64,
        /// Card address.
        card: u64,
        /// Bytes, a multiple of 64.
        bytes: u64,
    },
    /// Sum of scalar_i * base_i: `MSM_G1` or `MSM_G2`.
    Msm {
        /// The group of bases and sum.
        group: Group,
        /// Card address of n affine points of [`Group::point_bytes`].
        bases: u64,
        /// Card address of n scalars.
        scalars: u64,
        /// Terms.
        n: u64,
        /// Card address of [`Group::result_bytes`].
        result: u64,
        /// Window size; 0 lets the card choose.
        window_bits: u8,
        /// Whether scalars are split.
        mode: MsmMode,
    },
    /// Transform of 2^log2n elements.
    Ntt {
        /// Card address of the input, preserved.
        source: u64,
        /// Card address of the output.
        destination: u64,
        /// Card address of as much working memory.
        scratch: u64,
        /// log2 of the length.
        log2n: u8,
        /// Which transform.
        kind: NttKind,
    },
    /// destination_i = (a_i * b_i - c_i) * z.
    Quotient {
        /// Card address of a.
        a: u64,
        /// Card address of b.
        b: u64,
        /// Card address of c.
        c: u64,
        /// Card address of the result; may be a, b or c.
        destination: u64,
        /// Elements.
        n: u64,
        /// Card address of the one element z.
        z: u64,
    },
    /// destination_i = a_i * b_i: `QUOTIENT` with the flag `PRODUCT`.
    Product {
        /// Card address of a.
        a: u64,
        /// Card address of b.
        b: u64,
        /// Card address of the result; may be a or b.
        destination: u64,
        /// Elements.
        n: u64,
    },
}

impl Command {
    /// Its opcode.
    pub fn opcode(&self) -> Opcode {
        match self {
            Self::Identify { .. } => Opcode::Identify,
            Self::Abort { .. } => Opcode::Abort,
            Self::Write { .. } => Opcode::Write,
            Self::Read { .. } => Opcode::Read,
            Self::Fill { .. } => Opcode::Fill,
            Self::Msm { group, .. } => group.opcode(),
            Self::Ntt { .. } => Opcode::Ntt,
            Self::Quotient { .. } | Self::Product { .. } => Opcode::Quotient,
        }
    }

    /// The ring entry with command id `cid`.
    pub fn encode(&self, cid: u16) -> RawCommand {
        let mut raw = RawCommand {
            opcode: self.opcode() as u8,
            cid,
            ..RawCommand::default()
        };
        match *self {
            Self::Identify { page } => raw.op[0] = page,
            Self::Abort { queue, cid } => raw.op[0] = u64::from(queue) | u64::from(cid) << 16,
            Self::Write {
                host,
                card,
                bytes,
                list,
            }
            | Self::Read {
                host,
                card,
                bytes,
                list,
            } => {
                raw.op[..3].copy_from_slice(&[host, card, bytes]);
                raw.flags = if list { FLAG_SGL } else { 0 };
            }
            Self::Fill { word, card, bytes } => {
                raw.op[..3].copy_from_slice(&[word, card, bytes]);
            }
            Self::Msm {
                group: _,
                bases,
                scalars,
                n,
                result,
                window_bits,
                mode,
            } => {
                raw.op[..4].copy_from_slice(&[bases, scalars, n, result]);
                raw.window_bits = window_bits;
                raw.flags = match mode {
                    MsmMode::Split => 0,
                    MsmMode::Full => FLAG_FULL_SCALARS,
                };
            }
            Self::Ntt {
                source,
                destination,
                scratch,
                log2n,
                kind,
            } => {
                raw.op[..3].copy_from_slice(&[source, destination, scratch]);
                raw.log2n = log2n;
                raw.flags = if kind.inverse { FLAG_INVERSE } else { 0 }
                    | if kind.coset { FLAG_COSET } else { 0 }
                    | if kind.odd { FLAG_ODD } else { 0 };
            }
            Self::Quotient {
                a,
                b,
                c,
                destination,
                n,
                z,
            } => {
                raw.op[..6].copy_from_slice(&[a, b, c, destination, n, z]);
            }
            Self::Product {
                a,
                b,
                destination,
                n,
            } => {
                raw.op[..5].copy_from_slice(&[a, b, 0, destination, n]);
                raw.flags = FLAG_PRODUCT;
            }
        }
        raw
    }

    /// The command of a ring entry; `None` if the opcode is none of the
    /// contract's. Flags and reserved bits that do not belong are dropped: a
    /// card checks them on the [`RawCommand`] first.
    pub fn decode(raw: &RawCommand) -> Option<Self> {
        let op = raw.op;
        let list = raw.flags & FLAG_SGL != 0;
        let msm = |group| Self::Msm {
            group,
            bases: op[0],
            scalars: op[1],
            n: op[2],
            result: op[3],
            window_bits: raw.window_bits,
            mode: if raw.flags & FLAG_FULL_SCALARS == 0 {
                MsmMode::Split
            } else {
                MsmMode::Full
            },
        };
        Some(match Opcode::from_code(raw.opcode)? {
            Opcode::Identify => Self::Identify { page: op[0] },
            Opcode::Abort => Self::Abort {
                queue: op[0] as u16,
                cid: (op[0] >> 16) as u16,
            },
            Opcode::Write => Self::Write {
                host: op[0],
                card: op[1],
                bytes: op[2],
                list,
            },
            Opcode::Read => Self::Read {
                host: op[0],
                card: op[1],
                bytes: op[2],
                list,
            },
            Opcode::Fill => Self::Fill {
                word: op[0],
                card: op[1],
                bytes: op[2],
            },
            Opcode::MsmG1 => msm(Group::G1),
            Opcode::MsmG2 => msm(Group::G2),
            Opcode::Ntt => Self::Ntt {
                source: op[0],
                destination: op[1],
                scratch: op[2],
                log2n: raw.log2n,
                kind: NttKind {
                    inverse: raw.flags & FLAG_INVERSE != 0,
                    coset: raw.flags & FLAG_COSET != 0,
                    odd: raw.flags & FLAG_ODD != 0,
                },
            },
            Opcode::Quotient if raw.flags & FLAG_PRODUCT != 0 => Self::Product {
                a: op[0],
                b: op[1],
                destination: op[3],
                n: op[4],
            },
            Opcode::Quotient => Self::Quotient {
                a: op[0],
                b: op[1],
                c: op[2],
                destination: op[3],
                n: op[4],
                z: op[5],
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_layout_is_that_of_the_contract() {
        let command = Command::Ntt {
            source: 0x40,
            destination: 0x80,
            scratch: 0xc0,
            log2n: 0x0a,
            kind: NttKind {
                inverse: true,
                coset: true,
                odd: false,
            },
        };
        let bytes = command.encode(0xbeef).to_bytes();
        assert_eq!(bytes[..8], [0x30, 0x06, 0xef, 0xbe, 0x0a, 0, 0, 0]);
        assert_eq!(
            bytes[8..32].chunks(8).map(|w| w[0]).collect::<Vec<_>>(),
            [0x40, 0x80, 0xc0]
        );
        let product = Command::Product {
            a: 0x40,
            b: 0x80,
            destination: 0xc0,
            n: 5,
        };
        let raw = product.encode(0);
        assert_eq!((raw.opcode, raw.flags), (0x38, 0x10));
        assert_eq!(raw.op[..6], [0x40, 0x80, 0, 0xc0, 5, 0]);
        let flags = NttKind::ALL.map(|kind| {
            let ntt = Command::Ntt {
                source: 0,
                destination: 0,
                scratch: 0,
                log2n: 0,
                kind,
            };
            ntt.encode(0).flags
        });
        assert_eq!(flags, [0, 0x02, 0x04, 0x06, 0x20, 0x22]);
        let fill = Command::Fill {
            word: 0x0123,
            card: 0x40,
            bytes: 0x80,
        };
        let words = fill.encode(0xbeef).to_words();
        assert_eq!(words[..4], [0xbeef_0012, 0x0123, 0x40, 0x80]);
        let abort = Command::Abort {
            queue: 2,
            cid: 0x1234,
        }
        .encode(7);
        assert_eq!(abort.op[0], 0x1234_0002);
        let msm = |group, mode| Command::Msm {
            group,
            bases: 1,
            scalars: 2,
            n: 3,
            result: 4,
            window_bits: 9,
            mode,
        };
        for (group, opcode) in [(Group::G1, 0x20), (Group::G2, 0x21)] {
            let split = msm(group, MsmMode::Split).encode(0);
            assert_eq!(split.to_words()[..5], [9 << 40 | opcode, 1, 2, 3, 4]);
            let full = msm(group, MsmMode::Full).encode(0);
            assert_eq!(full.to_words()[0], 9 << 40 | 0x0800 | opcode);
        }
    }

    proptest! {
        #[test]
        fn any_64_bytes_are_a_raw_command(words: [u64; 8]) {
            let raw = RawCommand::from_words(words);
            prop_assert_eq!(raw.to_words(), words);
            prop_assert_eq!(RawCommand::from_bytes(&raw.to_bytes()), raw);
        }

        #[test]
        fn decode_undoes_encode(words: [u64; 8], pick in 0..Opcode::ALL.len(), cid: u16) {
            let mut raw = RawCommand::from_words(words);
            raw.opcode = Opcode::ALL[pick] as u8;
            let command = Command::decode(&raw);
            prop_assert!(command.is_some());
            if let Some(command) = command {
                let again = command.encode(cid);
                prop_assert_eq!(Command::decode(&again), Some(command));
                prop_assert_eq!((again.cid, again.reserved), (cid, 0));
                prop_assert_eq!(again.flags & !command.opcode().allowed_flags(), 0);
            }
        }
    }
}
