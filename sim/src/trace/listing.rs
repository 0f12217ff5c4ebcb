//! Records as lines for people. Pure; the command `trace show` prints them.

use carillon_driver::command::RawCommand;
use carillon_driver::completion::Completion;

use super::names::{self, Access};
use super::record::Record;

/// One line about a record, for people.
#[must_use]
pub fn describe(record: &Record) -> String {
    let failed = |error: &Option<String>| match error {
        Some(error) => format!(" FAILED: {error}"),
        None => String::new(),
    };
    match record {
        Record::Start {
            transport, version, ..
        } => format!("start     {transport}, recorded by version {version}"),
        Record::Dropped { records, bytes } => {
            format!("dropped   {records} older records of {bytes} bytes")
        }
        Record::Read { offset, value } => {
            format!("read      {} = {value:#010x}", names::register(*offset))
        }
        Record::Write { offset, value } => {
            format!("write     {} = {value:#010x}", names::register(*offset))
        }
        Record::Map {
            iova,
            bytes,
            rights,
        } => format!("map       {iova:#x} {bytes} bytes, card: {rights:?}"),
        Record::MapFailed { bytes, error, .. } => {
            format!("map       {bytes} bytes FAILED: {error}")
        }
        Record::Unmap { iova, error } => format!("unmap     {iova:#x}{}", failed(error)),
        Record::Memory { iova, data } => format!("memory    {iova:#x} {} bytes", data.len()),
        Record::Unreachable { iova, bytes } => {
            format!("memory    {iova:#x} {bytes} bytes are not mapped")
        }
        Record::Command { queue, slot, words } => {
            let raw = RawCommand::from_words(*words);
            format!(
                "command   q{queue}[{slot}] cid {:#06x} {} {}",
                raw.cid,
                names::opcode(&raw),
                names::operands(&raw)
            )
        }
        Record::Completion {
            queue, slot, words, ..
        } => match Completion::from_words(*words) {
            Some((c, _)) => format!(
                "complete  q{queue}[{slot}] cid {:#06x} {} cycles={} ops={} detail={}",
                c.cid,
                c.status.code.name(),
                c.cycles,
                c.ops,
                c.detail
            ),
            None => format!("complete  q{queue}[{slot}] MALFORMED {words:x?}"),
        },
        Record::Interrupt { vector, count } => format!("interrupt vector {vector}, {count} so far"),
        Record::Reset { error } => format!("reset     of the function{}", failed(error)),
        Record::Event(event) => format!("event     {event:?}"),
        Record::End => "end".to_owned(),
    }
}

/// The queue that a record concerns, if it is one.
#[must_use]
pub fn queue_of(record: &Record) -> Option<u16> {
    match record {
        Record::Read { offset, .. } | Record::Write { offset, .. } => Access::of(*offset).queue(),
        Record::Command { queue, .. } | Record::Completion { queue, .. } => Some(*queue),
        Record::Interrupt { vector, .. } => Some(*vector),
        _ => None,
    }
}
