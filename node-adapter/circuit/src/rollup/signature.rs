//! The signature of an operation: Schnorr over Jubjub, checked where a flag is set.
//!
//! The challenge is computed in every slot, since its hash also binds what the slot
//! works on (`slot`); the equation `s G = R + c PK` counts only where an
//! operation is signed. `s` is any 252-bit integer: a second encoding of one
//! signature proves nothing new, and the nonce stops its reuse.
//!
//! A key is on the curve and in the prime-order subgroup, or (0, 0) for an account
//! without one: deposits bring keys that L1 has checked, and set key checks its own.
//! With (0, 0) the formulas give `c PK = (0, 0)` for every challenge but 0, and
//! `R + (0, 0) = (0, 0)`, which is not on the curve and never equals `s G`.

use bellpepper_core::{ConstraintSystem, SynthesisError};
use blstrs::Scalar;

use super::poseidon::hash_message;
use crate::edwards::EdwardsPoint;
use crate::num::{Num, alloc_bits, enforce_product, sub, to_canonical_bits};
use carillon_protocol::crypto::jubjub::{Point, SCALAR_BITS};

/// Bits of the challenge.
const CHALLENGE_BITS: usize = 128;

/// Enforces the signature (r, s) of `key` on `message` if `signed` is one, and
/// returns the challenge hash in any case.
pub(super) fn verify_if<CS: ConstraintSystem<Scalar>>(
    mut cs: CS,
    signed: &Num,
    key: &EdwardsPoint,
    message: [Num; 7],
    (r, s): (Point, &[u8; 32]),
) -> Result<Num, SynthesisError> {
    let r = EdwardsPoint::witness(cs.namespace(|| "R"), r)?;
    let [m0, m1, m2, m3, m4, m5, m6] = message;
    let parts = [
        r.x.clone(),
        r.y.clone(),
        key.x.clone(),
        key.y.clone(),
        m0,
        m1,
        m2,
        m3,
        m4,
        m5,
        m6,
    ];
    let digest = hash_message(cs.namespace(|| "challenge hash"), parts)?;
    let challenge = to_canonical_bits(cs.namespace(|| "challenge"), &digest)?;
    let c_key = key.multiple(cs.namespace(|| "c PK"), &challenge[..CHALLENGE_BITS])?;
    let right = r.add(cs.namespace(|| "R + c PK"), &c_key)?;

    let bit = |i: usize| Some(s[i / 8] >> (i % 8) & 1 == 1);
    let (_, s) = alloc_bits(cs.namespace(|| "s"), (0..SCALAR_BITS).map(bit))?;
    let left = EdwardsPoint::generator_multiple(cs.namespace(|| "s G"), &s)?;
    for (name, left, right) in [
        ("x coordinates agree", &left.x, &right.x),
        ("y coordinates agree", &left.y, &right.y),
    ] {
        enforce_product(&mut cs, name, signed, &sub(left, right), &Num::zero());
    }
    Ok(digest)
}
