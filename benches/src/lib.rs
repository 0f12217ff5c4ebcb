//! Carillon's CPU engine and its peers on the same inputs: blst itself and arkworks.
//!
//! Everything a benchmark compares is prepared here, once, outside the measured code. Peers get
//! their inputs in their own types, so conversion is never part of a figure. Used by the benches
//! of this crate only. May use every crate of Carillon and the peers.
#![allow(clippy::unwrap_used)] // a benchmark stops at the first surprise

mod arkworks;

use std::sync::Arc;

use ark_ec::{CurveGroup, VariableBaseMSM};
use ark_poly::EvaluationDomain;
use ark_snark::SNARK;
use blst::{MultiPoint, blst_p1_affine};
use blstrs::{G1Affine, Scalar};
use carillon_runtime::Engine;
use carillon_runtime::cpu::CpuEngine;
use carillon_runtime::engine::NttKind;
use carillon_runtime::groth16::{Proof, ProvingKey, prove, setup};
use carillon_workload::{Distribution, SquareChain};
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use tokio::runtime::Runtime;

type ArkPairing = ark_bls12_381::Bls12_381;
type ArkGroth16 = ark_groth16::Groth16<ArkPairing>;

/// A multi-scalar multiplication in G1, for everybody.
pub struct Msm {
    runtime: Runtime,
    engine: CpuEngine,
    bases: Vec<G1Affine>,
    scalars: Vec<Scalar>,
    blst_bases: Vec<blst_p1_affine>,
    blst_scalars: Vec<u8>,
    ark_bases: Vec<ark_bls12_381::G1Affine>,
    ark_scalars: Vec<ark_bls12_381::Fr>,
}

impl Msm {
    /// 2^log2 distinct bases and uniform scalars.
    pub fn new(log2: u32) -> Self {
        let bases = carillon_workload::g1_bases(1 << log2, 1);
        let scalars = carillon_workload::scalars(1 << log2, Distribution::Uniform, 1);
        Self {
            runtime: Runtime::new().unwrap(),
            engine: CpuEngine::new(),
            blst_bases: bases.iter().map(|base| *base.as_ref()).collect(),
            blst_scalars: scalars.iter().flat_map(Scalar::to_bytes_le).collect(),
            ark_bases: bases.iter().map(arkworks::g1).collect(),
            ark_scalars: scalars.iter().map(arkworks::scalar).collect(),
            bases,
            scalars,
        }
    }

    /// Carillon's CPU engine.
    pub fn carillon(&self) -> G1Affine {
        self.runtime
            .block_on(self.engine.msm_g1(&self.bases, &self.scalars))
            .unwrap()
            .0
    }

    /// blst's Pippenger on canonical scalars, without the engine around it.
    pub fn blst(&self) -> blst::blst_p1 {
        self.blst_bases.mult(&self.blst_scalars, 255)
    }

    /// arkworks.
    pub fn arkworks(&self) -> ark_bls12_381::G1Affine {
        ark_bls12_381::G1Projective::msm(&self.ark_bases, &self.ark_scalars)
            .unwrap()
            .into_affine()
    }
}

/// A forward transform, for everybody.
pub struct Ntt {
    runtime: Runtime,
    engine: CpuEngine,
    values: Vec<Scalar>,
    ark_values: Vec<ark_bls12_381::Fr>,
    ark_domain: ark_poly::Radix2EvaluationDomain<ark_bls12_381::Fr>,
}

impl Ntt {
    /// 2^log2 uniform values.
    pub fn new(log2: u32) -> Self {
        let values = carillon_workload::scalars(1 << log2, Distribution::Uniform, 1);
        Self {
            runtime: Runtime::new().unwrap(),
            engine: CpuEngine::new(),
            ark_values: values.iter().map(arkworks::scalar).collect(),
            ark_domain: EvaluationDomain::new(1 << log2).unwrap(),
            values,
        }
    }

    /// Carillon's CPU engine, in place.
    pub fn carillon(&mut self) -> &[Scalar] {
        let job = self.engine.ntt(&mut self.values, NttKind::Forward);
        self.runtime.block_on(job).unwrap();
        &self.values
    }

    /// arkworks, in place.
    pub fn arkworks(&mut self) -> &[ark_bls12_381::Fr] {
        self.ark_domain.fft_in_place(&mut self.ark_values);
        &self.ark_values
    }
}

/// A Groth16 proof of the benchmark circuit, for everybody. Each side proves with its own key;
/// Carillon's time includes the check of the proof before release.
pub struct Groth16 {
    runtime: Runtime,
    engine: CpuEngine,
    circuit: SquareChain,
    key: Arc<ProvingKey>,
    ark_key: ark_groth16::ProvingKey<ArkPairing>,
}

impl Groth16 {
    /// A circuit of 2^log2 rows.
    pub fn new(log2: u32) -> Self {
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        let circuit = SquareChain::with_witness(log2, 1);
        let ark_circuit = arkworks::Chain(circuit.clone());
        Self {
            runtime: Runtime::new().unwrap(),
            engine: CpuEngine::new(),
            key: Arc::new(setup(circuit.clone(), &mut rng).unwrap()),
            ark_key: ArkGroth16::circuit_specific_setup(ark_circuit, &mut rng)
                .unwrap()
                .0,
            circuit,
        }
    }

    /// Carillon's prover on the CPU engine.
    pub fn carillon(&self) -> Proof {
        let job = prove(&self.engine, &self.key, self.circuit.clone(), &());
        self.runtime.block_on(job).unwrap().0
    }

    /// arkworks' prover.
    pub fn arkworks(&self) -> ark_groth16::Proof<ArkPairing> {
        let mut rng = ChaCha12Rng::seed_from_u64(2);
        ArkGroth16::prove(
            &self.ark_key,
            arkworks::Chain(self.circuit.clone()),
            &mut rng,
        )
        .unwrap()
    }

    /// Whether arkworks accepts the proof that its prover made: the two circuits state the same.
    pub fn arkworks_accepts(&self, proof: &ark_groth16::Proof<ArkPairing>) -> bool {
        let end = arkworks::scalar(&self.circuit.end().unwrap());
        ArkGroth16::verify(&self.ark_key.vk, &[end], proof).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_sides_compute_the_same_sum() {
        let msm = Msm::new(6);
        let ours = msm.carillon();
        assert_eq!(arkworks::g1(&ours), msm.arkworks());
        let mut theirs = G1Affine::default();
        *theirs.as_mut() = blst::p1_affines::from(&[msm.blst()])[0];
        assert_eq!(ours.to_uncompressed(), theirs.to_uncompressed());
    }

    #[test]
    fn all_sides_compute_the_same_transform() {
        let mut ntt = Ntt::new(6);
        let ours: Vec<_> = ntt.carillon().iter().map(arkworks::scalar).collect();
        assert_eq!(ours, ntt.arkworks());
    }

    #[test]
    fn all_sides_prove_the_same_statement() {
        let groth16 = Groth16::new(4);
        groth16.carillon();
        assert!(groth16.arkworks_accepts(&groth16.arkworks()));
    }
}
