//! Requests that a card, or the driver, must refuse; and that the next one runs.

use blstrs::{G1Projective, G2Projective};
use carillon_driver::command::{Command, FLAG_LINK, Group, MsmMode, NttKind, Opcode, RawCommand};
use carillon_driver::status::StatusCode;
use carillon_driver::{CardError, CardInfo, JobError, Msm, Ntt, Quotient, RecoveryAction};
use carillon_workload::vectors::{self, BasePattern, Curve, ScalarPattern};

use super::{Bench, Rig, bench};

/// Host addresses that no card can reach.
const NOWHERE: u64 = 0x40;
const MEMORY: u64 = 1 << 28;

fn write(host: u64, card: u64, bytes: u64) -> RawCommand {
    Command::Write {
        host,
        card,
        bytes,
        list: false,
    }
    .encode(0)
}

fn read(host: u64, card: u64, bytes: u64) -> RawCommand {
    Command::Read {
        host,
        card,
        bytes,
        list: false,
    }
    .encode(0)
}

fn msm(bases: u64, scalars: u64, n: u64, result: u64, window_bits: u8) -> RawCommand {
    Command::Msm {
        group: Group::G1,
        bases,
        scalars,
        n,
        result,
        window_bits,
        mode: MsmMode::Split,
    }
    .encode(0)
}

fn ntt(source: u64, destination: u64, scratch: u64, log2n: u8) -> RawCommand {
    let kind = NttKind::default();
    Command::Ntt {
        source,
        destination,
        scratch,
        log2n,
        kind,
    }
    .encode(0)
}

fn quotient(op: [u64; 6]) -> RawCommand {
    let [a, b, c, destination, n, z] = op;
    Command::Quotient {
        a,
        b,
        c,
        destination,
        n,
        z,
    }
    .encode(0)
}

/// `FILL` with one thing wrong. Its word is no address: any will do.
fn of_fill() -> Vec<(RawCommand, StatusCode)> {
    use StatusCode::*;
    let fill = |card, bytes| {
        let word = 1;
        Command::Fill { word, card, bytes }.encode(0)
    };
    let flags = |flags| RawCommand {
        flags,
        ..fill(1, 1)
    };
    let mut rows: Vec<_> = [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x80]
        .map(|bit| (flags(bit), InvalidField))
        .to_vec();
    rows.extend([
        (fill(1, 0), InvalidLength),
        (fill(0, 32), InvalidLength),
        (fill(1, 65), InvalidLength),
        (fill(32, 64), Misaligned),
        (fill(MEMORY + 1, 64), Misaligned),
        (fill(MEMORY, 64), OutOfRange),
        (fill(MEMORY - 64, 128), OutOfRange),
        (fill(64, u64::MAX - 63), OutOfRange),
    ]);
    rows
}

