//! Linear combinations with values, bits and range checks: the words in which the
//! other gadgets are written.
//!
//! A [`Num`] is a linear combination and costs nothing; only products, bits and
//! equalities make constraints. Called by the gadgets of this folder.

use bellpepper_core::boolean::{AllocatedBit, Boolean};
use bellpepper_core::num::AllocatedNum;
use bellpepper_core::{ConstraintSystem, LinearCombination, SynthesisError};
use blstrs::Scalar;
use ff::{Field, PrimeFieldBits};

/// A linear combination of variables with its value.
pub(super) type Num = bellpepper_core::num::Num<Scalar>;

/// `2^exponent` as a field element.
pub(super) fn pow2(exponent: u64) -> Scalar {
    Scalar::from(2).pow_vartime([exponent])
}

/// A constant.
pub(super) fn constant<CS: ConstraintSystem<Scalar>>(value: Scalar) -> Num {
    Num::zero().add_bool_with_coeff(CS::one(), &Boolean::constant(true), value)
}

/// A bit as a number.
pub(super) fn from_bit<CS: ConstraintSystem<Scalar>>(bit: &Boolean) -> Num {
    Num::zero().add_bool_with_coeff(CS::one(), bit, Scalar::ONE)
}

/// `a - b`.
pub(super) fn sub(a: &Num, b: &Num) -> Num {
    a.clone().add(&b.clone().scale(-Scalar::ONE))
}

/// A witness value: one variable, no constraint.
pub(super) fn alloc<CS, F>(cs: CS, value: F) -> Result<Num, SynthesisError>
where
    CS: ConstraintSystem<Scalar>,
    F: FnOnce() -> Result<Scalar, SynthesisError>,
{
    Ok(AllocatedNum::alloc(cs, value)?.into())
}

/// A public input.
pub(super) fn input<CS: ConstraintSystem<Scalar>>(
    cs: CS,
    value: Scalar,
) -> Result<Num, SynthesisError> {
    Ok(AllocatedNum::alloc_input(cs, || Ok(value))?.into())
}

/// `a * b`: one constraint.
pub(super) fn mul<CS: ConstraintSystem<Scalar>>(
    mut cs: CS,
    a: &Num,
    b: &Num,
) -> Result<Num, SynthesisError> {
    let product = alloc(cs.namespace(|| "value"), || Ok(value(a)? * value(b)?))?;
    enforce_product(&mut cs, "product", a, b, &product);
    Ok(product)
}

/// `a * b = c`: one constraint.
pub(super) fn enforce_product<CS: ConstraintSystem<Scalar>>(
    cs: &mut CS,
    name: &'static str,
    a: &Num,
    b: &Num,
    c: &Num,
) {
    cs.enforce(|| name, |_| lc_of(a), |_| lc_of(b), |_| lc_of(c));
}

/// `a = b`: one constraint.
pub(super) fn enforce_equal<CS: ConstraintSystem<Scalar>>(
    cs: &mut CS,
    name: &'static str,
    a: &Num,
    b: &Num,
) {
    enforce_product(cs, name, a, &constant::<CS>(Scalar::ONE), b);
}

/// A bit: one constraint.
pub(super) fn alloc_bit<CS: ConstraintSystem<Scalar>>(
    cs: CS,
    value: Option<bool>,
) -> Result<Boolean, SynthesisError> {
    Ok(AllocatedBit::alloc(cs, value)?.into())
}

/// A number given by its `bits` low bits, least significant first, and those bits:
/// one constraint a bit. The number is below `2^bits` by construction.
pub(super) fn alloc_uint<CS: ConstraintSystem<Scalar>>(
    cs: CS,
    value: u64,
    bits: usize,
) -> Result<(Num, Vec<Boolean>), SynthesisError> {
    alloc_bits(cs, (0..bits).map(|i| Some(value >> i & 1 == 1)))
}

