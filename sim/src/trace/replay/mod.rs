//! Repeats a recording on another card and compares what it answers. Drives a
//! card through [`Transport`] alone, as the driver did.
//!
//! Register writes, mappings, commands and payloads are repeated in the recorded
//! order, with addresses translated. Where the recording shows that the driver
//! had seen something (a completion, a queue's start or stop), the replay waits
//! for it. Registers that were only read are not read again.

mod compare;
mod host;
mod outcome;
mod ring;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use carillon_driver::bar::Bar;
use carillon_driver::command::COMMAND_BYTES;
use carillon_driver::memory::MemoryError;
use carillon_driver::registers as reg;
use carillon_driver::transport::{Transport, TransportError};

use self::host::Host;
pub use self::outcome::{Difference, Outcome, What};
use self::ring::Ring;
use super::depend;
use super::history::Traced;
use super::names::{Access, QueueRegister};
use super::record::{Entry, Event, Record};
use super::recording::{Recording, RecordingError};

/// Why a recording cannot be replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// A bounded recording that has lost its beginning.
    #[error(
        "the recording lost its first {records} records, and with them the card's state; record again without --limit, or with a larger one"
    )]
    Incomplete {
        /// Records lost.
        records: u64,
    },
    /// Recorded with another register map.
    #[error(
        "the recording is of register map {recorded:#018x}, this program has {own:#018x}; use the program that recorded it"
    )]
    RegisterMap {
        /// The recording's.
        recorded: u64,
        /// This program's.
        own: u64,
    },
    /// The recording cannot be read again.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// Host memory for the replay.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The replay's card.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// How to replay.
#[derive(Clone, Copy, Debug)]
pub struct ReplayOptions {
    /// Leave out the work that the failing command does not depend on, and end
    /// after it.
    pub failure_only: bool,
    /// How long the card may stand still, by its work counters, before a
    /// completion counts as missing.
    pub patience: Duration,
}

impl Default for ReplayOptions {
    fn default() -> Self {
        Self {
            failure_only: false,
            patience: Duration::from_secs(10),
        }
    }
}

/// Told when the failing command is about to begin, and when it has ended: to
/// switch a waveform on and off. `()` does nothing.
pub trait Watch {
    /// Every command before it on its queue has ended; its doorbell is next.
    fn begins(&mut self) {}
    /// It has completed, or will not.
    fn ended(&mut self) {}
}

impl Watch for () {}

/// Replays `recording` on `card`, which must be as after power-on.
///
/// # Errors
/// [`ReplayError`]. A card that answers differently, or not at all, is no error
/// but part of the [`Outcome`].
pub fn replay(
    recording: &Recording,
    card: Arc<dyn Transport>,
    options: ReplayOptions,
    watch: &mut dyn Watch,
) -> Result<Outcome, ReplayError> {
    let summary = &recording.history.summary;
    if summary.dropped_records > 0 {
        return Err(ReplayError::Incomplete {
            records: summary.dropped_records,
        });
    }
    if recording.rdl_hash != reg::RDL_HASH {
        return Err(ReplayError::RegisterMap {
            recorded: recording.rdl_hash,
            own: reg::RDL_HASH,
        });
    }
    let commands = &recording.history.commands;
    let focus = recording.history.failure.map(|f| f.command);
    let needed = focus
        .filter(|_| options.failure_only)
        .map(|focus| depend::needed(commands, focus));
    let mut replay = Replay {
        host: Host::new(Arc::clone(&card))?,
        bar: Bar::new(Arc::clone(&card)),
        card,
        recording,
        commands,
        focus,
        needed,
        options,
        watch,
        rings: BTreeMap::new(),
        memory: Vec::new(),
        next: 0,
        done: false,
        outcome: Outcome::default(),
    };
    for (number, entry) in recording.entries()?.enumerate() {
        if !replay.step(number, entry)? || replay.done {
            break;
        }
    }
    Ok(replay.outcome)
}

struct Replay<'a> {
    card: Arc<dyn Transport>,
    bar: Bar,
    host: Host,
    recording: &'a Recording,
    commands: &'a [Traced],
    /// The failing command.
    focus: Option<usize>,
    /// The commands that it depends on, when the others are left out.
    needed: Option<Vec<bool>>,
    options: ReplayOptions,
    watch: &'a mut dyn Watch,
    rings: BTreeMap<u16, Ring>,
    /// Host memory of the next command.
    memory: Vec<(u64, Vec<u8>)>,
    /// Index of the next command.
    next: usize,
    /// Nothing more is asked for.
    done: bool,
    outcome: Outcome,
}

