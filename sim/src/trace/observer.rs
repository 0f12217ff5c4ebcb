//! Sees what passes between driver and card and makes records of it. Room
//! `sim`; reads host memory that is mapped for the card, writes none; called by
//! the tap under its lock.
//!
//! It follows the queues as the contract describes them, so that it knows which
//! ring entries are new: commands and the memory that they make the card read
//! at the doorbell, completions before the driver consumes them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use carillon_driver::command::{
    BEAT, COMMAND_BYTES, FLAG_SGL, Opcode, RawCommand, SGL_ENTRY_BYTES,
};
use carillon_driver::completion::{COMPLETION_BYTES, Completion, PHASE_BIT};
use carillon_driver::memory::HostMemory;
use carillon_driver::registers as reg;
use carillon_driver::status::StatusCode;
use carillon_driver::transport::{InterruptLine, TransportEvent};
use tokio::sync::broadcast;

use super::format::MAX_DATA;
use super::names::{Access, QueueRegister};
use super::record::{Event, Record};
use super::sink::Sink;

/// One queue, as register writes have set it up.
#[derive(Debug, Default)]
struct Queue {
    sq_base: u64,
    cq_base: u64,
    log2_depth: u32,
    life: Life,
    tail: u32,
    cq_index: u32,
    phase: bool,
    outstanding: VecDeque<RawCommand>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Life {
    /// Off, or started before the recording: its rings are not followed.
    #[default]
    Off,
    On,
    /// Told to stop; may still post what it was about to.
    Stopping,
}

impl Queue {
    fn depth(&self) -> u32 {
        1u32.checked_shl(self.log2_depth).unwrap_or(0)
    }

    /// Whether it leaves commands behind when it is stopped.
    fn stop(&mut self) -> bool {
        if self.life == Life::On {
            self.life = Life::Stopping;
        }
        !self.outstanding.is_empty()
    }

    /// The card posts nothing more.
    fn end(&mut self) {
        self.life = Life::Off;
        self.outstanding.clear();
    }
}

/// Follows one card.
#[derive(Debug)]
pub(super) struct Observer {
    sink: Sink,
    maps: BTreeMap<u64, Arc<HostMemory>>,
    queues: BTreeMap<u16, Queue>,
    lines: BTreeMap<u16, (Arc<InterruptLine>, u64)>,
    events: broadcast::Receiver<TransportEvent>,
}

impl Observer {
    pub fn new(sink: Sink, events: broadcast::Receiver<TransportEvent>) -> Self {
        Self {
            sink,
            maps: BTreeMap::new(),
            queues: BTreeMap::new(),
            lines: BTreeMap::new(),
            events,
        }
    }

    /// Whether records are still taken.
    pub fn is_open(&self) -> bool {
        self.sink.is_open()
    }

    /// Ends the recording.
    pub fn close(&mut self) {
        self.sink.close();
    }

    /// Recording was off: nothing is known of the queues until they start anew.
    pub fn forget_queues(&mut self) {
        self.queues.clear();
        for (line, seen) in self.lines.values_mut() {
            *seen = line.count();
        }
    }

    /// A mapping there is now, recorded or not.
    pub fn mapped(&mut self, iova: u64, memory: Arc<HostMemory>) {
        self.maps.insert(iova, memory);
    }

    /// A mapping is gone.
    pub fn unmapped(&mut self, iova: u64) {
        self.maps.remove(&iova);
    }

    /// A line to look at.
    pub fn line(&mut self, vector: u16, line: &Arc<InterruptLine>) {
        let seen = line.count();
        self.lines
            .entry(vector)
            .or_insert_with(|| (Arc::clone(line), seen));
    }

    /// Records something that needs no following.
    pub fn push(&mut self, record: Record) {
        self.notice();
        self.sink.push(record);
    }

