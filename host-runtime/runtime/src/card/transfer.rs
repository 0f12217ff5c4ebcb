//! Moving slices between host and card memory. Large ones travel in pieces, so that host memory
//! for DMA stays small; pieces are queued without waiting for one another. A piece's memory is free
//! again when its command has ended, and where the pool has no more, the next piece waits for that.

use std::pin::Pin;
use std::task::{Context, Poll};

use carillon_driver::command::BEAT;
use carillon_driver::{Card, CardError, CardRegion, Finished, IoQueue, JobError, Ticket};

use super::clock::Seen;
use super::fault::{CardResult, done};
use super::lanes::quiet;
use super::tally::{self, Command};
use crate::image::{self, Image};
use crate::stats::CardStats;

/// Bytes of a piece at most, a multiple of 64.
const PIECE: u64 = 4 << 20;

/// Bytes that a transfer takes of the card's DMA memory at once: a piece of it, of several that fit.
///
/// Every queue may have a chain whose last command is held back with its piece until the next one comes. However these
/// lie, there is a place for one more between them: of q pieces and the gaps around them, if a piece is a quarter of a
/// q-th and the rings take no more than a quarter.
pub fn piece_bytes(card: &Card) -> usize {
    let share = card.host_memory_limit() / (4 * card.queues().len().max(1) as u64);
    let piece = PIECE.min(share) & !63;
    piece.max(64) as usize
}

/// Writes that are under way. Await them with [`Writes::finish`]; a queue runs in order, so
/// commands queued after them may rely on them without waiting.
#[derive(Default)]
pub struct Writes {
    under_way: Vec<Piece>,
    /// Of these, from the first on, so many were seen to have succeeded, with so many bytes.
    ended: usize,
    ended_bytes: u64,
}

/// A piece whose `WRITE` is queued.
struct Piece {
    bytes: u64,
    written: Written,
}

/// A `WRITE`: the future of its end, which may have been seen before it is awaited.
enum Written {
    UnderWay(Ticket<()>),
    /// Empty when it was awaited.
    Ended(Option<Finished<()>>),
}

impl Future for Written {
    type Output = Finished<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Finished<()>> {
        match &mut *self {
            Self::UnderWay(ticket) => Pin::new(ticket).poll(cx),
            Self::Ended(finished) => finished.take().map_or(Poll::Pending, Poll::Ready),
        }
    }
}

impl Written {
    /// How it ended, if it has; it can be awaited still.
    fn look(&mut self, cx: &mut Context<'_>) -> Option<&Finished<()>> {
        if let Self::UnderWay(ticket) = self
            && let Poll::Ready(finished) = Pin::new(ticket).poll(cx)
        {
            *self = Self::Ended(Some(finished));
        }
        match self {
            Self::UnderWay(_) => None,
            Self::Ended(finished) => finished.as_ref(),
        }
    }
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
            self.push(bytes, queue.submit_bytes(piece, &part).await);
            offset += bytes;
        }
        Ok(())
    }

    /// One more `WRITE`, of so many bytes, which is queued behind the others.
    pub fn push(&mut self, bytes: u64, written: Ticket<()>) {
        let written = Written::UnderWay(written);
        self.under_way.push(Piece { bytes, written });
    }

    /// Bytes of the writes that have ended; the task is woken when the next one does.
    ///
    /// # Errors
    /// That of the first write that has failed.
    pub fn poll_ended(&mut self, cx: &mut Context<'_>) -> Result<u64, JobError> {
        while let Some(piece) = self.under_way.get_mut(self.ended)
            && let Some(finished) = piece.written.look(cx)
        {
            if let Err(error) = &finished.result {
                return Err(error.clone());
            }
            self.ended += 1;
            self.ended_bytes += piece.bytes;
        }
        Ok(self.ended_bytes)
    }

    /// Waits for all writes and adds their cost. For those of a proof, `seen` notes what ran beside another proof.
    pub async fn finish(self, seen: Option<Seen<'_>>, stats: &mut CardStats) -> CardResult<()> {
        for Piece { bytes, written } in self.under_way {
            let (finished, beside) = match seen {
                Some(Seen { lane, since }) => lane.watch(since, written).await,
                None => (written.await, false),
            };
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
