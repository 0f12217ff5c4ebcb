//! Single operations: operands down, one command, the result up.

use blstrs::Scalar;
use carillon_driver::command::{self, Group};
use carillon_driver::{Card, CardRegion, Msm, Ntt, Quotient};

use super::admission::{Admission, Wanted};
use super::fault::{CardResult, Fault, done};
use super::lanes::quiet;
use super::tally::{self, Command};
use super::transfer::{self, Writes};
use crate::engine::{Bases, NttKind};
use crate::image::{self, CardSum, SCALAR_BYTES};
use crate::stats::CardStats;

/// Card memory of `count` elements of `each` bytes.
fn bytes(count: usize, each: usize) -> u64 {
    (count as u64).saturating_mul(each as u64)
}

/// Regions of a multi-scalar multiplication of `count` terms: bases, scalars, result.
pub fn msm_memory(group: Group, count: usize) -> [u64; 3] {
    [
        bytes(count, group.point_bytes() as usize),
        bytes(count, SCALAR_BYTES),
        group.result_bytes(),
    ]
}

/// Regions of a transform of `count` elements: source, destination, scratch.
pub fn ntt_memory(count: usize) -> [u64; 3] {
    [bytes(count, SCALAR_BYTES); 3]
}

/// Regions of a quotient of `count` elements: a (also the destination), b, c, z.
pub fn quotient_memory(count: usize) -> [u64; 4] {
    let polynomial = bytes(count, SCALAR_BYTES);
    [polynomial, polynomial, polynomial, SCALAR_BYTES as u64]
}

impl From<NttKind> for command::NttKind {
    fn from(kind: NttKind) -> Self {
        Self {
            inverse: kind.is_inverse(),
            coset: kind.is_coset(),
            odd: kind.is_odd(),
        }
    }
}

/// Values that a card returned: a card is not trusted, and arithmetic on values that are not reduced
/// is wrong without a word.
fn elements(values: Vec<Scalar>) -> CardResult<Vec<Scalar>> {
    image::check_scalars(&values).map_err(Fault::implausible)?;
    Ok(values)
}

/// Reads the result of an MSM and makes it affine.
async fn read_point<P: CardSum>(
    card: &Card,
    result: &CardRegion,
    stats: &mut CardStats,
) -> CardResult<P> {
    let bytes = P::GROUP.result_bytes();
    let buffer = card.buffer_from_card_in_turn(bytes as usize).await?;
    let (completion, buffer) = quiet(card).read(result, buffer).await.ok()?;
    tally::add(stats, Command::Read(bytes), &completion);
    // A copy: what is checked is what is used, whatever the card still writes.
    image::from_homogeneous(&buffer.snapshot()).map_err(Fault::implausible)
}

/// The sum of `scalars[i] * bases[i]`; 0 window bits let the card choose.
pub async fn msm<P: CardSum>(
    card: &Card,
    admission: &Admission,
    bases: Bases<'_, P>,
    scalars: &[Scalar],
    window_bits: u8,
) -> CardResult<(P, CardStats)> {
    let mut stats = CardStats::default();
    let [bases_bytes, scalar_bytes, result_bytes] = msm_memory(P::GROUP, scalars.len());
    let wanted = [
        Wanted::public(bases_bytes),
        Wanted::secret(scalar_bytes),
        Wanted::secret(result_bytes),
    ];
    let (_permit, regions) = admission.for_job(card, wanted).await?;
    let [base_region, scalar_region, result] = regions;
    let queue = quiet(card);
    let mut writes = Writes::default();
    writes
        .send(card, queue, bases.points(), &base_region)
        .await?;
    writes.send(card, queue, scalars, &scalar_region).await?;
    let msm = Msm {
        group: P::GROUP,
        bases: base_region,
        scalars: scalar_region,
        n: scalars.len() as u64,
        result,
        window_bits,
        mode: bases.mode(),
    };
    let ticket = queue.submit_msm(&msm).await;
    writes.finish(None, &mut stats).await?;
    tally::add(&mut stats, Command::Msm(P::GROUP), &done(ticket.await)?);
    let point = read_point(card, &msm.result, &mut stats).await?;
    Ok((point, stats))
}

/// The transform of `values`, a power of two of them.
pub async fn ntt(
    card: &Card,
    admission: &Admission,
    values: &[Scalar],
    log2: u32,
    kind: NttKind,
) -> CardResult<(Vec<Scalar>, CardStats)> {
    let mut stats = CardStats::default();
    let (_permit, regions) = admission
        .for_job(card, ntt_memory(values.len()).map(Wanted::secret))
        .await?;
    let [source, destination, scratch] = regions;
    let queue = quiet(card);
    let mut writes = Writes::default();
    writes.send(card, queue, values, &source).await?;
    // log2 was checked against the card's limit, which is a byte.
    let ntt = Ntt {
        source,
        destination,
        scratch,
        log2n: log2 as u8,
        kind: kind.into(),
    };
    let ticket = queue.submit_ntt(&ntt).await;
    writes.finish(None, &mut stats).await?;
    tally::add(&mut stats, Command::Ntt, &done(ticket.await)?);
    let mut output = vec![Scalar::default(); values.len()];
    transfer::read(card, &ntt.destination, &mut output, &mut stats).await?;
    Ok((elements(output)?, stats))
}

/// `(a[i] * b[i] - c[i]) * z`.
pub async fn quotient(
    card: &Card,
    admission: &Admission,
    [a, b, c]: [&[Scalar]; 3],
    z: &Scalar,
) -> CardResult<(Vec<Scalar>, CardStats)> {
    let mut stats = CardStats::default();
    let (_permit, regions) = admission
        .for_job(card, quotient_memory(a.len()).map(Wanted::secret))
        .await?;
    let [region_a, region_b, region_c, region_z] = regions;
    let queue = quiet(card);
    let mut writes = Writes::default();
    for (values, region) in [(a, &region_a), (b, &region_b), (c, &region_c)] {
        writes.send(card, queue, values, region).await?;
    }
    writes
        .send(card, queue, std::slice::from_ref(z), &region_z)
        .await?;
    let quotient = Quotient {
        a: region_a.clone(),
        b: region_b,
        c: region_c,
        destination: region_a,
        n: a.len() as u64,
        z: region_z,
    };
    let ticket = queue.submit_quotient(&quotient).await;
    writes.finish(None, &mut stats).await?;
    tally::add(&mut stats, Command::Quotient, &done(ticket.await)?);
    let mut output = vec![Scalar::default(); a.len()];
    transfer::read(card, &quotient.destination, &mut output, &mut stats).await?;
    Ok((elements(output)?, stats))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ff::Field;

    #[test]
    fn values_that_are_not_reduced_are_no_result() {
        let largest = -Scalar::ONE;
        let mut values = vec![Scalar::ZERO, largest, largest];
        assert_eq!(elements(values.clone()).unwrap(), values);
        // Stale memory, and what a card that is gone reads as.
        for byte in [0xa5, 0xff] {
            image::bytes_mut(&mut values[2..]).fill(byte);
            let fault = elements(values.clone()).unwrap_err();
            let Fault::Implausible(reason) = fault else {
                panic!("{fault:?}");
            };
            assert!(reason.contains("scalar 2"), "{reason}");
        }
    }
}
