//! The sums of a proof, as the card returns them: one after the other in one buffer.

use std::time::Instant;

use blstrs::{G1Affine, G2Affine};
use carillon_driver::command::Group;
use carillon_driver::{CardInfo, HostBuf, Ticket};

use super::fault::{CardResult, Fault};
use super::tally::{self, Command};
use crate::image::{self, CardSum};
use crate::progress::Phase;
use crate::stats::{CardStats, JobStats};

/// The groups of the sums H, L, A, B1 and B2, in the order in which they run.
pub const SUMS: [Group; 5] = [Group::G1, Group::G1, Group::G1, Group::G1, Group::G2];
/// The sums that the card computes.
pub struct Sums {
    pub h: G1Affine,
    pub l: G1Affine,
    pub a: G1Affine,
    pub b1: G1Affine,
    /// From a card that has `MSM_G2`.
    pub b2: Option<G2Affine>,
}

/// Bytes of the results of all sums that a card computes.
pub fn result_bytes(info: &CardInfo) -> u64 {
    let sums = SUMS.into_iter().filter(|group| info.has_msm(*group));
    sums.map(Group::result_bytes).sum()
}

/// Takes the sums out of the buffer that the card filled.
pub async fn read_points(results: Ticket<HostBuf>, in_g2: bool) -> CardResult<(Sums, JobStats)> {
    let started = Instant::now();
    let mut card = CardStats::default();
    let read = results.await.ok();
    let (completion, buffer) = read.map_err(|e| Fault::from(e).at(Phase::Load))?;
    tally::add(
        &mut card,
        Command::Read(buffer.padded_len() as u64),
        &completion,
    );
    // A copy: what is checked is what is used, whatever the card still writes.
    let raw = buffer.snapshot();
    let mut rest = &raw[..];
    let points = Sums {
        h: next_point(&mut rest)?,
        l: next_point(&mut rest)?,
        a: next_point(&mut rest)?,
        b1: next_point(&mut rest)?,
        b2: match in_g2 {
            true => Some(next_point(&mut rest)?),
            false => None,
        },
    };
    Ok((
        points,
        JobStats {
            wall: started.elapsed(),
            card: Some(card),
        },
    ))
}

/// Takes the sum at the beginning of the results off them.
fn next_point<P: CardSum>(rest: &mut &[u8]) -> CardResult<P> {
    let bytes = P::GROUP.result_bytes() as usize;
    let raw = rest.split_off(..bytes);
    let raw = raw.ok_or_else(|| Fault::implausible("a sum is missing"))?;
    image::from_homogeneous(raw).map_err(Fault::implausible)
}
