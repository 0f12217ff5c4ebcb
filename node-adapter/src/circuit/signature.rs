//! Schnorr verification in the circuit, the twin of [`crate::crypto::schnorr`].
//!
//! `s` is any 252-bit integer: `s*G` depends on it modulo the group order only, so
//! a second encoding of the same signature proves nothing new (the nonce stops its
//! reuse). The challenge is cut from the canonical bits of the hash. Called by
//! `transfer`.

use bellpepper_core::{ConstraintSystem, SynthesisError};
use blstrs::Scalar;

use super::edwards::EdwardsPoint;
use super::num::{Num, alloc_bits, to_canonical_bits};
use super::poseidon::hash_challenge;
use crate::crypto::jubjub::{Point, SCALAR_BITS};

/// Bits of the challenge.
const CHALLENGE_BITS: usize = 128;

/// Enforces `s*G = R + c*PK` with `c = Poseidon(R, PK, message) mod 2^128`.
///
/// `key` must be on the curve and in the prime-order subgroup; the account leaf
/// guarantees it, since keys are checked when an account is registered.
pub(super) fn verify<CS: ConstraintSystem<Scalar>>(
    mut cs: CS,
    key: &EdwardsPoint,
    message: [Num; 3],
    r: Point,
    s: &[u8; 32],
) -> Result<(), SynthesisError> {
    let r = EdwardsPoint::witness(cs.namespace(|| "R"), r)?;
    let [m0, m1, m2] = message;
    let parts = [
        r.x.clone(),
        r.y.clone(),
        key.x.clone(),
        key.y.clone(),
        m0,
        m1,
        m2,
    ];
    let digest = hash_challenge(cs.namespace(|| "challenge hash"), parts)?;
    let challenge = to_canonical_bits(cs.namespace(|| "challenge"), &digest)?;
    let c_key = key.multiple(cs.namespace(|| "c PK"), &challenge[..CHALLENGE_BITS])?;
    let right = r.add(cs.namespace(|| "R + c PK"), &c_key)?;

    let bit = |i: usize| Some(s[i / 8] >> (i % 8) & 1 == 1);
    let (_, s) = alloc_bits(cs.namespace(|| "s"), (0..SCALAR_BITS).map(bit))?;
    let left = EdwardsPoint::generator_multiple(cs.namespace(|| "s G"), &s)?;
    left.enforce_equal(&mut cs, &right);
    Ok(())
}
