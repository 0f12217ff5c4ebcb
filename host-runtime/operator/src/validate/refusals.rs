//! Level 3: the card refuses what it must, by the right status, and works on afterwards.

use carillon_driver::command::{FP_BYTES, MsmMode, NttKind};
use carillon_driver::status::StatusCode;
use carillon_driver::{CardRegion, JobError, Msm, Ntt, Quotient};

use super::transfers::send;
use super::{Checked, Subject, Wrong, compute, wrong};
use carillon_runtime::image::{self, PointImage, SCALAR_BYTES};

/// Elements of the refused jobs.
const N: usize = 4;
/// Which of them is faulty.
const FAULTY: usize = 2;

/// Memory of one job.
struct Operands {
    /// In each group.
    msm: [Msm; 2],
    ntt: Ntt,
    quotient: Quotient,
}

/// Commands for each status that can be had through the driver.
pub async fn statuses(subject: &Subject) -> Checked {
    let queue = subject.card().queue(0);
    let good = prepare(subject).await?;
    let (mut refused, mut sound) = (0, Vec::new());
    for msm in &good.msm {
        if subject.has_msm(msm.group) {
            refused += of_msm(subject, msm).await?;
            sound.push(msm);
        } else {
            expect(queue.msm(msm).await, StatusCode::InvalidOpcode)?;
            refused += 1;
        }
    }

    let mut overlapping = good.ntt.clone();
    overlapping.destination = overlapping.source.clone();
    expect(queue.ntt(&overlapping).await, StatusCode::Overlap)?;
    let ones = [0xff; SCALAR_BYTES];
    let source = poisoned(subject, &good.ntt.source, 0, &ones).await?;
    let bad = Ntt {
        source,
        ..good.ntt.clone()
    };
    expect(queue.ntt(&bad).await, StatusCode::BadScalar)?;
    let a = poisoned(subject, &good.quotient.a, 0, &ones).await?;
    let bad = Quotient {
        a,
        ..good.quotient.clone()
    };
    expect(queue.quotient(&bad).await, StatusCode::BadScalar)?;
    refused += 3;

    // The next commands run as if nothing had been.
    for msm in &sound {
        queue.msm(msm).await?;
    }
    queue.ntt(&good.ntt).await?;
    queue.quotient(&good.quotient).await?;
    let again = sound.len() + 2;
    Ok(format!(
        "{refused} refused, the same {again} commands run afterwards"
    ))
}

/// How many faulty forms of a sum were refused, all of them rightly.
async fn of_msm(subject: &Subject, good: &Msm) -> Result<usize, Wrong> {
    let queue = subject.card().queue(0);
    let empty = Msm {
        n: 0,
        ..good.clone()
    };
    expect(queue.msm(&empty).await, StatusCode::InvalidLength)?;
    let max_bits = subject.card().info().msm_max_window_bits;
    let wide = Msm {
        window_bits: max_bits.saturating_add(1),
        ..good.clone()
    };
    expect(queue.msm(&wide).await, StatusCode::InvalidField)?;
    let ones = [0xff; SCALAR_BYTES];
    let bad = Msm {
        scalars: poisoned(subject, &good.scalars, FAULTY * SCALAR_BYTES, &ones).await?,
        ..good.clone()
    };
    let detail = expect(queue.msm(&bad).await, StatusCode::BadScalar)?;
    faulty_element("BAD_SCALAR", detail)?;
    // Each coordinate by itself.
    let (point, fp) = (good.group.point_bytes() as usize, FP_BYTES as usize);
    let coordinates = point / fp;
    for coordinate in 0..coordinates {
        let at = FAULTY * point + coordinate * fp;
        let ones = [0xff; FP_BYTES as usize];
        let bad = Msm {
            bases: poisoned(subject, &good.bases, at, &ones).await?,
            ..good.clone()
        };
        let detail = expect(queue.msm(&bad).await, StatusCode::BadPoint)?;
        faulty_element("BAD_POINT", detail)?;
    }
    Ok(3 + coordinates)
}

async fn prepare(subject: &Subject) -> Result<Operands, Wrong> {
    let card = subject.card();
    let scalars = compute::random(N, 1);
    let elements = |_| card.allocate((N * SCALAR_BYTES) as u64);
    let memory = (0..5).map(elements).collect::<Result<Vec<_>, _>>()?;
    for region in &memory {
        send(subject, card.queue(0), image::bytes(&scalars), region).await?;
    }
    let [a, b, c, d, e] = &*memory else {
        return Err(wrong("a region is missing"));
    };
    Ok(Operands {
        msm: [
            sum(subject, &carillon_workload::g1_bases(N, 1), a).await?,
            sum(subject, &carillon_workload::g2_bases(N, 1), a).await?,
        ],
        ntt: Ntt {
            source: a.clone(),
            destination: d.clone(),
            scratch: e.clone(),
            log2n: N.trailing_zeros() as u8,
            kind: NttKind::default(),
        },
        quotient: Quotient {
            a: a.clone(),
            b: b.clone(),
            c: c.clone(),
            destination: d.clone(),
            n: N as u64,
            z: a.clone(),
        },
    })
}

/// A sum over these bases and the scalars in a region.
async fn sum<P: PointImage>(
    subject: &Subject,
    bases: &[P],
    scalars: &CardRegion,
) -> Result<Msm, Wrong> {
    let card = subject.card();
    let points = card.allocate(N as u64 * P::GROUP.point_bytes())?;
    send(subject, card.queue(0), image::bytes(bases), &points).await?;
    Ok(Msm {
        group: P::GROUP,
        bases: points,
        scalars: scalars.clone(),
        n: N as u64,
        result: card.allocate(P::GROUP.result_bytes())?,
        window_bits: 0,
        mode: MsmMode::Split,
    })
}

/// A copy of a region's content with some bytes replaced.
async fn poisoned(
    subject: &Subject,
    region: &CardRegion,
    at: usize,
    bytes: &[u8],
) -> Result<CardRegion, Wrong> {
    let queue = subject.card().queue(0);
    let len = region.len() as usize;
    let mut content = super::transfers::fetch(subject, queue, region, len)
        .await?
        .to_vec();
    content[at..at + bytes.len()].copy_from_slice(bytes);
    let copy = subject.card().allocate(region.len())?;
    send(subject, queue, &content, &copy).await?;
    Ok(copy)
}

/// The completion's `detail`, if the command was refused with this status.
pub fn expect(
    result: Result<carillon_driver::completion::Completion, JobError>,
    status: StatusCode,
) -> Result<u32, Wrong> {
    match result {
        Err(JobError::Status { completion }) if completion.status.code == status => {
            Ok(completion.detail)
        }
        Err(error) => Err(wrong(format!("{} was expected: {error}", status.name()))),
        Ok(_) => Err(wrong(format!(
            "{} was expected, but the command succeeded",
            status.name()
        ))),
    }
}

fn faulty_element(status: &str, detail: u32) -> Result<(), Wrong> {
    if detail == FAULTY as u32 {
        return Ok(());
    }
    Err(wrong(format!(
        "{status} names element {detail} instead of {FAULTY}"
    )))
}
