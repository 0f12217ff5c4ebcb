//! Level 4: large jobs again and again, and a whole proof.

use std::sync::Arc;

use blstrs::Scalar;
use carillon_driver::command::Group;
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;

use super::{Checked, Subject, Wrong, wrong};
use carillon_runtime::engine::{Bases, Engine, MsmOptions, NttKind, SumPoint};
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
    let in_g1 = carillon_workload::g1_bases(n, 11);
    let in_g1 = Bases::checked(&in_g1);
    let in_g2 = match subject.has_msm(Group::G2) {
        true => carillon_workload::g2_bases(n, 11),
        false => Vec::new(),
    };
    let in_g2 = Bases::checked(&in_g2);
    for round in 0..subject.options.rounds {
        let seed = u64::from(round);
        let distribution = DISTRIBUTIONS[round as usize % DISTRIBUTIONS.len()];
        let scalars = carillon_workload::scalars(n, distribution, seed);
        let of = format!("round {round}: the sum of 2^{log2} terms ({distribution} scalars)");
        equal(subject, in_g1, &scalars, &of).await?;
        if subject.has_msm(Group::G2) {
            equal(subject, in_g2, &scalars, &format!("{of} in G2")).await?;
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

/// The card's sum is the CPU's.
async fn equal<P: SumPoint>(
    subject: &Subject,
    bases: Bases<'_, P>,
    scalars: &[Scalar],
    what: &str,
) -> Result<(), Wrong> {
    let options = MsmOptions::default();
    let (found, _) = P::sum(&subject.engine, bases, scalars, options).await?;
    let (cpu, _) = P::sum(&subject.cpu, bases, scalars, options).await?;
    if found == cpu {
        return Ok(());
    }
    Err(wrong(format!("{what} differs from the CPU's")))
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
