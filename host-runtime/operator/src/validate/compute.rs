//! Level 3: every compute command, small, against the CPU and against results by other ways
//! (`carillon_workload::vectors`).

use blstrs::{G1Projective, G2Projective, Scalar};
use carillon_driver::Product;
use carillon_driver::command::Group;
use carillon_workload::vectors::{self, MsmCase, ScalarPattern};
use ff::Field;
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;

use super::transfers::{fetch, same, send};
use super::{Checked, Subject, Wrong, wrong};
use carillon_runtime::engine::{Bases, Engine, MsmOptions, NttKind, SumPoint};
use carillon_runtime::image::{self, SCALAR_BYTES};

/// Sizes of the sums: one, odd, and across a power of two.
const MSM_SIZES: [usize; 3] = [1, 3, 33];
/// Largest transform, as a power of two.
const NTT_LOG2: u32 = 8;
/// Largest quotient, as a power of two.
const QUOTIENT_LOG2: u32 = 6;

/// What a check of sums in G2 says of a card that has none.
const NO_G2: &str = "the card has no MSM_G2: nothing to check";

/// Sums in G1 over all kinds of scalars and bases, with the card's choice of windows and the
/// smallest and largest that it has.
pub async fn msm(subject: &Subject) -> Checked {
    sums::<G1Projective>(subject).await
}

/// Sums in G1 over points of the curve outside the subgroup, for which scalars are taken whole.
pub async fn msm_outside(subject: &Subject) -> Checked {
    sums_outside::<G1Projective>(subject).await
}

/// The same as [`msm`] in G2.
pub async fn msm_g2(subject: &Subject) -> Checked {
    match subject.has_msm(Group::G2) {
        true => sums::<G2Projective>(subject).await,
        false => Ok(NO_G2.to_owned()),
    }
}

/// The same as [`msm_outside`] on the twist.
pub async fn msm_g2_outside(subject: &Subject) -> Checked {
    match subject.has_msm(Group::G2) {
        true => sums_outside::<G2Projective>(subject).await,
        false => Ok(NO_G2.to_owned()),
    }
}

async fn sums<C>(subject: &Subject) -> Checked
where
    C: vectors::Curve<Affine: SumPoint>,
{
    let mut cases = 0;
    for n in MSM_SIZES {
        for case in vectors::msm_cases_in::<C>(n, n as u64) {
            sum(subject, &case, Bases::checked(&case.bases), None).await?;
            cases += 1;
        }
    }
    let pattern = ScalarPattern::Random;
    let case = vectors::msm_case_in::<C>(16, vectors::BasePattern::Distinct, pattern, 7);
    for bits in [1, subject.card().info().msm_max_window_bits] {
        sum(subject, &case, Bases::checked(&case.bases), Some(bits)).await?;
        cases += 1;
    }
    Ok(format!("{cases} sums"))
}

async fn sums_outside<C>(subject: &Subject) -> Checked
where
    C: vectors::Curve<Affine: SumPoint>,
{
    for n in [1, 9] {
        let case = vectors::msm_case_outside_in::<C>(n, ScalarPattern::Random, n as u64);
        sum(subject, &case, Bases::unknown(&case.bases), None).await?;
    }
    Ok("2 sums".to_owned())
}

async fn sum<C>(
    subject: &Subject,
    case: &MsmCase<C>,
    bases: Bases<'_, C::Affine>,
    window_bits: Option<u8>,
) -> Result<(), Wrong>
where
    C: vectors::Curve<Affine: SumPoint>,
{
    let (scalars, options) = (&case.scalars, MsmOptions { window_bits });
    let (found, _) = SumPoint::sum(&subject.engine, bases, scalars, options).await?;
    let (cpu, _) = SumPoint::sum(&subject.cpu, bases, scalars, options).await?;
    let expected = case.expected.to_affine();
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

/// Products alone (`QUOTIENT` with the flag `PRODUCT`) of sizes around powers of two. No engine
/// offers them by themselves, so they go to the card's queues, in turn.
pub async fn product(subject: &Subject) -> Checked {
    let card = subject.card();
    let sizes = vectors::sizes(QUOTIENT_LOG2);
    for (&n, queue) in sizes.iter().zip(card.queues().iter().cycle()) {
        let bytes = n * SCALAR_BYTES;
        let region = || card.allocate(bytes as u64);
        let (a, b) = (random(n, 4 << 32 | n as u64), random(n, 5 << 32 | n as u64));
        let operands = Product {
            a: region()?,
            b: region()?,
            destination: region()?,
            n: n as u64,
        };
        send(subject, queue, image::bytes(&a), &operands.a).await?;
        send(subject, queue, image::bytes(&b), &operands.b).await?;
        queue.product(&operands).await?;
        let found = fetch(subject, queue, &operands.destination, bytes).await?;
        let expected: Vec<_> = a.iter().zip(&b).map(|(a, b)| a * b).collect();
        let what = format!("the product of {n} elements");
        same(image::bytes(&expected), &found, &what)?;
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