/// Bits with the given values, least significant first, and the number they spell.
pub(super) fn alloc_bits<CS: ConstraintSystem<Scalar>>(
    mut cs: CS,
    values: impl Iterator<Item = Option<bool>>,
) -> Result<(Num, Vec<Boolean>), SynthesisError> {
    let mut sum = Num::zero();
    let mut bits = Vec::new();
    let mut weight = Scalar::ONE;
    for (i, value) in values.enumerate() {
        let bit = alloc_bit(cs.namespace(|| format!("bit {i}")), value)?;
        sum = sum.add_bool_with_coeff(CS::one(), &bit, weight);
        weight = weight.double();
        bits.push(bit);
    }
    Ok((sum, bits))
}

/// A number given by the low `bits` bits of a field element, least significant
/// first, and those bits: one constraint a bit. What does not fit is cut off.
pub(super) fn alloc_wide_uint<CS: ConstraintSystem<Scalar>>(
    cs: CS,
    value: Scalar,
    bits: usize,
) -> Result<(Num, Vec<Boolean>), SynthesisError> {
    let values = value.to_le_bits();
    alloc_bits(cs, (0..bits).map(|i| Some(values[i])))
}

/// Enforces `a < 2^bits`: one constraint a bit and one. Returns the number that the
/// bits spell, which equals `a`.
pub(super) fn enforce_fits<CS: ConstraintSystem<Scalar>>(
    mut cs: CS,
    a: &Num,
    bits: usize,
) -> Result<Num, SynthesisError> {
    let values = a.get_value().map(|value| value.to_le_bits());
    let bit = |i: usize| values.as_ref().map(|bits| bits[i]);
    let (spelled, _) = alloc_bits(cs.namespace(|| "bits"), (0..bits).map(bit))?;
    enforce_equal(&mut cs, "fits its bits", &spelled, a);
    Ok(spelled)
}

/// Whether `a = b`: 3 constraints, and no variable of them is free.
///
/// With `d = a - b`: `d e = 0` makes the bit `e` zero for unequal numbers, and
/// `(d + e) u = 1` makes it one for equal ones.
pub(super) fn is_equal<CS: ConstraintSystem<Scalar>>(
    mut cs: CS,
    a: &Num,
    b: &Num,
) -> Result<Boolean, SynthesisError> {
    let difference = sub(a, b);
    let equal = difference.get_value().map(|d| d == Scalar::ZERO);
    let equal = alloc_bit(cs.namespace(|| "equal"), equal)?;
    let flag = from_bit::<CS>(&equal);
    enforce_product(
        &mut cs,
        "equal only without difference",
        &difference,
        &flag,
        &Num::zero(),
    );
    let witness = difference.add(&flag);
    let inverse = alloc(cs.namespace(|| "inverse"), || invert(&witness))?;
    enforce_product(
        &mut cs,
        "equal or different",
        &witness,
        &inverse,
        &constant::<CS>(Scalar::ONE),
    );
    Ok(equal)
}

/// `1 / a` as a value.
pub(super) fn invert(a: &Num) -> Result<Scalar, SynthesisError> {
    Option::from(value(a)?.invert()).ok_or(SynthesisError::DivisionByZero)
}

/// A variable equal to `a`, for a long combination that is used often: one
/// constraint.
pub(super) fn shorten<CS: ConstraintSystem<Scalar>>(
    mut cs: CS,
    a: &Num,
) -> Result<Num, SynthesisError> {
    let short = alloc(cs.namespace(|| "short"), || value(a))?;
    enforce_equal(&mut cs, "same number", a, &short);
    Ok(short)
}

/// All bits of the canonical representative of `a`, least significant first.
pub(super) fn to_canonical_bits<CS: ConstraintSystem<Scalar>>(
    mut cs: CS,
    a: &Num,
) -> Result<Vec<Boolean>, SynthesisError> {
    let allocated = AllocatedNum::alloc(cs.namespace(|| "number"), || value(a))?;
    enforce_equal(&mut cs, "number is the input", a, &allocated.clone().into());
    allocated.to_bits_le_strict(cs.namespace(|| "canonical bits"))
}

