//! Proving and verifying keys.

use std::fmt;

use blstrs::{G1Affine, G2Affine};
use group::UncompressedEncoding;
use group::prime::PrimeCurveAffine;
use serde::Serialize;

use super::Groth16Error;
use crate::keys::Points;

/// Sizes of a circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CircuitShape {
    /// Constraints enforced by the circuit.
    pub constraints: usize,
    /// Public inputs, the constant ONE included.
    pub inputs: usize,
    /// Private variables.
    pub aux: usize,
}

impl CircuitShape {
    /// Public inputs and private variables.
    pub fn variables(&self) -> usize {
        self.inputs + self.aux
    }

    /// Refuses a circuit of other sizes than `expected`.
    pub(super) fn must_be(&self, expected: Self) -> Result<(), Groth16Error> {
        for (what, found, expected) in [
            ("constraints", self.constraints, expected.constraints),
            ("public inputs", self.inputs, expected.inputs),
            ("private variables", self.aux, expected.aux),
        ] {
            if found != expected {
                return Err(Groth16Error::CircuitMismatch {
                    what,
                    found,
                    expected,
                });
            }
        }
        Ok(())
    }

    /// Rows of the quadratic program: constraints plus one row per public input.
    pub fn rows(&self) -> usize {
        self.constraints + self.inputs
    }

    /// log2 of the evaluation domain: the smallest power of two >= rows, at least 2.
    pub fn domain_log2(&self) -> u32 {
        self.rows().max(2).next_power_of_two().ilog2()
    }

    /// Elements of the evaluation domain.
    pub fn domain(&self) -> usize {
        1 << self.domain_log2()
    }
}

/// SHA-256 of a circuit's constraint system; keys are bound to it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CircuitDigest(pub [u8; 32]);

impl fmt::Display for CircuitDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for CircuitDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CircuitDigest({self})")
    }
}

/// Where a key's secret randomness came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyOrigin {
    /// INSECURE: made by one process that knew the trapdoor, which can forge proofs of false
    /// statements. For development, tests and demonstrations only.
    InsecureDevelopment,
}

impl fmt::Display for KeyOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KeyOrigin::InsecureDevelopment => "INSECURE development key",
        })
    }
}

/// In which basis a key's H query is, and so what its scalars are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HBasis {
    /// `tau^i t(tau) / delta` for domain - 1 powers, as bellman has it: the scalars are the coefficients of the quotient
    /// (A B - C) / t, which take a seventh transform.
    Powers,
    /// `L_i(tau) t(tau) / (-2 delta)` for the Lagrange polynomials L_i of the odd powers of the root of order 2n, as snarkjs has it
    /// but for the constant: t is -2 at every such point, so the scalars are A B - C there.
    Odd,
}

impl HBasis {
    /// Points of the query for a domain of this size.
    pub fn points(self, domain: usize) -> usize {
        match self {
            Self::Powers => domain - 1,
            Self::Odd => domain,
        }
    }
}

/// What a verifier needs. Field names follow Groth's paper and bellman.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyingKey {
    /// alpha in G1.
    pub alpha_g1: G1Affine,
    /// beta in G1 (used by the prover).
    pub beta_g1: G1Affine,
    /// beta in G2.
    pub beta_g2: G2Affine,
    /// gamma in G2.
    pub gamma_g2: G2Affine,
    /// delta in G1 (used by the prover).
    pub delta_g1: G1Affine,
    /// delta in G2.
    pub delta_g2: G2Affine,
    /// One point per public input, the constant ONE first.
    pub ic: Vec<G1Affine>,
}

