//! Rows of A and B to the card while later rows are computed.
//!
//! For an assignment that has recorded constraints instead of values. A block of rows is computed, on all cores, where
//! the card reads it: in DMA memory, so that no A and no B exist on the host. Its `WRITE`s are queued as soon as it
//! is done, whichever block that is; the blocks behind it are computed meanwhile.
//!
//! Two things keep it going where DMA memory is short. The list has its queue's turn before it takes any, so nobody
//! there waits for memory with the turn that a finished block needs. And taking memory and queueing finished blocks
//! go on side by side: a block waits for memory only while others, which need none, are computed or sent.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use blstrs::Scalar;
use carillon_driver::{Card, CardRegion, HostBuf, IoQueue};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::fault::{CardResult, Fault};
use super::stop::StopOnDrop;
use super::transfer::{Writes, piece_bytes};
use crate::groth16::{Assignment, RowFault};
use crate::image::{self, SCALAR_BYTES};
use crate::progress::Phase;
use crate::stats::RowStats;

/// Rows of a block at most, a power of two: few enough that much is sent before the last are computed.
const ROWS: usize = 1 << 13;

/// Rows of a block for a domain: its parts of A and of B are a piece together.
fn rows_of(card: &Card, domain: usize) -> usize {
    let fit = piece_bytes(card) / (2 * SCALAR_BYTES);
    // Two rows are the least that a `WRITE` carries.
    1 << ROWS.min(domain).min(fit).max(2).ilog2()
}

/// A block that is computed.
struct Block {
    first: usize,
    /// Its parts of A and B.
    parts: [HostBuf; 2],
    computed: Result<(), Fault>,
    ended: Instant,
    _place: OwnedSemaphorePermit,
}

/// What the threads that compute blocks have in common.
#[derive(Clone)]
struct Work {
    assignment: Arc<Assignment>,
    stop: Arc<AtomicBool>,
    /// Blocks that are computed.
    computed: Arc<AtomicUsize>,
    done: UnboundedSender<Block>,
}

/// Computes the rows and queues them for the regions of A and B, in any order; `writes` has the `WRITE`s then. The
/// queue is a chain or a series, as `IoQueue::series` explains. A violated constraint is [`Fault::Unsatisfied`].
pub async fn send(
    card: &Card,
    queue: &IoQueue,
    assignment: &Arc<Assignment>,
    regions: [&CardRegion; 2],
    writes: &mut Writes,
) -> CardResult<RowStats> {
    let domain = assignment.shape().domain();
    let rows = rows_of(card, domain);
    let stop = StopOnDrop::default();
    let computed = Arc::new(AtomicUsize::new(0));
    let (done, mut finished) = unbounded_channel();
    let work = Work {
        assignment: Arc::clone(assignment),
        stop: stop.flag(),
        computed: Arc::clone(&computed),
        done,
    };
    let mut sending = Sending {
        queue,
        regions,
        writes,
        blocks: domain / rows,
        computed,
        stats: RowStats::default(),
    };
    let started = Instant::now();
    let sent = tokio::try_join!(
        compute(card, work, (0..domain).step_by(rows), rows),
        sending.run(&mut finished, started),
    );
    let Err(mut fault) = sent else {
        return Ok(sending.stats);
    };
    if !matches!(fault, Fault::Unsatisfied(_)) {
        stop.stop();
    }
    // No thread is left behind. The blocks before a violated constraint were begun before its own, so what they say is
    // still heard.
    while let Some(block) = finished.recv().await {
        fault = earlier(fault, block.computed);
    }
    Err(fault)
}

/// Of several violated constraints it is the first that is named; any other fault stays.
fn earlier(fault: Fault, computed: Result<(), Fault>) -> Fault {
    match (fault, computed) {
        (Fault::Unsatisfied(one), Err(Fault::Unsatisfied(other))) => {
            Fault::Unsatisfied(one.min(other))
        }
        (fault, _) => fault,
    }
}

