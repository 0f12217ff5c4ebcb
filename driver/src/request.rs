//! What is asked of a card's task (`worker.rs`): by its handle, and by the
//! tickets of commands that nobody waits for any more.

use tokio::sync::oneshot;

use crate::error::CardError;

/// What others ask of the task.
pub(crate) enum Request {
    /// End a command, best effort.
    Abort {
        /// Its queue.
        queue: u16,
        /// Its id.
        cid: u16,
    },
    /// Reset the card; answers when it is in service again.
    Reset {
        /// How deep.
        level: ResetLevel,
        /// The answer.
        done: oneshot::Sender<Result<(), CardError>>,
    },
    /// Stop the card and end.
    Close,
}

/// How deep a reset goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetLevel {
    /// All queues are stopped and started; card memory keeps its content.
    Controller,
    /// Function-level reset; card memory loses its content.
    Function,
}