/// Commands that are refused, and how: each row breaks what its status says,
/// and often something later in the order, which must not matter.
fn table(info: &CardInfo) -> Vec<(RawCommand, StatusCode)> {
    use StatusCode::*;
    let opcode = |opcode| RawCommand {
        opcode,
        ..write(NOWHERE, 0, 64)
    };
    let flags = |raw: RawCommand, flags| RawCommand { flags, ..raw };
    let mut rows = Vec::new();
    for code in [0x00, 0x01, 0x02, 0x03, 0x13, 0x22, 0x31, 0x40, 0xff] {
        rows.push((opcode(code), InvalidOpcode));
    }
    if !info.msm_g2 {
        rows.push((opcode(0x21), InvalidOpcode));
    }
    if !info.link {
        rows.push((flags(write(NOWHERE, 0, 64), FLAG_LINK), InvalidField));
    }
    if info.fill {
        rows.extend(of_fill());
    } else {
        rows.push((opcode(0x12), InvalidOpcode));
    }
    rows.push((
        RawCommand {
            opcode: 0x22,
            reserved: 1,
            ..write(1, 1, 1)
        },
        InvalidOpcode,
    ));
    rows.extend([
        (
            RawCommand {
                reserved: 1,
                ..write(1, 1, 1)
            },
            InvalidField,
        ),
        (
            RawCommand {
                reserved: 0x8000,
                ..ntt(0, 64, 128, 1)
            },
            InvalidField,
        ),
        (flags(write(NOWHERE, 0, 64), 0x02), InvalidField),
        (flags(read(NOWHERE, 0, 64), 0x80), InvalidField),
        (flags(msm(0, 0, 0, 1, 0), 0x01), InvalidField),
        (flags(msm(0, 0, 0, 1, 0), 0x04), InvalidField),
        (flags(msm(0, 0, 0, 1, 0), 0x18), InvalidField),
        (msm(0, 0, 0, 1, 14), InvalidField),
        (flags(ntt(0, 64, 128, 1), 0x01), InvalidField),
        (flags(ntt(0, 64, 128, 1), 0x08), InvalidField),
        (flags(ntt(0, 64, 128, 1), 0x24), InvalidField),
        (flags(ntt(0, 64, 128, 1), 0x10), InvalidField),
        (ntt(1, 1, 1, 21), InvalidField),
        (ntt(0, 0, 0, 255), InvalidField),
        (flags(quotient([0; 6]), 0x04), InvalidField),
        (flags(quotient([0; 6]), 0x08), InvalidField),
        (flags(quotient([0; 6]), 0x30), InvalidField),
        (flags(quotient([0, 0, 1, 0, 0, 1]), 0x10), InvalidLength),
        (flags(quotient([0, 1, 0, 0, 1, 0]), 0x10), Misaligned),
        (write(1, 1, 0), InvalidLength),
        (write(NOWHERE, 0, 63), InvalidLength),
        (read(1, MEMORY, 65), InvalidLength),
        (msm(1, 1, 0, 1, 13), InvalidLength),
        (flags(msm(1, 1, 0, 1, 13), 0x08), InvalidLength),
        (msm(0, 0, 1 << 32, 0, 0), InvalidLength),
        (msm(0, 0, u64::MAX, 0, 0), InvalidLength),
        (quotient([1, 1, 1, 1, 0, 1]), InvalidLength),
        (quotient([0, 0, 0, 0, 1 << 40, 0]), InvalidLength),
        (write(NOWHERE + 1, MEMORY, 64), Misaligned),
        (write(NOWHERE, 32, 64), Misaligned),
        (read(NOWHERE, MEMORY + 1, 64), Misaligned),
        (flags(write(NOWHERE + 16, 0, 64), 0x01), Misaligned),
        (msm(32, 0, 1, 0, 0), Misaligned),
        (msm(0, 8, 1, 0, 0), Misaligned),
        (msm(0, 0, 1, MEMORY + 32, 0), Misaligned),
        (ntt(0, 0, 16, 1), Misaligned),
        (ntt(1, 0, 0, 1), Misaligned),
        (ntt(0, 63, 0, 1), Misaligned),
        (quotient([0, 0, 0, 0, 1, 32]), Misaligned),
        (quotient([0, 0, 0, 1, 1, 0]), Misaligned),
        (write(NOWHERE, MEMORY, 64), OutOfRange),
        (write(NOWHERE, MEMORY - 64, 128), OutOfRange),
        (read(NOWHERE, 0, MEMORY + 64), OutOfRange),
        (write(NOWHERE, u64::MAX - 63, 64), OutOfRange),
        (write(NOWHERE, 64, u64::MAX - 63), OutOfRange),
        (msm(MEMORY - 64, 0, 1, 0, 0), OutOfRange),
        (msm(0, MEMORY - 64, 3, 0, 0), OutOfRange),
        (msm(0, 0, 1, MEMORY - 128, 0), OutOfRange),
        (msm(0, 0, u64::from(u32::MAX), 0, 0), OutOfRange),
        (ntt(0, MEMORY, 0, 1), OutOfRange),
        (ntt(0, 0, MEMORY - 64, 2), OutOfRange),
        (quotient([0, 0, 0, MEMORY, 1, 0]), OutOfRange),
        (quotient([0, 0, 0, 0, 1, MEMORY]), OutOfRange),
        (quotient([0, 0, 0, 0, 1, u64::MAX - 63]), OutOfRange),
        (ntt(0, 0, 64, 0), Overlap),
        (ntt(0, 64, 64, 1), Overlap),
        (ntt(128, 64, 0, 2), Overlap),
        (ntt(1 << 20, 0, 1 << 22, 16), Overlap),
    ]);
    if info.msm_g2 {
        // What MSM_G1 refuses, MSM_G2 refuses alike, and what only its sizes put out of range.
        let of_g1 = rows
            .iter()
            .filter(|(raw, _)| raw.opcode == Opcode::MsmG1 as u8);
        let as_g2 = |raw: &RawCommand| RawCommand {
            opcode: Opcode::MsmG2 as u8,
            ..*raw
        };
        let mut of_g2: Vec<_> = of_g1.map(|(raw, status)| (as_g2(raw), *status)).collect();
        of_g2.extend(
            [
                msm(MEMORY - 128, 0, 1, 0, 0),
                msm(0, 0, 1, MEMORY - 256, 0),
                msm(MEMORY - 192 * 3, 0, 4, 0, 0),
            ]
            .map(|raw| (as_g2(&raw), OutOfRange)),
        );
        rows.extend(of_g2);
    }
    rows
}

