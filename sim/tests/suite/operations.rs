//! What a card does when nothing is wrong.

use blstrs::{G1Projective, G2Projective, Scalar};
use carillon_driver::command::{Group, MsmMode, NttKind};
use carillon_driver::status::StatusCode;
use carillon_driver::{CardConfig, Msm, Ntt, Quotient};
use carillon_workload::vectors::{self, BasePattern, Curve, MsmCase, ScalarPattern};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use super::{Bench, Rig, bench, bench_with, config, record};

pub async fn identity_equals_the_registers<R: Rig>() {
    let bench = bench::<R>().await;
    let info = bench.card.info();
    assert_eq!(
        (info.version, info.configuration, info.io_queues),
        (1, 0, 2)
    );
    assert_eq!(info.memory_bytes, 1 << 28);
    assert_eq!(info.rdl_hash, carillon_driver::registers::RDL_HASH);
    assert_eq!(bench.card.queues().len(), 2);
    assert_eq!(bench.card.free_memory(), (1 << 28, 1 << 28));
    bench.works().await;
}

pub async fn bytes_travel_and_return<R: Rig>() {
    let bench = bench::<R>().await;
    for bytes in [1usize, 63, 64, 65, 4095, 4096, 4160, 100_000] {
        let data: Vec<u8> = (0..bytes).map(|i| (i * 31 + bytes) as u8).collect();
        let region = bench.put(&data).await;
        let mut padded = data.clone();
        padded.resize(bytes.next_multiple_of(64), 0);
        assert_eq!(
            bench.get(&region, padded.len()).await,
            padded,
            "{bytes} bytes"
        );
    }
    // A part of a region, and its neighbours untouched.
    let region = bench.put(&[1; 256]).await;
    let part = region.part(64, 128).unwrap();
    bench
        .card
        .queue(1)
        .write(bench.down(&[2; 128]), &part)
        .await
        .ok()
        .unwrap();
    let expected: Vec<u8> = [[1; 64], [2; 64], [2; 64], [1; 64]].concat();
    assert_eq!(bench.get(&region, 256).await, expected);
}

pub async fn scatter_gather_lists<R: Rig>() {
    let bench = bench::<R>().await;
    let sizes = [64usize, 4096, 128, 6400, 64, 64, 192];
    let total: usize = sizes.iter().sum();
    let data: Vec<u8> = (0..total).map(|i| (i / 64 * 13 + i) as u8).collect();
    let mut at = 0;
    let mut parts = Vec::new();
    for size in sizes {
        parts.push(bench.down(&data[at..at + size]));
        at += size;
    }
    let region = bench.card.allocate(total as u64).unwrap();
    let queue = bench.card.queue(0);
    let (done, parts) = queue
        .submit_write_list(parts, &region)
        .await
        .await
        .ok()
        .unwrap();
    assert_eq!((done.ops as usize, parts.len()), (total / 64, sizes.len()));
    assert_eq!(bench.get(&region, total).await, data);
    let into = sizes
        .iter()
        .rev()
        .map(|&s| bench.card.buffer_from_card(s).unwrap())
        .collect();
    let (_, got) = queue
        .submit_read_list(&region, into)
        .await
        .await
        .ok()
        .unwrap();
    let got: Vec<u8> = got.iter().flat_map(|b| b.to_vec()).collect();
    assert_eq!(got, data);
}

/// Runs the case on I/O queue 1 and compares the result as a point.
pub async fn msm<C: Curve, R: Rig>(bench: &Bench<R>, case: &MsmCase<C>, mode: MsmMode) {
    let bases = bench.put(&vectors::base_images(&case.bases)).await;
    let scalars = bench.put(&vectors::scalar_images(&case.scalars)).await;
    let result_bytes = C::GROUP.result_bytes();
    let result = bench.card.allocate(result_bytes).unwrap();
    let n = case.bases.len() as u64;
    let msm = Msm {
        group: C::GROUP,
        bases,
        scalars,
        n,
        result,
        window_bits: 0,
        mode,
    };
    bench.card.queue(1).msm(&msm).await.unwrap();
    let image = bench.get(&msm.result, result_bytes as usize).await;
    assert_eq!(
        vectors::read_point(&image),
        Some(case.expected),
        "{}, {mode:?}",
        case.name
    );
}

pub async fn msm_equals_blstrs<R: Rig>() {
    sums_equal_blstrs::<G1Projective, R>(&bench::<R>().await).await;
}

pub async fn msm_in_g2_equals_blstrs<R: Rig>() {
    let bench = bench::<R>().await;
    if bench.card.info().has_msm(Group::G2) {
        sums_equal_blstrs::<G2Projective, R>(&bench).await;
    }
}