/// Begins block after block as there is memory for them.
async fn compute(
    card: &Card,
    work: Work,
    starts: impl Iterator<Item = usize>,
    rows: usize,
) -> CardResult<()> {
    // One is sent while the cores have another each.
    let places = Arc::new(Semaphore::new(rayon::current_num_threads() + 1));
    let bytes = rows * SCALAR_BYTES;
    for first in starts {
        let place = Arc::clone(&places).acquire_owned().await;
        let place = place.map_err(Fault::worker)?;
        let mut a = card.buffer_to_card_in_turn(2 * bytes).await?;
        let b = a.split_off(bytes);
        let b = b.ok_or_else(|| Fault::worker("a block is no multiple of 64 bytes"))?;
        let work = work.clone();
        // A thread that panics sends nothing, which is noticed.
        tokio::task::spawn_blocking(move || work.block(first, [a, b], place));
    }
    Ok(())
}

impl Work {
    /// Computes a block on all cores.
    fn block(self, first: usize, mut parts: [HostBuf; 2], place: OwnedSemaphorePermit) {
        let computed = self.fill(first, &mut parts);
        let ended = Instant::now();
        self.computed.fetch_add(1, Ordering::Release);
        let block = Block {
            first,
            parts,
            computed,
            ended,
            _place: place,
        };
        // If nobody wants it, its memory is wiped and given back here.
        drop(self.done.send(block));
    }

    fn fill(&self, first: usize, [a, b]: &mut [HostBuf; 2]) -> Result<(), Fault> {
        // Never refused: buffers lie at multiples of 64 bytes, and so do their parts.
        let a = image::view_mut::<Scalar>(a).map_err(Fault::worker)?;
        let b = image::view_mut::<Scalar>(b).map_err(Fault::worker)?;
        let computed = self.assignment.rows(first, (a, b), &self.stop);
        computed.map_err(|fault| match fault {
            RowFault::Violated(index) => Fault::Unsatisfied(index),
            RowFault::Stopped => Fault::worker("it was told to stop"),
        })
    }
}

/// The side that queues finished blocks.
struct Sending<'a> {
    queue: &'a IoQueue,
    regions: [&'a CardRegion; 2],
    writes: &'a mut Writes,
    blocks: usize,
    computed: Arc<AtomicUsize>,
    stats: RowStats,
}

impl Sending<'_> {
    async fn run(
        &mut self,
        finished: &mut UnboundedReceiver<Block>,
        started: Instant,
    ) -> CardResult<()> {
        let mut wall = Duration::ZERO;
        for _ in 0..self.blocks {
            let block = self.next(finished).await?;
            wall = wall.max(block.ended.duration_since(started));
            block.computed?;
            let offset = (block.first * SCALAR_BYTES) as u64;
            for (part, region) in block.parts.into_iter().zip(self.regions) {
                let bytes = part.padded_len() as u64;
                let place = region.part(offset, bytes)?;
                let written = self.queue.submit_write_away(part, &place).await;
                self.writes.push(bytes, written);
                self.stats.bytes += bytes;
            }
        }
        self.stats.wall = wall;
        Ok(())
    }

    /// The next block that is computed. Looks at the end of `WRITE`s meanwhile: one that fails ends it.
    async fn next(&mut self, finished: &mut UnboundedReceiver<Block>) -> CardResult<Block> {
        poll_fn(|cx| {
            let sent = match self.writes.poll_ended(cx) {
                Ok(sent) => sent,
                Err(error) => return Poll::Ready(Err(Fault::from(error).at(Phase::Load))),
            };
            // Looked at behind that: what had ended by then had ended while rows were computed.
            if self.computed.load(Ordering::Acquire) < self.blocks {
                self.stats.sent_meanwhile = sent;
            }
            let block = finished.poll_recv(cx);
            let missing = || Fault::worker("a thread has ended without its block");
            block.map(|block| block.ok_or_else(missing))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_violated_constraint_is_named_whichever_block_ends_first() {
        let blocks = [Err(Fault::Unsatisfied(4)), Ok(()), Err(Fault::worker("x"))];
        let fault = blocks.into_iter().fold(Fault::Unsatisfied(9), earlier);
        assert!(matches!(fault, Fault::Unsatisfied(4)), "{fault:?}");
        let fault = earlier(Fault::Unsatisfied(4), Err(Fault::Unsatisfied(9)));
        assert!(matches!(fault, Fault::Unsatisfied(4)), "{fault:?}");
        let fault = earlier(Fault::worker("x"), Err(Fault::Unsatisfied(9)));
        assert!(matches!(fault, Fault::Worker(_)), "{fault:?}");
    }
}