pub async fn every_status_of_the_table<R: Rig>() {
    let bench = bench::<R>().await;
    for (raw, expected) in table(bench.card.info()) {
        let error = bench.raw(raw, Vec::new()).await.result.unwrap_err();
        assert_eq!(error.status(), Some(expected), "{raw:x?}");
        assert_eq!(error.recovery_action(), RecoveryAction::FixRequest);
        let JobError::Status { completion } = error else {
            panic!("{error}")
        };
        assert!(!completion.status.retryable);
        assert_eq!(completion.ops, 0, "{raw:x?}");
    }
    // The largest and smallest that are allowed.
    let region = bench.card.allocate(1 << 12).unwrap();
    let kept = bench.put(&[0; 4096]).await;
    let fine = Ntt {
        source: kept.part(0, 64).unwrap(),
        destination: kept.part(64, 64).unwrap(),
        scratch: region,
        log2n: 1,
        kind: NttKind::default(),
    };
    bench.card.queue(0).ntt(&fine).await.unwrap();
    bench.works().await;
    assert_eq!(bench.card.driver_counters().queue_restarts, 0);
}

/// Entries (offset, bytes), bytes of the command, status.
type ListCase = (&'static [(u64, u64)], u64, StatusCode);

pub async fn bad_scatter_gather_lists<R: Rig>() {
    let bench = bench::<R>().await;
    let region = bench.card.allocate(4096).unwrap();
    let cases: [ListCase; 7] = [
        (&[(0, 0)], 64, StatusCode::InvalidLength),
        (&[(0, 32)], 64, StatusCode::InvalidLength),
        (&[(0, 128)], 64, StatusCode::InvalidLength),
        (&[(0, 64), (64, 128)], 128, StatusCode::InvalidLength),
        (&[(0, 64), (64, 0)], 128, StatusCode::InvalidLength),
        (&[(8, 64)], 64, StatusCode::Misaligned),
        (&[(0, 64), (32, 64)], 128, StatusCode::Misaligned),
    ];
    for (entries, bytes, status) in cases {
        let target = bench.card.buffer_to_card(4096).unwrap();
        let mut list = bench.card.buffer_to_card(64 * 4).unwrap();
        for (slot, (offset, length)) in list.chunks_exact_mut(16).zip(entries) {
            slot[..8].copy_from_slice(&(target.iova() + offset).to_le_bytes());
            slot[8..].copy_from_slice(&length.to_le_bytes());
        }
        let raw = Command::Write {
            host: list.iova(),
            card: region.address(),
            bytes,
            list: true,
        };
        let finished = bench.raw(raw.encode(0), vec![list, target]).await;
        assert_eq!(
            finished.result.unwrap_err().status(),
            Some(status),
            "{entries:?}"
        );
        assert_eq!(finished.memory.unwrap().len(), 2);
    }
    // A list that cannot be read.
    let raw = Command::Write {
        host: NOWHERE,
        card: region.address(),
        bytes: 64,
        list: true,
    };
    let error = bench
        .raw(raw.encode(0), Vec::new())
        .await
        .result
        .unwrap_err();
    assert_eq!(error.status(), Some(StatusCode::HostRead));
    bench.works().await;
}

async fn expect<R: Rig>(bench: &Bench<R>, msm: &Msm, status: StatusCode, index: u32) {
    let error = bench.card.queue(0).msm(msm).await.unwrap_err();
    let JobError::Status { completion } = &error else {
        panic!("{error}")
    };
    assert_eq!((completion.status.code, completion.detail), (status, index));
    assert_eq!(error.recovery_action(), RecoveryAction::FixRequest);
}

/// r and p themselves, little-endian limbs: the smallest images that are too large.
const R: [u64; 4] = [
    0xffff_ffff_0000_0001,
    0x53bd_a402_fffe_5bfe,
    0x3339_d808_09a1_d805,
    0x73ed_a753_299d_7d48,
];
const P: [u64; 6] = [
    0xb9fe_ffff_ffff_aaab,
    0x1eab_fffe_b153_ffff,
    0x6730_d2a0_f6b0_f624,
    0x6477_4b84_f385_12bf,
    0x4b1b_a7b6_434b_acd7,
    0x1a01_11ea_397f_e69a,
];

fn bytes_of(limbs: &[u64]) -> Vec<u8> {
    limbs.iter().flat_map(|limb| limb.to_le_bytes()).collect()
}

/// A sum whose operands can be spoilt.
struct Sum<'a, C: Curve, R: Rig> {
    bench: &'a Bench<R>,
    case: vectors::MsmCase<C>,
    bases: Vec<u8>,
    scalars: Vec<u8>,
}