/// What a prover needs. The queries A, B and L hold one point per variable (public inputs first,
/// then private ones), infinity where the variable does not occur (L: at the public inputs), so
/// that one scalar vector, the whole witness, serves all of them.
#[derive(Debug)]
pub struct ProvingKey {
    /// The verifying key.
    pub vk: VerifyingKey,
    /// Sizes of the circuit.
    pub shape: CircuitShape,
    /// The circuit this key belongs to.
    pub circuit: CircuitDigest,
    /// Where the randomness came from.
    pub origin: KeyOrigin,
    /// u_i(tau) in G1.
    pub a: Points<G1Affine>,
    /// v_i(tau) in G1.
    pub b1: Points<G1Affine>,
    /// v_i(tau) in G2.
    pub b2: Points<G2Affine>,
    /// (beta u_i(tau) + alpha v_i(tau) + w_i(tau)) / delta in G1.
    pub l: Points<G1Affine>,
    /// The basis of `h`.
    pub basis: HBasis,
    /// The H query in G1, [`HBasis::points`] of them.
    pub h: Points<G1Affine>,
}

const G1: usize = 96;
const G2: usize = 192;
/// Bytes before the input points: alpha_g1, beta_g1, beta_g2, gamma_g2, delta_g1, delta_g2, count.
const FIXED: usize = 3 * G1 + 3 * G2 + 4;

impl VerifyingKey {
    /// Bytes of the encoding of a key with `inputs` input points (the constant ONE included).
    pub(crate) fn encoded_bytes(inputs: usize) -> usize {
        FIXED + inputs * G1
    }

    /// The uncompressed encoding, byte for byte that of bellman's `VerifyingKey::write`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::encoded_bytes(self.ic.len()));
        out.extend_from_slice(self.alpha_g1.to_uncompressed().as_ref());
        out.extend_from_slice(self.beta_g1.to_uncompressed().as_ref());
        out.extend_from_slice(self.beta_g2.to_uncompressed().as_ref());
        out.extend_from_slice(self.gamma_g2.to_uncompressed().as_ref());
        out.extend_from_slice(self.delta_g1.to_uncompressed().as_ref());
        out.extend_from_slice(self.delta_g2.to_uncompressed().as_ref());
        out.extend_from_slice(&(self.ic.len() as u32).to_be_bytes());
        for point in &self.ic {
            out.extend_from_slice(point.to_uncompressed().as_ref());
        }
        out
    }

    /// Decodes [`VerifyingKey::to_bytes`]; every point is checked to be in the subgroup of order
    /// r and not infinity, and the length to fit exactly.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Groth16Error> {
        let refuse = |reason: String| Groth16Error::VerifyingKeyEncoding { reason };
        let Some((fixed, ic)) = bytes.split_at_checked(FIXED) else {
            return Err(refuse(format!(
                "{} bytes given, at least {FIXED} needed",
                bytes.len()
            )));
        };
        let (points, count) = fixed.split_at(FIXED - 4);
        let count = count
            .iter()
            .fold(0usize, |sum, byte| sum << 8 | usize::from(*byte));
        if count == 0 || count.checked_mul(G1) != Some(ic.len()) {
            let reason = format!("{count} input points announced, {} bytes follow", ic.len());
            return Err(refuse(reason));
        }
        let g1 = |name: &str, at: usize| decode::<G1Affine>(name, &points[at..at + G1]);
        let g2 = |name: &str, at: usize| decode::<G2Affine>(name, &points[at..at + G2]);
        Ok(Self {
            alpha_g1: g1("alpha_g1", 0)?,
            beta_g1: g1("beta_g1", G1)?,
            beta_g2: g2("beta_g2", 2 * G1)?,
            gamma_g2: g2("gamma_g2", 2 * G1 + G2)?,
            delta_g1: g1("delta_g1", 2 * G1 + 2 * G2)?,
            delta_g2: g2("delta_g2", 3 * G1 + 2 * G2)?,
            ic: ic
                .chunks_exact(G1)
                .map(|raw| decode("ic", raw))
                .collect::<Result<_, _>>()?,
        })
    }
}

fn decode<P: UncompressedEncoding + PrimeCurveAffine>(
    name: &str,
    bytes: &[u8],
) -> Result<P, Groth16Error> {
    let mut encoded = P::Uncompressed::default();
    encoded.as_mut().copy_from_slice(bytes);
    Option::<P>::from(P::from_uncompressed(&encoded))
        .filter(|point| !bool::from(point.is_identity()))
        .ok_or_else(|| Groth16Error::VerifyingKeyEncoding {
            reason: format!("{name} is not a finite point of the subgroup of order r"),
        })
}
