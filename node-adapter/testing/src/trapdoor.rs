//! A Groth16 key whose trapdoor is known.

use blstrs::{G1Projective, G2Projective, Scalar};
use carillon_runtime::groth16::{Proof, VerifyingKey};
use ff::Field;
use group::{Curve, Group};
use rand::RngCore;

/// Proofs of any statement are made in microseconds, by solving the verification equation in the
/// exponent. Independent of the prover.
pub struct Trapdoor {
    alpha: Scalar,
    beta: Scalar,
    gamma: Scalar,
    delta: Scalar,
    ic: [Scalar; 6],
}

impl Trapdoor {
    /// Draws a key.
    pub fn random(rng: &mut impl RngCore) -> Self {
        Self {
            alpha: Scalar::random(&mut *rng),
            beta: Scalar::random(&mut *rng),
            gamma: Scalar::random(&mut *rng),
            delta: Scalar::random(&mut *rng),
            ic: std::array::from_fn(|_| Scalar::random(&mut *rng)),
        }
    }

    /// The public part.
    pub fn key(&self) -> VerifyingKey {
        let g1 = |s: &Scalar| (G1Projective::generator() * s).to_affine();
        let g2 = |s: &Scalar| (G2Projective::generator() * s).to_affine();
        VerifyingKey {
            alpha_g1: g1(&self.alpha),
            beta_g1: g1(&self.beta),
            beta_g2: g2(&self.beta),
            gamma_g2: g2(&self.gamma),
            delta_g1: g1(&self.delta),
            delta_g2: g2(&self.delta),
            ic: self.ic.iter().map(g1).collect(),
        }
    }

    /// A proof of `inputs`: a and b are free, c = (ab - alpha beta - x gamma) / delta.
    pub fn prove(&self, inputs: &[Scalar; 5], rng: &mut impl RngCore) -> Proof {
        self.prove_off_by(inputs, &Scalar::ZERO, rng)
    }

    /// A proof whose C is `error` times the generator away from the right one.
    pub fn prove_off_by(
        &self,
        inputs: &[Scalar; 5],
        error: &Scalar,
        rng: &mut impl RngCore,
    ) -> Proof {
        let (a, b) = (Scalar::random(&mut *rng), Scalar::random(&mut *rng));
        let x = inputs
            .iter()
            .zip(&self.ic[1..])
            .fold(self.ic[0], |sum, (input, ic)| sum + input * ic);
        let c = (a * b - self.alpha * self.beta - x * self.gamma) * self.delta.invert().unwrap();
        Proof {
            a: (G1Projective::generator() * a).to_affine(),
            b: (G2Projective::generator() * b).to_affine(),
            c: (G1Projective::generator() * (c + error)).to_affine(),
        }
    }
}
