//! Moving slices between host and card memory. Large ones travel in pieces, so that host memory
//! for DMA stays small; pieces are queued without waiting for one another. A piece's memory is free
//! again when its command has ended, and where the pool has no more, the next piece waits for that.

use carillon_driver::command::BEAT;
use carillon_driver::{Card, CardError, CardRegion, IoQueue, Ticket};

use super::fault::{CardResult, done};
use super::lanes::{Lane, quiet};
use super::tally::{self, Command};
use crate::image::{self, Image};
use crate::stats::CardStats;

/// Bytes of a piece at most, a multiple of 64.
const PIECE: u64 = 4 << 20;

/// Bytes of a piece: several fit into the card's DMA memory.
fn piece_bytes(card: &Card) -> usize {
    let piece = PIECE.min(card.host_memory_limit() / 4) & !63;
    piece.max(64) as usize
}

/// Writes that are under way. Await them with [`Writes::finish`]; a queue runs in order, so
/// commands queued after them may rely on them without waiting.
#[derive(Default)]
pub struct Writes {
    under_way: Vec<Piece>,
}

/// A piece whose `WRITE` is queued.
struct Piece {
    bytes: u64,
    written: Ticket<()>,
}

impl Writes {
    /// Queues the images of `values` for `region` on this queue of the card.
    pub async fn send<T: Image>(
        &mut self,
        card: &Card,
        queue: &IoQueue,
        values: &[T],
        region: &CardRegion,
    ) -> CardResult<()> {
        let mut offset = 0;
        for piece in image::bytes(values).chunks(piece_bytes(card)) {
            let bytes = (piece.len() as u64).next_multiple_of(BEAT);
            let part = region.part(offset, bytes)?;
            let written = queue.submit_bytes(piece, &part).await;
            self.under_way.push(Piece { bytes, written });
            offset += bytes;
        }
        Ok(())
    }

    /// Waits for all writes and adds their cost.
    pub async fn finish(self, stats: &mut CardStats) -> CardResult<()> {
        for Piece { bytes, written } in self.under_way {
            let completion = done(written.await)?;
            tally::add(stats, Command::Write(bytes), &completion);
        }
        Ok(())
    }

    /// The same for those of a proof: what ran beside another proof is noted. `since` is what the lane said before
    /// the first of them was queued.
    pub async fn finish_on(
        self,
        lane: &Lane,
        since: Option<u64>,
        stats: &mut CardStats,
    ) -> CardResult<()> {
        for Piece { bytes, written } in self.under_way {
            let (finished, beside) = lane.watch(since, written).await;
            tally::add_seen(stats, Command::Write(bytes), &done(finished)?, beside);
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
    for piece in image::bytes_mut(into).chunks_mut(piece_bytes(card)) {
        let buffer = card.buffer_from_card_in_turn(piece.len()).await?;
        let bytes = buffer.padded_len() as u64;
        let part = region.part(offset, bytes)?;
        let (completion, buffer) = quiet(card).read(&part, buffer).await.ok()?;
        tally::add(stats, Command::Read(bytes), &completion);
        buffer.read(0, piece).map_err(CardError::from)?;
        offset += bytes;
    }
    Ok(())
}
