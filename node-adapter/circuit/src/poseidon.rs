//! Poseidon of tree nodes in the circuit; the other domains are in `rollup::poseidon`.
//!
//! Inputs and outputs stay linear combinations, which saves the constraint that would
//! allocate each digest. The constraints are replayed from `rounds`.

use std::sync::LazyLock;

use bellpepper_core::{ConstraintSystem, SynthesisError};
use blstrs::Scalar;

use super::num::Num;
use super::rounds::Rounds;
use carillon_protocol::crypto::poseidon::NODE;

static NODE_ROUNDS: LazyLock<Rounds> = LazyLock::new(|| Rounds::of(&NODE));

/// Twin of [`carillon_protocol::crypto::poseidon::hash_node`].
pub(super) fn hash_node<CS: ConstraintSystem<Scalar>>(
    cs: CS,
    children: [Num; 4],
) -> Result<Num, SynthesisError> {
    NODE_ROUNDS.hash(cs, &children)
}

#[cfg(test)]
mod tests {
    use bellpepper_core::test_cs::TestConstraintSystem;
    use blstrs::Scalar;

    use super::*;
    use crate::num::alloc;
    use carillon_protocol::crypto::poseidon as native;

    #[test]
    fn nodes_agree_with_the_native_hash() {
        let mut cs = TestConstraintSystem::<Scalar>::new();
        let values = [3, 1, 4, 1].map(Scalar::from);
        let mut i = 0;
        let nums = values.map(|value| {
            i += 1;
            alloc(cs.namespace(|| format!("child {i}")), || Ok(value)).unwrap()
        });
        let out = hash_node(cs.namespace(|| "hash"), nums).unwrap();
        assert_eq!(out.get_value(), Some(native::hash_node(&values)));
        assert_eq!(cs.num_constraints(), 288);
        assert!(cs.is_satisfied());
    }
}
