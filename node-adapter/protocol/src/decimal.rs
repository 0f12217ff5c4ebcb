//! Amounts with a decimal exponent, as slots carry them: `mantissa * 10^exponent`.
//!
//! 40 bits for amounts (35 + 5) and 16 for fees (11 + 5). A number has several
//! encodings; [`pack_amount`] and [`pack_fee`] give the one with the smallest exponent. Called by
//! [`super::Operation`].

/// Bits of every exponent.
const EXPONENT_BITS: u32 = 5;

/// `mantissa * 10^exponent`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decimal {
    /// Digits.
    pub mantissa: u64,
    /// Power of ten, below 32.
    pub exponent: u8,
}

impl Decimal {
    /// The number, if 128 bits hold it.
    pub fn value(&self) -> Option<u128> {
        let power = 10u128.checked_pow(self.exponent.into())?;
        u128::from(self.mantissa).checked_mul(power)
    }

    fn pack(value: u128, mantissa_bits: u32) -> Option<Self> {
        let (mut mantissa, mut exponent) = (value, 0);
        while mantissa >> mantissa_bits != 0 {
            if mantissa % 10 != 0 || exponent + 1 == 1 << EXPONENT_BITS {
                return None;
            }
            mantissa /= 10;
            exponent += 1;
        }
        Some(Self {
            mantissa: mantissa as u64,
            exponent,
        })
    }
}

/// The encoding of a transfer's amount: 35 bits of mantissa; none for a number with more digits.
pub fn pack_amount(value: u128) -> Option<Decimal> {
    Decimal::pack(value, 35)
}

/// The encoding of a fee: 11 bits of mantissa; none for a number with more digits.
pub fn pack_fee(value: u128) -> Option<Decimal> {
    Decimal::pack(value, 11)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn packed_numbers_keep_their_value(mantissa in 0u64..1 << 35, exponent in 0u8..20) {
            let value = Decimal { mantissa, exponent }.value().unwrap();
            let packed = pack_amount(value).unwrap();
            prop_assert_eq!(packed.value(), Some(value));
            prop_assert!(packed.exponent <= exponent);
        }
    }

    #[test]
    fn too_many_digits_do_not_fit() {
        assert_eq!(
            pack_fee(2047),
            Some(Decimal {
                mantissa: 2047,
                exponent: 0
            })
        );
        assert_eq!(pack_fee(2048), None);
        assert_eq!(pack_fee(20480), None);
        assert_eq!(
            pack_fee(20470),
            Some(Decimal {
                mantissa: 2047,
                exponent: 1
            })
        );
        assert_eq!(pack_amount((1 << 35) + 1), None);
        assert_eq!(
            Decimal {
                mantissa: 1 << 34,
                exponent: 31
            }
            .value(),
            None
        );
    }
}
