//! Level 4: large jobs again and again, and a whole proof.

use std::sync::Arc;

use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;

use super::{Checked, Subject, wrong};
use carillon_runtime::engine::{Bases, Engine, MsmOptions, NttKind};
use carillon_runtime::groth16;
use carillon_workload::{Distribution, SquareChain};

/// Distributions of scalars, in turn: all digits different, few, and many zeros.
const DISTRIBUTIONS: [Distribution; 3] = [
    Distribution::Uniform,
    Distribution::Equal,
    Distribution::Witness,
];

/// Sums, transforms and quotients of the size asked for, other inputs in every round.
pub async fn large(subject: &Subject) -> Checked {
    let info = subject.card().info();
    let log2 = subject.options.log2;
    let ntt_log2 = log2.min(u32::from(info.ntt_max_log2n));
    let n = 1usize << log2;
    let points = carillon_workload::g1_bases(n, 11);
    let bases = Bases::checked(&points);
    for round in 0..subject.options.rounds {
        let seed = u64::from(round);
        let distribution = DISTRIBUTIONS[round as usize % DISTRIBUTIONS.len()];
        let scalars = carillon_workload::scalars(n, distribution, seed);
        let options = MsmOptions::default();
        let (found, _) = subject.engine.msm_g1_with(bases, &scalars, options).await?;
        let (cpu, _) = subject.cpu.msm_g1(bases.points(), &scalars).await?;
        if found != cpu {
            return Err(wrong(format!(
                "round {round}: the sum of 2^{log2} terms ({distribution} scalars) differs from the CPU's"
            )));
        }
        let kind = NttKind::ALL[round as usize % NttKind::ALL.len()];
        let input = carillon_workload::scalars(1 << ntt_log2, Distribution::Uniform, !seed);
        let (mut found, mut cpu) = (input.clone(), input.clone());
        subject.engine.ntt(&mut found, kind).await?;
        subject.cpu.ntt(&mut cpu, kind).await?;
        if found != cpu {
            return Err(wrong(format!(
                "round {round}: {kind:?} of 2^{ntt_log2} elements differs from the CPU's"
            )));
        }
        let z = input[0];
        let (found, _) = subject.engine.quotient(&input, &cpu, &input, &z).await?;
        let (cpu, _) = subject.cpu.quotient(&input, &cpu, &input, &z).await?;
        if found != cpu {
            return Err(wrong(format!(
                "round {round}: the quotient of 2^{ntt_log2} elements differs from the CPU's"
            )));
        }
    }
    Ok(format!(
        "{} rounds of 2^{log2} elements",
        subject.options.rounds
    ))
}

/// A proof of the benchmark circuit; `prove` verifies it before it gives it out.
pub async fn proof(subject: &Subject) -> Checked {
    let limit = u32::from(subject.card().info().ntt_max_log2n);
    let log2 = subject.options.log2.min(limit);
    let mut rng = ChaCha12Rng::seed_from_u64(12);
    let key = Arc::new(groth16::setup(SquareChain::blank(log2), &mut rng)?);
    let circuit = SquareChain::with_witness(log2, 13);
    let end = circuit
        .end()
        .ok_or_else(|| wrong("the circuit has no witness"))?;
    let (proof, _) = groth16::prove(&subject.engine, &key, circuit, &()).await?;
    groth16::verify(&key.vk, &[end], &proof)?;
    Ok(format!("2^{log2} rows, verified"))
}
