//! What became of the commands of a trace, and which one failed first. Pure;
//! the listing and the replay are built on it.

use std::collections::BTreeMap;
use std::fmt;

use carillon_driver::command::RawCommand;
use carillon_driver::completion::Completion;
use carillon_driver::registers as reg;
use carillon_driver::status::StatusCode;
use serde::Serialize;

use super::names::{Access, QueueRegister};
use super::record::{Entry, Record};

/// One command of the recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traced {
    /// Its queue.
    pub queue: u16,
    /// Its place in the ring.
    pub slot: u16,
    /// What it is.
    pub raw: RawCommand,
    /// Number of its record, from 0.
    pub record: usize,
    /// When it was submitted, in nanoseconds.
    pub nanos: u64,
    /// How it ended.
    pub end: End,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The recording ended first.
    Open,
    /// With this completion.
    Completed {
        /// Number of the completion's record.
        record: usize,
        /// When it was seen, in nanoseconds.
        nanos: u64,
        /// What the card reports.
        completion: Completion,
        /// CRC-32 of what a `READ` brought.
        data: Option<u32>,
    },
    /// Without one.
    Lost {
        /// Number of the record that ended it.
        record: usize,
        /// What ended it.
        by: Loss,
    },
}

/// What ends a command that got no completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// Its queue was stopped.
    QueueStop,
    /// The controller was stopped.
    ControllerStop,
    /// The function was reset.
    Reset,
    /// The card left the bus.
    Removal,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::QueueStop => "its queue was stopped",
            Self::ControllerStop => "the controller was stopped",
            Self::Reset => "the card was reset",
            Self::Removal => "the card left the bus",
        })
    }
}

/// Why a command counts as the first that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It completed with a status other than success.
    Status(StatusCode),
    /// It never completed.
    Lost(Loss),
    /// It was the oldest of its queue when the ring held a completion that
    /// belongs to no command.
    Foreign,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(code) => write!(f, "completed with {}", code.name()),
            Self::Lost(by) => write!(f, "never completed: {by}"),
            Self::Foreign => f.write_str("a completion that belongs to no command came instead"),
        }
    }
}

/// The first failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Index of the command in [`History::commands`].
    pub command: usize,
    /// Number of the record that shows it.
    pub record: usize,
    /// What happened.
    pub why: Why,
}

/// Counts over a whole trace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Records.
    pub records: u64,
    /// Commands submitted.
    pub commands: u64,
    /// Commands that completed with success.
    pub succeeded: u64,
    /// Commands that completed with an error.
    pub errors: u64,
    /// Commands that never completed.
    pub lost: u64,
    /// Bytes of host memory recorded.
    pub memory_bytes: u64,
    /// Interrupts.
    pub interrupts: u64,
    /// Function-level resets.
    pub resets: u64,
    /// Records that the bounded recording threw away.
    pub dropped_records: u64,
    /// Bytes of them.
    pub dropped_bytes: u64,
    /// Nanoseconds from the first to the last record.
    pub nanos: u64,
}

/// The commands of a trace, in the order of their submission.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// All commands.
    pub commands: Vec<Traced>,
    /// The first that failed.
    pub failure: Option<Failure>,
    /// Counts.
    pub summary: Summary,
    interrupts: BTreeMap<u16, u64>,
    /// Commands by the number of the record that completed them.
    completed: BTreeMap<usize, usize>,
}

impl History {
    /// The history of these records.
    #[must_use]
    pub fn of(entries: &[Entry]) -> Self {
        let mut history = Self::default();
        for entry in entries {
            history.push(entry);
        }
        history
    }

    /// Takes the next record.
    pub fn push(&mut self, entry: &Entry) {
        let number = self.summary.records as usize;
        self.summary.records += 1;
        self.summary.nanos = self.summary.nanos.max(entry.nanos);
        match &entry.record {
            Record::Dropped { records, bytes } => {
                self.summary.dropped_records += records;
                self.summary.dropped_bytes += bytes;
            }
            Record::Memory { data, .. } => self.summary.memory_bytes += data.len() as u64,
            Record::Interrupt { vector, count } => {
                self.interrupts.insert(*vector, *count);
                self.summary.interrupts = self.interrupts.values().sum();
            }
            Record::Command { queue, slot, words } => {
                self.summary.commands += 1;
                self.commands.push(Traced {
                    queue: *queue,
                    slot: *slot,
                    raw: RawCommand::from_words(*words),
                    record: number,
                    nanos: entry.nanos,
                    end: End::Open,
                });
            }
            Record::Completion {
                queue, words, data, ..
            } => self.complete(number, entry.nanos, *queue, *words, *data),
            Record::Write { offset, value } => match Access::of(*offset) {
                Access::Queue(queue, QueueRegister::Ctrl)
                    if reg::queue_ctrl::ENABLE.get(*value) == 0 =>
                {
                    self.lose(number, Loss::QueueStop, Some(queue));
                }
                Access::Global(reg::ctrl::OFFSET) if reg::ctrl::ENABLE.get(*value) == 0 => {
                    self.lose(number, Loss::ControllerStop, None);
                }
                _ => {}
            },
            Record::Reset { error: None } => {
                self.summary.resets += 1;
                self.lose(number, Loss::Reset, None);
            }
            Record::Event(super::record::Event::Removed) => {
                self.lose(number, Loss::Removal, None);
            }
            Record::Event(super::record::Event::Reset) => self.lose(number, Loss::Reset, None),
            _ => {}
        }
    }

