//! Poseidon in the circuit, for the domains of [`crate::crypto::poseidon`].
//!
//! Inputs and outputs stay linear combinations, which saves the constraint that would
//! allocate each digest. The constraints are replayed from `rounds`.

use std::sync::LazyLock;

use bellpepper_core::{ConstraintSystem, SynthesisError};
use blstrs::Scalar;

use super::num::{Num, constant};
use super::rounds::Rounds;
use crate::batch::LINK;
use crate::crypto::poseidon::{CHALLENGE, DATA, LEAF, NODE, STATE};

static NODE_ROUNDS: LazyLock<Rounds> = LazyLock::new(|| Rounds::of(&NODE));
static LEAF_ROUNDS: LazyLock<Rounds> = LazyLock::new(|| Rounds::of(&LEAF));
static STATE_ROUNDS: LazyLock<Rounds> = LazyLock::new(|| Rounds::of(&STATE));
static CHALLENGE_ROUNDS: LazyLock<Rounds> = LazyLock::new(|| Rounds::of(&CHALLENGE));
static DATA_ROUNDS: LazyLock<Rounds> = LazyLock::new(|| Rounds::of(&DATA));

/// Twin of [`crate::crypto::poseidon::hash_node`].
pub(super) fn hash_node<CS: ConstraintSystem<Scalar>>(
    cs: CS,
    children: [Num; 4],
) -> Result<Num, SynthesisError> {
    NODE_ROUNDS.hash(cs, &children)
}

/// Twin of [`crate::crypto::poseidon::hash_leaf`].
pub(super) fn hash_leaf<CS: ConstraintSystem<Scalar>>(
    cs: CS,
    fields: [Num; 5],
) -> Result<Num, SynthesisError> {
    LEAF_ROUNDS.hash(cs, &fields)
}

/// Twin of [`crate::crypto::poseidon::hash_state`].
pub(super) fn hash_state<CS: ConstraintSystem<Scalar>>(
    cs: CS,
    parts: [Num; 2],
) -> Result<Num, SynthesisError> {
    STATE_ROUNDS.hash(cs, &parts)
}

/// Twin of [`crate::crypto::poseidon::hash_challenge`].
pub(super) fn hash_challenge<CS: ConstraintSystem<Scalar>>(
    cs: CS,
    parts: [Num; 7],
) -> Result<Num, SynthesisError> {
    CHALLENGE_ROUNDS.hash(cs, &parts)
}

/// Twin of [`crate::batch::commit`] over all slots.
pub(super) fn commit<CS: ConstraintSystem<Scalar>>(
    mut cs: CS,
    slots: &[Num],
) -> Result<Num, SynthesisError> {
    let mut link = constant::<CS>(Scalar::from(slots.len() as u64));
    for (i, chunk) in slots.chunks(LINK).enumerate() {
        let slot = |j: usize| chunk.get(j).cloned().unwrap_or_else(Num::zero);
        let parts = [link, slot(0), slot(1), slot(2)];
        link = DATA_ROUNDS.hash(cs.namespace(|| format!("link {i}")), &parts)?;
    }
    Ok(link)
}

#[cfg(test)]
mod tests {
    use bellpepper_core::test_cs::TestConstraintSystem;
    use ff::Field;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::batch;
    use crate::circuit::num::alloc;
    use crate::crypto::poseidon as native;

    fn random<const N: usize>(cs: &mut TestConstraintSystem<Scalar>) -> ([Scalar; N], [Num; N]) {
        let mut rng = ChaCha8Rng::seed_from_u64(N as u64);
        let values = [(); N].map(|()| Scalar::random(&mut rng));
        let mut i = 0;
        let nums = values.map(|value| {
            i += 1;
            alloc(cs.namespace(|| format!("input {i}")), || Ok(value)).unwrap()
        });
        (values, nums)
    }

    #[test]
    fn every_domain_agrees_with_its_native_twin() {
        macro_rules! check {
            ($arity:literal, $gadget:path, $native:path, $constraints:literal) => {
                let mut cs = TestConstraintSystem::<Scalar>::new();
                let (values, nums) = random::<$arity>(&mut cs);
                let out = $gadget(cs.namespace(|| "hash"), nums).unwrap();
                assert_eq!(out.get_value(), Some($native(&values)));
                assert_eq!(cs.num_constraints(), $constraints);
                assert!(cs.is_satisfied());
            };
        }
        check!(2, hash_state, native::hash_state, 237);
        check!(4, hash_node, native::hash_node, 288);
        check!(5, hash_leaf, native::hash_leaf, 312);
        check!(7, hash_challenge, native::hash_challenge, 363);
    }

    #[test]
    fn commitment_agrees_with_its_native_twin() {
        let mut cs = TestConstraintSystem::<Scalar>::new();
        let (values, nums) = random::<5>(&mut cs);
        let out = commit(cs.namespace(|| "data"), &nums).unwrap();
        assert_eq!(out.get_value(), batch::commit(&values, 5).ok());
        assert!(cs.is_satisfied());
    }
}