/// The value, or the error that key generation expects when there is none.
pub(super) fn value(num: &Num) -> Result<Scalar, SynthesisError> {
    num.get_value().ok_or(SynthesisError::AssignmentMissing)
}

fn lc_of(num: &Num) -> LinearCombination<Scalar> {
    num.lc(Scalar::ONE)
}

#[cfg(test)]
mod tests {
    use bellpepper_core::test_cs::TestConstraintSystem;

    use super::*;

    #[test]
    fn bits_are_bits() {
        let mut cs = TestConstraintSystem::<Scalar>::new();
        let (number, bits) = alloc_uint(cs.namespace(|| "n"), 0b1011, 5).unwrap();
        assert_eq!(
            (number.get_value(), bits.len()),
            (Some(Scalar::from(11)), 5)
        );
        assert!(cs.is_satisfied());
        cs.set("n/bit 2/boolean", Scalar::from(2));
        assert!(!cs.is_satisfied());
    }

    #[test]
    fn equality_is_seen_and_cannot_be_denied_or_invented() {
        let numbers = [Scalar::ZERO, Scalar::ONE, -Scalar::ONE, pow2(200)];
        for (x, y) in numbers.iter().flat_map(|x| numbers.map(|y| (*x, y))) {
            let mut cs = TestConstraintSystem::<Scalar>::new();
            let a = alloc(cs.namespace(|| "a"), || Ok(x)).unwrap();
            let b = alloc(cs.namespace(|| "b"), || Ok(y)).unwrap();
            let equal = is_equal(cs.namespace(|| "equal"), &a, &b).unwrap();
            assert_eq!(equal.get_value(), Some(x == y));
            assert_eq!(cs.num_constraints(), 3);
            assert!(cs.is_satisfied());
            // The other answer, with every inverse that might help it.
            cs.set("equal/equal/boolean", Scalar::from(u64::from(x != y)));
            let d = x - y;
            let helps = [d, d + Scalar::ONE].map(|v| v.invert().unwrap_or(Scalar::ZERO));
            for inverse in helps.into_iter().chain([Scalar::ZERO, Scalar::ONE]) {
                cs.set("equal/inverse/num", inverse);
                assert!(!cs.is_satisfied());
            }
        }
    }

    #[test]
    fn numbers_are_cut_and_range_checks_are_not() {
        for (value, fits) in [
            (pow2(96) - Scalar::ONE, true),
            (pow2(96), false),
            (-Scalar::ONE, false),
        ] {
            let mut cs = TestConstraintSystem::<Scalar>::new();
            let a = alloc(cs.namespace(|| "a"), || Ok(value)).unwrap();
            enforce_fits(cs.namespace(|| "range"), &a, 96).unwrap();
            assert_eq!(cs.num_constraints(), 97);
            assert_eq!(cs.is_satisfied(), fits);
            let (cut, _) = alloc_wide_uint(cs.namespace(|| "cut"), value, 96).unwrap();
            assert_eq!(cut.get_value() == Some(value), fits);
        }
    }

    #[test]
    fn canonical_bits_spell_the_number() {
        for number in [Scalar::ZERO, Scalar::from(11), -Scalar::ONE] {
            let mut cs = TestConstraintSystem::<Scalar>::new();
            let a = alloc(cs.namespace(|| "a"), || Ok(number)).unwrap();
            let bits = to_canonical_bits(cs.namespace(|| "bits"), &a).unwrap();
            assert!(cs.is_satisfied());
            let spelled = bits.iter().rev().fold(Scalar::ZERO, |sum, bit| {
                sum.double() + Scalar::from(u64::from(bit.get_value().unwrap()))
            });
            assert_eq!((bits.len(), spelled), (255, number));
        }
    }
}
