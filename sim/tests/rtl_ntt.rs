//! NTT and quotient on the Verilated card through the driver: every size to 2^10, against the
//! contract's definitions evaluated with blstrs. (The engines alone, with bus errors and every memory
//! timing: hdl/tests. The structural view: rtl_structural.rs.)
#![cfg(feature = "rtl")]
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code reports a failure by panicking"
)]

use std::sync::Arc;
use std::time::Duration;

use blstrs::Scalar;
use carillon_driver::command::{BEAT, FR_BYTES, NttKind};
use carillon_driver::completion::Completion;
use carillon_driver::status::StatusCode;
use carillon_driver::transport::Transport;
use carillon_driver::{Card, CardConfig, CardRegion, JobError, Ntt, Quotient};
use carillon_sim::rtl::{RtlCard, RtlOptions};
use ff::{Field, PrimeField};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const KINDS: [NttKind; 2] = [kind(false, false), kind(false, true)];

const fn kind(inverse: bool, coset: bool) -> NttKind {
    NttKind {
        inverse,
        coset,
        odd: false,
    }
}

/// An open card and shorthands for what every test does with it.
struct Bench {
    card: Card,
}

impl Bench {
    async fn new(options: RtlOptions) -> Self {
        let rtl = Arc::new(RtlCard::new(options).unwrap());
        let card = Card::open(rtl as Arc<dyn Transport>, CardConfig::default());
        Self {
            card: card.await.unwrap(),
        }
    }

    fn region(&self, n: usize) -> CardRegion {
        let bytes = (n as u64 * FR_BYTES).next_multiple_of(BEAT);
        self.card.allocate(bytes).unwrap()
    }

    /// Writes `bytes` to `region`; the rest of the last beat is no element.
    async fn write(&self, bytes: &[u8], region: &CardRegion) {
        let padded = bytes.len().next_multiple_of(BEAT as usize);
        let mut buffer = self.card.buffer_to_card(padded).unwrap();
        buffer[..bytes.len()].copy_from_slice(bytes);
        buffer[bytes.len()..].fill(0xff);
        self.card.queue(0).write(buffer, region).await.ok().unwrap();
    }

    async fn store(&self, scalars: &[Scalar]) -> CardRegion {
        let region = self.region(scalars.len());
        self.write(&image(scalars), &region).await;
        region
    }

    /// The first `n` elements of `region`. What is left of the last beat must be zero if `padded`.
    async fn load(&self, region: &CardRegion, n: usize, padded: bool) -> Vec<Scalar> {
        let bytes = n * FR_BYTES as usize;
        let buffer = self
            .card
            .buffer_from_card(bytes.next_multiple_of(BEAT as usize))
            .unwrap();
        let (_, buffer) = self.card.queue(0).read(region, buffer).await.ok().unwrap();
        if padded {
            assert!(buffer[bytes..].iter().all(|byte| *byte == 0), "padding");
        }
        buffer[..bytes].chunks(32).map(scalar).collect()
    }

    /// One transform into a new region.
    async fn ntt(&self, source: &CardRegion, log2n: u8, kind: NttKind) -> (CardRegion, Completion) {
        let n = 1 << log2n;
        let (destination, scratch) = (self.region(n), self.region(n));
        let ntt = Ntt {
            source: source.clone(),
            destination: destination.clone(),
            scratch,
            log2n,
            kind,
        };
        let done = self.card.queue(0).ntt(&ntt).await.unwrap();
        assert_eq!(done.ops as usize, n / 2 * usize::from(log2n), "butterflies");
        (destination, done)
    }

    /// Forward against the definition, then back.
    async fn check_ntt(&self, log2n: u8, coset: bool, rng: &mut ChaCha8Rng) {
        let n = 1 << log2n;
        let input = random(rng, n);
        let source = self.store(&input).await;
        let (values, _) = self.ntt(&source, log2n, kind(false, coset)).await;
        let expected = evaluate(&input, coset);
        let context = format!("2^{log2n}, coset {coset}");
        assert!(self.load(&values, n, true).await == expected, "{context}");
        let (back, _) = self.ntt(&values, log2n, kind(true, coset)).await;
        assert!(
            self.load(&back, n, true).await == input,
            "{context} and back"
        );
        assert!(
            self.load(&source, n, false).await == input,
            "{context}: source"
        );
    }

