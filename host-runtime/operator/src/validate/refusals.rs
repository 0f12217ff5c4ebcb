//! Level 3: the card refuses what it must, by the right status, and works on afterwards.

use carillon_driver::command::{Group, MsmMode, NttKind};
use carillon_driver::status::StatusCode;
use carillon_driver::{CardRegion, JobError, Msm, Ntt, Quotient};

use super::transfers::send;
use super::{Checked, Subject, Wrong, compute, wrong};
use carillon_runtime::image::{self, G1_BYTES, SCALAR_BYTES};

/// Elements of the refused jobs.
const N: usize = 4;
/// Which of them is faulty.
const FAULTY: usize = 2;

/// Memory of one job.
struct Operands {
    msm: Msm,
    ntt: Ntt,
    quotient: Quotient,
}

/// One command for each status that can be had through the driver.
pub async fn statuses(subject: &Subject) -> Checked {
    let card = subject.card();
    let queue = card.queue(0);
    let good = prepare(subject).await?;
    let max_bits = card.info().msm_max_window_bits;

    let msm = |change: &dyn Fn(&mut Msm)| {
        let mut msm = good.msm.clone();
        change(&mut msm);
        msm
    };
    expect(
        queue.msm(&msm(&|msm| msm.n = 0)).await,
        StatusCode::InvalidLength,
    )?;
    let bits = max_bits.saturating_add(1);
    let wide = msm(&|msm| msm.window_bits = bits);
    expect(queue.msm(&wide).await, StatusCode::InvalidField)?;

    let mut overlapping = good.ntt.clone();
    overlapping.destination = overlapping.source.clone();
    expect(queue.ntt(&overlapping).await, StatusCode::Overlap)?;

    let ones = [0xff; SCALAR_BYTES];
    let scalars = poisoned(subject, &good.msm.scalars, FAULTY * SCALAR_BYTES, &ones).await?;
    let bad = Msm {
        scalars,
        ..good.msm.clone()
    };
    let detail = expect(queue.msm(&bad).await, StatusCode::BadScalar)?;
    faulty_element("BAD_SCALAR", detail)?;
    let bases = poisoned(subject, &good.msm.bases, FAULTY * G1_BYTES, &[0xff; 48]).await?;
    let bad = Msm {
        bases,
        ..good.msm.clone()
    };
    let detail = expect(queue.msm(&bad).await, StatusCode::BadPoint)?;
    faulty_element("BAD_POINT", detail)?;
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

    // The next commands run as if nothing had been.
    queue.msm(&good.msm).await?;
    queue.ntt(&good.ntt).await?;
    queue.quotient(&good.quotient).await?;
    Ok("7 refused, the same 3 commands run afterwards".to_owned())
}

async fn prepare(subject: &Subject) -> Result<Operands, Wrong> {
    let card = subject.card();
    let scalars = compute::random(N, 1);
    let bases = carillon_workload::g1_bases(N, 1);
    let elements = |_| card.allocate((N * SCALAR_BYTES) as u64);
    let memory = (0..5).map(elements).collect::<Result<Vec<_>, _>>()?;
    for region in &memory {
        send(subject, card.queue(0), image::bytes(&scalars), region).await?;
    }
    let points = card.allocate((N * G1_BYTES) as u64)?;
    send(subject, card.queue(0), image::bytes(&bases), &points).await?;
    let [a, b, c, d, e] = &*memory else {
        return Err(wrong("a region is missing"));
    };
    Ok(Operands {
        msm: Msm {
            group: Group::G1,
            bases: points,
            scalars: a.clone(),
            n: N as u64,
            result: card.allocate(Group::G1.result_bytes())?,
            window_bits: 0,
            mode: MsmMode::Split,
        },
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
fn expect(
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
