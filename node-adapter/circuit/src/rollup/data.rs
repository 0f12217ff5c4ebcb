//! Public data in the circuit: the vectors H and B, their commitments, and their
//! values at the challenge point z.
//!
//! The contract draws z after both commitments, so a vector that differs from the
//! one on L1 has another value at z, but for a probability of its length / r.
//! Called by [`super::RollupCircuit`].

use bellpepper_core::{ConstraintSystem, SynthesisError};
use blstrs::Scalar;
use ff::Field;

use super::bus::{Bus, Tag, Time, Tuple};
use super::widths::{ACCOUNT_BITS, AMOUNT_BITS, DOMAIN_BITS};
use super::witness::{RecordWitness, Witness};
use crate::num::{
    Num, alloc, alloc_bit, alloc_uint, alloc_wide_uint, constant, enforce_equal, enforce_product,
    from_bit, invert, mul, pow2, shorten, sub, value,
};
use carillon_protocol::{BLOB_ELEMENTS, BLOB_POINTS};

/// Who and where: the parts of H[0], as variables.
pub(super) struct Identity {
    pub(super) domain: Num,
    pub(super) operator: Num,
    /// H[0] without the number of records.
    word: Num,
}

impl Identity {
    /// 128 bits of domain, 64 of batch number, 24 of the operator's account. Spelled
    /// in bits, they and the number of records cannot spill into each other.
    pub(super) fn new<CS: ConstraintSystem<Scalar>>(
        mut cs: CS,
        witness: &Witness,
    ) -> Result<Self, SynthesisError> {
        let domain = witness.domain.word();
        let (domain, _) = alloc_wide_uint(cs.namespace(|| "domain"), domain, DOMAIN_BITS)?;
        let (number, _) = alloc_uint(cs.namespace(|| "batch number"), witness.batch_number, 64)?;
        let operator = witness.operator.into();
        let (operator, _) = alloc_uint(cs.namespace(|| "operator"), operator, ACCOUNT_BITS)?;
        let word = domain
            .clone()
            .add(&number.scale(pow2(128)))
            .add(&operator.clone().scale(pow2(192)));
        Ok(Self {
            domain: shorten(cs.namespace(|| "domain, short"), &domain)?,
            operator: shorten(cs.namespace(|| "operator, short"), &operator)?,
            word,
        })
    }
}

/// The header vector.
pub(super) struct HeaderVector {
    /// All words.
    pub(super) words: Vec<Num>,
    /// Whether an operation makes a record, for each record.
    used: Vec<Num>,
}

impl HeaderVector {
    /// H, with `count` records. The words behind the last record are free here: L1
    /// puts zeros there, so other words have another value at z.
    pub(super) fn new<CS: ConstraintSystem<Scalar>>(
        mut cs: CS,
        identity: &Identity,
        roots: [Scalar; 2],
        records: &[RecordWitness],
        count: &Num,
    ) -> Result<Self, SynthesisError> {
        let mut words = vec![identity.word.clone().add(&count.clone().scale(pow2(224)))];
        for (name, root) in ["old root", "new root"].into_iter().zip(roots) {
            words.push(alloc(cs.namespace(|| name), || Ok(root))?);
        }
        let mut used = Vec::with_capacity(records.len());
        let mut total = Num::zero();
        for (k, record) in records.iter().enumerate() {
            let mut cs = cs.namespace(|| format!("record {k}"));
            for (j, word) in record.words.into_iter().enumerate() {
                // No amount is negative.
                words.push(if j == 1 {
                    alloc_wide_uint(cs.namespace(|| "amount"), word, AMOUNT_BITS)?.0
                } else {
                    alloc(cs.namespace(|| format!("word {j}")), || Ok(word))?
                });
            }
            // The first `count` flags are set: they leave no choice once the count is
            // fixed, which a sum of free flags would.
            let flag = alloc_bit(cs.namespace(|| "used"), Some(record.used))?;
            let flag = from_bit::<CS>(&flag);
            if let Some(before) = used.last() {
                let gap = sub(&constant::<CS>(Scalar::ONE), before);
                enforce_product(&mut cs, "records stand together", &flag, &gap, &Num::zero());
            }
            total = total.add(&flag);
            used.push(flag);
        }
        enforce_equal(&mut cs, "records are counted", &total, count);
        Ok(Self { words, used })
    }

    /// Takes the records that the slots supply.
    pub(super) fn put_on<CS: ConstraintSystem<Scalar>>(
        &self,
        mut cs: CS,
        bus: &mut Bus,
    ) -> Result<(), SynthesisError> {
        let (records, _) = self.words[3..].as_chunks::<5>();
        for (k, (words, used)) in records.iter().zip(&self.used).enumerate() {
            let tuple = Tuple {
                tag: Tag::Record,
                address: &constant::<CS>(Scalar::from(k as u64)),
                time: Time::None,
                values: &[0, 1, 2, 3, 4].map(|j: usize| &words[j]),
            };
            bus.consume(cs.namespace(|| format!("record {k}")), used, &tuple)?;
        }
        Ok(())
    }
}