    /// All of a, b, c in one place each; the result over operand `over`, or beside them.
    async fn check_quotient(
        &self,
        n: usize,
        over: Option<usize>,
        rng: &mut ChaCha8Rng,
    ) -> Completion {
        let vectors = [0; 3].map(|_| random(rng, n));
        let mut regions = Vec::new();
        for vector in &vectors {
            regions.push(self.store(vector).await);
        }
        let z = Scalar::random(&mut *rng);
        let destination = match over {
            Some(operand) => regions[operand].clone(),
            None => self.region(n),
        };
        let quotient = Quotient {
            a: regions[0].clone(),
            b: regions[1].clone(),
            c: regions[2].clone(),
            destination: destination.clone(),
            n: n as u64,
            z: self.store(&[z]).await,
        };
        let done = self.card.queue(0).quotient(&quotient).await.unwrap();
        assert_eq!(done.ops as usize, n, "elements");
        let [a, b, c] = &vectors;
        let expected: Vec<_> = (0..n).map(|i| (a[i] * b[i] - c[i]) * z).collect();
        assert!(
            self.load(&destination, n, true).await == expected,
            "n = {n} over {over:?}"
        );
        done
    }
}

fn image(scalars: &[Scalar]) -> Vec<u8> {
    let limbs = scalars.iter().flat_map(|s| blst::blst_fr::from(*s).l);
    limbs.flat_map(u64::to_le_bytes).collect()
}

/// The element of an image, which must be reduced.
fn scalar(image: &[u8]) -> Scalar {
    let mut l = [0; 4];
    for (limb, bytes) in l.iter_mut().zip(image.chunks(8)) {
        *limb = u64::from_le_bytes(bytes.try_into().unwrap());
    }
    let element = Scalar::from(blst::blst_fr { l });
    // Through the canonical form and back: only a reduced image survives.
    let again = Scalar::from_repr(element.to_repr()).unwrap();
    assert_eq!(blst::blst_fr::from(again).l, l, "an image below r");
    element
}

/// 0, 1 and -1 among random elements.
fn random(rng: &mut ChaCha8Rng, n: usize) -> Vec<Scalar> {
    (0..n)
        .map(|_| match rng.gen_range(0..8) {
            0 => Scalar::ZERO,
            1 => Scalar::ONE,
            2 => -Scalar::ONE,
            _ => Scalar::random(&mut *rng),
        })
        .collect()
}

/// out_k = sum of in_j (g omega^k)^j by Horner's rule: the contract's definition.
fn evaluate(coefficients: &[Scalar], coset: bool) -> Vec<Scalar> {
    let log2n = coefficients.len().ilog2();
    let omega = (log2n..Scalar::S).fold(Scalar::ROOT_OF_UNITY, |root, _| root.square());
    let first = Scalar::from(if coset { 7 } else { 1 });
    std::iter::successors(Some(first), |point| Some(*point * omega))
        .take(coefficients.len())
        .map(|point| {
            let terms = coefficients.iter().rev();
            terms.fold(Scalar::ZERO, |sum, term| sum * point + term)
        })
        .collect()
}

/// Timings under which every result must be the same.
fn timings() -> [RtlOptions; 2] {
    let rough = RtlOptions {
        memory_latency: 150,
        backpressure: 30,
        seed: 3,
        ..RtlOptions::default()
    };
    [RtlOptions::default(), rough]
}

fn refused<T: std::fmt::Debug>(result: Result<T, JobError>) -> StatusCode {
    match result {
        Err(JobError::Status { completion }) => completion.status.code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn transforms_of_every_size() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for options in timings() {
        let bench = Bench::new(options).await;
        for log2n in 0..=10 {
            for NttKind { coset, .. } in KINDS {
                bench.check_ntt(log2n, coset, &mut rng).await;
            }
        }
        bench.card.close().await;
    }
}

#[tokio::test]
async fn a_large_transform_at_two_elements_a_cycle_and_pass() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let bench = Bench::new(RtlOptions::default()).await;
    bench.check_ntt(12, true, &mut rng).await;
    let input = random(&mut rng, 1 << 16);
    let source = bench.store(&input).await;
    for coset in [false, true] {
        let (values, there) = bench.ntt(&source, 16, kind(false, coset)).await;
        let (result, back) = bench.ntt(&values, 16, kind(true, coset)).await;
        assert!(bench.load(&result, 1 << 16, true).await == input);
        for done in [there, back] {
            assert!(done.cycles < 2 * (1 << 15) * 115 / 100, "{done:?}");
        }
    }
    bench.card.close().await;
}

