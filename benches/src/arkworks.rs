//! Carillon's types and the benchmark circuit in arkworks' terms.

use ark_bls12_381::Fr;
use ark_ff::{Field, One, PrimeField};
use ark_relations::gr1cs::{ConstraintSynthesizer, ConstraintSystemRef, SynthesisError, Variable};
use ark_relations::lc;
use ark_serialize::CanonicalDeserialize;
use blstrs::{G1Affine, Scalar};
use carillon_workload::SquareChain;

/// A scalar, by its canonical bytes.
pub fn scalar(value: &Scalar) -> Fr {
    Fr::from_le_bytes_mod_order(&value.to_bytes_le())
}

/// A point, by its uncompressed encoding, which both sides share.
pub fn g1(point: &G1Affine) -> ark_bls12_381::G1Affine {
    let bytes = point.to_uncompressed();
    CanonicalDeserialize::deserialize_uncompressed_unchecked(bytes.as_ref()).unwrap()
}

/// The benchmark circuit written for arkworks: x -> x^2 + i, the end public.
pub struct Chain(pub SquareChain);

impl ConstraintSynthesizer<Fr> for Chain {
    fn generate_constraints(self, cs: ConstraintSystemRef<Fr>) -> Result<(), SynthesisError> {
        let rounds = self.0.constraints();
        let mut value = scalar(&self.0.start().ok_or(SynthesisError::AssignmentMissing)?);
        let mut current = cs.new_witness_variable(|| Ok(value))?;
        for round in 0..rounds {
            let constant = Fr::from(round);
            value = value.square() + constant;
            let next = if round + 1 == rounds {
                cs.new_input_variable(|| Ok(value))?
            } else {
                cs.new_witness_variable(|| Ok(value))?
            };
            cs.enforce_r1cs_constraint(
                || lc![current],
                || lc![current],
                || lc![(Fr::one(), next), (-constant, Variable::One)],
            )?;
            current = next;
        }
        Ok(())
    }
}