/// The words of B: two slots each.
pub(super) fn blob(slots: &[&Num]) -> Vec<Num> {
    let pair = |pair: &[&Num]| {
        let high = pair.get(1).map_or_else(Num::zero, |slot| (*slot).clone());
        pair[0].clone().add(&high.scale(pow2(128)))
    };
    slots.chunks(2).map(pair).collect()
}

/// `sum of words[i] z^i` by Horner's rule: one constraint a word but the last.
pub(super) fn polynomial<CS: ConstraintSystem<Scalar>>(
    mut cs: CS,
    words: &[Num],
    z: &Num,
) -> Result<Num, SynthesisError> {
    let mut sum = Num::zero();
    for (i, word) in words.iter().enumerate().rev() {
        sum = if i + 1 == words.len() {
            word.clone()
        } else {
            mul(cs.namespace(|| format!("power {i}")), &sum, z)?.add(word)
        };
    }
    Ok(sum)
}

/// The value at z of the blob whose first elements are `words` and whose others are
/// zero (EIP-4844, barycentric form): one constraint an element, and 13.
///
/// The share of element i is `w B[i] / (z - w)`, w its root of unity. If z were one
/// of these roots its share would be free, and the factor `z^4096 - 1` zero; z is a
/// hash, and meets a root with a probability of 2^-243.
pub(super) fn blob_value<CS: ConstraintSystem<Scalar>>(
    mut cs: CS,
    words: &[Num],
    z: &Num,
) -> Result<Num, SynthesisError> {
    let mut sum = Num::zero();
    for (i, (word, root)) in words.iter().zip(BLOB_POINTS.iter()).enumerate() {
        let mut cs = cs.namespace(|| format!("element {i}"));
        let distance = sub(z, &constant::<CS>(*root));
        let scaled = word.clone().scale(*root);
        let share = alloc(cs.namespace(|| "share"), || {
            Ok(value(&scaled)? * invert(&distance)?)
        })?;
        enforce_product(&mut cs, "share of the blob", &share, &distance, &scaled);
        sum = sum.add(&share);
    }
    let mut power = z.clone();
    for i in 1..=BLOB_ELEMENTS.ilog2() {
        power = mul(cs.namespace(|| format!("z^(2^{i})")), &power, &power)?;
    }
    let factor = sub(&power, &constant::<CS>(Scalar::ONE));
    let size: Option<Scalar> = Scalar::from(BLOB_ELEMENTS as u64).invert().into();
    let product = mul(cs.namespace(|| "value"), &factor, &sum)?;
    Ok(product.scale(size.unwrap_or(Scalar::ZERO)))
}

#[cfg(test)]
mod tests {
    use bellpepper_core::test_cs::TestConstraintSystem;

    use super::*;
    use carillon_protocol::evaluate_blob;

    type Cs = TestConstraintSystem<Scalar>;

    fn words(cs: &mut Cs, count: u64) -> (Vec<Scalar>, Vec<Num>) {
        let values: Vec<Scalar> = (0..count).map(|i| Scalar::from(7 + i * i)).collect();
        let nums = values
            .iter()
            .enumerate()
            .map(|(i, value)| alloc(cs.namespace(|| format!("word {i}")), || Ok(*value)).unwrap());
        let nums = nums.collect();
        (values, nums)
    }

    #[test]
    fn the_blobs_value_agrees_with_its_native_twin() {
        for count in [1, 2, 33] {
            let mut cs = Cs::new();
            let (values, nums) = words(&mut cs, count);
            let z = alloc(cs.namespace(|| "z"), || Ok(Scalar::from(987_654_321))).unwrap();
            let got = blob_value(cs.namespace(|| "blob"), &nums, &z).unwrap();
            assert_eq!(
                got.get_value(),
                Some(evaluate_blob(&values, Scalar::from(987_654_321)))
            );
            assert_eq!(cs.num_constraints() as u64, count + 13);
            assert!(cs.is_satisfied());
            let share = "blob/element 0/share/num";
            let honest = cs.get(share);
            cs.set(share, honest + Scalar::ONE);
            assert_eq!(
                cs.which_is_unsatisfied(),
                Some("blob/element 0/share of the blob")
            );
        }
    }

    #[test]
    fn the_polynomial_is_horners() {
        let mut cs = Cs::new();
        let (values, nums) = words(&mut cs, 9);
        let at = Scalar::from(1_000_003);
        let z = alloc(cs.namespace(|| "z"), || Ok(at)).unwrap();
        let got = polynomial(cs.namespace(|| "H"), &nums, &z).unwrap();
        let powers = (0..9u64).map(|i| at.pow_vartime([i]));
        let expected = values
            .iter()
            .zip(powers)
            .fold(Scalar::ZERO, |sum, (word, power)| sum + word * power);
        assert_eq!(got.get_value(), Some(expected));
        assert_eq!(cs.num_constraints(), 8);
        assert!(cs.is_satisfied());
    }

    #[test]
    fn slots_are_paired_low_first() {
        let mut cs = Cs::new();
        let (values, nums) = words(&mut cs, 3);
        let pairs = blob(&nums.iter().collect::<Vec<_>>());
        let values: Vec<_> = [values[0] + values[1] * pow2(128), values[2]]
            .map(Some)
            .into();
        assert_eq!(pairs.iter().map(Num::get_value).collect::<Vec<_>>(), values);
    }
}