impl<'a, C: Curve, R: Rig> Sum<'a, C, R> {
    const POINT: usize = C::GROUP.point_bytes() as usize;

    fn of(bench: &'a Bench<R>) -> Self {
        let case = vectors::msm_case_in::<C>(40, BasePattern::Distinct, ScalarPattern::Random, 4);
        Self {
            bench,
            bases: vectors::base_images(&case.bases),
            scalars: vectors::scalar_images(&case.scalars),
            case,
        }
    }

    fn spoil_scalar(&mut self, at: usize) {
        self.scalars[32 * at..32 * (at + 1)].copy_from_slice(&bytes_of(&R));
    }

    fn spoil_coordinate(&mut self, at: usize, coordinate: usize) {
        let start = Self::POINT * at + 48 * coordinate;
        self.bases[start..start + 48].copy_from_slice(&bytes_of(&P));
    }

    async fn command(&self) -> Msm {
        Msm {
            group: C::GROUP,
            bases: self.bench.put(&self.bases).await,
            scalars: self.bench.put(&self.scalars).await,
            n: 40,
            result: self.bench.card.allocate(C::GROUP.result_bytes()).unwrap(),
            window_bits: 0,
            mode: MsmMode::Split,
        }
    }

    /// It is refused with the element named, split or whole.
    async fn is_refused(&self, status: StatusCode, index: u32) {
        let split = self.command().await;
        expect(self.bench, &split, status, index).await;
        let whole = Msm {
            mode: MsmMode::Full,
            ..split
        };
        expect(self.bench, &whole, status, index).await;
    }
}