    /// Index of the command that the record `number` completes.
    #[must_use]
    pub fn completed_by(&self, number: usize) -> Option<usize> {
        self.completed.get(&number).copied()
    }

    fn fail(&mut self, command: usize, record: usize, why: Why) {
        self.failure.get_or_insert(Failure {
            command,
            record,
            why,
        });
    }

    fn complete(
        &mut self,
        record: usize,
        nanos: u64,
        queue: u16,
        words: [u64; 4],
        data: Option<u32>,
    ) {
        let completion = Completion::from_words(words).map(|(c, _)| c);
        // A command that was told to stop may still have completed.
        let waits = |c: &&Traced| c.queue == queue && matches!(c.end, End::Open | End::Lost { .. });
        let mut waiting = self.commands.iter();
        let found = completion
            .filter(|c| c.queue == queue)
            .and_then(|found| waiting.rposition(|c| waits(&c) && c.raw.cid == found.cid));
        let (Some(completion), Some(index)) = (completion, found) else {
            let oldest = self.commands.iter().position(|c| waits(&c));
            if let Some(oldest) = oldest {
                self.fail(oldest, record, Why::Foreign);
            }
            return;
        };
        if matches!(self.commands[index].end, End::Lost { .. }) {
            self.summary.lost -= 1;
        }
        self.commands[index].end = End::Completed {
            record,
            nanos,
            completion,
            data,
        };
        self.completed.insert(record, index);
        if completion.status.code == StatusCode::Success {
            self.summary.succeeded += 1;
            if self.failure.is_some_and(|f| f.command == index) {
                self.failure = None;
            }
        } else {
            self.summary.errors += 1;
            self.fail(index, record, Why::Status(completion.status.code));
        }
    }

    fn lose(&mut self, record: usize, by: Loss, queue: Option<u16>) {
        let mut first = None;
        for (index, command) in self.commands.iter_mut().enumerate() {
            if command.end == End::Open && queue.is_none_or(|q| q == command.queue) {
                command.end = End::Lost { record, by };
                self.summary.lost += 1;
                first.get_or_insert(index);
            }
        }
        if let Some(first) = first {
            self.fail(first, record, Why::Lost(by));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(record: Record) -> Entry {
        Entry { nanos: 1, record }
    }

    fn command(queue: u16, cid: u16) -> Entry {
        let raw = RawCommand {
            opcode: 0x10,
            cid,
            ..RawCommand::default()
        };
        entry(Record::Command {
            queue,
            slot: cid,
            words: raw.to_words(),
        })
    }

    fn completion(queue: u16, cid: u16, code: StatusCode) -> Entry {
        let mut c = Completion::from_words([0; 4]).unwrap().0;
        (c.queue, c.cid, c.status) = (queue, cid, code.into());
        entry(Record::Completion {
            queue,
            slot: cid,
            words: c.to_words(true),
            data: None,
        })
    }

    fn write(offset: u32, value: u32) -> Entry {
        entry(Record::Write { offset, value })
    }

    #[test]
    fn the_first_error_is_the_failure() {
        let history = History::of(&[
            command(1, 1),
            command(2, 1),
            command(1, 2),
            completion(1, 1, StatusCode::Success),
            completion(1, 2, StatusCode::BadScalar),
            completion(2, 1, StatusCode::Internal),
        ]);
        let failure = history.failure.unwrap();
        assert_eq!((failure.command, failure.record), (2, 4));
        assert_eq!(failure.why, Why::Status(StatusCode::BadScalar));
        assert_eq!((history.summary.succeeded, history.summary.errors), (1, 2));
    }

    #[test]
    fn a_stop_blames_the_oldest_command_of_its_queue() {
        let stop = write(reg::queue_ctrl::offset(2), 0);
        let history = History::of(&[command(1, 7), command(2, 8), command(2, 9), stop]);
        let failure = history.failure.unwrap();
        assert_eq!(
            (failure.command, failure.why),
            (1, Why::Lost(Loss::QueueStop))
        );
        assert_eq!(history.summary.lost, 2);
        assert_eq!(history.commands[0].end, End::Open);
    }

    #[test]
    fn a_command_that_ended_well_before_the_stop_took_effect_is_no_failure() {
        let stop = write(reg::ctrl::OFFSET, 0);
        let late = completion(1, 7, StatusCode::Success);
        let history = History::of(&[command(1, 7), stop, late]);
        assert_eq!((history.failure, history.summary.lost), (None, 0));
    }

    #[test]
    fn a_foreign_completion_is_held_against_the_oldest() {
        let history = History::of(&[
            command(1, 7),
            command(1, 8),
            completion(1, 99, StatusCode::Success),
        ]);
        let failure = history.failure.unwrap();
        assert_eq!((failure.command, failure.why), (0, Why::Foreign));
    }
}