    /// A register write that is about to happen.
    pub fn write(&mut self, offset: u32, value: u32) {
        self.notice();
        let failed = match Access::of(offset) {
            Access::Queue(number, register) => self.write_queue(number, register, value),
            Access::Global(reg::ctrl::OFFSET) if reg::ctrl::ENABLE.get(value) == 0 => {
                // All of them, whichever left commands behind.
                self.queues
                    .values_mut()
                    .fold(false, |left, q| q.stop() | left)
            }
            _ => false,
        };
        self.sink.push(Record::Write { offset, value });
        if failed {
            self.sink.failure();
        }
    }

    /// Returns whether commands are left behind.
    fn write_queue(&mut self, number: u16, register: QueueRegister, value: u32) -> bool {
        let queue = self.queues.entry(number).or_default();
        let low = |base: u64| base & !0xffff_ffff | u64::from(value);
        let high = |base: u64| base & 0xffff_ffff | u64::from(value) << 32;
        match register {
            QueueRegister::SqBaseLo => queue.sq_base = low(queue.sq_base),
            QueueRegister::SqBaseHi => queue.sq_base = high(queue.sq_base),
            QueueRegister::CqBaseLo => queue.cq_base = low(queue.cq_base),
            QueueRegister::CqBaseHi => queue.cq_base = high(queue.cq_base),
            QueueRegister::Log2Depth => {
                queue.log2_depth = reg::queue_log2_depth::LOG2_DEPTH.get(value);
            }
            QueueRegister::Ctrl if reg::queue_ctrl::ENABLE.get(value) == 0 => return queue.stop(),
            QueueRegister::Ctrl if queue.life != Life::On => {
                queue.end();
                queue.life = Life::On;
                (queue.tail, queue.cq_index, queue.phase) = (0, 0, true);
            }
            QueueRegister::SqTail => self.submit(number, value),
            _ => {}
        }
        false
    }

    /// A register was read. The card's word that it has stopped is the last
    /// moment at which its completion ring means anything.
    pub fn read(&mut self, offset: u32, value: u32) {
        self.notice();
        self.sink.push(Record::Read { offset, value });
        if value == u32::MAX {
            return;
        }
        let stopped = |q: &&mut Queue| q.life == Life::Stopping;
        match Access::of(offset) {
            Access::Queue(number, QueueRegister::Status)
                if reg::queue_status::ACTIVE.get(value) == 0 =>
            {
                let queue = self.queues.get_mut(&number);
                queue.filter(stopped).map(Queue::end).unwrap_or_default();
            }
            Access::Global(reg::status::OFFSET) if reg::status::READY.get(value) == 0 => {
                let queues = self.queues.values_mut();
                queues.filter(stopped).for_each(Queue::end);
            }
            _ => {}
        }
    }

    /// The function was reset.
    pub fn reset(&mut self, error: Option<String>) {
        self.notice();
        let mut failed = false;
        if error.is_none() {
            for queue in self.queues.values_mut() {
                failed |= queue.stop();
                queue.end();
            }
        }
        self.sink.push(Record::Reset { error });
        if failed {
            self.sink.failure();
        }
    }

    /// Commands between the tail known and the new one.
    fn submit(&mut self, number: u16, tail: u32) {
        let Some(queue) = self.queues.get_mut(&number) else {
            return;
        };
        let depth = queue.depth();
        if queue.life != Life::On || tail >= depth {
            return;
        }
        let (mut slot, base) = (queue.tail, queue.sq_base);
        queue.tail = tail;
        while slot != tail {
            let at = base.wrapping_add(u64::from(slot) * COMMAND_BYTES as u64);
            let mut bytes = [0; COMMAND_BYTES];
            if self.read_host(at, &mut bytes) {
                let raw = RawCommand::from_bytes(&bytes);
                self.operands(number, &raw);
                self.sink.push(Record::Command {
                    queue: number,
                    slot: slot as u16,
                    words: raw.to_words(),
                });
                if let Some(queue) = self.queues.get_mut(&number) {
                    queue.outstanding.push_back(raw);
                }
            } else {
                self.unreachable(at, COMMAND_BYTES as u64);
            }
            slot = (slot + 1) % depth;
        }
    }

