//! Level 3: every compute command, small, against the CPU and against results by other ways
//! (`carillon_workload::vectors`).

use blstrs::{G1Affine, Scalar};
use carillon_workload::vectors::{self, MsmCase, ScalarPattern};
use ff::Field;
use group::Curve;
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;

use super::{Checked, Subject, Wrong, wrong};
use carillon_runtime::engine::{Bases, Engine, MsmOptions, NttKind};

/// Sizes of the sums: one, odd, and across a power of two.
const MSM_SIZES: [usize; 3] = [1, 3, 33];
/// Largest transform, as a power of two.
const NTT_LOG2: u32 = 8;
/// Largest quotient, as a power of two.
const QUOTIENT_LOG2: u32 = 6;

/// Sums over all kinds of scalars and bases, with the card's choice of windows and the smallest
/// and largest that it has.
pub async fn msm(subject: &Subject) -> Checked {
    let mut cases = 0;
    for n in MSM_SIZES {
        for case in vectors::msm_cases(n, n as u64) {
            sum(subject, &case, Bases::checked(&case.bases), None).await?;
            cases += 1;
        }
    }
    let case = vectors::msm_case(16, vectors::BasePattern::Distinct, ScalarPattern::Random, 7);
    for bits in [1, subject.card().info().msm_max_window_bits] {
        sum(subject, &case, Bases::checked(&case.bases), Some(bits)).await?;
        cases += 1;
    }
    Ok(format!("{cases} sums"))
}

/// Sums over points of the curve outside the subgroup, for which scalars are taken whole.
pub async fn msm_outside(subject: &Subject) -> Checked {
    for n in [1, 9] {
        let case = vectors::msm_case_outside(n, ScalarPattern::Random, n as u64);
        sum(subject, &case, Bases::unknown(&case.bases), None).await?;
    }
    Ok("2 sums".to_owned())
}

async fn sum(
    subject: &Subject,
    case: &MsmCase,
    bases: Bases<'_>,
    window_bits: Option<u8>,
) -> Result<(), Wrong> {
    let options = MsmOptions { window_bits };
    let scalars = &case.scalars;
    let (found, _) = subject.engine.msm_g1_with(bases, scalars, options).await?;
    let (cpu, _) = subject.cpu.msm_g1(&case.bases, scalars).await?;
    let expected: G1Affine = case.expected.to_affine();
    if found == expected && cpu == expected {
        return Ok(());
    }
    let by = match (found == expected, cpu == expected) {
        (false, true) => "the card's sum",
        (true, false) => "the CPU's sum",
        _ => "the sums of card and CPU",
    };
    let bits = window_bits.map_or_else(String::new, |bits| format!(", {bits} window bits"));
    Err(wrong(format!("{by} of {}{bits} is wrong", case.name)))
}

/// All transforms of every size, against the definition and against the CPU.
pub async fn ntt(subject: &Subject) -> Checked {
    let largest = NTT_LOG2.min(u32::from(subject.card().info().ntt_max_log2n));
    for log2 in 0..=largest {
        for kind in NttKind::ALL {
            let input = random(1 << log2, u64::from(log2));
            let mut found = input.clone();
            subject.engine.ntt(&mut found, kind).await?;
            let mut cpu = input.clone();
            subject.cpu.ntt(&mut cpu, kind).await?;
            if let Err(at) = vectors::check_ntt(&input, &found, kind.into()) {
                return Err(wrong(format!(
                    "{kind:?} of 2^{log2} elements: element {at} is wrong"
                )));
            }
            if found != cpu {
                return Err(wrong(format!(
                    "{kind:?} of 2^{log2} elements differs from the CPU's"
                )));
            }
        }
    }
    Ok(format!(
        "{} kinds, 2^0 to 2^{largest} elements",
        NttKind::ALL.len()
    ))
}

/// Quotients of sizes around powers of two.
pub async fn quotient(subject: &Subject) -> Checked {
    let sizes = vectors::sizes(QUOTIENT_LOG2);
    for &n in &sizes {
        let of = |which: u64| random(n, which << 32 | n as u64);
        let (a, b, c, z) = (of(1), of(2), of(3), random(1, n as u64)[0]);
        let (found, _) = subject.engine.quotient(&a, &b, &c, &z).await?;
        if found != vectors::quotient(&a, &b, &c, z) {
            return Err(wrong(format!("the quotient of {n} elements is wrong")));
        }
    }
    Ok(format!(
        "{} sizes up to {}",
        sizes.len(),
        (1 << QUOTIENT_LOG2) + 1
    ))
}

/// Uniform scalars; same seed, same scalars.
pub fn random(count: usize, seed: u64) -> Vec<Scalar> {
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    (0..count).map(|_| Scalar::random(&mut rng)).collect()
}
