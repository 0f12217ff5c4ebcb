//! Chains: commands that the card runs only while those before them succeed.
//!
//! A [`Chain`] is an I/O queue to submit to, whose commands carry the flag `LINK`
//! but for the last. How that is known: `link.rs`.

use std::ops::Deref;
use std::sync::Arc;

use super::IoQueue;
use crate::link::Link;
use crate::shared::Shared;

/// A chain on an I/O queue: everything that can be submitted to the queue can be
/// submitted to it. Made by [`IoQueue::chain`]; ends when it is dropped (and every
/// clone of the queue that it derefs to), which sends its last command.
///
/// Whoever waits for the end of the last command must end the chain first.
#[derive(Debug)]
pub struct Chain {
    queue: IoQueue,
}

impl Chain {
    pub(super) fn new(queue: IoQueue) -> Self {
        Self { queue }
    }

    /// Ends the chain: its last command goes to the card. The same as dropping it.
    pub fn finish(self) {}
}

impl Deref for Chain {
    type Target = IoQueue;

    fn deref(&self) -> &IoQueue {
        &self.queue
    }
}

/// The handle that commands of a chain go by; closes it when the last one is dropped.
pub(super) struct Open {
    pub link: Link,
    shared: Arc<Shared>,
    index: usize,
}

impl Open {
    pub fn new(link: Link, shared: Arc<Shared>, index: usize) -> Self {
        Self {
            link,
            shared,
            index,
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // Before the turn goes to somebody else, which it does with `link`.
        self.shared.queues[self.index].release(false);
    }
}
