//! The hand-over between CPU and card, in both directions, without any I/O.
//!
//! Ring rules 1 and 2 of `driver/DESIGN.md`, and nothing else: in which order
//! words are stored and loaded, and what keeps them in it. Called by
//! `queue_pair.rs` over [`HostMemory`]; the tests run the same functions under
//! loom, which tries every order that the memory model allows, and show that
//! they fail once any of the orderings asked for here is weakened.

use std::sync::atomic::{Ordering, fence};

use crate::command::COMMAND_BYTES;
use crate::completion::{COMPLETION_BYTES, PHASE_BIT, PHASE_WORD};
use crate::memory::{HostMemory, MemoryError};

/// Words of a command.
pub(crate) const COMMAND_WORDS: usize = COMMAND_BYTES / 8;
/// Words of a completion; the last has the phase bit.
pub(crate) const COMPLETION_WORDS: usize = COMPLETION_BYTES / 8;

/// Memory that CPU and card touch at the same time, as 64-bit words by byte
/// offset.
pub(crate) trait Words {
    /// An offset out of range.
    type Error;
    /// Loads a word; `order` is `Relaxed` or `Acquire`.
    fn load(&self, offset: usize, order: Ordering) -> Result<u64, Self::Error>;
    /// Stores a word, relaxed.
    fn store(&self, offset: usize, value: u64) -> Result<(), Self::Error>;
    /// Orders every store before it before every store after it.
    fn fence_release(&self);
}

impl Words for HostMemory {
    type Error = MemoryError;

    fn load(&self, offset: usize, order: Ordering) -> Result<u64, MemoryError> {
        HostMemory::load(self, offset, order)
    }

    fn store(&self, offset: usize, value: u64) -> Result<(), MemoryError> {
        HostMemory::store(self, offset, value, Ordering::Relaxed)
    }

    fn fence_release(&self) {
        fence(Ordering::Release);
    }
}

/// Rule 1: the whole command at `at`, then the fence, then one doorbell.
///
/// # Errors
/// Out of range; the doorbell is not rung then.
pub(crate) fn submit<W: Words>(
    ring: &W,
    at: usize,
    command: &[u64; COMMAND_WORDS],
    doorbell: impl FnOnce(),
) -> Result<(), W::Error> {
    for (i, word) in command.iter().enumerate() {
        ring.store(at + 8 * i, *word)?;
    }
    ring.fence_release();
    doorbell();
    Ok(())
}

/// Rule 2: the completion at `at` if its phase says that it is new. The word
/// with the phase is loaded first, with `Acquire`, then the rest.
///
/// # Errors
/// Out of range.
pub(crate) fn completion<W: Words>(
    ring: &W,
    at: usize,
    phase: bool,
) -> Result<Option<[u64; COMPLETION_WORDS]>, W::Error> {
    let last = ring.load(at + PHASE_WORD, Ordering::Acquire)?;
    if (last & PHASE_BIT != 0) != phase {
        return Ok(None);
    }
    let mut words = [0; COMPLETION_WORDS];
    for (i, word) in words.iter_mut().take(COMPLETION_WORDS - 1).enumerate() {
        *word = ring.load(at + 8 * i, Ordering::Relaxed)?;
    }
    words[COMPLETION_WORDS - 1] = last;
    Ok(Some(words))
}

#[cfg(test)]
mod tests;
