//! The Verilated card's engines through the whole card: host memory, DMA,
//! queues and card memory around each of them, against blst. (The engines alone
//! are tested in hdl/tests, all sizes and distributions in host-runtime.)
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers fail the test that calls them
#![cfg(feature = "rtl")]

mod support;

use std::sync::Arc;

use blst::blst_fp;
use blstrs::{G1Affine, G1Projective, Scalar};
use carillon_driver::card::{Card, CardConfig};
use carillon_driver::command::{
    Command, FLAG_COSET, FLAG_INVERSE, Group, MsmMode, NttKind, RawCommand,
};
use carillon_driver::completion::Completion;
use carillon_driver::status::StatusCode;
use carillon_driver::transport::Transport;
use carillon_sim::rtl::{MemoryFault, RtlCard, RtlOptions};
use ff::{Field, PrimeField};
use group::Curve;
use group::prime::PrimeCurveAffine;
use support::{RawHost, RawQueue, point_image, read, scalar_image, write};

/// Whether X, Y, Z images (x = X/Z, y = Y/Z) are the affine point, which is not infinity.
#[allow(unsafe_code)]
fn same_point(bytes: &[u8], point: &G1Affine) -> bool {
    let fp = |at: usize| {
        let mut l = [0; 6];
        for (limb, chunk) in l.iter_mut().zip(bytes[at..at + 48].chunks_exact(8)) {
            *limb = u64::from_le_bytes(chunk.try_into().unwrap());
        }
        blst_fp { l }
    };
    let times_z = |coordinate: &blst_fp| {
        let mut product = blst_fp::default();
        // SAFETY: the pointers are to live values of blst's own type.
        unsafe { blst::blst_fp_mul(&mut product, coordinate, &fp(96)) };
        product
    };
    let raw: &blst::blst_p1_affine = point.as_ref();
    fp(96) != blst_fp::default() && fp(0) == times_z(&raw.x) && fp(48) == times_z(&raw.y)
}

/// Reproducible field elements: powers of a fixed one.
fn scalars(n: usize) -> Vec<Scalar> {
    let step = Scalar::MULTIPLICATIVE_GENERATOR.pow_vartime([0x1234_5678_9abc_def1]);
    std::iter::successors(Some(step), |s| Some(*s * step))
        .take(n)
        .collect()
}

fn images(elements: &[Scalar]) -> Vec<u8> {
    elements.iter().flat_map(scalar_image).collect()
}

/// A card with one queue and a way to fill and read its memory.
struct Bench<'a> {
    queue: RawQueue<'a>,
    area: usize,
}

impl<'a> Bench<'a> {
    fn new(host: &'a RawHost) -> Self {
        Self {
            queue: RawQueue::new(host, 1, 3),
            area: host.allocate(1 << 20),
        }
    }

    fn store(&mut self, card: u64, data: &[u8]) {
        let host = self.queue.host;
        let bytes = data.len().next_multiple_of(64);
        host.memory.write(self.area, data).unwrap();
        let command = write(1, host.address(self.area), card, bytes as u64);
        self.queue.expect(&command, StatusCode::Success);
    }

    fn load(&mut self, card: u64, bytes: usize) -> Vec<u8> {
        let host = self.queue.host;
        let padded = bytes.next_multiple_of(64);
        let command = read(2, host.address(self.area), card, padded as u64);
        self.queue.expect(&command, StatusCode::Success);
        host.bytes(self.area, bytes)
    }

    fn run(&mut self, command: Command) -> Completion {
        self.queue.expect(&command.encode(3), StatusCode::Success)
    }
}

fn host(card: &Arc<RtlCard>) -> RawHost {
    RawHost::new(Arc::clone(card) as Arc<dyn Transport>, 4 << 20)
}

/// Sets of options under which every result must be the same.
fn variants() -> [RtlOptions; 2] {
    let stalls = RtlOptions {
        backpressure: 25,
        seed: 7,
        memory_latency: 20,
        ..RtlOptions::default()
    };
    [RtlOptions::default(), stalls]
}

