//! Verification of proofs: e(A, B) = e(alpha, beta) e(IC, gamma) e(C, delta).

use blstrs::{Bls12, G1Affine, G1Projective, G2Affine, G2Prepared, Scalar};
use ff::Field;
use group::prime::PrimeCurveAffine;
use group::{Curve, Group};
use pairing::{MillerLoopResult, MultiMillerLoop};
use rand::{CryptoRng, RngCore};

use super::{Groth16Error, Proof, VerifyingKey};
use crate::image::PointImage;

/// Checks one proof for public inputs without the constant ONE.
pub fn verify(
    vk: &VerifyingKey,
    public_inputs: &[Scalar],
    proof: &Proof,
) -> Result<(), Groth16Error> {
    let inputs = input_point(vk, public_inputs)?;
    check_points(proof)?;
    let result = Bls12::multi_miller_loop(&[
        (&-proof.a, &G2Prepared::from(proof.b)),
        (&vk.alpha_g1, &G2Prepared::from(vk.beta_g2)),
        (&inputs.to_affine(), &G2Prepared::from(vk.gamma_g2)),
        (&proof.c, &G2Prepared::from(vk.delta_g2)),
    ]);
    accept(result)
}

/// Checks many proofs of one key at the cost of about one pairing each, by a random linear
/// combination. Says whether all hold, not which one fails; use [`verify`] to find it.
/// An empty batch is accepted. A forger who can guess the weights can make false proofs cancel, so
/// they must come from a cryptographic generator that nobody else knows the seed of.
pub fn verify_batch(
    vk: &VerifyingKey,
    batch: &[(&[Scalar], &Proof)],
    rng: &mut (impl RngCore + CryptoRng),
) -> Result<(), Groth16Error> {
    let mut pairs: Vec<(G1Affine, G2Affine)> = Vec::with_capacity(batch.len() + 3);
    let (mut alpha, mut inputs, mut c) = (
        Scalar::ZERO,
        G1Projective::identity(),
        G1Projective::identity(),
    );
    for (public_inputs, proof) in batch {
        check_points(proof)?;
        let weight = loop {
            let candidate = Scalar::random(&mut *rng);
            if !bool::from(candidate.is_zero()) {
                break candidate;
            }
        };
        pairs.push(((-proof.a * weight).to_affine(), proof.b));
        alpha += weight;
        inputs += input_point(vk, public_inputs)? * weight;
        c += proof.c * weight;
    }
    pairs.push(((vk.alpha_g1 * alpha).to_affine(), vk.beta_g2));
    pairs.push((inputs.to_affine(), vk.gamma_g2));
    pairs.push((c.to_affine(), vk.delta_g2));
    let prepared: Vec<_> = pairs
        .into_iter()
        .map(|(left, right)| (left, G2Prepared::from(right)))
        .collect();
    let terms: Vec<_> = prepared.iter().map(|(left, right)| (left, right)).collect();
    accept(Bls12::multi_miller_loop(&terms))
}

fn accept(result: <Bls12 as MultiMillerLoop>::Result) -> Result<(), Groth16Error> {
    if bool::from(result.final_exponentiation().is_identity()) {
        Ok(())
    } else {
        Err(Groth16Error::InvalidProof)
    }
}

/// The sum of `ic[i] * input[i]`, the constant ONE first.
fn input_point(vk: &VerifyingKey, inputs: &[Scalar]) -> Result<G1Projective, Groth16Error> {
    let Some((one, rest)) = vk
        .ic
        .split_first()
        .filter(|(_, rest)| rest.len() == inputs.len())
    else {
        let expected = vk.ic.len().saturating_sub(1);
        return Err(Groth16Error::PublicInputs {
            found: inputs.len(),
            expected,
        });
    };
    Ok(rest
        .iter()
        .zip(inputs)
        .fold(one.to_curve(), |sum, (point, input)| sum + point * input))
}

/// A proof's fields are public: a caller may have built it without decoding, so check again.
fn check_points(proof: &Proof) -> Result<(), Groth16Error> {
    let sound = proof.a.on_curve()
        && proof.a.in_subgroup()
        && proof.b.on_curve()
        && proof.b.in_subgroup()
        && proof.c.on_curve()
        && proof.c.in_subgroup();
    if sound {
        Ok(())
    } else {
        Err(Groth16Error::InvalidProof)
    }
}