async fn sums_equal_blstrs<C: Curve, R: Rig>(bench: &Bench<R>) {
    let case = vectors::msm_case_in::<C>;
    for mode in [MsmMode::Split, MsmMode::Full] {
        for n in [1, 2, 3, 17] {
            let witness = case(n, BasePattern::SomeInfinity, ScalarPattern::Witness, 1);
            msm(bench, &witness, mode).await;
            let negated = case(n, BasePattern::Negated, ScalarPattern::Equal, 2);
            msm(bench, &negated, mode).await;
        }
        let repeated = case(65, BasePattern::Repeated, ScalarPattern::MinusOne, 3);
        msm(bench, &repeated, mode).await;
    }
    for (n, pattern) in [(1, ScalarPattern::MinusOne), (40, ScalarPattern::Random)] {
        let case = vectors::msm_case_outside_in::<C>(n, pattern, 4);
        msm(bench, &case, MsmMode::Full).await;
    }
}

/// The identity page, the command and the driver's word for it agree.
pub async fn msm_in_g2_is_there_if_the_card_says_so<R: Rig>() {
    let bench = bench::<R>().await;
    let info = bench.card.info().clone();
    let has_g2 = info.has_msm(Group::G2);
    assert_eq!(has_g2, info.msm_g2);
    assert!(has_g2 || info.msm_g2_choice.is_none());
    let case =
        vectors::msm_case_in::<G2Projective>(1, BasePattern::Distinct, ScalarPattern::Random, 5);
    let msm = Msm {
        group: Group::G2,
        bases: bench.put(&vectors::base_images(&case.bases)).await,
        scalars: bench.put(&vectors::scalar_images(&case.scalars)).await,
        n: 1,
        result: bench.card.allocate(Group::G2.result_bytes()).unwrap(),
        window_bits: 0,
        mode: MsmMode::Split,
    };
    let status = match bench.card.queue(0).msm(&msm).await {
        Ok(_) => StatusCode::Success,
        Err(error) => error.status().unwrap(),
    };
    let expected = match has_g2 {
        true => StatusCode::Success,
        false => StatusCode::InvalidOpcode,
    };
    assert_eq!(status, expected);
    bench.works().await;
}

pub async fn transforms_equal_their_definition<R: Rig>() {
    let bench = bench::<R>().await;
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    for log2n in [0u8, 1, 2, 5, 7] {
        for kind in NttKind::ALL {
            let input = ScalarPattern::Witness.draw(1 << log2n, &mut rng);
            let source = bench.put(&vectors::scalar_images(&input)).await;
            let bytes = 32u64 << log2n;
            let destination = bench.card.allocate(bytes).unwrap();
            let scratch = bench.card.allocate(bytes).unwrap();
            let ntt = Ntt {
                source,
                destination,
                scratch,
                log2n,
                kind,
            };
            bench.card.queue(0).ntt(&ntt).await.unwrap();
            let image = bench
                .get(&ntt.destination, bytes.next_multiple_of(64) as usize)
                .await;
            let output = vectors::read_scalars(&image[..bytes as usize]).unwrap();
            assert_eq!(
                vectors::check_ntt(&input, &output, kind),
                Ok(()),
                "2^{log2n} {kind:?}"
            );
            assert!(image[bytes as usize..].iter().all(|&b| b == 0), "padding");
            let kept = bench.get(&ntt.source, bytes as usize).await;
            assert_eq!(
                kept,
                vectors::scalar_images(&input),
                "the source is preserved"
            );
        }
    }
}

pub async fn quotients_equal_blstrs<R: Rig>() {
    let bench = bench::<R>().await;
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    for (n, in_place) in [(1, false), (2, true), (3, false), (33, true), (64, false)] {
        let [a, b, c] = [(); 3].map(|()| ScalarPattern::Witness.draw(n, &mut rng));
        let z: Vec<Scalar> = ScalarPattern::Random.draw(1, &mut rng);
        let expected = vectors::scalar_images(&vectors::quotient(&a, &b, &c, z[0]));
        let a = bench.put(&vectors::scalar_images(&a)).await;
        let b = bench.put(&vectors::scalar_images(&b)).await;
        let c = bench.put(&vectors::scalar_images(&c)).await;
        let z = bench.put(&vectors::scalar_images(&z)).await;
        let bytes = 32 * n as u64;
        let destination = if in_place {
            b.clone()
        } else {
            bench.card.allocate(bytes).unwrap()
        };
        let quotient = Quotient {
            a,
            b,
            c,
            destination,
            n: n as u64,
            z,
        };
        let done = bench.card.queue(1).quotient(&quotient).await.unwrap();
        assert_eq!(done.ops as usize, n);
        assert_eq!(
            bench.get(&quotient.destination, bytes as usize).await,
            expected,
            "{n}"
        );
    }
}

