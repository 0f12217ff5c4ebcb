//! `carillon trace show`: a recording as a list, with the first failure marked.

use std::collections::VecDeque;
use std::path::PathBuf;

use carillon_cli::{Failure, grouped};
use carillon_runtime::trace::{Entry, Record, Recording, listing, names};
use clap::Args;
use serde_json::{Value, json};

use super::{failure as failure_of, open, verdict};
use crate::Context;

/// Arguments of `trace show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The recording
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Only what concerns this queue; 0 is the admin queue
    #[arg(long, value_name = "N")]
    queue: Option<u16>,
    /// Only the last N of the records
    #[arg(long, value_name = "N")]
    last: Option<usize>,
}

/// Lists the records and sums them up.
pub fn run(context: &Context, args: &ShowArgs) -> Result<(), Failure> {
    let recording = open(&args.file)?;
    let entries = recording.entries().map_err(failure_of)?;
    let chosen = entries.enumerate().filter(|(_, entry)| {
        args.queue
            .is_none_or(|queue| listing::queue_of(&entry.record) == Some(queue))
    });
    // Payloads stay in the file: a recording may be larger than memory.
    let mut lines = VecDeque::new();
    let mut list = VecDeque::new();
    for (number, entry) in chosen {
        lines.push_back(line(&recording, number, &entry));
        list.push_back(object(&recording, number, &entry));
        if args.last.is_some_and(|last| lines.len() > last) {
            lines.pop_front();
            list.pop_front();
        }
    }
    let rows = summary(&recording);
    let fields = json!({
        "file": args.file,
        "transport": recording.transport,
        "summary": recording.history.summary,
        "damage": recording.damage.as_ref().map(ToString::to_string),
        "failure": failure(&recording),
        "records": list,
    });
    for line in lines {
        context.output.closing(&line);
    }
    context.output.closing("");
    context
        .output
        .result("carillon.trace.show/1", fields, &rows);
    verdict(&recording, &args.file)
}

/// The first failure as JSON, or null.
pub fn failure(recording: &Recording) -> Value {
    let Some(failure) = recording.history.failure else {
        return Value::Null;
    };
    let command = &recording.history.commands[failure.command];
    json!({
        "command": failure.command,
        "record": failure.record,
        "queue": command.queue,
        "cid": command.raw.cid,
        "opcode": names::opcode(&command.raw),
        "why": failure.why.to_string(),
    })
}

/// The same for people.
pub fn failure_text(recording: &Recording) -> String {
    let Some(failure) = recording.history.failure else {
        return "none".to_owned();
    };
    let command = &recording.history.commands[failure.command];
    format!(
        "command #{} (queue {}, cid {:#06x}, {}): {}",
        failure.command,
        command.queue,
        command.raw.cid,
        names::opcode(&command.raw),
        failure.why
    )
}

/// Index of the command that the record is, or completes.
fn command_of(recording: &Recording, number: usize, record: &Record) -> Option<usize> {
    let commands = &recording.history.commands;
    match record {
        Record::Command { .. } => commands.binary_search_by_key(&number, |c| c.record).ok(),
        Record::Completion { .. } => recording.history.completed_by(number),
        _ => None,
    }
}

fn line(recording: &Recording, number: usize, entry: &Entry) -> String {
    let command = command_of(recording, number, &entry.record)
        .map_or_else(String::new, |index| format!(" #{index}"));
    let mark = match recording.history.failure {
        Some(f) if f.record == number => "   <== FIRST FAILURE shows here",
        Some(f) if recording.history.commands[f.command].record == number => {
            "   <== this command FAILS first"
        }
        _ => "",
    };
    let time = entry.time().as_secs_f64();
    let text = listing::describe(&entry.record);
    format!("{number:>7} {time:>12.6}  {text}{command}{mark}")
}

fn object(recording: &Recording, number: usize, entry: &Entry) -> Value {
    json!({
        "record": number,
        "nanos": entry.nanos,
        "queue": listing::queue_of(&entry.record),
        "command": command_of(recording, number, &entry.record),
        "text": listing::describe(&entry.record),
    })
}

fn summary(recording: &Recording) -> Vec<(&'static str, String)> {
    let s = &recording.history.summary;
    let mut rows = vec![
        ("card", recording.transport.clone()),
        ("records", grouped(s.records)),
        (
            "commands",
            format!(
                "{}: {} succeeded, {} failed, {} never completed",
                grouped(s.commands),
                grouped(s.succeeded),
                grouped(s.errors),
                grouped(s.lost)
            ),
        ),
        ("payload bytes", grouped(s.memory_bytes)),
        ("interrupts", grouped(s.interrupts)),
        ("resets", grouped(s.resets)),
        ("first failure", failure_text(recording)),
    ];
    if s.dropped_records > 0 {
        let (records, bytes) = (grouped(s.dropped_records), grouped(s.dropped_bytes));
        rows.push(("dropped", format!("{records} older records, {bytes} bytes")));
    }
    rows
}
