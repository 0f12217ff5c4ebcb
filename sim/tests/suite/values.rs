//! The card's arithmetic for every size around powers of two up to 2^10 and
//! every pattern of `carillon_workload::vectors`, against blstrs.

use blstrs::{G1Projective, G2Projective};
use carillon_driver::command::{Group, MsmMode, NttKind};
use carillon_driver::{Ntt, Quotient};
use carillon_workload::vectors::{self, Curve, ScalarPattern};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use super::operations::msm;
use super::{Bench, Rig, bench};

const MAX_LOG2: u32 = 10;

pub async fn msm_of_every_size<R: Rig>() {
    msm_of_sizes::<G1Projective, R>(&bench::<R>().await, R::THIN).await;
}

/// Fewer cases of a size: a point has four coordinates, and an addition takes three times as long.
pub async fn msm_in_g2_of_every_size<R: Rig>() {
    let bench = bench::<R>().await;
    if bench.card.info().has_msm(Group::G2) {
        msm_of_sizes::<G2Projective, R>(&bench, 4 * R::THIN).await;
    }
}

async fn msm_of_sizes<C: Curve, R: Rig>(bench: &Bench<R>, thin: usize) {
    let (modes, mut turn) = ([MsmMode::Split, MsmMode::Full], 0);
    for (i, n) in vectors::sizes(MAX_LOG2).into_iter().enumerate() {
        let cases = vectors::msm_cases_in::<C>(n, 21);
        // Slow cards take every so manieth case, others at each size.
        for case in cases.iter().skip(i % thin).step_by(thin) {
            msm(bench, case, modes[turn % modes.len()]).await;
            turn += 1;
        }
    }
}

pub async fn transforms_of_every_size<R: Rig>() {
    let bench = bench::<R>().await;
    let mut rng = ChaCha20Rng::seed_from_u64(31);
    for log2n in 0..=MAX_LOG2 {
        for (i, kind) in NttKind::ALL.into_iter().enumerate() {
            let pattern = ScalarPattern::ALL[(log2n as usize + i) % ScalarPattern::ALL.len()];
            let input = pattern.draw(1 << log2n, &mut rng);
            let bytes = 32usize << log2n;
            let ntt = Ntt {
                source: bench.put(&vectors::scalar_images(&input)).await,
                destination: bench.card.allocate(bytes as u64).unwrap(),
                scratch: bench.card.allocate(bytes as u64).unwrap(),
                log2n: log2n as u8,
                kind,
            };
            let done = bench.card.queue(i).ntt(&ntt).await.unwrap();
            assert_eq!(
                u64::from(done.ops),
                u64::from(log2n) << log2n >> 1,
                "butterflies"
            );
            let image = bench.get(&ntt.destination, bytes).await;
            let output = vectors::read_scalars(&image).unwrap();
            let wrong = vectors::check_ntt(&input, &output, ntt.kind);
            assert_eq!(wrong, Ok(()), "2^{log2n} {pattern:?} {:?}", ntt.kind);
        }
    }
}

pub async fn quotients_of_every_size<R: Rig>() {
    let bench = bench::<R>().await;
    let mut rng = ChaCha20Rng::seed_from_u64(32);
    for (i, n) in vectors::sizes(MAX_LOG2).into_iter().enumerate() {
        let pattern = |k: usize| ScalarPattern::ALL[(i + k) % ScalarPattern::ALL.len()];
        let [a, b, c] = [0, 1, 2].map(|k| pattern(k).draw(n, &mut rng));
        let z = pattern(3).draw(1, &mut rng);
        let expected = vectors::scalar_images(&vectors::quotient(&a, &b, &c, z[0]));
        let quotient = Quotient {
            a: bench.put(&vectors::scalar_images(&a)).await,
            b: bench.put(&vectors::scalar_images(&b)).await,
            c: bench.put(&vectors::scalar_images(&c)).await,
            destination: bench.card.allocate(32 * n as u64).unwrap(),
            n: n as u64,
            z: bench.put(&vectors::scalar_images(&z)).await,
        };
        bench.card.queue(i).quotient(&quotient).await.unwrap();
        assert_eq!(
            bench.get(&quotient.destination, 32 * n).await,
            expected,
            "{n} elements"
        );
    }
}
