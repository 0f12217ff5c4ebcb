//! Status codes of completions (contract, "Status").
//!
//! The table of the contract page, once: the functional model encodes from it,
//! the driver decodes into it, `error.rs` says what to do about each.

/// Positions in the 16-bit status word: bit 0 is the phase.
const KIND_SHIFT: u32 = 1;
const CODE_SHIFT: u32 = 4;
const RETRYABLE: u16 = 1 << 15;
/// Bits 14:12, which a card leaves zero.
const RESERVED: u16 = 0x7000;

macro_rules! status_codes {
    ($($(#[$doc:meta])* $name:ident = ($kind:literal, $code:literal, $contract:literal),)*) => {
        /// How a command ended.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum StatusCode {
            $($(#[$doc])* $name,)*
            /// A pair that this version of the contract does not know.
            Unknown {
                /// Type, bits 3:1.
                kind: u8,
                /// Code, bits 11:4.
                code: u8,
            },
        }

        impl StatusCode {
            /// Every code of the contract, in the order of its table.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Type and code.
            pub fn parts(self) -> (u8, u8) {
                match self {
                    $(Self::$name => ($kind, $code),)*
                    Self::Unknown { kind, code } => (kind, code),
                }
            }

            /// The code of a type and code pair.
            pub fn from_parts(kind: u8, code: u8) -> Self {
                match (kind, code) {
                    $(($kind, $code) => Self::$name,)*
                    (kind, code) => Self::Unknown { kind, code },
                }
            }

            /// The contract's name for it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $contract,)*
                    Self::Unknown { .. } => "UNKNOWN",
                }
            }
        }
    };
}

status_codes! {
    /// Done.
    Success = (0, 0, "SUCCESS"),
    /// Unknown, reserved, or not allowed on this queue.
    InvalidOpcode = (1, 1, "INVALID_OPCODE"),
    /// A flag not allowed for the opcode, reserved bits set, `log2n` or
    /// `window_bits` beyond the capability.
    InvalidField = (1, 2, "INVALID_FIELD"),
    /// Zero, not a multiple of 64 (transfers), or beyond 2^32 - 1 elements.
    InvalidLength = (1, 3, "INVALID_LENGTH"),
    /// An address that is not a multiple of 64.
    Misaligned = (1, 4, "MISALIGNED"),
    /// Reaches beyond card memory.
    OutOfRange = (1, 5, "OUT_OF_RANGE"),
    /// NTT buffers overlap.
    Overlap = (1, 6, "OVERLAP"),
    /// A field element that is not below r.
    BadScalar = (2, 1, "BAD_SCALAR"),
    /// A coordinate that is not below p.
    BadPoint = (2, 2, "BAD_POINT"),
    /// Bus error reading host memory.
    HostRead = (3, 1, "HOST_READ"),
    /// Bus error writing host memory.
    HostWrite = (3, 2, "HOST_WRITE"),
    /// Bus error reading card memory.
    CardRead = (3, 3, "CARD_READ"),
    /// Bus error writing card memory.
    CardWrite = (3, 4, "CARD_WRITE"),
    /// Ended by `ABORT`.
    Aborted = (4, 1, "ABORTED"),
    /// Not run: a command before it in its chain did not succeed.
    LinkBroken = (4, 2, "LINK_BROKEN"),
    /// A defect of the card.
    Internal = (7, 1, "INTERNAL"),
}

impl StatusCode {
    /// Whether the contract marks the code retryable.
    pub fn retryable(self) -> bool {
        matches!(self.parts().0, 3 | 4)
    }
}

/// The status of a completion, without its phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// How the command ended.
    pub code: StatusCode,
    /// Whether the card says the same command may succeed when sent again.
    pub retryable: bool,
}

impl From<StatusCode> for Status {
    fn from(code: StatusCode) -> Self {
        Self {
            code,
            retryable: code.retryable(),
        }
    }
}

impl Status {
    /// The 16-bit word with the given phase.
    pub fn encode(self, phase: bool) -> u16 {
        let (kind, code) = self.code.parts();
        u16::from(phase)
            | (u16::from(kind) & 7) << KIND_SHIFT
            | u16::from(code) << CODE_SHIFT
            | if self.retryable { RETRYABLE } else { 0 }
    }

    /// Status and phase of a 16-bit word; `None` when reserved bits are set.
    pub fn decode(word: u16) -> Option<(Self, bool)> {
        if word & RESERVED != 0 {
            return None;
        }
        let code =
            StatusCode::from_parts((word >> KIND_SHIFT & 7) as u8, (word >> CODE_SHIFT) as u8);
        Some((
            Self {
                code,
                retryable: word & RETRYABLE != 0,
            },
            word & 1 == 1,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_those_of_the_contract() {
        assert_eq!(Status::from(StatusCode::Success).encode(true), 0x0001);
        assert_eq!(Status::from(StatusCode::Overlap).encode(false), 0x0062);
        assert_eq!(Status::from(StatusCode::HostWrite).encode(true), 0x8027);
        assert_eq!(Status::from(StatusCode::Aborted).encode(false), 0x8018);
        assert_eq!(Status::from(StatusCode::LinkBroken).encode(true), 0x8029);
        assert_eq!(Status::from(StatusCode::Internal).encode(false), 0x001e);
    }

    #[test]
    fn every_code_survives_the_trip() {
        for &code in StatusCode::ALL {
            let status = Status::from(code);
            for phase in [false, true] {
                assert_eq!(
                    Status::decode(status.encode(phase)),
                    Some((status, phase)),
                    "{}",
                    code.name()
                );
            }
        }
    }

    proptest! {
        #[test]
        fn any_word_decodes_or_has_reserved_bits(word: u16) {
            match Status::decode(word) {
                Some((status, phase)) => prop_assert_eq!(status.encode(phase), word),
                None => prop_assert!(word & RESERVED != 0),
            }
        }
    }
}
