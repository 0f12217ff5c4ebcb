//! What the commands of a chain share, and the one that is held back.
//!
//! A link ends with the *next* command of the queue, so no other command may come
//! between: a chain has the queue's [`Turn`] from its first command to its end. Which
//! command is the last is known only then, so that the newest one is held back
//! ([`Held`]): it has its slot and its id, and the card learns of it when the next one
//! comes (with the flag) or the chain ends (without). So a chain that is dropped
//! half-way is closed all the same, and the command of somebody else behind it never
//! belongs to it. Used by `queue_pair.rs`; chains are made by `io/chain.rs`. Pure.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;

use crate::command::{FLAG_LINK, RawCommand};
use crate::error::JobError;
use crate::ring::Placed;

/// Exclusive use of a queue's tail.
pub(crate) type Turn = OwnedMutexGuard<()>;

/// A command that has its slot, and that the card does not know of yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub placed: Placed,
    pub raw: RawCommand,
}

impl Held {
    /// The command as it goes to the card.
    pub fn released(self, linked: bool) -> (Placed, RawCommand) {
        let Self { placed, mut raw } = self;
        if linked {
            raw.flags |= FLAG_LINK;
        }
        (placed, raw)
    }
}

/// What the commands of one chain share.
pub(crate) struct Link {
    _turn: Turn,
    /// The queue's session when the chain began: a chain does not go on in another.
    pub session: u64,
    /// Whether its commands carry the flag.
    pub flagged: bool,
    /// Why no more commands are taken.
    broken: Mutex<Option<JobError>>,
}

impl Link {
    pub fn new(turn: Turn, session: u64, flagged: bool) -> Self {
        Self {
            _turn: turn,
            session,
            flagged,
            broken: Mutex::new(None),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<JobError>> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A command could not be sent: those after it are not, either.
    pub fn break_off(&self, error: &JobError) {
        self.lock().get_or_insert_with(|| error.clone());
    }

    /// Why the chain takes no more commands, if it does not.
    pub fn broken(&self) -> Option<JobError> {
        self.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;

    #[test]
    fn only_the_flag_tells_a_link_from_the_end() {
        let raw = Command::Fill {
            word: 1,
            card: 64,
            bytes: 128,
        }
        .encode(7);
        let placed = Placed {
            index: 3,
            cid: 7,
            tail: 4,
        };
        let held = Held { placed, raw };
        assert_eq!(held.released(false), (placed, raw));
        let (_, linked) = held.released(true);
        assert_eq!(linked.flags, FLAG_LINK);
        assert_eq!(RawCommand { flags: 0, ..linked }, raw);
    }
}
