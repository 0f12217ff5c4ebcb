//! Poseidon of the rollup in the circuit: the domains of the state, of signatures,
//! of commitments and of the bus's challenges.
//!
//! Twins of the functions of [`crate::crypto::poseidon`].

use bellpepper_core::{ConstraintSystem, SynthesisError};
use blstrs::Scalar;

use crate::circuit::num::Num;
use crate::circuit::poseidon::hash;
use crate::crypto::poseidon::{BETA, GAMMA, MESSAGE, ROLLUP_LEAF, WIDE};

/// Values of one hash of a commitment.
const WIDTH: usize = 24;

/// An account's leaf: key x, key y, packed nonce and owner, token root.
pub(super) fn hash_leaf<CS: ConstraintSystem<Scalar>>(
    cs: CS,
    fields: [Num; 4],
) -> Result<Num, SynthesisError> {
    hash(cs, fields, &ROLLUP_LEAF)
}

/// Challenge hash of a signature.
pub(super) fn hash_message<CS: ConstraintSystem<Scalar>>(
    cs: CS,
    parts: [Num; 11],
) -> Result<Num, SynthesisError> {
    hash(cs, parts, &MESSAGE)
}

/// Challenges gamma and beta of the bus, from three commitments.
pub(super) fn bus_challenges<CS: ConstraintSystem<Scalar>>(
    mut cs: CS,
    commitments: [Num; 3],
) -> Result<[Num; 2], SynthesisError> {
    let gamma = hash(cs.namespace(|| "gamma"), commitments, &GAMMA)?;
    let beta = hash(cs.namespace(|| "beta"), [gamma.clone()], &BETA)?;
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
            let mut cs = cs.namespace(|| format!("hash {height} {i}"));
            above.push(hash(&mut cs, inputs, &WIDE)?);
        }
        level = above;
        height += 1;
        if level.len() <= 1 {
            return Ok(level.pop().unwrap_or_else(Num::zero));
        }
    }
}
