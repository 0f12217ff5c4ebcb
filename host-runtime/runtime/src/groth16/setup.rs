//! Development set-up. **INSECURE**: whoever runs it knows the trapdoor and can forge proofs.
//!
//! Real deployments need a multi-party ceremony; keys made here are marked in memory and on disk
//! ([`KeyOrigin::InsecureDevelopment`]) and every call logs a warning.

use bellpepper_core::{Circuit, Index};
use blstrs::{G1Affine, G1Projective, G2Projective, Scalar};
use ff::{BatchInvert, Field, PrimeField};
use group::{Curve, Group};
use rand::{CryptoRng, RngCore};
use rayon::prelude::*;

use super::fixed_base::FixedBase;
use super::r1cs::{R1cs, Side};
use super::{CircuitShape, Groth16Error, HBasis, KeyOrigin, ProvingKey, VerifyingKey};
use crate::engine::check::FIELD_TWO_ADICITY;
use crate::keys::Points;
use crate::secret::{Secret, SecretVec, wipe};

/// Makes a proving key for `circuit` (its witness is not looked at).
///
/// INSECURE, for development only: see the module's comment. The same circuit and the same
/// random stream give the same key.
pub fn setup<C: Circuit<Scalar>>(
    circuit: C,
    rng: &mut (impl RngCore + CryptoRng),
) -> Result<ProvingKey, Groth16Error> {
    setup_in(HBasis::Odd, circuit, rng)
}

/// [`setup`] with the H query in a certain basis. The same random stream gives the same key but for that query, and
/// with the same blinding the same proofs.
///
/// # Errors
/// As [`setup`].
pub fn setup_in<C: Circuit<Scalar>>(
    basis: HBasis,
    circuit: C,
    rng: &mut (impl RngCore + CryptoRng),
) -> Result<ProvingKey, Groth16Error> {
    let r1cs = R1cs::record(circuit)?;
    let shape = r1cs.shape();
    // The odd powers are those of a root of twice the domain's order.
    if shape.rows() as u64 > 1 << (FIELD_TWO_ADICITY - 1) {
        return Err(Groth16Error::TooLarge { rows: shape.rows() });
    }
    tracing::warn!(
        constraints = shape.constraints,
        "INSECURE development set-up: the trapdoor is known to this process; \
         do not protect anything of value with this key"
    );
    let trapdoor = Trapdoor::draw(shape, rng);
    let queries = Queries::evaluate(&r1cs, &trapdoor);
    Ok(build(basis, &r1cs, &trapdoor, &queries))
}

/// The secret of the set-up. Wiped at its end; a development key must be assumed forgeable.
struct Trapdoor {
    alpha: Scalar,
    beta: Scalar,
    gamma: Scalar,
    delta: Scalar,
    gamma_inverse: Scalar,
    delta_inverse: Scalar,
    tau: Scalar,
    /// tau^m - 1 for the domain of size m.
    vanishing: Scalar,
}

impl Trapdoor {
    fn draw(shape: CircuitShape, rng: &mut (impl RngCore + CryptoRng)) -> Self {
        let mut nonzero = || loop {
            let value = Scalar::random(&mut *rng);
            if let Some(inverse) = Option::<Scalar>::from(value.invert()) {
                return (value, inverse);
            }
        };
        let ((alpha, _), (beta, _)) = (nonzero(), nonzero());
        let ((gamma, gamma_inverse), (delta, delta_inverse)) = (nonzero(), nonzero());
        let (tau, vanishing) = loop {
            let (tau, _) = nonzero();
            let vanishing = tau.pow_vartime([shape.domain() as u64]) - Scalar::ONE;
            // Neither in the domain nor among the odd powers, where tau^m is -1.
            if !bool::from(vanishing.is_zero()) && vanishing != -Scalar::from(2) {
                break (tau, vanishing);
            }
        };
        Self {
            alpha,
            beta,
            gamma,
            delta,
            gamma_inverse,
            delta_inverse,
            tau,
            vanishing,
        }
    }
}

impl Drop for Trapdoor {
    fn drop(&mut self) {
        let Self {
            alpha,
            beta,
            gamma,
            delta,
            gamma_inverse,
            delta_inverse,
            tau,
            vanishing,
        } = self;
        for secret in [
            alpha,
            beta,
            gamma,
            delta,
            gamma_inverse,
            delta_inverse,
            tau,
            vanishing,
        ] {
            wipe(std::slice::from_mut(secret));
        }
    }
}

/// The quadratic program at tau, one value per variable. As secret as tau.
struct Queries {
    u: SecretVec<Scalar>,
    v: SecretVec<Scalar>,
    w: SecretVec<Scalar>,
}