impl Replay<'_> {
    /// Returns whether to go on.
    fn step(&mut self, number: usize, entry: Entry) -> Result<bool, ReplayError> {
        match entry.record {
            Record::Map {
                iova,
                bytes,
                rights,
            } => self.host.map(iova, bytes, rights)?,
            Record::Unmap { iova, error: None } => self.host.unmap(iova)?,
            Record::Memory { iova, data } => self.memory.push((iova, data)),
            Record::Command { .. } => self.place(),
            Record::Write { offset, value } => return Ok(self.write(offset, value)),
            Record::Completion { queue, data, .. } => {
                return Ok(self.completion(number, queue, data));
            }
            Record::Reset { error: None } | Record::Event(Event::Reset) => {
                self.lost(None);
                self.card.reset()?;
                self.rings.values_mut().for_each(Ring::stop);
            }
            Record::Event(Event::Removed) => {
                self.lost(None);
                self.stop("the recorded card left the bus");
                return Ok(false);
            }
            _ => {}
        }
        Ok(true)
    }

    fn stop(&mut self, why: &str) {
        self.outcome.stopped.get_or_insert_with(|| why.to_owned());
    }

    fn differ(&mut self, command: usize, what: What) {
        let difference = Difference::new(command, &self.commands[command], what);
        self.outcome.differences.push(difference);
    }

    /// Puts the next command into its ring.
    fn place(&mut self) {
        let memory = std::mem::take(&mut self.memory);
        let (index, Some(traced)) = (self.next, self.commands.get(self.next)) else {
            return;
        };
        self.next += 1;
        let beyond = self.focus.is_some_and(|focus| index > focus);
        let needed = self.needed.as_ref();
        let left_out = needed.is_some_and(|n| beyond || n.get(index) == Some(&false));
        let (raw, parts) = if left_out {
            self.outcome.left_out += 1;
            (self.host.stand_in(&traced.raw), Vec::new())
        } else {
            for (iova, data) in &memory {
                if !self.host.reach().write(*iova, data) {
                    tracing::warn!(iova, "recorded memory is not mapped in the replay");
                }
            }
            self.outcome.commands += 1;
            self.host.command(traced.queue, &traced.raw)
        };
        let Some(ring) = self.rings.get_mut(&traced.queue) else {
            return;
        };
        let at = ring.sq_base + u64::from(traced.slot) * COMMAND_BYTES as u64;
        self.host.reach().write(at, &raw.to_bytes());
        ring.push(index, parts, left_out);
    }

    /// A recorded register write. Returns whether to go on.
    fn write(&mut self, offset: u32, value: u32) -> bool {
        match Access::of(offset) {
            Access::Queue(queue, register) => self.write_queue(queue, register, offset, value),
            Access::Global(reg::ctrl::OFFSET) => {
                let on = reg::ctrl::ENABLE.get(value);
                if on == 0 {
                    self.lost(None);
                }
                self.card.write32(offset, value);
                let ready = |status| reg::status::READY.get(status) == on;
                if !self.wait_register(reg::status::OFFSET, ready) {
                    self.stop("the controller neither started nor stopped in the replay");
                    return false;
                }
                if on == 0 {
                    self.rings.values_mut().for_each(Ring::stop);
                }
                true
            }
            Access::Global(_) => {
                self.card.write32(offset, value);
                true
            }
        }
    }

    fn write_queue(
        &mut self,
        queue: u16,
        register: QueueRegister,
        offset: u32,
        value: u32,
    ) -> bool {
        let ring = self.rings.entry(queue).or_default();
        if ring.base(register, value) {
            // Written translated, when both halves are known.
            return true;
        }
        match register {
            QueueRegister::Log2Depth => {
                ring.log2_depth = reg::queue_log2_depth::LOG2_DEPTH.get(value);
                self.card.write32(offset, value);
            }
            QueueRegister::Ctrl if reg::queue_ctrl::ENABLE.get(value) != 0 => {
                let (sq, cq) = (ring.sq_base, ring.cq_base);
                let (sq, cq) = (self.host.translate(sq), self.host.translate(cq));
                for (at, base) in [
                    (reg::queue_sq_base_lo::offset(queue), sq as u32),
                    (reg::queue_sq_base_hi::offset(queue), (sq >> 32) as u32),
                    (reg::queue_cq_base_lo::offset(queue), cq as u32),
                    (reg::queue_cq_base_hi::offset(queue), (cq >> 32) as u32),
                ] {
                    self.card.write32(at, base);
                }
                if let Some(ring) = self.rings.get_mut(&queue) {
                    ring.start(&self.host);
                }
                self.card.write32(offset, value);
                let up = |status| {
                    reg::queue_status::ACTIVE.get(status) != 0
                        || reg::queue_status::ERROR.get(status) != 0
                };
                return self.settled(queue, up);
            }
            QueueRegister::Ctrl => {
                self.lost(Some(queue));
                self.card.write32(offset, value);
                let down = |status| reg::queue_status::ACTIVE.get(status) == 0;
                if !self.settled(queue, down) {
                    return false;
                }
                if let Some(ring) = self.rings.get_mut(&queue) {
                    ring.stop();
                }
            }
            QueueRegister::SqTail => return self.doorbell(queue, offset, value),
            _ => self.card.write32(offset, value),
        }
        true
    }

    fn settled(&mut self, queue: u16, done: impl Fn(u32) -> bool) -> bool {
        let settled = self.wait_register(reg::queue_status::offset(queue), done);
        if !settled {
            self.stop(&format!(
                "queue {queue} neither started nor stopped in the replay"
            ));
        }
        settled
    }

    /// Rings the doorbell; the failing command only once it is alone on its queue.
    fn doorbell(&mut self, queue: u16, offset: u32, tail: u32) -> bool {
        let focus = self.focus;
        let Some(ring) = self.rings.get_mut(&queue) else {
            return true;
        };
        let pending = std::mem::take(&mut ring.pending);
        if let Some(focus) = focus.filter(|f| pending.contains(f)) {
            let before = ring.before(focus);
            if pending.first() != Some(&focus) {
                self.card
                    .write32(offset, u32::from(self.commands[focus].slot));
            }
            if let Some(before) = before
                && !self.wait_posted(queue, before)
            {
                self.differ(before, What::Missing);
                self.stop("a command before the failing one did not complete");
                return false;
            }
            self.watch.begins();
        }
        self.card.write32(offset, tail);
        true
    }

    fn wait_register(&self, offset: u32, done: impl Fn(u32) -> bool) -> bool {
        let check = || done(self.card.read32(offset)).then_some(());
        ring::wait(&self.bar, self.options.patience, None, check).is_some()
    }
}