#[tokio::test]
async fn quotients_of_every_size_in_place_and_not() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut sizes = vec![1, 2, 3];
    for log2n in 2..=10 {
        sizes.extend([(1 << log2n) - 1, 1 << log2n, (1 << log2n) + 1]);
    }
    for options in timings() {
        let bench = Bench::new(options).await;
        for (i, n) in sizes.iter().enumerate() {
            bench.check_quotient(*n, None, &mut rng).await;
            bench.check_quotient(*n, Some(i % 3), &mut rng).await;
        }
        bench.card.close().await;
    }
}

#[tokio::test]
async fn elements_not_below_r_are_refused_and_the_card_goes_on() {
    const LOG2N: u8 = 6;
    let n = 1 << LOG2N;
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let bench = Bench::new(RtlOptions::default()).await;
    // r itself: the image of -1 in canonical form, plus one.
    let mut modulus = (-Scalar::ONE).to_repr();
    modulus[0] += 1;
    for bad in [modulus, [0xff; 32]] {
        for index in [0, 31, 32, n - 1] {
            let mut bytes = image(&random(&mut rng, n));
            bytes[32 * index..32 * index + 32].copy_from_slice(&bad);
            let faulty = bench.region(n);
            bench.write(&bytes, &faulty).await;
            for inverse in [false, true] {
                let ntt = Ntt {
                    source: faulty.clone(),
                    destination: bench.region(n),
                    scratch: bench.region(n),
                    log2n: LOG2N,
                    kind: kind(inverse, true),
                };
                let result = bench.card.queue(0).ntt(&ntt).await;
                assert_eq!(refused(result), StatusCode::BadScalar, "at {index}");
            }
            let good = bench.store(&random(&mut rng, n)).await;
            for operand in 0..3 {
                let pick = |i| {
                    if i == operand {
                        faulty.clone()
                    } else {
                        good.clone()
                    }
                };
                let quotient = Quotient {
                    a: pick(0),
                    b: pick(1),
                    c: pick(2),
                    destination: bench.region(n),
                    n: n as u64,
                    z: good.clone(),
                };
                let result = bench.card.queue(0).quotient(&quotient).await;
                assert_eq!(
                    refused(result),
                    StatusCode::BadScalar,
                    "{operand} at {index}"
                );
            }
            bench.check_ntt(3, true, &mut rng).await;
            bench.check_quotient(5, None, &mut rng).await;
        }
    }
    bench.card.close().await;
}

#[tokio::test]
async fn abandoned_commands_are_aborted_and_the_card_goes_on() {
    const LOG2N: u8 = 14;
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let bench = Bench::new(RtlOptions::default()).await;
    let n = 1 << LOG2N;
    let source = bench.store(&random(&mut rng, n)).await;
    let ntt = Ntt {
        source: source.clone(),
        destination: bench.region(n),
        scratch: bench.region(n),
        log2n: LOG2N,
        kind: kind(true, true),
    };
    let quotient = Quotient {
        a: source.clone(),
        b: source.clone(),
        c: source.clone(),
        destination: bench.region(n),
        n: n as u64,
        z: source.clone(),
    };
    for pause in [0, 1, 5] {
        let ticket = bench.card.queue(0).submit_ntt(&ntt).await;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        drop(ticket);
        bench.check_ntt(5, true, &mut rng).await;
        let ticket = bench.card.queue(0).submit_quotient(&quotient).await;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        drop(ticket);
        bench.check_quotient(33, None, &mut rng).await;
    }
    assert!(bench.load(&source, n, false).await.len() == n);
    bench.card.close().await;
}
