//! Poseidon of the rollup in the circuit: the domains of the state, of signatures,
//! of commitments and of the bus's challenges.
//!
//! Twins of the functions of [`carillon_protocol::crypto::poseidon`].

use std::sync::LazyLock;

use bellpepper_core::{ConstraintSystem, SynthesisError};
use blstrs::Scalar;

use crate::num::Num;
use crate::rounds::Rounds;
use carillon_protocol::crypto::poseidon::{BETA, GAMMA, MESSAGE, ROLLUP_LEAF, WIDE};

static LEAF_ROUNDS: LazyLock<Rounds> = LazyLock::new(|| Rounds::of(&ROLLUP_LEAF));
static MESSAGE_ROUNDS: LazyLock<Rounds> = LazyLock::new(|| Rounds::of(&MESSAGE));
static WIDE_ROUNDS: LazyLock<Rounds> = LazyLock::new(|| Rounds::of(&WIDE));
static GAMMA_ROUNDS: LazyLock<Rounds> = LazyLock::new(|| Rounds::of(&GAMMA));
static BETA_ROUNDS: LazyLock<Rounds> = LazyLock::new(|| Rounds::of(&BETA));

/// Values of one hash of a commitment.
const WIDTH: usize = 24;

/// An account's leaf: key x, key y, packed nonce and owner, token root.
pub(super) fn hash_leaf<CS: ConstraintSystem<Scalar>>(
    cs: CS,
    fields: [Num; 4],
) -> Result<Num, SynthesisError> {
    LEAF_ROUNDS.hash(cs, &fields)
}

/// Challenge hash of a signature.
pub(super) fn hash_message<CS: ConstraintSystem<Scalar>>(
    cs: CS,
    parts: [Num; 11],
) -> Result<Num, SynthesisError> {
    MESSAGE_ROUNDS.hash(cs, &parts)
}

/// Challenges gamma and beta of the bus, from three commitments.
pub(super) fn bus_challenges<CS: ConstraintSystem<Scalar>>(
    mut cs: CS,
    commitments: [Num; 3],
) -> Result<[Num; 2], SynthesisError> {
    let gamma = GAMMA_ROUNDS.hash(cs.namespace(|| "gamma"), &commitments)?;
    let beta = BETA_ROUNDS.hash(cs.namespace(|| "beta"), std::slice::from_ref(&gamma))?;
    Ok([gamma, beta])
}

/// Commitment to a list whose length the shape fixes: a tree of wide hashes, groups
/// filled with zeros, until one value is left.
pub(super) fn commit<CS: ConstraintSystem<Scalar>>(
    mut cs: CS,
    values: &[Num],
) -> Result<Num, SynthesisError> {
    let mut level = values.to_vec();
    let mut height = 0;
    loop {
        let mut above = Vec::with_capacity(level.len().div_ceil(WIDTH));
        for (i, group) in level.chunks(WIDTH).enumerate() {
            let inputs: [Num; WIDTH] =
                std::array::from_fn(|j| group.get(j).cloned().unwrap_or_else(Num::zero));
            let cs = cs.namespace(|| format!("hash {height} {i}"));
            above.push(WIDE_ROUNDS.hash(cs, &inputs)?);
        }
        level = above;
        height += 1;
        if level.len() <= 1 {
            return Ok(level.pop().unwrap_or_else(Num::zero));
        }
    }
}

#[cfg(test)]
mod tests {
    use bellpepper_core::test_cs::TestConstraintSystem;

    use super::*;
    use crate::num::alloc;
    use carillon_protocol::crypto::poseidon as native;

    type Cs = TestConstraintSystem<Scalar>;

    fn inputs(cs: &mut Cs, count: u64) -> (Vec<Scalar>, Vec<Num>) {
        let values: Vec<Scalar> = (0..count).map(|i| -Scalar::from(3 + i * i)).collect();
        let nums = values
            .iter()
            .enumerate()
            .map(|(i, value)| alloc(cs.namespace(|| format!("input {i}")), || Ok(*value)).unwrap());
        let nums = nums.collect();
        (values, nums)
    }

    #[test]
    fn hashes_agree_with_their_native_twins() {
        let mut cs = Cs::new();
        let (values, nums) = inputs(&mut cs, 4);
        let out = hash_leaf(cs.namespace(|| "leaf"), nums.try_into().unwrap()).unwrap();
        let fields: [Scalar; 4] = values.try_into().unwrap();
        assert_eq!(out.get_value(), Some(native::hash_rollup_leaf(&fields)));
        assert_eq!(cs.num_constraints(), 288);

        let mut cs = Cs::new();
        let (values, nums) = inputs(&mut cs, 11);
        let out = hash_message(cs.namespace(|| "message"), nums.try_into().unwrap()).unwrap();
        let fields: [Scalar; 11] = values.try_into().unwrap();
        assert_eq!(out.get_value(), Some(native::hash_message(&fields)));
        assert_eq!(cs.num_constraints(), 459);
        assert!(cs.is_satisfied());
    }

    #[test]
    fn commitments_agree_with_their_native_twin_at_every_height() {
        for (count, hashes) in [(1, 1), (24, 1), (25, 3), (600, 28)] {
            let mut cs = Cs::new();
            let (values, nums) = inputs(&mut cs, count);
            let out = commit(cs.namespace(|| "commitment"), &nums).unwrap();
            assert_eq!(out.get_value(), Some(native::commit(&values)));
            assert_eq!(cs.num_constraints(), hashes * 777);
            assert!(cs.is_satisfied());
        }
    }

    #[test]
    fn the_challenges_depend_on_every_commitment() {
        let mut seen = Vec::new();
        for changed in 0..4 {
            let mut cs = Cs::new();
            let mut i = 0;
            let commitments = [1, 2, 3].map(|value| {
                i += 1;
                let value = Scalar::from(value + u64::from(changed == i));
                alloc(cs.namespace(|| format!("{i}")), || Ok(value)).unwrap()
            });
            let challenges = bus_challenges(cs.namespace(|| "draw"), commitments).unwrap();
            assert!(cs.is_satisfied());
            seen.extend(challenges.map(|challenge| challenge.get_value().unwrap()));
        }
        for (i, a) in seen.iter().enumerate() {
            assert!(seen[..i].iter().all(|b| a != b));
        }
    }
}