async fn faulty_terms_are_named<C: Curve, R: Rig>(bench: &Bench<R>) {
    let rows: [(&[usize], &[usize], StatusCode, u32); 5] = [
        (&[17], &[], StatusCode::BadScalar, 17),
        (&[], &[0], StatusCode::BadPoint, 0),
        (&[39], &[39], StatusCode::BadScalar, 39),
        (&[20], &[19], StatusCode::BadPoint, 19),
        (&[3, 2], &[30], StatusCode::BadScalar, 2),
    ];
    let last = Sum::<C, R>::POINT / 48 - 1;
    for (scalars_at, bases_at, status, index) in rows {
        let mut sum = Sum::<C, R>::of(bench);
        for at in scalars_at {
            sum.spoil_scalar(*at);
        }
        for at in bases_at {
            sum.spoil_coordinate(*at, last);
        }
        sum.is_refused(status, index).await;
    }
    for coordinate in 0..=last {
        let mut sum = Sum::<C, R>::of(bench);
        sum.spoil_coordinate(7 + coordinate, coordinate);
        let index = 7 + coordinate as u32;
        sum.is_refused(StatusCode::BadPoint, index).await;
    }
    // A point under a zero scalar is not examined; the next fault is.
    let mut sum = Sum::<C, R>::of(bench);
    sum.scalars[32 * 11..32 * 12].fill(0);
    for at in [11, 23] {
        let point = Sum::<C, R>::POINT;
        sum.bases[point * at..point * (at + 1)].fill(0xff);
    }
    let msm = sum.command().await;
    expect(bench, &msm, StatusCode::BadPoint, 23).await;
    let before = Msm { n: 23, ..msm };
    bench.card.queue(0).msm(&before).await.unwrap();
    let image = bench.get(&before.result, C::GROUP.result_bytes() as usize);
    let terms = (0..23).filter(|i| *i != 11);
    let expected: C = terms.map(|i| sum.case.bases[i] * sum.case.scalars[i]).sum();
    assert_eq!(vectors::read_result(&image.await), Some(expected));
}

pub async fn faulty_elements_in_g2_are_named<R: Rig>() {
    let bench = bench::<R>().await;
    if bench.card.info().has_msm(Group::G2) {
        faulty_terms_are_named::<G2Projective, R>(&bench).await;
        bench.works().await;
    }
}

pub async fn faulty_elements_are_named<R: Rig>() {
    let bench = bench::<R>().await;
    faulty_terms_are_named::<G1Projective, R>(&bench).await;
    let case = vectors::msm_case(40, BasePattern::Distinct, ScalarPattern::Random, 4);
    let good_scalars = vectors::scalar_images(&case.scalars);
    // The other engines do not name the element: detail is 0.
    let mut elements = good_scalars[..32 * 32].to_vec();
    elements[32 * 31..].fill(0xff);
    let bad = bench.put(&elements).await;
    let good = bench.put(&good_scalars[..32 * 32]).await;
    let (destination, scratch) = (
        bench.card.allocate(1024).unwrap(),
        bench.card.allocate(1024).unwrap(),
    );
    let ntt = Ntt {
        source: bad.clone(),
        destination: destination.clone(),
        scratch,
        log2n: 5,
        kind: NttKind::default(),
    };
    let error = bench.card.queue(1).ntt(&ntt).await.unwrap_err();
    assert_eq!(error.status(), Some(StatusCode::BadScalar));
    let z = bench.put(&good_scalars[..32]).await;
    let quotient = Quotient {
        a: good.clone(),
        b: good.clone(),
        c: good.clone(),
        destination,
        n: 32,
        z,
    };
    let bad_z = bench.put(&[0xff; 32]).await;
    for corrupted in [
        Quotient {
            a: bad.clone(),
            ..quotient.clone()
        },
        Quotient {
            b: bad.clone(),
            ..quotient.clone()
        },
        Quotient {
            c: bad,
            ..quotient.clone()
        },
        Quotient {
            z: bad_z,
            ..quotient.clone()
        },
    ] {
        let error = bench.card.queue(1).quotient(&corrupted).await.unwrap_err();
        let JobError::Status { completion } = error else {
            panic!("{error}")
        };
        assert_eq!(
            (completion.status.code, completion.detail),
            (StatusCode::BadScalar, 0)
        );
    }
    bench.card.queue(1).quotient(&quotient).await.unwrap();
    bench.works().await;
}

