//! Moving slices between host and card memory. Large ones travel in pieces, so that host memory
//! for DMA stays small; pieces are queued without waiting for one another.

use carillon_driver::{Card, CardRegion, HostBuf, Ticket};

use super::tally::{self, Command};
use super::{CardResult, done};
use crate::image::{self, Image};
use crate::stats::CardStats;

/// Bytes of a piece, a multiple of 64.
const PIECE: usize = 4 << 20;

/// Writes that are under way. Await them with [`Writes::finish`]; a queue runs in order, so
/// commands queued after them may rely on them without waiting.
#[derive(Default)]
pub struct Writes {
    pieces: Vec<(u64, Ticket<HostBuf>)>,
}

impl Writes {
    /// Queues the images of `values` for `region`.
    pub async fn send<T: Image>(
        &mut self,
        card: &Card,
        values: &[T],
        region: &CardRegion,
    ) -> CardResult<()> {
        let mut offset = 0;
        for piece in image::bytes(values).chunks(PIECE) {
            let buffer = card.buffer_with(piece)?;
            let bytes = buffer.padded_len() as u64;
            let part = region.part(offset, bytes)?;
            let ticket = card.queue(0).submit_write(buffer, &part).await;
            self.pieces.push((bytes, ticket));
            offset += bytes;
        }
        Ok(())
    }

    /// Waits for all writes and adds their cost.
    pub async fn finish(self, stats: &mut CardStats) -> CardResult<()> {
        for (bytes, ticket) in self.pieces {
            let completion = done(ticket.await)?;
            tally::add(stats, Command::Write(bytes), &completion);
        }
        Ok(())
    }
}

/// Reads `into.len()` elements from the start of `region`.
pub async fn read<T: Image>(
    card: &Card,
    region: &CardRegion,
    into: &mut [T],
    stats: &mut CardStats,
) -> CardResult<()> {
    let mut offset = 0;
    for piece in image::bytes_mut(into).chunks_mut(PIECE) {
        let buffer = card.buffer_from_card(piece.len())?;
        let bytes = buffer.padded_len() as u64;
        let part = region.part(offset, bytes)?;
        let (completion, buffer) = card.queue(0).read(&part, buffer).await.ok()?;
        tally::add(stats, Command::Read(bytes), &completion);
        piece.copy_from_slice(&buffer);
        offset += bytes;
    }
    Ok(())
}
