//! Decimal floating point: `mantissa * 10^exponent` with the exponent in bits.
//!
//! Called by `slot` for amounts and fees.

use bellpepper_core::boolean::Boolean;
use bellpepper_core::{ConstraintSystem, SynthesisError};
use blstrs::Scalar;
use ff::Field;

use crate::num::{Num, from_bit, mul};

/// `mantissa * 10^exponent`: one constraint a bit of the exponent. With a mantissa
/// below 2^35 and 5 bits the value is below 2^138, far from the modulus.
pub(super) fn scale<CS: ConstraintSystem<Scalar>>(
    mut cs: CS,
    mantissa: &Num,
    exponent: &[Boolean],
) -> Result<Num, SynthesisError> {
    let mut number = mantissa.clone();
    for (i, bit) in exponent.iter().enumerate() {
        let factor = Scalar::from(10).pow_vartime([1u64 << i]) - Scalar::ONE;
        let flag = from_bit::<CS>(bit).scale(factor);
        let more = mul(cs.namespace(|| format!("bit {i}")), &flag, &number)?;
        number = number.add(&more);
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use bellpepper_core::test_cs::TestConstraintSystem;

    use super::*;
    use crate::num::alloc_uint;

    #[test]
    fn every_power_of_ten_is_right_and_no_product_can_be_changed() {
        let mut ten = Scalar::ONE;
        for exponent in 0..32 {
            let mut cs = TestConstraintSystem::<Scalar>::new();
            let (mantissa, _) = alloc_uint(cs.namespace(|| "m"), 12_345, 35).unwrap();
            let (_, bits) = alloc_uint(cs.namespace(|| "e"), exponent, 5).unwrap();
            let number = scale(cs.namespace(|| "n"), &mantissa, &bits).unwrap();
            assert_eq!(number.get_value(), Some(Scalar::from(12_345) * ten));
            assert_eq!(cs.num_constraints(), 35 + 5 + 5);
            assert!(cs.is_satisfied());
            for i in 0..5 {
                let path = format!("n/bit {i}/value/num");
                let honest = cs.get(&path);
                cs.set(&path, honest + Scalar::ONE);
                assert!(!cs.is_satisfied());
                cs.set(&path, honest);
            }
            ten *= Scalar::from(10);
        }
    }
}
