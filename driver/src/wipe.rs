//! Card memory is left without what was computed there.
//!
//! A card that has `FILL` writes zeros by itself. Others are sent them: one
//! buffer of zeros that a scatter list names again and again, so that it takes
//! little host memory and one command for a range of any size.
//! [`IoQueue::clear`](crate::IoQueue::clear) does so for one region;
//! [`Shared::wipe`] when the card is closed, for everything that commands have
//! touched since. A process that is killed leaves what it has not cleared.

use std::ops::Range;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::command::{BEAT, Command, SGL_ENTRY_BYTES, SglEntry};
use crate::dma::HostBuf;
use crate::error::JobError;
use crate::registers as reg;
use crate::shared::{Health, Shared};

/// Bytes of zeros in host memory at most.
const ZEROS: u64 = 1 << 20;
/// Bytes that one command writes at most when the card is closed.
const STEP: u64 = 256 << 20;

/// How a range of card memory is overwritten: zeros in host memory, then a list
/// that names them until the range is full.
pub(crate) struct Zeros {
    range: Range<u64>,
    zeros: u64,
}

impl Zeros {
    /// For `range` (of whole beats), with a pool of so many bytes.
    pub fn of(range: Range<u64>, pool: u64) -> Self {
        let bytes = range.end - range.start;
        // A small part of the pool, so that it is soon there.
        let most = ZEROS.min(pool / 16).min(bytes) / BEAT * BEAT;
        Self {
            range,
            zeros: most.max(BEAT),
        }
    }

    fn entries(&self) -> u64 {
        (self.range.end - self.range.start).div_ceil(self.zeros)
    }

    /// Bytes of the buffer that [`Zeros::command`] needs, zeroed.
    pub fn bytes(&self) -> usize {
        (self.zeros + self.entries() * SGL_ENTRY_BYTES as u64) as usize
    }

    /// The command, and the buffer with the list filled in.
    pub fn command(&self, mut buffer: HostBuf) -> (Command, HostBuf) {
        let bytes = self.range.end - self.range.start;
        let (zeros, host) = (self.zeros, buffer.iova());
        let list = buffer.get_mut(zeros as usize..).unwrap_or_default();
        for (index, entry) in list.chunks_exact_mut(SGL_ENTRY_BYTES).enumerate() {
            let left = bytes.saturating_sub(index as u64 * zeros).min(zeros);
            entry.copy_from_slice(bytemuck::bytes_of(&SglEntry {
                address: host,
                bytes: left,
            }));
        }
        let command = Command::Write {
            host: host + zeros,
            card: self.range.start,
            bytes,
            list: true,
        };
        (command, buffer)
    }
}

/// Why card memory still holds something.
#[derive(Debug, thiserror::Error)]
enum Kept {
    #[error("the card has left the bus")]
    Gone,
    #[error("a command under way does not end")]
    Busy,
    #[error("no host memory for it: {0}")]
    Memory(String),
    #[error("{0}")]
    Job(#[from] JobError),
}

impl Shared {
    /// Ends all commands and overwrites what they have left in card memory;
    /// once, and only on a card in service. Blocks; gives up, and says so, when
    /// the card does not move for as long as a command may stand still.
    pub(crate) fn wipe(&self) {
        let mut wiped = self.wiped.lock().unwrap_or_else(PoisonError::into_inner);
        let ready = matches!(&*self.health.borrow(), Health::Ready);
        if std::mem::replace(&mut *wiped, true) || !ready {
            return;
        }
        if self.memory.touched().bytes() == 0 {
            return;
        }
        for queue in &self.queues {
            queue.end(JobError::Closed);
            queue.abandon_all();
        }
        if let Err(why) = self.overwrite() {
            let bytes = self.memory.touched().bytes();
            tracing::warn!(
                %why, bytes,
                "card memory was not overwritten: whoever opens the card next can read it"
            );
        }
    }

    fn overwrite(&self) -> Result<(), Kept> {
        self.settle()?;
        let queue = self.queues.get(1).ok_or(Kept::Busy)?;
        for range in self.memory.touched().iter() {
            let mut start = range.start;
            while start < range.end {
                let part = start..range.end.min(start + STEP);
                start = part.end;
                let (command, memory) = self.overwriting(part.clone())?;
                let end = Instant::now() + self.deadlines.stall;
                while !queue.has_free_slot() && Instant::now() < end {
                    std::thread::sleep(Duration::from_millis(1));
                }
                let mut answer = queue.submit_last(&command, memory).ok_or(Kept::Busy)?;
                self.settle()?;
                // Without an answer the command has not ended well.
                answer.try_recv().map_err(|_| Kept::Busy)?.result?;
                self.memory.cleared(part);
            }
        }
        Ok(())
    }

    /// The command that overwrites a range with zeros, and the host memory that it needs.
    fn overwriting(&self, range: Range<u64>) -> Result<(Command, Vec<HostBuf>), Kept> {
        if self.fill.load(Ordering::Acquire) {
            let fill = Command::Fill {
                word: 0,
                card: range.start,
                bytes: range.end - range.start,
            };
            return Ok((fill, Vec::new()));
        }
        let plan = Zeros::of(range, self.to_card.limit());
        let buffer = self.to_card.allocate(plan.bytes());
        let buffer = buffer.map_err(|e| Kept::Memory(e.to_string()))?;
        let (command, buffer) = plan.command(buffer);
        Ok((command, vec![buffer]))
    }

    /// Waits until nothing is under way, as long as the card moves.
    fn settle(&self) -> Result<(), Kept> {
        let mut work = None;
        let mut moved = Instant::now();
        let mut pause = Duration::from_micros(50);
        loop {
            let late = moved.elapsed() >= self.deadlines.stall;
            for queue in &self.queues {
                queue
                    .poll(&self.counters.completions)
                    .map_err(|cause| JobError::Protocol { cause })?;
                if queue.number() != 0
                    && let Some(cid) = queue.take_abandoned()
                {
                    let abort = Command::Abort {
                        queue: queue.number(),
                        cid,
                    };
                    let sent = self.queues.first().and_then(|q| q.submit_last(&abort, ()));
                    if sent.is_none() {
                        queue.was_not_asked(cid);
                    }
                }
            }
            if self.queues.iter().all(|queue| queue.outstanding() == 0) {
                return Ok(());
            }
            if late {
                return Err(Kept::Busy);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
            let status = self.bar.read(reg::status::OFFSET).map_err(|_| Kept::Gone)?;
            if reg::status::FATAL.get(status) != 0 {
                return Err(Kept::Busy);
            }
            let now = self.bar.counters().map_err(|_| Kept::Gone)?.work();
            if work.replace(now) != Some(now) {
                moved = Instant::now();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_fills_the_range_and_no_more() {
        for (bytes, pool) in [
            (64, 1 << 20),
            (4096, 1 << 20),
            (5 << 20, 64 << 20),
            (1 << 20, 2048),
        ] {
            let plan = Zeros::of(128..128 + bytes, pool);
            let (zeros, entries) = (plan.zeros, plan.entries());
            assert!(zeros.is_multiple_of(BEAT) && zeros <= bytes.max(BEAT));
            assert!(zeros * (entries - 1) < bytes && bytes <= zeros * entries);
            assert_eq!(plan.bytes() as u64, zeros + 16 * entries);
        }
    }
}