    /// The host memory that the command makes the card read.
    fn operands(&mut self, queue: u16, raw: &RawCommand) {
        let opcode = Opcode::from_code(raw.opcode);
        let (host, bytes) = (raw.op[0], raw.op[2]);
        let list = raw.flags & FLAG_SGL != 0;
        match opcode {
            Some(Opcode::Write | Opcode::Read) if queue != 0 && list => {
                let parts = self.list(host, bytes);
                if opcode == Some(Opcode::Write) {
                    for (address, length) in parts {
                        self.memory(address, length);
                    }
                }
            }
            Some(Opcode::Write) if queue != 0 => self.memory(host, bytes),
            _ => {}
        }
    }

    /// Records a scatter/gather list; returns its parts, as far as it is sound.
    fn list(&mut self, host: u64, bytes: u64) -> Vec<(u64, u64)> {
        let parts = self.parts(host, bytes);
        let length = (parts.len().max(1) * SGL_ENTRY_BYTES) as u64;
        // The card reads it in beats.
        self.memory(host, length.next_multiple_of(BEAT));
        parts
    }

    fn parts(&self, host: u64, bytes: u64) -> Vec<(u64, u64)> {
        let (mut parts, mut left, mut at) = (Vec::new(), bytes, host);
        let mut entry = [0; SGL_ENTRY_BYTES];
        while left > 0 && self.read_host(at, &mut entry) {
            let words = entry.map(u64::from);
            let word = |i: usize| (0..8).fold(0, |w, b| w | words[i + b] << (8 * b));
            let (address, length) = (word(0), word(8));
            parts.push((address, length.min(left)));
            if length == 0 || length > left {
                break;
            }
            left -= length;
            at = at.wrapping_add(SGL_ENTRY_BYTES as u64);
        }
        parts
    }

    fn memory(&mut self, iova: u64, bytes: u64) {
        let mut done = 0;
        while done < bytes {
            let at = iova.wrapping_add(done);
            let piece = (bytes - done).min(MAX_DATA as u64).min(self.reach(at));
            if piece == 0 {
                return self.unreachable(at, bytes - done);
            }
            let mut data = vec![0; piece as usize];
            if !self.read_host(at, &mut data) {
                return self.unreachable(at, bytes - done);
            }
            self.sink.push(Record::Memory { iova: at, data });
            done += piece;
        }
    }

    fn unreachable(&mut self, iova: u64, bytes: u64) {
        self.sink.push(Record::Unreachable { iova, bytes });
    }

    /// Bytes from `iova` to the end of its mapping.
    fn reach(&self, iova: u64) -> u64 {
        let mapping = self.maps.range(..=iova).next_back();
        mapping.map_or(0, |(base, memory)| {
            (memory.len() as u64).saturating_sub(iova - base)
        })
    }

    fn read_host(&self, iova: u64, out: &mut [u8]) -> bool {
        let Some((base, memory)) = self.maps.range(..=iova).next_back() else {
            return false;
        };
        let at = usize::try_from(iova - base);
        at.is_ok_and(|at| memory.read(at, out).is_ok())
    }

    /// What the card has done since the last access: completions, interrupts, events.
    pub fn notice(&mut self) {
        let numbers: Vec<u16> = self.queues.keys().copied().collect();
        for number in numbers {
            self.completions(number);
        }
        for (&vector, (line, seen)) in &mut self.lines {
            let count = line.count();
            if count != *seen {
                *seen = count;
                self.sink.push(Record::Interrupt { vector, count });
            }
        }
        loop {
            let event = match self.events.try_recv() {
                Ok(TransportEvent::Removed) => Event::Removed,
                Ok(TransportEvent::Reset) => Event::Reset,
                Err(broadcast::error::TryRecvError::Lagged(_)) => continue,
                Err(_) => return,
            };
            self.sink.push(Record::Event(event));
        }
    }