pub async fn a_chain_needs_no_waiting<R: Rig>() {
    let bench = bench::<R>().await;
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let input = vectors::scalar_images(&ScalarPattern::Random.draw(64, &mut rng));
    let region = || bench.card.allocate(input.len() as u64).unwrap();
    let (source, middle, end, scratch) = (region(), region(), region(), region());
    let queue = bench.card.queue(0);
    let forward = Ntt {
        source: source.clone(),
        destination: middle.clone(),
        scratch: scratch.clone(),
        log2n: 6,
        kind: NttKind {
            inverse: false,
            coset: true,
            odd: false,
        },
    };
    let back = Ntt {
        source: middle,
        destination: end.clone(),
        scratch,
        log2n: 6,
        kind: NttKind {
            inverse: true,
            coset: true,
            odd: false,
        },
    };
    let write = queue.submit_write(bench.down(&input), &source).await;
    let forward = queue.submit_ntt(&forward).await;
    let back = queue.submit_ntt(&back).await;
    let read = queue
        .submit_read(&end, bench.card.buffer_from_card(input.len()).unwrap())
        .await;
    // The last to be asked is the first to be awaited: order is the card's.
    let (_, buffer) = read.await.ok().unwrap();
    assert_eq!(buffer[..], input[..]);
    back.await.ok().unwrap();
    forward.await.ok().unwrap();
    write.await.ok().unwrap();
}

pub async fn rings_of_two_and_four_wrap_many_times<R: Rig>() {
    for log2_depth in [1, 2] {
        let config = CardConfig {
            log2_depth,
            ..config::<R>()
        };
        let bench = bench_with::<R>(config).await;
        let region = bench.card.allocate(64).unwrap();
        let queue = bench.card.queue(0);
        let mut tickets = std::collections::VecDeque::new();
        for i in 0..R::LAPS << log2_depth {
            let data = [i as u8; 64];
            tickets.push_back(queue.submit_write(bench.down(&data), &region).await);
            if tickets.len() == 1 << log2_depth {
                tickets.pop_front().unwrap().await.ok().unwrap();
            }
            assert!(queue.outstanding() < 1 << log2_depth);
        }
        for ticket in tickets {
            ticket.await.ok().unwrap();
        }
        let last = (R::LAPS << log2_depth) - 1;
        assert_eq!(bench.get(&region, 64).await, [last as u8; 64]);
        assert_eq!(bench.card.driver_counters().protocol_errors, 0);
    }
}

/// Ring indices and generations of ids go round many times: those of an id
/// 16 bits wide do so after 2^16 commands.
pub async fn a_ring_of_two_wraps_as_often_as_it_is_told<R: Rig>() {
    let config = CardConfig {
        log2_depth: 1,
        ..config::<R>()
    };
    let bench = bench_with::<R>(config).await;
    let region = bench.card.allocate(64).unwrap();
    let queue = bench.card.queue(0);
    let mut buffer = bench.down(&[0; 64]);
    let before = bench.card.counters().unwrap().commands;
    for lap in 0..R::WRAPS {
        for half in 0..2 {
            buffer[..8].copy_from_slice(&(2 * lap as u64 + half).to_le_bytes());
            (_, buffer) = queue.write(buffer, &region).await.ok().unwrap();
        }
    }
    let last = 2 * R::WRAPS as u64 - 1;
    assert_eq!(bench.get(&region, 64).await[..8], last.to_le_bytes());
    let after = bench.card.counters().unwrap().commands;
    assert_eq!(after - before, 2 * R::WRAPS as u64 + 1);
    let counters = bench.card.driver_counters();
    assert_eq!((counters.protocol_errors, counters.timeouts), (0, 0));
    record::unnoticed("ring of depth 2 wrapped many times (2^16 on sim:model)");
}

pub async fn a_full_queue_holds_submitters_back<R: Rig>() {
    let config = CardConfig {
        log2_depth: 2,
        ..config::<R>()
    };
    let bench = std::sync::Arc::new(bench_with::<R>(config).await);
    let region = bench.card.allocate(64 * 40).unwrap();
    let mut tasks = Vec::new();
    for i in 0..40u64 {
        let bench = std::sync::Arc::clone(&bench);
        let part = region.part(64 * i, 64).unwrap();
        tasks.push(tokio::spawn(async move {
            let queue = bench.card.queue(0);
            let buffer = bench.down(&[i as u8 + 1; 64]);
            queue.write(buffer, &part).await.ok().unwrap();
            assert!(queue.outstanding() <= 3);
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let image = bench.get(&region, 64 * 40).await;
    let expected: Vec<u8> = (0..40).flat_map(|i| [i + 1; 64]).collect();
    assert_eq!(image, expected);
    record::unnoticed("queue full, submitters wait");
}

pub async fn counters_count<R: Rig>() {
    let bench = bench::<R>().await;
    let before = bench.card.counters().unwrap();
    bench.put(&[1; 640]).await;
    let after = bench.card.counters().unwrap();
    assert_eq!(after.commands - before.commands, 1);
    assert_eq!(after.errors, before.errors);
    assert_eq!(after.card_written - before.card_written, 640);
    // The command itself is fetched from the host, too.
    assert!(after.host_read - before.host_read >= 640);
}
