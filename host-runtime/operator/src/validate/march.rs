//! Card memory: a march with patterns that depend on the address.
//!
//! Upwards write P; upwards read P, write its complement; downwards read that, write P; upwards
//! read P. Every bit holds both values after its neighbours below and above have changed, and an
//! address line that is stuck brings up another address's pattern.

use carillon_driver::{CardRegion, IoQueue};

use super::transfers::{fetch, same, send};
use super::{Checked, Subject, Wrong, pattern, size, wrong};

/// Places of the sample.
const PLACES: u64 = 16;
/// Bytes at each place of the sample.
const PLACE: u64 = 64 << 10;
/// Bytes moved at once when all of it is tested.
const PIECE: u64 = 4 << 20;

/// A few places, spread over all of the memory that is free.
pub async fn sample(subject: &Subject) -> Checked {
    let (_, largest) = subject.card().free_memory();
    let place = PLACE.min(largest / PLACES / 64 * 64).max(64);
    let region = subject.card().allocate_public(largest)?;
    // The first and the last place are the ends.
    let step = (largest - place) / (PLACES - 1) / 64 * 64;
    let mut parts = (0..PLACES - 1)
        .map(|i| region.part(i * step, place))
        .collect::<Result<Vec<_>, _>>()?;
    parts.push(region.part(largest - place, place)?);
    march(subject, &parts).await?;
    Ok(format!(
        "{PLACES} places of {} over {}",
        size(place),
        size(largest)
    ))
}

/// All that is free, piece by piece.
pub async fn all(subject: &Subject) -> Checked {
    let (_, largest) = subject.card().free_memory();
    let region = subject.card().allocate_public(largest)?;
    let pieces = (0..largest.div_ceil(PIECE))
        .map(|i| region.part(i * PIECE, PIECE.min(largest - i * PIECE)))
        .collect::<Result<Vec<_>, _>>()?;
    march(subject, &pieces).await?;
    Ok(format!("{} written and read three times", size(largest)))
}

async fn march(subject: &Subject, parts: &[CardRegion]) -> Result<(), Wrong> {
    // The queues in turn: an error of one path shows as well.
    let queue = |turn: usize| subject.card().queue(turn);
    for (turn, part) in parts.iter().enumerate() {
        write(subject, queue(turn), part, false).await?;
    }
    for (turn, part) in parts.iter().enumerate() {
        read(subject, queue(turn + 1), part, false).await?;
        write(subject, queue(turn), part, true).await?;
    }
    for (turn, part) in parts.iter().enumerate().rev() {
        read(subject, queue(turn), part, true).await?;
        write(subject, queue(turn + 1), part, false).await?;
    }
    for (turn, part) in parts.iter().enumerate() {
        read(subject, queue(turn), part, false).await?;
    }
    Ok(())
}

fn content(part: &CardRegion, complement: bool) -> Vec<u8> {
    let mut bytes = pattern(part.address(), part.len() as usize);
    if complement {
        bytes.iter_mut().for_each(|byte| *byte = !*byte);
    }
    bytes
}

async fn write(
    subject: &Subject,
    queue: &IoQueue,
    part: &CardRegion,
    complement: bool,
) -> Result<(), Wrong> {
    let sent = send(subject, queue, &content(part, complement), part).await;
    sent.map_err(|error| at(part, &error))
}

async fn read(
    subject: &Subject,
    queue: &IoQueue,
    part: &CardRegion,
    complement: bool,
) -> Result<(), Wrong> {
    let found = fetch(subject, queue, part, part.len() as usize).await;
    let found = found.map_err(|error| at(part, &error))?;
    same(&content(part, complement), &found, &place(part))
}

fn place(part: &CardRegion) -> String {
    format!("card memory at {:#x}", part.address())
}

/// An error with the place where it was met.
fn at(part: &CardRegion, error: &Wrong) -> Wrong {
    wrong(format!("{}: {error}", place(part)))
}