    fn completions(&mut self, number: u16) {
        // At most one lap: whatever the memory says, this ends.
        for _ in 0..self.queues.get(&number).map_or(0, Queue::depth) {
            let Some((slot, words)) = self.next_completion(number) else {
                return;
            };
            let completion = Completion::from_words(words).map(|(c, _)| c);
            let cid = completion.map(|c| c.cid);
            let outstanding = self.queues.get_mut(&number).map(|q| &mut q.outstanding);
            let ended = outstanding.and_then(|list| {
                let at = list.iter().position(|raw| Some(raw.cid) == cid)?;
                list.remove(at)
            });
            let success = completion.is_some_and(|c| c.status.code == StatusCode::Success);
            let data = ended.filter(|_| success).and_then(|raw| self.digest(&raw));
            self.sink.push(Record::Completion {
                queue: number,
                slot: slot as u16,
                words,
                data,
            });
            if !success {
                self.sink.failure();
            }
        }
    }

    /// The next completion of a queue, if it is there.
    fn next_completion(&mut self, number: u16) -> Option<(u32, [u64; 4])> {
        let queue = self.queues.get(&number).filter(|q| q.life != Life::Off)?;
        let slot = queue.cq_index;
        let at = queue
            .cq_base
            .wrapping_add(u64::from(slot) * COMPLETION_BYTES as u64);
        let (base, memory) = self.maps.range(..=at).next_back()?;
        let words = completion_at(memory, usize::try_from(at - base).ok()?, queue.phase)?;
        let queue = self.queues.get_mut(&number)?;
        queue.cq_index = (slot + 1) % queue.depth().max(1);
        queue.phase ^= queue.cq_index == 0;
        Some((slot, words))
    }

    /// CRC-32 of what a `READ` brought. The driver has not handed it on yet: it
    /// rings `CQ_HEAD` first.
    fn digest(&self, raw: &RawCommand) -> Option<u32> {
        if Opcode::from_code(raw.opcode) != Some(Opcode::Read) {
            return None;
        }
        let (host, bytes) = (raw.op[0], raw.op[2]);
        let parts = if raw.flags & FLAG_SGL != 0 {
            self.parts(host, bytes)
        } else {
            vec![(host, bytes)]
        };
        digest(parts, |at, out| self.read_host(at, out))
    }
}

/// The completion at `at`, if its phase is the one expected: the phase word
/// first, then the rest (ring rule 2).
pub(super) fn completion_at(memory: &HostMemory, at: usize, phase: bool) -> Option<[u64; 4]> {
    use std::sync::atomic::Ordering::{Acquire, Relaxed};
    let last = memory.load(at + 24, Acquire).ok()?;
    if (last & PHASE_BIT != 0) != phase {
        return None;
    }
    let mut words = [0, 0, 0, last];
    for (i, word) in words.iter_mut().take(3).enumerate() {
        *word = memory.load(at + 8 * i, Relaxed).ok()?;
    }
    Some(words)
}

/// CRC-32 over pieces of host memory; `None` if one cannot be read.
pub(super) fn digest(parts: Vec<(u64, u64)>, read: impl Fn(u64, &mut [u8]) -> bool) -> Option<u32> {
    let mut hasher = crc32fast::Hasher::new();
    let mut buffer = vec![0; 1 << 16];
    for (address, length) in parts {
        let mut done = 0;
        while done < length {
            let piece = (length - done).min(buffer.len() as u64) as usize;
            if !read(address.wrapping_add(done), &mut buffer[..piece]) {
                return None;
            }
            hasher.update(&buffer[..piece]);
            done += piece as u64;
        }
    }
    Some(hasher.finalize())
}