impl Queries {
    fn evaluate(r1cs: &R1cs, trapdoor: &Trapdoor) -> Self {
        let shape = r1cs.shape();
        let lagrange = lagrange_at(shape, trapdoor.tau, trapdoor.vanishing);
        let product = |side: Side| {
            let mut sums = SecretVec::from(vec![Scalar::ZERO; shape.variables()]);
            for (row, weight) in r1cs.rows(side).zip(lagrange.iter()) {
                for (index, coefficient) in row {
                    sums[r1cs.number(index)] += *weight * coefficient;
                }
            }
            sums
        };
        let (mut u, (v, w)) = rayon::join(
            || product(Side::A),
            || rayon::join(|| product(Side::B), || product(Side::C)),
        );
        // The rows x_i * 0 = 0 of the public inputs.
        for (input, weight) in lagrange[shape.constraints..shape.rows()].iter().enumerate() {
            u[r1cs.number(Index::Input(input))] += weight;
        }
        Self { u, v, w }
    }
}

/// Lagrange polynomials of the domain at `tau`: L_i = (tau^m - 1) / m * omega^i / (tau - omega^i), given `vanishing` = tau^m - 1.
fn lagrange_at(shape: CircuitShape, tau: Scalar, vanishing: Scalar) -> SecretVec<Scalar> {
    let omega = crate::cpu::root_of_unity(shape.domain_log2());
    let powers: Vec<Scalar> =
        std::iter::successors(Some(Scalar::ONE), |power| Some(*power * omega))
            .take(shape.domain())
            .collect();
    let differences: Vec<Scalar> = powers.iter().map(|power| tau - power).collect();
    let mut lagrange = SecretVec::from(differences);
    let m_inverse = Scalar::TWO_INV.pow_vartime([u64::from(shape.domain_log2())]);
    let factor = vanishing * m_inverse;
    lagrange
        .par_chunks_mut(1 << 12)
        .zip(powers.par_chunks(1 << 12))
        .for_each(|(values, powers)| {
            values.iter_mut().batch_invert();
            for (value, power) in values.iter_mut().zip(powers) {
                *value *= factor * power;
            }
        });
    lagrange
}

/// The discrete logarithms of the H query.
fn h_query(basis: HBasis, shape: CircuitShape, trapdoor: &Trapdoor) -> SecretVec<Scalar> {
    let factor = trapdoor.vanishing * trapdoor.delta_inverse;
    match basis {
        HBasis::Powers => {
            let mut powers = SecretVec::with_capacity(shape.domain() - 1);
            let mut power = factor;
            for _ in 1..shape.domain() {
                powers.push(power);
                power *= trapdoor.tau;
            }
            powers
        }
        HBasis::Odd => {
            // The odd powers are the domain times psi, so their Lagrange polynomials at tau are the domain's at tau / psi, where
            // psi^m = -1. Psi has order 2m: its inverse is the last power before it comes round.
            let psi = crate::cpu::root_of_unity(shape.domain_log2() + 1);
            let tau = trapdoor.tau * psi.pow_vartime([2 * shape.domain() as u64 - 1]);
            let vanishing = -(trapdoor.vanishing + Scalar::ONE) - Scalar::ONE;
            let (tau, vanishing) = (Secret::new(tau), Secret::new(vanishing));
            let mut query = lagrange_at(shape, *tau, *vanishing);
            let factor = Secret::new(-factor * Scalar::TWO_INV);
            query.par_iter_mut().for_each(|value| *value *= *factor);
            query
        }
    }
}

fn build(basis: HBasis, r1cs: &R1cs, trapdoor: &Trapdoor, queries: &Queries) -> ProvingKey {
    let shape = r1cs.shape();
    let g1 = FixedBase::new(&G1Projective::generator(), 4 * shape.domain());
    let g2 = FixedBase::new(&G2Projective::generator(), shape.variables());
    let combined = |variables: std::ops::Range<usize>, factor: Scalar| {
        let sums = variables.into_par_iter().map(|i| {
            let sum = trapdoor.beta * queries.u[i] + trapdoor.alpha * queries.v[i];
            (sum + queries.w[i]) * factor
        });
        SecretVec::from(sums.collect::<Vec<Scalar>>())
    };
    let h = h_query(basis, shape, trapdoor);
    let mut l = vec![G1Affine::default(); shape.inputs];
    l.extend(g1.multiply(&combined(
        shape.inputs..shape.variables(),
        trapdoor.delta_inverse,
    )));
    let (g1_base, g2_base) = (G1Projective::generator(), G2Projective::generator());
    ProvingKey {
        vk: VerifyingKey {
            alpha_g1: (g1_base * trapdoor.alpha).to_affine(),
            beta_g1: (g1_base * trapdoor.beta).to_affine(),
            beta_g2: (g2_base * trapdoor.beta).to_affine(),
            gamma_g2: (g2_base * trapdoor.gamma).to_affine(),
            delta_g1: (g1_base * trapdoor.delta).to_affine(),
            delta_g2: (g2_base * trapdoor.delta).to_affine(),
            ic: g1.multiply(&combined(0..shape.inputs, trapdoor.gamma_inverse)),
        },
        shape,
        circuit: r1cs.digest(),
        origin: KeyOrigin::InsecureDevelopment,
        a: Points::of_subgroup(g1.multiply(&queries.u)),
        b1: Points::of_subgroup(g1.multiply(&queries.v)),
        b2: Points::of_subgroup(g2.multiply(&queries.v)),
        l: Points::of_subgroup(l),
        basis,
        h: Points::of_subgroup(g1.multiply(&h)),
    }
}
