//! Where the fields of a slot and of a record's first word begin: the one place for these numbers.
//!
//! PROTOCOL.md, "Slot" and "Record". Used by `operation`, `vectors`, the circuit, and whatever else
//! reads a word of a record.

use super::ACCOUNT_BITS;

/// Bits of a kind.
pub const KIND_BITS: u32 = 4;
/// Bits of a token slot.
pub const TOKEN_BITS: u32 = 6;
/// Bits of a decimal's exponent.
pub const EXPONENT_BITS: u32 = 5;
/// Bits of the mantissa of a transfer's amount.
pub const AMOUNT_MANTISSA_BITS: u32 = 35;
/// Bits of the mantissa of a fee.
pub const FEE_MANTISSA_BITS: u32 = 11;

/// The positions of a slot's fields.
pub mod slot {
    use super::*;

    /// The account whose header is opened.
    pub const FROM: u32 = KIND_BITS;
    /// The receiver of a transfer.
    pub const TO: u32 = FROM + ACCOUNT_BITS;
    /// The token.
    pub const TOKEN: u32 = TO + ACCOUNT_BITS;
    /// The mantissa of the amount.
    pub const AMOUNT: u32 = TOKEN + TOKEN_BITS;
    /// The exponent of the amount.
    pub const AMOUNT_EXPONENT: u32 = AMOUNT + AMOUNT_MANTISSA_BITS;
    /// The mantissa of the fee.
    pub const FEE: u32 = AMOUNT_EXPONENT + EXPONENT_BITS;
    /// The exponent of the fee.
    pub const FEE_EXPONENT: u32 = FEE + FEE_MANTISSA_BITS;
    /// Bits of a slot.
    pub const BITS: u32 = FEE_EXPONENT + EXPONENT_BITS;
}

/// The positions of the fields of a record's word 0.
pub mod record {
    use super::*;

    /// The account.
    pub const ACCOUNT: u32 = KIND_BITS;
    /// The token.
    pub const TOKEN: u32 = ACCOUNT + ACCOUNT_BITS;
    /// Bits of the word.
    pub const BITS: u32 = TOKEN + TOKEN_BITS;

    /// Word 0 of these fields.
    pub const fn word0(kind: u8, account: u32, token: u8) -> u64 {
        kind as u64 | (account as u64) << ACCOUNT | (token as u64) << TOKEN
    }

    /// The number of the kind in a word 0.
    pub const fn kind(word0: u64) -> u8 {
        (word0 & ((1 << KIND_BITS) - 1)) as u8
    }

    /// The account in a word 0.
    pub const fn account(word0: u64) -> u32 {
        (word0 >> ACCOUNT) as u32 & ((1 << ACCOUNT_BITS) - 1)
    }

    /// The token in a word 0 below 2^[`BITS`].
    pub const fn token(word0: u64) -> u8 {
        (word0 >> TOKEN) as u8 & ((1 << TOKEN_BITS) - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers that PROTOCOL.md and the contracts have.
    #[test]
    fn the_fields_are_where_the_page_says() {
        let positions = [
            slot::FROM,
            slot::TO,
            slot::TOKEN,
            slot::AMOUNT,
            slot::FEE,
            slot::BITS,
            record::ACCOUNT,
            record::TOKEN,
            record::BITS,
        ];
        assert_eq!(positions, [4, 28, 52, 58, 98, 114, 4, 28, 34]);
        let word0 = record::word0(10, 0xff_fffe, 63);
        assert_eq!(word0, 10 + (0xff_fffe << 4) + (63 << 28));
        let fields = (
            record::kind(word0),
            record::account(word0),
            record::token(word0),
        );
        assert_eq!(fields, (10, 0xff_fffe, 63));
    }
}
