//! Single operations: operands down, one command, the result up.

use blstrs::{G1Affine, Scalar};
use carillon_driver::command::{self, MSM_RESULT_BYTES};
use carillon_driver::{Card, CardError, CardRegion, Msm, Ntt, Quotient};

use super::tally::{self, Command};
use super::transfer::{self, Writes};
use super::{CardResult, Fault, done};
use crate::engine::{Bases, NttKind};
use crate::image::{self, G1_BYTES, SCALAR_BYTES};
use crate::stats::CardStats;

/// Card memory of `count` elements of `each` bytes.
fn bytes(count: usize, each: usize) -> u64 {
    (count as u64).saturating_mul(each as u64)
}

/// Regions of a multi-scalar multiplication of `count` terms: bases, scalars, result.
pub fn msm_memory(count: usize) -> [u64; 3] {
    [
        bytes(count, G1_BYTES),
        bytes(count, SCALAR_BYTES),
        MSM_RESULT_BYTES,
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

/// Allocates one region per size.
pub fn allocate<const N: usize>(card: &Card, sizes: [u64; N]) -> CardResult<[CardRegion; N]> {
    allocate_by(sizes, |bytes| card.allocate(bytes))
}

/// The same for what everybody may know; it is not overwritten afterwards.
pub fn allocate_public<const N: usize>(
    card: &Card,
    sizes: [u64; N],
) -> CardResult<[CardRegion; N]> {
    allocate_by(sizes, |bytes| card.allocate_public(bytes))
}

fn allocate_by<const N: usize>(
    sizes: [u64; N],
    one: impl Fn(u64) -> Result<CardRegion, CardError>,
) -> CardResult<[CardRegion; N]> {
    let regions = sizes
        .iter()
        .map(|bytes| Ok(one(*bytes)?))
        .collect::<CardResult<Vec<_>>>()?;
    regions
        .try_into()
        .map_err(|_| Fault::implausible("a region is missing"))
}

/// The driver's name of a transform.
pub fn driver_kind(kind: NttKind) -> command::NttKind {
    command::NttKind {
        inverse: kind.is_inverse(),
        coset: kind.is_coset(),
    }
}

/// Reads the result of an `MSM_G1` and makes it affine.
pub async fn read_point(
    card: &Card,
    result: &CardRegion,
    stats: &mut CardStats,
) -> CardResult<G1Affine> {
    let buffer = card
        .buffer_from_card_in_turn(MSM_RESULT_BYTES as usize)
        .await?;
    let (completion, buffer) = card.queue(0).read(result, buffer).await.ok()?;
    tally::add(stats, Command::Read(MSM_RESULT_BYTES), &completion);
    // A copy: what is checked is what is used, whatever the card still writes.
    image::g1_from_homogeneous(&buffer.snapshot()).map_err(Fault::implausible)
}

/// The sum of `scalars[i] * bases[i]`; 0 window bits let the card choose.
pub async fn msm_g1(
    card: &Card,
    bases: Bases<'_>,
    scalars: &[Scalar],
    window_bits: u8,
) -> CardResult<(G1Affine, CardStats)> {
    let mut stats = CardStats::default();
    let [of_bases, of_scalars, of_result] = msm_memory(scalars.len());
    let base_region = card.allocate_public(of_bases)?;
    let [scalar_region, result] = allocate(card, [of_scalars, of_result])?;
    let mut writes = Writes::default();
    writes.send(card, bases.points(), &base_region).await?;
    writes.send(card, scalars, &scalar_region).await?;
    let msm = Msm {
        bases: base_region,
        scalars: scalar_region,
        n: scalars.len() as u64,
        result,
        window_bits,
        mode: bases.mode(),
    };
    let ticket = card.queue(0).submit_msm_g1(&msm).await;
    writes.finish(&mut stats).await?;
    tally::add(&mut stats, Command::Msm, &done(ticket.await)?);
    let point = read_point(card, &msm.result, &mut stats).await?;
    Ok((point, stats))
}

/// The transform of `values`, a power of two of them.
pub async fn ntt(
    card: &Card,
    values: &[Scalar],
    log2: u32,
    kind: NttKind,
) -> CardResult<(Vec<Scalar>, CardStats)> {
    let mut stats = CardStats::default();
    let [source, destination, scratch] = allocate(card, ntt_memory(values.len()))?;
    let mut writes = Writes::default();
    writes.send(card, values, &source).await?;
    // log2 was checked against the card's limit, which is a byte.
    let ntt = Ntt {
        source,
        destination,
        scratch,
        log2n: log2 as u8,
        kind: driver_kind(kind),
    };
    let ticket = card.queue(0).submit_ntt(&ntt).await;
    writes.finish(&mut stats).await?;
    tally::add(&mut stats, Command::Ntt, &done(ticket.await)?);
    let mut output = vec![Scalar::default(); values.len()];
    transfer::read(card, &ntt.destination, &mut output, &mut stats).await?;
    Ok((output, stats))
}

/// `(a[i] * b[i] - c[i]) * z`.
pub async fn quotient(
    card: &Card,
    [a, b, c]: [&[Scalar]; 3],
    z: &Scalar,
) -> CardResult<(Vec<Scalar>, CardStats)> {
    let mut stats = CardStats::default();
    let [region_a, region_b, region_c, region_z] = allocate(card, quotient_memory(a.len()))?;
    let mut writes = Writes::default();
    for (values, region) in [(a, &region_a), (b, &region_b), (c, &region_c)] {
        writes.send(card, values, region).await?;
    }
    writes
        .send(card, std::slice::from_ref(z), &region_z)
        .await?;
    let quotient = Quotient {
        a: region_a.clone(),
        b: region_b,
        c: region_c,
        destination: region_a,
        n: a.len() as u64,
        z: region_z,
    };
    let ticket = card.queue(0).submit_quotient(&quotient).await;
    writes.finish(&mut stats).await?;
    tally::add(&mut stats, Command::Quotient, &done(ticket.await)?);
    let mut output = vec![Scalar::default(); a.len()];
    transfer::read(card, &quotient.destination, &mut output, &mut stats).await?;
    Ok((output, stats))
}
