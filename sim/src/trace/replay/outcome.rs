//! What a replay found. Plain data, for the command line.

use std::fmt;

use carillon_driver::completion::Completion;
use serde::Serialize;

use crate::trace::history::Traced;
use crate::trace::names;

/// How the replay's card and the recorded one differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Another status, queue or command id.
    Completion {
        /// The recorded one.
        recorded: Completion,
        /// The replay's.
        replayed: Completion,
    },
    /// The replay's card wrote a completion with reserved bits set.
    Malformed,
    /// The replay's card did not complete it in time.
    Missing,
    /// It completed here, and not in the recording.
    Ended {
        /// The replay's completion.
        replayed: Completion,
    },
    /// A `READ` brought other bytes.
    Data,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Completion { recorded, replayed } => {
                let of = |c: &Completion| {
                    format!(
                        "{} (queue {}, cid {:#06x})",
                        c.status.code.name(),
                        c.queue,
                        c.cid
                    )
                };
                write!(f, "recorded {}, replayed {}", of(recorded), of(replayed))
            }
            Self::Malformed => f.write_str("replayed as a malformed completion"),
            Self::Missing => f.write_str("completed in the recording, not in the replay"),
            Self::Ended { replayed } => write!(
                f,
                "never completed in the recording, replayed {}",
                replayed.status.code.name()
            ),
            Self::Data => f.write_str("the bytes read differ from the recorded ones"),
        }
    }
}

/// A difference, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Index of the command in the recording.
    pub command: usize,
    /// Its queue.
    pub queue: u16,
    /// Its command id.
    pub cid: u16,
    /// The contract's name of it.
    pub opcode: String,
    /// What differs.
    #[serde(serialize_with = "as_text")]
    pub what: What,
}

fn as_text<S: serde::Serializer>(what: &What, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(what)
}

impl Difference {
    pub(super) fn new(command: usize, traced: &Traced, what: What) -> Self {
        Self {
            command,
            queue: traced.queue,
            cid: traced.raw.cid,
            opcode: names::opcode(&traced.raw),
            what,
        }
    }
}

/// The result of a replay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Commands given to the card.
    pub commands: u64,
    /// Commands that something else stood in for, because the failing one does
    /// not depend on them.
    pub left_out: u64,
    /// Completions compared.
    pub compared: u64,
    /// `READ`s whose bytes were compared.
    pub data_compared: u64,
    /// `READ`s of an MSM's result, whose coordinates the contract leaves open.
    pub data_open: u64,
    /// Every difference, the first one first.
    pub differences: Vec<Difference>,
    /// Why the replay ended before the recording, if it did.
    pub stopped: Option<String>,
}