#[test]
fn msm_gives_the_sum() {
    const N: usize = 200;
    const SCALARS: u64 = 0x10_0000;
    const RESULT: u64 = 0x20_0000;
    let scalars = scalars(N);
    let points: Vec<G1Affine> = (1..=N as u64)
        .map(|i| (G1Projective::from(G1Affine::generator()) * Scalar::from(i)).to_affine())
        .collect();
    let expected: G1Projective = points.iter().zip(&scalars).map(|(p, s)| *p * *s).sum();
    let bases: Vec<u8> = points.iter().flat_map(point_image).collect();
    for options in variants() {
        let card = Arc::new(RtlCard::new(options).unwrap());
        let host = host(&card);
        let mut bench = Bench::new(&host);
        bench.store(0, &bases);
        bench.store(SCALARS, &images(&scalars));
        let msm = |n| Command::Msm {
            group: Group::G1,
            bases: 0,
            scalars: SCALARS,
            n,
            result: RESULT,
            window_bits: 0,
            mode: MsmMode::Split,
        };
        let done = bench.run(msm(N as u64));
        let result = bench.load(RESULT, 192);
        assert!(same_point(&result, &expected.to_affine()));
        assert_eq!(result[144..], [0; 48]);
        println!(
            "{done:?}; {:.0} cycles/s",
            card.simulated().cycles_per_second()
        );
        let bubbles = done.bubble_hazard + done.bubble_memory + done.bubble_other;
        assert!(
            done.ops > 0 && done.ops + bubbles <= done.cycles,
            "{done:?}"
        );

        // A scalar >= r and a coordinate >= p, named by index; then a bus error; then as before.
        let mut wrong = images(&scalars);
        wrong[32 * 77..32 * 78].fill(0xff);
        bench.store(SCALARS, &wrong);
        let done = bench.queue.run(&msm(N as u64).encode(4));
        assert_eq!((done.status.code, done.detail), (StatusCode::BadScalar, 77));
        bench.store(SCALARS, &images(&scalars));
        let mut wrong = bases.clone();
        wrong[96 * 5 + 48..96 * 6].fill(0xff);
        bench.store(0, &wrong);
        let done = bench.queue.run(&msm(N as u64).encode(5));
        assert_eq!((done.status.code, done.detail), (StatusCode::BadPoint, 5));
        bench.store(0, &bases);
        for (address, reads, status) in [
            (SCALARS + 64, true, StatusCode::CardRead),
            (RESULT, false, StatusCode::CardWrite),
        ] {
            card.fault_memory(Some(MemoryFault {
                address,
                bytes: 64,
                reads,
                writes: !reads,
            }));
            bench.queue.expect(&msm(N as u64).encode(6), status);
            card.fault_memory(None);
        }
        bench.run(msm(N as u64));
        assert!(same_point(&bench.load(RESULT, 192), &expected.to_affine()));
    }
}

#[test]
fn ntt_and_quotient_compute_in_the_field() {
    const LOG2N: u8 = 7;
    const N: usize = 1 << LOG2N;
    let input = scalars(N);
    let omega = Scalar::ROOT_OF_UNITY.pow_vartime([1 << (32 - LOG2N)]);
    // Definition of the contract: out_k = sum in_j (7 omega^k)^j.
    let expected: Vec<Scalar> = (0..N as u64)
        .map(|k| {
            let x = Scalar::from(7) * omega.pow_vartime([k]);
            input.iter().rev().fold(Scalar::ZERO, |sum, a| sum * x + a)
        })
        .collect();
    for options in variants() {
        let card = Arc::new(RtlCard::new(options).unwrap());
        let host = host(&card);
        let mut bench = Bench::new(&host);
        let ntt = |source, destination, kind| Command::Ntt {
            source,
            destination,
            scratch: 0x20_0000,
            log2n: LOG2N,
            kind,
        };
        bench.store(0, &images(&input));
        let forward = NttKind {
            inverse: false,
            coset: true,
            odd: false,
        };
        let command = ntt(0, 0x10_0000, forward);
        assert_eq!(command.encode(0).flags, FLAG_COSET);
        let done = bench.run(command);
        assert_eq!(done.ops as usize, N / 2 * usize::from(LOG2N), "butterflies");
        assert_eq!(bench.load(0x10_0000, 32 * N), images(&expected));
        let backward = NttKind {
            inverse: true,
            coset: true,
            odd: false,
        };
        let command = ntt(0x10_0000, 0x30_0000, backward);
        assert_eq!(command.encode(0).flags, FLAG_COSET | FLAG_INVERSE);
        bench.run(command);
        assert_eq!(bench.load(0x30_0000, 32 * N), images(&input));

        let z = input[3];
        bench.store(0x40_0000, &scalar_image(&z));
        let odd = N as u64 - 1;
        bench.run(Command::Quotient {
            a: 0,
            b: 0x10_0000,
            c: 0x30_0000,
            destination: 0x30_0000,
            n: odd,
            z: 0x40_0000,
        });
        let quotient: Vec<Scalar> = (0..N - 1)
            .map(|i| (input[i] * expected[i] - input[i]) * z)
            .collect();
        assert_eq!(bench.load(0x30_0000, 32 * (N - 1)), images(&quotient));
    }
}

