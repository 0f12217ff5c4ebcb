//! What these tests share: seeded randomness, and the way into bellman and arkworks.

use ark_serialize::CanonicalDeserialize;
use ark_snark::SNARK;
use bellman::groth16 as bellman16;
use blstrs::{Bls12, G1Affine, G2Affine, Scalar};
use carillon_runtime::groth16::{Proof, ProvingKey, VerifyingKey};
use carillon_workload::SquareChain;
use ff::Field;
use group::prime::PrimeCurveAffine;
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;

pub fn rng(seed: u64) -> ChaCha12Rng {
    ChaCha12Rng::seed_from_u64(seed)
}

/// bellman's verdict on our proof.
pub fn bellman_accepts(vk: &VerifyingKey, inputs: &[Scalar], proof: &Proof) -> bool {
    let vk = bellman16::VerifyingKey::<Bls12>::read(&vk.to_bytes()[..]).unwrap();
    let prepared = bellman16::prepare_verifying_key(&vk);
    let proof = bellman16::Proof::<Bls12>::read(&proof.to_bytes()[..]).unwrap();
    bellman16::verify_proof(&prepared, &proof, inputs).is_ok()
}

/// arkworks' verdict on our proof; everything crosses over as bytes.
pub fn arkworks_accepts(vk: &VerifyingKey, inputs: &[Scalar], proof: &Proof) -> bool {
    use ark_bls12_381::{Bls12_381, Fr};
    fn g1(point: &G1Affine) -> ark_bls12_381::G1Affine {
        CanonicalDeserialize::deserialize_uncompressed(point.to_uncompressed().as_ref()).unwrap()
    }
    fn g2(point: &G2Affine) -> ark_bls12_381::G2Affine {
        CanonicalDeserialize::deserialize_uncompressed(point.to_uncompressed().as_ref()).unwrap()
    }
    let vk = ark_groth16::VerifyingKey::<Bls12_381> {
        alpha_g1: g1(&vk.alpha_g1),
        beta_g2: g2(&vk.beta_g2),
        gamma_g2: g2(&vk.gamma_g2),
        delta_g2: g2(&vk.delta_g2),
        gamma_abc_g1: vk.ic.iter().map(g1).collect(),
    };
    let proof = ark_groth16::Proof::<Bls12_381> {
        a: g1(&proof.a),
        b: g2(&proof.b),
        c: g1(&proof.c),
    };
    let inputs: Vec<Fr> = inputs
        .iter()
        .map(|input| ark_ff::PrimeField::from_le_bytes_mod_order(&input.to_bytes_le()))
        .collect();
    ark_groth16::Groth16::<Bls12_381>::verify(&vk, &inputs, &proof).unwrap()
}

/// Our proving key as bellman's parameters: infinity is left out there.
pub fn bellman_parameters(key: &ProvingKey) -> bellman16::Parameters<Bls12> {
    fn finite<P: PrimeCurveAffine>(points: &[P]) -> std::sync::Arc<Vec<P>> {
        let finite = points
            .iter()
            .filter(|point| !bool::from(point.is_identity()));
        std::sync::Arc::new(finite.copied().collect())
    }
    bellman16::Parameters {
        vk: bellman16::VerifyingKey::read(&key.vk.to_bytes()[..]).unwrap(),
        h: std::sync::Arc::new(key.h.to_vec()),
        l: std::sync::Arc::new(key.l[key.shape.inputs..].to_vec()),
        a: finite(&key.a),
        b_g1: finite(&key.b1),
        b_g2: finite(&key.b2),
    }
}

/// The benchmark circuit written against bellman's own constraint system.
pub struct BellmanChain(pub SquareChain);

impl bellman::Circuit<Scalar> for BellmanChain {
    fn synthesize<CS: bellman::ConstraintSystem<Scalar>>(
        self,
        cs: &mut CS,
    ) -> Result<(), bellman::SynthesisError> {
        let rounds = self.0.constraints();
        let missing = || bellman::SynthesisError::AssignmentMissing;
        let mut value = self.0.start();
        let mut current = cs.alloc(|| "start", || value.ok_or_else(missing))?;
        for round in 0..rounds {
            let constant = Scalar::from(round);
            value = value.map(|x| x.square() + constant);
            let next = if round + 1 == rounds {
                cs.alloc_input(|| format!("end {round}"), || value.ok_or_else(missing))?
            } else {
                cs.alloc(|| format!("x {round}"), || value.ok_or_else(missing))?
            };
            cs.enforce(
                || format!("square {round}"),
                |lc| lc + current,
                |lc| lc + current,
                |lc| lc + next - (constant, CS::one()),
            );
            current = next;
        }
        Ok(())
    }
}
