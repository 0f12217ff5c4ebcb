//! Sees what passes between driver and card and makes records of it. Reads
//! host memory that is mapped for the card, writes none; called by the tap under
//! its lock.
//!
//! It follows the queues as the contract describes them, so that it knows which
//! ring entries are new: commands and the memory that they make the card read
//! at the doorbell, completions before the driver consumes them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use carillon_driver::command::{
    BEAT, COMMAND_BYTES, FLAG_SGL, Opcode, RawCommand, SGL_ENTRY_BYTES,
};
use carillon_driver::completion::{COMPLETION_BYTES, Completion};
use carillon_driver::memory::HostMemory;
use carillon_driver::registers as reg;
use carillon_driver::status::StatusCode;
use carillon_driver::transport::{InterruptLine, TransportEvent};
use tokio::sync::broadcast;

use super::format::MAX_DATA;
use super::names::{Access, QueueRegister};
use super::reach::Reach;
use super::record::{Event, Record};
use super::sink::Sink;

/// One queue, as register writes have set it up.
#[derive(Debug, Default)]
struct Queue {
    sq_base: u64,
    cq_base: u64,
    log2_depth: u32,
    state: QueueState,
    tail: u32,
    cq_index: u32,
    phase: bool,
    outstanding: VecDeque<RawCommand>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum QueueState {
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
        if self.state == QueueState::On {
            self.state = QueueState::Stopping;
        }
        !self.outstanding.is_empty()
    }

    /// The card posts nothing more.
    fn end(&mut self) {
        self.state = QueueState::Off;
        self.outstanding.clear();
    }
}

/// Follows one card.
#[derive(Debug)]
pub(super) struct Observer {
    sink: Sink,
    reach: Reach,
    queues: BTreeMap<u16, Queue>,
    lines: BTreeMap<u16, (Arc<InterruptLine>, u64)>,
    events: broadcast::Receiver<TransportEvent>,
}

impl Observer {
    pub fn new(sink: Sink, events: broadcast::Receiver<TransportEvent>) -> Self {
        Self {
            sink,
            reach: Reach::default(),
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
        self.reach.insert(iova, memory);
    }

    /// A mapping is gone.
    pub fn unmapped(&mut self, iova: u64) {
        self.reach.remove(iova);
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
            QueueRegister::Ctrl if queue.state != QueueState::On => {
                queue.end();
                queue.state = QueueState::On;
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
        let stopped = |q: &&mut Queue| q.state == QueueState::Stopping;
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
        if queue.state != QueueState::On || tail >= depth {
            return;
        }
        let (mut slot, base) = (queue.tail, queue.sq_base);
        queue.tail = tail;
        while slot != tail {
            let at = base.wrapping_add(u64::from(slot) * COMMAND_BYTES as u64);
            let mut bytes = [0; COMMAND_BYTES];
            if self.reach.read(at, &mut bytes) {
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
        if queue == 0 || !matches!(opcode, Some(Opcode::Write | Opcode::Read)) {
            return;
        }
        let mut parts = self.reach.parts(raw);
        if raw.flags & FLAG_SGL != 0 {
            // The card reads the list in beats.
            let bytes = (parts.len().max(1) * SGL_ENTRY_BYTES) as u64;
            self.memory(raw.op[0], bytes.next_multiple_of(BEAT));
        }
        if opcode == Some(Opcode::Write) {
            // Memory that is named again and again (zeros) is kept once.
            parts.dedup_by(|next, kept| next.0 == kept.0 && next.1 <= kept.1);
            for (address, bytes) in parts {
                self.memory(address, bytes);
            }
        }
    }

    fn memory(&mut self, iova: u64, bytes: u64) {
        let mut done = 0;
        while done < bytes {
            let at = iova.wrapping_add(done);
            let piece = (bytes - done).min(MAX_DATA as u64).min(self.reach.left(at));
            if piece == 0 {
                return self.unreachable(at, bytes - done);
            }
            let mut data = vec![0; piece as usize];
            if !self.reach.read(at, &mut data) {
                return self.unreachable(at, bytes - done);
            }
            self.sink.push(Record::Memory { iova: at, data });
            done += piece;
        }
    }

    fn unreachable(&mut self, iova: u64, bytes: u64) {
        self.sink.push(Record::Unreachable { iova, bytes });
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
        let queue = self
            .queues
            .get(&number)
            .filter(|q| q.state != QueueState::Off)?;
        let slot = queue.cq_index;
        let at = queue
            .cq_base
            .wrapping_add(u64::from(slot) * COMPLETION_BYTES as u64);
        let words = self.reach.completion(at, queue.phase)?;
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
        self.reach.digest(&self.reach.parts(raw))
    }
}