pub async fn the_driver_refuses_what_the_card_cannot_know<R: Rig>() {
    let bench = bench::<R>().await;
    let queue = bench.card.queue(0);
    let region = bench.card.allocate(128).unwrap();
    let too_long = queue.write(bench.down(&[0; 129]), &region).await;
    assert!(matches!(
        too_long.result,
        Err(JobError::Size {
            needed: 192,
            given: 128,
            ..
        })
    ));
    assert_eq!(too_long.memory.unwrap().len(), 129, "the buffer comes back");
    let wrong_way = bench.card.buffer_from_card(64).unwrap();
    let wrong_way = queue.write(wrong_way, &region).await;
    assert!(matches!(wrong_way.result, Err(JobError::Direction { .. })));
    let wrong_way = queue.read(&region, bench.down(&[0; 64])).await;
    assert!(matches!(wrong_way.result, Err(JobError::Direction { .. })));
    let empty = queue.submit_write_list(Vec::new(), &region).await.await;
    assert!(matches!(empty.result, Err(JobError::EmptyList)));
    let msm = Msm {
        group: Group::G1,
        bases: region.clone(),
        scalars: region.clone(),
        n: 2,
        result: region.clone(),
        window_bits: 0,
        mode: MsmMode::Split,
    };
    assert!(matches!(
        queue.msm(&msm).await,
        Err(JobError::Size { needed: 192, .. })
    ));
    // One point of G2 is longer, and so is its result.
    let in_g2 = |n| Msm {
        group: Group::G2,
        n,
        ..msm.clone()
    };
    assert!(matches!(
        queue.msm(&in_g2(1)).await,
        Err(JobError::Size { needed: 192, .. })
    ));
    let short = Msm {
        bases: bench.card.allocate(192).unwrap(),
        ..in_g2(1)
    };
    assert!(matches!(
        queue.msm(&short).await,
        Err(JobError::Size { needed: 320, .. })
    ));
    let huge = Msm { n: u64::MAX, ..msm };
    assert!(matches!(queue.msm(&huge).await, Err(JobError::Size { .. })));
    let ntt = Ntt {
        source: region.clone(),
        destination: region.clone(),
        scratch: region,
        log2n: 200,
        kind: NttKind::default(),
    };
    assert!(matches!(queue.ntt(&ntt).await, Err(JobError::Size { .. })));
    assert!(matches!(
        bench.card.buffer_to_card(0),
        Err(CardError::Dma(_))
    ));
    bench.works().await;
}

pub async fn card_memory_runs_out_and_comes_back<R: Rig>() {
    let bench = bench::<R>().await;
    let all = bench.card.allocate(MEMORY).unwrap();
    let error = bench.card.allocate(1).unwrap_err();
    assert!(matches!(
        error,
        CardError::CardMemory {
            bytes: 1,
            free: 0,
            largest: 0
        }
    ));
    assert_eq!(error.recovery_action(), RecoveryAction::FixRequest);
    // The last bytes of the card's memory work.
    let end = all.part(MEMORY - 64, 64).unwrap();
    bench
        .card
        .queue(0)
        .write(bench.down(&[9; 64]), &end)
        .await
        .ok()
        .unwrap();
    assert_eq!(bench.get(&end, 64).await, [9; 64]);
    // A command keeps its region until it ends.
    let ticket = bench
        .card
        .queue(0)
        .submit_write(bench.down(&[8; 64]), &end)
        .await;
    drop((all, end));
    ticket.await.ok().unwrap();
    assert_eq!(bench.card.free_memory(), (MEMORY, MEMORY));
    bench.works().await;
}
