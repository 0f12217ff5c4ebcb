//! Level 1: what the registers say.

use carillon_driver::registers as reg;

use super::{Checked, Subject, wrong};
use crate::{Identity, QueueState, Verdict};

/// Reads of the identity registers.
const READS: u32 = 1000;

/// The identity registers read the same every time.
pub async fn identity(subject: &Subject) -> Checked {
    let identity = |_| {
        let read = Identity::read(&*subject.transport);
        // The status may change.
        Identity { status: 0, ..read }
    };
    let first = identity(0);
    if first.verdict() != Verdict::Known {
        return Err(wrong(first.remarks().join("; ")));
    }
    if let Some(other) = (1..READS).map(identity).find(|read| *read != first) {
        return Err(wrong(format!(
            "the identity registers do not always read the same: {first:x?}, then {other:x?}"
        )));
    }
    Ok(format!(
        "contract {}, register map {:#018x}, configuration {}",
        first.version,
        first.rdl_hash,
        first.configuration_name()
    ))
}

/// The controller runs without an error, and so do all queues.
pub async fn status(subject: &Subject) -> Checked {
    let status = subject.transport.read32(reg::status::OFFSET);
    if reg::status::READY.get(status) != 1 {
        return Err(wrong(format!(
            "STATUS reads {status:#010x}: not ready after it was enabled"
        )));
    }
    if reg::status::FATAL.get(status) == 1 {
        let code = reg::status::FATAL_CODE.get(status);
        return Err(wrong(format!(
            "STATUS reads {status:#010x}: fatal, code {code}"
        )));
    }
    let count = u16::from(subject.card().info().io_queues) + 1;
    for queue in QueueState::read_all(&*subject.transport, count) {
        if !queue.active || queue.error.is_some() {
            let why = queue.error.unwrap_or("it is not active");
            return Err(wrong(format!("queue {} does not run: {why}", queue.number)));
        }
    }
    Ok(format!("ready, {count} queues run"))
}

/// One small write moves the counters of commands and host reads, and not that of errors.
pub async fn counters(subject: &Subject) -> Checked {
    let card = subject.card();
    let before = card.counters()?;
    let region = card.allocate(64)?;
    let buffer = card.buffer_to_card(64)?;
    card.queue(0).write(buffer, &region).await.ok()?;
    let after = card.counters()?;
    let rises = [
        ("commands", before.commands, after.commands, 1),
        ("host_read", before.host_read, after.host_read, 64),
        ("card_written", before.card_written, after.card_written, 64),
    ];
    for (name, before, after, least) in rises {
        if after < before + least {
            return Err(wrong(format!(
                "counter {name} went from {before} to {after} over a write of 64 bytes"
            )));
        }
    }
    if after.errors != before.errors {
        return Err(wrong("the error counter rose over a write that succeeded"));
    }
    Ok(format!(
        "{} commands, {} errors since reset",
        after.commands, after.errors
    ))
}

/// The driver met nothing that a sound card does not do. Resets by the checks are expected; interrupts
/// that come very late, on a busy machine, are counted and shown (the check of interrupts finds those
/// that never come).
pub async fn driver_counters(subject: &Subject) -> Checked {
    let (before, now) = (subject.before, subject.card().driver_counters());
    let counts = [
        ("timeouts", now.timeouts - before.timeouts),
        (
            "protocol errors",
            now.protocol_errors - before.protocol_errors,
        ),
        ("queue errors", now.queue_errors - before.queue_errors),
    ];
    let odd: Vec<_> = counts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(what, count)| format!("{count} {what}"))
        .collect();
    if !odd.is_empty() {
        return Err(wrong(format!("the driver met {}", odd.join(", "))));
    }
    if subject.card().quarantined() > 0 {
        return Err(wrong("host memory had to be given up"));
    }
    Ok(format!(
        "{} completions, {} of them long before their interrupt",
        now.completions - before.completions,
        now.lost_interrupts - before.lost_interrupts
    ))
}