#[test]
fn engines_can_be_aborted_and_disabled_at_any_time() {
    let card = Arc::new(RtlCard::new(RtlOptions::default()).unwrap());
    let host = host(&card);
    let mut admin = RawQueue::new(&host, 0, 2);
    let mut bench = Bench::new(&host);
    let n = 2048;
    bench.store(0x10_0000, &images(&scalars(n)));
    let sum = |group| Command::Msm {
        group,
        bases: 0,
        scalars: 0x10_0000,
        n: n as u64,
        result: 0x40_0000,
        window_bits: 0,
        mode: MsmMode::Split,
    };
    let commands = [
        sum(Group::G1),
        sum(Group::G2),
        // Long enough to be met.
        Command::Fill {
            word: 0,
            card: 0x100_0000,
            bytes: 0x800_0000,
        },
        Command::Ntt {
            source: 0x10_0000,
            destination: 0x40_0000,
            scratch: 0x80_0000,
            log2n: 11,
            kind: NttKind::default(),
        },
        Command::Quotient {
            a: 0x10_0000,
            b: 0x10_0000,
            c: 0x10_0000,
            destination: 0x40_0000,
            n: n as u64,
            z: 0x10_0000,
        },
        Command::Product {
            a: 0x10_0000,
            b: 0x10_0000,
            destination: 0x40_0000,
            n: n as u64,
        },
    ];
    let abort = |cid| -> RawCommand { Command::Abort { queue: 1, cid }.encode(0) };
    for (i, command) in commands.iter().enumerate() {
        for pause in [0, 1, 2, 5] {
            let cid = (10 * i + pause) as u16;
            bench.queue.submit(&command.encode(cid));
            std::thread::sleep(std::time::Duration::from_millis(pause as u64));
            let found = admin.expect(&abort(cid), StatusCode::Success).detail == 1;
            let done = bench.queue.wait();
            let expected = if found {
                StatusCode::Aborted
            } else {
                StatusCode::Success
            };
            assert_eq!(done.status, expected.into(), "{command:?} after {pause} ms");
        }
        bench.run(*command);
        bench.queue.submit(&command.encode(9));
        bench.queue.revive();
        bench.run(*command);
    }
}

#[tokio::test]
async fn the_driver_runs_on_it() {
    let card = Arc::new(RtlCard::new(RtlOptions::default()).unwrap());
    let transport = Arc::clone(&card) as Arc<dyn Transport>;
    let open = Card::open(transport, CardConfig::default()).await.unwrap();
    assert_eq!(open.info().memory_bytes, 0x1000_0000);
    let data = support::pattern(3, 10_000);
    let mut there = open.buffer_to_card(data.len()).unwrap();
    there[..data.len()].copy_from_slice(&data);
    let region = open.allocate(data.len() as u64).unwrap();
    let queue = open.queue(0);
    queue.write(there, &region).await.ok().unwrap();
    let back = open.buffer_from_card(data.len()).unwrap();
    let (_, back) = queue.read(&region, back).await.ok().unwrap();
    assert_eq!(back[..data.len()], data);
    open.close().await;
}
